"""The common part of the benchmarks: the one timing loop, targets and verdicts, tables, and the pages.

Contestants take turns: a round takes one sample of each, so that a slow moment of the machine slows all of
them, and what is reported are medians over rounds, or ratios of two samples of the same round. A sample is as
many calls as fill `SAMPLE_SECONDS`, after one call that is not timed: caches, branch predictors and a
library's worker threads are then as warm as in a loop.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import platform
import sys
import time
import timeit
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import softsign

KI, MI = 2**10, 2**20
SAMPLE_SECONDS = 5e-4
CPUS = sorted(os.sched_getaffinity(0))  # those that the process may use before `limit_threads`
PAGE = Path(__file__).parents[1] / "docs" / "speed.md"

Sampler = Callable[[], float]


def timed(
    call: str | Callable[[], object],
    names: dict[str, Any] | None = None,
    seconds: float = SAMPLE_SECONDS,
    clock: Callable[[], float] | None = None,
) -> Sampler:
    """Return a function that takes one sample of a call, after finding out how many calls fill a sample.

    Parameters
    ----------
    call : str or callable
        A statement, or a function without arguments.
    names : dict of str to object, optional
        The names in the statement.
    seconds : float, optional
        The least duration of a sample.
    clock : callable, optional
        What tells the time, if not timeit's; `time.process_time` leaves out what other processes take.

    Returns
    -------
    callable
        Returns the seconds per call of one sample.
    """
    timer = timeit.Timer(call, globals=names, **({"timer": clock} if clock else {}))
    timer.timeit(1)  # compiles and warms up
    calls = 1
    while timer.timeit(calls) < seconds:
        calls *= 2

    def sample() -> float:
        timer.timeit(1)
        return timer.timeit(calls) / calls

    return sample


def take_turns(samplers: Sequence[Sampler], rounds: int, pause: float = 0.0) -> npt.NDArray[np.float64]:
    """Take one sample of each contestant in every round: the one timing loop.

    Parameters
    ----------
    samplers : sequence of callable
        For each contestant a function that measures it once and returns the result.
    rounds : int
        How many samples to take of each.
    pause : float, optional
        Seconds to sleep before each sample.

    Returns
    -------
    ndarray of float64, shape (rounds, len(samplers))
        The samples, one row per round.
    """
    samples = np.empty((rounds, len(samplers)))
    for i, (j, sampler) in itertools.product(range(rounds), enumerate(samplers)):
        time.sleep(pause)
        samples[i, j] = sampler()
    return samples


def pause_between(threads: int) -> float:
    """Return the pause that lets the worker threads of the previous contestant stop spinning and sleep.

    Parameters
    ----------
    threads : int
        The number of threads that each contestant may use.

    Returns
    -------
    float
        Seconds, 0 for one thread.
    """
    return 0.01 if threads > 1 else 0.0


def limit_threads(threads: int) -> None:
    """Confine the process to as many CPUs as it has threads, before libraries start workers (Linux only).

    Parameters
    ----------
    threads : int
        From 1 to the number of CPUs that the process may use.
    """
    os.sched_setaffinity(0, CPUS[-threads:])
    softsign.set_num_threads(threads)


def cpu_model() -> str:
    """Return the CPU's name.

    Returns
    -------
    str
        As the system tells it, else the name of the architecture.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def describe(cpu: str, kernels: str, threads: int, versions: Mapping[str, str]) -> str:
    """Describe a machine and what is measured on it.

    Parameters
    ----------
    cpu : str
        As `cpu_model` returns it.
    kernels : str
        The kernels in use.
    threads : int
        The number of threads that each contestant may use.
    versions : mapping of str to str
        For each library its version.

    Returns
    -------
    str
        All of it in one line.
    """
    libraries = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{cpu}, {kernels} kernels, threads: {threads}; {libraries}"


