"""`softsign.torch.cuda_layer` without a GPU: in Triton's interpreter, against the kernels for the CPU."""

import functools
import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from softsign.torch import cuda_layer, dynamic
from softsign.torch.dynamic import dynamic_softsign
from tests.helpers import assert_same_bits
from tests.test_torch_cuda import TYPES, array, interpreter

by_dtype = pytest.mark.parametrize("dtype", TYPES, ids=str)


@functools.cache
def interpreted(cuda: ModuleType) -> ModuleType:
    """The module with kernels for the interpreter, which call those of `cuda`."""
    spec = importlib.util.spec_from_file_location("cuda_layer", cuda_layer.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "softsign.torch.cuda", cuda)
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Have the layer use Triton's kernels for tensors on the CPU."""
    with interpreter() as cuda:
        module = interpreted(cuda)
        # Triton's library was compiled, not interpreted, when it was imported.
        monkeypatch.setattr(tl, "sum", lambda x, axis: tl.reduce(x, axis, tl.standard._sum_combine))
        monkeypatch.setattr(dynamic, "_kernels", lambda x: (module.values, module.gradients))
        yield module


def inputs(dtype: torch.dtype, *shape: int) -> tuple[torch.Tensor, ...]:
    """x, infinities among them, alpha, weight, bias and dy."""
    torch.manual_seed(2)
    wide = torch.promote_types(dtype, torch.float32)
    x, dy = (3 * torch.randn(shape).to(dtype) for _ in range(2))
    chance = torch.rand(shape)
    x = x.where(chance > 0.04, torch.inf).where(chance < 0.96, -torch.inf)
    weight, bias = (torch.randn(shape[-1], dtype=wide) for _ in range(2))
    return x, torch.tensor([-0.7], dtype=wide), weight, bias, dy


def everything(*given: torch.Tensor) -> list[torch.Tensor]:
    """The value, and the gradients of x, alpha, weight and bias."""
    leaves = [t.clone().requires_grad_() for t in given[:-1]]
    y = dynamic_softsign(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, given[-1])]


# A row of a vector; parts of tiles; more blocks than one, whole and in part; more tiles across than one.
@by_dtype
@pytest.mark.parametrize("shape", [(1,), (3, 5, 15), (300, 40), (2, 2100)], ids=str)
def test_the_bits_of_the_cpu_and_its_sums(
    dtype: torch.dtype, shape: tuple[int, ...], request: pytest.FixtureRequest
) -> None:
    given = inputs(dtype, *shape)
    expected = everything(*given)
    exact = everything(*(t.double() for t in given))
    sizes = everything(*(t.abs().double() for t in given))  # the sums of the magnitudes
    request.getfixturevalue("kernels")
    y, dx, *sums = everything(*given)
    assert_same_bits(array(y), array(expected[0]))
    assert_same_bits(array(dx), array(expected[1]))
    for found, right, size in zip(sums, exact[2:], sizes[2:], strict=True):
        assert (found.double() - right).abs().le(4 * torch.finfo(found.dtype).eps * size).all()


