"""softsign.torch on the CPU: values, gradients, places, kinds of tensors, errors."""

import copy
import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import softsign as core
import softsign.torch as sst
from softsign.torch import _private, ops
from tests.helpers import (
    BFLOAT16,
    Array,
    assert_same_bits,
    exact,
    random_values,
    run_python,
    special_values,
    ulps,
)

DTYPES = {torch.float16: "e", torch.bfloat16: BFLOAT16, torch.float32: "f", torch.float64: "d"}
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
#: The public functions of x alone; a ufunc of the same name says what each is.
UNARY = ("softsign", "derivative", "inverse", "antiderivative", "second_antiderivative", "log_jacobian")


def tensor(array: Array) -> Tensor:
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def array(x: Tensor) -> Array:
    x = x.detach()
    result: Array = x.view(torch.int16).numpy().view(BFLOAT16) if x.dtype == torch.bfloat16 else x.numpy()
    return result


def values(dtype: torch.dtype, size: int = 4000) -> Array:
    kind = np.dtype(DTYPES[dtype])
    return np.concatenate([special_values(kind), random_values(kind, size)])


def through_dispatcher(x: Tensor) -> Tensor:
    y: Tensor = ops.softsign(x)
    return y


# Values


@by_dtype
@pytest.mark.parametrize("name", UNARY)
def test_values_are_the_ufuncs_bit_for_bit(name: str, dtype: torch.dtype) -> None:
    x = values(dtype)
    with np.errstate(all="ignore"):
        assert_same_bits(array(getattr(sst, name)(tensor(x))), getattr(core, name)(x))


@by_dtype
@pytest.mark.parametrize("n", [0, 1, 2, 3, 7])
def test_derivatives_are_the_ufunc_s(n: int, dtype: torch.dtype) -> None:
    x = values(dtype)
    with np.errstate(all="ignore"):
        assert_same_bits(array(sst.nth_derivative(n, tensor(x))), core.nth_derivative(n, x))


@by_dtype
def test_gradient_function_is_the_ufunc(dtype: torch.dtype) -> None:
    x, dy = values(dtype), values(dtype)[::-1].copy()
    with np.errstate(all="ignore"):
        assert_same_bits(array(sst.gradient(tensor(x), tensor(dy))), core.gradient(x, dy))


def test_gradient_function_broadcasts_and_promotes() -> None:
    x, dy = torch.linspace(-2, 2, 3)[:, None], torch.tensor([1, -2])
    dx = sst.gradient(x, dy)
    assert_same_bits(array(dx), core.gradient(x.numpy(), dy.float().numpy()))
    assert sst.gradient(x.bfloat16(), dy.double()).dtype == torch.float64
    assert sst.gradient(torch.tensor(1), dy).dtype == torch.float32


def test_gradient_function_is_differentiable_in_both() -> None:
    x = torch.tensor([[-3.0], [0.5]], dtype=torch.float64, requires_grad=True)
    dy = torch.tensor([2.0, 3.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sst.gradient, (x, dy), check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(sst.gradient, (x, dy))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((torch.ones(2), 1.0), TypeError),
        ((torch.tensor([1j]), torch.ones(1)), NotImplementedError),
        ((torch.ones(1), torch.tensor([1j])), NotImplementedError),
        ((torch.eye(2).to_sparse(), torch.eye(2)), NotImplementedError),
        ((torch.ones(2), torch.ones(3)), RuntimeError),
    ],
    ids=["number", "complex", "complex dy", "sparse", "shapes"],
)
def test_gradient_function_refuses(arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"gradient: (the argument|.* is not among)|must match the size"):
        sst.gradient(*arguments)


@by_dtype
@pytest.mark.parametrize("call", [sst.softsign, through_dispatcher])
def test_gradient_is_the_ufunc_s(dtype: torch.dtype, call: Callable[[Tensor], Tensor]) -> None:
    x, dy = values(dtype), values(dtype)[::-1].copy()
    leaf = tensor(x).requires_grad_()
    call(leaf).backward(tensor(dy))
    with np.errstate(all="ignore"):
        assert_same_bits(array(leaf.grad), core.gradient(x, dy))


@pytest.mark.parametrize(
    ("dtype", "bound"),
    [(torch.float32, 1), (torch.float64, 1), (torch.float16, 0.51), (torch.bfloat16, 0.51)],
    ids=str,
)
def test_gradient_is_right_at_every_x(dtype: torch.dtype, bound: float) -> None:
    info = torch.finfo(dtype)
    exponents = np.random.default_rng(0).uniform(max(-126, np.log2(info.tiny)), np.log2(info.max), 2000)
    x = torch.tensor(np.exp2(np.minimum(exponents, 127)), dtype=dtype).requires_grad_()
    sst.softsign(x).backward(torch.ones_like(x))
    assert x.grad is not None
    pairs = zip(array(x), array(x.grad), strict=True)
    assert max(ulps(g, exact("gradient", Fraction(float(v)), 1)) for v, g in pairs) <= bound


def test_bfloat16_gradients_that_pytorch_loses() -> None:
    x = torch.tensor([300.0, 1000.0, 1e4], dtype=torch.bfloat16)
    theirs, ours = (
        torch.autograd.grad(f(leaf := x.clone().requires_grad_()), leaf, torch.ones_like(x))[0]
        for f in (torch.nn.functional.softsign, sst.softsign)
    )
    assert not theirs.any()
    torch.testing.assert_close(ours.double(), 1 / (1 + x.double()) ** 2, rtol=2**-8, atol=0)


