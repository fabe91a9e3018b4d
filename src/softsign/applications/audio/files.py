"""Sound files through `Waveshaper`, in blocks, by soundfile (libsndfile)."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from softsign._files import check_target, written_whole
from softsign.applications.audio.shaper import Waveshaper

__all__ = ["SUFFIXES", "FileReport", "opened", "process_file"]

Array = npt.NDArray[Any]

#: Formats that are written, by libsndfile's names, and what they are written as where the source's own
#: encoding is not theirs.
SUFFIXES = {
    ".wav": ("WAV", "PCM_24"),
    ".flac": ("FLAC", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".oga": ("OGG", "VORBIS"),
    ".aiff": ("AIFF", "PCM_24"),
    ".aif": ("AIFF", "PCM_24"),
}
#: Encodings with one nearest neighbor in another format.
_NEAREST = {("FLAC", "PCM_U8"): "PCM_S8", ("WAV", "PCM_S8"): "PCM_U8", ("AIFF", "PCM_U8"): "PCM_S8"}
#: Encodings that hold values beyond full scale: floating point, and transform codecs.
_UNLIMITED = ("FLOAT", "DOUBLE", "VORBIS", "OPUS")
#: Bytes of a sample.
_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
#: Encodings that are kept: those of one sample after the other, and Ogg's. Others would change the length.
_KEPT = (*_BYTES, "ULAW", "ALAW", "VORBIS", "OPUS")
#: Tags that libsndfile 1.2 takes for a format and does not write.
_WITHOUT = {
    "AIFF": ("date", "album", "license", "tracknumber", "genre"),
    "WAV": ("license",),
    "RF64": ("license",),
}
_BLOCK = 1 << 15  # frames
_WAV_LIMIT = (1 << 32) - (1 << 20)  # bytes, less some for headers: WAV counts them in 32 bits


class Sound(Protocol):
    """What is used of ``soundfile.SoundFile``."""

    frames: int
    channels: int
    samplerate: int
    format: str
    subtype: str

    def read(self, frames: int = ..., dtype: str = ..., always_2d: bool = ..., out: Array = ...) -> Array:
        """Read the next frames."""

    def write(self, data: Array) -> None:
        """Write frames."""

    def copy_metadata(self) -> dict[str, str]:
        """Return the tags."""


class FileReport(NamedTuple):
    """What `process_file` did.

    Attributes
    ----------
    frames : int
        Samples of each channel.
    channels : int
        Number of channels.
    sample_rate : int
        Samples per second.
    format : str
        libsndfile's name of the format written.
    subtype : str
        libsndfile's name of the encoding written.
    source_subtype : str
        The source's encoding.
    peak : float
        Largest magnitude of the output, 1 being full scale.
    clipped : int
        Samples beyond full scale that the encoding limited to it.
    lost_tags : tuple of str
        Tags of the source that the format written does not have.
    seconds : float
        Time that reading, shaping and writing took.
    """

    frames: int
    channels: int
    sample_rate: int
    format: str
    subtype: str
    source_subtype: str
    peak: float
    clipped: int
    lost_tags: tuple[str, ...]
    seconds: float


def process_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    subtype: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int, int], object] | None = None,
    **settings: Any,
) -> FileReport:
    """Shape a sound file into another, block by block, with memory that does not depend on its length.

    The output is as long as the source and not delayed. It keeps sample rate, channels, tags, and the
    encoding where the format written has it.

    Parameters
    ----------
    source : path-like
        File to read, in any format that libsndfile knows.
    target : path-like
        File to write, never `source`; its suffix, one of `SUFFIXES`, is the format. It appears whole or not
        at all. A WAV file beyond 4 GB, which that format cannot count, is written as RF64.
    subtype : str, optional
        libsndfile's name of the encoding, such as PCM_16, PCM_24 or FLOAT; by default that of the source, or
        24 bits where the format does not have it.
    overwrite : bool
        Whether to replace `target` if it exists.
    progress : callable, optional
        Called with the frames done, the frames in all and the sample rate after each block.
    **settings
        Parameters of `Waveshaper`: drive_db, bias, mix, output_db, antialias, oversample, dtype, nan.

    Returns
    -------
    FileReport
        What was written; samples beyond full scale are counted where the encoding limits them.

    Raises
    ------
    ModuleNotFoundError
        If soundfile or SciPy is not installed (``pip install "softsign[audio]"``).
    OSError
        If a file cannot be read or written; FileExistsError if `target` exists and `overwrite` is false.
    ValueError
        If `source` is no sound, `target` is `source` or has another suffix, the encoding or a setting is not
        possible, or a sample is nan or infinite.

    Examples
    --------
    >>> import tempfile, numpy as np, soundfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tone = np.sin(2 * np.pi * 220 * np.arange(48000) / 48000)
    ...     soundfile.write(f"{folder}/tone.wav", tone, 48000)
    ...     report = process_file(f"{folder}/tone.wav", f"{folder}/warm.flac", drive_db=12.0)
    >>> report.frames, report.format, report.subtype, round(report.peak, 1)
    (48000, 'FLAC', 'PCM_16', 0.8)
    """
    import soundfile

    if same_file(source, target):
        raise ValueError(f"{target} is the file to be read; name another one to write")
    form, fallback = format_of(target)
    check_target(target, overwrite=overwrite)
    with opened(source) as sound:
        encoding = _encoding(form, fallback, sound.subtype, subtype)
        shaper = Waveshaper(channels=sound.channels, **settings)
        if settings.get("nan") == "pass" and encoding not in ("FLOAT", "DOUBLE"):
            raise ValueError(f'nan is "pass", but {encoding} has no nan and would make a click of it')
        if form == "FLAC" and sound.frames == 0:
            raise ValueError(f"{source} has no samples, and FLAC cannot hold an empty sound; WAV can")
        size = sound.frames * sound.channels * _BYTES.get(encoding, 0)
        form = "RF64" if form == "WAV" and size > _WAV_LIMIT else form
        with written_whole(target, overwrite=overwrite) as file, _errors_of(file) as sink:
            try:
                written = soundfile.SoundFile(
                    sink, "w", sound.samplerate, sound.channels, encoding, format=form
                )
            except (soundfile.SoundFileError, ValueError) as error:
                what = f"{sound.channels} channels, {sound.samplerate} Hz, {encoding}"
                raise ValueError(f"{target}: {form} does not hold {what}") from error
            with written:
                lost = _copy_tags(sound, written)
                start = perf_counter()
                peak, beyond = _shape(sound, written, shaper, source, progress)
        return FileReport(
            frames=sound.frames,
            channels=sound.channels,
            sample_rate=sound.samplerate,
            format=form,
            subtype=encoding,
            source_subtype=sound.subtype,
            peak=peak,
            clipped=0 if encoding in _UNLIMITED else beyond,
            lost_tags=lost,
            seconds=perf_counter() - start,
        )


def same_file(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> bool:
    """Tell whether two paths name one file.

    Parameters
    ----------
    source, target : path-like
        Files, which need not exist.

    Returns
    -------
    bool
        Whether both exist and are the same.
    """
    return os.path.exists(source) and os.path.exists(target) and os.path.samefile(source, target)


def format_of(target: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the format that a suffix stands for, and its encoding where the source's is not possible.

    Parameters
    ----------
    target : path-like
        File to write.

    Returns
    -------
    tuple of str
        libsndfile's names.

    Raises
    ------
    ValueError
        If the suffix is none of `SUFFIXES`.
    """
    suffix = Path(target).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{target} does not end in {', '.join(SUFFIXES)}")
    return SUFFIXES[suffix]


