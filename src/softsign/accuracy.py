"""The error of the functions of `softsign` against the exact values, in ulp.

`ulp_error` counts the error of a result in units in the last place, for any result and any exact value.
`exact` gives the exact values to a relative 2**-90 or better, as an unevaluated sum of two float64 numbers
times a power of two (`Exact`):

* The algebraic functions are quotients N/D with polynomials in 1 + abs(x) or 1 - abs(y) for D. Any
  approximation q of N/D, however poor, has the exact error (N - q D)/D, and N - q D takes nothing but sums
  and products, which pairs of float64 numbers give with their rounding errors [1]_. Where the formula itself
  goes wrong does not matter.
* The logarithmic functions are evaluated by MPFR (gmpy2) at 320 bits, the means over segments from their
  antiderivatives, at as many bits as these cancel, and 200 more.

The same residual decides whether a result is the correctly rounded one: where the error is within 2**-40 ulp
of a half, integer arithmetic does (`softsign.reference`).

References
----------
.. [1] T. J. Dekker, "A floating-point technique for extending the available precision", Numerische Mathematik
   18, 1971, 224-242.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from softsign import reference
from softsign.functions import FUNCTIONS, MAX_ORDER, bound
from softsign.reference import FORMATS, LOGARITHMIC, Format

__all__ = [
    "Exact",
    "Measurement",
    "correctly_rounded",
    "exact",
    "measure",
    "sample",
    "ulp_error",
]

Doubles = npt.NDArray[np.float64]

_BLOCK = 1 << 16  # elements worked on at a time, so that the temporaries stay in the cache


class Exact(NamedTuple):
    """Exact values, (head + tail) * 2**exponent.

    `head` is in [1/2, 1) in magnitude, or zero, infinite or nan, and carries the sign; `tail` is at most half
    an ulp of `head`. The exponent is apart because results need it beyond float64's range.
    """

    head: Doubles
    tail: Doubles
    exponent: npt.NDArray[np.int64]


@np.errstate(all="ignore")  # a signaling nan, the infinities, an error too large for float64
def ulp_error(got: npt.ArrayLike, exact: Exact | npt.ArrayLike, size: Exact | None = None) -> Doubles:
    """Return (got - exact) / ulp(exact), for every pair of a result and an exact value.

    One ulp is the spacing of the dtype of `got` in the binade of the *exact* value (a power of two belongs to
    the binade above it); among subnormal numbers and zero it is the smallest subnormal number. So a correctly
    rounded result has an error of at most 1/2.

    Parameters
    ----------
    got : array_like of float16, bfloat16, float32 or float64
        The results, of any shape.
    exact : Exact or array_like of float64
        The exact values, of the same shape.
    size : Exact, optional
        Numbers whose ulp is the unit instead; a wrong sign is an error like another then.

    Returns
    -------
    ndarray of float64
        Signed errors in ulp, never nan:

        * nan for nan is no error; nan for a number or a number for nan is inf.
        * A wrong sign, of a zero too, is inf.
        * An infinite exact value allows that infinity only: anything else is inf.
        * A finite exact value beyond the range counts as 2**max_exponent, the first power of two that is too
          large, and so does an infinite result for a finite exact value. So overflow where the format
          overflows is no error.
        * Underflow is nothing special: an exact value of 0.4 smallest subnormals makes zero an error of -0.4.

    Raises
    ------
    TypeError
        If `got` is of another dtype.

    Examples
    --------
    >>> ulp_error(np.float32([1.0, 1.0, 0.0]), np.array([1.0, 1 + 2.0**-24, -0.0]))
    array([ 0. , -0.5,  inf])
    """
    got = np.asarray(got)
    form = _format(got.dtype)
    if not isinstance(exact, Exact):
        exact = _normalized(np.asarray(exact, np.float64), 0.0, 0)
    head, tail, exponent = exact
    wide = got.astype(np.float64)

    # The format's range: beyond it all is 2**max_exponent.
    overflow = np.isfinite(head) & (exponent > form.max_exponent)
    head = np.where(overflow, np.copysign(0.5, head), head)
    tail = np.where(overflow, 0.0, tail)
    exponent = np.where(overflow, form.max_exponent + 1, exponent)
    infinite = np.isinf(wide) & np.isfinite(head)
    mantissa, got_exponent = np.frexp(np.where(infinite, np.copysign(0.5, wide), wide))
    got_exponent = np.where(infinite, form.max_exponent + 1, got_exponent)

    unit = _binade(Exact(head, tail, exponent) if size is None else size) - form.digits
    unit = np.clip(unit, form.tiny_exponent, form.max_exponent - form.digits)
    error = np.ldexp(mantissa, got_exponent - unit) - np.ldexp(head, exponent - unit)
    error -= np.ldexp(tail, exponent - unit)
    if size is None:
        error = np.where(np.signbit(wide) == np.signbit(head), error, np.inf)
    same = (wide == head) | (np.isnan(wide) & np.isnan(head))
    special = ~np.isfinite(head) | np.isnan(wide)
    return np.where(special, np.where(same, 0.0, np.inf), error)


def _binade(value: Exact) -> npt.NDArray[np.int64]:
    """Return the exponent of the power of two above the values."""
    head, tail, exponent = value
    just_below_power = (np.abs(head) == 0.5) & (np.signbit(tail) != np.signbit(head)) & (tail != 0)
    binade: npt.NDArray[np.int64] = exponent - just_below_power
    return binade


def _format(dtype: np.dtype[Any]) -> Format:
    if dtype.name not in FORMATS:
        raise TypeError(f"the dtype is {dtype}, but must be one of {', '.join(FORMATS)}")
    return FORMATS[dtype.name]


# Pairs of float64 numbers: x + y = sum + error and x * y = product + error, exactly.


def _two_sum(x: Doubles, y: Doubles) -> tuple[Doubles, Doubles]:
    total = x + y
    z = total - x
    return total, (x - (total - z)) + (y - z)


def _split(x: Doubles) -> tuple[Doubles, Doubles]:
    scaled = 134217729.0 * x  # 2**27 + 1
    high = scaled - (scaled - x)
    return high, x - high


def _two_product(x: Doubles, y: Doubles) -> tuple[Doubles, Doubles]:
    product = x * y
    x_high, x_low = _split(x)
    y_high, y_low = _split(y)
    error = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    return product, error


def _multiply(x: Doubles, x_tail: Doubles, y: Doubles, y_tail: Doubles) -> tuple[Doubles, Doubles]:
    """Return the product of two pairs, to about 2**-102."""
    product, error = _two_product(x, y)
    return _two_sum(product, error + (x * y_tail + x_tail * y))


def _divide(x: Doubles, x_tail: Doubles, y: Doubles, y_tail: Doubles) -> tuple[Doubles, Doubles]:
    """Return the quotient of two pairs, to about 2**-104."""
    first = x / y
    product, error = _two_product(first, y)
    return first, (((x - product) - error) + (x_tail - first * y_tail)) / y


def _normalized(head: Any, tail: Any, exponent: Any) -> Exact:
    total, tail = _two_sum(head, tail)
    total = np.copysign(total, head)  # -0 + 0 is 0
    mantissa, shift = np.frexp(total)
    return Exact(
        mantissa,
        np.where(np.isfinite(total), np.ldexp(tail, -shift), 0.0),
        np.where(total == 0, -(1 << 20), np.add(exponent, shift, dtype=np.int64)),
    )


@np.errstate(all="ignore")  # a signaling nan, the poles
def exact(function: str, *arguments: npt.ArrayLike) -> Exact:
    """Return the exact values of a function, to a relative 2**-90 or better.

    Parameters
    ----------
    function : str
        A name of `softsign.functions.FUNCTIONS`.
    *arguments : array_like
        Its arguments, exactly representable in float64, of shapes that broadcast together; the order of
        ``nth_derivative`` is one int from 0 to 170.

    Returns
    -------
    Exact
        Arrays of the broadcast shape of the arguments, for ``segment_moments`` three along a first axis. At
        infinities, nan, zeros and poles they hold the
        limits that the ufuncs document: softsign is ±1 at ±inf, inverse ±inf at ±1, second_derivative and the
        derivatives of even order keep the sign of a zero, log_jacobian is -0 there.

    Raises
    ------
    ValueError
        If there is no such function, or no such order.
    ImportError
        If the function is not algebraic and gmpy2 is not installed.
    """
    if function not in FUNCTIONS:
        raise ValueError(f"function is {function!r}, but must be one of {', '.join(FUNCTIONS)}")
    wide = np.broadcast_arrays(*(np.asarray(a).astype(np.float64) for a in arguments))
    return _EXACT[function](*wide)


def _scaled_power(x: Doubles, sign: int, power: int) -> tuple[Doubles, Doubles, npt.NDArray[np.int64]]:
    """Return (1 + sign * abs(x))**power as a pair and an exponent, so that nothing over- or underflows."""
    a = np.abs(x)
    scale = np.maximum(np.frexp(np.where(np.isfinite(a), a, 1.0))[1], 0).astype(np.int64)
    base = _two_sum(np.ldexp(1.0, -scale), sign * np.ldexp(a, -scale))
    head, tail = base
    for _ in range(power - 1):
        head, tail = _multiply(head, tail, *base)
    return head, tail, power * scale


def _quotient(numerator: Any, x: Doubles, sign: int, power: int, factor: int = 1) -> Exact:
    """Return factor * numerator / (1 + sign * abs(x))**power."""
    head, tail, exponent = _scaled_power(x, sign, power)
    mantissa, numerator_exponent = np.frexp(numerator)
    factor_exponent = abs(factor).bit_length()
    whole = Fraction(factor, 1 << factor_exponent)
    top, rest = _two_product(mantissa, np.full_like(mantissa, float(whole)))
    rest = rest + mantissa * float(whole - Fraction(float(whole)))
    first, second = _divide(top, rest, head, tail)
    regular = np.isfinite(x) & np.isfinite(numerator) & (head != 0)
    # Needed where an argument is not finite or the denominator is 0: there 1 does what any larger x does.
    plain = factor * numerator / (1 + sign * np.where(np.isinf(x), np.inf, np.minimum(np.abs(x), 1))) ** power
    return _normalized(
        np.where(regular, first, plain),
        np.where(regular, second, 0.0),
        np.where(regular, numerator_exponent + factor_exponent - exponent, 0),
    )


def _exact_softsign(x: Doubles) -> Exact:
    value = _quotient(x, x, 1, 1)
    infinite = np.isinf(x)
    return value._replace(
        head=np.where(infinite, np.copysign(0.5, x), value.head),
        exponent=np.where(infinite, 1, value.exponent),
    )


def _exact_gradient_from_output(y: Doubles, dy: Doubles) -> Exact:
    head, tail, exponent = _scaled_power(y, -1, 2)
    mantissa, dy_exponent = np.frexp(dy)
    product, error = _two_product(mantissa, head)
    regular = np.isfinite(y) & np.isfinite(dy)
    return _normalized(
        np.where(regular, product, dy * (1 - np.abs(y)) ** 2),
        np.where(regular, error + mantissa * tail, 0.0),
        np.where(regular, dy_exponent + exponent, 0),
    )


def _exact_nth_derivative(n: int, x: Doubles) -> Exact:
    if n == 0:
        return _exact_softsign(x)
    if n % 2:
        return _quotient(np.ones_like(x), x, 1, n + 1, math.factorial(n))
    return _quotient(np.where(x == 0, x, -np.sign(x)), x, 1, n + 1, math.factorial(n))


def _share(x: Doubles, c: Doubles) -> tuple[Doubles, Doubles, npt.NDArray[np.int64]]:
    """Return c / (c + abs(x)), c > 0, as a pair and an exponent."""
    mantissa, exponent = np.frexp(np.abs(x))
    of_c, exponent_of_c = np.frexp(c)
    greater = np.where(x == 0, exponent_of_c, np.maximum(exponent, exponent_of_c)).astype(np.int64)
    total = _two_sum(np.ldexp(mantissa, exponent - greater), np.ldexp(of_c, exponent_of_c - greater))
    return *_divide(of_c, np.zeros_like(of_c), *total), exponent_of_c - greater


def _exact_scaled(x: Doubles, c: Doubles) -> Exact:
    mantissa, exponent = np.frexp(x)
    head, tail, shift = _share(x, c)
    product, error = _two_product(mantissa, head)
    regular = np.isfinite(x) & np.isfinite(c) & (x != 0) & (c > 0)
    plain = np.where(c < 0, np.nan, np.copysign(np.minimum(np.abs(x), np.abs(c)), x))
    return _normalized(
        np.where(regular, product, plain),
        np.where(regular, error + mantissa * tail, 0.0),
        np.where(regular, exponent + shift, 0),
    )


def _exact_scaled_gradient(x: Doubles, c: Doubles, dy: Doubles) -> Exact:
    mantissa, exponent = np.frexp(dy)
    head, tail, shift = _share(x, c)
    head, tail = _multiply(*_multiply(head, tail, head, tail), mantissa, np.zeros_like(mantissa))
    regular = np.isfinite(x) & np.isfinite(c) & np.isfinite(dy) & (c > 0) & (dy != 0)
    far = np.isinf(x) & (c != np.inf)
    slope = np.where(np.isnan(np.abs(x) + np.abs(c)) | (c < 0), np.nan, np.where((c == 0) | far, 0.0, 1.0))
    return _normalized(
        np.where(regular, head, dy * slope),
        np.where(regular, tail, 0.0),
        np.where(regular, exponent + 2 * shift, 0),
    )


def _only(n: Doubles) -> int:
    orders = np.unique(n)
    if orders.size != 1 or orders[0] not in range(MAX_ORDER + 1):
        raise ValueError(f"n is {n}, but must be one order from 0 to {MAX_ORDER}")
    return int(orders[0])


def _exact_logarithmic(function: str, x: Doubles) -> Exact:
    """Return a logarithmic function, each of which is 0 at 0 and infinite at infinity.

    MPFR at 320 bits: from 2**-64 on at most 2*64 + 3 bits cancel; below, the series leaves out less than
    2**-190.
    """
    import gmpy2

    magnitude, series = LOGARITHMIC[function]
    facts = FUNCTIONS[function]
    signed = x if facts.symmetry == "odd" else np.abs(x)  # the value at zeros, infinities and nan
    if facts.monotone == "falling":
        signed = -signed

    def parts(value: float) -> tuple[float, float, int]:
        a = context.plus(value)  # faster than mpfr(value)
        exponent, mantissa = gmpy2.frexp(magnitude(a, gmpy2.log1p(a)) if value >= 2.0**-64 else series(a))
        head = float(mantissa)
        return head, float(mantissa - head), exponent

    head, tail, exponent = map(np.atleast_1d, _normalized(signed, 0.0, 0))
    regular = np.atleast_1d(np.isfinite(x) & (x != 0))
    values, places = np.unique(np.abs(np.atleast_1d(x)[regular]), return_inverse=True)
    with gmpy2.context(precision=320) as context:
        found = [part[places] for part in np.frompyfunc(parts, 1, 3)(values)]
    sign = np.copysign(1.0, np.atleast_1d(signed)[regular])
    head[regular], tail[regular] = sign * found[0].astype(np.float64), sign * found[1].astype(np.float64)
    exponent[regular] = found[2].astype(np.int64)
    return _normalized(*(part.reshape(np.shape(x)) for part in (head, tail, exponent)))


def _segment_limits(a: float, b: float) -> list[float] | None:
    """Return the means over a segment with an end that is not finite, or that is a point; None for others."""
    sign = math.copysign(1.0, b if abs(b) >= abs(a) or math.isinf(b) else a)
    if math.isnan(a) or math.isnan(b):
        return [math.nan] * 5
    if math.isinf(a) and a == -b:  # the limit of segments from -x to x
        return [1.0, sign / 4, sign * 0.0, sign / 2, sign * 0.0]
    if math.isinf(a) or math.isinf(b):
        return [1.0, sign / 2, sign, sign * 0.0, sign * 0.0]
    return [b] * 5 if a == b == 0 else None


def _exact_segments(a: Doubles, b: Doubles) -> list[Exact]:
    """Return the means over segments: of abs(f), of t f, and of f times Legendre's polynomials.

    A zero has the sign of b.
    """
    import gmpy2

    def means(start: float, end: float) -> tuple[Any, ...]:
        if (limits := _segment_limits(start, end)) is not None:
            return tuple(limits)
        if start == end:
            value = context.plus(end) / (1 + abs(context.plus(end)))
            return abs(value), value / 2, value, end * 0.0, end * 0.0
        context.precision = reference.segment_precision(Fraction(start), Fraction(end))
        ends = context.plus(start), context.plus(end)
        found = reference.segment_means(*ends, *(gmpy2.log1p(abs(x)) for x in ends))
        values = found.size, found.ramp, *found.moments
        return tuple(value if value else math.copysign(0.0, end) for value in values)

    def parts(value: Any) -> tuple[float, float, int]:
        if isinstance(value, float):
            return value, 0.0, 0
        exponent, mantissa = gmpy2.frexp(value)
        return float(mantissa), float(mantissa - float(mantissa)), exponent

    with gmpy2.context(precision=320) as context:
        pairs = zip(np.ravel(a).tolist(), np.ravel(b).tolist(), strict=True)
        found = [[parts(mean) for mean in means(*ends)] for ends in pairs]
    heads, tails, exponents = np.array(found, float).reshape(-1, 5, 3).T
    shape = np.shape(a)
    return [
        _normalized(head.reshape(shape), tail.reshape(shape), exponent.reshape(shape).astype(np.int64))
        for head, tail, exponent in zip(heads, tails, exponents, strict=True)
    ]


def _exact_moments(a: Doubles, b: Doubles) -> Exact:
    return Exact(*(np.stack(part) for part in zip(*_exact_segments(a, b)[2:], strict=True)))


_EXACT: dict[str, Callable[..., Exact]] = {
    "softsign": _exact_softsign,
    "derivative": lambda x: _quotient(np.ones_like(x), x, 1, 2),
    "inverse": lambda y: _quotient(np.where(np.abs(y) <= 1, y, np.nan), y, -1, 1),
    "gradient": lambda x, dy: _quotient(dy, x, 1, 2),
    "gradient_from_output": _exact_gradient_from_output,
    "second_derivative": lambda x: _exact_nth_derivative(2, x),
    "scaled": _exact_scaled,
    "scaled_gradient": _exact_scaled_gradient,
    "nth_derivative": lambda n, x: _exact_nth_derivative(_only(n), x),
    "segment_mean": lambda a, b: _exact_segments(a, b)[2],
    "segment_ramp": lambda a, b: _exact_segments(a, b)[1],
    "segment_moments": _exact_moments,
    **{function: partial(_exact_logarithmic, function) for function in LOGARITHMIC},
}


def correctly_rounded(function: str, got: npt.ArrayLike, *arguments: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Tell which results of an algebraic function are the correctly rounded ones.

    Parameters
    ----------
    function : str
        Name of an algebraic function of `softsign`: not a logarithmic one.
    got : array_like of float16, bfloat16, float32 or float64
        Its results.
    *arguments : array_like
        Its arguments, each of the shape of `got` or a scalar.

    Returns
    -------
    ndarray of bool
        Decided exactly: results whose error is within 2**-40 ulp of a half are computed once more in integer
        arithmetic.

    Raises
    ------
    ValueError
        If the function is of another kind.
    KeyError
        If there is no such function.
    """
    if FUNCTIONS[function].kind != "algebraic":
        raise ValueError(f"function is {function!r}, but only algebraic functions can be decided exactly")
    got = np.asarray(got)
    return _rounds_to(function, got, arguments, _magnitudes(function, got, arguments))


