"""RNN, LSTM and GRU for onnx's reference evaluator, with every activation function and attribute of ONNX.

The evaluator's own know Tanh alone (and, in RNN, Affine), and ignore clip, sequence lengths and input_forget.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from onnx.reference.op_run import OpRun

import softsign
from softsign.operator.definitions import Array

__all__ = ["GRU", "LSTM", "RNN"]


def _sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), without the overflow."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, small, 1) / (1 + small))


#: A function of one direction's activations, by what it does to the input of a gate.
_Function: TypeAlias = Callable[[Array], Array]
#: The activation functions, of x and of the constants that they take: alpha, beta.
_FUNCTIONS: Mapping[str, Callable[..., Array]] = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "softsign": softsign.softsign,
    "softplus": lambda x: np.logaddexp(x, 0),
    "affine": lambda x, alpha, beta: alpha * x + beta,
    "scaledtanh": lambda x, alpha, beta: alpha * np.tanh(beta * x),
    "hardsigmoid": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    "leakyrelu": lambda x, alpha: np.where(x < 0, alpha * x, x),
    "thresholdedrelu": lambda x, alpha: np.where(x > alpha, x, 0),
    "elu": lambda x, alpha: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x),
}
#: How many constants they take, and the defaults. Engines differ on those of the first three.
_CONSTANTS: Mapping[str, tuple[int, tuple[float, ...]]] = {
    "affine": (2, ()),
    "scaledtanh": (2, ()),
    "thresholdedrelu": (1, ()),
    "hardsigmoid": (2, (0.2, 0.5)),
    "leakyrelu": (1, (0.01,)),
    "elu": (1, (1.0,)),
}


class _Weights(NamedTuple):
    """What one direction of a network computes with."""

    w: Array
    r: Array
    b: Array
    peepholes: Array
    functions: Sequence[_Function]


class _Recurrent(OpRun):  # type: ignore[misc]
    """What the three have in common: directions, layouts, lengths of sequences."""

    op_domain = ""
    gates: int
    functions: Sequence[str]

    @abstractmethod
    def _step(self, x: Array, h: Array, c: Array, weights: _Weights, attributes: Any) -> tuple[Array, Array]:
        """Return the hidden state and the cell state after one item."""

    def _run(
        self,
        x: Array,
        w: Array,
        r: Array,
        b: Array | None = None,
        lengths: Array | None = None,
        initial_h: Array | None = None,
        initial_c: Array | None = None,
        p: Array | None = None,
        **attributes: Any,
    ) -> tuple[Array, ...]:
        """Compute in float64, and round the results to the dtype of x."""
        dtype, by_batch = x.dtype, bool(attributes.get("layout"))
        x, w, r = (array.astype(np.float64) for array in (x, w, r))
        if by_batch:
            x = x.swapaxes(0, 1)
        (steps, batch, _), (directions, _, hidden) = x.shape, r.shape
        names = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
        backwards = names.get(attributes["direction"], [])
        if len(backwards) != directions:
            raise ValueError(f"direction is {attributes['direction']!r}, and W has {directions} directions")
        states = []
        for state in (initial_h, initial_c):
            made = np.zeros((directions, batch, hidden)) if state is None else state.astype(np.float64)
            states.append(made.swapaxes(0, 1) if by_batch and state is not None else made)
        if all(attribute.name != "activations" for attribute in self.onnx_node.attribute):
            attributes["activations"] = [*self.functions] * directions  # the schema's default fits LSTM alone
        functions = _functions(attributes, len(self.functions))
        b = np.zeros((directions, 2 * self.gates * hidden)) if b is None else b.astype(np.float64)
        p = np.zeros((directions, 3 * hidden)) if p is None else p.astype(np.float64)
        ends = np.full(batch, steps) if lengths is None else np.asarray(lengths, np.int64)
        y = np.zeros((steps, directions, batch, hidden))
        for d, backward in enumerate(backwards):
            weights = _Weights(w[d], r[d], b[d], p[d], functions[d])
            h, c = states[0][d], states[1][d]
            for t in range(steps):
                running = np.flatnonzero(t < ends)
                at = (ends - 1 - t if backward else np.full(batch, t))[running]
                made_h, made_c = self._step(x[at, running], h[running], c[running], weights, attributes)
                h, c = h.copy(), c.copy()
                h[running], c[running] = made_h, made_c
                y[at, d, running] = made_h
            states[0][d], states[1][d] = h, c
        if by_batch:
            y = y.transpose(2, 0, 1, 3)
            states = [state.swapaxes(0, 1) for state in states]
        return tuple(array.astype(dtype) for array in (y, *states))[: len(self.onnx_node.output)]


def _functions(attributes: Mapping[str, Any], count: int) -> list[list[_Function]]:
    """Return the activation functions of each direction."""
    names = attributes["activations"]
    directions = 2 if attributes["direction"] == "bidirectional" else 1
    if len(names) != count * directions:
        raise ValueError(f"activations are {', '.join(names)}; there must be {count * directions}")
    constants = [iter(attributes.get(key) or ()) for key in ("activation_alpha", "activation_beta")]
    bound = np.inf if attributes.get("clip") is None else float(attributes["clip"])
    # As in ONNX Runtime: what the gates are computed of is clipped, not LSTM's cell state.
    made = [_function(name, constants, bound if i % count < 2 else np.inf) for i, name in enumerate(names)]
    if any(list(left) for left in constants):
        raise ValueError(f"activation_alpha or activation_beta has more numbers than {', '.join(names)} take")
    return [made[i : i + count] for i in range(0, len(made), count)]


def _function(name: str, constants: Sequence[Iterator[float]], bound: float) -> _Function:
    """Return a function of a clipped argument; one that takes constants takes the next of each list."""
    function = _FUNCTIONS.get(name.lower())
    if function is None:
        raise ValueError(f"activation function {name!r} is not one of ONNX's")
    count, defaults = _CONSTANTS.get(name.lower(), (0, ()))
    given = [next(constants[i], defaults[i] if defaults else np.nan) for i in range(count)]
    if np.isnan(given).any():
        raise ValueError(f"activation function {name!r} needs {count} constants, alpha before beta")
    return lambda x: function(np.clip(x, -bound, bound), *map(float, given))


class RNN(_Recurrent):
    """ONNX's RNN: H = f(W x + R H + b)."""

    gates = 1
    functions = ("Tanh",)

    def _step(self, x: Array, h: Array, c: Array, weights: _Weights, attributes: Any) -> tuple[Array, Array]:
        """Return the hidden state after one item."""
        (f,) = weights.functions
        return f(x @ weights.w.T + h @ weights.r.T + sum(np.split(weights.b, 2))), c


