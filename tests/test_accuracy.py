"""The ufuncs against exact arithmetic, and deliberate mistakes against what compares them."""

import importlib.util
import itertools
import math
import random
import re
import secrets
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

import softsign
from softsign import accuracy, reference
from softsign.accuracy import correctly_rounded, exact, measure, sample, ulp_error
from softsign.functions import BACKENDS, DTYPES, FUNCTIONS, bound

Array = NDArray[Any]

COMMAND = Path(__file__).parents[1] / "benchmarks" / "accuracy.py"
LARGE = 1 << 20
TINY = 2.0**-1074


def load_command() -> ModuleType:
    spec = importlib.util.spec_from_file_location("accuracy_command", COMMAND)
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(COMMAND.parent))  # as for a script: it imports its neighbors
    spec.loader.exec_module(module)
    sys.path.pop(0)
    return module


command = load_command()

#: Functions of a point; tests/test_segments.py has those of a segment.
POINTWISE = [name for name, facts in FUNCTIONS.items() if facts.kind != "segment"]


def size(function: str) -> int:
    if FUNCTIONS[function].kind != "algebraic":
        return 1 << (14 if FUNCTIONS[function].kind == "logarithmic" else 11)
    if "n" in FUNCTIONS[function].arguments:
        return LARGE // 64
    return LARGE if function in (*command.SWEPT, "gradient") else LARGE // 8


def test_every_function_has_an_exact_value() -> None:
    assert set(FUNCTIONS) == set(accuracy._EXACT)
    assert set(FUNCTIONS) <= set(reference.__all__)
    assert {name for name, facts in FUNCTIONS.items() if facts.kind == "logarithmic"} == set(
        reference.LOGARITHMIC
    )
    assert set(command.SWEPT) == set(accuracy._SCREENED)
    assert tuple(reference.FORMATS) == DTYPES


