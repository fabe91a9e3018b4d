"""``softsign onnx``: ONNX models run, differentiated and fixed."""

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, BinaryIO

import numpy as np
import typer
from numpy.lib import format as npy

from softsign import stream
from softsign._files import written_whole
from softsign.cli._common import Array, refusals, save_model

__all__ = ["app"]

app = typer.Typer(name="onnx")

Output = Annotated[Path, typer.Option("--output", "-o", metavar="OUT.onnx", help="Model to write.")]
Force = Annotated[bool, typer.Option("--force", help="Replace OUT.onnx if it exists.")]


@app.callback(invoke_without_command=True)
def onnx(context: typer.Context) -> None:
    """Run, differentiate or fix an ONNX model."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def run(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="Model to run.")],
    output_dir: Annotated[
        Path,
        typer.Option(
            "--output-dir", "-o", metavar="DIR", help="Directory for OUTPUT.npy files; made if missing."
        ),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="NAME=FILE.npy", help="Input of the model; once for each."),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(metavar="NAME", help="What computes: onnxruntime, or softsign, this package's kernels."),
    ] = "onnxruntime",
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Run an ONNX model on arrays from .npy files.

    Each output of the model becomes a file OUTPUT.npy in the directory; characters of its name that do not
    suit a file name become underscores. The files appear together when all are complete, or none does.
    """
    from softsign.onnx import load_model, run
    from softsign.onnx.backend import ENGINES

    if engine not in ENGINES:
        raise typer.BadParameter(f"{engine!r} is not one of {', '.join(ENGINES)}.", param_hint="'--engine'")
    with refusals():
        loaded = load_model(model, foreign=engine == "onnxruntime")
        files = _files(output_dir, [value.name for value in loaded.graph.output], force)
        results = run(loaded, _arrays(inputs or []), engine=engine)
        made = not output_dir.exists()
        output_dir.mkdir(exist_ok=True)
        try:
            with contextlib.ExitStack() as stack:
                for name, array in results.items():
                    _save(stack.enter_context(written_whole(files[name], overwrite=force)), array)
        except BaseException:
            if made:
                output_dir.rmdir()
            raise
    for name, array in results.items():
        typer.echo(f"{typer.format_filename(files[name])}: {name}, {array.dtype}, shape {array.shape}")


@app.command()
def gradients(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="Model to differentiate.")],
    loss: Annotated[str, typer.Option(metavar="NAME", help="Tensor to differentiate: a scalar.")],
    wrt: Annotated[
        list[str],
        typer.Option(
            metavar="NAME", help="Input or initializer to differentiate with respect to; once for each."
        ),
    ],
    output: Output,
    force: Force = False,
) -> None:
    """Add the gradients of a loss to an ONNX model.

    The result is the same model with one more output, NAME_grad, for each --wrt. Its nodes are ONNX's own and
    functions made of them, so any ONNX engine runs it.
    """
    from softsign.onnx import gradients, load_model

    with refusals():
        made = gradients(load_model(model), loss, wrt)
        save_model(made, output, force=force)
    typer.echo(f"{typer.format_filename(output)}: {', '.join(value.name for value in made.graph.output)}")


@app.command()
def fix(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="Model to fix.")],
    output: Output,
    accurate: Annotated[
        bool,
        typer.Option(
            "--accurate", help="Let a function compute Softsign that is right at infinity and in every dtype."
        ),
    ] = False,
    force: Force = False,
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
    typer.echo(f"{typer.format_filename(output)}: {after} Softsign nodes, {after - before} of them put back")


def _save(file: BinaryIO, array: Array) -> None:
    """Write what `numpy.save` does; its own way to write to files does not say why it fails."""
    npy.write_array_header_1_0(file, npy.header_data_from_array_1_0(array))
    file.write(array.tobytes("A"))


def _files(folder: Path, names: Iterable[str], force: bool) -> dict[str, Path]:
    """Return the file of each output, having seen that it may be written."""
    files: dict[str, Path] = {}
    for name in names:
        file = folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name).lstrip('.') or '_'}.npy"
        if file in files.values():
            raise ValueError(f"outputs of the model would share the file {file}")
        if file.exists() and not force:
            raise ValueError(f"{file} exists; --force replaces it")
        files[name] = file
    return files


def _arrays(inputs: list[str]) -> dict[str, Array]:
    """Return the arrays of NAME=FILE.npy options."""
    arrays: dict[str, Array] = {}
    for text in inputs:
        name, sign, file = text.partition("=")
        if not (name and sign and file):
            raise typer.BadParameter(f"{text!r} is not of the form NAME=FILE.npy.", param_hint="'--input'")
        if name in arrays:
            raise typer.BadParameter(f"{name!r} is given twice.", param_hint="'--input'")
        with open(file, "rb") as opened:
            stream.read_header(opened, file)
        arrays[name] = np.load(file, allow_pickle=False)
    return arrays
