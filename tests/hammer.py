"""Many threads in all ufuncs at once: ``python -m tests.hammer SECONDS``; a short one is part of the tests.

Arrays of all dtypes, sizes, alignments and strides, in place and not, while the number of threads keeps
changing: every result has the bits that one thread computes alone.
"""

import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import softsign
from tests.helpers import (
    ALL_FLOATS,
    FLOATS,
    NAMES,
    Array,
    arguments,
    assert_same_bits,
    random_values,
    threads,
    ufunc,
)

LARGE = (1 << 18) + 1001  # enough for two threads; longdouble, which takes long, gets fewer
SIZES = (1, 7, 64, 513, 4099, 70_000, LARGE - 64)

Case = tuple[np.ufunc, tuple[Array, ...], Array]


def cases() -> list[Case]:
    """Each function and dtype with its arguments and what one thread computes, in short calls."""
    found = []
    for name in NAMES:
        for dtype in ALL_FLOATS:
            x = random_values(dtype, 5003, seed=30)
            inputs = tuple(np.resize(a, LARGE if dtype in FLOATS else 5003) for a in arguments(name, x))
            parts = [ufunc(name)(*(a[i : i + 1000] for a in inputs)) for i in range(0, inputs[0].size, 1000)]
            found.append((ufunc(name), inputs, np.concatenate(parts)))
    return found


def strike(case: Case, rng: random.Random) -> None:
    """One call somewhere in the arrays, compared with what one thread has computed."""
    f, inputs, expected = case
    size = min(rng.choice(SIZES), expected.size - 64)
    start, step = rng.randrange(64), rng.choice((1, 1, 1, 2, -1))
    part = slice(start, start + size)
    given = [a[part][::step] for a in inputs]
    if rng.random() < 0.3:
        given[-1] = given[-1].copy()
        result = f(*given, out=given[-1])
    else:
        result = f(*given)
    assert_same_bits(result, expected[part][::step])


def hammer(seconds: float, workers: int = 32) -> int:
    """Strike from many threads for so long.

    Parameters
    ----------
    seconds : float
        How long, without the results of one thread that come first.
    workers : int, optional
        Number of threads of Python.

    Returns
    -------
    int
        Number of calls.

    Raises
    ------
    AssertionError
        If a result has other bits.
    """
    with np.errstate(all="ignore"), threads(1):
        all_cases = cases()
    end = time.monotonic() + seconds
    failed = threading.Event()

    def work(seed: int) -> int:
        rng, calls = random.Random(seed), 0
        with np.errstate(all="ignore"):
            while time.monotonic() < end and not failed.is_set():
                if rng.random() < 0.1:
                    softsign.set_num_threads(rng.randint(1, 8))
                try:
                    strike(rng.choice(all_cases), rng)
                except BaseException:
                    failed.set()
                    raise
                calls += 1
        return calls

    with threads(2), ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(work, range(workers)))


if __name__ == "__main__":
    print(f"{hammer(float(sys.argv[1])):,} calls, 0 differing bits")
