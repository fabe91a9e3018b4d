"""What a training study found, in tables, and its compact form. Needs neither PyTorch nor Plotly."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from softsign.study.folder import Study
from softsign.study.runs import History, Result, Trial

__all__ = [
    "PAPER",
    "Choice",
    "Table",
    "choices",
    "compact",
    "error_table",
    "learning_rate_table",
    "start_table",
]

#: Test error in % of networks with five hidden layers of 1000 units (Glorot and Bengio 2010, table 1).
PAPER = {
    ("softsign", "standard"): {"Shapeset-3x2": 16.27, "MNIST": 1.64, "CIFAR-10": 55.78},
    ("softsign", "normalized"): {"Shapeset-3x2": 16.06, "MNIST": 1.72, "CIFAR-10": 53.8},
    ("tanh", "standard"): {"Shapeset-3x2": 27.15, "MNIST": 1.76, "CIFAR-10": 55.9},
    ("tanh", "normalized"): {"Shapeset-3x2": 15.60, "MNIST": 1.64, "CIFAR-10": 52.92},
    ("sigmoid", "standard"): {"Shapeset-3x2": 82.61, "MNIST": 2.21, "CIFAR-10": 57.28},
}


class Choice(NamedTuple):
    """A network of the study, trained at the learning rate that did best in validation.

    Attributes
    ----------
    trial : Trial
        Trial of the first seed.
    results : list of Result
        One for each seed.
    """

    trial: Trial
    results: list[Result]

    @property
    def label(self) -> str:
        """Name in figures: activation and initialization."""
        return f"{self.trial.activation}, {self.trial.initialization}"


class Table(NamedTuple):
    """Text in cells.

    Attributes
    ----------
    header : list of str
        Names of the columns.
    rows : list of list of str
        One cell for each column.
    """

    header: list[str]
    rows: list[list[str]]


def choices(study: Study) -> list[Choice]:
    """Choose for each network the learning rate with the lowest validation error, in the mean over its seeds.

    Parameters
    ----------
    study : Study
        Finished or not.

    Returns
    -------
    list of Choice
        In the order of the study; without those that were not trained, or are not finished.
    """
    chosen: dict[Trial, Choice] = {}
    for trial, results in _by_rate(study).items():
        if trial.updates:
            network = _without_rate(trial)
            best = chosen.get(network)
            if best is None or _validation(results) < _validation(best.results):
                chosen[network] = Choice(trial, results)
    return list(chosen.values())


def _by_rate(study: Study) -> dict[Trial, list[Result]]:
    """Group the results that differ in the seed alone, under the trial with the first seed."""
    firsts: dict[tuple[Trial, float], Trial] = {}
    groups: dict[Trial, list[Result]] = {}
    for trial in study.trials:
        if trial.name in study.results:
            first = firsts.setdefault((_without_rate(trial), trial.learning_rate), trial)
            groups.setdefault(first, []).append(study.results[trial.name])
    return groups


def _without_rate(trial: Trial) -> Trial:
    return replace(trial, learning_rate=1.0, seed=0)


def _validation(results: Sequence[Result]) -> float:
    """Return the mean validation error; one that diverged counts as 1."""
    errors = (result["valid_error"] for result in results)
    return statistics.fmean(1.0 if error is None else error for error in errors)


def _per_cent(errors: Sequence[float | None]) -> str:
    """Return the mean over seeds, with the standard deviation if there are several."""
    known = [100 * error for error in errors if error is not None]
    if len(known) < len(errors):
        return f"diverged ({len(errors) - len(known)} of {len(errors)})"
    spread = f" ± {statistics.stdev(known):.1f}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):.2f}{spread}"


def error_table(study: Study) -> Table:
    """Return the errors of the trained networks, beside the paper's.

    Parameters
    ----------
    study : Study
        Finished or not.

    Returns
    -------
    Table
        Errors in %, as mean ± standard deviation over the seeds.
    """
    rows = []
    for choice in choices(study):
        trial, results = choice
        paper = PAPER.get((trial.activation, trial.initialization), {}) if trial.depth == 5 else {}
        jacobians = [result["jacobian"] for result in results]
        rows.append(
            [
                trial.activation,
                trial.initialization,
                f"{trial.depth}x{trial.width}",
                f"{max(result['updates'] for result in results):,}",
                f"{trial.learning_rate:g}",
                _per_cent([result["test_error"] for result in results]),
                str(paper.get(results[0]["dataset"], "")),
                " → ".join(_mean_of(values) for values in zip(*jacobians, strict=False)),
            ]
        )
    header = [
        "activation",
        "initialization",
        "layers",
        "updates",
        "learning rate",
        "test error, %",
        "paper, %",
        "singular value",
    ]
    return Table(header, rows)


def _mean_of(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.fmean(known):.2f}" if known else "-"


def learning_rate_table(study: Study) -> Table:
    """Return the test error at each learning rate.

    Parameters
    ----------
    study : Study
        Finished or not.

    Returns
    -------
    Table
        Errors in %, as mean ± standard deviation over the seeds; empty where nothing is finished.
    """
    rates = sorted({trial.learning_rate for trial in study.trials if trial.updates})
    rows: dict[Trial, list[str]] = {}
    for trial, results in _by_rate(study).items():
        if trial.updates:
            names = [trial.activation, trial.initialization, f"{trial.depth}x{trial.width}"]
            row = rows.setdefault(_without_rate(trial), names + [""] * len(rates))
            row[3 + rates.index(trial.learning_rate)] = _per_cent(
                [result["test_error"] for result in results]
            )
    return Table(
        ["activation", "initialization", "layers", *(f"{rate:g}" for rate in rates)], list(rows.values())
    )


def start_table(study: Study) -> Table:
    """Return the variance of the gradient in the first hidden layer over that in the last, before training.

    Parameters
    ----------
    study : Study
        Finished or not.

    Returns
    -------
    Table
        Mean, smallest and largest ratio over the seeds.
    """
    ratios: dict[tuple[str, ...], dict[int, float]] = {}
    for trial in study.trials:
        result = study.results.get(trial.name)
        if result and result["history"]["gradient"]:
            gradient = result["history"]["gradient"][0]
            key = (trial.activation, trial.initialization, f"{trial.depth}x{trial.width}")
            ratios.setdefault(key, {})[trial.seed] = gradient[0] / gradient[-1]
    rows = [
        [*key, str(len(seeds)), *(f"{f(seeds.values()):.2g}" for f in (statistics.fmean, min, max))]
        for key, seeds in ratios.items()
    ]
    header = ["activation", "initialization", "layers", "networks", "mean", "min", "max"]
    return Table(header, rows)


def compact(study: Study) -> None:
    """Leave out of the results what neither a table nor a figure of the report shows.

    Figures show the network with the first seed of each of `choices`. The others keep their errors and the
    gradients before training.

    Parameters
    ----------
    study : Study
        A finished study. Its results are changed; `Study.save` writes them.
    """
    shown = {id(choice.results[0]) for choice in choices(study)}
    for name, result in study.results.items():
        if id(result) not in shown:
            gradients = result["history"]["gradient"][:1]
            first: History = {"updates": [], "error": [], "std": [], "p98": [], "gradient": gradients}
            study.results[name] = {**result, "histograms": [], "history": first}
