"""The saturator: settings, state, blocks."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from softsign.applications.audio._chain import Chain
from softsign.applications.audio._filters import design
from softsign.applications.audio._methods import METHODS
from softsign.applications.audio._settings import count, name_of, one_of, within

__all__ = ["Waveshaper"]

Array = npt.NDArray[Any]

#: Samples worked on at a time: many, as Python takes time for each piece, but few enough for a cache.
PIECE = 16_384
LOUDEST = 300.0  # dB


class Waveshaper:
    """Softsign as a saturator of sound, y = f(g x + b) - f(b), without the aliasing.

    The sound is processed in blocks of any lengths, and the bits of the output do not depend on them. One
    object has the state of one sound.

    Parameters
    ----------
    drive_db : float
        Gain g before softsign, in dB, from -300 to 300.
    bias : float
        Offset b after the gain; it makes the even harmonics of an asymmetric stage.
    mix : float
        Part of the saturated sound in the output, from 0 to 1. The rest is the input, with the delay and the
        frequency response of the saturated sound, so that the two add up without a comb filter.
    output_db : float
        Gain after all, in dB, from -300 to 300.
    antialias : {"moments", "moments2", "adaa1", "adaa2", "adaa2-triangle", "none"}
        Method of antialiasing: moments of softsign along straight lines from sample to sample, or along two
        lines per sample; its mean along them (antiderivative antialiasing); its mean over three samples, in
        Bilbao's and in Parker's form, which dampen high frequencies; softsign of the samples.
    oversample : {1, 2, 4, 8}
        Factor of the rate at which softsign works. From 2 on the latency is about 110 samples.
    channels : int
        Number of channels, each shaped by itself.
    dtype : {"float64", "float32"}
        Type of the arithmetic and of the output.
    nan : {"raise", "zero", "pass"}
        What nan and infinite input is: an error, silence, or let through.

    Raises
    ------
    ValueError
        If a parameter is none of these.
    ModuleNotFoundError
        If filters have to be designed and SciPy is missing.

    Examples
    --------
    >>> import numpy as np
    >>> shaper = Waveshaper(drive_db=20.0, antialias="adaa1")
    >>> shaper.latency_samples
    0.5
    >>> print(shaper.process(np.array([0.0, 0.1, 0.1])))
    [0.         0.30685282 0.5       ]
    """

    def __init__(
        self,
        drive_db: float = 0.0,
        *,
        bias: float = 0.0,
        mix: float = 1.0,
        output_db: float = 0.0,
        antialias: str = "moments",
        oversample: int = 1,
        channels: int = 1,
        dtype: npt.DTypeLike = "float64",
        nan: str = "raise",
    ) -> None:
        drive = 10 ** (within("drive_db", drive_db, -LOUDEST, LOUDEST) / 20)
        offset = within("bias", bias, -1e6, 1e6)
        wet = within("mix", mix, 0.0, 1.0)
        gain = 10 ** (within("output_db", output_db, -LOUDEST, LOUDEST) / 20)
        method = METHODS[one_of("antialias", antialias, tuple(METHODS))]
        oversample = int(one_of("oversample", oversample, (1, 2, 4, 8)))
        self._channels = count("channels", channels)
        self._dtype: np.dtype[Any] = np.dtype(one_of("dtype", name_of(dtype), ("float64", "float32")))
        self._nan = one_of("nan", nan, ("raise", "zero", "pass"))
        filters = design(antialias, oversample)
        self._latency = filters.latency
        self._longest = PIECE // oversample
        self._chain = Chain(filters, method, self._channels, self._dtype, self._longest)
        self._chain.set_gains(drive, offset, wet * gain, (1 - wet) * gain)
        self._piece = np.empty(self._longest, self._dtype)
        self._wrong = np.empty(self._longest, np.bool_)
        self.reset()

    @property
    def latency_samples(self) -> float:
        """Delay of the output in samples, with a half at the end for adaa1 at the host's rate."""
        return self._latency

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self._channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the arithmetic and of the output."""
        return self._dtype

    def reset(self) -> None:
        """Forget the sound so far, as if it had been silence."""
        self._chain.reset()
        self._frames = 0
        self._flat = self._channels == 1

    def process(self, block: npt.ArrayLike, out: Array | None = None) -> Array:
        """Shape the next block of the sound.

        Parameters
        ----------
        block : array_like of float32 or float64, shape (frames,) or (frames, channels)
            Samples, full scale from -1 to 1. One dimension for one channel alone.
        out : ndarray, optional
            Array for the output, of `block`'s shape and this object's dtype; `block` itself is allowed.

        Returns
        -------
        ndarray
            As many frames of output, `latency_samples` late.

        Raises
        ------
        ValueError
            If the shape does not fit, or a sample is nan or infinite and ``nan="raise"``. The state is then
            that before the call.
        TypeError
            If the dtype of `block` or of `out` is none of these.
        """
        x = self._checked(np.asarray(block), "block")
        y = np.empty(x.shape, self._dtype) if out is None else self._writable(out, x.shape)
        if y is not x and np.may_share_memory(y, x):
            x = x.copy()  # it lies elsewhere in the memory of `out`, and would be overwritten too early
        with np.errstate(all="ignore"):
            if self._nan == "raise":
                self._refuse(x)
            for piece, place, channel in self._pieces(x, y):
                self._chain.run(channel, self._zeroed(piece) if self._nan == "zero" else piece, place)
        self._frames += len(x)
        self._flat = x.ndim == 1
        return y

    def flush(self) -> Array:
        """Return the frames that are still due at the end of the sound, and reset.

        Returns
        -------
        ndarray
            The last ``ceil(latency_samples)`` frames, one- or two-dimensional as the last block was.
        """
        n = math.ceil(self._latency)
        tail = self.process(np.zeros(n if self._flat else (n, self._channels), self._dtype))
        self.reset()
        return tail

    def __call__(self, audio: npt.ArrayLike, sample_rate: float | None = None, reset: bool = True) -> Array:
        """Shape a sound in the layout of pedalboard, (channels, samples).

        Parameters
        ----------
        audio : array_like of float32 or float64, shape (samples,) or (channels, samples)
            Samples, full scale from -1 to 1.
        sample_rate : float, optional
            Not used: the shaper does the same at every rate. Plug-ins are called with it.
        reset : bool
            Whether this is a sound of its own: the output is then as long as `audio` and not delayed (a half
            sample of latency remains). Otherwise it is the next block, and its output late.

        Returns
        -------
        ndarray
            Output, in the shape of `audio`.

        Raises
        ------
        ValueError, TypeError
            As `process`.
        """
        x = np.asarray(audio)
        if x.ndim == 2 and len(x) != self._channels:
            raise ValueError(
                f"audio has shape {x.shape}; its first axis is channels, of which there are {self._channels}"
            )
        x = self._checked(x.T, "audio")
        if not reset:
            return np.ascontiguousarray(self.process(x).T)
        self.reset()
        y = np.concatenate([self.process(x), self.flush()])
        late = math.floor(self._latency)
        return np.ascontiguousarray(y[late : late + len(x)].T)

    def _checked(self, x: Array, name: str) -> Array:
        """Return a block if it has a right dtype and shape."""
        if x.dtype.char not in "fd":
            raise TypeError(
                f"{name} is of {x.dtype}; samples are float32 or float64, full scale from -1 to 1"
            )
        if x.ndim not in (1, 2) or (x.shape[1] if x.ndim == 2 else 1) != self._channels:
            allowed = f"(frames, {self._channels})" + (" or (frames,)" if self._channels == 1 else "")
            raise ValueError(f"{name} has shape {x.shape}; it has to be {allowed}")
        return x

    def _writable(self, out: Any, shape: tuple[int, ...]) -> Array:
        """Return `out` if the output fits into it."""
        if not isinstance(out, np.ndarray) or out.dtype != self._dtype or out.shape != shape:
            given = f"{out.dtype} of shape {out.shape}" if isinstance(out, np.ndarray) else repr(out)
            raise ValueError(f"out is {given}; it has to be an array of {self._dtype}, shape {shape}")
        return out

    def _pieces(self, *arrays: Array) -> Iterator[tuple[Any, ...]]:
        """Cut arrays of one shape into the same pieces of one channel each, and number the channel."""
        columns = [x[:, None] if x.ndim == 1 else x for x in arrays]
        for start in range(0, len(columns[0]), self._longest):
            for channel in range(self._channels):
                yield *(x[start : start + self._longest, channel] for x in columns), channel

    def _zeroed(self, piece: Array) -> Array:
        """Return a copy of a piece with zeros for what is not finite."""
        samples, wrong = self._piece[: len(piece)], self._wrong[: len(piece)]
        np.copyto(samples, piece, casting="same_kind")
        np.logical_not(np.isfinite(samples, out=wrong), out=wrong)
        np.copyto(samples, 0, where=wrong)
        return samples

    def _refuse(self, x: Array) -> None:
        """Raise an error if a sample is nan, infinite, or too large for the dtype."""
        largest = np.finfo(self._dtype).max
        if x.size and not (-largest <= x.min() and x.max() <= largest):
            frames = x.reshape(len(x), -1)
            frame, channel = np.argwhere(~(np.abs(frames) <= largest))[0]
            raise ValueError(
                f"block has {frames[frame, channel]} at frame {self._frames + frame}, channel {channel}; "
                'samples have to be finite (nan="zero" makes them silence, nan="pass" lets them through)'
            )
