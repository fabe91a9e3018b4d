"""Models raised to opset 18, and their functions inlined."""

from pathlib import Path

import numpy as np
import pytest

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
)
from tests.helpers import assert_same_bits
from tests.onnx_helpers import MINE, by_engine, model_of, ran

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
            "f = Flatten (x) t = Transpose (f) p = MatMul (f, t) g = Gemm <alpha = 0.5, transB = 1> (p, p, p)"
            " s = Softsign (g) u = Tanh (s) v = Sigmoid (u) w = Relu (v) a = Add (w, p) b = Mul (a, p)"
            " c = Sub (b, s) d = Neg (c) y = Div (d, g)"
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
    np.testing.assert_allclose(ran(from_model(model), feeds).fetch("y"), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("ir", "inputs"), [(3, ["x"]), (4, ["x", "w"])])
def test_initializers_that_are_inputs(ir: int, inputs: list[str]) -> None:
    """Before IR version 4 they had to be; since then it lets the caller replace them."""
    model = model_of(
        "y = Add (x, w)", "float[1] x, float[1] w", initializers="float[1] w = {1}", opset=8, ir=ir
    )
    assert [value.name for value in normalize_model(model).graph.input] == inputs


def test_newer_opsets_stay() -> None:
    model = model_of("y = Softsign (x)", opset=22, ir=10)
    assert normalize_model(model) == model


@pytest.mark.parametrize(
    ("body", "function"),
    [
        ("y = mine.D (x)", "c = Neg (a) b = Softsign (c)"),
        ("z = softsign.SoftsignDerivative (x) y = mine.D (z)", "b = Neg (a)"),
        ("z = mine.D (x) y = mine.D (z)", "c = softsign.SoftsignDerivative (a) b = Sub (c, a)"),
    ],
)
def test_functions_of_the_model_are_inlined_and_those_of_softsign_kept(body: str, function: str) -> None:
    more = f'<domain: "mine", opset_import: ["" : 18, "softsign" : 1]> D (a) => (b) {{ {function} }}'
    model = model_of(body, opset=f'{MINE}, "softsign" : 1', more=more)
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
    np.testing.assert_allclose(ran(from_model(model), feeds).fetch("y"), wanted, rtol=1e-6)


@by_engine
def test_somebody_elses_functions_in_softsigns_domain(tmp_path: Path, engine: str) -> None:
    more = '<domain: "softsign", opset_import: ["" : 18]> Mine (a) => (b) { b = Neg (a) }'
    body = "y = softsign.Mine (x) l = ReduceSum <keepdims = 0> (y)"
    path = tmp_path / "model.onnx"
    path.write_bytes(model_of(body, opset='"" : 18, "softsign" : 1', more=more).SerializeToString())
    model = load_model(path)
    x = np.array([-1, 3], np.float32)
    for made in (model, normalize_model(model), fix_softsign(model)):
        assert run(made, {"x": x}, engine=engine)["y"].tolist() == [1, -3]
        assert count_softsign(made) == 0
    assert run(gradients(model, "l", "x"), {"x": x}, engine=engine)["x_grad"].tolist() == [-1, -1]
    assert ran(from_model(model), {"x": x}).fetch("y").tolist() == [1, -3]


def test_functions_of_an_older_opset() -> None:
    mean = "b = ReduceMean <axes = [0], keepdims = 1> (a)"
    more = f'<domain: "mine", opset_import: ["" : 13]> D (a) => (b) {{ {mean} }}'
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
