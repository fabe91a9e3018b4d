"""Gradient graphs on both engines: each maker against finite differences, whole networks against PyTorch."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

import softsign
from softsign.learn import network as net
from softsign.learn import network_onnx
from softsign.onnx import Backend, ModelError, fix_softsign, from_model, gradients, run, to_model
from softsign.operator import (
    GradientMaker,
    Net,
    OperatorDef,
    OperatorSchema,
    register_cpu_operator,
    register_gradient,
    unregister_operator,
)
from tests.helpers import Array
from tests.onnx_helpers import by_engine, model_of, ran


def loss_model(body: str, inputs: str, output: str = "double L") -> ModelProto:
    return model_of(body, inputs, output)


def declared(name: str, array: Array, known: str = "sizes") -> str:
    """Return the declaration of an input of which the sizes, or the rank alone, are known."""
    if array.ndim == 0:
        return f"double {name}"
    dims = (str(n) if known == "sizes" else f"{name}{i}" for i, n in enumerate(array.shape))
    return f"double[{','.join(dims)}] {name}"


def differences(model: ModelProto, feeds: Mapping[str, Array], name: str, step: float = 1e-6) -> Array:
    """Return the gradient of the model's output L by central differences."""
    prepared = Backend.prepare(model)
    found = np.empty_like(feeds[name])
    for index in np.ndindex(found.shape):
        losses = []
        for sign in (1, -1):
            moved = {key: value.copy() for key, value in feeds.items()}
            moved[name][index] += sign * step
            losses.append(float(np.sum(prepared.run(moved)[0])))
        found[index] = (losses[0] - losses[1]) / (2 * step)
    return found


def assert_gradients(model: ModelProto, feeds: Mapping[str, Array], wrt: list[str]) -> None:
    """Compare the gradient graph on both engines with finite differences."""
    made = gradients(model, "L", wrt)
    truth = {name: differences(model, feeds, name) for name in wrt}
    for engine in ("onnxruntime", "softsign"):
        results = run(made, feeds, engine=engine)
        for name, numeric in truth.items():
            assert results[f"{name}_grad"].shape == feeds[name].shape
            np.testing.assert_allclose(
                results[f"{name}_grad"], numeric, rtol=2e-6, atol=1e-8, err_msg=f"{engine} {name}"
            )


