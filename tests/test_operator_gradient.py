"""Gradient makers and `Net.add_gradients`: values of any order, in place, and what is refused."""

import copy
import doctest
import itertools
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import softsign
from softsign.operator import (
    GetSoftsignGradient,
    GradientMaker,
    Net,
    OperatorDef,
    OperatorSchema,
    SchemaError,
    Workspace,
    create_operator,
    operators,
    register_cpu_operator,
    register_gradient,
)
from tests.helpers import Array, assert_same_bits
from tests.operator_helpers import (
    CASES,
    DY,
    FAMILY,
    A,
    Domain,
    X,
    by_dtype,
    by_operator,
    identity,
    net_of,
    run,
    types,
    values,
    workspace_of,
)

DOC = Path(__file__).parents[1] / "docs" / "operator.md"


# Against finite differences


H = 1e-5


def central_differences(net: Net, y: str, dy: Array, blobs: dict[str, Array], name: str) -> Array:
    """The gradient of sum(dy * y) with respect to a blob that is fed."""
    slope = np.empty_like(blobs[name])
    for index in np.ndindex(slope.shape):
        ends = []
        for h in (H, -H):
            moved = blobs[name].copy()
            moved[index] += h
            ends.append(float((dy * run(net, y, **blobs | {name: moved})).sum()))
        slope[index] = (ends[0] - ends[1]) / (2 * H)
    return slope


def assert_gradients_are_right(net: Net, y: str, blobs: dict[str, Array], draw: st.DataObject) -> None:
    """Hold the gradients of a blob, weighted at random, against finite differences.

    Differences err by H^2 f'''/6 < 1e-7 on the domains above, and by rounding, about 1e-16 / H.
    """
    dy = draw.draw(values(run(net, y, **blobs).shape, DY), label="dy")
    forward = copy.deepcopy(net)
    gradients = net.add_gradients({y: "seed"})
    workspace = workspace_of(**blobs, seed=dy)
    workspace.run(net)
    for name, value in blobs.items():
        expected = central_differences(forward, y, dy, blobs, name)
        actual = workspace.fetch(gradients[name]) if name in gradients else np.zeros_like(value)
        assert actual.shape == value.shape
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


def draw_use(name: str, draw: st.DataObject) -> tuple[Net, dict[str, Array]]:
    """Draw a net of one operator, from blobs in0, in1, ... to out, and the blobs."""
    case = CASES[name]
    shapes = draw.draw(case.shapes, label="shapes")
    blobs = {
        f"in{i}": draw.draw(values(shape, domain), label=f"in{i}")
        for i, (shape, domain) in enumerate(zip(shapes, case.domains, strict=False))
    }
    return net_of((create_operator(name, list(blobs), "out", **draw.draw(case.attributes)),)), blobs


@by_operator
@settings(max_examples=25)
@given(data=st.data())
def test_add_gradients_agrees_with_finite_differences(name: str, data: st.DataObject) -> None:
    net, blobs = draw_use(name, data)
    assert_gradients_are_right(net, "out", blobs, data)


@pytest.mark.parametrize("name", [*FAMILY, "Mul", "Div"])
@settings(max_examples=10)
@given(data=st.data())
def test_add_gradients_twice_agrees_with_finite_differences(name: str, data: st.DataObject) -> None:
    net, blobs = draw_use(name, data)
    gradients = net.add_gradients(["out"])
    for gradient in [gradients[blob] for blob in blobs]:
        assert_gradients_are_right(copy.deepcopy(net), gradient, blobs, data)


@pytest.mark.parametrize(("name", "count"), [("Add", 2), ("Sub", 2), ("Mul", 2), ("Div", 2), ("Sum", 4)])
@settings(max_examples=10)
@given(data=st.data())
def test_add_gradients_of_an_operator_that_reads_a_blob_more_than_once(
    name: str, count: int, data: st.DataObject
) -> None:
    x = data.draw(values((3,), Domain(0.5, 4)))
    assert_gradients_are_right(net_of((name, ["X"] * count, "Y")), "Y", {"X": x}, data)


@settings(max_examples=10)
@given(data=st.data())
def test_add_gradients_of_a_blob_that_several_operators_read(data: st.DataObject) -> None:
    net = net_of(
        ("Softsign", "X", "A"),
        ("SoftsignDerivative", "X", "B"),
        ("Mul", ["A", "B"], "C"),
        ("Sub", ["C", "X"], "D"),
        ("Mul", ["D", "A"], "E"),
    )
    assert_gradients_are_right(net, "E", {"X": data.draw(values((2, 2), X))}, data)


