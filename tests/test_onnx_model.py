"""ONNX models read, checked, raised to opset 18, made from nets and turned into them; and the schemas behind."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

from softsign.onnx import (
    ModelError,
    check_model,
    count_softsign,
    fix_softsign,
    from_model,
    gradients,
    load_model,
    normalize_model,
    run,
    to_model,
)
from softsign.onnx.dialect import add_functions
from softsign.onnx.schema import disagreements, inherited_schema, since_versions
from softsign.operator import (
    Net,
    OperatorSchema,
    SchemaError,
    TensorType,
    Workspace,
    operators,
    register_cpu_operator,
    schema,
    unregister_operator,
)
from tests.helpers import FLOATS, Array, assert_same_bits, exact, run_python, ulps

INHERITED = [name for name in operators() if schema(name).inherit_onnx_schema is not None]
# What schemas here and in ONNX disagree on stops the whole suite, before a test runs.
DISAGREEMENTS = [sentence for name in INHERITED for sentence in disagreements(name)]
if DISAGREEMENTS:
    raise ImportError("; ".join(DISAGREEMENTS))

by_engine = pytest.mark.parametrize("engine", ["onnxruntime", "softsign"])


def model_of(
    body: str,
    *,
    opset: int | str = 18,
    inputs: str = "float[n] x",
    outputs: str = "float[n] y",
    more: str = "",
    ir: int = 8,
) -> ModelProto:
    """Return a model from ONNX's text form, as it stands."""
    imports = f'"" : {opset}' if isinstance(opset, int) else opset
    return parser.parse_model(
        f"<ir_version: {ir}, opset_import: [{imports}]> test ({inputs}) => ({outputs}) {{ {body} }} {more}"
    )


def workspace_of(net: Net, feeds: Mapping[str, Array]) -> Workspace:
    workspace = Workspace()
    for name, value in feeds.items():
        workspace.feed(name, value)
    workspace.run(net)
    return workspace


# Schemas


def test_softsign_and_its_arithmetic_inherit() -> None:
    assert {"Softsign", "Add", "Sub", "Mul", "Div", "Neg", "Sum", "MatMul", "Gemm"} <= set(INHERITED)
    assert not any(name.startswith("Softsign") and name != "Softsign" for name in INHERITED)


@pytest.mark.parametrize(
    ("opset", "dtypes"),
    [
        (1, ("float16", "float32", "float64")),
        (21, ("float16", "float32", "float64")),
        (22, ("bfloat16", "float16", "float32", "float64")),
        (None, ("bfloat16", "float16", "float32", "float64")),
    ],
)
def test_softsign_inherits(opset: int | None, dtypes: tuple[str, ...]) -> None:
    made = inherited_schema("Softsign", opset)
    official = onnx.defs.get_schema("Softsign", *(() if opset is None else (opset,)))
    assert made.dtypes == dtypes
    assert (made.num_inputs, made.num_outputs) == (1, 1)
    assert [name for name, _ in made.inputs] == ["input"]
    assert [name for name, _ in made.outputs] == ["output"]
    assert made.inputs[0][1] == official.inputs[0].description.strip()
    assert made.doc == official.doc.strip()
    assert made.allow_inplace == {(0, 0)}  # ONNX does not speak of it
    assert made.infer is not None
    for dtype in dtypes:
        for shape in ((), (2, 0), ("batch", 3), None):
            known = TensorType(np.dtype(dtype), shape)
            assert made.infer(known) == [known]


def test_opsets_that_changed_softsign() -> None:
    assert since_versions("Softsign") == [1, 22]
    assert since_versions("Add") == [1, 6, 7, 13, 14]
    with pytest.raises(KeyError, match="ONNX has no operator 'Softsing'"):
        since_versions("Softsing")


