"""What a training study trains, and what comes of it: trials, grids, presets, results. Needs no PyTorch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

__all__ = [
    "ACTIVATIONS",
    "INITIALIZATIONS",
    "NUMBERED",
    "PRESETS",
    "Histogram",
    "History",
    "Result",
    "Trial",
    "check_batch_size",
    "grid",
    "preset",
    "split",
]

#: Names of the activation functions.
ACTIVATIONS = ("softsign", "tanh", "sigmoid", "relu", "isru")

#: Rules of initialization, with a line on each.
INITIALIZATIONS = {
    "standard": "U(±1/√fan_in), biases 0: the usual rule of 2010",
    "normalized": "U(±√6/√(fan_in + fan_out)), biases 0: of Glorot and Bengio, also known as Xavier's",
    "pytorch": "U(±1/√fan_in), biases too: the default of torch.nn.Linear",
    "critical": "normal, on the edge of chaos, with pre-activations of variance Q",
    "identity": "unit matrices plus normal noise of deviation A/√fan_in, biases 0: of Lee, Choi and Kim",
}
#: Rules that are followed by a number, as in "critical:0.5" and "identity:0.085".
NUMBERED = {"critical": "critical:Q", "identity": "identity:A"}


@dataclass(frozen=True)
class Trial:
    """One training: what to train, and how. Trainings of equal trials on one machine give equal bits.

    Attributes
    ----------
    data : str
        "shapeset", "digits", or a folder for `softsign.data.files.load`.
    activation : str
        One of `ACTIVATIONS`.
    initialization : str
        One of `INITIALIZATIONS`; "critical:0.5" for q = 0.5, "identity:0.085" for noise of deviation
        0.085/sqrt(fan_in).
    depth : int
        Number of hidden layers, 1 or more.
    width : int
        Units in each hidden layer, 1 or more.
    batch_size : int
        Examples per update, 1 or more.
    updates : int
        Updates of the weights, 0 or more.
    learning_rate : float
        Length of an update over that of the gradient, above 0.
    momentum : float
        Part of an update that the next one repeats, from 0 to below 1.
    seed : int
        Seed of the weights and of the order of the examples, 0 or more.

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
    batch_size: int
    updates: int
    learning_rate: float
    momentum: float
    seed: int

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation is {self.activation!r}, but must be one of {', '.join(ACTIVATIONS)}"
            )
        split(self.initialization)
        for name, least in (("depth", 1), ("width", 1), ("batch_size", 1), ("updates", 0), ("seed", 0)):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < least:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, but must be an integer of {least} or more"
                )
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate is {self.learning_rate!r}, but must be a finite number above 0")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum!r}, but must be from 0 to below 1")

    @property
    def name(self) -> str:
        """Name for files, in which the trials of one study differ."""
        rule = self.initialization.replace(":", "")
        return (
            f"{self.activation}-{rule}-{self.depth}x{self.width}-{self.updates}x{self.batch_size}"
            f"-rate{self.learning_rate:g}-momentum{self.momentum:g}-seed{self.seed}"
        )

    @property
    def checkpoint(self) -> str:
        """Name of the file with the checkpoint, which is there while there is something to go on from."""
        return f"{self.name}.checkpoint"


class History(TypedDict):
    """What was seen on the way, one item per record in each list.

    Attributes
    ----------
    updates : list of int
        Updates done by then.
    error : list of float
        Error on up to 1000 test examples, from 0 to 1.
    std : list of list of float
        Standard deviation of the activations, by hidden layer.
    p98 : list of list of float
        98th percentile of the activations, by hidden layer.
    gradient : list of list of float
        Mean square of the derivative of an example's loss with respect to the pre-activations, by hidden
        layer.
    """

    updates: list[int]
    error: list[float]
    std: list[list[float]]
    p98: list[list[float]]
    gradient: list[list[float]]


class Histogram(TypedDict):
    """Histogram of the activations of one hidden layer.

    Attributes
    ----------
    layer : int
        Number of the layer, from 1.
    low, high : float
        Ends of the first and the last bin.
    counts : list of int
        Activations in each bin.
    """

    layer: int
    low: float
    high: float
    counts: list[int]


class Result(TypedDict):
    """What came of a trial, in types of JSON.

    Attributes
    ----------
    dataset : str
        Name of the data set.
    updates : int
        Updates that were done.
    seconds : float
        Time that the training took.
    diverged : bool
        Whether a number stopped being finite, which ends the training.
    valid_error, test_error : float or None
        Errors on the validation and the test examples, from 0 to 1; None if it diverged.
    jacobian : list of (float or None)
        Mean singular value of the Jacobians from one hidden layer to the next, before and after the training;
        None where there is one hidden layer.
    histograms : list of Histogram
        Of up to five layers.
    notes : list of str
        What the user should know.
    history : History
        What was seen on the way.
    """

    dataset: str
    updates: int
    seconds: float
    diverged: bool
    valid_error: float | None
    test_error: float | None
    jacobian: list[float | None]
    histograms: list[Histogram]
    notes: list[str]
    history: History


