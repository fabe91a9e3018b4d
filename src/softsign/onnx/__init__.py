"""Softsign in ONNX: schemas inherited, nets in and out, models differentiated, mended and run. Needs the extra ``onnx``.

`to_model` and `from_model` turn nets of `softsign.operator` into ONNX models and back. `gradients` adds the reverse pass to a
model, as nodes that any engine runs, and `apply_sgd` makes a training step of it. `fix_softsign` finds Softsign in models
whose exporter split it up. `Backend` and `run` compute models. Operators that ONNX does not have are model-local functions
of standard operators; `softsign.onnx.functions` has them.

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

from softsign.onnx.backend import Backend, Softsign, run
from softsign.onnx.fix import count_softsign, fix_softsign
from softsign.onnx.gradient import apply_sgd, gradients
from softsign.onnx.model import ModelError, check_model, from_model, load_model, normalized, to_model
from softsign.onnx.schema import disagreements, inherited_schema, since_versions

__all__ = [
    "Backend",
    "ModelError",
    "Softsign",
    "apply_sgd",
    "check_model",
    "count_softsign",
    "disagreements",
    "fix_softsign",
    "from_model",
    "gradients",
    "inherited_schema",
    "load_model",
    "normalized",
    "run",
    "since_versions",
    "to_model",
]