@pytest.mark.parametrize(
    ("name", "opset", "error", "words"),
    [
        ("Softsing", None, SchemaError, "operator 'Softsing' is not registered; did you mean 'Softsign'?"),
        ("SoftsignGradient", None, ValueError, "'SoftsignGradient' inherits no schema from ONNX"),
        ("Softsign", 0, ValueError, "ONNX has no operator 'Softsign' at opset 0"),
    ],
)
def test_schemas_that_do_not_exist(name: str, opset: int | None, error: type, words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        inherited_schema(name, opset)


def like_softsign(**changes: Any) -> OperatorSchema:
    facts: dict[str, Any] = {
        "num_inputs": 1,
        "identical_type_and_shape": True,
        "inherit_onnx_schema": "Softsign",
        "inputs": [("input", "")],
        "dtypes": ("float16", "bfloat16", "float32", "float64"),
    }
    return OperatorSchema(**facts | changes)


@pytest.fixture
def register() -> Iterator[Callable[[str, OperatorSchema], None]]:
    names = []

    def registered(name: str, made: OperatorSchema) -> None:
        register_cpu_operator(name, np.positive, made)
        names.append(name)

    yield registered
    for name in names:
        unregister_operator(name)


Register = Callable[[str, OperatorSchema], None]


def test_an_operator_that_agrees(register: Register) -> None:
    register("Mine", like_softsign())
    assert disagreements("Mine") == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_inputs": 2}, "number of inputs: 2 here, 1 in ONNX"),
        ({"num_outputs": (1, 2)}, "number of outputs: (1, 2) here, 1 in ONNX"),
        ({"inputs": [("X", "")]}, "names of the inputs: ['X'] here, ['input'] in ONNX"),
        ({"dtypes": ("float16", "float32", "float64")}, "dtypes: ['float16', 'float32', 'float64'] here"),
        ({"dtypes": ("bfloat16", "float16", "float32", "float64", "int8")}, "'int8'] here"),
        (
            {"inherit_onnx_schema": "ReduceSum"},
            "shape=(3,)) becomes [TensorType(dtype=dtype('float32'), shape=(1,))]",
        ),
    ],
)
def test_disagreement_is_found(register: Register, changes: dict[str, Any], words: str) -> None:
    register("Mine", like_softsign(**changes))
    found = disagreements("Mine")
    assert all(sentence.startswith("Mine at opset ") for sentence in found)
    assert any(words in sentence for sentence in found), found


def test_a_disagreement_stops_the_suite() -> None:
    code = f"""
import sys
import numpy as np
from softsign.operator import OperatorSchema, register_cpu_operator
register_cpu_operator("Mine", np.positive, OperatorSchema(num_inputs=2, inherit_onnx_schema="Softsign"))
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import tests.test_onnx_model
"""
    done = run_python(code)
    assert done.returncode == 1
    assert "ImportError: Mine at opset 1: number of inputs: 2 here, 1 in ONNX" in done.stderr


