"""The functions in PyTorch's own operations: for devices without kernels of ours, and for compilers to fuse.

float16 and bfloat16 are computed in float32 and rounded once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch

#: softsign is 1 from here on, and 1 + abs(x) still finite: what turns inf / inf into 1.
_LIMITS = {torch.float32: 2.0**30, torch.float64: 2.0**60}
#: Terms of the series of the antiderivative (r <= 1/3) and of the second one (r <= 1/2), which leave less
#: than an eighth of the last place.
TERMS = {torch.float32: (8, 11), torch.float64: (17, 24)}


def _in_float32(formula: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Compute in float32 what comes in float16 or bfloat16."""

    def widen(arg: Any) -> Any:
        if isinstance(arg, (list, tuple)):
            return [t.float() for t in arg]
        return arg.float() if isinstance(arg, torch.Tensor) else arg

    @functools.wraps(formula)
    def wide(*args: Any) -> torch.Tensor:
        dtype = next(arg.dtype for arg in args if isinstance(arg, torch.Tensor))
        if dtype not in (torch.float16, torch.bfloat16):
            return formula(*args)
        return formula(*map(widen, args)).to(dtype)

    return wide


@_in_float32
def softsign(x: torch.Tensor) -> torch.Tensor:
    """Return x / (1 + abs(x)).

    Parameters
    ----------
    x : torch.Tensor
        Arguments, of any shape and floating-point or complex dtype.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`.
    """
    if x.is_complex():
        # Far out it is the direction: of an infinite z as well, and before abs(z) overflows.
        far = _parts(x).abs().amax(-1) >= _LIMITS[x.real.dtype]
        return torch.where(far, _direction(x), x / (1 + x.abs()))
    limit = _LIMITS[x.dtype]
    x = x.clamp(-limit, limit)
    return x / (1 + x.abs())


@_in_float32
def gradient(x: torch.Tensor, dy: torch.Tensor) -> torch.Tensor:
    """Return dy / (1 + abs(x))**2 without a square that overflows; of complex x, autograd's gradient.

    Parameters
    ----------
    x : torch.Tensor
        Arguments, of any shape and floating-point or complex dtype.
    dy : torch.Tensor
        Gradient of the result, with the shape and dtype of `x`.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`.
    """
    if x.is_complex():
        # dy df/dz + conj(dy) df/dconj(z), with r = 1 / (1 + abs(z)) and p = abs(z) r:
        # df/dz = r (r + p / 2), which is real, and df/dconj(z) = -r u**2 p / 2, u = z / abs(z).
        r = torch.where(_parts(x).isinf().any(-1), 0, 0.25 / (0.25 + (x * 0.25).abs()))
        half = (1 - r) / 2
        return r * (dy * (r + half) - dy.conj() * _direction(x) ** 2 * half)
    r = 1 / (1 + x.abs())
    return dy * r * r


def _parts(x: torch.Tensor) -> torch.Tensor:
    """Return the real and imaginary parts along a last axis, conjugated where `x` is that lazily."""
    return torch.view_as_real(x.resolve_conj())


def _direction(x: torch.Tensor) -> torch.Tensor:
    """Return x / abs(x) of complex numbers, 0 at 0; of infinite ones that of their infinite parts."""
    parts = _parts(x)
    infinite = torch.isinf(parts)
    parts = torch.where(infinite.any(-1, keepdim=True), infinite * parts.sign(), parts)
    limit = _LIMITS[parts.dtype]
    far = parts.abs().amax(-1, keepdim=True) >= limit  # whose abs may overflow
    return torch.view_as_complex(torch.where(far, parts / limit, parts)).sgn()


@_in_float32
def gradient_from_output(y: torch.Tensor, dy: torch.Tensor) -> torch.Tensor:
    """Return dy (1 - abs(y))**2.

    Parameters
    ----------
    y : torch.Tensor
        Values of softsign, of any shape and floating-point dtype.
    dy : torch.Tensor
        Gradient of the result, with the shape and dtype of `y`.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `y`.
    """
    rest = 1 - y.abs()
    return dy * rest * rest


@_in_float32
def derivative(x: torch.Tensor) -> torch.Tensor:
    """Return 1 / (1 + abs(x))**2, without a square that overflows.

    Parameters
    ----------
    x : torch.Tensor
        Arguments, of any shape and floating-point dtype.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`.
    """
    r = 1 / (1 + x.abs())
    return r * r


