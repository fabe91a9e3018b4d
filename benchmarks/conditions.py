"""What times depend on, made and named: where arrays lie, pauses, a busy neighbor, the core's clock."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from harness import KI, MI, Sampler, timed

OFFSET = 16  # where malloc lets arrays begin, from a multiple of 64 bytes on
HUGE_PAGE = 2 * MI
PAUSE = 300e-6  # seconds of other work: longer than any library's threads spin
CHAIN_STEPS, STEP_CYCLES = 64 * KI, 4  # of `clock`


def buffer(size: int, dtype: npt.DTypeLike, offset: int = OFFSET) -> npt.NDArray[Any]:
    """Return an array of zeros at a known place: on 2 MB pages, if the system has them.

    Parameters
    ----------
    size : int
        Number of elements.
    dtype : dtype
        Of the elements.
    offset : int, optional
        Bytes from a multiple of 2 MB to the first element.

    Returns
    -------
    ndarray
        Its memory is private and written once, so that no sample pays for a first touch.
    """
    length = size * np.dtype(dtype).itemsize
    memory = mmap.mmap(-1, length + 2 * HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without transparent huge pages
        memory.madvise(mmap.MADV_HUGEPAGE)
    every_byte = np.frombuffer(memory, np.uint8)
    begin = -every_byte.ctypes.data % HUGE_PAGE + offset
    array = every_byte[begin : begin + length].view(dtype)
    array.fill(0)
    return array


def place(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a copy of an array in a `buffer`.

    Parameters
    ----------
    array : ndarray
        One-dimensional.

    Returns
    -------
    ndarray
        The copy.
    """
    copy = buffer(array.size, array.dtype)
    copy[:] = array
    return copy


def huge_share(array: npt.NDArray[Any]) -> float:
    """Return how much of an array's mapping lies on huge pages.

    Parameters
    ----------
    array : ndarray
        From `buffer`.

    Returns
    -------
    float
        From 0 to 1; 0 where the system does not tell.
    """
    try:
        lines = Path("/proc/self/smaps").read_text().splitlines()
    except OSError:
        return 0.0
    resident = huge = 0
    inside = False
    for line in lines:
        first, *rest = line.split()
        if "-" in first:
            begin, end = (int(address, 16) for address in first.split("-"))
            inside = begin <= array.ctypes.data < end
        elif inside and first == "Rss:":
            resident = int(rest[0])
        elif inside and first == "AnonHugePages:":
            huge = int(rest[0])
    return huge / resident if resident else 0.0


def describe_memory(array: npt.NDArray[Any]) -> str:
    """Say where the arrays of a measurement lie.

    Parameters
    ----------
    array : ndarray
        One of them, from `buffer`.

    Returns
    -------
    str
        Their offset and their pages.
    """
    offset, share = array.ctypes.data % 64, huge_share(array)
    return f"arrays begin {offset} bytes after a multiple of 64, {share:.0%} on 2 MB pages"


def memcpy(y: npt.NDArray[Any], x: npt.NDArray[Any]) -> Sampler:
    """Return a sampler of the C library's memcpy.

    Parameters
    ----------
    y, x : ndarray
        Where to and where from; contiguous.

    Returns
    -------
    callable
        As `harness.timed` returns it.
    """
    copy = ctypes.CDLL(None).memcpy
    copy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    names = {"memcpy": copy, "y": y.ctypes.data, "x": x.ctypes.data, "n": x.nbytes, "arrays": (x, y)}
    return timed("memcpy(y, x, n)", names)


def after_pause(call: Callable[[], object], calls: int = 20) -> Sampler:
    """Return a sampler of a call that comes after `PAUSE` seconds of other work, every time.

    Parameters
    ----------
    call : callable
        Takes no arguments.
    calls : int, optional
        How many make a sample.

    Returns
    -------
    callable
        Returns the mean seconds of a call, the other work not counted.
    """

    def sample() -> float:
        total = 0.0
        for _ in range(calls):
            until = time.perf_counter() + PAUSE
            while time.perf_counter() < until:
                pass
            begun = time.perf_counter()
            call()
            total += time.perf_counter() - begun
        return total / calls

    return sample


@contextlib.contextmanager
def busy_neighbor() -> Iterator[None]:
    """Run one other process that spins, on the CPUs that this one may use."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


def clock() -> Sampler:
    """Return a sampler of the seconds that a cycle of this core takes.

    Virtual machines rarely let one count cycles, and the time stamp counter does not follow the clock. So
    this times multiplications and exclusive ors of 32 bits that wait for each other: 3 cycles and 1 on every
    x86-64 core since 2008. Interruptions make a cycle look up to 2 % longer.

    Returns
    -------
    callable
        Returns seconds; comparable to samples of the same round.
    """
    import numba

    unsigned = np.uint32

    @numba.njit("uint32(uint32)")  # type: ignore[untyped-decorator]
    def chain(value: Any) -> Any:
        for step in range(CHAIN_STEPS // 16):
            for _ in range(16):
                value = unsigned((value * unsigned(1664525)) ^ unsigned(step))
        return value

    sample = timed(lambda: chain(1))
    return lambda: sample() / (CHAIN_STEPS * STEP_CYCLES)