# Nets to models and back

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
    """Draw a net of the input X and the constants C and W: branches, in-place operators, blobs written over."""
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
    before, after = workspace_of(net, {"X": X}), workspace_of(back, {"X": X})
    assert len(back.outputs) == len(net.outputs)
    for old, new in zip(net.outputs, back.outputs, strict=True):
        assert_same_bits(after.fetch(new), before.fetch(old))
        assert old == new or (old in ("X", "C") and new.startswith(f"{old}_"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(data=st.data())
def test_onnx_runtime_gives_what_the_net_gives(dtype: str, data: st.DataObject) -> None:
    net = data.draw(nets(dtype))
    feeds = {name: X.astype(dtype) for name in net.inputs}
    before = workspace_of(net, feeds)
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
        before = workspace_of(net, {"X": X})
        after = workspace_of(from_model(model), {"X": X})
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
    assert_same_bits(workspace_of(back, feeds).fetch("Y"), workspace_of(net, feeds).fetch("Y"))
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
        workspace_of(net, feeds),
        workspace_of(from_model(model), feeds),
        run(model, feeds),
    )
    np.testing.assert_allclose(before.fetch("R0"), 0.5 * (x @ x.T).sum(), rtol=1e-6)
    for name in net.outputs:
        assert_same_bits(after.fetch(name), before.fetch(name))
        assert results[name].dtype == before.fetch(name).dtype
        np.testing.assert_allclose(results[name], before.fetch(name), rtol=1e-6)


def test_constant_nodes_become_constants() -> None:
    body = """number = Constant <value = float {2.0}> () list = Constant <value_floats = [1.0, 2.0]> ()
        whole = Constant <value_ints = [0]> () p = Mul (x, number) q = Add (p, list) y = ReduceSum (q, whole)"""
    net = from_model(model_of(body, inputs="float[2] x", outputs="float[1] y"))
    assert [op.type for op in net.operators] == ["Mul", "Add", "ReduceSum"]
    assert {name: (value.dtype.name, value.tolist()) for name, value in net.constants.items()} == {
        "number": ("float32", 2.0),
        "list": ("float32", [1.0, 2.0]),
        "whole": ("int64", [0]),
    }
    x = np.array([1, -3], np.float32)
    assert workspace_of(net, {"x": x}).fetch("y") == [-1]


def test_an_initializer_that_may_be_fed() -> None:
    model = model_of("y = Add (x, w)", inputs="float[n] x, float[1] w")
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), "w"))
    net = from_model(model)
    assert net.inputs == ["x"]
    assert set(net.types) == {"x"}
    x = np.zeros(2, np.float32)
    assert workspace_of(net, {"x": x}).fetch("y").tolist() == [1, 1]
    assert workspace_of(net, {"x": x, "w": np.array([5], np.float32)}).fetch("y").tolist() == [5, 5]


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
        (ONE, {"types": {"X": TensorType(F32, None)}}, ModelError, "'X' of net 'mine' needs a dtype and a shape"),
        (ONE, {"types": {"X": (F32, (-2,))}}, ModelError, "'X'"),
        (ONE, {"types": {"X": X}, "outputs": ["Q"]}, ModelError, "outputs: the net 'mine' does not write a blob 'Q'"),
        (ONE, {"types": {"X": X}, "outputs": ["X"]}, ModelError, "outputs: the net 'mine' does not write a blob 'X'"),
        (ONE, {"types": {"X": X}, "outputs": []}, ModelError, "the net 'mine' has no output"),
        (Net("mine"), {}, ModelError, "the net 'mine' has no output"),
        (ONE, {"types": {"X": ("int64", (2,))}}, SchemaError, "Softsign(X) -> (Y): blob 'X' holds int64"),
        (TWO, {"types": {"X": X, "dY": X.T}}, SchemaError, "'X' (float64, shape (2, 3)) and 'dY' (float64, shape (3, 2))"),
        (TWO, {"types": {"X": X, "dY": X.astype(F32)}}, SchemaError, "must have the same dtype and shape"),
    ],
)  # fmt: skip
def test_to_model_refuses(net: Net, options: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        to_model(net, **options)


def test_an_operator_without_counterpart(register: Register) -> None:
    register("Mine", OperatorSchema(num_inputs=1, identical_type_and_shape=True))
    net = Net("mine")
    net.add("Mine", "X", "Y", name="special")
    with pytest.raises(
        ModelError, match=re.escape("Mine 'special'(X) -> (Y) has no counterpart in ONNX: its schema names")
    ):
        to_model(net, {"X": X})


IF = """y = If (c) <then_branch = t () => (float[n] a) { a = Neg (x) }, else_branch = e () => (float[n] b) { b = Abs (x) }>"""


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


# Files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a model is to be: in a folder of its own."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "model.onnx"


def refusal(path: Path, content: bytes | ModelProto) -> str:
    """Return the one sentence with which `load_model` refuses a file."""
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    with pytest.raises(ModelError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.replace(str(path), "PATH")


def layer() -> ModelProto:
    """Return a small model with an initializer and a function."""
    net = Net("layer", {"W": np.ones((3, 2), np.float32)})
    net.add("MatMul", ["X", "W"], "Z", name="product")
    net.add("SoftsignDerivative", "Z", "Y", name="slope")
    return to_model(net, {"X": ("float32", ("batch", 3))})


def test_a_model_is_loaded_as_it_was_written(path: Path) -> None:
    path.write_bytes(layer().SerializeToString())
    assert load_model(path) == load_model(str(path)) == layer()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello, world\n",
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        bytes(64),
        ModelProto(ir_version=8).SerializeToString(),
    ],
    ids=["empty", "text", "picture", "zeros", "no graph"],
)
def test_not_onnx(path: Path, content: bytes) -> None:
    assert refusal(path, content).startswith("PATH is not an ONNX model")


