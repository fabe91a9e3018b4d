"""How `torch.onnx.export` writes the operators."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from typing import Any

import torch

from softsign.functions import FUNCTIONS
from softsign.torch import ops
from softsign.torch.formulas import TERMS, power


def onnx_translation_table() -> dict[Any, Callable[..., Any]]:
    """Return what `torch.onnx.export` takes as ``custom_translation_table``; like that it needs onnxscript.

    Returns
    -------
    dict
        From operators of this package to functions that write ONNX nodes: for softsign one Softsign node; the
        others are written out.

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
    from onnx import helper
    from onnxscript import opset18 as op

    def number(value: float, like: Any) -> Any:
        return op.Constant(value=helper.make_tensor("", like.dtype, [], [value]))

    def terms(x: Any) -> tuple[int, int]:
        return TERMS[torch.float64 if x.dtype.itemsize == 8 else torch.float32]

    def softsign(x: Any) -> Any:
        return op.Softsign(x)

    def reciprocal(x: Any) -> Any:
        return op.Reciprocal(op.Add(number(1, x), op.Abs(x)))

    def derivative(x: Any) -> Any:
        r = reciprocal(x)
        return op.Mul(r, r)

    def gradient(x: Any, dy: Any) -> Any:
        r = reciprocal(x)
        return op.Mul(op.Mul(dy, r), r)

    def nth_derivative(n: int, x: Any) -> Any:
        if n == 0:
            return softsign(x)
        r = value = reciprocal(x)
        for k in range(1, n // 2 + 1):  # pairs of factors, as in formulas.nth_derivative
            value = op.Mul(value, op.Mul(op.Mul(number(k * (n + 1 - k), x), r), r))
        if n % 2:
            return op.Mul(value, op.Mul(number((n + 1) // 2, x), r))
        return op.Neg(op.Mul(value, op.Sign(x)))

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
        for k in range(terms(x)[0], 0, -1):
            s = op.Mul(op.Add(s, number(1 / (2 * k + 1), x)), square)
        return a, op.Less(a, one), op.Log(op.Add(one, a)), r, s

    def integral_of_softsign(x: Any) -> Any:
        a, is_small, log1p, r, s = small(x)
        return op.Where(
            is_small, op.Mul(r, op.Sub(a, op.Mul(number(2, x), s))), op.Sub(a, op.Min(log1p, number(1e4, x)))
        )  # not inf - inf

    def integral_of_antiderivative(x: Any) -> Any:  # as in formulas
        a, log1p = op.Abs(x), op.Log(op.Add(number(1, x), op.Abs(x)))
        one, two = number(1, x), number(2, x)
        near_a = op.Min(a, number(8, x))
        z = op.Sqrt(op.Add(one, near_a))
        b = op.Div(near_a, op.Add(one, z))
        r = op.Div(b, op.Add(two, b))
        square, series = op.Mul(r, r), number(0, x)
        for k in range(terms(x)[1] - 1, -1, -1):
            series = op.Add(op.Mul(series, square), number(1 / ((2 * k + 1) * (2 * k + 3)), x))
        half = op.Mul(number(0.5, x), near_a)
        b = op.Sub(half, op.Mul(half, r))
        near = op.Mul(b, op.Mul(b, op.Add(half, op.Mul(op.Mul(two, z), op.Mul(r, series)))))
        log1p = op.Min(log1p, number(1e4, x))  # not inf - inf
        far = op.Sub(op.Mul(a, op.Sub(op.Add(one, op.Mul(number(0.5, x), a)), log1p)), log1p)
        return op.Mul(op.Where(op.Less(a, number(8, x)), near, far), op.Sign(x))

    def log_jacobian(x: Any) -> Any:
        _, is_small, log1p, r, s = small(x)
        two = number(2, x)
        return op.Neg(op.Mul(two, op.Where(is_small, op.Mul(two, op.Add(r, op.Mul(r, s))), log1p)))

    def derivative_times(function: str, n: int, x: Any, factors: Any) -> Any:
        if n < 1:
            value = softsign(x) if n == 0 else integral_of_softsign(x)
        else:
            c, exponent, rising, odd = power(function, n)
            one, a = number(1, x), op.Abs(x)
            base = op.Add(one, a) if rising else op.Sub(one, a)
            value = op.Mul(number(c, x), op.Pow(base, number(exponent, x)))
            value = op.Mul(value, op.Sign(x)) if odd else value
        return functools.reduce(op.Mul, factors, value)

    integrals = {"softsign": integral_of_softsign, "antiderivative": integral_of_antiderivative}
    written: dict[str, Callable[..., Any]] = {
        "softsign": softsign,
        "softsign_saving_output": softsign,
        "derivative": derivative,
        "gradient": gradient,
        "nth_derivative": nth_derivative,
        "inverse": inverse,
        "log_jacobian": log_jacobian,
        "derivative_times": derivative_times,
        **{name: integrals[facts.integrand] for name, facts in FUNCTIONS.items() if facts.integrand},
    }
    return {ops.OPERATORS[name]: write for name, write in written.items()}


def offer_symbolics() -> None:
    """Tell ``torch.onnx.export(dynamo=False)``, the older exporter, how softsign is written."""
    if "torch.onnx" in sys.modules and torch.onnx.is_in_onnx_export():
        _register_symbolics()


@functools.cache
def _register_symbolics() -> None:
    def write(g: Any, x: Any) -> Any:
        return g.op("Softsign", x)

    for name in ("softsign", "softsign_saving_output"):
        torch.onnx.register_custom_op_symbolic(f"softsign::{name}", write, 9)
