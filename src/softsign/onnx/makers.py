"""Gradient makers of ONNX's operators.

The gradients consist of operators that have gradient makers themselves, so they can be differentiated again,
except where a docstring says otherwise. They are written for opset 18 and newer; see
`softsign.onnx.normalize_model`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from softsign.onnx.operators import REDUCING, RESHAPING
from softsign.operator.arithmetic import fit
from softsign.operator.definitions import OperatorDef, SchemaError, is_discrete
from softsign.operator.gradient import GradientMaker
from softsign.operator.registry import gradient_of, register_gradient

__all__: list[str] = []


def _constant(maker: GradientMaker, value: Any, dtype: Any = np.int64) -> str:
    return maker.emit("Constant", value=np.asarray(value, dtype))


def _number_like(maker: GradientMaker, value: float, like: str) -> str:
    """Emit a number of the dtype of a blob."""
    return maker.emit("CastLike", _constant(maker, value, np.float64), like)


def _rank(maker: GradientMaker, i: int) -> int:
    """Return the rank of an input."""
    name = maker.op.inputs[i]
    known = maker.type_of(name)
    if known is None or known.shape is None:
        raise SchemaError(
            f"the gradient of {maker.op} needs the rank of {name!r}; the net's types can tell it"
        )
    return len(known.shape)


@gradient_of("Identity")
def _identity(maker: GradientMaker) -> None:
    maker.set_input_gradient(0, maker.output_gradient(0))


class _GetCastGradient(GradientMaker):
    """Casts the gradient back. Through a cast to integers there is none."""

    @classmethod
    def is_constant(cls, op: OperatorDef, i: int) -> bool:
        to = op.attributes.get("to", TensorProto.FLOAT)
        return i == 1 or is_discrete(helper.tensor_dtype_to_np_dtype(to))

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        like = self.type_of(self.op.inputs[-1])
        known = self.op.type == "Cast" or (like is not None and not is_discrete(like.dtype))
        dy, dx = self.output_gradient(0), self.input_gradient(0)
        if known:
            self.emit("CastLike", dy, self.input(0), output=dx)
            return self.defs
        # 1 / 2 is 0 in integers, and its sign tells them in each run.
        sign = self.emit("Sign", _number_like(self, 0.5, self.input(1)))
        slope = self.emit("CastLike", sign, self.input(0))
        self.emit("Mul", self.emit("CastLike", dy, self.input(0)), slope, output=dx)
        return self.defs


for _name in ("Cast", "CastLike"):
    register_gradient(_name, _GetCastGradient)


@gradient_of("Tanh")
def _tanh(maker: GradientMaker) -> None:
    """Emit dx = dy - dy y y."""
    y, dy = maker.output(0), maker.output_gradient(0)
    product = maker.emit("Mul", maker.emit("Mul", dy, y), y)
    maker.emit("Sub", dy, product, output=maker.input_gradient(0))


@gradient_of("Sigmoid")
def _sigmoid(maker: GradientMaker) -> None:
    """Emit dx = dy y (1 - y)."""
    y = maker.output(0)
    product = maker.emit("Mul", maker.output_gradient(0), y)
    maker.emit("Sub", product, maker.emit("Mul", product, y), output=maker.input_gradient(0))


@gradient_of("Relu")
def _relu(maker: GradientMaker) -> None:
    """Emit dx = dy sgn(y), which is 0 at 0."""
    sign = maker.emit("Sign", maker.output(0))
    maker.emit("Mul", maker.output_gradient(0), sign, output=maker.input_gradient(0))


@gradient_of(*RESHAPING, constant=[1])
def _reshape(maker: GradientMaker) -> None:
    shape = maker.emit("Shape", maker.input(0))
    maker.emit("Reshape", maker.output_gradient(0), shape, output=maker.input_gradient(0), allowzero=1)


@gradient_of("Transpose")
def _transpose(maker: GradientMaker) -> None:
    perm = maker.op.attributes.get("perm")
    inverse = {} if perm is None else {"perm": [int(i) for i in np.argsort(perm)]}
    maker.emit("Transpose", maker.output_gradient(0), output=maker.input_gradient(0), **inverse)


@gradient_of(*REDUCING, constant=[1])
def _reduce(maker: GradientMaker) -> None:
    gradient = maker.output_gradient(0)
    if maker.op.type == "ReduceMean":
        gradient = _mean_part(maker, gradient)
    axes = maker.op.inputs[1] if len(maker.op.inputs) > 1 else ""
    if axes and not maker.op.attributes.get("keepdims", 1):
        gradient = maker.emit("Unsqueeze", gradient, maker.input(1))
    maker.emit("ExpandTo", gradient, maker.input(0), output=maker.input_gradient(0))


def _mean_part(maker: GradientMaker, gradient: str) -> str:
    """Emit the gradient times the number of means, over that of elements, which float16 could not hold."""
    sizes = [maker.emit("Size", of) for of in (maker.input(0), gradient)]
    known = maker.type_of(maker.op.inputs[0])
    if known is not None and known.dtype.itemsize == 2:
        whole, part = (maker.emit("Cast", size, to=int(TensorProto.FLOAT)) for size in sizes)
        return maker.emit("Mul", gradient, maker.emit("CastLike", maker.emit("Div", part, whole), gradient))
    whole, part = (maker.emit("CastLike", size, gradient) for size in sizes)
    return maker.emit("Div", maker.emit("Mul", gradient, part), whole)


@gradient_of("MatMul")
def _matmul(maker: GradientMaker) -> None:
    ranks = _rank(maker, 0), _rank(maker, 1)
    for i in filter(maker.wants, (0, 1)):
        if ranks == (2, 2):
            dy = maker.output_gradient(0)
            pair = (dy, maker.input(1)) if i == 0 else (maker.input(0), dy)
            maker.emit("Gemm", *pair, output=maker.input_gradient(i), **{("transB", "transA")[i]: 1})
        else:
            _stacked_matmul(maker, i, ranks)


def _stacked_matmul(maker: GradientMaker, i: int, ranks: tuple[int, int]) -> None:
    """Differentiate a product of stacks of matrices; a vector first becomes a matrix of one row or column."""
    a = maker.input(0) if ranks[0] > 1 else maker.emit("Unsqueeze", maker.input(0), _constant(maker, [0]))
    b = maker.input(1) if ranks[1] > 1 else maker.emit("Unsqueeze", maker.input(1), _constant(maker, [1]))
    gone = [axis for axis, rank in ((-2, ranks[0]), (-1, ranks[1])) if rank == 1]
    dy = maker.output_gradient(0)
    if gone:
        dy = maker.emit("Unsqueeze", dy, _constant(maker, gone))
    rank = max(ranks[1 - i], 2)
    swapped = maker.emit("Transpose", b if i == 0 else a, perm=[*range(rank - 2), rank - 1, rank - 2])
    product = maker.emit("MatMul", *((dy, swapped) if i == 0 else (swapped, dy)))
    whole = maker.emit("SumTo", product, a if i == 0 else b)
    shape = maker.emit("Shape", maker.input(i))
    maker.emit("Reshape", whole, shape, output=maker.input_gradient(i), allowzero=1)


@gradient_of("Gemm")
def _gemm(maker: GradientMaker) -> None:
    """Emit a Gemm for each factor: Y = alpha op(A) op(B) + beta C, where op transposes or does not."""
    ta, tb = (maker.op.attributes.get(name, 0) for name in ("transA", "transB"))
    beta = maker.op.attributes.get("beta", 1.0)
    dy = maker.output_gradient(0)
    if maker.wants(0):
        b = maker.input(1)
        _gemm_factor(maker, 0, (b, dy) if ta else (dy, b), (tb, 1) if ta else (0, 1 - tb))
    if maker.wants(1):
        a = maker.input(0)
        _gemm_factor(maker, 1, (dy, a) if tb else (a, dy), (1, ta) if tb else (1 - ta, 0))
    if maker.wants(2):
        fit(maker, 2, dy if beta == 1 else maker.emit("Mul", dy, _number_like(maker, beta, dy)))


def _gemm_factor(maker: GradientMaker, i: int, pair: tuple[str, str], transposed: tuple[int, int]) -> None:
    """Emit the gradient of a factor; attributes that have their default stay away."""
    attributes = {name: 1 for name, flag in zip(("transA", "transB"), transposed, strict=True) if flag}
    alpha = maker.op.attributes.get("alpha", 1.0)
    if alpha != 1:
        attributes["alpha"] = alpha
    maker.emit("Gemm", *pair, output=maker.input_gradient(i), **attributes)


@gradient_of("Softmax")
def _softmax(maker: GradientMaker) -> None:
    """Emit dx = y (dy - sum(dy y))."""
    y, dy = maker.output(0), maker.output_gradient(0)
    axis = _constant(maker, [maker.op.attributes.get("axis", -1)])
    total = maker.emit("ReduceSum", maker.emit("Mul", dy, y), axis)
    maker.emit("Mul", y, maker.emit("Sub", dy, total), output=maker.input_gradient(0))


@gradient_of("Where", constant=[0])
def _where(maker: GradientMaker) -> None:
    for i in filter(maker.wants, (1, 2)):
        dy = maker.output_gradient(0)
        zero = _number_like(maker, 0, dy)
        fit(maker, i, maker.emit("Where", maker.input(0), *((dy, zero) if i == 1 else (zero, dy))))


@gradient_of("OneHot", constant=[0, 1])
def _one_hot(maker: GradientMaker) -> None:
    """Emit the sums of dy over the cold and the hot elements, the gradients of the two values."""
    dy, zero = maker.output_gradient(0), _number_like(maker, 0, maker.output_gradient(0))
    places = (_int64(maker, 0), _int64(maker, 1), _constant(maker, [0, 1]))
    one_hot = maker.emit("OneHot", *places, axis=maker.op.attributes.get("axis", -1))
    hot = maker.emit("Cast", one_hot, to=int(TensorProto.BOOL))
    cold_sum = maker.emit("ReduceSum", maker.emit("Where", hot, zero, dy), keepdims=0)
    hot_sum = maker.emit("ReduceSum", maker.emit("Where", hot, dy, zero), keepdims=0)
    first = _constant(maker, [True, False], np.bool_)
    maker.emit("Where", first, cold_sum, hot_sum, output=maker.input_gradient(2))


def _int64(maker: GradientMaker, i: int) -> str:
    """Return integers as int64, for which every engine has the kernels that index."""
    known = maker.type_of(maker.op.inputs[i])
    if known is not None and known.dtype == np.int64:
        return maker.input(i)
    return maker.emit("Cast", maker.input(i), to=int(TensorProto.INT64))


def _zeros(maker: GradientMaker, like: str) -> str:
    return maker.emit("ExpandTo", _number_like(maker, 0, like), like)


@gradient_of("Gather", constant=[1])
def _gather(maker: GradientMaker) -> None:
    """Add the parts of dy to zeros at the places that they were taken from, with the axis in front."""
    axis = maker.op.attributes.get("axis", 0)
    data, dy = maker.input(0), maker.output_gradient(0)
    places = maker.emit("Unsqueeze", _int64(maker, 1), _constant(maker, [-1]))
    if axis == 0:
        zeros = _zeros(maker, data)
        maker.emit("ScatterND", zeros, places, dy, output=maker.input_gradient(0), reduction="add")
        return
    rank, new = _rank(maker, 0), _rank(maker, 1)
    axis %= rank
    perm = [axis, *range(axis), *range(axis + 1, rank)]
    moved = [*range(axis, axis + new), *range(axis), *range(axis + new, rank - 1 + new)]
    zeros = _zeros(maker, maker.emit("Transpose", data, perm=perm))
    turned = maker.emit("Transpose", dy, perm=moved)
    total = maker.emit("ScatterND", zeros, places, turned, reduction="add")
    back = [int(i) for i in np.argsort(perm)]
    maker.emit("Transpose", total, output=maker.input_gradient(0), perm=back)


@gradient_of("GatherND", constant=[1])
def _gather_nd(maker: GradientMaker) -> None:
    if maker.op.attributes.get("batch_dims", 0):
        raise SchemaError(f"the gradient of {maker.op} knows batch_dims = 0 alone")
    zeros, dy = _zeros(maker, maker.input(0)), maker.output_gradient(0)
    maker.emit("ScatterND", zeros, maker.input(1), dy, output=maker.input_gradient(0), reduction="add")


@gradient_of("ScatterND", constant=[1])
def _scatter_nd(maker: GradientMaker) -> None:
    reduction = maker.op.attributes.get("reduction", "none")
    if reduction not in ("none", "add"):
        raise SchemaError(f"the gradient of {maker.op} knows the reductions none and add, not {reduction}")
    dy, places = maker.output_gradient(0), maker.input(1)
    if maker.wants(0) and reduction == "add":
        maker.set_input_gradient(0, dy)
    elif maker.wants(0):
        zeros = _zeros(maker, maker.input(2))
        maker.emit("ScatterND", dy, places, zeros, output=maker.input_gradient(0))
    if maker.wants(2):
        maker.emit("GatherND", dy, places, output=maker.input_gradient(2))


@gradient_of("SoftmaxCrossEntropyLoss", constant=[1])
def _cross_entropy(maker: GradientMaker) -> None:
    """Emit dx = dl w (softmax(x) - onehot(label)), w the weight of each label, for the mean by their sum.

    The gradient of a class's weight is the sum of dl nll over its labels, for the mean that of
    dl (nll - loss) by the sum of the weights, nll the loss of a label without weight.
    """
    d_loss, d_log = [
        None if dy is None else maker.output_gradient(i)
        for i, dy in enumerate((*maker.output_gradients, None)[:2])
    ]
    loss = None if d_loss is None else _Labels(maker)
    if maker.wants(0):
        p = maker.emit("Softmax", maker.input(0), axis=1)
        parts = []
        if loss is not None:
            parts.append(loss.logits_gradient(p))
        if d_log is not None:
            total = maker.emit("ReduceSum", d_log, _constant(maker, [1]))
            parts.append(maker.emit("Sub", d_log, maker.emit("Mul", p, total)))
        maker.set_input_gradient(0, parts[0] if len(parts) == 1 else maker.emit("Sum", *parts))
    if maker.wants(2):
        weights = maker.input(2)
        maker.set_input_gradient(2, _zeros(maker, weights) if loss is None else loss.weights_gradient())


class _Labels:
    """The labels of a cross entropy while its gradients are put together."""

    def __init__(self, maker: GradientMaker) -> None:
        self.maker = maker
        self.reduction = maker.op.attributes.get("reduction", "mean")
        self.ignored = maker.op.attributes.get("ignore_index")
        self.label = _int64(maker, 1)
        self.valid = ""
        if self.ignored is not None:
            same = maker.emit("Equal", self.label, _constant(maker, self.ignored))
            self.valid = maker.emit("Not", same)
            self.label = maker.emit("Where", self.valid, self.label, _constant(maker, 0))
        self.factor, self.weight = self._factor()

    def _factor(self) -> tuple[str, str | None]:
        """Emit dl, for the mean by the sum of the weights, and the weight of each label; None: it is 1."""
        maker, factor, weight = self.maker, self.maker.output_gradient(0), None
        if len(maker.op.inputs) > 2 and maker.op.inputs[2]:
            weight = maker.emit("Gather", maker.input(2), self.label)
        if self.ignored is not None:
            mask = maker.emit("CastLike", self.valid, maker.input(0))
            weight = mask if weight is None else maker.emit("Mul", weight, mask)
        if self.reduction != "mean":
            return factor, weight
        if weight is None:
            count = maker.emit("CastLike", maker.emit("Size", self.label), factor)
        else:
            count = maker.emit("ReduceSum", weight, keepdims=0)
        if self.ignored is not None:  # where all labels are ignored the gradient is 0, not 0 / 0
            none = maker.emit("Equal", count, _number_like(maker, 0, count))
            count = maker.emit("Add", count, maker.emit("CastLike", none, count))
        return maker.emit("Div", factor, count), weight

    def logits_gradient(self, p: str) -> str:
        """Emit the part of dx that comes from the loss, not from the logarithms; p is softmax(x)."""
        maker, x, factor = self.maker, self.maker.input(0), self.factor
        depth = maker.emit("Squeeze", maker.emit("Shape", x, start=1, end=2))
        one_hot = maker.emit("OneHot", self.label, depth, _constant(maker, [0, 1]), axis=1)
        difference = maker.emit("Sub", p, maker.emit("CastLike", one_hot, x))
        if self.weight is not None:
            factor = maker.emit("Mul", factor, self.weight)
        if self.weight is not None or self.reduction == "none":
            factor = maker.emit("Unsqueeze", factor, _constant(maker, [1]))
        return maker.emit("Mul", difference, factor)

    def weights_gradient(self) -> str:
        """Emit the gradient of the class weights."""
        maker = self.maker
        ignored = {} if self.ignored is None else {"ignore_index": self.ignored}
        part = maker.emit(
            "SoftmaxCrossEntropyLoss", maker.input(0), maker.input(1), reduction="none", **ignored
        )
        if self.reduction == "mean":
            part = maker.emit("Sub", part, maker.output(0))
        if self.valid:
            part = maker.emit("Where", self.valid, part, _number_like(maker, 0, part))
        part = maker.emit("Mul", part, self.factor)
        places = maker.emit("Unsqueeze", self.label, _constant(maker, [-1]))
        zeros = _zeros(maker, maker.input(2))
        return maker.emit("ScatterND", zeros, places, part, reduction="add")
