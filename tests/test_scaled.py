"""The scaled softsign and its gradient: values, laws, one scale and many, layouts, flags, refusals."""

import itertools
import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import softsign
from softsign import reference
from softsign.accuracy import measure, sample
from tests.helpers import (
    ALL_FLOATS,
    FLOATS,
    SCALED,
    assert_same_bits,
    kernels,
    raised_flags,
    random_values,
    special_values,
    threads,
    ufunc,
)

inf, nan = np.inf, np.nan
by_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)
by_any_dtype = pytest.mark.parametrize("dtype", ALL_FLOATS, ids=str)
by_wide_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
by_kernels = pytest.mark.parametrize("name", softsign.cpu_features()["available"])


def finite(dtype: Any) -> st.SearchStrategy[Any]:
    """Scalars of any binade, and from 2**-10 to 2**10."""
    width = np.dtype(dtype).itemsize
    pattern = st.binary(min_size=width, max_size=width).map(lambda b: np.frombuffer(b, dtype)[0])
    usual = st.builds(lambda m, e: np.dtype(dtype).type(m * 2.0**e), st.floats(-1, 1), st.integers(-10, 10))
    return pattern.filter(lambda v: math.isfinite(float(v))) | usual


# Values


@by_any_dtype
def test_special_values(dtype: np.dtype[Any]) -> None:
    most = ml_dtypes.finfo(dtype).max
    x = np.array([3, -0.0, inf, -inf, inf, 5, -5, 0, inf, nan, 1, nan, most, -3, 0.5], dtype)
    c = np.array([3, 3, 3, 3, inf, inf, 0, -0.0, 0, 1, nan, inf, most, inf, 0], dtype)
    expected = np.array([1.5, -0.0, 3, -3, inf, 5, -0.0, 0, 0, nan, nan, nan, most / 2, -3, 0], dtype)
    with np.errstate(under="ignore"):
        assert_same_bits(softsign.scaled(x, c), expected)
        for one, scale, value in zip(x, c, expected, strict=True):
            assert_same_bits(softsign.scaled(np.full(40, one), scale), np.full(40, value))


@by_any_dtype
def test_special_values_of_the_gradient(dtype: np.dtype[Any]) -> None:
    x = np.array([3, -0.0, inf, -inf, inf, 5, -5, 0, nan, 1, 1, nan, 1, -1, 1], dtype)
    c = np.array([3, 3, 3, 3, inf, inf, 0, -0.0, 1, nan, 1, inf, 1, 1, inf], dtype)
    dy = np.array([4, 4, 4, -4, 4, -4, 4, -4, 1, 1, nan, 1, inf, -0.0, -inf], dtype)
    expected = np.array([1, 4, 0, -0.0, 4, -4, 0, -0.0, nan, nan, nan, nan, inf, -0.0, -inf], dtype)
    with np.errstate(under="ignore"):
        assert_same_bits(softsign.scaled_gradient(x, c, dy), expected)
        for one, scale, d, value in zip(x, c, dy, expected, strict=True):
            many = softsign.scaled_gradient(np.full(40, one), scale, np.full(40, d))
            assert_same_bits(many, np.full(40, value))


@by_any_dtype
@pytest.mark.parametrize("function", SCALED)
def test_flags(function: str, dtype: np.dtype[Any]) -> None:
    """Invalid for c < 0, and where an infinite dy meets a slope of 0; else underflow alone."""
    values = special_values(dtype)
    gradients = values[[1, 4, 8]] if function == "scaled_gradient" else values[:1]
    for arguments in itertools.product(values, values, gradients):
        x, c, dy = map(np.longdouble, arguments)
        flat = (np.isinf(x) or c == 0) and bool(np.isfinite(c))
        expected = {"invalid value"} if c < 0 or (np.isinf(dy) and flat) else set()
        given = arguments[: ufunc(function).nin]
        for those in (given, (np.full(19, given[0]), *given[1:])):
            raised = raised_flags(ufunc(function), *those) - {"underflow"}
            if np.isnan(x):  # and c < 0: as it comes
                assert raised <= expected
            else:
                assert raised == expected, arguments


