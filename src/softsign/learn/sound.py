"""The methods against aliasing, compared on a sound: errors, spectra, players.

Needs matplotlib, SciPy and soundfile.
"""

from __future__ import annotations

import base64
import html
import io
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from softsign import softsign
from softsign._palette import COLORS
from softsign.applications import _sound
from softsign.applications.audio import Waveshaper
from softsign.learn._canvas import decorate, panels

__all__ = ["METHODS", "Compared", "Result", "compare", "draw", "ideal", "page"]

Array = npt.NDArray[Any]

#: What is compared: method and factor of oversampling.
METHODS = (
    *(("none", 1), ("none", 4), ("none", 8)),
    *(("adaa1", 1), ("adaa2", 1), ("adaa2-triangle", 1)),
    *(("moments", 1), ("moments2", 1), ("moments", 2)),
)
_SHOWN = (("none", 1), ("none", 4), ("adaa2", 1), ("moments", 1), ("moments2", 1))  # in the pictures
_SECONDS = 4.0  # of the sound that are compared
_FACTOR = 32  # of the rate at which the ideal is computed
_MARGIN = 4096  # frames of silence around it, for the ringing of its filters


@dataclass(frozen=True)
class Result:
    """One method on the excerpt.

    Attributes
    ----------
    antialias : str
        Method.
    oversample : int
        Factor of the rate at which it works.
    output : ndarray of float64, shape (frames, channels)
        Output, not delayed.
    error_db : float
        Energy of the ideal output over that of the error, below the limit, in dB.
    latency : float
        Delay in samples.
    """

    antialias: str
    oversample: int
    output: Array
    error_db: float
    latency: float

    @property
    def name(self) -> str:
        """Name of the method, with its oversampling."""
        return self.antialias if self.oversample == 1 else f"{self.antialias} at {self.oversample}x"


@dataclass(frozen=True)
class Compared:
    """What `compare` found.

    Attributes
    ----------
    source : str
        Name of the file.
    sample_rate : int
        Samples per second.
    start : float
        Where the excerpt begins, in seconds.
    drive_db, bias : float
        Settings.
    limit : float
        Frequency below which errors are counted, in Hz.
    sound, ideal : ndarray of float64, shape (frames, channels)
        Excerpt, and what softsign without aliasing makes of it.
    results : list of Result
        One for each of `METHODS`.
    """

    source: str
    sample_rate: int
    start: float
    drive_db: float
    bias: float
    limit: float
    sound: Array
    ideal: Array
    results: list[Result]

    @property
    def seconds(self) -> float:
        """Length of the excerpt."""
        return len(self.sound) / self.sample_rate


def ideal(sound: npt.ArrayLike, drive_db: float = 0.0, bias: float = 0.0) -> Array:
    """Return what softsign makes of a sound at 32 times its rate, without what lies beyond the band.

    Both changes of the rate are exact ones, of the whole sound's Fourier series.

    Parameters
    ----------
    sound : array_like of float, shape (frames,) or (frames, channels)
        Samples, full scale from -1 to 1.
    drive_db : float
        Gain before softsign.
    bias : float
        Offset after the gain.

    Returns
    -------
    ndarray of float64
        f(g x + b) - f(b), in the shape of `sound`.

    Examples
    --------
    >>> import numpy as np
    >>> print(ideal(np.zeros(3)))
    [0. 0. 0.]
    """
    from scipy.fft import next_fast_len
    from scipy.signal import resample

    x = np.asarray(sound, np.float64)
    n = next_fast_len(len(x) + 2 * _MARGIN, real=True)
    padded = np.zeros((n, *x.shape[1:]))
    padded[_MARGIN : _MARGIN + len(x)] = x
    shaped = np.empty_like(padded)
    for channel in np.ndindex(x.shape[1:]):  # one by one: each takes 32 times its memory
        fine = 10 ** (drive_db / 20) * resample(padded[:, *channel], _FACTOR * n) + bias
        shaped[:, *channel] = resample(softsign(fine) - softsign(bias), n)
    return shaped[_MARGIN : _MARGIN + len(x)]


