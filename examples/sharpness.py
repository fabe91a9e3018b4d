"""How sharp the loss of a deep softsign network becomes as it trains, and what learning rate that allows.

Gradient descent with momentum m is stable along a direction of curvature s as long as its learning rate is
below 2 (1 + m) / s. The example trains networks of 50 layers on handwritten digits and prints the sharpness
on the way: the largest curvature, which is the largest eigenvalue of the Hessian matrix of the loss over 300
training examples. `python examples/sharpness.py --help`; needs the extra study.
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector

from softsign.study.networks import build
from softsign.study.runs import Trial
from softsign.study.sources import load_source

EXAMPLES = 300
LOOKS = (0, 10, 20, 40, 80, 150, 300)  # updates


def sharpness(network: torch.nn.Module, x: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the largest eigenvalue of the Hessian of the loss, by Lanczos's method, to 2 %."""
    parameters = list(network.parameters())
    gradient = torch.autograd.grad(cross_entropy(network(x), labels), parameters, create_graph=True)
    flat = parameters_to_vector(gradient)

    def product(vector: np.ndarray) -> np.ndarray:
        direction = torch.from_numpy(vector.astype(np.float32).ravel())
        rows = torch.autograd.grad(flat @ direction, parameters, retain_graph=True)
        result: np.ndarray = parameters_to_vector(rows).numpy()
        return result

    hessian = LinearOperator((len(flat), len(flat)), product, dtype=np.float32)
    start = np.random.default_rng(0).standard_normal(len(flat)).astype(np.float32)
    return float(eigsh(hessian, 1, which="LA", tol=0.02, ncv=12, v0=start, return_eigenvectors=False)[0])


def follow(trial: Trial) -> list[tuple[float, float]]:
    """Train, and return sharpness and loss after each of `LOOKS`."""
    source = load_source(trial.data)
    x, labels = next(source.batches(dataclasses.replace(trial, batch_size=EXAMPLES), 0))
    network = build(trial, x.shape[1], source.classes, source.input_second_moment)
    optimizer = torch.optim.SGD(network.parameters(), trial.learning_rate, trial.momentum)
    batches = source.batches(trial, 0)
    seen = []
    for updates in range(trial.updates + 1):
        if updates in LOOKS:
            loss = cross_entropy(network(x), labels).item()
            seen.append((sharpness(network, x, labels), loss))
        examples, classes = next(batches)
        optimizer.zero_grad()
        cross_entropy(network(examples), classes).backward()
        optimizer.step()
    return seen


def main() -> None:
    """Run the command line."""
    rules = "critical:0.01,critical:0.1,critical:0.5,critical:1,normalized,identity:0.5"
    parser = argparse.ArgumentParser(
        description="Follow the sharpness of deep softsign networks in training."
    )
    parser.add_argument("--initializations", default=rules, help="(default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=0.001, help="(default: %(default)s)")
    parser.add_argument("--depth", type=int, default=50, help="(default: %(default)s)")
    parser.add_argument("--width", type=int, default=256, help="(default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    momentum = 0.9
    print(f"sharpness (loss) after so many updates at learning rate {arguments.learning_rate:g}")
    print(f"{'':14}" + "".join(f"{look:>15}" for look in LOOKS) + f"{'stable up to':>15}")
    for rule in arguments.initializations.split(","):
        shape = (arguments.depth, arguments.width)
        trial = Trial("digits", "softsign", rule, *shape, 50, LOOKS[-1], arguments.learning_rate, momentum, 0)
        seen = follow(trial)
        bound = 2 * (1 + momentum) / max(sharp for sharp, _ in seen)
        cells = "".join(f"{f'{sharp:.0f} ({loss:.2f})':>15}" for sharp, loss in seen)
        print(f"{rule:14}{cells}{bound:>15.4f}", flush=True)


if __name__ == "__main__":
    main()
