"""What the figures share: panels, axes, curves that are not joined across a jump."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

__all__ = ["GUIDE", "POINTS", "check_range", "decorate", "draw_pieces", "mark_jump", "new_axes", "panels"]

GUIDE: dict[str, Any] = {"color": "0.45", "linewidth": 1, "linestyle": (0, (4, 3))}
POINTS = 1001
#: Numbers that can be squared, and widths of a range that matplotlib's axes and their ticks can show.
_LARGEST, _LEAST, _NARROW = 1e150, 1e-250, 1e-12


def panels(count: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Return a figure of so many panels, each of a size in inches, three in a row."""
    columns = min(3, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), dpi=200, layout="constrained")
    return figure, [figure.add_subplot(rows, columns, index + 1) for index in range(count)]


def new_axes(ax: Axes | None) -> Axes:
    """Return what is given, or else the one panel of a new figure."""
    return panels(1, (6.0, 4.8))[1][0] if ax is None else ax


def check_range(low: float, high: float) -> None:
    """Refuse a range that axes cannot show."""
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


def decorate(axes: Axes, title: str, xlabel: str, ylabel: str) -> None:
    """Give a panel its titles, grid and open frame."""
    axes.set_title(title, fontsize=10, linespacing=1.5)
    for axis in (axes.xaxis, axes.yaxis):
        locator = axis.get_major_locator()
        if isinstance(locator, MaxNLocator):  # those of logarithmic axes are others
            locator.set_params(nbins=6)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def draw_pieces(
    axes: Axes,
    function: Callable[[Any], Any],
    kinks: Sequence[float],
    low: float,
    high: float,
    scale: float = 1.0,
    **style: Any,
) -> list[float]:
    """Draw a function of scale x in pieces between kinks, and return its one-sided limits there."""
    low, high = scale * low, scale * high
    limits = []
    for start, stop in itertools.pairwise([low, *(kink for kink in kinks if low < kink < high), high]):
        first, last = (math.nextafter(a, b) if a in kinks else a for a, b in ((start, stop), (stop, start)))
        u = np.union1d(np.linspace(first, last, POINTS), [0.0] if first < 0 < last else [first])
        y = function(u)
        axes.plot(u / scale, y, **style)
        style.pop("label", None)
        limits += [y[i] for i, end in ((0, first), (-1, last)) if end not in (start, stop)]
    return limits


def mark_jump(axes: Axes, limits: Sequence[float], color: str) -> None:
    """Mark the one-sided limits at 0, if there are any, and the value there."""
    if limits:
        circle: dict[str, Any] = {
            "linestyle": "none",
            "marker": "o",
            "markersize": 6,
            "markeredgecolor": color,
        }
        axes.plot([0.0] * len(limits), limits, markerfacecolor="white", label="one-sided limit", **circle)
        axes.plot([0.0], [0.0], markerfacecolor=color, label="value at 0, by convention", **circle)
