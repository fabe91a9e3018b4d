"""The backend: ONNX's own tests of it, our kernels in it; and `run`, which computes on either engine."""

import importlib
import re
import types
import unittest
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx.backend.test
import onnx.backend.test.loader
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import softsign
from softsign.onnx import Backend, ModelError, ReferenceSoftsign, run, to_model
from softsign.operator import Net, operators, schema
from tests.helpers import BFLOAT16, FLOATS, Array, assert_same_bits, is_nan, random_values, special_values
from tests.onnx_helpers import IF, MINE, by_engine, model_of, ran

by_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)


def values(dtype: np.dtype[Any]) -> Array:
    """Return numbers of every size, infinities and one nan: a quiet one, since others raise a flag."""
    x = random_values(dtype, 10_000)
    return np.concatenate([special_values(dtype), x[~is_nan(x)]])


ONE = model_of("y = Softsign (x)")
X = np.array([-1, 3], np.float32)
Y = np.array([-0.5, 0.75], np.float32)


# ONNX's own tests

OFFICIAL = [
    "test_Softsign_cpu",  # a model converted from PyTorch
    "test_softsign_cpu",
    "test_softsign_example_cpu",
    "test_softsign_example_expanded_ver18_cpu",
    "test_softsign_expanded_ver18_cpu",
]


@pytest.fixture(scope="module")
def official() -> dict[str, unittest.TestCase]:
    """Return ONNX's tests with Softsign in the name, but for those of GPUs."""
    with pytest.MonkeyPatch.context() as patch:
        # It would compute the cases of all operators to get at ours.
        patch.setattr(onnx.backend.test.loader, "import_recursive", import_cases_of_softsign)
        made = onnx.backend.test.BackendTest(Backend, __name__).include("(?i)softsign").tests
    names = [name for name in dir(made) if re.fullmatch("test_.*softsign.*(?<!_cuda)", name, re.IGNORECASE)]
    return {name: made(name) for name in names}


def import_cases_of_softsign(package: types.ModuleType) -> None:
    """Import the modules of a package that speak of Softsign."""
    for folder in package.__path__:
        for path in Path(folder).glob("*.py"):
            if "softsign" in path.read_text(encoding="utf-8").lower():
                importlib.import_module(f"{package.__name__}.{path.stem}")


def test_there_are_five_official_tests(official: Mapping[str, unittest.TestCase]) -> None:
    assert sorted(official) == OFFICIAL


@pytest.mark.parametrize("name", OFFICIAL)
def test_official(official: Mapping[str, unittest.TestCase], name: str) -> None:
    result = official[name].run()
    assert result is not None
    assert result.testsRun == 1
    assert result.failures + result.errors + result.skipped == []


# The backend


@by_dtype
def test_softsign_is_the_ufunc(dtype: np.dtype[Any]) -> None:
    x = values(dtype)
    (y,) = Backend.run_node(helper.make_node("Softsign", ["x"], ["y"]), [x])
    assert_same_bits(y, softsign.softsign(x))
    name = {"bfloat16": "bfloat16", "float16": "float16", "float32": "float", "float64": "double"}[str(dtype)]
    model = model_of("y = Softsign (x)", opset=22, inputs=f"{name}[n] x", outputs=f"{name}[n] y")
    assert_same_bits(Backend.run_model(model, [x])[0], softsign.softsign(x))
    evaluator = ReferenceEvaluator(model, new_ops=[ReferenceSoftsign])
    assert_same_bits(evaluator.run(None, {"x": x})[0], softsign.softsign(x))


def test_infinity_is_right_where_onnx_runtime_has_nan() -> None:
    x = np.array([-np.inf, np.inf], np.float32)
    assert run(ONE, {"x": x}, engine="softsign")["y"].tolist() == [-1, 1]
    assert np.isnan(run(ONE, {"x": x}, engine="onnxruntime")["y"]).all()


@by_dtype
@pytest.mark.parametrize("name", [name for name in operators() if name.startswith("Softsign")])
def test_functions_are_the_kernels(name: str, dtype: np.dtype[Any]) -> None:
    facts = schema(name)
    net = Net("one")
    inputs = ["X", "dY"][: int(str(facts.num_inputs))]
    net.add(name, inputs, "Y", **({"n": 1} if facts.attributes else {}))  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    feeds = {blob: rng.uniform(-0.9, 0.9, 1000).astype(dtype) for blob in inputs}
    model = to_model(net, feeds)
    assert_same_bits(Backend.run_model(model, feeds)[0], ran(net, feeds).fetch("Y"))


