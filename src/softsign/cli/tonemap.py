"""``softsign tonemap``: light as a picture for screens."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softsign.cli._common import check_output, doing, one_output, path_ending_in, refusals, tell, written

if TYPE_CHECKING:
    import OpenImageIO

    from softsign.cli._common import Array

#: The formats that are written, and their numbers; light keeps its own.
_FORMATS = {".png": "uint8", ".tif": "uint16", ".tiff": "uint16", ".exr": "", ".hdr": ""}


class Mode(StrEnum):
    """What ``softsign tonemap`` maps."""

    luminance = "luminance"
    channel = "channel"


def _picture(path: Path | None) -> Path | None:
    return path and path_ending_in(_FORMATS, path)


def _positive(value: float | None) -> float | None:
    if value is not None and not 0 < value < math.inf:
        raise typer.BadParameter(f"{value} is not a positive number below infinity.")
    return value


def _stops(value: float | None) -> float | None:
    if value is not None and not -100 <= value <= 100:
        raise typer.BadParameter(f"{value} is not from -100 to 100.")
    return value


def tonemap(
    source: Annotated[
        Path,
        typer.Argument(metavar="IN.exr", help="Image of linear light to read: .exr, .hdr or a float .tif."),
    ],
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="OUT.png", callback=_picture, show_default=False, help="The same as --output."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.png",
            callback=_picture,
            show_default=False,
            help="Picture to write, never IN.exr itself: .png or .tif (16 bits) in sRGB, .exr or .hdr in "
            "linear light.",
        ),
    ] = None,
    key: Annotated[
        float | None,
        typer.Option(
            metavar="K",
            callback=_positive,
            show_default="0.18",
            help="Brightness that the log-average luminance gets before it is mapped: larger is brighter.",
        ),
    ] = None,
    exposure: Annotated[
        float | None,
        typer.Option(
            metavar="EV",
            callback=_stops,
            show_default="by --key",
            help="Multiply the light by 2 to the power of EV instead, whatever its average: for the frames "
            "of a film.",
        ),
    ] = None,
    white: Annotated[
        float | None,
        typer.Option(
            metavar="W",
            callback=_positive,
            show_default="infinity",
            help="Brightness, after --key or --exposure, that becomes white.",
        ),
    ] = None,
    mode: Annotated[
        Mode,
        typer.Option(
            metavar="NAME",
            help="luminance: keeps the ratios of red, green and blue, and may put saturated colors out of "
            "gamut; channel: maps each by itself, which is paler.",
        ),
    ] = Mode.luminance,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Turn an image of light into a picture for screens, by Reinhard's operator.

    The picture appears whole or not at all, with what the image says of itself where its format has a place
    for it. What a screen cannot show is counted.
    """
    from softsign.applications.tonemap import log_average_luminance, reinhard

    place = one_output(target, output, "OUT.png")
    if key is not None and exposure is not None:
        raise typer.BadParameter("--key does not go with --exposure.")
    if place.exists() and source.exists() and os.path.samefile(source, place):
        raise typer.TyperException(
            f"{source} and {place} are the same file; the picture needs a file of its own"
        )
    check_output(place, force=force)
    with refusals(), doing("mapping"):
        image, spec, notes = _read(source)
        average = log_average_luminance(image) if exposure is None else 1.0
        goal = (key or 0.18) if exposure is None else 2.0**exposure
        reinhard(image, key=goal, log_average=average, white=white, mode=mode.value, out=image)
        notes += _prepare(image, spec, place.suffix.lower())
        _write(place, image, spec, force=force)
    height, width, _ = image.shape
    brought = f"log-average luminance {average:.4g} brought to {goal:g}"
    tell(
        place,
        f"{width:,} x {height:,}, {mode.value} mode, "
        + (brought if exposure is None else f"light times 2^{exposure:g}"),
    )
    for note in notes:
        typer.echo(f"softsign: note: {note}", err=True)


