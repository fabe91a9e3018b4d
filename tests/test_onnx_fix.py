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
from onnx import ModelProto

from softsign.onnx import ModelError, count_softsign, fix_softsign, run
from tests.helpers import Array
from tests.onnx_helpers import model_of

X = np.array([[-3.0, -0.5, 0.0], [0.25, 1.0, 1e6]])


def split(
    body: str,
    *,
    initializers: str = "float one = {1}",
    opset: int = 18,
    dtype: str = "float",
    outputs: str = "",
    ir: int = 8,
    inputs: str = "",
    more: str = "",
) -> ModelProto:
    """Return a good model of x and y, in which an exporter may have split Softsign up."""
    model = model_of(
        body,
        f"{dtype}[2,3] x{inputs}",
        outputs or f"{dtype}[2,3] y",
        opset=f'"" : {opset}, "mine" : 1' if more else opset,
        initializers=initializers,
        more=more,
        ir=ir,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def fixed(model: ModelProto, **options: bool) -> ModelProto:
    """Return the fixed model, having seen that it is a good one that gives the same as before."""
    before = model.SerializeToString()
    made = fix_softsign(model, **options)
    assert model.SerializeToString() == before
    onnx.checker.check_model(made, full_check=True)
    assert made.metadata_props == model.metadata_props
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


OF_P = "a = Abs (x) t = Add (a, p) y = Div (x, t)"
FORMS = {
    "1 + |x|": "a = Abs (x) t = Add (one, a) y = Div (x, t)",
    "|x| + 1": "a = Abs (x) t = Add (a, one) y = Div (x, t)",
    "reciprocal": "a = Abs (x) t = Add (a, one) r = Reciprocal (t) y = Mul (r, x)",
    "reciprocal last": "a = Abs (x) t = Add (a, one) r = Reciprocal (t) y = Mul (x, r)",
    "Constant": "o = Constant <value = float {1}> () a = Abs (x) t = Add (a, o) y = Div (x, t)",
    "value_float": "o = Constant <value_float = 1.0> () a = Abs (x) t = Add (a, o) y = Div (x, t)",
    "value_floats": "o = Constant <value_floats = [1.0]> () a = Abs (x) t = Add (a, o) y = Div (x, t)",
    "CastLike": f"o = Constant <value_int = 1> () p = CastLike (o, x) {OF_P}",
    "Cast": f"o = Constant <value = double {{1}}> () p = Cast <to = 1> (o) {OF_P}",
    "value_ints": f"o = Constant <value_ints = [1]> () p = Cast <to = 1> (o) {OF_P}",
    "Identity": (
        "i = Identity (x) a = Abs (i) b = Identity (a) p = Identity (one) t = Add (b, p) y = Div (x, t)"
    ),
}


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS)
def test_forms(body: str) -> None:
    model = split(body)
    made = fixed(model)
    assert types(made) == ["Softsign"]
    assert not made.graph.initializer or "one" not in body
    same(model, made, x=X.astype(np.float32))


@pytest.mark.parametrize("ones", ["float[1] one = {1}", "float[1,1] one = {1}", "float[3] one = {1, 1, 1}"])
def test_ones_that_leave_the_shape_alone(ones: str) -> None:
    model = split(FORMS["|x| + 1"], initializers=ones)
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


@pytest.mark.parametrize(("body", "initializers"), MISSES.values(), ids=MISSES)
def test_near_misses_are_left_alone(body: str, initializers: str) -> None:
    model = split(body, initializers=initializers)
    assert fixed(model) == model


def test_a_one_that_changes_the_rank_is_left_alone() -> None:
    model = split(FORMS["|x| + 1"], initializers="float[1,1,1] one = {1}", outputs="float[1,2,3] y")
    assert fixed(model) == model


def test_a_one_of_a_size_that_may_differ_is_left_alone() -> None:
    model = split(FORMS["|x| + 1"], initializers="float[3] one = {1,1,1}")
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "n"
    assert fixed(model) == model


def test_a_one_that_the_user_may_feed_is_left_alone() -> None:
    model = split(FORMS["|x| + 1"], inputs=", float one")
    assert fixed(model) == model


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_are_left_alone(dtype: str) -> None:
    model = split(FORMS["|x| + 1"], initializers=f"{dtype} one = {{1}}", dtype=dtype)
    assert fixed(model) == model