FUNCTION = '<domain: "mine", opset_import: ["" : 18, "softsign" : 1]> D (a) => (b) {{ b = {} (a) }}'


@pytest.mark.parametrize(
    ("operator", "name"), [("Softsign", "softsign"), ("softsign.SoftsignDerivative", "derivative")]
)
def test_kernels_in_branches_and_functions(operator: str, name: str) -> None:
    x = values(np.dtype(np.float32))
    expected = getattr(softsign, name)(x)
    branch = model_of(IF.replace("Neg", operator), "bool c, float[n] x")
    assert_same_bits(Backend.run_model(branch, {"c": np.array(True), "x": x})[0], expected)
    function = model_of("y = mine.D (x)", opset=MINE, more=FUNCTION.format(operator))
    assert_same_bits(Backend.run_model(function, [x])[0], expected)


@pytest.mark.parametrize("inputs", [[X], (X,), {"x": X}, X], ids=["list", "tuple", "mapping", "array"])
def test_inputs_in_order_or_by_name(inputs: Any) -> None:
    results = Backend.prepare(ONE).run(inputs)
    assert isinstance(results, tuple)
    assert_same_bits(results[0], Y)
    assert_same_bits(Backend.run_model(ONE, inputs)[0], Y)
    assert_same_bits(Backend.run_node(ONE.graph.node[0], inputs)[0], Y)


def test_a_node_of_two_inputs() -> None:
    node = helper.make_node("Sub", ["b", "a"], ["y"])
    assert Backend.run_node(node, [X, Y])[0].tolist() == [-0.5, 2.25]
    assert Backend.run_node(node, {"a": X, "b": Y})[0].tolist() == [0.5, -2.25]


def test_devices() -> None:
    for device in ("CPU", "CPU:0"):
        assert Backend.supports_device(device)
        assert_same_bits(Backend.prepare(ONE, device).run([X])[0], Y)
    for device in ("CUDA", "CUDA:1", "TPU", ""):
        assert not Backend.supports_device(device)
        for call in (
            lambda d: Backend.prepare(ONE, d),
            lambda d: Backend.run_model(ONE, [X], d),
            lambda d: Backend.run_node(ONE.graph.node[0], [X], d),
        ):
            with pytest.raises(ValueError, match=f"device is '{device}'; this backend computes on the CPU"):
                call(device)


def test_what_breaks_onnxs_rules_is_refused() -> None:
    with pytest.raises(onnx.checker.ValidationError, match="Softsing"):
        Backend.prepare(model_of("y = Softsing (x)"))
    with pytest.raises(onnx.checker.ValidationError, match="input size 2 not in range"):
        Backend.run_node(helper.make_node("Softsign", ["x", "z"], ["y"]), [X, X])


# run


@by_engine
def test_outputs_by_name_in_the_models_order(engine: str) -> None:
    model = model_of(
        "c = Neg (x) a = Softsign (x) b = Add (c, a)", outputs="float[n] c, float[n] b, float[n] a"
    )
    results = run(model, {"x": X}, engine=engine)
    assert list(results) == ["c", "b", "a"]
    assert [value.tolist() for value in results.values()] == [[1, -3], [0.5, -2.25], [-0.5, 0.75]]


def test_onnx_runtime_is_the_default() -> None:
    x = np.array([np.inf], np.float32)
    assert np.isnan(run(ONE, {"x": x})["y"])


@by_engine
def test_arrays_of_every_layout(engine: str) -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    model = model_of("y = Neg (x)", inputs="float[m,n] x", outputs="float[m,n] y")
    for array in (x, x.T, x[::2, ::-1], x[:0], np.broadcast_to(x[0], (2, 4))):
        assert_same_bits(run(model, {"x": array}, engine=engine)["y"], -array)
    scalar = model_of("y = Neg (x)", inputs="float x", outputs="float y")
    assert_same_bits(run(scalar, {"x": np.float32(2)}, engine=engine)["y"], np.array(-2, np.float32))