@pytest.mark.parametrize("call", [sst.softsign, through_dispatcher])
def test_ends_and_kink(call: Callable[[Tensor], Tensor]) -> None:
    x = torch.tensor([-torch.inf, -0.0, 0.0, torch.inf], dtype=torch.float64, requires_grad=True)
    y = call(x)
    assert y.tolist() == [-1, 0, 0, 1]
    assert torch.signbit(y).tolist() == [True, True, False, False]
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert first.tolist() == [0, 1, 1, 0]
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    assert second.tolist() == [0, 0, 0, 0]
    (third,) = torch.autograd.grad(second.sum(), x)
    assert third.tolist() == [0, 6, 6, 0]


@given(st.floats(-1e100, 1e100), st.integers(1, 6))
def test_any_order_of_derivative(value: float, order: int) -> None:
    x = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    y = sst.softsign(x)
    for _ in range(order):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
    truth = exact("nth_derivative", Fraction(value), order)
    assert abs(Fraction(y.item()) - truth) <= abs(truth) * Fraction(2) ** -50 + Fraction(5e-324)


@given(st.floats(-1, 1, width=32))
def test_inverse_is_one(value: float) -> None:
    y = torch.tensor(value, dtype=torch.float64)
    assert sst.softsign(sst.inverse(y)).item() == pytest.approx(value, rel=1e-15, abs=0)


@pytest.mark.parametrize("name", [*UNARY, "softsign in place"])
def test_gradcheck_and_gradgradcheck(name: str) -> None:
    points = torch.tensor([-0.9, -0.4, 0.3, 0.7], dtype=torch.float64)
    x = (points if name == "inverse" else points * 4).requires_grad_()

    def in_place(x: Tensor) -> Tensor:
        return sst.softsign(1 * x, inplace=True)

    f = in_place if name == "softsign in place" else getattr(sst, name)
    everything = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(f, x, **everything)
    assert torch.autograd.gradgradcheck(f, x, check_fwd_over_rev=True, check_batched_grad=True)


# Memory


def layouts() -> dict[str, Tensor]:
    x = torch.randn(4, 6, 8, 10, generator=torch.Generator().manual_seed(0))
    return {
        "contiguous": x,
        "channels-last": x.contiguous(memory_format=torch.channels_last),
        "transposed": x.transpose(1, 3),
        "strided": x[:, ::2, :, 1::3],
        "expanded": x[:, :1].expand(4, 6, 8, 10),
        "0-d": x[0, 0, 0, 0],
        "empty": x[:, :0],
        "channels-last slice": x.contiguous(memory_format=torch.channels_last)[:, 1:4],
    }


@pytest.mark.parametrize("layout", layouts())
def test_any_layout(layout: str) -> None:
    x = layouts()[layout]
    like = torch.relu(x)  # an elementwise operation of PyTorch's own, for the layout of the result
    for call in (sst.softsign, through_dispatcher):
        y = call(x)
        assert_same_bits(array(y), core.softsign(x.numpy()))
        assert y.stride() == like.stride() or not x.numel()
        for dy in (torch.randn_like(x), torch.ones(()).expand(x.shape), torch.randn(x.shape).contiguous()):
            leaf = x.detach().requires_grad_()
            call(leaf).backward(dy)
            assert_same_bits(array(leaf.grad), core.gradient(x.numpy(), dy.numpy()))


@pytest.mark.parametrize("layout", [name for name in layouts() if name != "expanded"])
def test_in_place_in_any_layout(layout: str) -> None:
    x = layouts()[layout].clone() if layout == "contiguous" else layouts()[layout]
    expected, version, address = core.softsign(x.numpy()), x._version, x.data_ptr()
    assert sst.softsign(x, inplace=True) is x
    assert_same_bits(array(x), expected)
    assert x.data_ptr() == address
    assert x._version > version


def test_in_place_gradient_comes_from_the_output() -> None:
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    leaf = x.clone().requires_grad_()
    hidden = leaf * 1
    y = sst.softsign(hidden, inplace=True)
    assert y is hidden
    dy = torch.randn(1000)
    y.backward(dy)
    output = core.softsign(x.numpy())
    assert_same_bits(array(leaf.grad), core.gradient_from_output(output, dy.numpy()))


def test_a_view_is_changed_in_place_with_its_gradient() -> None:
    leaf = torch.tensor([1.0, -3.0, 5.0], requires_grad=True)
    hidden = leaf * 1
    sst.softsign(hidden[:2], inplace=True)
    assert hidden.tolist() == [0.5, -0.75, 5]
    hidden.sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [0.25, 0.0625, 1]


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("call", ["function", "dispatcher"])
def test_backward_keeps_one_tensor(inplace: bool, call: str) -> None:
    leaf = torch.randn(10, requires_grad=True)
    hidden = leaf * 1
    kept: list[Tensor] = []

    def keep(t: Tensor) -> Tensor:
        kept.append(t)
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        if call == "dispatcher":
            y = ops.softsign_saving_output(hidden) if inplace else ops.softsign(hidden)
        else:
            y = sst.softsign(hidden, inplace)
    assert [t.data_ptr() for t in kept] == [(y if inplace else hidden).data_ptr()]


