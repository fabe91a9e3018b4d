"""Gradient graphs: an ONNX model differentiated backwards into an ONNX model, and a training step made of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from softsign.onnx.model import (
    ModelError,
    add_functions,
    bodies,
    check_model,
    describe,
    lowered,
    node_def,
    normalized,
    tensor_types,
    value_info,
)
from softsign.operator import SchemaError, TensorType
from softsign.operator.registry import unused
from softsign.operator.walks import gradient_operators, infer_types

__all__ = ["apply_sgd", "gradients"]


def gradients(model: ModelProto, loss: str, wrt: str | Sequence[str]) -> ModelProto:
    """Add the gradients of a loss to a model, as nodes that any ONNX engine runs.

    Parameters
    ----------
    model : onnx.ModelProto
        Not changed. Older opsets are raised to 18, and functions that are not softsign's inlined.
    loss : str
        The tensor to differentiate: a scalar.
    wrt : str or sequence of str
        Inputs or initializers of a floating-point type to differentiate with respect to.

    Returns
    -------
    onnx.ModelProto
        The same model with one more output for each name in `wrt`, called ``<name>_grad``. It can be differentiated
        again.

    Raises
    ------
    ModelError
        When the model is wrong, there is no such loss or it is not a scalar, one of `wrt` is neither an input nor an
        initializer, is not floating-point or does not influence the loss, or an operator between has no gradient maker.

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
    made = normalized(model)
    types = tensor_types(made)
    _check_loss(made, loss, types)
    _check_wrt(made, names, types)
    ops = [node_def(node) for node in made.graph.node]
    written = {name for op in ops for name in op.outputs}
    taken = _names(made)
    for name in names:
        if f"{name}_grad" in taken:
            raise ModelError(
                f"wrt: the model has a tensor {name}_grad already, so that of {name!r} has no name"
            )
    try:
        versions = {(name, int(name in written)): known for name, known in types.items()}
        appended, found, known = gradient_operators(ops, {loss: None}, taken, wanted=names, types=versions)
        _check_influence(names, found, loss)
        nodes = lowered(appended, infer_types(appended, types) | known, taken)
    except SchemaError as error:
        raise ModelError(str(error)) from error
    nodes = _renamed(nodes, {name: found[name] for name in names})
    made.graph.node.extend(nodes)
    made.graph.output.extend(value_info(f"{name}_grad", types[name]) for name in names)
    add_functions(made, nodes)
    check_model(made, "the gradient model")
    return made


def _check_loss(model: ModelProto, loss: str, types: Mapping[str, TensorType]) -> None:
    written = {name for node in model.graph.node for name in node.output}
    if loss not in written:
        raise ModelError(f"loss: no node of the model writes {loss!r}; its outputs are {_outputs(model)}")
    known = types.get(loss)
    if known is None or known.shape is None:
        raise ModelError(f"loss: the shape of {loss!r} cannot be inferred, and it must be a scalar")
    if any(size != 1 for size in known.shape):
        node = next(node for node in model.graph.node if loss in node.output)
        shape = ", ".join("?" if str(size)[0] == "?" else str(size) for size in known.shape)
        raise ModelError(
            f"loss: {loss!r}, written by {describe(node)}, must be a scalar and has the shape ({shape})"
        )
    if known.dtype.kind in "iub":
        raise ModelError(f"loss: {loss!r} is {known.dtype}, and integers have no gradient")


def _outputs(model: ModelProto) -> str:
    return ", ".join(value.name for value in model.graph.output)


def _check_wrt(model: ModelProto, names: Sequence[str], types: Mapping[str, TensorType]) -> None:
    given = [value.name for value in model.graph.input]
    given += [tensor.name for tensor in model.graph.initializer if tensor.name not in given]
    if not names or len(set(names)) < len(names):
        raise ModelError(
            f"wrt must name inputs or initializers, each once; given: {', '.join(names) or 'none'}"
        )
    for name in names:
        if name not in given:
            raise ModelError(
                f"wrt: {name!r} is neither an input nor an initializer of the model; those are {', '.join(given)}"
            )
        if types[name].dtype.kind in "iub":
            raise ModelError(f"wrt: {name!r} is {types[name].dtype}, and integers have no gradient")


