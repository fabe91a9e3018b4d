"""Sound files through `Waveshaper`, in blocks, by soundfile (libsndfile)."""

import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from softsign._files import check_target, written_whole
from softsign.applications import _sound
from softsign.applications.audio.shaper import Waveshaper

__all__ = ["SUFFIXES", "FileReport", "process_file"]

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
#: Encodings that are kept: those of one sample after the other, and Ogg's. Others would change the length.
_KEPT = (*_sound.BYTES, "ULAW", "ALAW", "VORBIS", "OPUS")
#: Tags that libsndfile 1.2 takes for a format and does not write.
_WITHOUT = {
    "AIFF": ("date", "album", "license", "tracknumber", "genre"),
    "WAV": ("license",),
    "RF64": ("license",),
}
_BLOCK = 1 << 15  # frames


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
    if _sound.same(source, target):
        raise ValueError(f"{target} is the file to be read; name another one to write")
    form, fallback = _format(target)
    check_target(target, overwrite=overwrite)
    with _sound.opened(source) as sound:
        encoding = _encoding(form, fallback, sound.subtype, subtype)
        shaper = Waveshaper(channels=sound.channels, **settings)
        if settings.get("nan") == "pass" and encoding not in ("FLOAT", "DOUBLE"):
            raise ValueError(f'nan is "pass", but {encoding} has no nan and would make a click of it')
        if form == "FLAC" and sound.frames == 0:
            raise ValueError(f"{source} has no samples, and FLAC cannot hold an empty sound; WAV can")
        size = sound.frames * sound.channels * _sound.BYTES.get(encoding, 0)
        form = "RF64" if form == "WAV" and size > _sound.WAV_LIMIT else form
        with (
            written_whole(target, overwrite=overwrite) as file,
            _sound.created(file, target, sound.samplerate, sound.channels, encoding, form) as written,
        ):
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


def _format(target: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the format that a suffix stands for, and its encoding where the source's is not possible."""
    suffix = Path(target).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{target} does not end in {', '.join(SUFFIXES)}")
    return SUFFIXES[suffix]


def _encoding(form: str, fallback: str, source: str, wanted: str | None) -> str:
    """Return the encoding to write."""
    soundfile = _sound.library()

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
    sound: Any,
    written: Any,
    shaper: Waveshaper,
    source: str | os.PathLike[str],
    progress: Callable[[int, int, int], object] | None,
) -> tuple[float, int]:
    """Shape all blocks; return the peak, and how many samples are beyond full scale."""
    late = int(shaper.latency_samples)  # frames of the output that belong to the time before the sound
    made, peak, beyond = -late, 0.0, 0
    while made < sound.frames:
        block = _sound.read(sound, source, _BLOCK)
        try:
            y = shaper.process(block) if len(block) else shaper.flush().reshape(-1, sound.channels)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error
        kept = y[max(-made, 0) : max(sound.frames - made, 0)]
        written.write(_sound.as_stored(kept, written.subtype))
        size = np.abs(kept)
        peak = max(peak, float(np.max(size, initial=0)))
        beyond += int(np.count_nonzero(size > 1))
        made += len(y)
        if progress is not None:
            progress(min(max(made, 0), sound.frames), sound.frames, sound.samplerate)
    return peak, beyond