@contextlib.contextmanager
def opened(source: str | os.PathLike[str]) -> Iterator[Sound]:
    """Open a sound file for reading.

    Parameters
    ----------
    source : path-like
        File in any format that libsndfile knows.

    Yields
    ------
    soundfile.SoundFile
        The sound.

    Raises
    ------
    ModuleNotFoundError
        If soundfile is not installed.
    OSError
        If the file cannot be read.
    ValueError
        If it is not a sound.
    """
    import soundfile

    with open(source, "rb"):  # for the system's own words, where libsndfile has "System error"
        pass
    try:
        sound = soundfile.SoundFile(source)
    except soundfile.LibsndfileError as error:
        why = error.error_string.strip().rstrip(".") or "it has no samples, or is cut short"
        raise ValueError(f"{source} is not a sound file that libsndfile reads: {why}") from error
    with sound:
        yield sound


def _encoding(form: str, fallback: str, source: str, wanted: str | None) -> str:
    """Return the encoding to write."""
    import soundfile

    if wanted is None:
        nearest = _NEAREST.get((form, source), source)
        return nearest if nearest in _KEPT and soundfile.check_format(form, nearest) else fallback
    if not soundfile.check_format(form, wanted.upper()):
        allowed = ", ".join(soundfile.available_subtypes(form))
        raise ValueError(f"subtype is {wanted!r}; {form} has {allowed}")
    return wanted.upper()


