"""``softsign plot``: the functions as a picture."""

from pathlib import Path
from typing import Annotated

import typer

from softsign.cli._common import function_name, picture_path, save, unary_ufuncs


def _function_names(names: str) -> str:
    for name in names.split(","):
        function_name(name)
    return names


def plot(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", callback=picture_path, help="Picture to write: .png, .svg or .pdf."),
    ] = Path("softsign.png"),
    bounds: Annotated[tuple[float, float], typer.Option("--range", metavar="A B", help="Range of x.")] = (
        -10.0,
        10.0,
    ),
    functions: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            callback=_function_names,
            help=f"One panel for each name, of: {', '.join(unary_ufuncs())}.",
        ),
    ] = "softsign,derivative,second_derivative",
) -> None:
    """Draw softsign, its derivative and its second derivative."""
    from softsign.learn import plots

    try:
        figure = plots.function_figure(functions.split(","), *bounds)
    except ValueError as error:
        raise typer.TyperException(str(error)) from error
    save(figure, output)
    typer.echo(typer.format_filename(output))
