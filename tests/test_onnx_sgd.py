"""Training steps made of models with gradients."""

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from softsign.onnx import ModelError, gradients, run, sgd_step, to_model
from softsign.operator import Net
from tests.helpers import Array

RNG = np.random.default_rng(0)
PARAMETERS: dict[str, Array] = {
    "w1": RNG.standard_normal((6, 4)),
    "b1": RNG.standard_normal(4),
    "w2": RNG.standard_normal((4, 3)),
    "b2": RNG.standard_normal(3),
}
FEEDS: dict[str, Array] = {"x": RNG.standard_normal((7, 6)), "label": RNG.integers(3, size=7)}


def network() -> ModelProto:
    """Return a network of two layers, with a loss."""
    net = Net("network", PARAMETERS)
    net.add("Gemm", ["x", "w1", "b1"], "z")
    net.add("Softsign", "z", "y")
    net.add("Gemm", ["y", "w2", "b2"], "scores")
    net.add("SoftmaxCrossEntropyLoss", ["scores", "label"], "loss")
    return to_model(net, FEEDS, outputs=["scores", "loss"])


@pytest.fixture(scope="module")
def model() -> ModelProto:
    return gradients(network(), "loss", list(PARAMETERS))


def test_step_is_what_its_docstring_says(model: ModelProto) -> None:
    step = sgd_step(model)
    nexts = [f"{name}_next" for name in PARAMETERS]
    assert [value.name for value in step.graph.output] == ["scores", "loss", *nexts]
    assert not step.graph.initializer
    slopes = run(model, FEEDS)
    found = run(step, {**FEEDS, **PARAMETERS, "learning_rate": np.array(0.3)})
    for name, value in PARAMETERS.items():
        np.testing.assert_allclose(found[f"{name}_next"], value - 0.3 * slopes[f"{name}_grad"], rtol=1e-13)


