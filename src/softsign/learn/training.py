"""One network of the training study: built, initialized, trained, watched, and resumed exactly where it stopped.

`train` is all of it. The networks are those of Glorot and Bengio (2010): fully connected, one activation function
throughout, softmax and negative log-likelihood on top, trained by stochastic gradient descent. Needs PyTorch.

References
----------
X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
H. Lee, H. Choi and H. Kim, "Robust weight initialization for tanh neural networks with fixed point analysis", 2024,
arXiv 2410.02242.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import itertools
import math
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from softsign._files import written_whole
from softsign.learn import datasets, shapeset
from softsign.torch import init
from softsign.torch.nn import Softsign

__all__ = [
    "ACTIVATIONS",
    "INITIALIZATIONS",
    "Run",
    "Source",
    "build",
    "check_data",
    "checkpoint_path",
    "load_source",
    "train",
]

#: An endless iterator over examples and labels.
Batches: TypeAlias = Generator[tuple[Tensor, Tensor], None, None]
#: JSON-like: what `train` returns.
Result: TypeAlias = dict[str, Any]

WATCHED = 300  # test examples on which activations and gradients are watched, as in the paper
CURVE = 1000  # test examples that the error is measured on meanwhile; at the end it is all of them
LEAST_RECORDS, MOST_RECORDS = 10, 100  # over a training, the start and the end not counted twice
RECORD_COST = 0.08  # largest part of the training's arithmetic that the records between may take
HELD_OUT = 10_000  # images of Shapeset for validation, and as many for the test
LAYERS_SHOWN = 5  # of which histograms and singular values are kept
BINS = 80

SAVE_EVERY = 60.0  # seconds between checkpoints
REPORT_EVERY = 0.5  # seconds between reports
_MAGIC = b"softsign checkpoint 1\n"


class ISRU(torch.nn.Module):
    """The inverse square root unit x / sqrt(1 + x**2), with softsign's range and tanh's smoothness."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x / sqrt(1 + x**2)."""
        return x * torch.rsqrt(1 + x * x)


ACTIVATIONS: dict[str, Callable[[], torch.nn.Module]] = {
    "softsign": Softsign,
    "tanh": torch.nn.Tanh,
    "sigmoid": torch.nn.Sigmoid,
    "relu": torch.nn.ReLU,
    "isru": ISRU,
}

#: What each rule is.
INITIALIZATIONS = {
    "standard": "U(±1/√fan_in), biases 0: the usual rule of 2010",
    "normalized": "U(±√6/√(fan_in + fan_out)), biases 0: of Glorot and Bengio, also known as Xavier's",
    "pytorch": "U(±1/√fan_in), biases too: the default of torch.nn.Linear",
    "critical": "normal, on the edge of chaos, with pre-activations of variance Q",
    "identity": "unit matrices plus normal noise of deviation A/√fan_in, biases 0: of Lee, Choi and Kim",
}
#: Those that are followed by a number, as in "critical:0.5" and "identity:0.085".
NUMBERED = {"critical": "critical:Q", "identity": "identity:A"}


@dataclass(frozen=True)
class Run:
    """What to train, and how. Two trainings of equal runs on one machine give equal bits.

    Attributes
    ----------
    data : str
        "shapeset", "digits", or a folder for `softsign.learn.datasets.load`.
    activation : str
        One of `ACTIVATIONS`.
    initialization : str
        One of `INITIALIZATIONS`; "critical:0.5" for q = 0.5, "identity:0.085" for noise of deviation 0.085/sqrt(fan_in).
    depth, width : int
        Hidden layers, and units in each, 1 or more.
    batch, updates : int
        Examples per update, 1 or more; updates, 0 or more.
    rate, momentum : float
        Learning rate, above 0, and momentum, from 0 to below 1.
    seed : int
        Of the weights and of the order of the examples, 0 or more.

    Raises
    ------
    ValueError
        If an attribute is out of its range.
    """

    data: str
    activation: str
    initialization: str
    depth: int
    width: int
    batch: int
    updates: int
    rate: float
    momentum: float
    seed: int

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation is {self.activation!r}, but must be one of {', '.join(ACTIVATIONS)}"
            )
        _split(self.initialization)
        for name, least in (("depth", 1), ("width", 1), ("batch", 1), ("updates", 0), ("seed", 0)):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < least:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, but must be an integer of {least} or more"
                )
        if not 0 < self.rate < math.inf:
            raise ValueError(f"rate is {self.rate!r}, but must be a finite number above 0")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum!r}, but must be from 0 to below 1")

    @property
    def name(self) -> str:
        """A name for files; runs of one study differ in it."""
        rule = self.initialization.replace(":", "")
        return (
            f"{self.activation}-{rule}-{self.depth}x{self.width}-{self.updates}x{self.batch}"
            f"-rate{self.rate:g}-momentum{self.momentum:g}-seed{self.seed}"
        )


