"""The waveshaper: alias, blocks, which change nothing, quiet sounds, which stay as they are, bad input."""

import math
import subprocess
import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softsign import softsign
from softsign.applications.audio import Waveshaper, _filters
from softsign.applications.audio._methods import METHODS
from tests.helpers import run_python

Array = npt.NDArray[Any]

RATE, LENGTH = 44_100, 1 << 15
EVERY = [(method, oversample) for method in METHODS for oversample in (1, 2)]


def noise(channels: int | None = None, frames: int = 700, dtype: npt.DTypeLike = "float64") -> Array:
    shape = frames if channels is None else (frames, channels)
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


# Aliasing


def ratio(frequency: float, gain: float, below: float, **settings: Any) -> float:
    """Signal-to-noise ratio of a shaped sine: energy of the harmonics over that of all else, in dB."""
    periods = int(frequency * LENGTH / RATE) // 2 * 2 + 1
    x = np.sin(2 * np.pi * periods * np.arange(LENGTH + 2048) / LENGTH + 0.3)
    y = Waveshaper(20 * math.log10(gain), **settings).process(x)[2048:]
    energy = np.abs(np.fft.rfft(y.astype(np.float64))[: int(below / RATE * LENGTH)]) ** 2
    harmonics = energy[periods::periods].sum()
    return float(10 * np.log10(harmonics / (energy.sum() - harmonics)))


@pytest.mark.parametrize(
    ("frequency", "gain", "below", "at_least", "settings"),
    [
        (1245, 10, 22_050, 53, {}),
        (1245, 10, 16_000, 86.5, {}),
        (5000, 100, 22_050, 37.5, {}),
        (5000, 100, 16_000, 46, {}),
        (1245, 10, 16_000, 86.5, {"dtype": "float32"}),
        (1245, 10, 16_000, 100, {"antialias": "moments2"}),
        (1245, 1, 22_050, 145, {"oversample": 2}),
        (5000, 100, 22_050, 63, {"oversample": 2}),
        (5000, 100, 22_050, 80, {"oversample": 2, "antialias": "moments2"}),
        (1245, 10, 22_050, 39, {"antialias": "adaa1"}),
        (1245, 10, 22_050, 45, {"antialias": "adaa2"}),
        (1245, 10, 22_050, 45, {"antialias": "adaa2-triangle"}),
        (1245, 10, 22_050, 79, {"antialias": "adaa2", "oversample": 2}),
        (1245, 10, 22_050, 69, {"antialias": "none", "oversample": 4}),
        (1245, 100, 22_050, 54, {"antialias": "none", "oversample": 8}),
    ],
)
def test_a_sine_is_shaped_with_little_alias(
    frequency: float, gain: float, below: float, at_least: float, settings: dict[str, Any]
) -> None:
    assert ratio(frequency, gain, below, **settings) >= at_least


# Blocks

SHAPERS = st.builds(
    Waveshaper,
    st.sampled_from([0.0, 20.0]),
    bias=st.sampled_from([0.0, 0.3]),
    mix=st.sampled_from([1.0, 0.4]),
    antialias=st.sampled_from(list(METHODS)),
    oversample=st.sampled_from([1, 2, 4]),
    channels=st.sampled_from([1, 2]),
    dtype=st.sampled_from(["float64", "float32"]),
)


