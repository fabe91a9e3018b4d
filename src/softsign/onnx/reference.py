"""Operators for onnx's reference evaluator: this package's kernels, and what the evaluator gets wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from softsign.onnx.check import ONNX_DOMAINS, ModelError, bodies, describe
from softsign.onnx.functions import DOMAIN, is_function_name, operator_of
from softsign.onnx.pooling import AveragePool, LpPool, MaxPool
from softsign.onnx.recurrent import GRU, LSTM, RNN
from softsign.operator.definitions import Array
from softsign.operator.registry import find

__all__ = ["ReferenceSoftsign", "evaluator"]


class ReferenceSoftsign(OpRun):  # type: ignore[misc]  # numpydoc ignore=PR02
    """ONNX's operator Softsign for `onnx.reference.ReferenceEvaluator`, computed by `softsign.softsign`.

    Parameters
    ----------
    onnx_node : onnx.NodeProto
        The node; this and the rest come from the evaluator.
    run_params : dict
        Options of the evaluator.
    schema : onnx.defs.OpSchema, optional
        ONNX's schema of the operator.

    Examples
    --------
    >>> import numpy as np
    >>> from onnx.reference import ReferenceEvaluator
    >>> from softsign.onnx import ReferenceSoftsign, to_model
    >>> from softsign.operator import Net
    >>> net = Net("one")
    >>> _ = net.add("Softsign", "X", "Y")
    >>> evaluator = ReferenceEvaluator(to_model(net, {"X": ("float32", (2,))}), new_ops=[ReferenceSoftsign])
    >>> evaluator.run(None, {"X": np.array([-np.inf, 1], np.float32)})
    [array([-1. ,  0.5], dtype=float32)]
    """

    op_domain = ""

    def _run(self, x: Array) -> tuple[Array]:
        return (_computed("Softsign", (x,), {}),)


ReferenceSoftsign.__name__ = "Softsign"  # the evaluator takes the name of the class for that of the operator


def _computed(op_type: str, inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """Return what the kernel of a registered operator of one output gives."""
    return np.asarray(find(op_type).kernel(*inputs, None, **attributes))


def _implementation(name: str) -> type[OpRun]:
    """Return a function of softsign's domain as an operator of the evaluator."""
    op_type, attributes = operator_of(name)

    def _run(self: OpRun, *inputs: Array) -> tuple[Array]:
        return (_computed(op_type, inputs, attributes),)

    return type(name, (OpRun,), {"op_domain": DOMAIN, "_run": _run})


class Loop(OpRun):  # type: ignore[misc]
    """ONNX's Loop. The evaluator's own joins what it scans along the first axis instead of stacking it."""

    op_domain = ""

    def need_context(self) -> bool:
        """Tell that the body may read values from outside."""
        return True

    def _run(
        self, limit: Array | None, condition: Array | None, *states: Any, context: Any, **options: Any
    ) -> tuple[Any, ...]:
        body, attributes = self.body, options.get("attributes")
        number, going, *names = body.input_names
        scanned: list[list[Array]] = [[] for _ in body.output_names[1 + len(states) :]]
        on, i = condition is None or bool(condition), 0
        while on and (limit is None or i < limit):
            feeds = {**context, number: np.array(i, np.int64), going: np.array(on)}
            feeds |= dict(zip(names, states, strict=True))
            made, *rest = self._run_body(feeds, attributes=attributes)
            states = tuple(rest[: len(states)])
            for items, item in zip(scanned, rest[len(states) :], strict=True):
                items.append(item)
            on, i = bool(made), i + 1
        types = body.output_types[1 + len(states) :]
        return (*states, *map(_stacked, scanned, types))


def _stacked(items: Sequence[Array], declared: Any) -> Array:
    """Return the arrays of the rounds of a loop, of which there may be none, as one array."""
    if items:
        return np.stack(items)
    tensor = declared.tensor_type
    if not tensor.HasField("shape") or not all(size.HasField("dim_value") for size in tensor.shape.dim):
        raise ValueError("a Loop without a round has an output of unknown shape")
    shape = [size.dim_value for size in tensor.shape.dim]
    return np.empty((0, *shape), helper.tensor_dtype_to_np_dtype(tensor.elem_type))


class LRN(OpRun):  # type: ignore[misc]
    """ONNX's LRN. The evaluator's own takes the number of the image for that of the channel."""

    op_domain = ""

    def _run(self, x: Array, alpha: float, beta: float, bias: float, size: int) -> tuple[Array]:
        before, after = (size - 1) // 2, size // 2
        squares = x.astype(np.float64) ** 2
        sums = np.zeros_like(squares)
        for c in range(x.shape[1]):
            sums[:, c] = squares[:, max(0, c - before) : c + after + 1].sum(axis=1)
        return ((x / (float(bias) + float(alpha) / size * sums) ** float(beta)).astype(x.dtype),)


class Optional(OpRun):  # type: ignore[misc]
    """ONNX's Optional. The evaluator's own makes a sequence of its value, even of none."""

    op_domain = ""

    def run(self, *inputs: Any, **options: Any) -> tuple[Any]:
        """Return the value, or None, which `_run` could not return.

        Parameters
        ----------
        *inputs : object
            The value, or nothing.
        **options : object
            Attributes; ignored.

        Returns
        -------
        tuple
            The value or None.
        """
        return (inputs[0] if inputs else None,)

    def _run(self, *inputs: Any, **options: Any) -> tuple[Any]:
        return self.run(
            *inputs, **options
        )  # OpRun has it abstract; its own `run`, which calls it, is replaced


#: What draws random numbers: no two engines draw the same, so there is nothing to check.
_RANDOM = (
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
)


def evaluator(proto: ModelProto | NodeProto) -> ReferenceEvaluator:
    """Return an evaluator of a model or a node that computes by this package's kernels.

    Parameters
    ----------
    proto : onnx.ModelProto or onnx.NodeProto
        The model, in the dialect of `normalize_model`, or a node of the newest opset.

    Returns
    -------
    onnx.reference.ReferenceEvaluator
        The evaluator.

    Raises
    ------
    ModelError
        When there is an operator that draws random numbers.
    """
    nodes = [proto]
    if isinstance(proto, ModelProto):
        nodes = [node for body in bodies(proto.graph, *proto.functions) for node in body.node]
    for node in nodes:
        if node.domain in ONNX_DOMAINS and node.op_type in _RANDOM:
            raise ModelError(f"{describe(node)} draws random numbers, which are different in each engine")
    called = {node.op_type for node in nodes if node.domain == DOMAIN}
    own = [_implementation(name) for name in sorted(called) if is_function_name(name)]
    return ReferenceEvaluator(
        proto,
        new_ops=[ReferenceSoftsign, RNN, LSTM, GRU, Loop, LRN, Optional, MaxPool, AveragePool, LpPool, *own],
    )
