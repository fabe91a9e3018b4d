"""The filters around a method, designed by least squares once for each setting.

A chain doubles the rate some times (`up`), finds the ends of the lines (`before`), mixes what the method
makes of them (`after`), and halves the rate as many times (`down`). All filters are symmetric, so the delay
is the same at all frequencies.
"""

import math
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from softsign.applications.audio._methods import METHODS, Method

__all__ = ["Filters", "design"]

Array = npt.NDArray[Any]

#: Taps of the filters that double the rate, the input's first, and what they keep, as a part of that rate.
_DOUBLING = ((201, 0.465), (33, 0.535), (21, 0.535))
#: Of the moments, at the input's rate and at higher ones: taps before the lines, segments of the kernel after
#: them, and what both keep flat and clean, as a part of Nyquist's frequency.
_SHAPES = {
    "moments": ((11, 16, 0.78), (11, 16, 0.5)),
    "moments2": ((27, 36, 0.78), (19, 24, 0.5)),
}
#: Frequencies at which they are fitted, per band, and how many multiples of the rate there is a band around.
_POINTS, _IMAGES = 100, 12


class Filters(NamedTuple):
    """Banks of filters, each an array of shape (rows out, rows in, taps), the oldest sample first.

    Attributes
    ----------
    up : tuple of ndarray
        From one row to the two phases of twice the rate.
    before : ndarray
        From one row to the ends of the lines.
    after : ndarray
        From the method's streams to one row.
    down : tuple of ndarray
        From two phases to one row.
    dry : ndarray
        The whole chain with the identity in the place of softsign.
    latency : float
        Delay of the whole chain, in samples of the input.
    """

    up: tuple[Array, ...]
    before: Array
    after: Array
    down: tuple[Array, ...]
    dry: Array
    latency: float


@lru_cache
def design(antialias: str, oversample: int) -> Filters:
    """Design the filters of a setting.

    Parameters
    ----------
    antialias : str
        Name of the method.
    oversample : int
        Factor of the rate, a power of two.

    Returns
    -------
    Filters
        The banks of the chain; they are shared, so not to be written.
    """
    method, doublings = METHODS[antialias], oversample.bit_length() - 1
    lines = method.lines
    if antialias in _SHAPES:
        before, after = _around_lines(lines, *_SHAPES[antialias][doublings > 0])
    else:
        before, after = np.ones(1), np.ones((1, 1))
    linear = [np.convolve(a, b) for a, b in zip(np.array(method.linear), after, strict=True)]
    chain = np.convolve(before, np.sum(linear, axis=0))
    latency = ((len(chain) - 1) / 2 - (lines - 1)) / lines
    chain = lines * chain[lines - 1 :: lines]
    up: list[Array] = []
    down: list[Array] = []
    for level in reversed(range(doublings)):
        taps, kept = _DOUBLING[level]
        edge = math.pi * kept / 2**level
        rise = _lowpass(taps, edge, method if level == doublings - 1 and len(after) == 1 else None)
        longer = round(2 * ((2 - taps - latency) % 2))  # so that the latency is a whole number of samples
        fall = _lowpass(taps + longer, edge, None)
        latency = (taps + longer / 2 - 2 + latency) / 2
        chain = 2 * np.convolve(np.convolve(rise, chain), fall)[1::2]
        up.insert(0, _from_one(rise, 2))
        down.append(_to_one(fall[None], 2))
    return Filters(
        tuple(up),
        _from_one(before, lines),
        _to_one(after, lines),
        tuple(down),
        np.ascontiguousarray(chain[None, None, ::-1]),
        latency,
    )


