"""Arithmetic of which gradients are made: NumPy's, under ONNX's names, differentiable to any order."""

import numpy as np

from softsign.operator.definitions import Array, Infer, Kernel, OperatorSchema, TensorType
from softsign.operator.gradient import GradientMaker, NoGradient
from softsign.operator.registry import (
    gradient_of,
    register_cpu_gradient_operator,
    register_cpu_operator,
    register_gradient,
)

__all__ = ["fit"]


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
        floor, rest = np.divmod(a, b)
        return np.asarray(floor + ((rest != 0) & ((a < 0) != (b < 0))), a.dtype)
    return np.asarray(np.divide(a, b, y))


def _ones_like(x: Array, y: Array | None = None) -> Array:
    if y is None:
        return np.ones_like(x)
    y.fill(1)
    return y


def _binary(name: str, doc: str) -> OperatorSchema:
    return OperatorSchema(
        num_inputs=2,
        inherit_onnx_schema=name,
        inputs=[("A", "first operand"), ("B", "second operand, broadcast with the first")],
        outputs=[("C", doc)],
        infer=_broadcast,
        doc=doc,
    )


def _like(doc: str, infer: Infer) -> OperatorSchema:
    return OperatorSchema(
        num_inputs=2,
        inputs=[("X", "operand"), ("like", "gives the shape alone")],
        outputs=[("Y", doc)],
        infer=infer,
        doc=doc,
    )


_FORWARD: dict[str, tuple[Kernel, OperatorSchema]] = {
    "Add": (np.add, _binary("Add", "The sum A + B.")),
    "Sub": (np.subtract, _binary("Sub", "The difference A - B.")),
    "Mul": (np.multiply, _binary("Mul", "The product A B.")),
    "Div": (_divide, _binary("Div", "The quotient A / B.")),
    "Neg": (
        np.negative,
        OperatorSchema(
            num_inputs=1,
            identical_type_and_shape=True,
            inherit_onnx_schema="Neg",
            inputs=[("X", "operand")],
            outputs=[("Y", "-X")],
            doc="The negative -X.",
        ),
    ),
    "Sum": (
        _sum,
        OperatorSchema(
            num_inputs=(1, None),
            inherit_onnx_schema="Sum",
            inputs=[("data_0", "the terms")],
            outputs=[("sum", "the sum of all inputs")],
            infer=_broadcast,
            doc="The sum of any number of inputs, which are broadcast.",
        ),
    ),
}
_BACKWARD: dict[str, tuple[Kernel, OperatorSchema]] = {
    "OnesLike": (
        _ones_like,
        OperatorSchema(
            num_inputs=1,
            identical_type_and_shape=True,
            inputs=[("X", "any tensor")],
            outputs=[("Y", "ones of the same dtype and shape")],
            doc="Ones: the gradient of a sum over all elements, with which differentiation starts.",
        ),
    ),
    "SumTo": (_sum_to, _like("X summed over the axes along which `like` was broadcast.", _summed)),
    "ExpandTo": (_expand_to, _like("X broadcast to the shape of `like`.", _expanded)),
}
for _name, (_kernel, _schema) in _FORWARD.items():
    register_cpu_operator(_name, _kernel, _schema)
for _name, (_kernel, _schema) in _BACKWARD.items():
    register_cpu_gradient_operator(_name, _kernel, _schema)


def fit(maker: GradientMaker, i: int, gradient: str) -> None:
    """Sum a gradient in the shape of the output to that of an input, which the operator has broadcast.

    Parameters
    ----------
    maker : GradientMaker
        Gradient maker of an operator with one output.
    i : int
        Index of the input.
    gradient : str
        Blob with a gradient in the shape of the output.
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


@gradient_of("Add", "Sum")
def _add_gradient(maker: GradientMaker) -> None:
    for i in filter(maker.wants, range(len(maker.op.inputs))):
        fit(maker, i, maker.output_gradient(0))


@gradient_of("Sub")
def _sub_gradient(maker: GradientMaker) -> None:
    dy = maker.output_gradient(0)
    if maker.wants(0):
        fit(maker, 0, dy)
    if maker.wants(1):
        fit(maker, 1, maker.emit("Neg", dy))


@gradient_of("Neg")
def _neg_gradient(maker: GradientMaker) -> None:
    maker.emit("Neg", maker.output_gradient(0), output=maker.input_gradient(0))


@gradient_of("Mul")
def _mul_gradient(maker: GradientMaker) -> None:
    for i in filter(maker.wants, (0, 1)):
        fit(maker, i, maker.emit("Mul", maker.output_gradient(0), maker.input(1 - i)))


@gradient_of("Div")
def _div_gradient(maker: GradientMaker) -> None:
    """With y = a / b: da = dy / b and db = -da y."""
    da = maker.emit("Div", maker.output_gradient(0), maker.input(1))
    if maker.wants(0):
        fit(maker, 0, da)
    if maker.wants(1):
        fit(maker, 1, maker.emit("Neg", maker.emit("Mul", da, maker.output(0))))


@gradient_of("SumTo", constant=[1])
def _sum_to_gradient(maker: GradientMaker) -> None:
    maker.emit("ExpandTo", maker.output_gradient(0), maker.input(0), output=maker.input_gradient(0))


@gradient_of("ExpandTo", constant=[1])
def _expand_to_gradient(maker: GradientMaker) -> None:
    maker.emit("SumTo", maker.output_gradient(0), maker.input(0), output=maker.input_gradient(0))


register_gradient("OnesLike", NoGradient)
