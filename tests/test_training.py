"""softsign.learn.training: rules of initialization, what is watched, and resuming to the bit."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import softsign
from softsign.learn import datasets, training
from softsign.learn.training import ACTIVATIONS, Run, build, checkpoint_path, load_source, train
from tests.helpers import run_python

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

SMALL: dict[str, Any] = {
    "data": "digits",
    "activation": "softsign",
    "initialization": "critical:0.5",
    "depth": 3,
    "width": 20,
    "batch": 10,
    "updates": 150,
    "rate": 0.05,
    "momentum": 0.9,
    "seed": 0,
}


def small(**changes: Any) -> Run:
    return Run(**(SMALL | changes))


def without_time(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name != "seconds"}


class StopError(Exception):
    """Ends a run."""


def stop_at(update: int) -> Callable[[int], None]:
    def report(updates: int) -> None:
        if updates >= update:
            raise StopError

    return report


@pytest.fixture
def reports_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "REPORT_EVERY", 0.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "swish"}, "activation is 'swish', but must be one of softsign, tanh"),
        (
            {"initialization": "he"},
            "initialization is 'he', but must be one of standard, normalized, pytorch, critical:Q, identity:A",
        ),
        ({"initialization": "critical"}, "critical:Q"),
        ({"initialization": "standard:1"}, "critical:Q"),
        ({"initialization": "critical:0"}, "Q must be a number above 0 and at most 100"),
        ({"initialization": "critical:x"}, "Q must be a number above 0"),
        ({"initialization": "critical:nan"}, "Q must be a number above 0"),
        ({"initialization": "identity"}, "identity:A"),
        ({"initialization": "identity:-1"}, "A must be a number above 0 and at most 100"),
        ({"depth": 0}, "depth is 0, but must be an integer of 1 or more"),
        ({"width": 2.5}, "width is 2.5"),
        ({"updates": -1}, "updates is -1, but must be an integer of 0 or more"),
        ({"rate": 0.0}, "rate is 0.0, but must be a finite number above 0"),
        ({"rate": math.inf}, "rate is inf"),
        ({"momentum": 1.0}, "momentum is 1.0, but must be from 0 to below 1"),
    ],
)
def test_impossible_runs_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        small(**changes)


@pytest.mark.parametrize(
    ("rule", "weight_variance", "bias_bound"),
    [("standard", 1 / 900, 0), ("normalized", 2 / 900, 0), ("pytorch", 1 / 900, 300**-0.5)],
)
def test_uniform_rules(rule: str, weight_variance: float, bias_bound: float) -> None:
    network = build(small(initialization=rule, width=300), 100, 10, 1.0)
    layer = network[2]
    assert layer.weight.var().item() == pytest.approx(2 / 600 if rule == "normalized" else 1 / 900, rel=0.02)
    assert layer.weight.abs().max().item() <= math.sqrt(3 * layer.weight.var().item()) * 1.01
    assert layer.bias.abs().max().item() <= bias_bound
    assert (layer.bias.abs().max().item() > 0.9 * bias_bound) == (bias_bound > 0)
    first = network[0].weight.var().item()
    assert first == pytest.approx(2 / 400 if rule == "normalized" else 1 / 300, rel=0.05)


def test_identity_rule() -> None:
    network = build(small(initialization="identity:0.3", width=300), 100, 10, 1.0)
    for layer in network[::2]:
        unit = np.eye(layer.in_features)[np.arange(layer.out_features) % layer.in_features]
        noise = layer.weight.detach().numpy() - unit
        assert noise.std() * layer.in_features**0.5 == pytest.approx(0.3, rel=0.03)
        assert abs((noise * unit).sum() / unit.sum()) < 0.05
        assert not layer.bias.any()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_critical_rule_of_each_activation(activation: str) -> None:
    """Twelve layers of width 300, twelve networks: variances stay, by the mean-field equations of each function."""
    q, ratios, squares = 0.5, [], []
    generator = torch.Generator().manual_seed(1)
    for seed in range(12):
        run = small(activation=activation, initialization=f"critical:{q}", depth=12, width=300, seed=seed)
        network = build(run, 100, 10, 4.0)
        x = 2 * torch.randn(300, 100, generator=generator)
        sums = []
        for module in network:
            x = module(x)
            if isinstance(module, torch.nn.Linear):
                sums.append(x)
        hidden = sums[:-1]
        squares.append([h.square().mean().item() for h in hidden])
        top = torch.randn(hidden[-1].shape, generator=generator)
        gradients = torch.autograd.grad(hidden[-1], hidden, top)
        ratios.append(gradients[0].square().mean().item() / gradients[-1].square().mean().item())
    # Without biases, ReLU's networks keep what variance the first layers happen to have.
    assert np.mean(squares, axis=0) == pytest.approx([q] * 12, rel=0.3)
    assert 0.7 < np.mean(ratios) < 1.5


def test_softsign_is_initialized_by_the_house_rule() -> None:
    from softsign.torch import init

    run = small()
    network = build(run, 64, 10, 2.0)
    other = [torch.nn.Linear(*shape) for shape in ((64, 20), (20, 20), (20, 20), (20, 10))]
    init.critical_(other, 0.5, 2.0, generator=torch.Generator().manual_seed(0))
    for mine, theirs in zip(network[::2], other, strict=True):
        assert torch.equal(mine.weight, theirs.weight)
        assert torch.equal(mine.bias, theirs.bias)


def test_equal_runs_give_equal_results(tmp_path: Path) -> None:
    results = [train(small(), tmp_path) for _ in range(2)]
    assert without_time(results[0]) == without_time(results[1])
    assert list(tmp_path.iterdir()) == []
    assert without_time(train(small(seed=1), tmp_path)) != without_time(results[0])


def test_it_learns(tmp_path: Path) -> None:
    result = train(small(width=100, updates=600), tmp_path)
    assert result["test_error"] < 0.08
    assert result["valid_error"] < 0.1
    assert result["history"]["error"][0] > 0.7
    assert result["history"]["updates"] == [60 * i for i in range(11)]
    assert [h["layer"] for h in result["histograms"]] == [1, 2, 3]
    assert all(sum(h["counts"]) == 300 * 100 for h in result["histograms"])


@pytest.mark.parametrize(
    ("rule", "low", "high"), [("critical:0.1", 0, 0.15), ("normalized", 0.4, 1), ("pytorch", 0.85, 1)]
)
def test_fifty_layers(tmp_path: Path, rule: str, low: float, high: float) -> None:
    """At a quarter of the width and a third of the updates of the study's deep preset."""
    run = small(initialization=rule, depth=50, width=64, batch=50, updates=400, rate=0.002)
    assert low <= train(run, tmp_path)["test_error"] <= high


