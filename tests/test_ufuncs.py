"""What the ufuncs return and raise: values, flags, dtypes, layouts and bad input."""

import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import softsign
from softsign import _core, reference
from softsign.functions import DTYPES, FUNCTIONS, MAX_ORDER, ORDERS, bound
from tests.helpers import (
    ALL_FLOATS,
    BFLOAT16,
    BINARY,
    FLOATS,
    NAMES,
    ODD,
    SCALED,
    SEGMENTS,
    STANDARD,
    UNARY,
    Array,
    arguments,
    assert_same_bits,
    exact,
    is_nan,
    kernels,
    raised_flags,
    random_values,
    run_python,
    special_values,
    ufunc,
    ulps,
)

by_name = pytest.mark.parametrize("name", NAMES)
by_unary_name = pytest.mark.parametrize("name", UNARY)
by_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)
by_any_dtype = pytest.mark.parametrize("dtype", ALL_FLOATS, ids=str)
by_standard_dtype = pytest.mark.parametrize("dtype", STANDARD, ids=str)

# f(x) for x >= 0; "sub" is the smallest subnormal, "max" the largest finite number.
VALUES = {
    "softsign": {"0": "0", "sub": "sub", "1": "0.5", "3": "0.75", "max": "1", "inf": "1", "nan": "nan"},
    "derivative": {"0": "1", "sub": "1", "1": "0.25", "3": "0.0625", "inf": "0", "nan": "nan"},
    "inverse": {
        "0": "0",
        "sub": "sub",
        "0.5": "1",
        "0.75": "3",
        "1": "inf",
        "2": "nan",
        "max": "nan",
        "inf": "nan",
    },
    "second_derivative": {"0": "0", "sub": "-2", "1": "-0.25", "3": "-0.03125", "inf": "-0", "nan": "nan"},
    "antiderivative": {"0": "0", "sub": "0", "max": "max", "inf": "inf", "nan": "nan"},
    "second_antiderivative": {"0": "0", "sub": "0", "max": "inf", "inf": "inf", "nan": "nan"},
    "log_jacobian": {"inf": "-inf", "nan": "nan"},
}


def number(text: str, dtype: np.dtype[Any]) -> Any:
    info = ml_dtypes.finfo(dtype)
    limits = {"sub": info.smallest_subnormal, "max": info.max}
    return dtype.type(limits.get(text, text))


def test_the_list_of_the_core_is_that_of_the_facts() -> None:
    assert _core._functions == tuple(FUNCTIONS)
    assert set(FUNCTIONS) - set(softsign.__all__) == set()
    assert _core._max_order == MAX_ORDER
    assert set(FLOATS) == {np.dtype(name) for name in DTYPES}
    assert set(DTYPES) < set(_core._types)
    for name, facts in FUNCTIONS.items():
        assert (ufunc(name).nin, ufunc(name).nout) == (len(facts.arguments), facts.outputs)


@by_any_dtype
@pytest.mark.parametrize(("name", "x", "y"), [(n, x, y) for n, row in VALUES.items() for x, y in row.items()])
def test_special_values(name: str, x: str, y: str, dtype: np.dtype[Any]) -> None:
    with np.errstate(all="ignore"):
        actual = ufunc(name)(np.array([number(x, dtype), -number(x, dtype)]))
    positive = number(y, dtype)
    expected = np.array([positive, -positive if name in ODD else positive])
    assert actual.dtype == dtype
    assert np.array_equal(actual, expected, equal_nan=True)
    if y != "nan":
        assert np.array_equal(np.signbit(actual), np.signbit(expected))


@by_any_dtype
def test_log_jacobian_near_zero(dtype: np.dtype[Any]) -> None:
    tiny = number("sub", dtype)
    actual = softsign.log_jacobian(np.array([0, tiny], dtype))
    assert np.array_equal(actual, np.array([0, -2 * tiny], dtype))


@by_any_dtype
def test_the_last_number_before_one_has_a_finite_inverse(dtype: np.dtype[Any]) -> None:
    half_ulp = ml_dtypes.finfo(dtype).eps / 2
    last = dtype.type(1) - half_ulp
    assert softsign.inverse(last) == last / half_ulp


@by_any_dtype
def test_gradient_at_special_values(dtype: np.dtype[Any]) -> None:
    x = np.array([0, -0.0, np.inf, -np.inf, np.nan, 0.5, 0.5, 0.5, 0.5], dtype)
    dy = np.array([3, 3, 3, -3, 3, 0, -0.0, np.nan, -np.inf], dtype)
    expected = np.array([3, 3, 0, -0.0, np.nan, 0, -0.0, np.nan, -np.inf], dtype)
    actual = softsign.gradient(x, dy)
    assert np.array_equal(actual, expected, equal_nan=True)
    numbers = ~np.isnan(expected)
    assert np.array_equal(np.signbit(actual[numbers]), np.signbit(expected[numbers]))


@by_any_dtype
def test_gradient_neither_overflows_nor_underflows_inside(dtype: np.dtype[Any]) -> None:
    # (1 + |x|)^2 exceeds the largest number, or dy/(1 + |x|) the smallest, while the result does neither.
    largest = ml_dtypes.finfo(dtype).max
    root = np.sqrt(largest)
    assert abs(softsign.gradient(root, largest) - 1) < 0.02
    assert abs(softsign.gradient(largest, largest) * largest - 1) < 0.02


@by_any_dtype
def test_gradient_from_output_at_special_values(dtype: np.dtype[Any]) -> None:
    y = np.array([0, -0.0, 1, -1, 0.5, np.nan, 0.5, 0.5], dtype)
    dy = np.array([3, 3, 3, 3, -4, 3, np.nan, -np.inf], dtype)
    expected = np.array([3, 3, 0, 0, -1, np.nan, np.nan, -np.inf], dtype)
    assert np.array_equal(softsign.gradient_from_output(y, dy), expected, equal_nan=True)


@by_any_dtype
def test_nth_derivative_at_special_values(dtype: np.dtype[Any]) -> None:
    n = np.arange(8)
    factorials = np.array([0, 1, 0, 6, 0, 120, 0, 5040], dtype)  # the mean of the one-sided limits
    assert np.array_equal(softsign.nth_derivative(n, np.zeros(8, dtype)), factorials)
    at_infinity = softsign.nth_derivative(n, np.full(8, -np.inf, dtype))
    assert np.array_equal(at_infinity, np.array([-1, 0, 0, 0, 0, 0, 0, 0], dtype))
    assert np.isnan(softsign.nth_derivative(n, np.full(8, np.nan, dtype))).all()


