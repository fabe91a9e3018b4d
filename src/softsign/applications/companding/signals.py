"""What is measured of signals: the moments that Bennett's formula needs, and the noise."""

import math
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from softsign.variants._blocks import Array, positive, promoted

__all__ = ["Moments", "snr_db"]

#: E|x|^n at unit variance, n = 1 ... 4.
_DENSITIES = {
    "gauss": (math.sqrt(2 / math.pi), 1.0, math.sqrt(8 / math.pi), 3.0),
    "laplace": (math.sqrt(0.5), 1.0, math.sqrt(4.5), 6.0),
}
_BLOCK = 1 << 16


class Moments(NamedTuple):
    """What Bennett's formula has to know of a signal: the means of the powers of its magnitude.

    Attributes
    ----------
    first, second, third, fourth : float
        Means of abs(x), x², abs(x)³ and x⁴.

    Examples
    --------
    >>> Moments.of([-1.0, 0.0, 2.0, 3.0])
    Moments(first=1.5, second=3.5, third=9.0, fourth=24.5)
    >>> Moments.of_density("laplace", rms=2.0).fourth
    96.0
    """

    first: float
    second: float
    third: float
    fourth: float

    @classmethod
    def of(cls, x: npt.ArrayLike) -> Self:
        """Return the moments of samples.

        Parameters
        ----------
        x : array_like of real numbers
            The samples, of any shape.

        Returns
        -------
        Moments
            Summed in float64, block by block.

        Raises
        ------
        TypeError
            If `x` does not hold real numbers.
        ValueError
            If `x` is empty, a sample is nan or infinite, or a fourth power leaves the range of float64.
        """
        samples = real("Moments.of", x)
        if samples.size == 0:
            raise ValueError("Moments.of: x is empty")
        check_finite("Moments.of", samples)
        flat = samples.reshape(-1)
        sums = np.zeros(4)
        with np.errstate(over="ignore", under="ignore"):
            for start in range(0, flat.size, _BLOCK):
                a = np.abs(flat[start : start + _BLOCK].astype(np.float64))
                sums += [np.sum(a), np.sum(a * a), np.sum(a * a * a), np.sum(a * a * a * a)]
        if sums[3] == np.inf or sums[3] < 1e-290 < sums[0]:
            raise ValueError("Moments.of: fourth powers of x leave the range of float64; scale x to about 1")
        return cls(*(sums / flat.size).tolist())

    @classmethod
    def of_density(cls, density: str, rms: float = 1.0) -> Self:
        """Return the moments of a density.

        Parameters
        ----------
        density : str
            "gauss" or "laplace", the usual models of noise and of speech.
        rms : float
            Root of the mean square, in the units of the signal.

        Returns
        -------
        Moments
            By the closed formulas.

        Raises
        ------
        TypeError
            If `rms` is not one real number.
        ValueError
            If there is no such density, or `rms` is not from 1e-70 to 1e70.
        """
        if density not in _DENSITIES:
            raise ValueError(f"density is {density!r}, but must be one of {', '.join(_DENSITIES)}")
        rms = positive("Moments.of_density", "rms", rms)
        if not 1e-70 <= rms <= 1e70:
            raise ValueError(f"Moments.of_density: rms is {rms}, but must be from 1e-70 to 1e70")
        return cls(*(unit * rms**n for n, unit in enumerate(_DENSITIES[density], 1)))


def snr_db(signal: npt.ArrayLike, received: npt.ArrayLike) -> float:
    """Return signal power by noise power in decibels.

    Parameters
    ----------
    signal : array_like of real numbers
        What was sent.
    received : array_like of real numbers
        What came back, of the same shape. The difference is the noise.

    Returns
    -------
    float
        10 log10 of the ratio; infinity without noise.

    Raises
    ------
    TypeError
        If one of them does not hold real numbers.
    ValueError
        If the shapes differ, or there is no signal.

    Examples
    --------
    >>> print(f"{snr_db([1.0, -1.0], [1.1, -0.9]):.3f}")
    20.000
    """
    a, b = (real("snr_db", x).astype(np.float64) for x in (signal, received))
    if a.shape != b.shape:
        raise ValueError(f"snr_db: the signal has shape {a.shape}, but what is received {b.shape}")
    power, noise = float(np.sum(a * a)), float(np.sum((a - b) ** 2))
    if power == 0:
        raise ValueError("snr_db: the signal is empty or has nothing but zeros")
    return 10 * math.log10(power / noise) if noise else math.inf


def real(function: str, x: npt.ArrayLike) -> Array:
    """Return samples as an array.

    Parameters
    ----------
    function : str
        Name of the function, for error messages.
    x : array_like
        What was given.

    Returns
    -------
    ndarray
        The array, in its own dtype.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    """
    samples = np.asarray(x)
    promoted(function, "x", samples.dtype)
    return samples


def named(array: str, index: int, shape: tuple[int, ...]) -> str:
    """Return how an element is written.

    Parameters
    ----------
    array : str
        Name of the array.
    index : int
        Number of the element in the array's order.
    shape : tuple of int
        Shape of the array.

    Returns
    -------
    str
        Such as ``x[3, 1]``.
    """
    place = [str(i) for i in np.unravel_index(index, shape)]
    return f"{array}[{', '.join(place)}]" if place else array


def check_finite(function: str, x: Array) -> None:
    """Refuse nan and infinity.

    Parameters
    ----------
    function : str
        Name of the function, for error messages.
    x : ndarray
        Samples.

    Raises
    ------
    ValueError
        If there is one; the message tells where the first is.
    """
    with np.errstate(invalid="ignore"):  # which ml_dtypes raises
        bad: Any = ~np.isfinite(x)
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(f"{function}: {named('x', first, x.shape)} is {x.flat[first]}, but must be finite")
