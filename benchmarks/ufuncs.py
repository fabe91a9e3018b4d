"""Time softsign beside np.copyto and other libraries: `python benchmarks/ufuncs.py --help`.

Every time is reported as a ratio to `np.copyto` of arrays of the same size and dtype, taken in the same round, so
that a slow moment of the machine slows both. A round takes one sample of each contestant in turn; the tables show the
median over rounds, the CSV the quartiles too. A sample is as many calls as fill `SAMPLE_SECONDS`, after one call that
is not timed: caches, branch predictors and a peer's worker threads are then as warm as in a loop.

Inputs are normal(0, 3); those of `inverse` and `gradient_from_output` are softsign of that. All contestants share
the same input and output arrays; JAX and TensorFlow, which cannot, hold a copy made beforehand. "new" marks a peer
whose every call allocates its output. The process may use as many CPUs as it has threads
(Linux only: that is how JAX and TensorFlow are held to the same number of threads as the rest).
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import itertools
import math
import os
import platform
import subprocess
import sys
import time
import timeit
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from peers import FLOATS, PEERS, Peer

import softsign

KI, MI = 2**10, 2**20
SIZES = (1, 16, 256, 4 * KI, 64 * KI, MI, 16 * MI, 64 * MI)
QUICK_SIZES = (1, 4 * KI, MI)
SAMPLE_SECONDS = 5e-4
# With more than one thread: long enough for the previous contestant's workers to stop spinning and sleep.
PAUSE_SECONDS = 0.01

# The arguments of each function: x normal, u = softsign(x), dy normal.
ARGUMENTS = {
    "softsign": "x",
    "derivative": "x",
    "inverse": "u",
    "gradient": "x, dy",
    "gradient_from_output": "u, dy",
    "second_derivative": "x",
    "nth_derivative": "3, x",
    "antiderivative": "x",
    "second_antiderivative": "x",
    "log_jacobian": "x",
}
# Timed in place too, over z = x: the functions that stay among ordinary numbers when repeated on their own output.
IN_PLACE = ("softsign", "derivative", "gradient", "second_derivative", "nth_derivative", "log_jacobian")


@dataclass(frozen=True)
class Case:
    """What to measure on arrays of one dtype and size; `kernels` are instruction sets to compare softsign on."""

    dtype: str
    size: int
    functions: tuple[str, ...]
    kernels: tuple[str, ...] = ()


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
    """One measurement, as stored in the CSV: seconds per call, and their ratio to np.copyto with its quartiles."""

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
    """Return the arrays of a case; outputs are written once, so that no sample pays for a first touch."""
    if dtype_name == "bfloat16":
        import ml_dtypes

        dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    else:
        dtype = np.dtype(dtype_name)
    rng = np.random.default_rng(2010)
    x, dy = ((3 * rng.standard_normal(size, dtype=np.float32)).astype(dtype) for _ in range(2))
    return {"x": x, "dy": dy, "u": softsign.softsign(x), "y": x.copy(), "z": x.copy()}


def contestants(case: Case, peers: Sequence[Peer], threads: int) -> Iterator[Contestant]:
    """Yield np.copyto, the baseline, and then everything that is compared with it."""
    arrays = make_arrays(case.dtype, case.size)
    numpy_names = {"np": np, **arrays}
    yield Contestant("numpy", np.__version__, "copyto", "out", "np.copyto(y, x)", numpy_names)
    if case.size == 1:  # the least that calling a ufunc costs
        yield Contestant("numpy", np.__version__, "abs", "out", "abs(x, out=y)", {"abs": np.abs, **arrays})
    for function in case.functions:
        names = {"f": getattr(softsign, function), **arrays}
        ours, arguments = ("softsign", softsign.__version__, function), ARGUMENTS[function]
        yield Contestant(*ours, "out", f"f({arguments}, out=y)", names)
        if function in IN_PLACE:
            yield Contestant(*ours, "in place", f"f({arguments.replace('x', 'z')}, out=z)", names)
    if "softsign" not in case.functions:
        return
    switch = {
        "f": softsign.softsign,
        "use": softsign._core._use_kernels,
        "best": softsign.cpu_features()["kernels"],
    }
    for kernels in case.kernels:
        names = {**switch, "other": kernels, **arrays}
        statement = "use(other); f(x, out=y); use(best)"
        yield Contestant(f"softsign[{kernels}]", softsign.__version__, "softsign", "out", statement, names)
    for peer in peers:
        if case.dtype in peer.dtypes:
            names = peer.setup(arrays["x"], arrays["y"], threads)
            form = "new" if peer.allocates else "out"
            yield Contestant(peer.name, peer.version(), "softsign", form, peer.statement, names)


def calls_per_sample(timer: timeit.Timer) -> int:
    """Return how many calls fill a sample, after a first call that compiles and warms up."""
    timer.timeit(1)
    calls = 1
    while timer.timeit(calls) < SAMPLE_SECONDS:
        calls *= 2
    return calls


def measure(timers: Sequence[timeit.Timer], rounds: int, pause: float) -> npt.NDArray[np.float64]:
    """Return seconds per call, one row per round and one column per timer: the one timing loop."""
    calls = [calls_per_sample(timer) for timer in timers]
    seconds = np.empty((rounds, len(timers)))
    for i, (j, timer) in itertools.product(range(rounds), enumerate(timers)):
        time.sleep(pause)
        timer.timeit(1)
        seconds[i, j] = timer.timeit(calls[j]) / calls[j]
    return seconds


def run(case: Case, peers: Sequence[Peer], threads: int, rounds: int) -> list[Row]:
    """Measure one case."""
    field = list(contestants(case, peers, threads))
    timers = [timeit.Timer(c.statement, globals=c.names) for c in field]
    seconds = measure(timers, rounds, pause=PAUSE_SECONDS if threads > 1 else 0)
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


def cpu_model() -> str:
    """Return the CPU's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )


