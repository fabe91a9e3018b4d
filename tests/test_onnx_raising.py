"""Models of old opsets: raised with the values that they had, or refused."""

from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from softsign.onnx import Backend, ModelError, check_model, fix_softsign, normalize_model, run
from tests.helpers import Array
from tests.onnx_helpers import by_engine, model_of

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 2, 4)).astype(np.float32)
IMAGE = RNG.standard_normal((1, 1, 4, 5)).astype(np.float32)
FOUR = "float[?,?,?,?]"
AXES = ("", "<axis = 0>", "<axis = 1>", "<axis = 2>", "<axis = 3>")


def same(body: str, opset: int, **feeds: Array) -> None:
    """See that ONNX Runtime gives the same for an old model and the raised one, and the backend too."""
    names = {"float32": "float", "float64": "double"}
    inputs = ", ".join(
        f"{names.get(a.dtype.name, a.dtype.name)}{list(a.shape) if a.ndim else ''} {n}"
        for n, a in feeds.items()
    )
    model = model_of(body, inputs=inputs, outputs=f"{FOUR} y", opset=opset, ir=3 if opset < 9 else 8)
    wanted = run(model, feeds)["y"]
    found = [run(normalize_model(model), feeds)["y"], Backend.run_model(model, feeds)[0]]
    for y in found:
        assert y.shape == wanted.shape
        np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("opset", [1, 7, 11, 12, 13])
def test_softmax_of_old_sees_a_matrix(name: str, opset: int) -> None:
    for attribute in (*AXES, *(["<axis = -2>"] if opset >= 11 else [])):
        same(f"y = {name} {attribute} (x)", opset, x=X)


@pytest.mark.parametrize("name", ["Softmax", "Hardmax"])
def test_inside_control_flow(name: str) -> None:
    branches = f"""then_branch = t () => ({FOUR} a) {{ a = {name} <axis = 1> (x) }},
        else_branch = e () => ({FOUR} b) {{ b = Neg (x) }}"""
    same(f"y = If (c) <{branches}>", 11, x=X, c=np.array(True))
    body = f"b (int64 i, bool p, {FOUR} a) => (bool q, {FOUR} z) {{ q = Identity (p) z = {name} (a) }}"
    start = "n = Constant <value = int64 {3}> () t = Constant <value = bool {1}> ()"
    same(f"{start} y = Loop <body = {body}> (n, t, x)", 11, x=X)


@pytest.mark.parametrize("opset", [7, 8, 9, 13, 14, 15])
def test_batch_normalization_of_old_does_not_train(opset: int) -> None:
    s, b, m = RNG.standard_normal((3, 3)).astype(np.float32)
    same("y = BatchNormalization (x, s, b, m, v)", opset, x=X, s=s, b=b, m=m, v=np.abs(b) + 1)


def test_the_example_of_batch_normalization() -> None:
    model = model_of(
        "y = BatchNormalization (x, s, b, m, v)",
        inputs="float[4,1] x, float[1] s, float[1] b, float[1] m, float[1] v",
        outputs="float[4,1] y",
        opset=9,
    )
    x = np.array([[1], [2], [3], [5]], np.float32)
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    y = run(model, {"x": x, "s": one, "b": zero, "m": zero, "v": one}, engine="softsign")["y"]
    np.testing.assert_allclose(y, x, rtol=1e-5)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_images_enlarged_without_half_pixels(mode: str) -> None:
    scales = "s = Constant <value = float[4] {1, 1, 2, 3}> ()"
    same(f'y = Upsample <mode = "{mode}", scales = [1.0, 1.0, 2.0, 3.0]> (x)', 7, x=IMAGE)
    same(f'{scales} y = Upsample <mode = "{mode}"> (x, s)', 9, x=IMAGE)
    same(f'{scales} y = Resize <mode = "{mode}"> (x, s)', 10, x=IMAGE)


@pytest.mark.parametrize("dtype", ["float16", "double"])
def test_clip_of_other_dtypes(dtype: str) -> None:
    model = model_of(
        "z = Clip <min = -0.5, max = 1.5> (x) y = Clip <max = 1.0> (z)",
        inputs=f"{dtype}[n] x",
        outputs=f"{dtype}[n] y",
        opset=10,
    )
    x = np.array([-3, 0.25, 1.25, 9], {"double": np.float64}.get(dtype, dtype))
    for made in (normalize_model(model), fix_softsign(model, accurate=True)):
        check_model(made)
        assert run(made, {"x": x}, engine="softsign")["y"].tolist() == [-0.5, 0.25, 1, 1]
    assert run(normalize_model(model), {"x": x})["y"].dtype == x.dtype


