"""The arithmetic on one piece of one channel, and what it remembers of the pieces before."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from softsign import _core
from softsign.applications.audio.filters import Filters
from softsign.applications.audio.methods import Method

__all__ = ["Chain"]

Array = npt.NDArray[Any]


class Bank:
    """A bank of filters with the samples that it needs of the past, and memory for its input and output."""

    def __init__(self, taps: Array, channels: int, dtype: np.dtype[Any], longest: int) -> None:
        outs, ins, length = taps.shape
        self.taps = taps.astype(dtype)
        self._past = np.zeros((channels, ins, length - 1), dtype)
        self._input = np.empty(ins * (length - 1 + longest), dtype)
        self._output = np.empty(outs * longest, dtype)

    def reset(self) -> None:
        """Forget the past."""
        self._past[...] = 0

    def feed(self, channel: int, n: int) -> Array:
        """Return the place for n samples of input in each row."""
        x, old = self._whole(n), self._past.shape[2]
        x[:, :old] = self._past[channel]
        return x[:, old:]

    def run(self, channel: int, n: int) -> Array:
        """Return n samples of output in each row, in memory that the next call writes to."""
        x = self._whole(n)
        y = self._output[: len(self.taps) * n].reshape(-1, n)
        for taps, row in zip(self.taps, y, strict=True):
            _core._fir(x, taps, row)
        self._past[channel] = x[:, n:]
        return y

    def _whole(self, n: int) -> Array:
        """Return past and input, one after the other in each row."""
        ins, old = self._past.shape[1:]
        return self._input[: ins * (old + n)].reshape(ins, old + n)


class Chain:
    """Rate up, softsign, rate down, beside a dry path.

    Bias and rest are added and taken away right at softsign, so that all filters see signals around zero.
    """

    def __init__(
        self, filters: Filters, method: Method, channels: int, dtype: np.dtype[Any], longest: int
    ) -> None:
        top = longest << len(filters.up)
        rising, falling = (*filters.up, filters.before), (filters.after, *filters.down)
        self._rising = [Bank(taps, channels, dtype, longest << level) for level, taps in enumerate(rising)]
        self._falling = [Bank(taps, channels, dtype, top >> level) for level, taps in enumerate(falling)]
        self._dry = Bank(filters.dry, channels, dtype, longest)
        self._method = method
        self._work = np.empty(5 * top, dtype)

    def set_gains(self, drive: float, bias: float, wet: float, dry: float) -> None:
        """Set, once, the gain and the offset before softsign, and what of it and of the dry path is added."""
        self._rising[0].taps *= drive
        self._falling[-1].taps *= wet
        self._dry.taps *= dry
        self._bias, self._mixed = bias, dry > 0
        still = np.full((self._method.past + self._method.lines, 1), bias, self._work.dtype)
        streams = np.empty((len(self._method.linear), self._method.lines, 1), self._work.dtype)
        self._method.apply(still, streams, np.empty((5, 1), self._work.dtype))
        self._rest = streams[0, 0, 0]

    def reset(self) -> None:
        """Forget the past."""
        for bank in (*self._rising, *self._falling, self._dry):
            bank.reset()

    def run(self, channel: int, samples: Array, out: Array) -> None:
        """Shape samples of a channel."""
        n = len(samples)
        self._rising[0].feed(channel, n)[0] = samples
        for bank, following in pairwise(self._rising):
            pair, n = bank.run(channel, n), 2 * n
            x = following.feed(channel, n)[0]
            x[::2], x[1::2] = pair
        v = self._rising[-1].run(channel, n)
        streams = self._falling[0].feed(channel, n).reshape(len(self._method.linear), -1, n)
        if self._bias:
            v += self._bias
        self._method.apply(v, streams, self._work[: 5 * n].reshape(5, n))
        if self._bias:
            streams[0] -= self._rest
        for bank, following in pairwise(self._falling):
            y, n = bank.run(channel, n)[0], n // 2
            pair = following.feed(channel, n)
            pair[0], pair[1] = y[::2], y[1::2]
        y = self._falling[-1].run(channel, n)[0]
        if self._mixed:
            self._dry.feed(channel, n)[0] = samples
            y += self._dry.run(channel, n)[0]
        out[...] = y
