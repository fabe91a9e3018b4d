"""The filters before and after the methods, designed once for each setting."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from softsign.applications.audio.methods import METHODS, Method

Array = npt.NDArray[Any]


class Filters(NamedTuple):
    """What `design` returns, in the order of `softsign._core._fir`: the oldest sample first.

    Attributes
    ----------
    up : ndarray
        Shape (oversample, taps): from the input to each of the samples that replace one.
    down : ndarray
        Shape (streams * oversample, taps): from the streams to the output.
    dry : ndarray
        Shape (taps,): the whole chain with the identity in softsign's place.
    latency : float
        Delay of the chain, in samples.
    """

    up: Array
    down: Array
    dry: Array
    latency: float


@lru_cache
def design(antialias: str, oversample: int) -> Filters:
    """Design the filters of a setting."""
    method = METHODS[antialias]
    if oversample > 1:
        raise ValueError(f"oversample={oversample} is not ready yet")
    before, after = np.ones(1), np.ones((1, 1))
    return _polyphase(before, after, method, oversample)


def _polyphase(before: Array, after: Array, method: Method, oversample: int) -> Filters:
    """Cut filters at the higher rate into phases."""
    linear = np.array(method.linear)
    whole = sum(np.convolve(before, np.convolve(a, b)) for a, b in zip(linear, after, strict=True))
    up = oversample * _padded(before, oversample).reshape(-1, oversample).T
    down = np.zeros((len(after), oversample, -(-after.shape[1] // oversample) + (oversample > 1)))
    for lag in range(after.shape[1]):  # of stream i * oversample + p, i = -ceil(lag / oversample)
        back, phase = -(-lag // oversample), -lag % oversample
        down[:, phase, back] = after[:, lag]
    return Filters(
        up=np.ascontiguousarray(up[:, ::-1]),
        down=np.ascontiguousarray(down[..., ::-1]).reshape(len(after) * oversample, -1),
        dry=np.ascontiguousarray(oversample * whole[::oversample][::-1]),
        latency=(len(whole) - 1) / 2 / oversample,
    )


def _padded(taps: Array, multiple: int) -> Array:
    """Append zeros up to a multiple."""
    return np.append(taps, np.zeros(-len(taps) % multiple))
