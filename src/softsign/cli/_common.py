"""What several subcommands share: names, files and pipes, refusals, progress."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import typer

from softsign.functions import FUNCTIONS

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from onnx import ModelProto
    from rich.progress import Progress, ProgressColumn

    Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

#: The functions of one argument.
UNARY = tuple(name for name, facts in FUNCTIONS.items() if len(facts.arguments) == 1)

_STANDARD_OUTPUT = ("-", "/dev/stdout")
_PICTURES = (".png", ".svg", ".pdf")


def function_name(name: str) -> str:
    """Return `name` if it is a ufunc of one argument, and refuse it otherwise."""
    if name not in UNARY:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(UNARY)}.")
    return name


def picture_path(path: Path) -> Path:
    """Return `path` if its suffix is that of a picture, and refuse it otherwise."""
    return path_ending_in(_PICTURES, path)


def path_ending_in(suffixes: Iterable[str], path: Path) -> Path:
    """Return `path` if its suffix is one of these, and refuse it otherwise."""
    if path.suffix.lower() not in suffixes:
        raise typer.BadParameter(f"{str(path)!r} does not end in {', '.join(suffixes)}.")
    return path


def one_output(target: Path | None, output: Path | None, example: str) -> Path:
    """Return the file to write, which is the last argument or that of ``--output``."""
    if target is not None and output is None:
        return target
    if output is not None and target is None:
        return output
    raise typer.BadParameter(f"name one file to write: --output {example}.")


def readable(path: str | Path) -> Path:
    """Return where to read what an argument names: ``-`` is standard input, unless that is a terminal."""
    if str(path) not in ("-", "/dev/stdin"):
        return Path(path)
    if sys.stdin is None:
        raise typer.BadParameter("standard input is closed; a file or a pipe is needed.")
    if os.isatty(0):
        raise typer.BadParameter("standard input is a terminal; a file or a pipe is needed.")
    return Path("/dev/stdin")


def is_pipe(path: Path) -> bool:
    """Tell whether an output is a pipe, which takes what is written at once: ``-`` is standard output."""
    if str(path) not in _STANDARD_OUTPUT:
        return path.is_fifo()
    if os.isatty(1):
        raise typer.BadParameter("standard output is a terminal, which cannot show this; name a file.")
    return True


@contextlib.contextmanager
def pipe(path: Path) -> Iterator[BinaryIO]:
    """Open an output that is a pipe."""
    standard = str(path) in _STANDARD_OUTPUT
    try:
        with open(1 if standard else path, "wb", closefd=not standard) as file:
            yield file
    except OSError as error:
        error.filename = error.filename or ("standard output" if standard else str(path))
        raise


def written(path: Path, *, force: bool) -> contextlib.AbstractContextManager[BinaryIO]:
    """Open an output for writing: a file that appears whole or not at all, or a pipe."""
    from softsign._files import written_whole

    return pipe(path) if is_pipe(path) else written_whole(path, overwrite=force)


def check_output(*paths: Path, force: bool) -> None:
    """Refuse, before anything is computed, files that cannot be written or that only --force replaces."""
    from softsign._files import check_target

    for path in paths:
        with kept_without_force():
            if not is_pipe(path):
                check_target(path, overwrite=force)


def tell(output: Path, what: str) -> None:
    """Print what an output is; on standard error if standard output is taken by it."""
    name = "standard output" if str(output) == "-" else typer.format_filename(output)
    typer.echo(f"{name}: {what}", err=str(output) in _STANDARD_OUTPUT)


def save(figure: Figure, path: Path, *, force: bool) -> None:
    """Write a figure in the format of the suffix, whole or not at all."""
    with written(path, force=force) as file:
        figure.savefig(file, format=path.suffix.lower().removeprefix("."))


def save_model(model: ModelProto, path: Path, *, force: bool) -> None:
    """Write an ONNX model, whole or not at all."""
    try:
        data = model.SerializeToString()
    except Exception as error:  # of a class that each version of protobuf calls otherwise
        raise typer.TyperException(f"{path}: a model of more than 2 GB does not fit in one file") from error
    with written(path, force=force) as file:
        file.write(data)


@contextlib.contextmanager
def kept_without_force() -> Iterator[None]:
    """Say of a file that is in the way that --force replaces it."""
    try:
        yield
    except FileExistsError as error:
        raise typer.TyperException(f"{error.filename} exists; --force replaces it") from error


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn what the package refuses into what the command says in one line."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        raise typer.TyperException(
            str(error).replace("softsign.onnx.fix_softsign", "softsign onnx fix")
        ) from error


def progress_bar(*columns: str | ProgressColumn) -> Progress:
    """Return a progress bar on standard error, which shows on a terminal alone."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """Show on a terminal what takes its time, and how long it has taken so far."""
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    with progress_bar(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()) as bar:
        bar.add_task(what)
        yield