def test_memory_of_forward_and_backward() -> None:
    """At most the output and the gradient, which PyTorch's profiler counts; in place only the gradient."""
    n = 1 << 20
    for inplace, most in ((False, 8), (True, 4)):
        leaf = torch.randn(n, requires_grad=True)
        hidden = leaf.view(n) if not inplace else leaf * 1
        dy = torch.ones(n)
        with torch.profiler.profile(profile_memory=True) as profile:
            y = sst.softsign(hidden, inplace)
            (dx,) = torch.autograd.grad(y, hidden if not inplace else leaf, dy)
        allocated = sum(max(event.self_cpu_memory_usage, 0) for event in profile.events())
        # In place, the gradient also passes leaf * 1.
        assert allocated <= (most + 4 * inplace) * n + 4096
        assert dx.shape == (n,)


def in_huge_pages(x: Tensor) -> bool:
    """Whether Linux has been asked for huge pages for the memory of x, be it that it has them or not."""
    middle, inside = x.data_ptr() + x.nbytes // 2, False
    smaps = Path("/proc/self/smaps")
    for line in smaps.read_text().splitlines() if smaps.exists() else ():
        first, *rest = line.split()
        if first == "VmFlags:" and inside:
            return "hg" in rest
        if not first.endswith(":"):
            begin, end = (int(address, 16) for address in first.split("-"))
            inside = begin <= middle < end
    return False


def test_large_new_tensors_lie_in_huge_pages() -> None:
    """In place nothing is new, and the memory of the program's own tensors stays as it is."""
    x = torch.ones(9 << 10, 1 << 10)  # 36 MiB, which malloc asks for unless it has them left over
    leaf = x.clone().requires_grad_()
    before = in_huge_pages(x), in_huge_pages(leaf)  # as a rule not
    y = sst.softsign(leaf)
    y.sum().backward()
    assert leaf.grad is not None
    layer = sst.nn.DynamicSoftsign(1 << 10)
    new = [y, leaf.grad, layer(x), sst.softsign(x.T), sst.gradient(x, x), sst.nth_derivative(3, x)]
    available = Path("/sys/kernel/mm/transparent_hugepage").exists()
    assert [in_huge_pages(t) for t in new] == [available] * len(new)
    assert (in_huge_pages(sst.softsign(x, inplace=True)), in_huge_pages(leaf)) == before


