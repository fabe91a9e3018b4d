"""The family x / (1 + abs(x)**k)**(1/k): from slow tails, small k, to a hard limit, k infinite."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from softsign import _core
from softsign.variants._blocks import Array, compute, extended, positive, same

__all__ = ["generalized", "generalized_derivative", "generalized_inverse", "generalized_log_jacobian"]

# With a = abs(x), t is a**k up to a = 1 and a**-k beyond, so that it is at most 1 and nothing overflows:
# (1 + a**k)**(1/k) is (1 + t)**(1/k) up to 1 and a (1 + t)**(1/k) beyond. All powers are exp of a logarithm,
# in a type with more digits than the result's: the exponent may be as large as 1,500 times a logarithm
# before the result leaves the range of float64, which loses 10 bits.


def _k_times_log(a: Array, k: float) -> Array:
    """Return k log(a), 0 at a = 1 for an infinite k, too."""
    return np.where(a == 1, 0, k * np.log(a))


def _power(a: Array, k: float) -> Array:
    """Return t."""
    t: Array = np.exp(-np.abs(_k_times_log(a, k)))
    return t


def _value(x: Array, k: float) -> Array:
    a = np.abs(x)
    value: Array = np.copysign(np.where(a > 1, 1, a) * np.exp(-np.log1p(_power(a, k)) / k), x)
    return value


def _derivative(x: Array, k: float) -> Array:
    a = np.abs(x)
    t = _power(a, k)
    logarithm = np.log1p(t)
    return np.where(a > 1, t / a, 1) * np.exp(-(logarithm + logarithm / k))


def _inverse(y: Array, k: float) -> Array:
    b = np.abs(y)
    rest = -np.expm1(_k_times_log(b, k))  # 1 - b**k, which may be tiny; below 0 beyond 1
    return np.where(b == 1, np.copysign(np.inf, y), y * np.exp(-np.log(rest) / k))


def _log_jacobian(x: Array, k: float) -> Array:
    a = np.abs(x)
    logarithm = np.log1p(_power(a, k))
    beyond = np.where(a > 1, np.log(a) + _k_times_log(a, k), 0)
    return -(beyond + logarithm + logarithm / k)


def _compute(
    name: str,
    given: npt.ArrayLike,
    k: float,
    out: Array | None,
    formula: Callable[[Array, float], Array],
    at_one: Callable[[Array], Array],
    argument: str = "x",
) -> Any:
    """Apply a formula, or the ufunc that it is at k = 1."""
    k = positive(name, "k", k, infinite=True)
    if k == 1:
        return compute(name, at_one, given, out, argument=argument, wide=same)
    return compute(name, lambda x: formula(x, k), given, out, argument=argument, wide=extended)


def generalized(x: npt.ArrayLike, k: float, out: Array | None = None) -> Any:
    """Return x / (1 + abs(x)**k)**(1/k).

    All these functions rise from -1 to 1 with slope 1 at 0. The larger k, the longer they follow x, and the
    sooner they reach their limits: 1 - generalized(x, k) is about 1 / (k x**k).

    Parameters
    ----------
    x : array_like of real numbers
        Any shape; float16, bfloat16, float32, float64 or longdouble; integers and bool as in
        `softsign.softsign`.
    k : float
        Exponent, above 0, infinity included: 1 is softsign, 2 is the inverse square root unit [1]_, infinity
        the hard tanh, x limited to [-1, 1].
    out : ndarray, optional
        Where the result goes: the result's shape, and a dtype that can hold it.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `x`; ±1 at ±inf, nan at nan.

    Raises
    ------
    TypeError
        If `x` or `k` is not real, `k` is not one number, or `out` cannot hold the result.
    ValueError
        If `k` is not above 0, or `out` has another shape.

    Notes
    -----
    The error is at most 0.51 ulp in float16, bfloat16 and float32, and 2 in float64, for every x and k.
    longdouble has no bound; where it has no more digits than float64 (see `softsign.variants`), float64 has
    none, either.

    For k not an even integer the function is as often continuously differentiable at 0 as the smallest
    integer that is at least k says; for even k it is infinitely often.

    References
    ----------
    .. [1] B. Carlile, G. Delamarter, P. Kinney, A. Marti and B. Whitney, "Improving deep learning by inverse
       square root linear units (ISRLUs)", arXiv:1710.09967, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.variants import generalized
    >>> generalized(3.0, 1), generalized(3.0, 2), generalized(3.0, np.inf)
    (np.float64(0.75), np.float64(0.9486832980505138), np.float64(1.0))
    >>> generalized(np.array([-1e50, 1e-300]), 8)    # 1e50**8 is no float64
    array([-1.e+000,  1.e-300])
    """
    return _compute("generalized", x, k, out, _value, _core.softsign)


def generalized_derivative(x: npt.ArrayLike, k: float, out: Array | None = None) -> Any:
    """Return (1 + abs(x)**k)**(-1 - 1/k), the derivative of `generalized`.

    Parameters
    ----------
    x : array_like of real numbers
        Any shape; dtypes as in `generalized`.
    k : float
        Exponent, above 0, infinity included.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `x`; 1 at 0, 0 at ±inf. For infinite k it is 1/2 at ±1, the limit.

    Raises
    ------
    TypeError
        If `x` or `k` is not real, `k` is not one number, or `out` cannot hold the result.
    ValueError
        If `k` is not above 0, or `out` has another shape.

    Notes
    -----
    The error is at most 0.51 ulp in float16, bfloat16 and float32, and 2 in float64. Source: the chain rule;
    docs/variants.md derives it.

    Examples
    --------
    >>> from softsign.variants import generalized_derivative
    >>> generalized_derivative([0.0, 1.0, 3.0], 1)
    array([1.    , 0.25  , 0.0625])
    """
    return _compute("generalized_derivative", x, k, out, _derivative, _core.derivative)


def generalized_inverse(y: npt.ArrayLike, k: float, out: Array | None = None) -> Any:
    """Return y / (1 - abs(y)**k)**(1/k), the x for which generalized(x, k) is y.

    Parameters
    ----------
    y : array_like of real numbers
        Any shape; dtypes as in `generalized`.
    k : float
        Exponent, above 0, infinity included.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `y`; ±inf at ±1, nan beyond.

    Raises
    ------
    TypeError
        If `y` or `k` is not real, `k` is not one number, or `out` cannot hold the result.
    ValueError
        If `k` is not above 0, or `out` has another shape.

    Notes
    -----
    The error is at most 0.51 ulp in float16, bfloat16 and float32, and 4 in float64, next to ±1, too. What
    rounding y has lost cannot be restored: next to ±1 the inverse of generalized(x, k) may be far from x.

    Examples
    --------
    >>> from softsign.variants import generalized_inverse
    >>> generalized_inverse([0.75, -1.0], 1)
    array([  3., -inf])
    >>> print(f"{generalized_inverse(1 - 1e-13, 8):.14g}")    # of y / (1 - y**8)**(1/8) 12 digits are right
    32.515981967094
    """
    return _compute("generalized_inverse", y, k, out, _inverse, _core.inverse, argument="y")


def generalized_log_jacobian(x: npt.ArrayLike, k: float, out: Array | None = None) -> Any:
    """Return -(1 + 1/k) log(1 + abs(x)**k), the logarithm of `generalized_derivative`.

    Parameters
    ----------
    x : array_like of real numbers
        Any shape; dtypes as in `generalized`.
    k : float
        Exponent, above 0, infinity included.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `x`; -0 at 0, -inf at ±inf. For infinite k it is -log(2) at ±1.

    Raises
    ------
    TypeError
        If `x` or `k` is not real, `k` is not one number, or `out` cannot hold the result.
    ValueError
        If `k` is not above 0, or `out` has another shape.

    Notes
    -----
    The error is at most 0.51 ulp in float16, bfloat16 and float32, and 2 in float64 (for k = 1, which is
    `softsign.log_jacobian`, 0.61 in float32 and 1 in float64).

    Examples
    --------
    >>> from softsign.variants import generalized_log_jacobian
    >>> generalized_log_jacobian(1e200, 8)
    np.float64(-4144.653167389282)
    """
    return _compute("generalized_log_jacobian", x, k, out, _log_jacobian, _core.log_jacobian)