def test_step_with_momentum_and_decay(model: ModelProto) -> None:
    velocity = {name: np.full(value.shape, 0.5) for name, value in PARAMETERS.items()}
    step = sgd_step(model, momentum=0.9, weight_decay={"w1": 0.1}, learning_rate=0.3)
    slopes = run(model, FEEDS)
    found = run(step, {**FEEDS, **PARAMETERS, **{f"{name}_velocity": v for name, v in velocity.items()}})
    for name, value in PARAMETERS.items():
        slope = slopes[f"{name}_grad"] + (0.1 * value if name == "w1" else 0)
        moved = 0.9 * velocity[name] - 0.3 * slope
        np.testing.assert_allclose(found[f"{name}_velocity_next"], moved, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(found[f"{name}_next"], value + moved, rtol=1e-12, atol=1e-15)


def test_one_decay_is_that_of_every_parameter(model: ModelProto) -> None:
    step = sgd_step(model, weight_decay=0.1, learning_rate=0.3)
    slopes, found = run(model, FEEDS), run(step, FEEDS | PARAMETERS)
    for name, value in PARAMETERS.items():
        moved = value - 0.3 * (slopes[f"{name}_grad"] + 0.1 * value)
        np.testing.assert_allclose(found[f"{name}_next"], moved, rtol=1e-12, atol=1e-15)


def test_names_of_the_model_are_left_alone() -> None:
    """Names that the step needs for itself give way; those that its users rely on are refused if taken."""
    net = Net("net", {"w": np.ones(3)})
    net.add("Mul", ["x", "w"], "w_move")
    net.add("ReduceSum", "w_move", "loss", keepdims=0)
    model = gradients(to_model(net, {"x": np.arange(3.0)}, outputs=["loss"]), "loss", "w")
    found = run(sgd_step(model, learning_rate=1.0), {"x": np.arange(3.0), "w": np.ones(3)})
    assert found["w_next"].tolist() == [1, 0, -1]
    with pytest.raises(ModelError, match="the model has a tensor 'x' already"):
        sgd_step(model, learning_rate="x")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"momentum": 1.0}, "momentum is 1.0; it must be at least 0 and less than 1"),
        ({"momentum": -0.1}, "momentum is -0.1"),
        ({"momentum": float("nan")}, "momentum is nan"),
        ({"weight_decay": -1.0}, "weight_decay of 'w1' is -1.0; it must be a finite number, 0 or more"),
        ({"weight_decay": {"w9": 0.1}}, "weight_decay: 'w9' is not a parameter; those are w1, b1, w2, b2"),
        ({"learning_rate": "x"}, "the model has a tensor 'x' already"),
        ({"learning_rate": float("inf")}, "learning_rate is inf; it must be a finite number"),
    ],
)
def test_refusals(model: ModelProto, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        sgd_step(model, **options)


def test_a_model_without_gradients_is_refused() -> None:
    with pytest.raises(ModelError, match="the model has no gradients: "):
        sgd_step(network())


@pytest.mark.parametrize("engine", ["onnxruntime", "softsign"])
@pytest.mark.parametrize("learning_rate", ["learning_rate", 0.5])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_parameters_of_two_dtypes(engine: str, learning_rate: str | float, momentum: float) -> None:
    values = {"a": np.array([1, 2], np.float32), "b": np.array([3.0, 4.0]), "c": np.array([5, 6], np.float16)}
    net = Net("mixed", values)
    for name in values:
        net.add("Cast", name, f"{name}_wide", to=11)
    net.add("Sum", [f"{name}_wide" for name in values], "total")
    net.add("ReduceSum", "total", "loss", keepdims=0)
    step = sgd_step(
        gradients(to_model(net), "loss"), learning_rate=learning_rate, momentum=momentum, weight_decay=0.5
    )
    feeds = dict(values)
    if isinstance(learning_rate, str):
        (declared,) = (value for value in step.graph.input if value.name == "learning_rate")
        assert declared.type.tensor_type.elem_type == 11  # of float64, the widest
        feeds["learning_rate"] = np.array(0.5)
    if momentum:
        feeds |= {f"{name}_velocity": np.zeros_like(value) for name, value in values.items()}
    found = run(step, feeds, engine=engine)
    for name, value in values.items():
        assert found[f"{name}_next"].dtype == value.dtype
        np.testing.assert_array_equal(found[f"{name}_next"], value - 0.5 * (1 + 0.5 * value))


def test_a_number_that_the_dtype_cannot_hold() -> None:
    net = Net("half", {"w": np.ones(2, np.float16)})
    net.add("Mul", ["w", "x"], "y")
    net.add("ReduceSum", "y", "loss", keepdims=0)
    model = gradients(to_model(net, {"x": np.ones(2, np.float16)}, outputs=["loss"]), "loss")
    for options, words in (
        ({"learning_rate": 1e9}, "learning_rate is 1000000000.0, which float16 cannot hold"),
        ({"weight_decay": 1e-9}, "w_decay is 1e-09, which float16 cannot hold"),
    ):
        with pytest.raises(ModelError, match=words):
            sgd_step(model, **options)


def test_which_gradient_is_meant_must_be_clear(model: ModelProto) -> None:
    with pytest.raises(ModelError, match="the model has several gradients of 'w1': w1_grad, w1_grad_"):
        sgd_step(gradients(model, "loss", "w1"))
    one = gradients(model, "loss", "w1")
    slope = one.graph.output[-1].name
    for i in reversed(range(len(one.graph.output) - 1)):
        if one.graph.output[i].name.endswith("_grad"):
            del one.graph.output[i]
    found = run(sgd_step(one, learning_rate=1.0), FEEDS | {"w1": PARAMETERS["w1"]})
    np.testing.assert_allclose(
        found["w1_next"], PARAMETERS["w1"] - run(model, FEEDS)["w1_grad"], rtol=1e-12, atol=1e-15
    )
    assert slope != "w1_grad"