@settings(max_examples=60, deadline=None)
@given(SHAPERS, st.lists(st.integers(0, 1500), max_size=6))
def test_the_bits_do_not_depend_on_the_blocks(shaper: Waveshaper, cuts: list[int]) -> None:
    x = noise(shaper.channels, 1500, shaper.dtype)
    whole = np.concatenate([shaper.process(x), shaper.flush()])
    parts = [shaper.process(part) for part in np.split(x, sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate([*parts, shaper.flush()]), whole)
    assert whole.dtype == shaper.dtype


@pytest.mark.parametrize("settings", [{}, {"antialias": "moments2", "oversample": 8, "mix": 0.5}])
def test_long_blocks_are_the_same(settings: dict[str, Any]) -> None:
    x = noise(2, 20_000)
    shaper = Waveshaper(12, channels=2, **settings)
    whole = shaper.process(x)
    shaper.reset()
    np.testing.assert_array_equal(np.concatenate([shaper.process(b) for b in np.array_split(x, 23)]), whole)


def test_channels_do_not_hear_each_other() -> None:
    x = noise(3)
    y = Waveshaper(12, channels=3).process(x)
    for channel in range(3):
        np.testing.assert_array_equal(Waveshaper(12).process(x[:, channel]), y[:, channel])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_any_memory_is_read_and_written(dtype: str) -> None:
    x = noise(2, dtype=dtype)
    want = Waveshaper(12, channels=2, dtype=dtype).process(x)

    def process(block: Array, out: Array | None = None) -> Array:
        return Waveshaper(12, channels=2, dtype=dtype).process(block, out)

    np.testing.assert_array_equal(process(np.asfortranarray(x)), want)
    np.testing.assert_array_equal(process(np.repeat(x, 2, axis=0)[::2]), want)
    np.testing.assert_array_equal(process(x[::-1].copy()[::-1]), want)
    copy = x.copy()
    assert process(copy, copy) is copy
    np.testing.assert_array_equal(copy, want)
    memory = np.zeros((len(x) + 5, 2), dtype)
    memory[:-5] = x
    np.testing.assert_array_equal(process(memory[:-5], memory[5:]), want)


def test_float32_is_near_float64() -> None:
    x = noise(frames=4000, dtype="float32")
    for method, oversample in EVERY:
        y, z = (
            Waveshaper(20, antialias=method, oversample=oversample, dtype=dtype).process(x)
            for dtype in ("float64", "float32")
        )
        assert np.abs(z - y).max() < 2e-6, method


def test_no_memory_is_taken_by_a_block() -> None:
    shaper = Waveshaper(12, bias=0.1, mix=0.5, channels=2, antialias="adaa2", oversample=2)
    x = noise(2, 20_000)
    out = np.empty_like(x)
    shaper.process(x, out)
    tracemalloc.start()
    shaper.process(x, out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x.nbytes / 16


# What is heard of quiet sounds


@pytest.mark.parametrize(("method", "oversample"), EVERY)
def test_the_dry_path_is_the_wet_one_of_quiet_sounds(method: str, oversample: int) -> None:
    click = np.zeros(400)
    click[0] = 1e-12
    wet, dry = (
        Waveshaper(antialias=method, oversample=oversample, mix=mix).process(click) / click[0]
        for mix in (1, 0)
    )
    np.testing.assert_allclose(wet, dry, rtol=0, atol=1e-11)
    shaper = Waveshaper(antialias=method, oversample=oversample)
    late = shaper.latency_samples
    np.testing.assert_allclose(
        dry[: round(2 * late) + 1], dry[: round(2 * late) + 1][::-1], rtol=0, atol=1e-15
    )
    assert not dry[round(2 * late) + 1 :].any()
    assert late.is_integer() or (method, oversample) == ("adaa1", 1)


@pytest.mark.parametrize(
    ("settings", "latency"),
    [({"antialias": m}, n) for m, n in (("none", 0), ("adaa1", 0.5), ("adaa2", 1), ("adaa2-triangle", 1))]
    + [({}, 13), ({"antialias": "moments2"}, 15)],
)
def test_latency(settings: dict[str, Any], latency: float) -> None:
    assert Waveshaper(**settings).latency_samples == latency


@pytest.mark.parametrize("level", [1e-4, 1e-8, 1e-12])
@pytest.mark.parametrize("settings", [{}, {"antialias": "moments2"}, {"oversample": 2}])
def test_quiet_sounds_stay_as_they_are(level: float, settings: dict[str, Any]) -> None:
    click = np.zeros(4096)
    click[0] = level
    gain = 20 * np.log10(np.abs(np.fft.rfft(Waveshaper(**settings).process(click))) / level)
    frequency = np.fft.rfftfreq(4096, 1 / RATE)
    assert np.abs(gain[frequency <= 10_000]).max() <= 0.01
    assert np.abs(gain[frequency <= 16_000]).max() <= 0.05


def test_mix_adds_what_is_aligned() -> None:
    x = noise()
    wet, dry, half = (Waveshaper(12, mix=mix).process(x) for mix in (1.0, 0.0, 0.5))
    np.testing.assert_allclose(half, (wet + dry) / 2, rtol=0, atol=1e-15)


def test_gains_and_bias() -> None:
    x = noise()
    y = Waveshaper(20, bias=0.5, output_db=-20, antialias="none").process(x)
    np.testing.assert_allclose(y, (softsign(10 * x + 0.5) - softsign(0.5)) / 10, rtol=0, atol=1e-16)
    for method, oversample in EVERY:
        shaper = Waveshaper(20, bias=0.3, antialias=method, oversample=oversample)
        assert not shaper.process(np.zeros(300)).any()


# The end, and the next sound


@pytest.mark.parametrize(("method", "oversample"), EVERY)
def test_flush_returns_the_rest_and_resets(method: str, oversample: int) -> None:
    shaper = Waveshaper(12, antialias=method, oversample=oversample, channels=2)
    x = noise(2)
    late = math.ceil(shaper.latency_samples)
    want = shaper.process(np.pad(x, ((0, late), (0, 0))))
    shaper.reset()
    np.testing.assert_array_equal(np.concatenate([shaper.process(x), shaper.flush()]), want)
    np.testing.assert_array_equal(shaper.process(x), want[: len(x)])


def test_flush_has_the_shape_of_the_last_block() -> None:
    shaper = Waveshaper()
    assert shaper.flush().shape == (13,)
    shaper.process(np.zeros((3, 1)))
    assert shaper.flush().shape == (13, 1)
    assert Waveshaper(channels=2).flush().shape == (13, 2)
    assert Waveshaper(antialias="none").flush().shape == (0,)


def test_a_call_has_the_layout_of_pedalboard_and_no_delay() -> None:
    t = np.arange(3000) / RATE
    x = 1e-6 * np.sin(2 * np.pi * np.array([[440.0], [3000.0]]) * t)
    shaper = Waveshaper(channels=2)
    y = shaper(x, RATE)
    assert y.shape == x.shape
    assert y.flags.c_contiguous
    np.testing.assert_allclose(y[:, 50:-50], x[:, 50:-50], rtol=0, atol=2e-9)
    np.testing.assert_array_equal(shaper(x), y)
    parts = np.concatenate(
        [shaper(part, RATE, reset=False) for part in np.split(x, [7, 700], axis=1)], axis=1
    )
    np.testing.assert_array_equal(parts[:, 13:], y[:, :-13])
    assert Waveshaper()(x[0]).shape == (3000,)
    assert Waveshaper()(np.zeros((1, 0))).shape == (1, 0)


# The second-order mean of the sorted samples


def exact_triangle(x: Array) -> float:
    """The mean of softsign over the triangle of three different numbers, by divided differences."""
    with mpmath.workdps(80):
        points = [mpmath.mpf(float(v)) for v in x]
        second = []
        for v in points:
            a = abs(v)
            second.append(mpmath.sign(v) * (a * a / 2 + a - (1 + a) * mpmath.log1p(a)))
        (a, b, c), (p, q, r) = second, points
        return float(2 * ((b - a) / (q - p) - (c - b) / (r - q)) / (p - r))


@pytest.mark.parametrize(("dtype", "at_least"), [("float64", 315), ("float32", 143)])
@pytest.mark.parametrize("gain", [1e-6, 1e-2, 1.0, 100.0])
def test_adaa2_is_as_exact_at_every_level(dtype: str, at_least: float, gain: float) -> None:
    x = (gain * np.sin(0.1774 * np.arange(200))).astype(dtype)
    y = Waveshaper(antialias="adaa2", dtype=dtype).process(x)[2:]
    exact = np.array([exact_triangle(x[i : i + 3]) for i in range(len(y))])
    assert 10 * np.log10((exact**2).sum() / ((y - exact) ** 2).sum()) >= at_least


SAMPLES = (
    st.floats(-1e6, 1e6, allow_subnormal=False)
    | st.floats(-1, 1, allow_subnormal=False)
    | st.sampled_from([0.0, -0.0, 1e-12, 1e-300])
)


@settings(max_examples=150, deadline=None)
@given(st.tuples(SAMPLES, SAMPLES, SAMPLES), st.permutations(range(3)))
def test_adaa2_depends_on_the_values_and_not_on_their_order(x: tuple[float, ...], order: list[int]) -> None:
    shaper = Waveshaper(antialias="adaa2")

    def mean(values: Any) -> float:
        shaper.reset()
        return float(shaper.process(np.array(values))[2])

    y = mean(x)
    assert mean([x[i] for i in order]) == y
    assert mean([-v for v in x]) == -y
    low, high = softsign(min(x)), softsign(max(x))
    assert low - 4e-16 * abs(low) <= y <= high + 4e-16 * abs(high)
    assert mean([x[0]] * 3) == pytest.approx(softsign(x[0]), rel=4e-16, abs=0)


def test_parker_weights_the_middle_most() -> None:
    small = np.array([3.0, 5.0, 11.0]) * 2.0**-60
    y = Waveshaper(antialias="adaa2-triangle").process(small)[2]
    assert y == pytest.approx(float(Fraction(3 + 4 * 5 + 11, 6)) * 2.0**-60, rel=1e-15)


# What is refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"drive_db": math.nan}, "drive_db is nan; it has to be a number from -300 to 300"),
        ({"drive_db": "12"}, "drive_db is '12'; it has to be a number from -300 to 300"),
        ({"output_db": math.inf}, "output_db is inf; it has to be a number from -300 to 300"),
        ({"bias": None}, "bias is None; it has to be a number from -1e.06 to 1e.06"),
        ({"mix": 1.1}, "mix is 1.1; it has to be a number from 0 to 1"),
        ({"antialias": "adaa3"}, "antialias is 'adaa3'; it has to be one of 'moments', "),
        ({"oversample": 3}, "oversample is 3; it has to be one of 1, 2, 4, 8"),
        ({"channels": 0}, "channels is 0; it has to be a whole number of at least 1"),
        ({"channels": 1.0}, "channels is 1.0; it has to be a whole number of at least 1"),
        ({"dtype": "int16"}, "dtype is 'int16'; it has to be one of 'float64', 'float32'"),
        ({"dtype": "sound"}, "dtype is 'sound'; it has to be one of 'float64', 'float32'"),
        ({"nan": "ignore"}, "nan is 'ignore'; it has to be one of 'raise', 'zero', 'pass'"),
    ],
)
def test_settings_that_are_none(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Waveshaper(**settings)


def test_blocks_that_are_none() -> None:
    shaper = Waveshaper(channels=2)
    with pytest.raises(
        TypeError, match=r"^block is of int16; samples are float32 or float64, full scale from -1"
    ):
        shaper.process(np.zeros((3, 2), np.int16))
    with pytest.raises(ValueError, match=r"^block has shape \(3, 1\); it has to be \(frames, 2\)$"):
        shaper.process(np.zeros((3, 1)))
    with pytest.raises(
        ValueError, match=r"^block has shape \(2, 2\); it has to be \(frames, 1\) or \(frames,\)$"
    ):
        Waveshaper().process(np.zeros((2, 2)))
    with pytest.raises(
        ValueError, match=r"^audio has shape \(3, 2\); its first axis is channels, of which there"
    ):
        shaper(np.zeros((3, 2)))
    for out in (np.zeros((3, 2), np.float32), np.zeros((2, 2)), [0.0]):
        with pytest.raises(
            ValueError, match=r"^out is .*; it has to be an array of float64, shape \(3, 2\)$"
        ):
            shaper.process(np.zeros((3, 2)), out)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_samples_that_are_not_finite(bad: float) -> None:
    x = noise(2, 3000)
    shaper = Waveshaper(12, channels=2)
    want = shaper.process(x)
    shaper.reset()
    spoiled = x.copy()
    spoiled[2900, 1] = bad
    shaper.process(x[:5])
    out = np.ones((2995, 2))
    with pytest.raises(
        ValueError, match=f"^block has {bad} at frame 2900, channel 1; samples have to be finite"
    ):
        shaper.process(spoiled[5:], out)
    assert (out == 1).all()
    np.testing.assert_array_equal(shaper.process(x[5:]), want[5:])
    zeroed = np.where(np.isfinite(spoiled), spoiled, 0)
    np.testing.assert_array_equal(
        Waveshaper(12, channels=2, nan="zero").process(spoiled), Waveshaper(12, channels=2).process(zeroed)
    )
    passed = Waveshaper(12, channels=2, nan="pass").process(spoiled)
    np.testing.assert_array_equal(passed[:2900], want[:2900])
    assert np.isnan(passed[2900:, 1]).any() == math.isnan(bad)
    np.testing.assert_array_equal(passed[:, 0], want[:, 0])


def test_samples_beyond_float32() -> None:
    with pytest.raises(ValueError, match=r"^block has 1e\+300 at frame 1, channel 0"):
        Waveshaper(dtype="float32").process(np.array([0.0, 1e300]))


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.linalg", None)
    _filters.design.cache_clear()
    _filters._lowpass.cache_clear()
    with pytest.raises(ModuleNotFoundError, match=r"SciPy: pip install 'softsign\[audio\]'$"):
        Waveshaper()
    assert Waveshaper(antialias="adaa2").latency_samples == 1


def test_it_imports_numpy_alone() -> None:
    done = run_python(
        "import sys, softsign.applications.audio\nprint('scipy' in sys.modules, 'soundfile' in sys.modules)"
    )
    assert done.stdout == "False False\n", done.stderr


def test_the_benchmark_judges() -> None:
    bench = Path(__file__).parents[1] / "benchmarks" / "audio.py"
    done = subprocess.run(
        [sys.executable, bench, "--parts", "small"], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("  reached") == 3