def _copy_tags(sound: Any, written: Any) -> tuple[str, ...]:
    """Copy title, artist and the like; return those that the format does not have."""
    tags = sound.copy_metadata()
    for name, value in tags.items():
        setattr(written, name, value)
    return tuple(name for name in tags if name in _WITHOUT.get(written.format, ()))


def _shape(
    sound: Sound,
    written: Sound,
    shaper: Waveshaper,
    source: str | os.PathLike[str],
    progress: Callable[[int, int, int], object] | None,
) -> tuple[float, int]:
    """Shape all blocks; return the peak, and how many samples are beyond full scale."""
    late = int(shaper.latency_samples)  # frames of the output that belong to the time before the sound
    made, peak, beyond = -late, 0.0, 0
    buffer = np.empty((_BLOCK, sound.channels), shaper.dtype)
    while made < sound.frames:
        block = _read(sound, buffer, source)
        try:
            y = shaper.process(block) if len(block) else shaper.flush().reshape(-1, sound.channels)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error
        kept = y[max(-made, 0) : max(sound.frames - made, 0)]
        written.write(_quantized(kept, written.subtype))
        size = np.abs(kept)
        peak = max(peak, float(np.max(size, initial=0)))
        beyond += int(np.count_nonzero(size > 1))
        made += len(y)
        if len(block) == 0 and made < sound.frames:
            raise ValueError(f"{source} is cut short: it has {made} of {sound.frames} frames")
        if progress is not None:
            progress(min(max(made, 0), sound.frames), sound.frames, sound.samplerate)
    return peak, beyond


def _quantized(y: Array, subtype: str) -> Array:
    """Return samples rounded to the nearest of an integer encoding; libsndfile would cut what is below them."""
    if not subtype.startswith("PCM"):
        return y
    bits = 8 * _BYTES[subtype]
    scale = 2.0 ** (bits - 1)
    levels = np.clip(np.rint(y.astype(np.float64) * scale), -scale, scale - 1)
    return (levels * 2.0 ** (32 - bits)).astype(np.int32)  # of which libsndfile writes the upper bits


def _read(sound: Sound, buffer: Array, source: str | os.PathLike[str]) -> Array:
    """Read the next block."""
    import soundfile

    try:
        return sound.read(out=buffer)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{source} is damaged: {error.error_string.strip()}") from error


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


@contextlib.contextmanager
def _errors_of(file: BinaryIO) -> Iterator[_Sink]:
    """Give a file to libsndfile, and raise afterwards what went wrong in it."""
    sink = _Sink(file)
    try:
        yield sink
    finally:
        if sink.error is not None:
            raise sink.error