@_in_float32
def nth_derivative(n: int, x: torch.Tensor) -> torch.Tensor:
    """Return the derivative of order n: (-sgn(x))**(n + 1) n! / (1 + abs(x))**(n + 1), for even n 0 at 0.

    Parameters
    ----------
    n : int
        Order, 0 or more.
    x : torch.Tensor
        Arguments, of any shape and floating-point dtype.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`.
    """
    if n == 0:
        return softsign(x)
    a = x.abs()
    t = 1 + a
    # What t has gained by rounding counts n + 1 times. At inf, where that is nan, and far out, it is nothing.
    excess = torch.where(a < 1e18, (t - a.clamp(min=1)) - a.clamp(max=1), 0)
    value = (1 / t) * (1 + (n + 1) * (excess / t))
    if n % 2 == 0:
        value = torch.where(x == 0, x, torch.copysign(value, -x))
    # Pairs of factors, k / t and (n + 1 - k) / t: the product falls, then rises, and is within range wherever
    # the result is.
    for k in range(1, n // 2 + 1):
        value = value * (k * (n + 1 - k) / t / t)
    return value * ((n + 1) // 2 / t) if n % 2 else value


@_in_float32
def inverse(y: torch.Tensor) -> torch.Tensor:
    """Return y / (1 - abs(y)), nan where abs(y) > 1.

    Parameters
    ----------
    y : torch.Tensor
        Values of softsign, of any shape and floating-point dtype.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `y`.
    """
    return torch.where(y.abs() > 1, torch.nan, y / (1 - y.abs()))


@_in_float32
def integral_of_softsign(x: torch.Tensor) -> torch.Tensor:
    """Return abs(x) - log(1 + abs(x)), by a series for abs(x) < 1 where these cancel.

    Parameters
    ----------
    x : torch.Tensor
        Arguments, of any shape and floating-point dtype.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`.
    """
    one, other = _integral_of_softsign(x.abs())
    return one * other


def _integral_of_softsign(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two numbers, the first at most 1, whose product it is: near 0 that underflows."""
    # log(1 + a) = 2 artanh(r) = 2 (r + r**3 / 3 + r**5 / 5 ...) with r = a / (2 + a), and a - 2 r = r a.
    r = a.clamp(max=1) / (2 + a.clamp(max=1))
    square = r.square()
    series = torch.zeros_like(r)
    for k in range(TERMS[a.dtype][0], 0, -1):
        series = (series + 1 / (2 * k + 1)) * square
    # From 1e30 on the logarithm is lost in rounding; an infinite one would make nan of inf.
    far = a - torch.log1p(a.clamp(max=1e30))
    return torch.where(a < 1, r, 1), torch.where(a < 1, a - 2 * series, far)


@_in_float32
def integral_of_antiderivative(x: torch.Tensor) -> torch.Tensor:
    """Return the integral of `integral_of_softsign`.

    It is sgn(x) (x**2 / 2 + a - (1 + a) log(1 + a)) with a = abs(x). Where these cancel, for a < 8, it comes
    from that of b = z - 1, z = sqrt(1 + a), in a sum of positive terms: b**3 (1 + b / 2) + 2 z G(b), with
    G(b) = r b**2 times the sum of r**(2 k) / ((2 k + 1) (2 k + 3)), r = b / (2 + b).

    Parameters
    ----------
    x : torch.Tensor
        Arguments, of any shape and floating-point dtype.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`.
    """
    a = x.abs()
    small = a.clamp(max=8)
    z = torch.sqrt(1 + small)
    b = small / (1 + z)
    r = b / (2 + b)
    square = r.square()
    series = torch.zeros_like(r)
    for k in range(TERMS[x.dtype][1] - 1, -1, -1):
        series = series * square + 1 / ((2 * k + 1) * (2 * k + 3))
    half = 0.5 * small
    b = half - half * r  # again, with a third of the error, which r can bear
    near = b * (b * (half + 2 * z * (r * series)))
    logarithm = torch.log1p(a.clamp(max=1e30))
    far = a * ((1 + 0.5 * a) - logarithm) - logarithm
    return torch.copysign(torch.where(a < 8, near, far), x)


@_in_float32
def log_jacobian(x: torch.Tensor) -> torch.Tensor:
    """Return -2 log(1 + abs(x)), the logarithm of the derivative.

    Parameters
    ----------
    x : torch.Tensor
        Arguments, of any shape and floating-point dtype.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`.
    """
    return -2 * torch.log1p(x.abs())


@_in_float32
def soft_cap(c: float, x: torch.Tensor) -> torch.Tensor:
    """Return x / (1 + abs(x) / c), at infinity ±c.

    Parameters
    ----------
    c : float
        The cap, from 1e-15 to 1e15.
    x : torch.Tensor
        Arguments, of any shape and floating-point dtype.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`.
    """
    limit = c * _LIMITS[x.dtype]
    x = x.clamp(-limit, limit)
    return x / (1 + x.abs() / c)


def spike(slope: float, x: torch.Tensor) -> torch.Tensor:
    """Return 1 where x is above 0, else 0; nan at nan.

    Parameters
    ----------
    slope : float
        That of the surrogate gradient, which is not of this.
    x : torch.Tensor
        Arguments, of any shape and floating-point dtype.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`.
    """
    return x.clamp(0, 1).ceil()


@_in_float32
def derivative_times(function: str, n: int, x: torch.Tensor, factors: list[torch.Tensor]) -> torch.Tensor:
    """Return the derivative of order n of a function at x, times factors, as each derivative above needs it.

    Nothing overflows or underflows on the way: the product of two gradients may be too large and the
    derivative too small where what they make together is an ordinary number.

    Parameters
    ----------
    function : {"softsign", "inverse", "log_jacobian", "gradient_from_output"}
        Of which function; the last is that of y for dy = 1, (1 - abs(y))**2.
    n : int
        Order, 1 or more; for softsign -1 stands for its antiderivative, 0 for itself.
    x : torch.Tensor
        Arguments, of any shape and floating-point dtype.
    factors : list of torch.Tensor
        One or more, with the shape and dtype of `x`.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`.
    """
    a = x.abs()
    if n < 1:
        values = [softsign(x)] if n == 0 else list(_integral_of_softsign(a))
        if len(factors) == 1:
            return math.prod(values, start=factors[0])
        return _product_apart(1, [(value, 1) for value in (*values, *factors)])
    c, exponent, rising, odd = power(function, n)
    base = 1 + a if rising else torch.where(a > 1, torch.nan, 1 - a)
    if rising and n <= 2 and len(factors) <= 2:
        value = c * _few_times(1 / base, -exponent, factors)
    elif (function, n, len(factors)) == ("inverse", 1, 1):
        value = factors[0] / (base * base)
    else:
        parts = [(base, exponent), *((factor, 1) for factor in factors)]
        # What the base has lost by rounding counts as often as it is multiplied; far out it is nothing.
        if rising:
            lost = (a.clamp(max=1) - (base - a.clamp(min=1))) / base
            parts.append((1 + exponent * torch.where(a < 1e18, lost, 0), 1))
        value = _product_apart(c, parts)
    return value * x.sgn() if odd else value


def power(function: str, n: int) -> tuple[int, int, bool, bool]:
    """Return what the derivative of order n is made of: c (1 ± abs(x))**p, times sgn(x) or not.

    Parameters
    ----------
    function : {"softsign", "inverse", "log_jacobian", "gradient_from_output"}
        Of which function, as in `derivative_times`.
    n : int
        Order, 1 or more.

    Returns
    -------
    tuple
        c, p, whether the sign is +, and whether there is sgn(x).
    """
    if function == "gradient_from_output":
        return (1, -2, 2, 0)[min(n, 3)], max(2 - n, 0), False, n % 2 == 1
    if function == "inverse":
        return math.factorial(n), -(n + 1), False, n % 2 == 0
    if function == "log_jacobian":
        return 2 * (-1) ** n * math.factorial(n - 1), -n, True, n % 2 == 1
    return (-1) ** (n + 1) * math.factorial(n), -(n + 1), True, n % 2 == 0


def _few_times(r: torch.Tensor, power: int, factors: list[torch.Tensor]) -> torch.Tensor:
    """Return one or two factors times r**power, r <= 1: each r to the larger of what there is.

    Where that becomes too small by it, the product is, as the other is no larger.
    """
    if len(factors) == 1:
        return math.prod([r] * power, start=factors[0])
    one, other = factors[0].abs(), factors[1].abs()
    for _ in range(power):
        one, other = torch.maximum(one, other) * r, torch.minimum(one, other)
    return one * other * factors[0].sgn() * factors[1].sgn()


#: Of a floating dtype: the integers that have its bits, the place of the exponent in them, and its offset.
_FORMATS = {torch.float32: (torch.int32, 23, 127), torch.float64: (torch.int64, 52, 1023)}


def _product_apart(c: int, parts: list[tuple[torch.Tensor, int]]) -> torch.Tensor:
    """Return c times powers of tensors, multiplied with their exponents kept apart."""
    exponent: Any = c.bit_length()
    value: Any = c / (1 << exponent)
    for tensor, power in parts:
        mantissa, e = _split(tensor)
        exponent = exponent + power * e
        for k in range(abs(power)):
            value = value * mantissa if power > 0 else value / mantissa
            if k % 32 == 0:
                value, e = _split(value)
                exponent = exponent + e
    _, place, offset = _FORMATS[value.dtype]
    exponent = exponent.clamp(-4 * (offset - 4), 4 * (offset - 4))
    for share in (exponent >> 2,) * 3 + (exponent - 3 * (exponent >> 2),):
        value = value * ((share + offset) << place).view(value.dtype)
    return value


def _split(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x / 2**e, between 1 and 4 unless x is 0, subnormal or not finite, and e."""
    integer, place, offset = _FORMATS[x.dtype]
    exponent = (x.view(integer) >> place) & (2 * offset + 1)
    scale = (2 * offset - exponent).clamp(1, 2 * offset - 1)
    return x * (scale << place).view(x.dtype), offset - scale