@pytest.mark.parametrize("dtype", ["float16", "float", "double", "bfloat16"])
@pytest.mark.parametrize("opset", [7, 13, 18, 22, 24])
def test_dtypes_and_opsets(dtype: str, opset: int) -> None:
    if dtype == "bfloat16" and opset < 13:
        return  # Abs does not take it
    bits = {"float16": 15360, "bfloat16": 16256}.get(dtype, 1)  # as which the text form gives these
    model = split(FORMS["|x| + 1"], initializers=f"{dtype} one = {{{bits}}}", dtype=dtype, opset=opset, ir=8)
    made = fixed(model)
    if (dtype == "bfloat16" and opset < 22) or (dtype == "double" and opset != 18):
        assert made == model  # ONNX's Softsign does not take it, or ONNX Runtime does not have it
    else:
        assert types(made) == ["Softsign"]
    exact = fixed(model, accurate=True)
    name = "Softsign_half" if dtype in ("float16", "bfloat16") else "Softsign"
    if dtype != "bfloat16" or opset >= 22:
        assert [(node.domain, node.op_type) for node in exact.graph.node] == [("softsign", name)]
        numpy_dtype = onnx.helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)
        x = np.array([[np.inf, -np.inf, 0], [1, -3, 7]], numpy_dtype)
        found = run(exact, {"x": x})["y"].astype(np.float64)
        assert found.tolist() == [[1, -1, 0], [0.5, -0.75, 0.875]]


def test_values_that_something_else_uses_are_kept() -> None:
    model = split(
        "a = Abs (x) t = Add (a, one) y = Div (x, t) z = Mul (a, one)",
        outputs="float[2,3] y, float[2,3] t, float[2,3] z",
    )
    made = fixed(model)
    assert types(made) == ["Abs", "Add", "Softsign", "Mul"]
    same(model, made, x=X.astype(np.float32))


def test_what_was_unused_before_stays() -> None:
    model = split(
        "u = Exp (x) a = Abs (x) t = Add (a, one) y = Div (x, t)",
        initializers="float one = {1}, float w = {2}",
    )
    made = fixed(model)
    assert types(made) == ["Exp", "Softsign"]
    assert [tensor.name for tensor in made.graph.initializer] == ["w"]


def test_several_share_a_constant_and_names_are_kept() -> None:
    body = """[abs] a = Abs (x) [add] t = Add (a, one) [act1] h = Div (x, t) m = Tanh (h)
        b = Abs (m) u = Add (one, b) [act2] y = Div (m, u)"""
    model = split(body)
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
    model = split(body, inputs=", bool c")
    made = fixed(model)
    assert count_softsign(made) == 2
    assert not made.graph.initializer  # only a branch used it
    for c in (True, False):
        same(model, made, x=X.astype(np.float32), c=np.array(c))


def test_names_mean_what_they_mean_inside() -> None:
    """A body's own constant two is not a one, although another one is outside."""
    model = split(BRANCHES.replace("OWN", "two = Constant <value = float {2}> ()"), inputs=", bool c")
    made = fixed(model)
    assert count_softsign(made) == 1
    for c in (True, False):
        same(model, made, x=X.astype(np.float32), c=np.array(c))


def test_loops() -> None:
    body = """n = Constant <value_int = 3> () y = Loop (n, , x) <
        body = step (int64 i, bool go, float[2,3] h) => (bool on, float[2,3] next)
        { on = Identity (go) a = Abs (h) t = Add (a, one) next = Div (h, t) }>"""
    model = split(body)
    made = fixed(model)
    assert count_softsign(made) == 1
    same(model, made, x=X.astype(np.float32))


def test_functions_of_the_model() -> None:
    more = """<domain: "mine", opset_import: ["" : 18]> Activation (v) => (w)
        { o = Constant <value = float {1}> () a = Abs (v) t = Add (a, o) w = Div (v, t) }"""
    model = split("y = mine.Activation (x)", more=more)
    made = fixed(model)
    assert [node.op_type for node in made.functions[0].node] == ["Softsign"]
    assert count_softsign(made) == 1
    same(model, made, x=X.astype(np.float32))
    exact = fixed(model, accurate=True)
    assert [(node.domain, node.op_type) for node in exact.graph.node] == [("softsign", "Softsign")]


