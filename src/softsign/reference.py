"""Exact values of the functions of `softsign`, slowly: one number at a time, without rounding error.

The algebraic functions take any finite number that is exactly a ratio of integers (int, float, NumPy floating
scalar, Fraction) and return a `fractions.Fraction`. The logarithmic ones return an `mpmath.mpf` with as many
correct bits as asked for; they need mpmath (``pip install softsign[reference]``). Rational numbers have
neither infinities, nan nor a signed zero, so these raise ValueError here, and the zeros are unsigned.

Examples
--------
>>> from softsign import reference
>>> reference.softsign(0.5)
Fraction(1, 3)
>>> reference.round_to(reference.softsign(0.5), "float32")
np.float32(0.33333334)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from softsign.functions import FUNCTIONS

if TYPE_CHECKING:
    import mpmath

__all__ = [
    "antiderivative",
    "derivative",
    "gradient",
    "gradient_from_output",
    "inverse",
    "log_jacobian",
    "nth_derivative",
    "round_to",
    "scaled",
    "scaled_gradient",
    "second_antiderivative",
    "second_derivative",
    "segment_mean",
    "segment_moments",
    "segment_ramp",
    "softsign",
]


class Rational(Protocol):
    """A number that is exactly a ratio of two integers."""

    def as_integer_ratio(self) -> tuple[int, int]:
        """Return numerator and positive denominator in lowest terms."""


class Format(NamedTuple):
    """A binary floating-point format in C's terms: value = 0.1b...b (`digits` bits) * 2**exponent."""

    digits: int
    min_exponent: int
    max_exponent: int

    @property
    def tiny_exponent(self) -> int:
        """Exponent t of the smallest subnormal number 2**t."""
        return self.min_exponent - self.digits


FORMATS = {
    "float16": Format(11, -13, 16),
    "bfloat16": Format(8, -125, 128),
    "float32": Format(24, -125, 128),
    "float64": Format(53, -1021, 1024),
}


def _fraction(name: str, value: Rational) -> Fraction:
    try:
        return Fraction(*value.as_integer_ratio())
    except (ValueError, OverflowError):  # what float raises for nan and for an infinity
        raise ValueError(f"{name} is {value}, but exact arithmetic needs a finite number") from None


def _sign(x: Fraction) -> int:
    return (x > 0) - (x < 0)


def softsign(x: Rational) -> Fraction:
    """Return x / (1 + abs(x)) exactly.

    Parameters
    ----------
    x : int, float or Fraction
        Any finite number.

    Returns
    -------
    Fraction
        Strictly between -1 and 1.

    Raises
    ------
    ValueError
        If `x` is nan or infinite.
    """
    exact = _fraction("x", x)
    return exact / (1 + abs(exact))


def derivative(x: Rational) -> Fraction:
    """Return f'(x) = 1 / (1 + abs(x))**2 exactly.

    Parameters
    ----------
    x : int, float or Fraction
        Any finite number.

    Returns
    -------
    Fraction
        Above 0, at most 1.

    Raises
    ------
    ValueError
        If `x` is nan or infinite.
    """
    return 1 / (1 + abs(_fraction("x", x))) ** 2


def inverse(y: Rational) -> Fraction:
    """Return y / (1 - abs(y)) exactly.

    Parameters
    ----------
    y : int, float or Fraction
        A number strictly between -1 and 1.

    Returns
    -------
    Fraction
        The x with ``softsign(x) == y``.

    Raises
    ------
    ValueError
        If `y` is nan or not strictly between -1 and 1.
    """
    exact = _fraction("y", y)
    if abs(exact) >= 1:
        raise ValueError(f"y is {y}, but softsign takes only values strictly between -1 and 1")
    return exact / (1 - abs(exact))


def gradient(x: Rational, dy: Rational) -> Fraction:
    """Return dy / (1 + abs(x))**2 exactly.

    Parameters
    ----------
    x : int, float or Fraction
        Any finite number.
    dy : int, float or Fraction
        Gradient with respect to the result, any finite number.

    Returns
    -------
    Fraction
        Gradient with respect to `x`.

    Raises
    ------
    ValueError
        If `x` or `dy` is nan or infinite.
    """
    return _fraction("dy", dy) * derivative(x)


