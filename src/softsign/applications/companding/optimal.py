"""The Lloyd-Max quantizer, which leaves a density the least noise: what a law can be measured against."""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from softsign.applications.companding.signals import real

__all__ = ["Quantizer", "lloyd_max"]

_Array = npt.NDArray[np.float64]
_MOST = 1024  # levels


class Quantizer(NamedTuple):
    """Levels, and the thresholds between them.

    Attributes
    ----------
    levels : ndarray of float64, shape (count,)
        From the lowest on.
    thresholds : ndarray of float64, shape (count - 1,)
        ``thresholds[i]`` is between ``levels[i]`` and the next.
    sqnr_db : float
        Signal power by noise power for its density, in decibels.
    """

    levels: _Array
    thresholds: _Array
    sqnr_db: float

    def quantize(self, x: npt.ArrayLike) -> Any:
        """Return the level of each sample.

        Parameters
        ----------
        x : array_like of real numbers
            Samples; nan gets the highest level.

        Returns
        -------
        ndarray of float64
            In the shape of `x`.

        Raises
        ------
        TypeError
            If `x` does not hold real numbers.
        """
        samples = real("Quantizer.quantize", x).astype(np.float64)
        return self.levels[np.searchsorted(self.thresholds, samples, side="right")]


class _Density(NamedTuple):
    """A symmetric density of variance 1, for x from 0 on; nan-free at infinity."""

    value: Callable[[_Array], _Array]
    above: Callable[[_Array], _Array]  # probability above x
    moment_above: Callable[[_Array], _Array]  # integral of x p(x) above x
    spread: Callable[[float], float]  # quantile of the density that is proportional to p^(1/3)


def _gauss(x: _Array) -> _Array:
    value: _Array = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return value


def _laplace(x: _Array) -> _Array:
    value: _Array = np.exp(-math.sqrt(2) * x) / math.sqrt(2)
    return value


_DENSITIES = {
    "gauss": _Density(
        _gauss,
        lambda x: np.array([math.erfc(t / math.sqrt(2)) / 2 for t in x]),
        _gauss,
        NormalDist(0, math.sqrt(3)).inv_cdf,
    ),
    "laplace": _Density(
        _laplace,
        lambda x: _laplace(x) / math.sqrt(2),
        lambda x: (np.where(np.isinf(x), 0, x) + math.sqrt(0.5)) * _laplace(x) / math.sqrt(2),
        lambda q: -3 * math.sqrt(0.5) * math.log(2 * (1 - q)),
    ),
}


def lloyd_max(count: int, density: str = "gauss") -> Quantizer:
    """Return the quantizer with the least mean squared error for a density of variance 1.

    Parameters
    ----------
    count : int
        Number of levels, from 2 to 1,024.
    density : str
        "gauss" or "laplace".

    Returns
    -------
    Quantizer
        Each level is the mean of its cell, each threshold halfway between two levels, within 1e-11.

    Raises
    ------
    TypeError
        If `count` is no integer.
    ValueError
        If `count` is out of its range, or there is no such density.

    Notes
    -----
    Both densities have a concave logarithm, so the two conditions have one solution (Trushkin 1982). Newton's
    method finds it from the thresholds that are best for many levels; Lloyd's own iteration (1957) and Max's
    (1960) need thousands of steps for 256 levels.

    Examples
    --------
    >>> best = lloyd_max(4)
    >>> print(best.levels.round(4), best.thresholds.round(4), round(best.sqnr_db, 3))
    [-1.5104 -0.4528  0.4528  1.5104] [-0.9816  0.      0.9816] 9.3
    """
    if isinstance(count, (bool, np.bool_)) or not isinstance(count, (int, np.integer)):
        raise TypeError(f"lloyd_max: count is {count!r}, but must be an integer from 2 to {_MOST}")
    if not 2 <= count <= _MOST:
        raise ValueError(f"lloyd_max: count is {count}, but must be from 2 to {_MOST}")
    if density not in _DENSITIES:
        raise ValueError(f"lloyd_max: density is {density!r}, but must be one of {', '.join(_DENSITIES)}")
    p = _DENSITIES[density]
    odd = count % 2
    # The positive side: its cells begin at 0, or, where 0 is a level, at the end of the cell around it.
    fixed = np.zeros(1 - odd)
    inner = np.array([p.spread(i / count) for i in range(count // 2 + 1, count)])
    for _ in range(50):
        step = _newton_step(p, fixed, inner)
        inner = inner - step
        if not step.size or np.max(np.abs(step)) < 1e-10:  # the error is its square
            break
    levels, mass = _cells(p, np.concatenate([fixed, inner, [np.inf]]))
    thresholds = np.concatenate([-inner[::-1], fixed, inner])
    noise = 1 - 2 * float(np.sum(levels * levels * mass))
    return Quantizer(
        np.concatenate([-levels[::-1], np.zeros(odd), levels]), thresholds, -10 * math.log10(noise)
    )


def _cells(p: _Density, edges: _Array) -> tuple[_Array, _Array]:
    """Return the mean and the probability of each cell between edges."""
    mass = -np.diff(p.above(edges))
    return -np.diff(p.moment_above(edges)) / mass, mass


def _newton_step(p: _Density, fixed: _Array, inner: _Array) -> _Array:
    """Return by how much the inner edges are off, to first order."""
    edges = np.concatenate([fixed, inner, [np.inf]])
    levels, mass = _cells(p, edges)
    # How a cell's mean moves with its lower and with its upper edge.
    with_lower = p.value(edges[:-1]) * (levels - edges[:-1]) / mass
    with_upper = np.append(p.value(edges[1:-1]) * (edges[1:-1] - levels[:-1]) / mass[:-1], 0.0)
    if not fixed.size:  # the cell around 0, whose mean stays there
        levels, with_lower, with_upper = (np.append([0.0], part) for part in (levels, with_lower, with_upper))
    off = inner - (levels[:-1] + levels[1:]) / 2
    slopes = np.diag(1 - (with_upper[:-1] + with_lower[1:]) / 2)
    slopes -= np.diag(with_lower[1:-1] / 2, -1) + np.diag(with_upper[1:-1] / 2, 1)
    return np.asarray(np.linalg.solve(slopes, off), np.float64)