def test_a_cast_tells_the_dtype_in_a_function() -> None:
    more = """<domain: "mine", opset_import: ["" : 18]> Activation (v) => (w)
        { n = Constant <value_int = 1> () o = Cast <to = 1> (n) a = Abs (v) t = Add (a, o) w = Div (v, t) }"""
    model = split("y = mine.Activation (x)", more=more)
    assert [node.op_type for node in fixed(model).functions[0].node] == ["Softsign"]


def test_a_functions_own_opset_tells_what_softsign_takes() -> None:
    more = """<domain: "mine", opset_import: ["" : 21]> Activation (v) => (w)
        { o = Constant <value = bfloat16 {16256}> () a = Abs (v) t = Add (a, o) w = Div (v, t) }"""
    model = split("y = mine.Activation (x)", more=more, dtype="bfloat16", initializers="", opset=22)
    assert fixed(model) == model


def test_functions_of_unknown_type_are_left_alone() -> None:
    more = """<domain: "mine", opset_import: ["" : 18]> Activation (v) => (w)
        { n = Constant <value_int = 1> () o = CastLike (n, v) a = Abs (v) t = Add (a, o) w = Div (v, t) }"""
    model = split("y = mine.Activation (x)", more=more)
    assert fixed(model) == model


CASTS = {
    "|x| in a wider type and back": (
        "w = Cast <to = 11> (x) a = Abs (w) b = Cast <to = 1> (a) t = Add (b, one)",
        1,
    ),
    "1 + |x| in a wider type": (
        "a = Abs (x) w = Cast <to = 11> (a) s = Add (w, wide) t = Cast <to = 1> (s)",
        1,
    ),
    "|x| in a narrower type": (
        "w = Cast <to = 10> (x) a = Abs (w) b = Cast <to = 1> (a) t = Add (b, one)",
        0,
    ),
    "|x| as an integer": ("w = Cast <to = 7> (x) a = Abs (w) b = Cast <to = 1> (a) t = Add (b, one)", 0),
    "1 by truncation": ("i = Cast <to = 7> (near) o = Cast <to = 1> (i) a = Abs (x) t = Add (a, o)", 0),
}


@pytest.mark.parametrize(("denominator", "count"), CASTS.values(), ids=CASTS)
def test_casts(denominator: str, count: int) -> None:
    model = split(
        f"{denominator} y = Div (x, t)", initializers="float one = {1}, double wide = {1}, float near = {1.5}"
    )
    made = fixed(model)
    assert count_softsign(made) == count
    assert count or made == model
    same(model, made, x=X.astype(np.float32))


def test_of_a_value_that_is_cast() -> None:
    model = split("i = Cast <to = 7> (x) h = Cast <to = 1> (i) a = Abs (h) t = Add (a, one) y = Div (h, t)")
    made = fixed(model)
    assert types(made) == ["Cast", "Cast", "Softsign"]
    same(model, made, x=X.astype(np.float32))


def test_an_input_that_gave_a_dtype_alone_stays() -> None:
    body = "o = CastLike (one, like) a = Abs (x) t = Add (a, o) y = Div (x, t)"
    model = split(body, initializers="int64 one = {1}, float like = {2}", inputs=", float like")
    made = fixed(model)
    assert types(made) == ["Softsign"]
    assert [tensor.name for tensor in made.graph.initializer] == ["like"]  # of an input, which stays optional


def test_names_documentation_and_metadata_stay() -> None:
    model = split("[first] a = Abs (x) t = Add (a, one) [last] y = Div (x, t)")
    model.graph.node[2].doc_string = "an activation"
    model.graph.node[2].metadata_props.add(key="namespace", value="network/activation")
    model.metadata_props.add(key="author", value="me")
    model = onnx.shape_inference.infer_shapes(model)
    assert len(model.graph.value_info) == 2
    made = fixed(model)
    assert not made.graph.value_info
    (node,) = made.graph.node
    assert (node.name, node.doc_string) == ("last", "an activation")
    assert [(p.key, p.value) for p in node.metadata_props] == [("namespace", "network/activation")]
    assert made.metadata_props == model.metadata_props


