"""`softsign.torch.cuda` without a GPU: Triton's interpreter runs the kernels, its compiler shows their code.

The interpreter computes each operation with NumPy, and an fma with one rounding. Its own bfloat16 conversions
round towards zero and lose subnormal numbers; `interpreter` puts those of ml_dtypes in their place, which do
as a GPU does. So the results are those of a GPU provided that the compiler keeps every operation as it is
written, which the test of the generated code is for. What takes a GPU to see: real launches, and speed.
"""

import functools
import importlib.util
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import triton
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

import softsign
from softsign import reference

from .helpers import (
    BFLOAT16,
    FLOATS,
    Array,
    assert_same_bits,
    exact,
    is_nan,
    random_values,
    special_values,
    ufunc,
    ulps,
)

NAMES = ("softsign", "gradient", "gradient_from_output")
WIDE = tuple(np.dtype(c) for c in "fd")
SOURCE = Path(softsign.__file__).parent / "torch" / "cuda.py"
#: Positive inputs where the Newton step of `_quotient` alone is not correctly rounded: of float32 all, found
#: by trying each; of float64 some, x = 2^54 / j - 1 for divisors j of 2^(106 - e) + s, where s is small and e
#: the exponent of x. Their results are within s 2^-54 ulp of a midpoint.
HARD = {
    "f": [
        "0x1.bb67bp-24",
        "0x1.94c586p-23",
        "0x1.52a7fep-22",
        "0x1.554b8ep-16",
        "0x1.61b67p-8",
        "0x1.82f71p-8",
        "0x1.17022cp-7",
        "0x1.a5e7dp-7",
        "0x1.c2fa7ep-7",
        "0x1.f81f84p-7",
        "0x1.2a79e2p-4",
        "0x1.7e1282p-4",
        "0x1.733464p-3",
        "0x1.99999cp-3",
        "0x1.3b9812p-1",
        "0x1.ffc002p-1",
        "0x1.a71e82p+0",
    ],
    "d": [
        "0x1.c0a2cefb15e7bp+1",
        "0x1.e10f68ba7aad9p+1",
        "0x1.f1ee98448cdabp+1",
        "0x1.f435742eb4f09p+1",
        "0x1.a4163458b6b69p+1",
        "0x1.c602b1b490061p+1",
        "0x1.c2e7d7ae042b3p+1",
        "0x1.89cf8b40ed9ebp+1",
        "0x1.e6a8db9ad47c1p+1",
        "0x1.9843feb57e121p+1",
        "0x1.88ed6d6b3c9b1p+1",
        "0x1.975b9d5b0b533p+1",
        "0x1.f61038870bcb1p+4",
    ],
}

by_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)
by_wide_dtype = pytest.mark.parametrize("dtype", WIDE, ids=str)
by_name = pytest.mark.parametrize("name", NAMES)


