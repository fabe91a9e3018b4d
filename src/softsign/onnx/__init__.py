"""Softsign in ONNX: nets in and out, models differentiated, fixed and run. Needs the extra ``onnx``.

`to_model` and `from_model` turn nets of `softsign.operator` into ONNX models and back. `gradients` adds the
reverse pass to a model, as nodes that any engine runs, and `sgd_step` makes a training step of it.
`model_info` tells what a model has, and what `gradients` lacks.
`fix_softsign` puts Softsign back into models whose exporter split it up. `Backend` and `run` compute models.
Operators that ONNX does not have are model-local functions of standard operators; `softsign.onnx.functions`
has them.

Importing this module registers the operators of feed-forward networks in `softsign.operator`.
"""

try:
    import onnx as _onnx  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "onnx":
        raise
    raise ModuleNotFoundError(
        "softsign.onnx needs ONNX: pip install 'softsign[onnx]'", name="onnx"
    ) from error

from softsign.onnx import makers  # noqa: F401  (registers operators and their gradients)
from softsign.onnx.backend import Backend, ReferenceSoftsign, run
from softsign.onnx.check import ModelError, check_model
from softsign.onnx.dialect import normalize_model
from softsign.onnx.fix import count_softsign, fix_softsign
from softsign.onnx.gradient import gradients
from softsign.onnx.info import ModelInfo, model_info
from softsign.onnx.inlining import inline_functions
from softsign.onnx.loading import load_model
from softsign.onnx.nets import from_model, to_model
from softsign.onnx.sgd import sgd_step

__all__ = [
    "Backend",
    "ModelError",
    "ModelInfo",
    "ReferenceSoftsign",
    "check_model",
    "count_softsign",
    "fix_softsign",
    "from_model",
    "gradients",
    "inline_functions",
    "load_model",
    "model_info",
    "normalize_model",
    "run",
    "sgd_step",
    "to_model",
]
