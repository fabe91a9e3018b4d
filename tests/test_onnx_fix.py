"""Softsign found again: every form of it, every near miss, and what PyTorch exports."""

import contextlib
import io
import warnings
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, parser

from softsign.onnx import count_softsign, fix_softsign, run

Array = NDArray[Any]
X = np.array([[-3.0, -0.5, 0.0], [0.25, 1.0, 1e6]])


def model_of(
    body: str,
    *,
    initialisers: str = "float one = {1}",
    opset: int = 18,
    dtype: str = "float",
    outputs: str = "",
    ir: int = 8,
    inputs: str = "",
    more: str = "",
) -> ModelProto:
    outputs = outputs or f"{dtype}[2,3] y"
    text = f"""<ir_version: {ir}, opset_import: ["" : {opset}{', "mine" : 1' if more else ""}]>
        test ({dtype}[2,3] x{inputs}) => ({outputs}) <{initialisers}> {{ {body} }} {more}"""
    model = parser.parse_model(text)
    onnx.checker.check_model(model, full_check=True)
    return model


def fixed(model: ModelProto, **options: bool) -> ModelProto:
    """Return the mended model, having seen that it is a good one that gives the same as before."""
    before = model.SerializeToString()
    made = fix_softsign(model, **options)
    assert model.SerializeToString() == before
    onnx.checker.check_model(made, full_check=True)
    assert [v.name for v in made.graph.output] == [v.name for v in model.graph.output]
    assert list(made.graph.input) == list(model.graph.input)
    assert fix_softsign(made, **options) == made
    return made


def same(model: ModelProto, made: ModelProto, **feeds: Array) -> None:
    """See that both give the same in ONNX Runtime, to the rounding of its Softsign."""
    old, new = run(model, feeds), run(made, feeds)
    for name, value in old.items():
        assert new[name].dtype == value.dtype
        np.testing.assert_allclose(new[name], value, rtol=4 * float(np.finfo(value.dtype).eps))


def types(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


FORMS = {
    "1 + |x|": "a = Abs (x) t = Add (one, a) y = Div (x, t)",
    "|x| + 1": "a = Abs (x) t = Add (a, one) y = Div (x, t)",
    "reciprocal": "a = Abs (x) t = Add (a, one) r = Reciprocal (t) y = Mul (r, x)",
    "reciprocal last": "a = Abs (x) t = Add (a, one) r = Reciprocal (t) y = Mul (x, r)",
    "Constant": "o = Constant <value = float {1}> () a = Abs (x) t = Add (a, o) y = Div (x, t)",
    "value_float": "o = Constant <value_float = 1.0> () a = Abs (x) t = Add (a, o) y = Div (x, t)",
    "value_floats": "o = Constant <value_floats = [1.0]> () a = Abs (x) t = Add (a, o) y = Div (x, t)",
    "CastLike": "o = Constant <value_int = 1> () p = CastLike (o, x) a = Abs (x) t = Add (a, p) y = Div (x, t)",
    "Cast": "o = Constant <value = double {1}> () p = Cast <to = 1> (o) a = Abs (x) t = Add (a, p) y = Div (x, t)",
    "Identity": "i = Identity (x) a = Abs (i) b = Identity (a) o = Identity (one) t = Add (b, o) y = Div (x, t)",
}


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS)
def test_forms(body: str) -> None:
    model = model_of(body)
    made = fixed(model)
    assert types(made) == ["Softsign"]
    assert not made.graph.initializer or "one" not in body
    same(model, made, x=X.astype(np.float32))


@pytest.mark.parametrize("ones", ["float[1] one = {1}", "float[1,1] one = {1}", "float[3] one = {1, 1, 1}"])
def test_ones_that_leave_the_shape_alone(ones: str) -> None:
    model = model_of(FORMS["|x| + 1"], initialisers=ones)
    same(model, fixed(model), x=X.astype(np.float32))
    assert types(fixed(model)) == ["Softsign"]


MISSES = {
    "2": ("a = Abs (x) t = Add (a, two) y = Div (x, t)", "float two = {2}"),
    "nearly 1": ("a = Abs (x) t = Add (a, near) y = Div (x, t)", "float near = {1.0000001}"),
    "minus": ("a = Abs (x) t = Sub (a, one) y = Div (x, t)", "float one = {1}"),
    "|other|": ("n = Neg (x) e = Exp (x) a = Abs (e) t = Add (a, one) y = Div (x, t)", "float one = {1}"),
    "upside down": ("a = Abs (x) t = Add (a, one) y = Div (t, x)", "float one = {1}"),
    "no |x|": ("t = Add (x, one) y = Div (x, t)", "float one = {1}"),
    "not constant": ("a = Abs (x) o = Exp (x) t = Add (a, o) y = Div (x, t)", "float one = {1}"),
    "times": ("a = Abs (x) t = Add (a, one) y = Mul (x, t)", "float one = {1}"),
    "one of several": ("a = Abs (x) t = Add (a, some) y = Div (x, t)", "float[3] some = {1, 1, 2}"),
}


