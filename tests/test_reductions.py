"""reduce, accumulate, reduceat, at, and steps from one item to the next in place, beside loops in Python."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

import softsign
from tests.helpers import ALL_FLOATS, BINARY, UNARY, Array, assert_same_bits, bits, threads, ufunc

by_binary_name = pytest.mark.parametrize("name", BINARY)
by_any_dtype = pytest.mark.parametrize("dtype", ALL_FLOATS, ids=str)


def numbers(dtype: np.dtype[Any], *shape: int) -> Array:
    """Of which chains neither vanish nor overflow."""
    return np.random.default_rng(20).uniform(-2, 2, shape).astype(dtype)


def chain(f: np.ufunc, values: Iterable[Any]) -> list[Any]:
    """Each result with the next value, one call after the other."""
    done: list[Any] = []
    for value in values:
        done.append(f(done[-1], value) if done else value)
    return done


def columns(f: np.ufunc, m: Array) -> Array:
    """The chain down each column."""
    return np.array([chain(f, column) for column in m.T], m.dtype).T


@by_any_dtype
@by_binary_name
def test_one_dimension(name: str, dtype: np.dtype[Any]) -> None:
    f = ufunc(name)
    for size in (1, 2, 3, 5, 16, 64, 511, 513, 1500):
        for step in (1, 2, -1):
            x = numbers(dtype, size * abs(step))[::step]
            with np.errstate(all="ignore"):
                expected = np.array(chain(f, x), dtype)
                assert_same_bits(f.accumulate(x), expected)
                assert_same_bits(np.array(f.reduce(x)), expected[-1:].reshape(()))
                assert_same_bits(np.array(f.reduce(x[1:], initial=x[0])), expected[-1:].reshape(()))
                again = x.copy()
                assert f.accumulate(again, out=again) is again
                assert_same_bits(again, expected)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@by_binary_name
def test_more_than_a_thread_takes_at_once(name: str, dtype: str) -> None:
    f, x = ufunc(name), numbers(np.dtype(dtype), 140_000)
    with np.errstate(all="ignore"), threads(3):
        expected = np.array(chain(f, x), dtype)
        assert_same_bits(f.accumulate(x), expected)
        assert f.reduce(x) == expected[-1]


@by_any_dtype
@by_binary_name
@pytest.mark.parametrize("order", ["C", "F"])
def test_two_dimensions_in_either_order(name: str, dtype: np.dtype[Any], order: Any) -> None:
    f = ufunc(name)
    for shape in ((1, 4), (4, 1), (3, 7), (600, 5), (5, 600)):
        m = numbers(dtype, *shape)
        given = np.array(m, order=order)
        with np.errstate(all="ignore"):
            down, along = columns(f, m), columns(f, m.T).T
            assert_same_bits(f.accumulate(given), down)
            assert_same_bits(f.accumulate(given, axis=1), along)
            assert_same_bits(f.reduce(given), down[-1])
            assert_same_bits(f.reduce(given, axis=1), along[:, -1])
            assert_same_bits(f.reduce(given, axis=1, keepdims=True), along[:, -1:])
            assert_same_bits(f.reduce(given[::-1], axis=0), columns(f, m[::-1])[-1])
            out = given.copy(order="K")
            f.reduce(out, axis=0, out=out[0])
            assert_same_bits(out[0], down[-1])


@by_any_dtype
@by_binary_name
def test_reduceat_and_at(name: str, dtype: np.dtype[Any]) -> None:
    f, x = ufunc(name), numbers(dtype, 40)
    starts = [0, 7, 7, 39, 3, 20]
    with np.errstate(all="ignore"):
        ends = [b if b > a else a + 1 for a, b in zip(starts, [*starts[1:], 40], strict=True)]
        expected = [chain(f, x[a:b])[-1] for a, b in zip(starts, ends, strict=True)]
        assert_same_bits(f.reduceat(x, starts), np.array(expected, dtype))
        places = [3, 3, 0, 3, 39, 0]
        stepped = x.copy()
        for i, dy in zip(places, x[:6], strict=True):
            stepped[i] = f(stepped[i], dy)
        f.at(actual := x.copy(), places, x[:6])
        assert_same_bits(actual, stepped)


@by_binary_name
def test_masked_arrays_and_casts(name: str) -> None:
    """A ufunc that np.ma does not know works on the data, as hypot's own methods do."""
    f, m = ufunc(name), numbers(np.dtype(float), 5, 7)
    masked = np.ma.array(m, mask=m > 1)
    with np.errstate(all="ignore"):
        for axis, expected in ((0, columns(f, m)), (1, columns(f, m.T).T)):
            assert_same_bits(np.ma.getdata(f.accumulate(masked, axis=axis)), expected)
            assert_same_bits(np.ma.getdata(f.reduce(masked, axis=axis)), expected.take(-1, axis))
        narrow = m[:, 0].astype("f4")
        assert f.reduce(m[:, 0], dtype="f4") == chain(f, narrow)[-1]
        assert f.reduce(narrow, dtype="f8") == chain(f, narrow.astype("f8"))[-1]
        swapped = m[:, 0].astype(m.dtype.newbyteorder())
        assert f.reduce(swapped) == chain(f, m[:, 0])[-1]
        assert f.reduce([1, 2, 3]) == chain(f, np.arange(1.0, 4))[-1]


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
@pytest.mark.parametrize("shift", [1, 3, 700])
def test_steps_in_place(name: str, shift: int) -> None:
    """An output so many items ahead of the input, by address: every result is an argument later on."""
    f = ufunc(name)
    function, type_ = softsign._core._functions.index(name), softsign._core._types.index("float64")
    for size in (2, 600, 140_000)[: 2 + (shift == 700)]:
        memory, dy = numbers(np.dtype(float), size + shift), numbers(np.dtype(float), size)
        if name == "inverse":
            memory /= 1e6  # so that the chain stays below 1
        others = [dy] if name in BINARY else []
        addresses = [memory.ctypes.data, *(a.ctypes.data for a in others), memory.ctypes.data + 8 * shift]
        expected = memory.copy()
        with np.errstate(all="ignore"):
            for start in range(0, size, shift):
                part = slice(start, min(start + shift, size))
                results = f(expected[part], *(a[part] for a in others))
                expected[start + shift : start + shift + results.size] = results
        softsign._core._compute(function, type_, size, 3, *addresses)
        assert np.array_equal(bits(memory), bits(expected))


def test_orders_cannot_be_reduced() -> None:
    for call in (
        lambda: softsign.nth_derivative.reduce([1, 2]),
        lambda: softsign.nth_derivative.accumulate([1, 2]),
        lambda: softsign.nth_derivative.reduceat([1, 2], [0]),
        lambda: softsign.nth_derivative.reduce([1, 2], dtype=float),
    ):
        with pytest.raises(
            TypeError, match=r"^nth_derivative: n is an integer and the result is none, so that "
        ):
            call()
