"""Run models of this package, functions inlined, in ONNX engines, and print how far their values are off.

The command is `make onnx-engines`. Engines that are not installed are left out; onnxruntime-web is taken from
the folder of ``--web``, in which ``npm install onnxruntime-web`` has been run, and needs node. Everything is
float32. The errors of functions are in ulp, to float64, as parts of `softsign.onnx.functions.bound`; those of
gradients are relative to the largest element.
"""

import argparse
import base64
import importlib.metadata
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, helper
from onnx.reference import ReferenceEvaluator

from softsign.onnx import gradients, inline_functions, run, to_model
from softsign.onnx.dialect import IR_VERSION, OPSET, add_functions
from softsign.onnx.functions import DOMAIN, bound, operator_of
from softsign.operator import Net
from softsign.operator.registry import find

Array = npt.NDArray[Any]
Outputs = dict[str, Array]
Engine = Callable[[ModelProto, Mapping[str, Array]], Outputs]

#: Each operator that is a function of numbers; of those with an order, some orders.
FAMILY = (
    "Softsign",
    "SoftsignGradient",
    "SoftsignGradientFromOutput",
    "SoftsignInverse",
    "SoftsignDerivative",
    "SoftsignSecondDerivative",
    "SoftsignAntiderivative",
    "SoftsignSecondAntiderivative",
    "SoftsignLogJacobian",
    "SoftsignLogJacobianGradient",
    "SoftsignNthDerivative_3",
    "SoftsignNthDerivative_4",
    "SoftsignDerivativeFromOutput_0",
    "SoftsignDerivativeFromOutput_1",
)


def numbers(count: int) -> Array:
    """Return numbers of all sizes, of both signs, with 0 and the infinities."""
    rng = np.random.default_rng(0)
    sizes = np.exp2(rng.uniform(-40, 40, count)) * rng.choice([-1, 1], count)
    return np.concatenate([sizes, rng.uniform(-4, 4, count), [0, 0.5, -1, np.inf, -np.inf]]).astype(
        np.float32
    )


def family(functions: Sequence[str], count: int) -> tuple[ModelProto, dict[str, Array]]:
    """Return a model that calls functions, each with an output of its name, and what to feed."""
    x = numbers(count)
    feeds = {
        "x": x,
        "y": np.linspace(-1, 1, len(x), dtype=np.float32),
        "dy": np.linspace(1, 2, len(x), dtype=np.float32),
    }
    nodes = [helper.make_node(name, _inputs(name), [name], domain=DOMAIN) for name in functions]
    infos = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n"]) for name in (*feeds, *functions)
    ]
    graph = helper.make_graph(nodes, "family", infos[: len(feeds)], infos[len(feeds) :])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    add_functions(model, nodes)
    return inline_functions(model), feeds


def _inputs(name: str) -> list[str]:
    takes_output = "FromOutput" in name or "Inverse" in name
    return ["y" if takes_output else "x", *(["dy"] if "Gradient" in name else [])]


def ratios(outputs: Mapping[str, Array], feeds: Mapping[str, Array]) -> dict[str, float]:
    """Return the largest error of each function as a part of its bound; the sign of zeros does not count."""
    found = {}
    for name, value in outputs.items():
        type, attributes = operator_of(name)
        with np.errstate(all="ignore"):
            arguments = [feeds[i].astype(np.float64) for i in _inputs(name)]
            exact = np.asarray(find(type).kernel(*arguments, None, **attributes))
            rounded = exact.astype(np.float32)
            error = np.abs(value - exact) / np.spacing(np.abs(rounded)).astype(np.float64)
        error[value == rounded] = np.minimum(error[value == rounded], 0.5)
        error[np.isinf(rounded)] = np.where(value[np.isinf(rounded)] == rounded[np.isinf(rounded)], 0, np.inf)
        found[name] = float(np.max(np.nan_to_num(error, nan=np.inf)) / bound(name))
    return found


def perceptron() -> tuple[ModelProto, dict[str, Array], Outputs]:
    """Return the gradient graph of a multilayer perceptron, what to feed, and the exact values."""
    rng = np.random.default_rng(0)
    sizes = {"W1": (3, 4), "b1": (4,), "W2": (4, 2), "b2": (2,)}
    net = Net("perceptron", {n: rng.standard_normal(size).astype(np.float32) for n, size in sizes.items()})
    net.add("MatMul", ["X", "W1"], "Z1")
    net.add("Add", ["Z1", "b1"], "A1")
    net.add("Softsign", "A1", "H")
    net.add("MatMul", ["H", "W2"], "Z2")
    net.add("Add", ["Z2", "b2"], "A2")
    net.add("Sub", ["A2", "T"], "D")
    net.add("Mul", ["D", "D"], "S")
    net.add("ReduceMean", "S", "L", keepdims=0)
    feeds = {
        "X": rng.standard_normal((4, 3)).astype(np.float32),
        "T": rng.standard_normal((4, 2)).astype(np.float32),
    }
    types = {"X": ("float32", ("n", 3)), "T": ("float32", ("n", 2))}
    model = gradients(to_model(net, types, outputs=["L"]), "L", list(sizes), inline=True)
    values = {n: v.astype(np.float64) for n, v in (net.constants | feeds).items()}
    a1 = values["X"] @ values["W1"] + values["b1"]
    h = a1 / (1 + np.abs(a1))
    d = h @ values["W2"] + values["b2"] - values["T"]
    da2 = 2 * d / d.size
    da1 = da2 @ values["W2"].T / (1 + np.abs(a1)) ** 2
    slopes = {"W1": values["X"].T @ da1, "b1": da1.sum(axis=0), "W2": h.T @ da2, "b2": da2.sum(axis=0)}
    return model, feeds, {"L": np.mean(d**2), **{f"{name}_grad": slope for name, slope in slopes.items()}}