def load() -> ModuleType:
    """A copy of the module of its own: whether kernels are interpreted is settled when they are defined."""
    spec = importlib.util.spec_from_file_location("cuda", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def interpreted() -> ModuleType:
    """The module with kernels for the interpreter, which takes a while to rewrite each: once for all."""
    return load()


@contextmanager
def interpreter() -> Iterator[ModuleType]:
    from triton.runtime import interpreter

    convert = interpreter._convert_float
    formats: dict[str, Any] = {"fp32": np.float32, "bf16": BFLOAT16}

    def convert_float(data: Array, source: Any, target: Any, mode: Any) -> Array:
        converted: Array
        if {source.name, target.name} == set(formats):
            converted = data.view(formats[source.name]).astype(formats[target.name])
        else:
            converted = convert(data, source, target, mode)
        return converted

    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setenv("TRITON_INTERPRET", "1")
        patch.setattr(interpreter, "_convert_float", convert_float)
        yield interpreted()


def tensor(a: Array) -> torch.Tensor:
    return (
        torch.from_numpy(a.view(np.int16)).view(torch.bfloat16)
        if a.dtype == BFLOAT16
        else torch.from_numpy(a)
    )


def array(t: torch.Tensor) -> Array:
    values: Array = t.view(torch.int16).numpy().view(BFLOAT16) if t.dtype == torch.bfloat16 else t.numpy()
    return values


def compute(name: str, *arguments: Array) -> Array:
    tensors = [tensor(a.copy()) for a in arguments]
    out = torch.empty_like(tensors[0])
    with interpreter() as cuda:
        getattr(cuda, name)(*tensors, out)
    return array(out)


def on_cpu(name: str, *arguments: Array) -> Array:
    with np.errstate(all="ignore"):
        result: Array = ufunc(name)(*arguments)
    return result


def arguments(name: str, x: Array, dy: Array) -> tuple[Array, ...]:
    if name == "softsign":
        return (x,)
    return (on_cpu("softsign", x), dy) if name == "gradient_from_output" else (x, dy)


def all_values(dtype: np.dtype[Any]) -> Array:
    return np.arange(1 << 16, dtype=np.uint16).view(dtype)


def log_uniform(dtype: np.dtype[Any], size: int, seed: int) -> Array:
    """Finite numbers of either sign, every binade alike, subnormals included."""
    x = random_values(dtype, 2 * size, seed)
    return x[np.isfinite(x)][:size].copy()


# First, as a kernel that writes too far breaks the process for the tests after it.
@by_dtype
@by_name
@pytest.mark.parametrize("blocks", [0, 1, 2])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_writes_out_and_nothing_else(name: str, dtype: np.dtype[Any], blocks: int, more: int) -> None:
    """Whole blocks, parts of one and none at all, from an address that is no multiple of 16 bytes."""
    block = 4096 // dtype.itemsize
    n = max(0, blocks * block + more)
    rng = np.random.default_rng(5)
    given = arguments(name, rng.normal(size=n).astype(dtype), rng.normal(size=n).astype(dtype))
    out = np.full(1 + n + block, 7, dtype)
    with interpreter() as cuda:
        getattr(cuda, name)(*(tensor(a) for a in given), tensor(out)[1 : n + 1])
    found, expected = out[1 : n + 1].astype(np.float64), on_cpu(name, *given).astype(np.float64)
    np.testing.assert_allclose(found, expected, rtol=4e-16)
    assert out[0] == 7
    assert (out[n + 1 :] == 7).all()


@by_name
@pytest.mark.parametrize("dtype", [np.dtype(np.float16), BFLOAT16], ids=str)
def test_all_16_bit_inputs(name: str, dtype: np.dtype[Any]) -> None:
    x = all_values(dtype)
    given = arguments(name, x, np.random.default_rng(0).permutation(x))
    assert_same_bits(compute(name, *given), on_cpu(name, *given))


@by_wide_dtype
def test_softsign_is_correctly_rounded(dtype: np.dtype[Any]) -> None:
    normal = np.random.default_rng(1).normal(0, 3, 30_000).astype(dtype)
    x = np.concatenate([random_values(dtype, 30_000), normal, beside_midpoints(dtype)])
    y = compute("softsign", x)
    assert_same_bits(y, on_cpu("softsign", x))  # which other tests hold to exact arithmetic


def beside_midpoints(dtype: np.dtype[Any]) -> Array:
    """Inputs of results close to midpoints: the wider 1 + |x|, the closer, 2^-22 of an ulp in float32."""
    y = softsign.softsign(np.geomspace(1, 1 / np.finfo(dtype).eps, 2000).astype(dtype))
    midpoints = [(Fraction(float(a)) + Fraction(float(np.nextafter(a, dtype.type(0))))) / 2 for a in y]
    x = np.array([float(reference.inverse(m)) for m in midpoints], dtype)
    hard = np.array([float.fromhex(value) for value in HARD[dtype.char]], dtype)
    ends = np.array([2.0**k - 1 for k in range(1, 64)], dtype)
    return np.concatenate([np.nextafter(v, v * side) for v in (x, hard, ends) for side in (0, 1, 2)])


@by_wide_dtype
@pytest.mark.parametrize("name", NAMES[1:])
def test_gradients_of_any_size(name: str, dtype: np.dtype[Any]) -> None:
    """Within 1 ulp where the result is subnormal, near 0.5 elsewhere, for every exponent of x and dy."""
    x, dy = log_uniform(dtype, 3000, 2), log_uniform(dtype, 3000, 3)
    first, second = arguments(name, x, dy)
    found = compute(name, first, second)
    for a, b, dx in zip(first, second, found, strict=True):
        truth = exact(name, Fraction(float(a)), Fraction(float(b)))
        error = ulps(dx, truth) if truth else Fraction(float(dx))
        assert error <= (0.50001 if abs(truth) >= np.finfo(dtype).tiny else 0.76)
        assert np.signbit(dx) == np.signbit(b)


@by_wide_dtype
@pytest.mark.parametrize("name", NAMES[1:])
def test_gradients_of_ordinary_size(name: str, dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(4)
    x, dy = (rng.normal(0, 3, 30_000).astype(dtype) for _ in range(2))
    given = arguments(name, x, dy)
    found = compute(name, *given)
    for i in range(0, x.size, 30):
        truth = exact(name, *(Fraction(float(a[i])) for a in given))
        assert ulps(found[i], truth) <= 0.50001
    if (
        name == "gradient" or dtype.char == "f"
    ):  # float64 from the output: the ufunc is the worse one, at 2 ulp
        assert_same_bits(found, on_cpu(name, *given))


@by_dtype
@by_name
def test_special_values(name: str, dtype: np.dtype[Any]) -> None:
    values = special_values(dtype)
    x, dy = (a.ravel().copy() for a in np.meshgrid(values, values))
    given = arguments(name, x, dy)
    assert_same_bits(compute(name, *given), on_cpu(name, *given))


@by_dtype
@given(data=st.data())
def test_softsign_is_odd_bounded_and_monotone(dtype: np.dtype[Any], data: st.DataObject) -> None:
    bits = data.draw(npst.arrays(f"u{dtype.itemsize}", 8))
    x = bits.view(dtype)
    with np.errstate(invalid="ignore"):
        x = np.sort(x[~is_nan(x)].astype(np.float64)).astype(dtype)
    x = np.concatenate([x, -x])
    y = compute("softsign", x)
    n = x.size // 2
    assert_same_bits(y[n:], -y[:n])
    assert (abs(y.astype(np.float64)) <= 1).all()
    assert (np.diff(y[:n].astype(np.float64)) >= 0).all()


@by_dtype
@by_name
@pytest.mark.parametrize("operand", [0, -1])
def test_in_place(name: str, dtype: np.dtype[Any], operand: int) -> None:
    rng = np.random.default_rng(6)
    given = arguments(name, *(rng.normal(size=5000).astype(dtype) for _ in range(2)))
    expected = compute(name, *given)
    tensors = [tensor(a.copy()) for a in given]
    with interpreter() as cuda:
        getattr(cuda, name)(*tensors, tensors[operand])
    assert_same_bits(array(tensors[operand]), expected)


class Recorder:
    """Stands for a kernel and keeps what it is launched with."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.launches: list[tuple[tuple[int, ...], tuple[Any, ...], dict[str, Any]]] = []

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        return lambda *args, **options: self.launches.append((grid, args, options))


def launch(name: str, dtype: torch.dtype, n: int) -> Recorder:
    """What `name` would launch for n elements, none of which exist."""
    cuda = load()
    attribute = "_map_one" if name == "softsign" else "_map_two"
    recorder = Recorder(getattr(cuda, attribute))
    setattr(cuda, attribute, recorder)
    tensors = [torch.empty(n, dtype=dtype, device="meta") for _ in range(2 if name == "softsign" else 3)]
    getattr(cuda, name)(*tensors)
    return recorder


TYPES = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32", torch.float64: "fp64"}


def compiled(name: str, dtype: torch.dtype, n: int = 1 << 40) -> Any:
    """The kernel for n elements at addresses that are multiples of 16 bytes, compiled for an H100."""
    recorder = launch(name, dtype, n)
    ((_, args, options),) = recorder.launches
    names = recorder.kernel.arg_names
    constants = {
        name: value for name, value in zip(names, args, strict=True) if name in ("function", "block")
    }
    kinds = [
        "constexpr" if name in constants else "i64" if name == "n" else f"*{TYPES[dtype]}" for name in names
    ]
    aligned = {(i,): [["tt.divisibility", 16]] for i, kind in enumerate(kinds) if kind[0] == "*"}
    source = ASTSource(recorder.kernel, dict(zip(names, kinds, strict=True)), constants, aligned)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)


@pytest.fixture(autouse=True)
def compiles_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


@by_name
def test_launches_nothing_for_no_elements(name: str) -> None:
    assert launch(name, torch.float32, 0).launches == []


@by_name
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("n", [1, 4096, 2**31 + 1, 2**38 - 1])
def test_blocks_cover_any_number_of_elements(name: str, dtype: torch.dtype, n: int) -> None:
    (((blocks,), args, _),) = launch(name, dtype, n).launches
    block = args[-1]
    assert args[-2] == n
    assert (blocks - 1) * block < n <= blocks * block
    assert blocks < 2**31


# Per element: divisions, fma that are written in the recipe.
STEPS = {
    ("softsign", 16): (1, 0),
    ("softsign", 32): (1, 8),
    ("gradient", 16): (1, 0),
    ("gradient", 32): (1, 7),
    ("gradient_from_output", 16): (0, 0),
    ("gradient_from_output", 32): (0, 5),
}


@by_name
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_machine_code(name: str, dtype: torch.dtype) -> None:
    """Accesses of 16 bytes, 64-bit addresses, and one instruction for each operation as written."""
    assembly = compiled(name, dtype).asm
    operations = Counter(re.findall(r"^\s*(?:@%p\d+ )?([a-z][\w.:]*)", assembly["ptx"], re.MULTILINE))
    bits = 8 * dtype.itemsize
    wide = "v2.b64" if bits == 64 else "v4.b32"
    inputs, accesses = 1 if name == "softsign" else 2, 2
    assert operations[f"ld.global.{wide}"] == inputs * accesses
    assert operations[f"st.global.{wide}"] == accesses

    elements = 2 * accesses * 128 // bits  # full blocks and the last one have code of their own
    real = "f64" if bits == 64 else "f32"
    divisions, fmas = STEPS[name, max(16, min(bits, 32))]
    plain = name == "softsign" and dtype in (torch.float32, torch.bfloat16)  # which decides no result
    rounding = {key: count for key, count in operations.items() if re.match(r"(div|rcp|fma|sqrt|ex2)\.", key)}
    division = f"div.{'full' if plain else 'rn'}.{real}"
    expected = {division: divisions * elements, f"fma.rn.{real}": fmas * elements}
    assert rounding == {key: count for key, count in expected.items() if count}
    assert "ftz" not in assembly["ptx"]

    products = re.findall(r"arith\.muli .*: (\w+)", assembly["ttir"])
    assert products == ["i64"]
    assert re.search(r"get_program_id x : i32.*\n.*arith\.extsi .* : i32 to i64", assembly["ttir"])


@pytest.mark.parametrize("layout", ["dense", "permuted", "strided", "expanded"])
@pytest.mark.parametrize("name", [*NAMES, "softsign_saving_output"])
def test_what_the_dispatcher_gives_the_kernels(
    name: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dense memory of one order, whatever comes; on the CPU here, as the interpreter takes it."""
    from softsign.torch import ops

    x, dy = (torch.rand(6, 4, 9) - 0.5 for _ in range(2))
    views: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "dense": lambda t: t,
        "permuted": lambda t: t.permute(2, 0, 1),
        "strided": lambda t: t[::2, :, ::3],
        "expanded": lambda t: t[:1].expand(6, 4, 9),
    }
    x = views[layout](x)
    given = (x,) if name.startswith("softsign") else (x, dy.flatten()[: x.numel()].view(x.shape))
    with interpreter() as cuda:
        monkeypatch.setattr(ops, "_triton_kernels", lambda x: cuda)
        found = ops._on_cuda(name)(*given)
    expected = on_cpu(name.removesuffix("_saving_output"), *(array(t) for t in given))
    assert_same_bits(array(found), expected)


def test_complex_numbers_take_the_formulas() -> None:
    from softsign.torch import formulas, ops

    z = torch.randn(5, dtype=torch.complex64)
    assert torch.equal(ops._on_cuda("softsign")(z), formulas.softsign(z))
    with pytest.raises(NotImplementedError, match="complex64 is not among"):
        ops._on_cuda("gradient")(z, z)


@pytest.mark.parametrize("layout", ["dense", "strided"])
def test_in_place_without_the_dispatcher(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from softsign.torch import ops

    class OnCuda(torch.Tensor):
        is_cpu = False

    x = torch.randn(6, 8)[:, :: 1 if layout == "dense" else 2]
    expected, address = on_cpu("softsign", array(x)), x.data_ptr()
    with interpreter() as cuda:
        monkeypatch.setattr(ops, "_triton_kernels", lambda x: cuda)
        ops.overwrite_with_softsign(x.as_subclass(OnCuda))
    assert_same_bits(array(x), expected)
    assert x.data_ptr() == address