@by_wide_dtype
@pytest.mark.parametrize("function", SCALED)
def test_bounds_with_one_scale(function: str, dtype: Any) -> None:
    """Scales of every size, at their limits and beyond."""
    rng = np.random.default_rng(3)
    most = int(np.finfo(dtype).maxexp)
    exponents = [-most + 3, -61, -60, -1, 0.3, 1, 4.9, 60, 61, most - 1, *rng.uniform(-9, 9, 6)]
    with np.errstate(all="ignore"):
        for exponent in exponents:
            c = dtype(2.0**exponent)
            x, *_, dy = sample("scaled_gradient", dtype, 3000, rng)
            x = np.concatenate([x, x * c])
            arguments = (x, c) if function == "scaled" else (x, c, np.concatenate([dy, dy]))
            got = ufunc(function)(*arguments)
            assert measure(function, got, *arguments).wrong == 0
            many = (x, np.full_like(x, c), *arguments[2:])
            assert_same_bits(got, ufunc(function)(*many))


@by_wide_dtype
def test_ties_go_to_even(dtype: Any) -> None:
    """For odd p, q with p + q = 2**k, x = q and c = p give pq/2**k: a midpoint if pq has a digit more."""
    digits = np.finfo(dtype).nmant + 1
    k = (digits + 4) // 2
    rng = np.random.default_rng(8)
    p = 2 * rng.integers(2 ** (k - 5), 2 ** (k - 2), 20000, dtype=np.int64) + 1
    q = (1 << k) - p
    products = [int(a) * int(b) for a, b in zip(p, q, strict=True)]
    midpoint = np.array([product.bit_length() == digits + 1 for product in products])
    assert midpoint.sum() > 100
    x, c = q[midpoint].astype(dtype), p[midpoint].astype(dtype)
    expected = [
        reference.round_to(Fraction(product, 1 << k), dtype)
        for product, tie in zip(products, midpoint, strict=True)
        if tie
    ]
    assert_same_bits(softsign.scaled(x, c), np.array(expected, dtype))
    for i in range(0, len(x), 40):
        assert softsign.scaled(np.full(9, x[i]), c[i])[4] == expected[i]


@by_wide_dtype
@by_kernels
def test_all_kernels_return_the_same_bits(name: str, dtype: Any) -> None:
    rng = np.random.default_rng(6)
    with np.errstate(all="ignore"):
        for function in SCALED:
            arguments = sample(function, dtype, 1 << 15, rng)
            best, best_number = (
                ufunc(function)(*a) for a in (arguments, (arguments[0], dtype(3.3), *arguments[2:]))
            )
            with kernels(name):
                assert_same_bits(ufunc(function)(*arguments), best)
                one = ufunc(function)(arguments[0], dtype(3.3), *arguments[2:])
            assert_same_bits(one, best_number)


@by_kernels
def test_sums_are_rounded_once_without_fma_too(name: str) -> None:
    """Of these, float64 rounds a sum to a midpoint of float32, which is rounded again to the other side."""
    found = (
        ("0x1.d1785ep+46", "0x1.593238p+0", "0x1.725208p+0", "0x1.9756cp-93"),
        ("0x1.39c89ap+45", "0x1.5b1ef4p+0", "0x1.3e476cp+0", "0x1.85805ep-90"),
        ("0x1.e2a752p+46", "0x1.5f8296p+0", "0x1.d45c9cp+0", "0x1.f0d6dcp-93"),
        ("0x1.04b3cep+46", "0x1.bf757ap+0", "0x1.adc432p+0", "0x1.3c82d2p-90"),
    )
    x, c, dy, expected = np.array([[float.fromhex(v) for v in row] for row in found], np.float32).T.copy()
    with kernels(name):
        assert_same_bits(softsign.scaled_gradient(x, c, dy), expected)
        for i, scale in enumerate(c):
            assert_same_bits(softsign.scaled_gradient(x, scale, dy)[i], expected[i])


# Laws


@by_dtype
def test_a_scale_of_one_is_softsign(dtype: np.dtype[Any]) -> None:
    x = np.concatenate([special_values(dtype), random_values(dtype, 5000)])
    with np.errstate(all="ignore"):
        scaled, plain = softsign.scaled(x, dtype.type(1)), softsign.softsign(x)
        if dtype.itemsize > 2:
            assert_same_bits(scaled, plain)
            assert_same_bits(softsign.scaled(x, np.ones_like(x)), plain)
        else:
            np.testing.assert_allclose(
                scaled.astype(float), plain.astype(float), rtol=float(ml_dtypes.finfo(dtype).eps)
            )