@pytest.mark.parametrize("accurate", [False, True])
def test_before_ir_version_4_every_initializer_is_an_input(accurate: bool) -> None:
    model = split(FORMS["|x| + 1"], inputs=", float one", opset=8, ir=3)
    made = fix_softsign(model, accurate=accurate)
    assert types(made) == ["Softsign"]
    assert [value.name for value in made.graph.input] == ["x"]
    assert not made.graph.initializer
    same(model, made, x=X.astype(np.float32))


def test_opset_6_broadcasts_by_attribute() -> None:
    model = split(FORMS["|x| + 1"].replace("(a, one)", "<broadcast = 1> (a, one)"), opset=6)
    model.graph.node[2].attribute.append(onnx.helper.make_attribute("broadcast", 0))
    assert types(fixed(model)) == ["Softsign"]
    assert not fixed(model).graph.node[0].attribute


def test_a_scalar_that_gets_a_dimension_is_left_alone() -> None:
    model = model_of(FORMS["|x| + 1"], "float x", "float[1] y", initializers="float[1] one = {1}")
    assert fixed(model) == model


def foreign(body: str, initializers: str) -> ModelProto:
    """Return a model with a value of which nothing is known, since only another engine knows the operator."""
    return model_of(f"h = other.Unknown (x) {body}", opset='"" : 18, "other" : 1', initializers=initializers)


def test_the_constant_tells_the_dtype_where_nothing_else_does() -> None:
    body = "a = Abs (h) t = Add (a, one) y = Div (h, t)"
    assert types(fixed(foreign(body, "float one = {1}"))) == ["Unknown", "Softsign"]
    for unclear in ("float[1] one = {1}", "int64 one = {1}"):
        assert fixed(foreign(body, unclear)) == foreign(body, unclear)
    like = foreign(body.replace("one)", "o)").replace("a =", "o = CastLike (one, h) a ="), "float one = {1}")
    assert fixed(like) == like


def test_softsign_of_unknown_dtype_calls_no_function() -> None:
    """That of float32 gives nan in float16, and that of float16 loses digits in float64."""
    model = foreign("y = Softsign (h)", "")
    assert fixed(model, accurate=True) == model


def test_constants_that_a_functions_caller_gives_are_left_alone() -> None:
    more = """<domain: "mine", opset_import: ["" : 18]> Activation <to, c> (v) => (w) {
        n = Constant <value_int = 1> () o = Cast <to : int = @to> (n)
        a = Abs (v) t = Add (a, o) u = Div (v, t)
        p = Constant <value_float : float = @c> () b = Abs (u) s = Add (b, p) w = Div (u, s) }"""
    model = split("y = mine.Activation <to = 1, c = 2.0> (x)", more=more)
    assert fixed(model) == model


def test_functions_of_others_in_the_domain_softsign() -> None:
    more = """<domain: "softsign", opset_import: ["" : 18]> Mine (v) => (w) {
        o = Constant <value = float {1}> () a = Abs (v) t = Add (a, o) u = Div (v, t) w = Softsign (u) }"""
    model = model_of("h = softsign.Mine (x) y = Softsign (h)", opset='"" : 18, "softsign" : 1', more=more)
    assert fixed(model) == model
    assert count_softsign(model) == 1
    made = fixed(model, accurate=True)
    assert types(made) == ["Softsign"] * 3  # what is not this package's is inlined


def test_a_wrong_model_is_refused() -> None:
    model = split("p = Identity (x) q = Identity (p) a = Abs (q) t = Add (a, one) y = Div (q, t)")
    model.graph.node[0].input[0] = "q"
    with pytest.raises(ModelError, match=r"cycle: node '[pq]' \(Identity\), node '[pq]' \(Identity\)"):
        fix_softsign(model)


def test_what_a_body_is_fed_hides_a_constant_outside() -> None:
    body = """n = Constant <value_int = 2> () go = Constant <value = bool {1}> ()
        y, z = Loop (n, go, x, two) <
        body = step (int64 i, bool on, float[2,3] h, float one) => (bool more, float[2,3] next, float same)
        { more = Identity (on) same = Identity (one) a = Abs (h) t = Add (a, one) next = Div (h, t) }>"""
    model = split(body, initializers="float one = {1}, float two = {2}", outputs="float[2,3] y, float z")
    assert fixed(model) == model


