"""Softsign of vectors and of complex numbers: the direction stays, the length goes into a ball."""

import operator
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from softsign.variants._blocks import Array, compute, positive

__all__ = [
    "georgiou_koutsougeras",
    "georgiou_koutsougeras_dconj",
    "georgiou_koutsougeras_dz",
    "georgiou_koutsougeras_inverse",
    "unit_ball",
    "unit_ball_inverse",
    "unit_ball_log_det",
]

# Everything below takes real vectors p as columns: shape (components, vectors). Lengths are sums of squares,
# each kept as high + low, its rounding error: 1 - length**2 may be as small as a square's last place.


def _two_sum(x: Array, y: Array) -> tuple[Array, Array]:
    """Return x + y and its rounding error (Knuth)."""
    total = x + y
    z = total - x
    return total, (x - (total - z)) + (y - z)


def _square(x: Array) -> tuple[Array, Array]:
    """Return x**2 and its rounding error, of numbers that are not huge (Dekker)."""
    digits = np.finfo(x.dtype).nmant + 1
    scaled = x * (2.0 ** ((digits + 1) // 2) + 1)
    high = scaled - (scaled - x)
    low = x - high
    square = x * x
    return square, ((high * high - square) + 2 * high * low) + low * low


def _add(x: tuple[Array, Array], y: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return the sum of two numbers that are high + low, to twice the precision (Knuth, Dekker)."""
    high, error = _two_sum(x[0], y[0])
    low, error_of_low = _two_sum(x[1], y[1])
    high, error = _two_sum(high, error + low)
    return _two_sum(high, error + error_of_low)


def _sum_of_squares(p: Array) -> tuple[Array, Array]:
    """Return the squared lengths of columns, as high + low: added in pairs, then pairs of pairs."""
    high, low = _square(p)
    while (n := len(high)) > 1:
        half = n // 2
        total, error = _add((high[:half], low[:half]), (high[half : 2 * half], low[half : 2 * half]))
        high, low = np.concatenate([total, high[2 * half :]]), np.concatenate([error, low[2 * half :]])
    return np.sum(high, axis=0), np.sum(low, axis=0)  # of one square, or none


def _lengths(p: Array) -> tuple[Array, Array, Array]:
    """Return columns that are scaled, the lengths of these, and the lengths of the columns themselves.

    The scale is a power of two, for squares that neither overflow nor vanish. Where components are infinite
    the direction is theirs: they become ±1, the others 0.
    """
    peak = np.max(np.abs(p), axis=0, initial=0)
    infinite = np.isinf(peak)
    exponent = np.where(np.isfinite(peak), np.frexp(peak)[1], 0)
    scaled = np.where(infinite, np.isinf(p) * np.sign(p), np.ldexp(p, -exponent))
    length = np.sqrt(_sum_of_squares(scaled)[0])
    return scaled, length, np.where(infinite, np.inf, np.ldexp(length, exponent))


def _ball(p: Array, c: float, r: float) -> Array:
    scaled, length, whole = _lengths(p)
    return np.where(np.isinf(whole), r * (scaled / length), p / (c + whole / r))


def _inverse(p: Array, c: float, r: float) -> Array:
    """Return c p / (1 - s / r), s the length, as c p r (r + s) / (r**2 - s**2).

    The squares are known to twice the precision, and so is their difference, next to r, too.
    """
    fraction, exponent = np.frexp(r)
    scaled = np.ldexp(p, -exponent)
    square, error = _sum_of_squares(scaled)
    rest, _ = _add(_square(np.full_like(square, fraction)), (-square, -error))
    stretched = c * (p * (fraction * (fraction + np.sqrt(square)) / rest))
    return np.where(rest >= 0, np.where(p == 0, p, stretched), np.nan)


def _parameters(function: str, c: float, r: float) -> tuple[float, float]:
    return positive(function, "c", c), positive(function, "r", r)


def georgiou_koutsougeras(z: npt.ArrayLike, c: float = 1.0, r: float = 1.0, out: Array | None = None) -> Any:
    """Return z / (c + abs(z) / r), the complex activation of Georgiou and Koutsougeras.

    It keeps the phase and takes the plane into the disk of radius r; its slope at 0 is 1 / c. For c = r = 1
    it is softsign. A bounded function that is complex differentiable everywhere would be constant
    (Liouville), so this one is not: its derivatives are those with respect to z and to conj(z),
    `georgiou_koutsougeras_dz` and `georgiou_koutsougeras_dconj`.

    Parameters
    ----------
    z : array_like of complex or real numbers
        Any shape; complex64, complex128, and the real dtypes of `softsign.softsign`.
    c : float
        Steepness: the larger, the flatter; above 0 and finite.
    r : float
        Radius of the disk, above 0 and finite.
    out : ndarray, optional
        Where the result goes: the result's shape, and a dtype that can hold it.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `z`. Of an infinite z it is r times the direction, which is that of the infinite
        parts; nan if a part is.

    Raises
    ------
    TypeError
        If `z` is not numbers, `c` or `r` is not one real number, or `out` cannot hold the result.
    ValueError
        If `c` or `r` is not above 0 and finite, or `out` has another shape.

    Notes
    -----
    The error of each part is at most 0.51 ulp, of complex64 as of complex128 and the real dtypes up to
    float64.

    References
    ----------
    .. [1] G. M. Georgiou and C. Koutsougeras, "Complex domain backpropagation", IEEE Transactions on Circuits
       and Systems II 39, 1992, 330-334.

    Examples
    --------
    >>> from softsign.variants import georgiou_koutsougeras
    >>> georgiou_koutsougeras([3 + 4j, 1e308j], c=1, r=2)
    array([0.85714286+1.14285714j, 0.        +2.j        ])
    """
    c, r = _parameters("georgiou_koutsougeras", c, r)
    return compute(
        "georgiou_koutsougeras", lambda p: _ball(p, c, r), z, out, argument="z", takes_complex=True
    )


def georgiou_koutsougeras_inverse(
    w: npt.ArrayLike, c: float = 1.0, r: float = 1.0, out: Array | None = None
) -> Any:
    """Return c w / (1 - abs(w) / r), the z that `georgiou_koutsougeras` takes to w.

    Parameters
    ----------
    w : array_like of complex or real numbers
        Any shape; dtypes as in `georgiou_koutsougeras`.
    c : float
        Steepness, above 0 and finite.
    r : float
        Radius of the disk, above 0 and finite.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `w`. On the circle abs(w) = r each part that is not 0 is infinite; outside it is
        nan.

    Raises
    ------
    TypeError
        If `w` is not numbers, `c` or `r` is not one real number, or `out` cannot hold the result.
    ValueError
        If `c` or `r` is not above 0 and finite, or `out` has another shape.

    Notes
    -----
    The error of each part is at most 0.51 ulp in complex64 and the real dtypes up to float32, and 1 in
    complex128 and float64, next to the circle, too.

    Examples
    --------
    >>> from softsign.variants import georgiou_koutsougeras_inverse
    >>> georgiou_koutsougeras_inverse([0.375 + 0.5j, 2j], r=2)
    array([0.54545455+0.72727273j, 0.               +infj])
    """
    c, r = _parameters("georgiou_koutsougeras_inverse", c, r)
    return compute(
        "georgiou_koutsougeras_inverse", lambda p: _inverse(p, c, r), w, out, argument="w", takes_complex=True
    )


def georgiou_koutsougeras_dz(
    z: npt.ArrayLike, c: float = 1.0, r: float = 1.0, out: Array | None = None
) -> Any:
    """Return the Wirtinger derivative with respect to z, (c + abs(z) / (2 r)) / (c + abs(z) / r)**2.

    A small step dz changes `georgiou_koutsougeras` by this times dz, plus `georgiou_koutsougeras_dconj` times
    conj(dz). For a real z their sum is the derivative.

    Parameters
    ----------
    z : array_like of complex or real numbers
        Any shape; dtypes as in `georgiou_koutsougeras`.
    c : float
        Steepness, above 0 and finite.
    r : float
        Radius of the disk, above 0 and finite.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray or scalar
        Real, in the precision of `z`, with its shape; 0 at infinity.

    Raises
    ------
    TypeError
        If `z` is not numbers, `c` or `r` is not one real number, or `out` cannot hold the result.
    ValueError
        If `c` or `r` is not above 0 and finite, or `out` has another shape.

    Notes
    -----
    The error is at most 0.51 ulp up to float64.

    Examples
    --------
    >>> from softsign.variants import georgiou_koutsougeras_dz
    >>> georgiou_koutsougeras_dz([0, 3 + 4j])
    array([1.        , 0.09722222])
    """
    c, r = _parameters("georgiou_koutsougeras_dz", c, r)

    def formula(p: Array) -> Array:
        u = 1 / (c + _lengths(p)[2] / r)
        return (u * (1 + c * u) / 2)[np.newaxis]

    return compute(
        "georgiou_koutsougeras_dz", formula, z, out, argument="z", reduces=True, takes_complex=True
    )


def georgiou_koutsougeras_dconj(
    z: npt.ArrayLike, c: float = 1.0, r: float = 1.0, out: Array | None = None
) -> Any:
    """Return the Wirtinger derivative with respect to conj(z), -z**2 / (2 r abs(z)) / (c + abs(z) / r)**2.

    Parameters
    ----------
    z : array_like of complex or real numbers
        Any shape; dtypes as in `georgiou_koutsougeras`.
    c : float
        Steepness, above 0 and finite.
    r : float
        Radius of the disk, above 0 and finite.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `z`; 0 at 0 and at infinity.

    Raises
    ------
    TypeError
        If `z` is not numbers, `c` or `r` is not one real number, or `out` cannot hold the result.
    ValueError
        If `c` or `r` is not above 0 and finite, or `out` has another shape.

    Notes
    -----
    The error of each part is at most 0.51 ulp, of complex64 as of complex128 and the real dtypes up to
    float64.

    Examples
    --------
    >>> from softsign.variants import georgiou_koutsougeras_dconj
    >>> georgiou_koutsougeras_dconj([3 + 0j, 3j])
    array([-0.09375-0.j,  0.09375-0.j])
    """
    c, r = _parameters("georgiou_koutsougeras_dconj", c, r)

    def formula(p: Array) -> Array:
        scaled, length, whole = _lengths(p)
        ratio = whole / r
        u = 1 / (c + ratio)
        size = -np.where(np.isinf(ratio), 1, ratio * u) * u / 2
        return np.where(length == 0, 0, size * _squared_direction(scaled, length))

    return compute("georgiou_koutsougeras_dconj", formula, z, out, argument="z", takes_complex=True)


def _squared_direction(scaled: Array, length: Array) -> Array:
    """Return (z / abs(z))**2, its real part without a difference of squares."""
    if len(scaled) == 1:
        return np.ones_like(scaled)
    x, y = scaled
    return np.stack([(x - y) / length * ((x + y) / length), 2 * (x / length) * (y / length)])


def unit_ball(x: npt.ArrayLike, axis: SupportsIndex = -1, out: Array | None = None) -> Any:
    """Return x / (1 + norm(x)) of each vector along an axis: space goes into the unit ball.

    The direction stays, the length s becomes softsign(s). Unlike softsign of each component it does not
    prefer the axes: rotating x rotates the result.

    Parameters
    ----------
    x : array_like of real numbers
        Vectors, of 1 or more axes; float16, bfloat16, float32, float64 or longdouble; integers and bool as in
        `softsign.softsign`.
    axis : int
        The axis along which a vector's components stand.
    out : ndarray, optional
        Where the result goes: the result's shape, and a dtype that can hold it.

    Returns
    -------
    ndarray
        Shape and dtype of `x`. A vector with infinite components becomes the unit vector of their direction;
        with nan it is all nan.

    Raises
    ------
    TypeError
        If `x` is not real, `axis` is no integer, or `out` cannot hold the result.
    ValueError
        If `x` has no such axis, or `out` has another shape.

    Notes
    -----
    The error of each component is at most 0.51 ulp, up to float64, for vectors of any length.

    Examples
    --------
    >>> from softsign.variants import unit_ball
    >>> unit_ball([[3.0, 4.0], [1e200, 1e200]])
    array([[0.5       , 0.66666667],
           [0.70710678, 0.70710678]])
    """
    axis = operator.index(axis)
    return compute("unit_ball", lambda p: _ball(p, 1.0, 1.0), x, out, axis=axis)


def unit_ball_inverse(y: npt.ArrayLike, axis: SupportsIndex = -1, out: Array | None = None) -> Any:
    """Return y / (1 - norm(y)) of each vector along an axis, the x that `unit_ball` takes to y.

    Parameters
    ----------
    y : array_like of real numbers
        Vectors, of 1 or more axes; dtypes as in `unit_ball`.
    axis : int
        The axis along which a vector's components stand.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray
        Shape and dtype of `y`. On the unit sphere each component that is not 0 is infinite; outside it is
        nan.

    Raises
    ------
    TypeError
        If `y` is not real, `axis` is no integer, or `out` cannot hold the result.
    ValueError
        If `y` has no such axis, or `out` has another shape.

    Notes
    -----
    The error of each component is at most 0.51 ulp in float16, bfloat16 and float32, and 1 in float64, next
    to the sphere, too.

    Examples
    --------
    >>> from softsign.variants import unit_ball_inverse
    >>> unit_ball_inverse([0.375, 0.5])
    array([1.        , 1.33333333])
    """
    axis = operator.index(axis)
    return compute("unit_ball_inverse", lambda p: _inverse(p, 1.0, 1.0), y, out, argument="y", axis=axis)


def unit_ball_log_det(x: npt.ArrayLike, axis: SupportsIndex = -1, out: Array | None = None) -> Any:
    """Return -(n + 1) log(1 + norm(x)), the logarithm of the determinant of the derivative of `unit_ball`.

    Parameters
    ----------
    x : array_like of real numbers
        Vectors of n components; dtypes as in `unit_ball`.
    axis : int
        The axis along which a vector's components stand.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray or scalar
        Dtype of `x`, and its shape without that axis; -inf for vectors with infinite components.

    Raises
    ------
    TypeError
        If `x` is not real, `axis` is no integer, or `out` cannot hold the result.
    ValueError
        If `x` has no such axis, or `out` has another shape.

    Notes
    -----
    The error is at most 0.51 ulp, up to float64. Of the derivative's eigenvalues one, along x, is
    1 / (1 + s)**2, s the norm, and the n - 1 across it are 1 / (1 + s).

    Examples
    --------
    >>> from softsign.variants import unit_ball_log_det
    >>> unit_ball_log_det([3.0, 4.0])    # -3 log(6)
    np.float64(-5.375278407684165)
    """

    def formula(p: Array) -> Array:
        return (-(len(p) + 1) * np.log1p(_lengths(p)[2]))[np.newaxis]

    return compute("unit_ball_log_det", formula, x, out, axis=operator.index(axis), reduces=True)
