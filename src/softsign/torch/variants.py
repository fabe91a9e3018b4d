"""Functions made of softsign that have a number to choose: a cap, and the spike of a neuron."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from softsign.torch import formulas, ops, rules
from softsign.torch._calls import check, dispatch, generally
from softsign.torch._private import apply_untransformed, is_ordinary

__all__ = ["soft_cap", "spike"]


def soft_cap(x: Tensor, c: float) -> Tensor:
    """Return c softsign(x / c) = c x / (c + abs(x)): x near 0, limited to (-c, c).

    Parameters
    ----------
    x : torch.Tensor
        Logits or others, of any shape; float16, bfloat16, float32, float64, and integers and bool, which are
        converted to the default dtype.
    c : float
        The cap, from 1e-15 to 1e15.

    Returns
    -------
    torch.Tensor
        Shape, dtype and device of `x`; ±c at ±inf. Differentiable to any order.

    Raises
    ------
    TypeError
        If `x` is not a tensor or `c` not a number.
    ValueError
        If `c` is out of its range, or nan.
    NotImplementedError
        If `x` is sparse, quantized or of another dtype.

    Notes
    -----
    The gradient, dy / (1 + abs(x) / c)**2, is computed without dy c, which overflows in float16 where losses
    are scaled. docs/variants.md compares the cap with c tanh(x / c).

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import soft_cap
    >>> x = torch.tensor([-torch.inf, 10.0, 30.0], requires_grad=True)
    >>> y = soft_cap(x, 30.0)
    >>> y.detach()
    tensor([-30.0000,   7.5000,  15.0000])
    >>> torch.autograd.grad(y.sum(), x)[0]
    tensor([0.0000, 0.5625, 0.2500])
    """
    return _apply(soft_cap, x, "c", c)


def spike(u: Tensor, slope: float = 25.0) -> Tensor:
    """Return 1 where u > 0, else 0, with softsign's derivative at slope * u as the gradient.

    A spiking neuron fires when its membrane potential passes the threshold, u being the difference. The
    step's own derivative is 0 everywhere, and nothing would be learned; backward takes a surrogate [1]_,
    du = dy / (1 + slope abs(u))**2.

    Parameters
    ----------
    u : torch.Tensor
        Potential less threshold, of any shape; float16, bfloat16, float32, float64, and integers and bool,
        which are converted to the default dtype.
    slope : float
        How fast the surrogate falls, to 1/4 at abs(u) = 1 / slope; from 1e-15 to 1e15.

    Returns
    -------
    torch.Tensor
        Shape, dtype and device of `u`; nan at nan. Its gradient may be differentiated again.

    Raises
    ------
    TypeError
        If `u` is not a tensor or `slope` not a number.
    ValueError
        If `slope` is out of its range, or nan.
    NotImplementedError
        If `u` is sparse, quantized or of another dtype.

    Notes
    -----
    The surrogate is 1 at 0, the derivative of softsign(slope u) / slope: the fast sigmoid of SuperSpike, and
    `snntorch.surrogate.fast_sigmoid(slope)`. SpikingJelly's ``surrogate.SoftSign(alpha)`` is alpha / 2 times
    that of slope = alpha, and fires at u = 0, too.

    In float16 the square of the plain formula overflows, and the gradient is 0 from abs(u) = 10.2 on at slope
    25. Here float16 and bfloat16 are computed in float32 and rounded once.

    References
    ----------
    .. [1] F. Zenke and S. Ganguli, "SuperSpike: Supervised learning in multilayer spiking neural networks",
       Neural Computation 30, 2018, 1514-1541.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import spike
    >>> u = torch.tensor([-0.04, 0.0, 0.04, 12.0], dtype=torch.float16, requires_grad=True)
    >>> y = spike(u)
    >>> y.detach()
    tensor([0., 0., 1., 1.], dtype=torch.float16)
    >>> torch.autograd.grad(y.sum(), u)[0]
    tensor([2.5000e-01, 1.0000e+00, 2.5000e-01, 1.1027e-05], dtype=torch.float16)
    """
    return _apply(spike, u, "slope", slope)


# Profilers, `grad_fn` and error messages show the names of the last two, with Backward after them.


class _Ordinary(torch.autograd.Function):
    """One of the functions, of an ordinary tensor."""

    @staticmethod
    def forward(ctx: Any, name: str, number: float, x: Tensor) -> Tensor:
        ctx.name, ctx.number = name, number
        ctx.save_for_backward(x)
        return _FORMULAS[name](number, x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[None, None, Tensor]:
        (x,) = ctx.saved_tensors
        directly = not generally() and is_ordinary(x, dy)
        gradient = ops.direct_gradient if directly else ops.gradient
        return None, None, rules.scaled_slope(ctx.name, ctx.number, x, dy, gradient)


class SoftCap(_Ordinary):
    """Soft cap of an ordinary tensor."""


class Spike(_Ordinary):
    """Spike of an ordinary tensor."""


def _soft_cap(c: float, x: Tensor) -> Tensor:
    return ops.soft_cap_on_cpu(c, x) if x.is_cpu else formulas.soft_cap(c, x)


_FORMULAS = {"soft_cap": _soft_cap, "spike": formulas.spike}
_TRACKED = {"soft_cap": apply_untransformed(SoftCap), "spike": apply_untransformed(Spike)}


def _apply(function: Callable[..., Tensor], x: Tensor, parameter: str, number: float) -> Tensor:
    if torch.overrides.has_torch_function_unary(x):
        return torch.overrides.handle_torch_function(function, (x,), x, number)
    name = function.__name__
    check(x, name)
    if not isinstance(number, (Real, torch.SymFloat)):
        raise TypeError(f"{name}: {parameter} must be a number, got {type(number).__name__}")
    number = float(number)
    ops.check_number(name, number)
    if torch.compiler.is_dynamo_compiling() or not (is_ordinary(x) and x.is_floating_point()):
        return dispatch(name, number, x)
    if x.requires_grad and torch.is_grad_enabled():
        return _TRACKED[name](name, number, x)
    return _FORMULAS[name](number, x)
