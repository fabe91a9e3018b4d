"""Gradient graphs: an ONNX model differentiated backwards into an ONNX model."""

from collections.abc import Mapping, Sequence

from onnx import ModelProto, NodeProto, helper

from softsign.onnx.check import ModelError, check_model, describe
from softsign.onnx.dialect import (
    add_functions,
    given_names,
    lowered,
    node_def,
    normalize_model,
    tensor_names,
    tensor_types,
    value_info,
)
from softsign.onnx.inlining import inline_functions
from softsign.operator import SchemaError, TensorType
from softsign.operator.walks import gradient_operators, infer_types

__all__ = ["gradients"]


def gradients(model: ModelProto, loss: str, wrt: str | Sequence[str], *, inline: bool = False) -> ModelProto:
    """Add the gradients of a loss to a model, as nodes that ONNX engines run.

    Parameters
    ----------
    model : onnx.ModelProto
        The model; not changed. Older opsets are raised to 18, and functions that are not softsign's inlined.
    loss : str
        Name of the tensor to differentiate: a scalar.
    wrt : str or sequence of str
        Names of inputs or initializers of a floating-point type to differentiate with respect to.
    inline : bool, optional
        Whether ONNX's own operators alone shall be left, as by `inline_functions`, for engines that take no
        functions.

    Returns
    -------
    onnx.ModelProto
        The same model with one more output for each name in `wrt`, called ``<name>_grad``. It can be
        differentiated again, unless its functions are inlined.

    Raises
    ------
    ModelError
        When the model is wrong, there is no such loss or it is not a scalar, one of `wrt` is neither an input
        nor an initializer, is not floating-point or does not influence the loss, or an operator between has
        no gradient maker.

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
    names = [wrt] if isinstance(wrt, str) else list(wrt)
    check_model(model)
    made = normalize_model(model)
    types, given, taken = tensor_types(made), given_names(made.graph), tensor_names(made)
    _check_loss(made, loss, types)
    _check_wrt(given, names, types, taken)
    try:
        nodes = _reverse_pass(made, loss, names, types, taken)
    except SchemaError as error:
        raise ModelError(str(error)) from error
    made.graph.node.extend(nodes)
    made.graph.output.extend(value_info(f"{name}_grad", types[name]) for name in names)
    add_functions(made, nodes)
    check_model(made, "the gradient model")
    return inline_functions(made) if inline else made


def _reverse_pass(
    model: ModelProto, loss: str, wrt: Sequence[str], types: Mapping[str, TensorType], taken: set[str]
) -> list[NodeProto]:
    """Return the nodes that compute the gradient of each of `wrt`, as ``<name>_grad``."""
    ops = [node_def(node) for node in model.graph.node]
    written = {name for op in ops for name in op.outputs}
    versions = {(name, int(name in written)): known for name, known in types.items()}
    reserved = taken | {f"{name}_grad" for name in wrt}
    appended, blobs, known = gradient_operators(ops, {loss: None}, reserved, wanted=wrt, types=versions)
    for name in wrt:
        if name not in blobs:
            raise ModelError(f"wrt: the loss {loss!r} does not depend on {name!r}, or by integers alone")
    nodes = lowered(appended, infer_types(appended, types) | known, reserved)
    final: dict[str, str] = {}
    copies = []
    for name in wrt:
        if blobs[name] in final:  # several gradients are one blob, as those of the terms of a sum
            copies.append(helper.make_node("Identity", [final[blobs[name]]], [f"{name}_grad"]))
        else:
            final[blobs[name]] = f"{name}_grad"
    for node in nodes:
        node.input[:] = [final.get(name, name) for name in node.input]
        node.output[:] = [final.get(name, name) for name in node.output]
    return [*nodes, *copies]


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
    if known.dtype.kind in "iub":
        raise ModelError(f"loss: {loss!r} is {known.dtype}, and integers have no gradient")


def _check_wrt(
    given: Sequence[str], names: Sequence[str], types: Mapping[str, TensorType], taken: set[str]
) -> None:
    """Refuse names of which no gradient can be had, or named."""
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
        if types[name].dtype.kind in "iub":
            raise ModelError(f"wrt: {name!r} is {types[name].dtype}, and integers have no gradient")
        if f"{name}_grad" in taken:
            raise ModelError(
                f"wrt: the model has a tensor {name}_grad already, so that of {name!r} has no name"
            )
