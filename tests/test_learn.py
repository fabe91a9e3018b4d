"""`softsign.learn`: the figures show what the functions give, and the network learns by the true gradient."""

from io import BytesIO
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from numpy.typing import NDArray

import softsign
from softsign.data import digits
from softsign.learn import network as net
from softsign.learn import network_onnx, plots
from softsign.learn.demo_figure import demo_figure
from softsign.onnx import run
from tests.helpers import UNARY, run_python, ufunc


def panel(name: str, low: float = -10, high: float = 10) -> Axes:
    (axes,) = plots.function_figure([name], low, high).axes
    return axes


def curves(axes: Axes) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Return the colored lines, without guides (dashed) and markers."""
    lines = [line for line in axes.lines if line.get_linestyle() == "-"]
    return [(np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in lines]


@pytest.mark.parametrize("name", UNARY)
def test_curves_are_the_functions(name: str) -> None:
    axes = panel(name)
    for x, y in curves(axes):
        np.testing.assert_array_equal(y, ufunc(name)(x))
    drawn = np.concatenate([x for x, _ in curves(axes)])
    reach = 1 if name == "inverse" else 10
    np.testing.assert_allclose((drawn.min(), drawn.max()), (-reach, reach), atol=0.003)
    assert axes.get_xlabel() == ("$y$" if name == "inverse" else "$x$")
    assert axes.get_title().startswith(name)
    assert axes.get_ylabel()


def test_the_jump_is_drawn_as_a_jump() -> None:
    axes = panel("second_derivative")
    (left, left_y), (right, right_y) = curves(axes)
    assert left.max() < 0 < right.min()
    assert left_y[-1] == 2
    assert right_y[0] == -2
    circles = {line.get_label(): line for line in axes.lines if line.get_marker() == "o"}
    np.testing.assert_array_equal(circles["one-sided limit"].get_xydata(), [[0, 2], [0, -2]])
    np.testing.assert_array_equal(circles["value at 0, by convention"].get_xydata(), [[0, 0]])
    assert circles["one-sided limit"].get_markerfacecolor() == "white"
    assert (
        circles["value at 0, by convention"].get_markerfacecolor()
        == circles["value at 0, by convention"].get_markeredgecolor()
    )


@pytest.mark.parametrize(("low", "high", "limits"), [(0, 3, [-2]), (-3, 0, [2]), (1, 2, []), (-2, -1, [])])
def test_one_side_of_the_jump(low: float, high: float, limits: list[float]) -> None:
    axes = panel("second_derivative", low, high)
    assert len(curves(axes)) == 1
    circles = [line.get_ydata() for line in axes.lines if line.get_label() == "one-sided limit"]
    assert [float(y) for line in circles for y in np.asarray(line)] == limits


def test_the_peak_of_the_derivative_is_drawn() -> None:
    ((_, y),) = curves(panel("derivative", -1, 2.3))
    assert y.max() == 1


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (np.nan, 1), (-np.inf, 1)])
def test_a_range_is_two_increasing_numbers(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="the range must be two finite numbers, the smaller first"):
        plots.function_figure(["softsign"], low, high)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (1e-320, 2e-320, "range 1e-320 2e-320 is too narrow to draw: it must be 1e-250 wide or more"),
        (-1e-290, 1e-290, "too narrow"),
        (1.0, 1 + 2**-52, r"range 1.0 1.0000000000000002 is too narrow to draw: .* and 1e-12 of its larger"),
        (-1e308, 1e308, "must be within ±1e\\+150, not -1e\\+308 1e\\+308"),
        (0, 1e155, "must be within"),
    ],
)
def test_a_range_that_no_axis_shows_is_refused(low: float, high: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plots.function_figure(["softsign"], low, high)


@pytest.mark.parametrize(
    ("low", "high"), [(1e-250, 2e-250), (-1e-250, 1e-250), (1, 1 + 2e-12), (-1e150, 1e150), (1e149, 1e150)]
)
def test_extreme_ranges_fill_their_panels(low: float, high: float) -> None:
    figure = plots.function_figure([name for name in UNARY if name != "inverse" or low < 0], low, high)
    figure.set_layout_engine("none")  # which draws all several times
    figure.savefig(BytesIO(), dpi=20)
    for axes in figure.axes:
        left, right = axes.get_xlim()
        assert left < right < left + 1.2 * (high - low)


@pytest.mark.parametrize(("low", "high"), [(1, 2), (-5, -1)])
def test_the_inverse_needs_a_part_of_its_domain(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="inverse is defined between -1 and 1"):
        panel("inverse", low, high)


def test_nothing_of_a_figure_overlaps_or_is_cut_off() -> None:
    figure = plots.function_figure(UNARY)
    buffer = BytesIO()
    figure.savefig(buffer)
    buffer.seek(0)
    image = matplotlib.image.imread(buffer)
    edge = np.concatenate([image[[0, -1]].reshape(-1, 4), image[:, [0, -1]].reshape(-1, 4)])
    assert (edge == 1).all()  # a white margin
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    for i, one in enumerate(boxes):
        for other in boxes[i + 1 :]:
            assert one is not None
            assert other is not None
            assert not one.overlaps(other)


def test_the_comparison_shows_three_functions_of_each() -> None:
    figure = plots.comparison_figure()
    for axes, name in zip(figure.axes, ("softsign", "derivative", "second_derivative"), strict=True):
        for x, y in curves(axes):
            np.testing.assert_array_equal(y, ufunc(name)(x))
        (tanh,) = (line for line in axes.lines if line.get_label() == "tanh")
        x, y = np.asarray(tanh.get_xdata()), np.asarray(tanh.get_ydata())
        expected = {
            "softsign": np.tanh(x),
            "derivative": np.cosh(x) ** -2,
            "second_derivative": -2 * np.tanh(x) * np.cosh(x) ** -2,
        }
        np.testing.assert_allclose(y, expected[name], rtol=1e-9, atol=1e-12)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        r"softsign $x\,/\,(1+|x|)$",
        "tanh",
        "one-sided limit",
        "value at 0, by convention",
    ]


def test_plots_leave_matplotlibs_global_state_alone() -> None:
    code = "import sys, softsign.learn.plots; assert 'matplotlib.pyplot' not in sys.modules"
    result = run_python(code)
    assert result.returncode == 0, result.stderr


def test_the_learning_curve_shows_the_history() -> None:
    history = [net.Epoch(0.9, 0.88), net.Epoch(0.95, 0.975)]
    axes = demo_figure(history, 450).axes[0]
    training, test = curves(axes)[:2]
    np.testing.assert_allclose(training, ([1, 2], [90, 95]))
    np.testing.assert_allclose(test, ([1, 2], [88, 97.5]))
    legend = axes.get_legend()
    assert legend is not None
    assert "test, 450 scans: 97.5 % at the end" in [text.get_text() for text in legend.get_texts()]


def test_backpropagation_is_the_gradient_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    network: Any = net.Network((6, 5, 4, 3), rng)  # in float64, which its types do not foresee
    network.weights = [w.astype(np.float64) for w in network.weights]
    network.biases = [rng.standard_normal(b.shape) for b in network.biases]
    x: NDArray[Any] = rng.standard_normal((7, 6))
    label = rng.integers(3, size=7)

    def loss() -> float:
        scores = network.forward(x)[0][-1]
        return float(np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(7), label]))

    weights, biases, right = network.gradients(x, label)
    assert right == round(7 * network.accuracy(x, label))
    for parameter, gradient in zip(network.weights + network.biases, weights + biases, strict=True):
        numeric = np.empty_like(parameter)
        for index in np.ndindex(parameter.shape):
            here, step = parameter[index], 1e-6
            parameter[index] = here + step
            above = loss()
            parameter[index] = here - step
            numeric[index] = (above - loss()) / (2 * step)
            parameter[index] = here
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-9)


def test_the_network_is_softsign_between_products() -> None:
    network = net.Network((2, 3, 1), np.random.default_rng(0))
    x = np.array([[1, -2]], np.float32)
    hidden = softsign.softsign(x @ network.weights[0])
    np.testing.assert_array_equal(network.forward(x)[0][-1], hidden @ network.weights[1])


def test_the_split_is_fixed_and_disjoint() -> None:
    data = digits.load()
    assert data.train_x.shape == (1347, 8, 8)
    assert data.test_x.shape == (450, 8, 8)
    assert data.train_x.dtype == np.float32
    np.testing.assert_array_equal(data.test_x, digits.load().test_x)
    assert np.bincount(data.test_label).min() >= 43  # each digit has its share
    train = {scan.tobytes() for scan in data.train_x}
    assert not any(scan.tobytes() in train for scan in data.test_x)
    assert abs(data.train_x.mean()) < 1e-4
    assert data.train_x.min() == pytest.approx(data.paper)


def test_shifts_move_the_scan_by_one_pixel() -> None:
    x = np.arange(64, dtype=np.float32).reshape(1, 8, 8)
    shifted = net._shifts(x, -1)
    np.testing.assert_array_equal(shifted[0, 1, 1], x[0])
    np.testing.assert_array_equal(shifted[0, 0, 1, 1:], x[0, :-1])
    np.testing.assert_array_equal(shifted[0, 0, 1, 0], -1)
    np.testing.assert_array_equal(shifted[0, 1, 2, :, :-1], x[0, :, 1:])
    np.testing.assert_array_equal(shifted[0, 1, 2, :, -1], -1)


def trained(
    seed: int, learner: type[net.NumpyLearner | network_onnx.OnnxLearner]
) -> tuple[list[net.Epoch], Any]:
    data, rng = digits.load(), np.random.default_rng(seed)
    network = net.new_network(data, rng)
    return list(net.train(data, learner(network), rng, epochs=2)), network


def test_training_depends_on_the_seed_alone() -> None:
    (first, _), (again, _), (other, _) = (trained(seed, net.NumpyLearner) for seed in (5, 5, 6))
    assert first == again
    assert first != other
    assert first[1].test_accuracy > 0.7


def test_onnx_runtime_trains_the_same_network() -> None:
    (history, network), (by_onnx, other) = (
        trained(5, net.NumpyLearner),
        trained(5, network_onnx.OnnxLearner),
    )
    for one, another in zip(network.weights + network.biases, other.weights + other.biases, strict=True):
        np.testing.assert_allclose(
            another, one, rtol=1e-3, atol=1e-5
        )  # 86 steps in float32, summed in another order
    np.testing.assert_allclose(np.array(by_onnx), np.array(history), atol=0.005)


def test_the_exported_network_gives_the_scores() -> None:
    network = net.new_network(digits.load(), np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((5, 64), np.float32)
    model = network_onnx.network_model(network)
    assert [node.op_type for node in model.graph.node] == ["Gemm", "Softsign", "Gemm", "Softsign", "Gemm"]
    scores = run(model, {"x": x})["scores"]
    np.testing.assert_allclose(scores, network.forward(x)[0][-1], rtol=1e-5, atol=1e-6)
