"""Train one network of the study, watch it meanwhile, resume exactly where it stopped. Needs PyTorch.

`train` is all of it: stochastic gradient descent, as in Glorot and Bengio (2010).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from softsign._files import written_whole
from softsign.study.networks import build
from softsign.study.runs import Histogram, History, Result, Trial
from softsign.study.sources import Source, load_source

__all__ = ["train"]

WATCHED = 300  # test examples on which activations and gradients are watched, as in the paper
CURVE = 1000  # test examples that the error is measured on meanwhile; at the end it is all of them
LEAST_RECORDS, MOST_RECORDS = 10, 100  # over a training, the start and the end not counted twice
RECORD_COST = 0.08  # largest part of the training's arithmetic that the records between may take
LAYERS_SHOWN = 5  # of which histograms and singular values are kept
BINS = 80

SAVE_EVERY = 60.0  # seconds between checkpoints
REPORT_EVERY = 0.5  # seconds between reports
_MAGIC = b"softsign checkpoint 2\n"


class State(TypedDict):
    """What a checkpoint holds besides the parameters: the part of a `Result` that grows in training."""

    updates: int
    seconds: float
    diverged: bool
    jacobian: list[float | None]
    notes: list[str]
    history: History


def train(
    trial: Trial, folder: str | os.PathLike[str], report: Callable[[int], None] | None = None
) -> Result:
    """Train a network, or go on from its checkpoint. One thread of PyTorch does it.

    Parameters
    ----------
    trial : Trial
        What to train, and how.
    folder : path-like
        Where the checkpoint is, ``trial.checkpoint``. It is written once a minute, and left there
        for who keeps the result to remove: until that is safe, it is what the result can be had from again.
    report : callable, optional
        Called about twice a second as ``report(updates)``. An exception that it raises ends the training,
        after a checkpoint.

    Returns
    -------
    Result
        What came of it. Its numbers, but for the seconds, depend on the trial alone, however often it was
        stopped.

    Raises
    ------
    DatasetError
        As `softsign.study.sources.load_source`.
    OSError
        If the checkpoint cannot be written. The one before is kept.

    Examples
    --------
    >>> import tempfile
    >>> trial = Trial("digits", "softsign", "critical:0.5", 2, 50, 20, 200, 0.1, 0.0, 0)
    >>> result = train(trial, tempfile.gettempdir())
    >>> result["updates"], result["test_error"] < 0.2
    (200, True)
    """
    source = load_source(trial.data)
    network = build(trial, source.test[0].shape[1], source.classes, source.input_second_moment)
    descent = Descent(network, trial.learning_rate, trial.momentum)
    checkpoint = Path(folder, trial.checkpoint)
    state = _restored(checkpoint, trial, network, descent)
    with _one_thread():
        _optimize(trial, source, network, descent, state, checkpoint, report)
        return _result(network, source, state)


class Descent:
    """Gradient descent with momentum, to the bit as torch.optim.SGD: v <- m v + g, then w <- w - r v.

    The first step of torch.optim imports PyTorch's compiler, which takes every worker as long as importing
    PyTorch, 2.6 s.

    Parameters
    ----------
    network : torch.nn.Module
        Network whose parameters w are trained.
    learning_rate : float
        Length r of an update over that of the gradient g.
    momentum : float
        Part m of the velocity v that stays, from 0 to below 1.
    """

    def __init__(self, network: torch.nn.Module, learning_rate: float, momentum: float) -> None:
        self.parameters = list(network.parameters())
        self.learning_rate, self.momentum = learning_rate, momentum
        #: One for each parameter; without momentum there are none.
        self.velocities = [torch.zeros_like(w) for w in self.parameters] if momentum else []

    def step(self) -> None:
        """Update the parameters by their gradients, which are then gone."""
        moves = [w.grad for w in self.parameters]
        with torch.no_grad():
            if self.momentum:
                for velocity, gradient in zip(self.velocities, moves, strict=True):
                    velocity.mul_(self.momentum).add_(gradient)
                moves = self.velocities
            for w, move in zip(self.parameters, moves, strict=True):
                w.add_(move, alpha=-self.learning_rate)
                w.grad = None


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread: trainings side by side use the cores better, and bits do not depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _optimize(
    trial: Trial,
    source: Source,
    network: torch.nn.Sequential,
    descent: Descent,
    state: State,
    checkpoint: Path,
    report: Callable[[int], None] | None,
) -> None:
    """Train from ``state["updates"]`` on; `state` is what a checkpoint holds besides the parameters."""
    due = _due(trial, len(source.test[0]))
    history = state["history"]
    began = monotonic() - state["seconds"]
    saved = reported = monotonic()
    with contextlib.closing(source.batches(trial, state["updates"])) as batches:
        for updates in range(state["updates"], trial.updates + 1):
            state["updates"] = updates
            if updates in due and updates not in history["updates"][-1:]:
                _record(network, source, state)
            now = monotonic()
            state["seconds"] = now - began
            if now - saved >= SAVE_EVERY:
                _save(checkpoint, trial, network, descent, state)
                saved = now
            if report and now - reported >= REPORT_EVERY:
                try:
                    report(updates)
                except BaseException:
                    _save(checkpoint, trial, network, descent, state)
                    raise
                reported = now
            if state["diverged"] or updates == trial.updates:
                break
            x, labels = next(batches)
            cross_entropy(network(x), labels).backward()
            descent.step()


def _due(trial: Trial, tests: int) -> set[int]:
    """Return the updates before which to look at the network, evenly spaced from the start to the end."""
    # In forward passes of an example, of which a backward pass is worth two.
    cost = 3 * WATCHED + min(CURVE, tests)
    affordable = RECORD_COST * 3 * trial.batch_size * trial.updates / cost
    records = round(min(max(affordable, LEAST_RECORDS), MOST_RECORDS))
    return {trial.updates * i // records for i in range(records + 1)}


def _record(network: torch.nn.Sequential, source: Source, state: State) -> None:
    x, labels = source.test
    outputs, gradients = _watch(network, x[:WATCHED], labels[:WATCHED])
    deviations = [y.std().item() for y in outputs]
    squares = [g.square().mean().item() for g in gradients]
    state["diverged"] = not np.isfinite(deviations + squares).all()
    if state["diverged"]:
        return
    history = state["history"]
    history["updates"].append(state["updates"])
    history["error"].append(_rounded(_error(network, x[:CURVE], labels[:CURVE])))
    history["std"].append([_rounded(value) for value in deviations])
    history["p98"].append([_rounded(_percentile(y, 0.98)) for y in outputs])
    history["gradient"].append([_rounded(value) for value in squares])
    if not state["jacobian"]:
        state["jacobian"].append(_mean_singular_value(network, x[:1]))


def _watch(network: torch.nn.Sequential, x: Tensor, labels: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return activations, and derivatives of each example's loss to pre-activations, by hidden layer."""
    sums: list[Tensor] = []
    outputs: list[Tensor] = []
    for module in network:
        x = module(x)
        (sums if isinstance(module, torch.nn.Linear) else outputs).append(x)
    loss = cross_entropy(x, labels, reduction="sum")
    return [y.detach() for y in outputs], list(torch.autograd.grad(loss, sums[:-1]))


