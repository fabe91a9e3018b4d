"""Gradient graphs: an ONNX model differentiated backwards into an ONNX model."""

from collections.abc import Iterable, Mapping, Sequence

from onnx import GraphProto, ModelProto, NodeProto, helper

from softsign.onnx.branches import every_node, maker_of, node_operators, renamed, reverse_nodes
from softsign.onnx.check import ModelError, check_model, describe, inner_graphs
from softsign.onnx.dialect import (
    add_functions,
    given_names,
    infer_shapes,
    normalize_model,
    tensor_names,
    tensor_types,
    value_info,
)
from softsign.onnx.fix import count_softsign, fix_softsign
from softsign.onnx.inlining import inline_functions
from softsign.operator import SchemaError, TensorType
from softsign.operator.definitions import Names, is_discrete
from softsign.operator.gradient import GradientError
from softsign.operator.walks import gradient_operators

__all__ = ["gradients", "missing_gradients", "parameter_names", "split_softsign"]


def gradients(
    model: ModelProto, loss: str, wrt: str | Sequence[str] = "parameters", *, inline: bool = False
) -> ModelProto:
    """Add the gradients of a loss to a model, as nodes that ONNX engines run.

    Parameters
    ----------
    model : onnx.ModelProto
        The model; not changed. Older opsets are raised to 18, and functions that are not softsign's inlined.
    loss : str
        Name of the tensor to differentiate: a scalar.
    wrt : str or sequence of str, optional
        Names of inputs or initializers of a floating-point type to differentiate with respect to; or the word
        ``"parameters"``: all floating-point initializers that the loss depends on.
    inline : bool, optional
        Whether ONNX's own operators alone shall be left, as by `inline_functions`, for engines that take no
        functions.

    Returns
    -------
    onnx.ModelProto
        The same model with one more output for each name in `wrt`, in that order behind the others. It is
        called ``<name>_grad``, with a number behind it where the model has such a tensor already. The result
        can be differentiated again, unless its functions are inlined.

    Raises
    ------
    ModelError
        When the model is wrong, there is no such loss or it is not a scalar, one of `wrt` is neither an input
        nor an initializer, is not floating-point or does not influence the loss, or operators between have no
        gradient; the message names them all.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.onnx import Backend, gradients, to_model
    >>> from softsign.operator import Net
    >>> net = Net("example")
    >>> _ = net.add("Softsign", "X", "Y")
    >>> _ = net.add("ReduceSum", "Y", "L", keepdims=0)
    >>> model = gradients(to_model(net, {"X": ("float32", (2,))}), "L", "X")
    >>> [value.name for value in model.graph.output]
    ['L', 'X_grad']
    >>> Backend.run_model(model, [np.array([-3.0, 1.0], np.float32)])[1]
    array([0.0625, 0.25  ], dtype=float32)
    """
    check_model(model)
    made = normalize_model(model)
    types, taken = tensor_types(made), Names(tensor_names(made))
    _check_loss(made, loss, types)
    names = _names(made.graph, wrt, types)
    outputs = {name: taken.fresh(f"{name}_grad") for name in names}
    try:
        nodes, blobs = reverse_nodes(_typed(made), {loss: None}, names, types, taken)
    except GradientError as error:
        raise ModelError(f"{error}{_hint(model, error)}") from error
    except SchemaError as error:
        raise ModelError(str(error)) from error
    if wrt == "parameters":
        names = [name for name in names if name in blobs]
    for name in names:
        if name not in blobs:
            raise ModelError(f"wrt: the loss {loss!r} does not depend on {name!r}, or by steps alone")
    if not names:
        raise ModelError(f"wrt: the loss {loss!r} depends on no floating-point initializer")
    nodes = _with_names(nodes, [(blobs[name], outputs[name]) for name in names])
    made.graph.node.extend(nodes)
    made.graph.output.extend(value_info(outputs[name], types[name]) for name in names)
    add_functions(made, every_node(nodes))
    check_model(made, "the gradient model")
    return inline_functions(made) if inline else made


def parameter_names(graph: GraphProto, types: Mapping[str, TensorType]) -> list[str]:
    """Return the names of the floating-point initializers of a graph.

    Parameters
    ----------
    graph : onnx.GraphProto
        The graph.
    types : mapping of str to TensorType
        Types of its tensors.

    Returns
    -------
    list of str
        In the graph's order.
    """
    return [tensor.name for tensor in graph.initializer if not is_discrete(types[tensor.name].dtype)]


