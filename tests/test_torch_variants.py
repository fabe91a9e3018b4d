"""softsign.torch.soft_cap and spike: values and gradients in every dtype, transformations, errors."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, func

import softsign
import softsign.torch as sst
from softsign import _core as core
from softsign import variants
from softsign.torch import ops
from softsign.torch.dynamic import dynamic_softsign
from tests.helpers import assert_same_bits, kernels, ulps
from tests.test_torch import DTYPES, array, tensor, values

by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
Function = Callable[..., Tensor]
#: Each function with a number to try, and the multiple of x that its derivative takes, exactly.
FUNCTIONS: dict[str, tuple[Function, float, Callable[[Fraction], Fraction]]] = {
    "soft_cap": (sst.soft_cap, 30.0, lambda x: x / 30),
    "spike": (sst.spike, 25.0, lambda x: x * 25),
}
by_name = pytest.mark.parametrize("name", FUNCTIONS)


def finite(dtype: torch.dtype, size: int = 300) -> Tensor:
    x = tensor(values(dtype, size))
    return x[x.isfinite()]


def exact_cap(x: float, c: float) -> Fraction:
    return Fraction(x) / (1 + abs(Fraction(x)) / Fraction(c))


@by_dtype
@pytest.mark.parametrize("c", [1e-15, 0.5, 30.0, 1e15])
def test_soft_cap_is_within_2_ulp(c: float, dtype: torch.dtype) -> None:
    x = finite(dtype)
    c = float(torch.tensor(c, dtype=torch.promote_types(dtype, torch.float32)))
    pairs = zip(array(sst.soft_cap(x, c)), x.tolist(), strict=True)
    error = max(ulps(y, exact_cap(v, c)) for y, v in pairs)
    assert error <= (0.51 if dtype.itemsize == 2 else 2)


def test_soft_cap_is_that_of_numpy() -> None:
    x = values(torch.float64, 1000)
    np.testing.assert_allclose(sst.soft_cap(tensor(x), 7.3).numpy(), variants.soft_cap(x, 7.3), rtol=3e-16)


@by_dtype
def test_spike_is_a_step(dtype: torch.dtype) -> None:
    x = tensor(values(dtype))
    y = sst.spike(x)
    assert y.dtype == dtype
    number = ~x.isnan()
    assert torch.equal(y[number], torch.heaviside(x, torch.zeros((), dtype=dtype))[number])
    assert y[~number].isnan().all()


@by_dtype
@by_name
def test_gradients_are_right_at_every_x(name: str, dtype: torch.dtype) -> None:
    f, number, scaled = FUNCTIONS[name]
    x = finite(dtype).requires_grad_()
    dy = x.detach().flip(0).contiguous()
    (dx,) = torch.autograd.grad(f(x, number), x, dy)
    assert dx.dtype == dtype
    assert torch.equal(dx, torch.autograd.grad(ops.OPERATORS[name](number, x), x, dy)[0])
    wide = np.float32 if dtype.itemsize == 2 else array(x).dtype.type
    limit = float(np.finfo(wide).max) / 25  # beyond, the multiple of x is infinite, and dx 0
    errors = [
        ulps(value, Fraction(d) / (1 + abs(scaled(Fraction(v)))) ** 2)
        for value, d, v in zip(array(dx), dy.tolist(), x.tolist(), strict=True)
        if abs(v) < limit
    ]
    assert max(errors) <= (0.51 if dtype.itemsize == 2 else 4)


def test_a_gradient_of_float16_that_the_plain_formula_loses() -> None:
    """What snnTorch computes: its square overflows."""
    u = torch.tensor([5.0, 10.0, 10.5, 60.0], dtype=torch.float16, requires_grad=True)
    plain = torch.ones_like(u) / (25 * u.abs() + 1) ** 2
    (ours,) = torch.autograd.grad(sst.spike(u).sum(), u)
    assert plain.tolist()[2:] == [0, 0]
    exact = 1 / (1 + 25 * u.double()) ** 2
    assert (ours - exact).abs().max() <= 2.0**-25  # half a subnormal's place
    assert ours.min() > 0
    # A loss scaled by 2**15, as mixed precision does, for a cap whose c dy would overflow:
    x = torch.tensor([1.0], dtype=torch.float16, requires_grad=True)
    (dx,) = torch.autograd.grad(sst.soft_cap(x, 50.0), x, torch.tensor([2.0**15], dtype=torch.float16))
    assert dx.item() == pytest.approx(2.0**15 / 1.02**2, rel=1e-3)


def test_the_scale_of_other_libraries() -> None:
    u = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    (ours,) = torch.autograd.grad(sst.spike(u, 25.0).sum(), u)
    torch.testing.assert_close(ours, 1 / (25 * u.abs() + 1) ** 2)  # snnTorch's fast_sigmoid(25)
    alpha = 2.0
    (ours,) = torch.autograd.grad(sst.spike(u, alpha).sum(), u)
    theirs = 1 / (2 * alpha * (1 / alpha + u.abs()) ** 2)  # SpikingJelly's SoftSign(alpha)
    torch.testing.assert_close(alpha / 2 * ours, theirs.detach())


@by_name
def test_ends(name: str) -> None:
    f, number, _ = FUNCTIONS[name]
    x = torch.tensor([-torch.inf, -0.0, 0.0, torch.inf, torch.nan], requires_grad=True)
    y = f(x, number)
    expected = {"soft_cap": [-30, -0.0, 0, 30, np.nan], "spike": [0, 0, 0, 1, np.nan]}[name]
    plus = 0 if name == "spike" else -0.0  # whether a spike's 0 is negative does not matter
    assert_same_bits(array(y) + np.float32(plus), np.array(expected, np.float32))
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert str(first.tolist()) == "[0.0, 1.0, 1.0, 0.0, nan]"
    (second,) = torch.autograd.grad(first.sum(), x)
    assert second.tolist()[:4] == [0, 0, 0, 0]


def smooth(x: Tensor) -> Tensor:
    return x / (1 + x.abs() / 30)


def surrogate(u: Tensor) -> Tensor:
    """What spike's derivatives are those of."""
    return u / (1 + 25 * u.abs())


