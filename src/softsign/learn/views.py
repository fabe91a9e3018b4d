"""Views of softsign in one panel each: tails, the complex plane, relatives, errors of neighbors."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from scipy.optimize import brentq

import softsign
from softsign._palette import COLORS
from softsign.accuracy import exact, ulp_error
from softsign.learn._canvas import GUIDE, POINTS, check_range, decorate, new_axes
from softsign.learn.activations import ACTIVATIONS
from softsign.variants import generalized

__all__ = ["BOUNDED", "draw_errors", "draw_plane", "draw_tails", "draw_variants"]

#: The functions that have limits at infinity and do not reach them.
BOUNDED = tuple(name for name, activation in ACTIVATIONS.items() if activation.tail)


def draw_tails(
    names: Sequence[str] = BOUNDED,
    low: float = 0.1,
    high: float = 1e4,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw how far functions are from their limit at infinity, on logarithmic axes.

    Parameters
    ----------
    names : sequence of str, optional
        Functions of `softsign.learn.activations` that have a limit. Default: all of them.
    low, high : float, optional
        Range of the abscissa, positive.
    ax : matplotlib.axes.Axes, optional
        Panel to draw into. Default: one of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The panel; its legend tells where 90 and 99 % of the limit are reached.

    Raises
    ------
    ValueError
        When a function has no limit, or `low` and `high` are not positive and increasing.

    Examples
    --------
    >>> axes = draw_tails(["softsign", "tanh"])
    >>> for text in axes.get_legend().get_texts():
    ...     print(text.get_text())
    softsign: 90 % at 9, 99 % at 99
    tanh: 90 % at 1.47, 99 % at 2.65
    """
    for name in names:
        if name not in BOUNDED:
            raise ValueError(f"{name!r} is not one of the functions with a limit: {', '.join(BOUNDED)}")
    if not 0 < low < high < math.inf:
        raise ValueError(f"the range must be positive and finite, the smaller first, not {low:g} {high:g}")
    axes = new_axes(ax)
    decorate(axes, "what is missing to the limit", "$x$", "$1 - f(x)$")
    x = np.geomspace(low, high, POINTS)
    for name in dict.fromkeys(names):
        tail: Any = ACTIVATIONS[name].tail
        near, nearer = (brentq(_less(tail, left), 0.0, 1e3) for left in (0.1, 0.01))
        y = tail(x)
        axes.plot(
            x[y > 0],
            y[y > 0],
            color=COLORS[tuple(ACTIVATIONS).index(name) % len(COLORS)],
            linewidth=2 if name == "softsign" else 1.5,
            label=f"{name}: 90 % at {near:.3g}, 99 % at {nearer:.3g}",
        )
    axes.set(xscale="log", yscale="log", ylim=(1e-6, 2.0))
    _legend_below(axes, columns=2)
    return axes


def _legend_below(axes: Axes, columns: int) -> None:
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=columns, fontsize=8)


def _less(tail: Callable[[Any], Any], left: float) -> Callable[[float], float]:
    return lambda x: float(tail(x)) - left


def draw_plane(reach: int = 4, *, ax: Axes | None = None) -> Axes:
    """Draw what softsign makes of the complex plane: z / (1 + abs(z)) shrinks it into the unit disk.

    Directions stay, so lines through 0 are mapped to themselves; the others bend. The map is not analytic:
    right angles of the grid do not stay right.

    Parameters
    ----------
    reach : int, optional
        Lines of the grid on either side of 0, at whole numbers.
    ax : matplotlib.axes.Axes, optional
        Panel to draw into. Default: one of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The panel.

    Raises
    ------
    ValueError
        When `reach` is less than 1.

    Examples
    --------
    >>> len(draw_plane(3).lines)
    15
    """
    if reach < 1:
        raise ValueError(f"reach must be 1 or more, not {reach}")
    axes = new_axes(ax)
    decorate(axes, "the complex plane\n$z\\,/\\,(1+|z|)$", "real part", "imaginary part")
    t = softsign.inverse(np.linspace(-1, 1, POINTS)[1:-1])  # points that are even after the map
    for at in range(-reach, reach + 1):
        for line, color in ((at + 1j * t, COLORS[0]), (t + 1j * at, COLORS[1])):
            w = softsign.softsign(line)
            axes.plot(w.real, w.imag, color=color, linewidth=1 if at else 2)
    circle = np.exp(2j * np.pi * np.linspace(0, 1, POINTS))
    axes.plot(circle.real, circle.imag, **GUIDE)
    axes.set_aspect("equal")
    return axes