def _magnitudes(function: str, got: npt.NDArray[Any], arguments: tuple[npt.ArrayLike, ...]) -> Doubles:
    """Return abs(ulp_error), for three functions and short formats through the faster `_screen`.

    For a segment the unit is an ulp of the mean of abs(f), and the greatest error of several results counts.
    """
    if FUNCTIONS[function].kind == "segment":
        size, ramp, *moments = _exact_segments(*(np.asarray(a).astype(np.float64) for a in arguments))
        values = [ramp] if function == "segment_ramp" else moments
        results = np.atleast_2d(got)
        errors = (ulp_error(g, value, size) for g, value in zip(results, values, strict=False))
        worst: Doubles = np.max([np.abs(error) for error in errors], axis=0)
        return worst
    if function not in _SCREENED or got.itemsize > 4:
        return np.abs(ulp_error(got, exact(function, *arguments)))
    (x,) = map(np.asarray, arguments)
    error = _screen(function, got, x)
    doubtful = np.flatnonzero(~(error < 0.5 - 2.0**-26))
    error[doubtful] = np.abs(ulp_error(got[doubtful], exact(function, x[doubtful])))
    return error


# Numerator and denominator in a = abs(x), for the functions that are tried on every float32 number.
_SCREENED: dict[str, Callable[[Doubles], tuple[Any, Doubles]]] = {
    "softsign": lambda a: (a, 1 + a),
    "derivative": lambda a: (1.0, np.square(1 + a)),
    "inverse": lambda a: (a, 1 - a),
}