def machine(threads: int, **versions: str) -> str:
    """Describe this machine and what is measured on it.

    Parameters
    ----------
    threads : int
        The number of threads that each contestant may use.
    **versions : str
        For each library other than softsign and NumPy its version.

    Returns
    -------
    str
        All of it in one line.
    """
    versions = {"softsign": softsign.__version__, "NumPy": np.__version__} | versions
    return describe(cpu_model(), softsign.cpu_features()["kernels"], threads, versions)


def size_label(size: int) -> str:
    """Write a number of elements shortly.

    Parameters
    ----------
    size : int
        1 or more.

    Returns
    -------
    str
        64Ki for 65536.
    """
    for unit, suffix in ((MI, "Mi"), (KI, "Ki")):
        if size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)


@dataclass(frozen=True)
class Target:
    """A speed (or a size, or an error) aimed at, and what was measured.

    Parameters
    ----------
    name : str
        What is measured, with its unit unless it is a ratio.
    measured : float
        The measurement; nan if this machine cannot take it.
    aim : float
        The largest measurement that reaches the target, or the smallest.
    at_least : bool, optional
        Whether `aim` is the smallest.
    """

    name: str
    measured: float
    aim: float
    at_least: bool = False

    @property
    def verdict(self) -> str:
        """Outcome: "reached", "missed" or "not measured here"."""
        if math.isnan(self.measured):
            return "not measured here"
        reached = self.measured >= self.aim if self.at_least else self.measured <= self.aim
        return "reached" if reached else "missed"


@dataclass(frozen=True)
class Table:
    """A table of text, for the terminal and for a page.

    Parameters
    ----------
    title : str
        One line, without a full stop.
    header : sequence of str
        Names of the columns.
    lines : sequence of sequence of str
        Cells, as many in each line as there are columns; the first column is aligned left, the others right.
    """

    title: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]

    def plain(self) -> str:
        """Return the table in aligned columns."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.lines, strict=True)]
        aligned = (
            "  ".join([first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(rest, widths[1:], strict=True))])
            for first, *rest in (self.header, *self.lines)
        )
        return "\n".join(["", self.title, *(line.rstrip() for line in aligned)])

    def markdown(self) -> str:
        """Return the table in Markdown, the title as a paragraph above it."""
        rule = ("--", *("-:" for _ in self.header[1:]))
        cells = ("| " + " | ".join(line) + " |" for line in (self.header, rule, *self.lines))
        return "\n".join([f"{self.title}:", "", *cells])


def written(value: float) -> str:
    """Write a measurement with as many digits as a reader needs.

    Parameters
    ----------
    value : float
        A ratio, a time, a rate or an error.

    Returns
    -------
    str
        Whole from 100 on, two decimals from 0.01 on, else a power of ten.
    """
    return (
        f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.2f}" if value >= 0.01 else f"{value:.0e}"
    )


def target_table(targets: Sequence[Target]) -> Table:
    """Make a table of targets and verdicts.

    Parameters
    ----------
    targets : sequence of Target
        Its lines.

    Returns
    -------
    Table
        What is measured, the measurement, the target and the verdict.
    """
    lines = [
        (
            t.name,
            "" if math.isnan(t.measured) else written(t.measured),
            f"{'≥' if t.at_least else '≤'} {written(t.aim)}",
            t.verdict,
        )
        for t in targets
    ]
    return Table("Targets", ("", "measured", "target", "verdict"), lines)


def section_of(page: Path, name: str) -> tuple[str, str]:
    """Return what is before and after a generated section of a page, its marks included.

    Parameters
    ----------
    page : Path
        A Markdown file.
    name : str
        Name of the section: it stands between ``<!-- name:begin -->`` and ``<!-- name:end -->``.

    Returns
    -------
    before, after : str
        The text up to and with the first mark, and from the second mark on.

    Raises
    ------
    SystemExit
        If the page does not have the marks.
    """
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, first, rest = page.read_text().partition(begin)
    _, second, after = rest.partition(end)
    if not first or not second:
        raise SystemExit(f"{page} has no lines {begin.strip()} and {end} to write between")
    return before + begin, end + after


def section_to_write(arguments: argparse.Namespace, name: str, page: Path | None = None) -> str | None:
    """Return the section of a page to write into, and make sure that it is there before anything is measured.

    Parameters
    ----------
    arguments : Namespace
        What the user wrote, as a parser of `make_parser` reads it.
    name : str
        Name of the section.
    page : Path, optional
        The page; `PAGE` if not given.

    Returns
    -------
    str or None
        The name if --write was given.

    Raises
    ------
    SystemExit
        If the page does not have the section.
    """
    if not arguments.write:
        return None
    section_of(page or PAGE, name)
    return name


def write_section(page: Path, name: str, text: str) -> None:
    """Replace a generated section of a page.

    Parameters
    ----------
    page : Path
        A Markdown file.
    name : str
        Name of the section.
    text : str
        Its new content, in Markdown.

    Raises
    ------
    SystemExit
        If the page does not have the marks of the section.
    """
    before, after = section_of(page, name)
    page.write_text(f"{before}\n{text}\n\n{after}")


def positive(text: str) -> int:
    """Read an option that is a whole number, 1 or more.

    Parameters
    ----------
    text : str
        What the user wrote.

    Returns
    -------
    int
        The number.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is no such number.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def thread_count(text: str) -> int:
    """Read an option that is a number of threads.

    Parameters
    ----------
    text : str
        What the user wrote.

    Returns
    -------
    int
        From 1 to the number of CPUs that the process may use.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is no such number.
    """
    if not text.isdecimal() or not 1 <= int(text) <= len(CPUS):
        raise argparse.ArgumentTypeError(f"{text!r} is not between 1 and the {len(CPUS)} CPUs available")
    return int(text)


