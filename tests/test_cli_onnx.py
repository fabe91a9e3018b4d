"""`softsign onnx run`, `gradients`, `fix`, and `softsign demo --trainer onnxruntime`, as a user runs them."""

import functools
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

import softsign
from softsign.learn import network
from softsign.onnx import to_model
from softsign.operator import Net
from tests.test_cli import call, refused, run

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


@pytest.mark.parametrize("engine", ["onnxruntime", "softsign"])
def test_gradients_and_run(folder: Path, engine: str) -> None:
    result = run(
        folder, "onnx", "gradients", "net.onnx", "--loss", "loss", "--wrt", "w", "--wrt", "x", "-o", "g.onnx"
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "g.onnx: y, loss, w_grad, x_grad\n"
    result = run(
        folder, "onnx", "run", "g.onnx", "--input", "x=x.npy", "--output-dir", "out", "--engine", engine
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "out/x_grad.npy: x_grad, float32, shape (2, 2)\n" in result.stdout
    slopes = softsign.derivative(np.array([[3.0], [-1.0]]))
    np.testing.assert_allclose(np.load(folder / "out" / "y.npy"), [[0.75], [-0.5]], rtol=1e-6)
    np.testing.assert_allclose(np.load(folder / "out" / "x_grad.npy"), np.tile(slopes, 2), rtol=1e-6)
    x = np.load(folder / "x.npy")
    np.testing.assert_allclose(np.load(folder / "out" / "w_grad.npy"), x.T @ slopes, rtol=1e-6)


def test_fix(folder: Path) -> None:
    result = run(folder, "onnx", "fix", "exported.onnx", "-o", "fixed.onnx")
    assert result.stdout == "fixed.onnx: 1 Softsign nodes, 1 of them put back\n"
    assert [node.op_type for node in onnx.load(folder / "fixed.onnx").graph.node] == ["Softsign"]
    assert run(folder, "onnx", "fix", "exported.onnx", "-o", "exact.onnx", "--accurate").returncode == 0
    result = run(folder, "onnx", "run", "exact.onnx", "-i", "x=v.npy", "-o", "out")
    assert result.stdout == "out/out_y.npy: out/y, float32, shape (2,)\n"
    np.testing.assert_array_equal(np.load(folder / "out" / "out_y.npy"), np.array([0.5, -0.75], np.float32))


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
    assert run(folder, *arguments, "--force").returncode == 0
    onnx.checker.check_model(onnx.load(made))


@pytest.mark.parametrize("name", ["run", "gradients", "fix"])
def test_names_of_old_tell_the_new_ones(folder: Path, name: str) -> None:
    assert refused(folder, name, "net.onnx") == f"softsign: softsign {name} is now softsign onnx {name}\n"


def test_the_group_alone_shows_its_help(folder: Path) -> None:
    result = call(folder, "onnx")
    assert (result.returncode, result.stderr) == (0, "")
    for name in ("run", "gradients", "fix"):
        assert f" {name} " in result.stdout
    assert "No such command 'fux'" in refused(folder, "onnx", "fux")


def test_outputs_are_replaced_only_with_force(folder: Path) -> None:
    assert run(folder, *RUN, "-i", "x=x.npy").returncode == 0
    assert "out/y.npy exists; --force replaces it" in refused(folder, *RUN, "-i", "x=x.npy")
    assert run(folder, *RUN, "-i", "x=x.npy", "--force").returncode == 0


def test_full_disk_leaves_nothing(folder: Path) -> None:
    np.save(folder / "x.npy", np.zeros((100_000, 2), np.float32))
    limited = ("sh", "-c", 'ulimit -f 300; exec "$@"', "sh")  # no file may grow beyond 150 or 300 KiB
    assert "File too large" in refused(folder, *RUN, "-i", "x=x.npy", before=limited)
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
