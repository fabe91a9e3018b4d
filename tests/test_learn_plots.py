"""`softsign.learn.plots` beside other functions: curves, tails, the complex plane, errors."""

import functools
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import softsign
from softsign import variants
from softsign.functions import MAX_ORDER
from softsign.learn import plots
from softsign.learn.activations import ACTIVATIONS, HIGHEST_ORDER

DEFINITIONS: dict[str, Callable[[Any], Any]] = {
    "softsign": lambda x: x / (1 + abs(x)),
    "tanh": mpmath.tanh,
    "arctan": lambda x: 2 / mpmath.pi * mpmath.atan(mpmath.pi * x / 2),
    "erf": lambda x: mpmath.erf(mpmath.sqrt(mpmath.pi) * x / 2),
    "isru": lambda x: x / mpmath.sqrt(1 + x * x),
    "gudermannian": lambda x: 4 / mpmath.pi * mpmath.atan(mpmath.tanh(mpmath.pi * x / 4)),
    "hard_tanh": lambda x: min(1, max(-1, x)),
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
    "relu": lambda x: max(0, x),
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "gelu": lambda x: x * mpmath.ncdf(x),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_are_those_of_the_definition(name: str) -> None:
    """To 1e-9 of their largest value; mpmath differentiates with 60 digits."""
    x = np.array([-4.1, -1.7, -0.3, 0.2, 0.9, 2.6])
    with mpmath.workdps(60):
        exact = [mpmath.taylor(DEFINITIONS[name], mpmath.mpf(float(at)), HIGHEST_ORDER) for at in x]
    for order in (0, 1, 2, 3, 7, HIGHEST_ORDER):
        expected = np.array([float(terms[order] * mpmath.factorial(order)) for terms in exact])
        got = ACTIVATIONS[name].derivative(order, x)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("name", plots.BOUNDED)
def test_tails_do_not_cancel(name: str) -> None:
    x = np.array([0.1, 1.0, 7.0, 20.0])
    tail = ACTIVATIONS[name].tail
    assert tail is not None
    with mpmath.workdps(400):
        expected = [float(1 - DEFINITIONS[name](mpmath.mpf(float(at)))) for at in x]
    np.testing.assert_allclose(tail(x), expected, rtol=1e-11, atol=1e-300)


def labels(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_curves_are_the_functions(order: int) -> None:
    for name, activation in ACTIVATIONS.items():
        axes = plots.draw_curves([name], -3, 3, order=order)
        drawn = np.concatenate([line.get_xydata() for line in axes.lines if line.get_marker() != "o"])
        np.testing.assert_array_equal(drawn[:, 1], activation.derivative(order, drawn[:, 0]))
        np.testing.assert_allclose((drawn[:, 0].min(), drawn[:, 0].max()), (-3, 3))
        assert len(drawn) > 1000
        assert labels(axes)[0] == f"{name} {activation.latex}".strip()


def test_no_curve_crosses_a_jump() -> None:
    (left, right) = [line.get_xydata() for line in plots.draw_curves(["relu"], -1, 1, order=1).lines]
    assert set(np.asarray(left)[:, 1]) == {0}
    assert set(np.asarray(right)[:, 1]) == {1}
    pieces = plots.draw_curves(["hard_tanh"], -2, 2, order=1).lines
    assert [set(np.asarray(piece.get_ydata())) for piece in pieces] == [{0}, {1}, {0}]


@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize("scale", [1.0, 0.3, 3.0])
def test_the_jump_of_even_derivatives_is_marked(order: int, scale: float) -> None:
    axes = plots.draw_curves(["softsign"], -1, 1, order=order, scale=scale)
    circles = {
        line.get_label(): np.asarray(line.get_xydata()) for line in axes.lines if line.get_marker() == "o"
    }
    jump = scale**order * softsign.nth_derivative(order, -5e-324)
    np.testing.assert_array_equal(circles["one-sided limit"], [[0, jump], [0, -jump]])
    np.testing.assert_array_equal(circles["value at 0, by convention"], [[0, 0]])


@pytest.mark.parametrize("order", [0, 1, 3, MAX_ORDER - 1])
def test_where_nothing_jumps_nothing_is_marked(order: int) -> None:
    axes = plots.draw_curves(["softsign"], order=order)
    assert len(labels(axes)) == 1
    assert all(line.get_marker() != "o" for line in axes.lines)


def test_scale() -> None:
    (line,) = plots.draw_curves(["softsign"], -2, 2, order=1, scale=3).lines
    x, y = np.asarray(line.get_xydata()).T
    np.testing.assert_allclose(y, 3 * softsign.derivative(3 * x), rtol=1e-12)
    assert (x[0], x[-1]) == (-2, 2)


def test_axes_that_are_given_are_drawn_into() -> None:
    draws: list[Callable[..., Axes]] = [
        plots.draw_tails,
        plots.draw_plane,
        plots.draw_errors,
        functools.partial(plots.draw_curves, ["tanh"]),
        functools.partial(plots.draw_function, "inverse"),
    ]
    figure = Figure()
    for draw in draws:
        ax = figure.add_subplot()
        ax.plot([1], [1])
        assert draw(ax=ax) is ax
        assert len(ax.lines) > 1
    assert plots.draw_tails().figure is not plots.draw_tails().figure
    plots.draw_curves(["tanh"], ax=Figure().add_subplot(xscale="log"))


def test_tails_end_where_float64_does() -> None:
    axes = plots.draw_tails(low=1e-3, high=1e9)
    assert axes.lines[0].get_label() == "softsign: 90 % at 9, 99 % at 99"
    for line in axes.lines:
        assert np.asarray(line.get_ydata()).min() > 0
    x, y = np.asarray(axes.lines[0].get_xydata()).T
    np.testing.assert_allclose(y, 1 / (1 + x))


def test_the_plane_goes_into_the_disk_and_keeps_directions() -> None:
    axes = plots.draw_plane(2)
    *grid, circle = axes.lines
    assert len(grid) == 10
    for line in grid:
        x, y = np.asarray(line.get_xydata()).T
        assert (np.hypot(x, y) <= 1).all()
    np.testing.assert_allclose(np.hypot(*np.asarray(circle.get_xydata()).T), 1)
    x, y = np.asarray(grid[0].get_xydata()).T  # the line of real part -2
    np.testing.assert_allclose(x / (1 - np.hypot(x, y)), -2, rtol=1e-9)


def test_variants_are_the_family() -> None:
    axes = plots.draw_variants([0.25, 1, 3, np.inf], -2, 2)
    for line, k in zip(axes.lines, (0.25, 1, 3, np.inf), strict=True):
        x, y = np.asarray(line.get_xydata()).T
        np.testing.assert_array_equal(y, variants.generalized(x, k))
    assert len({line.get_color() for line in axes.lines}) == 4
    assert labels(axes) == ["k = 0.25", "k = 1, softsign", "k = 3", "k = ∞"]
    with pytest.raises(ValueError, match="k"):
        plots.draw_variants([0])


@pytest.mark.parametrize(
    ("dtype", "center"),
    [("float16", 63.5), ("float32", 2047.375), ("float64", 65535.375), ("float32", -2047.375)],
)
def test_errors_of_neighbors(dtype: str, center: float) -> None:
    axes = plots.draw_errors(center, 40, dtype=dtype)
    plain, ours = (np.asarray(line.get_ydata()) for line in axes.lines[:2])
    assert np.abs(ours).max() <= 0.5 < np.abs(plain).max() <= 1.5
    assert labels(axes)[1] == "softsign: falls at 0 of 39 steps"


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.draw_curves(["tan"]), "'tan' is not one of softsign, tanh, "),
        (
            lambda: plots.draw_curves(["softsign"], order=171),
            "order must be an integer from 0 to 170, not 171",
        ),
        (lambda: plots.draw_curves(["tanh"], order=21), "order must be an integer from 0 to 20, not 21"),
        (lambda: plots.draw_curves(["tanh"], order=-1), "order must be an integer from 0 to 20, not -1"),
        (lambda: plots.draw_curves(["tanh"], scale=0), "scale must be positive and finite, not 0"),
        (lambda: plots.draw_curves(["tanh"], scale=np.nan), "scale must be positive and finite, not nan"),
        (lambda: plots.draw_curves(["tanh"], 2, 1), "the range must be two finite numbers"),
        (lambda: plots.comparison_figure(orders=[]), "orders must be one or more integers"),
        (lambda: plots.draw_tails(["relu"]), "'relu' is not one of the functions with a limit: softsign, "),
        (lambda: plots.draw_tails(low=0), "the range must be positive and finite, the smaller first, not 0 "),
        (lambda: plots.draw_plane(0), "reach must be 1 or more, not 0"),
        (lambda: plots.draw_errors(count=1), "count must be from 2 to 10,000, not 1"),
        (lambda: plots.draw_errors(dtype="int32"), "dtype must be float16, float32 or float64, not int32"),
        (lambda: plots.draw_errors(np.inf), "the 60 numbers around inf must be finite in float32"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()
