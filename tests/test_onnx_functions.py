"""The family as ONNX functions, on ONNX Runtime and onnx's reference implementation, against exact values."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, helper
from onnx.reference import ReferenceEvaluator

from softsign import accuracy, functions
from softsign.accuracy import Exact, exact, sample, ulp_error
from softsign.onnx import run
from softsign.onnx.functions import (
    DOMAIN,
    VERSION,
    bound,
    function_name,
    is_function,
    make_functions,
    operator_of,
)
from softsign.operator import operators, schema
from softsign.operator.registry import find
from softsign.reference import LOGARITHMIC
from tests.helpers import BFLOAT16, Array, assert_same_bits, special_values

WIDE = (np.dtype(np.float32), np.dtype(np.float64))
HALF = (np.dtype(np.float16), BFLOAT16)
UFUNCS = {
    "Softsign": "softsign",
    "SoftsignGradient": "gradient",
    "SoftsignGradientFromOutput": "gradient_from_output",
    "SoftsignInverse": "inverse",
    "SoftsignDerivative": "derivative",
    "SoftsignSecondDerivative": "second_derivative",
    "SoftsignAntiderivative": "antiderivative",
    "SoftsignSecondAntiderivative": "second_antiderivative",
    "SoftsignLogJacobian": "log_jacobian",
}
NUMBERED = {
    "SoftsignNthDerivative": (0, 1, 2, 3, 4, 5, 16, 33, 170),
    "SoftsignDerivativeFromOutput": range(4),
}
ELEMENTWISE = (
    *UFUNCS,
    "SoftsignLogJacobianGradient",
    *(f"{type}_{n}" for type, orders in NUMBERED.items() for n in orders),
)
SHAPES = ("OnesLike", "SumTo", "ExpandTo")
#: Orders above 5 have the operators of the others, so many that ONNX Runtime takes long to begin.
SHORT = tuple(name for name in ELEMENTWISE if not name.endswith(("_16", "_33", "_170")))


def opsets() -> list[int]:
    """The versions in which an operator of the functions changed, and the newest."""
    nodes = [node for function in make_functions(SHORT, 18) for node in function.node]
    names = {node.op_type for node in nodes if not node.domain}
    newest = onnx.defs.onnx_opset_version()
    opsets = range(18, newest + 1)
    changed = {onnx.defs.get_schema(name, opset).since_version for name in names for opset in opsets}
    return sorted({18, newest} | changed.intersection(opsets))


by_engine = pytest.mark.parametrize("engine", ["onnxruntime", "reference"])
by_dtype = pytest.mark.parametrize("dtype", [*HALF, *WIDE], ids=str)


def named(function: str, dtype: np.dtype[Any]) -> str:
    return function + "_half" if dtype in HALF else function


def as_model(
    nodes: Iterable[NodeProto], inputs: dict[str, Any], outputs: dict[str, Any], opset: int
) -> ModelProto:
    """A checked model of calls; inputs and outputs are pairs of a dtype and a shape."""

    def infos(values: dict[str, Any]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), shape)
            for name, (dtype, shape) in values.items()
        ]

    nodes = list(nodes)
    graph = helper.make_graph(nodes, "calls", infos(inputs), infos(outputs))
    model = helper.make_model(
        graph,
        functions=make_functions([node.op_type for node in nodes], opset),
        opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, VERSION)],
        ir_version=8,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def computed(engine: str, model: ModelProto, feeds: dict[str, Array]) -> dict[str, Array]:
    if engine == "onnxruntime":
        return run(model, feeds)
    with np.errstate(all="ignore"):
        results = ReferenceEvaluator(model).run(None, feeds)
    return {value.name: np.asarray(r) for value, r in zip(model.graph.output, results, strict=True)}


def call(engine: str, function: str, *arguments: Array, opset: int = 22) -> Array:
    """Compute an elementwise function of 1-d arrays."""
    feeds = dict(zip(("first", "second"), arguments, strict=False))
    dtype = arguments[0].dtype
    node = helper.make_node(named(function, dtype), list(feeds), ["result"], domain=DOMAIN)
    values = {name: (dtype, ["n"]) for name in (*feeds, "result")}
    result = values.pop("result")
    found = computed(engine, as_model([node], values, {"result": result}, opset), feeds)["result"]
    assert found.dtype == dtype
    return found


@cache
def arguments_and_truth(function: str, dtype: np.dtype[Any]) -> tuple[tuple[Array, ...], Exact | Array]:
    """All numbers of 16 bits, a sample of 32 and 64 bits; special ones, in all pairs for two arguments."""
    type, attributes = operator_of(function)
    rng = np.random.default_rng(5)
    if dtype.itemsize == 2:
        every = np.arange(1 << 16, dtype=np.uint16).view(dtype)
        arguments: tuple[Array, ...] = (every, rng.permutation(every))
    else:
        ufunc = UFUNCS.get(type, "gradient_from_output" if "FromOutput" in type else "gradient")
        # Exact logarithms are slow, and far within their bounds.
        arguments = sample(ufunc, dtype, 1 << (13 if ufunc in LOGARITHMIC else 15), rng)
    arguments = arguments[: 2 if "Gradient" in type else 1]
    special = np.meshgrid(*[special_values(dtype)] * len(arguments))
    arguments = tuple(
        np.concatenate([argument, pair.ravel()]) for argument, pair in zip(arguments, special, strict=True)
    )
    with np.errstate(all="ignore"):
        return arguments, truth(type, attributes, *(a.astype(np.float64) for a in arguments))


def truth(type: str, attributes: dict[str, int], x: Array, dy: Array | None = None) -> Exact | Array:
    """Exact values; for operators that are no ufuncs, sums and quotients of `softsign.accuracy`."""
    if type == "SoftsignGradient":
        assert dy is not None
        # (1 + |x|)^2 would be infinite in float64, and inf / inf is nan.
        x = np.where(np.isinf(dy) & np.isfinite(x), 0, x)
        return exact("gradient", x, dy)
    if type in UFUNCS:
        return exact(UFUNCS[type], x) if dy is None else exact(UFUNCS[type], x, dy)
    if type == "SoftsignNthDerivative":
        return exact("nth_derivative", attributes["n"], x)
    if type == "SoftsignLogJacobianGradient":
        assert dy is not None
        dy = np.where(np.isinf(x), dy / 2, dy)  # 2 dy would be infinite for the largest dy
        return accuracy._quotient(-np.sign(x) * dy, x, 1, 1, 2)
    if attributes["n"] == 0:
        return exact("gradient_from_output", x, 1)
    if attributes["n"] == 1:
        head, tail = accuracy._two_sum(np.abs(x), np.full_like(x, -1))
        finite = np.isfinite(x)
        return accuracy._normalized(
            np.sign(x) * np.where(finite, head, np.abs(x)), np.sign(x) * np.where(finite, tail, 0), 1
        )
    return np.full_like(x, 2 if attributes["n"] == 2 else 0)


@by_engine
@pytest.mark.parametrize("function", ELEMENTWISE)
@by_dtype
def test_errors_are_within_the_bound(engine: str, function: str, dtype: np.dtype[Any]) -> None:
    arguments, exactly = arguments_and_truth(function, dtype)
    found = call(engine, function, *arguments)
    errors = np.abs(ulp_error(found, exactly))
    worst = int(errors.argmax())
    limit = bound(named(function, dtype))
    assert errors[worst] <= limit, (*(float(a[worst]) for a in arguments), float(found[worst]))


@by_engine
@by_dtype
def test_softsign_is_odd_and_monotone(engine: str, dtype: np.dtype[Any]) -> None:
    bits = np.dtype(f"i{dtype.itemsize}")
    if dtype in HALF:
        x = np.arange(int(np.array(np.inf, dtype).view(bits)) + 1, dtype=bits).view(dtype)
    else:
        rng = np.random.default_rng(6)
        random = np.abs(sample("softsign", dtype, 20_000, rng)[0])
        centers = np.concatenate([np.ldexp(1.0, np.arange(-60, 61)), [3, 5, 15, 17, 31], random[:100]])
        near = centers.astype(dtype).view(bits)[:, None] + np.arange(-500, 500, dtype=bits)
        infinite = np.array(np.inf, dtype).view(bits)
        every = np.unique(np.concatenate([near.ravel(), random.view(bits), [0, infinite]]).astype(bits))
        x = every[(every >= 0) & (every <= infinite)].view(dtype)
    y = call(engine, "Softsign", x)
    assert_same_bits(call(engine, "Softsign", -x), -y)
    falls = np.flatnonzero(y[1:] < y[:-1])
    assert not falls.size, (falls.size, float(x[falls[0]]))
    assert y[-1] == 1


def test_onnx_runtimes_own_softsign_is_not_right_at_infinity() -> None:
    """The reason for the function; when this fails, ONNX Runtime has been corrected."""
    node = helper.make_node("Softsign", ["x"], ["y"])
    infos = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = helper.make_graph([node], "one", infos[:1], infos[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    assert np.isnan(run(model, {"x": np.array([np.inf], np.float32)})["y"][0])


@by_dtype
@pytest.mark.parametrize("opset", opsets())
def test_every_opset_has_the_same_bits_in_one_model(dtype: np.dtype[Any], opset: int) -> None:
    """All functions in one model, checked, with the optimizations that ONNX Runtime applies by itself."""
    x = np.concatenate([special_values(dtype), np.linspace(-20, 20, 41).astype(dtype)])
    nodes = [
        helper.make_node(
            named(function, dtype),
            ["x", "dy"][: 2 if "Gradient" in function else 1],
            [function],
            domain=DOMAIN,
        )
        for function in SHORT
    ]
    value = (dtype, ["n"])
    model = as_model(nodes, {"x": value, "dy": value}, dict.fromkeys(SHORT, value), opset)
    for function, found in run(model, {"x": x, "dy": x[::-1].copy()}).items():
        assert_same_bits(found, alone(function, dtype, x.tobytes()))


@cache
def alone(function: str, dtype: np.dtype[Any], data: bytes) -> Array:
    """What a function gives in a model of its own."""
    x = np.frombuffer(data, dtype)
    return call("onnxruntime", function, *([x, x[::-1].copy()] if "Gradient" in function else [x]))


BROADCAST = [
    ((2, 3), (3,)),
    ((2, 3), (1, 3)),
    ((2, 3), ()),
    ((1, 1, 3), (3,)),
    ((4, 2, 3), (2, 1)),
    ((4, 2, 3), (4, 2, 3)),
    ((3,), (3,)),
    ((), ()),
    ((2, 0), (1, 1)),
    ((2, 0), (0,)),
    ((0, 3), (3,)),
]


# ONNX Runtime 1.32 drops a plain Expand from (1, 3) to (0, 3) between two nodes, where it knows these shapes.
@by_engine
@by_dtype
@pytest.mark.parametrize(
    ("shape", "like", "declared"),
    [*((*pair, declared) for pair in BROADCAST for declared in (True, False)), ((0, 3), (1, 3), False)],
    ids=str,
)
def test_shapes(
    engine: str, dtype: np.dtype[Any], shape: tuple[int, ...], like: tuple[int, ...], declared: bool
) -> None:
    """Broadcasting undone and done, with sizes that the model knows or that turn up when it runs."""
    small, large = (np.arange(np.prod(size), dtype=int).reshape(size).astype(dtype) for size in (like, shape))
    feeds = {"small": small, "large": large}
    calls = {"SumTo": ("large", "small"), "ExpandTo": ("small", "large"), "OnesLike": ("large",)}
    truths = {
        type: np.asarray(find(type).kernel(*(feeds[name] for name in names), None))
        for type, names in calls.items()
    }
    nodes = [
        helper.make_node(named(type, dtype), names, [type], domain=DOMAIN) for type, names in calls.items()
    ]
    inputs, outputs = (
        {
            name: (dtype, value.shape if declared else [f"{name}{i}" for i in range(value.ndim)])
            for name, value in values.items()
        }
        for values in (feeds, truths)
    )
    results = computed(engine, as_model(nodes, inputs, outputs, 18), feeds)
    for type, truth in truths.items():
        found = results[type]
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.astype(np.float64), truth.astype(np.float64), strict=True)


@by_engine
@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_sums_of_16_bits_are_rounded_once(engine: str, dtype: np.dtype[Any]) -> None:
    """Ones added up in the type itself stop at 2048 or 256."""
    node = helper.make_node("SumTo_half", ["x", "like"], ["result"], domain=DOMAIN)
    values = {"x": (dtype, ["n"]), "like": (dtype, [])}
    feeds = {"x": np.ones(4096, dtype), "like": np.zeros((), dtype)}
    assert computed(engine, as_model([node], values, {"result": (dtype, [])}, 18), feeds)["result"] == 4096


def test_the_functions_are_the_operators_that_onnx_does_not_have() -> None:
    missing = {name for name in operators() if schema(name).inherit_onnx_schema is None}
    assert {name for name in operators() if is_function(name)} == missing | {"Softsign"}
    assert {operator_of(function)[0] for function in (*ELEMENTWISE, *SHAPES)} == missing | {"Softsign"}


@by_dtype
@pytest.mark.parametrize("function", [*ELEMENTWISE, *SHAPES])
def test_names_lead_back(function: str, dtype: np.dtype[Any]) -> None:
    type, attributes = operator_of(named(function, dtype))
    assert function_name(type, attributes, dtype) == named(function, dtype)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Softsin",
        "Softsign_3",
        "Softsign_half_half",
        "SoftsignNthDerivative",
        "SoftsignNthDerivative_171",
        "SoftsignNthDerivative_03",
        "SoftsignNthDerivative_-1",
    ],
)
def test_names_of_none_are_refused(name: str) -> None:
    for function in (operator_of, bound, lambda name: make_functions([name], 18)):
        with pytest.raises(ValueError, match=f"^softsign has no function '{name}'$"):
            function(name)


@pytest.mark.parametrize(
    ("type", "attributes"),
    [
        ("Softsign", {"n": 3}),
        ("Softsign", {"m": 3}),
        ("Softsign_half", {}),
        ("SoftsignNthDerivative", {"n": 171}),
    ],
)
def test_operators_without_function_are_refused(type: str, attributes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"^softsign has no function"):
        function_name(type, attributes, np.dtype(np.float32))


def test_functions_come_once_and_after_those_they_call() -> None:
    names = ["SoftsignNthDerivative_2_half", "SoftsignSecondDerivative", "SoftsignNthDerivative_2_half"]
    made = make_functions(names, 21)
    assert [function.name for function in made] == [
        "SoftsignSecondDerivative",
        "SoftsignNthDerivative_2",
        "SoftsignNthDerivative_2_half",
    ]
    imports = [{i.domain: i.version for i in function.opset_import} for function in made]
    assert imports == [{"": 21}, {"": 21, DOMAIN: VERSION}, {"": 21, DOMAIN: VERSION}]


def test_old_opsets_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^opset is 17, but the functions need 18 or newer$"):
        make_functions(["Softsign"], 17)


@by_dtype
@pytest.mark.parametrize("function", UFUNCS)
def test_bounds_are_those_of_the_table(function: str, dtype: np.dtype[Any]) -> None:
    assert bound(named(function, dtype)) == functions.bound(UFUNCS[function], dtype.name, "onnx")


@by_dtype
def test_the_table_has_the_largest_bound_of_the_orders(dtype: np.dtype[Any]) -> None:
    bounds = [bound(named(f"SoftsignNthDerivative_{n}", dtype)) for n in functions.ORDERS]
    assert max(bounds) == functions.bound("nth_derivative", dtype.name, "onnx")


def test_every_function_of_the_table_is_one_here() -> None:
    of_table = {name for name, facts in functions.FUNCTIONS.items() if "onnx" in facts.bounds}
    assert of_table == {*UFUNCS.values(), "nth_derivative"}


def test_a_sum_has_no_bound() -> None:
    with pytest.raises(ValueError, match=r"^SumTo has no bound"):
        bound("SumTo")
