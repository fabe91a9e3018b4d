"""softsign.study.runs: what a trial may be, grids, presets."""

import math
from typing import Any

import pytest

from softsign.study.runs import PRESETS, Trial, grid, preset

#: A small trial.
SMALL: dict[str, Any] = {
    "data": "digits",
    "activation": "softsign",
    "initialization": "critical:0.5",
    "depth": 3,
    "width": 20,
    "batch_size": 10,
    "updates": 150,
    "learning_rate": 0.05,
    "momentum": 0.9,
    "seed": 0,
}


def small(**changes: Any) -> Trial:
    return Trial(**(SMALL | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "swish"}, "activation is 'swish', but must be one of softsign, tanh"),
        (
            {"initialization": "he"},
            "initialization is 'he', but must be one of standard, normalized, pytorch, critical:Q, identity",
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
        ({"learning_rate": 0.0}, "learning_rate is 0.0, but must be a finite number above 0"),
        ({"learning_rate": math.inf}, "learning_rate is inf"),
        ({"momentum": 1.0}, "momentum is 1.0, but must be from 0 to below 1"),
    ],
)
def test_impossible_trials_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        small(**changes)


def test_grid_combines_each_with_each() -> None:
    arguments = dict(
        SMALL,
        activations=["tanh", "relu"],
        initializations=["standard"],
        depths=[1, 2],
        learning_rates=[0.1],
        seeds=[0, 1, 1],
    )
    for name in ("activation", "initialization", "depth", "learning_rate", "seed"):
        del arguments[name]
    found = grid(**arguments)
    assert len(found) == len(set(found)) == 8
    assert {(trial.activation, trial.depth, trial.seed) for trial in found} == {
        (activation, depth, seed) for activation in ("tanh", "relu") for depth in (1, 2) for seed in (0, 1)
    }
    assert len({trial.name for trial in found}) == 8
    with pytest.raises(ValueError, match="learning_rates is empty, but must have one item or more"):
        grid(**arguments | {"learning_rates": []})


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name: str) -> None:
    found = preset(name)
    assert len(found) == len({trial.name for trial in found})
    changed = preset(name, width=7, seeds=[3])
    assert {(trial.width, trial.seed) for trial in changed} == {(7, 3)}


def test_the_papers_preset_is_its_protocol() -> None:
    for trial in preset("paper"):
        assert (trial.width, trial.batch_size, trial.updates, trial.momentum) == (1000, 10, 5_000_000, 0)
    assert {trial.depth for trial in preset("paper")} == {1, 2, 3, 4, 5}


def test_unknown_preset() -> None:
    with pytest.raises(ValueError, match="preset is 'huge', but must be one of quick, deep, paper"):
        preset("huge")