def _percentile(y: Tensor, part: float) -> float:
    # Of 300,000 numbers: 3 ms, where torch.quantile takes 20.
    flat = y.flatten().numpy()
    index = int(part * (flat.size - 1))
    return float(np.partition(flat, index)[index])


def _mean_singular_value(network: torch.nn.Sequential, x: Tensor) -> float | None:
    """Return the mean singular value of the Jacobians from one hidden layer to the next, at one example.

    Of up to `LAYERS_SHOWN` layers. None if there is one hidden layer.
    """
    values = []
    layers = list(network)
    shown = {2 * layer for layer in _shown(len(layers) // 2) if layer}
    for i in range(0, len(layers) - 1, 2):
        total = layers[i](x).detach().requires_grad_()
        y = layers[i + 1](total)
        if i in shown:
            (slope,) = torch.autograd.grad(y.sum(), total)
            values.append(torch.linalg.svdvals(slope.T * layers[i].weight.detach()).mean().item())
        x = y.detach()
    return _rounded(float(np.mean(values))) if values else None


def _shown(depth: int) -> list[int]:
    """Return the numbers of some layers, from 0, the first and the last among them."""
    return sorted({round(i) for i in np.linspace(0, depth - 1, min(depth, LAYERS_SHOWN))})


def _error(network: torch.nn.Sequential, x: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        wrong = sum(
            int((network(part).argmax(1) != label).sum())
            for part, label in zip(x.split(CURVE), labels.split(CURVE), strict=True)
        )
    return wrong / len(labels)


def _result(network: torch.nn.Sequential, source: Source, state: State) -> Result:
    """Take a closing look, and put what it shows beside what was seen on the way."""
    valid_error = test_error = None
    histograms: list[Histogram] = []
    if not state["diverged"]:
        outputs, _ = _watch(network, source.test[0][:WATCHED], source.test[1][:WATCHED])
        if state["updates"]:
            state["jacobian"].append(_mean_singular_value(network, source.test[0][:1]))
        valid_error, test_error = _error(network, *source.valid), _error(network, *source.test)
        histograms = [_histogram(layer, outputs[layer]) for layer in _shown(len(outputs))]
    return {
        "dataset": source.name,
        **state,
        "valid_error": valid_error,
        "test_error": test_error,
        "histograms": histograms,
    }


def _histogram(layer: int, y: Tensor) -> Histogram:
    low, high = math.floor(y.min().item() * 10) / 10, math.ceil(y.max().item() * 10) / 10
    counts, _ = np.histogram(y.numpy(), BINS, (low, high))
    return {"layer": layer + 1, "low": low, "high": high, "counts": counts.tolist()}


def _rounded(value: float) -> float:
    """Keep five digits: results are kept as text."""
    return float(f"{value:.5g}")


def _save(path: Path, trial: Trial, network: torch.nn.Module, descent: Descent, state: State) -> None:
    buffer = io.BytesIO()
    torch.save(
        {
            "trial": asdict(trial),
            "network": network.state_dict(),
            "velocities": descent.velocities,
            "state": state,
        },
        buffer,
    )
    content = buffer.getbuffer()
    with written_whole(path, overwrite=True) as file:
        file.write(_MAGIC + hashlib.sha256(content).digest())
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # a name that appears before the data would leave half a checkpoint


def _restored(path: Path, trial: Trial, network: torch.nn.Module, descent: Descent) -> State:
    """Load a checkpoint, if there is one, into the network and its velocities, and return the state."""
    state: State = {
        "updates": 0,
        "seconds": 0.0,
        "diverged": False,
        "jacobian": [],
        "notes": [],
        "history": {"updates": [], "error": [], "std": [], "p98": [], "gradient": []},
    }
    if not path.exists():
        return state
    content = path.read_bytes()
    head, digest, body = content[: len(_MAGIC)], content[len(_MAGIC) :][:32], content[len(_MAGIC) + 32 :]
    saved = None
    if head == _MAGIC and hashlib.sha256(body).digest() == digest:
        saved = torch.load(io.BytesIO(body), weights_only=True)
    if saved is None or saved["trial"] != asdict(trial):
        state["notes"].append(f"{path.name} was damaged, so this training began again")
        return state
    network.load_state_dict(saved["network"])
    descent.velocities = saved["velocities"]
    restored: State = saved["state"]
    return restored