def compare(source: str | os.PathLike[str], drive_db: float = 0.0, bias: float = 0.0) -> Compared:
    """Run every method on the loudest seconds of a sound file, and hold it against the ideal.

    Parameters
    ----------
    source : path-like
        File in any format that libsndfile knows.
    drive_db : float
        Gain before softsign, from -300 to 300.
    bias : float
        Offset after the gain.

    Returns
    -------
    Compared
        Excerpt, ideal, and results. Errors are counted below 16 kHz, or 0.36 of a lower sample rate.

    Raises
    ------
    ModuleNotFoundError
        If soundfile, SciPy or matplotlib is not installed.
    OSError
        If the file cannot be read.
    ValueError
        If it is no sound, has no or too few samples, or one that is nan or infinite, or a setting is not
        possible.
    """
    with _sound.opened(source) as file:
        x, start = _loudest(file, source)
        rate = file.samplerate
    limit = min(16_000.0, 0.36 * rate)
    target = ideal(x, drive_db, bias)
    results = []
    for antialias, oversample in METHODS:
        shaper = Waveshaper(
            drive_db, bias=bias, antialias=antialias, oversample=oversample, channels=x.shape[1]
        )
        y = _earlier(shaper(x.T).T, shaper.latency_samples % 1)
        error = _energy(target, limit / rate) / max(_energy(y - target, limit / rate), 1e-300)
        results.append(Result(antialias, oversample, y, 10 * np.log10(error), shaper.latency_samples))
    name = os.path.basename(os.fspath(source))
    return Compared(name, rate, start, drive_db, bias, limit, x, target, results)


def _loudest(file: Any, source: str | os.PathLike[str]) -> tuple[Array, float]:
    """Return the loudest seconds of a sound, and where they begin, in blocks of a quarter of them."""
    hop = max(int(_SECONDS * file.samplerate / 4), 1)
    energies = []
    while len(block := _sound.read(file, source, hop)):
        energies.append(float(np.sum(np.square(block))))
    first = int(np.argmax(np.convolve(energies, np.ones(4), "valid"))) if len(energies) > 4 else 0
    file.seek(first * hop)
    x = _sound.read(file, source, 4 * hop)
    if not np.isfinite(x).all():
        frame, channel = np.argwhere(~np.isfinite(x))[0]
        where = f"frame {first * hop + frame}, channel {channel}"
        raise ValueError(f"{source} has {x[frame, channel]} at {where}; what is compared has to be finite")
    if not x.any():
        raise ValueError(f"{source} is silent, so that there is nothing to compare")
    return x, first * hop / file.samplerate


def _earlier(y: Array, fraction: float) -> Array:
    """Return a sound moved ahead by a fraction of a sample, by its Fourier series."""
    if fraction == 0:
        return y
    spectrum = np.fft.rfft(np.pad(y, ((0, _MARGIN), (0, 0))), axis=0)
    turn = np.exp(2j * np.pi * fraction * np.arange(len(spectrum)) / (len(y) + _MARGIN))
    return np.fft.irfft(spectrum * turn[:, None], len(y) + _MARGIN, axis=0)[: len(y)]


def _energy(x: Array, limit: float) -> float:
    """Return the energy below a limit, in cycles per sample."""
    spectrum = np.fft.rfft(x, axis=0)
    return float(np.sum(np.abs(spectrum[: int(limit * len(x)) + 1]) ** 2))