def _from_one(taps: Array, rows: int) -> Array:
    """Return the bank that makes `rows` samples of one."""
    padded = np.zeros(-(-len(taps) // rows) * rows)
    padded[: len(taps)] = rows * taps
    return np.ascontiguousarray(padded.reshape(-1, rows)[::-1].T[:, None])


def _to_one(taps: Array, rows: int) -> Array:
    """Return the bank that makes one sample of `rows` samples of each stream."""
    streams, given = taps.shape
    length = -(-given // rows)
    padded = np.zeros((streams, rows * length))
    padded[:, :given] = taps
    phases = padded.reshape(streams, length, rows)[:, ::-1, ::-1].swapaxes(1, 2)
    return np.ascontiguousarray(phases.reshape(1, streams * rows, length))


def _halves(taps: int) -> Array:
    """Return the distances, in samples, of a symmetric filter's taps from its middle, from the middle on."""
    return np.arange(taps % 2 == 0, taps, 2) / 2


def _fit(*bands: tuple[Array, Array | float, Array | float]) -> Array:
    """Solve for the taps that come in each band (rows, value, weight) nearest to the values."""
    lstsq = _scipy("linalg").lstsq
    rows = np.concatenate([rows * np.reshape(weight, (-1, 1)) for rows, _, weight in bands])
    values = np.concatenate([np.full(len(rows), value) * weight for rows, value, weight in bands])
    taps: Array = lstsq(rows, values, lapack_driver="gelsy")[0]
    return taps


def _cosines(taps: int, w: Array) -> Array:
    """Return the gains at the frequencies w of a pair of taps, each pair a column."""
    halves = _halves(taps)
    gains: Array = np.where(halves > 0, 2, 1) * np.cos(np.outer(w, halves))
    return gains


def _mirrored(half: Array, taps: int, sign: int = 1) -> Array:
    """Return a symmetric or (sign -1) antisymmetric filter from its half from the middle on."""
    return np.concatenate([sign * half[taps % 2 :][::-1], half])


@lru_cache
def _lowpass(taps: int, edge: float, method: Method | None) -> Array:
    """Design the filter of a doubling, which evens out the response of a method if given."""
    passed, stopped = np.linspace(0, edge, 2 * taps), np.linspace(math.pi - edge, math.pi, 2 * taps)
    droop = np.ones(1) if method is None else np.array(method.linear[0])
    gain = _cosines(len(droop), passed) @ droop[len(droop) // 2 :]
    pair = _cosines(taps, passed), _cosines(taps, stopped)
    return _mirrored(_fit((pair[0], 1 / gain, 1.0), (pair[1], 0.0, 1.0)), taps)


def _around_lines(lines: int, taps: int, segments: int, clean: float) -> tuple[Array, Array]:
    """Design the filter before the lines, and the kernel of their moments after them."""
    spherical_jn = _scipy("special").spherical_jn
    nyquist = math.pi / lines  # of the input, in radians per line
    edge = clean * nyquist
    passed, stopped = np.linspace(0, edge, 4 * _POINTS), np.linspace(math.pi - edge, math.pi, 4 * _POINTS)
    before = _fit(
        (_cosines(taps, passed), 1 / _of_lines(passed), 1.0),
        (_cosines(taps, stopped), 0.0, 3.0 if lines > 1 else 0.0),
    )

    def pairs(w: Array) -> Array:
        """Return the gains of pairs of segments, for the three polynomials."""
        waves = np.outer(w, _halves(segments))
        columns = (
            2 * sign * spherical_jn(order, w / 2)[:, None] * (np.sin(waves) if order == 1 else np.cos(waves))
            for order, sign in enumerate((1, 1, -1))
        )
        return np.concatenate(list(columns), axis=1)

    kept = np.linspace(0, edge, _POINTS // 2)
    images = np.add.outer(
        2 * nyquist * np.arange(1, _IMAGES * lines + 1), np.linspace(-edge, edge, _POINTS)
    ).ravel()
    beyond = np.linspace(
        nyquist, 2 * nyquist - edge, _POINTS // 2
    )  # folds above the clean part: a little will do
    after = _fit(
        (pairs(kept), 1 / (_cosines(taps, kept) @ before * _of_lines(kept)), 2.0),
        (pairs(images), 0.0, 10 * nyquist / images),
        (pairs(beyond), 0.0, 0.03),
    )
    kernel = [_mirrored(c, segments, sign) for c, sign in zip(after.reshape(3, -1), (1, -1, 1), strict=True)]
    return _mirrored(before, taps), np.array(kernel)


def _of_lines(w: Array) -> Array:
    """Return the gain of straight lines from sample to sample."""
    return np.sinc(w / 2 / math.pi) ** 2


def _scipy(module: str) -> Any:
    """Return a module of SciPy."""
    try:
        return import_module(f"scipy.{module}")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "softsign.applications.audio designs its filters by SciPy: pip install 'softsign[audio]'",
            name="scipy",
        ) from error
