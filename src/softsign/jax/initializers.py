"""Initialization of softsign networks in JAX, on the edge of chaos, beside `jax.nn.initializers`.

Each function returns an initializer, called as ``initializer(key, shape, dtype)``, which Flax, Haiku and
Equinox take as they take JAX's own. With `softsign_normal` (or its kin) for the weights and `softsign_bias`
for the biases of every layer, and `input_second_moment` given for the first, pre-activations have the
variance q in all layers, and gradients keep theirs. `softsign.init` has the theory.

Examples
--------
>>> import jax
>>> from softsign.jax.initializers import softsign_bias, softsign_normal
>>> key, width, q = jax.random.key(0), 300, 0.5
>>> weights = softsign_normal(q, input_second_moment=1.0)(key, (width, width))
>>> biases = softsign_bias(q)(jax.random.key(1), (width,))
>>> x = jax.random.normal(jax.random.key(2), (width, width))
>>> print(f"{jax.numpy.var(x @ weights + biases):.1f}")
0.5
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax

from softsign import init

__all__ = ["softsign_bias", "softsign_normal", "softsign_orthogonal", "softsign_uniform"]

Axes = int | Sequence[int]


def softsign_normal(
    q: float = 0.1,
    input_second_moment: float | None = None,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: Any = None,
) -> jax.nn.initializers.Initializer:
    """Return an initializer of normal weights of variance sigma_w**2 / fan_in (`softsign.init.critical`).

    Parameters
    ----------
    q : float
        Variance of the pre-activations, above 0, at most 1e16. Small values keep distances between inputs to
        greater depth: about 1/(2 depth) does.
    input_second_moment : float, optional
        For a first layer: the mean square of the network's input, 1 if it is standardized. Default: the
        layer's input comes out of softsign.
    in_axis : int or sequence of int
        Axes of the inputs, as in `jax.nn.initializers.variance_scaling`; axes not named are a convolution's
        window.
    out_axis : int or sequence of int
        Axes of the outputs.
    batch_axis : int or sequence of int
        Axes along which there are independent layers.
    dtype : dtype_like, optional
        Default dtype of the weights.

    Returns
    -------
    jax.nn.initializers.Initializer
        Called as ``initializer(key, shape, dtype)``.

    Raises
    ------
    ValueError
        If `q` or `input_second_moment` is out of its range.

    Examples
    --------
    >>> weights = softsign_normal(q=1.0)(jax.random.key(0), (300, 300))
    >>> print(f"{weights.std() * 300**0.5:.1f}")
    2.1
    """
    return _scaled(q, input_second_moment, "normal", in_axis, out_axis, batch_axis, dtype)


def softsign_uniform(
    q: float = 0.1,
    input_second_moment: float | None = None,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: Any = None,
) -> jax.nn.initializers.Initializer:
    """Return an initializer of uniform weights of variance sigma_w**2 / fan_in (`softsign.init.critical`).

    Parameters
    ----------
    q : float
        Variance of the pre-activations, above 0, at most 1e16.
    input_second_moment : float, optional
        For a first layer: the mean square of the network's input. Default: the layer's input comes out of
        softsign.
    in_axis : int or sequence of int
        Axes of the inputs, as in `jax.nn.initializers.variance_scaling`; axes not named are a convolution's
        window.
    out_axis : int or sequence of int
        Axes of the outputs.
    batch_axis : int or sequence of int
        Axes along which there are independent layers.
    dtype : dtype_like, optional
        Default dtype of the weights.

    Returns
    -------
    jax.nn.initializers.Initializer
        Called as ``initializer(key, shape, dtype)``.

    Raises
    ------
    ValueError
        If `q` or `input_second_moment` is out of its range.

    Examples
    --------
    >>> weights = softsign_uniform(q=1.0)(jax.random.key(0), (400, 300))
    >>> print(f"{abs(weights).max() * 20 / 3**0.5:.2f}")
    2.10
    """
    return _scaled(q, input_second_moment, "uniform", in_axis, out_axis, batch_axis, dtype)


def softsign_orthogonal(
    q: float = 0.1, input_second_moment: float | None = None, column_axis: int = -1, dtype: Any = None
) -> jax.nn.initializers.Initializer:
    """Return an initializer of multiples of orthogonal matrices with the variance sigma_w**2 / fan_in.

    Parameters
    ----------
    q : float
        Variance of the pre-activations, above 0, at most 1e16.
    input_second_moment : float, optional
        For a first layer: the mean square of the network's input. Default: the layer's input comes out of
        softsign.
    column_axis : int
        Axis of the outputs; all others are inputs.
    dtype : dtype_like, optional
        Default dtype of the weights.

    Returns
    -------
    jax.nn.initializers.Initializer
        Called as ``initializer(key, shape, dtype)``.

    Raises
    ------
    ValueError
        If `q` or `input_second_moment` is out of its range, or, when it is called, `shape` has fewer than 2
        axes.

    Examples
    --------
    >>> weights = softsign_orthogonal(q=1.0)(jax.random.key(0), (300, 300))
    >>> print(f"{jax.numpy.linalg.norm(weights, 2):.4f}")
    2.0958
    """
    sigma = _sigma(q, input_second_moment)
    orthogonal = jax.nn.initializers.orthogonal(1.0, column_axis)

    def initializer(key: jax.Array, shape: Any, dtype: Any = dtype, out_sharding: Any = None) -> jax.Array:
        # LAPACK knows no type of 16 bits.
        wide = dtype if dtype is None else jax.numpy.promote_types(dtype, "float32")
        matrix = orthogonal(key, shape, wide, out_sharding)
        outputs = shape[column_axis]
        # The variance of its elements is 1 / max(inputs, outputs).
        scaled = matrix * (sigma * math.sqrt(max(1.0, outputs**2 / max(1, matrix.size))))
        return scaled.astype(matrix.dtype if dtype is None else dtype)

    return initializer


def softsign_bias(q: float = 0.1, dtype: Any = None) -> jax.nn.initializers.Initializer:
    """Return an initializer of normal biases with the deviation sigma_b of `softsign.init.critical`.

    Parameters
    ----------
    q : float
        Variance of the pre-activations, from 0 to 1e16: the same as for the weights.
    dtype : dtype_like, optional
        Default dtype of the biases.

    Returns
    -------
    jax.nn.initializers.Initializer
        Called as ``initializer(key, shape, dtype)``.

    Raises
    ------
    ValueError
        If `q` is out of its range.

    Examples
    --------
    >>> biases = softsign_bias(q=1.0)(jax.random.key(0), (100_000,))
    >>> print(f"{biases.std():.2f}")
    0.44
    """
    return jax.nn.initializers.normal(float(init.critical(q).sigma_b), dtype)


def _sigma(q: float, input_second_moment: float | None) -> float:
    """Return the standard deviation of the weights, times sqrt(fan_in)."""
    if input_second_moment is None:
        return float(init.critical(q).sigma_w)
    return float(init.first_layer(q, input_second_moment))


def _scaled(
    q: float,
    input_second_moment: float | None,
    distribution: Any,
    in_axis: Axes,
    out_axis: Axes,
    batch_axis: Axes,
    dtype: Any,
) -> jax.nn.initializers.Initializer:
    variance = _sigma(q, input_second_moment) ** 2
    return jax.nn.initializers.variance_scaling(
        variance, "fan_in", distribution, in_axis, out_axis, batch_axis, dtype
    )