def _screen(function: str, got: npt.NDArray[Any], x: npt.NDArray[Any]) -> Doubles:
    """Bound abs(ulp_error) from above, from the residual in plain float64; nan where that cannot tell.

    The error of q against N/D is abs(N - q D) / D. In float64 D, q D and the difference have relative errors
    of at most 3, 1 and 1 times 2**-53, the residual thus an absolute one of at most 5 * 2**-53 N where q is
    within an ulp, and since an ulp times D is at least 2**-24 N, the bound is right to 2**-26 for up to 24
    digits. The unit is the distance to the next smaller number, which is half an ulp where q is a power of
    two and N/D is above it.
    """
    positive = np.abs(got)
    a = np.abs(x).astype(np.float64)
    q = positive.astype(np.float64)
    bits = positive.view(f"u{got.itemsize}")
    smaller = (np.maximum(bits, 1) - bits.dtype.type(1)).view(got.dtype).astype(np.float64)
    unit = np.maximum(q - smaller, 2.0 ** _format(got.dtype).tiny_exponent)
    with np.errstate(all="ignore"):
        numerator, denominator = _SCREENED[function](a)
        error: Doubles = np.abs(numerator - q * denominator) / (unit * denominator)
    odd = FUNCTIONS[function].symmetry == "odd"
    error[np.signbit(got) != (np.signbit(x) if odd else False)] = np.nan
    undefined = np.isnan(q)
    if undefined.any():
        undefined &= np.isnan(a) | (a > 1 if function == "inverse" else False)
        error[undefined] = 0.0
    return error


