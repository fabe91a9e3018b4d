"""softsign.torch under PyTorch's transformations: torch.func, compilers, exporters, sharding."""

import io
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

import softsign as core
import softsign.torch as sst
from softsign import accuracy
from softsign.functions import FUNCTIONS, bound
from softsign.torch import formulas, ops, rules
from tests.test_torch import DTYPES, array, tensor

POINTS = torch.tensor([-0.8, -0.3, 0.2, 0.7], dtype=torch.float64)
PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "softsign": lambda x: x / (1 + x.abs()),
    "inverse": lambda y: y / (1 - y.abs()),
    "antiderivative": lambda x: x.abs() - torch.log1p(x.abs()),
    "log_jacobian": lambda x: -2 * torch.log1p(x.abs()),
    "derivative": lambda x: (1 + x.abs()) ** -2,
    "gradient": lambda x: x * (1 + x.abs()) ** -2,
    "nth_derivative": lambda x: 6 * (1 + x.abs()) ** -4,
    "second_antiderivative": lambda x: x.sgn() * (x**2 / 2 + x.abs() - (1 + x.abs()) * torch.log1p(x.abs())),
    "in place": lambda x: 2 * x / (1 + (2 * x).abs()),
}


def function(name: str) -> Callable[[Tensor], Tensor]:
    if name == "in place":
        return lambda x: sst.softsign(2 * x, inplace=True)
    if name == "gradient":
        return lambda x: sst.gradient(x, x)
    if name == "nth_derivative":
        return lambda x: sst.nth_derivative(3, x)
    found: Callable[[Tensor], Tensor] = getattr(sst, name)
    return found


def forward_mode(f: Callable[[Tensor], Tensor], x: Tensor) -> Any:
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        return torch.autograd.forward_ad.unpack_dual(f(dual)).tangent


def reverse_over_forward(f: Callable[[Tensor], Tensor], x: Tensor) -> Any:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(forward_mode(f, leaf).sum(), leaf)[0]


