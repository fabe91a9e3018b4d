"""`softsign.operator`: schemas, kernels, gradients of any order, what is refused, and what a workspace costs."""

import contextlib
import copy
import doctest
import importlib
import itertools
import re
import runpy
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import softsign
from softsign.operator import (
    GetSoftsignGradient,
    GradientMaker,
    Net,
    NoGradient,
    OperatorDef,
    OperatorSchema,
    SchemaError,
    SoftsignFunctor,
    SoftsignGradientFunctor,
    TensorType,
    Workspace,
    create_operator,
    operators,
    register_cpu_gradient_operator,
    register_cpu_operator,
    register_gradient,
    schema,
    unregister_operator,
)
from tests.helpers import FLOATS, Array, assert_same_bits, random_values, run_python, ulps

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "softsign_functor_example.py"
DOC = ROOT / "docs" / "operator.md"

by_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)


@pytest.fixture
def registry() -> Iterator[None]:
    """Unregister what a test registers."""
    before = set(operators())
    yield
    for name in set(operators()) - before:
        unregister_operator(name)


def workspace_of(**blobs: Any) -> Workspace:
    workspace = Workspace()
    for name, value in blobs.items():
        workspace.feed(name, value)
    return workspace


def net_of(*ops: tuple[Any, ...], name: str = "net") -> Net:
    net = Net(name)
    for op in ops:
        net.add(*op)
    return net


def run(what: OperatorDef | Net, fetch: str, **blobs: Any) -> Array:
    workspace = workspace_of(**blobs)
    workspace.run(what)
    return workspace.fetch(fetch)


def contents(workspace: Workspace) -> dict[str, tuple[Any, ...]]:
    """Everything in a workspace, in a form that compares."""
    arrays = {name: workspace.fetch(name) for name in workspace}
    return {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()}


# Caffe2's example


def test_caffe2s_published_output() -> None:
    published = runpy.run_path(str(EXAMPLE), run_name="example")
    x, y = published["DOCUMENTED_X"], published["DOCUMENTED_Y"]
    assert (x.dtype, x.shape) == (np.float32, (3, 3))
    # Published is float32's x * (1 / (1 + |x|)), never seen more than 2 ulp from the correctly rounded value.
    np.testing.assert_array_max_ulp(run(create_operator("Softsign", ["X"], ["Y"]), "Y", X=x), y, 2)