def _check_influence(names: Sequence[str], found: Mapping[str, str], loss: str) -> None:
    for name in names:
        if name not in found:
            raise ModelError(f"wrt: the loss {loss!r} does not depend on {name!r}, or by integers alone")


def _names(model: ModelProto) -> set[str]:
    """Return every name of a tensor in a model."""
    names = {tensor.name for tensor in model.graph.initializer} | {value.name for value in model.graph.input}
    for body in bodies(model):
        names.update(name for node in body.node for name in (*node.input, *node.output))
    return names


def _renamed(nodes: Sequence[NodeProto], found: Mapping[str, str]) -> list[NodeProto]:
    """Let each gradient be called by its name in the model: `found` tells what `nodes` call it."""
    final: dict[str, str] = {}
    copies = []
    for name, blob in found.items():
        if blob in final:  # several gradients are one blob, as those of the terms of a sum
            copies.append(helper.make_node("Identity", [final[blob]], [f"{name}_grad"]))
        else:
            final[blob] = f"{name}_grad"
    taken = {name for node in nodes for name in node.output}
    for blob in taken & set(final.values()) - set(final):  # a part of a sum may have the name of the whole
        final[blob] = unused(blob, taken)
        taken.add(final[blob])
    for node in nodes:
        node.input[:] = [final.get(name, name) for name in node.input]
        node.output[:] = [final.get(name, name) for name in node.output]
    return [*nodes, *copies]


def apply_sgd(
    model: ModelProto,
    *,
    momentum: float = 0.0,
    weight_decay: float | Mapping[str, float] = 0.0,
    learning_rate: str | float = "learning_rate",
) -> ModelProto:
    """Make a step of stochastic gradient descent of a model with gradients: parameters in, parameters out.

    With the velocity v of a parameter w, its gradient g, learning rate r, momentum m and weight decay d, the step is

        v <- m v - r (g + d w),  w <- w + v

    Parameters
    ----------
    model : onnx.ModelProto
        What `gradients` returns. Each output ``<name>_grad`` makes ``<name>`` a parameter.
    momentum : float
        From 0 to 1, 1 excluded. With 0 there are no velocities.
    weight_decay : float or mapping of str to float
        One for all parameters, or one for each that is to decay.
    learning_rate : str or float
        Name of the input, a scalar of the parameters' dtype, or a number that stays.

    Returns
    -------
    onnx.ModelProto
        Every parameter is an input ``<name>``, and an output ``<name>_next`` of the same dtype and shape; with momentum there are
        inputs ``<name>_velocity`` and outputs ``<name>_velocity_next`` too. The other outputs of the model stay.

    Raises
    ------
    ModelError
        When the model has no gradients, a name is taken, a number is out of range, or `weight_decay` names
        what is not a parameter.

    References
    ----------
    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Sutskever et al., "On the importance of
    initialization and momentum in deep learning", 2013.
    """
    made = ModelProto()
    made.CopyFrom(model)
    types = tensor_types(made)
    parameters = _parameters(made)
    decays = weight_decay if isinstance(weight_decay, Mapping) else dict.fromkeys(parameters, weight_decay)
    _check_step(parameters, momentum, decays)
    taken = _names(made)
    step = _Step(made, types, taken)
    rate = step.rate(learning_rate, parameters)
    for name in parameters:
        step.update(name, rate, momentum, decays.get(name, 0.0))
    kept = [value for value in made.graph.output if value.name.removesuffix("_grad") not in parameters]
    graph = made.graph
    initializers = [tensor for tensor in graph.initializer if tensor.name not in parameters]
    inputs = {value.name for value in graph.input}
    graph.input.extend(value_info(name, types[name]) for name in parameters if name not in inputs)
    graph.input.extend(step.inputs)
    for field, values in (
        ("initializer", [*initializers, *step.initializers]),
        ("output", [*kept, *step.outputs]),
        ("node", [*graph.node, *step.nodes]),
    ):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        graph.ClearField(field)
        getattr(graph, field).extend(copies)
    check_model(made, "the training step")
    return made


