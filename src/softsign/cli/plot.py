"""``softsign plot``: the functions as a picture."""

from pathlib import Path
from typing import Annotated

import typer

from softsign.cli._common import UNARY, check_output, doing, function_name, picture_path, refusals, save


def _function_names(names: str) -> str:
    for name in names.split(","):
        function_name(name)
    return names


def plot(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", callback=picture_path, help="Picture to write: .png, .svg or .pdf."),
    ] = Path("softsign.png"),
    limits: Annotated[tuple[float, float], typer.Option("--range", metavar="A B", help="Range of x.")] = (
        -10,
        10,
    ),
    functions: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            callback=_function_names,
            help=f"Functions to draw, a panel for each, of: {', '.join(UNARY)}.",
        ),
    ] = "softsign,derivative,second_derivative",
    force: Annotated[bool, typer.Option("--force", help="Replace the picture if it exists.")] = False,
) -> None:
    """Draw softsign, its derivatives and its integrals."""
    check_output(output, force=force)
    with refusals(), doing("drawing"):
        from softsign.learn import plots

        save(plots.function_figure(functions.split(","), *limits), output, force=force)
    typer.echo(typer.format_filename(output))