def gradient_error(outputs: Outputs, exact: Outputs) -> float:
    """Return the largest error of gradients, relative to the largest element of each."""
    return max(float(np.abs(outputs[n] - v).max() / np.abs(v).max()) for n, v in exact.items())


def reference(model: ModelProto, feeds: Mapping[str, Array]) -> Outputs:
    """Run a model in onnx's reference implementation."""
    with np.errstate(all="ignore"):
        results = ReferenceEvaluator(model).run(None, dict(feeds))
    return dict(zip((value.name for value in model.graph.output), results, strict=True))


def openvino(model: ModelProto, feeds: Mapping[str, Array]) -> Outputs:
    """Run a model in OpenVINO on the CPU."""
    import openvino as ov

    core = ov.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", options)
    results = compiled(dict(feeds))
    return {output.get_any_name(): results[output] for output in compiled.outputs}


def tinygrad(model: ModelProto, feeds: Mapping[str, Array]) -> Outputs:
    """Run a model in tinygrad, interpreted by Python."""
    os.environ.setdefault("DEV", "PYTHON")
    os.environ.setdefault("PARALLEL", "0")  # no processes, each of which imports it again
    os.environ.setdefault("CACHELEVEL", "0")  # no files in the home of whoever runs it
    from tinygrad.nn.onnx import OnnxRunner
    from tinygrad.tensor import Tensor

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        onnx.save(model, path)
        made = OnnxRunner(path)({name: Tensor(value) for name, value in feeds.items()})
        return {name: value.numpy() for name, value in made.items()}


_SCRIPT = """
import fs from 'fs';
import * as ort from 'onnxruntime-web';
ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';
const { model, feeds } = JSON.parse(fs.readFileSync(0));
const options = { executionProviders: ['wasm'] };
const session = await ort.InferenceSession.create(Buffer.from(model, 'base64'), options);
const given = {};
for (const [name, { shape, data }] of Object.entries(feeds)) {
  const bytes = new Uint8Array(Buffer.from(data, 'base64'));
  given[name] = new ort.Tensor('float32', new Float32Array(bytes.buffer), shape);
}
const results = {};
for (const [name, { data, dims }] of Object.entries(await session.run(given))) {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  results[name] = { shape: dims, data: bytes.toString('base64') };
}
console.log(JSON.stringify(results));
"""


def web(folder: Path) -> Engine:
    """Return onnxruntime-web, WebAssembly in node, installed in a folder."""

    def compute(model: ModelProto, feeds: Mapping[str, Array]) -> Outputs:
        encoded = {
            n: {"shape": v.shape, "data": base64.b64encode(v.tobytes()).decode()} for n, v in feeds.items()
        }
        job = json.dumps({"model": base64.b64encode(model.SerializeToString()).decode(), "feeds": encoded})
        command = ["node", "--input-type=module", "--eval", _SCRIPT]
        done = subprocess.run(command, input=job, cwd=folder, text=True, stdout=subprocess.PIPE, check=True)
        results = json.loads(done.stdout.splitlines()[-1])
        return {
            name: np.frombuffer(base64.b64decode(value["data"]), np.float32).reshape(value["shape"])
            for name, value in results.items()
        }

    return compute


#: Engines by the name of the package that has them.
ENGINES: dict[str, Engine] = {
    "onnxruntime": run,
    "onnx": reference,
    "openvino": openvino,
    "tinygrad": tinygrad,
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--web", type=Path, metavar="FOLDER", help="where onnxruntime-web is installed")
    web_folder = parser.parse_args().web
    engines, versions = dict(ENGINES), {}
    for name in ENGINES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            del engines[name]
    if web_folder is not None:
        package = web_folder / "node_modules" / "onnxruntime-web" / "package.json"
        engines["onnxruntime-web"] = web(web_folder)
        versions["onnxruntime-web"] = json.loads(package.read_text(encoding="utf-8"))["version"]
    print("| engine | version | gradients of a perceptron | accurate Softsign | the family, worst function |")
    print("| -- | -- | -- | -- | -- |")
    for name, engine in engines.items():
        count = 100 if name == "tinygrad" else 2000
        model, feeds, exact = perceptron()
        error = gradient_error(engine(model, feeds), exact)
        model, feeds = family(FAMILY, count)
        found = ratios(engine(model, feeds), feeds)
        worst = max(found, key=lambda key: found[key])
        softsign = f"{found['Softsign'] * bound('Softsign'):.2f} ulp"
        family_error = f"{found[worst]:.2f} of its bound: {worst}"
        print(f"| {name} | {versions[name]} | {error:.1e} | {softsign} | {family_error} |")


if __name__ == "__main__":
    main()
