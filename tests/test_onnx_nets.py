"""Nets made ONNX models, and models made nets."""

import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from softsign.onnx import ModelError, from_model, run, to_model
from softsign.operator import (
    Net,
    OperatorSchema,
    SchemaError,
    TensorType,
    operators,
    register_cpu_operator,
    schema,
    unregister_operator,
)
from tests.helpers import FLOATS, assert_same_bits, exact, ulps
from tests.onnx_helpers import IF, model_of, ran

SHAPE = (2, 3)
WEIGHT = np.linspace(-1, 1, 9).reshape(3, 3)
# Continuous functions that at most double an error, so that rounding cannot part the engines.
UNARY = (
    "Softsign",
    "SoftsignDerivative",
    "SoftsignLogJacobian",
    "SoftsignAntiderivative",
    "Neg",
    "Tanh",
    "Sigmoid",
    "Relu",
)
BINARY = ("Add", "Sub", "Sum", "SoftsignGradient")


@st.composite
def nets(draw: st.DrawFn, dtype: str = "float64", *, overwrite: bool = True) -> Net:
    """Draw a net of the input X, the constants C and W: branches, operators in place, blobs overwritten."""
    made = Net("drawn", {"C": np.linspace(-2, 2, 6, dtype=dtype).reshape(SHAPE), "W": WEIGHT.astype(dtype)})
    made.types = {"X": TensorType(np.dtype(dtype), SHAPE)}
    blobs = ["X", "C"]
    for i in range(draw(st.integers(1, 7))):
        op_type = draw(st.sampled_from((*UNARY, *BINARY, "MatMul")))
        inputs = [draw(st.sampled_from(blobs)) for _ in range(2 if op_type in BINARY else 1)]
        targets = [f"B{i}"]
        if overwrite:
            in_place = schema(op_type).allow_inplace
            targets += [
                b for b in blobs if all(b != name or (k, 0) in in_place for k, name in enumerate(inputs))
            ]
        if op_type == "MatMul":
            inputs.append("W")
        target = draw(st.sampled_from(targets))
        made.add(op_type, inputs, target, name=draw(st.sampled_from(["", f"node {i}"])))
        blobs = list(dict.fromkeys([*blobs, target]))
    return made


X = np.linspace(-3, 3, 6).reshape(SHAPE)


def assert_single_assignment(model: ModelProto) -> None:
    written = [name for node in model.graph.node for name in node.output if name]
    given = [value.name for value in model.graph.input] + [tensor.name for tensor in model.graph.initializer]
    assert len(set(written)) == len(written)
    assert not set(written) & set(given)