def draw(compared: Compared) -> Figure:
    """Draw the spectra of the errors beside that of the ideal, and two milliseconds of the errors.

    Parameters
    ----------
    compared : Compared
        What `compare` returns.

    Returns
    -------
    matplotlib.figure.Figure
        Two panels.
    """
    from scipy.signal import welch

    figure, (spectra, waves) = panels(2, (5.6, 4.2))
    rate, shown = compared.sample_rate, [r for r in compared.results if (r.antialias, r.oversample) in _SHOWN]

    def power(x: Array) -> tuple[Array, Array]:
        frequency, density = welch(x, rate, nperseg=min(4096, len(x)), axis=0)
        return frequency / 1000, density.sum(axis=1)

    frequency, density = power(compared.ideal)
    peak = density.max()
    spectra.plot(frequency, 10 * np.log10(density / peak + 1e-30), color="0.6", label="ideal output")
    for color, result in zip(COLORS, shown, strict=False):
        error = power(result.output - compared.ideal)[1]
        label = f"error of {result.name}"
        spectra.plot(frequency, 10 * np.log10(error / peak + 1e-30), color=color, linewidth=1, label=label)
    spectra.set_ylim(-150, 5)
    spectra.legend(fontsize=7)
    decorate(spectra, "Spectra of the errors", "frequency (kHz)", "power density (dB)")
    center, channel = np.unravel_index(np.argmax(np.abs(compared.sound)), compared.sound.shape)
    around = slice(max(int(center) - rate // 1000, 0), int(center) + rate // 1000)
    time = (np.arange(len(compared.sound))[around] - center) / rate * 1000
    for color, result in zip(COLORS, shown, strict=False):
        error = (result.output - compared.ideal)[around, channel]
        waves.plot(time, error, color=color, linewidth=1, label=result.name)
    waves.legend(fontsize=7)
    decorate(waves, "Errors around the loudest sample", "time (ms)", "output less ideal output")
    return figure


def page(compared: Compared) -> str:
    """Return an HTML page with the table of the errors, the pictures, and players. It needs no network.

    Parameters
    ----------
    compared : Compared
        What `compare` returns.

    Returns
    -------
    str
        The page.
    """
    file = io.StringIO()
    draw(compared).savefig(file, format="svg")
    picture = file.getvalue()
    picture = picture[picture.index("<svg") :]  # without the declarations of a file of its own
    gain = 0.5 / max(float(np.abs(compared.ideal).max()), 1e-300)  # the same for all, so that nothing clips
    louder = min(
        (gain * 10, 0.5 / max(float(np.abs(r.output - compared.ideal).max()) for r in compared.results))
    )
    name, limit = html.escape(compared.source), compared.limit / 1000
    rows = "\n".join(_row(compared, result, gain, louder) for result in compared.results)
    first = (
        f"<p>Input {_player(compared, compared.sound, gain, 'input')} and ideal output "
        f"{_player(compared, compared.ideal, gain, 'ideal output')}</p>"
    )
    return _PAGE.format(
        name=name,
        facts=(
            f"{compared.seconds:.2f} s from {compared.start:.2f} s on, the loudest; "
            f"channels: {compared.sound.shape[1]}; {compared.sample_rate} Hz; "
            f"drive {compared.drive_db:g} dB; bias {compared.bias:g}."
        ),
        limit=f"{limit:g}",
        boost=f"{20 * np.log10(louder / gain):.0f}",
        first=first,
        rows=rows,
        picture=picture,
    )


def _row(compared: Compared, result: Result, gain: float, louder: float) -> str:
    error = result.output - compared.ideal
    return (
        f"<tr><th scope=row>{result.name}</th><td>{result.error_db:.1f}</td><td>{result.latency:g}</td>"
        f"<td>{_player(compared, result.output, gain, result.name)}</td>"
        f"<td>{_player(compared, error, louder, 'error of ' + result.name)}</td></tr>"
    )


def _player(compared: Compared, sound: Array, gain: float, label: str) -> str:
    """Return a player of a sound, FLAC in the page."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(gain * sound, -1, 1), compared.sample_rate, "PCM_16", format="FLAC")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<audio controls preload=metadata aria-label="{label}" src="data:audio/flac;base64,{data}"></audio>'
    )


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{name}: softsign against aliasing</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 1150px; margin: 2em auto; padding: 0 1em;
color: #222; background: #fff; }} table {{ border-collapse: collapse; font-size: 14px; }}
td, th {{ padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: right; }}
th[scope=row] {{ text-align: left; }}
.wide {{ overflow-x: auto; }} svg {{ width: 100%; height: auto; }}
audio {{ height: 32px; vertical-align: middle; }}
</style></head><body><main>
<h1>Softsign against aliasing: {name}</h1>
<p>{facts}</p>
<p>Saturation makes harmonics, and those beyond half the sample rate fold back as tones that do not belong to
the sound. The ideal output is softsign at 32 times the rate, without what lies beyond the band. The error of
a method is its output less the ideal; the number is the energy of the ideal over that of the error below
{limit} kHz, in dB, so that more is better.</p>
{first}
<div class="wide" tabindex="0" role="region" aria-label="Methods"><table>
<tr><th scope=col>method</th><th scope=col>ideal over error (dB)</th><th scope=col>latency (samples)</th>
<th scope=col>output</th>
<th scope=col>error alone, {boost} dB louder</th></tr>
{rows}
</table></div>
{picture}
</main></body></html>
"""
