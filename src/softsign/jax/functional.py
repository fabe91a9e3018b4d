"""The functions of `softsign.jax`: what they take, and what they give."""

from __future__ import annotations

import functools
import operator
from typing import Any, SupportsIndex, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from softsign.functions import MAX_ORDER
from softsign.jax.arithmetic import Member, complex_softsign
from softsign.jax.differentiation import applied

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

#: What JAX takes. `jax.jit` would turn scalars of ml_dtypes, which are NumPy's, into arrays.
_ARRAYS = (*get_args(jax.typing.ArrayLike), np.generic)


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
    if not jnp.iscomplexobj(x):
        return _typed(x, applied(Member("softsign"), x))
    # What prevent_cse guards against, a compiler that shares the two computations, is welcome: one fusion has
    # both.
    return _typed(x, jax.checkpoint(complex_softsign, prevent_cse=False)(x))


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
    x = _real("derivative", x)
    return _typed(x, applied(Member("power", 1, 2), x))


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
    x, dy = (array.astype(dtype) for array in jnp.broadcast_arrays(*arrays))
    return _typed(arrays[0] + arrays[1], applied(Member("power", 1, 2), x, dy))


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
    return _typed(x, applied(Member("power", 1, order + 1) if order else Member("softsign"), x))


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
    x = _real("antiderivative", x)
    return _typed(x, applied(Member("antiderivative"), x))


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
    x = _real("second_antiderivative", x)
    return _typed(x, applied(Member("second_antiderivative"), x))


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
    y = _real("inverse", y)
    return _typed(y, applied(Member("inverse"), y))


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
    x = _real("log_jacobian", x)
    return _typed(x, applied(Member("log_jacobian"), x))


def _inexact(function: str, x: Any) -> jax.Array:
    """Return `x` as an array of floating or complex dtype."""
    if not isinstance(x, _ARRAYS) and hasattr(x, "__jax_array__"):
        x = x.__jax_array__()
    if not isinstance(x, _ARRAYS):
        raise TypeError(f"{function} takes an array or scalar of numbers, not {type(x).__name__}")
    dtype = getattr(x, "dtype", None)  # Python's numbers have none
    if dtype is not None and not (jnp.issubdtype(dtype, jnp.number) or dtype == jnp.bool_):
        raise TypeError(f"{function} takes an array or scalar of numbers, not one of dtype {dtype}")
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    # Division promotes integers as jnp.exp does, and a bool as divisor keeps weak types weak and others as
    # they are.
    with jax.numpy_dtype_promotion("standard"):
        return jnp.divide(x, True)


def _real(function: str, x: Any) -> jax.Array:
    x = _inexact(function, x)
    if jnp.iscomplexobj(x):
        raise TypeError(f"{function} takes real numbers, not dtype {x.dtype}")
    return x


def _typed(x: jax.Array, y: jax.Array) -> jax.Array:
    """Return `y`, weakly typed if `x` is."""
    if not x.weak_type:
        return y
    fill = lax.full_like
    for _ in range(x.ndim):
        fill = jax.vmap(fill)
    return fill(x, y)
