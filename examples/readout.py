"""What the last layer of a deep softsign network, before any training, still tells about its input.

A linear classifier (ridge regression) is fitted to the activations of the last hidden layer, and tested. On
the edge of chaos gradients pass through any depth, but distances between inputs are kept to a depth of about
2/k only, k the `curvature` of `softsign.init`: the smaller q, the deeper. The table shows k times the depth,
the mean cosine between two inputs' activations, and the test error. `python examples/readout.py --help`;
needs the extra study.
"""

from __future__ import annotations

import argparse
import statistics
import warnings

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from softsign import init
from softsign.study.networks import build
from softsign.study.runs import Trial
from softsign.study.sources import load_source

TRAINING = 1078  # scans: all of them


def readout(rule: str, depth: int, width: int, seed: int) -> tuple[float, float]:
    """Return the mean cosine and the test error in %."""
    source = load_source("digits")
    trial = Trial("digits", "softsign", rule, depth, width, TRAINING, 1, 1.0, 0.0, seed)
    x, labels = next(source.batches(trial, 0))
    hidden = build(trial, x.shape[1], source.classes, source.input_second_moment)[:-1]
    with torch.no_grad():
        train, test = (hidden(part).double().numpy() for part in (x, source.test[0]))
    classifier = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 7)))
    accuracy = classifier.fit(train, labels).score(test, source.test[1])
    return float(cosine_similarity(train[:300]).mean()), 100 * (1 - accuracy)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description="Read classes off the last layer of untrained softsign networks."
    )
    rules = "critical:0.001,critical:0.01,critical:0.1,critical:0.5,critical:1,normalized,identity:0.5"
    parser.add_argument("--initializations", default=rules, help="(default: %(default)s)")
    parser.add_argument("--depth", type=int, default=50, help="(default: %(default)s)")
    parser.add_argument("--width", type=int, default=256, help="(default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="networks of each (default: %(default)s)")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    print(f"{'':16}{'k depth':>8}{'cosine':>8}{'error, %':>10}")
    for rule in arguments.initializations.split(","):
        kind, _, q = rule.partition(":")
        bend = f"{init.curvature(float(q)) * arguments.depth:.2g}" if kind == "critical" else ""
        seen = [readout(rule, arguments.depth, arguments.width, seed) for seed in range(arguments.seeds)]
        cosine, error = (statistics.fmean(column) for column in zip(*seen, strict=True))
        print(f"{rule:16}{bend:>8}{cosine:>8.2f}{error:>10.1f}")


if __name__ == "__main__":
    main()