@settings(max_examples=100)
@given(net=nets())
def test_a_net_there_and_back_gives_the_same_bits(net: Net) -> None:
    model = to_model(net)
    assert_single_assignment(model)
    back = from_model(model)
    before, after = ran(net, {"X": X}), ran(back, {"X": X})
    assert len(back.outputs) == len(net.outputs)
    for old, new in zip(net.outputs, back.outputs, strict=True):
        assert_same_bits(after.fetch(new), before.fetch(old))
        assert old == new or (old in ("X", "C") and new.startswith(f"{old}_"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(data=st.data())
def test_onnx_runtime_gives_what_the_net_gives(dtype: str, data: st.DataObject) -> None:
    net = data.draw(nets(dtype))
    feeds = {name: X.astype(dtype) for name in net.inputs}
    before = ran(net, feeds)
    results = run(to_model(net), feeds)
    tolerance = (
        1e4 * float(np.finfo(dtype).eps) * max(float(np.abs(before.fetch(name)).max()) for name in before)
    )
    for old, new in zip(net.outputs, results.values(), strict=True):
        assert new.dtype == dtype
        np.testing.assert_allclose(new, before.fetch(old), rtol=0, atol=tolerance)


@given(net=nets(overwrite=False))
def test_names_operators_and_constants_are_kept(net: Net) -> None:
    back = from_model(to_model(net))
    assert back.name == net.name
    assert back.operators == net.operators
    assert back.outputs == net.outputs
    assert back.inputs == net.inputs
    assert {name: back.types[name] for name in back.inputs} == {name: net.types[name] for name in net.inputs}
    read = {name for op in net.operators for name in op.inputs}
    assert set(back.constants) == set(net.constants) & read
    for name, value in back.constants.items():
        assert_same_bits(value, net.constants[name])


def test_in_place_becomes_single_assignment() -> None:
    net = Net("in place", {"C": np.ones(2, np.float32), "X_1": np.ones(2, np.float32)})
    for op_type, inputs, output in [
        ("Softsign", "X", "X"),
        ("Softsign", "X", "X"),
        ("Add", ["X", "X_1"], "Y"),
        ("Softsign", "Y", "Y"),
        ("Neg", "X", "C"),
        ("Softsign", "C", "C"),
    ]:
        net.add(op_type, inputs, output)
    model = to_model(net, {"X": np.zeros(2, np.float32)})
    nodes = [(node.op_type, list(node.input), list(node.output)) for node in model.graph.node]
    assert nodes == [
        ("Softsign", ["X"], ["X_1_1"]),
        ("Softsign", ["X_1_1"], ["X_1_2"]),
        ("Add", ["X_1_2", "X_1"], ["Y_1"]),
        ("Softsign", ["Y_1"], ["Y"]),
        ("Neg", ["X_1_2"], ["C_1"]),
        ("Softsign", ["C_1"], ["C_1_1"]),
    ]
    assert [value.name for value in model.graph.output] == ["Y", "C_1_1"]


def test_a_differentiated_net() -> None:
    """Of the second order, with operators of every kind: ones, sums over broadcast axes, functions."""
    net = Net("second order", {"W": WEIGHT, "b": np.ones(3)})
    net.types = {"X": TensorType(np.dtype(np.float64), ("batch", 3))}
    net.add("MatMul", ["X", "W"], "A")
    net.add("Add", ["A", "b"], "Z")
    net.add("Softsign", "Z", "Y")
    first = net.add_gradients(["Y"])
    second = net.add_gradients([first["X"]])
    outputs = ["Y", first["X"], first["b"], second["X"], second["W"]]
    for types in ({"X": X}, {"X": ("float64", ("batch", 3))}, {"X": ("float64", ("batch", "features"))}):
        model = to_model(net, types, outputs=outputs)
        before = ran(net, {"X": X})
        after = ran(from_model(model), {"X": X})
        results = run(model, {"X": X})
        assert list(results) == outputs
        for name in outputs:
            np.testing.assert_allclose(results[name], before.fetch(name), rtol=1e-13, atol=1e-14)
            np.testing.assert_allclose(after.fetch(name), before.fetch(name), rtol=1e-15)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_dtypes(dtype: np.dtype[Any]) -> None:
    """ONNX Runtime has kernels for ONNX's Softsign of few dtypes; softsign's function serves the others."""
    net = Net("one")
    net.add("Softsign", "X", "Y", name="activation")
    x = np.linspace(-9, 9, 300).astype(dtype)
    model = to_model(net, {"X": x})
    (node,) = model.graph.node
    names = {"float16": "Softsign", "float32": "Softsign", "bfloat16": "Softsign_half", "float64": "Softsign"}
    assert (node.op_type, node.domain) == (
        names[str(dtype)],
        "" if dtype in ("float16", "float32") else "softsign",
    )
    assert model.graph.output[0].type == model.graph.input[0].type
    assert from_model(model).operators == net.operators
    y = run(model, {"X": x})["Y"]
    assert y.dtype == dtype
    allowed = 1 if node.domain else 2  # ONNX Runtime's own errs by up to 1.8 ulp in float32
    errors = [ulps(b, exact("softsign", Fraction(float(a)))) for a, b in zip(x, y, strict=True)]
    assert max(errors) <= allowed


FAMILY = [name for name in operators() if name.startswith("Softsign")]


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_the_family(name: str, dtype: np.dtype[Any]) -> None:
    """Each operator keeps its name and attributes, is checked, and runs in a Workspace as before."""
    facts = schema(name)
    net = Net("one")
    inputs = ["X", "dY"][: int(str(facts.num_inputs))]
    attributes = {"n": 2} if facts.attributes else {}
    net.add(name, inputs, "Y", **attributes)  # type: ignore[arg-type]
    feeds = {blob: np.array([-0.75, 0.5, 0.25]).astype(dtype) for blob in inputs}
    model = to_model(net, feeds)
    back = from_model(model)
    assert back.operators == net.operators
    assert_same_bits(ran(back, feeds).fetch("Y"), ran(net, feeds).fetch("Y"))
    assert run(model, feeds)["Y"].dtype == dtype
    if name != "Softsign":
        assert [(node.domain, node.op_type.split("_")[0]) for node in model.graph.node] == [
            ("softsign", name)
        ]


def test_symbolic_shapes_are_kept() -> None:
    net = Net("symbols", {"W": np.ones((3, 4), np.float32)})
    net.add("MatMul", ["X", "W"], "Z")
    net.add("Softsign", "Z", "Y")
    net.add("Transpose", "Y", "T")
    net.outputs = ["Y", "T"]
    model = to_model(net, {"X": ("float32", ("batch", 3))})
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"X": ["batch", 3], "Y": ["batch", 4], "T": [4, "batch"]}
    assert from_model(model).types == {"X": TensorType(np.dtype(np.float32), ("batch", 3))}
    for batch in (0, 1, 5):
        assert run(model, {"X": np.ones((batch, 3), np.float32)})["T"].shape == (4, batch)


def test_optional_inputs_and_outputs_and_attributes_of_every_kind() -> None:
    net = Net("options", {"axes": np.array([1]), "shape": np.array([0, -1])})
    for op_type, inputs, output, attributes in [
        ("Gemm", ["X", "X"], "G", {"transB": 1, "alpha": 0.5}),
        ("ReduceSum", ["G", ""], "R0", {"keepdims": 0}),
        ("ReduceSum", ["G", "axes"], "R1", {}),
        ("Transpose", "X", "T", {"perm": [1, 0]}),
        ("Reshape", ["T", "shape"], "S", {}),
        ("Cast", "S", "D", {"to": int(TensorProto.DOUBLE)}),
        ("SoftmaxCrossEntropyLoss", ["X", "label", ""], "loss", {"reduction": "sum", "ignore_index": 1}),
    ]:
        net.add(op_type, inputs, output, **attributes)  # type: ignore[arg-type]
    x = np.arange(6, dtype=np.float32).reshape(SHAPE) / 8
    feeds = {"X": x, "label": np.array([0, 2])}
    net.outputs = ["R0", "R1", "D", "loss"]
    model = to_model(net, feeds)
    assert from_model(model).operators == net.operators
    before, after, results = (
        ran(net, feeds),
        ran(from_model(model), feeds),
        run(model, feeds),
    )
    np.testing.assert_allclose(before.fetch("R0"), 0.5 * (x @ x.T).sum(), rtol=1e-6)
    for name in net.outputs:
        assert_same_bits(after.fetch(name), before.fetch(name))
        assert results[name].dtype == before.fetch(name).dtype
        np.testing.assert_allclose(results[name], before.fetch(name), rtol=1e-6)


def test_constant_nodes_become_constants() -> None:
    body = """number = Constant <value = float {2.0}> () list = Constant <value_floats = [1.0, 2.0]> ()
        whole = Constant <value_ints = [0]> () p = Mul (x, number) q = Add (p, list)
        y = ReduceSum (q, whole)"""
    net = from_model(model_of(body, inputs="float[2] x", outputs="float[1] y"))
    assert [op.type for op in net.operators] == ["Mul", "Add", "ReduceSum"]
    assert {name: (value.dtype.name, value.tolist()) for name, value in net.constants.items()} == {
        "number": ("float32", 2.0),
        "list": ("float32", [1.0, 2.0]),
        "whole": ("int64", [0]),
    }
    x = np.array([1, -3], np.float32)
    assert ran(net, {"x": x}).fetch("y") == [-1]


def test_an_initializer_that_may_be_fed() -> None:
    model = model_of("y = Add (x, w)", inputs="float[n] x, float[1] w")
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), "w"))
    net = from_model(model)
    assert net.inputs == ["x"]
    assert set(net.types) == {"x"}
    x = np.zeros(2, np.float32)
    assert ran(net, {"x": x}).fetch("y").tolist() == [1, 1]
    assert ran(net, {"x": x, "w": np.array([5], np.float32)}).fetch("y").tolist() == [5, 5]


