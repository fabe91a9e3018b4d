"""The other ways to compute softsign on a CPU, as one table.

A peer is a statement that `timeit` runs and a `setup` that returns the names in it. Building models and
moving data happen in `setup`, just-in-time compilation in a first call that is not timed: only the
computation is. A peer that cannot write into a given array (`allocates`) pays for a new output in every call,
as its users do.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softsign.functions import DTYPES

Array = npt.NDArray[Any]
Names = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """One way to compute softsign.

    Parameters
    ----------
    name : str
        Its name in ``--peers`` and in the CSV.
    label : str
        Its name in tables and pictures.
    modules : tuple of str
        What it imports; the version recorded is that of the first.
    dtypes : tuple of str
        The dtypes it computes in.
    setup : callable
        Called with the input, the output (same shape and dtype) and the thread count; returns the statement's
        names.
    statement : str
        The Python code that is timed.
    allocates : bool, optional
        Whether each call returns a new array instead of filling the given one.
    """

    name: str
    label: str
    modules: tuple[str, ...]
    dtypes: tuple[str, ...]
    setup: Callable[[Array, Array, int], Names]
    statement: str
    allocates: bool = False

    def missing(self) -> str | None:
        """Say why the peer cannot run here, or return None if it can."""
        try:
            for module in self.modules:
                importlib.import_module(module)
        except ImportError as error:
            return str(error)
        return None

    def version(self) -> str:
        """Return the version of the peer's library."""
        return str(importlib.import_module(self.modules[0]).__version__)


def _numpy(x: Array, y: Array, threads: int) -> Names:
    return {"np": np, "x": x, "y": y}


def _numexpr(x: Array, y: Array, threads: int) -> Names:
    import numexpr

    numexpr.set_num_threads(threads)
    return {"evaluate": numexpr.evaluate, "x": x, "y": y}


def _numba(x: Array, y: Array, threads: int) -> Names:
    """Compile the expression: for one thread as a ufunc, for more as a loop shared by numba's threads.

    The ufuncs of ``target="parallel"`` would not do: they compute one element at a time, in 20 times as long.
    """
    import numba

    one = x.dtype.type(1)  # a Python 1 would make numba compute float32 in float64
    if threads == 1:
        scalar = "f4" if x.dtype == np.float32 else "f8"
        return {
            "softsign": numba.vectorize([f"{scalar}({scalar})"])(lambda x: x / (one + abs(x))),
            "x": x,
            "y": y,
        }
    numba.set_num_threads(threads)

    @numba.njit(parallel=True)  # type: ignore[untyped-decorator]
    def shared(x: Array, y: Array) -> None:
        for i in numba.prange(x.size):
            y[i] = x[i] / (one + abs(x[i]))

    return {"softsign": shared, "x": x, "y": y}


def _torch_tensor(array: Array) -> Any:
    """Share the array's memory; PyTorch does not know ml_dtypes' bfloat16, so that one goes by its bits."""
    import torch

    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _torch(x: Array, y: Array, threads: int) -> Names:
    import torch

    torch.set_num_threads(threads)
    return {"softsign": torch.nn.functional.softsign, "x": _torch_tensor(x)}


def _torch_compile(x: Array, y: Array, threads: int) -> Names:
    import torch

    torch.set_num_threads(threads)
    torch.compiler.reset()  # compile for this very shape: the second shape would get a slower dynamic kernel
    return {"softsign": torch.compile(torch.nn.functional.softsign), "x": _torch_tensor(x)}


def _torch_compile_out(x: Array, y: Array, threads: int) -> Names:
    import torch

    def softsign_into(x: Any, y: Any) -> None:
        y.copy_(torch.nn.functional.softsign(x))

    torch.set_num_threads(threads)
    torch.compiler.reset()
    return {"softsign": torch.compile(softsign_into), "x": _torch_tensor(x), "y": _torch_tensor(y)}


def _jax(x: Array, y: Array, threads: int) -> Names:
    import jax

    jax.config.update("jax_enable_x64", True)  # otherwise float64 becomes float32; float32 stays what it is
    jax.config.update("jax_platforms", "cpu")
    return {"softsign": jax.jit(jax.nn.soft_sign), "x": jax.device_put(x)}


def _onnxruntime(x: Array, y: Array, threads: int) -> Names:
    import onnx
    import onnxruntime

    element = onnx.helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Softsign", ["x"], ["y"])],
        "softsign",
        [onnx.helper.make_tensor_value_info("x", element, x.shape)],
        [onnx.helper.make_tensor_value_info("y", element, y.shape)],
    )
    # Opset 18 is the one with a function body for Softsign, hence with float64.
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(x))
    binding.bind_ortvalue_output("y", onnxruntime.OrtValue.ortvalue_from_numpy(y))
    return {"run": session.run_with_iobinding, "binding": binding}


def _tensorflow(x: Array, y: Array, threads: int) -> Names:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow

    return {"softsign": tensorflow.nn.softsign, "x": tensorflow.constant(x)}


def _openvino(x: Array, y: Array, threads: int) -> Names:
    import openvino
    from openvino import opset9

    parameter = opset9.parameter(list(x.shape), np.float32)
    model = openvino.Model([opset9.softsign(parameter)], [parameter], "softsign")
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
    request.set_output_tensor(openvino.Tensor(y, shared_memory=True))
    return {"request": request}


# JAX and TensorFlow size their thread pools by the CPUs the process may use, which ufuncs.py limits; the
# others are told.
PEERS = (
    Peer("numpy", "x / (1 + np.abs(x))", ("numpy",), DTYPES, _numpy, "x / (1 + np.abs(x))", allocates=True),
    Peer(
        "numpy-out",
        "the same with out=",
        ("numpy",),
        DTYPES,
        _numpy,
        "np.abs(x, out=y); np.add(y, 1, out=y); np.divide(x, y, out=y)",
    ),
    Peer(
        "numexpr",
        "numexpr",
        ("numexpr",),
        ("float32", "float64"),
        _numexpr,
        "evaluate('x / (1 + abs(x))', out=y)",
    ),
    Peer("numba", "numba", ("numba",), ("float32", "float64"), _numba, "softsign(x, y)"),
    Peer("torch", "torch F.softsign", ("torch",), DTYPES, _torch, "softsign(x)", allocates=True),
    Peer("torch-compile", "torch.compile", ("torch",), DTYPES, _torch_compile, "softsign(x)", allocates=True),
    Peer(
        "torch-compile-out",
        "torch.compile into out",
        ("torch",),
        DTYPES,
        _torch_compile_out,
        "softsign(x, y)",
    ),
    Peer(
        "jax-jit",
        "jax.nn.soft_sign, jit",
        ("jax",),
        DTYPES,
        _jax,
        "softsign(x).block_until_ready()",
        allocates=True,
    ),
    # IO binding: ONNX Runtime then fills y itself and skips the search for names and types that run() does.
    Peer(
        "onnxruntime",
        "ONNX Runtime",
        ("onnxruntime", "onnx"),
        ("float16", "float32", "float64"),
        _onnxruntime,
        "run(binding)",
    ),
    Peer("tensorflow", "TensorFlow", ("tensorflow",), DTYPES, _tensorflow, "softsign(x)", allocates=True),
    Peer("openvino", "OpenVINO", ("openvino",), ("float32",), _openvino, "request.infer()"),
)