def draw_variants(
    ks: Sequence[float] = (0.5, 1, 2, 4, math.inf),
    low: float = -4.0,
    high: float = 4.0,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw x / (1 + abs(x)**k)**(1/k), the family from slow tails to a hard limit, to which softsign belongs.

    Parameters
    ----------
    ks : sequence of float, optional
        Positive k, of which 1 is softsign; infinity is hard tanh.
    low, high : float, optional
        Range of the abscissa.
    ax : matplotlib.axes.Axes, optional
        Panel to draw into. Default: one of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The panel.

    Raises
    ------
    ValueError
        When a k is not positive, or the range cannot be drawn.

    Examples
    --------
    >>> [line.get_label() for line in draw_variants([1, 2]).lines]
    ['k = 1, softsign', 'k = 2']
    """
    check_range(low, high)
    axes = new_axes(ax)
    decorate(axes, r"relatives: $x\,/\,(1+|x|^k)^{1/k}$", "$x$", "")
    x, others = np.linspace(low, high, POINTS), itertools.cycle(COLORS[1:])
    for k in ks:
        axes.plot(
            x,
            generalized(x, k),
            color=COLORS[0] if k == 1 else next(others),
            linewidth=2 if k == 1 else 1.5,
            label=f"k = {'∞' if k == math.inf else format(k, 'g')}{', softsign' if k == 1 else ''}",
        )
    axes.legend(frameon=False)
    return axes


def draw_errors(
    center: float = 2047.375, count: int = 60, *, dtype: npt.DTypeLike = "float32", ax: Axes | None = None
) -> Axes:
    """Draw the errors of x / (1 + abs(x)), as it stands and as computed here, at neighboring numbers.

    Parameters
    ----------
    center : float, optional
        Number in the middle.
    count : int, optional
        How many numbers.
    dtype : dtype, optional
        float16, float32 or float64.
    ax : matplotlib.axes.Axes, optional
        Panel to draw into. Default: one of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The panel; its legend tells at how many steps the values fall, though x rises.

    Raises
    ------
    ValueError
        When `dtype` is another, `count` is not 2 to 10,000, or the numbers are not finite.

    Examples
    --------
    >>> axes = draw_errors()
    >>> for text in axes.get_legend().get_texts():
    ...     print(text.get_text())
    x / (1 + abs(x)): falls at 28 of 59 steps
    softsign: falls at 0 of 59 steps
    """
    kind = np.dtype(dtype)
    if kind.name not in ("float16", "float32", "float64"):
        raise ValueError(f"dtype must be float16, float32 or float64, not {kind}")
    if not 2 <= count <= 10_000:
        raise ValueError(f"count must be from 2 to 10,000, not {count}")
    x = np.full(count, center, kind)
    for i in range(count // 2 - 1, -1, -1):
        x[i] = np.nextafter(x[i + 1], np.array(-np.inf, kind))
    for i in range(count // 2 + 1, count):
        x[i] = np.nextafter(x[i - 1], np.array(np.inf, kind))
    if not np.isfinite(x).all():
        raise ValueError(f"the {count} numbers around {center:g} must be finite in {kind}")
    axes = new_axes(ax)
    decorate(axes, f"errors at {count} neighbors of {center:.10g} in {kind}", "neighbor", "error (ulp)")
    computed = {"x / (1 + abs(x))": x / (1 + np.abs(x)), "softsign": softsign.softsign(x)}
    for place, (name, y) in enumerate(computed.items()):
        axes.plot(
            np.arange(count) - count // 2,
            ulp_error(y, exact("softsign", x)),
            color=COLORS[1 - place],
            linestyle="none",
            marker="o",
            markersize=4,
            label=f"{name}: falls at {np.count_nonzero(y[1:] < y[:-1])} of {count - 1} steps",
        )
    for y in (-0.5, 0.5):
        axes.axhline(y, **GUIDE)
    _legend_below(axes, columns=1)
    return axes