@by_dtype
def test_first_nth_derivatives_are_the_named_functions(dtype: np.dtype[Any]) -> None:
    x = random_values(dtype, 2000)
    x = x[~is_nan(x)]
    with np.errstate(under="ignore"):
        for n, name in enumerate(["softsign", "derivative", "second_derivative"]):
            named, nth = ufunc(name)(x), softsign.nth_derivative(n, x)
            far = ~np.isclose(
                nth.astype(float), named.astype(float), rtol=4 * float(ml_dtypes.finfo(dtype).eps)
            )
            assert not far.any(), (n, x[far][0])


@pytest.mark.parametrize("dtype", ["F", "D"])
def test_complex_softsign(dtype: str) -> None:
    huge = np.finfo(dtype).max
    z = np.array([0, 3 + 4j, 3 - 4j, -1j, complex(np.inf, 0), huge, complex(huge, huge), np.nan], dtype)
    half = np.sqrt(0.5)
    expected = np.array([0, (3 + 4j) / 6, (3 - 4j) / 6, -0.5j, 1, 1, complex(half, half), np.nan], dtype)
    with np.errstate(all="raise"):
        actual = softsign.softsign(z)
    assert actual.dtype == dtype
    np.testing.assert_allclose(actual, expected, rtol=4 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("scale", [0.89, 1e-1, 1e-5, 1e-10])
def test_huge_complex_numbers_lie_on_the_rim(scale: float) -> None:
    largest = np.finfo(float).max * scale
    for z in (complex(largest, largest), complex(-largest, largest), complex(largest, 0), 1j * largest):
        expected = complex(np.sign(z.real), np.sign(z.imag))
        w = softsign.softsign(z)
        assert abs(w - expected / abs(expected)) <= 1e-15, z


@pytest.mark.parametrize("dtype", ["F", "D"])
def test_complex_infinities(dtype: str) -> None:
    """On the rim in their direction; without one, nan."""
    inf, nan = np.inf, np.nan
    half = np.sqrt(0.5).astype(dtype).real
    directed = {
        complex(inf, 5): complex(1, 0),
        complex(-inf, -0.0): complex(-1, -0.0),
        complex(-5, -inf): complex(-0.0, -1),
        complex(inf, -inf): complex(half, -half),
    }
    with np.errstate(all="raise"):
        for z, w in directed.items():
            assert_same_bits(softsign.softsign(np.array([z], dtype)), np.array([w], dtype))
        for z in (complex(inf, nan), complex(nan, -inf), complex(nan, 1), complex(1, nan)):
            w = softsign.softsign(np.array([z], dtype))
            assert np.isnan(w.real), z
            assert np.isnan(w.imag), z


# Floating-point flags


@by_any_dtype
@pytest.mark.parametrize(
    ("y", "flags"),
    [
        (1, {"divide by zero"}),
        (-1, {"divide by zero"}),
        (1.5, {"invalid value"}),
        (-2, {"invalid value"}),
        (np.inf, {"invalid value"}),
        (-np.inf, {"invalid value"}),
        (np.nan, set()),
        (0, set()),
        (-0.0, set()),
    ],
)
def test_flags_of_inverse(y: float, flags: set[str], dtype: np.dtype[Any]) -> None:
    assert raised_flags(softsign.inverse, np.array(y, dtype)) == flags


@by_any_dtype
@pytest.mark.parametrize("name", [name for name in NAMES if name != "inverse" and name not in SCALED])
def test_other_flags_are_those_of_the_exact_result(name: str, dtype: np.dtype[Any]) -> None:
    """Overflow where a finite argument has an infinite result, invalid where 0 meets inf; or underflow."""
    a, b = (side.ravel() for side in np.meshgrid(special_values(dtype), special_values(dtype)))
    inputs = {"nth_derivative": (np.arange(a.size) % len(ORDERS), a)}.get(
        name, (a, b) if name in (*BINARY, *SEGMENTS) else (a,)
    )
    for element in zip(*inputs, strict=True):
        with np.errstate(all="ignore"):
            result = np.longdouble(ufunc(name)(*element))
        arguments_of = np.array([np.longdouble(v) for v in element])
        expected: set[str] = set()
        if np.isinf(result) and np.isfinite(arguments_of).all():
            expected = {"overflow"}
        elif np.isnan(result) and not np.isnan(arguments_of).any():
            expected = {"invalid value"}
            assert name in BINARY
            assert np.isinf(arguments_of).any()
        assert raised_flags(ufunc(name), *element) - {"underflow"} == expected, element


def layouts(size: int, dtype: np.dtype[Any]) -> list[Array]:
    """Arrays of 0.5 with the strides 1, 2, 3 and -1."""
    return [np.full(size * abs(step), 0.5, dtype)[::step] for step in (1, 2, 3, -1)]


@by_dtype
@by_name
def test_what_is_quiet_alone_is_quiet_at_any_position(name: str, dtype: np.dtype[Any]) -> None:
    ones = np.ones(1, dtype)
    values = [
        v
        for v in special_values(dtype)
        if raised_flags(ufunc(name), *arguments(name, v * ones)) <= {"underflow"}
    ]
    with np.errstate(all="raise", under="ignore"):
        for size in range(1, 71):
            for x in layouts(size, dtype):
                for i, value in zip(range(size), values * size, strict=False):
                    x[i] = value
                    ufunc(name)(*arguments(name, x))
                    x[i] = 0.5


@by_dtype
def test_flags_of_inverse_from_every_position(dtype: np.dtype[Any]) -> None:
    for size in range(1, 71):
        for y in layouts(size, dtype):
            for i in range(size):
                y[i] = 1
                assert raised_flags(softsign.inverse, y) == {"divide by zero"}
                y[i] = -2
                assert raised_flags(softsign.inverse, y) == {"invalid value"}
                y[i] = 0.5


# The arithmetic laws, on numbers that Hypothesis chooses


def any_bits(dtype: np.dtype[Any], most: int = 200) -> st.SearchStrategy[Array]:
    """Arrays of any length up to `most` and any contents, signaling nans and subnormals included."""
    width = dtype.itemsize
    return st.binary(max_size=most * width).map(lambda b: np.frombuffer(b[: len(b) // width * width], dtype))


def finite(dtype: np.dtype[Any], most: float = np.inf) -> st.SearchStrategy[Any]:
    """Scalars of any binade, up to `most` in size."""
    pattern = st.integers(0, 2 ** (8 * dtype.itemsize) - 1)
    numbers = pattern.map(lambda i: np.frombuffer(i.to_bytes(dtype.itemsize, "little"), dtype)[0])
    return numbers.filter(lambda x: np.isfinite(float(x)) and abs(x) <= most)


def binades(dtype: np.dtype[Any]) -> st.SearchStrategy[Any]:
    """Scalars from about 2^-30 to 2^30 (2^15 for float16), where the functions bend."""
    exponents = st.integers(-30, 15 if dtype == np.float16 else 30)
    return st.builds(lambda m, e: dtype.type(m * 2.0**e), st.floats(-1, 1), exponents)


def fraction(x: Any) -> Fraction:
    return Fraction(float(x))


@by_dtype
@pytest.mark.parametrize("name", [name for name in NAMES if FUNCTIONS[name].kind == "algebraic"])
@given(data=st.data())
def test_error_bounds(name: str, dtype: np.dtype[Any], data: st.DataObject) -> None:
    taken = FUNCTIONS[name].arguments
    most = 1 if "y" in taken else np.inf
    x = data.draw(finite(dtype, most) | binades(dtype).filter(lambda v: abs(v) <= most))
    assume(name != "inverse" or abs(x) != 1)
    values: dict[str, Any] = {"x": x, "y": x}
    if "n" in taken:
        values["n"] = data.draw(st.sampled_from(ORDERS[:9] if dtype == np.float16 else ORDERS))
    if "c" in taken:
        values["c"] = abs(data.draw(finite(dtype) | binades(dtype)))
    if "dy" in taken:
        values["dy"] = data.draw(finite(dtype))
    inputs = [values[argument] for argument in taken]
    with np.errstate(under="ignore"):
        value = ufunc(name)(*inputs)
    exact_value = getattr(reference, name)(
        *(v if "n" in taken and v is inputs[0] else fraction(v) for v in inputs)
    )
    assert ulps(value, exact_value) <= bound(name, dtype.name)


@by_dtype
@by_name
@given(data=st.data())
def test_symmetry(name: str, dtype: np.dtype[Any], data: st.DataObject) -> None:
    x = data.draw(any_bits(dtype))
    x = x[~is_nan(x)]
    rest = arguments(name, x)
    with np.errstate(all="ignore"):
        if name == "nth_derivative":
            n = rest[0]
            at_x, mirrored = ufunc(name)(n, x), ufunc(name)(n, -x)
            odd = n % 2 == 0
        else:
            others = [-end for end in rest[1:]] if name in SEGMENTS else rest[1:]
            at_x, mirrored = ufunc(name)(*rest), ufunc(name)(-x, *others)
            odd = np.full(x.shape, name in ODD)
    numbers = ~is_nan(at_x)
    assert_same_bits(mirrored[numbers], np.where(odd, -at_x, at_x)[numbers])


@by_dtype
@pytest.mark.parametrize("name", [name for name in UNARY if FUNCTIONS[name].monotone])
@given(data=st.data())
def test_monotone(name: str, dtype: np.dtype[Any], data: st.DataObject) -> None:
    x = data.draw(any_bits(dtype))
    x = np.abs(x[~is_nan(x)])
    start = data.draw(finite(dtype, 0.9).filter(lambda v: v > 0))
    neighbors = start + np.arange(100) * np.spacing(start) if dtype in STANDARD else np.array([start])
    x = np.unique(np.concatenate([x, neighbors.astype(dtype)]))
    x = x[x < 1] if name == "inverse" else x
    with np.errstate(under="ignore", over="ignore"):
        y = ufunc(name)(x).astype(float)
    assert (y[1:] <= y[:-1] if FUNCTIONS[name].monotone == "falling" else y[1:] >= y[:-1]).all()


@by_dtype
@given(data=st.data())
def test_softsign_is_at_most_one(dtype: np.dtype[Any], data: st.DataObject) -> None:
    x = data.draw(any_bits(dtype))
    with np.errstate(invalid="ignore"):
        y = softsign.softsign(x)
    assert np.array_equal(is_nan(x), is_nan(y))
    assert (np.abs(y[~is_nan(y)]) <= 1).all()


@by_dtype
@given(data=st.data())
def test_softsign_undoes_inverse(dtype: np.dtype[Any], data: st.DataObject) -> None:
    # inverse errs by half an ulp, which softsign shrinks by 1 - |y|, then rounds.
    y = data.draw(finite(dtype, 1).filter(lambda v: abs(v) < 1))
    assert ulps(softsign.softsign(softsign.inverse(y)), fraction(y)) <= 1


@by_dtype
@given(data=st.data())
def test_inverse_undoes_softsign(dtype: np.dtype[Any], data: st.DataObject) -> None:
    # A half ulp of y, u y at most, is u (1 + |x|) x in the inverse.
    x = data.draw(binades(dtype))
    unit = Fraction(float(ml_dtypes.finfo(dtype).eps)) / 2
    spread = unit * (1 + abs(fraction(x)))
    assume(spread < Fraction(1, 8))
    error = abs(fraction(softsign.inverse(softsign.softsign(x))) - fraction(x))
    least = Fraction(float(ml_dtypes.finfo(dtype).smallest_subnormal))
    assert error <= abs(fraction(x)) * (spread / (1 - spread) + unit) * (1 + 4 * unit) + 2 * least


@by_dtype
@given(data=st.data())
def test_derivative_is_between_the_slopes_on_either_side(dtype: np.dtype[Any], data: st.DataObject) -> None:
    a, x, b = sorted(abs(data.draw(binades(dtype))) for _ in range(3))
    assume(a < x < b)

    def slope(p: Any, q: Any) -> Fraction:
        rise = exact("softsign", fraction(q)) - exact("softsign", fraction(p))
        return rise / (fraction(q) - fraction(p))

    with np.errstate(under="ignore"):
        value = softsign.derivative(x)
    assert fraction(value) > slope(x, b) or ulps(value, slope(x, b)) <= 1
    assert fraction(value) < slope(a, x) or ulps(value, slope(a, x)) <= 1


@by_dtype
@given(data=st.data())
def test_chain_rule(dtype: np.dtype[Any], data: st.DataObject) -> None:
    x, dy = data.draw(binades(dtype)), data.draw(binades(dtype))
    with np.errstate(under="ignore"):
        value, derivative = softsign.gradient(x, dy), softsign.derivative(x)
    least = fraction(ml_dtypes.finfo(dtype).smallest_subnormal)
    product = fraction(dy) * fraction(derivative)
    unit = fraction(ml_dtypes.finfo(dtype).eps)
    assert abs(fraction(value) - product) <= 2 * unit * abs(product) + least * (1 + abs(fraction(dy)))


@by_dtype
@pytest.mark.parametrize(
    ("name", "slope"), [("antiderivative", "softsign"), ("second_antiderivative", "antiderivative")]
)
@given(data=st.data())
def test_antiderivatives_rise_as_their_derivative_says(
    name: str, slope: str, dtype: np.dtype[Any], data: st.DataObject
) -> None:
    a, b = sorted(abs(data.draw(binades(dtype))) for _ in range(2))
    with np.errstate(under="ignore", over="ignore"):
        low, high, at_a, at_b = (ufunc(f)(v) for f in (slope, name) for v in (a, b))
    assume(np.isfinite(at_b))
    width = fraction(b) - fraction(a)
    room = 6 * max(
        fraction(np.spacing(np.float64(at_b))), fraction(ml_dtypes.finfo(dtype).eps) * fraction(at_b)
    )
    room += 2 * fraction(ml_dtypes.finfo(dtype).smallest_subnormal) * (1 + width)
    rise = fraction(at_b) - fraction(at_a)
    assert fraction(low) * width - room <= rise <= fraction(high) * width + room


# The same bits, however the work is done


@by_dtype
@by_name
def test_all_kernels_give_the_same_bits(name: str, dtype: np.dtype[Any]) -> None:
    inputs = arguments(name, random_values(dtype, 100_003, seed=1))
    best, *others = softsign.cpu_features()["available"]
    with np.errstate(all="ignore"):
        with kernels(best):
            expected = ufunc(name)(*inputs)
        for other in others:
            with kernels(other):
                assert_same_bits(ufunc(name)(*inputs), expected)


@pytest.mark.parametrize("dtype", [np.dtype("e"), BFLOAT16], ids=str)
@by_unary_name
def test_all_kernels_give_the_same_bits_for_every_half(name: str, dtype: np.dtype[Any]) -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    with np.errstate(all="ignore"):
        expected = np.array([ufunc(name)(x) for x in every], dtype)  # one at a time
        for chosen in softsign.cpu_features()["available"]:
            with kernels(chosen):
                assert_same_bits(ufunc(name)(every), expected)


@by_dtype
@by_name
@given(data=st.data())
def test_pieces_give_the_bits_of_the_whole(name: str, dtype: np.dtype[Any], data: st.DataObject) -> None:
    inputs = arguments(name, data.draw(any_bits(dtype)))
    cut = data.draw(st.integers(0, inputs[0].size))
    step = data.draw(st.sampled_from([-3, -2, -1, 1, 2, 3, 7]))
    f = ufunc(name)
    with np.errstate(all="ignore"):
        whole = f(*inputs)
        for chosen in softsign.cpu_features()["available"]:
            with kernels(chosen):
                parts = f(*(a[:cut] for a in inputs)), f(*(a[cut:] for a in inputs))
                assert_same_bits(np.concatenate(parts), whole)
                assert_same_bits(f(*(a[::step] for a in inputs)), whole[::step])


# Inputs whose float32 results are not the correctly rounded ones, but those of a formula, and the results.
FORMULAS = {
    "gradient": (("0x1.1613e2p-24", "-0x1.61832p+104"), "-0x1.61831cp+104"),
    "second_derivative": (("0x1.db50e6p-12",), "-0x1.ff4deap+0"),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("chosen", softsign.cpu_features()["available"])
@given(data=st.data())
def test_no_result_depends_on_its_neighbors(name: str, chosen: str, data: st.DataObject) -> None:
    inputs, expected = FORMULAS[name]
    beside = st.sampled_from([*special_values(np.dtype("f4")), np.float32(1e8), np.float32(1e-30)])
    row = st.lists(beside, min_size=40, max_size=40).map(lambda values: np.array(values, np.float32))
    place = data.draw(st.integers(0, 39))
    arrays = [data.draw(row) for _ in inputs]
    for a, value in zip(arrays, inputs, strict=True):
        a[place] = float.fromhex(value)
    with np.errstate(all="ignore"), kernels(chosen):
        assert float(ufunc(name)(*arrays)[place]) == float.fromhex(expected)


# Numbers, or pairs, that the loops do not take for ordinary: in doubt, too large or too small, or special.
DOUBTFUL = {
    "softsign": ("0x1.cdee1ep-1", "0x1.d46dep-1", "-0x1.d46dep-1", "0x1p-54"),
    "inverse": ("0x1.857244p-1", "0x1.8861c4p-1", "-0x1.8861c4p-1", "0x1p-53", "0x1.08cefp-3"),
}
LARGE = [1e8, -3e10, 2.0**24, 2.0**24 + 2, 2.0**25, 2.0**50, 2.0**99, 3e38, np.inf, np.nan]
AWKWARD = {
    "softsign": [(float.fromhex(x),) for x in DOUBTFUL["softsign"]] + [(x,) for x in LARGE],
    "inverse": [(float.fromhex(x),) for x in DOUBTFUL["inverse"]] + [(1.0,), (-1.0,), (1.5,), (np.nan,)],
    "derivative": [(x,) for x in LARGE],
    "second_derivative": [(x,) for x in LARGE],
    "gradient": [(x, 1.3) for x in LARGE]
    + [(0.3, 1e-20), (1e6, 1e-30), (0.3, 2.58974e-41), (0.3, 0.0), (2.0, np.inf)],
    "gradient_from_output": [(0.3, 1e-20), (-2.5, 1.0), (0.3, 0.0), (1.0, 1.3), (np.nan, 1.0)],
    "scaled": [(x, 1.3) for x in LARGE] + [(0.3, 1e-30), (0.3, 3e38), (1e30, 1e25), (0.3, np.inf)],
    "scaled_gradient": [(x, 1.3, 0.7) for x in LARGE]
    + [(1e25, 1e20, 1.0), (0.3, 0.2, 1e-20), (0.3, 0.2, 0.0), (0.3, 1e-30, 1.0), (2.0, 1.0, np.inf)],
}


@pytest.mark.parametrize("dtype", [np.dtype("f4"), np.dtype("f8")], ids=str)
@pytest.mark.parametrize("chosen", softsign.cpu_features()["available"])
@pytest.mark.parametrize("name", AWKWARD)
def test_runs_of_awkward_values_are_as_if_alone(name: str, chosen: str, dtype: np.dtype[Any]) -> None:
    """Runs of one value, of two and of all, of any length and at any offset, with their flags."""
    f, rng = ufunc(name), np.random.default_rng(0)
    usual = rng.uniform(-0.7, 0.7, (3, 700)).astype(dtype)
    if name in SCALED:
        usual[1] = abs(usual[1])
    awkward = np.array(AWKWARD[name], dtype)
    every = range(len(awkward))
    kinds = (
        [[k] for k in every] + [[k] * 12 + [k - 1] for k in every] + [[k] * 256 + [k - 1] * 7 for k in every]
    )
    with kernels(chosen), np.errstate(all="ignore"):
        ordinary = np.array([f(*row) for row in usual[: f.nin].T])
        alone = np.array([f(*row) for row in awkward])
        flags = [raised_flags(f, *row) for row in awkward]
        for kind in [*kinds, [*every]]:
            for offset, length in [*zip(range(70), rng.integers(1, 70, 70), strict=True), (3, 600), (0, 690)]:
                run = np.resize(kind, length)
                inputs = [a.copy() for a in usual[: f.nin]]
                for a, values in zip(inputs, awkward.T, strict=True):
                    a[offset : offset + length] = values[run]
                expected = ordinary.copy()
                expected[offset : offset + length] = alone[run]
                assert_same_bits(f(*inputs), expected)
            assert raised_flags(f, *inputs) == set().union(*(flags[k] for k in kind))


@by_standard_dtype
@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("dy", [0.0, np.inf])
def test_zero_and_infinite_gradients_keep_their_sign(name: str, dtype: np.dtype[Any], dy: float) -> None:
    x = random_values(dtype, 1000, seed=9)
    x = np.concatenate([x[np.abs(x) < 1e4], np.linspace(-1, 1, 101, dtype=dtype)[1:-1]])
    x = x[np.abs(x) < 1] if name == "gradient_from_output" else x
    for sign in (1, -1):
        assert_same_bits(ufunc(name)(x, dtype.type(sign * dy)), np.full(x.size, sign * dy, dtype))


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("chosen", softsign.cpu_features()["available"])
def test_underflow_of_gradients_is_that_of_the_result(name: str, chosen: str) -> None:
    tiny = np.finfo(np.float32).tiny
    values = [
        np.float32(v) for v in (0, 0.3, 0.9999, *([] if name == "gradient_from_output" else [1e4, 1e8]))
    ]
    with kernels(chosen):
        for x in values:
            for exponent in range(-149, -30):
                dy = np.full(20, 1.3 * 2.0**exponent, np.float32)
                flags = raised_flags(ufunc(name), np.full_like(dy, x), dy)
                exact_value = abs(exact(name, fraction(x), fraction(dy[0])))
                inexact = fraction(np.float32(float(exact_value))) != exact_value
                assert flags == ({"underflow"} if exact_value < fraction(tiny) and inexact else set()), (
                    x,
                    exponent,
                )


@by_any_dtype
@by_name
def test_every_length_and_alignment(name: str, dtype: np.dtype[Any]) -> None:
    inputs = arguments(name, random_values(dtype, 200, seed=2))
    f = ufunc(name)
    with np.errstate(all="ignore"):
        expected = np.array([f(*element) for element in zip(*inputs, strict=True)], dtype)
        for size in range(131):
            for start in (0, 1, 3, 7, 15, 63):
                part = slice(start, start + size)
                out = np.full(200, 7, dtype)
                f(*(a[part] for a in inputs), out=out[part])
                assert_same_bits(out[part], expected[part])
                assert (out[:start] == 7).all()
                assert (out[start + size :] == 7).all()


@by_dtype
@pytest.mark.parametrize("name", ["softsign", "gradient"])
@pytest.mark.parametrize("nbytes", [(1 << 15) - 16, (1 << 15) + 48])
def test_every_alignment_of_long_arrays(name: str, dtype: np.dtype[Any], nbytes: int) -> None:
    """Where an output is aligned before the rest is computed, and just below; apart, in place and behind."""
    f, size, first = ufunc(name), nbytes // dtype.itemsize, 64 // dtype.itemsize
    others = arguments(name, random_values(dtype, size, seed=14))[1:]
    values = random_values(dtype, size + 3 * first, seed=15)
    origin = -values.ctypes.data % 64 // dtype.itemsize
    with np.errstate(all="ignore"):
        for start in range(origin, origin + first):
            x = values[start : start + size]
            expected = f(x, *others)
            out = np.zeros_like(values)
            f(x, *others, out=out[start + 1 : start + 1 + size])
            assert_same_bits(out[start + 1 : start + 1 + size], expected)
            assert not out[: start + 1].any()
            assert not out[start + 1 + size :].any()
            for behind in {0, min(start, 3)}:
                memory = values.copy()
                f(memory[start : start + size], *others, out=memory[start - behind : start - behind + size])
                assert_same_bits(memory[start - behind : start - behind + size], expected)


@by_any_dtype
@by_name
def test_strides_of_every_operand(name: str, dtype: np.dtype[Any]) -> None:
    inputs = arguments(name, random_values(dtype, 100, seed=3))
    f = ufunc(name)
    with np.errstate(all="ignore"):
        expected = f(*inputs)
        for steps in np.ndindex(*(4,) * (f.nin + 1)):
            *given_as, out = (
                np.zeros(a.size * (s + 1), a.dtype) for a, s in zip((*inputs, expected), steps, strict=True)
            )
            views = [
                a[:: s + 1][:: -1 if s == 2 else 1] for a, s in zip((*given_as, out), steps, strict=True)
            ]
            for view, a in zip(views[:-1], inputs, strict=True):
                view[...] = a
            f(*views[:-1], out=views[-1])
            assert_same_bits(views[-1], expected)


@by_any_dtype
@by_name
def test_in_place(name: str, dtype: np.dtype[Any]) -> None:
    f = ufunc(name)
    for size in (1, 7, 64, 1001):
        inputs = arguments(name, random_values(dtype, size, seed=4))
        with np.errstate(all="ignore"):
            expected = f(*inputs)
            for i, a in enumerate(inputs):
                if a.dtype == dtype:
                    given_as = [b.copy() for b in inputs]
                    assert f(*given_as, out=given_as[i]) is given_as[i]
                    assert_same_bits(given_as[i], expected)


@by_dtype
@by_name
@pytest.mark.parametrize(("read", "write"), [(1, 1), (1, -1), (-1, 1), (1, 2), (2, 1), (1, -2), (3, 2)])
def test_overlap(name: str, dtype: np.dtype[Any], read: int, write: int) -> None:
    f, size = ufunc(name), 150
    values = random_values(dtype, 1500, seed=5)
    for shift in (-150, -65, -64, -33, -16, -5, -2, -1, 0, 1, 2, 3, 8, 17, 64, 149):
        memory = values.copy()
        x = memory[400 : 400 + size * abs(read)][::read]
        out = memory[400 + shift : 400 + shift + size * abs(write)][::write]
        inputs = arguments(name, x)
        with np.errstate(all="ignore"):
            expected = f(*(a.copy() for a in inputs))
            f(*inputs, out=out)
        assert_same_bits(out, expected)


def test_overlap_of_the_second_input() -> None:
    memory = random_values(np.dtype(float), 400, seed=6)
    for shift in (-9, -1, 0, 1, 9):
        again = memory.copy()
        x, dy, out = memory[:100].copy(), again[200:300], again[200 + shift : 300 + shift]
        with np.errstate(all="ignore"):
            expected = softsign.gradient(x, dy.copy())
            softsign.gradient(x, dy, out=out)
        assert_same_bits(out, expected)


@by_name
@pytest.mark.parametrize("dtype", ALL_FLOATS, ids=str)
def test_misaligned_memory(name: str, dtype: np.dtype[Any]) -> None:
    inputs = arguments(name, random_values(dtype, 77, seed=7))

    def misaligned(a: Array) -> Array:
        copy = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype)
        copy[:] = a
        assert not copy.flags.aligned
        return copy

    out = misaligned(np.zeros(77, dtype))
    with np.errstate(all="ignore"):
        ufunc(name)(*map(misaligned, inputs), out=out)
        assert_same_bits(out, ufunc(name)(*inputs))


@by_name
@by_standard_dtype
def test_byte_swapped_arrays(name: str, dtype: np.dtype[Any]) -> None:
    inputs = arguments(name, random_values(dtype, 77, seed=8))
    swapped = [a.astype(a.dtype.newbyteorder("S")) for a in inputs]
    out = np.zeros(77, dtype.newbyteorder("S"))
    with np.errstate(all="ignore"):
        expected = ufunc(name)(*inputs)
        assert_same_bits(ufunc(name)(*swapped), expected)
        ufunc(name)(*swapped, out=out)
    assert_same_bits(out, expected)


@by_name
@by_dtype
def test_shapes(name: str, dtype: np.dtype[Any]) -> None:
    f = ufunc(name)
    flat = arguments(name, np.linspace(-0.9, 0.9, 60).astype(dtype))
    expected = f(*flat)
    cube = [a.reshape(3, 4, 5) for a in flat]
    assert_same_bits(f(*cube), expected.reshape(3, 4, 5))
    fortran = f(*map(np.asfortranarray, cube))
    assert fortran.flags.f_contiguous
    assert_same_bits(fortran, expected.reshape(3, 4, 5))
    assert_same_bits(f(*(a.T for a in cube)), expected.reshape(3, 4, 5).T)
    assert f(*(a[:0] for a in flat)).shape == (0,)
    assert f(*(a.reshape(3, 4, 5)[:, :0] for a in flat)).shape == (3, 0, 5)
    zero_d = f(*(a[17].reshape(()) for a in flat))
    assert isinstance(zero_d, dtype.type)
    assert zero_d == expected[17]
    out = np.zeros((), dtype)
    assert f(*(a[17] for a in flat), out=out) is out
    assert out == expected[17]


@by_name
def test_field_of_a_structured_array(name: str) -> None:
    records = np.zeros(50, [("flag", "i1"), ("x", "f4"), ("y", "f8")])
    records["x"] = np.linspace(-0.9, 0.9, 50)
    inputs = arguments(name, records["x"].copy())
    views = [*inputs[:-1], records["x"] if name in (*UNARY, "nth_derivative") else inputs[-1]]
    assert_same_bits(ufunc(name)(*views), ufunc(name)(*inputs))
    ufunc(name)(*inputs, out=records["y"])
    assert_same_bits(records["y"], ufunc(name)(*inputs).astype(float))


@by_name
@by_dtype
def test_huge_and_zero_strides(name: str, dtype: np.dtype[Any]) -> None:
    wide = np.lib.stride_tricks.as_strided
    x = np.zeros(9 << 20, np.uint8).view(dtype)[:: (1 << 20) // dtype.itemsize]
    x[:] = np.linspace(-0.9, 0.9, x.size)
    inputs = arguments(name, x)
    assert_same_bits(ufunc(name)(*inputs), ufunc(name)(*(a.copy() for a in inputs)))
    constant = [wide(a, (100,), (0,)) for a in inputs]
    result = ufunc(name)(*constant)
    assert_same_bits(result, np.full(100, result[0]))


@pytest.mark.parametrize("name", [*BINARY, "nth_derivative"])
def test_broadcasting(name: str) -> None:
    first = np.arange(3) if name == "nth_derivative" else np.linspace(-0.5, 0.5, 3)
    second = np.linspace(-1, 1, 4)
    grid = ufunc(name)(first[:, None], second)
    pairs = [ufunc(name)(a, b) for a in first for b in second]
    assert_same_bits(grid, np.array(pairs).reshape(3, 4))
    assert_same_bits(ufunc(name).outer(first, second), grid)
    with pytest.raises(ValueError, match="broadcast"):
        ufunc(name)(first, second)


@by_name
@by_dtype
def test_where(name: str, dtype: np.dtype[Any]) -> None:
    inputs = arguments(name, np.linspace(-0.9, 0.9, 101).astype(dtype))
    mask = np.arange(101) % 3 == 0
    out = np.full(101, 7, dtype)
    ufunc(name)(*inputs, out=out, where=mask)
    assert_same_bits(out, np.where(mask, ufunc(name)(*inputs), dtype.type(7)))


def test_where_keeps_flags_of_the_rest_away() -> None:
    y = np.array([0.5, 1, 2])
    with np.errstate(all="raise"):
        softsign.inverse(y, out=np.zeros(3), where=np.abs(y) < 1)


# As NumPy's own functions


def outcome(call: Callable[[], Any]) -> object:
    """What came of a call: dtype, shape and kind, or the kind of error."""
    try:
        with np.errstate(all="ignore"):
            result = call()
    except (TypeError, ValueError) as error:
        return type(error)
    return result.dtype, result.shape, type(result), result.flags.f_contiguous


X32, X64 = np.linspace(-0.5, 0.5, 6, dtype="f4").reshape(2, 3), np.linspace(-0.5, 0.5, 6).reshape(2, 3)


@by_unary_name
@pytest.mark.parametrize(
    ("x", "arguments"),
    [
        (X32, {"dtype": "f8"}),
        (X64, {"dtype": "f4"}),
        (X64, {"dtype": "f4", "casting": "safe"}),
        (X64, {"dtype": "f2", "casting": "unsafe"}),
        (X64, {"dtype": "i4"}),
        (X64, {"dtype": "i4", "casting": "unsafe"}),
        (X64, {"signature": "f->f"}),
        (X64, {"signature": "i->i"}),
        (X64, {"signature": "dd->d"}),
        (X64, {"casting": "sideways"}),
        (X64, {"order": "F"}),
        (np.asfortranarray(X64), {"order": "C"}),
        (X64, {"out": np.zeros((2, 3), "f4")}),
        (X64, {"out": np.zeros((2, 3), "i4")}),
        (X64, {"out": np.zeros((2, 3), "f4"), "casting": "safe"}),
        (X64, {"out": np.zeros((4, 2, 3))}),
        (X64, {"out": np.zeros(3)}),
        (X64, {"out": [0.0]}),
        (X64, {"out": (np.zeros((2, 3)), np.zeros((2, 3)))}),
        (X64, {"where": [True, False, True], "out": np.zeros((2, 3))}),
        (X64, {"where": [1.5], "out": np.zeros((2, 3))}),
        (X64, {"axis": 0}),
        (X64, {"subok": False}),
        (np.ma.array(X64), {"subok": False}),
        ([1, 2.0], {}),
        ((), {}),
        (None, {}),
        ({}, {}),
        ([[1, 2], [3]], {}),
    ],
    ids=str,
)
def test_unary_calls_behave_as_exp(name: str, x: Any, arguments: dict[str, Any]) -> None:
    assert outcome(lambda: ufunc(name)(x, **arguments)) == outcome(lambda: np.exp(x, **arguments))


@by_unary_name
@pytest.mark.parametrize("method", ["reduce", "accumulate", "outer", "reduceat"])
def test_misused_methods_fail_as_those_of_exp(name: str, method: str) -> None:
    more = [[0]] if method == "reduceat" else []
    with pytest.raises(Exception, match=r".") as expected:
        getattr(np.exp, method)(X64, *more)
    with pytest.raises(type(expected.value)) as actual:
        getattr(ufunc(name), method)(X64, *more)
    assert str(actual.value) == str(expected.value)


@by_unary_name
def test_at(name: str) -> None:
    x = np.linspace(-0.5, 0.5, 5)
    expected = x.copy()
    expected[[1, 3]] = ufunc(name)(x[[1, 3]])
    ufunc(name).at(x, [1, 3])
    assert_same_bits(x, expected)


@by_name
def test_wrong_number_of_arguments(name: str) -> None:
    for inputs in ((), (1,) * 5):
        with pytest.raises(TypeError, match=name):
            ufunc(name)(*inputs)


@by_name
def test_names_and_counts(name: str) -> None:
    f = ufunc(name)
    assert isinstance(f, np.ufunc)
    assert f.__name__ == name
    assert (f.nin, f.nout) == (len(FUNCTIONS[name].arguments), 1)
    assert f.identity is None


@by_name
def test_read_only_output(name: str) -> None:
    inputs = arguments(name, np.linspace(-0.5, 0.5, 5))
    out = np.zeros(5)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        ufunc(name)(*inputs, out=out)


INTEGERS = "?bBhHiIlLqQ"


@by_unary_name
@pytest.mark.parametrize("code", INTEGERS)
def test_integers_promote_as_in_exp(name: str, code: str) -> None:
    x = np.zeros(3, code)
    assert ufunc(name)(x).dtype == np.exp(x).dtype
    assert ufunc(name)(x[0]).dtype == np.exp(x[0]).dtype


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("first", INTEGERS + "efdg")
@pytest.mark.parametrize("second", INTEGERS + "efdg")
def test_pairs_promote_as_in_hypot(name: str, first: str, second: str) -> None:
    x, dy = np.zeros(3, first), np.zeros(3, second)
    assert ufunc(name)(x, dy).dtype == np.hypot(x, dy).dtype


@pytest.mark.parametrize("x", [True, 3, 3.0, np.float16(3), np.float32(3)], ids=repr)
@by_unary_name
def test_scalars_promote_as_in_exp(name: str, x: Any) -> None:
    with np.errstate(all="ignore"):
        assert type(ufunc(name)(x)) is type(np.exp(x))


def test_python_numbers_do_not_widen_arrays() -> None:
    x = np.ones(3, np.float32)
    assert softsign.gradient(x, 1).dtype == np.float32
    assert softsign.gradient(1.0, x).dtype == np.float32
    assert softsign.nth_derivative(3, x).dtype == np.float32


@pytest.mark.parametrize("code", INTEGERS[1:])
def test_integer_extremes(code: str) -> None:
    info = np.iinfo(code)
    x = np.array([info.min, info.max], code)
    promoted = np.exp(np.zeros(1, code)).dtype
    assert_same_bits(softsign.softsign(x), softsign.softsign(x.astype(promoted)))
    for value, y in zip(x.tolist(), softsign.softsign(x), strict=True):
        assert ulps(y, exact("softsign", Fraction(value))) <= 1  # 2^63 - 1 is rounded before it enters


@pytest.mark.parametrize("code", "bBhHiIlq")
def test_order_of_any_integer_type(code: str) -> None:
    assert_same_bits(
        softsign.nth_derivative(np.array([3], code), 0.5), softsign.nth_derivative(np.array([3]), 0.5)
    )


# Bad input

FOREIGN = [
    (np.array([object()]), "object"),
    (np.array([1.5, None]), "object"),
    (np.array(["a"]), "str"),
    (np.array([b"a"]), "bytes"),
    (np.array(["2020-01-01"], "datetime64[D]"), "datetime64"),
    (np.array([1], "timedelta64[s]"), "timedelta64"),
    (np.zeros(1, [("a", "f4")]), "void"),
    (np.zeros(1, "G"), "clongdouble"),
    ("text", "str"),
    (None, "object"),
]


@by_name
@pytest.mark.parametrize(("x", "kind"), FOREIGN, ids=lambda p: p if isinstance(p, str) else "")
def test_foreign_types_raise_type_error(name: str, x: Any, kind: str) -> None:
    dtype = np.asarray(x).dtype
    count = ufunc(name).nin
    positions = [(1.0,) * i + (x,) + (1.0,) * (count - 1 - i) for i in range(count)]
    if name == "nth_derivative":
        positions = [(1, x)]
    for inputs in positions:
        with pytest.raises(TypeError) as raised:
            ufunc(name)(*inputs)
        message = str(raised.value)
        assert name in message
        assert any(text in message for text in (kind, str(dtype), repr(dtype)))


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize("code", "FD")
def test_complex_is_for_softsign_alone(name: str, code: str) -> None:
    inputs = (2, np.zeros(3, code)) if name == "nth_derivative" else (np.zeros(3, code),) * ufunc(name).nin
    with pytest.raises(TypeError, match=f"{name}.*{np.dtype(code).name}"):
        ufunc(name)(*inputs)


@pytest.mark.parametrize("n", [-1, -(2**62), np.array([0, 3, -2]), np.int8(-7)], ids=repr)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_negative_order(n: Any, dtype: np.dtype[Any]) -> None:
    with pytest.raises(ValueError, match=r"\bn\b.*(-1|-2|-7|-4611686018427387904)\b"):
        softsign.nth_derivative(n, np.ones(3, dtype))


@by_dtype
def test_greatest_order(dtype: np.dtype[Any]) -> None:
    x = np.ones(3, dtype)
    with np.errstate(over="ignore"):
        assert (softsign.nth_derivative(MAX_ORDER, -x) > 0).all()
    with pytest.raises(ValueError, match=f"n must be an integer from 0 to {MAX_ORDER}, got {MAX_ORDER + 1}$"):
        softsign.nth_derivative(MAX_ORDER + 1, x)


@by_dtype
def test_dtype_is_that_of_argument_and_result(dtype: np.dtype[Any]) -> None:
    """The order stays an integer, and bfloat16 need not be the type of an operand."""
    x = np.array([0.5, 1.0, 3.0])
    expected = softsign.nth_derivative(2, x.astype(dtype))
    for signature in ((None, None, dtype), (None, dtype, None), (np.int64, dtype, None)):
        assert_same_bits(softsign.nth_derivative(2, x, signature=signature), expected)
    assert_same_bits(softsign.nth_derivative(2, x, dtype=dtype), expected)
    assert_same_bits(softsign.nth_derivative(np.array([2]), x, dtype=dtype), expected)
    assert_same_bits(softsign.softsign(x, dtype=dtype), softsign.softsign(x.astype(dtype)))
    assert softsign.gradient.reduce(x, dtype=dtype).dtype == dtype


def test_dtype_of_bfloat16_in_the_first_call() -> None:
    done = run_python(
        "import numpy as np, ml_dtypes, softsign\n"
        "y = softsign.softsign(np.float32([1, 3]), dtype=ml_dtypes.bfloat16)\n"
        "print(y, y.dtype, softsign.nth_derivative(np.uint64(1), 1, dtype=ml_dtypes.bfloat16))"
    )
    assert done.stdout == "[0.5 0.75] bfloat16 0.25\n", done.stderr


@pytest.mark.parametrize("code", "QL")
def test_unsigned_orders_count_as_far_as_they_fit(code: str) -> None:
    x = np.array([0.5, 1.0])
    for dtype in (None, np.float32):
        given_as = np.array([2, 3], code)
        expected = softsign.nth_derivative([2, 3], x, dtype=dtype)
        assert_same_bits(softsign.nth_derivative(given_as, x, dtype=dtype), expected)
    for order in (2**64 - 1, 2**63, 2**63 - 1, 171):
        with pytest.raises(ValueError, match=r"^nth_derivative: n must be an integer from 0 to 170, got "):
            softsign.nth_derivative(np.array([order], "Q"), x)
    with pytest.raises(TypeError, match="uint64"):
        softsign.nth_derivative(np.array([2], code), x, casting="safe")


@pytest.mark.parametrize("keyword", ["dtype", "signature"])
@by_name
def test_types_that_are_asked_for_in_vain_are_named(name: str, keyword: str) -> None:
    inputs = arguments(name, np.ones(2))
    foreign = np.dtype(np.int16)
    asked = foreign if keyword == "dtype" else (None,) * len(inputs) + (foreign,)
    with pytest.raises(
        TypeError, match=rf"^{name}: dtype= or signature= ask for \(.*int16.*\); it computes in "
    ):
        ufunc(name)(*inputs, **{keyword: asked})


@pytest.mark.parametrize("n", [1.0, 1.5, np.float32(2), np.ones(3), np.nan, 1j, "1", None], ids=repr)
def test_order_that_is_no_integer(n: Any) -> None:
    with pytest.raises(TypeError, match="nth_derivative"):
        softsign.nth_derivative(n, 0.5)


# bfloat16


BFLOAT16_USE = """
x = np.array([-3, -1, -0.0, 0.5, 1, np.inf], ml_dtypes.bfloat16)
y = softsign.softsign(x)
assert y.dtype == ml_dtypes.bfloat16, y.dtype
assert y.astype(float).tolist() == [-0.75, -0.5, -0.0, 0.333984375, 0.5, 1], y
out = np.zeros_like(x)
assert softsign.softsign(x, out=out) is out
assert out.tobytes() == y.tobytes()
assert softsign.softsign(x, dtype=ml_dtypes.bfloat16).tobytes() == y.tobytes()
signature = (np.dtype(ml_dtypes.bfloat16),) * 2
wide = x.astype(np.float32)
assert softsign.softsign(wide, signature=signature, casting="same_kind").tobytes() == y.tobytes()
assert softsign.softsign(x, dtype=np.float32).dtype == np.float32
assert softsign.softsign(np.float32(1)).dtype == np.float32
for name in softsign.__all__:
    f = getattr(softsign, name)
    if isinstance(f, np.ufunc):
        order = (1,) if name == "nth_derivative" else ()
        with np.errstate(all="ignore"):
            results = f(*order, *(x,) * (f.nin - len(order)))
            assert np.asarray(results).dtype == ml_dtypes.bfloat16, name
"""


@pytest.mark.parametrize("first", ["softsign, ml_dtypes", "ml_dtypes, softsign"])
def test_bfloat16_in_either_order_of_import(first: str) -> None:
    done = run_python(f"import numpy as np, {first}\n{BFLOAT16_USE}")
    assert done.returncode == 0, done.stderr


def test_bfloat16_after_the_first_call() -> None:
    code = f"import numpy as np, softsign\nsoftsign.softsign(1.0)\nimport ml_dtypes\n{BFLOAT16_USE}"
    done = run_python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", BINARY)
def test_bfloat16_mixes_as_in_hypot(name: str) -> None:
    x = np.ones(3, BFLOAT16)
    for other in (x, x.astype("f4"), x.astype("f8"), 1.0, 1):
        assert ufunc(name)(x, other).dtype == np.hypot(x, other).dtype


# NumPy's own checks for spurious floating-point exceptions


def spurious_exception_cases() -> tuple[Any, list[list[float]]]:
    """NumPy's test and the data that its parametrize mark gives it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # the module makes a matrix
        from numpy._core.tests.test_umath import TestSpecialFloats
    test = TestSpecialFloats.test_unary_spurious_fpexception
    (cases,) = (mark.args[1] for mark in test.pytestmark if mark.args[0] == "data, escape")
    return TestSpecialFloats(), [data for data, _ in cases]


SPECIAL_FLOATS, CASES = spurious_exception_cases()


@by_name
@by_standard_dtype
def test_numpy_finds_no_spurious_exception(name: str, dtype: np.dtype[Any]) -> None:
    def function(x: Array) -> Array:
        inputs = {"nth_derivative": (3, x)}.get(name, (x, *(np.ones_like(x),) * (ufunc(name).nin - 1)))
        result: Array = ufunc(name)(*inputs)
        return result

    cases = [data for data in CASES if name != "inverse" or not (np.abs(data) >= 1).any()]
    assert len(cases) >= 10
    for data in cases:
        SPECIAL_FLOATS.test_unary_spurious_fpexception(function, dtype.char, data, [])


def test_numpy_finds_the_exceptions_of_inverse() -> None:
    for data in CASES:
        if (np.abs(data) >= 1).any():
            with pytest.raises((AssertionError, RuntimeWarning)):
                SPECIAL_FLOATS.test_unary_spurious_fpexception(softsign.inverse, "f", data, [])
