"""Measure the waveshaper: noise of sines and of recordings, flatness, rounding, speed: `make bench-audio`.

Sines have a whole number of periods in 32,768 samples at 44.1 kHz, so all that is not a harmonic below
Nyquist's frequency is aliasing or noise: the signal-to-noise ratio is the energy of the harmonics over all
else. Recordings are compared with 32-fold oversampling by FFT. The exact second-order mean comes from
mpmath. Speeds are multiples of real time, on one core; contestants take turns (`harness`). pedalboard takes
part if it is installed (`make peers`), and recordings if Debian's alsa-utils and sound-theme-freedesktop are.
The exit code is 1 if a target is missed.
"""

from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
from harness import (
    Table,
    Target,
    conclude,
    limit_threads,
    machine,
    make_parser,
    section_to_write,
    take_turns,
    timed,
)

from softsign import second_antiderivative, softsign
from softsign.applications.audio import Waveshaper

Array = npt.NDArray[Any]

PAGE = Path(__file__).parents[1] / "docs" / "applications" / "audio.md"
RATE, LENGTH, AUDIBLE = 44_100, 1 << 15, 16_000
CELLS = ((1245, 1), (1245, 10), (1245, 100), (5000, 1), (5000, 10), (5000, 100))  # Hz, gain
#: What is aimed at in the cells, in dB: all bands and below 16 kHz at the host's rate, all bands at twice it.
ALL_BANDS, BELOW, TWICE = (
    (78, 53, 43, 52, 40.5, 37.5),
    (114, 86.5, 71, 64, 49.5, 46),
    (145, 113, 90, 92.5, 70, 63),
)
RUNG = 100  # below 16 kHz in the cell (1245, 10)
SOUNDS = Path("/usr/share/sounds")
RECORDINGS = {
    "speech": SOUNDS / "alsa" / "Front_Center.wav",
    "chime": SOUNDS / "freedesktop" / "stereo" / "complete.oga",
    "alarm clock": SOUNDS / "freedesktop" / "stereo" / "alarm-clock-elapsed.oga",
}
INSTALL = "apt-get install alsa-utils sound-theme-freedesktop"
BLOCKS = (512, 4096, 65_536)
GAINS = tuple(10.0**power for power in range(-6, 3))


def decibels(signal: float, noise: float) -> float:
    """Return a ratio of energies in dB."""
    return float(10 * np.log10(signal / noise))


def sine(frequency: float) -> tuple[int, Array]:
    """Return an odd number of periods, and a sine with so many in `LENGTH` samples, near a frequency."""
    periods = int(frequency * LENGTH / RATE) // 2 * 2 + 1
    return periods, np.sin(2 * np.pi * periods * np.arange(LENGTH) / LENGTH + 0.3)


def steady(process: Callable[[Array], Array], x: Array) -> Array:
    """Return one period of the response to a periodic signal, without the beginning."""
    return process(np.concatenate([x[-2048:], x, x[:2048]]))[3072 : 3072 + len(x)]


def noise_ratios(periods: int, y: Array) -> tuple[float, float]:
    """Return the signal-to-noise ratio of a shaped sine, all bands and below `AUDIBLE`."""
    energy = np.abs(np.fft.rfft(y.astype(np.float64))) ** 2
    harmonic = np.zeros(len(energy), np.bool_)
    harmonic[periods::periods] = True
    audible = np.arange(len(energy)) < AUDIBLE / RATE * LENGTH
    return (
        decibels(energy[harmonic].sum(), energy[~harmonic].sum()),
        decibels(energy[harmonic & audible].sum(), energy[~harmonic & audible].sum()),
    )


def in_all_cells(make: Callable[[float], Callable[[Array], Array]]) -> list[tuple[float, float]]:
    """Return the ratios of what ``make(gain)`` returns, in each cell."""
    results = []
    for frequency, gain in CELLS:
        periods, x = sine(frequency)
        results.append(noise_ratios(periods, steady(make(gain), x)))
    return results


def shaper(antialias: str, oversample: int) -> Callable[[float], Callable[[Array], Array]]:
    """Return what makes the shaper of a gain."""
    return lambda gain: Waveshaper(20 * np.log10(gain), antialias=antialias, oversample=oversample).process


