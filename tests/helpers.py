"""The functions and dtypes under test, exact formulas for them, and comparisons that every bit must pass."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

import softsign
from softsign import reference
from softsign.functions import FUNCTIONS, ORDERS

Array = NDArray[Any]

NAMES = tuple(name for name, facts in FUNCTIONS.items() if facts.outputs == 1)
UNARY = tuple(name for name, facts in FUNCTIONS.items() if len(facts.arguments) == 1)
BINARY = tuple(name for name, facts in FUNCTIONS.items() if facts.arguments[1:] == ("dy",))
SCALED = tuple(name for name, facts in FUNCTIONS.items() if "c" in facts.arguments)
SEGMENTS = tuple(name for name, facts in FUNCTIONS.items() if facts.kind == "segment")
ODD = tuple(name for name, facts in FUNCTIONS.items() if facts.symmetry == "odd")

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
STANDARD = tuple(np.dtype(c) for c in "efd")
FLOATS = (*STANDARD, BFLOAT16)
ALL_FLOATS = (*FLOATS, np.dtype(np.longdouble))


def ufunc(name: str) -> np.ufunc:
    function = getattr(softsign, name)
    assert isinstance(function, np.ufunc)
    return function


def arguments(name: str, x: Array) -> tuple[Array, ...]:
    """Every input of the function from one 1-d array: dy or b is x reversed, c its size, n all orders."""
    if name in BINARY or name in SEGMENTS:
        return x, x[::-1].copy()
    if name in SCALED:
        return (x, np.abs(x[::-1]), x[::-1].copy())[: len(FUNCTIONS[name].arguments)]
    if name == "nth_derivative":
        return np.arange(x.size) % (9 if x.dtype == np.float16 else len(ORDERS)), x  # 9! exceeds float16
    return (x,)


def special_values(dtype: np.dtype[Any]) -> Array:
    """Zeros, halves, ones, twos, the limits of the format, their negatives, infinities and nan."""
    info = ml_dtypes.finfo(dtype)
    positive = [0, 0.5, 1, 2, info.smallest_subnormal, info.tiny, info.eps, info.max, np.inf]
    values = np.array(positive, dtype)
    return np.concatenate([values, -values, np.array([np.nan], dtype)])


def random_values(dtype: np.dtype[Any], size: int, seed: int = 0) -> Array:
    """Any bit pattern: every binade alike, with subnormals, infinities and (for float16 often) nan."""
    rng = np.random.default_rng(seed)
    if dtype == np.longdouble:  # random bytes are not valid numbers of every long double format
        normal = rng.standard_normal(size).astype(dtype)
        return np.array(np.ldexp(normal, rng.integers(-80, 80, size)))
    return np.frombuffer(rng.bytes(size * dtype.itemsize), dtype).copy()


def bits(a: Array) -> Array:
    """The bytes that carry the values, one row for each element."""
    native = np.ascontiguousarray(a, a.dtype.newbyteorder("=") if a.dtype != BFLOAT16 else None)
    rows = native.view(np.uint8).reshape(native.size, native.itemsize)
    padded = a.dtype == np.longdouble and np.finfo(np.longdouble).nmant == 63  # x87: 10 of 16 bytes
    return rows[:, :10] if padded else rows


def is_nan(a: Array) -> Array:
    with np.errstate(invalid="ignore"):  # ml_dtypes raises it for nan
        nan: Array = np.isnan(a)
    return nan


def assert_same_bits(actual: Array, expected: Array) -> None:
    """Equal to the last bit, signs of zero included; one nan is as good as another."""
    assert actual.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
    assert actual.shape == expected.shape
    if np.array_equal(bits(actual), bits(expected)):
        return
    differ = (bits(actual) != bits(expected)).any(axis=1) & ~(is_nan(actual) & is_nan(expected)).ravel()
    different = np.flatnonzero(differ)
    if different.size:
        i = different[0]
        a, e = actual.ravel()[i], expected.ravel()[i]
        raise AssertionError(f"{different.size} of {actual.size} differ, first at {i}: {a!r}, not {e!r}")


def raised_flags(function: Callable[..., object], *args: Any, **kwargs: Any) -> set[str]:
    """NumPy's names of the floating-point flags that one call raises."""
    flags: set[str] = set()
    with np.errstate(all="call", call=lambda flag, _: flags.add(flag)):
        function(*args, **kwargs)
    return flags


@contextmanager
def threads(n: int) -> Iterator[None]:
    before = softsign.get_num_threads()
    softsign.set_num_threads(n)
    try:
        yield
    finally:
        softsign.set_num_threads(before)


@contextmanager
def kernels(name: str) -> Iterator[None]:
    before = softsign.cpu_features()["kernels"]
    softsign._core._use_kernels(name)
    try:
        yield
    finally:
        softsign._core._use_kernels(before)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, warnings as errors, stopped after five minutes."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | environment,
        check=False,
    )


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser as playwright drives it, for pages that are tested as they are seen."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        # .ci/run installs one.
        (pytest.fail if os.environ.get("SOFTSIGN_NO_SKIP") else pytest.skip)(
            "the pages are tested in chromium, which is not installed"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextmanager
def started(
    *command: str | Path, largest_file: int = 1 << 28, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """A process with the default signals, in a session of its own, of which nothing is left at the end.

    A suite that nohup, a background job or some CI runs ignores SIGINT, and its children would inherit that.
    """

    limits = ("env", "--default-signal=INT,TERM,HUP", "prlimit", f"--fsize={largest_file}")
    with subprocess.Popen([*limits, *command], text=True, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def in_session(leader: int) -> list[int]:
    """The processes of a session that still run; zombies do not."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state not in "ZX":
                found.append(int(stat.parent.name))
    return found


def wait_until(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait for what will happen sooner or later, later on a busy machine."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the operating system refuse to write on after some bytes of a file, as if the disk were full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))  # Python ignores SIGXFSZ
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def exact(name: str, x: Fraction, other: Fraction | int = 1) -> Fraction:
    """The exact value of an algebraic function; `other` is dy or n."""
    given_as = {"n": other, "dy": other}
    values = [given_as.get(argument, x) for argument in FUNCTIONS[name].arguments]
    value: Fraction = getattr(reference, name)(*values)
    return value


def ulps(value: Any, exact_value: Fraction) -> Fraction:
    """The error in units of the last place of the exact value, subnormals included."""
    info = ml_dtypes.finfo(value.dtype)
    precision, least = info.nmant + 1, Fraction(float(info.smallest_subnormal))
    exponent = exact_value.numerator.bit_length() - exact_value.denominator.bit_length()
    if abs(exact_value) < Fraction(2) ** exponent:
        exponent -= 1
    place: Fraction = max(Fraction(2) ** (exponent - precision + 1), least)
    return abs(Fraction(float(value)) - exact_value) / place