def test_inputs_defaults_and_outputs_are_kept() -> None:
    """An input that nothing reads, a default that may be replaced, outputs that are there from the start."""
    model = model_of(
        "y = Add (x, w)",
        inputs="float[n] unused, float[1] w, float[n] x, float[2] spare",
        outputs="float[n] y, float[n] x, float[1] w, float[2] c",
    )
    for name, value in (("w", [1.0]), ("spare", [5.0, 6.0]), ("c", [3.0, 4.0])):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    net = from_model(model)
    assert (net.inputs, set(net.types)) == (["x"], {"x", "unused"})
    again = to_model(net)
    assert list(again.graph.input) == list(model.graph.input)
    assert list(again.graph.output) == list(model.graph.output)
    assert {tensor.name for tensor in again.graph.initializer} == {"w", "spare", "c"}
    x = np.array([1, 2, 3], np.float32)
    for replaced in ({}, {"w": np.array([10], np.float32)}):
        feeds = {"x": x, "unused": x, **replaced}
        before, after = (run(m, feeds, engine="softsign") for m in (model, again))
        assert before.keys() == after.keys() == {"y", "x", "w", "c"}
        for name, found in before.items():
            assert_same_bits(after[name], found)
    edited = from_model(model)
    edited.add("Neg", "y", "unused")  # the input keeps its name, and the blob its value
    edited.outputs = ["unused"]
    assert run(to_model(edited), {"unused": x, "x": x})["unused_1"].tolist() == [-2, -3, -4]