POINTS = torch.tensor([[-3.0, -0.2, 0.1], [0.7, 2.0, 40.0]], dtype=torch.float64)


def slopes(f: Callable[[Tensor], Tensor], x: Tensor) -> list[Tensor]:
    """First and second derivatives in every manner."""

    def total(x: Tensor) -> Tensor:
        return f(x).sum()

    tangent = torch.linspace(1, 2, x.numel(), dtype=x.dtype).reshape(x.shape)
    flat = x.flatten()
    return [
        func.grad(total)(x),
        func.jvp(f, (x,), (tangent,))[1],
        func.vmap(func.grad(total))(x),
        func.vmap(func.vmap(func.grad(f)), in_dims=1)(x),
        func.jacrev(f)(flat),
        func.jacfwd(f)(flat),
        func.hessian(total)(flat),
        func.jacrev(func.jacrev(total))(flat),
        func.jvp(func.grad(total), (x,), (tangent,))[1],
        func.grad(lambda x: func.grad(lambda x: func.grad(total)(x).sum())(x).sum())(x),
    ]


@by_name
def test_derivatives_under_every_transformation(name: str) -> None:
    f, number, _ = FUNCTIONS[name]
    plain = {"soft_cap": smooth, "spike": surrogate}[name]
    for ours, expected in zip(slopes(lambda x: f(x, number), POINTS), slopes(plain, POINTS), strict=True):
        torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(
        func.vmap(lambda x: f(x, number), in_dims=1, out_dims=1)(POINTS), f(POINTS, number)
    )
    assert torch.equal(func.functionalize(lambda x: f(x, number))(POINTS), f(POINTS, number))


def test_gradcheck() -> None:
    x = POINTS.clone().requires_grad_()
    options: dict[str, Any] = {"check_forward_ad": True, "check_batched_grad": True}
    assert torch.autograd.gradcheck(lambda x: sst.soft_cap(x, 3.0), x, **options)
    assert torch.autograd.gradgradcheck(lambda x: sst.soft_cap(x, 3.0), x)
    assert torch.autograd.gradgradcheck(lambda x: sst.spike(x, 3.0), x)


@by_name
def test_operators_keep_what_they_promise(name: str) -> None:
    number = FUNCTIONS[name][1]
    x = torch.randn(3, 4).requires_grad_()
    result = torch.library.opcheck(ops.OPERATORS[name], (number, x))
    assert set(result.values()) == {"SUCCESS"}


