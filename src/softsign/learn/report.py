"""The report of a training study: one HTML file with everything in it, which needs no network. Needs Plotly."""

from __future__ import annotations

import base64
import html
import io
import os
import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from softsign._files import written_whole
from softsign.learn import shapeset
from softsign.learn.study import Study
from softsign.learn.training import INITIALIZATIONS, NUMBERED, Result, Run

__all__ = ["PAPER", "Choice", "Table", "choices", "rate_table", "start_table", "table", "write"]

#: Test error in %, of networks with five hidden layers of 1000 units (Glorot and Bengio 2010, table 1).
PAPER = {
    ("softsign", "standard"): {"Shapeset-3x2": 16.27, "MNIST": 1.64, "CIFAR-10": 55.78},
    ("softsign", "normalized"): {"Shapeset-3x2": 16.06, "MNIST": 1.72, "CIFAR-10": 53.8},
    ("tanh", "standard"): {"Shapeset-3x2": 27.15, "MNIST": 1.76, "CIFAR-10": 55.9},
    ("tanh", "normalized"): {"Shapeset-3x2": 15.60, "MNIST": 1.64, "CIFAR-10": 52.92},
    ("sigmoid", "standard"): {"Shapeset-3x2": 82.61, "MNIST": 2.21, "CIFAR-10": 57.28},
}
#: Okabe and Ito's palette, told apart with any color vision.
_COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#999999",
    "#882255",
)
_DASHES = ("solid", "dash", "dot", "dashdot")
_PANEL = 230  # height of a small panel in pixels
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1150px; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; font-size: 14px; } td, th { padding: .25em .7em; border-bottom: 1px solid #ddd; }
td { text-align: right; } td:nth-child(-n+2), th { text-align: left; } img { max-width: 100%; }
"""


class Choice(NamedTuple):
    """A network of the study, trained at the rate that did best in validation.

    Attributes
    ----------
    run : Run
        Of the first seed.
    results : list of dict
        One for each seed.
    """

    run: Run
    results: list[Result]

    @property
    def label(self) -> str:
        """Activation and initialization."""
        return f"{self.run.activation}, {self.run.initialization}"


class Table(NamedTuple):
    """Text cells: a header, and rows of the same length."""

    header: list[str]
    rows: list[list[str]]


def choices(study: Study) -> list[Choice]:
    """Choose for each network of a study the rate with the lowest validation error, in the mean over its seeds.

    Parameters
    ----------
    study : Study

    Returns
    -------
    list of Choice
        In the order of the study; without those that were not trained, or are not finished.
    """
    chosen: dict[Run, Choice] = {}
    for run, results in _by_rate(study).items():
        if run.updates:
            network = _without_rate(run)
            best = chosen.get(network)
            if best is None or _validation(results) < _validation(best.results):
                chosen[network] = Choice(run, results)
    return list(chosen.values())


def _by_rate(study: Study) -> dict[Run, list[Result]]:
    """Group the results that differ in the seed alone, under the run with the first seed."""
    firsts: dict[tuple[Any, ...], Run] = {}
    groups: dict[Run, list[Result]] = {}
    for run in study.runs:
        if run.name in study.results:
            first = firsts.setdefault((_without_rate(run), run.rate), run)
            groups.setdefault(first, []).append(study.results[run.name])
    return groups


def _without_rate(run: Run) -> Run:
    return Run(**(vars(run) | {"rate": 1.0, "seed": 0}))


def _validation(results: Sequence[Result]) -> float:
    """Return the mean validation error; one that diverged counts as 1."""
    return statistics.fmean(1.0 if result["diverged"] else result["valid_error"] for result in results)


def _per_cent(errors: Sequence[float | None]) -> str:
    """Return the mean over seeds, with the standard deviation if there are several."""
    known = [100 * error for error in errors if error is not None]
    if len(known) < len(errors):
        return f"diverged ({len(errors) - len(known)} of {len(errors)})"
    spread = f" ± {statistics.stdev(known):.1f}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):.2f}{spread}"


def table(study: Study) -> Table:
    """Return the errors of the trained networks, beside the paper's.

    Parameters
    ----------
    study : Study

    Returns
    -------
    Table
        Errors in %, as mean ± standard deviation over the seeds.
    """
    rows = []
    for choice in choices(study):
        run, results = choice
        paper = PAPER.get((run.activation, run.initialization), {}) if run.depth == 5 else {}
        jacobians = [result["jacobian"] for result in results]
        rows.append(
            [
                run.activation,
                run.initialization,
                f"{run.depth}x{run.width}",
                f"{max(result['updates'] for result in results):,}",
                f"{run.rate:g}",
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
        "rate",
        "test error, %",
        "paper, %",
        "singular value",
    ]
    return Table(header, rows)


def _mean_of(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.fmean(known):.2f}" if known else "-"


def rate_table(study: Study) -> Table:
    """Return the test error at each learning rate.

    Parameters
    ----------
    study : Study

    Returns
    -------
    Table
        Errors in %, as mean ± standard deviation over the seeds; empty where nothing is finished.
    """
    rates = sorted({run.rate for run in study.runs if run.updates})
    rows: dict[Run, list[str]] = {}
    for run, results in _by_rate(study).items():
        if run.updates:
            names = [run.activation, run.initialization, f"{run.depth}x{run.width}"]
            row = rows.setdefault(_without_rate(run), names + [""] * len(rates))
            row[3 + rates.index(run.rate)] = _per_cent([result["test_error"] for result in results])
    return Table(
        ["activation", "initialization", "layers", *(f"{rate:g}" for rate in rates)], list(rows.values())
    )


def start_table(study: Study) -> Table:
    """Return how the variance of the gradient in the first hidden layer compares with that in the last, before training.

    Parameters
    ----------
    study : Study

    Returns
    -------
    Table
        Mean, smallest and largest ratio over the seeds.
    """
    ratios: dict[tuple[str, ...], dict[int, float]] = {}
    for run in study.runs:
        history = study.results.get(run.name, {}).get("history", {})
        if history.get("gradient"):
            gradient = history["gradient"][0]
            key = (run.activation, run.initialization, f"{run.depth}x{run.width}")
            ratios.setdefault(key, {})[run.seed] = gradient[0] / gradient[-1]
    rows = [
        [*key, str(len(seeds)), *(f"{f(seeds.values()):.2g}" for f in (statistics.fmean, min, max))]
        for key, seeds in ratios.items()
    ]
    header = ["activation", "initialization", "layers", "networks", "mean", "min", "max"]
    return Table(header, rows)


def write(study: Study, path: str | os.PathLike[str]) -> None:
    """Write the report: one HTML file, whole or not at all.

    Parameters
    ----------
    study : Study
        Finished or not; what is finished is shown.
    path : path-like

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with written_whole(path, overwrite=True) as file:
        file.write(_page(study).encode())


def _page(study: Study) -> str:
    chosen = choices(study)
    done, total = len(study.results), len(study.runs)
    data = html.escape(", ".join(dict.fromkeys(run.data for run in study.runs)))
    environment = html.escape(", ".join(f"{name} {value}" for name, value in study.environment.items()))
    parts = [
        "<h1>Softsign and its initialization: a training study</h1>",
        f"<p>{done} of {total} runs on {data} are finished. {environment}.</p>",
        *_notes(study),
    ]
    if chosen:
        # Of several depths the figures show the deepest.
        deepest = max(choice.run.depth for choice in chosen)
        shown = [choice for choice in chosen if choice.run.depth == deepest]
        parts += _trained(study, shown)
    parts += [
        "<h2>Before training</h2>",
        (
            "<p>Mean square of the derivative of an example's loss with respect to the pre-activations: in the first hidden "
            "layer, over that in the last. By theory it is 1 with the critical initialization.</p>"
        ),
        _html_table(start_table(study)),
        _rules(study),
    ]
    if any(run.data == "shapeset" for run in study.runs):
        parts += ["<h2>Shapeset-3x2</h2>", _samples()]
    return (
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><title>softsign: training study</title>"
        f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _trained(study: Study, shown: Sequence[Choice]) -> list[str]:
    return [
        "<h2>Test error</h2>",
        (
            "<p>The learning rate is the one of those tried with the lowest validation error. The paper's errors are after "
            "5,000,000 updates of five layers of 1000 units, at a rate chosen in the same way. The singular value is the mean "
            "over those of the Jacobians from one hidden layer's activations to the next one's, before and after training; "
            "the paper has 0.5 for the standard and 0.8 for the normalized initialization.</p>"
        ),
        _html_table(table(study)),
        "<h2>Test error at each learning rate</h2>",
        _html_table(rate_table(study)),
        "<h2>Test error over updates</h2>",
        _html_figure(_error_figure(shown)),
        "<h2>Activations over updates</h2>",
        (
            "<p>Standard deviation (lines) and 98th percentile (dots) of the activations in each hidden layer, the first "
            "dark, the last light. Figure 3 of the paper.</p>"
        ),
        _html_figure(_panels(shown, _draw_activations, "updates")),
        "<h2>Activations at the end</h2>",
        "<p>Density of the activations in hidden layers. Figure 4 of the paper.</p>",
        _html_figure(_panels(shown, _draw_histograms, "activation")),
        "<h2>Gradients</h2>",
        (
            "<p>Mean square of the derivative of an example's loss with respect to the pre-activations, by hidden layer: "
            "before training (dark) to after it (light).</p>"
        ),
        _html_figure(_panels(shown, _draw_gradients, "hidden layer", log=True)),
    ]


def _error_figure(shown: Sequence[Choice]) -> go.Figure:
    activations, rules = (
        list(dict.fromkeys(getattr(choice.run, name) for choice in shown))
        for name in ("activation", "initialization")
    )
    figure = go.Figure()
    for choice in shown:
        color, dash = activations.index(choice.run.activation), rules.index(choice.run.initialization)
        if len(activations) == 1:
            color, dash = dash, 0
        history = choice.results[0]["history"]
        figure.add_scatter(
            x=history["updates"],
            y=[100 * error for error in history["error"]],
            name=choice.label,
            line={"color": _COLORS[color % len(_COLORS)], "dash": _DASHES[dash % len(_DASHES)]},
        )
    figure.update_layout(height=520, template="plotly_white", margin={"t": 20})
    figure.update_xaxes(title="updates")
    figure.update_yaxes(title="test error, % of 1000 examples")
    return figure


def _panels(
    shown: Sequence[Choice], draw: Callable[[go.Figure, Choice, int, int], None], x: str, log: bool = False
) -> go.Figure:
    """Draw a panel for each network: a row for each activation, or three columns if there is one."""
    rules = list(dict.fromkeys(choice.run.initialization for choice in shown))
    activations = list(dict.fromkeys(choice.run.activation for choice in shown))
    columns = len(rules) if len(activations) > 1 else min(3, len(shown))
    places = [
        (activations.index(c.run.activation), rules.index(c.run.initialization))
        if len(activations) > 1
        else divmod(i, columns)
        for i, c in enumerate(shown)
    ]
    rows = max(row for row, _ in places) + 1
    titles = {place: choice.label for place, choice in zip(places, shown, strict=True)}
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[titles.get((row, column), "") for row in range(rows) for column in range(columns)],
        vertical_spacing=0.25 / max(rows, 2),
        horizontal_spacing=0.06,
    )
    for (row, column), choice in zip(places, shown, strict=True):
        draw(figure, choice, row + 1, column + 1)
    figure.update_layout(
        height=_PANEL * rows + 100, template="plotly_white", showlegend=False, margin={"t": 60}
    )
    figure.update_xaxes(title=x, row=rows)
    if log:
        figure.update_yaxes(type="log", exponentformat="power", dtick=None, nticks=5)
    return figure


def _shades(count: int) -> list[str]:
    return [str(c) for c in sample_colorscale("Viridis", np.linspace(0, 0.9, count))]


def _draw_activations(figure: go.Figure, choice: Choice, row: int, column: int) -> None:
    history = choice.results[0]["history"]
    layers = sorted({round(i) for i in np.linspace(0, choice.run.depth - 1, 5)})
    for layer, shade in zip(layers, _shades(len(layers)), strict=True):
        for name, mode in (("std", "lines"), ("p98", "markers")):
            figure.add_scatter(
                x=history["updates"],
                y=[values[layer] for values in history[name]],
                mode=mode,
                name=f"layer {layer + 1}, {name}",
                line={"color": shade},
                marker={"color": shade, "size": 4},
                row=row,
                col=column,
            )


def _draw_histograms(figure: go.Figure, choice: Choice, row: int, column: int) -> None:
    histograms = choice.results[0]["histograms"]
    for histogram, shade in zip(histograms, _shades(len(histograms)), strict=True):
        counts = np.array(histogram["counts"])
        edges = np.linspace(histogram["low"], histogram["high"], len(counts) + 1)
        figure.add_scatter(
            x=(edges[1:] + edges[:-1]) / 2,
            y=counts / (counts.sum() * (edges[1] - edges[0])),
            name=f"layer {histogram['layer']}",
            line={"color": shade, "shape": "hvh"},
            row=row,
            col=column,
        )


def _draw_gradients(figure: go.Figure, choice: Choice, row: int, column: int) -> None:
    history = choice.results[0]["history"]
    last = len(history["updates"]) - 1
    records = sorted({round(last * part) for part in (0, 0.05, 0.25, 0.5, 1)})
    for record, shade in zip(records, _shades(len(records)), strict=True):
        gradient = history["gradient"][record]
        figure.add_scatter(
            x=list(range(1, len(gradient) + 1)),
            y=gradient,
            mode="lines+markers",
            name=f"after {history['updates'][record]:,} updates",
            line={"color": shade},
            marker={"size": 4},
            row=row,
            col=column,
        )


def _html_figure(figure: go.Figure) -> str:
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False}))


def _html_table(content: Table) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in content.header)
    rows = (
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in content.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _notes(study: Study) -> list[str]:
    notes = [note for result in study.results.values() for note in result["notes"]]
    return [f"<p>Note: {html.escape(note)}.</p>" for note in notes]


def _rules(study: Study) -> str:
    used = {run.initialization.partition(":")[0] for run in study.runs}
    rows = [[NUMBERED.get(rule, rule), text] for rule, text in INITIALIZATIONS.items() if rule in used]
    return "<h2>Initializations</h2>" + _html_table(Table(["name", "weights and biases"], rows))


def _samples() -> str:
    buffer = io.BytesIO()
    shapeset.picture(buffer)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="samples of each class" src="data:image/png;base64,{data}">'
