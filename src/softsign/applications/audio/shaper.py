"""The saturator: settings, state, blocks."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from softsign.applications.audio.chain import Chain
from softsign.applications.audio.filters import design
from softsign.applications.audio.methods import METHODS

Array = npt.NDArray[Any]

#: Frames that are worked on at a time, so that all buffers stay in the second-level cache.
PIECE = 2048
OVERSAMPLE = (1, 2, 4, 8)
POLICIES = ("raise", "zero", "pass")
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
    antialias : {"moments", "none", "adaa1", "adaa2", "adaa2-triangle"}
        Method of antialiasing.
    oversample : {1, 2, 4, 8}
        Factor of the rate at which softsign works.
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
    TypeError
        If a number is not one.

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
        drive = 10 ** (_within("drive_db", drive_db, -LOUDEST, LOUDEST) / 20)
        gain = 10 ** (_within("output_db", output_db, -LOUDEST, LOUDEST) / 20)
        wet = _within("mix", mix, 0.0, 1.0)
        offset = _within("bias", bias, -1e6, 1e6)
        _one_of("antialias", antialias, tuple(METHODS))
        _one_of("oversample", oversample, OVERSAMPLE)
        self._nan = _one_of("nan", nan, POLICIES)
        if isinstance(channels, bool) or not isinstance(channels, (int, np.integer)) or channels < 1:
            raise ValueError(f"channels is {channels!r}; it has to be a whole number of at least 1")
        self._channels = int(channels)
        self._dtype = np.dtype(_one_of("dtype", np.dtype(dtype).name, ("float64", "float32")))
        filters = design(antialias, oversample)
        self._latency = filters.latency
        self._chain = Chain(
            filters,
            METHODS[antialias],
            self._channels,
            self._dtype,
            PIECE,
            drive=drive,
            bias=offset,
            wet=wet * gain,
            dry=(1 - wet) * gain,
        )
        self._finite = np.empty(PIECE, np.bool_)
        self.reset()

    @property
    def latency_samples(self) -> float:
        """Delay of the output, in samples: half a sample more than a whole number for adaa1 at oversample=1."""
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
            Array for the output, of the shape of `block` and the dtype of this object; `block` itself is
            allowed.

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
        if out is None:
            out = np.empty(x.shape, self._dtype)
        elif not isinstance(out, np.ndarray) or out.dtype != self._dtype or out.shape != x.shape:
            given = f"{out.dtype} of shape {out.shape}" if isinstance(out, np.ndarray) else repr(out)
            raise ValueError(f"out is {given}; it has to be an array of {self._dtype}, shape {x.shape}")
        elif out is not x and np.may_share_memory(out, x):
            x = x.copy()  # of another place in the same memory, which would be overwritten too early
        frames, y = x.reshape(len(x), self._channels), out.reshape(len(x), self._channels)
        if self._nan == "raise":
            self._refuse(frames)
        for start in range(0, len(frames), PIECE):
            for channel in range(self._channels):
                piece = slice(start, start + PIECE), channel
                self._chain.run(channel, frames[piece], y[piece])
        self._frames += len(frames)
        self._flat = x.ndim == 1
        return out

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
        ValueError
            As `process`.
        TypeError
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
        if x.dtype not in (np.float32, np.float64):
            raise TypeError(
                f"{name} is of {x.dtype}; samples are float32 or float64, full scale from -1 to 1"
            )
        if x.ndim not in (1, 2) or (x.shape[1] if x.ndim == 2 else 1) != self._channels:
            allowed = f"(frames, {self._channels})" + (" or (frames,)" if self._channels == 1 else "")
            raise ValueError(f"{name} has shape {x.shape}; it has to be {allowed}")
        return x

    def _refuse(self, frames: Array) -> None:
        """Raise an error if a sample is nan or infinite."""
        for start in range(0, len(frames), PIECE):
            for channel in range(self._channels):
                x = frames[start : start + PIECE, channel]
                finite = np.isfinite(x, out=self._finite[: len(x)])
                if not finite.all():
                    at = int(finite.argmin())
                    raise ValueError(
                        f"block has {x[at]} at frame {self._frames + start + at}, channel {channel}; samples have to "
                        'be finite (nan="zero" makes them silence, nan="pass" lets them through)'
                    )


def _within(name: str, value: float, low: float, high: float) -> float:
    """Return a number that lies in a range."""
    if isinstance(value, (str, bytes)) or not low <= float(value) <= high:
        raise ValueError(f"{name} is {value!r}; it has to be a number from {low:g} to {high:g}")
    return float(value)


def _one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """Return a value that is among the allowed ones."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it has to be one of {', '.join(map(repr, allowed))}")
    return value