def test_the_type_of_an_output_that_nothing_else_tells_is_kept() -> None:
    model = model_of("y = Reshape (x, shape)", inputs="float[n] x, int64[m] shape", outputs="float[a,b] y")
    again = to_model(from_model(model))
    assert list(again.graph.output) == list(model.graph.output)
    x = np.arange(6, dtype=np.float32)
    assert run(again, {"x": x, "shape": np.array([2, 3])})["y"].shape == (2, 3)


def test_outputs_that_are_inputs_or_constants() -> None:
    net = Net("given", {"C": np.array([3.0])})
    net.add("Mul", ["X", "C"], "Y")
    found = run(to_model(net, {"X": X}, outputs=["X", "C", "Y"]), {"X": X}, engine="softsign")
    assert list(found) == ["X", "C", "Y"]
    assert_same_bits(found["X"], X)
    assert found["C"] == 3


def test_types_are_inferred_where_an_optional_input_is_left_out() -> None:
    net = Net("optional", {"label": np.array([0, 2])})
    net.add("ReduceSum", ["X", ""], "R", keepdims=0)
    net.add("Gemm", ["X", "V", ""], "G")
    known = {"X": TensorType(np.dtype(np.float64), (2, 3)), "V": TensorType(np.dtype(np.float64), (3, 4))}
    found = net.infer_types(known)
    assert (found["R"].shape, found["G"].shape) == ((), (2, 4))
    wrong = known | {"V": TensorType(np.dtype(np.float64), (2, 4))}
    with pytest.raises(SchemaError, match="Gemm"):
        net.infer_types(wrong)


