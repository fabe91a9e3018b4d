"""softsign.variants: values against mpmath at every magnitude, dtypes, out=, vectors, bad input."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import softsign
from softsign import accuracy, functions, variants
from tests.helpers import (
    ALL_FLOATS,
    BFLOAT16,
    FLOATS,
    Array,
    assert_same_bits,
    raised_flags,
    random_values,
    special_values,
)

Mp = Any  # mpmath.mpf, which has no types

mp = mpmath.mp


@pytest.fixture(autouse=True)
def digits() -> Iterator[None]:
    """60 decimal digits, for differences that are 1e-32 of their terms."""
    with mpmath.workdps(60):
        yield


# Exact values


def family(x: Mp, k: float) -> Mp:
    return x / (1 + abs(x) ** k) ** (1 / mp.mpf(k)) if k < np.inf else max(-1, min(x, 1))


def family_derivative(x: Mp, k: float) -> Mp:
    if k == np.inf:
        return mp.mpf(1 if abs(x) < 1 else 0.5 if abs(x) == 1 else 0)
    return (1 + abs(x) ** k) ** (-1 - 1 / mp.mpf(k))


def family_inverse(y: Mp, k: float) -> Mp:
    if abs(y) >= 1:
        return mp.sign(y) * mp.inf if abs(y) == 1 else mp.nan
    return y * mp.exp(-mp.log1p(-(abs(y) ** k)) / k) if k < np.inf else y


def family_log_jacobian(x: Mp, k: float) -> Mp:
    if k == np.inf:
        return mp.mpf(0) if abs(x) < 1 else -mp.log(2) if abs(x) == 1 else -mp.inf
    return -(1 + 1 / mp.mpf(k)) * mp.log1p(abs(x) ** k)


def exact_softsign(x: Mp) -> Mp:
    return x / (1 + abs(x))


def half_of_one_and_softsign(x: Mp) -> Mp:
    return 1 / (2 * (1 + abs(x))) if x < 0 else (1 + 2 * x) / (2 * (1 + x))


def exact_soft_abs(x: Mp, c: float) -> Mp:
    t = abs(x) / c
    return c * (t**2 / 2 - t**3 / 3 if t < 1e-40 else t - mp.log1p(t))


EXPONENTS = (1e-300, 1e-3, 0.01, 0.3, 1, 1.5, 2, 8, 101.5, 1e5, 1e300, np.inf)
SCALES = (1e-300, 1e-30, 0.7, 1, 30, 1e30, 1e300)
#: Exact value, parameters, largest error in ulp of the narrow dtypes and of float64.
Facts = tuple[Callable[..., Mp], tuple[float | None, ...], tuple[float, float]]
FUNCTIONS: dict[str, Facts] = {
    "generalized": (family, EXPONENTS, (0.51, 2)),
    "generalized_derivative": (family_derivative, EXPONENTS, (0.51, 2)),
    "generalized_inverse": (family_inverse, EXPONENTS, (0.51, 4)),
    "generalized_log_jacobian": (family_log_jacobian, EXPONENTS, (0.51, 2)),
    "elliott": (half_of_one_and_softsign, (None,), (0.51, 2)),
    "elliott_logistic": (lambda x: half_of_one_and_softsign(x / 2), (None,), (0.51, 2)),
    "elliot2sig": (lambda x: exact_softsign(x * abs(x)), (None,), (0.51, 2)),
    "gate": (lambda x: x * half_of_one_and_softsign(x), (None,), (0.51, 3)),
    "soft_abs": (exact_soft_abs, SCALES, (0.51, 1)),
    "soft_cap": (lambda x, c: x / (1 + abs(x) / c), SCALES, (0.51, 0.51)),
}


def inputs(dtype: np.dtype[Any], size: int = 8) -> Array:
    """Every kind of finite number: zeros, limits, any binade, and the neighbors of 1."""
    info, rng = ml_dtypes.finfo(dtype), np.random.default_rng(0)
    exponents = rng.uniform(np.log2(float(info.smallest_subnormal)), np.log2(float(info.max)), size)
    positive = np.concatenate([np.exp2(exponents), np.exp2(rng.uniform(-8, 8, size))])
    ones = 1 + np.array([-4, -2, -1, -0.5, 1, 2]) * float(info.eps)
    special = special_values(dtype)
    finite = special[np.isfinite(special.astype(float))]
    return np.concatenate([finite, *(a.astype(dtype) for a in (positive, -positive, ones))])


def exact_values(values: Iterable[Mp], got: Array) -> accuracy.Exact:
    """What `accuracy.ulp_error` compares with; a zero has the sign of the result."""
    rows = []
    for value, result in zip(values, got.ravel().tolist(), strict=True):
        if value == 0 or not mpmath.isfinite(value):
            rows.append((np.copysign(0.0, result) if value == 0 else float(value), 0.0, 0))
            continue
        mantissa, exponent = mp.frexp(value)
        head = float(mantissa)
        rows.append((head, float(mantissa - head), max(min(exponent, 1 << 20), -(1 << 20))))
    heads, tails, exponents = np.array(rows).reshape(-1, 3).T
    return accuracy.Exact(heads, tails, exponents.astype(np.int64))


def worst(got: Array, values: Iterable[Mp]) -> float:
    return float(np.max(np.abs(accuracy.ulp_error(got.ravel(), exact_values(values, got)))))


def bound(name: str, parameter: float | None, dtype: np.dtype[Any]) -> float:
    narrow, wide = FUNCTIONS[name][2]
    if parameter == 1 and name.startswith("generalized"):
        ufunc = name.removeprefix("generalized_").replace("generalized", "softsign")
        return functions.bound(ufunc, dtype.name)
    return wide if dtype == np.float64 else narrow


CASES = [(name, parameter) for name, facts in FUNCTIONS.items() for parameter in facts[1]]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_are_within_the_bound_at_every_magnitude(name: str, dtype: np.dtype[Any]) -> None:
    f, parameters, _ = FUNCTIONS[name]
    x = inputs(dtype)
    for parameter in parameters:
        arguments = () if parameter is None else (parameter,)
        got = getattr(variants, name)(x, *arguments)
        assert got.dtype == dtype
        error = worst(got, (f(mp.mpf(value), *arguments) for value in x.astype(float).tolist()))
        assert error <= bound(name, parameter, dtype), parameter


#: Values at -inf, -0, 0, inf and nan.
ENDS = {
    "generalized": ((3,), [-1, -0.0, 0, 1, np.nan]),
    "generalized_derivative": ((3,), [0, 1, 1, 0, np.nan]),
    "generalized_inverse": ((3,), [np.nan, -0.0, 0, np.nan, np.nan]),
    "generalized_log_jacobian": ((3,), [-np.inf, -0.0, -0.0, -np.inf, np.nan]),
    "elliott": ((), [0, 0.5, 0.5, 1, np.nan]),
    "elliott_logistic": ((), [0, 0.5, 0.5, 1, np.nan]),
    "elliot2sig": ((), [-1, -0.0, 0, 1, np.nan]),
    "gate": ((), [-0.5, -0.0, 0, np.inf, np.nan]),
    "soft_abs": ((3,), [np.inf, 0, 0, np.inf, np.nan]),
    "soft_cap": ((3,), [-3, -0.0, 0, 3, np.nan]),
}


@pytest.mark.parametrize("dtype", ALL_FLOATS, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_ends_and_zeros(name: str, dtype: np.dtype[Any]) -> None:
    parameters, expected = ENDS[name]
    x = np.array([-np.inf, -0.0, 0, np.inf, np.nan], dtype)
    assert_same_bits(getattr(variants, name)(x, *parameters), np.array(expected, dtype))


@pytest.mark.parametrize("k", [1e-300, 1e-3, 3, 1e300, np.inf])
def test_the_family_at_its_ends_for_every_k(k: float) -> None:
    x = np.array([-np.inf, -0.0, 0, np.inf, np.nan])
    assert_same_bits(variants.generalized(x, k), np.array([-1, -0.0, 0, 1, np.nan]))
    assert_same_bits(variants.generalized_derivative(x, k), np.array([0.0, 1, 1, 0, np.nan]))
    y = np.array([-1.5, -1, -0.0, 0, 1, np.nextafter(1, 2), np.inf, np.nan])
    inverse = [np.nan, -np.inf, -0.0, 0, np.inf, np.nan, np.nan, np.nan]
    assert_same_bits(variants.generalized_inverse(y, k), np.array(inverse))


@pytest.mark.parametrize("dtype", ALL_FLOATS, ids=str)
def test_k_of_1_is_softsign_to_the_last_bit(dtype: np.dtype[Any]) -> None:
    x = np.concatenate([special_values(dtype), random_values(dtype, 500)])
    with np.errstate(all="ignore"):
        assert_same_bits(variants.generalized(x, 1), softsign.softsign(x))
        assert_same_bits(variants.generalized_derivative(x, 1), softsign.derivative(x))
        assert_same_bits(variants.generalized_inverse(x, 1), softsign.inverse(x))
        assert_same_bits(variants.generalized_log_jacobian(x, 1), softsign.log_jacobian(x))


def test_k_of_infinity_is_the_hard_tanh() -> None:
    x = random_values(np.dtype(float), 500)
    assert_same_bits(variants.generalized(x, np.inf), np.clip(x, -1, 1))
    assert variants.generalized_derivative([0.5, 1, 2], np.inf).tolist() == [1, 0.5, 0]
    assert variants.generalized_inverse(0.5, np.inf) == 0.5


positive_numbers = st.floats(0, allow_nan=False, exclude_min=True)
numbers = st.floats(allow_nan=False)


@given(numbers, numbers, positive_numbers)
def test_the_family_is_odd_and_rises_and_is_bounded(x: float, other: float, k: float) -> None:
    low, high = (variants.generalized(t, k) for t in sorted((x, other)))
    assert -1 <= low <= 1
    assert low <= high or high - low > -1e-15 * abs(high)  # rounding alone may turn it
    assert variants.generalized(-x, k) == -variants.generalized(x, k)


@given(st.floats(-0.99, 0.99), st.floats(0.3, 50))
def test_the_inverse_inverts(y: float, k: float) -> None:
    back = variants.generalized(variants.generalized_inverse(y, k), k)
    assert back == pytest.approx(y, rel=1e-14, abs=0)


# Vectors and complex numbers


def vectors(dtype: np.dtype[Any], length: int) -> Array:
    """Vectors of every magnitude, with components of different ones, and next to the unit sphere."""
    rng, info = np.random.default_rng(0), ml_dtypes.finfo(dtype)
    least, most = np.log2(float(info.smallest_subnormal)), np.log2(float(info.max)) - 1
    signs = rng.choice([-1.0, 1.0], (20, length))
    any_magnitude = signs * np.exp2(rng.uniform(least, most, (20, length)))
    alike = signs * np.exp2(rng.uniform(least, most, (20, 1)) + rng.uniform(-2, 0, (20, length)))
    units = rng.standard_normal((30, length))
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    return np.concatenate([any_magnitude, alike, units, np.zeros((1, length))]).astype(dtype)


def exact_vectors(p: Array) -> list[list[Mp]]:
    return [[mp.mpf(x) for x in row] for row in p.astype(float).tolist()]


def exact_length(p: list[Mp]) -> Mp:
    return mp.sqrt(mp.fsum(x * x for x in p))


def ball(p: list[Mp], c: float = 1, r: float = 1) -> list[Mp]:
    return [x / (c + exact_length(p) / r) for x in p]


def ball_inverse(p: list[Mp], c: float = 1, r: float = 1) -> list[Mp]:
    rest = 1 - exact_length(p) / r
    if rest == 0:
        return [mp.sign(x) * mp.inf if x else x for x in p]
    return [c * x / rest if rest > 0 else mp.nan for x in p]


def chained(f: Callable[..., list[Mp]], rows: list[list[Mp]], *parameters: float) -> list[Mp]:
    return [value for row in rows for value in f(row, *parameters)]


@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_unit_balls_are_within_their_bounds(dtype: np.dtype[Any], length: int) -> None:
    x = vectors(dtype, length)
    rows = exact_vectors(x)
    assert worst(variants.unit_ball(x), chained(ball, rows)) <= 0.51
    limit = 1 if dtype == np.float64 else 0.51
    assert worst(variants.unit_ball_inverse(x), chained(ball_inverse, rows)) <= limit
    log_det = [-(length + 1) * mp.log1p(exact_length(row)) for row in rows]
    assert worst(variants.unit_ball_log_det(x), log_det) <= 0.51


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(("c", "r"), [(1.0, 1.0), (0.3, 7.1), (1e-30, 1e30), (1e200, 1e-200)])
def test_complex_functions_are_within_their_bounds(c: float, r: float, dtype: str) -> None:
    x = vectors(np.dtype(dtype), 2)
    with np.errstate(over="ignore"):
        x = np.concatenate([x, (x[-31:] * r).astype(dtype)])
    x[:3] = [[t, np.nextafter(t, x.dtype.type(9))] for t in x[40:43, 0]]  # parts whose squares nearly cancel
    x = x[np.isfinite(x).all(axis=1)]
    rows = exact_vectors(x)
    z = x.view(np.result_type(dtype, np.complex64))[:, 0]

    def parts(name: str) -> Array:
        result: Array = getattr(variants, "georgiou_koutsougeras" + name)(z, c, r)
        assert result.dtype == z.dtype
        return result.view(dtype)

    def dconj(row: list[Mp]) -> list[Mp]:
        x, y = row
        s = exact_length(row)
        size = -1 / (2 * r * s) / (c + s / r) ** 2 if s else mp.zero
        return [size * (x - y) * (x + y), size * 2 * x * y]

    assert worst(parts(""), chained(ball, rows, c, r)) <= 0.51
    limit = 1 if dtype == "d" else 0.51
    assert worst(parts("_inverse"), chained(ball_inverse, rows, c, r)) <= limit
    assert worst(parts("_dconj"), chained(dconj, rows)) <= 0.51
    lengths = [exact_length(row) / r for row in rows]
    dz = variants.georgiou_koutsougeras_dz(z, c, r)
    assert dz.dtype == dtype
    assert worst(dz, [(c + s / 2) / (c + s) ** 2 for s in lengths]) <= 0.51


def test_wirtinger_derivatives_tell_small_steps() -> None:
    rng = np.random.default_rng(0)
    z, dz = (rng.standard_normal(50) + 1j * rng.standard_normal(50) for _ in range(2))
    change = variants.georgiou_koutsougeras_dz(z, 2, 3) * dz
    change += variants.georgiou_koutsougeras_dconj(z, 2, 3) * dz.conj()
    ahead, behind = (variants.georgiou_koutsougeras(z + t * dz, 2, 3) for t in (1e-5, -1e-5))
    np.testing.assert_allclose((ahead - behind) / 2e-5, change, rtol=1e-8)


def test_log_det_is_that_of_the_derivative() -> None:
    x = np.array([0.5, -1.0, 2.0])
    steps = 1e-5 * np.eye(3)
    jacobian = (variants.unit_ball(x + steps) - variants.unit_ball(x - steps)) / 2e-5
    expected = np.linalg.slogdet(jacobian)[1]
    assert variants.unit_ball_log_det(x) == pytest.approx(expected, rel=1e-9)


def test_a_vector_of_many_components() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(3_001)
    exact_norm = mp.sqrt(mp.fsum(mp.mpf(t) ** 2 for t in x.tolist()))
    assert worst(variants.unit_ball(x), [t / (1 + exact_norm) for t in x.tolist()]) <= 0.51
    y = x / np.linalg.norm(x) * (1 - 1e-13)
    rest = 1 - mp.sqrt(mp.fsum(mp.mpf(t) ** 2 for t in y.tolist()))
    assert worst(variants.unit_ball_inverse(y), [t / rest for t in y.tolist()]) <= 1


def test_infinite_and_nan_vectors() -> None:
    x = np.array([[np.inf, 1, -np.inf], [np.nan, 1, 2], [np.nan, np.inf, 1], [-0.0, 0, -0.0]])
    h = np.sqrt(0.5)
    expected = np.array([[h, 0, -h], 3 * [np.nan], 3 * [np.nan], [-0.0, 0, -0.0]])
    assert_same_bits(variants.unit_ball(x), expected)
    assert_same_bits(variants.unit_ball_log_det(x), np.array([-np.inf, np.nan, np.nan, -0.0]))
    y = np.array([[0.0, 1, 0], [0.6, 0.8, 0.1], [np.inf, 0, 0], [np.nan, 0, 0], [-0.0, 0, -0.0]])
    expected = np.array([[0, np.inf, 0], 3 * [np.nan], 3 * [np.nan], 3 * [np.nan], [-0.0, 0, -0.0]])
    assert_same_bits(variants.unit_ball_inverse(y), expected)


def test_infinite_complex_numbers() -> None:
    z = np.array([complex(np.inf, 5), complex(-np.inf, np.inf), complex(np.nan, 1), 0])
    h = np.sqrt(0.5) * 2
    expected = np.array([2, complex(-h, h), complex(np.nan, np.nan), 0])
    np.testing.assert_array_equal(variants.georgiou_koutsougeras(z, 3, 2), expected)
    assert variants.georgiou_koutsougeras_dz(z, 4, 2).tolist()[::3] == [0, 0.25]
    assert not variants.georgiou_koutsougeras_dconj(z, 3, 2)[[0, 1, 3]].any()
    on_the_circle = variants.georgiou_koutsougeras_inverse([3 + 4j, 5j, 6j], r=5)
    assert str(on_the_circle.tolist()) == "[(inf+infj), infj, (nan+nanj)]"


def test_real_numbers_are_a_line_of_the_plane() -> None:
    x = special_values(np.dtype(np.float32))
    assert_same_bits(variants.georgiou_koutsougeras(x), softsign.softsign(x))
    assert_same_bits(variants.unit_ball(x[:, np.newaxis])[:, 0], softsign.softsign(x))
    slope = variants.georgiou_koutsougeras_dz(x[:5]) + variants.georgiou_koutsougeras_dconj(x[:5])
    np.testing.assert_allclose(slope, softsign.derivative(x[:5]), rtol=2e-7)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_any_axis(axis: int) -> None:
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    norm = np.linalg.norm(x, axis=axis, keepdims=True)
    np.testing.assert_allclose(variants.unit_ball(x, axis), x / (1 + norm), rtol=1e-14)
    np.testing.assert_allclose(variants.unit_ball_inverse(variants.unit_ball(x, axis), axis), x, rtol=1e-12)
    expected = -(x.shape[axis] + 1) * np.log1p(norm.squeeze(axis))
    out = np.empty(expected.shape)
    assert variants.unit_ball_log_det(x, axis, out=out) is out
    np.testing.assert_allclose(out, expected, rtol=1e-14)


def test_axes_of_length_0() -> None:
    assert variants.unit_ball(np.ones((3, 0))).shape == (3, 0)
    assert variants.unit_ball_inverse(np.ones((0, 3)), axis=0).shape == (0, 3)
    assert variants.unit_ball_log_det(np.ones((3, 0))).tolist() == [0, 0, 0]


# Arrays of every kind

#: Every function with parameters, on arrays whose last axis holds vectors.
CALLS: dict[str, tuple[float, ...]] = {
    **{name: parameters for name, (parameters, _) in ENDS.items()},
    "georgiou_koutsougeras": (2, 3),
    "georgiou_koutsougeras_inverse": (2, 3),
    "georgiou_koutsougeras_dz": (2, 3),
    "georgiou_koutsougeras_dconj": (2, 3),
    "unit_ball": (),
    "unit_ball_inverse": (),
    "unit_ball_log_det": (),
}
by_name = pytest.mark.parametrize("name", CALLS)


def call(name: str, x: Any, **options: Any) -> Any:
    return getattr(variants, name)(x, *CALLS[name], **options)


def test_all_functions_are_tested() -> None:
    assert sorted(CALLS) == sorted(variants.__all__)


@by_name
def test_layouts_dtypes_and_out(name: str) -> None:
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (40, 6))
    expected = call(name, x)
    assert_same_bits(call(name, np.asfortranarray(x)), expected)
    assert_same_bits(call(name, x.astype(">f8")), expected)
    assert_same_bits(call(name, x[::2]), expected[::2])
    assert_same_bits(call(name, x[np.newaxis, ::-1]), expected[np.newaxis, ::-1])
    assert_same_bits(call(name, x.tolist()), expected)
    out = np.zeros(expected.shape, np.float32)
    assert call(name, x, out=out) is out
    assert_same_bits(out, expected.astype(np.float32))
    if expected.shape == x.shape:
        memory = np.concatenate([x, x])  # in place, and shifted by a row
        assert_same_bits(call(name, memory[:40], out=memory[1:41]), expected)
        assert_same_bits(memory[0], x[0])
        assert_same_bits(call(name, x, out=x), expected)


@by_name
def test_big_and_empty_arrays_and_numbers(name: str) -> None:
    x = np.linspace(-0.5, 0.5, 50_001)[:, np.newaxis]
    expected = np.array([call(name, row) for row in x[::5000]])
    assert_same_bits(call(name, x)[::5000], expected)
    assert call(name, np.zeros((0, 2), np.float16)).dtype == np.float16
    assert call(name, np.zeros((0, 2))).size == 0
    if not name.startswith("unit_ball"):
        assert isinstance(call(name, np.float32(0.25)), np.float32)
        assert isinstance(call(name, 0.25), float)
        assert call(name, np.zeros((2, 0, 3))).shape == (2, 0, 3)


@by_name
@pytest.mark.parametrize(
    "dtype", ["?", "i1", "u1", "i2", "u2", "i4", "i8", "u8", "e", "f", "d", "g", BFLOAT16]
)
def test_dtypes_are_those_of_the_ufuncs(name: str, dtype: Any) -> None:
    x = np.array([[0, 1]], dtype)
    assert call(name, x).dtype == softsign.softsign(x).dtype


@by_name
def test_no_floating_point_warnings(name: str) -> None:
    assert raised_flags(call, name, special_values(np.dtype(float))[:, np.newaxis]) == set()


def test_complex_dtypes() -> None:
    for dtype in (np.complex64, np.complex128):
        z = np.array([[1, 2j], [3, 0]], dtype)
        assert_same_bits(variants.georgiou_koutsougeras(z).real, softsign.softsign(z).real)
        assert variants.georgiou_koutsougeras_dz(z).dtype == z.real.dtype
        assert variants.georgiou_koutsougeras(z.T).shape == (2, 2)
        assert variants.georgiou_koutsougeras(z[:0]).shape == (0, 2)
        assert isinstance(variants.georgiou_koutsougeras(z[0, 0]), dtype)


# Bad input


@pytest.mark.parametrize("value", [0, -1, -np.inf, np.nan, np.float32(-2)])
@pytest.mark.parametrize(
    ("name", "parameter"), [(n, "k" if n.startswith("gen") else "c") for n in CALLS if CALLS[n]]
)
def test_parameters_that_are_not_positive(name: str, parameter: str, value: float) -> None:
    given = {"r": 1.0} if name.startswith("georgiou") else {}
    with pytest.raises(ValueError, match=f"^{name}: {parameter} is .*, but must be a positive number"):
        getattr(variants, name)(1.0, **{parameter: value}, **given)


@pytest.mark.parametrize("value", ["1", None, 1j, [1.0, 2.0], True])
def test_parameters_that_are_no_number(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^generalized: k is .*, but must be a positive number$"):
        variants.generalized(1.0, value)
    with pytest.raises(TypeError, match=r"^soft_cap: c is .*, but must be a positive number below infinity$"):
        variants.soft_cap(1.0, value)
    with pytest.raises(TypeError, match=r"^georgiou_koutsougeras: r is "):
        variants.georgiou_koutsougeras(1.0, r=value)


def test_infinite_parameters() -> None:
    for f in (variants.soft_cap, variants.soft_abs, variants.georgiou_koutsougeras):
        with pytest.raises(ValueError, match=r"c is inf, but must be a positive number below infinity"):
            f(1.0, c=np.inf)
    with pytest.raises(ValueError, match=r"^georgiou_koutsougeras_inverse: r is inf"):
        variants.georgiou_koutsougeras_inverse(1.0, r=np.inf)


@by_name
def test_what_is_no_number_and_bad_out(name: str) -> None:
    for x in (["text"], [None], np.array(["2020-01-01"], "M8[D]")):
        with pytest.raises(TypeError, match=rf"^{name}: [xyzw] has dtype .*, but must be real"):
            call(name, x)
    if not name.startswith("georgiou"):
        with pytest.raises(
            TypeError, match=rf"^{name}: [xy] has dtype complex128, but must be real numbers$"
        ):
            call(name, [1j])
    x = np.ones((2, 3))
    shape = call(name, x).shape
    with pytest.raises(ValueError, match=rf"^{name}: out has shape \(5,\), but the result has "):
        call(name, x, out=np.empty(5))
    with pytest.raises(
        TypeError, match=rf"^{name}: out has dtype int64, which cannot hold the result's float64"
    ):
        call(name, x, out=np.empty(shape, int))
    with pytest.raises(TypeError, match=rf"^{name}: out must be an array, got list"):
        call(name, x, out=[])
    fixed = np.zeros(shape)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        call(name, x, out=fixed)


def test_bad_axes() -> None:
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        variants.unit_ball(np.ones((2, 3)), axis=2)
    with pytest.raises(ValueError, match="axis -1 is out of bounds"):
        variants.unit_ball(1.0)
    with pytest.raises(TypeError, match="integer"):
        variants.unit_ball(np.ones(2), axis=1.0)  # type: ignore[arg-type]