def gradient_from_output(y: Rational, dy: Rational) -> Fraction:
    """Return dy * (1 - abs(y))**2 exactly.

    Parameters
    ----------
    y : int, float or Fraction
        Result of softsign, or any other finite number.
    dy : int, float or Fraction
        Gradient with respect to the result, any finite number.

    Returns
    -------
    Fraction
        Gradient with respect to the x of ``y = softsign(x)``.

    Raises
    ------
    ValueError
        If `y` or `dy` is nan or infinite.
    """
    return _fraction("dy", dy) * (1 - abs(_fraction("y", y))) ** 2


def scaled(x: Rational, c: Rational) -> Fraction:
    """Return x / (1 + abs(x) / c) exactly; 0 where c is 0.

    Parameters
    ----------
    x : int, float or Fraction
        Any finite number.
    c : int, float or Fraction
        The scale, 0 or more.

    Returns
    -------
    Fraction
        Between -c and c.

    Raises
    ------
    ValueError
        If `x` or `c` is nan or infinite, or `c` is negative.
    """
    return _fraction("x", x) * _share("scaled", x, c)


def scaled_gradient(x: Rational, c: Rational, dy: Rational) -> Fraction:
    """Return dy / (1 + abs(x) / c)**2 exactly; 0 where c is 0.

    Parameters
    ----------
    x : int, float or Fraction
        Any finite number.
    c : int, float or Fraction
        The scale, 0 or more.
    dy : int, float or Fraction
        Gradient with respect to the result of `scaled`, any finite number.

    Returns
    -------
    Fraction
        Gradient with respect to `x`.

    Raises
    ------
    ValueError
        If an argument is nan or infinite, or `c` is negative.
    """
    return _fraction("dy", dy) * _share("scaled_gradient", x, c) ** 2


def _share(function: str, x: Rational, c: Rational) -> Fraction:
    """Return c / (c + abs(x))."""
    magnitude, scale = abs(_fraction("x", x)), _fraction("c", c)
    if scale < 0:
        raise ValueError(f"{function}: c is {c}, but must be 0 or more")
    return scale / (scale + magnitude) if scale else scale


def second_derivative(x: Rational) -> Fraction:
    """Return f''(x) = -2 sgn(x) / (1 + abs(x))**3 exactly, with f''(0) = 0.

    Parameters
    ----------
    x : int, float or Fraction
        Any finite number.

    Returns
    -------
    Fraction
        From -2 to 2.

    Raises
    ------
    ValueError
        If `x` is nan or infinite.
    """
    return nth_derivative(2, x)


def nth_derivative(n: int, x: Rational) -> Fraction:
    """Return the n-th derivative of softsign exactly.

    For x != 0 it is ``(-1)**(n+1) n! sgn(x)**(n+1) / (1 + abs(x))**(n+1)``, by induction on each side of
    zero. At zero it is the mean of the two one-sided limits: 0 for even n, n! for odd n.

    Parameters
    ----------
    n : int
        Order, not negative; 0 is the function itself.
    x : int, float or Fraction
        Any finite number.

    Returns
    -------
    Fraction
        Value of the derivative.

    Raises
    ------
    ValueError
        If `n` is negative, or `x` is nan or infinite.
    """
    if n < 0:
        raise ValueError(f"n is {n}, but the order of a derivative must not be negative")
    if n == 0:
        return softsign(x)
    exact = _fraction("x", x)
    numerator = math.factorial(n) if n % 2 else -math.factorial(n) * _sign(exact)
    return numerator / (1 + abs(exact)) ** (n + 1)


class Logarithmic(NamedTuple):
    """Magnitude of a logarithmic function, in any arithmetic.

    Attributes
    ----------
    magnitude : callable
        The formula in a = abs(x) and log = log1p(a).
    series : callable
        The first three terms of its series in a.
    """

    magnitude: Callable[[Any, Any], Any]
    series: Callable[[Any], Any]


LOGARITHMIC = {
    "antiderivative": Logarithmic(
        lambda a, log: a - log,
        lambda a: a**2 / 2 - a**3 / 3 + a**4 / 4,
    ),
    "second_antiderivative": Logarithmic(
        lambda a, log: a**2 / 2 + a - (1 + a) * log,
        lambda a: a**3 / 6 - a**4 / 12 + a**5 / 20,
    ),
    "log_jacobian": Logarithmic(
        lambda a, log: 2 * log,
        lambda a: 2 * (a - a**2 / 2 + a**3 / 3),
    ),
}