def test_selu_of_old_has_other_constants() -> None:
    model = model_of("y = Selu (x)", opset=5, ir=3)
    y = run(normalize_model(model), {"x": np.array([1], np.float32)})["y"]
    assert y.tolist() == [np.float32(1.0507)]


SCAN = """s, y = Scan <num_scan_inputs = 1, body = b (float i, float e) => (float o, float p) {
    o = Add (i, e) p = Identity (o) }> (, h, x)"""
REFUSED: dict[str, tuple[str, int, dict[str, Any], str]] = {
    "Scan": (
        SCAN,
        8,
        {"inputs": "float[1] h, float[1,3] x", "outputs": "float[1,3] y"},
        "'s, y' (Scan) of opset 8",
    ),
    "PRelu": (
        "y = PRelu (x, w)",
        6,
        {"inputs": "float[2,3,3] x, float[3] w", "outputs": "float[2,3,3] y"},
        "(PRelu)",
    ),
    "mask": ("y, m = Dropout (x)", 9, {"outputs": "float[n] y, float[n] m"}, "'y, m' (Dropout) of opset 9"),
    "smaller": (
        "s = Constant <value = float[4] {1, 1, 0.5, 2}> () y = Resize (x, s)",
        10,
        {"inputs": f"{FOUR} x", "outputs": f"{FOUR} y"},
        "'y' (Resize) of opset 10 has no counterpart in newer opsets unless its scales are constant",
    ),
    "unknown scales": (
        "y = Resize (x, s)",
        10,
        {"inputs": f"{FOUR} x, float[4] s", "outputs": f"{FOUR} y"},
        "'y' (Resize) of opset 10",
    ),
}


@pytest.mark.parametrize(("body", "opset", "ends", "words"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_counterpart_is_refused(body: str, opset: int, ends: dict[str, str], words: str) -> None:
    model = model_of(body, opset=opset, **ends)  # type: ignore[arg-type]
    for call in (normalize_model, Backend.prepare):
        with pytest.raises(ModelError) as caught:
            call(model)
        assert words in str(caught.value)


def test_metadata_stay() -> None:
    model = model_of("[act] z = Neg (x) y = Add (z, w)", initializers="float[1] w = {1}", opset=13)
    helper.set_model_props(model, {"model": "props"})
    model.graph.metadata_props.add(key="graph", value="props")
    model.graph.node[0].metadata_props.add(key="node", value="props")
    model.graph.initializer[0].doc_string = "weights"
    model.graph.quantization_annotation.add().tensor_name = "w"
    made = normalize_model(model)
    assert made.metadata_props == model.metadata_props
    assert made.graph.metadata_props == model.graph.metadata_props
    assert made.graph.quantization_annotation == model.graph.quantization_annotation
    assert made.graph.node[0].metadata_props == model.graph.node[0].metadata_props
    assert made.graph.initializer[0].doc_string == "weights"
    model.training_info.add()
    with pytest.raises(
        ModelError, match="the model has training_info, which onnx cannot convert to opset 18"
    ):
        normalize_model(model)


@by_engine
def test_a_model_of_other_domains_alone(engine: str) -> None:
    model = model_of(
        'y = ai.onnx.ml.Normalizer <norm = "MAX"> (x)',
        inputs="float[1,2] x",
        outputs="float[1,2] y",
        opset='"ai.onnx.ml" : 3',
    )
    x = np.array([[1, 4]], np.float32)
    for made in (model, normalize_model(model)):
        assert run(made, {"x": x}, engine=engine)["y"].tolist() == [[0.25, 1]]


def test_the_names_that_hardmax_needs_are_free() -> None:
    model = model_of(
        "y_shape = Neg (x) y = Hardmax (y_shape)", inputs="float[2,3] x", outputs="float[2,3] y", opset=9
    )
    weights = numpy_helper.from_array(np.ones(1, np.float32), "y_matrix")
    model.graph.initializer.append(weights)
    x = np.array([[1, 2, 0], [5, 4, 9]], np.float32)
    assert run(normalize_model(model), {"x": x})["y"].tolist() == [[0, 0, 1], [0, 1, 0]]