def missing_gradients(model: ModelProto, types: Mapping[str, TensorType]) -> list[str]:
    """Return the operators without gradients between the floating-point inputs and outputs of a model.

    Parameters
    ----------
    model : onnx.ModelProto
        The model, of any opset.
    types : mapping of str to TensorType
        Types of its tensors.

    Returns
    -------
    list of str
        Their types, each once, in alphabetical order.
    """
    floating = {name for name, known in types.items() if not is_discrete(known.dtype)}
    seeds = {value.name: None for value in model.graph.output if value.name in floating}
    wanted = [name for name in given_names(model.graph) if name in floating]
    ops = node_operators(_typed(model))
    written = {name for op in ops for name in op.outputs}
    versions = {(name, int(name in written)): known for name, known in types.items()}
    taken = Names(tensor_names(model))
    try:
        gradient_operators(ops, seeds, taken, wanted=wanted, types=versions, maker_of=maker_of(types, taken))
    except GradientError as error:
        return sorted({refusal.op.type for refusal in error.refusals})
    return []


def split_softsign(model: ModelProto) -> int:
    """Return how many Softsign nodes `fix_softsign` would put back.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.

    Returns
    -------
    int
        The number; 0 where nothing is to be fixed.
    """
    return count_softsign(fix_softsign(model)) - count_softsign(model)


def _typed(model: ModelProto) -> GraphProto:
    """Return the graph, with the types of what its control flow computes declared there."""
    return infer_shapes(model).graph if any(map(inner_graphs, model.graph.node)) else model.graph


def _hint(model: ModelProto, error: GradientError) -> str:
    """Return a hint for models of which an exporter has split Softsign up."""
    if not any(refusal.op.type == "Abs" for refusal in error.refusals):
        return ""
    count = split_softsign(model)
    return f"; softsign.onnx.fix_softsign puts {count} Softsign back in place of such nodes" if count else ""


def _with_names(nodes: Sequence[NodeProto], outputs: Iterable[tuple[str, str]]) -> list[NodeProto]:
    """Give blobs the names of outputs; one that is several outputs is copied."""
    final: dict[str, str] = {}
    copies = []
    for blob, output in outputs:
        if blob in final:  # as the gradients of the terms of a sum
            copies.append(helper.make_node("Identity", [final[blob]], [output]))
        else:
            final[blob] = output
    return [*renamed(nodes, final), *copies]


def _names(graph: GraphProto, wrt: str | Sequence[str], types: Mapping[str, TensorType]) -> list[str]:
    """Return the tensors to differentiate with respect to, and refuse those that have no gradient."""
    given = given_names(graph)
    if wrt == "parameters":
        if wrt in given:
            raise ModelError("wrt: the model has a tensor 'parameters'; ['parameters'] stands for it alone")
        return parameter_names(graph, types)
    names = [wrt] if isinstance(wrt, str) else list(wrt)
    if not names or len(set(names)) < len(names):
        raise ModelError(
            f"wrt must name inputs or initializers, each once; given: {', '.join(names) or 'none'}"
        )
    for name in names:
        if name not in given:
            raise ModelError(
                f"wrt: {name!r} is neither an input nor an initializer of the model; "
                f"those are {', '.join(given)}"
            )
        if name not in types:
            raise ModelError(f"wrt: {name!r} is not a tensor, and has no gradient")
        if is_discrete(types[name].dtype):
            raise ModelError(f"wrt: {name!r} is {types[name].dtype}, and integers have no gradient")
    return names


def _check_loss(model: ModelProto, loss: str, types: Mapping[str, TensorType]) -> None:
    """Refuse a loss that is no scalar of a floating-point type, written by a node."""
    writer = next((node for node in model.graph.node if loss in node.output), None)
    if writer is None:
        outputs = ", ".join(value.name for value in model.graph.output)
        raise ModelError(f"loss: no node of the model writes {loss!r}; its outputs are {outputs}")
    known = types.get(loss)
    if known is None or known.shape is None:
        raise ModelError(f"loss: the shape of {loss!r} cannot be inferred, and it must be a scalar")
    if any(size != 1 for size in known.shape):
        shape = ", ".join("?" if str(size)[0] == "?" else str(size) for size in known.shape)
        raise ModelError(
            f"loss: {loss!r}, written by {describe(writer)}, must be a scalar and has the shape ({shape})"
        )
    if is_discrete(known.dtype):
        raise ModelError(f"loss: {loss!r} is {known.dtype}, and integers have no gradient")