def _split(initialization: str) -> tuple[str, float]:
    """Return the rule and its number, which is nan for rules that have none."""
    rule, _, given = initialization.partition(":")
    if rule not in INITIALIZATIONS or (rule in NUMBERED) != bool(given):
        allowed = ", ".join(NUMBERED.get(name, name) for name in INITIALIZATIONS)
        raise ValueError(f"initialization is {initialization!r}, but must be one of {allowed}")
    try:
        number = float(given) if given else math.nan
    except ValueError:
        number = -1.0
    if given and not 0 < number <= 100:
        letter = NUMBERED[rule][-1]
        raise ValueError(
            f"initialization is {initialization!r}, but {letter} must be a number above 0 and at most 100"
        )
    return rule, number


class Source(NamedTuple):
    """Where examples come from.

    Attributes
    ----------
    name : str
        Of the data set.
    valid, test : tuple of Tensor
        Images, shape (examples, features) in float32, and their labels, shape (examples,) in int64.
    classes : int
    second_moment : float
        Mean square of the features.
    batches : callable
        ``batches(run, start)`` is an endless iterator from batch number `start` on.
    """

    name: str
    valid: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    classes: int
    second_moment: float
    batches: Callable[[Run, int], Batches]


@functools.lru_cache(1)
def load_source(data: str) -> Source:
    """Load a data set, or make Shapeset's test images.

    Parameters
    ----------
    data : str
        As of `Run`.

    Returns
    -------
    Source

    Raises
    ------
    DatasetError
        As `softsign.learn.datasets.load`.
    """
    if data == "shapeset":
        # Entropy of three words: no stream's seed, which is one, gives these images.
        valid, test = (_held_out(np.random.default_rng([2010, 3, part])) for part in (1, 2))
        moment = valid[0].square().mean().item()
        return Source("Shapeset-3x2", valid, test, len(shapeset.CLASSES), moment, _drawn)
    d = datasets.load(data)
    valid, test, train = (
        (torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(label))
        for x, label in ((d.valid_x, d.valid_label), (d.test_x, d.test_label), (d.train_x, d.train_label))
    )
    moment = train[0].square().mean().item()
    return Source(d.name, valid, test, len(d.classes), moment, functools.partial(_shuffled, *train))


def check_data(runs: Iterable[Run]) -> None:
    """Raise what training would, if the data are missing or damaged, or too few for a batch.

    Parameters
    ----------
    runs : iterable of Run

    Raises
    ------
    DatasetError
        As `load_source`.
    ValueError
        If a batch is larger than the training set.
    """
    for run in {(run.data, run.batch): run for run in runs if run.data != "shapeset"}.values():
        next(load_source(run.data).batches(run, 0))