class GRU(_Recurrent):
    """ONNX's GRU: gates z and r, and the hidden state (1 - z) g(...) + z H."""

    gates = 3
    functions = ("Sigmoid", "Tanh")

    def _step(self, x: Array, h: Array, c: Array, weights: _Weights, attributes: Any) -> tuple[Array, Array]:
        """Return the hidden state after one item."""
        f, g = weights.functions
        wz, wr, wh = np.split(x @ weights.w.T + weights.b[: len(weights.b) // 2], 3, axis=1)
        rz, rr, rh = np.split(weights.r, 3)
        bz, br, bh = np.split(weights.b[len(weights.b) // 2 :], 3)
        z, reset = f(wz + h @ rz.T + bz), f(wr + h @ rr.T + br)
        if attributes.get("linear_before_reset"):
            made = g(wh + reset * (h @ rh.T + bh))
        else:
            made = g(wh + (reset * h) @ rh.T + bh)
        return (1 - z) * made + z * h, c


class LSTM(_Recurrent):
    """ONNX's LSTM: gates i, o and f with peepholes, a cell state, and the hidden state o h(C)."""

    gates = 4
    functions = ("Sigmoid", "Tanh", "Tanh")

    def _step(self, x: Array, h: Array, c: Array, weights: _Weights, attributes: Any) -> tuple[Array, Array]:
        """Return the hidden state and the cell state after one item."""
        f, g, last = weights.functions
        p_i, p_o, p_f = np.split(weights.peepholes, 3)
        inputs = x @ weights.w.T + h @ weights.r.T + sum(np.split(weights.b, 2))
        i, o, forget, cell = np.split(inputs, 4, axis=1)
        i = f(i + p_i * c)
        forget = 1 - i if attributes.get("input_forget") else f(forget + p_f * c)
        c = forget * c + i * g(cell)
        return f(o + p_o * c) * last(c), c