def test_only_what_was_used_is_removed_outside() -> None:
    """The branch's own one goes; the one outside, which nothing used before either, stays."""
    body = """y = If (c) <then_branch = yes () => (float[2,3] p) <float one = {1}> {
            a = Abs (x) t = Add (a, one) p = Div (x, t) },
        else_branch = no () => (float[2,3] q) { q = Exp (x) }>"""
    made = fixed(split(body, inputs=", bool c"))
    assert count_softsign(made) == 1
    assert [tensor.name for tensor in made.graph.initializer] == ["one"]
    assert not made.graph.node[0].attribute[0].g.initializer


def test_scans_and_nested_branches() -> None:
    body = """s = Scan <num_scan_inputs = 1, body = row (float[3] h) => (float[3] k)
            { a = Abs (h) t = Add (a, one) k = Div (h, t) }> (x)
        y = If (c) <
            then_branch = yes () => (float[2,3] p) { p = If (c) <
                then_branch = yes2 () => (float[2,3] p2) { b = Abs (s) u = Add (b, one) p2 = Div (s, u) },
                else_branch = no2 () => (float[2,3] q2) { q2 = Exp (s) }> },
            else_branch = no () => (float[2,3] q) { q = Add (s, one) }>"""
    model = split(body, inputs=", bool c")
    made = fixed(model)
    assert count_softsign(made) == 2
    assert len(made.graph.initializer) == 1  # the last branch uses it
    same(model, made, x=X.astype(np.float32), c=np.array(True))
    accurate = fixed(model, accurate=True)
    assert count_softsign(accurate) == 2
    assert len(accurate.functions) == 1
    same(model, accurate, x=X.astype(np.float32), c=np.array(True))


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


@pytest.mark.parametrize(  # of one dtype both: of the batch's size depends the shape, of the dtype the 1
    ("dtype", "dynamic"),
    [(torch.float32, False), (torch.float32, True), (torch.float64, False), (torch.float16, True)],
)
def test_a_network_that_pytorch_exports(dtype: torch.dtype, dynamic: bool) -> None:
    torch.manual_seed(0)
    network = Network().to(dtype)
    x = torch.randn(4, 3, dtype=dtype)
    options = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if dynamic else {}
    model = exported(network, x, **options)
    assert count_softsign(model) == 0  # why fix_softsign exists: when this fails, PyTorch has learnt it
    made = fixed(model)
    if dtype == torch.float64:
        assert made == model  # ONNX Runtime has no Softsign of it
    else:
        assert count_softsign(made) == 2
        assert not {"Abs", "Div"} & set(types(made))
    name = made.graph.input[0].name
    exact = fixed(model, accurate=True)
    expected = network(x).detach().numpy()
    for candidate in (exact, made):
        (found,) = run(candidate, {name: x.numpy()}).values()
        eps = float(np.finfo(expected.dtype).eps)
        np.testing.assert_allclose(found, expected, rtol=16 * eps, atol=2 * eps)


@pytest.mark.parametrize("options", [{"optimize": False}, {"opset_version": 22}])
def test_other_forms_of_what_pytorch_exports(options: dict[str, Any]) -> None:
    """Not optimized, the 1 is a Constant and a Cast for each activation."""
    made = fixed(exported(Network(), torch.zeros(4, 3), **options))
    assert types(made) == ["Gemm", "Softsign", "Gemm", "Softsign", "Gemm"]


def test_bfloat16_from_pytorch() -> None:
    """PyTorch exports opset 20, whose Softsign does not take bfloat16; the function does."""
    model = exported(Network().bfloat16(), torch.zeros(4, 3, dtype=torch.bfloat16))
    assert fixed(model) == model
    assert types(fixed(model, accurate=True)) == ["Gemm", "Softsign_half", "Gemm", "Softsign_half", "Gemm"]


