"""Figures of softsign and its calculus, on matplotlib's object interface (no pyplot, no global state)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import softsign
from softsign._palette import COLORS
from softsign.functions import FUNCTIONS
from softsign.learn.network import Epoch

__all__ = ["comparison_figure", "demo_figure", "draw_function", "function_figure"]

_GUIDE: dict[str, Any] = {"color": "0.45", "linewidth": 1, "linestyle": (0, (4, 3))}
_POINTS = 1001
#: Numbers that can be squared, and widths of a range that matplotlib's axes and their ticks can show.
_LARGEST, _LEAST, _NARROW = 1e150, 1e-250, 1e-12


def function_figure(names: Sequence[str], low: float = -10.0, high: float = 10.0) -> Figure:
    """Draw functions of one variable, one panel each.

    The jump of the second derivative at 0 is drawn as one: two branches, an open circle at each one-sided
    limit and a dot at the value. The inverse is drawn on the part of the range inside (-1, 1).

    Parameters
    ----------
    names : sequence of str
        Names of ufuncs of this package that take one argument.
    low, high : float
        Range of the abscissa.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels in a row, or fewer.

    Raises
    ------
    ValueError
        When `low` and `high` are not finite and increasing, are beyond ±1e150, or so near to each other that
        no axis can show it (1e-250, or 1e-12 of the larger), or when the range leaves nothing of the inverse
        to draw.

    Examples
    --------
    >>> figure = function_figure(["softsign", "derivative"], -5, 5)
    >>> [panel.get_xlabel() for panel in figure.axes]
    ['$x$', '$x$']
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"the range must be two finite numbers, the smaller first, not {low:g} {high:g}")
    largest = max(abs(low), abs(high))
    if largest > _LARGEST:
        raise ValueError(
            f"the range must be within ±{_LARGEST:g}, not {low:g} {high:g}: squares are drawn too"
        )
    if high - low < max(_LEAST, _NARROW * largest):
        raise ValueError(
            f"the range {low!r} {high!r} is too narrow to draw: it must be {_LEAST:g} wide or more, "
            f"and {_NARROW:g} of its larger number"
        )
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(4.2 * columns, 3.6 * rows), dpi=200, layout="constrained")
    for index, name in enumerate(names):
        draw_function(
            figure.add_subplot(rows, columns, index + 1), name, low, high, COLORS[index % len(COLORS)]
        )
    return figure


def comparison_figure() -> Figure:
    """Draw softsign and its first two derivatives beside those of tanh, one panel each.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels in a row, 8 by 2.6 inches.

    Examples
    --------
    >>> [panel.get_title() for panel in comparison_figure().axes]
    ['the function', 'its derivative', 'its second derivative']
    """
    figure = Figure(figsize=(8.0, 2.6), dpi=200, layout="constrained")
    x = np.linspace(-4, 4, _POINTS)
    y = np.tanh(x)
    panels = {
        "softsign": ("the function", y),
        "derivative": ("its derivative", 1 - y * y),
        "second_derivative": ("its second derivative", -2 * y * (1 - y * y)),
    }
    for index, (name, (title, by_tanh)) in enumerate(panels.items()):
        axes = figure.add_subplot(1, 3, index + 1)
        axes.plot(x, by_tanh, color=COLORS[1], linewidth=1.5, linestyle="--", label="tanh")
        _draw_curve(axes, name, -4.0, 4.0, COLORS[0])
        _decorate(axes, title, "$x$", "")
    figure.axes[0].lines[1].set_label(f"softsign ${FUNCTIONS['softsign'].latex[1]}$")
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    return figure


def demo_figure(history: Sequence[Epoch], scans: int) -> Figure:
    """Draw a learning curve and, beside it, f, f' and f''.

    Parameters
    ----------
    history : sequence of Epoch
        What `softsign.learn.network.train` gave, in order.
    scans : int
        Size of the test set, for the legend.

    Returns
    -------
    matplotlib.figure.Figure
        Four panels.
    """
    figure = Figure(figsize=(9.0, 7.2), dpi=200, layout="constrained")
    _draw_learning_curve(figure.add_subplot(2, 2, 1), history, scans)
    for index, name in enumerate(("softsign", "derivative", "second_derivative")):
        draw_function(figure.add_subplot(2, 2, index + 2), name, -10.0, 10.0, COLORS[index])
    return figure