def antiderivative(x: Rational, precision: int = 120) -> mpmath.mpf:
    """Return the integral of softsign from 0 to x, abs(x) - log(1 + abs(x)).

    Parameters
    ----------
    x : int, float or Fraction
        Any finite number.
    precision : int, optional
        Number of correct bits of the result.

    Returns
    -------
    mpmath.mpf
        Not negative.

    Raises
    ------
    ValueError
        If `x` is nan or infinite.
    ImportError
        If mpmath is not installed.
    """
    return _evaluate("antiderivative", x, precision)


def second_antiderivative(x: Rational, precision: int = 120) -> mpmath.mpf:
    """Return sgn(x) * (x**2/2 + abs(x) - (1 + abs(x)) log(1 + abs(x))).

    Parameters
    ----------
    x : int, float or Fraction
        Any finite number.
    precision : int, optional
        Number of correct bits of the result.

    Returns
    -------
    mpmath.mpf
        Of the sign of `x`.

    Raises
    ------
    ValueError
        If `x` is nan or infinite.
    ImportError
        If mpmath is not installed.
    """
    return _evaluate("second_antiderivative", x, precision)


def log_jacobian(x: Rational, precision: int = 120) -> mpmath.mpf:
    """Return log f'(x) = -2 log(1 + abs(x)).

    Parameters
    ----------
    x : int, float or Fraction
        Any finite number.
    precision : int, optional
        Number of correct bits of the result.

    Returns
    -------
    mpmath.mpf
        Not positive.

    Raises
    ------
    ValueError
        If `x` is nan or infinite.
    ImportError
        If mpmath is not installed.
    """
    return _evaluate("log_jacobian", x, precision)


def _evaluate(function: str, x: Rational, precision: int) -> mpmath.mpf:
    """Return a logarithmic function to `precision` bits although its terms may cancel.

    Near zero the terms of the antiderivatives are of size a = abs(x) while their sum is of size a**2/2 or
    a**3/6, so twice the leading zero bits of a are lost; a itself has to be held to all of its bits besides.
    """
    import mpmath

    exact, facts = _fraction("x", x), FUNCTIONS[function]
    sign = (_sign(exact) if facts.symmetry == "odd" else 1) * (-1 if facts.monotone == "falling" else 1)
    a = abs(exact)
    leading_zeros = max(0, a.denominator.bit_length() - a.numerator.bit_length()) if a else 0
    with mpmath.workprec(precision + 2 * leading_zeros + a.numerator.bit_length() + 20):
        wide = mpmath.mpf(a.numerator) / a.denominator
        value = sign * LOGARITHMIC[function].magnitude(wide, mpmath.log1p(wide))
    with mpmath.workprec(precision):
        return +value


class Means(NamedTuple):
    """Means over a segment, in any arithmetic: of abs(f), of t f, and of P_j(2t - 1) f for j = 0, 1, 2."""

    size: Any
    ramp: Any
    moments: tuple[Any, Any, Any]


def segment_means(a: Any, b: Any, log_a: Any, log_b: Any) -> Means:
    """Return the means of softsign over a segment by its antiderivatives, which cancel.

    Parameters
    ----------
    a, b : number
        The ends, which differ.
    log_a, log_b : number
        ``log1p(abs(a))`` and ``log1p(abs(b))``, to `segment_precision` bits, of which the results keep some
        200.

    Returns
    -------
    Means
        In the arithmetic of the arguments.
    """

    def integrals(x: Any, log: Any) -> tuple[Any, Any, Any, Any]:
        # From 0 to x, of f(w), w f(w), w**2 f(w) and abs(f(w)).
        m, sign = abs(x), -1 if x < 0 else 1
        square = m * m / 2
        return m - log, sign * (square - m + log), m**3 / 3 - square + m - log, sign * (m - log)

    length = b - a
    ends = zip(integrals(a, log_a), integrals(b, log_b), strict=True)
    mean, first, second, size = ((end - start) / length for start, end in ends)
    ramp = (first - a * mean) / length
    square = (second - 2 * a * first + a * a * mean) / (length * length)
    return Means(size, ramp, (mean, 2 * ramp - mean, 6 * (square - ramp) + mean))


def segment_precision(a: Fraction, b: Fraction) -> int:
    """Return how many bits `segment_means` needs: its sums shrink to the order of the length to the fifth.

    Parameters
    ----------
    a, b : Fraction
        The ends, which differ.

    Returns
    -------
    int
        Number of bits, of which 200 are left in the results.
    """
    spread: Fraction = (1 + max(abs(a), abs(b))) / abs(b - a)
    return 200 + 5 * int(spread).bit_length()


