"""`softsign onnx` and `softsign demo --trainer onnxruntime`, as a user runs them."""

import functools
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, parser

import softsign
from softsign.learn import network
from softsign.onnx import to_model
from softsign.operator import Net
from tests.helpers import largest_file
from tests.test_cli import ENVIRONMENT, call, refused, shell

EXPORTED = """<ir_version: 8, opset_import: ["" : 18]> exported (float[n] x) => (float[n] "out/y")
    <float one = {1}> { a = Abs (x) t = Add (a, one) "out/y" = Div (x, t) }"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model with a loss, its inputs, a model that an exporter has split up, files that are no models."""
    net = Net("net", constants={"w": np.ones((2, 1), np.float32)})
    net.add("MatMul", ["x", "w"], "z", name="product")
    net.add("Softsign", "z", "y")
    net.add("ReduceSum", "y", "loss", keepdims=0)
    onnx.save(to_model(net, {"x": ("float32", ("n", 2))}, outputs=["y", "loss"]), tmp_path / "net.onnx")
    onnx.save(parser.parse_model(EXPORTED), tmp_path / "exported.onnx")
    np.save(tmp_path / "x.npy", np.array([[1, 2], [-1, 0]], np.float32))
    np.save(tmp_path / "v.npy", np.array([1, -3], np.float32))
    np.save(tmp_path / "long.npy", np.arange(4))
    (tmp_path / "text.onnx").write_text("no model\n")
    (tmp_path / "cut.onnx").write_bytes((tmp_path / "net.onnx").read_bytes()[:-9])
    (tmp_path / "file").touch()
    return tmp_path


def test_gradients_and_run(folder: Path) -> None:
    gradients = ("onnx", "gradients", "net.onnx", "--loss", "loss", "-o", "g.onnx", "--wrt")
    result = call(folder, *gradients, "w", "--wrt", "x")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "g.onnx: y, loss, w_grad, x_grad\n"
    (folder / "g.onnx").rename(folder / "once.onnx")
    call(folder, *gradients, "w,x")
    assert (folder / "g.onnx").read_bytes() == (folder / "once.onnx").read_bytes()
    x, slopes = np.load(folder / "x.npy"), softsign.derivative(np.array([[3.0], [-1.0]]))
    for engine in ("onnxruntime", "softsign"):
        out = folder / engine
        result = call(
            folder, "onnx", "run", "g.onnx", "--input", "x=x.npy", "--output-dir", engine, "--engine", engine
        )
        assert (result.returncode, result.stderr) == (0, "")
        assert f"{engine}/x_grad.npy: x_grad, float32, shape (2, 2)\n" in result.stdout
        np.testing.assert_allclose(np.load(out / "y.npy"), [[0.75], [-0.5]], rtol=1e-6)
        np.testing.assert_allclose(np.load(out / "x_grad.npy"), np.tile(slopes, 2), rtol=1e-6)
        np.testing.assert_allclose(np.load(out / "w_grad.npy"), x.T @ slopes, rtol=1e-6)


def test_fix(folder: Path) -> None:
    result = call(folder, "onnx", "fix", "exported.onnx", "-o", "fixed.onnx")
    assert result.stdout == "fixed.onnx: 1 Softsign nodes, 1 of them put back\n"
    assert [node.op_type for node in onnx.load(folder / "fixed.onnx").graph.node] == ["Softsign"]
    assert call(folder, "onnx", "fix", "exported.onnx", "-o", "exact.onnx", "--accurate").returncode == 0
    result = call(folder, "onnx", "run", "exact.onnx", "-i", "x=v.npy", "-o", "out")
    assert result.stdout == "out/out_y.npy: out/y, float32, shape (2,)\n"
    np.testing.assert_array_equal(np.load(folder / "out" / "out_y.npy"), np.array([0.5, -0.75], np.float32))


def test_info(folder: Path) -> None:
    result = call(folder, "onnx", "info", "net.onnx")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        "net.onnx: opset 18, IR version 8, by softsign\n"
        "inputs:\n  x  float32 (n, 2)\n"
        "outputs:\n  y  float32 (n, 1)\n  loss  float32 ()\n"
        "parameters, 2 numbers:\n  w  float32 (2, 1)\n"
        "operators:\n  MatMul  1\n  ReduceSum  1\n  Softsign  1\n"
        "without a gradient: none of the operators\n"
    )