@by_engine
@pytest.mark.parametrize("shape", [(), (0, 2), (3, 5)])
def test_bfloat16_in_and_out(engine: str, shape: tuple[int, ...]) -> None:
    size = int(np.prod(shape))
    x = special_values(BFLOAT16)[4 : 4 + size].reshape(shape)
    dims = f"[{','.join('mn'[: len(shape)])}]" if shape else ""
    model = model_of("y = Identity (x)", inputs=f"bfloat16{dims} x", outputs=f"bfloat16{dims} y")
    y = run(model, {"x": x}, engine=engine)["y"]
    assert_same_bits(y, x)
    y.fill(1)  # memory of its own, not of an engine that is gone


#: Dtypes of NumPy's extension ml_dtypes, by the name that ONNX has for them.
SMALL = {
    "float8e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8e5m2": ml_dtypes.float8_e5m2,
    "bfloat16": ml_dtypes.bfloat16,
    "int4": ml_dtypes.int4,
    "uint4": ml_dtypes.uint4,
}


@by_engine
@pytest.mark.parametrize("name", SMALL)
def test_small_dtypes_out(engine: str, name: str) -> None:
    code = TensorProto.DataType.Value(name.upper())
    model = model_of(f"y = Cast <to = {code}> (x)", outputs=f"{name}[n] y", opset=21, ir=10)
    y = run(model, {"x": np.array([1, 2, 3], np.float32)}, engine=engine)["y"]
    assert y.dtype == SMALL[name]
    assert y.astype(np.float32).tolist() == [1, 2, 3]


@by_engine
def test_small_dtypes_in_are_taken_or_refused(engine: str) -> None:
    model = model_of("y = Cast <to = 1> (x)", inputs="float8e5m2[n] x", opset=21, ir=10)
    x = np.array([1, -2, 3], ml_dtypes.float8_e5m2)
    assert run(model, {"x": x}, engine=engine)["y"].tolist() == [1, -2, 3]
    model = model_of("y = Cast <to = 1> (x)", inputs="int4[n] x", opset=21, ir=10)
    if engine == "softsign":
        assert run(model, {"x": x.astype(ml_dtypes.int4)}, engine=engine)["y"].tolist() == [1, -2, 3]
    else:  # which keeps two in a byte
        with pytest.raises(ModelError, match="cannot run the model: it takes no int4 from NumPy"):
            run(model, {"x": x.astype(ml_dtypes.int4)}, engine=engine)


@by_engine
def test_strings(engine: str) -> None:
    model = model_of("y = Identity (x)", inputs="string[n] x", outputs="string[n] y")
    for x in (["a", "bc"], np.array(["a", "bc"], object)):
        assert run(model, {"x": x}, engine=engine)["y"].tolist() == ["a", "bc"]
    with pytest.raises(ModelError, match="input 'x' is object; the model takes strings"):
        run(model, {"x": np.array(["a", 1], object)}, engine=engine)


@by_engine
def test_outputs_that_are_inputs(engine: str) -> None:
    """ONNX Runtime 1.32 returns memory that it has freed."""
    model = model_of("y = Neg (x)", outputs="float[n] x, float[n] y")
    before = model.SerializeToString()
    for value in range(20):
        x = np.array([value, 2.3], np.float32)
        results = run(model, {"x": x}, engine=engine)
        assert list(results) == ["x", "y"]
        assert_same_bits(results["x"], x)
        assert_same_bits(results["y"], -x)
    assert model.SerializeToString() == before


@by_engine
def test_an_input_with_a_default(engine: str) -> None:
    model = model_of("y = Add (x, w)", inputs="float[n] x, float[1] w")
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), "w"))
    assert run(model, {"x": X}, engine=engine)["y"].tolist() == [0, 4]
    assert run(model, {"x": X, "w": np.array([5], np.float32)}, engine=engine)["y"].tolist() == [4, 8]


PAIR = model_of("y = Add (x, z)", inputs="float[n,3] x, float[n,k] z", outputs="float[n,3] y")
F32 = np.float32


