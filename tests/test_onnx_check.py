"""ONNX models read from files and checked: what is wrong, with the node or tensor at fault."""

import contextlib
import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import onnx
import pytest
from google.protobuf.message import EncodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from softsign.onnx import ModelError, fix_softsign, gradients, load_model, model_info, run, to_model
from softsign.onnx.check import is_large
from softsign.operator import Net
from tests.helpers import Array
from tests.onnx_helpers import IF, MINE, by_engine, model_of


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


@pytest.mark.filterwarnings("ignore:.*declares another shape")
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


def in_branch(node: str) -> ModelProto:
    return model_of(f"[choice] {IF.replace('a = Neg (x)', node)}", inputs="bool c, float[n] x")


NEWEST_OPSET = onnx.defs.onnx_opset_version()
REFUSED: dict[str, tuple[ModelProto, str]] = {
    "opset of the future": (
        model_of("y = Softsign (x)", opset=99),
        f"PATH needs opset 99; the installed onnx {onnx.__version__} knows 1 to {NEWEST_OPSET}",
    ),
    "IR of the future": (model_of("y = Softsign (x)", ir=99), "ir_version 99 is higher"),
    "no opset": (
        model_of("[act] y = Softsign (x)", opset='"other" : 1'),
        "node 'act' (Softsign) is of a domain",
    ),
    "domain not imported": (
        model_of("[act] y = other.Bar (x)"),
        "node 'act' (other::Bar) is of a domain that the model does not import",
    ),
    "domain unknown": (
        model_of("[act] y = other.Bar (x)", opset='"" : 18, "other" : 1'),
        (
            "node 'act' (other::Bar) is of an operator that neither ONNX nor the model defines "
            "at version 1 of the domain"
        ),
    ),
    "operator unknown": (
        model_of("[act] y = Softsing (x)"),
        "node 'act' (Softsing) is of an operator that neither",
    ),
    "operator too new": (
        model_of("[act] y = Gelu (x)"),
        "node 'act' (Gelu) is of an operator that neither ONNX nor",
    ),
    "operator unknown in a branch": (
        in_branch("[inner] a = Nog (x)"),
        "node 'inner' (Nog) is of an operator that",
    ),
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
    "written twice": (model_of("[first] y = Neg (x) [second] y = Abs (x)"), "node 'second' (Abs)"),
    "input written": (model_of("[act] x = Neg (x) y = Neg (x)"), "node 'act' (Neg)"),
    "output not written": (model_of("z = Neg (x)"), "PATH: nothing writes the output 'y'"),
    "too few inputs": (
        model_of("[act] y = Add (x)"),
        "Node(act) with schema(::Add:14) has input size 1 not in range",
    ),
    "too many inputs": (
        model_of("[act] y = Softsign (x, x)"),
        "Node(act) with schema(::Softsign:1) has input size 2",
    ),
    "too many outputs": (
        model_of("[act] y, z = Softsign (x)"),
        "Node(act) with schema(::Softsign:1) has output size 2",
    ),
    "unknown attribute": (
        model_of("[act] y = Softsign <k = 1> (x)"),
        "Unrecognized attribute: k for operator Softsign",
    ),
    "wrong dtype": (
        model_of("[act] y = Softsign (x)", inputs="int64[n] x", outputs="int64[n] y"),
        "node name: act): input typestr: T, has unsupported type: tensor(int64)",
    ),
    "shapes that do not fit": (
        model_of("[act] y = Add (x, z)", inputs="float[2] x, float[3] z", outputs="float[2] y"),
        "node name: act): [ShapeInferenceError] Incompatible dimensions",
    ),
    "equation": (
        model_of('[act] y = Einsum <equation = "......i->...i"> (x)'),
        "PATH: node 'act' (Einsum) has an equation that is none: '......i->...i'",
    ),
    "function that calls itself": (
        model_of(
            "y = mine.D (x)",
            opset=MINE,
            more='<domain: "mine", opset_import: ["" : 18, "mine" : 1]> D (a) => (c) { c = mine.D (a) }',
        ),
        "mine::D",
    ),
}


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
    """Return a model whose tensor w is in a file of its own: initializer, node, branch or function."""
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
        {"location": "inner.bin"},
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
        ({"location": "w.bin", "offset": 8, "length": 12}, "truncated: 20 bytes are needed and it holds 16"),
        ({"location": "w.bin", "offset": 4, "length": 13}, "truncated: 17 bytes are needed and it holds 16"),
        ({"location": "w.bin", "offset": 400}, "truncated: 400 bytes are needed and it holds 16"),
        ({"location": "w.bin", "offset": 8}, "tensor 'w' of 3 elements has 8 bytes instead of 12"),
        (
            {"location": "w.bin", "offset": 4, "length": 8},
            "tensor 'w' of 3 elements has 8 bytes instead of 12",
        ),
        ({"location": "w.bin", "offset": "four"}, "'w.bin' at an offset that is not a number"),
        ({"location": "w.bin", "offset": -4, "length": 12}, "negative"),
        ({"location": "w.bin", "offset": 4, "length": -1}, "negative"),
        ({"location": "w.bin\0"}, "'w.bin"),
    ],
    ids=str,
)
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


def test_a_cache_of_links(path: Path) -> None:
    """Caches keep files under names of their own in one folder, and links to them in another."""
    blobs = path.parent.parent / "blobs"
    blobs.mkdir()
    (blobs / "1").write_bytes(external("initializer", location="weights").SerializeToString())
    (blobs / "2").write_bytes(WEIGHTS.tobytes())
    path.symlink_to("../blobs/1")
    (path.parent / "weights").symlink_to("../blobs/2")
    model = load_model(path)
    assert numpy_helper.to_array(model.graph.initializer[0]).tolist() == WEIGHTS.tolist()
    assert run(model, {"x": WEIGHTS})["y"].tolist() == (2 * WEIGHTS).tolist()


