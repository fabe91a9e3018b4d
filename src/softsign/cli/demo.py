"""``softsign demo``: the package at work on real data, in a few seconds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

import softsign
from softsign.cli._common import check_output, picture_path, progress_bar, save, save_model
from softsign.functions import bound

if TYPE_CHECKING:
    import numpy as np

    from softsign.cli._common import Array
    from softsign.data.digits import Digits
    from softsign.learn.network import Epoch, Network

_CHECKED = [
    (name, dtype) for name in ("softsign", "derivative", "inverse") for dtype in ("float32", "float64")
]
_CHECKED_INPUTS = 1 << 17
_TIMED = [(1 << 16, 101), (1 << 24, 7)]  # elements, rounds


def _trainer(name: str) -> str:
    if name not in ("numpy", "onnxruntime"):
        raise typer.BadParameter(f"{name!r} is not one of numpy, onnxruntime.")
    return name


def demo(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            callback=picture_path,
            help="Picture to write: .png, .svg or .pdf. The network goes beside it, with the suffix .onnx.",
        ),
    ] = Path("softsign-demo.png"),
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the initial weights and of the checked sample.")
    ] = 0,
    trainer: Annotated[
        str,
        typer.Option(
            metavar="NAME", callback=_trainer, help="Who trains: numpy, or onnxruntime from a gradient graph."
        ),
    ] = "numpy",
    force: Annotated[bool, typer.Option("--force", help="Replace the two files if they exist.")] = False,
) -> None:
    """Train on handwritten digits, check the results, measure the speed.

    A network of softsign units learns to read the 1,797 scans of handwritten digits that scikit-learn ships,
    forward and backward through this package and NumPy alone, or inside ONNX Runtime. It is written to an
    ONNX model beside the picture, which ONNX Runtime reads again to make the same predictions. Then the
    functions are compared with exact arithmetic and timed on this machine, and a picture shows the learning
    curve and the functions.
    """
    import numpy as np
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from softsign.data import digits
    from softsign.learn import network as net
    from softsign.learn.demo_figure import demo_figure

    model = output.with_suffix(".onnx")
    check_output(output, model, force=force)
    columns = (TextColumn("{task.description}"), BarColumn(None), TaskProgressColumn(), TimeElapsedColumn())
    with progress_bar(*columns) as bar:
        data = digits.load()
        training = bar.add_task("training on handwritten digits", total=net.EPOCHS)
        start = perf_counter()
        network, epochs = _training(data, seed, trainer)
        history = list(bar.track(epochs, total=net.EPOCHS, task_id=training))
        seconds = perf_counter() - start
        rng = np.random.default_rng(seed)
        cases = bar.track(_CHECKED, description="checking against exact arithmetic")
        checks = [_check(name, dtype, rng) for name, dtype in cases]
        times = [_time(size, rounds) for size, rounds in bar.track(_TIMED, description="timing beside NumPy")]
    scans = len(data.test_label)
    save(demo_figure(history, scans), output, force=force)
    agree = _export(network, model, data.test_x.reshape(scans, -1), force=force)

    right = round(history[-1].test_accuracy * scans)
    trained = (
        f"softsign network, by {trainer}",
        f"{right / scans:.1%}",
        f"{right} right, trained in {seconds:.1f} s",
    )
    exported = ("exported, in ONNX Runtime", f"{agree / scans:.1%}", f"{agree} predictions agree")
    sections = [
        [("handwritten digits", "accuracy", f"{scans} test scans"), trained, exported],
        [(f"in {_CHECKED_INPUTS:,} inputs each", "wrong", "worst error (bound) in ulp"), *checks],
    ]
    for (size, _), rows in zip(_TIMED, times, strict=True):
        sections.append([(f"{size:,} float32, one thread", "time", "beside np.copyto"), *rows])
    _print(sections)
    typer.echo(f"picture: {typer.format_filename(output)}")
    typer.echo(f"network: {typer.format_filename(model)}")


def _training(data: Digits, seed: int, trainer: str) -> tuple[Network, Iterator[Epoch]]:
    """Return a new network and the epochs of its training, which are still to be run."""
    import numpy as np

    from softsign.learn import network as net
    from softsign.learn import network_onnx

    rng = np.random.default_rng(seed)
    network = net.new_network(data, rng)
    learner = network_onnx.OnnxLearner(network) if trainer == "onnxruntime" else net.NumpyLearner(network)
    return network, net.train(data, learner, rng)


def _print(sections: list[list[tuple[str, str, str]]]) -> None:
    """Print a table; the first row of each section is its heading."""
    from rich.console import Console
    from rich.table import Table

    kernels = softsign.cpu_features()["kernels"]
    table = Table(title=f"softsign {softsign.__version__}, kernels: {kernels}", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for heading, *rows in sections:
        table.add_section()
        table.add_row(*heading, style="bold")
        for row in rows:
            table.add_row(*row)
    Console().print(table)


def _export(network: Network, path: Path, x: Array, *, force: bool) -> int:
    """Write a network as an ONNX model and return how many predictions ONNX Runtime repeats from it."""
    import numpy as np

    from softsign.learn import network_onnx
    from softsign.onnx import load_model, run

    save_model(network_onnx.network_model(network), path, force=force)
    scores = run(load_model(path), {"x": x})["scores"]
    return int(np.count_nonzero(scores.argmax(axis=1) == network.forward(x)[0][-1].argmax(axis=1)))


def _check(name: str, dtype: str, rng: np.random.Generator) -> tuple[str, str, str]:
    """Return a table row: how many of a sample of results are outside the function's error bound."""
    import numpy as np

    from softsign import accuracy

    (x,) = accuracy.sample(name, dtype, _CHECKED_INPUTS, rng)
    with np.errstate(all="ignore"):
        found = accuracy.measure(name, getattr(softsign, name)(x), x)
    return f"{name}, {dtype}", str(found.wrong), f"{found.worst:.6f} ({bound(name, dtype)})"


def _time(size: int, rounds: int) -> list[tuple[str, str, str]]:
    """Return table rows: median times of softsign and of what does the same or less, on one thread.

    The calls take turns, so that a change in the machine's speed meets all of them.
    """
    import numpy as np

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
