"""Companding at 8 bits on real speech: the softsign law beside an even division, mu-law, A-law and G.711.

The speech is Debian's: `apt-get install alsa-utils` brings it. Signal-to-noise ratios (SNR) are in decibels,
segmental ones the mean over pieces of 20 ms that are not silent.
"""

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import harness
import numpy as np
import numpy.typing as npt

from softsign.applications.companding import (
    Compander,
    Moments,
    NonlinearADC,
    a_law_decode,
    a_law_encode,
    lloyd_max,
    mu_law_decode,
    mu_law_encode,
    snr_db,
)

SPEECH = Path("/usr/share/sounds/alsa/Front_Center.wav")
GAINS = (0, -12, -24, -36)
PAGE = harness.PAGE.parent / "applications" / "companding.md"
#: The law A = 87.6 and the law mu = 255, as G.711 approximates them by pieces.
A, MU = 87.6, 255.0

Signal = npt.NDArray[np.float64]


def through(expand: Callable[[Signal], Signal], compressed: Signal) -> Signal:
    """Quantize what a law has compressed, midtread like the converter, and expand it."""
    half = 255 / 2
    return expand(np.clip(np.floor(compressed * half + 0.5), -127, 127) / half)


def mu_law(x: Signal, mu: float = MU) -> Signal:
    """Return a signal after the law mu, 8 bits and back."""
    compressed = np.copysign(np.log1p(mu * np.abs(x)) / np.log1p(mu), x)
    return through(lambda y: np.asarray(np.copysign(np.expm1(np.abs(y) * np.log1p(mu)) / mu, y)), compressed)


def a_law(x: Signal) -> Signal:
    """Return a signal after the law A, 8 bits and back."""
    scale, a = 1 + np.log(A), np.abs(x)
    compressed = np.where(a < 1 / A, A * a, 1 + np.log(np.maximum(A * a, 1))) / scale

    def expand(y: Signal) -> Signal:
        b = np.abs(y) * scale
        return np.asarray(np.copysign(np.where(b < 1, b, np.exp(b - 1)) / A, y))

    return through(expand, np.copysign(compressed, x))


def linear(x: Signal) -> npt.NDArray[np.int16]:
    """Return a signal as samples of 16 bits."""
    return np.clip(np.rint(x * 2**15), -(2**15), 2**15 - 1).astype(np.int16)


def g711_mu_law(x: Signal) -> Signal:
    """Return a signal after the codes of telephony and back."""
    return np.asarray(mu_law_decode(mu_law_encode(linear(x))) / 2**15)


def softsign_law(
    x: Signal, k: float | None = None, limit: float | None = 1.0, midtread: bool = True
) -> Signal:
    """Return a signal after the law, with the best k unless another is given, 8 bits and back."""
    law = Compander.for_signal(x, limit=limit) if k is None else Compander(k)
    adc = NonlinearADC(8, law.k, limit=law.limit, midtread=midtread)
    return np.asarray(adc.decode(adc.encode(x)))


CONTESTANTS: dict[str, Callable[[Signal], Signal]] = {
    "even division": lambda x: through(lambda y: y, x),
    "G.711 mu-law": g711_mu_law,
    "G.711 mu-law, peak at full scale": lambda x: g711_mu_law(x / np.abs(x).max()) * np.abs(x).max(),
    "G.711 A-law": lambda x: a_law_decode(a_law_encode(linear(x))) / 2**15,
    "law mu = 255": mu_law,
    "law A = 87.6": a_law,
    "law mu, best mu": lambda x: max(
        (mu_law(x, mu) for mu in np.geomspace(1, 1e4, 81)), key=lambda y: snr_db(x, y)
    ),
    "softsign, midrise": lambda x: softsign_law(x, midtread=False),
    "softsign": softsign_law,
    "softsign, k = 20": lambda x: softsign_law(x, k=20.0),
    "softsign, k = 100": lambda x: softsign_law(x, k=100.0),
    "softsign, limit = peak": lambda x: softsign_law(x, limit=None),
}


def segmental_db(x: Signal, y: Signal, rate: int) -> float:
    """Return the mean SNR of pieces of 20 ms, from 0 dB on, of those that are not silent."""
    size = rate // 50
    pieces = len(x) // size * size
    power, noise = (np.sum(z[:pieces].reshape(-1, size) ** 2, axis=1) for z in (x, x - y))
    loud = (power > 1e-6 * power.max()) & (noise > 0)
    return float(np.mean(np.maximum(10 * np.log10(power[loud] / noise[loud]), 0)))