def run_example(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", file], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_example_runs() -> None:
    done = run_example(EXAMPLE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nas documented\n" in done.stdout
    for line in ("SoftsignGradient(X, Y_grad)", "SoftsignGradientFromOutput(X, X_grad)"):
        assert line in done.stdout


def test_the_example_fails_where_the_output_is_another(tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text(EXAMPLE.read_text().replace("0.420046,", "0.420047,"))
    done = run_example(other)
    assert done.returncode == 1
    assert done.stderr.startswith("Y is not as documented by Caffe2")


def test_examples_of_the_doc() -> None:
    before = operators()
    results = doctest.testfile(str(DOC), module_relative=False)
    assert results.attempted > 30
    assert results.failed == 0
    assert operators() == before


@pytest.mark.parametrize("module", ["", ".arithmetic", ".definitions", ".family", ".gradient", ".net", ".registry", ".workspace"])
def test_examples_of_module(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"softsign.operator{module}")).failed == 0


# What is registered


class Domain(NamedTuple):
    """Magnitudes of the elements of an input, away from where the functions have kinks and poles."""

    low: float
    high: float


X, Y, DY = Domain(0.25, 4), Domain(0.125, 0.75), Domain(0.25, 2)
Shapes = st.SearchStrategy[tuple[tuple[int, ...], ...]]


def alike(count: int) -> Shapes:
    shapes = hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)
    return shapes.map(lambda shape: (shape,) * count)


def broadcasting(count: int) -> st.SearchStrategy[hnp.BroadcastableShapes]:
    return hnp.mutually_broadcastable_shapes(num_shapes=count, min_side=0, max_side=3, max_dims=2)


class Case(NamedTuple):
    """Inputs with which an operator is differentiated."""

    domains: Sequence[Domain]
    shapes: Shapes
    attributes: st.SearchStrategy[dict[str, Any]] = st.just({})


PAIR: Shapes = broadcasting(2).map(lambda drawn: drawn.input_shapes)
CASES = {
    **{
        name: Case([X], alike(1))
        for name in (
            "Softsign",
            "SoftsignDerivative",
            "SoftsignSecondDerivative",
            "SoftsignAntiderivative",
            "SoftsignSecondAntiderivative",
            "SoftsignLogJacobian",
            "Neg",
            "OnesLike",
        )
    },
    "SoftsignInverse": Case([Y], alike(1)),
    "SoftsignNthDerivative": Case([X], alike(1), st.fixed_dictionaries({"n": st.integers(0, 4)})),
    "SoftsignDerivativeFromOutput": Case([Y], alike(1), st.fixed_dictionaries({"n": st.integers(0, 3)})),
    "SoftsignGradient": Case([X, DY], alike(2)),
    "SoftsignGradientFromOutput": Case([Y, DY], alike(2)),
    "SoftsignLogJacobianGradient": Case([X, DY], alike(2)),
    "Add": Case([X, X], PAIR),
    "Sub": Case([X, X], PAIR),
    "Mul": Case([X, X], PAIR),
    "Div": Case([X, Domain(0.5, 4)], PAIR),
    "Sum": Case(
        [X] * 4, st.integers(1, 4).flatmap(lambda count: broadcasting(count).map(lambda d: d.input_shapes))
    ),
    "SumTo": Case([X, X], broadcasting(2).map(lambda d: (d.result_shape, d.input_shapes[0]))),
    "ExpandTo": Case([X, X], broadcasting(2).map(lambda d: (d.input_shapes[0], d.result_shape))),
}
FAMILY = [name for name in CASES if name.startswith("Softsign")]
by_operator = pytest.mark.parametrize("name", CASES)


def test_these_are_all_operators() -> None:
    done = run_python("from softsign.operator import operators; print(*operators())")
    assert done.stdout.split() == sorted(CASES)


def test_schema_of_softsign() -> None:
    softsign_schema = schema("Softsign")
    assert (softsign_schema.num_inputs, softsign_schema.num_outputs) == (1, 1)
    assert softsign_schema.allow_inplace == {(0, 0)}
    assert softsign_schema.identical_type_and_shape
    assert softsign_schema.inherit_onnx_schema == "Softsign"
    assert [name for name, _ in softsign_schema.inputs] == ["input"]
    assert [name for name, _ in softsign_schema.outputs] == ["output"]


def test_schema_of_softsign_gradient() -> None:
    gradient_schema = schema("SoftsignGradient")
    assert (gradient_schema.num_inputs, gradient_schema.num_outputs) == (2, 1)
    assert gradient_schema.allow_inplace == {(1, 0)}
    assert gradient_schema.identical_type_and_shape
    assert gradient_schema.inherit_onnx_schema is None
    assert "1 / (1 + |X|)^2" in gradient_schema.doc.replace("dY / ", "1 / ")


@by_operator
def test_every_operator_is_documented(name: str) -> None:
    found = schema(name)
    assert found.doc
    assert all(label and text for label, text in (*found.inputs, *found.outputs))
    assert len(found.outputs) == found.num_outputs == 1
    if name != "Sum":  # any number of inputs
        assert len(found.inputs) == found.num_inputs == len(CASES[name].domains)


WRONG_DERIVATIVE = re.compile(r"sgn\(x\)\s*/\s*\(?\(1\s*\+\s*\|x\|\)\s*(\^|\*\*)?\s*(2|²)", re.IGNORECASE)


def test_no_operator_claims_caffe2s_wrong_derivative() -> None:
    assert WRONG_DERIVATIVE.search("Calculates the softsign gradient (sgn(x)/(1+|x|)^2) of the given input")
    for name in CASES:
        found = schema(name)
        for text in (found.doc, *(text for _, text in (*found.inputs, *found.outputs))):
            assert not WRONG_DERIVATIVE.search(text), (name, text)


def test_those_that_serve_gradients_are_set_apart() -> None:
    hidden = set(operators()) - set(operators(gradients=False))
    assert {"SoftsignGradient", "SoftsignGradientFromOutput", "SumTo", "OnesLike"} <= hidden
    assert not hidden & {"Softsign", "SoftsignInverse", "Add", "Sum"}


# Kernels


@by_dtype
def test_functors_are_the_ufuncs(dtype: np.dtype[Any]) -> None:
    x, dy = random_values(dtype, 1000), random_values(dtype, 1000, seed=1)
    forward, backward = SoftsignFunctor(), SoftsignGradientFunctor()
    assert (forward.context, backward.context) == ("CPU", "CPU")
    with np.errstate(all="ignore"):  # any bit pattern, signaling nans among them
        y, dx = softsign.softsign(x), softsign.gradient(x, dy)
        assert_same_bits(forward.invoke(x), y)
        assert_same_bits(backward.forward(x, dy), dx)
        into = np.empty_like(x)
        assert forward.invoke(x, into) is into
        assert_same_bits(into, y)
        assert backward.forward(x, dy, into) is into
        assert_same_bits(into, dx)
        assert backward.forward(x, dy, dy) is dy
        assert_same_bits(dy, dx)
        assert forward.invoke(x, x) is x
        assert_same_bits(x, y)


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "Softsign": softsign.softsign,
    "SoftsignInverse": softsign.inverse,
    "SoftsignDerivative": softsign.derivative,
    "SoftsignSecondDerivative": softsign.second_derivative,
    "SoftsignAntiderivative": softsign.antiderivative,
    "SoftsignSecondAntiderivative": softsign.second_antiderivative,
    "SoftsignLogJacobian": softsign.log_jacobian,
    "SoftsignGradient": softsign.gradient,
    "SoftsignGradientFromOutput": softsign.gradient_from_output,
    "SoftsignNthDerivative": lambda x: softsign.nth_derivative(3, x),
}


@by_dtype
@pytest.mark.parametrize("name", FUNCTIONS)
def test_operators_are_the_ufuncs(name: str, dtype: np.dtype[Any]) -> None:
    attributes: dict[str, Any] = {"n": 3} if name == "SoftsignNthDerivative" else {}
    inputs = ["X", "dY"][: len(CASES[name].domains)]
    blobs = {blob: random_values(dtype, 1000, seed) for seed, blob in enumerate(inputs)}
    with np.errstate(all="ignore"):
        expected = FUNCTIONS[name](*blobs.values())
        for output in ("out", inputs[-1]):  # in place the second time
            operator = create_operator(name, inputs, output, **attributes)
            assert_same_bits(run(operator, output, **blobs), expected)


def exact_log_jacobian_gradient(x: Fraction, dy: Fraction) -> Fraction:
    return -2 * dy * ((x > 0) - (x < 0)) / (1 + abs(x))


