"""Sound files as companded codes in a ``.npz`` file, and back, block by block. Needs the extra ``audio``.

Such a file holds, as `numpy.load` shows it, ``codes`` of shape (frames, channels), with what `NonlinearADC`
needs to decode them: ``bits``, ``k``, ``limit`` and ``midtread``; also ``sample_rate`` in Hz, ``subtype``,
libsndfile's name for the format of the samples they are from, and ``format``, by which `expand` knows it.
"""

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from softsign._files import check_target, written_whole
from softsign.applications import _sound
from softsign.applications.companding import _archive, g711
from softsign.applications.companding.adc import NonlinearADC
from softsign.applications.companding.law import Compander
from softsign.applications.companding.signals import Moments
from softsign.variants._blocks import Array

__all__ = ["Report", "compand", "expand"]

_BLOCK = 1 << 16  # frames

_Progress = Callable[[int, int], None] | None


class Report(NamedTuple):
    """What was done to a sound file.

    Attributes
    ----------
    frames, channels, sample_rate : int
        Of the sound.
    subtype : str
        The format of the samples that were read or written, as libsndfile names it.
    adc : NonlinearADC
        The converter.
    clipped : int
        Number of samples beyond the limit, counted by `compand`.
    snr_db, mu_law_db, a_law_db : float
        Signal power by noise power in decibels, and what G.711 would leave; nan for silence and after
        `expand`.
    """

    frames: int
    channels: int
    sample_rate: int
    subtype: str
    adc: NonlinearADC
    clipped: int = 0
    snr_db: float = math.nan
    mu_law_db: float = math.nan
    a_law_db: float = math.nan


def compand(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    bits: int = 8,
    *,
    k: float | None = None,
    limit: float | None = None,
    overwrite: bool = False,
    progress: _Progress = None,
) -> Report:
    """Write the companded codes of a sound file, which is read twice.

    Parameters
    ----------
    source : path-like
        WAV, FLAC, Ogg, AIFF or another file that libsndfile reads.
    target : path-like
        The ``.npz`` file to write, whole or not at all.
    bits : int
        As of `NonlinearADC`. From 2 on, 0 is a level, so that silence stays silent.
    k : float, optional
        As of `Compander`. Default: the best for the file.
    limit : float, optional
        As of `Compander`; 1 is full scale of integer samples. Default: the peak of the file.
    overwrite : bool
        Whether to replace `target` if it exists.
    progress : callable, optional
        Called after each block as ``progress(done, total)``.

    Returns
    -------
    Report
        With the noise, beside that of G.711.

    Raises
    ------
    TypeError
        If `bits`, `k` or `limit` is not a number.
    ValueError
        If a number is out of its range, `source` is no sound file or has a sample that is nan or infinite,
        `target` does not end in ``.npz``, or both are the same file.
    FileExistsError
        If `target` exists and `overwrite` is false.
    OSError
        If a file cannot be read or written; ``filename`` tells which.
    ModuleNotFoundError
        If soundfile is not installed.
    """
    NonlinearADC(bits, 1.0 if k is None else k, limit=1.0 if limit is None else limit)  # refuses them early
    if limit == math.inf:
        raise ValueError("limit is inf, but must be a positive number below infinity")
    _check_places(source, target, ".npz", overwrite)
    with _sound.opened(source) as sound:
        advance = _counter(progress, 2 * sound.frames)
        peak, moments = _measured(_blocks(sound, source), advance)
        limit = limit or peak or 1.0
        k = k or (Compander.for_moments(moments, limit).k if peak else 1.0)
        adc = NonlinearADC(bits, k, limit=limit, midtread=bits > 1)
        report = Report(sound.frames, sound.channels, sound.samplerate, sound.subtype, adc)
        noise = _Noise(adc)
        codes = noise.counted(_blocks(sound, source), advance)
        with written_whole(target, overwrite=overwrite) as file:
            _archive.write(file, adc, (sound.frames, sound.channels), sound.samplerate, sound.subtype, codes)
        snr_db, mu_law_db, a_law_db = noise.ratios_db()
        return report._replace(clipped=noise.clipped, snr_db=snr_db, mu_law_db=mu_law_db, a_law_db=a_law_db)


