"""The workspace: what is fed, fetched and run, kernels that do wrong, and what a run costs."""

import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import softsign
from softsign.operator import (
    OperatorDef,
    OperatorSchema,
    SchemaError,
    Workspace,
    create_operator,
    register_cpu_operator,
)
from tests.helpers import Array, assert_same_bits
from tests.operator_helpers import by_dtype, contents, identity, net_of, run, workspace_of

# Blobs


def test_feed_and_fetch_copy() -> None:
    x = np.array([1.0, 3.0])
    workspace = workspace_of(X=x)
    x[:] = 0
    np.testing.assert_array_equal(workspace.fetch("X"), [1, 3])
    workspace.fetch("X")[:] = 0
    np.testing.assert_array_equal(workspace.fetch("X"), [1, 3])
    workspace.feed("X", x)  # into the same memory
    x[:] = 7
    np.testing.assert_array_equal(workspace.fetch("X"), [0, 0])
    workspace.run(create_operator("Softsign", "X", "X"))
    np.testing.assert_array_equal(x, [7, 7])


def test_workspace_has_names() -> None:
    workspace = workspace_of(b=[1.0], a=[2.0])
    assert list(workspace) == ["a", "b"]
    assert "a" in workspace
    assert "c" not in workspace
    with pytest.raises(KeyError, match="the workspace has no blob 'c'"):
        workspace.fetch("c")
    workspace.reset()
    assert list(workspace) == []
    with pytest.raises(SchemaError, match="reads blob 'a', which the workspace does not have"):
        workspace.run(create_operator("Softsign", "a", "b"))


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        (3, [1.0], TypeError, "name must be a string, not 3"),
        ("", [1.0], ValueError, "name must not be empty"),
        ("X", None, TypeError, "value of blob 'X' must be an array, not NoneType"),
        ("X", {1.0}, TypeError, "value of blob 'X' must be an array, not set"),
        ("X", [[1.0], [1.0, 2.0]], ValueError, "inhomogeneous"),
    ],
)
def test_feed_refuses_what_is_no_array(name: Any, value: Any, error: type[Exception], message: str) -> None:
    workspace = Workspace()
    with pytest.raises(error, match=message):
        workspace.feed(name, value)
    assert list(workspace) == []


def test_run_refuses_what_is_no_operator() -> None:
    what: Any = "Softsign"
    with pytest.raises(TypeError, match="runs an OperatorDef or a Net, not str"):
        Workspace().run(what)


def test_run_with_other_shapes_and_dtypes() -> None:
    net, workspace = net_of(("Softsign", "X", "Y"), ("Softsign", "Y", "Y")), Workspace()
    for x in (
        np.ones(3),
        np.ones((2, 2)),
        np.ones((2, 2), np.float32),
        np.full((1, 1), 4, np.float32),
        np.ones((2, 2)),
        np.zeros(0),
        np.array(1, np.float16),
    ):
        workspace.feed("X", x)
        workspace.run(net)
        assert_same_bits(workspace.fetch("Y"), np.asarray(softsign.softsign(softsign.softsign(x))))