def test_a_model_that_ends_too_early(path: Path) -> None:
    whole = layer().SerializeToString()
    for length in range(len(whole)):
        refusal(path, whole[:length])


@settings(max_examples=300)
@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_damaged_model_is_loaded_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    """Nothing but ModelError is raised, whichever bytes are wrong."""
    content = bytearray(layer().SerializeToString())
    for place, value in changes:
        content[place % len(content)] = value
    path = tmp_path_factory.mktemp("damaged") / "model.onnx"
    path.write_bytes(content)
    for foreign in (False, True):
        with contextlib.suppress(ModelError):
            load_model(path, foreign=foreign)


def test_a_name_that_is_not_text(path: Path) -> None:
    content = model_of("[act] y = Softsign (x)").SerializeToString().replace(b"Softsign", b"Softs\xffgn")
    assert "PATH" in refusal(path, content)


@pytest.mark.parametrize("foreign", [False, True])
def test_files_that_cannot_be_read(path: Path, foreign: bool) -> None:
    with pytest.raises(FileNotFoundError):
        load_model(path, foreign=foreign)
    with pytest.raises(IsADirectoryError):
        load_model(path.parent, foreign=foreign)


FUNCTION = '<domain: "mine", opset_import: ["" : 18]> D (a) => (c) {{ b = Neg (a) [inner] c = {} }}'
MINE = '"" : 18, "mine" : 1'


def in_branch(node: str) -> ModelProto:
    return model_of(f"[choice] {IF.replace('a = Neg (x)', node)}", inputs="bool c, float[n] x")