def draw_function(axes: Axes, name: str, low: float, high: float, color: str) -> None:
    """Draw one function, with formula, guides and legend; see `function_figure`.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Panel to draw into.
    name : str
        Name of a ufunc of this package that takes one argument.
    low, high : float
        Range of the abscissa.
    color : str
        Color of the curve.
    """
    symbol, formula = FUNCTIONS[name].latex
    _decorate(axes, f"{name}\n${symbol} = {formula}$", "$y$" if name == "inverse" else "$x$", f"${symbol}$")
    _draw_curve(axes, name, low, high, color)
    if name == "softsign":
        for y, label in ((-1.0, "asymptotes ±1"), (1.0, None)):
            axes.axhline(y, label=label, **_GUIDE)
        axes.set_ylim(-1.15, 1.4)
        axes.legend(loc="upper left", frameon=False)
    elif axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)


def _draw_curve(axes: Axes, name: str, low: float, high: float, color: str) -> None:
    if name == "second_derivative":
        _draw_jump(axes, low, high, color)
    elif name == "inverse":
        _draw_inverse(axes, low, high, color)
    else:
        peak = 0.0 if low < 0 < high else low  # of f', which no other point may miss
        x = np.union1d(np.linspace(low, high, _POINTS), peak)
        axes.plot(x, getattr(softsign, name)(x), color=color, linewidth=2)


def _draw_jump(axes: Axes, low: float, high: float, color: str) -> None:
    """Draw f'' as its two branches, which end at +2 and -2."""
    tiny = float(np.finfo(np.float64).tiny)
    limits = []
    for start, stop, end in ((low, min(high, -tiny), -tiny), (max(low, tiny), high, tiny)):
        if start < stop:
            x = np.linspace(start, stop, _POINTS)
            axes.plot(x, softsign.second_derivative(x), color=color, linewidth=2)
            if end in (start, stop):
                limits.append(softsign.second_derivative(end))
    if limits:
        circle: dict[str, Any] = {
            "linestyle": "none",
            "marker": "o",
            "markersize": 6,
            "markeredgecolor": color,
        }
        axes.plot([0.0] * len(limits), limits, markerfacecolor="white", label="one-sided limit", **circle)
        axes.plot(
            [0.0], softsign.second_derivative([0.0]), markerfacecolor=color, label="value at 0", **circle
        )


def _draw_inverse(axes: Axes, low: float, high: float, color: str) -> None:
    """Draw the inverse up to its poles at -1 and 1, which set no scale."""
    start, stop = max(low, -1.0), min(high, 1.0)
    if start >= stop:
        raise ValueError(f"inverse is defined between -1 and 1; the range {low:g} {high:g} has none of that")
    y = np.linspace(start, stop, _POINTS)
    y = y[np.abs(y) < 1]
    x = softsign.inverse(y)
    axes.plot(y, x, color=color, linewidth=2)
    poles = [pole for pole in (-1.0, 1.0) if low <= pole <= high]
    for index, pole in enumerate(poles):
        axes.axvline(pole, label=None if index else "poles ±1", **_GUIDE)
    if poles:
        axes.set_ylim(max(-10.0, x[0]), min(10.0, x[-1]))


def _draw_learning_curve(axes: Axes, history: Sequence[Epoch], scans: int) -> None:
    _decorate(axes, "Handwritten digits\na network of softsign units", "epoch", "accuracy (%)")
    epochs = range(1, len(history) + 1)
    training = [100 * epoch.train_accuracy for epoch in history]
    test = [100 * epoch.test_accuracy for epoch in history]
    axes.plot(epochs, training, color=COLORS[4], linewidth=1.5, label="training, shifted scans")
    axes.plot(
        epochs,
        test,
        color=COLORS[0],
        linewidth=2,
        label=f"test, {scans} scans: {test[-1]:.1f} % at the end",
    )
    axes.axhline(97.0, label="goal: 97 %", **_GUIDE)
    axes.set_ylim(85.0, 100.5)
    axes.set_yticks((85, 90, 95, 100))
    axes.legend(loc="lower right", frameon=False)


def _decorate(axes: Axes, title: str, xlabel: str, ylabel: str) -> None:
    axes.set_title(title, fontsize=10, linespacing=1.5)
    axes.locator_params(nbins=6)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