def _held_out(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    images, labels = shapeset.generate(rng, HELD_OUT)
    return torch.from_numpy(images.reshape(HELD_OUT, -1)), torch.from_numpy(labels)


def _drawn(run: Run, start: int) -> Batches:
    with shapeset.Stream(run.batch, run.seed, workers=1, start=start) as stream:
        for images, labels in stream:
            yield torch.from_numpy(images), torch.from_numpy(labels)


def _shuffled(x: Tensor, labels: Tensor, run: Run, start: int) -> Batches:
    """Go through the examples in a new order each time; those that do not fill a batch wait for the next."""
    if run.batch > len(x):
        raise ValueError(f"batch is {run.batch}, but must be at most the {len(x)} training examples")
    first, skip = divmod(start, len(x) // run.batch)
    for epoch in itertools.count(first):
        order = torch.from_numpy(np.random.default_rng([run.seed, epoch]).permutation(len(x)))
        for rows in order.split(run.batch)[skip : len(x) // run.batch]:
            yield x[rows], labels[rows]
        skip = 0


def build(run: Run, features: int, classes: int, second_moment: float) -> torch.nn.Sequential:
    """Build and initialize a network: linear layers with the activation in between.

    Parameters
    ----------
    run : Run
    features, classes : int
        Units at the bottom and at the top.
    second_moment : float
        Mean square of the features, which the critical rule takes into account.

    Returns
    -------
    Sequential

    Notes
    -----
    The critical rule for functions other than softsign solves the same two equations, with moments by quadrature. For ReLU
    that is He's rule. The sigmoid is centered: its mean is taken out of the biases of the next layer, which makes it the
    network of tanh(x/2)/2; without that no critical point has a small q.

    Examples
    --------
    >>> build(Run("digits", "tanh", "standard", 1, 20, 10, 100, 0.1, 0.0, 0), 64, 10, 1.0)
    Sequential(
      (0): Linear(in_features=64, out_features=20, bias=True)
      (1): Tanh()
      (2): Linear(in_features=20, out_features=10, bias=True)
    )
    """
    widths = [features] + [run.width] * run.depth + [classes]
    layers = [torch.nn.utils.skip_init(torch.nn.Linear, *pair) for pair in itertools.pairwise(widths)]
    generator = torch.Generator().manual_seed(run.seed)
    rule, number = _split(run.initialization)
    if rule == "identity":
        for layer in layers:
            _fill_identity(layer, number, generator)
    elif rule != "critical":
        for layer in layers:
            _fill_uniform(layer, rule, generator)
    elif run.activation == "softsign":
        init.critical_(layers, number, second_moment, generator=generator)
    else:
        _fill_critical(layers, run.activation, number, second_moment, generator)
    modules: list[torch.nn.Module] = []
    for layer in layers:
        modules += [layer, ACTIVATIONS[run.activation]()]
    return torch.nn.Sequential(*modules[:-1])


def _fill_uniform(layer: torch.nn.Linear, rule: str, generator: torch.Generator) -> None:
    bound = (
        math.sqrt(6 / (layer.in_features + layer.out_features))
        if rule == "normalized"
        else layer.in_features**-0.5
    )
    torch.nn.init.uniform_(layer.weight, -bound, bound, generator)
    if rule == "pytorch":
        torch.nn.init.uniform_(layer.bias, -bound, bound, generator)
    else:
        torch.nn.init.zeros_(layer.bias)


def _fill_identity(layer: torch.nn.Linear, alpha: float, generator: torch.Generator) -> None:
    """Let unit i copy input i, counted modulo the number of inputs, and add noise to the weights."""
    torch.nn.init.normal_(layer.weight, 0.0, alpha * layer.in_features**-0.5, generator)
    torch.nn.init.zeros_(layer.bias)
    units = torch.arange(layer.out_features)
    with torch.no_grad():
        layer.weight[units, units % layer.in_features] += 1


def _fill_critical(
    layers: list[torch.nn.Linear], activation: str, q: float, second_moment: float, generator: torch.Generator
) -> None:
    z = torch.linspace(-10, 10, 4000, dtype=torch.float64)  # an even number: ReLU's kink is at no node
    weights = torch.softmax(-z * z / 2, 0)
    x = (math.sqrt(q) * z).requires_grad_()
    y = ACTIVATIONS[activation]()(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    center = (weights @ y.detach()).item() if activation == "sigmoid" else 0.0
    square, slope_square = (weights @ (y.detach() - center) ** 2).item(), (weights @ slope**2).item()
    bias_variance = max(q - square / slope_square, 0.0)  # ReLU's is 0, but for rounding
    for layer in layers:
        variance = (
            (q - bias_variance) / second_moment / layer.in_features
            if layer is layers[0]
            else 1 / slope_square / layer.in_features
        )
        torch.nn.init.normal_(layer.weight, 0.0, math.sqrt(variance), generator)
        torch.nn.init.normal_(layer.bias, 0.0, math.sqrt(bias_variance), generator)
        if layer is not layers[0]:
            with torch.no_grad():
                layer.bias -= center * layer.weight.sum(1)


def train(run: Run, folder: str | os.PathLike[str], report: Callable[[int], None] | None = None) -> Result:
    """Train a network, or go on from its checkpoint. One thread of PyTorch does it.

    Parameters
    ----------
    run : Run
    folder : path-like
        Where the checkpoint is, ``run.name + ".checkpoint"``. It is written once a minute, and left there for who keeps the
        result to remove: until that is safe, it is what the result can be had from again.
    report : callable, optional
        Called about twice a second as ``report(updates)``. An exception that it raises ends the training, after a
        checkpoint.

    Returns
    -------
    dict
        Of JSON's types: dataset (its name), updates, seconds, diverged (whether a number stopped being finite, which ends the training),
        valid_error, test_error (parts of 1), jacobian (mean singular value of the layers' Jacobians, before and after),
        histograms (of the activations in up to five layers), notes (what the user should know), and history, a
        dict of lists with one item per record: updates, error (on 1000 test examples), and by layer std and p98
        (standard deviation and 98th percentile of the activations) and gradient (mean square of the derivative of
        an example's loss with respect to the pre-activations).

    Raises
    ------
    DatasetError
        As `load_source`.
    OSError
        If the checkpoint cannot be written. The one before is kept.

    Examples
    --------
    >>> import tempfile
    >>> run = Run("digits", "softsign", "critical:0.5", 2, 50, 20, 200, 0.1, 0.0, 0)
    >>> result = train(run, tempfile.gettempdir())
    >>> result["updates"], result["test_error"] < 0.2
    (200, True)
    """
    source = load_source(run.data)
    network = build(run, source.test[0].shape[1], source.classes, source.second_moment)
    optimizer = torch.optim.SGD(network.parameters(), run.rate, run.momentum)
    checkpoint = checkpoint_path(run, folder)
    state = _restored(checkpoint, run, network, optimizer)
    with _one_thread():
        _optimize(run, source, network, optimizer, state, checkpoint, report)
        return {"dataset": source.name} | state | _closing_look(network, source, state)


def checkpoint_path(run: Run, folder: str | os.PathLike[str]) -> Path:
    """Return where `train` keeps the checkpoint of a run.

    Parameters
    ----------
    run : Run
    folder : path-like

    Returns
    -------
    Path
    """
    return Path(folder, f"{run.name}.checkpoint")


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread: runs side by side use the cores better, and the bits do not depend on how many there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _optimize(
    run: Run,
    source: Source,
    network: torch.nn.Sequential,
    optimizer: torch.optim.Optimizer,
    state: Result,
    checkpoint: Path,
    report: Callable[[int], None] | None,
) -> None:
    """Train from ``state["updates"]`` on; `state` is what a checkpoint holds besides the parameters."""
    due = _due(run, len(source.test[0]))
    history = state["history"]
    began = monotonic() - state["seconds"]
    saved = reported = monotonic()
    with contextlib.closing(source.batches(run, state["updates"])) as batches:
        for updates in range(state["updates"], run.updates + 1):
            state["updates"] = updates
            if updates in due and updates not in history["updates"][-1:]:
                _record(network, source, state)
            now = monotonic()
            state["seconds"] = now - began
            if now - saved >= SAVE_EVERY:
                _save(checkpoint, run, network, optimizer, state)
                saved = now
            if report and now - reported >= REPORT_EVERY:
                try:
                    report(updates)
                except BaseException:
                    _save(checkpoint, run, network, optimizer, state)
                    raise
                reported = now
            if state["diverged"] or updates == run.updates:
                break
            x, labels = next(batches)
            optimizer.zero_grad()
            cross_entropy(network(x), labels).backward()
            optimizer.step()


def _due(run: Run, tests: int) -> set[int]:
    """Return the updates before which to look at the network: evenly spaced, the start and the end among them."""
    # In forward passes of an example, of which a backward pass is worth two.
    cost = 3 * WATCHED + min(CURVE, tests)
    affordable = RECORD_COST * 3 * run.batch * run.updates / cost
    records = round(min(max(affordable, LEAST_RECORDS), MOST_RECORDS))
    return {run.updates * i // records for i in range(records + 1)}


def _record(network: torch.nn.Sequential, source: Source, state: Result) -> None:
    x, labels = source.test
    outputs, gradients = _watch(network, x[:WATCHED], labels[:WATCHED])
    seen = {
        "updates": state["updates"],
        "error": _error(network, x[:CURVE], labels[:CURVE]),
        "std": [y.std().item() for y in outputs],
        "p98": [_percentile(y, 0.98) for y in outputs],
        "gradient": [g.square().mean().item() for g in gradients],
    }
    state["diverged"] = not np.isfinite(np.array([seen["std"], seen["gradient"]])).all()
    if state["diverged"]:
        return
    for name, value in seen.items():
        state["history"][name].append(_rounded(value))
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


def _closing_look(network: torch.nn.Sequential, source: Source, state: Result) -> Result:
    if state["diverged"]:
        return {"valid_error": None, "test_error": None, "histograms": []}
    outputs, _ = _watch(network, source.test[0][:WATCHED], source.test[1][:WATCHED])
    if state["updates"]:
        state["jacobian"].append(_mean_singular_value(network, source.test[0][:1]))
    return {
        "valid_error": _error(network, *source.valid),
        "test_error": _error(network, *source.test),
        "histograms": [_histogram(layer, outputs[layer]) for layer in _shown(len(outputs))],
    }


def _histogram(layer: int, y: Tensor) -> Result:
    low, high = math.floor(y.min().item() * 10) / 10, math.ceil(y.max().item() * 10) / 10
    counts, _ = np.histogram(y.numpy(), BINS, (low, high))
    return {"layer": layer + 1, "low": low, "high": high, "counts": counts.tolist()}


def _rounded(value: Any) -> Any:
    """Keep five digits: results are committed as text."""
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _save(
    path: Path, run: Run, network: torch.nn.Module, optimizer: torch.optim.Optimizer, state: Result
) -> None:
    buffer = io.BytesIO()
    torch.save(
        {
            "run": asdict(run),
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
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


def _restored(path: Path, run: Run, network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Result:
    """Load a checkpoint into the network and the optimizer, and return its state; a new state if there is none."""
    state: Result = {
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
    if saved is None or saved["run"] != asdict(run):
        state["notes"].append(f"{path.name} was damaged, so this run began again")
        return state
    network.load_state_dict(saved["network"])
    optimizer.load_state_dict(saved["optimizer"])
    restored: Result = saved["state"]
    return restored
