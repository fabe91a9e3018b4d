"""``softsign fix``: Softsign nodes put back into an ONNX model."""

from pathlib import Path
from typing import Annotated

import typer

from softsign.cli._common import refusals, save_model


def fix(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="Model to mend.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.onnx", help="Model to write.")],
    accurate: Annotated[
        bool,
        typer.Option(
            "--accurate", help="Let a function compute Softsign that is right at infinity and in every type."
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT.onnx if it exists.")] = False,
) -> None:
    """Turn the x / (1 + |x|) that exporters write into Softsign nodes.

    PyTorch, for one, exports Softsign as Abs, Add and Div, three passes over memory where engines have one.
    """
    from softsign.onnx import count_softsign, fix_softsign, load_model

    with refusals():
        loaded = load_model(model, foreign=True)
        made = fix_softsign(loaded, accurate=accurate)
        save_model(made, output, force=force)
    before, after = count_softsign(loaded), count_softsign(made)
    typer.echo(f"{typer.format_filename(output)}: {after} Softsign nodes, {after - before} of them restored")
