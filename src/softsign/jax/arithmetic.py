"""The formulas of `softsign.jax`, in float32 and float64, without rules of differentiation.

With s = +1 for softsign and s = -1 for its inverse, and away from 0,

    d/dx 1/(1 + s|x|) = -s sgn(x)/(1 + s|x|)^2,

so the n-th derivative of either is (-s)^(n+1) n! sgn(x)^(n+1)/(1 + s|x|)^(n+1), a power of one family. At 0,
where the even ones jump, they are 0, the mean of the one-sided limits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = ["Member", "complex_softsign", "multiplied"]

# The integers that clear the lower half of a significand: 12 of 24 bits stay, 26 of 53. Two such numbers
# multiply exactly.
_UPPER_HALF: dict[Any, Any] = {
    np.dtype(np.float32): np.uint32(0xFFFF_F000),
    np.dtype(np.float64): np.uint64(0xFFFF_FFFF_F800_0000),
}
#: Terms of the series of the antiderivative (r <= 1/3) and of the second one (r <= 1/2), which leave less
#: than an eighth of the last place.
_TERMS = {np.dtype(np.float32): (8, 11), np.dtype(np.float64): (17, 24)}
#: Binary exponents of arguments up to which 1/(1 + abs(x))**2 is a normal number.
_REACH: dict[Any, int] = {np.dtype(np.float32): 62, np.dtype(np.float64): 510}
#: Powers of up to this order stay in the range of float32 if what they are of is between 1/2 and 2.
_CHUNK = 64


class Member(NamedTuple):
    """A function that has the next one of its kind as its derivative.

    Attributes
    ----------
    name : str
        "power" or the name of the function that begins a row of derivatives.
    sign : int
        s of a power: 1, or -1 in the row of the inverse.
    order : int
        m of a power (-s)**m (m - 1)! sgn(x)**m / (1 + s abs(x))**m.
    times : int
        Whole factor of a power.
    """

    name: str
    sign: int = 1
    order: int = 0
    times: int = 1

    @property
    def derivative(self) -> Member:
        """The derivative, a member too."""
        if self.name == "power":
            return self._replace(order=self.order + 1)
        return {
            "second_antiderivative": Member("antiderivative"),
            "antiderivative": Member("softsign"),
            "softsign": Member("power", 1, 2),
            "clamped_softsign": Member("power", 1, 2),
            "inverse": Member("power", -1, 2),
            "log_jacobian": Member("power", 1, 1, times=2),
        }[self.name]


def multiplied(member: Member, x: Any, *factors: Any) -> Any:
    """Return the product of a member at x and the factors.

    Whatever the order of magnitude of the factors, nothing overflows or underflows on the way to a product
    that does neither: cotangents of float32 whose product is infinite meet derivatives that are small.

    Parameters
    ----------
    member : Member
        The function.
    x : array of floating dtype
        Its argument.
    *factors : arrays of the shape and dtype of `x`
        What it is multiplied by.

    Returns
    -------
    array of the shape and dtype of `x`
        Computed in float32 or wider, and rounded once more to a narrower dtype.
    """
    wide, *wide_factors = (_widened(array) for array in (x, *factors))
    in_range = len(factors) < 2  # in the order in which they are multiplied below
    if member.name == "power":
        y = _power(member, wide, wide_factors)
    elif member.name == "antiderivative":
        first, second = _antiderivative(wide)
        y = (
            math.prod(wide_factors, start=first) * second
            if in_range
            else _product([*wide_factors, first, second])
        )
    else:
        value = _HEADS[member.name](wide)
        y = math.prod(wide_factors, start=value) if in_range else _product([*wide_factors, value])
    return y if y.dtype == x.dtype else y.astype(x.dtype)


def complex_softsign(z: Any) -> Any:
    """Return z/(1 + |z|), infinite parts taken as the largest numbers, and |z| without overflow.

    Parameters
    ----------
    z : array of complex dtype
        Argument.

    Returns
    -------
    array of the shape and dtype of `z`
        Its softsign.
    """
    largest = jnp.finfo(z.dtype).max
    real, imaginary = (jnp.clip(part, -largest, largest) for part in (z.real, z.imag))
    huge = jnp.maximum(jnp.abs(real), jnp.abs(imaginary)) > largest**0.5
    # A factor of both sides of the fraction, 2^-64 or 2^-512, by which a huge z does not become subnormal.
    scale = jnp.where(huge, largest**-0.5, 1)
    real, imaginary = real * scale, imaginary * scale
    t = scale + jnp.abs(lax.complex(real, imaginary))
    return lax.complex(real / t, imaginary / t)


def _widened(x: Any) -> Any:
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


def _softsign(x: Any) -> Any:
    largest = jnp.full_like(x, jnp.finfo(x.dtype).max, shape=())
    x = lax.clamp(-largest, x, largest)
    return x / (1 + jnp.abs(x))


def _clamped_softsign(x: Any) -> Any:
    """Return softsign, for use beside its derivative.

    The second clamp changes no value. XLA's CPU backend leaves a sum of quotients to a library that took one
    thread 2.2 times as long as the loop that it compiles for a sum of anything else.
    """
    y = _softsign(x)
    return lax.clamp(jnp.full_like(y, -1, shape=()), y, jnp.full_like(y, 1, shape=()))


def _inverse(y: Any) -> Any:
    a = jnp.abs(y)
    return jnp.where(a > 1, jnp.nan, y / (1 - a))


def _log_jacobian(x: Any) -> Any:
    return -2 * jnp.log1p(jnp.abs(x))


def _antiderivative(x: Any) -> tuple[Any, Any]:
    """Return two factors of abs(x) - log(1 + abs(x)), which comes from a series for abs(x) < 1.

    There it cancels. log(1 + a) = 2 artanh(r) = 2 (r + r**3 / 3 + r**5 / 5 ...) with r = a / (2 + a), and a -
    2 r = r a. Small numbers can be multiplied by either factor where the product would be 0.
    """
    a = jnp.abs(x)
    small = jnp.minimum(a, 1)
    r = small / (2 + small)
    series = _polynomial([1 / (2 * k + 3) for k in range(_TERMS[x.dtype][0])], r * r)
    near = a < 1
    # From 1e30 on the logarithm is lost in rounding; an infinite one would make nan of inf.
    far = a - jnp.log1p(jnp.minimum(a, 1e30))
    return jnp.where(near, r - 2 * (r / (2 + small) * (r * series)), 1), jnp.where(near, a, far)


def _second_antiderivative(x: Any) -> Any:
    """Return sgn(x) (x**2 / 2 + a - (1 + a) log(1 + a)) with a = abs(x), which cancel for a < 8.

    There it comes from that of b = z - 1, z = sqrt(1 + a), in a sum of positive terms: b**3 (1 + b / 2) + 2 z
    G(b), with G(b) = r b**2 times the sum of r**(2 k) / ((2 k + 1) (2 k + 3)), r = b / (2 + b).
    """
    a = jnp.abs(x)
    small = jnp.minimum(a, 8)
    z = jnp.sqrt(1 + small)
    b = small / (1 + z)
    r = b / (2 + b)
    series = _polynomial([1 / ((2 * k + 1) * (2 * k + 3)) for k in range(_TERMS[x.dtype][1])], r * r)
    half = 0.5 * small
    b = half - half * r  # again, with a third of the error, which r can bear
    near = b * (b * (half + 2 * z * (r * series)))
    logarithm = jnp.log1p(jnp.minimum(a, 1e30))
    far = a * ((1 + 0.5 * a) - logarithm) - logarithm
    return jnp.copysign(jnp.where(a < 8, near, far), x)


_HEADS = {
    "softsign": _softsign,
    "clamped_softsign": _clamped_softsign,
    "inverse": _inverse,
    "log_jacobian": _log_jacobian,
    "second_antiderivative": _second_antiderivative,
}


def _polynomial(coefficients: list[float], x: Any) -> Any:
    """Return the sum of coefficients[k] x**k."""
    value = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value


def _power(member: Member, x: Any, factors: Sequence[Any]) -> Any:
    """Return the factors times c (-s)**m (m - 1)! sgn(x)**m / (1 + s abs(x))**m.

    With u, 1 or a small power of two, t = fl(u + u s|x|), h, the upper half of the quotient 1/t, and d =
    1 - h (u + u s|x|), abs(d) < 2^-10.9, the power is (u h)^m (1 - d)^-m = (u h)^m (1 + m d + m (m + 1)/2 d^2
    + ...), up to terms below 2^-27. Each product in d is exact or small beside 1, so it does not matter
    whether the compiler rounds it or contracts it into an fma; h^2 is exact. For m = 2 that leaves one
    rounding, and one for a factor.
    """
    _, s, m, times = member
    a = jnp.abs(x)
    in_range = m <= 2 and len(factors) < 2
    h, d, u_exponent = _reciprocal(s, a, scaled=not in_range)
    terms = 2
    while math.comb(m + terms, terms + 1) * 2 ** (-10.9 * (terms + 1)) > 2**-27:
        terms += 1
    series: Any = math.comb(m + terms - 1, terms)
    for k in range(terms - 1, 0, -1):
        series = math.comb(m + k - 1, k) + d * series
    powers, constant, exponent = [_raised(h, m)], float(times), 0
    if not in_range:
        mantissa, exponent = _split(h)
        powers = [_raised(mantissa, min(_CHUNK, m - start)) for start in range(0, m, _CHUNK)]
        constant, constant_exponent = _whole(times * math.factorial(m - 1))
        exponent = constant_exponent + m * (exponent + u_exponent)
    leading = powers[0] if constant == 1 else constant * powers[0]
    value: Any = leading + leading * (d * series)
    if s < 0:
        value = jnp.where(a < 1, value, jnp.where(a == 1, jnp.inf, jnp.nan))
    if m % 2:
        value = jnp.where(x > 0, -s * value, jnp.where(x < 0, s * value, x))
    if not in_range:
        return _product([*factors, *powers[1:]], exponent, start=value)  # which is between 1 and 2^65
    return math.prod(factors, start=value)


def _reciprocal(s: int, a: Any, *, scaled: bool) -> tuple[Any, Any, Any]:
    """Return h, d and e with 1/(1 + s a) = u h/(1 - d), u = 2^e, which is 1 if not `scaled`.

    An infinite a gives h = 0; one of 1 or more is taken as 0 for s = -1.
    """
    u: Any = 1
    exponent: Any = 0
    finite = jnp.minimum(a, jnp.finfo(a.dtype).max) if s > 0 else jnp.where(a < 1, a, 0)
    if s > 0 and scaled:  # so that 1/t is a normal number
        far = a > 2.0 ** _REACH[a.dtype]
        u, exponent = jnp.where(far, jnp.asarray(2.0**-64, a.dtype), 1), jnp.where(far, -64, 0)
        finite = finite * u
    t = u + s * finite
    upper = _upper_half(t)
    h = _upper_half(1 / t)
    large = finite > u
    # Exact: the larger term goes first.
    lower = (jnp.where(large, s * finite, u) - upper) + jnp.where(large, u, s * finite)
    d = (1 - h * upper) - h * lower
    return jnp.where(a == jnp.inf, 0, h) if s > 0 else h, d, exponent


def _raised(h: Any, m: int) -> Any:
    """Return h**m, of which h**2 is exact."""
    value = h if m % 2 else None
    square = h * h
    for _ in range(m // 2):
        value = square if value is None else value * square
    return value


def _whole(number: int) -> tuple[float, int]:
    """Return m, 1 <= m < 2, and e with m 2^e = number, which may be too large for a float."""
    exponent = number.bit_length() - 1
    return number / (1 << exponent), exponent


def _product(factors: Sequence[Any], exponent: Any = 0, *, start: Any = 1) -> Any:
    """Return start times the factors and 2^exponent."""
    y = start
    for factor in factors:
        mantissa, own = _split(factor)
        y, exponent = y * mantissa, exponent + own
    # In two steps, as 2^exponent alone may be out of range.
    reach = 2 * jnp.finfo(y.dtype).maxexp - 4
    exponent = jnp.clip(exponent, -reach, reach)
    half = exponent >> 1
    return y * _power_of_two(half, y.dtype) * _power_of_two(exponent - half, y.dtype)


def _split(x: Any) -> tuple[Any, Any]:
    """Return m, 1 <= abs(m) < 2, and e with m 2^e = x; 0, subnormal and other numbers are their own m."""
    info, bits = jnp.finfo(x.dtype), _bits(x)
    one, every = (_bits(jnp.full_like(x, value, shape=())) for value in (1, jnp.inf))
    field = bits & every
    mantissa = lax.bitcast_convert_type((bits ^ field) | one, x.dtype)
    exponent = (field >> np.array(info.nmant, one.dtype)).astype(jnp.int32) - (info.maxexp - 1)
    normal = (field != 0) & (field != every)
    return jnp.where(normal, mantissa, x), jnp.where(normal, exponent, 0)


def _power_of_two(exponent: Any, dtype: Any) -> Any:
    info, integers = jnp.finfo(dtype), _UPPER_HALF[dtype].dtype
    return lax.bitcast_convert_type(
        (exponent + (info.maxexp - 1)).astype(integers) << np.array(info.nmant, integers), dtype
    )


def _bits(x: Any) -> Any:
    return lax.bitcast_convert_type(x, _UPPER_HALF[x.dtype].dtype)


def _upper_half(x: Any) -> Any:
    """Return `x` without the lower half of its significand."""
    return lax.bitcast_convert_type(_bits(x) & _UPPER_HALF[x.dtype], x.dtype)
