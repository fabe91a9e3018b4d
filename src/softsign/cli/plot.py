"""``softsign plot``: the functions as a picture."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from softsign.cli._common import UNARY, check_output, doing, function_name, picture_path, refusals, save


class View(StrEnum):
    """What ``softsign plot`` draws."""

    curves = "curves"
    tails = "tails"
    plane = "plane"
    variants = "variants"
    errors = "errors"


#: What goes with each view, beside the options that all have, and with functions of this package.
_OPTIONS = {
    View.curves: {"limits", "beside", "orders", "scale"},
    View.tails: {"limits", "beside"},
    View.plane: set[str](),
    View.variants: {"limits"},
    View.errors: set[str](),
}
_WITH_FUNCTIONS = {"limits", "functions"}


def _function_names(names: str) -> str:
    for name in names.split(","):
        function_name(name)
    return names


def plot(
    context: typer.Context,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", callback=picture_path, help="Picture to write: .png, .svg or .pdf."),
    ] = Path("softsign.png"),
    view: Annotated[
        View,
        typer.Option(
            metavar="NAME",
            help="curves; tails: what is missing to the limit, on logarithmic axes; plane: the complex "
            "plane; variants: a family with softsign in it; errors: those of the plain expression at "
            "neighboring float32 numbers.",
        ),
    ] = View.curves,
    limits: Annotated[
        tuple[float, float],
        typer.Option("--range", metavar="A B", help="Range of x; for tails, unless given, 0.1 to 10,000."),
    ] = (-10, 10),
    functions: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            callback=_function_names,
            help=f"Functions of this package, a panel for each, of: {', '.join(UNARY)}.",
        ),
    ] = "softsign,derivative,second_derivative",
    beside: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="What to draw beside softsign, of: tanh, arctan, erf, isru, gudermannian, hard_tanh, "
            "logistic, relu, elu, softplus, gelu, silu.",
        ),
    ] = "tanh",
    orders: Annotated[
        str,
        typer.Option(
            metavar="N,...", help="Orders of derivatives, a panel for each; 0 is the function itself."
        ),
    ] = "0,1,2",
    scale: Annotated[float, typer.Option(metavar="K", help="K of softsign(K x).")] = 1.0,
    force: Annotated[bool, typer.Option("--force", help="Replace the picture if it exists.")] = False,
) -> None:
    """Draw softsign: its calculus, beside other functions, its tails, the complex plane, errors."""
    check_output(output, force=force)
    given = {
        name
        for name in ("limits", "functions", "beside", "orders", "scale")
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    if view is View.curves and "functions" in given:
        _refuse(given - _WITH_FUNCTIONS, "--functions")
    else:
        _refuse(given - _OPTIONS[view], f"--view {view}")
    others = beside.split(",")
    with refusals(), doing("drawing"):
        from softsign.learn import plots

        figure: Any
        if view is View.tails:
            low, high = limits if "limits" in given else (0.1, 1e4)
            figure = plots.draw_tails(["softsign", *others], low, high).figure
        elif view is View.plane:
            figure = plots.draw_plane().figure
        elif view is View.variants:
            figure = plots.draw_variants(low=limits[0], high=limits[1]).figure
        elif view is View.errors:
            figure = plots.draw_errors().figure
        elif given & {"beside", "orders", "scale"}:
            figure = plots.comparison_figure(others, _numbers(orders), *limits, scale=scale)
        else:
            figure = plots.function_figure(functions.split(","), *limits)
        save(figure, output, force=force)
    typer.echo(typer.format_filename(output))


def _refuse(names: set[str], other: str) -> None:
    """Refuse options that have no meaning beside another."""
    for name in sorted(names):
        option = "--range" if name == "limits" else f"--{name}"
        raise typer.BadParameter(f"{option} does not go with {other}.")


def _numbers(orders: str) -> list[int]:
    try:
        return [int(order) for order in orders.split(",")]
    except ValueError:
        raise typer.BadParameter(f"--orders {orders!r} is not a list of integers with commas.") from None
