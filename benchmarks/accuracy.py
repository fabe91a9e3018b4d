"""Check every bound and law of the numbers and print one table: ``make accuracy``.

Functions of one number that are correctly rounded in float32 are tried on all of its 2**32 numbers, every
function on all float16 and bfloat16 numbers, and the rest on a fresh random sample. For each input:

* the result of the best kernels is compared with the exact value (`softsign.accuracy`);
* the result for -x is the same, or the same with the sign bit flipped, bit for bit;
* all other kernels that this CPU can run give the same bits;
* in a sweep through all numbers the results never go the wrong way.

``--write`` writes the table to docs/accuracy.md as well. ``--bounds`` checks nothing but writes the tables of
bounds, in docs/accuracy.md and README.md. Exits with 1 if anything is wrong, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  gives NumPy the name bfloat16
import numpy as np
import numpy.typing as npt
from harness import write_section

import softsign
from softsign import _core
from softsign.accuracy import Measurement, measure, sample
from softsign.functions import BACKENDS, DTYPES, FUNCTIONS, ORDERS, bound
from softsign.reference import FORMATS

Array = npt.NDArray[Any]

KERNELS = softsign.cpu_features()["available"]
SWEPT = tuple(f for f, facts in FUNCTIONS.items() if len(facts.arguments) == 1 and bound(f, "float32") == 0.5)
SAMPLE = 1 << 17  # inputs in each of 16 tasks, tried with either sign
COST = {"algebraic": 1, "logarithmic": 4, "segment": 16}  # 20 us for each exact value, 100 us

README = Path(__file__).parents[1] / "README.md"
PAGE = README.parent / "docs" / "accuracy.md"


@dataclass(frozen=True)
class Finding:
    """A measurement, and for each law that was broken how often, and where for instance."""

    measurement: Measurement
    broken: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __add__(self, other: Finding) -> Finding:
        """Join two findings about the same function and dtype."""
        broken = dict(self.broken)
        for law, (count, where) in other.broken.items():
            before, first = broken.get(law, (0, where))
            broken[law] = before + count, first
        return Finding(self.measurement + other.measurement, broken)

    @property
    def wrong(self) -> int:
        """Number of all failures."""
        return self.measurement.wrong + sum(count for count, _ in self.broken.values())


@dataclass(frozen=True)
class Task:
    """One piece of work for one process: a sweep through bit patterns, or a sample if there is a seed."""

    function: str
    dtype: str
    start: int
    stop: int
    seed: tuple[int, ...] = ()

    def run(self) -> Finding:
        """Try all inputs of the task, in blocks that fit the cache."""
        block = 1 << 16
        starts = range(self.start, self.stop, block)
        with np.errstate(all="ignore"):
            return reduce(Finding.__add__, (self._block(i, min(i + block, self.stop)) for i in starts))

    def _block(self, start: int, stop: int) -> Finding:
        if self.seed:
            rng = np.random.default_rng((*self.seed, start))
            return examine(self.function, *sample(self.function, self.dtype, stop - start, rng))
        x = numbers(self.dtype, start, stop)
        if {"dy", "c"}.intersection(FUNCTIONS[self.function].arguments):
            return reduce(Finding.__add__, (examine(self.function, *given) for given in self._tuples(x)))
        finding = examine(self.function, x)
        return replace(finding, broken=finding.broken | disorder(self.function, self.dtype, start, stop))

    def _tuples(self, x: Array) -> Iterator[tuple[Array, ...]]:
        """Yield x, or where softsign's outputs are taken the numbers up to 1, and random others, 16 times."""
        rng = np.random.default_rng(self.start)
        arguments = FUNCTIONS[self.function].arguments
        within = x[~(x > 1)] if "y" in arguments else x
        every = numbers(self.dtype, 0, 1 << 16)
        for _ in range(16):
            others = {name: rng.choice(every, within.size) for name in arguments[1:]}
            yield within, *(np.abs(other) if name == "c" else other for name, other in others.items())


def numbers(dtype: str, start: int, stop: int) -> Array:
    """Return the numbers with the given range of bit patterns."""
    return np.arange(start, stop, dtype=f"u{np.dtype(dtype).itemsize}").view(dtype)