def away_from_zero(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal numbers, none within 0.1 of 0: Relu has a corner there, Softsign's second derivative jumps."""
    x = rng.standard_normal(shape)
    made: Array = np.where(x < 0, x - 0.1, x + 0.1)
    return made


sizes = st.integers(1, 3)
seeds = st.integers(0, 2**32 - 1)

#: What an expression may need beside x, of shape (A, B, C).
PARTS = {
    "axes": "axes = Constant <value_ints = [1, 2]> ()",
    "last": "last = Constant <value_ints = [-1]> ()",
    "t": "half = Constant <value = double {0.5}> () t0 = Tanh (x) t = Mul (t0, half)",
    "row": "first = Constant <value_ints = [0]> () row = ReduceSum <keepdims = 0> (x, first)",
    "two": "f = Constant <value_ints = [0]> () one = Unsqueeze (x, f) two = Concat <axis = 0> (one, one)",
}
UNARY = {
    "Softsign": "softsign.Softsign (x)",
    "Tanh": "Tanh (x)",
    "Sigmoid": "Sigmoid (x)",
    "Relu": "Relu (x)",
    "Neg": "Neg (x)",
    "Identity": "Identity (x)",
    "Transpose": "Transpose (x)",
    "Transpose perm": "Transpose <perm = [1, 2, 0]> (x)",
    "Flatten": "Flatten <axis = 2> (x)",
    "Softmax": "Softmax (x)",
    "Softmax axis": "Softmax <axis = 1> (x)",
    "Cast": "Cast <to = 11> (x)",
    "CastLike": "CastLike (x, x)",
    "SoftsignInverse": "softsign.SoftsignInverse (t)",
    "SoftsignDerivative": "softsign.SoftsignDerivative (x)",
    "SoftsignSecondDerivative": "softsign.SoftsignSecondDerivative (x)",
    "SoftsignNthDerivative": "softsign.SoftsignNthDerivative_3 (x)",
    "SoftsignDerivativeFromOutput": "softsign.SoftsignDerivativeFromOutput_0 (t)",
    "SoftsignAntiderivative": "softsign.SoftsignAntiderivative (x)",
    "SoftsignSecondAntiderivative": "softsign.SoftsignSecondAntiderivative (x)",
    "SoftsignLogJacobian": "softsign.SoftsignLogJacobian (x)",
    "SoftsignGradient": "softsign.SoftsignGradient (x, x)",
    "SoftsignGradientFromOutput": "softsign.SoftsignGradientFromOutput (t, x)",
    "SoftsignLogJacobianGradient": "softsign.SoftsignLogJacobianGradient (x, x)",
    "ReduceSum": "ReduceSum <keepdims = 0> (x)",
    "ReduceSum keepdims": "ReduceSum <keepdims = 1> (x)",
    "ReduceSum axes": "ReduceSum <keepdims = 0> (x, axes)",
    "ReduceSum default": "ReduceSum (x, axes)",
    "ReduceSum axes keepdims": "ReduceSum <keepdims = 1> (x, axes)",
    "ReduceSum of nothing": "ReduceSum <noop_with_empty_axes = 1> (x)",
    "ReduceMean": "ReduceMean <keepdims = 0> (x)",
    "ReduceMean axes": "ReduceMean <keepdims = 0> (x, axes)",
    "ReduceMean default": "ReduceMean (x, axes)",
    "ReduceMean axes keepdims": "ReduceMean <keepdims = 1> (x, axes)",
    "Reshape": "Reshape (x, last)",
    "Unsqueeze": "Unsqueeze (x, axes)",
    "SumTo": "softsign.SumTo (x, row)",
    "ExpandTo": "softsign.ExpandTo (x, two)",
}
BINARY = {
    "Add": "Add (a, b)",
    "Sub": "Sub (a, b)",
    "Mul": "Mul (a, b)",
    "Div": "Div (a, b)",
    "Sum": "Sum (a, b, a)",
}


def loss_of(expression: str) -> str:
    """Return the text of L, the sum of y^2 + y with y the expression, and of what y needs."""
    parts = [text for name, text in PARTS.items() if re.search(rf"\b{name}\b", expression)]
    return " ".join(
        [*parts, f"y = {expression} p = Mul (y, y) q = Add (p, y) L = ReduceSum <keepdims = 0> (q)"]
    )


few = settings(max_examples=2)


@pytest.mark.parametrize("expression", UNARY.values(), ids=UNARY)
@pytest.mark.parametrize("known", ["sizes", "rank"])
@few
@given(shape=st.permutations((1, 2, 3)).map(tuple), seed=seeds)
def test_makers_of_one_input(expression: str, known: str, shape: tuple[int, int, int], seed: int) -> None:
    x = away_from_zero(np.random.default_rng(seed), shape)
    assert_gradients(loss_model(loss_of(expression), declared("x", x, known)), {"x": x}, ["x"])


def test_truth_values_pass_no_gradient() -> None:
    """A mask made of comparisons, which have no gradient makers."""
    body = "z = Sub (x, x) g = Greater (x, z) m = Cast <to = 11> (g) y = Mul (x, m)"
    body += " L = ReduceSum <keepdims = 0> (y)"
    model = gradients(loss_model(body, "double[3] x"), "L", "x")
    assert run(model, {"x": np.array([-1.0, 0.5, 2.0])})["x_grad"].tolist() == [0, 1, 1]


def test_squeeze() -> None:
    body = "s = Squeeze (x) p = Mul (s, s) L = ReduceSum <keepdims = 0> (p)"
    x = np.random.default_rng(0).standard_normal((1, 3, 1))
    assert_gradients(loss_model(body, "double[1,3,1] x"), {"x": x}, ["x"])


@st.composite
def broadcast_shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Draw two shapes that broadcast, of different ranks too."""
    whole = draw(st.lists(sizes, min_size=0, max_size=3))
    pair = []
    for _ in range(2):
        kept = whole[draw(st.integers(0, len(whole))) :]
        pair.append(tuple(1 if draw(st.booleans()) else size for size in kept))
    return pair[0], pair[1]


@pytest.mark.parametrize("expression", BINARY.values(), ids=BINARY)
@pytest.mark.parametrize("known", ["sizes", "rank"])
@settings(max_examples=8)
@given(shapes=broadcast_shapes(), seed=seeds)
def test_makers_that_broadcast(
    expression: str, known: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a, b = (away_from_zero(rng, shape) for shape in shapes)
    inputs = f"{declared('a', a, known)}, {declared('b', b, known)}"
    assert_gradients(loss_model(loss_of(expression), inputs), {"a": a, "b": b}, ["a", "b"])


def test_sizes_that_are_not_known_are_not_taken_for_the_same() -> None:
    """The gradient of b, of one element, is a sum, though neither size has a value or a name."""
    model = loss_model(loss_of("Mul (a, b)"), "double[?] a, double[?] b")
    assert_gradients(model, {"a": np.array([0.5, -2.0, 3.0]), "b": np.array([0.7])}, ["a", "b"])


SHAPES = [
    ((2, 3), (3, 4)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((3,), (3,)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
]
SHAPES += [((5, 1, 2, 3), (6, 3, 4)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,)), ((1, 2, 3), (5, 3, 4))]


@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("known", ["sizes", "rank"])
def test_matmul(left: tuple[int, ...], right: tuple[int, ...], known: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(left), rng.standard_normal(right)
    inputs = f"{declared('a', a, known)}, {declared('b', b, known)}"
    assert_gradients(loss_model(loss_of("MatMul (a, b)"), inputs), {"a": a, "b": b}, ["a", "b"])


def test_matmul_of_what_a_node_computes() -> None:
    """The gradient needs the ranks, which shape inference tells."""
    rng = np.random.default_rng(0)
    feeds = {"a": rng.standard_normal((2, 3)), "b": rng.standard_normal((3, 4))}
    inputs = ", ".join(declared(name, value) for name, value in feeds.items())
    body = f"c = Tanh (a) {loss_of('MatMul (c, b)')}"
    assert_gradients(loss_model(body, inputs), feeds, ["a", "b"])


#: The gradients of the factors do not depend on the bias, nor its gradient on how they are transposed.
GEMMS: list[tuple[tuple[int, int], tuple[int, ...] | None]] = [
    *((transposed, (4,)) for transposed in ((0, 0), (0, 1), (1, 0), (1, 1))),
    *(((0, 1), bias) for bias in ((), (1, 4), (2, 1), (2, 4), None)),
]


@pytest.mark.parametrize(("transposed", "bias"), GEMMS)
@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.5, -2.0)])
def test_gemm(transposed: tuple[int, int], bias: tuple[int, ...] | None, scale: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    feeds = {
        "a": rng.standard_normal((3, 2) if transposed[0] else (2, 3)),
        "b": rng.standard_normal((4, 3) if transposed[1] else (3, 4)),
    }
    if bias is not None:
        feeds["c"] = rng.standard_normal(bias)
    flags = f"<transA={transposed[0]}, transB={transposed[1]}, alpha={scale[0]}, beta={scale[1]}>"
    inputs = ", ".join(declared(name, value) for name, value in feeds.items())
    model = loss_model(loss_of(f"Gemm {flags} ({', '.join(feeds)})"), inputs)
    assert_gradients(model, feeds, list(feeds))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore", [None, 1, -1])
@pytest.mark.parametrize(("shape", "log_too"), [((4, 3), True), ((2, 3, 2, 1), False)])
def test_cross_entropy(
    reduction: str, weighted: bool, ignore: int | None, shape: tuple[int, ...], log_too: bool
) -> None:
    """With the logarithms, whose gradient is added, or without; the makers know no ranks."""
    rng = np.random.default_rng(0)
    label = rng.integers(3, size=(shape[0], *shape[2:]))
    label.flat[0] = 2  # one that counts
    if ignore is not None:
        label.flat[1] = ignore
    dims = ",".join(map(str, shape))
    inputs = f"double[{dims}] x, int64[{','.join(map(str, label.shape))}] label"
    feeds = {"x": rng.standard_normal(shape), "label": label}
    wrt = ["x", "w"] if weighted else ["x"]
    if weighted:
        inputs += ", double[3] w"
        feeds["w"] = np.array([0.5, 1.0, 2.0])
    ignored = "" if ignore is None else f", ignore_index = {ignore}"
    call = (
        f'SoftmaxCrossEntropyLoss <reduction = "{reduction}"{ignored}> (x, label{", w" if weighted else ""})'
    )
    body = f"y{', logs' if log_too else ''} = {call} s = ReduceSum <keepdims = 0> (y) p = Mul (s, s)"
    if log_too:
        body += " l2 = Mul (logs, logs) r = ReduceSum <keepdims = 0> (l2) L = Add (p, r)"
    else:
        body += " L = Add (p, s)"
    assert_gradients(loss_model(body, inputs), feeds, wrt)
    if weighted and log_too:
        assert_gradients(loss_model(body, inputs), feeds, ["w"])


@by_engine
@pytest.mark.parametrize("label_type", ["int32", "int64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_labels_that_are_all_ignored(engine: str, label_type: str, weighted: bool) -> None:
    """PyTorch gives 0, though the loss is nan; both types of labels that ONNX has run on both engines."""
    inputs = f"float[2,3] x, {label_type}[2] label" + (", float[3] w" if weighted else "")
    call = f"SoftmaxCrossEntropyLoss <ignore_index = 1> (x, label{', w' if weighted else ''})"
    model = gradients(model_of(f"L = {call}", inputs, "float L"), "L", ["x", "w"] if weighted else "x")
    x, w = np.array([[1, -2, 3], [0, 5, 1]], np.float32), np.array([1, 2, 3], np.float32)
    for labels in ([1, 1], [1, 2], [0, 2]):
        feeds = {"x": x, "label": np.array(labels, label_type)} | ({"w": w} if weighted else {})
        found = run(model, feeds, engine=engine)
        tensor, weight = torch.tensor(x, requires_grad=True), torch.tensor(w) if weighted else None
        label = torch.tensor(labels)
        torch.nn.functional.cross_entropy(tensor, label, weight, ignore_index=1).backward()
        np.testing.assert_allclose(found["x_grad"], np.asarray(tensor.grad), rtol=1e-5, atol=1e-7)
        if weighted and labels == [1, 1]:
            assert not found["w_grad"].any()


def test_mean_of_more_elements_than_float16_counts() -> None:
    model = model_of("m = ReduceMean <keepdims = 0> (x) L = Cast <to = 1> (m)", "float16[70000] x", "float L")
    x = np.ones(70_000, np.float16)
    for engine in ("onnxruntime", "softsign"):
        slope = run(gradients(model, "L", "x"), {"x": x}, engine=engine)["x_grad"]
        assert (slope == np.float16(1 / 70_000)).all()


# ---------------------------------------------------------------- whole networks


def torch_gradients(network: net.Network, x: Array, label: Array) -> tuple[float, dict[str, Array]]:
    """Return loss and gradients of the digits network by PyTorch."""
    parameters = {
        name: torch.tensor(value, requires_grad=True)
        for name, value in network_onnx.parameters(network).items()
    }
    hidden = torch.tensor(x)
    layers = len(network.weights)
    for i in range(1, layers + 1):
        hidden = hidden @ parameters[f"w{i}"] + parameters[f"b{i}"]
        if i < layers:
            hidden = torch.nn.functional.softsign(hidden)
    loss = torch.nn.functional.cross_entropy(hidden, torch.tensor(label))
    loss.backward()
    return loss.item(), {name: np.asarray(value.grad) for name, value in parameters.items()}


def wide_network(dtype: str, seed: int = 0) -> net.Network:
    network: Any = net.Network((64, 32, 16, 10), np.random.default_rng(seed))
    network.weights = [w.astype(dtype) for w in network.weights]
    network.biases = [np.random.default_rng(1).standard_normal(b.shape).astype(dtype) for b in network.biases]
    made: net.Network = network
    return made


@by_engine
@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-12), ("float32", 1e-5)])
def test_gradients_of_the_digits_network_are_those_of_pytorch(engine: str, dtype: str, bound: float) -> None:
    network = wide_network(dtype)
    rng = np.random.default_rng(2)
    x, label = rng.standard_normal((50, 64)).astype(dtype), rng.integers(10, size=50)
    loss, exact = torch_gradients(wide_network("float64"), x.astype(np.float64), label)
    if dtype == "float32":  # the same numbers in both, so that rounding the parameters is not counted
        wide: Any = wide_network("float32")
        wide.weights = [w.astype(np.float64) for w in wide.weights]
        wide.biases = [b.astype(np.float64) for b in wide.biases]
        loss, exact = torch_gradients(wide, x.astype(np.float64), label)
    model = gradients(network_onnx.network_model(network, loss=True), "loss", list(exact))
    found = run(model, {"x": x, "label": label}, engine=engine)
    assert found["loss"] == pytest.approx(loss, rel=bound)
    for name, truth in exact.items():
        error = np.abs(found[f"{name}_grad"] - truth).max() / np.abs(truth).max()
        assert error <= bound, name


def test_gradients_of_gradients() -> None:
    """The derivative of order n of Softsign, from n reverse passes."""
    model = loss_model("L = softsign.Softsign (x)", "double x", "double L")
    output = "L"
    for order in range(1, 6):
        model = gradients(model, output, "x")
        output = model.graph.output[-1].name
        assert output == ("x_grad" if order == 1 else f"x_grad_{order - 1}")
        for x in (-30.0, -1.5, 0.25, 4.0):
            for engine in ("onnxruntime", "softsign"):
                found = run(model, {"x": np.array(x)}, engine=engine)[output]
                np.testing.assert_allclose(found, softsign.nth_derivative(order, x), rtol=1e-13)


def test_a_second_loss_and_a_product_of_the_hessian_with_a_vector() -> None:
    body = """y = softsign.Softsign (x) s = Mul (y, x) L = ReduceSum <keepdims = 0> (s)
        t = Tanh (x) M = ReduceSum <keepdims = 0> (t)"""
    model = gradients(loss_model(body, "double[3] x, double[3] v"), "L", "x")
    model.graph.node.append(helper.make_node("Mul", ["x_grad", "v"], ["xv"]))
    model.graph.node.append(helper.make_node("ReduceSum", ["xv"], ["S"], keepdims=0))
    both = gradients(gradients(model, "M", "x"), "S", "x")
    *before, slope, product = [value.name for value in both.graph.output]
    assert before == ["L", "x_grad"]
    x, v = np.array([0.5, -2.0, 3.0]), np.array([1.0, 2.0, -1.0])
    found = run(both, {"x": x, "v": v})
    np.testing.assert_allclose(found[slope], 1 - np.tanh(x) ** 2, rtol=1e-14)
    hessian = 2 * softsign.derivative(x) + x * softsign.second_derivative(x)
    np.testing.assert_allclose(found[product], hessian * v, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["FLOAT16", "BFLOAT16", "FLOAT", "DOUBLE"])
def test_the_gradient_is_right_at_infinity_and_in_half_precision(dtype: str) -> None:
    element = TensorProto.DataType.Value(dtype)
    numpy_dtype = helper.tensor_dtype_to_np_dtype(element)
    net = Net("one")
    net.add("Softsign", "x", "y")
    net.add("ReduceSum", "y", "L", keepdims=0)
    info = ml_dtypes.finfo(numpy_dtype)
    largest = float(info.max)
    x = np.array([0, -0.5, 3, 100, 300, 1e4, largest, -largest, np.inf, -np.inf], numpy_dtype)
    if numpy_dtype.name in (
        "float16",
        "bfloat16",
    ):  # ONNX Runtime sums neither: the loss is a product with ones
        net = Net("one")
        net.add("Softsign", "x", "y")
        net.add("MatMul", ["y", "ones"], "L")
        net.constants["ones"] = np.ones(len(x), numpy_dtype)
    model = gradients(to_model(net, {"x": x}), "L", "x")
    results = [run(model, {"x": x}, engine="softsign")["x_grad"]]
    if numpy_dtype.name != "bfloat16":  # of which ONNX Runtime has no products
        results.append(run(model, {"x": x})["x_grad"])
    for found in results:
        np.testing.assert_allclose(
            found.astype(np.float64),
            softsign.derivative(x).astype(np.float64),
            rtol=2 * float(info.eps),
            atol=0,
        )


def test_a_tensor_used_more_than_once_and_shared_gradients() -> None:
    body = "s = Add (a, b) t = Mul (s, a) u = Add (t, a) L = ReduceSum <keepdims = 0> (u)"
    rng = np.random.default_rng(0)
    feeds = {"a": rng.standard_normal((2, 3)), "b": rng.standard_normal((2, 3))}
    assert_gradients(loss_model(body, "double[2,3] a, double[2,3] b"), feeds, ["a", "b"])
    model = loss_model("s = Add (a, b) L = ReduceSum <keepdims = 0> (s)", "double[2,3] a, double[2,3] b")
    found = run(gradients(model, "L", ["a", "b"]), feeds)
    for name in ("a_grad", "b_grad"):
        np.testing.assert_array_equal(found[name], np.ones((2, 3)))


def test_the_rest_of_the_model_is_as_it_was() -> None:
    model = network_onnx.network_model(wide_network("float32"), loss=True)
    before = model.SerializeToString()
    made = gradients(model, "loss", "w1")
    assert model.SerializeToString() == before
    assert [value.name for value in made.graph.output] == ["scores", "loss", "w1_grad"]
    assert list(made.graph.input) == list(model.graph.input)
    assert list(made.graph.initializer) == list(model.graph.initializer)
    assert list(made.graph.node[: len(model.graph.node)]) == list(model.graph.node)


def test_sums_over_axes_that_the_types_tell_need_no_function() -> None:
    made = gradients(network_onnx.network_model(wide_network("float32"), loss=True), "loss")
    assert {function.name for function in made.functions} == {"SoftsignGradient"}


def test_names_of_the_model_are_not_used_again() -> None:
    """The names that gradients would get, had the model not tensors of these names."""
    body = "y = Tanh (x) y_Mul = Neg (y) L_grad = Mul (y_Mul, y) L = ReduceSum <keepdims = 0> (L_grad)"
    x = np.random.default_rng(0).standard_normal((2, 3))
    assert_gradients(loss_model(body, "double[2,3] x"), {"x": x}, ["x"])


def test_only_what_is_asked_for_is_computed() -> None:
    model = network_onnx.network_model(wide_network("float32"), loss=True)
    last = {node.op_type for node in gradients(model, "loss", "b3").graph.node[len(model.graph.node) :]}
    assert not {"Gemm", "SoftsignGradient"} & last


def test_older_opsets_and_functions_of_the_model() -> None:
    text = """<ir_version: 8, opset_import: ["" : 13, "mine" : 1]>
        old (double[2,3] x) => (double L) { y = mine.Layer (x) L = ReduceMean <keepdims = 0> (y) }
        <domain: "mine", opset_import: ["" : 13]> Layer (a) => (b) { c = Tanh (a) b = Mul (c, a) }"""
    x = np.random.default_rng(0).standard_normal((2, 3))
    assert_gradients(parser.parse_model(text), {"x": x}, ["x"])


def test_a_net_from_a_gradient_model_runs_in_a_workspace() -> None:
    network = wide_network("float64")
    model = gradients(network_onnx.network_model(network, loss=True), "loss", ["w1", "b2"])
    rng = np.random.default_rng(3)
    feeds = {"x": rng.standard_normal((5, 64)), "label": rng.integers(10, size=5)}
    expected = run(model, feeds)
    workspace = ran(from_model(model), feeds)
    for name, value in expected.items():
        np.testing.assert_allclose(workspace.fetch(name), value, rtol=1e-12, atol=1e-15)


def test_an_operator_of_the_user() -> None:
    class GetCosGradient(GradientMaker):
        def get_gradient_defs(self) -> list[OperatorDef]:
            slope = self.emit("Neg", self.emit("Sin", self.input(0)))
            self.emit("Mul", self.output_gradient(0), slope, output=self.input_gradient(0))
            return self.defs

    model = loss_model("y = Cos (x) L = ReduceSum <keepdims = 0> (y)", "double[4] x")
    with pytest.raises(
        ModelError, match=r"no gradient is registered for Cos\(x\) -> \(y\); .*register_gradient\('Cos'"
    ):
        gradients(model, "L", "x")
    shape = OperatorSchema(num_inputs=1, identical_type_and_shape=True, inherit_onnx_schema="Cos")
    register_cpu_operator("Cos", np.cos, shape)
    register_cpu_operator("Sin", np.sin, dataclasses.replace(shape, inherit_onnx_schema="Sin"))
    register_gradient("Cos", GetCosGradient)
    try:
        assert_gradients(model, {"x": np.array([0.0, 1, 2, 3])}, ["x"])
    finally:
        unregister_operator("Cos")
        unregister_operator("Sin")


# ---------------------------------------------------------------- what is refused


NETWORK = "double[2,3] x, int64[2] label"
SCORES = "y = Tanh (x) L = SoftmaxCrossEntropyLoss (y, label)"


@pytest.mark.parametrize(
    ("body", "loss", "wrt", "words"),
    [
        (SCORES, "loss", "x", "loss: no node of the model writes 'loss'; its outputs are L"),
        (SCORES, "x", "x", "loss: no node of the model writes 'x'"),
        (
            SCORES,
            "y",
            "x",
            r"loss: 'y', written by node 'y' \(Tanh\), must be a scalar and has the shape \(2, 3\)",
        ),
        (
            SCORES,
            "L",
            "z",
            "wrt: 'z' is neither an input nor an initializer of the model; those are x, label",
        ),
        (SCORES, "L", "y", "wrt: 'y' is neither an input nor an initializer"),
        (SCORES, "L", "label", "wrt: 'label' is int64, and integers have no gradient"),
        (SCORES, "L", (), "wrt must name inputs or initializers, each once; given: none"),
        (SCORES, "L", ("x", "x"), "wrt must name inputs or initializers, each once; given: x, x"),
        (
            "y = Ceil (x) L = SoftmaxCrossEntropyLoss (y, label)",
            "L",
            "x",
            (
                r"no gradient is registered for Ceil\(x\) -> \(y\); "
                r"softsign.operator.register_gradient\('Ceil', maker\)"
            ),
        ),
        (
            "y = Sign (x) L = SoftmaxCrossEntropyLoss (y, label)",
            "L",
            "x",
            "wrt: the loss 'L' does not depend on 'x'",
        ),
        (
            "y = Ceil (x) z = Abs (y) q = Ceil (z) L = SoftmaxCrossEntropyLoss (q, label)",
            "L",
            "x",
            r"no gradient is registered for Ceil\(z\) -> \(q\), Abs\(y\) -> \(z\); .*\('Ceil', maker\)",
        ),
        (SCORES, "L", "parameters", "wrt: the loss 'L' depends on no floating-point initializer"),
    ],
)
def test_refusals(body: str, loss: str, wrt: str | tuple[str, ...], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        gradients(loss_model(body, NETWORK), loss, wrt)


def test_gradients_of_all_parameters() -> None:
    model = network_onnx.network_model(wide_network("float32"), loss=True)
    unused = [
        numpy_helper.from_array(np.ones(2, np.float32), "unused"),
        numpy_helper.from_array(np.ones(2, np.int64), "n"),
    ]
    model.graph.initializer.extend(unused)
    made = gradients(model, "loss")
    names = ["w1", "b1", "w2", "b2", "w3", "b3"]
    assert {value.name for value in made.graph.output} == {
        "scores",
        "loss",
        *(f"{name}_grad" for name in names),
    }


def test_a_tensor_called_parameters() -> None:
    model = loss_model("L = Tanh (parameters)", "double parameters")
    with pytest.raises(
        ModelError, match=r"wrt: the model has a tensor 'parameters'; \['parameters'\] stands"
    ):
        gradients(model, "L")
    found = run(gradients(model, "L", ["parameters"]), {"parameters": np.array(0.0)})
    assert found["parameters_grad"] == 1


def test_a_model_with_softsign_in_pieces_is_told_of_fix_softsign() -> None:
    body = """a = Abs (x) one = Constant <value = double {1.0}> () t = Add (a, one) y = Div (x, t)
        L = ReduceSum <keepdims = 0> (y)"""
    model = loss_model(body, "double[3] x")
    words = r"no gradient is registered for Abs\(x\) .*; softsign.onnx.fix_softsign puts 1 Softsign back in"
    with pytest.raises(ModelError, match=words):
        gradients(model, "L", "x")
    assert run(gradients(fix_softsign(model), "L", "x"), {"x": np.array([1.0, -3, 0])})["x_grad"][0] == 0.25


def test_inputs_that_are_not_tensors() -> None:
    sequence = helper.make_tensor_sequence_value_info("q", TensorProto.DOUBLE, None)
    model = loss_model("n = SequenceLength (q) m = CastLike (n, x) L = Mul (m, x)", "double x")
    model.graph.input.append(sequence)
    with pytest.raises(ModelError, match="wrt: 'q' is not a tensor, and has no gradient"):
        gradients(model, "L", "q")


def test_a_loss_of_integers_or_unknown_shape() -> None:
    with pytest.raises(ModelError, match="loss: 'L' is int64, and integers have no gradient"):
        gradients(loss_model("L = Size (x)", "double[3] x", "int64 L"), "L", "x")
    body = "n = NonZero (x) m = Cast <to = 11> (n) s = Squeeze (m) t = Tanh (s) L = ReduceSum (t)"
    with pytest.raises(
        ModelError, match="loss: the shape of 't' cannot be inferred, and it must be a scalar"
    ):
        gradients(loss_model(body, "double[3] x", "double[n] L"), "t", "x")
