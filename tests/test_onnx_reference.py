"""Operators of the backend that onnx's reference implementation lacks or gets wrong, against ONNX Runtime."""

import itertools
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from softsign.onnx import Backend, ModelError, run
from softsign.onnx.recurrent import _FUNCTIONS
from tests.helpers import Array
from tests.onnx_helpers import model_of

F32 = np.float32
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
SOFTSIGN = {"RNN": ["Softsign"], "GRU": ["Sigmoid", "Softsign"], "LSTM": ["Sigmoid", "Softsign", "Softsign"]}
STEPS, BATCH, SIZE, HIDDEN = 5, 3, 4, 6


def recurrent(
    kind: str, activations: list[str], *more: str, **options: Any
) -> tuple[ModelProto, dict[str, Array]]:
    """Return a model of one RNN, GRU or LSTM, and what to feed; `more` names optional inputs."""
    rng = np.random.default_rng(0)
    directions = 2 if options.get("direction") == "bidirectional" else 1
    rows, by_batch = GATES[kind] * HIDDEN, bool(options.get("layout"))
    state = (BATCH, directions, HIDDEN) if by_batch else (directions, BATCH, HIDDEN)
    shapes: dict[str, tuple[int, ...]] = {
        "X": (BATCH, STEPS, SIZE) if by_batch else (STEPS, BATCH, SIZE),
        "W": (directions, rows, SIZE),
        "R": (directions, rows, HIDDEN),
        "B": (directions, 2 * rows),
        "lengths": (BATCH,),
        "h": state,
        "c": state,
        "P": (directions, 3 * HIDDEN),
    }
    feeds = {
        n: 0.7 * rng.standard_normal(shapes[n]).astype(F32) for n in shapes if n in ("X", "W", "R", *more)
    }
    if "lengths" in more:
        feeds["lengths"] = np.array([5, 2, 3], np.int32)
    names = [name if name in feeds else "" for name in list(shapes)[: 8 if kind == "LSTM" else 6]]
    outputs = ["Y", "H", "C"][: 3 if kind == "LSTM" else 2]
    node = helper.make_node(
        kind, names, outputs, hidden_size=HIDDEN, activations=activations * directions, **options
    )
    infos = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for n, v in feeds.items()
    ]
    results = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * (4 if n == "Y" else 3)) for n in outputs
    ]
    graph = helper.make_graph([node], kind, infos, results)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), feeds


def agree(model: ModelProto, feeds: dict[str, Array], limit: float = 1e-6) -> None:
    found = run(model, feeds, engine="softsign")
    for name, wanted in run(model, feeds).items():
        assert found[name].shape == wanted.shape
        assert found[name].dtype == wanted.dtype
        assert np.abs(found[name] - wanted).max() <= limit


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("clip", [None, 0.4])
@pytest.mark.parametrize("kind", GATES)
def test_softsign_in_recurrent_networks(kind: str, clip: float | None, direction: str) -> None:
    options: dict[str, Any] = {"direction": direction} | ({} if clip is None else {"clip": clip})
    variant = {"GRU": {"linear_before_reset": 1}, "LSTM": {"input_forget": 1}}.get(kind, {})
    states = ["h", "c", "P"] if kind == "LSTM" else ["h"]
    for more, extra in itertools.product(
        ([], ["B"], ["B", "lengths"], ["B", *states], ["B", "lengths", *states]), ({}, variant)
    ):
        agree(*recurrent(kind, SOFTSIGN[kind], *more, **options, **extra))


@pytest.mark.parametrize("kind", GATES)
def test_tanh_and_softsign_differ(kind: str) -> None:
    found = [
        run(
            *recurrent(kind, [name if name == "Sigmoid" else replaced for name in SOFTSIGN[kind]]),
            engine="softsign",
        )
        for replaced in ("Softsign", "Tanh")
    ]
    assert np.abs(found[0]["Y"] - found[1]["Y"]).max() > 0.01