def _rounds_to(
    function: str, got: npt.NDArray[Any], arguments: tuple[npt.ArrayLike, ...], error: Doubles
) -> npt.NDArray[np.bool_]:
    right = error < 0.5
    for index in np.flatnonzero(np.abs(error - 0.5) < 2.0**-40):
        numbers = [np.broadcast_to(a, got.shape).flat[index].item() for a in map(np.asarray, arguments)]
        nearest = reference.round_to(getattr(reference, function)(*numbers), got.dtype)
        right.flat[index] = nearest == got.flat[index]
    return right


@dataclass(frozen=True)
class Measurement:
    """Errors of one function in one dtype.

    Attributes
    ----------
    function, dtype : str
        Names of the function and the dtype.
    tried : int
        Number of inputs.
    wrong : int
        Number of results outside the bound, which is `softsign.functions.bound`; where it is 0.5, of results
        that are not correctly rounded.
    worst : float
        Greatest error in ulp.
    worst_input : tuple of float
        The arguments that give it; for ``nth_derivative`` the order is the first.
    """

    function: str
    dtype: str
    tried: int
    wrong: int
    worst: float
    worst_input: tuple[float, ...]

    def __add__(self, other: Measurement) -> Measurement:
        """Join two measurements of the same function and dtype."""
        worse = max(self, other, key=lambda m: m.worst)
        return replace(worse, tried=self.tried + other.tried, wrong=self.wrong + other.wrong)