@by_dtype
@given(data=st.data())
def test_odd_and_within_both_arguments(dtype: np.dtype[Any], data: st.DataObject) -> None:
    x, c = data.draw(finite(dtype)), abs(data.draw(finite(dtype)))
    with np.errstate(under="ignore"):
        y, mirrored = softsign.scaled(x, c), softsign.scaled(-x, c)
    assert_same_bits(np.array(mirrored), np.array(-y))
    assert abs(y) <= min(abs(x), c)
    assert np.signbit(y) == np.signbit(x)


@by_wide_dtype
@given(data=st.data())
def test_monotone_in_both_arguments(dtype: Any, data: st.DataObject) -> None:
    x, c = (abs(data.draw(finite(dtype))) for _ in range(2))
    up = np.arange(100)
    with np.errstate(all="ignore"):
        x_up, c_up = (v + up * np.spacing(v) for v in (x, c))
        for y in (
            softsign.scaled(x_up, c),
            softsign.scaled(x_up, np.full_like(x_up, c)),
            softsign.scaled(x, c_up),
        ):
            assert (y[1:] >= y[:-1]).all()


@by_wide_dtype
@given(data=st.data(), power=st.integers(-20, 20))
def test_a_power_of_two_comes_out(dtype: Any, data: st.DataObject, power: int) -> None:
    x, c = data.draw(finite(dtype)), abs(data.draw(finite(dtype)))
    info = np.finfo(dtype)
    sizes = [abs(float(v)) * f for v in (x, c) for f in (1.0, 2.0**power)]
    assume(all(v == 0 or float(info.tiny) * 2 < v < float(info.max) / 2 for v in sizes))
    factor = dtype(2.0**power)
    with np.errstate(under="ignore"):
        y = softsign.scaled(x, c)
        assume(y == 0 or abs(float(y)) * min(1, 2.0**power) > info.tiny)
        assert softsign.scaled(factor * x, factor * c) == factor * y


@by_wide_dtype
@given(data=st.data())
def test_symmetric_in_x_and_c(dtype: Any, data: st.DataObject) -> None:
    x, c = (abs(data.draw(finite(dtype))) for _ in range(2))
    with np.errstate(under="ignore"):
        assert softsign.scaled(x, c) == softsign.scaled(c, x)


def test_the_gradient_in_c_is_that_of_the_arguments_exchanged() -> None:
    x, c, step = np.array([-4.0, -0.3, 0.2, 7.0]), 1.5, 1e-6
    slope = (softsign.scaled(x, c + step) - softsign.scaled(x, c - step)) / (2 * step)
    np.testing.assert_allclose(np.sign(x) * softsign.scaled_gradient(c, np.abs(x), 1.0), slope, rtol=1e-8)


@by_wide_dtype
def test_gradients_do_not_underflow_inside(dtype: Any) -> None:
    """The square of c/(c + x), or c dy, is beyond the range while the result is not."""
    big, small = np.finfo(dtype).max / 4, np.finfo(dtype).tiny * 4
    assert softsign.scaled_gradient(big, big, big) == big / 4
    assert softsign.scaled_gradient(small, small, small) == small / 4
    far = softsign.scaled_gradient(dtype(1), np.sqrt(small), big)
    np.testing.assert_allclose(far, float(small) * float(big), rtol=1e-3)


# Layouts


