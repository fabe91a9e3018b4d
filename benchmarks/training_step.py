"""Time the operator layer beside the bare ufunc, and a training step in ONNX Runtime beside PyTorch's.

`python benchmarks/training_step.py --help`. The training step is that of the demo's digits network (64-256-128-10, batch of
32, momentum, weight decay) on one thread; the contestants take turns, and the tables show medians over rounds. The exit
code tells whether what the project promises is kept.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import timeit
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from bench import Verdict, limit_threads, print_verdicts

import softsign
from softsign.data import digits
from softsign.learn import network as net
from softsign.learn import network_onnx
from softsign.onnx import gradients
from softsign.operator import Net, Workspace, create_operator

Array = npt.NDArray[Any]

OVERHEAD_BAR = 5.0  # us per operator, over the bare ufunc
STEP_BAR = 3.0  # ONNX Runtime's training step, to PyTorch's
GRADIENT_BARS = {"float64": 1e-12, "float32": 1e-5}  # to PyTorch's in float64, relative
CHAIN = 20  # operators of the net


def medians(calls: Mapping[str, Callable[[], object]], rounds: int, number: int) -> dict[str, float]:
    """Return median microseconds of each call, in turns of `number` calls."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            samples[name].append(timeit.timeit(call, number=number) / number * 1e6)
    return {name: statistics.median(values) for name, values in samples.items()}


def measure_overhead(rounds: int) -> list[Verdict]:
    """Measure what a workspace adds to the ufunc, for 16 elements."""
    x = np.linspace(-3, 3, 16, dtype=np.float32)
    y = np.empty_like(x)
    workspace = Workspace()
    workspace.feed("X", x)
    net = Net("chain")
    for i in range(CHAIN):
        net.add("Softsign", f"Y{i - 1}" if i else "X", f"Y{i}")
    one, in_place = create_operator("Softsign", "X", "Y"), create_operator("Softsign", "Z", "Z")
    workspace.feed("Z", x)
    found = medians(
        {
            "ufunc": lambda: softsign.softsign(x, y),
            "operator": lambda: workspace.run(one),
            "operator in place": lambda: workspace.run(in_place),
            "net": lambda: workspace.run(net),
        },
        rounds,
        2000,
    )
    found["net"] /= CHAIN
    return [
        Verdict(
            f"{name}, us over the ufunc ({found['ufunc']:.2f} us)", found[name] - found["ufunc"], OVERHEAD_BAR
        )
        for name in ("operator", "operator in place", "net")
    ]


def measure_memory() -> Verdict:
    """Measure the kilobytes that Softsign in place allocates on 4 MiB, at its peak."""
    workspace = Workspace()
    workspace.feed("X", np.ones(1 << 20, np.float32))
    op = create_operator("Softsign", "X", "X")
    workspace.run(op)
    tracemalloc.start()
    workspace.run(op)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return Verdict("in place on 4,096 KiB, KiB allocated at the peak", peak / 1024, 1.0)


def torch_network(network: net.Network, dtype: str) -> dict[str, Any]:
    """Return the parameters of a network as tensors that collect gradients."""
    import torch

    held = network_onnx.parameters(network).items()
    return {name: torch.tensor(value.astype(dtype), requires_grad=True) for name, value in held}


def torch_loss(tensors: Mapping[str, Any], x: Any, label: Any) -> Any:
    """Return the network's loss of a batch, written as PyTorch's users write it."""
    import torch

    layers = len(tensors) // 2
    for i in range(1, layers + 1):
        x = torch.addmm(tensors[f"b{i}"], x, tensors[f"w{i}"])
        if i < layers:
            x = torch.nn.functional.softsign(x)
    return torch.nn.functional.cross_entropy(x, label)


def batch() -> tuple[Array, Array]:
    """Return the first batch of the digits."""
    data = digits.load()
    return data.train_x[: net.BATCH_SIZE].reshape(net.BATCH_SIZE, -1).copy(), data.train_label[
        : net.BATCH_SIZE
    ].copy()


def network() -> net.Network:
    """Return the network of the demo before training."""
    return net.Network((64, *net.HIDDEN, 10), np.random.default_rng(0))


def measure_gradients() -> list[Verdict]:
    """Measure the largest error of each dtype's gradients, relative to the largest of the same parameter."""
    import torch

    x, label = batch()
    tensors = torch_network(network(), "float64")
    torch_loss(tensors, torch.tensor(x.astype(np.float64)), torch.tensor(label)).backward()
    verdicts = []
    for dtype, bar in GRADIENT_BARS.items():
        ours: Any = network()
        ours.weights, ours.biases = ([p.astype(dtype) for p in part] for part in (ours.weights, ours.biases))
        model = gradients(network_onnx.network_model(ours, loss=True), "loss", list(tensors))
        session = network_onnx.session(model)
        names = [value.name for value in session.get_outputs()]
        found = dict(zip(names, session.run(None, {"x": x.astype(dtype), "label": label}), strict=True))
        errors = []
        for name, tensor in tensors.items():
            truth = tensor.grad.numpy()
            errors.append(np.abs(found[f"{name}_grad"] - truth).max() / np.abs(truth).max())
        verdicts.append(
            Verdict(f"gradients in {dtype} / PyTorch's in float64, relative error", max(errors), bar)
        )
    return verdicts


def measure_steps(rounds: int) -> tuple[dict[str, float], Verdict]:
    """Measure a training step in NumPy, ONNX Runtime and PyTorch."""
    import torch

    torch.set_num_threads(1)
    x, label = batch()
    tensors = torch_network(network(), "float32")
    groups = [
        {"params": [t for name, t in tensors.items() if name[0] == "w"], "weight_decay": net.WEIGHT_DECAY},
        {"params": [t for name, t in tensors.items() if name[0] == "b"]},
    ]
    optimizer = torch.optim.SGD(groups, lr=net.LEARNING_RATE, momentum=net.MOMENTUM)
    torch_x, torch_label = torch.tensor(x), torch.tensor(label)

    def torch_step() -> None:
        optimizer.zero_grad()
        torch_loss(tensors, torch_x, torch_label).backward()
        optimizer.step()

    by_numpy, by_onnx = net.NumpyLearner(network()), network_onnx.OnnxLearner(network())
    calls: dict[str, Callable[[], object]] = {
        f"PyTorch {torch.__version__}": torch_step,
        "softsign and NumPy": lambda: by_numpy.step(x, label, net.LEARNING_RATE),
        "ONNX Runtime, gradient graph": lambda: by_onnx.step(x, label, net.LEARNING_RATE),
    }
    times = medians(calls, rounds, 20)
    peer, _, ours = times.values()
    return times, Verdict("training step, ONNX Runtime / PyTorch", ours / peer, STEP_BAR)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description="Time the operator layer and training steps.")
    parser.add_argument("--rounds", type=int, default=25, help="samples of each contestant (default 25)")
    arguments = parser.parse_args(argv)
    limit_threads(1)
    times, step = measure_steps(arguments.rounds)
    print("training step of the digits network, one thread")
    for name, value in times.items():
        print(f"  {name:30} {value:8,.0f} us")
    verdicts = [*measure_overhead(arguments.rounds), measure_memory(), step, *measure_gradients()]
    print_verdicts(verdicts)
    return int(not all(verdict.kept for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