def measure(function: str, got: npt.ArrayLike, *arguments: npt.ArrayLike) -> Measurement:
    """Compare results with the exact values.

    Parameters
    ----------
    function : str
        A name of `softsign.functions.FUNCTIONS`.
    got : array_like of float16, bfloat16, float32 or float64
        Its results; at least one. Several for the same arguments stand along the first axis.
    *arguments : array_like
        Its arguments, each of the shape of `got` or a scalar.

    Returns
    -------
    Measurement
        How many results are outside the bound, the greatest error, and where.

    Raises
    ------
    ValueError
        If `got` is empty.

    Examples
    --------
    >>> x = np.array([0.0, 0.25, 0.7], np.float32)
    >>> measure("softsign", x / (1 + x) + np.float32(1e-7), x).wrong
    3
    """
    several = FUNCTIONS[function].outputs > 1
    got = np.reshape(got, (FUNCTIONS[function].outputs, -1) if several else -1)
    if not got.size:
        raise ValueError("got is empty, but must have one result or more")
    size = got.shape[-1]
    arrays = [np.broadcast_to(a, size) if np.ndim(a) == 0 else np.ravel(a) for a in arguments]
    parts = [
        _measure_block(function, got[..., i : i + _BLOCK], tuple(a[i : i + _BLOCK] for a in arrays))
        for i in range(0, size, _BLOCK)
    ]
    return sum(parts[1:], parts[0])


