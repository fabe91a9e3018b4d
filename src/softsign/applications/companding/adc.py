"""A nonlinear analog-to-digital converter, the converter back, and their noise."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from softsign.applications.companding.law import Compander
from softsign.applications.companding.signals import Moments, named, real, snr_db

__all__ = ["NonlinearADC"]

_BLOCK = 1 << 14  # samples worked on at a time, so that the temporaries stay in the cache


class NonlinearADC:
    """A converter whose steps are even after the law of a `Compander`, so that small signals get fine ones.

    Codes are signed integers that rise with the signal. What is beyond the limit gets the last code.

    Parameters
    ----------
    bits : int
        From 1 to 16.
    k : float
        As of `Compander`.
    limit : float
        As of `Compander`: full scale.
    midtread : bool
        Whether 0 is a level (and silence stays silent) instead of a threshold between two. There are 2^bits
        levels, midtread one fewer, equally many on both sides of 0.

    Attributes
    ----------
    bits, midtread
        As given.
    compander : Compander
        The law.
    dtype : numpy.dtype
        That of codes: int8 up to 8 bits, int16 beyond.
    lowest, highest : int
        The first and the last code.
    levels : ndarray of float64
        What each code stands for, from the lowest code on.
    thresholds : ndarray of float64
        Between which the codes are: ``thresholds[i]`` is where the code changes from ``lowest + i`` to the
        next.

    Raises
    ------
    TypeError
        If `bits` is no integer, or `k` or `limit` not one real number.
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> adc = NonlinearADC(8, k=8)
    >>> codes = adc.encode([-1.0, -0.001, 0.0, 0.001, 0.1, 2.0])
    >>> print(codes, codes.dtype)
    [-128   -2    0    1   64  127] int8
    >>> print([f"{x:.4f}" for x in adc.decode(codes)])
    ['-0.9659', '-0.0013', '0.0004', '0.0013', '0.1014', '0.9659']
    """

    def __init__(self, bits: int, k: float, *, limit: float = 1.0, midtread: bool = False) -> None:
        if isinstance(bits, (bool, np.bool_)) or not isinstance(bits, (int, np.integer)):
            raise TypeError(f"NonlinearADC: bits is {bits!r}, but must be an integer from 1 to 16")
        if not 1 <= bits <= 16:
            raise ValueError(f"NonlinearADC: bits is {bits}, but must be from 1 to 16")
        self.bits = int(bits)
        self.compander = Compander(k, limit)
        self.midtread = bool(midtread)
        self.dtype = np.dtype(np.int8 if bits <= 8 else np.int16)
        self.highest = 2 ** (self.bits - 1) - 1
        self.lowest = -self.highest - (not midtread)
        self._half = (self.highest - self.lowest + 1) / 2  # steps from 0 to the limit
        shift = 0.0 if midtread else 0.5
        codes = np.arange(self.lowest, self.highest + 1)
        self.levels = self.compander.expand((codes + shift) / self._half)
        self.thresholds = self.compander.expand((codes[1:] + (shift - 0.5)) / self._half)

    def __repr__(self) -> str:
        law = self.compander
        return f"NonlinearADC({self.bits}, k={law.k!r}, limit={law.limit!r}, midtread={self.midtread})"

    def encode(self, x: npt.ArrayLike) -> Any:
        """Return the codes of samples.

        Parameters
        ----------
        x : array_like of real numbers
            Samples, of any shape, in the units of the limit; infinities get the last codes.

        Returns
        -------
        ndarray or scalar of int8 or int16
            A code for each sample, computed in float64. Codes never fall where the signal rises.

        Raises
        ------
        TypeError
            If `x` does not hold real numbers.
        ValueError
            If a sample is nan; the message tells where the first is.
        """
        samples = real("NonlinearADC.encode", x)
        flat = samples.reshape(-1)
        codes = np.empty(flat.size, self.dtype)
        with np.errstate(all="ignore"):
            for start in range(0, flat.size, _BLOCK):
                block = flat[start : start + _BLOCK].astype(np.float64)
                bad = np.isnan(block)
                if bad.any():
                    name = named("x", start + int(np.argmax(bad)), samples.shape)
                    raise ValueError(f"NonlinearADC.encode: {name} is nan, for which there is no code")
                steps = self.compander._compressed(block) * self._half
                codes[start : start + block.size] = np.clip(
                    np.floor(steps + 0.5 if self.midtread else steps), self.lowest, self.highest
                )
        return codes.reshape(samples.shape)[()]

    def decode(self, codes: npt.ArrayLike, dtype: npt.DTypeLike = np.float64) -> Any:
        """Return what codes stand for: the level in the middle of each step after the law.

        Parameters
        ----------
        codes : array_like of integers
            Codes, of any shape.
        dtype : dtype
            Of the result.

        Returns
        -------
        ndarray or scalar
            The levels, rounded to the dtype.

        Raises
        ------
        TypeError
            If `codes` are not integers.
        ValueError
            If there is no such code; the message tells where the first is.
        """
        given = np.asarray(codes)
        if given.dtype.kind not in "iu":
            raise TypeError(f"NonlinearADC.decode: codes have dtype {given.dtype}, but must be integers")
        bad = (given < self.lowest) | (given > self.highest)
        if bad.any():
            first = int(np.argmax(bad))
            raise ValueError(
                f"NonlinearADC.decode: {named('codes', first, given.shape)} is {given.flat[first]}, but "
                f"codes of {self.bits} bits are from {self.lowest} to {self.highest}"
            )
        # The levels from code 0 on, and then those of negative codes, as Python's indices count.
        return np.roll(self.levels, self.lowest).astype(dtype)[given]

    def predicted_sqnr_db(self, moments: Moments) -> float:
        """Return signal power by noise power by Bennett's formula, in decibels.

        Parameters
        ----------
        moments : Moments
            Of the signal.

        Returns
        -------
        float
            Of what is within the limit, for steps that are small beside the signal.
        """
        law = self.compander
        unit = 1.0 if law.limit == math.inf else law.limit
        m1, m2, m3, m4 = (moment / unit**n for n, moment in enumerate(moments, 1))
        slope = law.k if law.limit == math.inf else 1 + law.k
        k = law.k
        spread = 1 + 4 * k * m1 + 6 * k**2 * m2 + 4 * k**3 * m3 + k**4 * m4
        return 10 * math.log10(12 * (self._half * slope) ** 2 * m2 / spread)

    def simulated_sqnr_db(self, x: npt.ArrayLike) -> float:
        """Return signal power by noise power of samples that are encoded and decoded, in decibels.

        Parameters
        ----------
        x : array_like of real numbers
            The samples.

        Returns
        -------
        float
            As of `snr_db`, what is beyond the limit included.

        Raises
        ------
        TypeError
            If `x` does not hold real numbers.
        ValueError
            If `x` is empty or has nothing but zeros, or a sample is nan or infinite.
        """
        return snr_db(x, self.decode(self.encode(x)))

    def nonlinearity(self, thresholds: npt.ArrayLike) -> tuple[Any, Any]:
        """Return how far a real converter's thresholds are from those of this one.

        Parameters
        ----------
        thresholds : array_like of real numbers
            Where its codes change, as many and in the order of the attribute.

        Returns
        -------
        inl : ndarray of float64
            Integral nonlinearity: how far each is off, in steps of this converter (LSB), which are even
            after its law.
        dnl : ndarray of float64
            Differential nonlinearity: by how much each step between two of them is too long, in the same
            unit; -1 is a code that is missing.

        Raises
        ------
        TypeError
            If they are not real numbers.
        ValueError
            If there are not as many.

        Notes
        -----
        IEEE Std 1241, with the law's values in the place of voltages. Offset and gain are not taken out.
        """
        measured = real("NonlinearADC.nonlinearity", thresholds).astype(np.float64)
        if measured.shape != self.thresholds.shape:
            raise ValueError(
                f"NonlinearADC.nonlinearity: thresholds have shape {measured.shape}, but there are "
                f"{self.thresholds.size}"
            )
        inl = (self.compander.compress(measured) - self.compander.compress(self.thresholds)) * self._half
        return inl, np.diff(inl)