def total(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: f(x).sum()


func = torch.func
TRANSFORMS: dict[str, Callable[[Any, Tensor], Any]] = {
    "grad": lambda f, x: func.grad(total(f))(x),
    "vmap": lambda f, x: func.vmap(f)(x),
    "vmap of grad": lambda f, x: func.vmap(func.grad(f))(x),
    "vmap of vmap": lambda f, x: func.vmap(func.vmap(f), in_dims=1, out_dims=1)(x.view(2, 2)),
    "jvp": lambda f, x: func.jvp(f, (x,), (x,))[1],
    "jvp of jvp": lambda f, x: func.jvp(lambda u: func.jvp(f, (u,), (u,))[1], (x,), (x,))[1],
    "jvp of grad": lambda f, x: func.jvp(func.grad(total(f)), (x,), (x,))[1],
    "jacrev": lambda f, x: func.jacrev(f)(x),
    "jacfwd": lambda f, x: func.jacfwd(f)(x),
    "hessian": lambda f, x: func.hessian(total(f))(x),
    "jacrev of jacfwd": lambda f, x: func.jacrev(func.jacfwd(total(f)))(x),
    "third derivative": lambda f, x: func.vmap(func.grad(func.grad(func.grad(f))))(x),
}
EAGER = {"forward mode": forward_mode, "reverse over forward": reverse_over_forward}


@pytest.mark.parametrize("transform", [*TRANSFORMS, *EAGER])
@pytest.mark.parametrize("name", PLAIN)
def test_transformations(name: str, transform: str) -> None:
    apply = (TRANSFORMS | EAGER)[transform]
    torch.testing.assert_close(apply(function(name), POINTS.clone()), apply(PLAIN[name], POINTS))


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_compiled_transformations(transform: str) -> None:
    """Of one function inside another, each with a derivative of its own, in one graph."""
    torch._dynamo.reset()
    apply = TRANSFORMS[transform]
    compiled = torch.compile(
        lambda x: apply(lambda u: sst.antiderivative(sst.softsign(u)), x), backend="aot_eager", fullgraph=True
    )
    expected = apply(lambda u: PLAIN["antiderivative"](PLAIN["softsign"](u)), POINTS)
    torch.testing.assert_close(compiled(POINTS), expected)


def test_vmap_of_a_gradient_with_one_batched_argument() -> None:
    x, dy = POINTS, torch.randn(3, 4, dtype=torch.float64)
    expected = dy / (1 + x.abs()) ** 2
    torch.testing.assert_close(func.vmap(ops.gradient, in_dims=(None, 0))(x, dy), expected)
    torch.testing.assert_close(func.vmap(ops.gradient, in_dims=(None, 1), out_dims=1)(x, dy.T), expected.T)


@pytest.mark.parametrize("name", ops.NAMES)
def test_opcheck(name: str) -> None:
    """Also of bfloat16, transposed; how derivatives are traced depends on neither."""
    x, other = ((torch.rand(3, 4) * 1.8 - 0.9).requires_grad_() for _ in range(2))
    arguments: Any = {
        "gradient": (x, other),
        "gradient_from_output": (x, other),
        "nth_derivative": (3, x),
        "derivative_times": ("softsign", 2, x, [other]),
    }.get(name, (x,))
    result = torch.library.opcheck(getattr(torch.ops.softsign, name).default, arguments, atol=1e-2, rtol=1e-2)
    assert set(result.values()) == {"SUCCESS"}
    torch.library.opcheck(
        getattr(torch.ops.softsign, name).default,
        tree_map_only(Tensor, lambda a: a.detach().bfloat16().T, arguments),
        test_utils=("test_schema", "test_faketensor"),
    )


# The formulas, which compilers fuse and devices without kernels run


def sample(name: str, dtype: torch.dtype) -> tuple[Any, ...]:
    """1000 arguments of a function that are normal numbers, as its results are."""
    given = accuracy.sample(name, DTYPES[dtype], 20_000, np.random.default_rng(0))
    if name == "nth_derivative":
        given = (np.full(20_000, 16), *given)
    with np.errstate(all="ignore"):
        numbers = np.abs([a.astype(float) for a in (*given, getattr(core, name)(*given))])
    info = torch.finfo(dtype)
    normal = ((numbers >= 2 * info.tiny) & (numbers <= info.max)).all(axis=0)
    assert normal.sum() >= 1000
    return tuple(16 if a.dtype.kind == "i" else a[normal][:1000] for a in given)


def tensors(arguments: tuple[Any, ...]) -> list[Any]:
    return [tensor(a) if isinstance(a, np.ndarray) else a for a in arguments]


def assert_within_bound(name: str, result: Tensor, arguments: tuple[Any, ...]) -> None:
    got = array(result)
    arrays = (np.full(got.shape, a) if isinstance(a, int) else a for a in arguments)
    assert accuracy.measure(name, got, *arrays).worst <= bound(name, got.dtype.name, "torch_compile"), name


COMPILED = tuple(name for name, facts in FUNCTIONS.items() if "torch_compile" in facts.bounds)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", COMPILED)
def test_formulas_are_within_their_bounds(name: str, dtype: torch.dtype) -> None:
    given = sample(name, dtype)
    result = ops._formula(name)(*tensors(given))
    assert result.dtype == dtype
    assert_within_bound(name, result, given)


@pytest.mark.parametrize("name", ops.NAMES)
def test_formulas_at_the_ends(name: str) -> None:
    x = torch.tensor([-torch.inf, -1.0, -0.0, 0.0, 1.0, torch.inf, torch.nan])
    given: list[tuple[Any, ...]] = [(x, torch.ones(7)) if "gradient" in name else (x,)]
    if name == "nth_derivative":
        given = [(n, x) for n in (0, 1, 2, 5, 30)]
    if name == "derivative_times":
        given = [("softsign", n, x, [torch.ones(7)] * k) for n in (-1, 0, 1, 2, 3) for k in (1, 2, 3)]
    for arguments in given:
        kernel = ops.OPERATORS[name](*arguments)
        formula = ops._formula(name)(*arguments)
        torch.testing.assert_close(formula, kernel, rtol=2e-6, atol=0, equal_nan=True)
        if name not in ("log_jacobian", "derivative_times"):
            number = ~kernel.isnan()
            assert torch.equal(formula.signbit()[number], kernel.signbit()[number])


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
def test_complex_formulas(dtype: torch.dtype) -> None:
    most = torch.finfo(dtype).max
    infinite = [complex(np.inf, 2), complex(-np.inf, np.inf)]
    z = torch.tensor(
        [0, 3 + 4j, -1e3j, 1e-30j, *infinite, complex(most, -most), complex(0, most)], dtype=dtype
    )
    torch.testing.assert_close(formulas.softsign(z), ops.softsign(z))
    got = formulas.gradient(z[-2], torch.full_like(z[-2], 2**20))  # (1 + 1j) 2**20 / (2 |z|)
    torch.testing.assert_close(got.abs().item() * most, 2.0**19, rtol=1e-5, atol=0)


@pytest.mark.usefixtures("fresh")
@pytest.mark.filterwarnings("ignore:Torchinductor does not support code generation for complex")
def test_compiled_complex() -> None:
    z = torch.tensor([3e38 + 3e38j, 1 - 2j], requires_grad=True)
    compiled = torch.compile(lambda z: sst.softsign(z.conj()))
    torch.testing.assert_close(compiled(z), sst.softsign(z.conj()))
    (dz,), (expected,) = (
        torch.autograd.grad(f(z).abs().sum(), z) for f in (compiled, lambda z: sst.softsign(z))
    )
    torch.testing.assert_close(dz, expected)


# torch.compile


@pytest.fixture
def fresh() -> Iterator[None]:
    """Compile anew: the caches on disk do not know of changes in the formulas."""
    import torch._functorch.config as autograd_config
    from torch._inductor import config

    torch._dynamo.reset()
    with config.patch(fx_graph_cache=False), autograd_config.patch(enable_autograd_cache=False):
        yield
    torch._dynamo.reset()


def neighbors(x: Tensor) -> Tensor:
    return sst.softsign(2 * x + 1) * 3


@pytest.mark.usefixtures("fresh")
def test_inductor_fuses_it_with_its_neighbors() -> None:
    from torch._inductor.utils import run_and_get_code

    x = torch.randn(1000, requires_grad=True)

    def step() -> Tensor:
        y: Tensor = torch.compile(neighbors, fullgraph=True)(x)
        y.sum().backward()
        return y

    y, sources = run_and_get_code(step)
    torch.testing.assert_close(y, neighbors(x))
    expected = torch.autograd.grad(neighbors(x).sum(), x)[0]
    torch.testing.assert_close(x.grad, expected)
    assert len(sources) == 2  # forward and backward
    for source in sources:
        assert source.count("async_compile.cpp_pybinding(") == 1  # one loop
        assert "torch.ops.softsign" not in source


@pytest.mark.usefixtures("fresh")
def test_inductor_fuses_it_when_something_was_compiled_before() -> None:
    """Its table, and the copy that compiling something else has made of it, do not have the formulas yet."""
    from torch._inductor import decomposition
    from torch._inductor.utils import run_and_get_code

    for name in (*ops.NAMES, *ops.VARIANTS):
        decomposition.decompositions.pop(getattr(torch.ops.softsign, name).default, None)
    decomposition.fast_random_decomps.cache_clear()
    assert ops.softsign not in decomposition.fast_random_decomps()
    _, (source,) = run_and_get_code(torch.compile(sst.softsign), torch.randn(9))
    assert "torch.ops.softsign" not in source


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_compiled_values(dtype: torch.dtype) -> None:
    """One graph: softsign with its gradient at the ends, and in the wide types all functions in bounds."""
    names = [n for n in COMPILED if hasattr(sst, n)] if dtype.itemsize > 2 else ["softsign", "gradient"]
    given = {name: sample(name, dtype) for name in names}

    def everything(x: Tensor, arguments: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        return sst.softsign(x), {name: getattr(sst, name)(*arguments[name]) for name in names}

    ends = torch.tensor(
        [-torch.inf, -300, -0.0, 0, 300, torch.inf, torch.nan], dtype=dtype, requires_grad=True
    )
    arguments = {name: tensors(given[name]) for name in names}
    y, results = torch.compile(everything, fullgraph=True)(ends, arguments)
    torch.testing.assert_close(y, sst.softsign(ends), equal_nan=True)
    (dx,) = torch.autograd.grad(y, ends, torch.ones_like(y))
    (expected,) = torch.autograd.grad(sst.softsign(ends), ends, torch.ones_like(y))
    torch.testing.assert_close(dx, expected, atol=0, rtol=4 * torch.finfo(dtype).eps, equal_nan=True)
    for name in names:
        assert_within_bound(name, results[name], given[name])


#: What eager code refuses, with a word of the sentence.
REFUSED: dict[str, tuple[Callable[[Tensor], Tensor], Tensor, str]] = {
    "order -1": (lambda x: sst.nth_derivative(-1, x), torch.ones(2), "got -1"),
    "order 171": (lambda x: sst.nth_derivative(171, x), torch.ones(2), "got 171"),
    "complex": (sst.inverse, torch.tensor([1j]), "complex64"),
    "float8": (sst.softsign, torch.ones(2).to(torch.float8_e4m3fn), "float8"),
    "complex gradient": (lambda x: sst.gradient(x, x), torch.tensor([1j]), "complex64"),
    "operator's order": (lambda x: ops.nth_derivative(-1, x), torch.ones(2), "got -1"),
}


@pytest.mark.filterwarnings("ignore:Dynamo d")  # that it looks into the operator which refuses
@pytest.mark.parametrize("kind", REFUSED)
def test_what_eager_code_refuses(kind: str) -> None:
    f, x, word = REFUSED[kind]
    torch._dynamo.reset()
    for call, given in ((f, x), (f, x.to("meta")), (torch.compile(f, backend="aot_eager"), x)):
        with pytest.raises((ValueError, NotImplementedError, RuntimeError), match=word):
            call(given)


@pytest.mark.usefixtures("fresh")
def test_compiled_in_place() -> None:
    def f(x: Tensor) -> Tensor:
        hidden = 2 * x
        sst.softsign(hidden, inplace=True)
        return hidden

    x = torch.randn(100, requires_grad=True)
    y = torch.compile(f, fullgraph=True)(x)
    torch.testing.assert_close(y, f(x))
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], torch.autograd.grad(f(x).sum(), x)[0])
    buffer = torch.randn(10)
    expected = sst.softsign(buffer)
    torch.compile(lambda x: sst.softsign(x, inplace=True), fullgraph=True)(buffer)
    torch.testing.assert_close(buffer, expected)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("inplace", [False, True])