def _segment(a: Rational, b: Rational, precision: int) -> Means:
    import mpmath

    start, end = _fraction("a", a), _fraction("b", b)
    if start == end:
        value = softsign(start)
        with mpmath.workprec(precision):
            at_ends = mpmath.mpf(value.numerator) / value.denominator
            return Means(abs(at_ends), at_ends / 2, (at_ends, mpmath.mpf(0), mpmath.mpf(0)))
    digits = sum(abs(end).as_integer_ratio()[i].bit_length() for end in (start, end) for i in (0, 1))
    with mpmath.workprec(precision + digits + segment_precision(start, end)):
        ends = [mpmath.mpf(x.numerator) / x.denominator for x in (start, end)]
        means = segment_means(*ends, *(mpmath.log1p(abs(x)) for x in ends))
    with mpmath.workprec(precision):
        return Means(+means.size, +means.ramp, tuple(+moment for moment in means.moments))


def segment_mean(a: Rational, b: Rational, precision: int = 120) -> mpmath.mpf:
    """Return the mean of softsign over the segment from a to b, (F(b) - F(a))/(b - a).

    Parameters
    ----------
    a, b : int, float or Fraction
        Any finite numbers.
    precision : int, optional
        Number of correct bits of the result.

    Returns
    -------
    mpmath.mpf
        Between softsign of the ends.

    Raises
    ------
    ValueError
        If an end is nan or infinite.
    ImportError
        If mpmath is not installed.
    """
    return _segment(a, b, precision).moments[0]


def segment_ramp(a: Rational, b: Rational, precision: int = 120) -> mpmath.mpf:
    """Return the mean of t f(a + t (b - a)) over t from 0 to 1.

    Parameters
    ----------
    a, b : int, float or Fraction
        Any finite numbers.
    precision : int, optional
        Number of correct bits of the result.

    Returns
    -------
    mpmath.mpf
        From -1/2 to 1/2.

    Raises
    ------
    ValueError
        If an end is nan or infinite.
    ImportError
        If mpmath is not installed.
    """
    return _segment(a, b, precision).ramp


def segment_moments(
    a: Rational, b: Rational, precision: int = 120
) -> tuple[mpmath.mpf, mpmath.mpf, mpmath.mpf]:
    """Return the means of P_j(2t - 1) f(a + t (b - a)) over t from 0 to 1, for j = 0, 1, 2.

    Parameters
    ----------
    a, b : int, float or Fraction
        Any finite numbers.
    precision : int, optional
        Number of correct bits of the results.

    Returns
    -------
    tuple of mpmath.mpf
        The three moments.

    Raises
    ------
    ValueError
        If an end is nan or infinite.
    ImportError
        If mpmath is not installed.
    """
    return _segment(a, b, precision).moments


def round_to(value: Rational, dtype: npt.DTypeLike) -> Any:
    """Round an exact value to the nearest number of a binary floating-point format, ties to even.

    Parameters
    ----------
    value : int, float or Fraction
        Any finite number.
    dtype : dtype_like
        float16, bfloat16 (of ml_dtypes), float32 or float64.

    Returns
    -------
    numpy.generic
        Scalar of that dtype: a subnormal number where the format has one; an infinity from the midpoint after
        the largest number on. A negative number too small for the format becomes -0.0.

    Raises
    ------
    ValueError
        If `value` is nan or infinite.
    TypeError
        If `dtype` is another type.

    Examples
    --------
    >>> round_to(Fraction(1, 3), "float16")
    np.float16(0.3333)
    """
    target = np.dtype(dtype)
    if target.name not in FORMATS:
        raise TypeError(f"dtype is {target}, but must be one of {', '.join(FORMATS)}")
    digits, min_exponent, max_exponent = FORMATS[target.name]
    exact = _fraction("value", value)
    exponent = max(_exponent(abs(exact)), min_exponent) - digits
    magnitude = round(abs(exact) / Fraction(2) ** exponent)  # Python rounds a Fraction half to even
    overflows = magnitude.bit_length() + exponent > max_exponent
    rounded = math.inf if overflows else math.ldexp(magnitude, exponent)
    return np.array(-rounded if exact < 0 else rounded, target)[()]


def _exponent(magnitude: Fraction) -> int:
    """Return e with 2**(e-1) <= magnitude < 2**e; for zero a number smaller than any format's."""
    if magnitude == 0:
        return -(1 << 20)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    return exponent + (magnitude >= Fraction(2) ** exponent)
