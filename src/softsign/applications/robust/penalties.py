"""Penalties: softsign of abs(x), which makes coefficients exactly 0, and a smooth one for leaving a box."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softsign import _core
from softsign.variants._blocks import positive
from softsign.variants.sigmoids import soft_abs

__all__ = ["TransformedL1", "box_penalty"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TransformedL1:  # numpydoc ignore=PR02
    """The penalty (a + 1) abs(x) / (a + abs(x)): softsign of abs(x), scaled to 1 at abs(x) = 1.

    Like the lasso's abs(x) it has a kink at 0, so that coefficients become exactly 0; unlike it, it levels
    off, so that large ones are hardly shrunk [1]_. For a to infinity it is abs(x), for a to 0 the number of
    coefficients that are not 0.

    Parameters
    ----------
    a : float
        Where it levels off, in units of the coefficients, above 0 and finite.

    Raises
    ------
    ValueError
        If `a` is not above 0 and finite.
    TypeError
        If `a` is not a real number.

    References
    ----------
    .. [1] S. Zhang and J. Xin, "Minimization of transformed L1 penalty: closed form representation and
       iterative thresholding algorithms", Communications in Mathematical Sciences 15, 2017, 511-537.

    Examples
    --------
    >>> from softsign.applications import robust
    >>> penalty = robust.TransformedL1(1.0)
    >>> penalty.value([0.0, -1.0, 3.0])
    array([0. , 1. , 1.5])
    >>> penalty.prox([0.2, 1.0, 5.0], 0.2).round(4)
    array([0.    , 0.8878, 4.9888])
    """

    a: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "a", positive("TransformedL1", "a", self.a))

    def value(self, x: npt.ArrayLike) -> Any:
        """Return the penalty of each coefficient, from 0 to a + 1.

        Parameters
        ----------
        x : array_like of real numbers
            Coefficients, of any shape.

        Returns
        -------
        float64 scalar or array
            Of the shape of `x`.
        """
        return (self.a + 1) * _core.softsign(np.abs(np.asarray(x, np.float64)) / self.a)

    def weights(self, x: npt.ArrayLike) -> Any:
        """Return the slope with respect to abs(x), a (a + 1) / (a + abs(x))**2.

        As the penalty is concave in abs(x), a lasso with these weights lies above it and touches it at x: to
        minimize that again and again never goes up (majorize-minimize).

        Parameters
        ----------
        x : array_like of real numbers
            Coefficients, of any shape.

        Returns
        -------
        float64 scalar or array
            Of the shape of `x`.
        """
        return (1 + 1 / self.a) * _core.derivative(np.asarray(x, np.float64) / self.a)

    def prox(self, v: npt.ArrayLike, lam: float) -> Any:
        """Return the x that minimizes (x - v)**2 / 2 + lam value(x), for each v: the proximal operator.

        Parameters
        ----------
        v : array_like of real numbers
            Points, of any shape.
        lam : float
            Strength of the penalty, 0 or larger, finite.

        Returns
        -------
        float64 scalar or array
            Of the shape of `v`. 0 up to a threshold; nan at nan, ±inf at ±inf.

        Raises
        ------
        ValueError
            If `lam` is negative or not finite.

        Notes
        -----
        The minimizer beside 0 is the largest root of a cubic. With ``u = a + abs(v)`` and ``s**2 = 27 lam a
        (a + 1) / (4 u**3)`` it is ``abs(v) - 4/3 u sin(arcsin(s) / 3)**2``: the formula of [1]_, ``2/3 u
        cos(theta / 3) - 2/3 a + abs(v) / 3``, without its cancellation where a is large. The threshold is
        ``lam (a + 1) / a`` if ``lam <= a**2 / (2 (a + 1))``; else ``sqrt(2 lam (a + 1)) - a / 2``, and x
        jumps there. docs/applications/robust.md has the proof.

        References
        ----------
        .. [1] See `TransformedL1`.
        """
        if not 0 <= lam < np.inf:
            raise ValueError(f"TransformedL1.prox: lam is {lam}, but must be 0 or larger, and finite")
        a, points = self.a, np.asarray(v, np.float64)
        jumps = lam > a * (a / (a + 1)) / 2
        threshold = math.sqrt(2 * lam * (a + 1)) - a / 2 if jumps else lam * (1 + 1 / a)
        u = a + np.abs(points)
        s = np.sqrt(np.minimum(6.75 * lam / u * (a / u) * ((a + 1) / u), 1.0))
        # Where s is 0, u may be infinite.
        shrinkage = np.multiply(4 / 3 * u, np.sin(np.arcsin(s) / 3) ** 2, out=np.zeros_like(u), where=s != 0)
        minimizer = np.copysign(np.maximum(np.abs(points) - shrinkage, 0.0), points)
        return np.where(np.abs(points) <= threshold, 0.0, minimizer)[()]


def box_penalty(
    x: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike, c: float = 1e-3
) -> tuple[float, Array]:
    """Return a smooth penalty for leaving a box, and its gradient.

    The penalty is the sum of ``soft_abs(t, c)`` over the excesses t, by which components are above their
    upper or below their lower bound: 0 within the box, nearly the distance to it outside. Its slope is
    softsign(t / c), which begins at 0 and stays below 1.

    Parameters
    ----------
    x : array_like of real numbers, shape (n,)
        A point.
    lower, upper : array_like of real numbers, shape (n,) or ()
        Bounds, infinite where there is none.
    c : float
        Excess at which the slope is 1/2, above 0 and finite.

    Returns
    -------
    value : float
        The penalty.
    gradient : ndarray of float64, shape (n,)
        Its derivatives with respect to `x`.

    Raises
    ------
    ValueError
        If a lower bound is above the upper one, a bound is nan or does not have the shape of `x`, or `c` is
        not above 0 and finite.
    TypeError
        If `c` is not a real number.

    Notes
    -----
    Where ``f + strength * penalty`` is stationary, a component at which f has the slope g exceeds its bound
    by ``c abs(g) / (strength - abs(g))``: a strength of twice the largest slope keeps every excess within c,
    whatever c is. Constraints ``A x <= b`` are ``box_penalty(A @ x, -inf, b)``, whose gradient with respect
    to x is ``A.T @ gradient``.

    Examples
    --------
    >>> from softsign.applications import robust
    >>> value, gradient = robust.box_penalty([0.5, 1.001, -2.0], 0.0, 1.0)
    >>> print(round(value, 4), gradient.round(4))
    1.9927 [ 0.      0.5    -0.9995]
    """
    point = np.asarray(x, np.float64)
    low, high = (np.broadcast_to(np.asarray(bound, np.float64), point.shape) for bound in (lower, upper))
    wrong = np.flatnonzero(~(low <= high))
    if wrong.size:
        pair = f"lower is {low.flat[wrong[0]]} where upper is {high.flat[wrong[0]]}"
        raise ValueError(f"box_penalty: {pair}, but lower must be at most upper")
    width = positive("box_penalty", "c", c)
    excess = point - np.clip(point, low, high)
    return float(np.sum(soft_abs(excess, width))), _core.softsign(excess / width)