def test_what_gradients_lacks(folder: Path) -> None:
    """All missing operators at once, and what to do about those that are Softsign."""
    body = "{ a = Abs (x) t = Add (a, one) y = Div (x, t) e = Exp (y) l = ReduceSum <keepdims = 0> (e) }"
    text = f'<ir_version: 8, opset_import: ["" : 18]> g (float[n] x) => (float l) <float one = {{1}}> {body}'
    onnx.save(parser.parse_model(text), folder / "split.onnx")
    told = call(folder, "onnx", "info", "split.onnx").stdout
    assert "without a gradient: Abs, Exp\n" in told
    assert told.endswith("split x / (1 + |x|): 1; softsign onnx fix puts Softsign in their place\n")
    words = refused(folder, "onnx", "gradients", "split.onnx", "--loss", "l", "--wrt", "x", "-o", "g.onnx")
    assert "Exp(y)" in words
    assert "Abs(x)" in words
    assert "softsign onnx fix puts" in words


def test_a_training_step(folder: Path) -> None:
    arguments = ("onnx", "gradients", "net.onnx", "--loss", "loss", "--wrt", "parameters", "-o", "step.onnx")
    assert "give --sgd, too" in refused(folder, *arguments, "--momentum", "0.5")
    result = call(folder, *arguments, "--sgd", "--momentum", "0.5", "--inline")
    assert result.stdout == "step.onnx: y, loss, w_next, w_velocity_next\n"
    assert not onnx.load(folder / "step.onnx").functions
    np.save(folder / "rate.npy", np.float32(0.1))
    np.save(folder / "w.npy", np.ones((2, 1), np.float32))
    np.save(folder / "v.npy", np.ones((2, 1), np.float32))
    inputs = ("x=x.npy", "w=w.npy", "w_velocity=v.npy", "learning_rate=rate.npy")
    options = [word for text in inputs for word in ("-i", text)]
    result = call(folder, "onnx", "run", "step.onnx", *options, "-o", ".", "--outputs", "w_next")
    assert result.stdout == "w_next.npy: w_next, float32, shape (2, 1)\n"
    gradient = np.load(folder / "x.npy").T @ softsign.derivative(np.array([[3.0], [-1.0]]))
    np.testing.assert_allclose(np.load(folder / "w_next.npy"), 1 + 0.5 - 0.1 * gradient, rtol=1e-6)


CAST = ("onnx", "run", "net.onnx", "-o", "out", "--outputs", "y", "-i")


@pytest.mark.parametrize("dtype", [">f4", "<f4", ">f8", "f2", "i8", "u1", "?"])
def test_inputs_are_cast_on_request(folder: Path, dtype: str) -> None:
    x = np.load(folder / "x.npy") != 0 if dtype == "?" else abs(np.load(folder / "x.npy")) % 256
    np.save(folder / "other.npy", np.asfortranarray(x.astype(dtype)))
    arguments = [*CAST, "x=other.npy"]
    if np.dtype(dtype).newbyteorder("=") != np.float32:
        words = f"input 'x' is {np.dtype(dtype).newbyteorder('=')}; the model takes float32; --cast converts"
        assert words in refused(folder, *arguments)
        arguments.append("--cast")
    assert call(folder, *arguments).returncode == 0
    expected = softsign.softsign(x.astype(float).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(np.load(folder / "out" / "y.npy"), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("array", "target", "words"),
    [
        (np.array([1e39]), "float", "is float64 and holds 1e+39, which float32 does not"),
        (
            np.array([2**63], np.uint64),
            "int64",
            "is uint64 and holds 9223372036854775808, which int64 does not",
        ),
        (np.array([1.5]), "int64", "is float64 and holds 1.5, which int64 does not"),
        (np.array([np.nan]), "int64", "is float64 and holds nan, which int64 does not"),
        (np.array([2]), "bool", "is int64 and holds 2, which bool does not"),
        (np.array([1j]), "float", "is complex128, which --cast does not turn into float32"),
    ],
)
def test_casts_that_lose_a_value_are_refused(folder: Path, array: Any, target: str, words: str) -> None:
    head = '<ir_version: 8, opset_import: ["" : 18]>'
    text = f"{head} g ({target}[n] x) => ({target}[n] y) {{ y = Identity (x) }}"
    onnx.save(parser.parse_model(text), folder / "same.onnx")
    np.save(folder / "a.npy", array)
    assert words in refused(folder, "onnx", "run", "same.onnx", "-i", "x=a.npy", "-o", "out", "--cast")


def test_bfloat16_is_read_back(folder: Path) -> None:
    """NumPy's format has no name for it: the file says only that its items have two bytes."""
    body = "y = Cast <to = 16> (x)"
    head = '<ir_version: 8, opset_import: ["" : 18]>'
    onnx.save(
        parser.parse_model(f"{head} g (float[n] x) => (bfloat16[n] y) {{ {body} }}"), folder / "to.onnx"
    )
    back = "x = Cast <to = 1> (y)"
    onnx.save(
        parser.parse_model(f"{head} g (bfloat16[n] y) => (float[n] x) {{ {back} }}"), folder / "from.onnx"
    )
    assert call(folder, "onnx", "run", "to.onnx", "-i", "x=v.npy", "-o", ".").returncode == 0
    assert call(folder, "onnx", "run", "from.onnx", "-i", "y=y.npy", "-o", "out").returncode == 0
    assert np.load(folder / "out" / "x.npy").tolist() == [1, -3]


def test_a_classifier_with_maps_among_its_outputs(folder: Path) -> None:
    """As scikit-learn's exporter writes them: labels, which are strings, and a map for each example."""
    classes = ["no", "yes"]
    nodes = [
        helper.make_node(
            "LinearClassifier",
            ["x"],
            ["label", "scores"],
            domain="ai.onnx.ml",
            coefficients=[-1.0, 0.0, 1.0, 0.0],
            intercepts=[0.0, 0.0],
            classlabels_strings=classes,
        ),
        helper.make_node("ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", classlabels_strings=classes),
    ]
    number = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    maps = helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.STRING, number))
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [
            helper.make_tensor_value_info("label", TensorProto.STRING, ["n"]),
            helper.make_value_info("maps", maps),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2]),
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 2)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "classifier.onnx")
    arguments = ("onnx", "run", "classifier.onnx", "-i", "x=x.npy", "-o", "out")
    assert "output 'maps' is no tensor; --outputs chooses others: label, scores" in refused(
        folder, *arguments
    )
    assert "the model has no output 'map'; its outputs are" in refused(folder, *arguments, "--outputs", "map")
    result = call(folder, *arguments, "--outputs", "scores,label")
    assert result.stdout.split("\n")[0] == "out/scores.npy: scores, float32, shape (2, 2)"
    assert np.load(folder / "out" / "label.npy").tolist() == ["yes", "no"]
    assert "  maps  not a tensor\n" in call(folder, "onnx", "info", "classifier.onnx").stdout


