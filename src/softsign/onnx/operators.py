"""ONNX's operators of feed-forward networks in the registry: schemas and kernels from onnx, gradient makers from here.

The gradients consist of operators that have gradient makers themselves, so they can be differentiated again,
except where a docstring says otherwise. They are written for opset 18 and newer; see
`softsign.onnx.normalize_model`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.shape_inference import infer_node_outputs

from softsign.onnx.dialect import type_of, value_info
from softsign.operator.arithmetic import fit
from softsign.operator.definitions import (
    Array,
    Infer,
    Kernel,
    OperatorDef,
    OperatorSchema,
    SchemaError,
    TensorType,
)
from softsign.operator.gradient import GradientMaker, NoGradient
from softsign.operator.registry import register_cpu_operator, register_gradient

__all__: list[str] = []


class _Maker(GradientMaker):
    """Base: a subclass emits operators in `build`."""

    def build(self) -> None:
        raise NotImplementedError

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        self.build()
        return self.defs

    @property
    def dy(self) -> str:
        return self.output_gradient(0)

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        return self.emit("Constant", value=np.asarray(value, dtype))

    def number_like(self, value: float, like: str) -> str:
        """Emit a number of the dtype of a blob."""
        return self.emit("CastLike", self.constant(value, np.float64), like)

    def rank(self, i: int) -> int:
        known = self.type_of(self.op.inputs[i])
        if known is None or known.shape is None:
            raise SchemaError(
                f"the gradient of {self.op} needs the rank of {self.op.inputs[i]!r}; the net's types can tell it"
            )
        return len(known.shape)


class _GetIdentityGradient(_Maker):
    def build(self) -> None:
        self.set_input_gradient(0, self.dy)


class _GetCastGradient(_Maker):
    def build(self) -> None:
        known = self.type_of(self.op.inputs[0])
        if known is None or known.dtype.kind not in "iub":  # integers have no gradient
            self.emit("CastLike", self.dy, self.input(0), output=self.input_gradient(0))


class _GetTanhGradient(_Maker):
    """dx = dy - dy y y."""

    def build(self) -> None:
        y = self.output(0)
        self.emit(
            "Sub", self.dy, self.emit("Mul", self.emit("Mul", self.dy, y), y), output=self.input_gradient(0)
        )


class _GetSigmoidGradient(_Maker):
    """dx = dy y (1 - y)."""

    def build(self) -> None:
        y = self.output(0)
        product = self.emit("Mul", self.dy, y)
        self.emit("Sub", product, self.emit("Mul", product, y), output=self.input_gradient(0))


class _GetReluGradient(_Maker):
    """dx = dy sgn(y), which is 0 at 0."""

    def build(self) -> None:
        self.emit("Mul", self.dy, self.emit("Sign", self.output(0)), output=self.input_gradient(0))


class _GetReshapeGradient(_Maker):
    """The elements stay in order: of Reshape, Flatten, Squeeze and Unsqueeze."""

    def build(self) -> None:
        shape = self.emit("Shape", self.input(0))
        self.emit("Reshape", self.dy, shape, output=self.input_gradient(0), allowzero=1)


class _GetTransposeGradient(_Maker):
    def build(self) -> None:
        perm = self.op.attributes.get("perm")
        inverse = {} if perm is None else {"perm": [int(i) for i in np.argsort(perm)]}
        self.emit("Transpose", self.dy, output=self.input_gradient(0), **inverse)


class _GetReduceGradient(_Maker):
    """Of ReduceSum and ReduceMean."""

    def build(self) -> None:
        gradient = self.dy
        if self.op.type == "ReduceMean":
            counts = [
                self.emit("CastLike", self.emit("Size", of), gradient) for of in (self.input(0), gradient)
            ]
            gradient = self.emit("Div", self.emit("Mul", gradient, counts[1]), counts[0])
        axes = self.op.inputs[1] if len(self.op.inputs) > 1 else ""
        if axes and not self.op.attributes.get("keepdims", 1):
            gradient = self.emit("Unsqueeze", gradient, self.input(1))
        self.emit("ExpandTo", gradient, self.input(0), output=self.input_gradient(0))


class _GetMatMulGradient(_Maker):
    def build(self) -> None:
        ranks = self.rank(0), self.rank(1)
        for i in filter(self.wants, (0, 1)):
            if ranks == (2, 2):
                pair = (self.dy, self.input(1)) if i == 0 else (self.input(0), self.dy)
                self.emit("Gemm", *pair, output=self.input_gradient(i), **{("transB", "transA")[i]: 1})
            else:
                self.stacked(i, ranks)

    def stacked(self, i: int, ranks: tuple[int, int]) -> None:
        """Differentiate a product of stacks of matrices; a vector is first made a matrix of one row or column."""
        a = self.input(0) if ranks[0] > 1 else self.emit("Unsqueeze", self.input(0), self.constant([0]))
        b = self.input(1) if ranks[1] > 1 else self.emit("Unsqueeze", self.input(1), self.constant([1]))
        gone = [axis for axis, rank in ((-2, ranks[0]), (-1, ranks[1])) if rank == 1]
        dy = self.emit("Unsqueeze", self.dy, self.constant(gone)) if gone else self.dy
        other = b if i == 0 else a
        swapped = self.transposed(other, max(ranks[1 - i], 2))
        product = self.emit("MatMul", dy, swapped) if i == 0 else self.emit("MatMul", swapped, dy)
        whole = self.emit("SumTo", product, a if i == 0 else b)
        shape = self.emit("Shape", self.input(i))
        self.emit("Reshape", whole, shape, output=self.input_gradient(i), allowzero=1)

    def transposed(self, blob: str, rank: int) -> str:
        return self.emit("Transpose", blob, perm=[*range(rank - 2), rank - 1, rank - 2])


class _GetGemmGradient(_Maker):
    """With Y = alpha op(A) op(B) + beta C, each gradient is a Gemm again."""

    def build(self) -> None:
        ta, tb = (self.op.attributes.get(name, 0) for name in ("transA", "transB"))
        alpha, beta = (self.op.attributes.get(name, 1.0) for name in ("alpha", "beta"))
        if self.wants(0):
            pair, flags = (
                ((self.input(1), self.dy), (tb, 1)) if ta else ((self.dy, self.input(1)), (0, 1 - tb))
            )
            self.product(pair, flags, alpha, 0)
        if self.wants(1):
            pair, flags = (
                ((self.dy, self.input(0)), (1, ta)) if tb else ((self.input(0), self.dy), (1 - ta, 0))
            )
            self.product(pair, flags, alpha, 1)
        if self.wants(2):
            fit(self, 2, self.dy if beta == 1 else self.emit("Mul", self.dy, self.number_like(beta, self.dy)))

    def product(self, pair: tuple[str, str], flags: tuple[int, int], alpha: float, i: int) -> None:
        named = {"transA": flags[0], "transB": flags[1], "alpha": alpha}
        attributes = {
            name: value for name, value in named.items() if value != (1.0 if name == "alpha" else 0)
        }
        self.emit("Gemm", *pair, output=self.input_gradient(i), **attributes)


class _GetSoftmaxGradient(_Maker):
    """dx = y (dy - sum(dy y))."""

    def build(self) -> None:
        y, axis = self.output(0), self.constant([self.op.attributes.get("axis", -1)])
        total = self.emit("ReduceSum", self.emit("Mul", self.dy, y), axis)
        self.emit("Mul", y, self.emit("Sub", self.dy, total), output=self.input_gradient(0))


class _GetSoftmaxCrossEntropyLossGradient(_Maker):
    """dx = dl w (softmax(x) - onehot(label)), with w each label's weight, for the mean divided by their sum.

    There is no gradient for the class weights.
    """

    def build(self) -> None:
        x, label = self.input(0), self.input(1)
        p = self.emit("Softmax", x, axis=1)
        parts = []
        if self.output_gradients[0] is not None:
            parts.append(self.of_loss(x, label, p))
        if len(self.output_gradients) > 1 and self.output_gradients[1] is not None:
            d_log = self.output_gradients[1]
            total = self.emit("ReduceSum", d_log, self.constant([1]))
            parts.append(self.emit("Sub", d_log, self.emit("Mul", p, total)))
        if self.wants(0):
            self.set_input_gradient(0, parts[0] if len(parts) == 1 else self.emit("Sum", *parts))

    def of_loss(self, x: str, label: str, p: str) -> str:
        ignored = self.op.attributes.get("ignore_index")
        if ignored is not None:
            valid = self.emit(
                "Not", self.emit("Equal", label, self.emit("CastLike", self.constant(ignored), label))
            )
            label = self.emit("Where", valid, label, self.emit("CastLike", self.constant(0), label))
        classes = self.emit("Shape", x, start=1, end=2)
        depth = self.emit("Squeeze", classes)
        one_hot = self.emit("OneHot", label, depth, self.constant([0, 1]), axis=1)
        difference = self.emit("Sub", p, self.emit("CastLike", one_hot, x))
        weight = None
        if len(self.op.inputs) > 2 and self.op.inputs[2]:
            weight = self.emit("Gather", self.input(2), label)
        if ignored is not None:
            mask = self.emit("CastLike", valid, x)
            weight = mask if weight is None else self.emit("Mul", weight, mask)
        return self.emit("Mul", difference, self.scale(label, weight))

    def scale(self, label: str, weight: str | None) -> str:
        """Emit the factor of each label, with an axis for the classes."""
        reduction = self.op.attributes.get("reduction", "mean")
        factor = self.dy
        if reduction == "mean":
            count = (
                self.emit("CastLike", self.emit("Size", label), factor)
                if weight is None
                else self.emit("ReduceSum", weight, keepdims=0)
            )
            factor = self.emit("Div", factor, count)
        if weight is not None:
            factor = self.emit("Mul", factor, weight)
        elif reduction != "none":
            return factor
        return self.emit("Unsqueeze", factor, self.constant([1]))


_MAKERS: dict[str, type[GradientMaker]] = {
    "Cast": _GetCastGradient,
    "CastLike": _GetCastGradient,
    "Constant": NoGradient,
    "Equal": NoGradient,
    "Flatten": _GetReshapeGradient,
    "Gemm": _GetGemmGradient,
    "Identity": _GetIdentityGradient,
    "MatMul": _GetMatMulGradient,
    "Not": NoGradient,
    "OneHot": NoGradient,
    "ReduceMean": _GetReduceGradient,
    "ReduceSum": _GetReduceGradient,
    "Relu": _GetReluGradient,
    "Reshape": _GetReshapeGradient,
    "Shape": NoGradient,
    "Sigmoid": _GetSigmoidGradient,
    "Sign": NoGradient,
    "Size": NoGradient,
    "Softmax": _GetSoftmaxGradient,
    "SoftmaxCrossEntropyLoss": _GetSoftmaxCrossEntropyLossGradient,
    "Squeeze": _GetReshapeGradient,
    "Tanh": _GetTanhGradient,
    "Transpose": _GetTransposeGradient,
    "Unsqueeze": _GetReshapeGradient,
}
#: Of class weights and labels, which have no gradient maker.
_WITHOUT_GRADIENT = ("Gather", "Where")


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
    """Return ONNX's own inference of dtypes and shapes for a version of an operator."""

    def infer(*types: TensorType, **attributes: Any) -> list[TensorType]:
        node = _node(official.name, types, official.max_output, attributes)
        declared = {name: value_info(name, known).type for name, known in zip(node.input, types, strict=True)}
        opset = [helper.make_opsetid("", official.since_version)]
        try:
            found = infer_node_outputs(official, node, declared, opset_imports=opset)
        except onnx.shape_inference.InferenceError as error:
            raise ValueError(" ".join(str(error).split())) from error
        values = [onnx.ValueInfoProto(name=name, type=found.get(name)) for name in node.output]
        return [known for value in values if (known := type_of(value)) is not None]

    return infer


def counts(least: int, most: int) -> tuple[int, int | None] | int:
    """Return numbers of inputs or outputs as `OperatorSchema` has them."""
    if least == most:
        return least
    return least, None if most > 1000 else most  # ONNX writes "any number" as the largest int


def _register() -> None:
    for name in (*_MAKERS, *_WITHOUT_GRADIENT):
        official = onnx.defs.get_schema(name)
        register_cpu_operator(
            name,
            _kernel(name, official.max_output),
            OperatorSchema(
                num_inputs=counts(official.min_input, official.max_input),
                num_outputs=counts(official.min_output, official.max_output),
                inherit_onnx_schema=name,
                inputs=[(value.name, value.description.strip()) for value in official.inputs],
                outputs=[(value.name, value.description.strip()) for value in official.outputs],
                attributes=None,
                infer=onnx_inference(official),
                doc=official.doc.strip(),
            ),
        )
        if name in _MAKERS:
            register_gradient(name, _MAKERS[name])


_register()
