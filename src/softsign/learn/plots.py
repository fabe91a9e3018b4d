"""Figures of softsign and its calculus, on matplotlib's object interface (no pyplot, no global state)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import softsign
from softsign._palette import COLORS
from softsign.functions import FUNCTIONS, MAX_ORDER
from softsign.learn._canvas import (
    GUIDE,
    POINTS,
    check_range,
    decorate,
    draw_pieces,
    mark_jump,
    new_axes,
    panels,
)
from softsign.learn.activations import ACTIVATIONS, HIGHEST_ORDER
from softsign.learn.views import BOUNDED, draw_errors, draw_plane, draw_tails, draw_variants

__all__ = [
    "BOUNDED",
    "comparison_figure",
    "draw_curves",
    "draw_errors",
    "draw_function",
    "draw_plane",
    "draw_tails",
    "draw_variants",
    "function_figure",
]


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
    check_range(low, high)
    figure, every = panels(len(names), (4.2, 3.6))
    for index, (axes, name) in enumerate(zip(every, names, strict=True)):
        draw_function(name, low, high, color=COLORS[index % len(COLORS)], ax=axes)
    return figure


def comparison_figure(
    names: Sequence[str] = ("tanh",),
    orders: Sequence[int] = (0, 1, 2),
    low: float = -4.0,
    high: float = 4.0,
    *,
    scale: float = 1.0,
) -> Figure:
    """Draw softsign and its derivatives beside those of other functions, one panel for each order.

    Parameters
    ----------
    names : sequence of str, optional
        Functions of `softsign.learn.activations` to draw beside softsign; none: softsign alone.
    orders : sequence of int, optional
        Orders of the derivatives; 0 is the function.
    low, high : float, optional
        Range of the abscissa.
    scale : float, optional
        k > 0 of softsign(k x); the others stay as they are.

    Returns
    -------
    matplotlib.figure.Figure
        Up to three panels in a row, with one legend below.

    Raises
    ------
    ValueError
        As for `draw_curves`, or when `orders` is empty.

    Examples
    --------
    >>> [panel.get_title() for panel in comparison_figure().axes]
    ['the function', 'its derivative', 'its second derivative']
    """
    if not orders:
        raise ValueError("orders must be one or more integers, not none")
    figure, every = panels(len(orders), (2.7, 2.4))
    handles: dict[str, Any] = {}
    for axes, order in zip(every, orders, strict=True):
        legend = draw_curves(["softsign", *names], low, high, order=order, scale=scale, ax=axes).get_legend()
        assert legend is not None
        found = legend.legend_handles
        handles |= {text.get_text(): handle for text, handle in zip(legend.texts, found, strict=True)}
        legend.remove()
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=min(3, len(every)),
        frameon=False,
    )
    return figure


def draw_curves(
    names: Sequence[str],
    low: float = -4.0,
    high: float = 4.0,
    *,
    order: int = 0,
    scale: float = 1.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw functions, or their derivatives of one order, into one panel.

    A curve is not joined across a jump: an open circle stands at each one-sided limit of softsign's even
    derivatives, and a dot at the value that this package gives at 0, by convention their mean.

    Parameters
    ----------
    names : sequence of str
        Functions of `softsign.learn.activations`.
    low, high : float, optional
        Range of the abscissa.
    order : int, optional
        Order of the derivative, up to 20, and for softsign alone up to 170.
    scale : float, optional
        k > 0 of softsign(k x), whose derivatives have the factor k**order; the others stay as they are.
    ax : matplotlib.axes.Axes, optional
        Panel to draw into. Default: one of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The panel.

    Raises
    ------
    ValueError
        When a name is not known, `order` or `scale` is out of range, or the range cannot be drawn, as for
        `function_figure`.

    Examples
    --------
    >>> axes = draw_curves(["softsign", "tanh", "gelu"], -3, 3)
    >>> [text.get_text().split()[0] for text in axes.get_legend().get_texts()]
    ['softsign', 'tanh', 'gelu']
    """
    check_range(low, high)
    for name in names:
        if name not in ACTIVATIONS:
            raise ValueError(f"{name!r} is not one of {', '.join(ACTIVATIONS)}")
    most = MAX_ORDER if list(names) == ["softsign"] else HIGHEST_ORDER
    if not 0 <= order <= most:
        raise ValueError(f"order must be an integer from 0 to {most}, not {order}")
    if not 0 < scale < math.inf:
        raise ValueError(f"scale must be positive and finite, not {scale:g}")
    axes = new_axes(ax)
    titles = {0: "the function", 1: "its derivative", 2: "its second derivative"}
    decorate(axes, titles.get(order, f"its derivative of order {order}"), "$x$", "")
    for name in dict.fromkeys(names):
        _draw_derivative(axes, name, low, high, order, scale if name == "softsign" else 1.0)
    axes.legend(frameon=False)
    return axes