@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning")
def test_pytorchs_older_exporter() -> None:
    torch.manual_seed(0)
    network, file = Network(), io.BytesIO()
    x = torch.randn(4, 3)
    torch.onnx.export(network, (x,), file, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n"}})
    made = fixed(onnx.load_from_string(file.getvalue()))
    assert types(made) == ["Gemm", "Softsign", "Gemm", "Softsign", "Gemm"]
    (found,) = run(made, {"x": x.numpy()[:3]}).values()
    np.testing.assert_allclose(found, network(x[:3]).detach().numpy(), rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------- a law


def fits(one: tuple[int, ...], x: tuple[int, ...]) -> bool:
    return np.broadcast_shapes(one, x) == x


PIECES = st.one_of(
    st.tuples(st.sampled_from(["Abs", "Identity"]), st.integers(0, 9)),
    st.tuples(st.sampled_from(["Add", "Mul"]), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(
        st.just("quotient"),
        st.integers(0, 9),  # numerator
        st.one_of(st.none(), st.integers(0, 9)),  # of which the absolute value is added; None: the numerator
        st.sampled_from(["one", "one1", "one3", "near", "two"]),
        st.booleans(),
        st.sampled_from(["Div", "Mul", "swapped Mul"]),
        st.booleans(),  # whether Identity nodes are between
        st.booleans(),  # whether the denominator is an output too
    ),
)
CONSTANTS = (
    "double one = {1}, double[1] one1 = {1}, double[1,1,1] one3 = {1}, "
    "double near = {1.0000001}, double two = {2}"
)


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(PIECES, min_size=1, max_size=6), inside=st.booleans())
def test_values_never_change(pieces: list[tuple[Any, ...]], inside: bool) -> None:
    """Graphs of Softsign, of what looks like it, and of what is around it, in a branch of control flow too.

    Denominators are 1 at least and values stay below 1e200, so nothing is nan and rounding does not grow.
    """
    values = [("x", (2, 3), "x")]  # name, shape, and the name without Identity
    lines: list[str] = []
    outputs: list[tuple[str, tuple[int, ...]]] = []
    softsigns = 0
    for i, (kind, *arguments) in enumerate(pieces):
        x, shape, source = values[arguments[0] % len(values)]
        if kind == "quotient":
            _, other, constant, first, how, copies, kept = arguments
            z, z_shape, z_source = (x, shape, source) if other is None else values[other % len(values)]
            one_shape = {"one1": (1,), "one3": (1, 1, 1)}.get(constant, ())
            total = np.broadcast_shapes(one_shape, z_shape)
            lines.append(f"a{i} = Abs ({z})")
            lines.append(f"b{i} = Identity (a{i}) c{i} = Identity ({constant})" if copies else "")
            a, c = (f"b{i}", f"c{i}") if copies else (f"a{i}", constant)
            lines.append(f"t{i} = Add ({c}, {a})" if first else f"t{i} = Add ({a}, {c})")
            if how == "Div":
                lines.append(f"v{i} = Div ({x}, t{i})")
            else:
                operands = f"{x}, r{i}" if how == "Mul" else f"r{i}, {x}"
                lines.append(f"r{i} = Reciprocal (t{i}) v{i} = Mul ({operands})")
            softsigns += z_source == source and constant.startswith("one") and fits(one_shape, shape)
            made = np.broadcast_shapes(shape, total)
            outputs += [(f"t{i}", total)] if kept else []
        elif len(arguments) == 2:
            y, y_shape, _ = values[arguments[1] % len(values)]
            lines.append(f"v{i} = {kind} ({x}, {y})")
            made = np.broadcast_shapes(shape, y_shape)
        else:
            lines.append(f"v{i} = {kind} ({x})")
            made = shape
        values.append((f"v{i}", made, source if kind == "Identity" else f"v{i}"))
    outputs.append((values[-1][0], values[-1][1]))
    body = " ".join(lines)
    declared = [f"double[{','.join(map(str, shape))}] {name}" for name, shape in outputs]
    inputs = ""
    if inside:
        results = ", ".join(f"r_{name}" for name, _ in outputs)
        branches = (
            f"{b} = {b} () => ({', '.join(declared)}) {{ {body} }}" for b in ("then_branch", "else_branch")
        )
        body, inputs, softsigns = f"{results} = If (c) <{', '.join(branches)}>", ", bool c", 2 * softsigns
        declared = [line.replace("] ", "] r_") for line in declared]
    model = split(body, initializers=CONSTANTS, dtype="double", outputs=", ".join(declared), inputs=inputs)
    made_model = fixed(model)
    assert count_softsign(made_model) == softsigns
    feeds = {"x": np.array([[-2.5, -0.5, 0.0], [0.25, 1.0, 7.0]])} | ({"c": np.array(True)} if inside else {})
    before, after = run(model, feeds), run(made_model, feeds)
    for name, value in before.items():
        assert np.isfinite(value).all()
        np.testing.assert_allclose(after[name], value, rtol=1e-10, atol=1e-10)