@pytest.mark.usefixtures("reports_always")
@pytest.mark.parametrize(
    ("changes", "stops"),
    [
        ({}, (1, 15, 16, 149)),
        ({"data": "shapeset", "momentum": 0.0, "batch": 7}, (100,)),
        ({"updates": 250}, (108, 215)),  # where an epoch ends
    ],
)
def test_a_stopped_run_goes_on_to_the_bit(
    tmp_path: Path, changes: dict[str, Any], stops: tuple[int, ...]
) -> None:
    run = small(**changes)
    whole = train(run, tmp_path)
    for stop in stops:
        with pytest.raises(StopError):
            train(run, tmp_path, stop_at(stop))
        assert [file.name for file in tmp_path.iterdir()] == [checkpoint_path(run, tmp_path).name]
    assert without_time(train(run, tmp_path)) == without_time(whole)
    assert list(tmp_path.iterdir()) == [checkpoint_path(run, tmp_path)]  # until the result is kept


@pytest.mark.usefixtures("reports_always")
@pytest.mark.parametrize("damage", ["truncated", "changed", "empty", "another run's"])
def test_a_damaged_checkpoint_is_told_and_not_used(tmp_path: Path, damage: str) -> None:
    run = small()
    whole = train(run, tmp_path)
    with pytest.raises(StopError):
        train(small(seed=1) if damage == "another run's" else run, tmp_path, stop_at(100))
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= damage == "changed"
    kept = {"truncated": len(content) - 1, "empty": 0}.get(damage, len(content))
    Path(tmp_path, f"{run.name}.checkpoint").write_bytes(content[:kept])
    result = train(run, tmp_path)
    assert result.pop("notes") == [f"{run.name}.checkpoint was damaged, so this run began again"]
    assert without_time(result) | {"notes": []} == without_time(whole)