@pytest.mark.parametrize("kind", GATES)
def test_layouts(kind: str) -> None:
    """ONNX Runtime has the first alone."""
    model, feeds = recurrent(kind, SOFTSIGN[kind], "B", "h", direction="bidirectional")
    other, _ = recurrent(kind, SOFTSIGN[kind], "B", "h", direction="bidirectional", layout=1)
    swapped = feeds | {name: feeds[name].swapaxes(0, 1) for name in ("X", "h")}
    wanted, found = run(model, feeds, engine="softsign"), run(other, swapped, engine="softsign")
    np.testing.assert_array_equal(found["Y"], wanted["Y"].transpose(2, 0, 1, 3))
    np.testing.assert_array_equal(found["H"], wanted["H"].swapaxes(0, 1))


@pytest.mark.parametrize(
    ("name", "constants"),
    [
        ("Relu", {}),
        ("Sigmoid", {}),
        ("Softplus", {}),
        ("Elu", {}),
        ("Elu", {"activation_alpha": [0.5]}),
        ("LeakyRelu", {}),
        ("LeakyRelu", {"activation_alpha": [0.1]}),
        ("ThresholdedRelu", {"activation_alpha": [0.3]}),
        ("HardSigmoid", {}),
        ("HardSigmoid", {"activation_alpha": [0.3], "activation_beta": [0.4]}),
        ("Affine", {"activation_alpha": [0.5], "activation_beta": [0.1]}),
        ("ScaledTanh", {"activation_alpha": [0.8], "activation_beta": [0.7]}),
    ],
    ids=str,
)
def test_every_activation(name: str, constants: dict[str, list[float]]) -> None:
    for kind in GATES:
        agree(*recurrent(kind, [*SOFTSIGN[kind][:-1], name], "B", **constants), limit=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_activations_of_large_numbers_overflow_nowhere(dtype: type[np.floating]) -> None:
    x = np.array([-np.inf, -1e4, -8, 0, 8, 1e4, np.inf, np.nan], dtype)
    with np.errstate(over="raise", invalid="raise"):
        found = [_FUNCTIONS["sigmoid"](x), _FUNCTIONS["elu"](x, 1.0)]
    small = np.exp(-8.0)
    wanted = [
        np.array([0, 0, small / (1 + small), 0.5, 1 / (1 + small), 1, 1, np.nan]),
        np.array([-1, -1, small - 1, 0, *x[4:]]),
    ]
    assert [values.dtype for values in found] == [dtype, dtype]
    np.testing.assert_allclose(np.stack(found), np.stack(wanted), rtol=2 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize(
    ("activations", "options", "words"),
    [
        (["Affine"], {}, "activation function 'Affine' needs 2 constants"),
        (["Softsing"], {}, "activation function 'Softsing' is not one of ONNX's"),
        (["Softsign", "Tanh"], {}, "activations are Softsign, Tanh; there must be 1"),
        (["Softsign"], {"activation_alpha": [0.5]}, "activation_alpha or activation_beta has more numbers"),
    ],
)
def test_activations_that_are_refused(activations: list[str], options: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        run(*recurrent("RNN", activations, **options), engine="softsign")


@pytest.mark.parametrize("shape", [(1, 2, 6, 7), (2, 1, 9)])
@pytest.mark.parametrize("name", ["MaxPool", "AveragePool", "LpPool"])
def test_poolings(name: str, shape: tuple[int, ...]) -> None:
    rank = len(shape) - 2
    x = np.random.default_rng(0).standard_normal(shape).astype(F32)
    dims = f"[{','.join('?' * len(shape))}]"
    paddings = [
        'auto_pad = "SAME_UPPER"',
        'auto_pad = "SAME_LOWER"',
        'auto_pad = "VALID"',
        f"pads = {[0] * rank + [1] * rank}",
        f"pads = {[1] * rank + [0] * rank}, ceil_mode = 1",
    ]
    more = {
        "MaxPool": ["", ", storage_order = 1"],
        "AveragePool": ["", ", count_include_pad = 1"],
        "LpPool": [", p = 3"],
    }
    for kernel, stride, padding, option in itertools.product((2, 3), (1, 2, 3), paddings, more[name]):
        if stride > kernel and "SAME" in padding:
            continue  # ONNX Runtime has negative padding there
        outputs = f"float{dims} y" + (f", int64{dims} i" if name == "MaxPool" else "")
        attributes = f"kernel_shape = {[kernel] * rank}, strides = {[stride] * rank}, {padding}{option}"
        body = f"{'y, i' if name == 'MaxPool' else 'y'} = {name} <{attributes}> (x)"
        agree(model_of(body, inputs=f"float{dims} x", outputs=outputs), {"x": x})


def test_lrn_of_several_images_and_channels() -> None:
    x = np.random.default_rng(0).standard_normal((2, 7, 2, 3)).astype(F32)
    for size in (3, 5):
        body = f"y = LRN <size = {size}, alpha = 0.5> (x)"
        agree(model_of(body, inputs="float[?,?,?,?] x", outputs="float[?,?,?,?] y"), {"x": x})


def loop(item: str, dims: str) -> ModelProto:
    body = f"""b (int64 i, bool p, float[2] a) => (bool q, float[2] z, float{dims} item) {{
        q = Identity (p) z = Add (a, w) {item} }}"""
    return model_of(
        f"t = Constant <value = bool {{1}}> () last, y = Loop <body = {body}> (n, t, x)",
        inputs="float[2] x, float[2] w, int64 n",
        outputs="float[2] last, float[?,?] y" if dims else "float[2] last, float[?] y",
    )


@pytest.mark.parametrize(
    ("item", "dims"), [("item = ReduceSum <keepdims = 0> (z)", ""), ("item = Identity (z)", "[2]")]
)
@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_loops_stack_what_they_scan(item: str, dims: str, rounds: int) -> None:
    feeds = {"x": np.array([1, 2], F32), "w": np.array([10, 20], F32), "n": np.array(rounds)}
    found = run(loop(item, dims), feeds, engine="softsign")
    for name, wanted in run(loop(item, dims), feeds).items():
        assert found[name].tolist() == wanted.tolist()
        assert found[name].shape == wanted.shape


def test_optional_values() -> None:
    body = "o = Optional (x) h = OptionalHasElement (o) y = OptionalGetElement (o)"
    model = model_of(body, outputs="bool h, float[n] y")
    h, y = Backend.run_model(model, [np.ones(3, F32)])
    assert (h.tolist(), y.tolist()) == (True, [1, 1, 1])
    body = "o = Optional <type = float[n]> () y = OptionalHasElement (o)"
    none = helper.make_node(
        "Optional", [], ["o"], type=helper.make_tensor_type_proto(TensorProto.FLOAT, ["n"])
    )
    model = model_of("y = OptionalHasElement (x)", outputs="bool y")
    model.graph.node[0].input[:] = ["o"]
    model.graph.node.insert(0, none)
    assert Backend.run_model(model, [np.ones(3, F32)])[0].tolist() is False


@pytest.mark.parametrize("name", ["RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"])
def test_random_numbers_are_refused(name: str) -> None:
    model = model_of(f"[draw] y = {name} (x)", inputs="float[2,3] x", outputs="float[?,?] y")
    with pytest.raises(ModelError, match=rf"node 'draw' \({name}\) draws random numbers"):
        Backend.prepare(model)


@pytest.mark.parametrize(
    ("body", "feeds", "words"),
    [
        ("y = ConstantOfShape (s)", {"s": np.array([1 << 45])}, "Unable to allocate"),
        ("y = ReduceSum <keepdims = 1099511627776> (s)", {"s": np.array([1])}, "too large"),
        ("y = Gather (s, s)", {"s": np.array([7])}, "out of bounds"),
    ],
)
def test_whatever_goes_wrong_is_one_sentence(body: str, feeds: dict[str, Array], words: str) -> None:
    model = model_of(
        body, inputs="int64[1] s", outputs="int64[?] y" if "Constant" not in body else "float[?] y"
    )
    with pytest.raises(ModelError, match=words) as caught:
        run(model, feeds, engine="softsign")
    assert "\n" not in str(caught.value)
