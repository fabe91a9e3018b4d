"""The arithmetic on one piece of one channel, and what it remembers of the pieces before."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from softsign import _core, softsign
from softsign.applications.audio.filters import Filters
from softsign.applications.audio.methods import Method

__all__ = ["Chain"]

Array = npt.NDArray[Any]


class Bank:
    """A bank of filters with the samples that it needs of the past, and memory for its input and output."""

    def __init__(self, taps: Array, channels: int, dtype: np.dtype[Any], longest: int) -> None:
        self._taps = taps.astype(dtype)
        outs, ins, length = taps.shape
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
        y = self._output[: len(self._taps) * n].reshape(-1, n)
        for taps, row in zip(self._taps, y, strict=True):
            _core._fir(x, taps, row)
        self._past[channel] = x[:, n:]
        return y

    def _whole(self, n: int) -> Array:
        """Return past and input, one after the other in each row."""
        ins, old = self._past.shape[1:]
        return self._input[: ins * (old + n)].reshape(ins, old + n)


class Chain:
    """Rate up, softsign, rate down, beside a dry path; the gains are in the taps of the filters."""

    def __init__(
        self,
        filters: Filters,
        method: Method,
        channels: int,
        dtype: np.dtype[Any],
        longest: int,
        *,
        drive: float,
        bias: float,
        wet: float,
        dry: float,
    ) -> None:
        rising = [*filters.up, filters.before]
        falling = [filters.after, *filters.down]
        rising[0] = drive * rising[0]
        falling[-1] = wet * falling[-1]
        top = longest << len(filters.up)
        self._rising = [Bank(b, channels, dtype, longest << level) for level, b in enumerate(rising)]
        self._falling = [Bank(b, channels, dtype, top >> level) for level, b in enumerate(falling)]
        self._dry = Bank(dry * filters.dry, channels, dtype, longest) if dry else None
        self._method, self._bias, self._rest = method, bias, softsign(dtype.type(bias))
        self._work = np.empty(5 * top, dtype)

    def reset(self) -> None:
        """Forget the past."""
        for bank in (*self._rising, *self._falling, self._dry):
            if bank is not None:
                bank.reset()

    def run(self, channel: int, block: Array, out: Array) -> None:
        """Shape n samples of a channel."""
        n = len(block)
        x = self._rising[0].feed(channel, n)[0]
        x[...] = block
        if self._dry is not None:
            self._dry.feed(channel, n)[0] = x
        for bank, following in pairwise(self._rising):
            pair, n = bank.run(channel, n), 2 * n
            x = following.feed(channel, n)[0]
            x[::2], x[1::2] = pair
        v = self._rising[-1].run(channel, n)
        if self._bias:
            v += self._bias
        streams = self._falling[0].feed(channel, n).reshape(len(self._method.linear), -1, n)
        self._method.apply(v, streams, self._work[: 5 * n].reshape(5, n))
        if self._bias:
            streams[0] -= self._rest
        for bank, following in pairwise(self._falling):
            y, n = bank.run(channel, n)[0], n // 2
            pair = following.feed(channel, n)
            pair[0], pair[1] = y[::2], y[1::2]
        y = self._falling[-1].run(channel, n)[0]
        if self._dry is not None:
            y += self._dry.run(channel, n)[0]
        out[...] = y