def _measure_block(
    function: str, got: npt.NDArray[Any], arguments: tuple[npt.NDArray[Any], ...]
) -> Measurement:
    error = _magnitudes(function, got, arguments)
    most = bound(function, got.dtype.name)
    right = _rounds_to(function, got, arguments, error) if most == 0.5 else error <= most
    worst = int(np.argmax(error))
    return Measurement(
        function,
        got.dtype.name,
        error.size,
        int(error.size - np.count_nonzero(right)),
        float(error[worst]),
        tuple(float(a[worst]) for a in arguments),
    )


def sample(
    function: str, dtype: npt.DTypeLike, size: int, rng: np.random.Generator
) -> tuple[npt.NDArray[Any], ...]:
    """Draw arguments on which a function may go wrong.

    Parameters
    ----------
    function : str
        A name of `softsign.functions.FUNCTIONS`.
    dtype : dtype_like
        float16, bfloat16, float32 or float64.
    size : int
        Number of inputs.
    rng : numpy.random.Generator
        Source of the random bits.

    Returns
    -------
    tuple of ndarray
        The arguments, each of shape (size,), without the order of ``nth_derivative``. A half of each are
        uniform bit patterns: all magnitudes, subnormal numbers, infinities and nan. The other half lies where
        the function does not round to x, to 1 or to 0, half of it within 2**6 of 1, uniform in the exponent;
        for arguments bounded by 1 it comes as close to 1 as to 0. Those of ``inverse`` do go beyond 1, those
        of ``gradient_from_output`` do not. Half of the segments are short, or nearly symmetric about zero.
    """
    target, arguments = np.dtype(dtype), FUNCTIONS[function].arguments
    first = _sample_values("y" in arguments, target, size, rng)
    if "b" in arguments:
        return first, _sample_ends(first, rng)
    scale = (_sample_scale(first, rng),) if "c" in arguments else ()
    if "dy" not in arguments:
        return first, *scale
    dy = _sample_values(False, target, size, rng)
    if "y" in arguments:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # a signaling nan, 1/0
            first = np.where(np.abs(first) > 1, 1 / first, first)
    return first, *scale, dy