def test_bounds_are_given_for_every_dtype() -> None:
    for facts in FUNCTIONS.values():
        assert "numpy" in facts.bounds
        for backend, bounds in facts.bounds.items():
            assert backend in BACKENDS
            assert len(bounds) == len(DTYPES)
            assert min(bounds) >= 0.5


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("function", POINTWISE)
def test_every_number_of_16_bits(function: str, dtype: str) -> None:
    finding = command.Task(function, dtype, 0, 1 << 15).run()
    assert finding.wrong == 0, finding
    assert finding.measurement.tried >= 1 << 16


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_fresh_sample(function: str, dtype: str) -> None:
    seed = secrets.randbits(64)
    finding = command.Task(function, dtype, 0, size(function) // 2, (seed,)).run()  # with either sign
    assert finding.wrong == 0, f"seed {seed}: {finding}"
    assert finding.measurement.tried >= size(function)


HARD = {  # where float64 arithmetic rounded to float32 is wrong
    "softsign": ["0x1.17022cp-7"],
    "derivative": ["0x1.6325c6p-15", "0x1.2d5dc4p-9"],
    "inverse": ["0x1.f1724cp-11", "0x1.320134p-9"],
}


def in_double(function: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
    a = np.abs(x).astype(np.float64)
    value = {"softsign": a / (1 + a), "derivative": 1 / (1 + a) ** 2, "inverse": a / (1 - a)}[function]
    return np.copysign(value, 1 if function == "derivative" else x).astype(np.float32)


@pytest.mark.parametrize("kernels", command.KERNELS)
@pytest.mark.parametrize("function", HARD)
def test_hard_inputs(function: str, kernels: str) -> None:
    positive = np.array([float.fromhex(v) for v in HARD[function]], np.float32)
    x = np.concatenate([positive, -positive])
    (got,) = command.evaluate(function, kernels, (x,))
    nearest = [reference.round_to(getattr(reference, function)(v), "float32") for v in x]
    assert got.tolist() == nearest
    assert not correctly_rounded(function, in_double(function, x), x).any()


@pytest.mark.parametrize("kernels", command.KERNELS)
def test_float32_enclosures_are_wide_enough(kernels: str) -> None:
    """Where both ends around 1/(1 + x)**2 would round to one wrong number if one unit apart, not 24."""
    hard = ("0x1.0180c2p-17", "0x1.f3359ep-13", "0x1.0b4c24p-7", "0x1.b01424p-2")
    x = np.array([float.fromhex(v) for v in hard], np.float32)
    (got,) = command.evaluate("derivative", kernels, (x,))
    assert correctly_rounded("derivative", got, x).all()


REAL_LIFE: dict[str, Callable[[Array], Array]] = {
    "clipped at 0.9": lambda x: np.clip(x, -0.9, 0.9),
    "clipped at 1": lambda x: np.clip(x, -1, 1),
    "clipped beyond 1": lambda x: np.clip(x, -1.5, 1.5),
    "with infinities": lambda x: np.where(np.arange(len(x)) % 100 == 50, np.copysign(np.inf, x), x),
    "with nan": lambda x: np.where(np.arange(len(x)) % 100 == 50, np.copysign(np.nan, x), x),
    "about 1/u": lambda x: x * (x.dtype.type(4) / np.finfo(x.dtype).eps),
    "huge": lambda x: x * np.sqrt(np.finfo(x.dtype).max),
}


@pytest.mark.parametrize("kernels", command.KERNELS)
@pytest.mark.parametrize("kind", REAL_LIFE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", command.SWEPT)
def test_data_of_real_life(function: str, dtype: str, kind: str, kernels: str) -> None:
    """Doubtful, huge and special numbers in every vector; the others there are as if alone."""
    seed = secrets.randbits(64)
    x = REAL_LIFE[kind](np.random.default_rng(seed).standard_normal(3333).astype(dtype))
    with np.errstate(all="ignore"):
        (got,) = command.evaluate(function, kernels, (x,))
    finite = np.isfinite(x) & ((np.abs(x) < 1) | (function != "inverse"))
    assert correctly_rounded(function, got[finite], x[finite]).all(), seed
    expected = {
        "softsign": np.sign(x),
        "derivative": 0 * np.sign(x) ** 2,
        "inverse": np.where(np.abs(x) == 1, np.copysign(np.inf, x), np.nan),
    }[function]
    np.testing.assert_array_equal(got[~finite], expected[~finite])


LOGARITHMIC = ("log_jacobian", "antiderivative", "second_antiderivative")


@pytest.mark.parametrize("function", LOGARITHMIC)
def test_float32_logarithms_where_their_formulas_turn(function: str) -> None:
    """Around each 3/2 * 2**k - 1, where the exponent of 1 + x changes, 2**-40, 2**24 and the worst inputs."""
    exponents = np.arange(0, 128)
    turns = np.ldexp(1.5, exponents) - 1
    worst = [float.fromhex(v) for v in ("0x1.dbfea8p-2", "0x1.f5e6aap-5", "0x1.6f248p-39", "0x1.fffffep+127")]
    points = np.concatenate([turns, [2.0**-40, 2.0**24, *worst]]).astype(np.float32).view(np.int32)
    bits = np.unique(points[:, None] + np.arange(-40, 41, dtype=np.int32))
    x = bits[bits <= np.float32(np.finfo(np.float32).max).view(np.int32)].view(np.float32)
    with np.errstate(over="ignore"):
        results = [command.evaluate(function, kernels, (x,))[0] for kernels in command.KERNELS]
        finding = measure(function, results[0], x)
    assert finding.wrong == 0, finding
    assert all((y.view(np.int32) == results[0].view(np.int32)).all() for y in results)


@pytest.mark.parametrize("kernels", command.KERNELS)
def test_float32_log_jacobian_raises_no_flags(kernels: str) -> None:
    x = np.ldexp(np.float32(1.25), np.arange(-126, 128)).astype(np.float32)
    with np.errstate(all="raise"):
        (y,) = command.evaluate("log_jacobian", kernels, (x,))
    assert (y[:80] == -2 * x[:80]).all()


def near_powers_of_two() -> Array:
    """Numbers whose results often lie next to a midpoint: near powers of two, of few digits, near 2**54."""
    steps = 1 + np.arange(-64, 65) * 2.0**-52
    return np.concatenate(
        [
            np.ldexp(steps, np.arange(-60, 76)[:, None]).ravel(),
            np.ldexp(np.arange(1.0, 128), np.arange(-62, 54)[:, None]).ravel(),
            2.0**54 - 2 * np.arange(1, 1000),
        ]
    )


def preimage(function: str, midpoint: Fraction) -> float:
    """The float64 next to the x > 0 with function(x) == midpoint."""
    if function == "softsign":
        return float(midpoint / (1 - midpoint))
    if function == "inverse":
        return float(midpoint / (1 + midpoint))
    square = 1 / midpoint
    root = math.isqrt((square.numerator << 400) // square.denominator)
    return float(Fraction(root, 1 << 200) - 1)


def near_midpoints(function: str, count: int, rng: random.Random) -> Array:
    """Arguments whose results are next to midpoints of float64, for derivative subnormal ones, too."""
    lowest, highest = {"softsign": (-60, -1), "derivative": (-1000, -1), "inverse": (-60, 53)}[function]
    midpoints = [
        Fraction(2 * rng.getrandbits(52) + (1 << 53) + 1, 1 << 53)
        * Fraction(2) ** rng.randint(lowest, highest)
        for _ in range(count)
    ]
    if function == "derivative":
        subnormal = [*range(count // 8), *(rng.getrandbits(rng.randint(8, 51)) for _ in range(count // 8))]
        midpoints += [(n + Fraction(1, 2)) * Fraction(TINY) for n in subnormal]
    x = np.array([preimage(function, m) for m in midpoints])
    return np.concatenate([np.nextafter(x, 0), x, np.nextafter(x, np.inf)])


@pytest.mark.parametrize("function", command.SWEPT)
def test_float64_is_correctly_rounded_near_midpoints(function: str) -> None:
    seed = secrets.randbits(64)
    positive = np.concatenate([near_powers_of_two(), near_midpoints(function, 400, random.Random(seed))])
    if function == "inverse":
        positive = np.concatenate([positive, 1 - positive[positive < 1]])
        positive = positive[(positive > 0) & (positive < 1)]
    x = np.concatenate([positive, -positive])
    for kernels in command.KERNELS:
        (got,) = command.evaluate(function, kernels, (x,))
        wrong = x[~correctly_rounded(function, got, x)]
        assert wrong.size == 0, (seed, kernels, [float(v).hex() for v in wrong[:3]])


@pytest.mark.parametrize(
    ("function", "x", "y"),
    [
        ("softsign", "0x1.6a09e667f3bcdp-54", "0x1.6a09e667f3bccp-54"),
        ("derivative", "0x1.8p-54", "0x1.fffffffffffffp-1"),
        ("derivative", "0x1.fffffffffffffp53", "0x1.0000000000001p-108"),
        ("derivative", "0x1.a20bd700c2c3ep+536", "0x1p-1074"),
    ],
)
def test_single_hard_float64_results(function: str, x: str, y: str) -> None:
    got = getattr(softsign, function)(np.array([1, -1]) * float.fromhex(x))
    assert np.abs(got).tolist() == [float.fromhex(y)] * 2


@pytest.mark.parametrize("function", POINTWISE)
def test_longdouble_has_its_own_precision(function: str) -> None:
    values = np.ldexp(np.linspace(0.5, 1, 40, endpoint=False, dtype=np.longdouble), np.arange(-20, 20))
    dy = np.longdouble(3) / 7
    for x in values[values < 1] if "y" in FUNCTIONS[function].arguments else values:
        for n in (0, 1, 2, 3, 8) if "n" in FUNCTIONS[function].arguments else (0,):
            inputs = [{"n": n, "dy": dy}.get(argument, x) for argument in FUNCTIONS[function].arguments]
            value = getattr(reference, function)(*inputs)
            if isinstance(value, mpmath.mpf):
                value = Fraction(int(value.man)) * Fraction(2) ** int(value.exp) * (1 if value >= 0 else -1)
            got = Fraction(*getattr(softsign, function)(*inputs).as_integer_ratio())
            assert abs(got - value) <= 32 * abs(value) * Fraction(float(np.finfo(np.longdouble).eps)), x


# got, exact, error
ULP_ERRORS = {
    np.float32: [
        (1, 1, 0),
        (1, 1 - 2**-24, 1),  # an ulp below 1 is half of one above
        (1, 1 + 2**-24, -0.5),
        (1 - 2**-24, 1, -0.5),
        (0, 0, 0),
        (-0.0, 0.0, math.inf),
        (0.0, -0.0, math.inf),
        (0, 0.4 * 2**-149, -0.4),
        (-0.0, 0.4 * 2**-149, math.inf),
        (2**-149, 0.0, 1),
        (2**-149, 2**-150, 0.5),
        (-1, 1, math.inf),
        (math.inf, math.inf, 0),
        (-math.inf, math.inf, math.inf),
        (3, math.inf, math.inf),
        (math.nan, math.nan, 0),
        (math.nan, 1, math.inf),
        (1, math.nan, math.inf),
        (math.inf, math.nan, math.inf),
        (math.nan, math.inf, math.inf),
        (math.inf, 1e300, 0),
        (-math.inf, -1e300, 0),
        (float(np.finfo(np.float32).max), 1e300, -1),
        (math.inf, float(np.finfo(np.float32).max), 1),
        (math.inf, 2.0**128 - 2.0**102, 0.25),
        (1, 1e300, -(2**24) + 2.0**-104),
        (1e30, 1e-40, 1e30 * 2.0**149),
    ],
    np.float64: [
        (1 + 2**-52, 1, 1),
        (0, TINY, -1),
        (-3 * TINY, -TINY, -2),
        (math.inf, float(np.finfo(np.float64).max), 1),
        (1e300, 1e-300, math.inf),  # more ulp than float64 can count
    ],
    np.float16: [(1, 1 - 2**-11, 1), (6e-8, 2.0**-24, 0), (math.inf, 65519, 17 / 32), (math.inf, 65536, 0)],
    ml_dtypes.bfloat16: [
        (1, 1 + 2**-8, -0.5),
        (0, 2.0**-133, -1),
        (math.inf, 3.4e38, (2.0**128 - 3.4e38) / 2**120),
    ],
}


@pytest.mark.parametrize("dtype", ULP_ERRORS)
def test_ulp_error_is_defined_for_every_pair(dtype: type) -> None:
    got, exact_values, expected = zip(*ULP_ERRORS[dtype], strict=True)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(
            ulp_error(np.array(got, dtype), np.array(exact_values, float)), expected, rtol=1e-7
        )


def test_ulp_error_refuses_other_dtypes() -> None:
    with pytest.raises(TypeError, match=r"^the dtype is int64, but must be one of float16, "):
        ulp_error(np.arange(3), np.zeros(3))


def test_signed_errors_of_neighbors_differ_by_one() -> None:
    x = np.array([0.3, 7.0, 1e-300, 1e200])
    y = softsign.softsign(x)
    exact_values = exact("softsign", x)
    above = ulp_error(np.nextafter(y, 2), exact_values)
    steps = above - ulp_error(y, exact_values)
    np.testing.assert_allclose(steps, [1, 1, 1, 2])  # 1 = y is followed by a larger step


def as_fraction(value: accuracy.Exact, i: int) -> Fraction:
    head, tail, exponent = (v[i].item() for v in value)
    value_over_power: Fraction = Fraction(head) + Fraction(tail)
    return value_over_power * Fraction(2) ** int(exponent)


@np.errstate(invalid="ignore")  # signaling nan
def small_sample(function: str, dtype: str = "float64") -> tuple[Array, ...]:
    """Arguments at which the reference is defined and not zero."""
    arguments = sample(function, dtype, 2000, np.random.default_rng(secrets.randbits(64)))
    usable = np.logical_and.reduce([np.isfinite(a) & (a != 0) for a in arguments])
    if "y" in FUNCTIONS[function].arguments:
        usable &= np.abs(arguments[0]) < 1
    return tuple(a[usable][:200] for a in arguments)


@pytest.mark.parametrize("function", POINTWISE)
def test_exact_values_are_those_of_the_reference(function: str) -> None:
    arguments = small_sample(function)
    for order in ((0,), (1,), (2,), (7,), (16,), (60,)) if "n" in FUNCTIONS[function].arguments else ((),):
        values = exact(function, *order, *arguments)
        for i, numbers in enumerate(zip(*arguments, strict=True)):
            value = getattr(reference, function)(*order, *numbers)
            if isinstance(value, mpmath.mpf):
                value = Fraction(int(value.man)) * Fraction(2) ** int(value.exp) * (1 if value >= 0 else -1)
            assert abs(as_fraction(values, i) - value) <= abs(value) / 2**90, numbers


@pytest.mark.parametrize("function", POINTWISE)
def test_exact_values_of_special_arguments(function: str) -> None:
    """Infinities, nan and signs are those of the ufuncs, for huge arguments and pairs of them, too."""
    positive = [0.0, TINY, 1e-310, 0.5, 1.0, 2.0, 2.0**54, 1e154, 1e155, 1e160, 1.7e308, math.inf]
    special = [*positive, *(-x for x in positive), math.nan]
    choices = {"n": [0, 1, 2, 3, 8, 40]}
    for arguments in itertools.product(*(choices.get(a, special) for a in FUNCTIONS[function].arguments)):
        with np.errstate(all="ignore"):
            got = getattr(softsign, function)(*arguments)
        head, _, exponent = exact(function, *arguments)
        value = np.copysign(np.inf, head) if exponent > 1024 and np.isfinite(head) else head
        assert np.isnan(got) == np.isnan(value), arguments
        assert np.isinf(got) == np.isinf(value), arguments
        assert np.isnan(got) or np.signbit(got) == np.signbit(value), arguments


@pytest.mark.parametrize("function", POINTWISE)
def test_exact_values_of_numbers_and_of_arrays_are_the_same(function: str) -> None:
    order = (3,) if "n" in FUNCTIONS[function].arguments else ()
    numbers = [np.array([[0.5, 0.25]])] * (len(FUNCTIONS[function].arguments) - len(order))
    of_array = exact(function, *order, *numbers)
    of_number = exact(function, *order, *(a[0, 1] for a in numbers))
    for whole, part in zip(of_array, of_number, strict=True):
        assert np.shape(whole) == (1, 2)
        assert np.shape(part) == ()
        assert whole[0, 1] == part


def test_exact_refuses_an_unknown_function() -> None:
    with pytest.raises(ValueError, match=r"^function is 'tanh', but must be one of softsign, "):
        exact("tanh", 1.0)
    with pytest.raises(ValueError, match=r"^function is 'log_jacobian', but only algebraic"):
        correctly_rounded("log_jacobian", np.zeros(1), np.zeros(1))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("function", ["softsign", "derivative", "inverse", "gradient", "second_derivative"])
def test_correct_rounding_is_decided_as_by_the_reference(function: str, dtype: str) -> None:
    arguments = small_sample(function, dtype)
    nearest = [
        reference.round_to(getattr(reference, function)(*map(float, numbers)), dtype)
        for numbers in zip(*arguments, strict=True)
    ]
    right = np.array(nearest, dtype)
    for wrong_by in (-1, 0, 1):
        bits = right.view(f"u{right.itemsize}") + np.array(wrong_by).astype(f"u{right.itemsize}")
        assert (correctly_rounded(function, bits.view(dtype), *arguments) == (wrong_by == 0)).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_tie_goes_to_the_even_number(dtype: str) -> None:
    results = np.arange(4, dtype=f"u{np.dtype(dtype).itemsize}").view(dtype)  # 0 ... 3 smallest subnormals
    one, six = np.ones(4, dtype), np.full(4, results[3] + results[3])
    assert correctly_rounded("gradient", results, one, six).tolist() == [False, False, True, False]


def naive(x: Array) -> Any:
    return x / (1 + np.abs(x))


def off_by_one(x: Array) -> Any:
    y = softsign.softsign(x)
    return np.where(x == x[77], np.nextafter(y, y.dtype.type(2)), y)


def zero_without_sign(x: Array) -> Any:
    y = softsign.softsign(x)
    return y + y.dtype.type(0)


def nan_at_infinity(x: Array) -> Any:
    return np.where(np.isinf(x), np.nan, softsign.softsign(x)).astype(x.dtype)


def flushed(x: Array) -> Any:
    y = softsign.softsign(x)
    return np.where(np.abs(y) < np.finfo(x.dtype).tiny, np.copysign(y.dtype.type(0), y), y)


def nan_dropped(x: Array) -> Any:
    return np.nan_to_num(softsign.softsign(x), nan=1.0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("mistake", "first"),
    [
        (naive, 0.7),
        (off_by_one, 0.6),
        (zero_without_sign, -0.0),
        (nan_at_infinity, -np.inf),
        (flushed, 6e-8),
        (nan_dropped, np.nan),
    ],
)
def test_mistakes_are_found(mistake: Callable[[Array], Array], first: float, dtype: type) -> None:
    with np.errstate(invalid="ignore"):
        special: Array = np.array([first, np.finfo(dtype).smallest_subnormal], dtype)
        x: Array = np.concatenate([np.linspace(-3, 3, 999).astype(dtype), special])
        wrong = measure("softsign", mistake(x), x)
        assert wrong.wrong >= 1
        assert wrong.worst > bound("softsign", np.dtype(dtype).name)
        assert measure("softsign", softsign.softsign(x), x).wrong == 0


def test_a_derivative_of_the_wrong_sign_is_found() -> None:
    for dtype in (np.float32, np.float64):
        x = np.linspace(-3, 3, 99).astype(dtype)
        assert measure("derivative", -softsign.derivative(x), x).wrong == 99


def test_the_worst_input_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy, "_BLOCK", 1000)
    x = np.linspace(-3, 3, 10_001).astype(np.float32)
    found = measure("softsign", naive(x), x)
    errors = [abs(Fraction(float(y)) - reference.softsign(v)) for y, v in zip(naive(x), x, strict=True)]
    ulps = [
        e / Fraction(2) ** (math.frexp(reference.softsign(v))[1] - 24) if v else 0
        for e, v in zip(errors, x, strict=True)
    ]
    worst = ulps.index(max(ulps))
    assert found.worst == pytest.approx(float(ulps[worst]))
    assert found.worst_input == (x[worst],)
    assert found.tried == x.size
    assert found.wrong == sum(u > 0.5 for u in ulps)


def test_the_sweep_finds_each_law_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    true, start = softsign.softsign, int(np.float16(0.5).view(np.uint16))
    at, current = np.float16(0.50390625), ["first"]
    monkeypatch.setattr(command, "KERNELS", ("first", "second"))
    monkeypatch.setattr(softsign._core, "_use_kernels", lambda name: current.__setitem__(0, name))

    def broken(mistake: Callable[[Array], Array], value: float) -> dict[str, tuple[int, str]]:
        """What is found about a softsign with that value where there is a mistake."""
        monkeypatch.setattr(
            softsign, "softsign", lambda x: np.where(mistake(x), np.copysign(np.float16(value), x), true(x))
        )
        finding = command.Task("softsign", "float16", start, start + 100).run()
        assert finding.wrong > 0
        found: dict[str, tuple[int, str]] = finding.broken
        return found

    once = (1, "0x1.02p-1")
    assert broken(lambda x: x == -at, 0.3355) == {"symmetry": once}
    assert broken(lambda x: np.abs(x) == at, 0.3) == {"monotone": once}
    assert broken(lambda x: (x == at) & (current[0] == "second"), 0.3355) == {"second": once}
    assert broken(lambda x: (x == -at) & (current[0] == "second"), 0.3355) == {"second": once}


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(COMMAND), *arguments], capture_output=True, text=True, check=False, timeout=300
    )


def test_the_command_prints_a_table_and_succeeds() -> None:
    result = run_command(
        "--quick", "--functions", "inverse", "--dtypes", "bfloat16", "float32", "--seed", "1"
    )
    assert result.returncode == 0, result.stderr
    header, *lines = result.stdout.splitlines()[1:]
    assert header.split() == [
        "function",
        "dtype",
        "inputs",
        "tried",
        "wrong",
        "worst",
        "ulp",
        "worst",
        "input",
    ]
    assert [line.split()[:2] for line in lines] == [["inverse", "bfloat16"], ["inverse", "float32"]]
    assert lines[0].split()[2:5] == ["all", "65,536", "0"]


def test_the_command_fails_if_a_bound_is_exceeded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = command.Finding(accuracy.Measurement("softsign", "float32", 4, 0, 0.5, (0.25,)))
    bad = command.Finding(
        accuracy.Measurement("softsign", "float32", 4, 1, 0.75, (0.5,)), {"symmetry": (1, "3")}
    )
    findings = {("softsign", "float32"): good + bad + bad, ("inverse", "float32"): good}
    monkeypatch.setattr(command, "carry_out", lambda tasks, jobs: findings)
    monkeypatch.setattr(sys, "argv", ["accuracy.py"])
    assert command.main() == 1
    output = capsys.readouterr().out
    assert "softsign  float32            12      4   0.750000  0.5" in output
    assert "softsign float32: symmetry broken 2 times, for instance at 3" in output


def test_a_table_is_written_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("above\n\n<!-- a:begin -->\nold\n<!-- a:end -->\n\nbelow\n")
    command.write_section(page, "a", command.markdown_table(("function", "dtype"), [("f", "float32")]))
    table = "| function | dtype |\n| --- | --- |\n| f | float32 |"
    assert page.read_text() == f"above\n\n<!-- a:begin -->\n\n{table}\n\n<!-- a:end -->\n\nbelow\n"
    with pytest.raises(SystemExit, match="has no lines <!-- b:begin -->"):
        command.write_section(page, "b", "")


@pytest.mark.parametrize("page", ["PAGE", "README"])
def test_the_pages_have_the_bounds_that_are_tested(page: str) -> None:
    table = command.bounds_table() if page == "PAGE" else command.functions_table()
    written, expected = (re.sub(r"[ -]+", " ", text) for text in (getattr(command, page).read_text(), table))
    assert expected in written, "make accuracy ARGS=--bounds writes the table"


def test_a_part_of_the_table_is_not_written() -> None:
    result = run_command("--write", "--functions", "inverse")
    assert result.returncode == 2
    assert "--write takes all functions and dtypes" in result.stderr


def test_errors_of_no_results_are_refused() -> None:
    with pytest.raises(ValueError, match="got is empty, but must have one result or more"):
        accuracy.measure("softsign", np.empty(0, np.float32), np.empty(0, np.float32))


def test_the_results_of_bfloat16_stand_an_estimated_reciprocal() -> None:
    """None is so near to a midpoint that an error of 2^-21 would round it to the other side (csrc/ops.h)."""
    bits = np.arange(1, 0x7F80, dtype=np.uint32)
    x = (bits << 16).view(np.float32).astype(np.float64)
    for results, nearest in ((x / (1 + x), 2**-19.9), (1 / (1 + x) ** 2, 2**-20.5)):
        unit = 2.0 ** (np.maximum(np.frexp(results)[1] - 1, -126) - 7)
        distance = np.abs(results / unit % 1 - 0.5) * unit / results
        distance[x == 2.0**67] = 1  # 2^-134, to the last bit: a midpoint
        assert nearest > distance[results > unit / 4].min() > nearest / 1.1