# Orders and dtypes


def test_add_gradients_of_several_blobs() -> None:
    net = net_of(("Softsign", "X", "Y"), ("SoftsignLogJacobian", "X", "L"), ("Neg", "U", "V"))
    gradients = net.add_gradients(["Y", "L"])
    x = np.array([-3.0, 0.5])
    expected = softsign.derivative(x) - 2 * np.sign(x) / (1 + np.abs(x))
    np.testing.assert_allclose(run(net, gradients["X"], X=x, U=x), expected, rtol=1e-15)
    assert set(gradients) == {"X", "Y", "L"}  # Y and L do not depend on U


def test_add_gradients_of_one_blob_by_its_name() -> None:
    net = net_of(("Softsign", "X", "loss"))
    gradients = net.add_gradients("loss")
    np.testing.assert_array_equal(run(net, gradients["X"], X=[1.0, 3.0]), [0.25, 0.0625])


WIDE = np.array([s * m for m in (0, 1e-8, 1e-3, 0.3, 1, 7, 1e3) for s in (1, -1)])


def test_add_gradients_to_any_order() -> None:
    net, y = net_of(("Softsign", "X", "Y")), "Y"
    for order in range(1, 6):
        y = net.add_gradients([y])["X"]
        # Sums of products of both signs cancel at most binomially: some 2^5 roundings of 1e-16.
        np.testing.assert_allclose(run(net, y, X=WIDE), softsign.nth_derivative(order, WIDE), rtol=1e-13)


@pytest.mark.parametrize("order", range(2, 5))
def test_add_gradients_to_any_order_in_place(order: int) -> None:
    net, y, x = net_of(("Softsign", "X", "X")), "X", WIDE[np.abs(WIDE) > 0]
    for _ in range(order):
        y = net.add_gradients([y])["X"]
    # 1 - |y| has lost |x| units in the last place of y, and is taken to the power order + 1.
    expected = softsign.nth_derivative(order, x)
    np.testing.assert_allclose(run(net, y, X=x) / expected, 1, atol=1e-15 * (order + 1) * 1e3)
    near = np.abs(x) <= 1
    np.testing.assert_allclose(run(net, y, X=x[near]), expected[near], rtol=1e-14)


@by_dtype
def test_add_gradients_in_every_dtype(dtype: np.dtype[Any]) -> None:
    x, dy = np.array([[-3, 0.5, 1]], dtype), np.array([[2, -1, 0.5]], dtype)
    net = net_of(("Softsign", "X", "Y"))
    gradients = net.add_gradients({"Y": "dY"})
    assert_same_bits(run(net, gradients["X"], X=x, dY=dy), softsign.gradient(x, dy))
    alone = net_of(("Softsign", "X", "Y"))
    gradients = alone.add_gradients(["Y"])
    assert_same_bits(run(alone, gradients["X"], X=x), softsign.derivative(x))


def test_get_softsign_gradient_alone() -> None:
    maker = GetSoftsignGradient(OperatorDef("Softsign", "X", "Y"), ["dY"])
    assert maker.get_gradient_defs() == [OperatorDef("SoftsignGradient", ["X", "dY"], "X_grad")]
    in_place = GetSoftsignGradient(OperatorDef("Softsign", "X", "X"))
    assert in_place.get_gradient_defs() == [
        OperatorDef("SoftsignGradientFromOutput", ["X", "X_grad"], "X_grad_1")
    ]
    taken = GetSoftsignGradient(OperatorDef("Softsign", "X", "X_grad")).get_gradient_defs()
    assert taken == [OperatorDef("SoftsignGradient", ["X", "X_grad_grad"], "X_grad_1")]


def test_gradient_maker_wants_no_input_that_is_left_out() -> None:
    maker = GradientMaker(OperatorDef("Gemm", ["A", ""], "Y"))
    assert [maker.wants(i) for i in range(4)] == [True, False, False, False]