def bits(values: Array) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Return the bit patterns."""
    return values.view(f"u{values.itemsize}")


def examine(function: str, *arguments: Any) -> Finding:
    """Hold a function at (x, dy) and (-x, dy) to its bound and laws, `nth_derivative` in all orders."""
    facts = FUNCTIONS[function]
    if "n" in facts.arguments:
        return reduce(Finding.__add__, (compare(function, (n,), *arguments, odd=n % 2 == 0) for n in ORDERS))
    return compare(function, (), *arguments, odd=facts.symmetry == "odd")


def compare(function: str, order: tuple[int, ...], x: Array, *dy: Array, odd: bool) -> Finding:
    """Hold a function, odd or even, to its bound and laws."""
    arguments: tuple[Any, ...] = (*order, x, *dy)
    both_ends = FUNCTIONS[function].kind == "segment"
    mirrored = (*order, -x, *(-end for end in dy)) if both_ends else (*order, -x, *dy)
    got, image = evaluate(function, KERNELS[0], arguments, mirrored)
    sign = bits(np.array(-0.0, x.dtype)) * odd
    found = {"symmetry": differ(got, image, sign)}
    for kernels in KERNELS[1:]:
        other, other_image = evaluate(function, kernels, arguments, mirrored)
        found[kernels] = differ(got, other) | differ(image, other_image)
    measurement = measure(function, got, *arguments)
    both = replace(measurement, tried=2 * measurement.tried, wrong=2 * measurement.wrong)
    return Finding(both, count(found, arguments))


def differ(a: Array, b: Array, sign: Any = 0) -> npt.NDArray[np.bool_]:
    """Tell where the bits differ other than in `sign`; one nan is as good as another."""
    different: npt.NDArray[np.bool_] = bits(a) ^ bits(b) != sign
    if different.any():
        different &= ~(np.isnan(a) & np.isnan(b))
    return different


def evaluate(function: str, kernels: str, *calls: Sequence[Any]) -> list[Array]:
    """Call a function with the kernels of that name; several results stand along a first axis."""
    _core._use_kernels(kernels)
    return [np.asarray(getattr(softsign, function)(*arguments)) for arguments in calls]


def disorder(function: str, dtype: str, start: int, stop: int) -> dict[str, tuple[int, str]]:
    """Count the neighbors, the one before the range included, whose results go the wrong way."""
    direction = FUNCTIONS[function].monotone
    if not direction:
        return {}
    x = numbers(dtype, max(start - 1, 0), stop)
    (y,) = evaluate(function, KERNELS[0], (x,))
    wrong_way = y[1:] < y[:-1] if direction == "rising" else y[1:] > y[:-1]
    return count({"monotone": wrong_way}, (x[1:],))


def count(found: dict[str, npt.NDArray[np.bool_]], arguments: Sequence[Any]) -> dict[str, tuple[int, str]]:
    """Return for each mask that is not empty how many are set and the arguments of the first."""
    broken = {}
    for law, every in found.items():
        mask = every.reshape(-1, every.shape[-1]).any(axis=0)
        if mask.any():
            i = int(np.argmax(mask))
            where = tuple(float(a if np.ndim(a) == 0 else a[i]) for a in arguments)
            broken[law] = int(np.count_nonzero(mask)), written(where)
    return broken


def written(arguments: tuple[float, ...]) -> str:
    """Return the arguments without loss: in decimal if six digits will do, else in hexadecimal."""
    short = (f"{a:.6g}" for a in arguments)
    return ", ".join(
        s if np.isnan(a) or float(s) == a else re.sub(r"\.?0*p", "p", a.hex())
        for s, a in zip(short, arguments, strict=True)
    )


def plan(functions: Sequence[str], dtypes: Sequence[str], seed: int, quick: bool) -> Iterator[Task]:
    """Yield all tasks, those that take longest first."""
    for function in functions:
        for dtype in dtypes:
            if FORMATS[dtype].digits < 24 and FUNCTIONS[function].kind != "segment":
                yield Task(function, dtype, 0, 1 << 15)
            elif dtype == "float32" and function in SWEPT and not quick:
                yield from (Task(function, dtype, i, i + (1 << 24)) for i in range(0, 1 << 31, 1 << 24))
            else:
                facts = FUNCTIONS[function]
                size = SAMPLE // COST[facts.kind]
                size //= len(ORDERS) if "n" in facts.arguments else 1
                size //= 16 if quick else 1
                yield from (Task(function, dtype, i * size, (i + 1) * size, (seed,)) for i in range(16))


def start_worker() -> None:
    """Set up a worker process: one thread, and arrays that reuse their memory."""
    softsign.set_num_threads(1)
    # Once 16 MiB have been freed, glibc keeps smaller arrays for reuse: page faults took half of the time.
    np.empty(1 << 21)


def run(task: Task) -> tuple[Task, Finding]:
    """Run a task in a worker."""
    return task, task.run()


def carry_out(tasks: Sequence[Task], jobs: int) -> dict[tuple[str, str], Finding]:
    """Share the tasks out among processes, show progress, return the findings by function and dtype."""
    findings: dict[tuple[str, str], Finding] = {}
    begun = time.monotonic()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C is for this process alone
    with get_context("spawn").Pool(jobs, start_worker) as pool:
        signal.signal(signal.SIGINT, handler)
        for done, (task, finding) in enumerate(pool.imap_unordered(run, tasks), 1):
            key = task.function, task.dtype
            findings[key] = findings[key] + finding if key in findings else finding
            report(done / len(tasks), time.monotonic() - begun, f"{task.function} {task.dtype}")
    return findings


def report(part: float, seconds: float, current: str) -> None:
    """Draw the progress line on a terminal."""
    if sys.stderr.isatty():
        bar = "#" * int(30 * part)
        line = f"\r[{bar:30}] {part:4.0%}  {seconds:4.0f} s  {current:32}"
        print(line, end="" if part < 1 else "\n", file=sys.stderr, flush=True)


HEADER = ("function", "dtype", "inputs tried", "wrong", "worst ulp", "worst input")


def rows(findings: dict[tuple[str, str], Finding]) -> list[tuple[str, ...]]:
    """Return the lines of the table."""
    return [
        (
            function,
            dtype,
            f"{'all ' if complete(function, dtype, finding) else ''}{finding.measurement.tried:,}",
            str(finding.wrong),
            f"{finding.measurement.worst:.6f}",
            written(finding.measurement.worst_input),
        )
        for (function, dtype), finding in findings.items()
    ]


def complete(function: str, dtype: str, finding: Finding) -> bool:
    """Tell whether a function of one number was tried on every number."""
    unary = len(FUNCTIONS[function].arguments) == 1
    return unary and finding.measurement.tried == 1 << 8 * np.dtype(dtype).itemsize


def plain_table(lines: Sequence[Sequence[str]]) -> str:
    """Return a table in aligned columns."""
    widths = [max(len(line[i]) for line in (HEADER, *lines)) for i in range(len(HEADER))]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if 2 <= i <= 4 else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (HEADER, *lines)
    )


def markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, ("---",) * len(header), *lines))


def bounds_table() -> str:
    """Return the bounds of every backend as a table in Markdown."""
    lines = [
        (call(name), *(", ".join(f"{v:g}" for v in facts.bounds.get(backend, ())) for backend in BACKENDS))
        for name, facts in FUNCTIONS.items()
    ]
    return markdown_table(("function", *BACKENDS), lines)


def functions_table() -> str:
    """Return the functions of one or two arguments, their values and bounds as a table in Markdown."""
    lines = [
        (call(name), facts.formula.replace("|", "\\|"), in_words(name))
        for name, facts in FUNCTIONS.items()
        if facts.kind != "segment" and len(facts.arguments) < 3
    ]
    return markdown_table(("function", "value", "largest error in ulp"), lines)


def call(function: str) -> str:
    """Return how a function is called, as code."""
    return f"`{function}({', '.join(FUNCTIONS[function].arguments)})`"


def in_words(function: str) -> str:
    """Return the bounds of a ufunc in words: up to float32, and for float64 where it is another."""
    *narrow, wide = (bound(function, dtype) for dtype in DTYPES)
    text = "correctly rounded" if max(narrow) == 0.5 else f"{max(narrow):g}"
    text += f"; float64 {wide:g}" if wide != max(narrow) else ""
    return text + (f", for n ≤ {max(ORDERS)}" if "n" in FUNCTIONS[function].arguments else "")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Check every bound and law of the numbers.")
    parser.add_argument(
        "--quick", action="store_true", help="a sample of float32 instead of all 2**32 numbers"
    )
    parser.add_argument("--functions", nargs="+", choices=FUNCTIONS, default=list(FUNCTIONS), metavar="NAME")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES), metavar="DTYPE")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="processes (default: one for each CPU)"
    )
    parser.add_argument(
        "--seed", type=int, default=time.time_ns(), help="seed of the samples (default: a fresh one)"
    )
    parser.add_argument("--write", action="store_true", help="write the table to docs/accuracy.md as well")
    parser.add_argument("--bounds", action="store_true", help="check nothing, write the tables of bounds")
    arguments = parser.parse_args()
    whole = (list(FUNCTIONS), list(DTYPES), False)
    if arguments.write and (arguments.functions, arguments.dtypes, arguments.quick) != whole:
        parser.error("--write takes all functions and dtypes, and no --quick: the page shows all of them")

    if arguments.bounds:
        write_section(PAGE, "bounds", bounds_table())
        write_section(README, "functions", functions_table())
        return 0

    tasks = list(plan(arguments.functions, arguments.dtypes, arguments.seed, arguments.quick))
    print(f"kernels {', '.join(KERNELS)}; {arguments.jobs} processes; seed {arguments.seed}", flush=True)
    try:
        findings = carry_out(tasks, arguments.jobs)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    ordered = {
        (f, d): findings[f, d] for f in arguments.functions for d in arguments.dtypes if (f, d) in findings
    }
    print(plain_table(rows(ordered)))
    for (function, dtype), finding in ordered.items():
        for law, (number, first) in finding.broken.items():
            print(f"{function} {dtype}: {law} broken {number} times, for instance at {first}")
    if arguments.write:
        write_section(PAGE, "accuracy", f"{markdown_table(HEADER, rows(ordered))}\n\n{notes()}")
    return int(any(finding.wrong for finding in ordered.values()))


def notes() -> str:
    """Say how the table came about."""
    return (
        f"`make accuracy`, softsign {softsign.__version__}, NumPy {np.__version__}, {platform.machine()}. "
        f"Kernels tried, with the same bits from each: {', '.join(KERNELS)}. "
        "Wrong: not correctly rounded, or outside the bound."
    )


if __name__ == "__main__":
    sys.exit(main())
