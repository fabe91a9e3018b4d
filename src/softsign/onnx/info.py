"""What a model has: names, types, operators, parameters, and what stands between it and its gradients."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from onnx import ModelProto, ValueInfoProto

from softsign.onnx.branches import every_node
from softsign.onnx.check import ONNX_DOMAINS, ModelError, for_checker
from softsign.onnx.dialect import opset_of, tensor_types, type_of
from softsign.onnx.gradient import missing_gradients, parameter_names, split_softsign
from softsign.onnx.inlining import inlined
from softsign.operator import TensorType

__all__ = ["ModelInfo", "model_info"]


@dataclass(frozen=True)
class ModelInfo:  # numpydoc ignore=PR02
    """What `model_info` finds.

    Parameters
    ----------
    opset : int
        Version of ONNX's own operators that the model imports; 0: none.
    inputs, outputs : dict of str to (TensorType or None)
        Inputs without a default, and outputs, in the model's order; None: not a tensor.
    parameters : dict of str to TensorType
        The floating-point initializers, which ``gradients(..., "parameters")`` differentiates with respect
        to.
    operators : dict of str to int
        How many nodes there are of each operator, ``domain::type`` for foreign domains, in alphabetical
        order; those of control flow count, and a call of a function is one.
    missing_gradients : list of str
        Operators between the floating-point inputs or initializers and the floating-point outputs that have
        no gradient, in alphabetical order.
    split_softsign : int
        How many Softsign nodes `fix_softsign` would put back.
    """

    opset: int
    inputs: dict[str, TensorType | None]
    outputs: dict[str, TensorType | None]
    parameters: dict[str, TensorType]
    operators: dict[str, int]
    missing_gradients: list[str]
    split_softsign: int


def model_info(model: ModelProto) -> ModelInfo:
    """Tell names, types, operators and parameters of a model, and what `gradients` lacks for it.

    Parameters
    ----------
    model : onnx.ModelProto
        The model, of any opset; operators that only an engine knows do not matter.

    Returns
    -------
    ModelInfo
        What there is.

    Raises
    ------
    ModelError
        When shapes contradict each other, or onnx cannot inline the model's functions.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.onnx import model_info, to_model
    >>> from softsign.operator import Net
    >>> net = Net("layer", constants={"W": np.ones((3, 2), np.float32)})
    >>> _ = net.add("MatMul", ["X", "W"], "Z")
    >>> _ = net.add("Softsign", "Z", "Y")
    >>> found = model_info(to_model(net, {"X": ("float32", ("batch", 3))}))
    >>> found.operators, list(found.parameters), found.missing_gradients
    ({'MatMul': 1, 'Softsign': 1}, ['W'], [])
    >>> found.outputs["Y"].shape
    ('batch', 2)
    """
    graph, light = model.graph, for_checker(model)
    whole = inlined(light)
    types = tensor_types(whole)
    constants = {tensor.name for tensor in graph.initializer}
    return ModelInfo(
        opset=opset_of(model.opset_import),
        inputs=_types(value for value in graph.input if value.name not in constants),
        outputs=_types(graph.output),
        parameters={name: types[name] for name in parameter_names(graph, types)},
        operators=_operators(model),
        missing_gradients=missing_gradients(whole, types),
        split_softsign=_split_softsign(light),
    )


def _types(values: Iterable[ValueInfoProto]) -> dict[str, TensorType | None]:
    return {value.name: type_of(value) for value in values}


def _operators(model: ModelProto) -> dict[str, int]:
    """Count the nodes of each operator."""
    nodes = every_node(model.graph.node)
    prefixes = ((node.op_type, "" if node.domain in ONNX_DOMAINS else f"{node.domain}::") for node in nodes)
    return dict(sorted(Counter(f"{prefix}{op_type}" for op_type, prefix in prefixes).items()))


def _split_softsign(model: ModelProto) -> int:
    """Return what `split_softsign` does; 0 for a model of foreign operators that cannot be raised."""
    try:
        return split_softsign(model)
    except ModelError:
        return 0