def copy_threshold() -> str:
    """Return from which size the C library's memcpy, hence np.copyto, bypasses the cache (glibc on x86 tells)."""
    try:
        listing = subprocess.run(
            ["/lib64/ld-linux-x86-64.so.2", "--list-tunables"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return "an unknown size"
    line = next((line for line in listing.splitlines() if "x86_non_temporal_threshold" in line), "")
    return f"{int(line.split()[1], 16) / MI:.3g} MiB" if line else "an unknown size"


def size_label(size: int) -> str:
    """Write 65536 as 64Ki."""
    for unit, suffix in ((MI, "Mi"), (KI, "Ki")):
        if size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)


def parse_size(text: str) -> int:
    """Read what size_label writes."""
    for unit, suffix in ((MI, "Mi"), (KI, "Ki"), (1, "")):
        digits = text.removesuffix(suffix)
        if text.endswith(suffix) and digits.isdecimal() and int(digits) > 0:
            return int(digits) * unit
    raise argparse.ArgumentTypeError(
        f"size {text!r} is not a positive whole number, with Ki or Mi or without"
    )


def print_table(title: str, cells: Sequence[Sequence[str]]) -> None:
    """Print rows of text in columns, the first aligned left and the rest right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    print(f"\n{title}")
    for first, *rest in cells:
        print(first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(rest, widths[1:], strict=True)), sep="  ")


def print_rows(rows: Sequence[Row]) -> None:
    """Print one table per dtype: ratios to np.copyto, one line per contestant, one column per size."""
    for dtype in dict.fromkeys(row.dtype for row in rows):
        lines: dict[str, dict[int, Row]] = {}
        for row in rows:
            if row.dtype == dtype:
                lines.setdefault(f"{row.name} {row.function} ({row.form})", {})[row.size] = row
        copies = lines.pop("numpy copyto (out)")
        cells = [["", *map(size_label, copies)]]
        cells.append(["np.copyto, µs", *(f"{row.seconds * 1e6:.3g}" for row in copies.values())])
        for label, line in lines.items():
            cells.append([label, *(f"{line[size].ratio:.2f}" if size in line else "" for size in copies)])
        print_table(f"{dtype}: time as a ratio to np.copyto", cells)


# What the project promises on one thread: dtype, size, function, form and the largest ratio to np.copyto.
COPY_BARS = (
    ("float32", 64 * MI, "softsign", "out", 0.80),
    ("float32", 64 * MI, "softsign", "in place", 0.85),
    ("float32", 64 * MI, "derivative", "out", 0.80),
    ("float32", 64 * MI, "gradient", "out", 1.25),
    ("float32", MI, "softsign", "out", 1.6),
    ("float32", MI, "softsign", "in place", 1.6),
    ("float32", MI, "derivative", "out", 1.6),
    ("float32", MI, "gradient", "out", 2.4),
    ("float32", 64 * KI, "softsign", "out", 2.5),
    ("float32", 64 * KI, "softsign", "in place", 2.5),
    ("float32", 64 * KI, "derivative", "out", 2.5),
    ("float32", 64 * KI, "gradient", "out", 4.0),
    ("float64", 16 * MI, "softsign", "out", 0.90),
    ("float16", 64 * MI, "softsign", "out", 1.3),
    ("bfloat16", 64 * MI, "softsign", "out", 1.3),
)
OVERHEAD_BAR = 1.3  # softsign of one element, to np.abs
AVX2_BAR = 1.2  # the AVX2 kernels outside cache, to AVX-512
PEER_BAR = 1.0  # softsign, to the fastest peer at each size, on any number of threads
NUMBA_BAR_IN_L2 = 2.0  # softsign, to numba's naive formula, while input and output fit in L2
IMPORT_BARS = {"ms": 15.0, "MB": 2.0}  # what `import softsign` adds to `import numpy`


@dataclass(frozen=True)
class Verdict:
    """A promise: what is compared, what was measured, and the most that keeps it."""

    promise: str
    measured: float
    limit: float

    @property
    def kept(self) -> bool:
        """Whether the measurement keeps the promise."""
        return self.measured <= self.limit


def bar_cases(threads: int) -> list[Case]:
    """Return the cases that the promises are about."""
    functions = {("float32", size): {"softsign": None} for size in SIZES}
    for dtype, size, function, *_ in COPY_BARS if threads == 1 else ():
        functions.setdefault((dtype, size), {})[function] = None
    pair = tuple(k for k in softsign.cpu_features()["available"] if k in ("avx2", "avx512"))
    compared = ("float32", 64 * MI) if threads == 1 and len(pair) == 2 else None
    return [Case(*key, tuple(names), pair if key == compared else ()) for key, names in functions.items()]


def verdicts(rows: Sequence[Row], threads: int) -> Iterator[Verdict]:
    """Compare the measurements of `bar_cases` with the promises."""
    ratio = {(r.dtype, r.size, r.name, r.function, r.form): r.ratio for r in rows}
    if threads == 1:
        for dtype, size, function, form, limit in COPY_BARS:
            measured = ratio.get((dtype, size, "softsign", function, form), math.nan)
            yield Verdict(f"{function} {dtype} {size_label(size)} ({form}) / np.copyto", measured, limit)
        one = ratio["float32", 1, "softsign", "softsign", "out"] / ratio["float32", 1, "numpy", "abs", "out"]
        yield Verdict("softsign float32 1 (out) / np.abs", one, OVERHEAD_BAR)
        avx2, avx512 = (
            ratio.get(("float32", 64 * MI, f"softsign[{k}]", "softsign", "out"), math.nan)
            for k in ("avx2", "avx512")
        )
        yield Verdict("softsign float32 64Mi AVX2 / AVX-512", avx2 / avx512, AVX2_BAR)
        for unit, added in import_cost().items():
            yield Verdict(f"import softsign, {unit} more than import numpy", added, IMPORT_BARS[unit])
    for size in SIZES:
        yield from peer_verdicts(size, [r for r in rows if (r.dtype, r.size) == ("float32", size)])


def peer_verdicts(size: int, rows: Sequence[Row]) -> Iterator[Verdict]:
    """Compare softsign with the fastest peer and with numba, among the float32 rows of one size."""
    ours = next(r for r in rows if (r.name, r.function, r.form) == ("softsign", "softsign", "out"))
    peers = [r for r in rows if r.function == "softsign" and r.name in {p.name for p in PEERS}]
    in_l2 = 2 * size * 4 <= l2_bytes()
    for numba, limit in ((True, NUMBA_BAR_IN_L2 if in_l2 else PEER_BAR), (False, PEER_BAR)):
        rivals = [r for r in peers if (r.name == "numba") is numba]
        if rivals:
            best = min(rivals, key=lambda r: r.ratio)
            yield Verdict(
                f"softsign float32 {size_label(size)} / {best.name}", ours.ratio / best.ratio, limit
            )


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


def print_verdicts(results: Sequence[Verdict]) -> None:
    """Print a table of promises; nan marks what this machine cannot measure."""
    words = {True: "pass", False: "FAIL"}
    cells = [["promise", "measured", "at most", ""]]
    for v in results:
        verdict = "not measured here" if math.isnan(v.measured) else words[v.kept]
        cells.append(
            [v.promise, *(f"{x:.2f}" if x >= 0.01 else f"{x:.0e}" for x in (v.measured, v.limit)), verdict]
        )
    print_table("Promises", cells)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Time softsign beside np.copyto and other libraries.")
    parser.add_argument(
        "--sizes", nargs="+", type=parse_size, metavar="N", help="elements: 1, 64Ki, 16Mi, ..."
    )
    parser.add_argument("--dtypes", nargs="+", choices=FLOATS, default=FLOATS, metavar="NAME")
    parser.add_argument("--functions", nargs="+", choices=ARGUMENTS, default=tuple(ARGUMENTS), metavar="NAME")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads for softsign and for every peer (default 1)"
    )
    parser.add_argument("--rounds", type=int, help="samples of each contestant (default 15, with --quick 5)")
    names = [peer.name for peer in PEERS]
    parser.add_argument(
        "--peers", nargs="*", choices=names, default=names, help="default: all that are installed"
    )
    parser.add_argument(
        "--no-peers", dest="peers", action="store_const", const=[], help="softsign and np.copyto alone"
    )
    parser.add_argument("--quick", action="store_true", help="few sizes and rounds")
    parser.add_argument("--bars", action="store_true", help="measure and judge what the project promises")
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).parent / "results", help="folder for the CSV"
    )
    arguments = parser.parse_args(argv)
    arguments.sizes = arguments.sizes or (QUICK_SIZES if arguments.quick else SIZES)
    if arguments.rounds is None:
        arguments.rounds = 5 if arguments.quick else 15
    if arguments.rounds < 1:
        parser.error(f"argument --rounds: {arguments.rounds} is not at least 1")
    available = len(os.sched_getaffinity(0))
    if not 1 <= arguments.threads <= available:
        parser.error(
            f"argument --threads: {arguments.threads} is not between 1 and the {available} CPUs available"
        )
    return arguments


def limit_threads(threads: int) -> None:
    """Confine the process to as many CPUs as it has threads, before any peer starts its workers."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    softsign.set_num_threads(threads)


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


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and store; with --bars return 1 if a promise is broken."""
    arguments = parse_arguments(argv)
    threads, rounds = arguments.threads, arguments.rounds
    limit_threads(threads)
    peers, missing = split_missing(arguments.peers)
    if importlib.util.find_spec("ml_dtypes") is None:
        missing["bfloat16"] = "needs ml_dtypes"
    if arguments.bars:
        cases = bar_cases(threads)
    else:
        product = itertools.product(arguments.dtypes, arguments.sizes)
        cases = [Case(dtype, size, tuple(arguments.functions)) for dtype, size in product]

    features = softsign.cpu_features()
    print(f"{cpu_model()}, {features['kernels']} kernels, threads: {threads}")
    print(f"numpy {np.__version__}, softsign {softsign.__version__}")
    print(f"load average {os.getloadavg()[0]:.1f}: what else runs here disturbs the times")
    print(f"np.copyto bypasses the cache from {copy_threshold()}, ", end="")
    print(f"softsign from {features['last_level_cache'] / MI:.3g} MiB")
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
            measured = run(case, peers, threads, rounds)
            writer.writerows(map(asdict, measured))
            file.flush()
            rows += measured
    print_rows(rows)
    print(f"\nstored in {path}")
    if not arguments.bars:
        return 0
    results = list(verdicts(rows, threads))
    print_verdicts(results)
    return int(any(v.measured > v.limit for v in results))


if __name__ == "__main__":
    sys.exit(main())
