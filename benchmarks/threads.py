"""Time softsign on two threads beside one, in the conditions that decide what a second thread is worth.

Calls follow each other at once ("hot") or after 300 µs of other work, on a quiet machine or beside one
process that spins on the same two CPUs. A sample is the mean of its calls. Where it is quiet, the tables show
the median over rounds of the ratio of two samples of one round. Beside a busy process single samples say
little: there they show the ratio of the means over all rounds. The peers run hot, on two threads.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from conditions import after_pause, buffer, busy_neighbor, describe_memory, place
from harness import (
    CPUS,
    KI,
    MI,
    Sampler,
    Table,
    Target,
    conclude,
    limit_threads,
    machine,
    make_parser,
    parse_size,
    pause_between,
    section_to_write,
    size_label,
    take_turns,
    timed,
    written,
)
from peers import PEERS

import softsign
from softsign.functions import FUNCTIONS

Array = npt.NDArray[Any]

SIZES = (64 * KI, 128 * KI, 256 * KI, MI, 4 * MI)
THREADS = 2
HOT_TARGET, PAUSE_TARGET, BUSY_TARGET = 0.60, 1.10, 1.50  # two threads, to one
RIVALS = {"numba": 1.40, "onnxruntime": 0.85}  # softsign, to theirs: a target of the AVX-512 kernels
RIVAL_SIZES = (64 * KI, MI)  # from and to
SAMPLE_SECONDS = {False: 5e-3, True: 1e-1}  # quiet and busy: turns of the scheduler take milliseconds
PAUSED_CALLS = {False: 20, True: 40}
CONDITIONS = {  # paused, busy
    (False, False): "hot",
    (True, False): "after 300 µs of other work",
    (False, True): "hot, beside a busy process",
    (True, True): "after 300 µs, beside a busy process",
}


def on_threads(threads: int, sampler: Sampler) -> float:
    """Take a sample with a number of threads."""
    softsign.set_num_threads(threads)
    return sampler()


def beside_one(call: Callable[[], object], paused: bool, busy: bool, rounds: int) -> tuple[float, float]:
    """Return the seconds of a call on one thread, and the ratio of two threads to it."""
    sampler = after_pause(call, PAUSED_CALLS[busy]) if paused else timed(call, seconds=SAMPLE_SECONDS[busy])
    field = [partial(on_threads, threads, sampler) for threads in (1, THREADS)]
    with busy_neighbor() if busy else contextlib.nullcontext():
        samples = take_turns(field, rounds, pause_between(THREADS))
    if busy:
        one, two = samples.mean(axis=0)
        return float(one), float(two / one)
    return float(np.median(samples[:, 0])), float(np.median(samples[:, 1] / samples[:, 0]))


def beside_peers(f: Callable[..., object], x: Array, y: Array, rounds: int) -> dict[str, float]:
    """Return the ratio of softsign to each rival that is installed, all of them hot and on two threads."""
    softsign.set_num_threads(THREADS)
    rivals = [peer for peer in PEERS if peer.name in RIVALS and peer.missing() is None]
    statements = [("f(x, out=y)", {"f": f, "x": x, "y": y})]
    statements += [(peer.statement, peer.setup(x, y, THREADS)) for peer in rivals]
    field = [timed(*statement, seconds=SAMPLE_SECONDS[False]) for statement in statements]
    ours, *theirs = take_turns(field, rounds, pause_between(THREADS)).T
    return {peer.name: float(np.median(ours / seconds)) for peer, seconds in zip(rivals, theirs, strict=True)}


@dataclass
class Column:
    """What was measured at one size."""

    seconds: float  # one thread, hot and quiet
    ratios: dict[tuple[bool, bool], float]  # of two threads to one: paused, busy
    peers: dict[str, float]  # of softsign to theirs


def measure(function: str, sizes: Sequence[int], rounds: int) -> dict[int, Column]:
    """Measure a function of one argument in every condition, at every size."""
    limit_threads(THREADS)
    f = getattr(softsign, function)
    columns = {}
    for size in sizes:
        print(f"measuring two threads, {size_label(size)}", file=sys.stderr)
        x = place(3 * np.random.default_rng(0).standard_normal(size, dtype=np.float32))
        y = buffer(size, np.float32)
        call = partial(f, x, out=y)
        found = {key: beside_one(call, *key, rounds) for key in CONDITIONS}
        peers = beside_peers(f, x, y, rounds) if function == "softsign" else {}
        columns[size] = Column(
            found[False, False][0], {key: ratio for key, (_, ratio) in found.items()}, peers
        )
    print(describe_memory(x))
    return columns


def table(columns: Mapping[int, Column], function: str) -> Table:
    """Make a table with a column for each size."""
    lines = [["one thread, µs", *(written(column.seconds * 1e6) for column in columns.values())]]
    for (paused, busy), name in CONDITIONS.items():
        ratios = [f"{column.ratios[paused, busy]:.2f}" for column in columns.values()]
        lines.append([f"two threads / one, {name}", *ratios])
    labels = {peer.name: peer.label for peer in PEERS}
    for rival in dict.fromkeys(name for column in columns.values() for name in column.peers):
        ratios = [f"{column.peers[rival]:.2f}" for column in columns.values()]
        lines.append([f"two threads / {labels[rival]} on two", *ratios])
    return Table(f"{function} float32, two threads", ("elements", *map(size_label, columns)), lines)


def targets(columns: Mapping[int, Column]) -> Iterator[Target]:
    """Compare the measurements of softsign with the targets."""
    for size, column in columns.items():
        hot = column.ratios[False, False]
        yield Target(f"softsign {size_label(size)}, two threads / one, hot", hot, HOT_TARGET)
    for condition, aim in (
        ((True, False), PAUSE_TARGET),
        ((False, True), BUSY_TARGET),
        ((True, True), BUSY_TARGET),
    ):
        worst = max(column.ratios[condition] for column in columns.values())
        yield Target(f"softsign, two threads / one, {CONDITIONS[condition]}, worst size", worst, aim)
    first, last = RIVAL_SIZES
    for rival, aim in RIVALS.items():
        ratios = [c.peers.get(rival, math.nan) for size, c in columns.items() if first <= size <= last]
        aimed = softsign.cpu_features()["kernels"] == "avx512" and ratios
        name = f"softsign 64Ki–1Mi (avx512), two threads / {rival}, worst size"
        yield Target(name, max(ratios) if aimed else math.nan, aim)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = make_parser("Time softsign on two threads beside one, and beside peers.", rounds=15)
    one_argument = [name for name, facts in FUNCTIONS.items() if len(facts.arguments) == 1]
    parser.add_argument("--function", choices=one_argument, default="softsign", metavar="NAME")
    parser.add_argument("--sizes", nargs="+", type=parse_size, default=SIZES, metavar="N")
    arguments = parser.parse_args(argv)
    section = section_to_write(arguments, "threads")
    if len(CPUS) < THREADS:
        parser.error(f"this process may use {len(CPUS)} CPU, and two are needed")
    columns = measure(arguments.function, arguments.sizes, arguments.rounds)
    aims = list(targets(columns)) if arguments.function == "softsign" else []
    return conclude([table(columns, arguments.function)], aims, section, machine(THREADS))


if __name__ == "__main__":
    sys.exit(main())