def test_from_model_refuses_inputs_that_are_not_tensors() -> None:
    model = model_of("y = Neg (x)")
    model.graph.input.append(helper.make_tensor_sequence_value_info("q", TensorProto.FLOAT, None))
    with pytest.raises(ModelError, match="input 'q' is not a tensor, of which nets consist"):
        from_model(model)


def test_an_input_without_elements() -> None:
    net = Net("one")
    net.add("Softsign", "X", "Y")
    x = np.ones((0, 3), np.float32)
    assert_same_bits(run(to_model(net, {"X": x}), {"X": x})["Y"], x)


def net_of(*operators: tuple[str, str | list[str], str]) -> Net:
    net = Net("mine")
    for op_type, inputs, output in operators:
        net.add(op_type, inputs, output)
    return net


ONE = net_of(("Softsign", "X", "Y"))
TWO = net_of(("SoftsignGradient", ["X", "dY"], "dX"))
F32 = np.dtype(np.float32)


@pytest.mark.parametrize(
    ("net", "options", "error", "words"),
    [
        (ONE, {"types": {"X": X, "Q": X}}, ModelError, "types: the net 'mine' has no input 'Q'; it has X"),
        (ONE, {}, ModelError, "types: the input 'X' of net 'mine' needs a dtype and a shape of known rank"),
        (
            ONE,
            {"types": {"X": TensorType(F32, None)}},
            ModelError,
            "'X' of net 'mine' needs a dtype and a shape",
        ),
        (ONE, {"types": {"X": (F32, (-2,))}}, ModelError, "'X'"),
        (
            ONE,
            {"types": {"X": X}, "outputs": ["Q"]},
            ModelError,
            "outputs: the net 'mine' does not write a blob 'Q'",
        ),
        (ONE, {"types": {"X": X}, "outputs": []}, ModelError, "the net 'mine' has no output"),
        (Net("mine"), {}, ModelError, "the net 'mine' has no output"),
        (ONE, {"types": {"X": ("int64", (2,))}}, SchemaError, "Softsign(X) -> (Y): blob 'X' holds int64"),
        (
            TWO,
            {"types": {"X": X, "dY": X.T}},
            SchemaError,
            "'X' (float64, shape (2, 3)) and 'dY' (float64, shape (3, 2))",
        ),
        (TWO, {"types": {"X": X, "dY": X.astype(F32)}}, SchemaError, "must have the same dtype and shape"),
    ],
)
def test_to_model_refuses(net: Net, options: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        to_model(net, **options)


def test_an_operator_without_counterpart() -> None:
    register_cpu_operator("Mine", np.positive, OperatorSchema(num_inputs=1, identical_type_and_shape=True))
    try:
        net = Net("mine")
        net.add("Mine", "X", "Y", name="special")
        words = "Mine 'special'(X) -> (Y) has no counterpart in ONNX: its schema names"
        with pytest.raises(ModelError, match=re.escape(words)):
            to_model(net, {"X": X})
    finally:
        unregister_operator("Mine")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (model_of("[act] y = Gelu (x)", opset=20), "node 'act' (Gelu): operator 'Gelu' is not registered"),
        (model_of(f"[choice] {IF}", inputs="bool c, float[n] x"), "node 'choice' (If) is control flow"),
        (model_of("y = Neg (z)"), "node 'y' (Neg) reads 'z', which nothing writes"),
    ],
)
def test_from_model_refuses(model: ModelProto, words: str) -> None:
    with pytest.raises(ModelError, match=re.escape(words)):
        from_model(model)


def test_from_model_refuses_sparse_initializers() -> None:
    model = model_of("y = Neg (x)")
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    indices = numpy_helper.from_array(np.array([1]), "")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3]))
    with pytest.raises(ModelError, match="initializer 'w' is sparse; a net takes dense ones"):
        from_model(model)