REFUSED: dict[str, tuple[ModelProto, str]] = {
    "opset of the future": (
        model_of("y = Softsign (x)", opset=99),
        f"PATH needs opset 99; the installed onnx {onnx.__version__} knows 1 to {onnx.defs.onnx_opset_version()}",
    ),
    "IR of the future": (model_of("y = Softsign (x)", ir=99), "ir_version 99 is higher"),
    "no opset": (model_of("[act] y = Softsign (x)", opset='"other" : 1'), "node 'act' (Softsign) is of a domain"),
    "domain not imported": (
        model_of("[act] y = other.Bar (x)"),
        "node 'act' (other::Bar) is of a domain that the model does not import",
    ),
    "domain unknown": (
        model_of("[act] y = other.Bar (x)", opset='"" : 18, "other" : 1'),
        "node 'act' (other::Bar) is of an operator that neither ONNX nor the model defines at version 1 of the domain",
    ),
    "operator unknown": (model_of("[act] y = Softsing (x)"), "node 'act' (Softsing) is of an operator that neither"),
    "operator too new": (model_of("[act] y = Gelu (x)"), "node 'act' (Gelu) is of an operator that neither ONNX nor"),
    "operator unknown in a branch": (in_branch("[inner] a = Nog (x)"), "node 'inner' (Nog) is of an operator that"),
    "operator unknown in a function": (
        model_of("y = mine.D (x)", opset=MINE, more=FUNCTION.format("Nog (b)")),
        "node 'inner' (Nog)",
    ),
    "cycle": (
        model_of("[first] z = Add (x, w) [second] w = Neg (z) y = Neg (w)"),
        "PATH has a cycle: node 'first' (Add), node 'second' (Neg)",
    ),
    "own output": (model_of("[act] y = Add (x, y)"), "PATH has a cycle: node 'act' (Add)"),
    "dangling": (model_of("[act] y = Add (x, z)"), "PATH: node 'act' (Add) reads 'z', which nothing writes"),
    "dangling in a branch": (in_branch("[inner] a = Neg (q)"), "input 'q' of node: name: inner"),
    "dangling in a function": (
        model_of("y = mine.D (x)", opset=MINE, more=FUNCTION.format("Neg (q)")),
        "input 'q' of node: Name: inner",
    ),
    "wrong order": (model_of("[late] y = Neg (z) [early] z = Neg (x)"), "input 'z' of node: name: late"),
    "written twice": (model_of("[first] y = Neg (x) [second] y = Abs (x)"), "node 'second' (Abs)"),
    "input written": (model_of("[act] x = Neg (x) y = Neg (x)"), "node 'act' (Neg)"),
    "output not written": (model_of("z = Neg (x)"), "PATH: nothing writes the output 'y'"),
    "too few inputs": (model_of("[act] y = Add (x)"), "Node(act) with schema(::Add:14) has input size 1 not in range"),
    "too many inputs": (model_of("[act] y = Softsign (x, x)"), "Node(act) with schema(::Softsign:1) has input size 2"),
    "too many outputs": (model_of("[act] y, z = Softsign (x)"), "Node(act) with schema(::Softsign:1) has output size 2"),
    "unknown attribute": (model_of("[act] y = Softsign <k = 1> (x)"), "Unrecognized attribute: k for operator Softsign"),
    "wrong dtype": (
        model_of("[act] y = Softsign (x)", inputs="int64[n] x", outputs="int64[n] y"),
        "node name: act): input typestr: T, has unsupported type: tensor(int64)",
    ),
    "shapes that do not fit": (
        model_of("[act] y = Add (x, z)", inputs="float[2] x, float[3] z", outputs="float[2] y"),
        "node name: act): [ShapeInferenceError] Incompatible dimensions",
    ),
    "declared shape": (
        model_of("[act] y = Neg (x)", inputs="float[2] x", outputs="float[3] y"),
        "node name: act): [ShapeInferenceError] Inferred shape and existing shape differ",
    ),
    "function that calls itself": (
        model_of(
            "y = mine.D (x)",
            opset=MINE,
            more='<domain: "mine", opset_import: ["" : 18, "mine" : 1]> D (a) => (c) { c = mine.D (a) }',
        ),
        "mine::D",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("model", "words"), REFUSED.values(), ids=REFUSED)
def test_wrong_models(path: Path, model: ModelProto, words: str) -> None:
    assert words in refusal(path, model)


def test_a_dtype_that_does_not_exist(path: Path) -> None:
    model = model_of("y = Softsign (x)")
    model.graph.output[0].type.tensor_type.elem_type = 76
    assert "(76)" in refusal(path, model)


def test_nodes_without_name_are_called_by_what_they_write(path: Path) -> None:
    assert "node 'y, z' (Softsing) is of" in refusal(path, model_of("y, z = Softsing (x)"))


def test_foreign_operators_where_the_engine_has_its_own(path: Path) -> None:
    path.write_bytes(model_of("y = other.Bar (x)", opset='"" : 18, "other" : 1').SerializeToString())
    assert load_model(path, foreign=True).graph.node[0].op_type == "Bar"
    path.write_bytes(model_of("[act] y = Softsing (x)").SerializeToString())
    with pytest.raises(ModelError, match=r"node .act. .Softsing. is of an operator"):
        load_model(path, foreign=True)


def test_functions_of_softsign_are_never_foreign(path: Path) -> None:
    """They come with the model: one that lacks them has been cut off."""
    model = layer()
    del model.functions[:]
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=re.escape("node 'slope' (softsign::SoftsignDerivative)")):
        load_model(path, foreign=True)