@pytest.mark.parametrize(("body", "initialisers"), MISSES.values(), ids=MISSES)
def test_near_misses_are_left_alone(body: str, initialisers: str) -> None:
    model = model_of(body, initialisers=initialisers)
    assert fixed(model) == model


def test_a_one_that_changes_the_rank_is_left_alone() -> None:
    model = model_of(FORMS["|x| + 1"], initialisers="float[1,1,1] one = {1}", outputs="float[1,2,3] y")
    assert fixed(model) == model


def test_a_one_of_a_size_that_may_differ_is_left_alone() -> None:
    model = model_of(FORMS["|x| + 1"], initialisers="float[3] one = {1,1,1}")
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "n"
    assert fixed(model) == model


def test_a_one_that_the_user_may_feed_is_left_alone() -> None:
    model = model_of(FORMS["|x| + 1"], inputs=", float one")
    assert fixed(model) == model


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_are_left_alone(dtype: str) -> None:
    model = model_of(FORMS["|x| + 1"], initialisers=f"{dtype} one = {{1}}", dtype=dtype)
    assert fixed(model) == model


@pytest.mark.parametrize("dtype", ["float16", "float", "double", "bfloat16"])
@pytest.mark.parametrize("opset", [7, 13, 18, 22, 24])
def test_dtypes_and_opsets(dtype: str, opset: int) -> None:
    if dtype == "bfloat16" and opset < 13:
        return  # Abs does not take it
    bits = {"float16": 15360, "bfloat16": 16256}.get(dtype, 1)  # as which the text form gives these
    model = model_of(
        FORMS["|x| + 1"], initialisers=f"{dtype} one = {{{bits}}}", dtype=dtype, opset=opset, ir=8
    )
    made = fixed(model)
    if dtype == "bfloat16" and opset < 22:
        assert made == model  # ONNX's Softsign does not take it
    else:
        assert types(made) == ["Softsign"]
    exact = fixed(model, accurate=True)
    name = "Softsign_half" if dtype in ("float16", "bfloat16") else "Softsign"
    if made != model:
        assert [(node.domain, node.op_type) for node in exact.graph.node] == [("softsign", name)]
        numpy_dtype = onnx.helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)
        x = np.array([[np.inf, -np.inf, 0], [1, -3, 7]], numpy_dtype)
        found = run(exact, {"x": x})["y"].astype(np.float64)
        assert found.tolist() == [[1, -1, 0], [0.5, -0.75, 0.875]]


def test_values_that_something_else_uses_are_kept() -> None:
    model = model_of(
        "a = Abs (x) t = Add (a, one) y = Div (x, t) z = Mul (a, one)",
        outputs="float[2,3] y, float[2,3] t, float[2,3] z",
    )
    made = fixed(model)
    assert types(made) == ["Abs", "Add", "Softsign", "Mul"]
    same(model, made, x=X.astype(np.float32))


def test_what_was_unused_before_stays() -> None:
    model = model_of(
        "u = Exp (x) a = Abs (x) t = Add (a, one) y = Div (x, t)",
        initialisers="float one = {1}, float w = {2}",
    )
    made = fixed(model)
    assert types(made) == ["Exp", "Softsign"]
    assert [tensor.name for tensor in made.graph.initializer] == ["w"]


def test_several_share_a_constant_and_names_are_kept() -> None:
    body = """[abs] a = Abs (x) [add] t = Add (a, one) [act1] h = Div (x, t) m = Tanh (h)
        b = Abs (m) u = Add (one, b) [act2] y = Div (m, u)"""
    model = model_of(body)
    made = fixed(model)
    assert [(node.op_type, node.name) for node in made.graph.node if node.op_type == "Softsign"] == [
        ("Softsign", "act1"),
        ("Softsign", "act2"),
    ]
    assert types(made) == ["Softsign", "Tanh", "Softsign"]
    assert not made.graph.initializer
    assert count_softsign(made) == 2
    same(model, made, x=X.astype(np.float32))


BRANCHES = """y = If (c) <
    then_branch = yes () => (float[2,3] p) { a = Abs (x) t = Add (a, one) p = Div (x, t) },
    else_branch = no () => (float[2,3] q) { OWN b = Abs (x) u = Add (b, two) q = Div (x, u) }>"""


def test_control_flow() -> None:
    body = BRANCHES.replace("OWN", "two = Constant <value = float {1}> ()")
    model = model_of(body, inputs=", bool c")
    made = fixed(model)
    assert count_softsign(made) == 2
    assert not made.graph.initializer  # only a branch used it
    for c in (True, False):
        same(model, made, x=X.astype(np.float32), c=np.array(c))


