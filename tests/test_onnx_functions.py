"""The family as ONNX functions, on ONNX Runtime and onnx's reference implementation, against exact values."""

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, helper
from onnx.reference import ReferenceEvaluator

import softsign
from softsign.onnx import run
from softsign.onnx.functions import (
    DOMAIN,
    bound,
    function_name,
    is_function,
    make_functions,
    operator_of,
)
from softsign.onnx.model import add_functions
from softsign.operator import operators, schema
from softsign.operator.registry import find
from tests.helpers import BFLOAT16, is_nan, random_values, special_values

Array = NDArray[Any]
DTYPES = tuple(map(np.dtype, ("float16", BFLOAT16, "float32", "float64")))
FAMILY = {
    "Softsign": {},
    "SoftsignGradient": {},
    "SoftsignGradientFromOutput": {},
    "SoftsignInverse": {},
    "SoftsignDerivative": {},
    "SoftsignSecondDerivative": {},
    "SoftsignAntiderivative": {},
    "SoftsignSecondAntiderivative": {},
    "SoftsignLogJacobian": {},
    "SoftsignLogJacobianGradient": {},
    **{f"SoftsignNthDerivative {n}": {"n": n} for n in (0, 1, 2, 3, 8, 16)},
    **{f"SoftsignDerivativeFromOutput {n}": {"n": n} for n in (0, 1, 2, 3)},
}
NEWEST = 25  # the newest opset of which ONNX Runtime 1.32 has all that the bodies use
by_function = pytest.mark.parametrize("case", FAMILY)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def model_of(name: str, dtype: np.dtype[Any], inputs: tuple[str, ...], opset: int = 18) -> ModelProto:
    element = helper.np_dtype_to_tensor_dtype(dtype)
    graph = helper.make_graph(
        [helper.make_node(name, inputs, ["result"], domain=DOMAIN)],
        "one",
        [helper.make_tensor_value_info(i, element, ["n"]) for i in inputs],
        [helper.make_tensor_value_info("result", element, ["n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    add_functions(model, graph.node)
    onnx.checker.check_model(model, full_check=True)
    return model


def arguments(case: str, dtype: np.dtype[Any]) -> tuple[Array, ...]:
    """Every 16-bit number, or special and random ones; in the domain for functions of the output of Softsign."""
    if dtype.itemsize == 2:
        x = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    else:
        rng = np.random.default_rng(1)
        normal = rng.standard_normal(100_000).astype(dtype)
        x = np.concatenate([special_values(dtype), random_values(dtype, 100_000), normal])
    if "FromOutput" in case:
        with np.errstate(invalid="ignore"):
            x = softsign.softsign(x)
    if "Gradient" not in case:
        return (x,)
    return x, np.full_like(x, 0.7)


def expected(case: str, x: tuple[Array, ...]) -> tuple[Array, Array]:
    """Return the values in the dtype and, exact enough to be compared with, in a wider one."""
    wide = np.longdouble if x[0].dtype == np.float64 else np.float64
    with np.errstate(all="ignore"):
        return values(case, x), values(case, tuple(a.astype(wide) for a in x))


def values(case: str, x: tuple[Array, ...]) -> Array:
    made: Array = np.asarray(find(case.partition(" ")[0]).kernel(*x, None, **FAMILY[case]))
    return made


def errors(found: Array, truth: Array) -> Array:
    """Return errors in ulp of the dtype; where the truth is not finite in it, 0 if the same and infinite if not."""
    info = ml_dtypes.finfo(found.dtype)
    with np.errstate(all="ignore"):
        exponent = np.frexp(truth)[1] - 1
        place = np.ldexp(truth.dtype.type(1), np.maximum(exponent, info.minexp) - info.nmant)
        error = np.abs(found.astype(truth.dtype) - truth) / place
        limit = truth.astype(found.dtype).astype(truth.dtype)
    same = (found.astype(truth.dtype) == limit) | (is_nan(found) & is_nan(truth))
    made: Array = np.where(
        np.isfinite(limit) & np.isfinite(found.astype(truth.dtype)), error, np.where(same, 0, np.inf)
    )
    return made


def near_overflow(truth: Array, dtype: np.dtype[Any]) -> Array:
    """Whether a result within the bound may have been rounded to infinity."""
    largest = float(ml_dtypes.finfo(dtype).max)
    made: Array = np.abs(truth) > largest * (1 - 1e-5)
    return made


@by_function
@by_dtype
def test_functions_are_accurate_on_onnx_runtime(case: str, dtype: np.dtype[Any]) -> None:
    x = arguments(case, dtype)
    name = function_name(case.partition(" ")[0], FAMILY[case], dtype)
    model = model_of(name, dtype, ("x", "dy")[: len(x)])
    found = run(model, dict(zip(("x", "dy"), x, strict=False)))["result"]
    assert found.dtype == dtype
    _, truth = expected(case, x)
    error = errors(found, truth)
    error[near_overflow(truth, dtype)] = 0
    if "SecondDerivative" not in case and "Nth" not in case:
        subnormal = 0.0
    else:  # each of their products may lose half of the least subnormal number
        subnormal = float(ml_dtypes.finfo(dtype).tiny)
    error[(np.abs(truth) < subnormal) & (error < 3)] = 0
    worst = int(np.argmax(error))
    assert error[worst] <= max(bound(name), 0.51), (x[0][worst], found[worst], truth[worst])


@by_function
@by_dtype
def test_functions_agree_with_the_reference_implementation(case: str, dtype: np.dtype[Any]) -> None:
    x = tuple(a[:: max(1, a.size // 5000)] for a in arguments(case, dtype))
    name = function_name(case.partition(" ")[0], FAMILY[case], dtype)
    model = model_of(name, dtype, ("x", "dy")[: len(x)])
    with np.errstate(all="ignore"):
        (found,) = ReferenceEvaluator(model).run(None, dict(zip(("x", "dy"), x, strict=False)))
    _, truth = expected(case, x)
    error = errors(np.asarray(found), truth)
    error[near_overflow(truth, dtype)] = 0
    error[(np.abs(truth) < float(ml_dtypes.finfo(dtype).tiny)) & (error < 3)] = 0
    assert error.max() <= max(bound(name), 0.51)


@pytest.mark.parametrize("dtype", [np.dtype("float32"), np.dtype("float64")], ids=str)
def test_softsign_is_odd_and_at_most_one(dtype: np.dtype[Any]) -> None:
    model = model_of("Softsign", dtype, ("x",))
    bits = np.uint32 if dtype == np.float32 else np.uint64
    last = np.array([np.inf], dtype).view(bits)[0]
    digits = ml_dtypes.finfo(dtype).nmant
    powers = np.array([2.0**e for e in range(-3, digits + 4)], dtype).view(bits)
    near = (powers[:, None].astype(np.int64) + np.arange(-2000, 2001)).ravel()
    x = np.sort(np.concatenate([near.astype(bits), np.linspace(0, float(last), 200_000).astype(bits)])).view(
        dtype
    )
    positive = run(model, {"x": x})["result"]
    np.testing.assert_array_equal(run(model, {"x": -x})["result"], -positive)
    assert positive.max() == 1
    ends = np.array([np.inf, -np.inf, np.finfo(dtype).max, -0.0], dtype)
    np.testing.assert_array_equal(run(model, {"x": ends})["result"], [1, -1, 1, 0])
    assert np.signbit(run(model, {"x": ends})["result"][3])


def test_onnx_runtimes_own_softsign_is_not_right_at_infinity() -> None:
    """The reason for the function; when this fails, ONNX Runtime has been mended."""
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Softsign", ["x"], ["y"])],
            "one",
            [helper.make_tensor_value_info("x", 1, ["n"])],
            [helper.make_tensor_value_info("y", 1, ["n"])],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    assert np.isnan(run(model, {"x": np.array([np.inf], np.float32)})["y"][0])


SHAPES = [
    ((2, 3), (3,)),
    ((2, 3), (1, 3)),
    ((2, 3), ()),
    ((4, 2, 3), (2, 1)),
    ((3,), (3,)),
    ((), ()),
    ((2, 0), (1, 1)),
]


@pytest.mark.parametrize(("shape", "like"), SHAPES)
@pytest.mark.parametrize("name", ["SumTo", "ExpandTo", "OnesLike"])
@by_dtype
@pytest.mark.parametrize("declared", [True, False])
def test_shapes(
    name: str, dtype: np.dtype[Any], shape: tuple[int, ...], like: tuple[int, ...], declared: bool
) -> None:
    given = (shape, like) if name == "SumTo" else (like, shape)
    feeds = {"x": np.arange(np.prod(given[0]), dtype=np.int64).reshape(given[0]).astype(dtype)}
    if name != "OnesLike":
        feeds["like"] = np.zeros(given[1], dtype)
    element = helper.np_dtype_to_tensor_dtype(dtype)
    infos = [
        helper.make_tensor_value_info(
            key, element, value.shape if declared else [f"{key}{i}" for i in range(value.ndim)]
        )
        for key, value in feeds.items()
    ]
    called = function_name(name, {}, dtype)
    rank = [f"y{i}" for i in range(len(like if name == "SumTo" else shape if name == "ExpandTo" else like))]
    graph = helper.make_graph(
        [helper.make_node(called, list(feeds), ["result"], domain=DOMAIN)],
        "one",
        infos,
        [helper.make_tensor_value_info("result", element, rank)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    add_functions(model, graph.node)
    found = run(model, feeds)["result"]
    truth = np.asarray(find(name).kernel(*feeds.values(), None))
    assert found.dtype == dtype
    assert found.shape == truth.shape
    np.testing.assert_array_equal(found.astype(np.float64), truth.astype(np.float64))


def test_the_functions_are_the_operators_that_onnx_does_not_have() -> None:
    missing = {name for name in operators() if schema(name).inherit_onnx_schema is None}
    assert {name for name in operators() if is_function(name)} == missing | {"Softsign"}


@by_function
@by_dtype
def test_names_lead_back(case: str, dtype: np.dtype[Any]) -> None:
    type = case.partition(" ")[0]
    assert operator_of(function_name(type, FAMILY[case], dtype)) == (type, FAMILY[case])


@pytest.mark.parametrize("name", ["Softsin", "Softsign_3", "SoftsignNthDerivative", "Softsign_half_half", ""])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match=f"softsign has no function '{name}'"):
        operator_of(name)


@pytest.mark.parametrize("opset", range(18, NEWEST + 1))
def test_every_opset_that_onnx_runtime_has(opset: int) -> None:
    names = [function_name(case.partition(" ")[0], FAMILY[case], np.dtype("float16")) for case in FAMILY]
    for function in make_functions(names, opset):
        inputs = tuple(function.input)
        if function.name.endswith("_half"):
            model = model_of(function.name, np.dtype("float16"), inputs, opset)
        else:
            model = model_of(function.name, np.dtype("float64"), inputs, opset)
        ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