def expand(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: _Progress = None,
) -> Report:
    """Write the sound that companded codes stand for.

    Parameters
    ----------
    source : path-like
        What `compand` wrote.
    target : path-like
        The ``.wav`` file to write, whole or not at all. Its samples have the format of those that the codes
        are from, or 16 bits where a WAV file has no such format.
    overwrite : bool
        Whether to replace `target` if it exists.
    progress : callable, optional
        Called after each block as ``progress(done, total)``.

    Returns
    -------
    Report
        Without the noise.

    Raises
    ------
    ValueError
        If `source` is damaged or something else, `target` does not end in ``.wav`` or would exceed 4 GB, or
        both are the same file.
    FileExistsError
        If `target` exists and `overwrite` is false.
    OSError
        If a file cannot be read or written; ``filename`` tells which.
    ModuleNotFoundError
        If soundfile is not installed.
    """
    _check_places(source, target, ".wav", overwrite)
    with _archive.Archive(source) as archive:
        kept = archive.subtype in _sound.BYTES and archive.subtype != "PCM_S8"  # which WAV does not have
        subtype = archive.subtype if kept else "PCM_16"
        report = Report(archive.frames, archive.channels, archive.sample_rate, subtype, archive.adc)
        advance = _counter(progress, archive.frames)
        if archive.frames * archive.channels * _sound.BYTES[subtype] > _sound.WAV_LIMIT:
            raise ValueError(f"{target} would be larger than the 4 GB that a WAV file holds")
        with (
            written_whole(target, overwrite=overwrite) as file,
            _sound.created(file, target, archive.sample_rate, archive.channels, subtype) as sound,
        ):
            for x in archive.decoded(_BLOCK):
                sound.write(_sound.as_stored(x, subtype))
                advance(len(x))
    return report


def _check_places(
    source: str | os.PathLike[str], target: str | os.PathLike[str], suffix: str, overwrite: bool
) -> None:
    if Path(target).suffix.lower() != suffix:
        raise ValueError(f"{target} does not end in {suffix}, the one format that is written")
    if _sound.same(source, target):
        raise ValueError(f"{source} and {target} are the same file; the result needs a file of its own")
    check_target(target, overwrite=overwrite)


def _blocks(sound: Any, source: str | os.PathLike[str]) -> Iterator[Array]:
    """Yield the samples from the first on, and refuse nan and infinities."""
    sound.seek(0)
    for start in range(0, sound.frames, _BLOCK):
        x = _sound.read(sound, source, _BLOCK)
        bad = ~np.isfinite(x)
        if bad.any():
            frame, channel = divmod(int(np.argmax(bad)), x.shape[1])
            raise ValueError(
                f"{source}: frame {start + frame:,} of channel {channel} is {x[frame, channel]}, "
                "but samples must be finite"
            )
        yield x


def _counter(progress: _Progress, total: int) -> Callable[[int], None]:
    """Return what is told how many frames more are done."""
    done = 0

    def advance(frames: int) -> None:
        nonlocal done
        done += frames
        if progress is not None:
            progress(done, total)

    return advance


def _measured(blocks: Iterator[Array], advance: Callable[[int], None]) -> tuple[float, Moments]:
    """Return the largest magnitude and the moments."""
    peak, sums, size = 0.0, np.zeros(4), 0
    for x in blocks:
        peak = max(peak, float(np.max(np.abs(x))))
        sums += x.size * np.array(Moments.of(x))
        size += x.size
        advance(len(x))
    return peak, Moments(*(sums / max(size, 1)).tolist())


class _Noise:
    """What a converter, and G.711 beside it, make of blocks of samples."""

    def __init__(self, adc: NonlinearADC) -> None:
        self.adc = adc
        self.clipped, self.power, self.noise = 0, 0.0, np.zeros(3)

    def counted(self, blocks: Iterator[Array], advance: Callable[[int], None]) -> Iterator[Array]:
        """Yield the codes of each block."""
        for x in blocks:
            codes = self.adc.encode(x)
            yield codes
            linear = np.clip(np.rint(x * 2**15), -(2**15), 2**15 - 1).astype(np.int16)
            mu_law = g711.mu_law_decode(g711.mu_law_encode(linear)) / 2**15
            a_law = g711.a_law_decode(g711.a_law_encode(linear)) / 2**15
            self.clipped += int(np.count_nonzero(np.abs(x) > self.adc.compander.limit))
            self.power += float(np.sum(x * x))
            self.noise += [np.sum((x - y) ** 2) for y in (self.adc.decode(codes), mu_law, a_law)]
            advance(len(x))

    def ratios_db(self) -> list[float]:
        """Return signal power by noise power of the converter, of mu-law and of A-law."""
        if not self.power:
            return [math.nan] * 3
        return [10 * math.log10(self.power / noise) if noise else math.inf for noise in self.noise.tolist()]