def _draw_derivative(axes: Axes, name: str, low: float, high: float, order: int, scale: float) -> None:
    """Draw a derivative of f(scale x)."""
    activation = ACTIVATIONS[name]
    color = COLORS[tuple(ACTIVATIONS).index(name) % len(COLORS)]
    limits = draw_pieces(
        axes,
        lambda u: scale**order * activation.derivative(order, u),
        activation.kinks if order >= activation.jumps_from else (),
        low,
        high,
        scale,
        color=color,
        linewidth=2 if name == "softsign" else 1.5,
        linestyle="-" if name == "softsign" else "--",
        zorder=3 if name == "softsign" else 2,
        label=f"{name} {activation.latex}".strip() if scale == 1 else f"{name}(${scale:g}\\,x$)",
    )
    if name == "softsign" and order % 2 == 0:
        mark_jump(axes, limits, color)


def draw_function(
    name: str,
    low: float = -10.0,
    high: float = 10.0,
    *,
    color: str = COLORS[0],
    ax: Axes | None = None,
) -> Axes:
    """Draw one function of this package, with formula, guides and legend; see `function_figure`.

    Parameters
    ----------
    name : str
        Name of a ufunc of this package that takes one argument.
    low, high : float, optional
        Range of the abscissa.
    color : str, optional
        Color of the curve.
    ax : matplotlib.axes.Axes, optional
        Panel to draw into. Default: one of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The panel.

    Raises
    ------
    ValueError
        When the range cannot be drawn.
    """
    check_range(low, high)
    axes, (symbol, formula) = new_axes(ax), FUNCTIONS[name].latex
    decorate(axes, f"{name}\n${symbol} = {formula}$", "$y$" if name == "inverse" else "$x$", f"${symbol}$")
    if name == "inverse":
        _draw_inverse(axes, low, high, color)
    else:
        kinks = (0.0,) if name == "second_derivative" else ()
        limits = draw_pieces(axes, getattr(softsign, name), kinks, low, high, color=color, linewidth=2)
        mark_jump(axes, limits, color)
    if name == "softsign":
        for y, label in ((-1.0, "asymptotes ±1"), (1.0, None)):
            axes.axhline(y, label=label, **GUIDE)
        axes.set_ylim(-1.15, 1.4)
        axes.legend(loc="upper left", frameon=False)
    elif axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    return axes


def _draw_inverse(axes: Axes, low: float, high: float, color: str) -> None:
    """Draw the inverse up to its poles at -1 and 1, which set no scale."""
    start, stop = max(low, -1.0), min(high, 1.0)
    if start >= stop:
        raise ValueError(f"inverse is defined between -1 and 1; the range {low:g} {high:g} has none of that")
    y = np.linspace(start, stop, POINTS)
    y = y[np.abs(y) < 1]
    x = softsign.inverse(y)
    axes.plot(y, x, color=color, linewidth=2)
    poles = [pole for pole in (-1.0, 1.0) if low <= pole <= high]
    for index, pole in enumerate(poles):
        axes.axvline(pole, label=None if index else "poles ±1", **GUIDE)
    if poles:
        axes.set_ylim(max(-10.0, x[0]), min(10.0, x[-1]))