def speech() -> tuple[Signal, int]:
    """Return the recording and its sampling rate."""
    import soundfile

    if not SPEECH.exists():
        raise SystemExit(f"there is no {SPEECH}: apt-get install alsa-utils brings it")
    x, rate = soundfile.read(SPEECH)
    return x, rate


def on_speech(x: Signal, rate: int) -> tuple[harness.Table, list[harness.Target]]:
    """Return the SNR of every contestant, as recorded and attenuated."""
    lines, found = [], {}
    for name, contestant in CONTESTANTS.items():
        cells = []
        for gain in GAINS:
            quiet = x * 10 ** (gain / 20)
            received = contestant(quiet)
            found[name, gain] = snr_db(quiet, received)
            cells.append(f"{found[name, gain]:.2f}, {segmental_db(quiet, received, rate):.1f}")
        lines.append((name, *cells))
    targets = [
        harness.Target("softsign, 0 dB, in dB", found["softsign", 0], 40.3, at_least=True),
        harness.Target("softsign, -24 dB, in dB", found["softsign", -24], 39.3, at_least=True),
        harness.Target(
            "softsign over G.711 mu-law, 0 dB, in dB",
            found["softsign", 0] - found["G.711 mu-law", 0],
            2.9,
            at_least=True,
        ),
    ]
    header = ("", *(f"{gain} dB" for gain in GAINS))
    title = f"{SPEECH.name}, 8 bits: SNR and segmental SNR in dB, as recorded and attenuated"
    return harness.Table(title, header, lines), targets


def over_levels() -> harness.Table:
    """Return what converters that are not adjusted leave of signals of all levels."""
    rng = np.random.default_rng(0)
    unit = rng.laplace(scale=np.sqrt(0.5), size=200_000)
    laws: dict[str, Callable[[Signal], Signal]] = {
        "even division": CONTESTANTS["even division"],
        "law mu = 255": mu_law,
        "law A = 87.6": a_law,
    }
    for k in (8.0, 20.0, 50.0, 100.0):
        laws[f"softsign, k = {k:g}"] = functools.partial(softsign_law, k=k)
    levels = (-12, -18, -24, -30, -36, -48, -60)
    lines = []
    for name, law in laws.items():
        signals = [unit * 10 ** (level / 20) for level in levels]
        lines.append((name, *(f"{snr_db(x, law(x)):.1f}" for x in signals)))
    title = "Laplacian noise, 8 bits: SNR in dB by its level in dB of full scale, clipping included"
    return harness.Table(title, ("", *map(str, levels)), lines)


def against_the_best() -> tuple[harness.Table, list[harness.Target]]:
    """Return the law without a limit beside the best quantizer there is, predicted and simulated."""
    rng = np.random.default_rng(0)
    lines, worst = [], 0.0
    for density in ("gauss", "laplace"):
        size = 1_000_000
        x = rng.standard_normal(size) if density == "gauss" else rng.laplace(scale=np.sqrt(0.5), size=size)
        law = Compander.for_rms(1.0, density, limit=np.inf)
        for bits in (4, 6, 8):
            adc = NonlinearADC(bits, law.k, limit=np.inf)
            predicted, simulated = (
                adc.predicted_sqnr_db(Moments.of_density(density)),
                adc.simulated_sqnr_db(x),
            )
            worst = max(worst, abs(predicted - simulated) if bits > 4 else 0.0)
            best = lloyd_max(2**bits, density).sqnr_db
            numbers = (predicted, simulated, best)
            lines.append((f"{density}, k = {law.k:.4f}", str(bits), *(f"{number:.2f}" for number in numbers)))
    header = ("", "bits", "Bennett", "simulated", "Lloyd-Max")
    target = harness.Target("Bennett's prediction, 6 bits and more, off by, in dB", worst, 0.2)
    return harness.Table("softsign(k x) at variance 1: SNR in dB", header, lines), [target]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the tables into the page as well")
    given = parser.parse_args(arguments)
    table, targets = on_speech(*speech())
    best, more = against_the_best()
    tables: list[Any] = [table, over_levels(), best]
    section = "companding" if given.write else None
    return harness.conclude(tables, [*targets, *more], section, harness.machine(1), PAGE)


if __name__ == "__main__":
    sys.exit(main())