@by_dtype
def test_log_jacobian_gradient_is_accurate(dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(0)
    largest = float(ml_dtypes.finfo(dtype).max)
    x = np.concatenate([rng.normal(size=300), rng.uniform(1, 100, 100)]).astype(dtype)
    dy = np.concatenate([rng.normal(size=300), rng.uniform(0.5, 1, 100) * largest]).astype(dtype)
    dx = run(create_operator("SoftsignLogJacobianGradient", ["X", "dY"], "dX"), "dX", X=x, dY=dy)
    truth = map(exact_log_jacobian_gradient, map(Fraction, map(float, x)), map(Fraction, map(float, dy)))
    assert (
        max(map(ulps, dx, truth)) <= 2
    )  # three operations, the doubling of which is exact, or one in a wider format


@pytest.mark.parametrize("n", range(4))
@by_dtype
def test_derivative_from_output(dtype: np.dtype[Any], n: int) -> None:
    y = np.array([-1, -0.75, -0.125, 0, 0.125, 0.75, 1, np.nan], dtype)
    a = np.abs(y.astype(float))
    expected = [(1 - a) ** 2, 2 * np.sign(y.astype(float)) * (a - 1), 2 + 0 * a, 0 * a][n].astype(dtype)
    d = run(create_operator("SoftsignDerivativeFromOutput", "Y", "D", n=n), "D", Y=y)
    np.testing.assert_array_equal(d.astype(float), expected.astype(float))
    assert d.dtype == dtype


@by_dtype
@pytest.mark.parametrize("shape", [(3,), ()], ids=str)
def test_long_sums_keep_their_terms(dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Added up one after the other in float16, ones stop to count at 2048; in bfloat16 at 256."""
    x = np.ones((4096, 3), dtype)
    total = run(create_operator("SumTo", ["X", "like"], "Y"), "Y", X=x, like=np.ones(shape, dtype))
    assert total.dtype == dtype
    np.testing.assert_array_equal(total.astype(float), np.full(shape, 4096 if shape else 12288))


@pytest.mark.parametrize("dtype", [*FLOATS, np.dtype(np.int32)], ids=str)
@by_operator
def test_inferred_types_are_those_that_come_out(name: str, dtype: np.dtype[Any]) -> None:
    case = CASES[name]
    blobs = {
        f"in{i}": np.full((2, 3), 0.5 if dtype.kind != "i" else 2, dtype) for i in range(len(case.domains))
    }
    attributes: dict[str, Any] = {"n": 1} if schema(name).attributes else {}
    net = net_of((create_operator(name, list(blobs), "out", **attributes),))
    known = {blob: TensorType(a.dtype, a.shape) for blob, a in blobs.items()}
    if name in FAMILY and dtype.kind == "i":
        with pytest.raises(SchemaError, match="holds int32"):
            net.infer_types(known)
        return
    workspace = workspace_of(**blobs)
    for _ in range(2):  # into new memory, and into that of the first result
        workspace.run(net)
        out = workspace.fetch("out")
        assert net.infer_types(known)["out"] == TensorType(out.dtype, out.shape)


# Gradients


def values(shape: tuple[int, ...], domain: Domain) -> st.SearchStrategy[Array]:
    sized = st.floats(*domain, width=32)
    return hnp.arrays(
        np.float64, shape, elements=st.builds(lambda size, s: s * size, sized, st.sampled_from([-1, 1]))
    )


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
def test_gradients_are_those_of_finite_differences(name: str, data: st.DataObject) -> None:
    net, blobs = draw_use(name, data)
    assert_gradients_are_right(net, "out", blobs, data)


@pytest.mark.parametrize("name", [*FAMILY, "Mul", "Div"])
@settings(max_examples=10)
@given(data=st.data())
def test_second_order_is_that_of_finite_differences(name: str, data: st.DataObject) -> None:
    net, blobs = draw_use(name, data)
    gradients = net.add_gradients(["out"])
    for gradient in [gradients[blob] for blob in blobs]:
        assert_gradients_are_right(copy.deepcopy(net), gradient, blobs, data)


@pytest.mark.parametrize(("name", "count"), [("Add", 2), ("Sub", 2), ("Mul", 2), ("Div", 2), ("Sum", 4)])
@settings(max_examples=10)
@given(data=st.data())
def test_an_operator_that_reads_a_blob_more_than_once(name: str, count: int, data: st.DataObject) -> None:
    x = data.draw(values((3,), Domain(0.5, 4)))
    assert_gradients_are_right(net_of((name, ["X"] * count, "Y")), "Y", {"X": x}, data)


@settings(max_examples=10)
@given(data=st.data())
def test_a_blob_that_several_operators_read(data: st.DataObject) -> None:
    net = net_of(
        ("Softsign", "X", "A"),
        ("SoftsignDerivative", "X", "B"),
        ("Mul", ["A", "B"], "C"),
        ("Sub", ["C", "X"], "D"),
        ("Mul", ["D", "A"], "E"),
    )
    assert_gradients_are_right(net, "E", {"X": data.draw(values((2, 2), X))}, data)


def test_several_blobs_are_differentiated_at_once() -> None:
    net = net_of(("Softsign", "X", "Y"), ("SoftsignLogJacobian", "X", "L"), ("Neg", "U", "V"))
    gradients = net.add_gradients(["Y", "L"])
    x = np.array([-3.0, 0.5])
    expected = softsign.derivative(x) - 2 * np.sign(x) / (1 + np.abs(x))
    np.testing.assert_allclose(run(net, gradients["X"], X=x, U=x), expected, rtol=1e-15)
    assert set(gradients) == {"X", "Y", "L"}  # Y and L do not depend on U


WIDE = np.array([s * m for m in (0, 1e-8, 1e-3, 0.3, 1, 7, 1e3) for s in (1, -1)])


def test_gradients_of_any_order() -> None:
    net, y = net_of(("Softsign", "X", "Y")), "Y"
    for order in range(1, 6):
        y = net.add_gradients([y])["X"]
        # Sums of products of both signs cancel at most binomially: some 2^5 roundings of 1e-16.
        np.testing.assert_allclose(run(net, y, X=WIDE), softsign.nth_derivative(order, WIDE), rtol=1e-13)


@pytest.mark.parametrize("order", range(2, 5))
def test_orders_of_softsign_in_place(order: int) -> None:
    net, y, x = net_of(("Softsign", "X", "X")), "X", WIDE[np.abs(WIDE) > 0]
    for _ in range(order):
        y = net.add_gradients([y])["X"]
    # 1 - |y| has lost |x| units in the last place of y, and is taken to the power order + 1.
    expected = softsign.nth_derivative(order, x)
    np.testing.assert_allclose(run(net, y, X=x) / expected, 1, atol=1e-15 * (order + 1) * 1e3)
    near = np.abs(x) <= 1
    np.testing.assert_allclose(run(net, y, X=x[near]), expected[near], rtol=1e-14)


@by_dtype
def test_gradient_in_every_dtype(dtype: np.dtype[Any]) -> None:
    x, dy = np.array([[-3, 0.5, 1]], dtype), np.array([[2, -1, 0.5]], dtype)
    net = net_of(("Softsign", "X", "Y"))
    gradients = net.add_gradients({"Y": "dY"})
    assert_same_bits(run(net, gradients["X"], X=x, dY=dy), softsign.gradient(x, dy))
    alone = net_of(("Softsign", "X", "Y"))
    gradients = alone.add_gradients(["Y"])
    assert_same_bits(run(alone, gradients["X"], X=x), softsign.derivative(x))


def test_gradient_maker_alone() -> None:
    maker = GetSoftsignGradient(OperatorDef("Softsign", "X", "Y"), ["dY"])
    assert maker.get_gradient_defs() == [OperatorDef("SoftsignGradient", ["X", "dY"], "X_grad")]
    in_place = GetSoftsignGradient(OperatorDef("Softsign", "X", "X"))
    assert in_place.get_gradient_defs() == [
        OperatorDef("SoftsignGradientFromOutput", ["X", "X_grad"], "X_grad_1")
    ]
    taken = GetSoftsignGradient(OperatorDef("Softsign", "X", "X_grad")).get_gradient_defs()
    assert taken == [OperatorDef("SoftsignGradient", ["X", "X_grad_grad"], "X_grad_1")]


def test_new_blobs_have_names_of_their_own() -> None:
    net = net_of(("Softsign", "X", "X_grad"), ("Mul", ["X_grad", "Y_grad"], "Y"))
    gradients = net.add_gradients({"Y": "X_grad_1"})
    x, w, dy = np.array([1.0, -3]), np.array([2.0, 3]), np.array([5.0, 7])
    found = run(net, gradients["X"], X=x, Y_grad=w, X_grad_1=dy)
    np.testing.assert_allclose(found, dy * w * softsign.derivative(x), rtol=1e-15)


# In place


def types(net: Net) -> list[str]:
    return [op.type for op in net.operators]


def test_softsign_in_place_is_differentiated_from_its_output() -> None:
    net = net_of(("Softsign", "X", "X"))
    gradients = net.add_gradients(["X"])
    assert types(net) == ["Softsign", "OnesLike", "SoftsignGradientFromOutput"]
    x = np.array([-3.0, 0, 0.5])
    np.testing.assert_allclose(run(net, gradients["X"], X=x), softsign.derivative(x), rtol=1e-14)


def test_the_output_serves_where_the_input_is_overwritten_later() -> None:
    net = net_of(("Softsign", "X", "Y"), ("Neg", "Z", "X"), ("Mul", ["Y", "X"], "L"))
    gradients = net.add_gradients(["L"])
    assert "SoftsignGradientFromOutput" in types(net)
    x, z = np.array([-3.0, 0.5]), np.array([2.0, 5.0])
    # X is first what was fed, then -Z; the gradient is that of the first.
    np.testing.assert_allclose(run(net, gradients["X"], X=x, Z=z), -z * softsign.derivative(x), rtol=1e-14)
    np.testing.assert_allclose(run(net, gradients["Z"], X=x, Z=z), -softsign.softsign(x), rtol=1e-14)


def test_a_blob_written_twice_has_the_gradient_of_its_first_value() -> None:
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
def test_a_lost_value_is_refused(ops: list[tuple[Any, ...]], op: str, lost: str, by: str) -> None:
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
def test_a_chain_in_place_gives_the_same(chain: list[str], x: Array, data: st.DataObject) -> None:
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


def test_types_are_those_of_the_value_that_was_read() -> None:
    """C has the shape of B when A is added to it, and later that of A."""
    net = Net("two shapes", {"A": np.ones(3), "B": np.ones((1, 3))})
    for op in (("Add", ["A", "B"], "C"), ("Neg", "C", "Z"), ("Add", ["A", "A"], "C")):
        net.add(*op)
    gradients = net.add_gradients(["Z"])
    assert run(net, gradients["A"]).shape == (3,)


def test_a_blob_of_another_shape_than_the_constant_is_not_misread() -> None:
    """Shapes of constants may spare the gradient a SumTo that another shape would need."""
    net = Net("constant", {"A": np.ones((2, 3)), "B": np.ones((2, 3))})
    net.add("Add", ["A", "B"], "C")
    gradients = net.add_gradients(["C"])
    workspace = workspace_of(B=np.ones(3))
    with contextlib.suppress(SchemaError):  # refused, or right
        workspace.run(net)
        assert workspace.fetch(gradients["B"]).shape == (3,)


# The registry is open


@pytest.fixture
def layers(registry: None) -> None:
    """Register the fully connected layer and the loss by the very code of docs/operator.md."""
    namespace: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL):
        if "class Get" in block:
            examples = doctest.DocTestParser().get_doctest(block, namespace, DOC.name, None, None)
            doctest.DocTestRunner().run(examples, clear_globs=False)
            namespace = examples.globs
    assert {"FC", "FCGradient", "SquaredError"} <= set(operators())


def layered(rng: np.random.Generator, *widths: int) -> tuple[Net, list[str]]:
    """Build a net of fully connected layers, softsign in place between them, with a loss; and its parameters."""
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
def test_gradients_of_registered_layers(data: st.DataObject) -> None:
    net, parameters = layered(np.random.default_rng(data.draw(st.integers(0, 99))), 3, 4, 2)
    blobs = {name: net.constants.pop(name) for name in parameters}
    blobs["X"] = data.draw(values((5, 3), X))
    net.constants["T"] = data.draw(values((5, 2), X))  # held constant by the loss's gradient maker
    assert_gradients_are_right(net, "loss", blobs, data)


@pytest.mark.usefixtures("layers")
def test_a_two_layer_net_learns_to_read_digits() -> None:
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
    assert (workspace.fetch("H1").argmax(axis=1) == label[test]).mean() >= 0.95


def identity(x: Array, y: Array | None = None) -> Array:
    return x


@pytest.mark.usefixtures("registry")
def test_a_name_is_registered_once() -> None:
    one = OperatorSchema(num_inputs=1)
    register_cpu_operator("Identical", identity, one)
    for again in (register_cpu_operator, register_cpu_gradient_operator):
        with pytest.raises(
            ValueError, match=r"'Identical' is registered already; unregister_operator\('Identical'\)"
        ):
            again("Identical", np.negative, OperatorSchema(num_inputs=1))
    assert schema("Identical") is one
    assert run(create_operator("Identical", "X", "Y"), "Y", X=[1.0]) == 1
    unregister_operator("Identical")
    with pytest.raises(SchemaError, match="'Identical' is not registered"):
        schema("Identical")
    register_cpu_operator("Identical", np.negative, one)
    assert run(create_operator("Identical", "X", "Y"), "Y", X=[1.0]) == -1


def test_a_gradient_is_registered_once() -> None:
    with pytest.raises(ValueError, match="'Softsign' has a gradient maker already, GetSoftsignGradient"):
        register_gradient("Softsign", NoGradient)
    assert types(differentiated("Softsign"))[-1] == "SoftsignGradient"


def differentiated(name: str) -> Net:
    net = net_of((name, "X", "Y"))
    net.add_gradients(["Y"])
    return net


def test_a_gradient_of_an_unknown_operator_is_not_registered() -> None:
    with pytest.raises(SchemaError, match="'SoftSign' is not registered; did you mean 'Softsign'"):
        register_gradient("SoftSign", GetSoftsignGradient)
    with pytest.raises(SchemaError, match="'SoftSign' is not registered"):
        unregister_operator("SoftSign")


@pytest.mark.usefixtures("registry")
def test_only_what_can_work_is_registered() -> None:
    one: Any = OperatorSchema(num_inputs=1)
    wrong: Any = "wrong"
    with pytest.raises(TypeError, match="kernel of 'Wrong' must be callable, not str"):
        register_cpu_operator("Wrong", wrong, one)
    with pytest.raises(TypeError, match="schema of 'Wrong' must be an OperatorSchema, not str"):
        register_cpu_operator("Wrong", identity, wrong)
    register_cpu_operator("Right", identity, one)
    makers: list[Any] = [wrong, GetSoftsignGradient(OperatorDef("Softsign", "X", "Y")), Net]
    for maker in makers:
        with pytest.raises(TypeError, match="gradient maker of 'Right' must be a subclass of GradientMaker"):
            register_gradient("Right", maker)
    assert "Wrong" not in operators()


@pytest.mark.usefixtures("registry")
def test_an_operator_without_gradient_maker() -> None:
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
def test_a_gradient_maker_that_does_wrong_is_refused(maker: type[GradientMaker], message: str) -> None:
    register_cpu_operator("Identical", identity, OperatorSchema(num_inputs=1))
    register_gradient("Identical", maker)
    net = net_of(("Softsign", "X", "Y"), ("Identical", "Y", "Z"))
    with pytest.raises((SchemaError, NotImplementedError), match=message):
        net.add_gradients(["Z"])
    assert types(net) == ["Softsign", "Identical"]


@pytest.mark.parametrize(
    ("returned", "outputs", "count"),
    [
        (lambda x, y=None, z=None: (x, x, x), ["Y"], 3),
        (lambda x, y=None, z=None: (), ["Y"], 0),
        (lambda x, y=None, z=None: x + 1, ["Y", "Z"], 1),
        (lambda x, y=None, z=None: x + 1 if y is None else y, ["A", "B"], 1),  # A and B are there
        (lambda x, y=None, z=None: [x, x, x], ["Y", "Z"], 3),
    ],
    ids=["three for one", "none for one", "one for two", "the first of two", "three for two"],
)
@pytest.mark.usefixtures("registry")
def test_a_kernel_that_returns_a_wrong_number_of_arrays(
    returned: Callable[..., Any], outputs: list[str], count: int
) -> None:
    register_cpu_operator(
        "Miscounts", returned, OperatorSchema(num_inputs=1, num_outputs=(1, 2), identical_type_and_shape=True)
    )
    workspace = workspace_of(X=np.ones(2), A=np.ones(2), B=np.ones(2))
    before = contents(workspace)
    with pytest.raises(
        SchemaError, match=f"Miscounts.*its kernel returned {count} arrays? for {len(outputs)} outputs?"
    ):
        workspace.run(create_operator("Miscounts", "X", outputs))
    assert contents(workspace) == before


@pytest.mark.parametrize("returned", [None, (None,)], ids=["None", "(None,)"])
@pytest.mark.usefixtures("registry")
def test_a_kernel_that_returns_nothing(returned: Any) -> None:
    register_cpu_operator(
        "Forgets", lambda x, y=None: returned, OperatorSchema(num_inputs=1, identical_type_and_shape=True)
    )
    workspace = workspace_of(X=np.ones(2), held=np.ones(2))
    for output in ("Y", "held"):
        with pytest.raises(SchemaError, match=r"Forgets.*kernel returned"):
            workspace.run(create_operator("Forgets", "X", output))
    assert list(workspace) == ["X", "held"]
    np.testing.assert_array_equal(workspace.fetch("held"), [1, 1])


@pytest.mark.usefixtures("registry")
def test_optional_inputs_and_outputs() -> None:
    def scale(x: Array, factor: Array | None, y: Array | None, negative: Array | None) -> tuple[Array, Array]:
        scaled = x if factor is None else x * factor
        return scaled, -scaled

    register_cpu_operator("Scale", scale, OperatorSchema(num_inputs=(1, 2), num_outputs=(1, 2)))
    for inputs, outputs, expected in [
        (["X"], ["Y"], {"Y": 2}),
        (["X", "F"], ["Y"], {"Y": 6}),
        (["X", "F"], ["Y", "N"], {"Y": 6, "N": -6}),
        (["X", ""], ["Y", "N"], {"Y": 2, "N": -2}),
        (["X", ""], ["Y", ""], {"Y": 2}),
    ]:
        workspace = workspace_of(X=[2.0], F=[3.0])
        workspace.run(net_of(("Scale", inputs, outputs)))
        assert {name: workspace.fetch(name) for name in workspace} == {"X": 2, "F": 3} | expected


# What is refused, before anything runs

A, OP = np.ones(3), OperatorDef
STATIC: dict[str, tuple[OperatorDef, list[str]]] = {
    "no input": (OP("Softsign", [], "Y"), ["Softsign() -> (Y)", "has 0 inputs", "takes 1"]),
    "too many inputs": (
        OP("Softsign", ["A", "B"], "Y"),
        ["Softsign(A, B) -> (Y)", "has 2 inputs", "takes 1"],
    ),
    "too few inputs": (
        OP("SoftsignGradient", "A", "Y"),
        ["SoftsignGradient(A) -> (Y)", "has 1 input;", "takes 2"],
    ),
    "none of any number": (OP("Sum", [], "Y"), ["Sum() -> (Y)", "has 0 inputs", "takes 1 or more"]),
    "no output": (OP("Softsign", "A", []), ["Softsign(A) -> ()", "has 0 outputs", "takes 1"]),
    "too many outputs": (
        OP("Softsign", "A", ["Y", "Z"]),
        ["Softsign(A) -> (Y, Z)", "has 2 outputs", "takes 1"],
    ),
    "input without name": (OP("Mul", ["A", ""], "Y"), ["Mul(A, ) -> (Y)", "input 1 needs a name"]),
    "output without name": (OP("Softsign", "A", [""]), ["Softsign(A) -> ()", "output 0 needs a name"]),
    "in place, never": (
        OP("Mul", ["A", "B"], "B"),
        ["Mul(A, B) -> (B)", "output 0 may not overwrite input 1, blob 'B'", "Mul never works in place"],
    ),
    "in place, other input": (
        OP("SoftsignGradient", ["A", "B"], "A"),
        ["SoftsignGradient(A, B) -> (A)", "input 0, blob 'A'", "allows output 0 over input 1"],
    ),
    "in place, both inputs": (OP("SoftsignGradient", ["A", "A"], "A"), ["input 0, blob 'A'"]),
    "unknown operator": (
        OP("Softsing", "A", "Y"),
        ["'Softsing' is not registered", "did you mean 'Softsign'?"],
    ),
    "missing attribute": (
        OP("SoftsignNthDerivative", "A", "Y"),
        ["SoftsignNthDerivative(A) -> (Y)", "has attributes none", "asks for n"],
    ),
    "unknown attribute": (
        OP("Softsign", "A", "Y", attributes={"alpha": 1}),
        ["Softsign(A) -> (Y)", "has attributes alpha", "asks for none"],
    ),
    "named": (OP("Softsign", "A", [], "first"), ["Softsign 'first'(A) -> ()"]),
}
TYPES: dict[str, tuple[OperatorDef, list[str]]] = {
    "unknown blob": (OP("Softsign", "nothing", "Y"), ["Softsign(nothing) -> (Y)", "reads blob 'nothing'"]),
    "dtype": (
        OP("Softsign", "I", "Y"),
        ["Softsign(I) -> (Y)", "blob 'I' holds int32", "takes one of float16, bfloat16, float32, float64"],
    ),
    "dtypes differ": (
        OP("SoftsignGradient", ["A", "F"], "Y"),
        ["SoftsignGradient(A, F) -> (Y)", "'A' (float64", "'F' (float32", "the same dtype and shape"],
    ),
    "shapes differ": (
        OP("SoftsignGradient", ["A", "B"], "Y"),
        ["SoftsignGradient(A, B) -> (Y)", "'A' (float64, shape (3,))", "'B' (float64, shape (2,))"],
    ),
    "no broadcast": (OP("Add", ["A", "B"], "Y"), ["Add(A, B) -> (Y)", "(3,)", "(2,)"]),
    "no broadcast of many": (OP("Sum", ["A", "A", "B"], "Y"), ["Sum(A, A, B) -> (Y)", "(3,)", "(2,)"]),
    "arithmetic of two dtypes": (
        OP("Mul", ["A", "F"], "Y"),
        ["Mul(A, F) -> (Y)", "different dtypes", "float64", "float32"],
    ),
    "sum to another shape": (OP("SumTo", ["A", "B"], "Y"), ["SumTo(A, B) -> (Y)", "(3,)", "(2,)"]),
    "sum to more axes": (OP("SumTo", ["A", "M"], "Y"), ["SumTo(A, M) -> (Y)", "(3,)", "(2, 3)"]),
    "expand to another shape": (OP("ExpandTo", ["A", "B"], "Y"), ["ExpandTo(A, B) -> (Y)", "(3,)", "(2,)"]),
    "expand to fewer axes": (OP("ExpandTo", ["M", "A"], "Y"), ["ExpandTo(M, A) -> (Y)", "(2, 3)", "(3,)"]),
}


def filled() -> Workspace:
    return workspace_of(
        A=A, B=np.ones(2), F=A.astype(np.float32), I=A.astype(np.int32), M=np.ones((2, 3)), Y=np.ones(3)
    )


def assert_says(parts: Sequence[str], error: BaseException) -> None:
    for part in parts:
        assert part in str(error)


@pytest.mark.parametrize("rule", STATIC)
def test_a_use_against_the_schema_is_never_made(rule: str) -> None:
    op, parts = STATIC[rule]
    with pytest.raises(SchemaError) as created:
        create_operator(op.type, op.inputs, op.outputs, op.name, **op.attributes)
    assert_says(parts, created.value)
    net = net_of(("Softsign", "A", "Y"))
    with pytest.raises(SchemaError) as added:
        net.add(op)
    assert str(added.value) == str(created.value)
    assert types(net) == ["Softsign"]


@pytest.mark.parametrize("rule", [*STATIC, *TYPES])
def test_a_refused_operator_changes_nothing(rule: str) -> None:
    op, parts = (STATIC | TYPES)[rule]
    workspace = filled()
    before = contents(workspace)
    with pytest.raises(SchemaError) as alone:
        workspace.run(op)
    assert_says(parts, alone.value)
    assert contents(workspace) == before


@pytest.mark.parametrize("rule", [*STATIC, *TYPES])
def test_a_net_whose_last_operator_is_refused_does_not_begin(rule: str) -> None:
    op, parts = (STATIC | TYPES)[rule]
    net = net_of(("Softsign", "A", "first"), ("Softsign", "A", "A"))
    net.operators.append(op)  # past the check of Net.add
    workspace = filled()
    before = contents(workspace)
    for _ in range(2):
        with pytest.raises(SchemaError) as caught:
            workspace.run(net)
        assert_says(parts, caught.value)
        assert contents(workspace) == before


@pytest.mark.usefixtures("registry")
def test_an_output_written_twice_is_refused() -> None:
    register_cpu_operator(
        "Split", lambda x, a=None, b=None: (x, x), OperatorSchema(num_inputs=1, num_outputs=2)
    )
    with pytest.raises(SchemaError) as caught:
        create_operator("Split", "X", ["A", "A"])
    assert_says(["Split(X) -> (A, A)", "blob 'A' twice"], caught.value)


def test_a_net_that_ran_is_checked_again_when_its_blobs_change() -> None:
    net = net_of(("Softsign", "A", "Y"), ("Add", ["Y", "B"], "Z"))
    workspace = workspace_of(A=np.ones(3), B=np.ones(3))
    workspace.run(net)
    workspace.feed("A", np.full(2, 3.0))
    before = contents(workspace)
    with pytest.raises(SchemaError, match="Add"):
        workspace.run(net)
    assert contents(workspace) == before


@pytest.mark.usefixtures("registry")
def test_a_net_that_ran_is_checked_again_when_an_operator_is_gone() -> None:
    register_cpu_operator("Identical", identity, OperatorSchema(num_inputs=1))
    net = net_of(("Softsign", "A", "A"), ("Identical", "A", "Z"))
    workspace = workspace_of(A=A)
    workspace.run(net)
    unregister_operator("Identical")
    before = contents(workspace)
    with pytest.raises(SchemaError, match="'Identical' is not registered"):
        workspace.run(net)
    assert contents(workspace) == before


def test_a_net_that_ran_is_checked_again_when_an_operator_is_replaced() -> None:
    net = net_of((create_operator("SoftsignNthDerivative", "A", "Y", n=1),))
    workspace = workspace_of(A=A)
    workspace.run(net)
    net.operators[0] = OperatorDef("SoftsignNthDerivative", "A", "Y")
    with pytest.raises(SchemaError, match="asks for n"):
        workspace.run(net)


def test_a_refused_net_leaves_no_constants_behind() -> None:
    net = Net("constants", {"W": A})
    net.add("Mul", ["W", "nothing"], "Y")
    workspace = Workspace()
    with pytest.raises(SchemaError, match="'nothing'"):
        workspace.run(net)
    assert list(workspace) == []


@pytest.mark.parametrize("n", [-1, 1.5, "1", None])
@pytest.mark.parametrize("name", ["SoftsignNthDerivative", "SoftsignDerivativeFromOutput"])
def test_orders_that_there_are_not(name: str, n: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"n must be an integer|an integer order"):
        run(create_operator(name, "X", "Y", n=n), "Y", X=A)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [([1], "Y"), ("X", [None]), (None, "Y"), ("X", 3)],
    ids=["1", "[None]", "None", "3"],
)
def test_names_that_are_no_strings(inputs: Any, outputs: Any) -> None:
    with pytest.raises(TypeError, match=r"inputs|outputs"):
        create_operator("Softsign", inputs, outputs)


def test_blobs_to_differentiate_that_there_are_not() -> None:
    net = net_of(("Softsign", "X", "Y"), name="small")
    for ys in (["Z"], ["Y", "Z"], {"Z": "dZ"}):
        with pytest.raises(SchemaError, match="net 'small' has no blob 'Z'"):
            net.add_gradients(ys)
    assert types(net) == ["Softsign"]


def test_one_blob_to_differentiate_may_be_a_string() -> None:
    net = net_of(("Softsign", "X", "loss"))
    gradients = net.add_gradients("loss")
    np.testing.assert_array_equal(run(net, gradients["X"], X=[1.0, 3.0]), [0.25, 0.0625])


def test_a_seed_that_was_not_fed_is_refused() -> None:
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


# Workspace


def test_what_is_fed_and_fetched_is_copied() -> None:
    x = np.array([1.0, 3.0])
    workspace = workspace_of(X=x)
    x[:] = 0
    np.testing.assert_array_equal(workspace.fetch("X"), [1, 3])
    workspace.fetch("X")[:] = 0
    np.testing.assert_array_equal(workspace.fetch("X"), [1, 3])
    workspace.feed("X", x)  # into the same memory
    x[:] = 7
    np.testing.assert_array_equal(workspace.fetch("X"), [0, 0])
    workspace.run(create_operator("Softsign", "X", "X"))
    np.testing.assert_array_equal(x, [7, 7])


def test_names_in_a_workspace() -> None:
    workspace = workspace_of(b=[1.0], a=[2.0])
    assert list(workspace) == ["a", "b"]
    assert "a" in workspace
    assert "c" not in workspace
    with pytest.raises(KeyError, match="the workspace has no blob 'c'"):
        workspace.fetch("c")
    workspace.reset()
    assert list(workspace) == []
    with pytest.raises(SchemaError, match="reads blob 'a', which the workspace does not have"):
        workspace.run(create_operator("Softsign", "a", "b"))


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        (3, [1.0], TypeError, "name must be a string, not 3"),
        ("", [1.0], ValueError, "name must not be empty"),
        ("X", None, TypeError, "value of blob 'X' must be an array, not NoneType"),
        ("X", {1.0}, TypeError, "value of blob 'X' must be an array, not set"),
        ("X", [[1.0], [1.0, 2.0]], ValueError, "inhomogeneous"),
    ],
)
def test_what_cannot_be_fed(name: Any, value: Any, error: type[Exception], message: str) -> None:
    workspace = Workspace()
    with pytest.raises(error, match=message):
        workspace.feed(name, value)
    assert list(workspace) == []


def test_what_cannot_be_run() -> None:
    what: Any = "Softsign"
    with pytest.raises(TypeError, match="runs an OperatorDef or a Net, not str"):
        Workspace().run(what)


def test_other_shapes_and_dtypes_may_follow() -> None:
    net, workspace = net_of(("Softsign", "X", "Y"), ("Softsign", "Y", "Y")), Workspace()
    for x in (
        np.ones(3),
        np.ones((2, 2)),
        np.full((1, 1), 4, np.float32),
        np.ones((2, 2)),
        np.zeros(0),
        np.array(1, np.float16),
    ):
        workspace.feed("X", x)
        workspace.run(net)
        assert_same_bits(workspace.fetch("Y"), np.asarray(softsign.softsign(softsign.softsign(x))))


@by_dtype
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (2, 3, 4)], ids=str)
def test_arrays_of_any_shape(dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    x = np.full(shape, 0.5, dtype)
    net = net_of(("Softsign", "X", "Y"), ("Mul", ["Y", "X"], "Z"))
    gradients = net.add_gradients(["Z"])
    workspace = workspace_of(X=x)
    for _ in range(2):
        workspace.run(net)
        assert_same_bits(workspace.fetch("Y"), np.asarray(softsign.softsign(x)))
        found = workspace.fetch(gradients["X"])
        assert (found.dtype, found.shape) == (dtype, shape)


@pytest.mark.parametrize(
    "layout",
    [
        lambda x: x[::2, ::-3],
        np.asfortranarray,
        lambda x: x.T,
        lambda x: np.broadcast_to(x[:1], x.shape),
        lambda x: x.astype(">f8"),
        lambda x: x.tolist(),
    ],
    ids=["strided", "fortran", "transposed", "broadcast", "big-endian", "list"],
)
def test_feeds_of_any_layout(layout: Callable[[Array], Any]) -> None:
    x = layout(np.random.default_rng(0).normal(size=(4, 6)))
    plain = np.array(x, np.float64)
    net = net_of(("Softsign", "X", "Y"))
    gradients = net.add_gradients(["Y"])
    workspace = workspace_of(X=x)
    for _ in range(2):
        workspace.run(net)
        assert_same_bits(workspace.fetch("X"), plain)
        assert_same_bits(workspace.fetch("Y"), softsign.softsign(plain))
        assert_same_bits(workspace.fetch(gradients["X"]), softsign.derivative(plain))
        workspace.feed("X", x)


@pytest.mark.parametrize(
    "kernel",
    [
        identity,
        lambda x, y=None: x[:],
        lambda x, y=None: np.broadcast_to(x, x.shape),
        lambda x, y=None: x.reshape(-1).reshape(x.shape),
    ],
    ids=["input", "slice", "read-only", "reshaped"],
)
@pytest.mark.usefixtures("registry")
def test_results_share_no_memory(kernel: Callable[..., Array]) -> None:
    register_cpu_operator("View", kernel, OperatorSchema(num_inputs=1))
    net = net_of(("View", "X", "Y"), ("Softsign", "X", "X"), ("Softsign", "Y", "Y"), ("View", "X", "Z"))
    workspace = workspace_of(X=[1.0, 3.0])
    workspace.run(net)
    workspace.run(create_operator("Softsign", "Z", "Z"))
    np.testing.assert_array_equal(workspace.fetch("X"), [0.5, 0.75])
    np.testing.assert_array_equal(workspace.fetch("Y"), [0.5, 0.75])
    np.testing.assert_array_equal(workspace.fetch("Z"), softsign.softsign([0.5, 0.75]))


@pytest.mark.usefixtures("registry")
def test_an_error_in_a_kernel_names_the_operator() -> None:
    register_cpu_operator("Fails", lambda x, y=None: x[0], OperatorSchema(num_inputs=1))
    with pytest.raises(IndexError) as caught:
        run(create_operator("Fails", "X", "Y", "third"), "Y", X=np.ones(0))
    assert caught.value.__notes__ == ["in Fails 'third'(X) -> (Y)"]


def test_constants_come_with_the_net() -> None:
    weight = np.array([2.0, 3.0])
    net = Net("constant", {"W": weight})
    net.add("Mul", ["X", "W"], "Y")
    assert net.inputs == ["X"]
    assert net.outputs == ["Y"]
    net.outputs = ["X", "Y"]
    assert net.outputs == ["X", "Y"]
    assert net.blobs == {"X", "W", "Y"}
    weight[:] = 0
    np.testing.assert_array_equal(run(net, "Y", X=[1.0, 1.0]), [2, 3])
    np.testing.assert_array_equal(run(net, "Y", X=[1.0, 1.0], W=[5.0, 5.0]), [5, 5])


# Time and memory


def allocated(action: Callable[[], object]) -> tuple[int, int]:
    """Bytes that an action leaves allocated, and those at its peak."""
    action()  # what the first call sets up once and for all
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        action()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before, peak - before


def test_softsign_in_place_allocates_nothing() -> None:
    workspace, operator = workspace_of(X=np.ones(1 << 20, np.float32)), create_operator("Softsign", "X", "X")
    kept, peak = allocated(lambda: workspace.run(operator))
    assert peak < 4096
    assert kept < 512  # the interpreter's own
    net = net_of((operator,), ("Softsign", "X", "X"))
    kept, peak = allocated(lambda: workspace.run(net))
    assert peak < 4096
    assert kept < 512


def test_a_net_that_runs_again_reuses_its_memory() -> None:
    net = net_of(("Softsign", "X", "Y"), ("SoftsignInverse", "Y", "Z"), ("SoftsignGradient", ["X", "Z"], "Z"))
    net.add_gradients({"Y": "X"})
    workspace = workspace_of(X=np.full(1 << 20, 0.5, np.float32))
    kept, peak = allocated(lambda: workspace.run(net))
    assert peak < 16_384
    assert kept < 2048


def test_this_measure_sees_an_array() -> None:
    workspace, operator = workspace_of(X=np.ones(1 << 20, np.float32)), create_operator("Softsign", "X", "X")

    def fetch() -> None:
        workspace.run(operator)
        workspace.fetch("X")

    assert allocated(fetch)[1] >= 1 << 22


@pytest.mark.parametrize(
    ("op", "bare"),
    [
        (create_operator("Softsign", "X", "X"), lambda x, y: softsign.softsign(x, x)),
        (create_operator("Softsign", "X", "Y"), softsign.softsign),
        (create_operator("SoftsignGradient", ["X", "Y"], "Y"), lambda x, y: softsign.gradient(x, y, y)),
    ],
    ids=str,
)
def test_overhead_over_the_bare_ufunc(op: OperatorDef, bare: Callable[[Array, Array], object]) -> None:
    """Ten times the ufunc: 4 us where that takes 0.4 us, as much more where the machine is slower; both in thread time."""
    x, y = np.ones(64, np.float32), np.ones(64, np.float32)
    workspace = workspace_of(X=x, Y=y)
    workspace.run(op)

    def seconds(action: Callable[[], object]) -> float:
        start = time.thread_time()
        for _ in range(200):
            action()
        return (time.thread_time() - start) / 200

    rounds = [(seconds(lambda: workspace.run(op)), seconds(lambda: bare(x, y))) for _ in range(51)]
    assert statistics.median((run - alone) / alone for run, alone in rounds) <= 10
