"""Count the images per second of Shapeset-3x2, drawn in this process and by worker processes.

`python benchmarks/shapeset_speed.py --help`. The contestants take turns, and the table shows medians over rounds. The
exit code tells whether a stream on as many workers as there are CPUs, two at most, reaches what the project promises.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from softsign.data.shapeset import CHUNK, Batches, generate

BAR = 10_000  # images per second
BATCH = 10  # as in the training study


def rate(draw: Callable[[], int], seconds: float) -> float:
    """Return the images per second of a function that draws some and returns how many."""
    images, passed, begun = 0, 0.0, time.perf_counter()
    while passed < seconds:
        images += draw()
        passed = time.perf_counter() - begun
    return images / passed


def in_process(seconds: float) -> float:
    """Measure `generate`, a chunk at a time."""
    rng = np.random.default_rng(0)
    return rate(lambda: len(generate(rng, CHUNK)[1]), seconds)


def streamed(workers: int, seconds: float) -> float:
    """Measure a stream after its first chunks, which have to wait for the workers to start."""
    with Batches(BATCH, seed=0, workers=workers) as batches:
        for _ in range(workers * CHUNK // BATCH):
            next(batches)
        return rate(lambda: len(next(batches)[1]), seconds)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Count the images per second of Shapeset-3x2.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="per round and contestant (default: 1)")
    arguments = parser.parse_args()
    most = min(2, os.cpu_count() or 1)
    contestants: dict[str, Callable[[float], float]] = {"generate": in_process}
    for workers in range(1, most + 1):
        contestants[f"Batches, workers={workers}"] = partial(streamed, workers)
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(arguments.rounds):
        for name, contestant in contestants.items():
            rates[name].append(contestant(arguments.seconds))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, images in medians.items():
        print(f"{name:20} {images:8,.0f} images/s")
    reached = medians[f"Batches, workers={most}"] >= BAR
    print(f"at least {BAR:,} images/s from the last: {'kept' if reached else 'BROKEN'}")
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main())