def test_add_gradients_makes_names_of_its_own() -> None:
    net = net_of(("Softsign", "X", "X_grad"), ("Mul", ["X_grad", "Y_grad"], "Y"))
    gradients = net.add_gradients({"Y": "X_grad_1"})
    x, w, dy = np.array([1.0, -3]), np.array([2.0, 3]), np.array([5.0, 7])
    found = run(net, gradients["X"], X=x, Y_grad=w, X_grad_1=dy)
    np.testing.assert_allclose(found, dy * w * softsign.derivative(x), rtol=1e-15)


# In place


def test_add_gradients_in_place_from_the_output() -> None:
    net = net_of(("Softsign", "X", "X"))
    gradients = net.add_gradients(["X"])
    assert types(net) == ["Softsign", "OnesLike", "SoftsignGradientFromOutput"]
    x = np.array([-3.0, 0, 0.5])
    np.testing.assert_allclose(run(net, gradients["X"], X=x), softsign.derivative(x), rtol=1e-14)


def test_add_gradients_from_the_output_where_the_input_is_overwritten_later() -> None:
    net = net_of(("Softsign", "X", "Y"), ("Neg", "Z", "X"), ("Mul", ["Y", "X"], "L"))
    gradients = net.add_gradients(["L"])
    assert "SoftsignGradientFromOutput" in types(net)
    x, z = np.array([-3.0, 0.5]), np.array([2.0, 5.0])
    # X is first what was fed, then -Z; the gradient is that of the first.
    np.testing.assert_allclose(run(net, gradients["X"], X=x, Z=z), -z * softsign.derivative(x), rtol=1e-14)
    np.testing.assert_allclose(run(net, gradients["Z"], X=x, Z=z), -softsign.softsign(x), rtol=1e-14)


def test_add_gradients_of_a_blob_written_twice_is_that_of_its_first_value() -> None:
    net = net_of(("Neg", "X", "H"), ("Softsign", "H", "H"), ("Mul", ["H", "W"], "L"))
    gradients = net.add_gradients(["L"])
    x, w = np.array([-3.0, 0.5]), np.array([2.0, 5.0])
    workspace = workspace_of(X=x, W=w)
    workspace.run(net)
    np.testing.assert_allclose(workspace.fetch(gradients["H"]), w * softsign.derivative(x), rtol=1e-14)
    np.testing.assert_allclose(workspace.fetch(gradients["X"]), -w * softsign.derivative(x), rtol=1e-14)


@pytest.mark.parametrize(
    ("ops", "op", "lost", "by"),
    [
        (
            [("SoftsignDerivative", "X", "X")],
            "SoftsignDerivative(X) -> (X)",
            "input, blob 'X'",
            "SoftsignDerivative(X) -> (X)",
        ),
        (
            [("Softsign", "X", "X"), ("Softsign", "X", "X", "second")],
            "Softsign(X) -> (X)",
            "output, blob 'X'",
            "Softsign 'second'(X) -> (X)",
        ),
        (
            [("Mul", ["X", "W"], "H"), ("Neg", "Z", "W"), ("Add", ["H", "W"], "Y")],
            "Mul(X, W) -> (H)",
            "input, blob 'W'",
            "Neg(Z) -> (W)",
        ),
        (
            [("Div", ["X", "W"], "H"), ("Softsign", "H", "H")],
            "Div(X, W) -> (H)",
            "output, blob 'H'",
            "Softsign(H) -> (H)",
        ),
        (
            [("SoftsignGradient", ["X", "G"], "G")],
            "SoftsignGradient(X, G) -> (G)",
            "input, blob 'G'",
            "SoftsignGradient(X, G) -> (G)",
        ),
    ],
    ids=["input", "output", "by another", "of two", "over dY"],
)
def test_add_gradients_refuses_a_lost_value(ops: list[tuple[Any, ...]], op: str, lost: str, by: str) -> None:
    net = net_of(*ops)
    with pytest.raises(SchemaError) as caught:
        net.add_gradients([ops[-1][2]])
    assert str(caught.value) == f"the gradient of {op} needs its {lost}, which {by} has overwritten"
    assert len(net.operators) == len(ops)


BLOCKS = [
    ("Softsign",),
    ("Softsign", "SoftsignInverse"),
    ("SoftsignDerivative",),
    ("SoftsignAntiderivative",),
    ("SoftsignLogJacobian",),
    ("Neg",),
]


FROM_OUTPUT = {"Softsign", "SoftsignInverse"}


STEPS = st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=4).map(lambda b: list(itertools.chain(*b)))