@by_engine
@pytest.mark.parametrize(
    ("feeds", "words"),
    [
        ({"x": np.ones((2, 3), F32)}, "input 'z' of the model is missing"),
        ({}, "input 'x' of the model is missing"),
        ({"x": np.ones((2, 3), F32), "q": X}, "the model has no input 'q'; its inputs are x, z"),
        ({"x": np.ones((2, 3))}, "input 'x' is float64; the model takes float32"),
        ({"x": [[1, 2, 3]]}, "input 'x' is int64; the model takes float32"),
        ({"x": np.ones((2, 3), ">f4")}, "input 'x' is >f4; the model takes float32"),
        ({"x": [["a", "b", "c"]]}, "input 'x' is <U1; the model takes float32"),
        ({"x": [[{}, {}, {}]]}, "input 'x' is object; the model takes float32"),
        ({"x": np.ones((2, 4), F32)}, "input 'x' has the shape (2, 4); the model takes (n, 3)"),
        ({"x": np.ones(3, F32)}, "input 'x' has the shape (3,); the model takes (n, 3)"),
        ({"x": np.ones((1, 2, 3), F32)}, "input 'x' has the shape (1, 2, 3); the model takes (n, 3)"),
        (
            {"x": np.ones((2, 3), F32), "z": np.ones((1, 3), F32)},
            "input 'z' has the shape (1, 3); the model takes (n, k)",
        ),
    ],
)
def test_inputs_that_are_refused(engine: str, feeds: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=re.escape(words)):
        run(PAIR, feeds, engine=engine)


@by_engine
def test_sizes_with_the_same_name_must_agree_and_others_need_not(engine: str) -> None:
    x, z = np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)
    assert run(PAIR, {"x": x, "z": z}, engine=engine)["y"].tolist() == [[2, 2, 2]] * 2
    nameless = model_of("y = Add (x, z)", inputs="float[?,3] x, float[?,?] z", outputs="float[?,3] y")
    assert run(nameless, {"x": x, "z": z[:1]}, engine=engine)["y"].tolist() == [[2, 2, 2]] * 2
    with pytest.raises(ModelError, match=re.escape("has the shape (2, 4); the model takes (?, 3)")):
        run(nameless, {"x": np.ones((2, 4), np.float32), "z": z}, engine=engine)


def test_an_engine_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="engine is 'tensorrt'; it must be one of onnxruntime, softsign"):
        run(ONE, {"x": X}, engine="tensorrt")


RESHAPE = model_of("y = Reshape (x, s)", inputs="float[n] x, int64[k] s", outputs="float[a,b] y")
GATHER = model_of("y = Gather (x, s)", inputs="float[n] x, int64[k] s", outputs="float[k] y")


@by_engine
@pytest.mark.parametrize(
    ("model", "feeds"),
    [
        (PAIR, {"x": np.ones((2, 3), F32), "z": np.ones((2, 2), F32)}),
        (RESHAPE, {"x": X, "s": np.array([3, 5])}),
        (GATHER, {"x": X, "s": np.array([9])}),
        (model_of("y = other.Bar (x)", opset='"" : 18, "other" : 1'), {"x": X}),
        (model_of("y = Softsing (x)"), {"x": X}),
        (model_of("y = Neg (z)"), {"x": X}),
        (model_of("y = SplitToSequence (x)", outputs="seq(float[n]) y"), {"x": X}),
        (model_of("y = SequenceAt (x, i)", inputs="seq(float[n]) x, int64 i"), {"x": X, "i": 0}),
    ],
    ids=[
        "Add",
        "Reshape",
        "Gather",
        "domain",
        "operator",
        "dangling",
        "sequence out",
        "sequence in",
    ],
)
def test_models_that_an_engine_cannot_run(
    capfd: pytest.CaptureFixture[str], engine: str, model: ModelProto, feeds: dict[str, Any]
) -> None:
    """One sentence says so, and nothing else is written anywhere."""
    with pytest.raises(ModelError) as caught:
        run(model, feeds, engine=engine)
    assert str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("dtype", ["double", "bfloat16"])
def test_onnx_runtime_lacks_kernels_that_the_backend_has(dtype: str) -> None:
    model = model_of("y = Softsign (x)", opset=22, inputs=f"{dtype}[n] x", outputs=f"{dtype}[n] y")
    x = X.astype({"double": np.float64, "bfloat16": BFLOAT16}[dtype])
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot run the model: .* Softsign"):
        run(model, {"x": x})
    assert run(model, {"x": x}, engine="softsign")["y"].tolist() == [-0.5, 0.75]


@by_engine
def test_infinity_and_nan_on_the_way_are_no_warnings(engine: str) -> None:
    body = "s = Sub (x, x) d = Div (x, s) m = Mul (d, s) e = Exp (x) y = Add (m, e)"
    y = run(model_of(body), {"x": np.array([1000, 0], np.float32)}, engine=engine)["y"]
    assert np.isnan(y).all()
