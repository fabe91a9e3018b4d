"""``softsign compand`` and ``softsign expand``: sound files as companded codes, and back."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softsign.cli._common import kept_without_force, progress_bar, refusals, tell

if TYPE_CHECKING:
    from softsign.applications.companding.files import Report

_FORCE = typer.Option("--force", help="Replace the file if it exists.")


def compand(
    source: Annotated[Path, typer.Argument(metavar="IN.wav", help="Sound file: WAV, FLAC, Ogg, AIFF.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.npz", help="File of codes to write.")],
    bits: Annotated[int, typer.Option(metavar="N", min=1, max=16, help="Bits per sample.")] = 8,
    k: Annotated[
        float | None,
        typer.Option(
            "--k",
            metavar="K",
            show_default="the best for the file",
            help="Strength of the law: the finest steps are 1 + K times finer than even ones.",
        ),
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option(
            metavar="L",
            show_default="the peak of the file",
            help="Largest magnitude that is not clipped; 1 is full scale.",
        ),
    ] = None,
    force: Annotated[bool, _FORCE] = False,
) -> None:
    """Store a sound file in few bits per sample, by the softsign law.

    Small samples get finer steps than large ones. The signal-to-noise ratio (SNR) is told beside that of
    G.711, the 8-bit codes of telephony. NumPy reads what is written; softsign expand turns it into sound.
    """
    from softsign.applications.companding import files

    with _told() as progress:
        report = files.compand(source, target, bits, k=k, limit=limit, overwrite=force, progress=progress)
    law = report.adc.compander
    snr = (
        "silence"
        if math.isnan(report.snr_db)
        else (
            f"SNR {report.snr_db:.1f} dB (G.711: mu-law {report.mu_law_db:.1f}, A-law {report.a_law_db:.1f})"
        )
    )
    tell(target, f"{_sound(report)}, {bits} bits, k {law.k:.4g}, limit {law.limit:.4g}, {snr}")
    if report.clipped:
        typer.echo(f"softsign: note: {report.clipped:,} samples are beyond the limit: clipped", err=True)


def expand(
    source: Annotated[Path, typer.Argument(metavar="IN.npz", help="What softsign compand wrote.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.wav", help="WAV file to write.")],
    force: Annotated[bool, _FORCE] = False,
) -> None:
    """Turn what softsign compand wrote into a WAV file.

    Its samples have the format of those that were read, or 16 bits where WAV files have no such format.
    """
    from softsign.applications.companding import files

    with _told() as progress:
        report = files.expand(source, target, overwrite=force, progress=progress)
    tell(target, f"{_sound(report)}, {report.subtype}")


@contextlib.contextmanager
def _told() -> Iterator[Callable[[int, int], None]]:
    """Yield what shows the progress, and turn what is refused into what the command says."""
    from rich.progress import BarColumn, TaskProgressColumn, TimeRemainingColumn

    columns = BarColumn(None), TaskProgressColumn(), TimeRemainingColumn()
    with refusals(), kept_without_force(), progress_bar(*columns) as bar:
        task = bar.add_task("")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _sound(report: Report) -> str:
    channels = f"{report.channels} channel{'s' * (report.channels != 1)}"
    return f"{report.frames:,} frames, {channels}, {report.sample_rate:,} Hz"