@pytest.mark.filterwarnings("ignore:Dynamo d")  # that it looks into the operator which refuses
def test_compiled() -> None:
    """Values, gradients and gradients of gradients, in one graph; what eager code refuses is refused."""
    torch._dynamo.reset()

    def both(x: Tensor, half: Tensor) -> tuple[Tensor, ...]:
        return sst.soft_cap(x, 30.0), sst.spike(x, 25.0), sst.soft_cap(half, 30.0), sst.spike(half)

    x = torch.tensor([-torch.inf, -3, -0.0, 0.02, 2, 1e5, torch.inf], requires_grad=True)
    half = x.detach().half().requires_grad_()
    compiled = torch.compile(both, fullgraph=True)
    for ours, expected in zip(compiled(x, half), both(x, half), strict=True):
        torch.testing.assert_close(ours, expected, rtol=3e-7, atol=0)
        leaf = x if ours.dtype == torch.float32 else half
        gradients = [torch.autograd.grad(y.sum(), leaf, retain_graph=True)[0] for y in (ours, expected)]
        torch.testing.assert_close(*gradients, rtol=1e-6 if leaf is x else 1e-3, atol=0)
    for f in (lambda x: sst.soft_cap(x, -1.0), lambda x: sst.spike(x, float("nan"))):
        with pytest.raises(Exception, match="must be a number from"):
            torch.compile(f, fullgraph=True, backend="eager")(x)
    torch._dynamo.reset()


@by_name
def test_kinds_of_tensors(name: str) -> None:
    f, number, _ = FUNCTIONS[name]
    x = torch.randn(3, 4)
    expected = f(x, number)
    assert f(x.to("meta"), number).shape == x.shape
    with torch._subclasses.FakeTensorMode() as mode:
        assert f(mode.from_tensor(x).bfloat16(), number).dtype == torch.bfloat16
    assert f(torch.tensor([2, -1]), number).dtype == torch.float32
    assert f(torch.empty(0, 3), number).shape == (0, 3)
    assert f(torch.tensor(1.0), number).shape == ()
    for layout in (x.T, x[:, ::2], x.expand(2, 3, 4)):
        assert torch.equal(f(layout, number), f(layout.contiguous(), number))
    nested = torch.nested.nested_tensor([x, x[:2]], layout=torch.jagged)
    assert torch.equal(f(nested, number).unbind()[1], expected[:2])
    traced = torch.jit.trace(lambda x: f(x, number), x, check_trace=False)
    assert torch.equal(traced(x), expected)
    graph = torch.export.export(torch.nn.Sequential(Module(f, number)), (x,))
    assert torch.equal(graph.module()(x), expected)
    assert f(Marked(), number) == (f, number)


class Module(torch.nn.Module):
    def __init__(self, f: Function, number: float) -> None:
        super().__init__()
        self.f, self.number = f, number

    def forward(self, x: Tensor) -> Tensor:
        return self.f(x, self.number)


class Marked:
    """What overrides functions of torch."""

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function, args[1]


@pytest.mark.parametrize("number", [0, -1, float("nan"), float("inf"), 1e-50])
@pytest.mark.parametrize(("name", "parameter"), [("soft_cap", "c"), ("spike", "slope")])
def test_numbers_out_of_range(name: str, parameter: str, number: float) -> None:
    sentence = rf"^{name}: {parameter} must be a number from 1e-15 to 1e15, got "
    for call in (getattr(sst, name), lambda x, n: ops.OPERATORS[name](n, x)):
        with pytest.raises(ValueError, match=sentence):
            call(torch.ones(2), number)


@pytest.mark.parametrize(
    ("x", "number", "error", "words"),
    [
        (1.0, 2.0, TypeError, "the argument must be a Tensor, got float"),
        (torch.ones(1), "2", TypeError, "must be a number, got str"),
        (torch.ones(1), torch.ones(1), TypeError, "must be a number, got Tensor"),
        (torch.ones(1), None, TypeError, "must be a number, got NoneType"),
        (torch.tensor([1j]), 2.0, NotImplementedError, "complex64 is not among the dtypes it takes"),
        (torch.eye(2).to_sparse(), 2.0, NotImplementedError, "must be a dense tensor"),
    ],
    ids=["number", "text", "tensor", "none", "complex", "sparse"],
)
@by_name
def test_what_is_refused(name: str, x: Any, number: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=rf"{name}: .*{words}"):
        FUNCTIONS[name][0](x, number)


# The layer


def layer(dtype: torch.dtype, features: int, alpha: float = 0.7) -> sst.nn.DynamicSoftsign:
    made = sst.nn.DynamicSoftsign(features, alpha, dtype=torch.promote_types(dtype, torch.float32))
    with torch.no_grad():
        made.weight.normal_()
        made.bias.normal_()
    return made


