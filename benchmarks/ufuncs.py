"""Time every function beside np.copyto, and softsign beside other libraries: `make bench`.

Every time is reported as a ratio to `np.copyto` of arrays of the same size and dtype, taken in the same round
(`harness`). The tables show the median over rounds, the CSV the quartiles too.

Inputs are normal(0, 3); those of `inverse` and `gradient_from_output` are softsign of that. All contestants
share the same input and output arrays; JAX and TensorFlow, which cannot, hold a copy made beforehand. "new
array" marks a peer whose every call allocates its output. The process may use as many CPUs as it has threads
(Linux only: that is how JAX and TensorFlow are held to the same number of threads as the rest).
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import cycles
import numpy as np
import numpy.typing as npt
import threads as two_threads
from conditions import describe_memory, place
from cycles import ARGUMENTS, call, dtype_named
from harness import (
    CPUS,
    KI,
    MI,
    Table,
    Target,
    conclude,
    cpu_model,
    describe,
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
from peers import PEERS, Peer

import softsign
from softsign.functions import DTYPES, FUNCTIONS

SIZES = (1, 16, 256, 4 * KI, 64 * KI, MI, 16 * MI, 64 * MI)
QUICK_SIZES = (1, 4 * KI, MI)

# Timed in place too, over z = x: the functions that stay among ordinary numbers when applied again and again.
IN_PLACE = ("softsign", "derivative", "gradient", "second_derivative", "nth_derivative", "log_jacobian")


@dataclass(frozen=True)
class Case:
    """What to measure on arrays of one dtype and size."""

    dtype: str
    size: int
    functions: tuple[str, ...]


@dataclass(frozen=True)
class Contestant:
    """Something to time: a statement and the names in it. `form` is "out", "in place" or "new"."""

    name: str
    version: str
    function: str
    form: str
    statement: str
    names: dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One measurement, as in the CSV: seconds per call, and their ratio to np.copyto with its quartiles."""

    date: str
    cpu: str
    kernels: str
    threads: int
    numpy: str
    softsign: str
    name: str
    version: str
    function: str
    form: str
    dtype: str
    size: int
    rounds: int
    seconds: float
    ratio: float
    ratio_q1: float
    ratio_q3: float


