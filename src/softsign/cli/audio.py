"""``softsign audio``: the saturator on a sound file, and its methods compared on it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softsign.cli._common import (
    check_output,
    doing,
    kept_without_force,
    progress_bar,
    refusals,
    tell,
    written,
)

if TYPE_CHECKING:
    from softsign.applications.audio.files import FileReport


def audio(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Sound to read: WAV, FLAC, OGG, AIFF, MP3 and others.")
    ],
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="OUT", show_default=False, help="Sound to write: .wav, .flac, .ogg, .oga, .aiff or .aif."
        ),
    ] = None,
    drive: Annotated[
        float, typer.Option(metavar="DB", min=-300, max=300, help="Gain before softsign, in dB.")
    ] = 0.0,
    bias: Annotated[
        float, typer.Option(metavar="B", help="Offset after the gain, for even harmonics; full scale is 1.")
    ] = 0.0,
    mix: Annotated[
        float, typer.Option(metavar="M", min=0, max=1, help="Part of the saturated sound in the output.")
    ] = 1.0,
    output_db: Annotated[
        float, typer.Option(metavar="DB", min=-300, max=300, help="Gain after all, in dB.")
    ] = 0.0,
    antialias: Annotated[
        str,
        typer.Option(metavar="NAME", help="Method: moments, moments2, adaa1, adaa2, adaa2-triangle or none."),
    ] = "moments",
    oversample: Annotated[
        int, typer.Option(metavar="N", help="Factor of the rate that softsign works at: 1, 2, 4 or 8.")
    ] = 1,
    nan: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What nan and infinite samples are: raise, an error; zero, silence; pass, let through.",
        ),
    ] = "raise",
    subtype: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default="as in IN", help="Encoding: PCM_16, PCM_24, FLOAT, ..."),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.html",
            help="Write a page with each method's spectrum, error and sound on IN, and no sound file.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Saturate a sound file with softsign, without aliasing.

    For example: softsign audio IN.wav OUT.flac --drive 24. Sample rate, channels, tags and encoding stay as
    they are where the format of OUT has them. Files may be larger than memory, and OUT appears whole or not
    at all.
    """
    if (target is None) == (compare is None):
        raise typer.BadParameter("name one file to write: OUT, or --compare OUT.html.")
    settings: dict[str, Any] = {"drive_db": drive, "bias": bias}
    if compare is not None:
        _compare(source, compare, settings, force=force)
        return
    assert target is not None
    settings |= {"mix": mix, "output_db": output_db, "antialias": antialias, "oversample": oversample}
    with refusals(), kept_without_force(), _bar() as update:
        from softsign.applications.audio.files import process_file

        report = process_file(
            source, target, subtype=subtype, overwrite=force, progress=update, nan=nan, **settings
        )
    _tell(report, target)


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[int, int, int], None]]:
    """Show a progress bar with the speed in multiples of real time; yield what moves it on."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    start = perf_counter()
    speed = TextColumn("{task.fields[speed]}")
    with progress_bar(BarColumn(None), TaskProgressColumn(), speed, TimeRemainingColumn()) as bar:
        task = bar.add_task("", speed="")

        def update(done: int, total: int, rate: int) -> None:
            speed = f"{done / rate / (perf_counter() - start):,.0f} x real time"
            bar.update(task, completed=done, total=total, speed=speed)

        yield update


def _tell(report: FileReport, target: Path) -> None:
    """Print what was written, what had to change, and what was clipped."""
    length = report.frames / report.sample_rate
    channels = f"{report.channels} channel" + ("s" if report.channels > 1 else "")
    what = f"{length:,.1f} s, {channels}, {report.sample_rate} Hz, {report.format} {report.subtype}"
    tell(target, f"{what}; {length / report.seconds:,.0f} x real time, peak {report.peak:.3g}")
    if report.subtype != report.source_subtype:
        _note(f"{report.subtype} takes the place of {report.source_subtype}")
    if report.format == "RF64":
        _note("RF64 takes the place of WAV, which ends at 4 GB")
    if report.lost_tags:
        _note(f"{report.format} has no place for {', '.join(report.lost_tags)}")
    if report.clipped:
        down = math.ceil(200 * math.log10(report.peak)) / 10
        _note(
            f"{report.clipped:,} of {report.frames * report.channels:,} samples were beyond full scale and "
            f"clipped; --output-db lower by {down:.1f} avoids it"
        )


def _note(text: str) -> None:
    typer.echo(f"softsign: note: {text}", err=True)


def _compare(source: Path, target: Path, settings: dict[str, Any], *, force: bool) -> None:
    """Write the page that compares the methods."""
    if target.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"--compare: {target} does not end in .html.")
    check_output(target, force=force)
    with refusals(), doing("comparing"):
        from softsign.learn import sound

        compared = sound.compare(source, **settings)
        with written(target, force=force) as file:
            file.write(sound.page(compared).encode())
    tell(target, f"{len(compared.results)} methods compared on {compared.seconds:.1f} s of {source.name}")