def test_checkpoints_are_written_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies there when the process is killed is enough to go on, whatever moment that is."""
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(training, "REPORT_EVERY", 0.0)
    run = small()
    whole = train(run, tmp_path)
    kept: list[bytes] = []
    train(run, tmp_path, lambda updates: kept.append((tmp_path / f"{run.name}.checkpoint").read_bytes()))
    for content in kept[::40]:
        (tmp_path / f"{run.name}.checkpoint").write_bytes(content)
        assert without_time(train(run, tmp_path)) == without_time(whole)


FULL_DISK = """
import pathlib, resource, signal
from softsign.learn import training
from tests.test_training import small, stop_at, StopError
training.REPORT_EVERY = 0.0
folder = pathlib.Path({folder!r})
try:
    training.train(small(), folder, stop_at(50))
except StopError:
    pass
(file,) = folder.iterdir()
before = file.read_bytes()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
try:
    training.train(small(), folder, stop_at(100))
except OSError as error:
    print(error.filename, "|", error.strerror)
print(list(folder.iterdir()) == [file], file.read_bytes() == before)
"""


def test_no_space_for_a_checkpoint(tmp_path: Path) -> None:
    """The operating system refuses to write on, as when a disk is full: an error names the file, and the old one is kept."""
    run = small()
    done = run_python(FULL_DISK.format(folder=str(tmp_path)), PYTHONWARNINGS="ignore")
    assert done.stdout.splitlines() == [
        f"{tmp_path / run.name}.checkpoint | File too large",
        "True True",
    ], done.stderr
    resumed = train(run, tmp_path)
    assert without_time(resumed) == without_time(train(run, tmp_path / "new"))


def test_divergence_ends_a_run(tmp_path: Path) -> None:
    result = train(small(activation="relu", rate=1e9), tmp_path)
    assert result["diverged"]
    assert result["test_error"] is None
    assert result["updates"] < 150
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_what_is_watched(activation: str) -> None:
    """Against the definitions, in float64."""
    network = build(small(activation=activation, initialization="normalized"), 64, 10, 1.0).double()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 64, dtype=torch.float64, generator=generator)
    labels = torch.randint(10, (50,), generator=generator)
    outputs, gradients = training._watch(network, x, labels)
    functions: dict[str, Callable[[Any], Any]] = {
        "softsign": softsign.softsign,
        "tanh": np.tanh,
        "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
        "relu": lambda v: np.maximum(v, 0),
        "isru": lambda v: v / np.sqrt(1 + v * v),
    }
    slopes: dict[str, Callable[[Any], Any]] = {
        "softsign": softsign.derivative,
        "tanh": lambda v: 1 - np.tanh(v) ** 2,
        "sigmoid": lambda v: np.exp(-v) / (1 + np.exp(-v)) ** 2,
        "relu": lambda v: (v > 0) * 1.0,
        "isru": lambda v: (1 + v * v) ** -1.5,
    }
    weights = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in network[::2]]
    y, sums = x.numpy(), []
    for weight, bias in weights:
        sums.append(y @ weight.T + bias)
        y = functions[activation](sums[-1])
    p = np.exp(sums[-1]) / np.exp(sums[-1]).sum(1, keepdims=True)
    gradient = p - np.eye(10)[labels.numpy()]
    for i in (2, 1, 0):
        gradient = (gradient @ weights[i + 1][0]) * slopes[activation](sums[i])
        np.testing.assert_allclose(outputs[i].numpy(), functions[activation](sums[i]), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(gradients[i].numpy(), gradient, rtol=1e-6, atol=1e-12)
    jacobians = [slopes[activation](sums[i][0])[:, np.newaxis] * weights[i][0] for i in (1, 2)]
    mean = np.mean([np.linalg.svd(jacobian, compute_uv=False).mean() for jacobian in jacobians])
    assert training._mean_singular_value(network, x[:1]) == pytest.approx(mean, rel=1e-4)


def test_singular_values_of_the_paper() -> None:
    """Glorot and Bengio: about 0.5 with the standard and 0.8 with the normalized initialization, tanh, width 1000."""
    values = []
    for rule in ("standard", "normalized"):
        network = build(small(activation="tanh", initialization=rule, depth=5, width=1000), 64, 10, 1.0)
        x, _ = load_source("digits").test
        values.append(training._mean_singular_value(network, x[:1]))
    assert values == pytest.approx([0.5, 0.8], abs=0.05)


def test_percentile_is_numpys() -> None:
    y = torch.randn(300, 101, generator=torch.Generator().manual_seed(0))
    assert training._percentile(y, 0.98) == np.percentile(y.numpy(), 98, method="lower")


@given(st.integers(0, 300), st.integers(1, 200), st.integers(0, 5))
@settings(max_examples=30)
def test_batches_do_not_depend_on_where_one_starts(start: int, batch: int, seed: int) -> None:
    run, source = small(batch=batch, seed=seed), load_source("digits")
    ahead, there = source.batches(run, 0), source.batches(run, start)
    for _ in range(start):
        next(ahead)
    for (x, labels), (other, other_labels) in zip((next(ahead) for _ in range(3)), there, strict=False):
        assert torch.equal(x, other)
        assert torch.equal(labels, other_labels)
        assert len(x) == batch


def test_an_epoch_has_each_example_once() -> None:
    run = small(batch=77)  # 14 batches are all 1078 scans
    batches = load_source("digits").batches(run, 14)
    rows = torch.cat([next(batches)[0] for _ in range(14)])
    train_x = datasets.read_digits().train_x
    assert np.array_equal(np.sort(rows.numpy(), axis=0), np.sort(train_x, axis=0))
    assert not np.array_equal(rows.numpy(), train_x)


def test_shapeset_is_balanced_and_held_out() -> None:
    source = load_source("shapeset")
    assert source.name == "Shapeset-3x2"
    assert source.valid[0].shape == source.test[0].shape == (10_000, 1024)
    assert not torch.equal(source.valid[0], source.test[0])
    most = torch.bincount(source.test[1]).max().item()
    assert most / 10_000 == pytest.approx(1 / 6, abs=0.015)


@given(st.integers(0, 10**7), st.integers(1, 100), st.integers(1, 10_000))
def test_records_are_even_and_affordable(updates: int, batch: int, tests: int) -> None:
    due = sorted(training._due(small(updates=updates, batch=batch), tests))
    assert due[0] == 0
    assert due[-1] == updates
    steps = np.diff(due)
    assert not steps.size or steps.max() - steps.min() <= 1
    assert len(due) <= training.MOST_RECORDS + 1
    if len(due) - 1 > training.LEAST_RECORDS:
        cost = (len(due) - 1) * (3 * training.WATCHED + min(training.CURVE, tests))
        assert cost <= 1.1 * training.RECORD_COST * 3 * batch * updates


def test_batch_larger_than_the_training_set() -> None:
    with pytest.raises(ValueError, match="batch is 2000, but must be at most the 1078 training examples"):
        training.check_data([small(batch=2000)])
