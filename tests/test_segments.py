"""Means of softsign over segments, and the filter `_fir`: values, laws, layouts, flags, refusals."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import softsign
from softsign import _core, reference
from softsign.accuracy import exact, measure, sample, ulp_error
from tests.helpers import (
    ALL_FLOATS,
    FLOATS,
    Array,
    assert_same_bits,
    kernels,
    raised_flags,
    random_values,
    special_values,
    threads,
)

inf, nan = np.inf, np.nan
by_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)
by_wide_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
by_kernels = pytest.mark.parametrize("name", softsign.cpu_features()["available"])


def every(a: Any, b: Any, **options: Any) -> tuple[Array, ...]:
    """The mean, the ramp and the moments."""
    return (
        softsign.segment_mean(a, b, **options),
        softsign.segment_ramp(a, b, **options),
        *softsign.segment_moments(a, b, **options),
    )


def hostile(dtype: Any, size: int, seed: int) -> tuple[Array, Array]:
    """Ends from 1e-12 to 1e6: neighbors, of the same size and two signs, at zero and at one, and any."""
    rng = np.random.default_rng(seed)
    a = rng.choice([-1, 1], size) * 10 ** rng.uniform(-12, 6, size)
    spread = 10 ** rng.uniform(-16, 1, size)
    others = [
        a * (1 + rng.integers(-3, 4, size) * np.finfo(dtype).eps),
        a * (1 + spread),
        -a * (1 + rng.choice([-1, 1], size) * spread),
        rng.permutation(a),
        -np.sign(a) * np.abs(rng.permutation(a)),
        rng.choice([0.0, -0.0, 1.0, -1.0], size),
    ]
    b = np.choose(rng.integers(0, len(others), size), others)
    swap = rng.random(size) < 0.5
    return np.where(swap, b, a).astype(dtype), np.where(swap, a, b).astype(dtype)


# Values


def test_exact_values_are_the_integrals() -> None:
    """The closed forms of the reference against quadrature, on either side of zero and across it."""
    with mpmath.workdps(30):
        for a, b in [(0, 1), (2, -3), (-0.5, 0.25), (100, 7), (-1, -1.5), (3, 3)]:

            def f(t: Any, a: float = a, b: float = b) -> Any:
                x = a + t * (b - a)
                return x / (1 + abs(x))

            knots = [0, mpmath.mpf(a) / (a - b), 1] if a * b < 0 else [0, 1]
            weights: list[Callable[[Any], Any]] = [lambda t: 1, lambda t: t]
            weights += [lambda t: 1, lambda t: 2 * t - 1, lambda t: 6 * t * t - 6 * t + 1]
            integrals = [mpmath.quad(lambda t, w=w: w(t) * f(t), knots) for w in weights]
            means = (
                reference.segment_mean(a, b),
                reference.segment_ramp(a, b),
                *reference.segment_moments(a, b),
            )
            for integral, mean in zip(integrals, means, strict=True):
                assert abs(integral - mean) < 1e-25
            found = exact("segment_mean", a, b), exact("segment_ramp", a, b)
            moments = exact("segment_moments", a, b)
            heads = [*((v.head + v.tail) * 2.0**v.exponent for v in found)]
            heads += list((moments.head + moments.tail) * 2.0**moments.exponent)
            np.testing.assert_allclose(np.array(heads, float), np.array(means, float), rtol=1e-15, atol=1e-30)


def weighted_sizes(a: float, b: float) -> list[Any]:
    """The means of abs(f), of t abs(f), and of abs(f P_j(2t - 1)) for j = 1 and 2."""
    start, length = Fraction(a), Fraction(b) - Fraction(a)

    def means(t0: Any, t1: Any) -> tuple[Any, Any, Any]:
        """The integrals of t**k abs(f) between t0 and t1."""
        ends = [mpmath.mpf(start.numerator) / start.denominator + t * width for t in (t0, t1)]
        sums = []
        for k in range(3):
            powers = []
            for x in ends:
                m, sign = abs(x), -1 if x < 0 else 1
                log = mpmath.log1p(m)
                powers.append(
                    sign ** (k + 1) * [m - log, m**2 / 2 - m + log, m**3 / 3 - m**2 / 2 + m - log][k]
                )
            sums.append((powers[1] - powers[0]) / width)
        at = mpmath.mpf(start.numerator) / start.denominator
        first = (sums[1] - at * sums[0]) / width
        return sums[0], first, (sums[2] - 2 * at * sums[1] + at * at * sums[0]) / width**2

    with mpmath.workprec(1500):
        if not length:
            size = mpmath.mpf(abs(a)) / (1 + abs(a))
            return [size, size / 2, size / 2, 2 * size / mpmath.sqrt(27)]
        width = mpmath.mpf(length.numerator) / length.denominator
        root = (1 - 1 / mpmath.sqrt(3)) / 2
        whole, left, inner = means(0, 1), means(0, mpmath.mpf(1) / 2), means(root, 1 - root)
        slope = (2 * whole[1] - whole[0]) - 2 * (2 * left[1] - left[0])
        curves = [6 * v[2] - 6 * v[1] + v[0] for v in (whole, inner)]
        return [whole[0], whole[1], slope, curves[0] - 2 * curves[1]]


@by_wide_dtype
def test_error_in_units_of_the_same_mean_of_the_magnitude(dtype: Any) -> None:
    a, b = hostile(dtype, 300, seed=14)
    unit = np.finfo(dtype).eps / 2
    most = np.array([6, 9, 15, 38]) if dtype == np.float64 else np.ones(4)
    mean, ramp, _, slope, curve = every(a, b)
    for i, (start, end) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        moments = reference.segment_moments(start, end)
        values = moments[0], reference.segment_ramp(start, end), *moments[1:]
        sizes = weighted_sizes(start, end)
        for got, value, size, bound in zip(
            (mean[i], ramp[i], slope[i], curve[i]), values, sizes, most, strict=True
        ):
            assert abs(mpmath.mpf(float(got)) - value) <= bound * unit * size, (start, end)


@by_kernels
@by_wide_dtype
def test_bounds_on_hostile_pairs(dtype: Any, name: str) -> None:
    a, b = hostile(dtype, 1000, seed=15)
    with kernels(name):
        for function in ("segment_mean", "segment_ramp", "segment_moments"):
            found = measure(function, getattr(softsign, function)(a, b), a, b)
            assert found.wrong == 0, found


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_bounds_of_16_bits(dtype: str) -> None:
    with np.errstate(all="ignore"):
        ends = sample("segment_mean", dtype, 800, np.random.default_rng(16))
        for function in ("segment_mean", "segment_ramp", "segment_moments"):
            found = measure(function, getattr(softsign, function)(*ends), *ends)
            assert found.wrong == 0, found


def test_longdouble_has_its_own_precision() -> None:
    a, b = hostile(np.longdouble, 100, seed=17)
    unit = float(np.finfo(np.longdouble).eps)
    got = every(a, b)
    for i, ends in enumerate(zip(a, b, strict=True)):
        means = (
            reference.segment_mean(*ends),
            reference.segment_ramp(*ends),
            *reference.segment_moments(*ends),
        )
        size = reference._segment(*ends, 120).size
        for value, mean in zip(got, means, strict=True):
            numerator, denominator = value[i].as_integer_ratio()
            with mpmath.workprec(120):
                error = mpmath.mpf(numerator) / denominator - mean
            assert abs(error) <= 8 * unit * size, ends


#: a, b; mean, ramp, m1, m2.
SPECIAL = [
    ((0, 0), (0, 0, 0, 0)),
    ((-0.0, 0), (0, 0, 0, 0)),
    ((3, 3), (0.75, 0.375, 0, 0)),
    ((-1, -1), (-0.5, -0.25, 0, 0)),
    ((-3, 3), (0, (1.5 + np.log(4)) / 18, (1.5 + np.log(4)) / 9, 0)),
    ((inf, 1), (1, 0.5, 0, 0)),
    ((-5, inf), (1, 0.5, 0, 0)),
    ((5, -inf), (-1, -0.5, 0, 0)),
    ((inf, inf), (1, 0.5, 0, 0)),
    ((-inf, inf), (0, 0.25, 0.5, 0)),
    ((inf, -inf), (0, -0.25, -0.5, 0)),
    ((nan, 1), (nan, nan, nan, nan)),
    ((-inf, nan), (nan, nan, nan, nan)),
    ((1e308, 1e308), (1, 0.5, 0, 0)),
    ((1, 1e308), (1, 0.5, 0, 0)),
    ((-1e308, 1e308), (0, 0.25, 0.5, 0)),
    ((-1e308, 1.5e308), (0.2, 0.34, 0.48, -0.096)),
    ((5e-324, 5e-324), (5e-324, 0, 0, 0)),
    ((-5e-324, 5e-324), (0, 0, 0, 0)),
]


@pytest.mark.parametrize(("ends", "expected"), SPECIAL, ids=str)
def test_special_values(ends: tuple[float, float], expected: tuple[float, ...]) -> None:
    mean, ramp, m0, m1, m2 = every(*map(np.float64, ends))
    assert_same_bits(np.asarray(m0), np.asarray(mean))
    np.testing.assert_allclose([mean, ramp, m1, m2], expected, rtol=1e-15, atol=1e-300)
    exact_mean = exact("segment_mean", *ends)
    assert np.abs(ulp_error(np.array(mean), exact_mean, exact("segment_mean", *map(abs, ends)))) <= 4


@pytest.mark.parametrize("dtype", ALL_FLOATS, ids=str)
def test_no_flag_but_underflow_at_any_place(dtype: Any) -> None:
    values = np.concatenate([special_values(dtype), np.array([3, 100, 1e4], dtype)])
    a, b = (side.ravel() for side in np.meshgrid(values, values))
    around = np.array([0.5, -0.5, 0, 2], dtype), np.array([0.75, 3, 0, 100], dtype)
    for function in (softsign.segment_mean, softsign.segment_ramp, softsign.segment_moments):
        assert raised_flags(function, a, b) <= {"underflow"}
        for ends in zip(a, b, strict=True):
            beside = [np.append(near, end) for near, end in zip(around, ends, strict=True)]
            assert raised_flags(function, *beside) <= {"underflow"}, ends


# Laws


def ends() -> st.SearchStrategy[float]:
    return st.floats(-1e3, 1e3) | st.floats(-1e-6, 1e-6) | st.floats(allow_nan=False)


def near(value: Any, other: Any, size: Any) -> bool:
    """Equal up to a few roundings of numbers of that size."""
    with np.errstate(under="ignore"):
        return bool(abs(float(value) - float(other)) <= 12 * 2.0**-53 * float(size) + 1e-322)


@given(a=ends(), b=ends())
def test_symmetries(a: float, b: float) -> None:
    with np.errstate(under="ignore"):
        there, back, mirrored = every(a, b), every(b, a), every(-a, -b)
    for value, image in zip(there, mirrored, strict=True):
        assert_same_bits(np.asarray(image), np.asarray(-value))
    mean, ramp, _, m1, m2 = zip(there, back, strict=True)
    assert mean[0] == mean[1]
    assert m1[0] == -m1[1]
    assert m2[0] == m2[1]
    size = exact_size(a, b)
    assert near(sum(ramp), mean[0], size)
    assert near(m1[0], 2 * ramp[0] - mean[0], size)


def exact_size(a: float, b: float) -> float:
    """The mean of abs(f), nearly."""
    with np.errstate(under="ignore"):
        if (a < 0) == (b < 0):
            return abs(float(softsign.segment_mean(a, b)))
        scale = max(abs(a), abs(b)) or 1.0
        p, q = (abs(x / scale) if np.isfinite(x) else 1.0 for x in (a, b))
        left, right = softsign.segment_mean(0.0, abs(a)), softsign.segment_mean(0.0, abs(b))
        return float((p * left + q * right) / (p + q)) if p + q else 0.0


@given(a=ends(), b=ends())
def test_limits(a: float, b: float) -> None:
    """Means lie between the values at the ends, and Legendre moments below their greatest."""
    with np.errstate(under="ignore"):
        mean, ramp, _, m1, m2 = every(a, b)
        low, high = sorted(map(float, (softsign.softsign(a), softsign.softsign(b))))
    size = exact_size(a, b)
    assert abs(mean) <= 1
    assert low <= mean <= high or near(mean, min(max(mean, low), high), size)
    assert abs(ramp) <= 0.5 * (1 + 2**-50)
    assert abs(m1) <= 0.5 * (1 + 2**-50)
    assert abs(m2) <= 0.5


@given(a=st.floats(-1e3, 1e3), b=st.floats(-1e3, 1e3), step=st.floats(0, 10))
def test_means_rise_with_either_end(a: float, b: float, step: float) -> None:
    for function in (softsign.segment_mean, softsign.segment_ramp):
        with np.errstate(under="ignore"):
            value = function(a, b)
            for further in (function(a + step, b), function(a, b + step)):
                assert further >= value or near(
                    further, value, max(exact_size(a, b), exact_size(a, b + step), exact_size(a + step, b))
                )


@given(x=ends())
def test_a_point_is_a_segment(x: float) -> None:
    with np.errstate(under="ignore"):
        mean, ramp, _, m1, m2 = every(x, x)
        value = softsign.softsign(x)
    assert near(mean, value, abs(value))
    assert near(2 * ramp, value, abs(value))
    assert m1 == m2 == 0


@given(a=st.floats(-1e-17, 1e-17), b=st.floats(-1e-17, 1e-17))
def test_where_softsign_is_linear_so_are_the_means(a: float, b: float) -> None:
    with np.errstate(under="ignore"):
        mean, ramp, _, m1, m2 = every(a, b)
    size = max(abs(a), abs(b))
    assert near(mean, (a + b) / 2, size)
    assert near(ramp, a / 6 + b / 3, size)
    assert near(m1, (b - a) / 6, size)
    assert near(m2, 0, size)


# Layouts


def layouts(dtype: Any) -> tuple[Array, Array]:
    """Ends of which neighbors need other branches."""
    a, b = hostile(np.float64, 2000, seed=18)
    special = special_values(dtype)
    grid = [side.ravel() for side in np.meshgrid(special, special)]
    with np.errstate(all="ignore"):
        sides = [
            np.concatenate([side.astype(dtype), ends, random_values(dtype, 1000, seed)])
            for side, ends, seed in zip((a, b), grid, (19, 20), strict=True)
        ]
    order = np.random.default_rng(21).permutation(sides[0].size)
    return sides[0][order], sides[1][order]


@np.errstate(all="ignore")
@by_dtype
def test_bits_depend_on_neither_kernels_nor_place(dtype: Any) -> None:
    a, b = layouts(dtype)
    expected = every(a, b)
    for name in softsign.cpu_features()["available"]:
        with kernels(name):
            for first in (0, 1, 3):
                for value, whole in zip(every(a[first:], b[first:]), expected, strict=True):
                    assert_same_bits(value, whole[first:])
            alone = [every(a[i : i + 1], b[i : i + 1]) for i in range(a.size)]
            for values, whole in zip(zip(*alone, strict=True), expected, strict=True):
                assert_same_bits(np.concatenate(values), whole)


@np.errstate(all="ignore")
@by_dtype
def test_three_outputs_of_any_layout(dtype: Any) -> None:
    a, b = layouts(dtype)
    a, b = a[:1200], b[:1200]
    expected = softsign.segment_moments(a, b)
    wide = np.zeros((3, 2 * a.size), dtype)
    for views in (
        wide[:, ::2],
        wide[:, a.size :],
        wide[:, : a.size][:, ::-1],
        wide.reshape(-1, 3).T[:, : a.size],
    ):
        outputs = tuple(views)
        results = softsign.segment_moments(a, b, out=outputs)
        for result, out, value in zip(results, outputs, expected, strict=True):
            assert result is out
            assert_same_bits(out, value)
    x, y, third = a.copy(), b.copy(), np.empty_like(a)
    softsign.segment_moments(x, y, out=(y, third, x))  # in place of both
    for out, value in zip((y, third, x), expected, strict=True):
        assert_same_bits(out, value)
    for shift in (1, 3):  # behind and ahead of an input
        buffer = np.concatenate([a, np.zeros(shift, dtype)])
        softsign.segment_moments(buffer[: a.size], b, out=(buffer[shift:], third, third.copy()))
        assert_same_bits(buffer[shift:], expected[0])
        buffer = np.concatenate([np.zeros(shift, dtype), a])
        softsign.segment_moments(buffer[shift:], b, out=(third.copy(), buffer[: a.size], third))
        assert_same_bits(buffer[: a.size], expected[1])
    masked = np.full((3, a.size), 7, dtype)
    keep = np.arange(a.size) % 3 == 0
    softsign.segment_moments(a, b, out=tuple(masked), where=keep)
    for out, value in zip(masked, expected, strict=True):
        assert_same_bits(out, np.where(keep, value, dtype.type(7)))


def test_shapes_and_types() -> None:
    a = np.linspace(-2, 2, 12).reshape(3, 1, 4)
    moments = softsign.segment_moments(a, np.ones((5, 1)))
    assert [m.shape for m in moments] == [(3, 5, 4)] * 3
    assert_same_bits(moments[1][2, 3], softsign.segment_moments(a[2, 0], 1.0)[1])
    assert [m.shape for m in softsign.segment_moments(np.ones((0, 3)), 1.0)] == [(0, 3)] * 3
    assert [m.dtype for m in softsign.segment_moments(np.float32(1), np.float64(1))] == [np.float64] * 3
    assert softsign.segment_mean(1, 2).dtype == np.float64
    assert [m.dtype for m in softsign.segment_moments(1.0, 2.0, dtype=np.float32)] == [np.float32] * 3
    with pytest.raises(TypeError, match=r"segment_moments: arguments of .*complex128.* are not supported"):
        softsign.segment_moments(1j, 1.0)
    with pytest.raises(TypeError, match=r"segment_moments: dtype= or signature= ask for "):
        softsign.segment_moments(1.0, 1.0, dtype=int)


def test_threads_and_memory_beyond_the_cache() -> None:
    cache = softsign.cpu_features()["last_level_cache"]
    n = max(1 << 19, min(cache // 8 + 4097, 1 << 23))
    a = np.resize(hostile(np.float64, 5003, seed=22)[0], n)
    b = np.roll(a, 1)
    with threads(1):
        parts = [softsign.segment_moments(a[i : i + 1000], b[i : i + 1000]) for i in range(0, 6000, 1000)]
        whole = softsign.segment_moments(a, b)
    with threads(3):
        shared = softsign.segment_moments(a, b)
    for j in range(3):
        assert_same_bits(shared[j], whole[j])
        assert_same_bits(whole[j][:6000], np.concatenate([part[j] for part in parts]))


# The filter


def in_order(x: Array, taps: Array, n: int) -> Array:
    """The sums that are asked for, one product at a time."""
    total = np.zeros(n, x.dtype)
    for row, weights in zip(x, taps, strict=True):
        for k, weight in enumerate(weights):
            total = total + weight * row[k : k + n]
    return total


@by_kernels
@by_wide_dtype
def test_filter_of_every_length_in_order(dtype: Any, name: str) -> None:
    rng = np.random.default_rng(23)
    with kernels(name):
        for streams, taps_each in ((3, 16), (1, 15), (2, 1), (0, 4)):
            x = rng.standard_normal((streams, 200 + taps_each - 1)).astype(dtype)
            taps = rng.standard_normal((streams, taps_each)).astype(dtype)
            whole = in_order(x, taps, 200)
            for n in range(0, 200, 7 if streams == 3 else 33):
                for start in (0, 1, 200 - n):
                    block = np.ascontiguousarray(x[:, start : start + n + taps_each - 1])
                    around = np.full(n + 2, 7, dtype)
                    _core._fir(block, taps, around[1:-1])
                    assert_same_bits(around[1:-1], whole[start : start + n])
                    assert around[0] == around[-1] == 7


def test_filter_refuses_what_does_not_fit() -> None:
    x, taps, out = np.ones((2, 12)), np.ones((2, 3)), np.ones(10)
    wrong: list[tuple[type[Exception], str, tuple[Any, ...]]] = [
        (TypeError, r"^_fir: takes x, taps and out, got 2 arguments$", (x, taps)),
        (
            TypeError,
            r"^_fir: x must be a C-contiguous 2-d array of float32 or float64$",
            (x[:, ::2], taps, out),
        ),
        (TypeError, r"^_fir: x must be ", (x.tolist(), taps, out)),
        (TypeError, r"^_fir: x must be ", (x[0], taps, out)),
        (TypeError, r"^_fir: taps must be ", (x, taps.astype(int), out)),
        (TypeError, r"^_fir: out must be a C-contiguous, writable 1-d array of ", (x, taps, out[::2])),
        (TypeError, r"^_fir: x, taps and out must have one dtype", (x, taps.astype(np.float32), out)),
        (
            ValueError,
            r"^_fir: with taps of shape \(2, 3\) and out of shape \(9,\), x must have",
            (x, taps, out[:9]),
        ),
        (ValueError, r"x must have the shape .*, got \(1, 12\)$", (x[:1], taps, out)),
        (ValueError, r"^_fir: taps has the shape \(2, 0\), but", (x, np.ones((2, 0)), out)),
        (ValueError, r"^_fir: out must share no memory with x or taps$", (x, taps, x[0, :10])),
    ]
    for error, message, arguments in wrong:
        with pytest.raises(error, match=message):
            _core._fir(*arguments)
    out.flags.writeable = False
    with pytest.raises(TypeError, match=r"^_fir: out must be a C-contiguous, writable"):
        _core._fir(x, taps, out)
