"""The softsign companding law, and the k that suits a signal."""

import math
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from softsign import _core
from softsign.applications.companding.signals import Moments
from softsign.variants._blocks import Array, compute, positive

__all__ = ["Compander"]

#: Below the least k, the law is a straight line to the last bit of float64.
_LEAST, _LARGEST = 1e-16, 1e16


class Compander:
    """The law c(x) = (1 + k) u / (1 + k abs(u)) with u = x/limit, and its inverse.

    It takes [-limit, limit] to [-1, 1]; its slope is (1 + k)/limit at 0 and 1/((1 + k) limit) at the ends.
    Without a limit it is softsign(k x), which takes all numbers to (-1, 1). Results are within 0.51 ulp in
    float16, bfloat16, float32 and float64.

    Parameters
    ----------
    k : float
        Strength, from 1e-16 to 1e16: the smallest signals get 1 + k times the resolution that an even
        division gives them. Without a limit it is per unit of x.
    limit : float
        The largest magnitude, in the units of the signal, or infinity.

    Attributes
    ----------
    k, limit : float
        As given.

    Raises
    ------
    TypeError
        If `k` or `limit` is not one real number.
    ValueError
        If `k` or `limit` is out of its range.

    Examples
    --------
    >>> law = Compander(8)
    >>> print(law.compress([-1.0, 0.0, 0.1, 0.5]))
    [-1.   0.   0.5  0.9]
    >>> print(law.expand([-1.0, 0.0, 0.5, 0.9]))
    [-1.   0.   0.1  0.5]
    """

    def __init__(self, k: float, limit: float = 1.0) -> None:
        self.k = positive("Compander", "k", k)
        self.limit = positive("Compander", "limit", limit, infinite=True)
        if not _LEAST <= self.k <= _LARGEST:
            raise ValueError(f"Compander: k is {self.k}, but must be from {_LEAST:g} to {_LARGEST:g}")

    def __repr__(self) -> str:
        return f"Compander(k={self.k!r}, limit={self.limit!r})"

    @classmethod
    def for_signal(cls, x: npt.ArrayLike, limit: float | None = None) -> Self:
        """Return the law that is best for a signal.

        Parameters
        ----------
        x : array_like of real numbers
            The signal, or a typical part of it.
        limit : float, optional
            As of `Compander`. Default: the largest magnitude in `x`.

        Returns
        -------
        Compander
            As of `for_moments`.

        Raises
        ------
        TypeError
            If `x` does not hold real numbers.
        ValueError
            If `x` has no moments (see `Moments.of`) or nothing but zeros.

        Examples
        --------
        >>> print(f"{Compander.for_signal([0.0, 0.01, -0.01, 0.0, 1.0]).k:.3f}")
        0.412
        """
        samples = np.asarray(x)
        moments = Moments.of(samples)
        peak = max(float(samples.max()), -float(samples.min())) if limit is None else limit
        return cls.for_moments(moments, peak)

    @classmethod
    def for_rms(cls, rms: float, density: str = "laplace", limit: float = 1.0) -> Self:
        """Return the law that is best for signals of a density.

        Parameters
        ----------
        rms : float
            Root of the signal's mean square, in its units.
        density : str
            As of `Moments.of_density`.
        limit : float
            As of `Compander`.

        Returns
        -------
        Compander
            As of `for_moments`.

        Raises
        ------
        TypeError
            If a number is not one.
        ValueError
            If there is no such density, or a number is out of its range.

        Examples
        --------
        >>> print(f"{Compander.for_rms(0.05).k:.3f} {Compander.for_rms(1.0, limit=float('inf')).k:.8f}")
        10.987 0.61771467
        """
        return cls.for_moments(Moments.of_density(density, rms), limit)

    @classmethod
    def for_moments(cls, moments: Moments, limit: float = 1.0) -> Self:
        """Return the law whose noise is least by Bennett's formula.

        Parameters
        ----------
        moments : Moments
            Of the signal.
        limit : float
            As of `Compander`. What the signal has beyond it is not considered.

        Returns
        -------
        Compander
            Its k is the one positive root of a polynomial of degree 4, or 1e-16, an even division, where
            that is best: if the mean magnitude is half the limit or more.

        Raises
        ------
        ValueError
            If the moments are those of zeros, or `limit` is out of its range.
        """
        if moments.second == 0:
            raise ValueError("Compander: the signal has nothing but zeros, for which no law is best")
        limit = positive("Compander", "limit", limit, infinite=True)
        rms = math.sqrt(moments.second)
        first, third, fourth = moments.first / rms, moments.third / rms**3, moments.fourth / rms**4
        s = rms / limit
        if 2 * first * s >= 1:
            return cls(_LEAST, limit)
        # In terms of k s, or k rms without a limit. One change of sign: one positive root (Descartes).
        polynomial = [fourth, 2 * (third + s * fourth), 6 * s * third, 6 * s - 2 * first, 2 * s * first - 1]
        roots = np.roots(polynomial)
        root = float(roots.real[(roots.imag == 0) & (roots.real > 0)].max(initial=0))
        return cls(min(max(root / (rms if limit == math.inf else s), _LEAST), _LARGEST), limit)

    def compress(self, x: npt.ArrayLike, out: Array | None = None) -> Any:
        """Return c(x).

        Parameters
        ----------
        x : array_like of real numbers
            In the units of the limit. Beyond it, c goes on rising, to (1 + k)/k.
        out : ndarray, optional
            Where the result goes; it may overlap `x`.

        Returns
        -------
        ndarray or scalar
            In the dtype of `x`; integers promote as in `softsign.softsign`.

        Raises
        ------
        TypeError
            If `x` does not hold real numbers, or `out` cannot hold the result.
        ValueError
            If `out` has another shape.
        """
        return compute("Compander.compress", self._compressed, x, out)

    def expand(self, y: npt.ArrayLike, out: Array | None = None) -> Any:
        """Return the x with c(x) = y.

        Parameters
        ----------
        y : array_like of real numbers
            Compressed values, from -1 to 1 within the limit.
        out : ndarray, optional
            Where the result goes; it may overlap `y`.

        Returns
        -------
        ndarray or scalar
            In the dtype of `y`; ±inf at ±(1 + k)/k, nan beyond.

        Raises
        ------
        TypeError
            If `y` does not hold real numbers, or `out` cannot hold the result.
        ValueError
            If `out` has another shape.
        """
        return compute("Compander.expand", self._expanded, y, out, argument="y")

    def _compressed(self, x: Array) -> Array:
        k = x.dtype.type(self.k)  # so that (1 + k)/k is rounded as the rest is
        if self.limit == math.inf:
            return np.asarray(_core.softsign(k * x))
        return np.asarray(_core.softsign(x / self.limit * k) * ((1 + k) / k))

    def _expanded(self, y: Array) -> Array:
        k = y.dtype.type(self.k)
        if self.limit == math.inf:
            return np.asarray(_core.inverse(y) / k)
        # softsign's inverse would multiply the rounding error of its argument by 1 + k.
        left = 1 + k * (1 - np.abs(y))
        return np.where(left < 0, np.nan, y / left) * self.limit
