"""Time the images of Shapeset-3x2, and the training of the study beside a bare loop: `make bench-study`.

Images are drawn in this process and by worker processes. The study and the bare loop of PyTorch train the
same network on the same batches, on one thread; the study watches activations and gradients, measures errors,
reports its progress and writes checkpoints meanwhile. Its speed is in updates per second, without the time to
load data and to build the network. Contestants take turns (`harness`). The exit code is 1 if a target is
missed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from harness import Table, Target, conclude, machine, make_parser, positive, section_to_write, take_turns
from torch.nn.functional import cross_entropy

from softsign.data.shapeset import CHUNK, Batches, generate
from softsign.study.networks import build
from softsign.study.runs import PRESETS, Trial, grid
from softsign.study.sources import load_source
from softsign.study.training import train

IMAGES_TARGET = 10_000  # per second, from as many workers as there are CPUs, two at most
TRAINING_TARGET = 0.9  # of the bare loop's updates per second
BATCH_SIZE = 10  # as in the study
SHORTENED = 2000  # updates of the paper's network here, at most
TRIED = 20  # updates that tell how many fill the time


def images_per_second(draw: Callable[[], int], seconds: float) -> float:
    """Return the speed of a function that draws some images and returns how many."""
    images, passed, begun = 0, 0.0, time.perf_counter()
    while passed < seconds:
        images += draw()
        passed = time.perf_counter() - begun
    return images / passed


def in_process(seconds: float) -> float:
    """Measure `generate`, a chunk at a time."""
    rng = np.random.default_rng(0)
    return images_per_second(lambda: len(generate(rng, CHUNK)[1]), seconds)


def by_workers(workers: int, seconds: float) -> float:
    """Measure batches after the first chunks, which have to wait for the workers to start."""
    with Batches(BATCH_SIZE, seed=0, workers=workers) as batches:
        for _ in range(workers * CHUNK // BATCH_SIZE):
            next(batches)
        return images_per_second(lambda: len(next(batches)[1]), seconds)


def measure_images(rounds: int, seconds: float) -> tuple[Table, Target]:
    """Measure images per second, drawn in all ways."""
    samplers = {"generate": partial(in_process, seconds)}
    for workers in range(1, min(2, len(os.sched_getaffinity(0))) + 1):
        samplers[f"Batches, workers={workers}"] = partial(by_workers, workers, seconds)
    medians = np.median(take_turns(list(samplers.values()), rounds), axis=0).tolist()
    lines = [(name, f"{speed:,.0f}") for name, speed in zip(samplers, medians, strict=True)]
    *_, last = samplers
    target = Target(f"images per second, {last}", medians[-1], IMAGES_TARGET, at_least=True)
    return Table("Images of Shapeset-3x2", ("", "per second"), lines), target


def networks() -> dict[str, Trial]:
    """Return a trial of the quick preset, one of the deep preset, and the paper's largest, shortened."""
    quick, deep = (grid(**PRESETS[name][0])[0] for name in ("quick", "deep"))
    paper = grid(**PRESETS["paper"][0] | {"depths": (5,)})[0]
    return {"quick": quick, "deep": deep, "paper, shortened": dataclasses.replace(paper, updates=SHORTENED)}


def bare(trial: Trial) -> float:
    """Return the updates per second of nothing but training."""
    source = load_source(trial.data)
    network = build(trial, source.test[0].shape[1], source.classes, source.input_second_moment)
    optimizer = torch.optim.SGD(network.parameters(), trial.learning_rate, trial.momentum)
    with contextlib.closing(source.batches(trial, 0)) as batches:
        begun = time.perf_counter()
        for _ in range(trial.updates):
            x, labels = next(batches)
            optimizer.zero_grad()
            cross_entropy(network(x), labels).backward()
            optimizer.step()
        return trial.updates / (time.perf_counter() - begun)


def watched(trial: Trial) -> float:
    """Return the updates per second of the study, with a file for its progress."""
    with tempfile.TemporaryDirectory() as folder:

        def report(updates: int) -> None:
            Path(folder, "progress").write_text(str(updates))

        result = train(trial, folder, report)
        return trial.updates / float(result["seconds"])


def affordable(trial: Trial, seconds: float) -> int:
    """Return how many updates of a trial the bare loop makes in some time, or all if they take less."""
    speed = bare(dataclasses.replace(trial, updates=TRIED))
    return max(TRIED, int(min(trial.updates, speed * seconds)))


def measure_training(rounds: int, wanted: int | None, seconds: float = 10.0) -> tuple[Table, list[Target]]:
    """Measure each network: of all rounds the one whose ratio is the median, so that its numbers agree."""
    lines, targets = [], []
    for name, trial in networks().items():
        print(f"measuring {name}", file=sys.stderr)
        load_source(trial.data)
        preset, updates = trial.updates, wanted or affordable(trial, seconds)
        trial = dataclasses.replace(trial, updates=updates)
        samples = take_turns([partial(bare, trial), partial(watched, trial)], rounds)
        loop, study = sorted(samples.tolist(), key=lambda speeds: speeds[1] / speeds[0])[rounds // 2]
        lines.append((name, f"{trial.updates:,}", f"{loop:,.1f}", f"{study:,.1f}", f"{study / loop:.2f}"))
        # In a few seconds the study's first look at the network weighs too much to be judged.
        judged = study / loop if wanted or updates == preset else math.nan
        targets.append(Target(f"{name}, study / bare loop", judged, TRAINING_TARGET, at_least=True))
    header = ("", "updates", "bare loop", "study", "ratio")
    return Table("Updates per second, in the round of the median ratio", header, lines), targets


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = make_parser("Time Shapeset's images, and the study's training beside PyTorch's.", rounds=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each sample of images (default 1)")
    parser.add_argument(
        "--training",
        type=float,
        default=10.0,
        help="seconds of each training (default 10); inf: the preset's updates, and a verdict",
    )
    parser.add_argument("--updates", type=positive, help="of each training, in place of seconds")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=("images", "training"),
        default=("images", "training"),
        help="default: both",
    )
    arguments = parser.parse_args(argv)
    section = section_to_write(arguments, "study")
    torch.set_num_threads(1)
    tables, targets = [], []
    if "images" in arguments.parts:
        table, target = measure_images(arguments.rounds, arguments.seconds)
        tables.append(table)
        targets.append(target)
    if "training" in arguments.parts:
        table, found = measure_training(arguments.rounds, arguments.updates, arguments.training)
        tables.append(table)
        targets += found
    return conclude(tables, targets, section, machine(1, PyTorch=torch.__version__))


if __name__ == "__main__":
    sys.exit(main())