def make_arrays(dtype_name: str, size: int) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a case."""
    rng = np.random.default_rng(2010)
    dtype = dtype_named(dtype_name)
    x, dy = ((3 * rng.standard_normal(size, dtype=np.float32)).astype(dtype) for _ in range(2))
    outputs = dict.fromkeys(("y", "z", "second", "third"), x)
    arrays = {"x": x, "dy": dy, "u": softsign.softsign(x), **outputs}
    return {"c": dtype.type(3)} | {name: place(array) for name, array in arrays.items()}


def contestants(case: Case, peers: Sequence[Peer], threads: int) -> Iterator[Contestant]:
    """Yield np.copyto, the baseline, and then everything that is compared with it."""
    arrays = make_arrays(case.dtype, case.size)
    numpy_names = {"np": np, **arrays}
    yield Contestant("numpy", np.__version__, "copyto", "out", "np.copyto(y, x)", numpy_names)
    if case.size == 1:  # the least that calling a ufunc costs
        yield Contestant("numpy", np.__version__, "abs", "out", "abs(x, out=y)", {"abs": np.abs, **arrays})
    for function in case.functions:
        names = {"f": getattr(softsign, function), **arrays}
        ours = "softsign", softsign.__version__, function
        yield Contestant(*ours, "out", call(function, ARGUMENTS, "y"), names)
        if function in IN_PLACE:
            yield Contestant(*ours, "in place", call(function, ARGUMENTS | {"x": "z"}, "z"), names)
    if "softsign" not in case.functions:
        return
    for peer in peers:
        if case.dtype in peer.dtypes:
            names = peer.setup(arrays["x"], arrays["y"], threads)
            form = "new" if peer.allocates else "out"
            yield Contestant(peer.name, peer.version(), "softsign", form, peer.statement, names)


def run(case: Case, peers: Sequence[Peer], threads: int, rounds: int) -> list[Row]:
    """Measure one case."""
    field = list(contestants(case, peers, threads))
    seconds = take_turns([timed(c.statement, c.names) for c in field], rounds, pause_between(threads))
    quartiles = np.quantile(seconds / seconds[:, :1], [0.25, 0.5, 0.75], axis=0)
    return [
        Row(
            date=time.strftime("%Y-%m-%dT%H:%M:%S"),
            cpu=cpu_model(),
            kernels=softsign.cpu_features()["kernels"],
            threads=threads,
            numpy=np.__version__,
            softsign=softsign.__version__,
            name=c.name,
            version=c.version,
            function=c.function,
            form=c.form,
            dtype=case.dtype,
            size=case.size,
            rounds=rounds,
            seconds=float(median),
            ratio=float(ratio),
            ratio_q1=float(q1),
            ratio_q3=float(q3),
        )
        for c, median, (q1, ratio, q3) in zip(field, np.median(seconds, axis=0), quartiles.T, strict=True)
    ]


def copy_threshold() -> str:
    """Return from which size memcpy, hence np.copyto, bypasses the cache (glibc on x86 tells)."""
    try:
        listing = subprocess.run(
            ["/lib64/ld-linux-x86-64.so.2", "--list-tunables"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return "an unknown size"
    line = next((line for line in listing.splitlines() if "x86_non_temporal_threshold" in line), "")
    return f"{int(line.split()[1], 16) / MI:.3g} MiB" if line else "an unknown size"


LABELS = {peer.name: peer.label for peer in PEERS}


def label(row: Row) -> str:
    """Say what a row is about."""
    if row.name == "softsign":
        what = row.function
    elif row.function == "softsign":
        what = LABELS.get(row.name, row.name)
    else:
        what = f"np.{row.function}"
    return what + {"out": "", "in place": ", in place", "new": ", new array"}[row.form]


def ratio_tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Make one table per dtype: ratios to np.copyto, one line per contestant, one column per size."""
    for dtype in dict.fromkeys(row.dtype for row in rows):
        lines: dict[str, dict[int, Row]] = {}
        for row in rows:
            if row.dtype == dtype:
                lines.setdefault(label(row), {})[row.size] = row
        copies = lines.pop("np.copyto")
        cells = [["np.copyto, µs", *(written(row.seconds * 1e6) for row in copies.values())]]
        for name, line in lines.items():
            cells.append([name, *(f"{line[size].ratio:.2f}" if size in line else "" for size in copies)])
        title = f"Time as a ratio to np.copyto, {dtype}"
        yield Table(title, ["elements", *map(size_label, copies)], cells)


# What is aimed at beside cycles.py and threads.py.
OVERHEAD_TARGET = 1.3  # softsign of one element, to np.abs
PEER_TARGET = 1.0  # softsign, to the fastest peer at each size, on any number of threads
NUMBA_TARGET_IN_L2 = 2.0  # softsign, to numba's naive formula, while input and output fit in L2
IMPORT_TARGETS = {"ms": 15.0, "MB": 2.0}  # what `import softsign` adds to `import numpy`

PARTS = ("threads", "yardsticks", "values", "passes", "import", "peers")  # last: numba counts the CPUs once


def targets(rows: Sequence[Row], threads: int) -> Iterator[Target]:
    """Compare softsign with np.abs on one element, and with the peers."""
    ratio = {(r.size, r.name, r.function): r.ratio for r in rows if r.form == "out"}
    if threads == 1 and (1, "numpy", "abs") in ratio:
        one = ratio[1, "softsign", "softsign"] / ratio[1, "numpy", "abs"]
        yield Target("softsign float32 1 (out) / np.abs", one, OVERHEAD_TARGET)
    for size in dict.fromkeys(row.size for row in rows):
        yield from peer_targets(size, [row for row in rows if row.size == size])


def judge(part: str, rounds: int) -> list[Target]:
    """Measure a part of what has a target, other than the peers."""
    if part == "threads":
        if len(CPUS) < 2:
            return []
        return list(two_threads.targets(two_threads.measure("softsign", two_threads.SIZES, rounds)))
    limit_threads(1)
    if part == "yardsticks":
        return list(cycles.aim_targets({w: cycles.measure(w, f, rounds) for w, f in cycles.aimed().items()}))
    if part == "values":
        return list(cycles.real_life_targets(rounds))
    if part == "passes":
        return list(cycles.passes_targets(rounds))
    cost = import_cost()
    return [Target(f"import softsign, {u} more than import numpy", cost[u], IMPORT_TARGETS[u]) for u in cost]


