"""Trainings that wait in the middle for what interrupts them, however slow the machine is."""

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

from softsign.study import training
from softsign.study.runs import Result, Trial

_train = training.train


def pause_file(folder: Path) -> Path:
    """The file that lets trainings in this folder wait after their first updates."""
    return folder.with_name(f"{folder.name}-pause")


def train_with_pause(
    trial: Trial, folder: str | os.PathLike[str], report: Callable[[int], None] | None = None
) -> Result:
    """Train; while the file is there, wait for the end of the study or of the process that runs it."""
    place, parent = Path(folder), multiprocessing.parent_process()

    def report_and_wait(updates: int) -> None:
        if report:
            report(updates)
        while (
            updates > 0
            and pause_file(place).exists()
            and (place / "running").exists()
            and (parent is None or parent.is_alive())
        ):
            time.sleep(0.01)

    return _train(trial, folder, report_and_wait)


def pause_trainings() -> None:
    """Let the trainings of this process report after every update, and wait."""
    training.REPORT_EVERY = 0.0
    training.train = train_with_pause