@given(chain=STEPS, x=values((3,), X), data=st.data())
def test_add_gradients_of_a_chain_in_place(chain: list[str], x: Array, data: st.DataObject) -> None:
    in_place = [name != "Neg" and data.draw(st.booleans(), label=name) for name in chain]
    apart, mixed, blob = Net("apart"), Net("mixed"), "h"
    for i, (name, over) in enumerate(zip(chain, in_place, strict=True)):
        apart.add(name, f"h{i}" if i else "h", f"h{i + 1}")
        after = blob if over else f"h{i + 1}"
        mixed.add(name, blob, after)
        blob = after
    last = f"h{len(chain)}"
    assert_same_bits(run(mixed, blob, h=x), run(apart, last, h=x))

    # An input that is overwritten must not be needed, and then the output must stay.
    possible = all(
        name in FROM_OUTPUT and not next_over
        for name, over, next_over in zip(chain, in_place, [*in_place[1:], False], strict=True)
        if over
    )
    if not possible:
        with pytest.raises(SchemaError, match="has overwritten"):
            mixed.add_gradients([blob])
        return
    expected = run(apart, apart.add_gradients([last])["h"], h=x)
    actual = run(mixed, mixed.add_gradients([blob])["h"], h=x)
    np.testing.assert_allclose(actual, expected, rtol=1e-13)  # what y lost: a few units in its last place


def test_add_gradients_knows_the_types_of_the_value_that_was_read() -> None:
    """C has the shape of B when A is added to it, and later that of A."""
    net = Net("two shapes", {"A": np.ones(3), "B": np.ones((1, 3))})
    for op in (("Add", ["A", "B"], "C"), ("Neg", "C", "Z"), ("Add", ["A", "A"], "C")):
        net.add(*op)
    gradients = net.add_gradients(["Z"])
    assert run(net, gradients["A"]).shape == (3,)


def test_add_gradients_does_not_trust_the_shape_of_a_constant() -> None:
    """Shapes of constants may spare the gradient a SumTo that another shape would need."""
    net = Net("constant", {"A": np.ones((2, 3)), "B": np.ones((2, 3))})
    net.add("Add", ["A", "B"], "C")
    gradients = net.add_gradients(["C"])
    workspace = workspace_of(B=np.ones(3))
    workspace.run(net)
    np.testing.assert_array_equal(workspace.fetch(gradients["B"]), [2, 2, 2])


# Operators of one's own


@pytest.fixture
def layers(registry: None) -> None:
    """Register the fully connected layer and the loss by the very code of docs/operator.md."""
    namespace: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL):
        if "register_cpu_operator(" in block:
            examples = doctest.DocTestParser().get_doctest(block, namespace, DOC.name, None, None)
            doctest.DocTestRunner().run(examples, clear_globs=False)
            namespace = examples.globs
    assert {"FC", "FCGradient", "SquaredError"} <= set(operators())


def layered(rng: np.random.Generator, *widths: int) -> tuple[Net, list[str]]:
    """Build a net of fully connected layers, softsign in place between them, and a loss; and its weights."""
    net, blob, count = Net("digits"), "X", len(widths) - 1
    for i in range(count):
        parameters = [f"W{i}", f"b{i}"]
        net.constants[parameters[0]] = rng.normal(size=(widths[i + 1], widths[i])) / widths[i] ** 0.5
        net.constants[parameters[1]] = np.zeros(widths[i + 1])
        net.add("FC", [blob, *parameters], f"H{i}")
        if i < count - 1:
            net.add("Softsign", f"H{i}", f"H{i}")
        blob = f"H{i}"
    net.add("SquaredError", [blob, "T"], "loss")
    return net, list(net.constants)


@pytest.mark.usefixtures("layers")
@settings(max_examples=5)
@given(data=st.data())
def test_add_gradients_of_registered_layers(data: st.DataObject) -> None:
    net, parameters = layered(np.random.default_rng(data.draw(st.integers(0, 99))), 3, 4, 2)
    blobs = {name: net.constants.pop(name) for name in parameters}
    blobs["X"] = data.draw(values((5, 3), X))
    net.constants["T"] = data.draw(values((5, 2), X))  # held constant by the loss's gradient maker
    assert_gradients_are_right(net, "loss", blobs, data)


