"""Functions of one number that are made of softsign: two sigmoids, a gate, a soft abs, a cap."""

from typing import Any

import numpy as np
import numpy.typing as npt

from softsign import _core
from softsign.variants._blocks import Array, compute, double, extended, positive

__all__ = ["elliot2sig", "elliott", "elliott_logistic", "gate", "soft_abs", "soft_cap"]


def _sigmoid(x: Array, rest: Array) -> Array:
    """Return the value at x that is `rest` at -abs(x), which is below 1/2, and 1 - rest at abs(x)."""
    return np.where(x < 0, rest, 1 - rest)


def elliott(x: npt.ArrayLike, out: Array | None = None) -> Any:
    """Return (1 + softsign(x)) / 2, Elliott's sigmoid from 0 to 1.

    Its slope at 0 is 1/2, twice that of the logistic function 1 / (1 + exp(-x)), whose slope
    `elliott_logistic` has. Elliott's symmetric sigmoid, from -1 to 1, is softsign itself.

    Parameters
    ----------
    x : array_like of real numbers
        Any shape; float16, bfloat16, float32, float64 or longdouble; integers and bool as in
        `softsign.softsign`.
    out : ndarray, optional
        Where the result goes: the result's shape, and a dtype that can hold it.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `x`; 0 at -inf, 1 at inf.

    Raises
    ------
    TypeError
        If `x` is not real, or `out` cannot hold the result.
    ValueError
        If `out` has another shape.

    Notes
    -----
    The error is at most 0.51 ulp in float16, bfloat16 and float32, and 2 in float64. For x < 0 it is computed
    as 1 / (2 (1 + abs(x))), where the sum of the formula cancels: at -1e20 the formula has 0.

    References
    ----------
    .. [1] D. L. Elliott, "A better activation function for artificial neural networks", technical report
       ISR TR 93-8, University of Maryland, 1993.

    Examples
    --------
    >>> from softsign.variants import elliott
    >>> elliott([-1e20, -1.0, 0.0, 1.0])
    array([5.0e-21, 2.5e-01, 5.0e-01, 7.5e-01])
    """
    return compute("elliott", lambda x: _sigmoid(x, 0.5 / (1 + np.abs(x))), x, out, wide=double)


def elliott_logistic(x: npt.ArrayLike, out: Array | None = None) -> Any:
    """Return (1 + softsign(x / 2)) / 2, which has the slope of the logistic function at 0, 1/4.

    Parameters
    ----------
    x : array_like of real numbers
        Any shape; dtypes as in `elliott`.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `x`; 0 at -inf, 1 at inf.

    Raises
    ------
    TypeError
        If `x` is not real, or `out` cannot hold the result.
    ValueError
        If `out` has another shape.

    Notes
    -----
    The error is at most 0.51 ulp in float16, bfloat16 and float32, and 2 in float64. It differs from the
    logistic function by up to 0.153, as it goes to 0 like 1 / abs(x) and not like exp(x): it is no
    approximation of it.

    Examples
    --------
    >>> from softsign.variants import elliott_logistic
    >>> elliott_logistic([-2.0, 0.0, 2.0])
    array([0.25, 0.5 , 0.75])
    """
    return compute("elliott_logistic", lambda x: _sigmoid(x, 1 / (2 + np.abs(x))), x, out, wide=double)


def _elliot2sig(x: Array) -> Array:
    a = np.abs(x)
    square = np.square(np.minimum(a, 1 / a))  # at most 1
    value: Array = np.copysign(np.where(a > 1, 1, square) / (1 + square), x)
    return value


def elliot2sig(x: npt.ArrayLike, out: Array | None = None) -> Any:
    """Return x abs(x) / (1 + x**2), MATLAB's Elliot 2 symmetric sigmoid.

    Parameters
    ----------
    x : array_like of real numbers
        Any shape; dtypes as in `elliott`.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `x`; ±1 at ±inf.

    Raises
    ------
    TypeError
        If `x` is not real, or `out` cannot hold the result.
    ValueError
        If `out` has another shape.

    Notes
    -----
    The error is at most 0.51 ulp in float16, bfloat16 and float32, and 2 in float64. It is
    softsign(x abs(x)), so its slope at 0 is 0: a unit whose input is 0 passes no gradient on.

    Examples
    --------
    >>> from softsign.variants import elliot2sig
    >>> elliot2sig([-3.0, 0.0, 1e200])
    array([-0.9,  0. ,  1. ])
    """
    return compute("elliot2sig", _elliot2sig, x, out, wide=double)