def test_what_takes_its_time_is_told_on_a_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "FORCE_COLOR", "1")  # which rich takes for a terminal
    shown = call(
        folder, "onnx", "gradients", "net.onnx", "--loss", "loss", "--wrt", "w", "-o", "g.onnx"
    ).stderr
    assert "reading and checking net.onnx" in shown
    assert "differentiating" in shown
    assert "running g.onnx" in call(folder, "onnx", "run", "g.onnx", "-i", "x=x.npy", "-o", "out").stderr
    monkeypatch.delitem(ENVIRONMENT, "FORCE_COLOR")
    assert call(folder, "onnx", "run", "g.onnx", "-i", "x=x.npy", "-o", "more").stderr == ""


def test_pipes(folder: Path) -> None:
    """Models and arrays come and go as - and by process substitution."""
    chain = (
        "cat net.onnx | softsign onnx gradients - --loss loss --wrt w -o - 2>/dev/null"
        " | softsign onnx run - -i x=<(cat x.npy) --outputs w_grad -o - > w_grad.npy"
    )
    result = shell(folder, chain)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == "standard output: w_grad, float32, shape (2, 1)\n"
    slopes = softsign.derivative(np.array([[3.0], [-1.0]]))
    np.testing.assert_allclose(
        np.load(folder / "w_grad.npy"), np.load(folder / "x.npy").T @ slopes, rtol=1e-6
    )