def test_names_mean_what_they_mean_inside() -> None:
    """A body's own constant two is not a one, although another one is outside."""
    model = model_of(BRANCHES.replace("OWN", "two = Constant <value = float {2}> ()"), inputs=", bool c")
    made = fixed(model)
    assert count_softsign(made) == 1
    for c in (True, False):
        same(model, made, x=X.astype(np.float32), c=np.array(c))


def test_loops() -> None:
    body = """n = Constant <value_int = 3> () y = Loop (n, , x) <
        body = step (int64 i, bool go, float[2,3] h) => (bool on, float[2,3] next)
        { on = Identity (go) a = Abs (h) t = Add (a, one) next = Div (h, t) }>"""
    model = model_of(body)
    made = fixed(model)
    assert count_softsign(made) == 1
    same(model, made, x=X.astype(np.float32))


def test_functions_of_the_model() -> None:
    more = """<domain: "mine", opset_import: ["" : 18]> Activation (v) => (w)
        { o = Constant <value = float {1}> () a = Abs (v) t = Add (a, o) w = Div (v, t) }"""
    model = model_of("y = mine.Activation (x)", more=more)
    made = fixed(model)
    assert [node.op_type for node in made.functions[0].node] == ["Softsign"]
    assert count_softsign(made) == 1
    same(model, made, x=X.astype(np.float32))
    exact = fixed(model, accurate=True)
    assert [(node.domain, node.op_type) for node in exact.graph.node] == [("softsign", "Softsign")]


def test_functions_of_unknown_type_are_left_alone() -> None:
    more = """<domain: "mine", opset_import: ["" : 18]> Activation (v) => (w)
        { n = Constant <value_int = 1> () o = CastLike (n, v) a = Abs (v) t = Add (a, o) w = Div (v, t) }"""
    model = model_of("y = mine.Activation (x)", more=more)
    assert fixed(model) == model


# ---------------------------------------------------------------- PyTorch


class Network(torch.nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (
            torch.nn.Linear(3, 8),
            torch.nn.Linear(8, 6),
            torch.nn.Linear(6, 2),
        )
        self.activation = torch.nn.Softsign()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.nn.functional.softsign(self.first(x))
        made: torch.Tensor = self.third(self.activation(self.second(hidden)))
        return made


def exported(network: torch.nn.Module, x: torch.Tensor, **options: Any) -> ModelProto:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of the exporter, about itself
        program = torch.onnx.export(network, (x,), dynamo=True, verbose=False, **options)
    assert program is not None
    model: ModelProto = program.model_proto
    return model


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_a_network_that_pytorch_exports(dynamic: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network = Network().to(dtype)
    x = torch.randn(4, 3, dtype=dtype)
    options = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if dynamic else {}
    model = exported(network, x, **options)
    assert count_softsign(model) == 0  # why fix_softsign exists: when this fails, PyTorch has learnt it
    made = fixed(model)
    assert count_softsign(made) == 2
    assert not {"Abs", "Div"} & set(types(made))
    name = made.graph.input[0].name
    exact = fixed(model, accurate=True)
    expected = network(x).detach().numpy()
    for candidate in (
        exact,
        *([made] if dtype != torch.float64 else []),
    ):  # of which ONNX Runtime has no Softsign
        (found,) = run(candidate, {name: x.numpy()}).values()
        eps = float(np.finfo(expected.dtype).eps)
        np.testing.assert_allclose(found, expected, rtol=16 * eps, atol=2 * eps)


# ---------------------------------------------------------------- a law


@settings(max_examples=40)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["Abs", "Neg", "Tanh"]),
            st.sampled_from(["one", "two"]),
            st.booleans(),
            st.sampled_from(["Div", "Mul"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_values_never_change(steps: list[tuple[str, str, bool, str, bool]]) -> None:
    """Chains of Softsign and of what looks like it."""
    lines, source = [], "x"
    softsigns = 0
    for i, (inner, constant, swapped, outer, other) in enumerate(steps):
        operands = f"{constant}, a{i}" if swapped else f"a{i}, {constant}"
        top = "x" if other else source
        lines.append(f"a{i} = {inner} ({source}) t{i} = Add ({operands}) h{i} = {outer} ({top}, t{i})")
        softsigns += (inner, constant, outer, top) == ("Abs", "one", "Div", source)
        source = f"h{i}"
    lines.append(f"y = Identity ({source})")
    model = model_of(" ".join(lines), initialisers="double one = {1}, double two = {2}", dtype="double")
    made = fixed(model)
    assert count_softsign(made) == softsigns
    x = X + 0.1
    with np.errstate(all="ignore"):
        expected = run(model, {"x": x}, engine="softsign")["y"]
        found = run(made, {"x": x}, engine="softsign")["y"]
    known = np.isfinite(expected)  # x / (1 + |x|) is nan at infinity, where Softsign is 1
    np.testing.assert_allclose(found[known], expected[known], rtol=1e-10)
