"""MaxPool, AveragePool and LpPool for onnx's reference evaluator.

The evaluator's own go wrong with SAME_LOWER, with paddings that differ between the ends of an axis, and with
windows that ceil_mode lets hang over.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

from softsign.operator.definitions import Array

__all__ = ["AveragePool", "LpPool", "MaxPool"]


class _Pool(OpRun):  # type: ignore[misc]
    """What the three have in common: where the windows are."""

    op_domain = ""

    def _windows(self, x: Array, fill: Any, attributes: Any, inside: Any = None) -> Array:
        """Return x cut into windows, whose axes come last; `inside` fills the padding, `fill` the rest."""
        kernel = attributes["kernel_shape"]
        rank = len(kernel)
        if x.ndim != rank + 2:
            raise ValueError(f"kernel_shape has {rank} sizes, and the input {x.ndim - 2} spatial axes")
        strides, dilations = (attributes.get(key) or [1] * rank for key in ("strides", "dilations"))
        spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
        lower, upper, counts = _layout(x.shape[2:], spans, strides, attributes)
        ends = [
            max(0, (count - 1) * stride + span - before - size - after)
            for count, stride, span, before, size, after in zip(
                counts, strides, spans, lower, x.shape[2:], upper, strict=True
            )
        ]
        padding = list(zip(lower, upper, strict=True))
        x = np.pad(x, [(0, 0)] * 2 + padding, constant_values=fill if inside is None else inside)
        x = np.pad(x, [(0, 0)] * 2 + [(0, end) for end in ends], constant_values=fill)
        made = np.lib.stride_tricks.sliding_window_view(x, spans, tuple(range(2, rank + 2)))
        places = [
            slice(0, (count - 1) * stride + 1, stride) for count, stride in zip(counts, strides, strict=True)
        ]
        made = made[(slice(None), slice(None), *places, *(slice(None, None, step) for step in dilations))]
        return made.reshape(*made.shape[: rank + 2], -1)


def _layout(
    sizes: Sequence[int], spans: Sequence[int], strides: Sequence[int], attributes: Any
) -> tuple[list[int], list[int], list[int]]:
    """Return the paddings before and after each axis, and how many windows it has."""
    rank = len(spans)
    pads, mode = attributes.get("pads") or [0] * 2 * rank, attributes.get("auto_pad") or "NOTSET"
    if mode == "VALID":
        pads = [0] * 2 * rank
    lower, upper = list(pads[:rank]), list(pads[rank:])
    counts = []
    for i, (size, span, stride) in enumerate(zip(sizes, spans, strides, strict=True)):
        if mode.startswith("SAME"):
            missing = max(0, (-(-size // stride) - 1) * stride + span - size)
            lower[i] = (missing + (mode == "SAME_LOWER")) // 2
            upper[i] = missing - lower[i]
        room = size + lower[i] + upper[i] - span
        count = room // stride + 1
        if attributes.get("ceil_mode") and room % stride and count * stride < size + lower[i]:
            count += 1  # a window may hang over, but not begin behind the input and the padding before it
        counts.append(count)
    return lower, upper, counts


class MaxPool(_Pool):
    """ONNX's MaxPool: the largest element of each window and, on request, where in the input it is."""

    def _run(self, x: Array, **attributes: Any) -> tuple[Array, ...]:
        least = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else -np.inf
        windows = self._windows(x, least, attributes)
        y = windows.max(axis=-1)
        if len(self.onnx_node.output) < 2:
            return (y,)
        number = math.prod(x.shape[2:])
        each = np.arange(number).reshape(x.shape[2:], order="F" if attributes.get("storage_order") else "C")
        places = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *[1] * (x.ndim - 2)) * number + each
        at = windows.argmax(axis=-1)[..., None]
        return y, np.take_along_axis(self._windows(places, -1, attributes), at, axis=-1)[..., 0]


class AveragePool(_Pool):
    """ONNX's AveragePool: the mean of each window's elements, those in the padding on request."""

    def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
        ones = np.ones((1, 1, *x.shape[2:]))
        counts = self._windows(ones, 0, attributes, attributes.get("count_include_pad") or 0).sum(axis=-1)
        return ((self._windows(x.astype(np.float64), 0, attributes).sum(axis=-1) / counts).astype(x.dtype),)


class LpPool(_Pool):
    """ONNX's LpPool: the p-norm of each window."""

    def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
        p = attributes.get("p") or 2
        powers = self._windows(np.abs(x.astype(np.float64)) ** p, 0, attributes)
        return ((powers.sum(axis=-1) ** (1 / p)).astype(x.dtype),)