def _gate(x: Array) -> Array:
    return np.where(x < 0, 0.5 * _core.softsign(x), x * (1 - 0.5 / (1 + np.abs(x))))


def gate(x: npt.ArrayLike, out: Array | None = None) -> Any:
    """Return x (1 + softsign(x)) / 2: what SiLU is with softsign's sigmoid in place of the logistic.

    Parameters
    ----------
    x : array_like of real numbers
        Any shape; dtypes as in `elliott`.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `x`; -1/2 at -inf, inf at inf.

    Raises
    ------
    TypeError
        If `x` is not real, or `out` cannot hold the result.
    ValueError
        If `out` has another shape.

    Notes
    -----
    The error is at most 0.51 ulp in float16, bfloat16 and float32, and 3 in float64. For x < 0 the value is
    softsign(x) / 2: unlike SiLU it is monotone, and goes to -1/2 and not to 0, as an ELU goes to -1.

    Examples
    --------
    >>> from softsign.variants import gate
    >>> gate([-3.0, 0.0, 1.0])
    array([-0.375,  0.   ,  0.75 ])
    """
    return compute("gate", _gate, x, out, wide=double)


def soft_abs(x: npt.ArrayLike, c: float = 1.0, out: Array | None = None) -> Any:
    """Return abs(x) - c log(1 + abs(x) / c), whose derivative is softsign(x / c).

    As softsign(x / c) is a sign that passes 0 smoothly, this is an abs(x) that is round at 0, x**2 / (2 c)
    there. Times c it is Fair's loss [1]_.

    Parameters
    ----------
    x : array_like of real numbers
        Any shape; dtypes as in `elliott`.
    c : float
        Width of the round part, above 0 and finite: the slope is 1/2 at abs(x) = c.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `x`; inf at ±inf.

    Raises
    ------
    TypeError
        If `x` or `c` is not real, `c` is not one number, or `out` cannot hold the result.
    ValueError
        If `c` is not above 0 and finite, or `out` has another shape.

    Notes
    -----
    The error is at most 0.51 ulp in float16, bfloat16 and float32, and 1 in float64. It does not approach
    abs(x): it stays c log(1 + abs(x) / c) below, which grows. For a soft abs that does, take
    sqrt(x**2 + c**2).

    References
    ----------
    .. [1] R. C. Fair, "On the robust estimation of econometric models", Annals of Economic and Social
       Measurement 3, 1974, 667-677.

    Examples
    --------
    >>> from softsign.variants import soft_abs
    >>> soft_abs([-1.0, 0.0, 10.0], 0.1)
    array([0.76021047, 0.        , 9.53848795])
    """
    c = positive("soft_abs", "c", c)

    def formula(x: Array) -> Array:
        a = np.abs(x)
        ratio = a / c
        return np.where(np.isinf(ratio), a, c * _core.antiderivative(ratio))

    return compute("soft_abs", formula, x, out, wide=extended)


def soft_cap(x: npt.ArrayLike, c: float, out: Array | None = None) -> Any:
    """Return c softsign(x / c) = c x / (c + abs(x)): x near 0, limited to (-c, c).

    Language models cap the logits of attention and of their last layer so, mostly with tanh in place of
    softsign.

    Parameters
    ----------
    x : array_like of real numbers
        Any shape; dtypes as in `elliott`.
    c : float
        The cap, above 0 and finite.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `x`; ±c at ±inf.

    Raises
    ------
    TypeError
        If `x` or `c` is not real, `c` is not one number, or `out` cannot hold the result.
    ValueError
        If `c` is not above 0 and finite, or `out` has another shape.

    Notes
    -----
    The error is at most 0.51 ulp; `softsign.scaled` is the ufunc with a scale for each element. The slope,
    1 / (1 + abs(x) / c)**2, is below 1 from 0 on: at abs(x) = c / 10 the value is 9 % below x, where
    c tanh(x / c) is 0.3 % below. So a model is to be trained with the cap that it is used with. The cap's
    derivative is ``softsign.derivative(x / c)``, its inverse ``c * softsign.inverse(y / c)``;
    `softsign.torch.soft_cap` is differentiable.

    Examples
    --------
    >>> from softsign.variants import soft_cap
    >>> soft_cap([-1e300, 5.0, 30.0], 30)
    array([-30.        ,   4.28571429,  15.        ])
    """
    c = positive("soft_cap", "c", c)

    def formula(x: Array) -> Array:
        return np.asarray(_core.scaled(x, c))

    return compute("soft_cap", formula, x, out, wide=double)