def _sample_values(
    bounded: bool, dtype: np.dtype[Any], size: int, rng: np.random.Generator
) -> npt.NDArray[Any]:
    patterns = np.frombuffer(rng.bytes((size - size // 2) * dtype.itemsize), dtype)
    reach = np.where(rng.random(size // 2) < 0.5, 6, _format(dtype).digits + 2)
    exponent = rng.integers(-reach, 1 if bounded else reach)
    magnitude = np.ldexp(rng.uniform(0.5, 1, size // 2), exponent)
    if bounded:
        magnitude = np.where(rng.random(size // 2) < 0.5, magnitude, 1 - magnitude)
    focused = np.where(rng.random(size // 2) < 0.5, magnitude, -magnitude).astype(dtype)
    return rng.permutation(np.concatenate([patterns, focused]))


@np.errstate(all="ignore")  # signaling nans, overflow
def _sample_scale(x: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw scales above 0 of any size; three of four are within the digits of x."""
    size, digits = x.size, _format(x.dtype).digits
    near = np.abs(x.astype(np.float64)) * np.exp2(rng.uniform(-digits, digits, size))
    return np.where(rng.random(size) < 0.75, near.astype(x.dtype), np.abs(rng.permutation(x)))


@np.errstate(all="ignore")  # signaling nans, overflow
def _sample_ends(start: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw the other ends of segments."""
    near = start.astype(np.float64) * (
        1 + np.exp2(rng.uniform(-56, 3, start.size)) * rng.choice([-1, 1], start.size)
    )
    near = np.where(rng.random(start.size) < 0.5, near, -near).astype(start.dtype)
    return np.where(rng.random(start.size) < 0.5, near, rng.permutation(start))