def _read(path: Path) -> tuple[Array, OpenImageIO.ImageSpec, list[str]]:
    """Return the light of an image, what the file says of it, and what to tell the user."""
    path.open("rb").close()  # whose errors are the system's
    import numpy as np
    import OpenImageIO

    file = OpenImageIO.ImageInput.open(str(path))
    if file is None:
        raise ValueError(f"{path} is not an image that OpenImageIO reads: {OpenImageIO.geterror()}")
    spec = file.spec()
    names = list(spec.channelnames)
    if not {"R", "G", "B"} <= set(names):
        raise ValueError(f"{path} has the channels {', '.join(names)}, but must have R, G and B")
    if spec.format.basetype not in (OpenImageIO.HALF, OpenImageIO.FLOAT, OpenImageIO.DOUBLE):
        raise ValueError(f"{path} holds {spec.format} numbers, but must hold floating-point ones, of light")
    pixels = file.read_image(0, 0, 0, spec.nchannels, "float")
    if pixels is None:
        raise ValueError(f"{path} is truncated or damaged: {file.geterror()}")
    others = [name for name in names if name not in ("R", "G", "B")]
    notes = [f"left out: channels {', '.join(others)} of {path}"] if others else []
    if file.seek_subimage(1, 0):
        notes.append(f"left out: all but the first image in {path}")
    light = np.stack([pixels[..., names.index(name)] for name in "RGB"], axis=2)
    return light, spec, notes


def _prepare(image: Array, spec: OpenImageIO.ImageSpec, suffix: str) -> list[str]:
    """Make of mapped light what a format stores, and return what is lost."""
    import numpy as np

    from softsign.applications.tonemap import out_of_gamut, srgb_encode

    spec.nchannels, spec.channelnames, spec.channelformats = 3, ("R", "G", "B"), ()
    spec.alpha_channel = spec.z_channel = -1
    spec.tile_width = spec.tile_height = 0
    spec.attribute("compression", "zip")
    notes = []
    outside = np.count_nonzero(out_of_gamut(image))
    above, below = (np.count_nonzero(beyond.any(axis=2)) for beyond in (image > 1, image < 0))
    if outside:
        fate = {".exr": "kept", ".hdr": "those below 0 clipped"}.get(suffix, "clipped")
        parts = f"{above:,} with a channel above 1, {below:,} with one below 0"
        notes.append(f"pixels out of gamut: {outside:,} ({parts}), {fate}")
    if suffix == ".exr":
        return notes
    undefined = np.count_nonzero(np.isnan(image).any(axis=2))
    if undefined:
        notes.append(f"pixels with a nan: {undefined:,}, 0 written there")
    np.nan_to_num(image, copy=False)
    if suffix == ".hdr":
        np.maximum(image, 0, out=image)
        return notes
    srgb_encode(image, out=image)
    spec.set_format(_FORMATS[suffix])  # to which OpenImageIO rounds, and clips
    spec.attribute("oiio:ColorSpace", "sRGB")
    if spec.getattribute("chromaticities"):
        notes.append("the image names primaries of its own, which are taken for those of sRGB")
    return notes


def _write(place: Path, image: Array, spec: OpenImageIO.ImageSpec, *, force: bool) -> None:
    """Write an image, whole or not at all: OpenImageIO needs a name with the suffix of the format."""
    import OpenImageIO

    with tempfile.TemporaryDirectory(prefix="softsign-") as folder:
        path = Path(folder, f"image{place.suffix.lower()}")
        file = OpenImageIO.ImageOutput.create(str(path))
        if not file:
            raise ValueError(f"{place} cannot be written: {OpenImageIO.geterror()}")
        if not (file.open(str(path), spec) and file.write_image(image) and file.close()):
            raise ValueError(f"{place} cannot be written: {file.geterror()}")
        with path.open("rb") as whole, written(place, force=force) as copy:
            shutil.copyfileobj(whole, copy)
