"""The functions in PyTorch's own operations: for devices without kernels of ours, and for compilers to fuse.

float16 and bfloat16 are computed in float32 and rounded once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

#: softsign is 1 from here on, and 1 + abs(x) still finite: what turns inf / inf into 1.
_LIMITS = {torch.float32: 2.0**30, torch.float64: 2.0**60}
#: Terms of the antiderivatives' series. For abs(x) <= 1 the 17th of the first is below 3**-36, an eighth of
#: float64's last place; for abs(x) <= 8 those of the second leave less than 2**-53.
TERMS, SECOND_TERMS = 17, 24


def _in_float32(formula: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Compute in float32 what comes in float16 or bfloat16."""

    @functools.wraps(formula)
    def wide(*args: torch.Tensor) -> torch.Tensor:
        dtype = args[-1].dtype
        if dtype not in (torch.float16, torch.bfloat16):
            return formula(*args)
        tensors = (arg.float() if isinstance(arg, torch.Tensor) else arg for arg in args)
        return formula(*tensors).to(dtype)

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
        # abs(z) / (1 + abs(z)) has the limit 1, the direction of an infinite z its own: only finite ones
        # divide.
        return torch.where(torch.isinf(x), _direction(x), x / (1 + x.abs()))
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
        r = 1 / (1 + x.abs())
        half = (1 - r) / 2
        return r * (dy * (r + half) - dy.conj() * _direction(x) ** 2 * half)
    r = 1 / (1 + x.abs())
    return dy * r * r


def _direction(x: torch.Tensor) -> torch.Tensor:
    """Return x / abs(x) of complex numbers, 0 at 0; of infinite ones that of their infinite parts."""
    parts = torch.view_as_real(x)
    infinite = torch.isinf(parts)
    parts = torch.where(infinite.any(-1, keepdim=True), infinite * parts.sign(), parts)
    return torch.view_as_complex(parts).sgn()


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
def inverse_gradient(y: torch.Tensor, dy: torch.Tensor) -> torch.Tensor:
    """Return dy / (1 - abs(y))**2, nan where abs(y) > 1.

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
    rest = torch.where(y.abs() > 1, torch.nan, 1 - y.abs())
    return dy / (rest * rest)


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
    a = x.abs()
    # log(1 + a) = 2 artanh(r) = 2 (r + r**3 / 3 + r**5 / 5 ...) with r = a / (2 + a), and a - 2 r = r a.
    r = a.clamp(max=1) / (2 + a.clamp(max=1))
    square = r * r
    series = torch.zeros_like(r)
    for k in range(TERMS, 0, -1):
        series = (series + 1 / (2 * k + 1)) * square
    # From 1e30 on the logarithm is lost in rounding; an infinite one would make nan of inf.
    return torch.where(a < 1, r * (a - 2 * series), a - torch.log1p(a.clamp(max=1e30)))


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
    square = r * r
    series = torch.zeros_like(r)
    for k in range(SECOND_TERMS - 1, -1, -1):
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
def log_jacobian_gradient(x: torch.Tensor, dy: torch.Tensor) -> torch.Tensor:
    """Return -2 dy sgn(x) / (1 + abs(x)).

    Parameters
    ----------
    x : torch.Tensor
        Arguments, of any shape and floating-point dtype.
    dy : torch.Tensor
        Gradient of the result, with the shape and dtype of `x`.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`.
    """
    return -2 * dy * x.sgn() / (1 + x.abs())