def test_compiled_autograd_of_an_eager_forward(inplace: bool) -> None:
    from torch._dynamo import compiled_autograd

    torch._dynamo.reset()
    x = torch.randn(5, requires_grad=True)
    y = sst.softsign(x * 1, inplace)
    (expected,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    with compiled_autograd._enable(torch.compile(backend="aot_eager", fullgraph=True)):
        y.sum().backward()
    torch.testing.assert_close(x.grad, expected)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("backend", ["inductor", "aot_eager"])
def test_compiled_with_any_size_and_kind(backend: str) -> None:
    """Of any size, by one kernel of Inductor; of other kinds, which compile anew, without code."""
    compiled = torch.compile(sst.softsign, dynamic=True, fullgraph=True, backend=backend)
    kinds = [torch.randn(7), torch.randn(9)]
    if backend == "aot_eager":
        kinds += [torch.randn(2, 3).T, torch.arange(-3, 3), torch.randn(3).bool()]
    for x in kinds:
        torch.testing.assert_close(compiled(x), sst.softsign(x))


@pytest.mark.usefixtures("fresh")
def test_compiled_swapped_model_has_no_graph_break() -> None:
    model = sst.swap(
        torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Softsign(), torch.nn.Linear(4, 2)), inplace=True
    )
    x = torch.randn(5, 3)
    explanation = torch._dynamo.explain(model)(x)
    assert explanation.graph_break_count == 0
    torch.testing.assert_close(torch.compile(model, fullgraph=True, backend="aot_eager")(x), model(x))


