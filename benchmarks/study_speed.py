"""Time the training of the study beside the bare loop of PyTorch: `python benchmarks/study_speed.py --help`.

Both train the same network on the same batches, on one thread; the study watches activations and gradients, measures errors,
reports its progress and writes checkpoints meanwhile. They take turns, and the table shows medians over rounds of the
updates per second, without the time to load data and to build the network. The exit code tells whether the study reaches
the part of the bare loop's speed that the project promises.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from softsign.study.networks import build
from softsign.study.runs import PRESETS, Trial, grid
from softsign.study.sources import load_source
from softsign.study.training import train

BAR = 0.9
SHORTENED = 2000  # updates of the paper's network here, a minute in place of weeks


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


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Time the study's training beside PyTorch's bare loop.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, help="of each training (default: what the preset has)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kept = True
    print(f"{'updates per second':24} {'updates':>8} {'bare loop':>10} {'study':>8} {'ratio':>6}")
    for name, trial in networks().items():
        if arguments.updates:
            trial = dataclasses.replace(trial, updates=arguments.updates)
        load_source(trial.data)
        pairs = [(bare(trial), watched(trial)) for _ in range(arguments.rounds)]
        ratio = statistics.median(study / loop for loop, study in pairs)
        loop, study = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(f"{name:24} {trial.updates:8,} {loop:10,.0f} {study:8,.0f} {ratio:6.2f}", flush=True)
        kept &= ratio >= BAR
    print(f"at least {BAR:.2f} of the bare loop's speed: {'kept' if kept else 'BROKEN'}")
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