def peer_targets(size: int, rows: Sequence[Row]) -> Iterator[Target]:
    """Compare softsign with the fastest peer and with numba, among the float32 rows of one size."""
    ours = next(r for r in rows if (r.name, r.function, r.form) == ("softsign", "softsign", "out"))
    peers = [r for r in rows if r.function == "softsign" and r.name in {p.name for p in PEERS}]
    in_l2 = 2 * size * 4 <= l2_bytes()
    for numba, aim in ((True, NUMBA_TARGET_IN_L2 if in_l2 else PEER_TARGET), (False, PEER_TARGET)):
        rivals = [r for r in peers if (r.name == "numba") is numba]
        if rivals:
            best = min(rivals, key=lambda r: r.ratio)
            yield Target(f"softsign float32 {size_label(size)} / {best.name}", ours.ratio / best.ratio, aim)


def l2_bytes() -> int:
    """Return the size of a core's L2 cache, or 0 where the system does not tell."""
    try:
        text = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip()
    except OSError:
        return 0
    return int(text.removesuffix("K")) * KI


IMPORT_PROBE = """
import time, numpy
from pathlib import Path
pages = lambda: int(Path("/proc/self/statm").read_text().split()[1])
before, start = pages(), time.perf_counter()
import softsign
from softsign.functions import DTYPES, FUNCTIONS
print(time.perf_counter() - start, pages() - before)
"""