def test_long_blocks(kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more steps than are summed at once; every row counts once."""
    monkeypatch.setattr(kernels, "BLOCKS", 2)
    monkeypatch.setattr(kernels, "CHUNK", 3)
    x, alpha, weight, bias, dy = inputs(torch.float64, 300, 33)
    *_, dalpha, dweight, dbias = everything(x.fill_(1), alpha.fill_(1), weight.fill_(2), bias, dy.fill_(4))
    assert (dalpha.item(), dweight.unique().item(), dbias.unique().item()) == (19800, 600, 1200)


@by_dtype
@pytest.mark.parametrize("shape", [(1, 3), (37, 129), (65, 64)], ids=str)
def test_writes_results_and_nothing_else(
    dtype: torch.dtype, shape: tuple[int, int], kernels: ModuleType
) -> None:
    x, alpha, weight, bias, dy = inputs(dtype, *shape)
    n, columns = x.numel(), shape[1]
    out, dx = torch.full((2, n + 200), 7, dtype=dtype)
    sums = torch.full((2 * columns + 201,), 7, dtype=torch.float64)
    kernels.values(x, alpha, weight, bias, out[100 : n + 100].view(shape))
    kernels.gradients(x, alpha, dy, weight, dx[100 : n + 100].view(shape), sums[100 : 2 * columns + 101])
    for t, size in ((out, n), (dx, n), (sums, 2 * columns + 1)):
        assert (t[:100] == 7).all()
        assert (t[100 + size :] == 7).all()
        assert (t[100 : 100 + size] != 7).all()


def test_special_values(kernels: ModuleType) -> None:
    """An alpha whose product overflows; nan stays where it is; 0 keeps its sign; no elements."""
    x = torch.tensor([[1e38, -1e38, torch.nan, -0.0, 0.0]])
    one, zero = torch.ones(5), torch.zeros(5)
    y, dx, dalpha, dweight, dbias = everything(x, torch.tensor([10.0]), one, -zero, torch.ones(1, 5))
    assert_same_bits(array(y), array(torch.tensor([[1, -1, torch.nan, -0.0, 0.0]])))
    assert_same_bits(array(dx), array(torch.tensor([[0, 0, torch.nan, 10, 10]])))
    assert_same_bits(array(dweight), array(torch.tensor([1, -1, torch.nan, -0.0, 0.0])) + np.float32(0))
    assert (dalpha.isnan().item(), dbias.tolist()) == (True, [1] * 5)
    for shape in ((0, 5), (3, 0)):
        *_, dalpha, dweight, _ = everything(
            torch.ones(shape), torch.ones(1), one[: shape[1]], one[: shape[1]], torch.ones(shape)
        )
        assert not dalpha.item()
        assert not dweight.any()


def test_what_autograd_makes_of_it(kernels: ModuleType) -> None:
    """Gradients of gradients; strides as the CPU treats them; parameters of other types."""
    given = inputs(torch.float64, 4, 3)[:-1]
    leaves = tuple(t.clamp(-4, 4).requires_grad_() for t in given)
    assert torch.autograd.gradcheck(dynamic_softsign, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(dynamic_softsign, leaves, fast_mode=True)
    x, alpha, weight, bias, dy = inputs(torch.float32, 6, 5, 8)
    whole = everything(x, alpha, weight, bias, dy)
    turned = everything(x.mT.contiguous().mT, alpha, weight, bias, dy.mT.contiguous().mT)
    assert all(map(torch.equal, turned, whole))
    expanded = everything(x, alpha, weight, bias, torch.ones(()).expand(x.shape))
    assert all(map(torch.equal, expanded, everything(x, alpha, weight, bias, torch.ones_like(x))))
    mixed = everything(x, *(t.bfloat16() for t in (alpha, weight, bias)), dy)
    assert [t.dtype for t in mixed] == [torch.float32] * 2 + [torch.bfloat16] * 3


def test_where_the_kernels_are_for() -> None:
    """On one GPU, in the types that they take; elsewhere the layer is a few operations."""

    def fake(device: str, dtype: torch.dtype = torch.float32) -> Any:
        kind = device.split(":")[0]
        return SimpleNamespace(
            device=device, dtype=dtype, is_cuda=kind == "cuda", is_cpu=kind == "cpu", is_complex=lambda: False
        )

    gpu = fake("cuda:0")
    assert dynamic._have_kernels(gpu, gpu, fake("cuda:0", torch.float16))
    assert dynamic._have_kernels(fake("cpu"), fake("cpu"))
    for x, parameter in (
        (gpu, fake("cuda:1")),
        (gpu, fake("cpu")),
        (fake("cpu"), gpu),
        (gpu, fake("cuda:0", torch.int64)),
        (fake("mps"), fake("mps")),
    ):
        assert not dynamic._have_kernels(x, gpu if parameter is gpu else x, parameter)
    assert dynamic._kernels(gpu) == (cuda_layer.values, cuda_layer.gradients)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("_values", torch.float16),
        ("_gradients", torch.bfloat16),
        ("_gradients", torch.float32),
        ("_gradients", torch.float64),
    ],
    ids=str,
)
def test_machine_code(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For an H100: accesses of 16 bytes, one division for each element, nothing contracted or flushed."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    launches: dict[str, tuple[Any, ...]] = {}
    monkeypatch.setattr(
        cuda_layer, "_launch", lambda kernel, grid, *args: launches.update({kernel.__name__: (kernel, *args)})
    )
    wide = torch.promote_types(dtype, torch.float32)
    x = torch.empty(2048, 2048, dtype=dtype, device="meta")
    alpha, weight = torch.empty(1, dtype=wide, device="meta"), torch.empty(2048, dtype=wide, device="meta")
    if name == "_values":
        cuda_layer.values(x, alpha, weight, weight, x)
    else:
        cuda_layer.gradients(x, alpha, x, weight, x, weight)
    kernel, *args = launches[name]
    names = kernel.arg_names
    sizes = [n for n in names if n.startswith("tile") or n == "chunk"]
    constants = {n: a for n, a in zip(names, args, strict=True) if n in sizes}
    kinds = [
        "constexpr" if n in sizes else "i32" if isinstance(a, int) else f"*{TYPES[a.dtype]}"
        for n, a in zip(names, args, strict=True)
    ]
    aligned = {
        (i,): [["tt.divisibility", 16]] for i, n in enumerate(names) if kinds[i][0] == "*" or n == "columns"
    }
    source = ASTSource(kernel, dict(zip(names, kinds, strict=True)), constants, aligned)
    options = {"num_warps": 4, "enable_fp_fusion": False}
    ptx = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm["ptx"]
    found = Counter(re.findall(r"^\s*(?:@%p\d+ )?([a-z][\w.:]*)", ptx, re.MULTILINE))
    elements = 4096 // dtype.itemsize // 128
    assert found[f"div.rn.f{8 * wide.itemsize}"] == elements
    assert not [key for key in found if re.match(r"(rcp|fma|sqrt|ex2)\.", key)]
    assert "ftz" not in ptx
    vector = "v2.b64" if dtype == torch.float64 else "v4.b32"
    assert found[f"st.global.{vector}"] >= 2
    assert found[f"ld.global.{vector}"] >= 2 * (1 if name == "_values" else 2)