# Tracing and exporting


def test_fake_and_meta_tensors_hold_no_memory() -> None:
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode() as mode:
        x = mode.from_tensor(torch.randn(2, 3, 4).permute(2, 0, 1))
        y = sst.softsign(x)
        assert type(y) is type(x)
        assert y.stride() == x.stride()
    meta = torch.empty(3, 4, device="meta", dtype=torch.bfloat16, requires_grad=True)
    sst.softsign(meta).sum().backward()
    assert meta.grad is not None
    assert meta.grad.device.type == "meta"


def test_make_fx_records_the_operator() -> None:
    from torch.fx.experimental.proxy_tensor import make_fx

    graph = make_fx(lambda x: sst.softsign(x))(torch.randn(3)).graph
    assert ops.softsign in [node.target for node in graph.nodes]


def test_export_keeps_the_operator() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), sst.nn.Softsign(), sst.nn.ParametricSoftsign(3))
    program = torch.export.export(model, (torch.randn(4, 2),), dynamic_shapes=({0: torch.export.Dim("n")},))
    targets = [node.target for node in program.graph.nodes]
    assert targets.count(ops.softsign) == 2
    x = torch.randn(9, 2)
    torch.testing.assert_close(program.module()(x), model(x))


def test_jit_trace_records_the_operator() -> None:
    traced = torch.jit.trace(sst.softsign, torch.randn(3))
    assert "softsign::softsign" in str(traced.graph)
    assert traced(torch.tensor([3.0])).tolist() == [0.75]


