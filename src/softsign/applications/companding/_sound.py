"""Sound files through libsndfile, block by block, with errors that name the file."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from softsign.variants._blocks import Array

BLOCK = 1 << 16  # frames
#: Bits of the formats of samples that are written to WAV files.
INTEGERS = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
FLOATS = {"FLOAT": 32, "DOUBLE": 64}
_MOST_BYTES = 2**32 - 2**12  # what the 32-bit lengths in a WAV file can tell


def library() -> Any:
    """Import soundfile."""
    try:
        import soundfile
    except ModuleNotFoundError as error:
        if error.name != "soundfile":
            raise
        raise ModuleNotFoundError(
            "softsign.applications.companding.files needs soundfile: pip install 'softsign[audio]'",
            name="soundfile",
        ) from error
    return soundfile


@contextlib.contextmanager
def opened(source: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a sound file for reading, and put what libsndfile says of it into words."""
    soundfile = library()
    if Path(source).exists() and not Path(source).is_file():
        raise OSError(errno.EINVAL, "not a regular file, and it has to be read twice", str(source))
    with open(source, "rb") as file:
        try:
            with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
                yield sound
        except soundfile.LibsndfileError as error:
            raise ValueError(f"{source} is no sound file that libsndfile reads: {_reason(error)}") from error


def blocks(sound: Any, source: str | os.PathLike[str]) -> Iterator[Array]:
    """Yield the samples from the first on, in float64, and refuse nan and infinities."""
    sound.seek(0)
    for start in range(0, sound.frames, BLOCK):
        x = sound.read(min(BLOCK, sound.frames - start), dtype="float64", always_2d=True)
        if len(x) < min(BLOCK, sound.frames - start):
            raise ValueError(
                f"{source} is truncated: it promises {sound.frames:,} frames and holds {start + len(x):,}"
            )
        bad = ~np.isfinite(x)
        if bad.any():
            frame, channel = divmod(int(np.argmax(bad)), x.shape[1])
            raise ValueError(
                f"{source}: frame {start + frame:,} of channel {channel} is {x[frame, channel]}, "
                "but samples must be finite"
            )
        yield x


def writable(subtype: str) -> str:
    """Return a format of samples that WAV files have: the one given, or 16 bits."""
    return subtype if subtype in INTEGERS or subtype in FLOATS else "PCM_16"


@contextlib.contextmanager
def new_wav(
    file: Any, target: str | os.PathLike[str], frames: int, channels: int, sample_rate: int, subtype: str
) -> Iterator[Any]:
    """Open a file that is open for writing as a WAV file."""
    soundfile = library()
    if frames * channels * (INTEGERS | FLOATS)[subtype] // 8 > _MOST_BYTES:
        raise ValueError(f"{target} would be larger than the 4 GB that a WAV file holds")
    try:
        with soundfile.SoundFile(
            file.fileno(), "w", sample_rate, channels, subtype, format="WAV", closefd=False
        ) as sound:
            yield sound
    except soundfile.LibsndfileError as error:
        raise OSError(errno.EIO, f"libsndfile does not write it: {_reason(error)}", str(target)) from error


def as_stored(x: Array, subtype: str) -> Array:
    """Return samples as libsndfile writes them unchanged: integers by their highest bits."""
    if subtype in FLOATS:
        return x
    half = 2.0 ** (INTEGERS[subtype] - 1)
    return np.clip(np.rint(x * half), -half, half - 1).astype(np.int32) << (32 - INTEGERS[subtype])


def _reason(error: Any) -> str:
    return str(error.error_string).strip().rstrip(".")