def parse_size(text: str) -> int:
    """Read what size_label writes.

    Parameters
    ----------
    text : str
        What the user wrote.

    Returns
    -------
    int
        The number of elements.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is no such number.
    """
    for unit, suffix in ((MI, "Mi"), (KI, "Ki"), (1, "")):
        digits = text.removesuffix(suffix)
        if text.endswith(suffix) and digits.isdecimal() and int(digits) > 0:
            return int(digits) * unit
    raise argparse.ArgumentTypeError(
        f"size {text!r} is not a positive whole number, with Ki or Mi or without"
    )


def make_parser(description: str, rounds: int, threads: bool = False) -> argparse.ArgumentParser:
    """Make a parser of the options that the benchmarks share.

    Parameters
    ----------
    description : str
        One line for ``--help``.
    rounds : int
        How many rounds to take unless told otherwise.
    threads : bool, optional
        Whether there is a choice of the number of threads.

    Returns
    -------
    ArgumentParser
        Knows --rounds, --write, and --threads if there is a choice.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--rounds", type=positive, default=rounds, help=f"samples of each contestant (default {rounds})"
    )
    if threads:
        parser.add_argument(
            "--threads", type=thread_count, default=1, help="threads for every contestant (default 1)"
        )
    parser.add_argument("--write", action="store_true", help="write the tables into their page as well")
    return parser


def conclude(
    tables: Sequence[Table],
    targets: Sequence[Target],
    section: str | None,
    origin: str,
    page: Path | None = None,
) -> int:
    """Print the tables and the verdicts, and write them into a page.

    Parameters
    ----------
    tables : sequence of Table
        What was measured.
    targets : sequence of Target
        What was aimed at.
    section : str or None
        Section of the page to write into; None writes nothing.
    origin : str
        The machine and the versions, as from `machine`.
    page : Path, optional
        The page; `PAGE` if not given.

    Returns
    -------
    int
        Exit code: 1 if a target is missed.
    """
    tables = [*tables, target_table(targets)] if targets else tables
    for table in tables:
        print(table.plain())
    if section:
        command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
        note = f"Printed by `{command}`: {origin}."
        write_section(page or PAGE, section, "\n\n".join([*(table.markdown() for table in tables), note]))
    return int(any(target.verdict == "missed" for target in targets))
