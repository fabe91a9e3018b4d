"""``softsign apply``: a function on a ``.npy`` file of any size."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from softsign.cli._common import (
    UNARY,
    function_name,
    is_pipe,
    kept_without_force,
    one_output,
    pipe,
    progress_bar,
    readable,
    refusals,
    tell,
)


def _finite(scale: float | None) -> float | None:
    if scale is not None and not math.isfinite(scale):
        raise typer.BadParameter(f"{scale} is not a finite number.")
    return scale


def apply(
    source: Annotated[
        Path, typer.Argument(metavar="IN.npy", help="Array to read, as numpy.save writes it; - is a pipe's.")
    ],
    target: Annotated[
        Path | None,
        typer.Argument(metavar="OUT.npy", show_default=False, help="The same as --output."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.npy",
            show_default=False,
            help="File to write, never IN.npy itself; - is standard output.",
        ),
    ] = None,
    function: Annotated[
        str,
        typer.Option(metavar="NAME", callback=function_name, help=f"What to compute: {', '.join(UNARY)}."),
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
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Apply a function to a NumPy array file of any size.

    The file is worked on in small blocks, so it may be larger than memory. Integers become floating-point
    numbers as in NumPy; the result is in native byte order. The file appears whole or not at all; a pipe gets
    the result as it is computed.
    """
    import numpy as np
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TaskProgressColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    import softsign
    from softsign import stream

    place = one_output(target, output, "OUT.npy")
    piped = is_pipe(place)
    read = readable(source)
    start = perf_counter()
    invalid: set[str] = set()
    columns = (
        BarColumn(None),
        TaskProgressColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with (
        refusals(),
        kept_without_force(),
        contextlib.ExitStack() as stack,
        progress_bar(*columns) as bar,
        np.errstate(all="ignore", invalid="call", call=lambda kind, flag: invalid.add(kind)),
    ):
        task = bar.add_task("")
        header = stream.apply(
            getattr(softsign, function),
            read,
            stack.enter_context(pipe(place)) if piped else place,
            scale=scale,
            overwrite=force,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    seconds = perf_counter() - start
    speed = f"{header.nbytes / 1e6:,.1f} MB in {seconds:.1f} s, {header.nbytes / 1e6 / seconds:,.0f} MB/s"
    tell(place, f"{function}, {header.size:,} x {header.dtype}, {speed}")
    if invalid:
        typer.echo(
            f"softsign: note: {function} is undefined for some of the input: nan written there", err=True
        )
