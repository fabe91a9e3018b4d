"""``softsign study``: softsign and other activations under several initializations, trained and compared."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from softsign.cli._common import progress_bar, refusals

if TYPE_CHECKING:
    from rich.progress import TaskID

    from softsign.study.folder import Study
    from softsign.study.runs import Result, Trial
    from softsign.study.tables import Table as Content

T = TypeVar("T")

_PRESET = "the preset's"  # default of the options that replace what the preset has
WRITE_EVERY = 60.0  # seconds between reports of an unfinished study


def _items(kind: Callable[[str], T], what: str) -> Callable[[str | None], list[T] | None]:
    """Return a callback that reads a list with commas."""

    def read(text: str | None) -> list[T] | None:
        try:
            return None if text is None else [kind(item.strip()) for item in text.split(",")]
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a list of {what} with commas.") from None

    return read


def study(
    preset: Annotated[
        str, typer.Option(metavar="NAME", help="quick (half an hour), deep (50 layers), or paper (weeks).")
    ] = "quick",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", show_default="softsign-study-PRESET", help="Folder for results and report."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            show_default=_PRESET, help="shapeset, digits, or a folder with MNIST's or CIFAR-10's files."
        ),
    ] = None,
    activations: Annotated[
        str | None,
        typer.Option(
            show_default=_PRESET,
            metavar="NAME,...",
            callback=_items(str, "names"),
            help="softsign, tanh, sigmoid, relu, isru.",
        ),
    ] = None,
    initializations: Annotated[
        str | None,
        typer.Option(
            show_default=_PRESET,
            metavar="NAME,...",
            callback=_items(str, "names"),
            help="standard, normalized, pytorch, critical:Q or identity:A with a number.",
        ),
    ] = None,
    depths: Annotated[
        str | None,
        typer.Option(
            show_default=_PRESET,
            metavar="N,...",
            callback=_items(int, "integers"),
            help="Numbers of hidden layers.",
        ),
    ] = None,
    learning_rates: Annotated[
        str | None,
        typer.Option(
            show_default=_PRESET,
            metavar="X,...",
            callback=_items(float, "numbers"),
            help="Learning rates; the one with the lowest validation error is reported.",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            show_default=_PRESET,
            metavar="N,...",
            callback=_items(int, "integers"),
            help="Seeds of the weights and of the order of the examples.",
        ),
    ] = None,
    width: Annotated[int | None, typer.Option(show_default=_PRESET, help="Units per hidden layer.")] = None,
    batch_size: Annotated[int | None, typer.Option(show_default=_PRESET, help="Examples per update.")] = None,
    updates: Annotated[
        int | None, typer.Option(show_default=_PRESET, help="Updates of each network.")
    ] = None,
    momentum: Annotated[
        float | None, typer.Option(show_default=_PRESET, help="Momentum of the gradient descent.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, show_default="one for each core", help="Number of processes.")
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Scheduler of a Dask cluster to use instead of processes."),
    ] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Leave out of the results what the report does not show.")
    ] = False,
) -> None:
    """Train networks of several activations and initializations, and report what became of them.

    The experiments of Glorot and Bengio (2010) on softsign and others, with an initialization made for
    softsign. Options replace what the preset has. A study that was stopped, however that happened, goes on
    when the same command is given again; when all is trained, the command writes the report anew.
    """
    from softsign.study import runs

    given = {
        "data": data if data in (None, "shapeset", "digits") else str(Path(data).resolve()),
        "activations": activations,
        "initializations": initializations,
        "depths": depths,
        "learning_rates": learning_rates,
        "seeds": seeds,
        "width": width,
        "batch_size": batch_size,
        "updates": updates,
        "momentum": momentum,
    }
    with _refusals():
        trials = runs.preset(preset, **{name: value for name, value in given.items() if value is not None})
        _study(trials, output or Path(f"softsign-study-{preset}"), workers, dask, compact)


def _study(trials: list[Trial], folder: Path, workers: int | None, dask: str | None, compact: bool) -> None:
    """Train what remains of a study, and write and print what came of it."""
    from softsign.study import report, tables
    from softsign.study.folder import FILE, Study

    path = folder / "report.html"
    _check_folder(folder, folder / FILE, path, folder / "running")
    work = Study(folder, trials)
    if work.remaining():
        _train(work, path, workers, dask)
    with _reading(folder / FILE):
        if compact:
            tables.compact(work)
            work.save()
        report.write(work, path)
        _print(tables.error_table(work), "test error at the learning rate that did best in validation")
        _print(tables.start_table(work), "gradient variance before training, first hidden layer over last")
    typer.echo(f"report: {typer.format_filename(path)}")


def _check_folder(folder: Path, study: Path, *own: Path) -> None:
    """Refuse a folder in which a file of something else has a name that a study uses for one of its own.

    An empty file may be what is left of a study that was killed before it had written anything.
    """
    for file in own:
        if not study.exists() and file.exists() and (not file.is_file() or file.stat().st_size):
            raise typer.TyperException(f"{file} exists, and {folder} holds no study; choose another folder")


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Say of results that are not what trainings return that their file is damaged."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
        raise typer.TyperException(
            f"{file} is damaged ({type(error).__name__}: {error}); remove it, or choose another folder"
        ) from error


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Say in one line, too, why a study cannot go on."""
    try:
        with refusals():
            yield
    except RuntimeError as error:
        raise typer.TyperException(str(error)) from error


