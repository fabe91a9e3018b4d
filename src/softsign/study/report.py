"""The report of a training study: one HTML file that needs nothing else. Needs Plotly and matplotlib."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Callable, Sequence
from typing import BinaryIO

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from softsign._files import written_whole
from softsign._palette import COLORS
from softsign.data import shapeset
from softsign.study.folder import Study
from softsign.study.runs import INITIALIZATIONS, NUMBERED
from softsign.study.tables import Choice, Table, choices, error_table, learning_rate_table, start_table

__all__ = ["draw_samples", "write"]

_DASHES = ("solid", "dash", "dot", "dashdot")
_PANEL = 230  # height of a small panel in pixels
_STYLE = """ body { font: 16px/1.5 system-ui, sans-serif; max-width: 1150px; margin: 2em auto; padding: 0 1em;
color: #222; } table { border-collapse: collapse; font-size: 14px; } td, th { padding: .25em .7em;
border-bottom: 1px solid #ddd; } td { text-align: right; } td:nth-child(-n+2), th { text-align: left; } img {
max-width: 100%; }
"""


def write(study: Study, path: str | os.PathLike[str]) -> None:
    """Write the report: one HTML file, whole or not at all.

    Parameters
    ----------
    study : Study
        Finished or not; what is finished is shown.
    path : path-like
        File to write, or to replace.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with written_whole(path, overwrite=True) as file:
        file.write(_page(study).encode())


def _page(study: Study) -> str:
    chosen = choices(study)
    done, total = len(study.results), len(study.trials)
    data = html.escape(", ".join(dict.fromkeys(trial.data for trial in study.trials)))
    environment = html.escape(", ".join(f"{name} {value}" for name, value in study.environment.items()))
    parts = [
        "<h1>Softsign and its initialization: a training study</h1>",
        f"<p>{done} of {total} trainings on {data} are finished. {environment}.</p>",
        *_notes(study),
    ]
    if chosen:
        # The figures show the deepest networks.
        deepest = max(choice.trial.depth for choice in chosen)
        shown = [choice for choice in chosen if choice.trial.depth == deepest]
        parts += _trained(study, shown)
    parts += [
        "<h2>Before training</h2>",
        (
            "<p>Mean square of the derivative of an example's loss with respect to the pre-activations: in "
            "the first hidden layer, over that in the last. By theory it is 1 with the critical "
            "initialization.</p>"
        ),
        _html_table(start_table(study)),
        _rules(study),
    ]
    if any(trial.data == "shapeset" for trial in study.trials):
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
            "<p>The learning rate is the one with the lowest validation error among those tried. The paper's "
            "errors are after 5,000,000 updates of five layers of 1000 units, at a learning rate chosen in "
            "the same way. The singular value is the mean over those of the Jacobians from one hidden "
            "layer's activations to the next one's, before and after training; the paper has 0.5 for the "
            "standard and 0.8 for the normalized initialization.</p>"
        ),
        _html_table(error_table(study)),
        "<h2>Test error at each learning rate</h2>",
        _html_table(learning_rate_table(study)),
        "<h2>Test error over updates</h2>",
        _html_figure(_error_figure(shown)),
        "<h2>Activations over updates</h2>",
        (
            "<p>Standard deviation (lines) and 98th percentile (dots) of the activations in each hidden "
            "layer, the first dark, the last light. Figure 3 of the paper.</p>"
        ),
        _html_figure(_panels(shown, _draw_activations, "updates")),
        "<h2>Activations at the end</h2>",
        "<p>Density of the activations in hidden layers. Figure 4 of the paper.</p>",
        _html_figure(_panels(shown, _draw_histograms, "activation")),
        "<h2>Gradients</h2>",
        (
            "<p>Mean square of the derivative of an example's loss with respect to the pre-activations, by "
            "hidden layer: before training (dark) to after it (light).</p>"
        ),
        _html_figure(_panels(shown, _draw_gradients, "hidden layer", log=True)),
    ]


def _error_figure(shown: Sequence[Choice]) -> go.Figure:
    activations, rules = (
        list(dict.fromkeys(getattr(choice.trial, name) for choice in shown))
        for name in ("activation", "initialization")
    )
    figure = go.Figure()
    for choice in shown:
        color, dash = activations.index(choice.trial.activation), rules.index(choice.trial.initialization)
        if len(activations) == 1:
            color, dash = dash, 0
        history = choice.results[0]["history"]
        figure.add_scatter(
            x=history["updates"],
            y=[100 * error for error in history["error"]],
            name=choice.label,
            line={"color": COLORS[color % len(COLORS)], "dash": _DASHES[dash % len(_DASHES)]},
        )
    figure.update_layout(height=520, template="plotly_white", margin={"t": 20})
    figure.update_xaxes(title="updates")
    figure.update_yaxes(title="test error, % of 1000 examples")
    return figure


def _panels(
    shown: Sequence[Choice], draw: Callable[[go.Figure, Choice, int, int], None], x: str, log: bool = False
) -> go.Figure:
    """Draw a panel for each network: a row for each activation, or three columns if there is one."""
    rules = list(dict.fromkeys(choice.trial.initialization for choice in shown))
    activations = list(dict.fromkeys(choice.trial.activation for choice in shown))
    columns = len(rules) if len(activations) > 1 else min(3, len(shown))
    places = [
        (activations.index(c.trial.activation), rules.index(c.trial.initialization))
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
    layers = sorted({round(i) for i in np.linspace(0, choice.trial.depth - 1, 5)})
    for layer, shade in zip(layers, _shades(len(layers)), strict=True):
        for name, records, mode in (("std", history["std"], "lines"), ("p98", history["p98"], "markers")):
            figure.add_scatter(
                x=history["updates"],
                y=[values[layer] for values in records],
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
    used = {trial.initialization.partition(":")[0] for trial in study.trials}
    rows = [[NUMBERED.get(rule, rule), text] for rule, text in INITIALIZATIONS.items() if rule in used]
    return "<h2>Initializations</h2>" + _html_table(Table(["name", "weights and biases"], rows))


def _samples() -> str:
    buffer = io.BytesIO()
    draw_samples(buffer)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="samples of each class" src="data:image/png;base64,{data}">'


def draw_samples(target: str | os.PathLike[str] | BinaryIO, seed: int = 0) -> None:
    """Draw a sheet of Shapeset's images, a row for each class, with the name of the class. Needs matplotlib.

    Parameters
    ----------
    target : path-like or binary file
        Image file to write; its suffix tells the format. An open file gets a PNG.
    seed : int
        Seed of the samples, 0 or more.
    """
    from matplotlib.figure import Figure

    columns, size, classes = 10, shapeset.SIZE, shapeset.CLASSES
    pitch = size + 2
    # The rarest classes come up 111 times on average; fewer than 10 times, less than once in 1e30 sheets.
    images, labels = shapeset.generate(np.random.default_rng(seed), 2000)
    sheet = np.full((len(classes) * pitch, columns * pitch), np.nan, np.float32)
    for row in range(len(classes)):
        for column, image in enumerate(images[labels == row][:columns]):
            top, left = row * pitch + 1, column * pitch + 1
            sheet[top : top + size, left : left + size] = image
    figure = Figure(figsize=(10, 7.6), dpi=150)
    axes = figure.add_subplot(facecolor=COLORS[5])  # light blue between the images, which are gray all over
    axes.imshow(sheet, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
    middles = np.arange(len(classes)) * pitch + pitch / 2
    axes.set_yticks(middles, [name.replace(" and ", "\nand ") for name in classes])
    axes.set_xticks([])
    figure.savefig(target, bbox_inches="tight")
