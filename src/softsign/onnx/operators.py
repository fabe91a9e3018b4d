"""ONNX's operators of feed-forward networks in the registry: schemas and kernels from onnx.

`softsign.onnx.makers` has their gradients.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.shape_inference import infer_node_outputs

from softsign.onnx.dialect import type_of, value_info
from softsign.operator.definitions import (
    Array,
    Infer,
    Kernel,
    OperatorSchema,
    TensorType,
)
from softsign.operator.gradient import NoGradient
from softsign.operator.registry import register_cpu_operator, register_gradient

__all__ = ["REDUCING", "RESHAPING", "counts", "onnx_inference"]

_ELEMENTWISE = ("Identity", "Cast", "CastLike", "Tanh", "Sigmoid", "Relu")
RESHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")  # the elements stay in order
REDUCING = ("ReduceSum", "ReduceMean")
_OTHERS = ("Transpose", "MatMul", "Gemm", "Softmax", "SoftmaxCrossEntropyLoss", "OneHot", "Where")
_INDEXED = ("Gather", "GatherND", "ScatterND")
_CONSTANT = ("Constant", "Equal", "Not", "Shape", "Sign", "Size")  # no gradient passes


_numbers = itertools.count()


def _node(op_type: str, inputs: Sequence[Any], outputs: int, attributes: dict[str, Any]) -> onnx.NodeProto:
    """Return a node with names for the inputs that are there."""
    names = [f"i{i}" if given is not None else "" for i, given in enumerate(inputs)]
    made = {
        name: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in attributes.items()
    }
    return helper.make_node(op_type, names, [f"o{i}" for i in range(outputs)], **made)


def _kernel(op_type: str, outputs: int) -> Kernel:
    """Return a kernel that calls onnx's reference implementation."""

    def kernel(*arrays: Array | None, **attributes: Any) -> tuple[Array, ...]:
        inputs = arrays[: len(arrays) - outputs]
        evaluator = ReferenceEvaluator(_node(op_type, inputs, outputs, attributes))
        feeds = {f"i{i}": array for i, array in enumerate(inputs) if array is not None}
        return tuple(np.asarray(result) for result in evaluator.run(None, feeds))

    return kernel


def onnx_inference(official: onnx.defs.OpSchema) -> Infer:
    """Return ONNX's own inference of dtypes and shapes for a version of an operator.

    Parameters
    ----------
    official : onnx.defs.OpSchema
        ONNX's schema of the operator.

    Returns
    -------
    callable
        The ``infer`` of an `OperatorSchema`.
    """

    def infer(*types: TensorType | None, **attributes: Any) -> list[TensorType]:
        node = _node(official.name, types, official.max_output, attributes)
        declared = {
            name: value_info(name, known).type
            for name, known in zip(node.input, types, strict=True)
            if known is not None
        }
        opset = [helper.make_opsetid("", official.since_version)]
        try:
            found = infer_node_outputs(official, node, declared, opset_imports=opset)
        except onnx.shape_inference.InferenceError as error:
            raise ValueError(" ".join(str(error).split())) from error
        # Sizes that are not known are called after the value: never the same for two values.
        values = [
            onnx.ValueInfoProto(name=f"{name}.{next(_numbers)}", type=found.get(name)) for name in node.output
        ]
        return [known for value in values if (known := type_of(value)) is not None]

    return infer


def counts(least: int, most: int) -> tuple[int, int | None] | int:
    """Return numbers of inputs or outputs as `OperatorSchema` has them.

    Parameters
    ----------
    least, most : int
        Numbers in ONNX's schema, which writes "any number" as the largest int.

    Returns
    -------
    int or (int, int or None)
        One number where both are the same; None: any.
    """
    if least == most:
        return least
    return least, None if most > 1000 else most


for _name in (*_ELEMENTWISE, *RESHAPING, *REDUCING, *_OTHERS, *_INDEXED, *_CONSTANT):
    _official = onnx.defs.get_schema(_name)
    register_cpu_operator(
        _name,
        _kernel(_name, _official.max_output),
        OperatorSchema(
            num_inputs=counts(_official.min_input, _official.max_input),
            num_outputs=counts(_official.min_output, _official.max_output),
            inherit_onnx_schema=_name,
            inputs=[(value.name, value.description.strip()) for value in _official.inputs],
            outputs=[(value.name, value.description.strip()) for value in _official.outputs],
            attributes=None,
            infer=onnx_inference(_official),
            doc=_official.doc.strip(),
        ),
    )
for _name in _CONSTANT:
    register_gradient(_name, NoGradient)
