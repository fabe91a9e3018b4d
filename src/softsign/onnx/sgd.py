"""The training step: a model with gradients made one that takes parameters and returns them moved."""

import re
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
        The result of `gradients`; not changed. Each output ``<name>_grad``, or that with a number behind it,
        makes ``<name>`` a parameter.
    momentum : float, optional
        A number from 0 to 1, 1 excluded. With 0 there are no velocities.
    weight_decay : float or mapping of str to float, optional
        One number for all parameters, or one for each that is to decay.
    learning_rate : str or float, optional
        Name of the input, a scalar, or a number that stays. The input has the parameters' dtype, the widest
        where there are several.

    Returns
    -------
    onnx.ModelProto
        The step. Every parameter is an input ``<name>``, and an output ``<name>_next`` of the same dtype and
        shape; with momentum there are inputs ``<name>_velocity`` and outputs ``<name>_velocity_next`` too.
        The other outputs of the model stay.

    Raises
    ------
    ModelError
        When the model has no gradients, or several of one tensor, a name is taken, a number is out of range,
        also that of a parameter's dtype, or `weight_decay` names what is not a parameter.

    References
    ----------
    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Sutskever et al., "On
    the importance of initialization and momentum in deep learning", 2013.
    """
    made = ModelProto()
    made.CopyFrom(model)
    slopes = _slopes(made)
    parameters = list(slopes)
    decays = weight_decay if isinstance(weight_decay, Mapping) else dict.fromkeys(parameters, weight_decay)
    _check_step(parameters, momentum, decays)
    step = _Step(tensor_types(made), tensor_names(made))
    rates = step.rates(learning_rate, parameters)
    for name, slope in slopes.items():
        step.update(name, slope, rates[step.types[name].dtype], momentum, decays.get(name, 0.0))
    graph = made.graph
    inputs = {value.name for value in graph.input}
    remove(graph.initializer, parameters)
    remove(graph.output, set(slopes.values()))
    graph.input.extend(value_info(name, step.types[name]) for name in parameters if name not in inputs)
    graph.input.extend(step.inputs)
    graph.initializer.extend(step.initializers)
    graph.output.extend(step.outputs)
    graph.node.extend(step.nodes)
    check_model(made, "the training step")
    return made


def _slopes(model: ModelProto) -> dict[str, str]:
    """Return the output with the gradient of each tensor that a model has one of."""
    outputs = [value.name for value in model.graph.output]
    found: dict[str, list[str]] = {}
    for output in outputs:
        name = re.sub(r"_grad(_[0-9]+)?$", "", output)
        if name != output and name in given_names(model.graph):
            found.setdefault(name, []).append(output)
    if not found:
        raise ModelError("the model has no gradients: softsign.onnx.gradients adds them")
    for name, several in found.items():
        if len(several) > 1:
            raise ModelError(
                f"the model has several gradients of {name!r}: {', '.join(several)}; "
                f"the training step needs a model with one of these outputs"
            )
    return {name: slope for name, (slope,) in found.items()}


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
        with np.errstate(over="ignore", under="ignore"):
            rounded = np.array(value, dtype)
        if not np.isfinite(rounded) or bool(rounded) != bool(value):
            raise ModelError(f"{name} is {value}, which {dtype} cannot hold")
        self.initializers.append(numpy_helper.from_array(rounded, made))
        return made

    def node(self, op_type: str, *inputs: str, output: str) -> str:
        self.nodes.append(helper.make_node(op_type, inputs, [output]))
        return output

    def rates(self, learning_rate: str | float, parameters: Sequence[str]) -> dict[np.dtype[Any], str]:
        """Return the learning rate in the dtype of each parameter."""
        dtypes = list(dict.fromkeys(self.types[name].dtype for name in parameters))
        if not isinstance(learning_rate, str):
            if not np.isfinite(learning_rate):
                raise ModelError(f"learning_rate is {learning_rate}; it must be a finite number")
            return {dtype: self.number("learning_rate", learning_rate, dtype) for dtype in dtypes}
        widest = max(dtypes, key=lambda dtype: dtype.itemsize)
        self.inputs.append(value_info(self.exactly(learning_rate), TensorType(widest, ())))
        rates = {widest: learning_rate}
        for dtype in dtypes:
            if dtype != widest:
                rates[dtype] = self.names.fresh(f"{learning_rate}_{dtype}")
                to = helper.np_dtype_to_tensor_dtype(dtype)
                self.nodes.append(helper.make_node("Cast", [learning_rate], [rates[dtype]], to=to))
        return rates

    def update(self, name: str, slope: str, rate: str, momentum: float, decay: float) -> None:
        known, fresh = self.types[name], self.names.fresh
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