def _parameters(model: ModelProto) -> list[str]:
    given = {value.name for value in model.graph.input} | {tensor.name for tensor in model.graph.initializer}
    ends = [value.name.removesuffix("_grad") for value in model.graph.output if value.name.endswith("_grad")]
    found = [name for name in ends if name in given]
    if not found:
        raise ModelError("the model has no gradients: softsign.onnx.gradients adds them")
    return found


def _check_step(parameters: Sequence[str], momentum: float, decays: Mapping[str, float]) -> None:
    if not 0 <= momentum < 1:
        raise ModelError(f"momentum is {momentum}; it must be at least 0 and less than 1")
    for name, decay in decays.items():
        if name not in parameters:
            raise ModelError(f"weight_decay: {name!r} is not a parameter; those are {', '.join(parameters)}")
        if not 0 <= decay < np.inf:
            raise ModelError(f"weight_decay of {name!r} is {decay}; it must be a finite number, 0 or more")


class _Step:
    """The parts of a training step while it is put together."""

    def __init__(self, model: ModelProto, types: Mapping[str, TensorType], taken: set[str]) -> None:
        self.model = model
        self.types = types
        self.taken = taken
        self.nodes: list[NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def new(self, name: str) -> str:
        if name in self.taken:
            raise ModelError(
                f"the model has a tensor {name!r} already, which the training step needs as a name"
            )
        self.taken.add(name)
        return name

    def number(self, name: str, value: float, dtype: np.dtype[Any]) -> str:
        made = unused(name, self.taken)
        self.taken.add(made)
        self.initializers.append(numpy_helper.from_array(np.array(value, dtype), made))
        return made

    def node(self, op_type: str, *inputs: str, output: str) -> str:
        made = unused(output, self.taken)
        self.taken.add(made)
        self.nodes.append(helper.make_node(op_type, inputs, [made]))
        return made

    def rate(self, learning_rate: str | float, parameters: Sequence[str]) -> str:
        dtype = self.types[parameters[0]].dtype
        if not isinstance(learning_rate, str):
            if not np.isfinite(learning_rate):
                raise ModelError(f"learning_rate is {learning_rate}; it must be a finite number")
            return self.number("learning_rate", learning_rate, dtype)
        self.inputs.append(value_info(self.new(learning_rate), TensorType(dtype, ())))
        return learning_rate

    def update(self, name: str, rate: str, momentum: float, decay: float) -> None:
        known = self.types[name]
        slope = f"{name}_grad"
        if decay:
            factor = self.number(f"{name}_decay", decay, known.dtype)
            slope = self.node(
                "Add", slope, self.node("Mul", factor, name, output=f"{name}_pull"), output=f"{name}_slope"
            )
        move = self.node("Mul", rate, slope, output=f"{name}_move")
        if momentum:
            held = self.new(f"{name}_velocity")
            kept = self.node(
                "Mul", self.number(f"{name}_momentum", momentum, known.dtype), held, output=f"{held}_kept"
            )
            self.nodes.append(helper.make_node("Sub", [kept, move], [self.new(f"{held}_next")]))
            self.nodes.append(helper.make_node("Add", [name, f"{held}_next"], [self.new(f"{name}_next")]))
            self.inputs.append(value_info(held, known))
            self.outputs += [value_info(f"{name}_next", known), value_info(f"{held}_next", known)]
        else:
            self.nodes.append(helper.make_node("Sub", [name, move], [self.new(f"{name}_next")]))
            self.outputs.append(value_info(f"{name}_next", known))
