"""The training step: a model with gradients made one that takes parameters and returns them moved."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from softsign.onnx.check import ModelError, check_model
from softsign.onnx.dialect import given_names, remove, tensor_names, tensor_types, value_info
from softsign.operator import TensorType
from softsign.operator.definitions import Names

__all__ = ["sgd_step"]


def sgd_step(
    model: ModelProto,
    *,
    momentum: float = 0.0,
    weight_decay: float | Mapping[str, float] = 0.0,
    learning_rate: str | float = "learning_rate",
) -> ModelProto:
    """Make a step of stochastic gradient descent of a model with gradients: parameters in, parameters out.

    With the velocity v of a parameter w, its gradient g, learning rate r, momentum m and weight decay d, the
    step is

        v <- m v - r (g + d w),  w <- w + v

    Parameters
    ----------
    model : onnx.ModelProto
        The result of `gradients`; not changed. Each output ``<name>_grad`` makes ``<name>`` a parameter.
    momentum : float, optional
        A number from 0 to 1, 1 excluded. With 0 there are no velocities.
    weight_decay : float or mapping of str to float, optional
        One number for all parameters, or one for each that is to decay.
    learning_rate : str or float, optional
        Name of the input, a scalar of the parameters' dtype, or a number that stays.

    Returns
    -------
    onnx.ModelProto
        The step. Every parameter is an input ``<name>``, and an output ``<name>_next`` of the same dtype and
        shape; with momentum there are inputs ``<name>_velocity`` and outputs ``<name>_velocity_next`` too.
        The other outputs of the model stay.

    Raises
    ------
    ModelError
        When the model has no gradients, a name is taken, a number is out of range, or `weight_decay` names
        what is not a parameter.

    References ---------- Polyak, "Some methods of speeding up the convergence of iteration methods", 1964;
    Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.
    """
    made = ModelProto()
    made.CopyFrom(model)
    parameters = _parameters(made)
    decays = weight_decay if isinstance(weight_decay, Mapping) else dict.fromkeys(parameters, weight_decay)
    _check_step(parameters, momentum, decays)
    step = _Step(tensor_types(made), tensor_names(made))
    rate = step.rate(learning_rate, parameters)
    for name in parameters:
        step.update(name, rate, momentum, decays.get(name, 0.0))
    graph = made.graph
    inputs = {value.name for value in graph.input}
    remove(graph.initializer, parameters)
    remove(graph.output, {f"{name}_grad" for name in parameters})
    graph.input.extend(value_info(name, step.types[name]) for name in parameters if name not in inputs)
    graph.input.extend(step.inputs)
    graph.initializer.extend(step.initializers)
    graph.output.extend(step.outputs)
    graph.node.extend(step.nodes)
    check_model(made, "the training step")
    return made


def _parameters(model: ModelProto) -> list[str]:
    """Return the names of the tensors that a model has gradients of."""
    given = given_names(model.graph)
    ends = [value.name.removesuffix("_grad") for value in model.graph.output if value.name.endswith("_grad")]
    found = [name for name in ends if name in given]
    if not found:
        raise ModelError("the model has no gradients: softsign.onnx.gradients adds them")
    return found


def _check_step(parameters: Sequence[str], momentum: float, decays: Mapping[str, float]) -> None:
    """Refuse numbers out of range."""
    if not 0 <= momentum < 1:
        raise ModelError(f"momentum is {momentum}; it must be at least 0 and less than 1")
    for name, decay in decays.items():
        if name not in parameters:
            raise ModelError(f"weight_decay: {name!r} is not a parameter; those are {', '.join(parameters)}")
        if not 0 <= decay < np.inf:
            raise ModelError(f"weight_decay of {name!r} is {decay}; it must be a finite number, 0 or more")


class _Step:
    """The parts of a training step while it is put together."""

    def __init__(self, types: Mapping[str, TensorType], taken: Iterable[str]) -> None:
        self.types = types
        self.names = Names(taken)
        self.nodes: list[NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def exactly(self, name: str) -> str:
        """Take a name that users of the step rely on."""
        if name in self.names:
            raise ModelError(
                f"the model has a tensor {name!r} already, which the training step needs as a name"
            )
        self.names.take(name)
        return name

    def number(self, name: str, value: float, dtype: np.dtype[Any]) -> str:
        made = self.names.fresh(name)
        self.initializers.append(numpy_helper.from_array(np.array(value, dtype), made))
        return made

    def node(self, op_type: str, *inputs: str, output: str) -> str:
        self.nodes.append(helper.make_node(op_type, inputs, [output]))
        return output

    def rate(self, learning_rate: str | float, parameters: Sequence[str]) -> str:
        dtype = self.types[parameters[0]].dtype
        if not isinstance(learning_rate, str):
            if not np.isfinite(learning_rate):
                raise ModelError(f"learning_rate is {learning_rate}; it must be a finite number")
            return self.number("learning_rate", learning_rate, dtype)
        self.inputs.append(value_info(self.exactly(learning_rate), TensorType(dtype, ())))
        return learning_rate

    def update(self, name: str, rate: str, momentum: float, decay: float) -> None:
        known, fresh = self.types[name], self.names.fresh
        slope = f"{name}_grad"
        if decay:
            factor = self.number(f"{name}_decay", decay, known.dtype)
            pull = self.node("Mul", factor, name, output=fresh(f"{name}_pull"))
            slope = self.node("Add", slope, pull, output=fresh(f"{name}_slope"))
        move = self.node("Mul", rate, slope, output=fresh(f"{name}_move"))
        moved = self.exactly(f"{name}_next")
        self.outputs.append(value_info(moved, known))
        if not momentum:
            self.node("Sub", name, move, output=moved)
            return
        held = self.exactly(f"{name}_velocity")
        self.inputs.append(value_info(held, known))
        factor = self.number(f"{name}_momentum", momentum, known.dtype)
        kept = self.node("Mul", factor, held, output=fresh(f"{held}_kept"))
        velocity = self.node("Sub", kept, move, output=self.exactly(f"{held}_next"))
        self.outputs.append(value_info(velocity, known))
        self.node("Add", name, velocity, output=moved)
