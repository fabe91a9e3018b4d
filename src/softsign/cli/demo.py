"""``softsign demo``: the package at work on real data, in a few seconds."""

import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

import softsign
from softsign import accuracy
from softsign.cli._common import picture_path, progress_bar, save

_CHECKED = [
    (name, dtype) for name in ("softsign", "derivative", "inverse") for dtype in ("float32", "float64")
]
_CHECKED_INPUTS = 1 << 17
_TIMED = [(1 << 16, 101), (1 << 24, 7)]  # elements, rounds


def demo(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", callback=picture_path, help="Picture to write: .png, .svg or .pdf."),
    ] = Path("softsign-demo.png"),
    seed: Annotated[int, typer.Option(min=0, help="Of the network's start and of the checked numbers.")] = 0,
) -> None:
    """Train a network on handwritten digits, check the results, measure the speed.

    A network of softsign units learns to read the 1,797 scans of handwritten digits that scikit-learn ships, forward
    and backward through this package and NumPy alone. Then the functions are compared with exact arithmetic and timed
    on this machine, and a picture shows the learning curve and the functions.
    """
    from softsign.learn import digits, plots

    columns = (TextColumn("{task.description}"), BarColumn(None), TaskProgressColumn(), TimeElapsedColumn())
    with progress_bar(*columns) as bar:
        training = bar.add_task("training on handwritten digits", total=digits.EPOCHS)
        start = perf_counter()
        data = digits.load()
        history = list(bar.track(digits.train(data, seed=seed), total=digits.EPOCHS, task_id=training))
        seconds = perf_counter() - start
        generator = np.random.default_rng(seed)
        cases = bar.track(_CHECKED, description="checking against exact arithmetic")
        checks = [_check(name, dtype, generator) for name, dtype in cases]
        times = [_time(size, rounds) for size, rounds in bar.track(_TIMED, description="timing beside NumPy")]
    save(plots.demo_figure(history, len(data.test_label)), output)

    scans = len(data.test_label)
    right = round(history[-1].test_accuracy * scans)
    kernels = softsign.cpu_features()["kernels"]
    table = Table(title=f"softsign {softsign.__version__}, kernels: {kernels}", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    table.add_row("handwritten digits", "accuracy", f"{scans} test scans", style="bold")
    table.add_row(
        "network of softsign units", f"{right / scans:.1%}", f"{right} right, trained in {seconds:.1f} s"
    )
    table.add_section()
    table.add_row(
        f"in {_CHECKED_INPUTS:,} inputs each", "wrong", "worst error (allowed) in ulp", style="bold"
    )
    for row in checks:
        table.add_row(*row)
    for (size, _), rows in zip(_TIMED, times, strict=True):
        table.add_section()
        table.add_row(f"{size:,} float32, one thread", "time", "beside np.copyto", style="bold")
        for row in rows:
            table.add_row(*row)
    Console().print(table)
    typer.echo(f"picture: {typer.format_filename(output)}")


def _check(name: str, dtype: str, generator: np.random.Generator) -> tuple[str, str, str]:
    """Return a table row: how many of a sample of results are outside the function's error bound."""
    (x,) = accuracy.sample(name, dtype, _CHECKED_INPUTS, generator)
    with np.errstate(all="ignore"):
        found = accuracy.measure(name, getattr(softsign, name)(x), x)
    bound = accuracy.CONTRACTS[name][dtype]
    return f"{name}, {dtype}", str(found.wrong), f"{found.worst:.6f} ({bound})"


def _time(size: int, rounds: int) -> list[tuple[str, str, str]]:
    """Return table rows: the median times of softsign and of what does the same or less, on one thread.

    The calls take turns, so that a change in the machine's speed meets all of them.
    """
    x = np.random.default_rng(0).standard_normal(size, np.float32)
    y = np.empty_like(x)
    calls: dict[str, Callable[[], object]] = {
        "np.copyto(y, x)": lambda: np.copyto(y, x),
        "softsign(x, out=y)": lambda: softsign.softsign(x, out=y),
        "x / (1 + np.abs(x))": lambda: x / (1 + np.abs(x)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    threads = softsign.get_num_threads()
    softsign.set_num_threads(1)
    try:
        for _ in range(rounds):
            for name, call in calls.items():
                start = perf_counter()
                call()
                seconds[name].append(perf_counter() - start)
    finally:
        softsign.set_num_threads(threads)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    copy = medians["np.copyto(y, x)"]
    return [(name, f"{median * 1e6:,.0f} us", f"{median / copy:.2f}") for name, median in medians.items()]
