"""The arithmetic on one piece of one channel, and what it remembers of the pieces before."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from softsign import _core
from softsign.applications.audio._filters import Filters
from softsign.applications.audio._methods import Method

__all__ = ["Chain"]

Array = npt.NDArray[Any]


class _Bank:
    """A bank of filters with the samples that it needs of the past, and memory for its input and output.

    In front of each row of output stand the last `kept` samples of that before. Views of the memory are made
    when the length changes: each takes as much time as the filtering of a hundred samples.
    """

    def __init__(self, taps: Array, channels: int, dtype: np.dtype[Any], longest: int, kept: int = 0) -> None:
        outs, ins, length = taps.shape
        self.taps = taps.astype(dtype)
        self._kept = kept
        self._past = [np.zeros((ins, length - 1), dtype) for _ in range(channels)]
        self._last = [np.zeros((outs, kept), dtype) for _ in range(channels)]
        self._memory = np.empty(ins * (length - 1 + longest), dtype), np.empty(outs * (kept + longest), dtype)
        self.resize(1)

    def resize(self, n: int) -> None:
        """Prepare for n samples."""
        (outs, ins, length), (x, y) = self.taps.shape, self._memory
        self._x = x[: ins * (length - 1 + n)].reshape(ins, -1)
        self._begin, self.input, self._end = (
            self._x[:, : length - 1],
            self._x[:, length - 1 :],
            self._x[:, n:],
        )
        self.output = y[: outs * (self._kept + n)].reshape(outs, -1)
        self._before, self._new = self.output[:, : self._kept], self.output[:, n:]
        self._steps = list(zip(self.taps, self.output[:, self._kept :], strict=True))

    def reset(self) -> None:
        """Forget the past."""
        for past in (*self._past, *self._last):
            past[...] = 0

    def run(self, channel: int) -> Array:
        """Return the output for `input`, a row for each filter, in memory that the next call writes to."""
        self._begin[...] = self._past[channel]
        for taps, y in self._steps:
            _core._fir(self._x, taps, y)
        self._past[channel][...] = self._end
        if self._kept:
            self._before[...] = self._last[channel]
            self._last[channel][...] = self._new
        return self.output


class Chain:
    """Rate up, softsign, rate down, beside a dry path.

    Bias and rest are added and taken away right at softsign, so that all filters see signals around zero.

    Parameters
    ----------
    filters : Filters
        Those of the setting.
    method : Method
        What is done between the filters.
    channels : int
        Number of channels.
    dtype : dtype
        float32 or float64.
    longest : int
        Samples that a piece may have.
    """

    def __init__(
        self, filters: Filters, method: Method, channels: int, dtype: np.dtype[Any], longest: int
    ) -> None:
        top, lines = longest << len(filters.up), method.lines
        self._kept = -(-method.past // lines)
        self._rising = [_Bank(taps, channels, dtype, longest << i) for i, taps in enumerate(filters.up)]
        self._rising.append(_Bank(filters.before, channels, dtype, top, self._kept))
        falling = (filters.after, *filters.down)
        self._falling = [_Bank(taps, channels, dtype, top >> i) for i, taps in enumerate(falling)]
        self._dry = _Bank(filters.dry, channels, dtype, longest)
        self._method = method
        self._memory = np.empty(5 * top, dtype)

    def set_gains(self, drive: float, bias: float, wet: float, dry: float) -> None:
        """Set the gains, once.

        Parameters
        ----------
        drive, bias : float
            Gain and offset before softsign.
        wet, dry : float
            Gain of the shaped sound, and of the dry one.
        """
        self._rising[0].taps *= drive
        self._falling[-1].taps *= wet
        self._dry.taps *= dry
        self._bias, self._mixed = bias, dry > 0
        self.resize(1)
        self._rising[-1].output[...] = bias
        self._method.apply(self._samples, self._streams, self._work)
        self._rest = self._streams[0, 0, 0]

    def reset(self) -> None:
        """Forget the past."""
        for bank in (*self._rising, *self._falling, self._dry):
            bank.reset()

    def resize(self, n: int) -> None:
        """Prepare for pieces of a length.

        Parameters
        ----------
        n : int
            Samples in a piece.
        """
        self._n, top = n, n << (len(self._rising) - 1)
        for level, (rising, falling) in enumerate(zip(self._rising, reversed(self._falling), strict=True)):
            rising.resize(n << level)
            falling.resize(n << level)
        self._dry.resize(n)
        lines, y = self._method.lines, self._rising[-1].output
        starts = ((i % lines, self._kept + i // lines) for i in range(-self._method.past, lines))
        self._samples = [y[phase, start : start + top] for phase, start in starts]
        self._streams = self._falling[0].input.reshape(-1, lines, top)
        self._work = self._memory[: 5 * top].reshape(5, top)

    def run(self, channel: int, samples: Array, out: Array) -> None:
        """Shape a piece of a channel.

        Parameters
        ----------
        channel : int
            Number of the channel.
        samples : ndarray of shape (n,)
            The piece.
        out : ndarray of shape (n,)
            Where the output goes.
        """
        if len(samples) != self._n:
            self.resize(len(samples))
        self._rising[0].input[0] = samples
        for bank, following in pairwise(self._rising):
            x = following.input[0]
            x[::2], x[1::2] = bank.run(channel)
        y, streams = self._rising[-1].run(channel), self._streams
        if self._bias:
            y += self._bias
        self._method.apply(self._samples, streams, self._work)
        if self._bias:
            streams[0] -= self._rest
        for bank, following in pairwise(self._falling):
            y = bank.run(channel)[0]
            following.input[0], following.input[1] = y[::2], y[1::2]
        y = self._falling[-1].run(channel)[0]
        if self._mixed:
            self._dry.input[0] = samples
            y += self._dry.run(channel)[0]
        out[...] = y