@by_any_dtype
@pytest.mark.parametrize("function", SCALED)
def test_broadcasting_and_strides_keep_the_bits(function: str, dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(5)
    x, dy = ((rng.standard_normal((37, 90)) * 9).astype(dtype) for _ in range(2))
    f = ufunc(function)
    rest = (dy,) if function == "scaled_gradient" else ()
    scales = [dtype.type(2.5), np.abs(x[:1]) + dtype.type(1), np.abs(x[:, :1]) + dtype.type(1)]
    for c in scales:
        whole = np.broadcast_to(c, x.shape).copy()
        expected = f(x, whole, *rest)
        assert_same_bits(f(x, c, *rest), expected)
        assert_same_bits(f(x.T, np.transpose(np.broadcast_to(c, x.shape)), *(a.T for a in rest)), expected.T)
        assert_same_bits(
            f(x[::-2, ::3], whole[::-2, ::3], *(a[::-2, ::3] for a in rest)), expected[::-2, ::3]
        )
        assert_same_bits(
            f(x[::-2, ::3], dtype.type(2.5), *(a[::-2, ::3] for a in rest)),
            f(x, dtype.type(2.5), *rest)[::-2, ::3],
        )
        out = np.full_like(x, 7)
        where = rng.random(x.shape) < 0.5
        f(x, c, *rest, out=out, where=where)
        assert_same_bits(out, np.where(where, expected, dtype.type(7)))
        placed = x.copy()
        assert f(placed, c, *rest, out=placed) is placed
        assert_same_bits(placed, expected)


@pytest.mark.parametrize("function", SCALED)
def test_every_length_and_alignment(function: str) -> None:
    rng = np.random.default_rng(9)
    x, dy = ((rng.standard_normal(100) * 9).astype(np.float32) for _ in range(2))
    rest = (dy,) if function == "scaled_gradient" else ()
    whole = ufunc(function)(x, np.float32(4), *rest)
    for start in range(9):
        for stop in range(start, 100):
            part = ufunc(function)(x[start:stop], np.float32(4), *(a[start:stop] for a in rest))
            assert_same_bits(part, whole[start:stop])


@by_wide_dtype
def test_output_over_the_scale(dtype: Any) -> None:
    """NumPy copies what the output would overwrite before it is read."""
    x = np.linspace(-9, 9, 300, dtype=dtype)
    expected = softsign.scaled(x, dtype(2))
    memory = np.full(300, 2, dtype)
    assert_same_bits(softsign.scaled(x, memory[0:1], out=memory), expected)
    memory = np.full(301, 2, dtype)
    softsign.scaled(x, memory[:-1], out=memory[1:])
    assert_same_bits(memory[1:], expected)


@by_wide_dtype
@pytest.mark.parametrize("function", SCALED)
def test_threads_and_large_arrays_keep_the_bits(function: str, dtype: Any) -> None:
    size = (1 << 22) + 5
    x = np.resize(np.linspace(-40, 40, 99991, dtype=dtype), size)
    rest = (x[::-1].copy(),) if function == "scaled_gradient" else ()
    for c in (dtype(30), np.resize(np.linspace(1, 2, 777, dtype=dtype), size)):
        with threads(1):
            one = ufunc(function)(x, c, *rest)
        with threads(2):
            assert_same_bits(ufunc(function)(x, c, *rest), one)
        part = slice(size - 1000, size)
        scale = c if np.ndim(c) == 0 else c[part]
        assert_same_bits(ufunc(function)(x[part], scale, *(a[part] for a in rest)), one[part])


def test_gradient_with_one_dy() -> None:
    x = np.linspace(-9, 9, 1000)
    assert_same_bits(softsign.gradient(x, 2.0), softsign.gradient(x, np.full_like(x, 2)))


def test_promotion_and_refusals() -> None:
    def dtype_of(x: Any, c: Any) -> Any:
        return softsign.scaled(x, c).dtype

    assert dtype_of(np.zeros(3, np.float32), 30.0) == np.float32
    assert dtype_of(np.zeros(3, np.float32), np.zeros(3)) == np.float64
    assert dtype_of([1, 2], 3) == np.float64
    assert softsign.scaled(np.zeros((0, 3)), 1.0).shape == (0, 3)
    with pytest.raises(TypeError, match=r"^scaled: arguments of dtype\('complex128'\) and"):
        softsign.scaled(1j, 1.0)
    with pytest.raises(TypeError, match=r"^scaled_gradient: arguments of .* are not supported"):
        softsign.scaled_gradient(1.0, 1.0, 1j)


def test_the_reference_refuses_negative_scales() -> None:
    assert reference.scaled(3, 0) == reference.scaled_gradient(3, 0, 1) == 0
    assert reference.scaled(-6, 3) == -2
    with pytest.raises(ValueError, match="scaled: c is -1, but must be 0 or more"):
        reference.scaled(1, -1)
