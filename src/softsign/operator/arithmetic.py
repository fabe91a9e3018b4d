"""The operators that gradients are made of: NumPy's arithmetic under ONNX's names, differentiable to any order."""

from collections.abc import Sequence

import numpy as np

from softsign.operator.definitions import Array, Kernel, OperatorDef, OperatorSchema, TensorType
from softsign.operator.gradient import GradientMaker, NoGradient
from softsign.operator.registry import (
    register_cpu_gradient_operator,
    register_cpu_operator,
    register_gradient,
)

__all__ = ["fit"]


def fit(maker: GradientMaker, i: int, gradient: str) -> None:
    """Make a gradient in the shape of the output that of input `i`, which the operator has broadcast to that shape.

    Parameters
    ----------
    maker : GradientMaker
        Of an operator with one output.
    i : int
    gradient : str
    """
    source, result = maker.type_of(maker.op.inputs[i]), maker.type_of(maker.op.outputs[0])
    if (
        source is not None
        and source.shape is not None
        and result is not None
        and source.shape == result.shape
    ):
        maker.set_input_gradient(i, gradient)
    else:
        maker.emit("SumTo", gradient, maker.input(i), output=maker.input_gradient(i))


class _GetSumGradient(GradientMaker):
    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        for i in filter(self.wants, range(len(self.op.inputs))):
            fit(self, i, self.output_gradient(0))
        return self.defs


class _GetNegGradient(GradientMaker):
    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        self.emit("Neg", self.output_gradient(0), output=self.input_gradient(0))
        return self.defs


class _GetSubGradient(GradientMaker):
    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        dy = self.output_gradient(0)
        if self.wants(0):
            fit(self, 0, dy)
        if self.wants(1):
            fit(self, 1, self.emit("Neg", dy))
        return self.defs


class _GetMulGradient(GradientMaker):
    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        for i in filter(self.wants, (0, 1)):
            fit(self, i, self.emit("Mul", self.output_gradient(0), self.input(1 - i)))
        return self.defs


class _GetDivGradient(GradientMaker):
    """With y = a / b: da = dy / b and db = -da y."""

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        da = self.emit("Div", self.output_gradient(0), self.input(1))
        if self.wants(0):
            fit(self, 0, da)
        if self.wants(1):
            fit(self, 1, self.emit("Neg", self.emit("Mul", da, self.output(0))))
        return self.defs


class _GetSumToGradient(GradientMaker):
    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        self.emit("ExpandTo", self.output_gradient(0), self.input(0), output=self.input_gradient(0))
        return self.defs


class _GetExpandToGradient(GradientMaker):
    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        self.emit("SumTo", self.output_gradient(0), self.input(0), output=self.input_gradient(0))
        return self.defs


def _broadcast(*types: TensorType) -> list[TensorType]:
    """Infer the type of an output that the inputs are broadcast to, as NumPy and ONNX do."""
    for other in types[1:]:
        if other.dtype != types[0].dtype:
            raise ValueError(f"inputs have different dtypes, {types[0].dtype} and {other.dtype}")
    shapes = [known.shape for known in types]
    if any(shape is None or any(isinstance(size, str) for size in shape) for shape in shapes):
        return [TensorType(types[0].dtype, shapes[0] if len(set(shapes)) == 1 else None)]
    return [TensorType(types[0].dtype, np.broadcast_shapes(*shapes))]  # type: ignore[arg-type]


def _summed(x: TensorType, like: TensorType) -> list[TensorType]:
    _check_broadcast(like.shape, x.shape)
    return [TensorType(x.dtype, like.shape)]


def _expanded(x: TensorType, like: TensorType) -> list[TensorType]:
    _check_broadcast(x.shape, like.shape)
    return [TensorType(x.dtype, like.shape)]


def _check_broadcast(shape: tuple[int | str, ...] | None, to: tuple[int | str, ...] | None) -> None:
    """Refuse a shape that does not broadcast to another, as far as their sizes are known."""
    if shape is None or to is None:
        return
    pairs = list(zip(reversed(shape), reversed(to), strict=False))
    if len(shape) > len(to) or any(
        isinstance(a, int) and isinstance(b, int) and a not in (1, b) for a, b in pairs
    ):
        raise ValueError(f"shape {shape} does not broadcast to {to}")