def plain_layer(x: Tensor, alpha: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    u = alpha * x
    return weight * u / (1 + u.abs()) + bias


@by_dtype
@pytest.mark.parametrize("shape", [(1, 1), (70, 37), (3, 700, 130)], ids=str)
def test_layer_and_its_gradients_against_float64(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """In units of the last place of the sums of magnitudes; the last shape is shared among threads."""
    torch.manual_seed(0)
    x, dy = (torch.randn(shape).to(dtype) for _ in range(2))
    module = layer(dtype, shape[-1])
    x.requires_grad_()
    y = module(x)
    gradients = torch.autograd.grad(y, (x, *module.parameters()), dy)
    inputs = [t.detach().to(torch.float64).requires_grad_() for t in (x, *module.parameters())]
    a, w, b = inputs[1:]
    expected = torch.autograd.grad(plain_layer(*inputs), inputs, dy.double())
    rows = tuple(range(len(shape) - 1))
    u = a * inputs[0]
    slope = (w * dy / (1 + u.abs()) ** 2).abs()
    sizes = [
        (a * slope).abs(),
        (slope * x).abs().sum(),
        (dy * u / (1 + u.abs())).abs().sum(rows),
        dy.double().abs().sum(rows),
    ]
    assert y.dtype == dtype
    error = (y - plain_layer(*inputs)).abs() / (w.abs() + b.abs())
    assert error.max() <= 4 * torch.finfo(dtype).eps
    for got, exact, size, t in zip(gradients, expected, sizes, (x, *module.parameters()), strict=True):
        assert (got.dtype, got.shape) == (t.dtype, t.shape)
        info = torch.finfo(t.dtype)
        units = (got - exact).abs() / (info.eps * (size + info.tiny))
        assert units.max() <= (8 if dtype == torch.float64 else 4)  # float64: the reference errs as well


def test_layer_far_out() -> None:
    """bfloat16 keeps a gradient beyond abs(alpha x) = 300; infinite inputs spoil no sum."""
    x = torch.tensor([[1000.0, -torch.inf, torch.inf]], dtype=torch.bfloat16, requires_grad=True)
    module = sst.nn.DynamicSoftsign(3)
    y = module(x)
    assert y.tolist() == [[1, -1, 1]]
    dx, *others = torch.autograd.grad(y.sum(), (x, *module.parameters()))
    assert dx[0, 0].item() == pytest.approx(1 / 1001**2, rel=2**-8)
    assert dx[0, 1:].tolist() == [0, 0]
    assert others[0].item() == pytest.approx(1000 / 1001**2, rel=1e-6)
    assert others[1].tolist() == pytest.approx([1000 / 1001, -1, 1])
    assert module(torch.tensor([[torch.nan, 1, 1]])).isnan().tolist() == [[True, False, False]]


@by_dtype
def test_layer_with_infinities_anywhere(dtype: torch.dtype) -> None:
    """In whole vectors and in the rest of a row: ±1, no gradient there, and the other numbers as without."""
    torch.manual_seed(1)
    x, dy = (torch.randn(9, 75).to(dtype) for _ in range(2))
    module = layer(dtype, 75)
    far = torch.rand(x.shape) < torch.linspace(0, 0.3, 9)[:, None]

    def everything(x: Tensor) -> list[Tensor]:
        x = x.clone().requires_grad_()
        y = module(x)
        return [y.detach(), *torch.autograd.grad(y, (x, *module.parameters()), dy)]

    sign = x.sign()
    y, dx, dalpha, dweight, dbias = everything(x.where(~far, torch.inf * sign))
    near = everything(x.where(~far, 0))
    assert torch.equal(y[~far], near[0][~far])
    assert torch.equal(y[far], (module.weight * sign + module.bias).to(dtype)[far])
    assert torch.equal(dx, near[1].where(~far, 0))
    torch.testing.assert_close(dalpha, near[2])
    torch.testing.assert_close(dweight, near[3] + (dy.to(dweight.dtype) * sign * far).sum(0))
    assert torch.equal(dbias, near[4])


def test_layer_gives_the_same_bits_on_any_threads_and_kernels() -> None:
    x, dy = torch.randn(2000, 131), torch.randn(2000, 131)
    module = layer(torch.float32, 131)
    x.requires_grad_()

    def everything() -> list[Tensor]:
        y = module(x)
        return [y, *torch.autograd.grad(y, (x, *module.parameters()), dy)]

    expected, before = everything(), torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            for name in softsign.cpu_features()["available"]:
                with kernels(name):
                    assert all(map(torch.equal, everything(), expected))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_layer_of_large_arrays_written_past_the_cache(dtype: torch.dtype) -> None:
    x, dy = (torch.randn(4096, 512).to(dtype) for _ in range(2))
    module = layer(dtype, 512)

    def values_and_gradients(rows: slice) -> tuple[Tensor, Tensor]:
        leaf = x[rows].clone().requires_grad_()
        y = module(leaf)
        return y.detach(), torch.autograd.grad(y, leaf, dy[rows].clone())[0]

    whole = values_and_gradients(slice(None))
    parts = [values_and_gradients(slice(row, row + 256)) for row in range(0, 4096, 256)]
    assert all(torch.equal(w, torch.cat(p)) for w, p in zip(whole, zip(*parts, strict=True), strict=True))


def test_layer_under_transformations() -> None:
    x = POINTS.clone()
    module = layer(torch.float64, 3)
    parameters = tuple(p.detach() for p in module.parameters())
    torch.testing.assert_close(func.vmap(module)(x), plain_layer(x, *parameters))
    for derivative in (func.jacrev, func.jacfwd, lambda f: func.hessian(lambda x: f(x).sum())):
        expected = derivative(lambda x: plain_layer(x, *parameters))(x)
        torch.testing.assert_close(derivative(module)(x), expected)

    def layers(x: Tensor, a: Tensor, w: Tensor, b: Tensor) -> Tensor:
        result: Tensor = func.functional_call(module, {"alpha": a, "weight": w, "bias": b}, (x,))
        return result

    inputs = tuple(t.clone().requires_grad_() for t in (x, *parameters))
    assert torch.autograd.gradcheck(layers, inputs, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(layers, inputs)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), module(x))
    assert module.to("meta")(x.to("meta")).shape == x.shape


def test_layer_on_kinds_of_tensors() -> None:
    module = layer(torch.float32, 4)
    x = torch.randn(6, 5, 4)
    with torch.no_grad():
        expected = module(x)
        assert torch.equal(module(x.transpose(0, 1)), expected.transpose(0, 1))
        assert module(torch.empty(0, 4)).shape == (0, 4)
        assert module(torch.ones(4, dtype=torch.int64)).dtype == torch.float32
        half = module.bfloat16()(x.bfloat16())
        assert half.dtype == torch.bfloat16
    with pytest.raises(
        ValueError, match=r"^DynamicSoftsign: the last axis of x must have 4 features, got the shape \[3\]"
    ):
        module(torch.ones(3))
    for arguments, words in (
        ((0,), "num_features must be"),
        ((2, 0.0), "alpha must be"),
        ((2, np.nan), "alpha must be"),
    ):
        with pytest.raises(ValueError, match=f"^DynamicSoftsign: {words} "):
            sst.nn.DynamicSoftsign(*arguments)
    with pytest.raises(ValueError, match=r"^_layer: takes a type"):
        core._layer(99, 1, 1, 1, 1.0, 0, 0, 0, 0)
    with pytest.raises(ValueError, match=r"^_layer: takes a type"):
        core._layer(2, 1, 1, 1, 1.0, 0)


@pytest.mark.parametrize(
    ("x", "alpha", "weight", "bias"), [((2, 8), 1, 4, 8), ((2, 8), 1, 8, 4), ((2, 8), 2, 8, 8), ((), 1, 1, 1)]
)
def test_sizes_that_the_kernels_would_read_beyond_are_refused(
    x: tuple[int, ...], alpha: int, weight: int, bias: int
) -> None:
    given = [torch.ones(shape) for shape in (x, (alpha,), (weight,), (bias,))]
    with pytest.raises(ValueError, match="weight and bias as many as the last axis of x"):
        dynamic_softsign(*given)
    layer = sst.nn.DynamicSoftsign(8)
    layer.weight = torch.nn.Parameter(torch.ones(4))
    with pytest.raises(ValueError, match=r"are \[2, 8\], \[1\], \[4\], \[8\]"):
        layer(torch.ones(2, 8))


def test_a_layer_of_no_features_or_rows() -> None:
    for shape in ((3, 0), (0, 5)):
        x, weight = torch.ones(shape, requires_grad=True), torch.ones(shape[1], requires_grad=True)
        y = dynamic_softsign(x, torch.ones(1), weight, torch.zeros(shape[1]))
        y.sum().backward()
        assert y.shape == shape
        assert x.grad is not None
        assert x.grad.shape == shape
        assert weight.grad is not None
        assert not weight.grad.any()
