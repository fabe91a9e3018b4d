"""Sound files through soundfile (libsndfile), block by block, with errors that name the file."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from softsign.variants._blocks import Array

#: Bytes of a sample in the encodings that are numbers, by libsndfile's names.
BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
#: Bytes that a WAV file can count, less some for headers.
WAV_LIMIT = 2**32 - 2**20


def library() -> Any:
    """Import soundfile."""
    try:
        import soundfile
    except ModuleNotFoundError as error:
        if error.name != "soundfile":
            raise
        raise ModuleNotFoundError(
            "sound files need soundfile: pip install 'softsign[audio]'", name="soundfile"
        ) from error
    return soundfile


@contextlib.contextmanager
def opened(source: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a sound file for reading, and put what libsndfile says of it into words."""
    soundfile = library()
    if os.path.exists(source) and not os.path.isfile(source):
        raise OSError(errno.EINVAL, "not a regular file, and it has to be read twice", str(source))
    with open(source, "rb") as file:  # for the system's own words, where libsndfile has "System error"
        try:
            sound = soundfile.SoundFile(file.fileno(), closefd=False)
        except soundfile.LibsndfileError as error:
            why = _reason(error) or "it has no samples, or is cut short"
            raise ValueError(f"{source} is no sound file that libsndfile reads: {why}") from error
        with sound:
            yield sound


def read(sound: Any, source: str | os.PathLike[str], frames: int) -> Array:
    """Read the next frames in float64, or those that are left."""
    try:
        x: Array = sound.read(frames, dtype="float64", always_2d=True)
    except library().LibsndfileError as error:
        raise ValueError(f"{source} is damaged: {_reason(error)}") from error
    if len(x) < min(frames, sound.frames - sound.tell() + len(x)):
        raise ValueError(
            f"{source} is cut short: it promises {sound.frames:,} frames and holds {sound.tell():,}"
        )
    return x


def same(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> bool:
    """Tell whether two paths name one file that exists."""
    return os.path.exists(source) and os.path.exists(target) and os.path.samefile(source, target)


@contextlib.contextmanager
def created(
    file: BinaryIO,
    target: str | os.PathLike[str],
    sample_rate: int,
    channels: int,
    subtype: str,
    form: str = "WAV",
) -> Iterator[Any]:
    """Write a sound into a file that is open for writing."""
    soundfile = library()
    sink = _Sink(file)
    try:
        try:
            sound = soundfile.SoundFile(sink, "w", sample_rate, channels, subtype, format=form)
        except (soundfile.LibsndfileError, ValueError) as error:
            what = f"{channels} channels, {sample_rate} Hz, {subtype}"
            raise ValueError(f"{target}: {form} does not hold {what}") from error
        with sound:
            yield sound
    finally:
        if sink.error is not None:
            raise sink.error


def as_stored(x: Array, subtype: str) -> Array:
    """Return samples as libsndfile writes them unchanged: integers by their highest bits.

    It would round floats towards minus infinity.
    """
    if not subtype.startswith("PCM"):
        return x
    bits = 8 * BYTES[subtype]
    half = 2.0 ** (bits - 1)
    levels = np.clip(np.rint(x.astype(np.float64, copy=False) * half), -half, half - 1)
    return levels.astype(np.int32) << (32 - bits)


class _Sink:
    """A file that libsndfile writes to. What goes wrong is kept: its callbacks print exceptions and go on."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: BaseException | None = None
        self.tell = file.tell

    def write(self, data: bytes) -> int:
        return self._attempt(self.file.write, data) or 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._attempt(self.file.seek, offset, whence) or 0

    def _attempt(self, call: Callable[..., int], *arguments: Any) -> int | None:
        if self.error is None:
            try:
                return call(*arguments)
            except BaseException as error:  # noqa: BLE001  (an interrupt, too)
                self.error = error
        return None


def _reason(error: Any) -> str:
    return str(error.error_string).strip().rstrip(".")
