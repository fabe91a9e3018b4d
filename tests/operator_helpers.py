"""Nets, operators and inputs that the tests of `softsign.operator` share."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softsign.operator import Net, OperatorDef, Workspace
from tests.helpers import FLOATS, Array

by_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)


def workspace_of(**blobs: Any) -> Workspace:
    workspace = Workspace()
    for name, value in blobs.items():
        workspace.feed(name, value)
    return workspace


def net_of(*ops: tuple[Any, ...], name: str = "net") -> Net:
    net = Net(name)
    for op in ops:
        net.add(*op)
    return net


def run(what: OperatorDef | Net, fetch: str, **blobs: Any) -> Array:
    workspace = workspace_of(**blobs)
    workspace.run(what)
    return workspace.fetch(fetch)


def contents(workspace: Workspace) -> dict[str, tuple[Any, ...]]:
    """Everything in a workspace, in a form that compares."""
    arrays = {name: workspace.fetch(name) for name in workspace}
    return {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()}


def types(net: Net) -> list[str]:
    return [op.type for op in net.operators]


def identity(x: Array, y: Array | None = None) -> Array:
    return x


class Domain(NamedTuple):
    """Magnitudes of the elements of an input, away from where the functions have kinks and poles."""

    low: float
    high: float


X, Y, DY = Domain(0.25, 4), Domain(0.125, 0.75), Domain(0.25, 2)


Shapes = st.SearchStrategy[tuple[tuple[int, ...], ...]]


def alike(count: int) -> Shapes:
    shapes = hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)
    return shapes.map(lambda shape: (shape,) * count)


def broadcasting(count: int) -> st.SearchStrategy[hnp.BroadcastableShapes]:
    return hnp.mutually_broadcastable_shapes(num_shapes=count, min_side=0, max_side=3, max_dims=2)


class Case(NamedTuple):
    """Inputs with which an operator is differentiated."""

    domains: Sequence[Domain]
    shapes: Shapes
    attributes: st.SearchStrategy[dict[str, Any]] = st.just({})


PAIR: Shapes = broadcasting(2).map(lambda drawn: drawn.input_shapes)


CASES = {
    **{
        name: Case([X], alike(1))
        for name in (
            "Softsign",
            "SoftsignDerivative",
            "SoftsignSecondDerivative",
            "SoftsignAntiderivative",
            "SoftsignSecondAntiderivative",
            "SoftsignLogJacobian",
            "Neg",
            "OnesLike",
        )
    },
    "SoftsignInverse": Case([Y], alike(1)),
    "SoftsignNthDerivative": Case([X], alike(1), st.fixed_dictionaries({"n": st.integers(0, 4)})),
    "SoftsignDerivativeFromOutput": Case([Y], alike(1), st.fixed_dictionaries({"n": st.integers(0, 3)})),
    "SoftsignGradient": Case([X, DY], alike(2)),
    "SoftsignGradientFromOutput": Case([Y, DY], alike(2)),
    "SoftsignLogJacobianGradient": Case([X, DY], alike(2)),
    "Add": Case([X, X], PAIR),
    "Sub": Case([X, X], PAIR),
    "Mul": Case([X, X], PAIR),
    "Div": Case([X, Domain(0.5, 4)], PAIR),
    "Sum": Case(
        [X] * 4, st.integers(1, 4).flatmap(lambda count: broadcasting(count).map(lambda d: d.input_shapes))
    ),
    "SumTo": Case([X, X], broadcasting(2).map(lambda d: (d.result_shape, d.input_shapes[0]))),
    "ExpandTo": Case([X, X], broadcasting(2).map(lambda d: (d.input_shapes[0], d.result_shape))),
}


FAMILY = [name for name in CASES if name.startswith("Softsign")]


by_operator = pytest.mark.parametrize("name", CASES)


def values(shape: tuple[int, ...], domain: Domain) -> st.SearchStrategy[Array]:
    """Numbers of both signs, drawn as one seed: of many numbers, drawing takes longer than what is tested."""

    def made(seed: int) -> Array:
        rng = np.random.default_rng(seed)
        return np.asarray(rng.uniform(*domain, shape) * rng.choice([-1.0, 1.0], shape))

    return st.integers(0, 2**32 - 1).map(made)


A, OP = np.ones(3), OperatorDef

#: Uses that the schema refuses.
MISUSES: dict[str, tuple[OperatorDef, list[str]]] = {
    "no input": (OP("Softsign", [], "Y"), ["Softsign() -> (Y)", "has 0 inputs", "takes 1"]),
    "too many inputs": (
        OP("Softsign", ["A", "B"], "Y"),
        ["Softsign(A, B) -> (Y)", "has 2 inputs", "takes 1"],
    ),
    "too few inputs": (
        OP("SoftsignGradient", "A", "Y"),
        ["SoftsignGradient(A) -> (Y)", "has 1 input;", "takes 2"],
    ),
    "none of any number": (OP("Sum", [], "Y"), ["Sum() -> (Y)", "has 0 inputs", "takes 1 or more"]),
    "no output": (OP("Softsign", "A", []), ["Softsign(A) -> ()", "has 0 outputs", "takes 1"]),
    "too many outputs": (
        OP("Softsign", "A", ["Y", "Z"]),
        ["Softsign(A) -> (Y, Z)", "has 2 outputs", "takes 1"],
    ),
    "input without name": (OP("Mul", ["A", ""], "Y"), ["Mul(A, ) -> (Y)", "input 1 needs a name"]),
    "output without name": (OP("Softsign", "A", [""]), ["Softsign(A) -> ()", "output 0 needs a name"]),
    "in place, never": (
        OP("Mul", ["A", "B"], "B"),
        ["Mul(A, B) -> (B)", "output 0 may not overwrite input 1, blob 'B'", "Mul never works in place"],
    ),
    "in place, other input": (
        OP("SoftsignGradient", ["A", "B"], "A"),
        ["SoftsignGradient(A, B) -> (A)", "input 0, blob 'A'", "allows output 0 over input 1"],
    ),
    "in place, both inputs": (OP("SoftsignGradient", ["A", "A"], "A"), ["input 0, blob 'A'"]),
    "unknown operator": (
        OP("Softsing", "A", "Y"),
        ["'Softsing' is not registered", "did you mean 'Softsign'?"],
    ),
    "missing attribute": (
        OP("SoftsignNthDerivative", "A", "Y"),
        ["SoftsignNthDerivative(A) -> (Y)", "has attributes none", "asks for n"],
    ),
    "unknown attribute": (
        OP("Softsign", "A", "Y", attributes={"alpha": 1}),
        ["Softsign(A) -> (Y)", "has attributes alpha", "asks for none"],
    ),
    "named": (OP("Softsign", "A", [], "first"), ["Softsign 'first'(A) -> ()"]),
}

#: Uses that do not fit the blobs of `filled`.
MISFITS: dict[str, tuple[OperatorDef, list[str]]] = {
    "unknown blob": (OP("Softsign", "nothing", "Y"), ["Softsign(nothing) -> (Y)", "reads blob 'nothing'"]),
    "dtype": (
        OP("Softsign", "I", "Y"),
        ["Softsign(I) -> (Y)", "blob 'I' holds int32", "takes one of float16, bfloat16, float32, float64"],
    ),
    "dtypes differ": (
        OP("SoftsignGradient", ["A", "F"], "Y"),
        ["SoftsignGradient(A, F) -> (Y)", "'A' (float64", "'F' (float32", "the same dtype and shape"],
    ),
    "shapes differ": (
        OP("SoftsignGradient", ["A", "B"], "Y"),
        ["SoftsignGradient(A, B) -> (Y)", "'A' (float64, shape (3,))", "'B' (float64, shape (2,))"],
    ),
    "no broadcast": (OP("Add", ["A", "B"], "Y"), ["Add(A, B) -> (Y)", "(3,)", "(2,)"]),
    "no broadcast of many": (OP("Sum", ["A", "A", "B"], "Y"), ["Sum(A, A, B) -> (Y)", "(3,)", "(2,)"]),
    "arithmetic of two dtypes": (
        OP("Mul", ["A", "F"], "Y"),
        ["Mul(A, F) -> (Y)", "different dtypes", "float64", "float32"],
    ),
    "sum to another shape": (OP("SumTo", ["A", "B"], "Y"), ["SumTo(A, B) -> (Y)", "(3,)", "(2,)"]),
    "sum to more axes": (OP("SumTo", ["A", "M"], "Y"), ["SumTo(A, M) -> (Y)", "(3,)", "(2, 3)"]),
    "expand to another shape": (OP("ExpandTo", ["A", "B"], "Y"), ["ExpandTo(A, B) -> (Y)", "(3,)", "(2,)"]),
    "expand to fewer axes": (OP("ExpandTo", ["M", "A"], "Y"), ["ExpandTo(M, A) -> (Y)", "(2, 3)", "(3,)"]),
}


def filled() -> Workspace:
    return workspace_of(
        A=A, B=np.ones(2), F=A.astype(np.float32), I=A.astype(np.int32), M=np.ones((2, 3)), Y=np.ones(3)
    )


def assert_says(parts: Sequence[str], error: BaseException) -> None:
    for part in parts:
        assert part in str(error), error
