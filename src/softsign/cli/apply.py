"""``softsign apply``: a function on a ``.npy`` file of any size."""

import math
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskProgressColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from softsign import stream
from softsign.cli._common import function_name, progress_bar, refusals, unary_ufuncs


def _finite(scale: float | None) -> float | None:
    if scale is not None and not math.isfinite(scale):
        raise typer.BadParameter(f"{scale} is not a finite number.")
    return scale


def apply(
    source: Annotated[Path, typer.Argument(metavar="IN.npy", help="Array to read, as numpy.save writes it.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.npy", help="File to write; never IN.npy itself.")],
    function: Annotated[
        str,
        typer.Option(
            metavar="NAME", callback=function_name, help=f"What to compute: {', '.join(unary_ufuncs())}."
        ),
    ] = "softsign",
    scale: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            callback=_finite,
            show_default="no scaling",
            help="Factor on the input: compute NAME(S * x); integers become float64.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT.npy if it exists.")] = False,
) -> None:
    """Apply a function to a NumPy array file of any size.

    The file is worked on in small blocks, so it may be larger than memory. Integers become floating-point
    numbers as in NumPy; the result is in native byte order. OUT.npy appears whole or not at all.
    """
    start = perf_counter()
    invalid: set[str] = set()
    columns = (
        BarColumn(None),
        TaskProgressColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    try:
        with (
            refusals(),
            progress_bar(*columns) as bar,
            np.errstate(all="ignore", invalid="call", call=lambda kind, flag: invalid.add(kind)),
        ):
            task = bar.add_task("")
            header = stream.apply(
                unary_ufuncs()[function],
                source,
                target,
                scale=scale,
                overwrite=force,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except FileExistsError as error:
        raise typer.TyperException(f"{target} exists; --force replaces it") from error
    seconds = perf_counter() - start
    speed = f"{header.nbytes / 1e6:,.1f} MB in {seconds:.1f} s, {header.nbytes / 1e6 / seconds:,.0f} MB/s"
    typer.echo(f"{typer.format_filename(target)}: {function}, {header.size:,} x {header.dtype}, {speed}")
    if invalid:
        typer.echo(
            f"softsign: note: {function} is undefined for some of the input: nan written there", err=True
        )
