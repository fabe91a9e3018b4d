"""Exact values against closed forms found another way, and their rounding against C's."""

import math
import struct
from fractions import Fraction
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softsign import reference
from softsign.functions import DTYPES
from softsign.reference import LOGARITHMIC
from tests.helpers import UNARY

finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("softsign", (0.5,), Fraction(1, 3)),
        ("softsign", (-3,), Fraction(-3, 4)),
        ("derivative", (-3,), Fraction(1, 16)),
        ("inverse", (Fraction(-1, 3),), Fraction(-1, 2)),
        ("gradient", (1, 8.0), 2),
        ("gradient_from_output", (0.5, -8), -2),
        ("second_derivative", (0,), 0),
        ("second_derivative", (-1,), Fraction(1, 4)),
        ("nth_derivative", (0, -3), Fraction(-3, 4)),
        ("nth_derivative", (3, 0), 6),
        ("nth_derivative", (4, 0), 0),
        ("nth_derivative", (4, -1), Fraction(24, 32)),
    ],
)
def test_known_values(name: str, arguments: tuple[Any, ...], value: Fraction) -> None:
    result = getattr(reference, name)(*arguments)
    assert isinstance(result, Fraction)
    assert result == value


@given(finite)
def test_the_inverse_of_softsign_is_the_inverse(x: float) -> None:
    y = reference.softsign(x)
    assert abs(y) < 1
    assert reference.inverse(y) == Fraction(x)
    assert reference.gradient_from_output(y, 3) == reference.gradient(x, 3)


@given(st.floats(2.0**-60, 2.0**60), st.sampled_from((-1, 1)))
def test_the_derivatives_are_the_taylor_coefficients(magnitude: float, sign: int) -> None:
    x = sign * Fraction(magnitude)
    h = x / 8  # to the same side of zero, where the series converges like 8**-n
    series = sum(reference.nth_derivative(n, x) * h**n / math.factorial(n) for n in range(40))
    assert abs(series - reference.softsign(x + h)) < Fraction(1, 8**39)
    assert reference.nth_derivative(1, x) == reference.derivative(x)
    assert reference.nth_derivative(2, x) == reference.second_derivative(x)


def artanh_series(r: Fraction) -> tuple[Fraction, Fraction]:
    """Two positive series in r = a / (2 + a) that sum to log1p(a) and to second_antiderivative(a)."""
    terms = range(200)
    log = 2 * sum((r ** (2 * k + 1) / (2 * k + 1) for k in terms), Fraction(0))
    second = 4 * r**3 / (1 - r) ** 2 * sum(r ** (2 * k) / ((2 * k + 1) * (2 * k + 3)) for k in terms)
    return log, second


@pytest.mark.parametrize("x", [1e-300, -(2.0**-70), 1e-9, -0.001, 0.5, -2, Fraction(5, 3)])
def test_logarithmic_functions_have_the_bits_asked_for(x: Any) -> None:
    a = abs(Fraction(x))
    r = a / (2 + a)
    log, second = artanh_series(r) if a > 1e-20 else (a, a**3 / 6)
    first = a - log if a > 1e-20 else a**2 / 2
    sign = 1 if x > 0 else -1
    expected = {"log_jacobian": -2 * log, "antiderivative": first, "second_antiderivative": sign * second}
    assert set(expected) == set(LOGARITHMIC)
    for name, exact in expected.items():
        value = getattr(reference, name)(x, precision=200)
        with mpmath.workprec(300):
            error = abs(value / (mpmath.mpf(exact.numerator) / exact.denominator) - 1)
        assert error < (mpmath.mpf(float(a)) if a < 1e-20 else mpmath.ldexp(1, -199)), name


def test_logarithmic_functions_at_zero_and_far_out() -> None:
    for name in LOGARITHMIC:
        assert getattr(reference, name)(0) == 0
    assert float(reference.second_antiderivative(-1e100) / mpmath.mpf(-5e199)) == pytest.approx(1, rel=1e-14)
    assert float(reference.antiderivative(2.0**1000)) == 2.0**1000


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32(np.nan)])
def test_values_that_are_no_rational_numbers_are_named(value: float) -> None:
    for name in UNARY:
        with pytest.raises(ValueError, match=rf"^[xy] is {value}, "):
            getattr(reference, name)(value)
    with pytest.raises(ValueError, match=f"^dy is {value}, "):
        reference.gradient(1, value)
    with pytest.raises(ValueError, match=f"^value is {value}, "):
        reference.round_to(value, "float32")


def test_arguments_outside_the_domain_are_named() -> None:
    for y in (1, -1.5):
        with pytest.raises(ValueError, match=f"^y is {y}, but .* between -1 and 1$"):
            reference.inverse(y)
    with pytest.raises(ValueError, match=r"^n is -1, but .* not be negative$"):
        reference.nth_derivative(-1, 1.0)
    with pytest.raises(TypeError, match=r"^dtype is int8, but must be one of float16, "):
        reference.round_to(1, "int8")


@given(st.fractions() | st.builds(lambda n, e: n * Fraction(2) ** e, st.integers(), st.integers(-1200, 1000)))
def test_rounding_to_float64_is_pythons(value: Fraction) -> None:
    try:
        expected = float(value)  # correctly rounded by the language, but an error instead of an infinity
    except OverflowError:
        expected = math.inf if value > 0 else -math.inf
    expected = math.copysign(expected, -1 if value < 0 else 1)
    assert struct.pack("d", reference.round_to(value, "float64")) == struct.pack("d", expected)


@given(finite)
def test_rounding_to_shorter_formats_is_numpys(value: float) -> None:
    with np.errstate(over="ignore", under="ignore"):
        for dtype in (np.float16, np.float32):
            assert reference.round_to(value, dtype) == dtype(value)


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16])
def test_rounding_keeps_numbers_and_sends_midpoints_to_the_even_one(dtype: Any) -> None:
    infinity = int(np.array(math.inf, dtype).view(np.uint16))
    for pattern in range(1, infinity - 1, 7):
        value, after = (Fraction(float(v)) for v in np.array([pattern, pattern + 1], np.uint16).view(dtype))
        assert reference.round_to(value, dtype).view(np.uint16) == pattern
        assert reference.round_to(-value, dtype).view(np.uint16) == pattern | 0x8000
        assert reference.round_to((value + after) / 2, dtype).view(np.uint16) == pattern + pattern % 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding_at_the_ends_of_the_range(dtype: Any) -> None:
    info = ml_dtypes.finfo(dtype)
    largest, tiny = Fraction(float(info.max)), Fraction(float(info.smallest_subnormal))
    half_step = largest / (2 ** (info.nmant + 2) - 2)
    assert reference.round_to(largest + half_step * Fraction(999, 1000), dtype) == info.max
    assert reference.round_to(-largest - half_step, dtype) == -math.inf
    assert reference.round_to(tiny * Fraction(501, 1000), dtype) == info.smallest_subnormal
    assert reference.round_to(tiny * Fraction(3, 2), dtype) == 2 * tiny
    below = reference.round_to(-tiny / 2, dtype)
    assert below == 0
    assert np.signbit(below)
    assert below.dtype == np.dtype(dtype)
