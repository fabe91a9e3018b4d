"""The rule for gradients: exact or refused by name, for every registered operator and each of its inputs."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from softsign.onnx import ModelError, check_model, gradients, model_info, normalize_model, run, to_model
from softsign.operator import (
    GradientMaker,
    Net,
    OperatorSchema,
    SchemaError,
    TensorType,
    gradient_of,
    operators,
    register_cpu_operator,
    schema,
)
from softsign.operator.registry import gradient_maker
from tests.helpers import Array
from tests.onnx_helpers import by_engine, model_of, ran


class Use(NamedTuple):
    """An operator with all of its inputs."""

    inputs: Sequence[Array]
    attributes: Mapping[str, Any] = {}
    refused: Sequence[int] = ()  # inputs whose gradients are refused by name
    integers: bool = False  # whether the output is of integers or truth values


def floats(*shape: int, seed: int = 0) -> Array:
    """Numbers away from 0 and from each other, where functions have kinks and comparisons steps."""
    rng = np.random.default_rng(seed)
    made: Array = (rng.permutation(int(np.prod(shape))) + 0.5 + rng.random() / 4).reshape(shape) / 8
    signed: Array = made * rng.choice([-1, 1], shape)
    return signed


X, ROW, LABEL = floats(2, 3), floats(3, seed=1), np.array([2, 0, 2, 1])
SMALL = X / 2
ANY_ORDER = [{"n": n} for n in range(4)]
UNARY = ("Neg", "Identity", "Tanh", "Sigmoid", "Relu", "OnesLike", "Transpose", "Softmax", "Flatten")
LOGITS = [floats(4, 3), LABEL, np.array([0.5, 1, 2])]
LOSSES = [
    {"reduction": reduction} | ignored
    for reduction in ("mean", "sum", "none")
    for ignored in ({}, {"ignore_index": 2}, {"ignore_index": -1})
]
GRID = floats(3, 4)

USES: dict[str, list[Use]] = {
    **{name: [Use([X])] for name in (*UNARY, "Softsign")},
    **{name: [Use([X], integers=True)] for name in ("Shape", "Size")},
    **{name: [Use([X, ROW]), Use([ROW, X]), Use([X, floats(2, 1)])] for name in ("Add", "Sub", "Mul", "Div")},
    **{
        f"Softsign{name}": [Use([X])]
        for name in (
            "Derivative",
            "SecondDerivative",
            "Antiderivative",
            "SecondAntiderivative",
            "LogJacobian",
        )
    },
    **{f"Softsign{name}Gradient": [Use([X, floats(2, 3, seed=2)])] for name in ("", "LogJacobian")},
    "SoftsignGradientFromOutput": [Use([SMALL, floats(2, 3, seed=2)])],
    "SoftsignInverse": [Use([SMALL])],
    "SoftsignNthDerivative": [Use([X], n) for n in ANY_ORDER],
    "SoftsignDerivativeFromOutput": [Use([SMALL], n) for n in ANY_ORDER],
    "Sign": [Use([X])],
    "Equal": [Use([X, ROW], integers=True)],
    "Not": [Use([np.array([True, False])], integers=True)],
    "Constant": [Use([], {"value": np.ones(2)})],
    "Sum": [Use([X, ROW, floats(2, 1), X])],
    "SumTo": [Use([X, ROW]), Use([X, floats(2, 1)])],
    "ExpandTo": [Use([ROW, X])],
    "Cast": [
        Use([X], {"to": int(TensorProto.DOUBLE)}),
        Use([X], {"to": int(TensorProto.INT64)}, integers=True),
    ],
    "CastLike": [Use([X, ROW]), Use([X, LABEL], integers=True)],
    "Reshape": [Use([X, np.array([3, -1])])],
    "Squeeze": [Use([floats(1, 3), np.array([0])])],
    "Unsqueeze": [Use([X, np.array([0, -1])])],
    "ReduceSum": [Use([X, np.array([1])], {"keepdims": keep}) for keep in (0, 1)],
    "ReduceMean": [Use([X, np.array([0])], {"keepdims": keep}) for keep in (0, 1)],
    "MatMul": [Use([X, floats(3, 2)]), Use([floats(2, 2, 3), ROW]), Use([ROW, floats(2, 3, 2)])],
    "Gemm": [
        Use([X, floats(3, 2), floats(2)], {"alpha": 0.5, "beta": 2.0}),
        Use([X.T, floats(4, 3), floats(2, 1)], {"transA": 1, "transB": 1, "beta": -1.0}),
    ],
    "Where": [Use([ROW > 0, X, ROW]), Use([X > 0, floats(1), floats(2, 1)])],
    "OneHot": [
        Use([LABEL, np.array(3), floats(2)]),
        Use([LABEL.reshape(2, 2) - 3, np.array(2), floats(2)], {"axis": 0}),
    ],
    "Gather": [
        Use([GRID, np.array([[0, 2], [2, -1]])]),
        Use([GRID, np.array(1)]),
        Use([GRID, np.array([3, 0, 3])], {"axis": 1}),
        Use([floats(2, 3, 2), np.array([[0, 1], [0, -1]])], {"axis": -1}),
    ],
    "GatherND": [
        Use([GRID, np.array([[2], [0], [2]])]),
        Use([GRID, np.array([[0, 1], [2, -1]])]),
        Use([GRID, np.array([[0], [1], [1]])], {"batch_dims": 1}, refused=[0]),
    ],
    "ScatterND": [
        Use([GRID, np.array([[2], [0]]), floats(2, 4)]),
        Use([GRID, np.array([[2, 1], [2, 1], [0, 0]]), floats(3)], {"reduction": "add"}),
        Use([GRID, np.array([[2], [0]]), floats(2, 4)], {"reduction": "mul"}, refused=[0, 2]),
    ],
    "SoftmaxCrossEntropyLoss": [Use(LOGITS, loss) for loss in LOSSES],
}
EVERY = [(name, use) for name, uses in USES.items() for use in uses]


def test_every_operator_and_every_input_is_here() -> None:
    assert set(USES) == set(operators())
    for name, use in EVERY:
        counts = schema(name).num_inputs
        most = counts if isinstance(counts, int) else counts[1]
        assert len(use.inputs) == most or most is None, name


def net_of(name: str, use: Use) -> tuple[Net, dict[str, Array]]:
    """Return a net that ends in a loss, and what it is fed; integers are constants."""
    given = {f"in{i}": value for i, value in enumerate(use.inputs)}
    net = Net("one", {blob: value for blob, value in given.items() if value.dtype.kind == "i"})
    feeds = {blob: value for blob, value in given.items() if blob not in net.constants}
    net.types = {blob: TensorType(value.dtype, value.shape) for blob, value in feeds.items()}
    net.add(name, list(given), "out", **use.attributes)
    net.add("Cast", "out", "y", to=int(TensorProto.DOUBLE))
    net.add("Mul", ["y", "y"], "square")
    net.add("Add", ["y", "square"], "both")
    net.add("ReduceSum", "both", "L", keepdims=0)
    net.outputs = ["L"]
    return net, feeds


def slopes(net: Net, ys: Collection[str], feeds: Mapping[str, Array], name: str) -> dict[str, list[float]]:
    """Return how the sums of blobs change with another along random directions, by central differences.

    A wrong gradient has a wrong product with almost every direction; other tests look at each element.
    """
    step, found = 1e-6, dict[str, list[float]]((y, []) for y in ys)
    for direction in directions(feeds[name]):
        ends = [ran(net, {**feeds, name: feeds[name] + h * direction}) for h in (step, -step)]
        for y in ys:
            above, below = (float(workspace.fetch(y).sum()) for workspace in ends)
            found[y].append((above - below) / (2 * step))
    return found


def directions(like: Array) -> Array:
    """Return two arrays of numbers of about 1, of both signs."""
    rng = np.random.default_rng(9)
    made: Array = rng.uniform(0.5, 1.5, (2, *like.shape)) * rng.choice([-1, 1], (2, *like.shape))
    return made


def along(gradient: Array, like: Array) -> list[float]:
    """Return the products of a gradient with the directions."""
    assert gradient.shape == like.shape
    return [float((gradient * direction).sum()) for direction in directions(like)]


def by_net(net: Net, feeds: Mapping[str, Array], name: str) -> Array | str:
    """Return the gradient of L, or why it is refused; zeros where L does not depend."""
    try:
        found = net.add_gradients("L", name)
    except SchemaError as error:
        return str(error)
    return ran(net, feeds).fetch(found[name]) if name in found else np.zeros(feeds[name].shape)


def by_model(net: Net, feeds: Mapping[str, Array], name: str) -> Array | str:
    try:
        model = gradients(to_model(net, feeds), "L", name)
    except ModelError as error:
        return np.zeros(feeds[name].shape) if "does not depend" in str(error) else str(error)
    return run(model, feeds)[f"{name}_grad"]


@pytest.mark.parametrize(("name", "use"), EVERY, ids=[name for name, _ in EVERY])
def test_a_gradient_is_exact_or_refused(name: str, use: Use) -> None:
    for i, value in enumerate(use.inputs):
        blob = f"in{i}"
        net, feeds = net_of(name, use)
        if value.dtype.kind in "ib":
            with pytest.raises(ModelError, match=f"wrt: '{blob}' is .* and integers have no gradient"):
                gradients(to_model(net, feeds), "L", blob)
            assert blob not in net.add_gradients("L", blob)
            continue
        truth = slopes(net, ["L"], feeds, blob)["L"]
        if gradient_maker(net.operators[0]).is_constant(net.operators[0], i):
            assert not any(truth)
        # ONNX Runtime has no OneHot of float64: values that it lacks are computed in a workspace.
        found = [by_net(*net_of(name, use), blob)]
        if name not in ("OneHot", "CastLike"):
            found.append(by_model(*net_of(name, use), blob))
        for gradient in found:
            if i in use.refused:
                assert isinstance(gradient, str)
                assert f"the gradient of {net.operators[0]} knows" in gradient
            else:
                assert not isinstance(gradient, str), gradient
                np.testing.assert_allclose(along(gradient, value), truth, rtol=1e-6, atol=1e-8, err_msg=blob)


#: Those whose second derivatives are held against differences, too; of the losses those that ignore labels.
TWICE = [
    (name, use)
    for name, use in EVERY
    if name != "SoftmaxCrossEntropyLoss" or use.attributes.get("ignore_index") == 2
]


@pytest.mark.parametrize(("name", "use"), TWICE, ids=[name for name, _ in TWICE])
def test_a_gradient_of_a_gradient_is_exact_or_refused(name: str, use: Use) -> None:
    """Each pair of inputs, by differences of the first gradient."""
    smooth = [i for i, value in enumerate(use.inputs) if value.dtype.kind == "f" and i not in use.refused]
    blobs = [f"in{i}" for i in smooth]
    net, feeds = net_of(name, use)
    first = net.add_gradients("L", blobs) if blobs else {}
    known = {blob: first[blob] for blob in blobs if blob in first}
    for to in blobs if known else ():
        truths = slopes(net, set(known.values()), feeds, to)
        for blob, gradient in known.items():
            twice = Net("twice", net.constants)
            twice.operators, twice.types = list(net.operators), net.types
            writer = next(op for op in net.operators if gradient in op.outputs)
            if name == "MatMul" and writer.type == "Reshape":  # of ranks that no type tells
                with pytest.raises(SchemaError, match=r"the gradient of MatMul.* needs the rank of"):
                    twice.add_gradients(gradient, to)
                continue
            second = twice.add_gradients(gradient, to)
            found = ran(twice, feeds).fetch(second[to]) if to in second else np.zeros(feeds[to].shape)
            np.testing.assert_allclose(
                along(found, feeds[to]), truths[gradient], rtol=1e-5, atol=1e-7, err_msg=f"{blob}, {to}"
            )


# Makers that forget an input


@pytest.fixture
def forgetful(registry: None) -> None:
    """Register an operator of two factors whose gradient maker knows the first alone."""
    product = OperatorSchema(num_inputs=2, inherit_onnx_schema="Mul", infer=schema("Mul").infer)
    register_cpu_operator("Scale", np.multiply, product)

    @gradient_of("Scale")
    def rule(maker: GradientMaker) -> None:
        maker.emit("Mul", maker.output_gradient(0), maker.input(1), output=maker.input_gradient(0))


FORGOTTEN = r"the gradient maker of Scale\(X, T\) -> \(Y\) has none for its input 1, 'T'"


@pytest.mark.usefixtures("forgetful")
def test_what_a_maker_forgets_is_refused_where_it_is_wanted() -> None:
    """T is read by others too, and V leads to it: what these give is a part of the gradient alone."""
    net = Net("forgetful")
    for op in (("Mul", ["V", "V"], "T"), ("Scale", ["X", "T"], "Y"), ("Mul", ["Y", "T"], "Z")):
        net.add(*op)
    before = list(net.operators)
    for wrt in ("T", "V", ["X", "V"]):
        with pytest.raises(SchemaError, match=FORGOTTEN):
            net.add_gradients("Z", wrt)
        assert net.operators == before
    found = net.add_gradients("Z")
    assert set(found) == {"X", "Y", "Z"}
    for name in ("T", "V"):
        assert name not in found
        with pytest.raises(SchemaError, match=FORGOTTEN):
            found[name]
    with pytest.raises(KeyError, match="nothing"):
        found["nothing"]
    x, v = np.array([3.0]), np.array([2.0])
    assert ran(net, {"X": x, "V": v}).fetch(found["X"]) == 16


@pytest.mark.usefixtures("registry")
def test_what_a_maker_forgets_is_refused_in_models() -> None:
    power = OperatorSchema(num_inputs=2, inherit_onnx_schema="Pow", infer=schema("Mul").infer)
    register_cpu_operator("Pow", np.power, power)

    @gradient_of("Pow")
    def of_a_square(maker: GradientMaker) -> None:
        twice = maker.emit("Sum", maker.input(0), maker.input(0))
        maker.emit("Mul", maker.output_gradient(0), twice, output=maker.input_gradient(0))

    model = model_of(
        "y = Pow (X, T) L = ReduceSum <keepdims = 0> (y)", "double[2] X, double[2] T", "double L"
    )
    feeds = {"X": np.array([3.0, -1.0]), "T": np.array([2.0, 2.0])}
    assert run(gradients(model, "L", "X"), feeds)["X_grad"].tolist() == [6, -2]
    words = r"the gradient maker of Pow\(X, T\) -> \(y\) has none for its input 1, 'T'"
    with pytest.raises(ModelError, match=words):
        gradients(model, "L", ["X", "T"])


@pytest.mark.usefixtures("registry")
def test_an_output_that_a_maker_leaves_out_is_refused() -> None:
    halves = OperatorSchema(num_inputs=1, num_outputs=2)
    register_cpu_operator("Double", lambda x, a=None, b=None: (2 * x, 3 * x), halves)

    @gradient_of("Double")
    def rule(maker: GradientMaker) -> None:
        first = maker.output_gradient(0)
        maker.emit("Sum", first, first, output=maker.input_gradient(0))

    net = Net("two")
    net.add("Double", "X", ["A", "B"])
    net.add("Mul", ["A", "B"], "C")
    found = net.add_gradients("A")
    assert ran(net, {"X": np.ones(1)}).fetch(found["X"]) == 2
    with pytest.raises(
        SchemaError, match=r"maker of Double\(X\) -> \(A, B\) leaves out that of its output 1, 'B'"
    ):
        net.add_gradients("C")


def test_types_of_unknown_sizes_are_not_taken_for_the_same() -> None:
    """Sizes that the depths decide: the product is broadcast, which no shape tells in advance."""
    net = Net("depths", {"d1": np.array(1), "d4": np.array(4), "i": np.array([0, 1, 0])})
    net.types = {name: TensorType(np.dtype(np.float64), (2,)) for name in ("V", "W")}
    net.add("OneHot", ["i", "d1", "V"], "A")
    net.add("OneHot", ["i", "d4", "W"], "B")
    net.add("Mul", ["A", "B"], "C")
    found = net.add_gradients("C")
    values = {"V": np.array([2.0, 3.0]), "W": np.array([5.0, 7.0])}
    workspace = ran(net, values)
    assert workspace.fetch(found["A"]).shape == (3, 1)
    truth = slopes(net, ["C"], values, "V")["C"]
    np.testing.assert_allclose(along(workspace.fetch(found["V"]), values["V"]), truth, rtol=1e-6)


def test_gradients_with_respect_to_some_blobs() -> None:
    net = Net("two", {})
    net.add("Mul", ["X", "W"], "Y")
    found = net.add_gradients("Y", "W")
    assert [op.type for op in net.operators] == ["Mul", "OnesLike", "Mul", "SumTo"]
    assert ran(net, {"X": np.array([3.0]), "W": np.array([2.0])}).fetch(found["W"]) == 3
    with pytest.raises(SchemaError, match="net 'two' has no blob 'Q'"):
        net.add_gradients("Y", ["X", "Q"])


def test_steps_stop_what_no_maker_knows() -> None:
    """Ceil has no gradient maker; behind Sign none is needed."""
    text = "s = Sign (x) c = Ceil (s) m = Mul (c, x) L = ReduceSum <keepdims = 0> (m)"
    found = run(gradients(model_of(text, "double[3] x", "double L"), "L", "x"), {"x": np.array([-2.0, 0, 3])})
    assert found["x_grad"].tolist() == [-1, 0, 1]


# Control flow


def branching(condition: str = "c", more: str = "") -> ModelProto:
    """Return a model whose branches read W and b from around them; one does not read b."""
    return model_of(
        f"""{more} a = ReduceSum <keepdims = 0> (W)
        h = If ({condition}) <
            then_branch = t () => (double[2] u) {{ s = Mul (W, W) r = softsign.Softsign (s) u = Mul (r, b) }},
            else_branch = e () => (double[2] v) {{ v = Tanh (W) }}>
        g = ReduceSum <keepdims = 0> (h) p = Mul (g, g) L = Add (a, p)""",
        "double[2] W, double[2] b, bool c",
        "double L",
    )


FEEDS = {"W": np.array([0.75, -1.5]), "b": np.array([2.0, 0.5])}


def of_model(model: ModelProto, output: str, feeds: Mapping[str, Array], name: str) -> Array:
    """Return the gradient of the sum of an output by central differences."""
    step, slope = 1e-6, np.empty(feeds[name].shape)
    for index in np.ndindex(slope.shape):
        ends = []
        for sign in (1, -1):
            moved = feeds[name].copy()
            moved[index] += sign * step
            ends.append(float(run(model, {**feeds, name: moved})[output].sum()))
        slope[index] = (ends[0] - ends[1]) / (2 * step)
    return slope


@by_engine
@pytest.mark.parametrize("condition", [True, False])
def test_if_is_differentiated(engine: str, condition: bool) -> None:
    model, feeds = branching(), FEEDS | {"c": np.array(condition)}
    made = gradients(model, "L", ["W", "b"])
    found = run(made, feeds, engine=engine)
    for name in ("W", "b"):
        np.testing.assert_allclose(found[f"{name}_grad"], of_model(model, "L", feeds, name), rtol=1e-6)
    inline = gradients(model, "L", ["W", "b"], inline=True)
    assert not inline.functions
    for name, value in run(inline, feeds, engine=engine).items():
        np.testing.assert_allclose(value, found[name], rtol=1e-14)
    twice = gradients(summed(made, "W_grad"), "S", ["W", "b"])
    found = run(twice, feeds, engine=engine)
    for value, name in zip(twice.graph.output[-2:], ("W", "b"), strict=True):
        truth = of_model(made, "W_grad", feeds, name)
        np.testing.assert_allclose(found[value.name], truth, rtol=1e-6, atol=1e-8)


def summed(model: ModelProto, name: str) -> ModelProto:
    """Add the sum of a tensor to a model, as its scalar output S."""
    made = ModelProto()
    made.CopyFrom(model)
    made.graph.node.append(helper.make_node("ReduceSum", [name], ["S"], keepdims=0))
    made.graph.output.append(helper.make_tensor_value_info("S", TensorProto.DOUBLE, []))
    return made


@pytest.mark.parametrize("condition", [True, False])
def test_if_inside_if(condition: bool) -> None:
    text = """k = If (c) <
            then_branch = t () => (double[2] u) {
                q = Not (c)
                w = If (q) < then_branch = tt () => (double[2] x1) { x1 = Neg (W) },
                             else_branch = ee () => (double[2] x2) { x2 = Mul (W, b) }>
                u = Mul (w, W) },
            else_branch = e () => (double[2] v) { v = Identity (b) }>
        p = Mul (k, k) L = ReduceSum <keepdims = 0> (p)"""
    model = model_of(text, "double[2] W, double[2] b, bool c", "double L")
    feeds = FEEDS | {"c": np.array(condition)}
    found = run(gradients(model, "L", ["W", "b"]), feeds)
    for name in ("W", "b"):
        np.testing.assert_allclose(
            found[f"{name}_grad"], of_model(model, "L", feeds, name), rtol=1e-6, atol=1e-8
        )


def test_a_condition_made_of_what_is_differentiated() -> None:
    more = "half = ReduceSum <keepdims = 0> (b) zero = Sub (half, half) decided = Greater (half, zero)"
    model, feeds = branching("decided", more), FEEDS | {"c": np.array(True)}
    found = run(gradients(model, "L", "b"), feeds)["b_grad"]
    np.testing.assert_allclose(found, of_model(model, "L", feeds, "b"), rtol=1e-6)


LOOP = """h = Loop (n, go, W) < body = l (int64 i, bool k, double[2] w) => (bool k1, double[2] w1) {
        k1 = Identity (k) w1 = Mul (w, b) }> L = ReduceSum <keepdims = 0> (h)"""
SCAN = """h, s = Scan <num_scan_inputs = 1, body = l (double[2] w, double r) => (double[2] w1, double[2] y) {
        w1 = Mul (w, b) y = Mul (w, r) }> (W, rows) L = ReduceSum <keepdims = 0> (h)"""
HIDDEN = """h = If (go) < then_branch = t () => (double[2] u) { z = Ceil (b) u = Abs (z) },
        else_branch = e () => (double[2] v) { v = Round (b) }>
        y = Mul (h, W) L = ReduceSum <keepdims = 0> (y)"""


@pytest.mark.parametrize(
    ("text", "wrt", "words"),
    [
        (
            LOOP,
            "W",
            r"no gradient is known for Loop\(n, go, W, b\) -> \(h\); of operators with bodies If alone",
        ),
        (LOOP, "b", r"no gradient is known for Loop\(n, go, W, b\) -> \(h\)"),
        (SCAN, "b", r"no gradient is known for Scan\(W, rows, b\) -> \(h, s\)"),
        (HIDDEN, "b", r"no gradient is registered for Abs\(z\) -> \(u\), .*Round\(b\) -> \(v\)"),
    ],
    ids=["carried by Loop", "read by Loop", "read by Scan", "in If"],
)
def test_other_control_flow_is_refused(text: str, wrt: str, words: str) -> None:
    inputs = "double[2] W, double[2] b, int64 n, bool go, double[3] rows"
    with pytest.raises(ModelError, match=words):
        gradients(model_of(text, inputs, "double L"), "L", wrt)


def test_control_flow_that_reads_nothing_of_use_does_not_matter() -> None:
    inputs = "double[2] W, double[2] b, int64 n, bool go, double[3] rows"
    model = model_of(
        LOOP + " d = Add (L, L) q = Mul (W, W) M = ReduceSum <keepdims = 0> (q)", inputs, "double M"
    )
    feeds = FEEDS | {"n": np.array(2), "go": np.array(True), "rows": np.ones(3)}
    assert run(gradients(model, "M", "W"), feeds)["W_grad"].tolist() == [1.5, -3]
    mixed = model_of(HIDDEN, inputs, "double L")  # W is not what the branches read
    np.testing.assert_array_equal(run(gradients(mixed, "L", "W"), feeds)["W_grad"], np.ceil(FEEDS["b"]))


# What a model has


def test_model_info() -> None:
    model = branching(more="z = Ceil (b) y = Abs (z) o = Identity (y)")
    model.graph.output.append(helper.make_tensor_value_info("o", TensorProto.DOUBLE, [2]))
    model.graph.initializer.append(numpy_helper.from_array(FEEDS["b"], "b"))
    model.graph.initializer.append(numpy_helper.from_array(LABEL, "label"))
    found = model_info(model)
    f64 = np.dtype(np.float64)
    assert found.opset == 18
    assert found.inputs == {"W": TensorType(f64, (2,)), "c": TensorType(np.dtype(bool), ())}
    assert found.outputs == {"L": TensorType(f64, ()), "o": TensorType(f64, (2,))}
    assert found.parameters == {"b": TensorType(f64, (2,))}
    assert found.missing_gradients == ["Abs", "Ceil"]
    assert found.split_softsign == 0
    assert list(found.operators.items())[:4] == [("Abs", 1), ("Add", 1), ("Ceil", 1), ("Identity", 1)]
    assert found.operators["Mul"] == 3
    assert found.operators["softsign::Softsign"] == 1


def test_model_info_of_split_softsign() -> None:
    text = "a = Abs (x) one = Constant <value = float {1.0}> () t = Add (a, one) y = Div (x, t)"
    found = model_info(model_of(text, "float[2] x", "float[2] y", opset=13))
    assert (found.missing_gradients, found.split_softsign) == (["Abs"], 1)


def nested(levels: int) -> ModelProto:
    """Return a model of functions, each of which calls the next one twice."""
    functions = []
    for i in range(levels):
        called = f"mine.f{i + 1}" if i < levels - 1 else "Tanh"
        functions.append(
            f'<domain: "mine", opset_import: ["" : 18, "mine" : 1]>'
            f" f{i} (a) => (c) {{ b = {called} (a) c = {called} (b) }}"
        )
    text = "y = mine.f0 (x) L = ReduceSum <keepdims = 0> (y)"
    return model_of(text, "double[2] x", "double L", opset='"" : 18, "mine" : 1', more=" ".join(functions))


def test_functions_that_double_with_each_level() -> None:
    assert gradients(nested(3), "L", "x").graph.node
    for use in (check_model, normalize_model, model_info, lambda model: gradients(model, "L", "x")):
        with pytest.raises(
            ModelError, match="1,073,741,825 nodes once its functions are inlined; at most 50,000"
        ):
            use(nested(30))
    circle = nested(2)
    circle.functions[1].node[0].CopyFrom(helper.make_node("f0", ["a"], ["b"], domain="mine"))
    with pytest.raises(ModelError, match=r"the model: the function 'mine::f[01]' calls itself"):
        check_model(circle)
