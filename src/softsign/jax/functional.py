"""The functions of `softsign.jax`.

With s = +1 for softsign and s = -1 for its inverse, and away from 0,

    d/dx 1/(1 + s|x|) = -s sgn(x)/(1 + s|x|)^2,

so the n-th derivative of either is (-s)^(n+1) n! sgn(x)^(n+1)/(1 + s|x|)^(n+1). At 0, where the even ones
jump, they are 0, the mean of the one-sided limits.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any, SupportsIndex, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from softsign.functions import MAX_ORDER

__all__ = [
    "antiderivative",
    "derivative",
    "gradient",
    "inverse",
    "log_jacobian",
    "nth_derivative",
    "second_antiderivative",
    "softsign",
]

# The integers that clear the lower half of a significand: 12 of 24 bits stay, 26 of 53. Two such numbers
# multiply exactly.
_UPPER_HALF = {
    np.dtype(np.float32): np.uint32(0xFFFF_F000),
    np.dtype(np.float64): np.uint64(0xFFFF_FFFF_F800_0000),
}
#: Terms of the series of the antiderivative (r <= 1/3) and of the second one (r <= 1/2), which leave less
#: than an eighth of the last place.
_TERMS = {np.dtype(np.float32): (8, 11), np.dtype(np.float64): (17, 24)}


@jax.jit  # type: ignore[untyped-decorator]
def softsign(x: jax.typing.ArrayLike) -> jax.Array:
    """Return x / (1 + abs(x)).

    The error is below 1.5 ulp in float32 and float64; float16 and bfloat16 results are the correctly rounded
    ones. The derivative errs by at most 0.52 ulp, and a cotangent or tangent that multiplies it adds one
    rounding, but none in the 16-bit types.

    Parameters
    ----------
    x : array_like
        Any shape; floating, complex, integer or bool. Complex z gives z / (1 + abs(z)).

    Returns
    -------
    jax.Array
        Shape of `x`; its dtype if that is floating or complex, otherwise the default floating dtype. +-1 at
        +-inf, with derivative 0; nan at nan; zeros keep their sign.

    Raises
    ------
    TypeError
        When `x` is not an array or scalar of numbers.

    Examples
    --------
    >>> softsign(jnp.array([-jnp.inf, -3, 0, 1], jnp.float32))
    Array([-1.  , -0.75,  0.  ,  0.5 ], dtype=float32)
    >>> jax.grad(jax.grad(softsign))(jnp.float32(0))  # where it jumps from 2 to -2
    Array(0., dtype=float32)
    """
    x = _inexact("softsign", x)
    return _applied(_complex_softsign if jnp.iscomplexobj(x) else functools.partial(_softsign, False), x)


@jax.jit  # type: ignore[untyped-decorator]
def derivative(x: jax.typing.ArrayLike) -> jax.Array:
    """Return f'(x) = 1 / (1 + abs(x))**2 of softsign f, with an error of at most 0.52 ulp.

    Parameters
    ----------
    x : array_like
        Any shape; floating, integer or bool.

    Returns
    -------
    jax.Array
        Shape and dtype as from `softsign`; 0 at +-inf and, on the CPU, where the value is subnormal.

    Raises
    ------
    TypeError
        When `x` is not an array or scalar of real numbers.

    Examples
    --------
    >>> derivative(jnp.array([0, -1, 3, jnp.inf], jnp.float32))
    Array([1.    , 0.25  , 0.0625, 0.    ], dtype=float32)
    """
    return _applied(functools.partial(_power, 1, 2), _real("derivative", x))


@jax.jit  # type: ignore[untyped-decorator]
def gradient(x: jax.typing.ArrayLike, dy: jax.typing.ArrayLike) -> jax.Array:
    """Return dy / (1 + abs(x))**2, the gradient of softsign at x for the gradient dy of its result.

    Parameters
    ----------
    x : array_like
        Any shape; floating, integer or bool.
    dy : array_like
        Gradient with respect to softsign(x); as `x`, with which it is broadcast.

    Returns
    -------
    jax.Array
        Shape of both broadcast, dtype promoted from theirs; 0 where `derivative` is.

    Raises
    ------
    TypeError
        If `x` or `dy` is not an array or scalar of real numbers.

    Examples
    --------
    >>> gradient(jnp.array([-3.0, 0.0, 1.0]), 8.0)
    Array([0.5, 8. , 2. ], dtype=float32)
    """
    arrays = _real("gradient", x), _real("gradient", dy)
    dtype = jnp.result_type(*arrays)
    return _applied(_gradient, *(array.astype(dtype) for array in jnp.broadcast_arrays(*arrays)))


@functools.partial(jax.jit, static_argnums=0)
def nth_derivative(n: SupportsIndex, x: jax.typing.ArrayLike) -> jax.Array:
    """Return the derivative of order n of softsign, (-sgn(x))**(n + 1) n! / (1 + abs(x))**(n + 1) for n > 0.

    Parameters
    ----------
    n : int
        Order, from 0 to 170; a number of Python or NumPy, not of a traced computation.
    x : array_like
        Any shape; floating, integer or bool.

    Returns
    -------
    jax.Array
        Shape and dtype as from `softsign`. At 0, where the derivatives of even order jump, those are 0.

    Raises
    ------
    TypeError
        If `n` is not an integer, or `x` is not an array or scalar of real numbers.
    ValueError
        If `n` is out of its range.

    Examples
    --------
    >>> nth_derivative(2, jnp.array([-1.0, 0.0, 1.0]))
    Array([ 0.25,  0.  , -0.25], dtype=float32)
    """
    order = operator.index(n)
    if not 0 <= order <= MAX_ORDER:
        raise ValueError(f"nth_derivative: n must be an integer from 0 to {MAX_ORDER}, got {order}")
    x = _real("nth_derivative", x)
    return _applied(
        functools.partial(_power, 1, order + 1) if order else functools.partial(_softsign, False), x
    )


@jax.jit  # type: ignore[untyped-decorator]
def antiderivative(x: jax.typing.ArrayLike) -> jax.Array:
    """Return abs(x) - log(1 + abs(x)), whose derivative is softsign: Fair's loss.

    Parameters
    ----------
    x : array_like
        Any shape; floating, integer or bool.

    Returns
    -------
    jax.Array
        Shape and dtype as from `softsign`; inf at ±inf.

    Raises
    ------
    TypeError
        If `x` is not an array or scalar of real numbers.

    Examples
    --------
    >>> print(f"{antiderivative(-1.0):.4f} {antiderivative(3.0):.4f}")
    0.3069 1.6137
    """
    return _applied(_antiderivative, _real("antiderivative", x))


@jax.jit  # type: ignore[untyped-decorator]
def second_antiderivative(x: jax.typing.ArrayLike) -> jax.Array:
    """Return the antiderivative of `antiderivative` that is 0 at 0.

    It is sgn(x) (x**2 / 2 + abs(x) - (1 + abs(x)) log(1 + abs(x))).

    Parameters
    ----------
    x : array_like
        Any shape; floating, integer or bool.

    Returns
    -------
    jax.Array
        Shape and dtype as from `softsign`; ±inf at ±inf.

    Raises
    ------
    TypeError
        If `x` is not an array or scalar of real numbers.

    Examples
    --------
    >>> print(f"{second_antiderivative(-1.0):.4f} {second_antiderivative(3.0):.4f}")
    -0.1137 1.9548
    """
    return _applied(_second_antiderivative, _real("second_antiderivative", x))


@jax.jit  # type: ignore[untyped-decorator]
def inverse(y: jax.typing.ArrayLike) -> jax.Array:
    """Return y / (1 - abs(y)), the x with softsign(x) = y.

    The error is below 1.5 ulp in float32 and float64, that of the derivative 1 / (1 - abs(y))**2 at most 0.52
    ulp; in float16 and bfloat16 both are at most 0.51 ulp.

    Parameters
    ----------
    y : array_like
        Any shape; floating, integer or bool.

    Returns
    -------
    jax.Array
        Shape and dtype as from `softsign`; +-inf at +-1, with derivative inf, and nan beyond.

    Raises
    ------
    TypeError
        When `y` is not an array or scalar of real numbers.

    Examples
    --------
    >>> inverse(jnp.array([-1, 0.75, 2], jnp.float32))
    Array([-inf,   3.,  nan], dtype=float32)
    """
    return _applied(_inverse, _real("inverse", y))


@jax.jit  # type: ignore[untyped-decorator]
def log_jacobian(x: jax.typing.ArrayLike) -> jax.Array:
    """Return log f'(x) = -2 log(1 + abs(x)) of softsign f, what a normalizing flow adds up.

    Its derivative -2 sgn(x) / (1 + abs(x)) is 0 at 0 and at +-inf. The error is that of XLA's log1p, below 3
    ulp on the CPU in float32 and float64; in the 16-bit types at most 0.51 ulp.

    Parameters
    ----------
    x : array_like
        Any shape; floating, integer or bool.

    Returns
    -------
    jax.Array
        Shape and dtype as from `softsign`; -inf at +-inf.

    Raises
    ------
    TypeError
        When `x` is not an array or scalar of real numbers.

    Examples
    --------
    >>> log_jacobian(jnp.array([0, -1, jnp.inf], jnp.float32))
    Array([-0.       , -1.3862944,       -inf], dtype=float32)
    """
    return _applied(_log_jacobian, _real("log_jacobian", x))


def _inexact(function: str, x: Any) -> jax.Array:
    """Return `x` as an array of floating or complex dtype."""
    if not isinstance(x, get_args(jax.typing.ArrayLike)):
        raise TypeError(f"{function} takes an array or scalar of numbers, not {type(x).__name__}")
    x = jnp.asarray(x)
    if not (jnp.issubdtype(x.dtype, jnp.number) or x.dtype == jnp.bool_):
        raise TypeError(f"{function} takes an array or scalar of numbers, not one of dtype {x.dtype}")
    # Division promotes integers as jnp.exp does, and a bool as divisor keeps weak types weak and others as
    # they are.
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else jnp.divide(x, True)


def _real(function: str, x: Any) -> jax.Array:
    x = _inexact(function, x)
    if jnp.iscomplexobj(x):
        raise TypeError(f"{function} takes real numbers, not dtype {x.dtype}")
    return x


def _applied(function: Callable[..., Any], *arrays: jax.Array) -> jax.Array:
    """Return the function rounded to the dtype of the arrays, which are all that reverse mode keeps."""

    def rounded(*arrays: Any) -> Any:
        y = function(*arrays)
        return y if y.dtype == arrays[0].dtype else y.astype(arrays[0].dtype)

    # What prevent_cse guards against, a compiler that shares the two computations, is welcome: one fusion has
    # both.
    result: jax.Array = jax.checkpoint(rounded, prevent_cse=False)(*arrays)
    return result


def _widened(x: Any) -> Any:
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _softsign(beside_derivative: bool, x: Any) -> Any:
    x = _widened(x)
    largest = jnp.full_like(x, jnp.finfo(x.dtype).max, shape=())
    x = lax.clamp(-largest, x, largest)
    y = x / (1 + jnp.abs(x))
    # Beside the derivative a second clamp, which changes no value. XLA's CPU backend leaves a sum of
    # quotients to a library that took one thread 2.2 times as long as the loop that it compiles for a sum of
    # anything else.
    return (
        lax.clamp(jnp.full_like(y, -1, shape=()), y, jnp.full_like(y, 1, shape=()))
        if beside_derivative
        else y
    )


@_softsign.defjvp  # type: ignore[untyped-decorator]
def _softsign_jvp(beside_derivative: bool, primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return _softsign(True, *primals), _widened(*tangents) * _power(1, 2, *primals)


def _gradient(x: Any, dy: Any) -> Any:
    return _widened(dy) * _power(1, 2, x)


@jax.custom_jvp  # type: ignore[untyped-decorator]
def _inverse(y: Any) -> Any:
    y = _widened(y)
    a = jnp.abs(y)
    return jnp.where(a > 1, jnp.nan, y / (1 - a))


@_inverse.defjvp  # type: ignore[untyped-decorator]
def _inverse_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return _inverse(*primals), _widened(*tangents) * _power(-1, 2, *primals)


@jax.custom_jvp  # type: ignore[untyped-decorator]
def _log_jacobian(x: Any) -> Any:
    return -2 * jnp.log1p(jnp.abs(_widened(x)))


@_log_jacobian.defjvp  # type: ignore[untyped-decorator]
def _log_jacobian_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return _log_jacobian(*primals), _widened(*tangents) * (2 * _power(1, 1, *primals))


@jax.custom_jvp  # type: ignore[untyped-decorator]
def _antiderivative(x: Any) -> Any:
    """Return abs(x) - log(1 + abs(x)), by a series for abs(x) < 1 where these cancel.

    log(1 + a) = 2 artanh(r) = 2 (r + r**3 / 3 + r**5 / 5 ...) with r = a / (2 + a), and a - 2 r = r a.
    """
    x = _widened(x)
    a = jnp.abs(x)
    small = jnp.minimum(a, 1)
    r = small / (2 + small)
    series = _polynomial([1 / (2 * k + 3) for k in range(_TERMS[x.dtype][0])], r * r)
    # From 1e30 on the logarithm is lost in rounding; an infinite one would make nan of inf.
    return jnp.where(a < 1, r * (small - 2 * (r * r * series)), a - jnp.log1p(jnp.minimum(a, 1e30)))


@_antiderivative.defjvp  # type: ignore[untyped-decorator]
def _antiderivative_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return _antiderivative(*primals), _widened(*tangents) * _softsign(True, *primals)


@jax.custom_jvp  # type: ignore[untyped-decorator]
def _second_antiderivative(x: Any) -> Any:
    """Return sgn(x) (x**2 / 2 + a - (1 + a) log(1 + a)) with a = abs(x), which cancel for a < 8.

    There it comes from that of b = z - 1, z = sqrt(1 + a), in a sum of positive terms: b**3 (1 + b / 2) + 2 z
    G(b), with G(b) = r b**2 times the sum of r**(2 k) / ((2 k + 1) (2 k + 3)), r = b / (2 + b).
    """
    x = _widened(x)
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


@_second_antiderivative.defjvp  # type: ignore[untyped-decorator]
def _second_antiderivative_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return _second_antiderivative(*primals), _widened(*tangents) * _antiderivative(*primals)


def _polynomial(coefficients: list[float], x: Any) -> Any:
    """Return the sum of coefficients[k] x**k."""
    value = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _power(s: int, m: int, x: Any) -> Any:
    """Return (-s)**m (m - 1)! sgn(x)**m / (1 + s abs(x))**m, of which the derivative is the same with m + 1.

    With h, the upper half of the quotient 1/t, t = fl(1 + s|x|), and d = 1 - h (1 + s|x|), abs(d) < 2^-10.9,
    the power is h^m (1 - d)^-m = h^m (1 + m d + m (m + 1)/2 d^2 + ...), up to terms below 2^-27. Each product
    in d is exact or small beside 1, so it does not matter whether the compiler rounds it or contracts it into
    an fma; h^2 is exact. For m = 2 that leaves one rounding.
    """
    x = _widened(x)
    a = jnp.abs(x)
    t = 1 + s * a
    upper = _upper_half(t)
    h = _upper_half(1 / t)
    large = a > 1
    # Exact: the larger term goes first.
    lower = (jnp.where(large, s * a, 1) - upper) + jnp.where(large, 1, s * a)
    d = (1 - h * upper) - h * lower
    # h^m (m - 1)! as a product of pairs, k h times (m - k) h: with s = 1 it first falls and then rises, and
    # neither the whole nor a part of it leaves the range where the result does not.
    leading = h
    for k in range(1, (m + 1) // 2):
        leading = leading * (k * (m - k) * (h * h))
    if m % 2 == 0:
        leading = leading * (m // 2 * h)
    terms = 2
    while math.comb(m + terms, terms + 1) * 2 ** (-10.9 * (terms + 1)) > 2**-27:
        terms += 1
    series: Any = math.comb(m + terms - 1, terms)
    for k in range(terms - 1, 0, -1):
        series = math.comb(m + k - 1, k) + d * series
    value = leading + leading * (d * series)
    if m > 2:  # h and h^2 do not overflow
        value = jnp.where(leading == jnp.inf, leading, value)
    if s > 0:
        value = jnp.where(a == jnp.inf, 0, value)
    else:
        value = jnp.where(a < 1, value, jnp.where(a == 1, jnp.inf, jnp.nan))
    return value if m % 2 == 0 else jnp.where(x > 0, -s * value, jnp.where(x < 0, s * value, x))


@_power.defjvp  # type: ignore[untyped-decorator]
def _power_jvp(s: int, m: int, primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return _power(s, m, *primals), _widened(*tangents) * _power(s, m + 1, *primals)


def _upper_half(x: Any) -> Any:
    """Return `x` without the lower half of its significand."""
    mask: Any = _UPPER_HALF[x.dtype]
    return lax.bitcast_convert_type(lax.bitcast_convert_type(x, mask.dtype) & mask, x.dtype)


def _complex_softsign(z: Any) -> Any:
    """Return z/(1 + |z|), infinite parts taken as the largest numbers, and |z| without overflow."""
    largest = jnp.finfo(z.dtype).max
    real, imaginary = (jnp.clip(part, -largest, largest) for part in (z.real, z.imag))
    huge = jnp.maximum(jnp.abs(real), jnp.abs(imaginary)) > largest**0.5
    # A factor of both sides of the fraction, 2^-64 or 2^-512, by which a huge z does not become subnormal.
    scale = jnp.where(huge, largest**-0.5, 1)
    real, imaginary = real * scale, imaginary * scale
    t = scale + jnp.abs(lax.complex(real, imaginary))
    return lax.complex(real / t, imaginary / t)
