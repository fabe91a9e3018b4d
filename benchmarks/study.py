"""Time the training of the study beside the bare loop of PyTorch: `python benchmarks/study.py --help`.

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

from softsign.learn.study import PRESETS, grid
from softsign.learn.training import Run, build, load_source, train

BAR = 0.9
SHORTENED = 2000  # updates of the paper's network here, a minute in place of weeks


def networks() -> dict[str, Run]:
    """Return a run of the quick preset, one of the deep preset, and the paper's largest, shortened."""
    quick, deep = (grid(**PRESETS[name][0])[0] for name in ("quick", "deep"))
    paper = grid(**PRESETS["paper"][0] | {"depths": (5,)})[0]
    return {"quick": quick, "deep": deep, "paper, shortened": dataclasses.replace(paper, updates=SHORTENED)}


def bare(run: Run) -> float:
    """Return the updates per second of nothing but training."""
    source = load_source(run.data)
    network = build(run, source.test[0].shape[1], source.classes, source.second_moment)
    optimizer = torch.optim.SGD(network.parameters(), run.rate, run.momentum)
    with contextlib.closing(source.batches(run, 0)) as batches:
        begun = time.perf_counter()
        for _ in range(run.updates):
            x, labels = next(batches)
            optimizer.zero_grad()
            cross_entropy(network(x), labels).backward()
            optimizer.step()
        return run.updates / (time.perf_counter() - begun)


def watched(run: Run) -> float:
    """Return the updates per second of the study, with a file for its progress."""
    with tempfile.TemporaryDirectory() as folder:

        def report(updates: int) -> None:
            Path(folder, "progress").write_text(str(updates))

        result = train(run, folder, report)
        return run.updates / float(result["seconds"])


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Time the study's training beside PyTorch's bare loop.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, help="of each training (default: what the preset has)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kept = True
    print(f"{'updates per second':24} {'updates':>8} {'bare loop':>10} {'study':>8} {'ratio':>6}")
    for name, run in networks().items():
        if arguments.updates:
            run = dataclasses.replace(run, updates=arguments.updates)
        load_source(run.data)
        pairs = [(bare(run), watched(run)) for _ in range(arguments.rounds)]
        ratio = statistics.median(study / loop for loop, study in pairs)
        loop, study = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(f"{name:24} {run.updates:8,} {loop:10,.0f} {study:8,.0f} {ratio:6.2f}", flush=True)
        kept &= ratio >= BAR
    print(f"at least {BAR:.2f} of the bare loop's speed: {'kept' if kept else 'BROKEN'}")
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
