"""``softsign gradients``: the gradients of an ONNX model's loss, as part of the model."""

from pathlib import Path
from typing import Annotated

import typer

from softsign.cli._common import refusals, save_model


def gradients(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="Model to differentiate.")],
    loss: Annotated[str, typer.Option(metavar="NAME", help="Tensor to differentiate: a scalar.")],
    wrt: Annotated[
        list[str],
        typer.Option(
            metavar="NAME", help="Input or initializer to differentiate with respect to; once for each."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.onnx", help="Model to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace OUT.onnx if it exists.")] = False,
) -> None:
    """Add the gradients of a loss to an ONNX model.

    The result is the same model with one more output, NAME_grad, for each --wrt. Its nodes are ONNX's own and functions made
    of them, so any ONNX engine runs it.
    """
    from softsign.onnx import gradients, load_model

    with refusals():
        made = gradients(load_model(model), loss, wrt)
        save_model(made, output, force=force)
    typer.echo(f"{typer.format_filename(output)}: {', '.join(value.name for value in made.graph.output)}")
