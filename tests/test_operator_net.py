"""Nets: their blobs, the types that are told in advance, and nets that cannot run."""

from typing import Any

import numpy as np
import pytest

from softsign.operator import (
    Net,
    OperatorDef,
    OperatorSchema,
    SchemaError,
    TensorType,
    Workspace,
    create_operator,
    register_cpu_operator,
    schema,
    unregister_operator,
)
from tests.helpers import FLOATS
from tests.operator_helpers import (
    CASES,
    FAMILY,
    MISFITS,
    MISUSES,
    A,
    assert_says,
    by_operator,
    contents,
    filled,
    identity,
    net_of,
    run,
    workspace_of,
)


def test_net_has_constants() -> None:
    weight = np.array([2.0, 3.0])
    net = Net("constant", {"W": weight})
    net.add("Mul", ["X", "W"], "Y")
    assert net.inputs == ["X"]
    assert net.outputs == ["Y"]
    net.outputs = ["X", "Y"]
    assert net.outputs == ["X", "Y"]
    assert net.blobs == {"X", "W", "Y"}
    weight[:] = 0
    np.testing.assert_array_equal(run(net, "Y", X=[1.0, 1.0]), [2, 3])
    np.testing.assert_array_equal(run(net, "Y", X=[1.0, 1.0], W=[5.0, 5.0]), [5, 5])


@pytest.mark.parametrize("dtype", [*FLOATS, np.dtype(np.int32)], ids=str)
@by_operator
def test_infer_types_tells_what_comes_out(name: str, dtype: np.dtype[Any]) -> None:
    case = CASES[name]
    blobs = {
        f"in{i}": np.full((2, 3), 0.5 if dtype.kind != "i" else 2, dtype) for i in range(len(case.domains))
    }
    attributes: dict[str, Any] = {"n": 1} if schema(name).attributes else {}
    net = net_of((create_operator(name, list(blobs), "out", **attributes),))
    known = {blob: TensorType(a.dtype, a.shape) for blob, a in blobs.items()}
    if name in FAMILY and dtype.kind == "i":
        with pytest.raises(SchemaError, match="holds int32"):
            net.infer_types(known)
        return
    workspace = workspace_of(**blobs)
    for _ in range(2):  # into new memory, and into that of the first result
        workspace.run(net)
        out = workspace.fetch("out")
        assert net.infer_types(known)["out"] == TensorType(out.dtype, out.shape)


Shape = tuple[int | str, ...] | None


@pytest.mark.parametrize(
    ("x", "dy", "dx"),
    [
        (("batch", 3), ("batch", 3), ("batch", 3)),
        (("batch", 3), (5, 3), ("batch", 3)),
        (None, (5, 3), (5, 3)),
        ((5, 3), None, (5, 3)),
        (None, None, None),
    ],
)
def test_infer_types_with_sizes_that_are_not_known(x: Shape, dy: Shape, dx: Shape) -> None:
    net, dtype = net_of(("SoftsignGradient", ["X", "dY"], "dX")), np.dtype(np.float32)
    known = {"X": TensorType(dtype, x), "dY": TensorType(dtype, dy)}
    assert net.infer_types(known)["dX"] == TensorType(dtype, dx)


@pytest.mark.parametrize(
    ("x", "dy"), [((5, 3), (5, 4)), (("batch", 3), (5, 4)), ((3,), (3, 1)), (("batch",), ("batch", 3))]
)
def test_infer_types_refuses_shapes_that_cannot_be_the_same(x: Shape, dy: Shape) -> None:
    net, dtype = net_of(("SoftsignGradient", ["X", "dY"], "dX")), np.dtype(np.float32)
    with pytest.raises(SchemaError, match="must have the same dtype and shape"):
        net.infer_types({"X": TensorType(dtype, x), "dY": TensorType(dtype, dy)})


# Nets that cannot run


@pytest.mark.parametrize("rule", [*MISUSES, *MISFITS])
def test_run_of_a_refused_operator_changes_nothing(rule: str) -> None:
    op, parts = (MISUSES | MISFITS)[rule]
    workspace = filled()
    before = contents(workspace)
    with pytest.raises(SchemaError) as alone:
        workspace.run(op)
    assert_says(parts, alone.value)
    assert contents(workspace) == before


@pytest.mark.parametrize("rule", [*MISUSES, *MISFITS])
def test_run_of_a_net_whose_last_operator_is_refused_changes_nothing(rule: str) -> None:
    op, parts = (MISUSES | MISFITS)[rule]
    net = net_of(("Softsign", "A", "first"), ("Softsign", "A", "A"))
    net.operators.append(op)  # past the check of Net.add
    workspace = filled()
    before = contents(workspace)
    for _ in range(2):
        with pytest.raises(SchemaError) as caught:
            workspace.run(net)
        assert_says(parts, caught.value)
        assert contents(workspace) == before


def test_run_checks_a_net_again_when_its_blobs_change() -> None:
    net = net_of(("Softsign", "A", "Y"), ("Add", ["Y", "B"], "Z"))
    workspace = workspace_of(A=np.ones(3), B=np.ones(3))
    workspace.run(net)
    workspace.feed("A", np.full(2, 3.0))
    before = contents(workspace)
    with pytest.raises(SchemaError, match="Add"):
        workspace.run(net)
    assert contents(workspace) == before


@pytest.mark.usefixtures("registry")
def test_run_checks_a_net_again_when_an_operator_is_gone() -> None:
    register_cpu_operator("Identical", identity, OperatorSchema(num_inputs=1))
    net = net_of(("Softsign", "A", "A"), ("Identical", "A", "Z"))
    workspace = workspace_of(A=A)
    workspace.run(net)
    unregister_operator("Identical")
    before = contents(workspace)
    with pytest.raises(SchemaError, match="'Identical' is not registered"):
        workspace.run(net)
    assert contents(workspace) == before


def test_run_checks_a_net_again_when_an_operator_is_replaced() -> None:
    net = net_of((create_operator("SoftsignNthDerivative", "A", "Y", n=1),))
    workspace = workspace_of(A=A)
    workspace.run(net)
    net.operators[0] = OperatorDef("SoftsignNthDerivative", "A", "Y")
    with pytest.raises(SchemaError, match="asks for n"):
        workspace.run(net)


def test_run_of_a_refused_net_leaves_no_constants_behind() -> None:
    net = Net("constants", {"W": A})
    net.add("Mul", ["W", "nothing"], "Y")
    workspace = Workspace()
    with pytest.raises(SchemaError, match="'nothing'"):
        workspace.run(net)
    assert list(workspace) == []
