"""What several subcommands share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress, ProgressColumn

import softsign
from softsign._files import check_target, written_whole
from softsign.functions import FUNCTIONS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from onnx import ModelProto

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_PICTURES = (".png", ".svg", ".pdf")


def unary_ufuncs() -> dict[str, np.ufunc]:
    """Return the ufuncs of one argument by name."""
    return {name: getattr(softsign, name) for name, facts in FUNCTIONS.items() if len(facts.arguments) == 1}


def function_name(name: str) -> str:
    """Return `name` if it is a ufunc of one argument, and refuse it otherwise."""
    if name not in unary_ufuncs():
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(unary_ufuncs())}.")
    return name


def picture_path(path: Path) -> Path:
    """Return `path` if its suffix is that of a picture, and refuse it otherwise."""
    if path.suffix.lower() not in _PICTURES:
        raise typer.BadParameter(f"{str(path)!r} does not end in {', '.join(_PICTURES)}.")
    return path


def check_output(*paths: Path, force: bool) -> None:
    """Refuse, before anything is computed, files that cannot be written or that only --force replaces."""
    for path in paths:
        try:
            check_target(path, overwrite=force)
        except FileExistsError as error:
            raise typer.TyperException(f"{path} exists; --force replaces it") from error


def save(figure: Figure, path: Path, *, force: bool) -> None:
    """Write a figure in the format of the suffix, whole or not at all."""
    with written_whole(path, overwrite=force) as file:
        figure.savefig(file, format=path.suffix.lower().removeprefix("."))


def save_model(model: ModelProto, path: Path, *, force: bool) -> None:
    """Write an ONNX model, whole or not at all."""
    check_output(path, force=force)
    data = model.SerializeToString()
    with written_whole(path, overwrite=force) as file:
        file.write(data)


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn what the package refuses into what the command says in one line."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise typer.TyperException(str(error)) from error


def progress_bar(*columns: str | ProgressColumn) -> Progress:
    """Return a progress bar on standard error, which shows on a terminal alone."""
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)
