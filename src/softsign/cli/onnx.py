"""``softsign onnx``: ONNX models shown, run, differentiated and fixed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from softsign.cli._common import check_output, doing, is_pipe, pipe, readable, refusals, save_model, tell

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto

    from softsign.cli._common import Array
    from softsign.operator import TensorType

__all__ = ["app"]

app = typer.Typer(name="onnx")

Model = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="Model to read; - is standard input.")]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="OUT.onnx", help="Model to write; - is standard output.")
]
Inline = Annotated[
    bool,
    typer.Option(
        "--inline/--no-inline",
        help="Write the bodies of functions in place of their calls, for engines that know no functions.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace OUT.onnx if it exists.")]


@app.callback(invoke_without_command=True)
def onnx(context: typer.Context) -> None:
    """Show, run, differentiate or fix an ONNX model."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def info(model: Model) -> None:
    """Show the inputs, outputs, parameters and operators of an ONNX model, and what `gradients` lacks."""
    from softsign.onnx import model_info

    with refusals():
        loaded = _load(model, foreign=True)
        found = model_info(loaded)
    numbers = sum(_size(known) for known in found.parameters.values())
    producer = f", by {_shown(loaded.producer_name)}" if loaded.producer_name else ""
    typer.echo(
        f"{typer.format_filename(model)}: opset {found.opset}, IR version {loaded.ir_version}{producer}"
    )
    _list("inputs", {name: _type(known) for name, known in found.inputs.items()})
    _list("outputs", {name: _type(known) for name, known in found.outputs.items()})
    _list(
        f"parameters, {numbers:,} number{'s' * (numbers != 1)}",
        {name: _type(known) for name, known in found.parameters.items()},
    )
    _list("operators", {name: f"{count:,}" for name, count in found.operators.items()})
    lacking = ", ".join(map(_shown, found.missing_gradients))
    typer.echo(f"without a gradient: {lacking or 'none of the operators'}")
    if found.split_softsign:
        typer.echo(
            f"split x / (1 + |x|): {found.split_softsign}; softsign onnx fix puts Softsign in their place"
        )