def _train(work: Study, path: Path, workers: int | None, dask: str | None) -> None:
    from rich.progress import (
        BarColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from softsign.study import report
    from softsign.study.folder import check_data
    from softsign.study.workers import dask_workers, local_workers

    check_data(work.remaining())
    # What multiprocessing's resource tracker, which inherits these, would say if this process were killed.
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(None),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    written = monotonic()
    with progress_bar(*columns) as bar, dask_workers(dask) if dask else local_workers(workers) as executor:
        # The update more that each trial counts stands for what a trial without updates has to do.
        total = sum(trial.updates + 1 for trial in work.trials)
        done = total - sum(trial.updates + 1 for trial in work.remaining())
        whole = bar.add_task(f"{len(work.trials)} trainings", total=total, completed=done)
        lengths = {trial.name: trial.updates for trial in work.trials}
        parts: dict[str, TaskID] = {}

        def progress(under_way: Mapping[str, int]) -> None:
            for name in parts.keys() - under_way.keys():
                bar.remove_task(parts.pop(name))
            for name, updates in under_way.items():
                if name not in parts:
                    parts[name] = bar.add_task(name, total=lengths[name])
                bar.update(parts[name], completed=updates)
            bar.update(whole, completed=done + sum(under_way.values()))

        def finished(trial: Trial, result: Result) -> None:
            nonlocal done, written
            done += trial.updates + 1
            error = result["test_error"]
            outcome = "diverged" if error is None else f"{100 * error:.2f} % test error"
            bar.console.print(
                f"{trial.name}: {outcome}, {result['seconds']:.0f} s", highlight=False, soft_wrap=True
            )
            for note in result["notes"]:
                bar.console.print(f"softsign: {note}", highlight=False, soft_wrap=True)
            if monotonic() - written > WRITE_EVERY:
                report.write(work, path)
                written = monotonic()

        work.run(executor, progress, finished)


def _print(content: Content, title: str) -> None:
    """Print what fits in 80 columns; the report has the rest."""
    from rich.console import Console
    from rich.table import Table

    empty = {name for i, name in enumerate(content.header) if not any(row[i] for row in content.rows)}
    left_out = {"singular value", "networks"} | (empty or {"learning rate"})
    shown = [i for i, name in enumerate(content.header) if name not in left_out]
    table = Table(title=title)
    for i in shown:
        name = content.header[i].replace("learning rate", "learning\nrate")
        table.add_column(name, justify="left" if i < 2 else "right")
    for row in content.rows:
        table.add_row(*(row[i] for i in shown))
    if content.rows:
        Console().print(table)