@pytest.mark.usefixtures("layers")
def test_add_gradients_trains_a_net_to_read_digits() -> None:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(labels))
    x, label = pixels[order] / 16 - 0.5, labels[order]
    train, test = slice(0, 1408), slice(1408, None)
    net, parameters = layered(rng, 64, 64, 10)
    gradients = net.add_gradients(["loss"])
    workspace, losses = Workspace(), []
    for _ in range(20):
        for batch in range(train.start, train.stop, 32):
            workspace.feed("X", x[batch : batch + 32])
            workspace.feed("T", np.eye(10)[label[batch : batch + 32]])
            workspace.run(net)
            for name in parameters:
                workspace.feed(name, workspace.fetch(name) - 0.005 * workspace.fetch(gradients[name]))
            losses.append(float(workspace.fetch("loss")))
    assert statistics.mean(losses[-44:]) < statistics.mean(losses[:44]) / 2
    workspace.feed("X", x[test])
    workspace.feed("T", np.eye(10)[label[test]])
    workspace.run(net)
    assert (workspace.fetch("H1").argmax(axis=1) == label[test]).mean() >= 0.9  # six seeds: 0.94 to 0.97


# What is refused


def test_add_gradients_refuses_blobs_that_there_are_not() -> None:
    net = net_of(("Softsign", "X", "Y"), name="small")
    for ys in (["Z"], ["Y", "Z"], {"Z": "dZ"}):
        with pytest.raises(SchemaError, match="net 'small' has no blob 'Z'"):
            net.add_gradients(ys)
    assert types(net) == ["Softsign"]


def test_add_gradients_from_a_seed_that_was_not_fed() -> None:
    net = net_of(("Softsign", "X", "Y"))
    net.add_gradients({"Y": "dY"})
    workspace = workspace_of(X=A)
    with pytest.raises(SchemaError, match="reads blob 'dY'"):
        workspace.run(net)
    assert list(workspace) == ["X"]
    workspace.feed("dY", np.ones(4))
    with pytest.raises(
        SchemaError, match=r"'X' \(float64, shape \(3,\)\) and 'dY' \(float64, shape \(4,\)\)"
    ):
        workspace.run(net)
    assert list(workspace) == ["X", "dY"]


@pytest.mark.usefixtures("registry")
def test_add_gradients_refuses_an_operator_without_gradient_maker() -> None:
    register_cpu_operator("Identical", identity, OperatorSchema(num_inputs=1))
    net = net_of(("Softsign", "X", "Y"), ("Identical", "Y", "Z"))
    with pytest.raises(SchemaError) as caught:
        net.add_gradients(["Z"])
    assert str(caught.value) == (
        "no gradient is registered for Identical(Y) -> (Z); "
        "softsign.operator.register_gradient('Identical', maker) registers one"
    )
    assert types(net) == ["Softsign", "Identical"]
    net.add_gradients(["Y"])  # does not pass through it


class GetNothing(GradientMaker):
    """Promises a gradient and does not compute it."""

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        self.input_gradient(0)
        return []


class GetForeign(GradientMaker):
    """Writes a blob of the net's."""

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        self.emit("Neg", self.output_gradient(0), output=self.input_gradient(0))
        self.emit("Neg", self.output_gradient(0), output="X")
        return self.defs


class GetUnknown(GradientMaker):
    """Asks for an operator that there is not."""

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        self.emit("Nothing", self.output_gradient(0), output=self.input_gradient(0))
        return self.defs


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        (GetForeign, r"gradient maker of Identical\(Y\) -> \(Z\) writes blob 'X'"),
        (GetNothing, r"gradient maker of Identical\(Y\) -> \(Z\) .*'Y_grad'"),
        (GetUnknown, "'Nothing' is not registered"),
        (GradientMaker, "GradientMaker must implement get_gradient_defs"),
    ],
    ids=["foreign", "nothing", "unknown", "abstract"],
)
@pytest.mark.usefixtures("registry")
def test_add_gradients_refuses_a_maker_that_does_wrong(maker: type[GradientMaker], message: str) -> None:
    register_cpu_operator("Identical", identity, OperatorSchema(num_inputs=1))
    register_gradient("Identical", maker)
    net = net_of(("Softsign", "X", "Y"), ("Identical", "Y", "Z"))
    with pytest.raises((SchemaError, NotImplementedError), match=message):
        net.add_gradients(["Z"])
    assert types(net) == ["Softsign", "Identical"]
