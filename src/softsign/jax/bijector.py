"""Softsign as a bijector, with the methods that NumPyro, Distrax and TensorFlow Probability call."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from softsign.jax.functional import log_jacobian, softsign

__all__ = ["SoftsignBijector"]


@jax.tree_util.register_pytree_node_class
class SoftsignBijector:
    """Map the real line onto (-bound, bound) by y = bound softsign(x / bound) = x / (1 + abs(x) / bound).

    Its methods are those of Distrax's and TensorFlow Probability's bijectors of scalars, and of NumPyro's
    transforms; none of these is imported. It is a pytree whose leaf is the bound.

    Parameters
    ----------
    bound : float or jax.Array
        Where the values end; positive and finite, which is not checked of a traced array. Broadcast with x.

    Raises
    ------
    ValueError
        If `bound` is not positive and finite.
    TypeError
        If it is not an array or scalar of numbers.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from softsign.jax import SoftsignBijector
    >>> y, log_det = SoftsignBijector(bound=2.0).forward_and_log_det(jnp.array([-6.0, 0.0, 2.0]))
    >>> print(y, log_det)
    [-1.5  0.   1. ] [-2.7725887 -0.        -1.3862944]
    >>> print(SoftsignBijector(bound=2.0).inverse(y))
    [-6.  0.  2.]
    """

    event_ndims_in = event_ndims_out = 0
    is_constant_jacobian = is_constant_log_det = False

    def __init__(self, bound: Any = 1.0) -> None:
        if not isinstance(bound, jax.core.Tracer):
            values = np.asarray(bound)
            if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
                raise TypeError(f"SoftsignBijector: bound must be real numbers, got {bound!r}")
            if not ((values > 0) & (values < np.inf)).all():
                raise ValueError(f"SoftsignBijector: bound must be positive and finite, got {bound}")
        self.bound = bound

    def tree_flatten(self) -> tuple[tuple[Any], None]:
        """Return the bound, for `jax.tree_util`.

        Returns
        -------
        children : tuple
            The bound.
        static : None
            There is nothing else.
        """
        return (self.bound,), None

    @classmethod
    def tree_unflatten(cls, static: None, children: tuple[Any]) -> SoftsignBijector:
        """Return the bijector of a bound that may be anything, for `jax.tree_util`.

        Parameters
        ----------
        static : None
            Nothing.
        children : tuple
            The bound.

        Returns
        -------
        SoftsignBijector
            With that bound.
        """
        bijector = object.__new__(cls)
        (bijector.bound,) = children
        return bijector

    def forward(self, x: jax.typing.ArrayLike) -> jax.Array:
        """Return bound softsign(x / bound).

        Parameters
        ----------
        x : array_like
            Real numbers of any shape.

        Returns
        -------
        jax.Array
            Shape of `x` and the bound, broadcast.
        """
        return self.bound * softsign(x / self.bound)

    __call__ = forward

    def inverse(self, y: jax.typing.ArrayLike) -> jax.Array:
        """Return y / (1 - abs(y) / bound): ±inf at ±bound, right next to it, nan beyond.

        Parameters
        ----------
        y : array_like
            Values of the bijector.

        Returns
        -------
        jax.Array
            Shape of `y` and the bound, broadcast.
        """
        rest = self.bound - jnp.abs(y)  # exact from half the bound on
        return y * (self.bound / jnp.where(rest >= 0, rest, jnp.nan))

    def forward_log_det_jacobian(self, x: jax.typing.ArrayLike) -> jax.Array:
        """Return -2 log(1 + abs(x) / bound), the logarithm of the derivative at x.

        Parameters
        ----------
        x : array_like
            Real numbers of any shape.

        Returns
        -------
        jax.Array
            Shape of `x` and the bound, broadcast.
        """
        return log_jacobian(x / self.bound)

    def inverse_log_det_jacobian(self, y: jax.typing.ArrayLike) -> jax.Array:
        """Return the logarithm of the inverse's derivative at y.

        Parameters
        ----------
        y : array_like
            Values of the bijector.

        Returns
        -------
        jax.Array
            Shape of `y` and the bound, broadcast; inf at ±bound.
        """
        return -self.forward_log_det_jacobian(self.inverse(y))

    def forward_and_log_det(self, x: jax.typing.ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Return `forward` and `forward_log_det_jacobian`, what Distrax asks for.

        Parameters
        ----------
        x : array_like
            Real numbers of any shape.

        Returns
        -------
        y, log_det : jax.Array
            Shape of `x` and the bound, broadcast.
        """
        return self.forward(x), self.forward_log_det_jacobian(x)

    def inverse_and_log_det(self, y: jax.typing.ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Return `inverse` and `inverse_log_det_jacobian`.

        Parameters
        ----------
        y : array_like
            Values of the bijector.

        Returns
        -------
        x, log_det : jax.Array
            Shape of `y` and the bound, broadcast.
        """
        x = self.inverse(y)
        return x, -self.forward_log_det_jacobian(x)

    def log_abs_det_jacobian(self, x: Any, y: Any, intermediates: Any = None) -> jax.Array:
        """Return `forward_log_det_jacobian` of x, what NumPyro asks for.

        Parameters
        ----------
        x : array_like
            Real numbers of any shape.
        y : array_like
            Value at `x`; not used.
        intermediates : object
            Not used.

        Returns
        -------
        jax.Array
            Shape of `x` and the bound, broadcast.
        """
        return self.forward_log_det_jacobian(x)
