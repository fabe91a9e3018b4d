"""G.711: mu-law and A-law, the 8-bit codes of telephony, as `audioop` had them until Python 3.13."""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["a_law_decode", "a_law_encode", "mu_law_decode", "mu_law_encode"]

_Table = npt.NDArray[Any]

# A magnitude has one of 128 codes: 8 segments of 16 even steps each, which double from one segment to the
# next, in A-law not from the first to the second. The segments of mu-law are shifted by 33.
_SEGMENT, _STEP = np.divmod(np.arange(128), 16)


def mu_law_encode(x: npt.ArrayLike) -> Any:
    """Return the mu-law codes of samples.

    Parameters
    ----------
    x : array_like of int16
        Linear samples, of any shape.

    Returns
    -------
    ndarray or scalar of uint8
        Codes, with all bits inverted as the recommendation has it: 255 for 0.

    Raises
    ------
    TypeError
        If `x` does not have the dtype int16.

    Notes
    -----
    ITU-T Recommendation G.711 (1988), Table 2. As in libsndfile, the two lowest bits of the magnitude are
    dropped first.

    Examples
    --------
    >>> print(mu_law_encode(np.array([0, 1000, -1000, 32767], np.int16)))
    [255 206  78 128]
    """
    return _looked_up("mu_law_encode", "x", x, np.int16, _mu_law()[0])


def mu_law_decode(codes: npt.ArrayLike) -> Any:
    """Return the samples that mu-law codes stand for.

    Parameters
    ----------
    codes : array_like of uint8
        Codes, of any shape.

    Returns
    -------
    ndarray or scalar of int16
        Linear samples.

    Raises
    ------
    TypeError
        If `codes` do not have the dtype uint8.

    Examples
    --------
    >>> print(mu_law_decode(np.array([255, 206, 78, 128], np.uint8)))
    [    0   988  -988 32124]
    """
    return _looked_up("mu_law_decode", "codes", codes, np.uint8, _mu_law()[1])


def a_law_encode(x: npt.ArrayLike) -> Any:
    """Return the A-law codes of samples.

    Parameters
    ----------
    x : array_like of int16
        Linear samples, of any shape.

    Returns
    -------
    ndarray or scalar of uint8
        Codes, with every second bit inverted as the recommendation has it: 213 for 0.

    Raises
    ------
    TypeError
        If `x` does not have the dtype int16.

    Notes
    -----
    ITU-T Recommendation G.711 (1988), Table 1. As in libsndfile, the four lowest bits of the magnitude are
    dropped first.

    Examples
    --------
    >>> print(a_law_encode(np.array([0, 1000, -1000, 32767], np.int16)))
    [213 250 122 170]
    """
    return _looked_up("a_law_encode", "x", x, np.int16, _a_law()[0])


def a_law_decode(codes: npt.ArrayLike) -> Any:
    """Return the samples that A-law codes stand for.

    Parameters
    ----------
    codes : array_like of uint8
        Codes, of any shape.

    Returns
    -------
    ndarray or scalar of int16
        Linear samples.

    Raises
    ------
    TypeError
        If `codes` do not have the dtype uint8.

    Examples
    --------
    >>> print(a_law_decode(np.array([213, 250, 122, 170], np.uint8)))
    [    8  1008 -1008 32256]
    """
    return _looked_up("a_law_decode", "codes", codes, np.uint8, _a_law()[1])


def _looked_up(function: str, argument: str, given: npt.ArrayLike, dtype: Any, table: _Table) -> Any:
    array = np.asarray(given)
    if array.dtype != dtype:
        wanted = np.dtype(dtype).name
        raise TypeError(f"{function}: {argument} has dtype {array.dtype}, but must have {wanted}")
    return table[array]  # negative samples count from the end


@functools.cache
def _mu_law() -> tuple[_Table, _Table]:
    """Return the table of codes, by sample, and the table of samples, by code."""
    first = ((16 + _STEP) << (_SEGMENT + 1)) - 33  # magnitude / 4 from which a code is
    return _tables(first << 2, (((2 * _STEP + 33) << _SEGMENT) - 33) << 2, positive=0xFF, negative=0x7F)


@functools.cache
def _a_law() -> tuple[_Table, _Table]:
    shift = np.maximum(_SEGMENT, 1) - 1
    base = _STEP + 16 * (_SEGMENT > 0)
    return _tables(base << (shift + 4), (2 * base + 1) << (shift + 3), positive=0xD5, negative=0x55)


def _tables(first: _Table, level: _Table, *, positive: int, negative: int) -> tuple[_Table, _Table]:
    magnitude = np.arange(2**15 + 1)
    number = np.searchsorted(first, magnitude, side="right") - 1
    samples = np.empty(256, np.int16)
    samples[np.arange(128) ^ positive] = level
    samples[np.arange(128) ^ negative] = -level
    codes = np.concatenate([number[:-1] ^ positive, number[:0:-1] ^ negative]).astype(np.uint8)
    return codes, samples
