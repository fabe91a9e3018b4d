"""Models whose functions are inlined, in engines that take no functions: OpenVINO and tinygrad."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest

from softsign.onnx import (
    ModelError,
    fix_softsign,
    from_model,
    gradients,
    inline_functions,
    run,
    sgd_step,
    to_model,
)
from softsign.operator import Net
from tests.helpers import assert_same_bits
from tests.onnx_helpers import model_of

#: Functions of which tinygrad, which reorders sums and products, keeps the digits.
FEW = ("SoftsignGradient", "SoftsignDerivative", "SoftsignSecondDerivative", "SoftsignInverse")


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """Return the program of `make onnx-engines`."""
    path = Path(__file__).parent.parent / "benchmarks" / "onnx_engines.py"
    spec = importlib.util.spec_from_file_location("onnx_engines", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("engine", ["onnxruntime", "onnx", "openvino", "tinygrad"])
def test_gradients(bench: ModuleType, engine: str) -> None:
    pytest.importorskip(engine)
    model, feeds, exact = bench.perceptron()
    assert {node.domain for node in model.graph.node} == {""}
    assert bench.gradient_error(bench.ENGINES[engine](model, feeds), exact) < 1e-6


@pytest.mark.parametrize("engine", ["onnxruntime", "onnx", "openvino"])
def test_the_family(bench: ModuleType, engine: str) -> None:
    """OpenVINO divides by multiplying with the reciprocal, which half of a bound more allows for."""
    pytest.importorskip(engine)
    model, feeds = bench.family(bench.FAMILY, 500)
    found = bench.ratios(bench.ENGINES[engine](model, feeds), feeds)
    assert list(found) == list(bench.FAMILY)
    assert found["Softsign"] <= 1
    assert max(found.values()) <= (1.5 if engine == "openvino" else 1), found


def test_tinygrad(bench: ModuleType) -> None:
    pytest.importorskip("tinygrad")
    model, feeds = bench.family(["Softsign", *FEW], 30)
    found = bench.ratios(bench.ENGINES["tinygrad"](model, feeds), feeds)
    assert max(found.values()) <= 3, found


def test_wrong_values_would_be_seen(bench: ModuleType) -> None:
    model, feeds = bench.family(["Softsign"], 30)
    outputs = run(model, feeds)
    assert bench.ratios(outputs, feeds)["Softsign"] <= 1
    outputs["Softsign"][3] *= np.float32(1 + 1e-6)
    assert bench.ratios(outputs, feeds)["Softsign"] > 1
    outputs["Softsign"][3] = np.nan
    assert bench.ratios(outputs, feeds)["Softsign"] == np.inf
    _, _, exact = bench.perceptron()
    assert bench.gradient_error({name: value * 1.01 for name, value in exact.items()}, exact) > 1e-3


def checked(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model, having seen that it is a good one of ONNX's own operators alone."""
    onnx.checker.check_model(model, full_check=True)
    assert len(model.functions) == 0
    assert [imported.domain for imported in model.opset_import] == [""]
    return model


def test_functions_inlined_on_request() -> None:
    net = Net("layer", {"W": np.ones((3, 2), np.float32)})
    net.add("MatMul", ["X", "W"], "Z")
    net.add("SoftsignDerivative", "Z", "Y")
    net.add("ReduceMean", "Y", "L", keepdims=0)
    types = {"X": ("float32", ("batch", 3))}
    x = np.array([[1, -2, 3], [0.5, 0, 0]], np.float32)
    model = to_model(net, types)
    inlined = checked(to_model(net, types, inline=True))
    assert_same_bits(run(inlined, {"X": x})["L"], run(model, {"X": x})["L"])
    plain = gradients(model, "L", "W")
    made = checked(gradients(model, "L", "W", inline=True))
    assert_same_bits(run(made, {"X": x})["W_grad"], run(plain, {"X": x})["W_grad"])
    step = checked(sgd_step(made, learning_rate=0.1))
    assert run(step, {"X": x, "W": net.constants["W"]})["W_next"].shape == (3, 2)
    assert len(plain.functions) > 0
    assert checked(inline_functions(plain)) == made
    with pytest.raises(ModelError):
        from_model(made)


def test_accurate_softsign_inlined() -> None:
    model = model_of("y = Softsign (x)")
    made = checked(fix_softsign(model, accurate=True, inline=True))
    x = np.array([np.inf, -np.inf, -0.0, 3], np.float32)
    assert_same_bits(run(made, {"x": x})["y"], np.array([1, -1, -0.0, 0.75], np.float32))


def test_only_unused_domains_are_dropped() -> None:
    model = model_of("y = com.microsoft.Gelu (x)", opset='"" : 18, "com.microsoft" : 1, "softsign" : 1')
    made = inline_functions(model)
    assert [imported.domain for imported in made.opset_import] == ["", "com.microsoft"]
    assert len(model.opset_import) == 3
