"""Figures of softsign and its calculus, on matplotlib's object interface (no pyplot, no global state)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import softsign
from softsign.learn.digits import Epoch

__all__ = ["demo_figure", "function_figure"]

# Symbol and formula.
_NOTATION = {
    "softsign": ("f(x)", r"x\,/\,(1+|x|)"),
    "derivative": (r"f\,'(x)", r"1\,/\,(1+|x|)^2"),
    "second_derivative": (r"f\,''(x)", r"-2\,\mathrm{sgn}(x)\,/\,(1+|x|)^3"),
    "inverse": ("f^{-1}(y)", r"y\,/\,(1-|y|)"),
    "antiderivative": ("F(x)", r"|x| - \ln(1+|x|)"),
    "second_antiderivative": (
        r"\int_0^x F",
        r"x|x|/2 + x - \mathrm{sgn}(x)(1+|x|)\ln(1+|x|)",
    ),
    "log_jacobian": (r"\ln f\,'(x)", r"-2\,\ln(1+|x|)"),
}
#: Okabe and Ito's palette, told apart with any color vision.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_GUIDE: dict[str, Any] = {"color": "0.45", "linewidth": 1, "linestyle": (0, (4, 3))}
_POINTS = 1001


def function_figure(names: Sequence[str], low: float = -10.0, high: float = 10.0) -> Figure:
    """Draw functions of one variable, one panel each.

    The jump of the second derivative at 0 is drawn as one: two branches, an open circle at each one-sided limit and
    a dot at the value. The inverse is drawn on the part of the range inside (-1, 1).

    Parameters
    ----------
    names : sequence of str
        Names of ufuncs of this package that take one argument.
    low, high : float
        The range of the abscissa.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        When `low` and `high` are not finite and increasing, or the range leaves nothing of the inverse to draw.

    Examples
    --------
    >>> figure = function_figure(["softsign", "derivative"], -5, 5)
    >>> [panel.get_xlabel() for panel in figure.axes]
    ['$x$', '$x$']
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"the range must be two finite numbers, the smaller first, not {low:g} {high:g}")
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(4.2 * columns, 3.6 * rows), dpi=200, layout="constrained")
    for index, name in enumerate(names):
        draw_function(
            figure.add_subplot(rows, columns, index + 1), name, low, high, _COLORS[index % len(_COLORS)]
        )
    return figure


def demo_figure(history: Sequence[Epoch], scans: int) -> Figure:
    """Draw a learning curve and, beside it, f, f' and f''.

    Parameters
    ----------
    history : sequence of Epoch
        What :func:`softsign.learn.digits.train` gave, in order.
    scans : int
        Size of the test set, for the legend.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(9.0, 7.2), dpi=200, layout="constrained")
    _draw_learning_curve(figure.add_subplot(2, 2, 1), history, scans)
    for index, name in enumerate(("softsign", "derivative", "second_derivative")):
        draw_function(figure.add_subplot(2, 2, index + 2), name, -10.0, 10.0, _COLORS[index])
    return figure


def draw_function(axes: Axes, name: str, low: float, high: float, color: str) -> None:
    """Draw one function over ``[low, high]``; see :func:`function_figure`."""
    symbol, formula = _NOTATION[name]
    _decorate(axes, f"{name}\n${symbol} = {formula}$", "$y$" if name == "inverse" else "$x$", f"${symbol}$")
    if name == "second_derivative":
        _draw_jump(axes, low, high, color)
    elif name == "inverse":
        _draw_inverse(axes, low, high, color)
    else:
        x = np.union1d(
            np.linspace(low, high, _POINTS), 0.0 if low < 0 < high else low
        )  # f' has its peak at 0
        axes.plot(x, getattr(softsign, name)(x), color=color, linewidth=2)
    if name == "softsign":
        for y, label in ((-1.0, "asymptotes ±1"), (1.0, None)):
            axes.axhline(y, label=label, **_GUIDE)
        axes.set_ylim(-1.15, 1.4)
        axes.legend(loc="upper left", frameon=False)


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
        axes.legend(frameon=False)


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
        axes.legend(frameon=False)


def _draw_learning_curve(axes: Axes, history: Sequence[Epoch], scans: int) -> None:
    _decorate(axes, "Handwritten digits\na network of softsign units", "epoch", "accuracy (%)")
    epochs = range(1, len(history) + 1)
    training = [100 * epoch.train_accuracy for epoch in history]
    test = [100 * epoch.test_accuracy for epoch in history]
    axes.plot(epochs, training, color=_COLORS[4], linewidth=1.5, label="training, shifted scans")
    axes.plot(
        epochs,
        test,
        color=_COLORS[0],
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
