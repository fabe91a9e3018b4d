"""Functions of a model put in the place of their calls."""

from collections.abc import Sequence

import onnx
import onnx.inliner
from onnx import FunctionProto, ModelProto, helper

from softsign.onnx.check import ONNX_DOMAINS, ModelError, bodies, check_expansion, one_line
from softsign.onnx.functions import DOMAIN, is_function_name
from softsign.operator.definitions import Names

__all__ = ["inline_functions", "inlined"]


def inline_functions(model: ModelProto) -> ModelProto:
    """Return a copy of a model in which the bodies of all its functions stand in place of their calls.

    Some engines, such as OpenVINO and tinygrad, take no model-local functions. What the calls computed, their
    bodies compute: values stay. The domains that nothing uses any more are no longer imported.

    Parameters
    ----------
    model : onnx.ModelProto
        The model; not changed.

    Returns
    -------
    onnx.ModelProto
        The copy. Softsign's functions are operators of ONNX in it, so it can neither be differentiated again
        nor made a net again.

    Raises
    ------
    ModelError
        When onnx cannot inline them.

    Examples
    --------
    >>> from softsign.onnx import inline_functions, to_model
    >>> from softsign.operator import Net
    >>> net = Net("one")
    >>> _ = net.add("SoftsignDerivative", "X", "Y")
    >>> model = inline_functions(to_model(net, {"X": ("float32", ("n",))}))
    >>> [node.op_type for node in model.graph.node]
    ['Constant', 'CastLike', 'Abs', 'Add', 'Div', 'Div']
    >>> len(model.functions), [imported.domain for imported in model.opset_import]
    (0, [''])
    """
    made = _without_calls(model, model.functions)
    _replace_size(made)
    used = {node.domain for body in bodies(made.graph) for node in body.node} | set(ONNX_DOMAINS)
    for i in reversed(range(len(made.opset_import))):
        if made.opset_import[i].domain not in used:
            del made.opset_import[i]
    return made


def _replace_size(model: ModelProto) -> None:
    """Put Shape and ReduceProd in the place of Size, which is no tensor in tinygrad 0.14."""
    given = (value.name for value in (*model.graph.input, *model.graph.initializer))
    names = Names((*given, *(name for body in bodies(model.graph) for n in body.node for name in n.output)))
    for body in bodies(model.graph):
        for i, node in reversed(list(enumerate(body.node))):
            if node.domain in ONNX_DOMAINS and node.op_type == "Size":
                shape = names.fresh(f"{node.output[0]}_shape")
                body.node.insert(i, helper.make_node("Shape", node.input, [shape]))
                product = helper.make_node("ReduceProd", [shape], node.output, node.name, keepdims=0)
                body.node[i + 1].CopyFrom(product)


def inlined(model: ModelProto) -> ModelProto:
    """Return a copy of a model with the bodies of its functions, but softsign's, in place of their calls.

    Parameters
    ----------
    model : onnx.ModelProto
        The model; not changed.

    Returns
    -------
    onnx.ModelProto
        The copy.

    Raises
    ------
    ModelError
        When onnx cannot inline them.
    """
    return _without_calls(
        model, [f for f in model.functions if f.domain != DOMAIN or not is_function_name(f.name)]
    )


def _without_calls(model: ModelProto, functions: Sequence[FunctionProto]) -> ModelProto:
    """Return a copy of a model with the bodies of some of its functions in place of their calls."""
    if not functions:
        made = ModelProto()
        made.CopyFrom(model)
        return made
    check_expansion(model)
    try:
        return onnx.inliner.inline_selected_functions(model, [(f.domain, f.name) for f in functions])
    except (RuntimeError, onnx.checker.ValidationError) as error:
        raise ModelError(f"onnx cannot inline the model's functions: {one_line(error)}") from error