def import_cost(processes: int = 11) -> dict[str, float]:
    """Return what `import softsign` adds to `import numpy`: median milliseconds and resident megabytes."""
    samples = []
    for _ in range(processes):
        probe = subprocess.run(
            [sys.executable, "-c", IMPORT_PROBE], capture_output=True, text=True, check=True
        )
        samples.append([float(field) for field in probe.stdout.split()])
    seconds, pages = np.median(samples, axis=0)
    return {"ms": float(seconds) * 1e3, "MB": float(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6}


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("Time softsign beside np.copyto and other libraries.", rounds=15, threads=True)
    parser.set_defaults(rounds=None)
    parser.add_argument(
        "--sizes", nargs="+", type=parse_size, metavar="N", help="elements: 1, 64Ki, 16Mi, ..."
    )
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=DTYPES, metavar="NAME")
    parser.add_argument("--functions", nargs="+", choices=FUNCTIONS, default=tuple(FUNCTIONS), metavar="NAME")
    names = [peer.name for peer in PEERS]
    parser.add_argument(
        "--peers", nargs="*", choices=names, default=names, help="default: all that are installed"
    )
    parser.add_argument(
        "--no-peers", dest="peers", action="store_const", const=[], help="softsign and np.copyto alone"
    )
    parser.add_argument("--quick", action="store_true", help="few sizes, 5 rounds")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--targets",
        nargs="*",
        choices=PARTS,
        metavar="PART",
        help=f"measure what has a target, and judge it: all, or some of {', '.join(PARTS)}",
    )
    source.add_argument("--from", dest="stored", type=Path, metavar="CSV", help="measure nothing: read this")
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).parent / "results", help="folder for the CSV"
    )
    parser.add_argument("--plot", type=Path, metavar="PICTURE", help="draw softsign and the fastest peers")
    parser.add_argument("--bars", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.bars:
        parser.error("--bars is now --targets")
    if arguments.stored and not arguments.stored.is_file():
        parser.error(f"argument --from: there is no file {arguments.stored}")
    if arguments.targets == []:
        arguments.targets = PARTS if arguments.threads == 1 else ["peers"]
    arguments.sizes = arguments.sizes or (QUICK_SIZES if arguments.quick else SIZES)
    arguments.rounds = arguments.rounds or (5 if arguments.quick else 15)
    return arguments


def split_missing(names: Sequence[str]) -> tuple[list[Peer], dict[str, str]]:
    """Return the peers that can run, and for the others why they cannot."""
    installed: list[Peer] = []
    missing: dict[str, str] = {}
    for peer in PEERS:
        if peer.name in names:
            reason = peer.missing()
            if reason is None:
                installed.append(peer)
            else:
                missing[peer.name] = reason
    return installed, missing


def measure(cases: Iterable[Case], arguments: argparse.Namespace) -> list[Row]:
    """Measure all cases that can be measured here, and store each as soon as it is."""
    peers, missing = split_missing(arguments.peers)
    if importlib.util.find_spec("ml_dtypes") is None:
        missing["bfloat16"] = "needs ml_dtypes"
    print(f"load average {os.getloadavg()[0]:.1f}: what else runs here disturbs the times")
    print(f"np.copyto bypasses the cache from {copy_threshold()}, ", end="")
    print(f"softsign from {softsign.cpu_features()['streams_from'] / MI:.3g} MiB of all arrays")
    print(describe_memory(place(np.zeros(64 * KI))))
    for name, reason in missing.items():
        print(f"missing: {name} ({reason})")

    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / time.strftime("%Y%m%d-%H%M%S.csv")
    rows: list[Row] = []
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        for case in cases:
            if case.dtype in missing:
                continue
            print(f"measuring {case.dtype} {size_label(case.size)}", file=sys.stderr)
            measured = run(case, peers, arguments.threads, arguments.rounds)
            writer.writerows(map(asdict, measured))
            file.flush()
            rows += measured
    print(f"stored in {path}")
    return rows


def read(path: Path) -> list[Row]:
    """Read the rows that `measure` stored."""
    kinds: dict[Any, type] = {"str": str, "int": int, "float": float}
    with path.open(newline="") as file:
        return [
            Row(**{field.name: kinds[field.type](line[field.name]) for field in fields(Row)})
            for line in csv.DictReader(file)
        ]


def origin(rows: Sequence[Row]) -> str:
    """Describe the machine and the versions that rows were measured with."""
    modules = {peer.name: peer.modules[0] for peer in PEERS}
    peers = {modules[row.name]: row.version for row in rows if modules.get(row.name, "numpy") != "numpy"}
    one = rows[0]
    return describe(one.cpu, one.kernels, one.threads, {"softsign": one.softsign, "NumPy": one.numpy} | peers)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw ratios to np.copyto by size, in float32: softsign, the expression, peers fastest at some size."""
    from matplotlib.figure import Figure

    rows = [r for r in rows if (r.dtype, r.function) == ("float32", "softsign") and r.form != "in place"]
    peers = [r for r in rows if r.name in LABELS]
    sizes = sorted({r.size for r in rows})
    best = (min((r for r in peers if r.size == size), key=lambda r: r.ratio).name for size in sizes)
    figure = Figure(figsize=(6.8, 3.9), layout="constrained")
    axes = figure.add_subplot(title="time of softsign(x) as a ratio to np.copyto, float32", xlabel="elements")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.axhline(1, color="0.5", linewidth=1, linestyle="--", label="np.copyto")
    for name in dict.fromkeys(["softsign", "numpy", *best]):
        line = {r.size: r.ratio for r in rows if r.name == name}
        width = 3 if name == "softsign" else 1.5
        axes.plot(*zip(*line.items(), strict=True), marker="o", linewidth=width, label=LABELS.get(name, name))
    axes.set_xticks(sizes, map(size_label, sizes))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    where = f"{rows[0].cpu}, {rows[0].kernels} kernels, threads: {rows[0].threads}"
    figure.supxlabel(where, fontsize="small", color="0.4")
    figure.savefig(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure or read, print and store; return 1 if a target is missed."""
    arguments = parse_arguments(argv)
    section = section_to_write(arguments, f"ufuncs-{arguments.threads}")
    aims: list[Target] = []
    if arguments.stored:
        rows = read(arguments.stored)
    else:
        parts = arguments.targets or ["peers"]
        aims += [aim for part in PARTS[:-1] if part in parts for aim in judge(part, arguments.rounds)]
        limit_threads(arguments.threads)
        print(machine(arguments.threads))
        products = itertools.product(arguments.dtypes, arguments.sizes)
        cases = [Case(dtype, size, tuple(arguments.functions)) for dtype, size in products]
        if arguments.targets:
            cases = [Case("float32", size, ("softsign",)) for size in arguments.sizes if "peers" in parts]
        rows = measure(cases, arguments) if cases else []
    if arguments.targets:
        aims += targets(rows, arguments.threads)
    if not rows and not aims:
        raise SystemExit("there is nothing to show: none of the dtypes can be measured here")
    if arguments.plot:
        plot(rows, arguments.plot)
    where = origin(rows) if rows else machine(arguments.threads)
    return conclude(list(ratio_tables(rows)), aims, section, where)


if __name__ == "__main__":
    sys.exit(main())