def _sum(*arrays: Array) -> Array:
    *terms, out = arrays
    if out is None:
        out = np.empty(np.broadcast_shapes(*(term.shape for term in terms)), terms[0].dtype)
    np.copyto(out, terms[0])
    for term in terms[1:]:
        np.add(out, term, out=out)
    return out


def _sum_to(x: Array, like: Array, y: Array | None = None) -> Array:
    extra = x.ndim - like.ndim
    axes = tuple(i for i in range(x.ndim) if i < extra or like.shape[i - extra] != x.shape[i])
    # In float16 and bfloat16 the sum of 4,096 ones would be 2,048 and 256.
    wide = np.float32 if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x.dtype
    return np.array(x.sum(axes, dtype=wide, keepdims=True).reshape(like.shape), x.dtype)


def _expand_to(x: Array, like: Array, y: Array | None = None) -> Array:
    return np.array(np.broadcast_to(x, like.shape))


def _divide(a: Array, b: Array, y: Array | None = None) -> Array:
    """Divide; integers as ONNX does, towards zero."""
    if a.dtype.kind in "iu":
        return np.asarray(np.trunc(a / b), a.dtype)
    return np.asarray(np.divide(a, b, y))


def _ones_like(x: Array, y: Array | None = None) -> Array:
    if y is None:
        return np.ones_like(x)
    y.fill(1)
    return y


def _register() -> None:
    two: dict[str, tuple[Kernel, type[GradientMaker], str]] = {
        "Add": (np.add, _GetSumGradient, "The sum A + B."),
        "Sub": (np.subtract, _GetSubGradient, "The difference A - B."),
        "Mul": (np.multiply, _GetMulGradient, "The product A B."),
        "Div": (_divide, _GetDivGradient, "The quotient A / B."),
    }
    for name, (kernel, maker, doc) in two.items():
        register_cpu_operator(
            name,
            kernel,
            OperatorSchema(
                num_inputs=2,
                inherit_onnx_schema=name,
                inputs=[("A", "first operand"), ("B", "second operand, broadcast with the first")],
                outputs=[("C", doc)],
                infer=_broadcast,
                doc=doc,
            ),
        )
        register_gradient(name, maker)
    register_cpu_operator(
        "Neg",
        np.negative,
        OperatorSchema(
            num_inputs=1,
            identical_type_and_shape=True,
            inherit_onnx_schema="Neg",
            inputs=[("X", "operand")],
            outputs=[("Y", "-X")],
            doc="The negative -X.",
        ),
    )
    register_gradient("Neg", _GetNegGradient)
    register_cpu_operator(
        "Sum",
        _sum,
        OperatorSchema(
            num_inputs=(1, None),
            inherit_onnx_schema="Sum",
            inputs=[("data_0", "the terms")],
            outputs=[("sum", "the sum of all inputs")],
            infer=_broadcast,
            doc="The sum of any number of inputs, which are broadcast.",
        ),
    )
    register_gradient("Sum", _GetSumGradient)
    register_cpu_gradient_operator(
        "OnesLike",
        _ones_like,
        OperatorSchema(
            num_inputs=1,
            identical_type_and_shape=True,
            inputs=[("X", "any tensor")],
            outputs=[("Y", "ones of the same dtype and shape")],
            doc="Ones: the gradient of a sum over all elements, with which differentiation starts.",
        ),
    )
    register_gradient("OnesLike", NoGradient)
    for name, kernel, maker, infer, doc in (
        (
            "SumTo",
            _sum_to,
            _GetSumToGradient,
            _summed,
            "X summed over the axes along which `like` was broadcast.",
        ),
        ("ExpandTo", _expand_to, _GetExpandToGradient, _expanded, "X broadcast to the shape of `like`."),
    ):
        register_cpu_gradient_operator(
            name,
            kernel,
            OperatorSchema(
                num_inputs=2,
                inputs=[("X", "operand"), ("like", "gives the shape alone")],
                outputs=[("Y", doc)],
                infer=infer,
                doc=doc,
            ),
        )
        register_gradient(name, maker)


_register()