#: Arguments of `grid`. The last preset has the protocol of Glorot and Bengio; they do not say which learning
#: rates they tried.
PRESETS: dict[str, tuple[dict[str, Any], ...]] = {
    "quick": (
        {
            "data": "shapeset",
            "activations": ACTIVATIONS,
            "initializations": ("standard", "normalized", "critical:0.1", "critical:0.5"),
            "depths": (5,),
            "width": 200,
            "batch_size": 10,
            "updates": 20_000,
            "learning_rates": (0.01, 0.03, 0.1, 0.3),
            "momentum": 0.0,
            "seeds": (0,),
        },
    ),
    "deep": (
        {
            "data": "digits",
            "activations": ("softsign",),
            "initializations": (
                *(f"critical:{q}" for q in (0.001, 0.01, 0.1, 0.5, 1)),
                "normalized",
                "pytorch",
                "identity:0.085",
                "identity:0.5",
            ),
            "depths": (50,),
            "width": 256,
            "batch_size": 50,
            "updates": 1080,
            "learning_rates": (0.0003, 0.001, 0.003, 0.01),
            "momentum": 0.9,
            "seeds": (0, 1, 2),
        },
        {
            "data": "digits",
            "activations": ("softsign",),
            # Their gradients are smaller, which might ask for larger rates.
            "initializations": ("normalized", "pytorch", "identity:0.085", "identity:0.5"),
            "depths": (50,),
            "width": 256,
            "batch_size": 50,
            "updates": 1080,
            "learning_rates": (0.03, 0.1, 0.3),
            "momentum": 0.9,
            "seeds": (0, 1),
        },
        {
            "data": "digits",
            "activations": ("softsign",),
            "initializations": (
                *(f"critical:{q}" for q in (0.01, 0.1, 0.5, 1)),
                "normalized",
                "identity:0.085",
                "identity:0.5",
            ),
            "depths": (50,),
            "width": 1000,
            "batch_size": 50,
            "updates": 0,
            "learning_rates": (0.01,),
            "momentum": 0.9,
            "seeds": tuple(range(10)),
        },
    ),
    "paper": (
        {
            "data": "shapeset",
            "activations": ACTIVATIONS,
            "initializations": ("standard", "normalized", "critical:0.1"),
            "depths": (1, 2, 3, 4, 5),
            "width": 1000,
            "batch_size": 10,
            "updates": 5_000_000,
            "learning_rates": (0.003, 0.01, 0.03, 0.1, 0.3),
            "momentum": 0.0,
            "seeds": (0,),
        },
    ),
}


def split(initialization: str) -> tuple[str, float]:
    """Split an initialization into the rule and its number.

    Parameters
    ----------
    initialization : str
        As of `Trial`.

    Returns
    -------
    rule : str
        One of `INITIALIZATIONS`.
    number : float
        Above 0 and at most 100, or nan for rules that have none.

    Raises
    ------
    ValueError
        If there is no such rule, or the number is missing, superfluous or out of its range.

    Examples
    --------
    >>> split("critical:0.5"), split("standard")
    (('critical', 0.5), ('standard', nan))
    """
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


def grid(
    *,
    data: str,
    activations: Sequence[str],
    initializations: Sequence[str],
    depths: Sequence[int],
    width: int,
    batch_size: int,
    updates: int,
    learning_rates: Sequence[float],
    momentum: float,
    seeds: Sequence[int],
) -> list[Trial]:
    """Combine each activation, initialization, depth, learning rate and seed with each.

    Parameters
    ----------
    data : str
        As of `Trial`, like what follows.
    activations : sequence of str
        Names of activation functions.
    initializations : sequence of str
        Rules of initialization.
    depths : sequence of int
        Numbers of hidden layers.
    width : int
        Units in each hidden layer.
    batch_size : int
        Examples per update.
    updates : int
        Updates of the weights.
    learning_rates : sequence of float
        Learning rates.
    momentum : float
        Momentum of the gradient descent.
    seeds : sequence of int
        Seeds of the weights and of the order of the examples.

    Returns
    -------
    list of Trial
        Without duplicates.

    Raises
    ------
    ValueError
        If a value is out of its range, or a sequence is empty.

    Examples
    --------
    >>> trials = grid(**PRESETS["quick"][0])
    >>> len(trials), trials[0].name
    (80, 'softsign-standard-5x200-20000x10-rate0.01-momentum0-seed0')
    """
    axes: dict[str, Sequence[Any]] = {
        "activations": activations,
        "initializations": initializations,
        "depths": depths,
        "learning_rates": learning_rates,
        "seeds": seeds,
    }
    for name, values in axes.items():
        if not values:
            raise ValueError(f"{name} is empty, but must have one item or more")
    trials = [
        Trial(
            data, activation, initialization, depth, width, batch_size, updates, learning_rate, momentum, seed
        )
        for activation, initialization, depth, learning_rate, seed in itertools.product(*axes.values())
    ]
    return list(dict.fromkeys(trials))


def preset(name: str, **changes: Any) -> list[Trial]:
    """Return the trials of a preset.

    Parameters
    ----------
    name : str
        One of `PRESETS`.
    **changes : Any
        Arguments of `grid` that replace those of the preset. With any, only the preset's first grid is taken.

    Returns
    -------
    list of Trial
        Trials of all its grids.

    Raises
    ------
    ValueError
        If there is no such preset, or a change is out of its range.

    Examples
    --------
    >>> len(preset("paper")), len(preset("paper", depths=[5], learning_rates=[0.1]))
    (375, 15)
    """
    if name not in PRESETS:
        raise ValueError(f"preset is {name!r}, but must be one of {', '.join(PRESETS)}")
    grids = PRESETS[name][:1] if changes else PRESETS[name]
    return [trial for arguments in grids for trial in grid(**(arguments | changes))]


def check_batch_size(trial: Trial, examples: int) -> None:
    """Raise an error if there are too few examples for a batch.

    Parameters
    ----------
    trial : Trial
        What is to be trained.
    examples : int
        Number of training examples.

    Raises
    ------
    ValueError
        If a batch is larger than the training set.
    """
    if trial.batch_size > examples:
        raise ValueError(
            f"batch_size is {trial.batch_size}, but must be at most the {examples} training examples"
        )