@by_engine
def test_both_names_of_onnxs_own_domain(path: Path, engine: str) -> None:
    """An import of "ai.onnx" is one of ""."""
    path.write_bytes(
        model_of(
            "y = Softsign (x) l = ReduceSum <keepdims = 0> (y)", opset='"ai.onnx" : 18'
        ).SerializeToString()
    )
    model = load_model(path)
    x = np.array([-1, 3], np.float32)
    assert run(model, {"x": x}, engine=engine)["y"].tolist() == [-0.5, 0.75]
    assert run(gradients(model, "l", "x"), {"x": x}, engine=engine)["x_grad"].tolist() == [0.25, 0.0625]


# External data


def external(place: str, **facts: object) -> ModelProto:
    """Return a model whose tensor w is in a file of its own: an initializer, or in a node, a branch or a function."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, value in facts.items():
        tensor.external_data.add(key=key, value=str(value))
    ends = {"outputs": "float[3] y"}
    if place == "initializer":
        model = model_of("y = Add (x, w)", inputs="float[3] x", **ends)  # type: ignore[arg-type]
        model.graph.initializer.append(tensor)
        return model
    constant = helper.make_node("Constant", [], ["w"], "weight", value=tensor)
    if place == "node":
        model = model_of("y = Add (x, w)", inputs="float[3] x", **ends)  # type: ignore[arg-type]
        model.graph.node.insert(0, constant)
    elif place == "branch":
        model = model_of(IF.replace("a = Neg (x)", "a = Add (x, w)"), inputs="bool c, float[3] x", **ends)  # type: ignore[arg-type]
        branch = next(a.g for a in model.graph.node[0].attribute if a.name == "then_branch")
        branch.initializer.append(tensor)
    else:
        body = '<domain: "mine", opset_import: ["" : 18]> D (a) => (b) { b = Add (a, w) }'
        model = model_of("y = mine.D (x)", opset=MINE, inputs="float[3] x", **ends, more=body)  # type: ignore[arg-type]
        model.functions[0].node.insert(0, constant)
    return model


PLACES = ("initializer", "node", "branch", "function")
by_place = pytest.mark.parametrize("place", PLACES)
WEIGHTS = np.array([0.5, 1.5, 2.5], np.float32)


@pytest.fixture
def beside(path: Path) -> Path:
    """Return the place of a model with files beside it that have weights or do not, and one outside."""
    folder = path.parent
    (folder / "w.bin").write_bytes(bytes(4) + WEIGHTS.tobytes())
    (folder / "sub").mkdir()
    (folder / "sub" / "w.bin").write_bytes(WEIGHTS.tobytes())
    (folder.parent / "outside.bin").write_bytes(WEIGHTS.tobytes())
    (folder / "link.bin").symlink_to(folder.parent / "outside.bin")
    (folder / "inner.bin").symlink_to(folder / "sub" / "w.bin")
    (folder / "up").symlink_to(folder.parent)
    return path


@by_place
@pytest.mark.parametrize(
    "facts",
    [
        {"location": "w.bin", "offset": 4, "length": 12},
        {"location": "w.bin", "offset": 4},
        {"location": "sub/w.bin"},
    ],
    ids=str,
)
def test_external_data(beside: Path, place: str, facts: dict[str, object]) -> None:
    beside.write_bytes(external(place, **facts).SerializeToString())
    model = load_model(beside)
    x = np.array([1, 2, 3], np.float32)
    feeds: dict[str, Array] = {"c": np.array(True), "x": x} if place == "branch" else {"x": x}
    for engine in ("onnxruntime", "softsign"):
        np.testing.assert_array_equal(run(model, feeds, engine=engine)["y"], x + WEIGHTS)


@by_place
@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"location": "none.bin"}, "'none.bin', which does not exist"),
        ({"location": "sub"}, "'sub', which does not exist"),
        ({"location": "../outside.bin"}, "'../outside.bin', which is not in the model's folder"),
        ({"location": "sub/../../outside.bin"}, "which is not in the model's folder"),
        ({"location": "/etc/passwd"}, "'/etc/passwd', which is not in the model's folder"),
        ({"location": "link.bin"}, "'link.bin', which is not in the model's folder"),
        ({"location": "up/outside.bin"}, "'up/outside.bin', which is not in the model's folder"),
        ({"location": ""}, "'', which is not in the model's folder"),
        ({"offset": 4}, "'', which is not in the model's folder"),
        ({"location": "inner.bin"}, "symbolic link"),
        ({"location": "w.bin", "offset": 8, "length": 12}, "truncated: 20 bytes are needed and it holds 16"),
        ({"location": "w.bin", "offset": 400}, "truncated: 400 bytes are needed and it holds 16"),
        ({"location": "w.bin", "offset": 8}, "size (8 bytes) is too small"),
        ({"location": "w.bin", "offset": 4, "length": 8}, "size (8 bytes) is too small"),
        ({"location": "w.bin", "offset": "four"}, "'w.bin' at an offset that is not a number"),
        ({"location": "w.bin", "offset": -4, "length": 12}, "negative"),
        ({"location": "w.bin", "offset": 4, "length": -1}, "negative"),
        ({"location": "w.bin\0"}, "'w.bin"),
    ],
    ids=str,
)  # fmt: skip
def test_external_data_that_are_refused(
    beside: Path, place: str, facts: dict[str, object], words: str
) -> None:
    message = refusal(beside, external(place, **facts))
    assert words in message
    assert "tensor" in message


def test_external_data_of_sparse_initializers(beside: Path) -> None:
    values = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    values.external_data.add(key="location", value="../outside.bin")
    model = model_of("y = Add (x, w)", inputs="float[3] x", outputs="float[3] y")
    indices = numpy_helper.from_array(np.arange(3), "")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3]))
    assert "'w' are in '../outside.bin', which is not in the model's folder" in refusal(beside, model)


# One dialect

THREE = "float[2,3,4] x"
# Body, the shape of y, and the last opset that has the form.
OLDER: dict[str, tuple[str, str, int]] = {
    "ReduceSum": ("y = ReduceSum <axes = [1], keepdims = 0> (x)", "a,b", 12),
    "ReduceSum of all": ("y = ReduceSum <keepdims = 0> (x)", "", 17),
    "ReduceMean": ("y = ReduceMean <axes = [0, 2], keepdims = 1> (x)", "a,b,c", 17),
    "ReduceMean of all": ("y = ReduceMean <keepdims = 0> (x)", "", 17),
    "Squeeze": ("s = ReduceMean <axes = [1], keepdims = 1> (x) y = Squeeze <axes = [1]> (s)", "a,b", 12),
    "Unsqueeze": ("y = Unsqueeze <axes = [0, 4]> (x)", "a,b,c,d,e", 12),
    "Softmax of the rest": ("y = Softmax <axis = 1> (x)", "a,b,c", 12),
    "network": (
        (
            "f = Flatten (x) t = Transpose (f) p = MatMul (f, t) g = Gemm <alpha = 0.5, transB = 1> (p, p, p) s = Softsign (g) "
            "u = Tanh (s) v = Sigmoid (u) w = Relu (v) a = Add (w, p) b = Mul (a, p) c = Sub (b, s) d = Neg (c) y = Div (d, g)"
        ),
        "a,b",
        17,
    ),
}


@pytest.mark.parametrize("opset", range(7, 18))
@pytest.mark.parametrize("form", OLDER)
def test_older_opsets_are_raised_and_values_stay(form: str, opset: int) -> None:
    body, dims, last = OLDER[form]
    model = model_of(
        body, opset=min(opset, last), inputs=THREE, outputs=f"float{f'[{dims}]' if dims else ''} y", ir=4
    )
    before = model.SerializeToString()
    made = normalize_model(model)
    assert model.SerializeToString() == before
    check_model(made)
    assert [(imported.domain, imported.version) for imported in made.opset_import] == [("", 18)]
    assert made.ir_version == 8
    assert list(made.graph.input) == list(model.graph.input)
    assert [value.name for value in made.graph.output] == ["y"]
    feeds = {"x": np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)}
    wanted = run(model, feeds)["y"]
    np.testing.assert_allclose(run(made, feeds)["y"], wanted, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(
        workspace_of(from_model(model), feeds).fetch("y"), wanted, rtol=1e-5, atol=1e-6
    )


def test_newer_opsets_stay() -> None:
    model = model_of("y = Softsign (x)", opset=22, ir=10)
    assert normalize_model(model) == model


def with_functions(body: str, function: str) -> ModelProto:
    """Return a model with a function of its own, and those of softsign that it calls."""
    more = f'<domain: "mine", opset_import: ["" : 18, "softsign" : 1]> D (a) => (b) {{ {function} }}'
    model = model_of(body, opset='"" : 18, "mine" : 1, "softsign" : 1', more=more)
    add_functions(model, [node for part in (model.graph, *model.functions) for node in part.node])
    return model


@pytest.mark.parametrize(
    ("body", "function"),
    [
        ("y = mine.D (x)", "c = Neg (a) b = Softsign (c)"),
        ("z = softsign.SoftsignDerivative (x) y = mine.D (z)", "b = Neg (a)"),
        ("z = mine.D (x) y = mine.D (z)", "c = softsign.SoftsignDerivative (a) b = Sub (c, a)"),
    ],
)
def test_functions_of_the_model_are_inlined_and_those_of_softsign_kept(body: str, function: str) -> None:
    model = with_functions(body, function)
    made = normalize_model(model)
    check_model(made)
    assert {f.domain for f in made.functions} <= {"softsign"}
    assert {node.domain for node in made.graph.node} <= {"", "softsign"}
    assert sum(node.domain == "softsign" for node in made.graph.node) == (
        body + function * body.count("mine")
    ).count("softsign.")
    feeds = {"x": np.array([-2, 0.5, 3], np.float32)}
    wanted = run(model, feeds)["y"]
    assert_same_bits(run(made, feeds)["y"], wanted)
    np.testing.assert_allclose(workspace_of(from_model(model), feeds).fetch("y"), wanted, rtol=1e-6)


@by_engine
def test_somebody_elses_functions_in_softsigns_domain(path: Path, engine: str) -> None:
    more = '<domain: "softsign", opset_import: ["" : 18]> Mine (a) => (b) { b = Neg (a) }'
    body = "y = softsign.Mine (x) l = ReduceSum <keepdims = 0> (y)"
    path.write_bytes(model_of(body, opset='"" : 18, "softsign" : 1', more=more).SerializeToString())
    model = load_model(path)
    x = np.array([-1, 3], np.float32)
    for made in (model, normalize_model(model), fix_softsign(model)):
        assert run(made, {"x": x}, engine=engine)["y"].tolist() == [1, -3]
        assert count_softsign(made) == 0
    assert run(gradients(model, "l", "x"), {"x": x}, engine=engine)["x_grad"].tolist() == [-1, -1]
    assert workspace_of(from_model(model), {"x": x}).fetch("y").tolist() == [1, -3]


def test_functions_of_an_older_opset() -> None:
    more = '<domain: "mine", opset_import: ["" : 13]> D (a) => (b) { b = ReduceMean <axes = [0], keepdims = 1> (a) }'
    model = model_of("y = mine.D (x)", opset='"" : 13, "mine" : 1', more=more)
    made = normalize_model(model)
    feeds = {"x": np.array([-2, 0.5, 3], np.float32)}
    assert run(made, feeds)["y"] == run(model, feeds)["y"] == [0.5]
    assert len(made.functions) == 0


def test_a_function_that_onnx_cannot_convert() -> None:
    more = '<domain: "mine", opset_import: ["" : 17]> D (a) => (b) { b = Neg (a) }'
    model = model_of("y = mine.D (x)", opset=MINE, more=more)
    with pytest.raises(
        ModelError, match=r"onnx cannot inline the model.s functions: Model has functions with incompatible"
    ):
        normalize_model(model)