def test_small_new_tensors_are_not_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(core._core, "_advise_huge_pages", lambda *memory: asked.append(memory))
    dtype: torch.dtype
    for dtype, itemsize in ((torch.bfloat16, 2), (torch.float32, 4), (torch.float64, 8)):
        x = torch.zeros((4 << 20) // itemsize, dtype=dtype)
        sst.softsign(x[1:])
        sst.derivative(x[1:])
        assert not asked
        y = sst.softsign(x)
        assert asked == [(y.data_ptr(), 4 << 20)]
        asked.clear()


@pytest.mark.parametrize("offset", [0, 1, 4095])
@pytest.mark.parametrize("bytes", [0, 1, 4097, 1 << 22])
def test_advice_changes_no_bytes(offset: int, bytes: int) -> None:
    memory = torch.arange((1 << 22) + 8192, dtype=torch.int32).view(torch.uint8)
    core._core._advise_huge_pages(memory.data_ptr() + offset, bytes)
    assert torch.equal(memory, torch.arange((1 << 22) + 8192, dtype=torch.int32).view(torch.uint8))


def test_advice_is_checked() -> None:
    with pytest.raises(TypeError, match="takes address and bytes, got 1"):
        core._core._advise_huge_pages(4096)  # type: ignore[call-arg]
    for memory in ((-1, 4096), (4096, -1)):
        with pytest.raises(OverflowError):
            core._core._advise_huge_pages(*memory)


@pytest.mark.parametrize("threads", [1, 2])
def test_pytorch_s_thread_count_is_respected(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    compute = core._core._compute

    def spy(function: int, type: int, n: int, threads: int, *addresses: int) -> None:
        asked.append(threads)
        compute(function, type, n, threads, *addresses)

    monkeypatch.setattr(core._core, "_compute", spy)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        x = torch.randn(1 << 20)
        y = sst.softsign(x)
    finally:
        torch.set_num_threads(before)
    assert asked == [threads]
    assert_same_bits(array(y), core.softsign(x.numpy()))


# Kinds of tensors


@pytest.mark.parametrize(
    "dtype",
    [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16],
    ids=str,
)
def test_integers_are_promoted_first(dtype: torch.dtype) -> None:
    ends = [False, True] if dtype == torch.bool else [torch.iinfo(dtype).min, torch.iinfo(dtype).max]
    x = torch.tensor([*ends, 1], dtype=dtype)
    y = sst.softsign(x)
    assert y.dtype == torch.get_default_dtype()
    assert_same_bits(array(y), core.softsign(x.to(torch.float32).numpy()))


def test_integers_take_the_default_dtype() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert sst.softsign(torch.tensor([3])).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
def test_complex(dtype: torch.dtype) -> None:
    z = torch.randn(50, dtype=dtype)
    for x in (z, z.conj(), z[::2]):
        assert_same_bits(array(sst.softsign(x).resolve_conj()), core.softsign(x.resolve_conj().numpy()))
    assert_same_bits(array(sst.softsign(z.clone(), inplace=True)), core.softsign(z.numpy()))


@pytest.mark.parametrize("inplace", [False, True])
def test_complex_derivatives(inplace: bool) -> None:
    z = torch.tensor([1 + 2j, -3j, 0.5, 1e3 - 1e3j], dtype=torch.complex128, requires_grad=True)

    def f(z: Tensor) -> Tensor:
        return sst.softsign(z * 1, inplace)

    assert torch.autograd.gradcheck(f, z, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(f, z)


CONJUGATED: dict[str, Callable[[Tensor], Tensor]] = {
    "conj": torch.conj,
    "mH": lambda z: z.view(2, 1).mH,
    "ifft": lambda z: torch.fft.ifft(z.conj()),
    "negated": lambda z: torch.complex(z.conj().imag, z.real),
}


@pytest.mark.parametrize("kind", CONJUGATED)
def test_derivatives_of_conjugated_tensors(kind: str) -> None:
    z = torch.tensor([1 + 2j, 3 - 1j], dtype=torch.complex128, requires_grad=True)

    def f(z: Tensor) -> Tensor:
        return sst.softsign(CONJUGATED[kind](z))

    assert torch.autograd.gradcheck(f, z, check_forward_ad=True, check_batched_grad=True)
    size = torch.func.grad(lambda z: f(z).abs().sum())(z.detach())
    torch.testing.assert_close(torch.autograd.grad(f(z).abs().sum(), z)[0], size)


def test_complex_at_the_ends() -> None:
    z = torch.tensor([0, complex(np.inf, 1), complex(0, -np.inf)], dtype=torch.complex64, requires_grad=True)
    y = sst.softsign(z)
    assert y.tolist() == [0, 1, -1j]
    (dz,) = torch.autograd.grad(y, z, torch.ones_like(y))
    assert dz.tolist() == [1, 0, 0]


def test_lazily_negated() -> None:
    x = torch.tensor([1 + 3j]).conj().imag
    assert x.is_neg()
    assert sst.softsign(x).tolist() == [-0.75]


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")
def test_nested(layout: torch.layout) -> None:
    parts = [torch.randn(2), torch.randn(3)]
    x = torch.nested.nested_tensor(parts, layout=layout, requires_grad=True)
    y = sst.softsign(x)
    for ours, part in zip(y.unbind(), parts, strict=True):
        assert_same_bits(array(ours), core.softsign(part.numpy()))
    (dx,) = torch.autograd.grad(y, x, y.detach() * 0 + 1)
    for ours, part in zip(dx.unbind(), parts, strict=True):
        torch.testing.assert_close(ours, 1 / (1 + part.abs()) ** 2)


def test_tensor_subclasses_stay_what_they_are() -> None:
    class Kind(torch.Tensor):
        pass

    x = torch.randn(3).as_subclass(Kind)
    for inplace in (False, True):
        assert type(sst.softsign(x, inplace)) is Kind
    assert type(sst.softsign(torch.nn.Parameter(torch.randn(3)))) is Tensor


@pytest.mark.filterwarnings("ignore:.*MaskedTensor")
def test_masked_tensors() -> None:
    mask = torch.tensor([True, False, True])
    x = torch.masked.masked_tensor(torch.tensor([1.0, 2.0, -3.0]), mask, requires_grad=True)
    y = sst.softsign(x)
    assert isinstance(y, torch.masked.MaskedTensor)
    assert y.to_tensor(9.0).tolist() == [0.5, 9, -0.75]
    y.sum().backward()
    assert isinstance(x.grad, torch.masked.MaskedTensor)
    assert x.grad.to_tensor(9.0).tolist() == [0.25, 9, 0.0625]
    assert sst.inverse(y.detach()).to_tensor(9.0).tolist() == [1, 9, -3]
    assert sst.softsign(x.detach() * 1, inplace=True).to_tensor(9.0).tolist() == [0.5, 9, -0.75]
    with pytest.raises(ValueError, match="masked tensors must have the same mask"):
        sst.gradient(x, torch.masked.masked_tensor(torch.ones(3), ~mask))


class Wrapped:
    """What other libraries have around a tensor: it converts itself in the functions of PyTorch."""

    def __init__(self, value: Tensor) -> None:
        self.value = value

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*(a.value if isinstance(a, Wrapped) else a for a in args), **(kwargs or {}))


def test_what_converts_itself_is_taken() -> None:
    x = torch.tensor([-0.75, 0.5])
    for name in UNARY:
        assert torch.equal(getattr(sst, name)(Wrapped(x)), getattr(sst, name)(x))
    assert torch.equal(sst.nth_derivative(2, Wrapped(x)), sst.nth_derivative(2, x))
    for pair in ((Wrapped(x), x), (x, Wrapped(x))):
        assert torch.equal(sst.gradient(*pair), sst.gradient(x, x))
    expected = sst.softsign(x)
    assert sst.softsign(Wrapped(x), inplace=True) is x
    assert torch.equal(x, expected)


def test_torch_function_modes_see_it() -> None:
    seen = []

    class Mode(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(function)
            return function(*args, **(kwargs or {}))

    with Mode():
        sst.softsign(torch.randn(3))
    assert sst.softsign in seen


def test_torch_dispatch_modes_see_it() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = []

    class Mode(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(function)
            return function(*args, **(kwargs or {}))

    with Mode():
        sst.softsign(torch.randn(3))
    assert ops.softsign in seen


def test_inference_mode() -> None:
    with torch.inference_mode():
        x = torch.tensor([1.0, -3.0])
        assert sst.softsign(x).tolist() == [0.5, -0.75]
        assert sst.softsign(x, inplace=True).tolist() == [0.5, -0.75]
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor outside InferenceMode"):
        sst.softsign(x, inplace=True)


def test_autocast_leaves_the_dtype() -> None:
    linear = torch.nn.Linear(3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert sst.softsign(linear(torch.randn(2, 3))).dtype == torch.bfloat16
        assert sst.softsign(torch.randn(2)).dtype == torch.float32


# PyTorch's own test cases for softsign


def softsign_of_samples() -> list[tuple[Tensor, Tensor, Tensor]]:
    """PyTorch's own inputs for F.softsign, extremal values included, with our result and theirs.

    Of the largest, a million normal numbers each, every 13th element.
    """
    from torch.testing._internal.common_methods_invocations import op_db

    (info,) = (op for op in op_db if op.name == "nn.functional.softsign")
    dtypes = sorted(info.supported_dtypes("cpu") - {torch.bool}, key=str)
    inputs = [sample.input for d in dtypes for sample in info.reference_inputs("cpu", d, requires_grad=False)]
    results = [(x, sst.softsign(x), torch.nn.functional.softsign(x)) for x in inputs]
    steps = [13 if x.numel() > 100_000 else 1 for x in inputs]
    return [
        (x.flatten()[::n], ours.flatten()[::n], theirs.flatten()[::n])
        for n, (x, ours, theirs) in zip(steps, results, strict=True)
    ]


def test_pytorch_s_samples() -> None:
    """Real results are nowhere less accurate than F.softsign's, complex ones within 2 roundings.

    Where PyTorch's reference is nan (±inf) or overflows (integers, as it adds 1 in their arithmetic), the
    truth here is ±1 and the promoted number's softsign.
    """
    checked = 0
    for x, ours, theirs in softsign_of_samples():
        assert ours.dtype == theirs.dtype
        wide = (x if x.is_complex() else x.to(ours.dtype).double()).numpy()
        wide = wide.astype(np.clongdouble if x.is_complex() else np.longdouble)  # 64 bits of precision
        with np.errstate(invalid="ignore"):
            truth = np.where(np.isinf(wide), np.sign(wide), wide / (1 + np.abs(wide)))
        double = torch.promote_types(ours.dtype, torch.float64)
        error, their_error = (np.abs(y.to(double).numpy() - truth) for y in (ours, theirs))
        known = ~np.isnan(truth)
        if x.is_complex():  # of infinite ones only a direction is known: test_complex_at_the_ends
            known = np.isfinite(wide)
            assert (error[known] <= 2 * torch.finfo(ours.dtype).eps * np.abs(truth[known])).all()
        else:
            assert np.array_equal(~np.isnan(error), known)
            assert not (error > their_error)[known].any()
        checked += x.numel()
    assert checked > 10_000


# Errors


class Refusals:
    """What PyTorch refuses, each with the type of its exception."""

    @staticmethod
    def leaf() -> Tensor:
        return torch.randn(3, requires_grad=True)

    @staticmethod
    def view_of_leaf() -> Tensor:
        return torch.randn(3, requires_grad=True)[:2]

    @staticmethod
    def one_of_many_views() -> Tensor:
        return (torch.randn(3, requires_grad=True) * 1).unbind()[0]

    @staticmethod
    def view_made_without_grad() -> Tensor:
        hidden = torch.randn(3, requires_grad=True) * 1
        with torch.no_grad():
            return hidden[:2]

    @staticmethod
    def expanded() -> Tensor:
        return torch.randn(1).expand(4)


@pytest.mark.parametrize("kind", [name for name in vars(Refusals) if not name.startswith("_")])
def test_misuse_in_place_is_refused_as_pytorch_refuses_it(kind: str) -> None:
    x, other = getattr(Refusals, kind)(), getattr(Refusals, kind)()
    with pytest.raises(RuntimeError) as theirs:
        torch.tanh_(other)
    before = x.detach().clone()
    with pytest.raises(RuntimeError) as ours:
        sst.softsign(x, inplace=True)
    assert str(ours.value) == str(theirs.value)
    assert torch.equal(x.detach(), before)


@pytest.mark.parametrize("inplace", [False, True])
def test_a_changed_tensor_is_noticed_in_backward(inplace: bool) -> None:
    hidden = torch.randn(3, requires_grad=True) * 1
    y = sst.softsign(hidden, inplace)
    hidden.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_changing_what_others_keep_is_noticed() -> None:
    hidden = torch.randn(3, requires_grad=True) * 1
    y = hidden * hidden
    with torch.no_grad():
        sst.softsign(hidden.detach(), inplace=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("x", ["1", None, [1.0], 1.0, np.ones(2)], ids=repr)
def test_only_tensors(name: str, x: Any) -> None:
    with pytest.raises(TypeError, match=f"^{name}: the argument must be a Tensor, got {type(x).__name__}$"):
        getattr(sst, name)(x)


def unsupported() -> dict[str, Tensor]:
    return {
        "sparse": torch.eye(3).to_sparse(),
        "mkldnn": torch.randn(3).to_mkldnn(),
        "float8": torch.randn(3).to(torch.float8_e4m3fn),
        "complex32": torch.tensor([1 + 1j], dtype=torch.complex32),
    }


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize("kind", ["sparse", "mkldnn", "float8", "complex32"])
@pytest.mark.parametrize("name", UNARY)
def test_unsupported_tensors(name: str, kind: str) -> None:
    x = unsupported()[kind]
    with pytest.raises(RuntimeError):  # NotImplementedError, or its base class for sparse ones
        torch.nn.functional.softsign(x)
    with pytest.raises(NotImplementedError, match=f"{name}: .*(dense tensor|dtypes)"):
        getattr(sst, name)(x)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_quantized_tensors() -> None:
    x = torch.quantize_per_tensor(torch.randn(3), 0.1, 0, torch.quint8)
    with pytest.raises(NotImplementedError):
        torch.nn.functional.softsign(x)
    with pytest.raises(
        NotImplementedError, match=r"^softsign: the argument must be .* got a quantized tensor$"
    ):
        sst.softsign(x)


def test_integers_are_not_computed_in_place() -> None:
    x = torch.tensor([1, 2])
    with pytest.raises(RuntimeError, match=r"^softsign: .*float32 can't be cast to input of torch.int64$"):
        sst.softsign(x, inplace=True)
    assert x.tolist() == [1, 2]


def test_only_softsign_takes_complex() -> None:
    with pytest.raises(NotImplementedError, match=r"inverse: torch\.complex64 is not among"):
        sst.inverse(torch.tensor([1j]))


@pytest.mark.parametrize("n", [2.0, "2", None, torch.tensor(2.5)], ids=repr)
def test_order_of_another_type(n: Any) -> None:
    with pytest.raises(TypeError, match=r"^nth_derivative: n must be an integer from 0 to 170, got "):
        sst.nth_derivative(n, torch.ones(1))


def test_orders_of_numpy() -> None:
    order: Any = np.uint8(1)
    assert sst.nth_derivative(order, torch.ones(1)).item() == 0.25


@pytest.mark.parametrize("n", [-1, 171])
def test_order_out_of_range(n: int) -> None:
    with pytest.raises(ValueError, match=f"n must be an integer from 0 to 170, got {n}"):
        sst.nth_derivative(n, torch.ones(1))


@pytest.mark.parametrize(
    "other", [torch.ones(4), torch.ones(3).double(), torch.ones(3, device="meta")], ids=str
)
def test_tensors_that_do_not_go_together(other: Tensor) -> None:
    with pytest.raises(RuntimeError, match="softsign::gradient: both tensors must have the same"):
        ops.gradient(torch.ones(3), other)


# Names in profiles and messages


def test_profiles_and_messages_say_softsign() -> None:
    x = torch.randn(9, requires_grad=True)
    with torch.profiler.profile() as profile:
        sst.softsign(x).sum().backward()
        sst.softsign(x.detach())
        sst.softsign(x * 1, inplace=True).sum().backward()
        sst.derivative(x).sum().backward()
    names = [event.name for event in profile.events()]
    assert names.count("softsign") == 3
    assert {"SoftsignBackward", "SoftsignInPlaceBackward", "softsign::derivative"} < set(names)
    hidden = sst.softsign(x * 1, inplace=True)
    hidden.mul_(2)
    with pytest.raises(RuntimeError, match="output 0 of SoftsignInPlace"):
        hidden.sum().backward()


# Importing again


#: Runs each of a list of programs in a process of its own, in which only PyTorch is imported: once for all.
FORKED = """
import os, sys, warnings
warnings.simplefilter("ignore")  # what PyTorch warns of in modules of its own
import torch
for program in {programs}:
    child = os.fork()
    if child == 0:
        exec(program)
        break
    assert os.waitpid(child, 0)[1] == 0
    print("----", flush=True)
"""
IMPORTED = """
before = set(sys.modules)
import softsign.torch as s
s.softsign(torch.ones(2))
print([m for m in set(sys.modules) - before if m.startswith(("torch._inductor", "triton", "onnx"))])
"""
AGAIN = """
from unittest import mock
with mock.patch.dict(sys.modules):
    import softsign.torch as first
import softsign.torch as again
assert first is not again
x = torch.tensor([3.0], requires_grad=True)
for s in (first, again):
    print(torch.autograd.grad(s.softsign(x), x)[0].item(), s.inverse(x / 4).item())
"""


@pytest.fixture(scope="module")
def printed() -> list[list[str]]:
    """Return the lines of IMPORTED, AGAIN, and WITHOUT each of FAST and NEEDED."""
    programs = [IMPORTED, AGAIN, *(WITHOUT.format(name=name) for name in (*FAST, NEEDED))]
    done = run_python(FORKED.format(programs=programs))
    assert done.returncode == 0, done.stderr
    return [part.splitlines() for part in done.stdout.split("----\n")]


def test_importing_does_not_import_the_compiler(printed: list[list[str]]) -> None:
    assert printed[0] == ["[]"]


def test_import_again(printed: list[list[str]]) -> None:
    """As tools do that reload what they run: the operators of the dispatcher are there once."""
    assert printed[1] == ["0.0625 3.0"] * 2


# PyTorch's private names


def test_no_private_name_is_missing() -> None:
    """Without one of these a new PyTorch is slower at small tensors or not supported: see _private.py."""
    assert _private.missing((*_private.FAST, *_private.NEEDED)) == []


def test_a_missing_private_name_is_found() -> None:
    names = ("torch._C._nothing", "torch.Tensor._nothing", "torch._nothing._more", "torch.Tensor._base")
    assert _private.missing(names) == list(names[:3])


WITHOUT = """
place, _, attribute = "{name}".rpartition(".")
delattr(eval(place), attribute)
try:
    import softsign.torch as s
except ImportError as error:
    print(error)
    sys.exit()
from softsign.torch import _private
x = torch.tensor([-3.0, 0.0, 1.0, float("inf")], requires_grad=True)
print(*_private.missing(_private.FAST), _private.is_ordinary(x))
for inplace in (False, True):
    y = s.softsign(x * 1, inplace)
    (dx,) = torch.autograd.grad(y.sum(), x, create_graph=not inplace)
    eager = s.functional.SoftsignInPlace if inplace else s.functional.Softsign
    print(type(y.grad_fn) is eager._backward_cls, type(y.grad_fn).__name__, y.tolist(), dx.tolist())
print(s.softsign(torch.ones(2), inplace=True).tolist(), s.log_jacobian(torch.zeros(1)).tolist())
"""
FAST = ("torch._C._dispatch_keys", "torch._C._get_tracing_state")
NEEDED = "torch._C._AutoDispatchBelowAutograd"


@pytest.mark.parametrize("name", FAST)
def test_the_dispatcher_serves_where_the_names_of_the_fast_path_are_gone(
    name: str, printed: list[list[str]]
) -> None:
    missing, forward, in_place, rest = printed[2 + FAST.index(name)]
    assert missing == f"{name} False"
    assert forward.endswith("[-0.75, 0.0, 0.5, 1.0] [0.0625, 1.0, 0.25, 0.0]")
    assert in_place.endswith("[-0.75, 0.0, 0.5, 1.0] [0.0625, 1.0, 0.25, 0.0]")
    assert rest == "[0.5, 0.5] [-0.0]"
    assert forward.startswith("False SoftsignBackward")
    assert in_place.startswith("False CopyBackwards")


def test_a_missing_needed_name_is_named(printed: list[list[str]]) -> None:
    (message,) = printed[2 + len(FAST)]
    assert message.startswith(f"softsign.torch does not know PyTorch {torch.__version__}: it lacks")
    assert message.endswith(f" {NEEDED}")


# Modules


def test_module_is_a_drop_in() -> None:
    x = torch.randn(5)
    module = sst.nn.Softsign()
    assert isinstance(module, torch.nn.Softsign)
    assert torch.equal(module(input=x), sst.softsign(x))
    assert repr(module) == "Softsign()"
    assert pickle.loads(pickle.dumps(sst.nn.Softsign(inplace=True))).inplace
    in_place = sst.nn.Softsign(inplace=True)
    assert in_place(x) is x


def test_swap() -> None:
    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(3, 3)
            self.second = self.activation = torch.nn.Softsign()

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.activation(self.first(x))
            return y

    model = torch.nn.Sequential(Block(), torch.nn.Softsign(), torch.nn.Tanh()).eval()
    calls = []
    model[1].register_forward_hook(lambda *_: calls.append(1))
    state, before = copy.deepcopy(model.state_dict()), model(torch.ones(2, 3))
    assert sst.swap(model) is model
    kinds = [type(m) for m in model.modules()]
    assert kinds.count(sst.nn.Softsign) == 2
    assert torch.nn.Softsign not in kinds
    assert model[0].second is model[0].activation
    assert list(model.state_dict()) == list(state)
    torch.testing.assert_close(model(torch.ones(2, 3)), before)
    assert len(calls) == 2
    assert not model.training
    assert type(sst.swap(torch.nn.Softsign(), inplace=True)) is sst.nn.Softsign
    with pytest.raises(TypeError, match=r"^swap: model must be a torch.nn.Module, got function$"):
        sst.swap(torch.nn.functional.softsign)


@pytest.mark.parametrize("channels", [1, 4])
def test_parametric(channels: int) -> None:
    module = sst.nn.ParametricSoftsign(channels, slope=2, range=3, dtype=torch.float64)
    with torch.no_grad():
        module.slope.mul_(torch.linspace(1, 2, channels))
    x = torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True)
    shape = (channels, 1)
    slope, limit = module.slope.view(shape), module.range.view(shape)
    torch.testing.assert_close(module(x), limit * slope * x / (1 + (slope * x).abs()))
    assert torch.autograd.gradcheck(module, x)
    module(x).sum().backward()
    assert module.slope.grad.shape == module.range.grad.shape == (channels,)


def test_parametric_learns_what_it_is_told() -> None:
    module = sst.nn.ParametricSoftsign(learn_slope=False)
    assert [name for name, _ in module.named_parameters()] == ["range"]
    assert set(module.state_dict()) == {"slope", "range"}
    assert repr(module) == "ParametricSoftsign(num_parameters=1, learn_slope=False)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_parameters": 0}, "num_parameters must be at least 1, got 0"),
        ({"slope": 0.0}, "slope 0, got|slope not 0, got 0"),
        ({"range": float("nan")}, "range must be finite"),
    ],
)
def test_parametric_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sst.nn.ParametricSoftsign(**arguments)


def test_parametric_is_made_without_memory() -> None:
    with torch.device("meta"):
        module = sst.nn.ParametricSoftsign(2, learn_slope=False, slope=2, range=3)
    module.to_empty(device="cpu").reset_parameters()
    assert module.slope.tolist() == [2, 2]
    assert module.range.tolist() == [3, 3]


@pytest.mark.parametrize("channels", [1, 3])
def test_parametric_under_autocast(channels: int) -> None:
    module, x = sst.nn.ParametricSoftsign(channels), torch.randn(2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        for given in (x, x.bfloat16()):
            assert module(given).dtype == given.dtype
    assert module(x.bfloat16()).dtype == torch.float32


def test_parametric_keeps_the_shape() -> None:
    assert sst.nn.ParametricSoftsign()(torch.tensor(1.0)).shape == ()


# Other ways to run a model


def models() -> dict[str, torch.nn.Module]:
    layers = [torch.nn.Linear(3, 4), torch.nn.Softsign(), torch.nn.Linear(4, 2)]
    return {
        "swapped": sst.swap(torch.nn.Sequential(*copy.deepcopy(layers))),
        "in place": sst.swap(torch.nn.Sequential(*copy.deepcopy(layers)), inplace=True),
        "parametric": torch.nn.Sequential(sst.nn.ParametricSoftsign(), sst.nn.ParametricSoftsign(3)),
    }


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("how", [torch.fx.symbolic_trace, torch.jit.script], ids=["fx", "script"])
@pytest.mark.parametrize("kind", models())
def test_models_are_traced_and_scripted(kind: str, how: Any) -> None:
    model, x = models()[kind], torch.randn(5, 3)
    traced = how(model)
    leaf = x.clone().requires_grad_()
    assert torch.equal(traced(leaf), model(x))
    traced(leaf).sum().backward()
    other = x.clone().requires_grad_()
    model(other).sum().backward()
    torch.testing.assert_close(leaf.grad, other.grad)


def test_functions_are_traced() -> None:
    class All(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = sst.gradient(x, x) + sst.gradient(torch.ones(2), x) + sst.nth_derivative(2, x)
            return sum((getattr(sst, name)(x) for name in UNARY), y)

    x = torch.tensor([-0.5, 0.25])
    assert torch.equal(torch.fx.symbolic_trace(All())(x), All()(x))


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_scripted_functions() -> None:
    def f(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return sst.softsign(x), sst.softsign(y, inplace=True)

    scripted = torch.jit.script(f)
    z = torch.tensor([3 + 4j])
    assert [t.tolist() for t in scripted(torch.tensor([3]), torch.tensor([-1.0]))] == [[0.75], [-0.5]]
    torch.testing.assert_close(scripted(z, z.clone()), (sst.softsign(z), sst.softsign(z)))
    with pytest.raises(RuntimeError, match="int64 is not among"):
        scripted(z, torch.tensor([3]))


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("how", [torch.jit.script, lambda m: torch.jit.trace(m, torch.ones(1, 2))])
def test_swap_refuses_what_has_been_compiled(how: Any) -> None:
    inner = how(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Softsign()))
    model = torch.nn.Sequential(torch.nn.Softsign(), inner)
    with pytest.raises(TypeError, match=r"^swap: 1.1 is a Softsign in TorchScript"):
        sst.swap(model)
    assert type(model[0]) is torch.nn.Softsign


def test_parametric_refuses_other_channels() -> None:
    with pytest.raises(ValueError, match=r"x must have 3 channels as axis 1, got the shape \[2, 4\]"):
        sst.nn.ParametricSoftsign(3)(torch.ones(2, 4))


# Distributions


def test_transform() -> None:
    transform = sst.SoftsignTransform()
    x = torch.tensor([-torch.inf, -1e30, -2.0, 0.0, 0.5, torch.inf], dtype=torch.float64)
    y = transform(x)
    assert y[0] == -1
    assert transform.inv(y[[0, -1]]).tolist() == [-torch.inf, torch.inf]
    torch.testing.assert_close(transform.inv(y[2:]), x[2:])
    log_jacobian = transform.log_abs_det_jacobian(x, y)
    torch.testing.assert_close(log_jacobian, -2 * torch.log1p(x.abs()))
    assert transform == sst.SoftsignTransform(cache_size=1)
    assert transform != torch.distributions.TanhTransform()
    assert transform.bijective
    assert transform.sign == 1


def test_transformed_density_integrates_to_one() -> None:
    base = torch.distributions.Normal(torch.tensor(0.3, dtype=torch.float64), 0.8)
    squashed = torch.distributions.TransformedDistribution(base, [sst.SoftsignTransform(cache_size=1)])
    y = torch.linspace(-1, 1, 20001, dtype=torch.float64)[1:-1]
    assert torch.trapezoid(squashed.log_prob(y).exp(), y).item() == pytest.approx(1, abs=1e-6)
    sample = squashed.rsample((1000,))
    assert squashed.support.check(sample).all()
    torch.testing.assert_close(
        squashed.cdf(torch.tensor(0.0, dtype=torch.float64)), base.cdf(torch.tensor(0.0, dtype=torch.float64))
    )