@by_dtype
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (2, 3, 4)], ids=str)
def test_run_with_any_shape(dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    x = np.full(shape, 0.5, dtype)
    net = net_of(("Softsign", "X", "Y"), ("Mul", ["Y", "X"], "Z"))
    gradients = net.add_gradients(["Z"])
    workspace = workspace_of(X=x)
    for _ in range(2):
        workspace.run(net)
        assert_same_bits(workspace.fetch("Y"), np.asarray(softsign.softsign(x)))
        found = workspace.fetch(gradients["X"])
        assert (found.dtype, found.shape) == (dtype, shape)


@pytest.mark.parametrize(
    "layout",
    [
        lambda x: x[::2, ::-3],
        np.asfortranarray,
        lambda x: x.T,
        lambda x: np.broadcast_to(x[:1], x.shape),
        lambda x: x.astype(">f8"),
        lambda x: x.tolist(),
    ],
    ids=["strided", "fortran", "transposed", "broadcast", "big-endian", "list"],
)
def test_feed_of_any_layout(layout: Callable[[Array], Any]) -> None:
    x = layout(np.random.default_rng(0).normal(size=(4, 6)))
    plain = np.array(x, np.float64)
    net = net_of(("Softsign", "X", "Y"))
    gradients = net.add_gradients(["Y"])
    workspace = workspace_of(X=x)
    for _ in range(2):
        workspace.run(net)
        assert_same_bits(workspace.fetch("X"), plain)
        assert_same_bits(workspace.fetch("Y"), softsign.softsign(plain))
        assert_same_bits(workspace.fetch(gradients["X"]), softsign.derivative(plain))
        workspace.feed("X", x)


# Kernels


@pytest.mark.usefixtures("registry")
def test_run_with_optional_inputs_and_outputs() -> None:
    def scale(
        x: Array, factor: Array | None, shift: Array | None, y: Array | None, negative: Array | None
    ) -> tuple[Array, Array]:
        scaled = (x if factor is None else x * factor) + (0 if shift is None else shift)
        return scaled, -scaled

    register_cpu_operator(
        "Scale",
        scale,
        OperatorSchema(num_inputs=(1, 3), num_outputs=(1, 2), infer=lambda x, *others: [x, x]),
    )
    for inputs, outputs, expected in [
        (["X"], ["Y"], {"Y": 2}),
        (["X", "F"], ["Y"], {"Y": 6}),
        (["X", "F"], ["Y", "N"], {"Y": 6, "N": -6}),
        (["X", "F", "F"], ["Y", "N"], {"Y": 9, "N": -9}),
        (["X", ""], ["Y", "N"], {"Y": 2, "N": -2}),
        (["X", "", "F"], ["Y", ""], {"Y": 5}),
    ]:
        workspace = workspace_of(X=[2.0], F=[3.0])
        for _ in range(2):  # into new memory, and into that of the first result
            workspace.run(net_of(("Scale", inputs, outputs)))
            assert {name: workspace.fetch(name) for name in workspace} == {"X": 2, "F": 3} | expected


@pytest.mark.parametrize(
    "kernel",
    [
        identity,
        lambda x, y=None: x[:],
        lambda x, y=None: np.broadcast_to(x, x.shape),
        lambda x, y=None: x.reshape(-1).reshape(x.shape),
    ],
    ids=["input", "slice", "read-only", "reshaped"],
)
@pytest.mark.usefixtures("registry")
def test_run_gives_results_that_share_no_memory(kernel: Callable[..., Array]) -> None:
    register_cpu_operator("View", kernel, OperatorSchema(num_inputs=1))
    net = net_of(("View", "X", "Y"), ("Softsign", "X", "X"), ("Softsign", "Y", "Y"), ("View", "X", "Z"))
    workspace = workspace_of(X=[1.0, 3.0])
    workspace.run(net)
    workspace.run(create_operator("Softsign", "Z", "Z"))
    np.testing.assert_array_equal(workspace.fetch("X"), [0.5, 0.75])
    np.testing.assert_array_equal(workspace.fetch("Y"), [0.5, 0.75])
    np.testing.assert_array_equal(workspace.fetch("Z"), softsign.softsign([0.5, 0.75]))


@pytest.mark.usefixtures("registry")
def test_run_names_the_operator_in_an_error_of_its_kernel() -> None:
    register_cpu_operator("Fails", lambda x, y=None: x[0], OperatorSchema(num_inputs=1))
    with pytest.raises(IndexError) as caught:
        run(create_operator("Fails", "X", "Y", "third"), "Y", X=np.ones(0))
    assert caught.value.__notes__ == ["in Fails 'third'(X) -> (Y)"]


@pytest.mark.parametrize(
    ("returned", "outputs", "count"),
    [
        (lambda x, y=None, z=None: (x, x, x), ["Y"], 3),
        (lambda x, y=None, z=None: (), ["Y"], 0),
        (lambda x, y=None, z=None: x + 1, ["Y", "Z"], 1),
        (lambda x, y=None, z=None: x + 1 if y is None else y, ["A", "B"], 1),  # A and B are there
        (lambda x, y=None, z=None: [x, x, x], ["Y", "Z"], 3),
    ],
    ids=["three for one", "none for one", "one for two", "the first of two", "three for two"],
)
@pytest.mark.usefixtures("registry")
def test_run_refuses_a_wrong_number_of_arrays(
    returned: Callable[..., Any], outputs: list[str], count: int
) -> None:
    register_cpu_operator(
        "Miscounts", returned, OperatorSchema(num_inputs=1, num_outputs=(1, 2), identical_type_and_shape=True)
    )
    workspace = workspace_of(X=np.ones(2), A=np.ones(2), B=np.ones(2))
    before = contents(workspace)
    with pytest.raises(
        SchemaError, match=f"Miscounts.*its kernel returned {count} arrays? for {len(outputs)} outputs?"
    ):
        workspace.run(create_operator("Miscounts", "X", outputs))
    assert contents(workspace) == before


@pytest.mark.parametrize("returned", [None, (None,)], ids=["None", "(None,)"])
@pytest.mark.usefixtures("registry")
def test_run_refuses_a_kernel_that_returns_nothing(returned: Any) -> None:
    register_cpu_operator(
        "Forgets", lambda x, y=None: returned, OperatorSchema(num_inputs=1, identical_type_and_shape=True)
    )
    workspace = workspace_of(X=np.ones(2), held=np.ones(2))
    for output in ("Y", "held"):
        with pytest.raises(SchemaError, match=r"Forgets.*kernel returned"):
            workspace.run(create_operator("Forgets", "X", output))
    assert list(workspace) == ["X", "held"]
    np.testing.assert_array_equal(workspace.fetch("held"), [1, 1])


# Time and memory


def allocated(action: Callable[[], object]) -> tuple[int, int]:
    """Bytes that an action leaves allocated, and those at its peak."""
    action()  # what the first call sets up once and for all
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        action()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before, peak - before


def test_run_of_softsign_in_place_allocates_nothing() -> None:
    workspace, operator = workspace_of(X=np.ones(1 << 20, np.float32)), create_operator("Softsign", "X", "X")
    kept, peak = allocated(lambda: workspace.run(operator))
    assert peak < 4096
    assert kept < 512  # the interpreter's own
    net = net_of((operator,), ("Softsign", "X", "X"))
    kept, peak = allocated(lambda: workspace.run(net))
    assert peak < 4096
    assert kept < 512


def test_run_again_reuses_memory() -> None:
    net = net_of(("Softsign", "X", "Y"), ("SoftsignInverse", "Y", "Z"), ("SoftsignGradient", ["X", "Z"], "Z"))
    net.add_gradients({"Y": "X"})
    workspace = workspace_of(X=np.full(1 << 20, 0.5, np.float32))
    kept, peak = allocated(lambda: workspace.run(net))
    assert peak < 16_384
    assert kept < 2048


def test_allocated_sees_an_array() -> None:
    workspace, operator = workspace_of(X=np.ones(1 << 20, np.float32)), create_operator("Softsign", "X", "X")

    def fetch() -> None:
        workspace.run(operator)
        workspace.fetch("X")

    assert allocated(fetch)[1] >= 1 << 22


@pytest.mark.parametrize(
    ("op", "bare"),
    [
        (create_operator("Softsign", "X", "X"), lambda x, y: softsign.softsign(x, x)),
        (create_operator("Softsign", "X", "Y"), softsign.softsign),
        (create_operator("SoftsignGradient", ["X", "Y"], "Y"), lambda x, y: softsign.gradient(x, y, y)),
    ],
    ids=["in place", "into another blob", "gradient in place"],
)
def test_run_overhead_over_the_bare_ufunc(op: OperatorDef, bare: Callable[[Array, Array], object]) -> None:
    """Ten times the ufunc, in thread time: 4 us where that takes 0.4 us, more where the machine is slower."""
    x, y = np.ones(64, np.float32), np.ones(64, np.float32)
    workspace = workspace_of(X=x, Y=y)
    workspace.run(op)

    def seconds(action: Callable[[], object]) -> float:
        start = time.thread_time()
        for _ in range(200):
            action()
        return (time.thread_time() - start) / 200

    rounds = [(seconds(lambda: workspace.run(op)), seconds(lambda: bare(x, y))) for _ in range(51)]
    assert statistics.median((run - alone) / alone for run, alone in rounds) <= 10