def ideal_lines(gain: float, steps: int = 64) -> Callable[[Array], Array]:
    """Return softsign of one straight line per sample, without anything above Nyquist's frequency."""

    def process(x: Array) -> Array:
        fine = np.interp(np.arange(len(x) * steps) / steps, np.arange(len(x) + 1), np.append(x, x[0]))
        spectrum = np.fft.rfft(softsign(gain * fine))[: len(x) // 2 + 1]
        return np.fft.irfft(spectrum, len(x)) / steps

    return process


def pedalboard() -> Any:
    """Return the module, or None and a line that tells how to get it."""
    try:
        return importlib.import_module("pedalboard")
    except ImportError:
        print("pedalboard is not installed, so it is left out: make peers", file=sys.stderr)
        return None


def sines(board: Any) -> tuple[Table, list[Target]]:
    """Measure all methods on sines."""
    settings = [(a, 1) for a in ("none", "adaa1", "adaa2", "adaa2-triangle", "moments", "moments2")]
    settings += [("none", 4), ("none", 8), ("adaa2", 2), ("moments", 2), ("moments2", 2)]
    contestants = {labels(*setting): shaper(*setting) for setting in settings}
    contestants["one line per sample, ideal filter"] = ideal_lines
    if board:
        contestants["pedalboard.Distortion (tanh)"] = lambda gain: (
            lambda x: board.Distortion(20 * np.log10(gain))(x.astype(np.float32), RATE)
        )
    ratios = {}
    for name, make in contestants.items():
        print(f"measuring {name}", file=sys.stderr)
        ratios[name] = in_all_cells(make)
    lines = [(name, *(f"{a:.1f} / {b:.1f}" for a, b in cells)) for name, cells in ratios.items()]
    header = ("", *(f"{frequency} Hz, gain {gain}" for frequency, gain in CELLS))
    targets = [
        Target(
            f"{name}, {cell} Hz, dB{'' if band == 0 else ' below 16 kHz'}",
            ratios[name][i][band],
            aims[i],
            at_least=True,
        )
        for name, band, aims in (("moments", 0, ALL_BANDS), ("moments", 1, BELOW), ("2x, moments", 0, TWICE))
        for i, cell in enumerate(CELLS)
    ]
    targets.append(
        Target(
            "moments2, (1245, 10) Hz, dB below 16 kHz, the next rung",
            ratios["moments2"][1][1],
            RUNG,
            at_least=True,
        )
    )
    return Table(
        "Signal-to-noise ratio of shaped sines in dB, all bands / below 16 kHz", header, lines
    ), targets


def small_signals() -> list[Target]:
    """Measure the gain of quiet sounds at all frequencies, and the latency."""
    frequencies = np.fft.rfftfreq(4096, 1 / RATE)
    worst = np.zeros(len(frequencies))
    for level in (1e-4, 1e-6, 1e-9, 1e-12):
        click = np.zeros(4096)
        click[0] = level
        gains = np.abs(np.fft.rfft(Waveshaper().process(click))) / level
        worst = np.maximum(worst, np.abs(20 * np.log10(gains)))
    return [
        Target(
            "moments, gain of sounds from 1e-12 to 1e-4 up to 10 kHz, dB from 0",
            worst[frequencies <= 10_000].max(),
            0.01,
        ),
        Target("the same up to 16 kHz", worst[frequencies <= 16_000].max(), 0.05),
        Target("moments, latency in samples", Waveshaper().latency_samples, 15),
    ]


def exact_triangle(x: Array) -> Array:
    """Return the mean of softsign over each three samples, by divided differences with 60 digits."""
    with mpmath.workdps(60):
        values = [mpmath.mpf(float(value)) for value in x]
        second = []  # antiderivative of |x| - log(1 + |x|)
        for v in values:
            a = abs(v)
            second.append(mpmath.sign(v) * (a * a / 2 + a - (1 + a) * mpmath.log1p(a)))
        slopes = [
            (b - a) / (w - v) for a, b, v, w in zip(second, second[1:], values, values[1:], strict=False)
        ]
        return np.array(
            [
                float(2 * (b - a) / (w - v))
                for a, b, v, w in zip(slopes, slopes[1:], values, values[2:], strict=False)
            ]
        )


def textbook(x: Array, epsilon: float) -> Array:
    """Return the same by divided differences in the type of x; softsign where samples are close."""
    with np.errstate(all="ignore"):
        slope = np.diff(second_antiderivative(x)) / np.diff(x)
        middle = (x[1:] + x[:-1]) / 2
        slope = np.where(np.abs(np.diff(x)) < epsilon, np.abs(middle) - np.log1p(np.abs(middle)), slope)
        far = 2 * np.diff(slope) / (x[2:] - x[:-2])
    mean = (x[2:] + 2 * x[1:-1] + x[:-2]) / 4
    result: Array = np.where(np.abs(x[2:] - x[:-2]) < epsilon, softsign(mean), far)
    return result


def second_order() -> tuple[Table, list[Target]]:
    """Measure the rounding noise of the second-order mean at all levels, beside the textbook's."""
    rng = np.random.default_rng(0)
    lines, worst = [], {np.float64: np.inf, np.float32: np.inf}
    wave = np.sin(2 * np.pi * 1245 / RATE * np.arange(1024)) + 1e-3 * rng.standard_normal(1024)
    for gain in GAINS:
        cells = [f"{gain:g}"]
        for dtype, epsilons in ((np.float64, (1e-3, 1e-5)), (np.float32, (1e-3, 1e-2))):
            x = (gain * wave).astype(dtype)
            exact = exact_triangle(x)
            ours = Waveshaper(antialias="adaa2", dtype=dtype).process(x)[2:]
            ratios = [
                decibels((exact**2).sum(), ((y.astype(np.float64) - exact) ** 2).sum())
                for y in (ours, *(textbook(x, epsilon) for epsilon in epsilons))
            ]
            worst[dtype] = min(worst[dtype], ratios[0])
            cells += [f"{ratio:.1f}" for ratio in ratios]
        lines.append(tuple(cells))
    header = ("gain", "float64", "ε = 1e-3", "ε = 1e-5", "float32", "ε = 1e-3", "ε = 1e-2")
    targets = [
        Target(f"adaa2 against the exact mean, {np.dtype(dtype).name}, dB", worst[dtype], aim, at_least=True)
        for dtype, aim in ((np.float64, 315), (np.float32, 143))
    ]
    return Table(
        "adaa2 against the exact mean, in dB, and the textbook's formula with two ε each", header, lines
    ), targets


def against_oversampling(
    x: Array, rate: float, gain: float, contestants: Sequence[Waveshaper]
) -> list[float]:
    """Return the waveform's signal-to-noise ratio below 16 kHz against 32-fold oversampling."""
    from scipy.signal import resample

    spectrum = np.fft.rfft(resample(softsign(gain * resample(x, 32 * len(x))), len(x)))
    frequencies = np.fft.rfftfreq(len(x))
    kept = frequencies * rate < AUDIBLE
    ratios = []
    for contestant in contestants:
        late = contestant.latency_samples
        y = np.fft.rfft(np.concatenate([contestant.process(x), contestant.flush()])[: len(x)])
        error = (y - spectrum * np.exp(-2j * np.pi * late * frequencies))[kept]
        ratios.append(decibels((np.abs(spectrum[kept]) ** 2).sum(), (np.abs(error) ** 2).sum()))
    return ratios


def recordings() -> tuple[Table, list[Target]]:
    """Measure the methods on recordings, three drives over full scale each."""
    settings = [(a, 1) for a in ("none", "adaa1", "adaa2-triangle", "moments", "moments2")]
    settings += [("none", 2), ("none", 4), ("moments", 2)]
    names = [labels(*setting) for setting in settings]
    ratios: dict[tuple[str, int], list[float]] = {}
    for name, path in RECORDINGS.items():
        if not path.exists():
            print(f"{path} is not here, so it is left out: {INSTALL}", file=sys.stderr)
            continue
        x, rate = importlib.import_module("soundfile").read(path, always_2d=True)
        x = np.pad(x[:, 0] / np.abs(x[:, 0]).max(), 2048)
        for drive in (12, 24, 36):
            shapers = [Waveshaper(drive, antialias=a, oversample=f) for a, f in settings]
            ratios[name, drive] = against_oversampling(x, rate, 10 ** (drive / 20), shapers)
    lines = [(f"{name}, {drive} dB", *(f"{r:.1f}" for r in line)) for (name, drive), line in ratios.items()]
    title = "Recordings: signal-to-noise ratio in dB below 16 kHz against 32-fold oversampling, by the drive"
    missing = [np.nan] * len(names)
    targets = [
        Target(
            "speech, drive 24 dB, below 16 kHz, dB",
            ratios.get(("speech", 24), missing)[names.index("moments")],
            50.5,
            at_least=True,
        )
    ]
    return Table(title, ("", *names), lines), targets


def speed(board: Any, rounds: int) -> tuple[Table, list[Target]]:
    """Measure multiples of real time by the CPU time of this process, stereo at 48 kHz."""
    samplers, names = [], []
    settings = [(a, 1) for a in ("moments", "moments2", "adaa1", "adaa2", "none")] + [
        ("none", 4),
        ("moments", 2),
    ]
    for length, (dtype, (antialias, factor)) in itertools.product(
        BLOCKS, itertools.product(("float64", "float32"), settings)
    ):
        x = chord(length).astype(dtype)
        shaper = Waveshaper(12, antialias=antialias, oversample=factor, channels=2, dtype=dtype)
        names.append((length, f"{labels(antialias, factor)}, {dtype}"))
        call = partial(shaper.process, x, np.empty_like(x))
        samplers.append(timed(call, seconds=0.01, clock=time.process_time))
    for length in BLOCKS if board else ():
        names.append((length, "pedalboard.Distortion (tanh), float32"))
        call = partial(
            board.Distortion(12), chord(length).T.astype(np.float32, order="C"), 48_000, reset=False
        )
        samplers.append(timed(call, seconds=0.01, clock=time.process_time))
    seconds = np.median(take_turns(samplers, rounds), axis=0).tolist()
    multiples = {name: name[0] / 48_000 / s for name, s in zip(names, seconds, strict=True)}
    rows = dict.fromkeys(name for _, name in names)
    lines = [(row, *(f"{multiples[length, row]:,.0f}" for length in BLOCKS)) for row in rows]
    targets = [
        Target(
            f"moments, {dtype}, multiple of real time",
            multiples[BLOCKS[-1], f"moments, {dtype}"],
            aim,
            at_least=True,
        )
        for dtype, aim in (("float64", 300), ("float32", 500))
    ]
    header = ("", *(f"{length:,} frames" for length in BLOCKS))
    return Table(
        "Multiples of real time, stereo at 48 kHz, one core, by the length of the blocks", header, lines
    ), targets


def chord(length: int) -> Array:
    """Return a chord, the third in the other channel."""
    t = np.arange(length)[:, None] / 48_000
    return 0.3 * np.sin(2 * np.pi * np.array([220, 275]) * t) + 0.3 * np.sin(2 * np.pi * 330 * t)


def labels(antialias: str, oversample: int) -> str:
    """Return the name of a setting in the tables."""
    name = "softsign at the samples" if antialias == "none" else antialias
    return name if oversample == 1 else f"{oversample}x, {name}"


STREAM = """
import resource
import numpy as np
from softsign.applications.audio import Waveshaper
shaper = Waveshaper(12, channels=2)
block = np.random.default_rng(0).uniform(-1, 1, (48_000, 2))
out = np.empty_like(block)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for second in range({seconds}):
    shaper.process(block, out)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def memory(minutes: int) -> Target:
    """Measure by how much the memory of a process grows while it streams."""
    done = subprocess.run(
        [sys.executable, "-c", STREAM.format(seconds=60 * minutes)],
        check=True,
        capture_output=True,
        text=True,
    )
    return Target(f"growth of memory in {minutes} minutes of stereo, MB", float(done.stdout), 150)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = make_parser("Measure the waveshaper.", rounds=30)
    parser.add_argument("--minutes", type=int, default=60, help="of sound to stream (default 60)")
    parts = ("sines", "small", "second", "recordings", "speed", "memory")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, help="default: all")
    arguments = parser.parse_args(argv)
    section = section_to_write(arguments, "measured", PAGE)
    limit_threads(1)
    board = pedalboard() if {"sines", "speed"} & set(arguments.parts) else None
    tables: list[Table] = []
    targets: list[Target] = []
    for part, measure in (
        ("sines", lambda: sines(board)),
        ("small", lambda: ([], small_signals())),
        ("second", second_order),
        ("recordings", recordings),
        ("speed", lambda: speed(board, arguments.rounds)),
        ("memory", lambda: ([], [memory(arguments.minutes)])),
    ):
        if part in arguments.parts:
            found, aims = measure()
            tables += [found] if isinstance(found, Table) else found
            targets += aims
    versions = {"pedalboard": board.__version__} if board else {}
    return conclude(tables, targets, section, machine(1, **versions), PAGE)


if __name__ == "__main__":
    sys.exit(main())
