"""Softsign and twelve other functions that networks use, with derivatives of every order, in float64.

The sigmoids are scaled to slope 1 at 0 and limits ±1, so that a picture compares their shapes; the logistic
function stays as it is. Derivatives come from closed forms, not from differences.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.polynomial import Polynomial
from scipy import special

import softsign

__all__ = ["ACTIVATIONS", "HIGHEST_ORDER", "Activation"]

#: Order up to which derivatives err by less than 1e-9 of their largest value.
HIGHEST_ORDER = 20

_Array: TypeAlias = npt.NDArray[np.float64]
_T = Polynomial([0.0, 1.0])


class Activation(NamedTuple):  # numpydoc ignore=PR02
    """A function with its derivatives.

    Parameters
    ----------
    latex : str
        Formula for pictures, between dollar signs; empty where the name is the formula.
    derivative : callable
        ``derivative(n, x)``: that of order `n`, an int from 0, at `x`, an array of float64. Where it jumps,
        the value of either side or their mean.
    kinks : tuple of float
        Where the function is not smooth, in rising order.
    jumps_from : int
        Lowest order of a derivative that jumps at `kinks`; those of higher order may jump there too.
    tail : callable, optional
        ``tail(x)``: the distance from the limit at infinity, for `x` > 0, without cancellation; None: there
        is no limit, or it is reached.
    """

    latex: str
    derivative: Callable[[int, _Array], _Array]
    kinks: tuple[float, ...] = ()
    jumps_from: int = 0
    tail: Callable[[_Array], _Array] | None = None


def _tanh(n: int, x: _Array) -> _Array:
    """Return a polynomial in t = tanh(x), as dt/dx = 1 - t**2."""
    p = _T
    for _ in range(n):
        p = p.deriv() * (1 - _T * _T)
    return np.asarray(p(np.tanh(x)))


def _logistic(n: int, x: _Array) -> _Array:
    """Return (1 + tanh(x/2)) / 2; polynomials in the logistic function itself lose 3 digits at order 8."""
    return _tanh(n, x / 2) / 2 ** (n + 1) if n else np.asarray(special.expit(x))


def _softplus(n: int, x: _Array) -> _Array:
    return _logistic(n - 1, x) if n else np.logaddexp(0.0, x)


def _arctan(n: int, x: _Array) -> _Array:
    """Return 2/pi times the derivative (n - 1)! cos(a)**n sin(n (a + pi/2)) of a = arctan(u), u = pi x/2."""
    angle = np.arctan(math.pi / 2 * x)
    if n:
        angle = math.factorial(n - 1) * np.cos(angle) ** n * np.sin(n * (angle + math.pi / 2))
    return np.asarray(2 / math.pi * (math.pi / 2) ** n * angle)


def _normal(n: int, x: _Array) -> _Array:
    """Return the normal distribution's function; derivatives are Hermite polynomials times its density."""
    if not n:
        return np.asarray(special.ndtr(x))
    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return np.asarray((-1) ** (n - 1) * special.eval_hermitenorm(n - 1, x) * density)


def _erf(n: int, x: _Array) -> _Array:
    """Return 2 N(c x) - 1 with N the normal distribution's function and c = sqrt(pi/2)."""
    scale = math.sqrt(math.pi / 2)
    return scale**n * 2 * _normal(n, scale * x) if n else np.asarray(special.erf(math.sqrt(math.pi) / 2 * x))


def _isru(n: int, x: _Array) -> _Array:
    """Return (1 - t**2)**(n/2) p(t) with t = x/sqrt(1 + x**2), as dt/dx = (1 - t**2)**(3/2)."""
    p = _T
    for order in range(n):
        p = p.deriv() * (1 - _T * _T) - order * _T * p
    return np.asarray(p(x / np.hypot(1.0, x)) * np.hypot(1.0, x) ** -float(n))


def _gudermannian(n: int, x: _Array) -> _Array:
    """Return 2/pi times 2 arctan(tanh(u/2)), u = pi x/2, whose derivative is sech(u) = 1/cosh(u)."""
    u = math.pi / 2 * x
    if not n:
        return np.asarray(4 / math.pi * np.arctan(np.tanh(u / 2)))
    p = Polynomial([1.0])
    for _ in range(n - 1):
        p = (1 - _T * _T) * p.deriv() - _T * p
    small = np.exp(-np.abs(u))
    return np.asarray((math.pi / 2) ** (n - 1) * 2 * small / (1 + small * small) * p(np.tanh(u)))


def _hard_tanh(n: int, x: _Array) -> _Array:
    if n > 1:
        return np.zeros_like(x)
    return np.where(np.abs(x) < 1, 1.0, 0.0) if n else np.clip(x, -1.0, 1.0)


def _relu(n: int, x: _Array) -> _Array:
    if n > 1:
        return np.zeros_like(x)
    return np.where(x > 0, 1.0, 0.0) if n else np.maximum(x, 0.0)


def _elu(n: int, x: _Array) -> _Array:
    small = np.minimum(x, 0.0)
    return np.where(x > 0, _relu(n, x), np.exp(small) if n else np.expm1(small))


def _gated(gate: Callable[[int, _Array], _Array]) -> Callable[[int, _Array], _Array]:
    """Return x g(x), whose derivative of order n is x times that of g and n times the one before."""

    def derivative(n: int, x: _Array) -> _Array:
        return x * gate(n, x) + (n * gate(n - 1, x) if n else 0.0)

    return derivative


def _isru_tail(x: _Array) -> _Array:
    root = np.hypot(1.0, x)
    return np.asarray(1 / (root * (root + x)))


_HALF_PI: Any = math.pi / 2

#: By name, softsign first.
ACTIVATIONS: dict[str, Activation] = {
    "softsign": Activation(
        r"$x\,/\,(1+|x|)$",
        lambda n, x: softsign.nth_derivative(n, x),
        (0.0,),
        2,
        lambda x: 1 / (1 + x),
    ),
    "tanh": Activation("", _tanh, tail=lambda x: 2 / (np.exp(2 * np.minimum(x, 350.0)) + 1)),
    "arctan": Activation(
        r"$\frac{2}{\pi}\arctan\frac{\pi x}{2}$",
        _arctan,
        tail=lambda x: np.arctan2(1.0, _HALF_PI * x) / _HALF_PI,
    ),
    "erf": Activation(
        r"$2\,\Phi(\sqrt{\pi/2}\,x) - 1$",
        _erf,
        tail=lambda x: special.erfc(math.sqrt(math.pi) / 2 * x),
    ),
    "isru": Activation(r"$x\,/\,\sqrt{1+x^2}$", _isru, tail=_isru_tail),
    "gudermannian": Activation(
        r"$\frac{2}{\pi}\,\mathrm{gd}\,\frac{\pi x}{2}$",
        _gudermannian,
        tail=lambda x: 2 / _HALF_PI * np.arctan(np.exp(-_HALF_PI * x)),
    ),
    "hard_tanh": Activation(r"$\max(-1, \min(1, x))$", _hard_tanh, (-1.0, 1.0), 1),
    "logistic": Activation(r"$1\,/\,(1+e^{-x})$", _logistic, tail=lambda x: special.expit(-x)),
    "relu": Activation(r"$\max(0, x)$", _relu, (0.0,), 1),
    "elu": Activation(r"$x \;\mathrm{or}\; e^x-1$", _elu, (0.0,), 2),
    "softplus": Activation(r"$\ln(1+e^x)$", _softplus),
    "gelu": Activation(r"$x\,\Phi(x)$", _gated(_normal)),
    "silu": Activation(r"$x\,/\,(1+e^{-x})$", _gated(_logistic)),
}