@pytest.fixture
def quiet_exporter() -> Iterator[None]:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # that torchvision is not installed
    yield
    logger.setLevel(level)


def exported(model: torch.nn.Module, x: Tensor) -> Any:
    return torch.onnx.export(
        model.eval(), (x,), custom_translation_table=sst.onnx_translation_table(), verbose=False
    ).model_proto


@pytest.mark.usefixtures("quiet_exporter")
@pytest.mark.parametrize("inplace", [False, True])
def test_onnx_export_writes_softsign_nodes(inplace: bool) -> None:
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4), sst.nn.Softsign(inplace), torch.nn.Linear(4, 2), sst.nn.Softsign()
    )
    x = torch.randn(5, 3)
    proto = exported(model, x)
    assert [node.op_type for node in proto.graph.node] == ["Gemm", "Softsign", "Gemm", "Softsign"]
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(y, model(x).detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("quiet_exporter")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("dynamo", [False, True])
def test_onnx_export_without_the_table(dynamo: bool) -> None:
    model = torch.nn.Sequential(sst.nn.Softsign(), sst.nn.ParametricSoftsign(3)).eval()
    x = torch.tensor([[-torch.inf, 0.5, torch.inf], [-3.0, 0.0, 1e10]])
    file = io.BytesIO()
    torch.onnx.export(model, (x,), file, dynamo=dynamo, verbose=False)
    proto = onnx.load_from_string(file.getvalue())
    assert ("Softsign" in [node.op_type for node in proto.graph.node]) is not dynamo
    if dynamo:  # ONNX Runtime's Softsign is nan at inf
        (y,) = onnxruntime.InferenceSession(file.getvalue()).run(None, {proto.graph.input[0].name: x.numpy()})
        np.testing.assert_allclose(y, model(x).detach().numpy(), rtol=1e-6)


@pytest.mark.usefixtures("quiet_exporter")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_onnx_export_of_the_other_functions(dtype: torch.dtype) -> None:
    calls: dict[str, Callable[[Any, Any], Any]] = {
        "inverse": lambda of, x: of.inverse(x),
        "antiderivative": lambda of, x: of.antiderivative(x),
        "second_antiderivative": lambda of, x: of.second_antiderivative(x),
        "log_jacobian": lambda of, x: of.log_jacobian(x),
        "derivative": lambda of, x: of.derivative(x),
        "gradient": lambda of, x: of.gradient(x, 2 * x),
        "second derivative": lambda of, x: of.nth_derivative(2, x),
        "fifth derivative": lambda of, x: of.nth_derivative(5, x),
        "derivative times": lambda of, x: (
            x * of.nth_derivative(3, x) if of is core else ops.derivative_times("softsign", 3, x, [x])
        ),
        "antiderivative times": lambda of, x: (
            x * of.antiderivative(x) if of is core else ops.derivative_times("softsign", -1, x, [x])
        ),
    }

    class All(torch.nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return tuple(call(sst, x) for call in calls.values())

    positive = torch.exp2(torch.linspace(-30, 5, 300, dtype=dtype))
    special = torch.tensor([0.0, 1e6, torch.inf, -torch.inf, torch.nan], dtype=dtype)
    x = torch.cat([positive, -positive, special])
    session = onnxruntime.InferenceSession(exported(All(), x).SerializeToString())
    results = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    for (name, call), result in zip(calls.items(), results, strict=True):
        with np.errstate(all="ignore"):
            expected = call(core, x.numpy())
        np.testing.assert_allclose(result, expected, rtol=8 * torch.finfo(dtype).eps, atol=0, err_msg=name)


# Sharding


@pytest.fixture
def mesh() -> Iterator[Any]:
    import torch.distributed
    from torch.distributed.tensor import init_device_mesh
    from torch.testing._internal.distributed.fake_pg import FakeStore

    torch.distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    yield init_device_mesh("cpu", (2,))
    torch.distributed.destroy_process_group()


def test_sharded_tensors_stay_sharded(mesh: Any) -> None:
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    for placement in (Shard(0), Shard(1), Replicate()):
        x = distribute_tensor(torch.randn(4, 6), mesh, [placement]).requires_grad_()
        for y in (
            sst.softsign(x),
            sst.softsign(x * 1, inplace=True),
            sst.nth_derivative(2, x),
            sst.gradient(x, x),
        ):
            assert y.placements == (placement,)
        y = sst.softsign(x)
        assert torch.equal(y.to_local(), sst.softsign(x.to_local()))
        (dx,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        assert dx.placements == (placement,)
        local = x.to_local().detach()
        assert torch.equal(dx.to_local(), ops.gradient(local, torch.ones_like(local)))
        assert torch.autograd.grad(dx.sum(), x)[0].placements == (placement,)


@pytest.mark.parametrize("how", ["in place", "compiled", "operator"])
def test_sharded_tensors_from_the_first_call_on(mesh: Any, how: str) -> None:
    from torch.distributed.tensor import DTensor, Shard, distribute_tensor

    known = DTensor._op_dispatcher.sharding_propagator.op_strategy_funcs
    for operator in ops.OPERATORS.values():
        known.pop(operator, None)
    rules.offer_sharding.cache_clear()
    torch._dynamo.reset()
    calls: dict[str, Callable[[Tensor], Tensor]] = {
        "in place": lambda x: sst.softsign(x * 1, inplace=True),
        "compiled": torch.compile(sst.softsign, backend="aot_eager", fullgraph=True),
        "operator": lambda x: ops.derivative_times("softsign", 0, x, [torch.ones_like(x)]),
    }
    x = distribute_tensor(torch.randn(2, 6), mesh, [Shard(1)])
    y: Any = calls[how](x)
    assert y.placements == (Shard(1),)
    torch.testing.assert_close(y.to_local(), sst.softsign(x.to_local()))