GRADIENTS = ("onnx", "gradients", "net.onnx", "-o", "g.onnx")
RUN = ("onnx", "run", "net.onnx", "-o", "out")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            (*GRADIENTS, "--loss", "y", "--wrt", "w"),
            "loss: 'y', written by node 'y' (Softsign), must be a scalar",
        ),
        ((*GRADIENTS, "--loss", "l", "--wrt", "w"), "loss: no node of the model writes 'l'"),
        ((*GRADIENTS, "--loss", "loss", "--wrt", "v"), "wrt: 'v' is neither an input nor an initializer"),
        ((*GRADIENTS, "--loss", "loss"), "Missing option '--wrt'"),
        (
            ("onnx", "gradients", "net.onnx", "--loss", "loss", "--wrt", "w", "-o", "net.onnx"),
            "net.onnx exists; --force replaces it",
        ),
        (
            ("onnx", "gradients", "net.onnx", "--loss", "loss", "--wrt", "w", "-o", "no/g.onnx"),
            "no: no such directory",
        ),
        (("onnx", "fix", "text.onnx", "-o", "f.onnx"), "text.onnx is not an ONNX model"),
        (("onnx", "fix", "cut.onnx", "-o", "f.onnx"), "cut.onnx is not an ONNX model, or is truncated"),
        (("onnx", "fix", "none.onnx", "-o", "f.onnx"), "none.onnx: No such file or directory"),
        (RUN, "input 'x' of the model is missing"),
        (
            ("onnx", "run", "net.onnx", "-i", "x=x.npy", "-o", "-"),
            "a pipe takes one output; --outputs chooses",
        ),
        (("onnx", "run", "-", "-i", "x=-", "-o", "out"), "standard input can be read once only"),
        ((*RUN, "-i", "x"), "'x' is not of the form NAME=FILE.npy"),
        ((*RUN, "-i", "x=x.npy", "-i", "x=x.npy"), "'x' is given twice"),
        ((*RUN, "-i", "x=x.npy", "-i", "q=x.npy"), "the model has no input 'q'; its inputs are x"),
        ((*RUN, "-i", "x=v.npy"), "input 'x' has the shape (2,); the model takes (n, 2)"),
        ((*RUN, "-i", "x=long.npy"), "input 'x' is int64; the model takes float32"),
        ((*RUN, "-i", "x=none.npy"), "none.npy: No such file or directory"),
        ((*RUN, "-i", "x=text.onnx"), "text.onnx is not a NumPy .npy file"),
        ((*RUN, "-i", "x=x.npy", "--engine", "torch"), "'torch' is not one of onnxruntime, softsign"),
        (("onnx", "run", "net.onnx", "-i", "x=x.npy", "-o", "no/out"), "no/out: No such file or directory"),
        (("onnx", "run", "net.onnx", "-i", "x=x.npy", "-o", "file"), "file: "),
    ],
)
def test_refusals(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(folder, *arguments)
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("onnx", "gradients", "net.onnx", "--loss", "loss", "--wrt", "w", "-o", "made.onnx"),
        ("onnx", "fix", "exported.onnx", "-o", "made.onnx"),
    ],
)
def test_models_are_replaced_only_with_force(folder: Path, arguments: tuple[str, ...]) -> None:
    made = folder / "made.onnx"
    made.write_text("mine")
    assert "made.onnx exists; --force replaces it" in refused(folder, *arguments)
    assert made.read_text() == "mine"
    assert call(folder, *arguments, "--force").returncode == 0
    onnx.checker.check_model(onnx.load(made))


@pytest.mark.parametrize("name", ["run", "gradients", "fix"])
def test_names_of_old_tell_the_new_ones(folder: Path, name: str) -> None:
    assert refused(folder, name, "net.onnx") == f"softsign: softsign {name} is now softsign onnx {name}\n"


def test_the_group_alone_shows_its_help(folder: Path) -> None:
    result = call(folder, "onnx")
    assert (result.returncode, result.stderr) == (0, "")
    for name in ("info", "run", "gradients", "fix"):
        assert f" {name} " in result.stdout
    assert "No such command 'fux'" in refused(folder, "onnx", "fux")


def test_outputs_are_replaced_only_with_force(folder: Path) -> None:
    assert call(folder, *RUN, "-i", "x=x.npy").returncode == 0
    assert "out/y.npy exists; --force replaces it" in refused(folder, *RUN, "-i", "x=x.npy")
    assert call(folder, *RUN, "-i", "x=x.npy", "--force").returncode == 0


def test_full_disk_leaves_nothing(folder: Path) -> None:
    np.save(folder / "x.npy", np.zeros((100_000, 2), np.float32))
    with largest_file(1 << 17):
        assert "File too large" in refused(folder, *RUN, "-i", "x=x.npy")
    assert not (folder / "out").exists()


def test_demo_in_onnx_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the epochs, after which seeds have 97 %; those of NumPy train the same network."""
    monkeypatch.setattr(network, "train", functools.partial(network.train, epochs=20))
    monkeypatch.setattr("softsign.cli.demo._TIMED", [(1 << 16, 3)])
    result = call(tmp_path, "demo", "--trainer", "onnxruntime")
    assert result.returncode == 0, result.stderr
    accuracy = re.search(r"softsign network, by onnxruntime .* ([\d.]+)%", result.stdout)
    assert accuracy is not None
    assert float(accuracy[1]) >= 93
    assert "450 predictions agree" in result.stdout
