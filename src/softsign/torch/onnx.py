"""How `torch.onnx.export` writes the operators."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from softsign.torch import ops
from softsign.torch.formulas import TERMS


def onnx_translation_table() -> dict[Any, Callable[..., Any]]:
    """Return what `torch.onnx.export` takes as ``custom_translation_table``; like that it needs onnxscript.

    Returns
    -------
    dict
        From operators of this package to functions that write ONNX nodes: for softsign one Softsign node;
        inverse, antiderivative and log_jacobian are written out.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import nn, onnx_translation_table
    >>> table = onnx_translation_table()
    >>> program = torch.onnx.export(
    ...     nn.Softsign().eval(), (torch.ones(2),), custom_translation_table=table, verbose=False
    ... )
    >>> [node.op_type for node in program.model.graph]
    ['Softsign']
    """
    from onnx import TensorProto, helper
    from onnxscript import opset18 as op

    def number(value: float, like: Any) -> Any:
        constant: Any = op.Constant(value=helper.make_tensor("", TensorProto.DOUBLE, [], [value]))
        return op.CastLike(constant, like)

    def softsign(x: Any) -> Any:
        return op.Softsign(x)

    def inverse(y: Any) -> Any:
        a, one = op.Abs(y), number(1, y)
        return op.Where(op.Greater(a, one), number(math.nan, y), op.Div(y, op.Sub(one, a)))

    def small(x: Any) -> tuple[Any, ...]:  # numpydoc ignore=PR01
        """Return abs(x) = a, whether a < 1, log(1 + a), r = a / (2 + a) and s = artanh(r) / r - 1 for those.

        For small a the logarithm is 2 r (1 + s).
        """
        a, one, two = op.Abs(x), number(1, x), number(2, x)
        b = op.Min(a, one)
        r = op.Div(b, op.Add(two, b))
        square, s = op.Mul(r, r), number(0, x)
        for k in range(TERMS, 0, -1):
            s = op.Mul(op.Add(s, number(1 / (2 * k + 1), x)), square)
        return a, op.Less(a, one), op.Log(op.Add(one, a)), r, s

    def antiderivative(x: Any) -> Any:
        a, is_small, log1p, r, s = small(x)
        return op.Where(
            is_small, op.Mul(r, op.Sub(a, op.Mul(number(2, x), s))), op.Sub(a, op.Min(log1p, number(1e4, x)))
        )  # not inf - inf

    def log_jacobian(x: Any) -> Any:
        _, is_small, log1p, r, s = small(x)
        two = number(2, x)
        return op.Neg(op.Mul(two, op.Where(is_small, op.Mul(two, op.Add(r, op.Mul(r, s))), log1p)))

    return {
        ops.softsign: softsign,
        ops.softsign_saving_output: softsign,
        ops.OPERATORS["inverse"]: inverse,
        ops.OPERATORS["antiderivative"]: antiderivative,
        ops.OPERATORS["log_jacobian"]: log_jacobian,
    }