def test_a_model_that_is_too_large_for_a_message(beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than 2 GiB: onnx checks it without its weights, and ONNX Runtime reads it from files."""
    monkeypatch.setattr("softsign.onnx.check._LARGEST", 50)
    monkeypatch.setattr("softsign.onnx.check._TELLING", 1)
    beside.write_bytes(external("initializer", location="sub/w.bin").SerializeToString())
    model = load_model(beside)
    before = model.SerializeToString()
    assert run(model, {"x": WEIGHTS})["y"].tolist() == (2 * WEIGHTS).tolist()
    assert model.SerializeToString() == before
    for call in (
        lambda: gradients(model, "y", "x"),
        lambda: fix_softsign(model),
        lambda: run(model, {"x": WEIGHTS}, engine="softsign"),
    ):
        with pytest.raises(ModelError, match="the model takes more than 2 GiB, which onnx cannot convert"):
            call()
    assert model_info(model).operators == {"Add": 1}


def test_a_model_that_protobuf_cannot_measure() -> None:
    """It writes a message to measure it, which fails beyond 2 GiB."""
    model: Any = Mock(ByteSize=Mock(side_effect=EncodeError("Failed to serialize proto")))
    assert is_large(model)
    assert not is_large(ModelProto())


# What exporters get wrong


def loaded(path: Path, model: ModelProto, **options: bool) -> ModelProto:
    path.write_bytes(model.SerializeToString())
    return load_model(path, **options)


def test_nodes_out_of_order(path: Path) -> None:
    branch = IF.replace("a = Neg (x)", "a = Neg (z)")
    model = loaded(path, model_of(f"{branch} [late] z = Neg (w) [early] w = Neg (x)", "bool c, float[n] x"))
    assert [node.op_type for node in model.graph.node] == ["Neg", "Neg", "If"]
    x = np.array([1, -2], np.float32)
    assert run(model, {"c": np.array(True), "x": x})["y"].tolist() == [-1, 2]


def test_sizes_of_minus_one(path: Path) -> None:
    model = loaded(path, model_of("y = Neg (x)", inputs="float[-1,2] x", outputs="float[-1,2] y"))
    x = np.ones((3, 2), np.float32)
    assert run(model, {"x": x})["y"].tolist() == (-x).tolist()


def test_wrong_shapes_of_outputs(path: Path) -> None:
    model = model_of("[act] y = Neg (x)", inputs="float[2] x", outputs="float[3] y")
    with pytest.warns(UserWarning, match="declares another shape of the output 'y' than it has"):
        made = loaded(path, model)
    assert run(made, {"x": np.array([1, 2], np.float32)})["y"].tolist() == [-1, -2]
    assert made.graph.output[0].type.tensor_type.shape.dim[0].dim_value == 2


def test_domains_that_are_not_imported(path: Path) -> None:
    model = loaded(path, model_of("y = com.microsoft.Gelu (x)"), foreign=True)
    assert run(model, {"x": np.zeros(1, np.float32)})["y"].tolist() == [0]


def test_mean_variance_normalization_without_axes(path: Path) -> None:
    dims = "float[1,2,2,2]"
    model = loaded(
        path, model_of("y = MeanVarianceNormalization (x)", inputs=f"{dims} x", outputs=f"{dims} y")
    )
    assert not model.graph.node[0].attribute
    x = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    np.testing.assert_allclose(
        run(model, {"x": x})["y"], (x - [[[[1.5]], [[5.5]]]]) / np.sqrt(1.25), rtol=1e-5
    )


def test_tensors_of_a_wrong_size(path: Path) -> None:
    for bytes_, held in ((bytes(16), 16), (bytes(8), 8)):
        model = model_of("y = Add (x, w)")
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], raw_data=bytes_)
        model.graph.initializer.append(tensor)
        assert f"PATH: tensor 'w' of 3 elements has {held} bytes instead of 12" in refusal(path, model)
    model = model_of("y = Add (x, w)")
    model.graph.initializer.append(
        TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], float_data=[1, 2])
    )
    assert "PATH: tensor 'w' of 3 elements has 2 numbers instead of 3" in refusal(path, model)


@pytest.mark.parametrize("dtype", ["int4", "uint4", "float8e5m2", "bfloat16", "complex64", "string", "bool"])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_tensors_of_every_kind_are_taken(path: Path, dtype: str, count: int) -> None:
    code = TensorProto.DataType.Value(dtype.upper())
    values: Array = np.zeros(count, helper.tensor_dtype_to_np_dtype(code))
    for raw in (False, True)[: 1 if dtype == "string" else 2]:
        zeros = [""] * count if dtype == "string" else [0] * count
        tensor = (
            numpy_helper.from_array(values, "w") if raw else helper.make_tensor("w", code, [count], zeros)
        )
        model = model_of("y = Identity (w)", outputs=f"{dtype}[{count}] y", opset=21, ir=10)
        model.graph.initializer.append(tensor)
        loaded(path, model)


def test_dtypes_that_onnx_does_not_know() -> None:
    model = model_of("y = Neg (x)")
    model.graph.input[0].type.tensor_type.elem_type = 99
    with pytest.raises(ModelError, match="'x' has a dtype that ONNX does not know: 99"):
        run(model, {"x": np.zeros(1, np.float32)})
    model = model_of("y = Add (x, w)")
    model.graph.initializer.append(TensorProto(name="w", data_type=99, dims=[1]))
    with pytest.raises(ModelError, match="tensor 'w' has no dtype that ONNX knows: 99"):
        gradients(model, "y", "x")