@app.command()
def run(
    model: Model,
    output_dir: Annotated[
        Path,
        typer.Option(
            "--output-dir",
            "-o",
            metavar="DIR",
            help="Directory for OUTPUT.npy files, made if missing; - sends one output to standard output.",
        ),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="NAME=FILE.npy",
            help="Input of the model, once for each; NAME=- is standard input.",
        ),
    ] = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...", show_default="all", help="Outputs of the model to compute, and no others."
        ),
    ] = None,
    cast: Annotated[
        bool,
        typer.Option("--cast", help="Convert inputs to the model's dtypes; what does not fit is refused."),
    ] = False,
    engine: Annotated[
        str,
        typer.Option(metavar="NAME", help="What computes: onnxruntime, or softsign, this package's kernels."),
    ] = "onnxruntime",
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Run an ONNX model on arrays from .npy files.

    Each output of the model becomes a file OUTPUT.npy in the directory; characters of its name that do not
    suit a file name become underscores. The files appear together when all are complete, or none does. Inputs
    may have any byte order.
    """
    from softsign.onnx import run
    from softsign.onnx.backend import ENGINES

    if engine not in ENGINES:
        raise typer.BadParameter(f"{engine!r} is not one of {', '.join(ENGINES)}.", param_hint="'--engine'")
    sources = _sources(inputs or [], model)
    with refusals():
        loaded = _load(model, foreign=engine == "onnxruntime")
        _choose(loaded, outputs or [])
        names = [value.name for value in loaded.graph.output]
        if is_pipe(output_dir):
            if len(names) != 1:
                raise ValueError(f"a pipe takes one output; --outputs chooses one of {', '.join(names)}")
            files = {names[0]: output_dir}
        else:
            files = _files(output_dir, names, force)
        arrays = _arrays(sources, loaded, cast)
        with doing(f"running {typer.format_filename(model)}"):
            results = run(loaded, arrays, engine=engine)
        _write(results, files, force)
    for name, array in results.items():
        tell(files[name], f"{name}, {array.dtype}, shape {array.shape}")


@app.command()
def gradients(
    model: Model,
    loss: Annotated[str, typer.Option(metavar="NAME", help="Tensor to differentiate: a scalar.")],
    wrt: Annotated[
        list[str],
        typer.Option(
            metavar="NAME,...",
            help="Inputs or initializers to differentiate with respect to, or the word parameters: all "
            "floating-point initializers that the loss depends on.",
        ),
    ],
    output: Output,
    sgd: Annotated[
        bool,
        typer.Option(
            "--sgd", help="Make a training step: NAME and learning_rate in, NAME_next out, for each --wrt."
        ),
    ] = False,
    momentum: Annotated[float, typer.Option(metavar="M", help="Momentum of --sgd.")] = 0.0,
    weight_decay: Annotated[float, typer.Option(metavar="D", help="Weight decay of --sgd.")] = 0.0,
    inline: Inline = False,
    force: Force = False,
) -> None:
    """Add the gradients of a loss to an ONNX model.

    The result is the same model with one more output, NAME_grad, for each --wrt. Its nodes are ONNX's own and
    functions made of them, so any ONNX engine that knows functions runs it.
    """
    from softsign.onnx import gradients, sgd_step

    if (momentum or weight_decay) and not sgd:
        raise typer.BadParameter("--momentum and --weight-decay are of a training step: give --sgd, too.")
    check_output(output, force=force)
    with refusals():
        loaded = _load(model)
        with doing("differentiating"):
            made = gradients(loaded, loss, _wrt(wrt, loaded))
            if sgd:
                made = sgd_step(made, momentum=momentum, weight_decay=weight_decay)
        save_model(_inlined(made) if inline else made, output, force=force)
    tell(output, ", ".join(_shown(value.name) for value in made.graph.output))


@app.command()
def fix(
    model: Model,
    output: Output,
    accurate: Annotated[
        bool,
        typer.Option(
            "--accurate", help="Let a function compute Softsign that is right at infinity and in every dtype."
        ),
    ] = False,
    inline: Inline = False,
    force: Force = False,
) -> None:
    """Turn the x / (1 + |x|) that exporters write into Softsign nodes.

    PyTorch, for one, exports Softsign as Abs, Add and Div, three passes over memory where engines have one.
    """
    from softsign.onnx import count_softsign, fix_softsign

    check_output(output, force=force)
    with refusals():
        loaded = _load(model, foreign=True)
        with doing("fixing"):
            made = fix_softsign(loaded, accurate=accurate)
            before, after = count_softsign(loaded), count_softsign(made)
        save_model(_inlined(made) if inline else made, output, force=force)
    tell(output, f"{after} Softsign nodes, {after - before} of them put back")


def _load(model: Path, *, foreign: bool = False) -> ModelProto:
    """Read and check a model, which takes its time if it is big."""
    place = readable(model)
    with doing(f"reading and checking {typer.format_filename(model)}"):
        from softsign.onnx import load_model

        return load_model(place, foreign=foreign)


def _inlined(model: ModelProto) -> ModelProto:
    """Return a model without functions: the bodies stand where they were called."""
    from softsign.onnx import inline_functions

    return inline_functions(model)


def _list(title: str, entries: Mapping[str, str]) -> None:
    typer.echo(f"{title}:" if entries else f"{title}: none")
    for name, what in entries.items():
        typer.echo(f"  {_shown(name)}  {what}")


def _shown(name: str) -> str:
    """Return a name of a model as it is printed: on one line, and no command for the terminal."""
    return name if name.isprintable() and name else repr(name)


def _type(known: TensorType | None) -> str:
    if known is None:
        return "not a tensor"
    if known.shape is None:
        return f"{known.dtype}, of any shape"
    sizes = ("?" if str(size)[0] == "?" else _shown(str(size)) for size in known.shape)
    return f"{known.dtype} ({', '.join(sizes)})"


def _size(known: TensorType) -> int:
    import math

    return math.prod(size for size in known.shape or () if isinstance(size, int))


def _wrt(wrt: list[str], model: ModelProto) -> str | list[str]:
    """Return the names that --wrt has, with commas or each by itself, or the word that means all."""
    from softsign.onnx.dialect import given_names

    given = given_names(model.graph)
    names = [name for item in wrt for name in ([item] if item in given else item.split(","))]
    return "parameters" if names == ["parameters"] and "parameters" not in given else names


def _choose(model: ModelProto, outputs: list[str]) -> None:
    """Leave a model the outputs that are chosen, in their order, and refuse those that no file can hold."""
    there = {value.name: value for value in model.graph.output}
    names = [name for item in outputs for name in ([item] if item in there else item.split(","))] or [*there]
    for name in names:
        if name not in there:
            raise ValueError(f"the model has no output {name!r}; its outputs are {', '.join(there)}")
    if not names:
        raise ValueError("the model has no outputs")
    tensors = [name for name, value in there.items() if value.type.HasField("tensor_type")]
    for name in names:
        if name not in tensors:
            raise ValueError(
                f"output {name!r} is no tensor; --outputs chooses others: {', '.join(tensors) or 'none is'}"
            )
    kept = [there[name] for name in dict.fromkeys(names)]
    del model.graph.output[:]
    model.graph.output.extend(kept)


def _write(results: Mapping[str, Array], files: Mapping[str, Path], force: bool) -> None:
    """Write every output, or none."""
    from softsign._files import written_together

    paths = [files[name] for name in results]
    if is_pipe(paths[0]):
        with pipe(paths[0]) as file:
            _save(file, *results.values())
        return
    folder = paths[0].parent
    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    try:
        with written_together(paths, overwrite=force) as opened:
            for file, array in zip(opened, results.values(), strict=True):
                _save(file, array)
    except BaseException:
        if made:
            folder.rmdir()
        raise


def _save(file: BinaryIO, array: Array) -> None:
    """Write what `numpy.save` does; its own way to write to files does not say why it fails."""
    from numpy.lib import format as npy

    if array.dtype.hasobject:  # strings
        array = array.astype("U")
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


def _sources(inputs: list[str], model: Path) -> dict[str, str]:
    """Return the files of NAME=FILE.npy options."""
    files: dict[str, str] = {}
    for text in inputs:
        name, sign, file = text.partition("=")
        if not (name and sign and file):
            raise typer.BadParameter(f"{text!r} is not of the form NAME=FILE.npy.", param_hint="'--input'")
        if name in files:
            raise typer.BadParameter(f"{name!r} is given twice.", param_hint="'--input'")
        files[name] = file
    if [str(model), *files.values()].count("-") > 1:
        raise typer.BadParameter("standard input can be read once only; give the others as files.")
    return files


def _arrays(files: Mapping[str, str], model: ModelProto, cast: bool) -> dict[str, Array]:
    """Return the inputs of a model, in the dtypes that it has for them."""
    from softsign import stream
    from softsign.onnx.dialect import type_of

    declared = {value.name: type_of(value) for value in model.graph.input}
    arrays = {}
    for name, file in files.items():
        place = readable(file)
        with doing(f"reading {typer.format_filename(file)}"), open(place, "rb") as opened:
            array = stream.read_array(opened, file)
        known = declared.get(name)
        arrays[name] = array if known is None else _as(name, array, known.dtype, cast)
    return arrays


def _as(name: str, array: Array, dtype: np.dtype[np.generic], cast: bool) -> Array:
    """Return an input in native byte order and, on request, in the dtype that the model has for it."""
    import numpy as np

    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind == "V" and array.dtype.itemsize == dtype.itemsize:
        return array.view(dtype)  # .npy has no name for bfloat16 and its like
    if array.dtype == dtype or "O" in (array.dtype.kind, dtype.kind) or array.dtype.kind in "SUV":
        return array
    if not cast:
        raise ValueError(f"input {name!r} is {array.dtype}; the model takes {dtype}; --cast converts it")
    if array.dtype.kind == "c" and dtype.kind != "c":
        raise ValueError(f"input {name!r} is {array.dtype}, which --cast does not turn into {dtype}")
    with np.errstate(all="ignore"):
        made = array.astype(dtype)
        whole = dtype.kind in "iub" or "int" in dtype.name
        fits = made == array if whole else np.isfinite(made) | ~np.isfinite(array)
    if not fits.all():
        raise ValueError(
            f"input {name!r} is {array.dtype} and holds {array[~fits][0]}, which {dtype} does not"
        )
    return made
