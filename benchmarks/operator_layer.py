"""Time the operator layer beside the bare ufunc, and a training step in ONNX Runtime beside PyTorch's.

The command is `make bench-operator`. The training step is that of the demo's digits network
(64-256-128-10, batches of 32, momentum, weight decay) on one thread; the contestants take turns (`harness`),
and the tables show medians over rounds. The exit code is 1 if a target is missed.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from harness import (
    Table,
    Target,
    conclude,
    limit_threads,
    machine,
    make_parser,
    section_to_write,
    take_turns,
    timed,
)

import softsign
from softsign.data import digits
from softsign.learn import network as net
from softsign.learn import network_onnx
from softsign.onnx import gradients
from softsign.operator import Net, Workspace, create_operator

Array = npt.NDArray[Any]

OVERHEAD_TARGET = 5.0  # µs per operator, over the bare ufunc
STEP_TARGET = 3.0  # ONNX Runtime's training step, to PyTorch's
GRADIENT_TARGETS = {"float64": 1e-12, "float32": 1e-5}  # to PyTorch's in float64, relative
CHAIN = 20  # operators of the net
SAMPLE_SECONDS = 5e-3  # longer than usual: the differences are small


def medians(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return median microseconds of each call."""
    samples = take_turns([timed(call, seconds=SAMPLE_SECONDS) for call in calls.values()], rounds)
    return dict(zip(calls, (1e6 * np.median(samples, axis=0)).tolist(), strict=True))


def measure_overhead(rounds: int) -> list[Target]:
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
    )
    found["net"] /= CHAIN
    return [
        Target(
            f"{name}, µs over the ufunc ({found['ufunc']:.2f} µs)",
            found[name] - found["ufunc"],
            OVERHEAD_TARGET,
        )
        for name in ("operator", "operator in place", "net")
    ]


def measure_memory() -> Target:
    """Measure the kilobytes that Softsign in place allocates on 4 MiB, at its peak."""
    workspace = Workspace()
    workspace.feed("X", np.ones(1 << 20, np.float32))
    op = create_operator("Softsign", "X", "X")
    workspace.run(op)
    tracemalloc.start()
    workspace.run(op)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return Target("in place on 4,096 KiB, KiB allocated at the peak", peak / 1024, 1.0)


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


def measure_gradients() -> list[Target]:
    """Measure the largest error of each dtype's gradients, relative to the largest of the same parameter."""
    import torch

    x, label = batch()
    tensors = torch_network(network(), "float64")
    torch_loss(tensors, torch.tensor(x.astype(np.float64)), torch.tensor(label)).backward()
    targets = []
    for dtype, target in GRADIENT_TARGETS.items():
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
        targets.append(
            Target(f"gradients in {dtype} / PyTorch's in float64, relative error", max(errors), target)
        )
    return targets


def measure_steps(rounds: int) -> tuple[dict[str, float], Target]:
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
    times = medians(calls, rounds)
    peer, _, ours = times.values()
    return times, Target("training step, ONNX Runtime / PyTorch", ours / peer, STEP_TARGET)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if a target is missed."""
    arguments = make_parser("Time the operator layer and training steps.", rounds=25).parse_args(argv)
    section = section_to_write(arguments, "operator_layer")
    limit_threads(1)
    times, step = measure_steps(arguments.rounds)
    lines = [(name, f"{value:,.0f}") for name, value in times.items()]
    table = Table("Training step of the digits network, one thread", ("", "µs"), lines)
    targets = [*measure_overhead(arguments.rounds), measure_memory(), step, *measure_gradients()]
    return conclude([table], targets, section, machine(1))


if __name__ == "__main__":
    sys.exit(main())
