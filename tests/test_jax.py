"""`softsign.jax`: values, every order and mode of differentiation, JAX's dtypes, what XLA makes of it."""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import factorial, inf, nan
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.experimental import checkify, pallas, sparse

import softsign as core
from softsign import accuracy
from softsign import jax as ours
from softsign.functions import FUNCTIONS, ORDERS, bound
from softsign.jax.arithmetic import Member, multiplied
from tests.helpers import BFLOAT16, Array, assert_same_bits, exact, run_python, ulps

#: The functions of x alone.
NAMES = tuple(
    name for name, facts in FUNCTIONS.items() if "jax" in facts.bounds and len(facts.arguments) == 1
)
HALVES = (np.dtype(np.float16), BFLOAT16)
WIDE = (np.dtype(np.float32), np.dtype(np.float64))

#: Each function in float32, float64 and one of the 16-bit types. These are both computed in float32 and
#: rounded once, whatever the function; `test_every_half_precision_number` takes every function in both.
PAIRS = [(name, dtype) for i, name in enumerate(NAMES) for dtype in (HALVES[i % 2], *WIDE)]

by_name = pytest.mark.parametrize("name", NAMES)
by_pair = pytest.mark.parametrize(("name", "dtype"), PAIRS, ids=str)
by_wide = pytest.mark.parametrize("dtype", WIDE, ids=str)
by_half = pytest.mark.parametrize("dtype", HALVES, ids=str)


@pytest.fixture(autouse=True)
def x64(request: pytest.FixtureRequest) -> Iterator[None]:
    """Enable float64 for the tests that run in it, whatever other tests have set."""
    wanted = getattr(request.node, "callspec", None)
    with jax.enable_x64(wanted is not None and wanted.params.get("dtype") == np.float64):
        yield


def function(name: str) -> Callable[[Any], Any]:
    found: Callable[[Any], Any] = getattr(ours, name)
    return found


def repeated(operator: Callable[..., Any], times: int, start: Callable[[Any], Any]) -> Callable[[Any], Any]:
    for _ in range(times):
        start = operator(start)
    return start


@functools.cache
def derivatives(name: str) -> Callable[[Any], Any]:
    """A function and its first three derivatives, element by element, in one array.

    The first is taken in reverse mode, forward mode over it. Tests call it with `POINTS` points, for which it
    is compiled once for each dtype.
    """
    f = function(name)
    orders = [f, *(repeated(jax.jacfwd, n, jax.grad(f)) for n in range(3))]
    mapped: Callable[[Any], Any] = jax.jit(jax.vmap(lambda x: jnp.stack([g(x) for g in orders]), out_axes=1))
    return mapped


#: Number of points at which `derivatives` is called.
POINTS = 41


#: Powers of two from which on the result is normal in float32 and in float64, and below which it is; else
#: those of x.
LEAST = {"antiderivative": (-62, -510), "second_antiderivative": (-41, -339)}
MOST = {"derivative": (62, 510), "gradient": (62, 510), "nth_derivative": (4, 55)}


def in_range(name: str, x: Array) -> Array:
    """Those numbers that are normal in float32 (float64), as their results are; XLA's CPU flushes others."""
    a, wide = np.abs(x.astype(np.float64)), x.dtype == np.float64
    least = 2.0 ** LEAST.get(name, (-126, -1022))[wide]
    most = 2.0 ** MOST[name][wide] if name in MOST else np.finfo(np.float64).max
    if name == "inverse":
        most = np.nextafter(1, 0)
    kept: Array = x[((a == 0) | (a >= least)) & (a <= most)]
    return kept


def every(name: str, dtype: np.dtype[Any]) -> Array:
    with np.errstate(invalid="ignore"):  # signaling nans
        x: Array = np.arange(1 << 16, dtype=np.uint16).view(dtype)
        return in_range(name, x)


def sampled(name: str, dtype: np.dtype[Any]) -> Array:
    rng = np.random.default_rng(11)
    large = np.exp2(rng.uniform(20, 62, 1 << 14))
    with np.errstate(invalid="ignore"):
        edges = np.array([2.0**-126, 1, 2.0**24, 2.0**25, np.finfo(np.float32).max], dtype)
        x = np.concatenate([edges, -edges, np.nextafter(edges, dtype.type(0)), large.astype(dtype)])
        size = 1 << (17 if FUNCTIONS[name].kind == "algebraic" else 13)  # logarithms are compared one by one
        return in_range(
            name,
            np.concatenate([x[:: 1 if size > 1 << 13 else 8], accuracy.sample(name, dtype, size, rng)[0]]),
        )


def gradient_of_softsign(x: Any) -> Any:
    return jax.vjp(ours.softsign, x)[1](jnp.ones_like(x))[0]


@by_half
@by_name
def test_every_half_precision_number(name: str, dtype: np.dtype[Any]) -> None:
    """Correctly rounded, but for a few whose float32 value is on the wrong side of a midpoint."""
    x = every(name, dtype)
    x = x[~np.signbit(x)]
    y, mirrored = np.split(np.asarray(function(name)(np.concatenate([x, -x]))), 2)
    assert_same_bits(mirrored, -y if FUNCTIONS[name].symmetry == "odd" else y)
    measured = accuracy.measure(name, y, x)
    assert measured.worst <= bound(name, dtype.name, "jax")
    assert measured.wrong <= (0 if name in ("softsign", "derivative") else x.size // 1000)


@by_wide
@by_name
def test_bounds(name: str, dtype: np.dtype[Any]) -> None:
    x = sampled(name, dtype)
    y = np.asarray(function(name)(x))
    assert accuracy.measure(name, y, x).worst <= bound(name, dtype.name, "jax")
    if name == "softsign":
        assert np.all(np.abs(y) <= 1)


@pytest.mark.parametrize("dtype", [*HALVES, *WIDE], ids=str)
def test_bound_of_the_gradient(dtype: np.dtype[Any]) -> None:
    x = sampled("gradient", dtype) if dtype in WIDE else every("gradient", dtype)
    dy = np.random.default_rng(5).uniform(1, 2, x.size).astype(dtype)
    dx = np.asarray(ours.gradient(x, dy))
    assert accuracy.measure("gradient", dx, x, dy).worst <= bound("gradient", dtype.name, "jax")


@pytest.mark.parametrize("dtype", [*HALVES, *WIDE], ids=str)
def test_bound_of_the_nth_derivative(dtype: np.dtype[Any]) -> None:
    orders = [n for n in ORDERS if n < 5 or n % 4 == 0]
    x = {n: np.random.default_rng(n).normal(0, 4, 4096).astype(dtype) for n in orders}
    y = jax.jit(lambda x: {n: ours.nth_derivative(n, x[n]) for n in orders})(x)
    for n in orders:
        worst = accuracy.measure("nth_derivative", np.asarray(y[n]), np.full(4096, n), x[n]).worst
        assert worst <= bound("nth_derivative", dtype.name, "jax")


@pytest.mark.parametrize("dtype", [*HALVES, *WIDE], ids=str)
def test_gradient_bound(dtype: np.dtype[Any]) -> None:
    x = every("derivative", dtype) if dtype in HALVES else sampled("derivative", dtype)
    for compiled in (gradient_of_softsign, jax.jit(gradient_of_softsign)):
        assert accuracy.measure("derivative", np.asarray(compiled(jnp.asarray(x))), x).worst <= bound(
            "derivative", dtype.name, "jax"
        )


@by_wide
def test_gradient_beyond_the_normal_numbers_is_none_of_them(dtype: np.dtype[Any]) -> None:
    x = np.array([2.0**64, 2.0**70, 2.0**100, np.finfo(np.float32).max, inf], dtype)
    if dtype == np.float64:
        x = np.array([2.0**512, 2.0**1000, np.finfo(np.float64).max, inf], dtype)
    dx = np.asarray(gradient_of_softsign(jnp.asarray(x)))
    assert np.all((dx >= 0) & (dx < np.finfo(dtype).tiny) & ~np.signbit(dx))


@by_half
def test_a_cotangent_costs_no_rounding_in_half_precision(dtype: np.dtype[Any]) -> None:
    x, dy = (np.random.default_rng(seed).uniform(0.5, 8, 4096).astype(dtype) for seed in (1, 2))
    dx = jax.vjp(ours.softsign, jnp.asarray(x))[1](jnp.asarray(dy))[0]
    assert accuracy.measure("gradient", np.asarray(dx), x, dy).worst <= 0.51


@by_name
@given(x=st.floats(width=32, allow_subnormal=False))
def test_parity_to_the_bit(name: str, x: float) -> None:
    with jax.enable_x64(False):
        y, mirrored = (np.asarray(function(name)(np.float32(v))) for v in (x, -x))
    assert_same_bits(mirrored, -y if FUNCTIONS[name].symmetry == "odd" else y)


#: What the functions and their first three derivatives are at the ends, the zeros and nan.
SPECIAL = {
    "softsign": (
        [-inf, -0.0, 0.0, inf, nan],
        ([-1, -0.0, 0.0, 1, nan], [0, 1, 1, 0, nan], [0, 0, 0, 0, nan], [0, 6, 6, 0, nan]),
    ),
    "inverse": (
        [-2, -1, -0.0, 0.0, 1, inf, nan],
        (
            [nan, -inf, -0.0, 0.0, inf, nan, nan],
            [nan, inf, 1, 1, inf, nan, nan],
            [nan, -inf, 0, 0, inf, nan, nan],
            [nan, inf, 6, 6, inf, nan, nan],
        ),
    ),
    "log_jacobian": (
        [-inf, -0.0, 0.0, inf, nan],
        ([-inf, 0, 0, -inf, nan], [0, 0, 0, 0, nan], [0, 2, 2, 0, nan], [0, 0, 0, 0, nan]),
    ),
    "derivative": (
        [-inf, -0.0, 0.0, inf, nan],
        ([0, 1, 1, 0, nan], [0, 0, 0, 0, nan], [0, 6, 6, 0, nan], [0, 0, 0, 0, nan]),
    ),
    "antiderivative": (
        [-inf, -0.0, 0.0, inf, nan],
        ([inf, 0, 0, inf, nan], [-1, 0, 0, 1, nan], [0, 1, 1, 0, nan], [0, 0, 0, 0, nan]),
    ),
    "second_antiderivative": (
        [-inf, -0.0, 0.0, inf, nan],
        ([-inf, -0.0, 0, inf, nan], [inf, 0, 0, inf, nan], [-1, 0, 0, 1, nan], [0, 1, 1, 0, nan]),
    ),
}


@by_pair
def test_special_values(name: str, dtype: np.dtype[Any]) -> None:
    x, expected = SPECIAL[name]
    found = np.asarray(derivatives(name)(np.resize(np.array(x, dtype), POINTS)))
    assert found.dtype == dtype
    for n, (y, values) in enumerate(zip(found[:, : len(x)].astype(np.float64), expected, strict=True)):
        np.testing.assert_array_equal(y, values)
        if n == 0 and name != "log_jacobian":
            assert np.array_equal(np.signbit(y)[:-1], np.signbit(np.array(values))[:-1])
        if n == 1 and name == "softsign":
            assert not np.signbit(y[:-1]).any()


def derivative_of_inverse(n: int, y: Fraction) -> Fraction:
    sign = 1 if n % 2 else (y > 0) - (y < 0)
    return Fraction(sign * factorial(n)) / (1 - abs(y)) ** (n + 1)


def derivative_of_log_jacobian(n: int, x: Fraction) -> Fraction:
    if n % 2:
        return -2 * ((x > 0) - (x < 0)) * Fraction(factorial(n - 1)) / (1 + abs(x)) ** n
    return 2 * Fraction(factorial(n - 1)) / (1 + abs(x)) ** n


TRUTH: dict[str, Callable[[int, Fraction], Fraction]] = {
    "softsign": lambda n, x: exact("nth_derivative", x, n),
    "derivative": lambda n, x: exact("nth_derivative", x, n + 1),
    "antiderivative": lambda n, x: exact("nth_derivative", x, n - 1),
    "inverse": derivative_of_inverse,
    "log_jacobian": derivative_of_log_jacobian,
}


@pytest.mark.parametrize(("name", "dtype"), [pair for pair in PAIRS if pair[0] in TRUTH], ids=str)
def test_derivatives_of_every_order(name: str, dtype: np.dtype[Any]) -> None:
    reach = 0.5 if name == "inverse" else 6.0
    for n in (1, 2, 3):
        x = np.random.default_rng(n).uniform(-reach, reach, POINTS).astype(dtype)
        y = np.asarray(derivatives(name)(x))[n]
        errors = [ulps(v, TRUTH[name](n, Fraction(float(u)))) for u, v in zip(x, y, strict=True)]
        order = n + (name == "derivative")
        assert max(errors) <= (0.51 if dtype in HALVES else 0.51 + order)


@pytest.mark.parametrize(
    "dtype", [dtype for name, dtype in PAIRS if name == "second_antiderivative"], ids=str
)
def test_derivatives_of_the_second_antiderivative(dtype: np.dtype[Any]) -> None:
    x = np.linspace(-6, 6, POINTS).astype(dtype)
    successors = ("antiderivative", "softsign", "derivative")
    expected = jax.jit(lambda x: jnp.stack([function(name)(x) for name in successors]))(x)
    np.testing.assert_allclose(
        np.asarray(derivatives("second_antiderivative")(x)[1:], float),
        np.asarray(expected, float),
        rtol=4 * float(jnp.finfo(dtype).eps),
    )


def test_nth_derivative_is_what_differentiation_gives() -> None:
    x = np.array([-inf, -3.0, -0.0, 0.0, 0.5, 7.0, inf], np.float32)

    @jax.jit  # type: ignore[untyped-decorator]
    def compute(x: Any) -> Any:
        nth = [functools.partial(ours.nth_derivative, n) for n in range(6)]
        differentiated = [repeated(jax.grad, n > 0, ours.softsign) for n in range(5)]
        differentiated = [repeated(jax.jacfwd, max(n - 1, 0), f) for n, f in enumerate(differentiated)]
        return (
            [f(x) for f in nth],
            [jax.vmap(f)(x) for f in differentiated],
            [jax.vmap(jax.grad(f))(x) for f in nth[:5]],
        )

    nth, differentiated, slopes = compute(x)
    np.testing.assert_allclose(nth[:5], differentiated, rtol=1e-6)
    np.testing.assert_allclose(slopes, nth[1:], rtol=1e-6)


def test_high_orders_keep_their_range() -> None:
    """Powers that underflow beside factorials that overflow, in results that do neither."""
    x = np.array([60, 90, 120], np.float32)
    y = np.asarray(ours.nth_derivative(170, x), np.float64)
    np.testing.assert_allclose(y[:2], core.nth_derivative(170, x[:2].astype(np.float64)), rtol=1e-5)


@pytest.mark.parametrize("n", [-1, 171])
def test_refuses_an_order_out_of_range(n: int) -> None:
    with pytest.raises(ValueError, match=f"nth_derivative: n must be an integer from 0 to 170, got {n}"):
        ours.nth_derivative(n, 1.0)


def test_refuses_an_order_that_is_no_integer() -> None:
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        ours.nth_derivative(1.5, 1.0)


def test_gradient_broadcasts_and_promotes() -> None:
    x, dy = jnp.linspace(-2, 2, 3)[:, None], jnp.array([1, -2], jnp.bfloat16)
    dx = ours.gradient(x, dy)
    assert dx.dtype == jnp.float32
    np.testing.assert_allclose(dx, ours.derivative(x) * dy.astype(jnp.float32), rtol=1e-6)
    assert ours.gradient(jnp.ones(2, jnp.bfloat16), 3.0).dtype == jnp.bfloat16
    assert ours.gradient(1, 8).tolist() == 2


def test_gradient_is_differentiable_in_both() -> None:
    x, dy = jnp.array([-3.0, 0.0, 1.0]), jnp.array([2.0, 3.0, 4.0])
    of_x, of_dy = jax.jit(jax.grad(lambda x, dy: ours.gradient(x, dy).sum(), (0, 1)))(x, dy)
    np.testing.assert_array_equal(of_x, dy * ours.nth_derivative(2, x))
    np.testing.assert_array_equal(of_dy, ours.derivative(x))
    hessian = jax.jit(jax.hessian(lambda v: ours.gradient(v[0], v[1])))
    assert hessian(jnp.array([1.0, 8.0])).tolist() == [[3, -0.25], [-0.25, 0]]


@pytest.mark.parametrize("arguments", [(1j, 1.0), (1.0, 1j), ("1", 1.0), (1.0, None)], ids=repr)
def test_gradient_refuses_what_is_no_real_number(arguments: Any) -> None:
    with pytest.raises(TypeError, match=r"\bgradient\b"):
        ours.gradient(*arguments)


def test_an_overflow_of_a_high_order_is_an_infinity() -> None:
    below_one = np.nextafter(np.float32(1), np.float32(0))
    power = jax.jit(multiplied, static_argnums=0)
    assert power(Member("power", -1, 7), np.array([below_one])).tolist() == [inf]
    assert power(Member("power", 1, 40), np.array([0, 1e30], np.float32)).tolist() == [inf, 0]


def test_the_two_forms_of_the_forward_pass_give_the_same_bits() -> None:
    x = jnp.asarray(np.frombuffer(np.random.default_rng(3).bytes(1 << 16), np.float32))
    y, _ = jax.vjp(ours.softsign, x)
    assert_same_bits(np.asarray(y), np.asarray(ours.softsign(x)))


MODES: dict[str, Callable[[Callable[[Any], Any]], Callable[[Any], Any]]] = {
    "jit": jax.jit,
    "checkpoint": jax.checkpoint,
    "vmap": jax.vmap,
    "scan": lambda f: lambda x: jax.lax.scan(lambda carry, element: (carry, f(element)), 0, x)[1],
}
DIFFERENTIATED: dict[str, Callable[[Callable[[Any], Any]], Callable[[Any], Any]]] = {
    "jvp": lambda f: lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1],
    "linearize": lambda f: lambda x: jax.linearize(f, x)[1](jnp.ones_like(x)),
    "jacfwd": lambda f: lambda x: jnp.diagonal(jax.jacfwd(f)(x)),
    "jacrev": lambda f: lambda x: jnp.diagonal(jax.jacrev(f)(x)),
    "grad": lambda f: jax.grad(lambda x: f(x).sum()),
}


@pytest.mark.parametrize("how", DIFFERENTIATED)
def test_every_mode_gives_the_same_bits(how: str) -> None:
    """One by one beside what is compiled at once."""
    x = np.linspace(-9, 9, 7, dtype=np.float32)
    expected = np.asarray(ours.derivative(x))
    differentiated = {mode: DIFFERENTIATED[how](change(ours.softsign)) for mode, change in MODES.items()}
    found = jax.jit(lambda x: {mode: f(x) for mode, f in differentiated.items()})(x)
    for actual in (*found.values(), differentiated["jit"](jnp.asarray(x))):
        assert_same_bits(np.asarray(actual), expected)


def test_second_derivative_in_every_pair_of_modes() -> None:
    x = jnp.array([-3.0, 0.0, 1.0, jnp.inf])
    modes = [DIFFERENTIATED[how] for how in ("jacfwd", "jacrev")]
    seconds = [outer(inner(ours.softsign)) for outer in modes for inner in modes]
    for y in jax.jit(lambda x: [second(x) for second in seconds])(x):
        np.testing.assert_array_equal(y, [2 / 64, 0, -2 / 8, 0])


def forward(f: Callable[[Any], Any], tangent: Any) -> Callable[[Any], Any]:
    return lambda x: jax.jvp(f, (x,), (tangent,))[1]


def reverse(f: Callable[[Any], Any], cotangent: Any) -> Callable[[Any], Any]:
    return lambda x: jax.vjp(f, x)[1](cotangent)[0]


def second_products(f: Callable[[Any], Any], x: Any, inner: Any, outer: Any) -> list[Any]:
    """What f'' times two factors is in each pair of modes."""
    modes = (forward, reverse)
    return [second(first(f, inner), outer)(x) for first in modes for second in modes]


#: Arguments and two factors that multiply f'', of which two of the three alone overflow or underflow.
PRODUCTS: dict[str, list[tuple[float, float, float]]] = {
    "float16": [(10, 300, 300), (1000, 200, 300), (-0.25, 6e4, 2e-7), (3e4, 6e4, 6e4)],
    "float32": [
        (10, 3e20, 3e20),
        (1e15, 1e25, 1e25),
        (-1e-20, 1e30, 1e25),
        (0.25, 3e-30, 1e-20),
        (7, 1e30, 1e-30),
    ],
    "float64": [(10, 3e154, 3e154), (1e130, 1e200, 1e190), (-1e-160, 1e300, 1e10), (7, 1e-200, 1e250)],
}


@by_pair
def test_products_with_second_derivatives_in_every_pair_of_modes(name: str, dtype: np.dtype[Any]) -> None:
    """Reverse mode over reverse mode must not multiply the two cotangents by themselves."""
    truth: Callable[[int, Fraction], Fraction] = TRUTH.get(name, lambda n, x: exact("softsign", x))
    cases = np.array(PRODUCTS["float32" if dtype == BFLOAT16 else dtype.name], dtype)
    if name == "inverse":
        cases[:, 0] = np.clip(cases[:, 0], -0.75, 0.75)
    info = jnp.finfo(dtype)
    compute: Any = jax.jit(second_products, static_argnums=0)
    products = [np.asarray(y) for y in compute(function(name), *cases.T)]
    for index, (x, inner, outer) in enumerate(cases):
        expected = Fraction(float(inner)) * Fraction(float(outer)) * truth(2, Fraction(float(x)))
        for y in (product[index] for product in products):
            if abs(expected) < float(info.tiny) and dtype in WIDE:
                assert abs(y) <= info.tiny  # XLA's CPU makes it 0
            elif abs(expected) > float(info.max):
                assert abs(y) == inf
            else:
                assert ulps(y, expected) <= (0.51 if dtype in HALVES else 3)


def test_products_of_any_number_of_factors() -> None:
    """The third derivative by reverse mode alone, with cotangents that must not meet first."""
    f = ours.softsign
    for large in np.array([1e20, 1e-20, 1e30], np.float32):
        f = reverse(f, large)
    expected = 1e30 * core.nth_derivative(3, 1e3)
    np.testing.assert_allclose(jax.jit(f)(jnp.float32(1e3)), expected, rtol=1e-6)


def test_hessian_is_diagonal() -> None:
    hessian = jax.jit(jax.hessian(lambda x: ours.softsign(x).sum()))(jnp.array([-3.0, 0.0, 1.0]))
    np.testing.assert_array_equal(hessian, np.diag([2 / 64, 0, -2 / 8]))


@by_name
@pytest.mark.parametrize("dtype", [*HALVES, *WIDE], ids=str)
def test_reverse_mode_keeps_the_argument_alone(name: str, dtype: np.dtype[Any]) -> None:
    traced = jax.make_jaxpr(lambda x: jax.tree.leaves(jax.vjp(function(name), x)[1]))(np.full(5, 0.5, dtype))
    assert traced.in_avals[0].dtype == dtype
    assert traced.jaxpr.outvars == traced.jaxpr.invars


@by_name
def test_shapes(name: str) -> None:
    f = function(name)
    arrays = [np.full(shape, 0.5, np.float32) for shape in ((), (0,), (2, 0, 3), (2, 3))]
    found = jax.jit(lambda arrays: [(f(x), jax.grad(lambda x: f(x).sum())(x)) for x in arrays])(arrays)
    for x, (y, dx) in zip(arrays, found, strict=True):
        assert y.shape == dx.shape == x.shape


INTEGERS = (np.int8, np.uint8, np.int32)


@by_name
def test_integers_promote_as_in_exp_before_the_arithmetic(name: str) -> None:
    arrays = [np.array([False, True])]
    arrays += [np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype) for dtype in INTEGERS]
    apply = jax.jit(lambda arrays: [function(name)(x) for x in arrays])
    expected = apply([x.astype(np.float32) for x in arrays])
    for x, y, z in zip(arrays, apply(arrays), expected, strict=True):
        promoted = jax.eval_shape(jnp.exp, x)
        assert (y.dtype, y.weak_type) == (promoted.dtype, promoted.weak_type)
        assert_same_bits(np.asarray(y), np.asarray(z))


@pytest.mark.parametrize("x", [2, 0.5, np.float32(0.5), jnp.float16(0.5)])
def test_weak_types_are_those_of_jax(x: Any) -> None:
    y, theirs = ours.softsign(x), jax.nn.soft_sign(x)
    assert (y.dtype, y.weak_type) == (theirs.dtype, theirs.weak_type)
    assert (jnp.ones((), jnp.bfloat16) * ours.softsign(0.5)).dtype == jnp.bfloat16


def test_float64_needs_x64() -> None:
    assert ours.softsign(np.ones(1)).dtype == jnp.float32
    with jax.enable_x64(True):
        assert ours.softsign(np.ones(1)).dtype == ours.softsign(np.ones(1, int)).dtype == jnp.float64


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_float8(dtype: str) -> None:
    x = jnp.array([-2.0, 0.5], dtype)
    assert_same_bits(
        np.asarray(ours.softsign(x)), np.asarray(ours.softsign(x.astype(jnp.float32)).astype(dtype))
    )
    gradient = jax.jit(jax.grad(lambda x: ours.softsign(x).astype(jnp.float32).sum()))
    assert gradient(x).dtype == dtype


def test_complex() -> None:
    huge = np.finfo(np.float32).max
    z = jnp.array([0, 3 + 4j, -1j, complex(huge, huge), complex(inf, 0), complex(0, -inf), complex(inf, inf)])
    root = 0.5**0.5
    expected = [0, 0.5 + 4j / 6, -0.5j, root + root * 1j, 1, -1j, root + root * 1j]
    np.testing.assert_allclose(ours.softsign(z), expected, rtol=3e-7)
    assert ours.softsign(z).dtype == jnp.complex64
    assert np.isnan(ours.softsign(complex(inf, nan)))


@pytest.mark.parametrize("dtype", [np.dtype(np.float64)], ids=str)
def test_gradient_of_complex(dtype: np.dtype[Any]) -> None:
    z, step = np.array([0.3 - 2j, 1e-3j, -5 + 1j, 1e200j]), 1e-6
    assert jax.grad(lambda z: ours.softsign(z).real)(0j) == 1
    for direction in (1, 1j):
        h = (1 + 0j) * step * direction * np.maximum(np.abs(z), step)
        tangent = jax.jvp(ours.softsign, (z,), (h,))[1]
        np.testing.assert_allclose(
            tangent, (ours.softsign(z + h) - ours.softsign(z - h)) / 2, rtol=1e-4, atol=1e-15
        )


def compiled(f: Callable[..., Any], *arguments: Any) -> str:
    text: str = jax.jit(f).lower(*arguments).compile().as_text()
    return text


@by_name
def test_fuses_with_its_neighbors_into_loops(name: str) -> None:
    """One loop; XLA may split the antiderivatives, which have long series."""
    x = jnp.linspace(-0.4, 0.4, 4096)
    for f in (lambda x: 3 * function(name)(2 * x) + 1, jax.grad(lambda x: function(name)(2 * x).sum())):
        text = compiled(f, x)
        loops = re.findall(r"kind=k(\w+)", text)
        assert set(loops) == {"Loop"}
        assert len(loops) == 1 or "antiderivative" in name
        assert "custom-call" not in text


SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from softsign.jax import gradient as vjp, softsign
assert jax.device_count() == 2
mesh = jax.make_mesh((2,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
x = np.linspace(-4, 4, 64, dtype=np.float32)
gradient = jax.jit(jax.grad(lambda x: softsign(x).sum()))
for f in (softsign, gradient):
    mapped = jax.shard_map(f, mesh=mesh, in_specs=PartitionSpec("i"), out_specs=PartitionSpec("i"))
    placed = jax.device_put(x, NamedSharding(mesh, PartitionSpec("i")))
    np.testing.assert_array_equal(mapped(x), f(x))
    compiled = jax.jit(f).lower(placed).compile()
    np.testing.assert_array_equal(compiled(placed), f(x))
    assert compiled(placed).sharding == placed.sharding
    assert "all-" not in compiled.as_text()
spec = PartitionSpec("i")
loss = jax.shard_map(
    lambda t, x: jax.lax.psum(vjp(x, t).sum(), "i"),
    mesh=mesh, in_specs=(PartitionSpec(), spec), out_specs=PartitionSpec(),
)
t = np.arange(32, dtype=np.float32)
np.testing.assert_allclose(jax.grad(loss)(t, x), gradient(x).reshape(2, 32).sum(0), rtol=1e-6)
"""


def test_shards_over_two_devices() -> None:
    done = run_python(SHARDED, XLA_FLAGS="--xla_force_host_platform_device_count=2", JAX_PLATFORMS="cpu")
    assert done.returncode == 0, done.stderr


def test_batches_some_of_its_arguments() -> None:
    x, dy = jnp.linspace(-2, 2, 3), jnp.array([1.0, 8.0])
    by_dy = jax.vmap(lambda dy: reverse(ours.softsign, jnp.full(3, dy))(x))(dy)
    np.testing.assert_array_equal(by_dy, dy[:, None] * ours.derivative(x))
    by_x = jax.vmap(lambda x: forward(ours.softsign, dy)(jnp.full(2, x)), out_axes=1)(x)
    np.testing.assert_array_equal(by_x, by_dy)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["value"], meta_fields=[])
@dataclasses.dataclass
class Parameter:
    """As flax.nnx.Param: a pytree, and an array where one is asked for."""

    value: Any

    def __jax_array__(self) -> Any:
        return self.value


@by_name
def test_takes_what_turns_into_an_array(name: str) -> None:
    f, x = function(name), jnp.array([0.25, 0.5])
    assert_same_bits(np.asarray(f(Parameter(x))), np.asarray(f(x)))
    compute = jax.jit(lambda x: (jax.grad(lambda x: f(x).sum())(x), ours.gradient(x, x)))
    (slopes, gradient), expected = compute(Parameter(x)), compute(x)
    np.testing.assert_array_equal(slopes.value, expected[0])
    assert_same_bits(np.asarray(gradient), np.asarray(expected[1]))


@by_name
def test_works_without_jit(name: str) -> None:
    f, x = function(name), BFLOAT16.type(0.5)
    with jax.disable_jit():
        assert f(x) == f(jnp.asarray(x)) == jnp.asarray(f(0.5), jnp.bfloat16)


def test_differentiates_without_jit() -> None:
    """Where the primitive is computed by itself, which `jax.jit` spares it."""
    with jax.disable_jit():
        assert jax.grad(ours.softsign)(1.0) == 0.25


@by_name
def test_strict_promotion_is_no_obstacle(name: str) -> None:
    f = function(name)
    with jax.numpy_dtype_promotion("strict"):
        for x in (1, True, np.int8(1), np.arange(2), 0.5, jnp.ones(2, jnp.bfloat16)):
            y, promoted = jax.eval_shape(f, x), jax.eval_shape(jnp.exp, x)
            assert (y.dtype, y.weak_type) == (promoted.dtype, promoted.weak_type)
        assert jax.eval_shape(jax.grad(jax.grad(f)), 0.5).dtype == jnp.float32
        assert ours.gradient(np.arange(2), 1).tolist() == [1, 0.25]
        assert ours.nth_derivative(0, 1) == 0.5


@pytest.mark.parametrize("dtype", [np.dtype(np.float64)], ids=str)
def test_weak_types_stay_weak_beside_float32(dtype: np.dtype[Any]) -> None:
    functions = [function(name) for name in NAMES]
    functions += [functools.partial(ours.nth_derivative, 3), lambda x: ours.gradient(x, 2)]
    one = jax.ShapeDtypeStruct((1,), np.float32)
    for f in functions:
        for x in (0.5, 0, True, jnp.broadcast_to(0.5, (2, 3))):
            y, promoted = jax.eval_shape(f, x), jax.eval_shape(jnp.exp, x)
            assert (y.dtype, y.weak_type, y.shape) == (promoted.dtype, promoted.weak_type, promoted.shape)
        assert jax.eval_shape(lambda one, f=f: f(0.5) * one, one).dtype == np.float32
    assert (ours.softsign(1j) * jnp.ones(1, jnp.complex64)).dtype == np.complex64
    np.testing.assert_array_equal(ours.derivative(jnp.broadcast_to(1.0, (2, 3))), np.full((2, 3), 0.25))


@by_name
def test_no_nan_on_the_way_to_a_number(name: str) -> None:
    """What `checkify` and ``jax_debug_nans`` look for."""
    f = function(name)
    points = np.array([0, 0.5, 1] if name == "inverse" else [-inf, -1e30, 0, 1, inf], np.float32)
    checked = checkify.checkify(jax.vmap(jax.value_and_grad(f)), errors=checkify.nan_checks)
    options = {"xla_backend_optimization_level": 0}  # the operations are under test, not what is made of them
    error, found = jax.jit(checked, compiler_options=options)(points)
    assert error.get() is None
    assert not np.isnan(found).any()


def test_lowers_in_pallas_kernels_for_tpus() -> None:
    """That is, in a kernel that nothing here can run."""
    functions = [function(name) for name in NAMES]
    functions += [lambda x: ours.gradient(x, x), lambda x: ours.nth_derivative(3, x)]

    def kernel(source: Any, target: Any) -> None:
        target[...] = sum(f(source[...]) for f in functions)

    x = jax.ShapeDtypeStruct((8, 128), jnp.float32)
    lowered = jax.jit(lambda x: pallas.pallas_call(kernel, out_shape=x)(x)).trace(x)
    assert "tpu_custom_call" in lowered.lower(lowering_platforms=("tpu",)).as_text()


def test_is_a_function_that_modules_can_hold() -> None:
    activation = ours.softsign
    assert jax.jit(lambda f, x: f(x), static_argnums=0)(activation, 3.0) == 0.75
    assert {activation: activation.__name__} == {ours.softsign: "softsign"}


BAD = {
    "str": "abc",
    "None": None,
    "list": [1.0],
    "dict": {"x": 1.0},
    "object": object(),
    "strings": np.array(["a"]),
    "objects": np.array([1], object),
    "times": np.array(1, "M8[s]"),
    "key": jax.random.key(0),
    "sparse": sparse.BCOO.fromdense(jnp.eye(2)),
}


@pytest.mark.parametrize("case", BAD)
@by_name
def test_refuses_what_jax_refuses(name: str, case: str) -> None:
    with pytest.raises(TypeError):
        jax.nn.soft_sign(BAD[case])
    with pytest.raises(TypeError, match=rf"\b{name}\b"):
        function(name)(BAD[case])


@pytest.mark.parametrize("name", NAMES[1:])
def test_refuses_complex_numbers_where_they_mean_nothing(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} takes real numbers, not dtype complex64"):
        function(name)(1j)


def test_bijector() -> None:
    """Values, inverses and log-determinants with a bound, under jit, vmap and grad; what is refused."""
    bijector = ours.SoftsignBijector(2.5)
    x = jnp.array([-jnp.inf, -1e6, -3.0, -0.0, 0.5, 40.0, jnp.inf], jnp.float32)
    y, log_det = jax.jit(lambda b, x: b.forward_and_log_det(x))(bijector, x)
    exact = np.asarray(x, np.float64)
    np.testing.assert_allclose(y[1:-1], exact[1:-1] / (1 + abs(exact[1:-1]) / 2.5), rtol=3e-7)
    np.testing.assert_allclose(log_det, -2 * np.log1p(abs(exact) / 2.5), rtol=3e-7)
    assert (y[0], y[-1]) == (-2.5, 2.5)
    assert jnp.array_equal(bijector(x), y)
    assert jnp.array_equal(bijector.log_abs_det_jacobian(x, y), log_det)
    last = np.nextafter(np.float32(2.5), np.float32(0))
    back, inverse_log_det = bijector.inverse_and_log_det(jnp.array([-2.5, last, -0.5, 0.0, 2.5, 2.6]))
    right = 2.5 * float(last) / (2.5 - float(last))
    np.testing.assert_allclose(back, [-np.inf, right, -0.625, 0, np.inf, np.nan], rtol=3e-7)
    np.testing.assert_allclose(inverse_log_det[1:4], 2 * np.log1p(abs(np.array(back[1:4])) / 2.5), rtol=3e-7)
    assert jnp.array_equal(
        bijector.inverse_log_det_jacobian(y), bijector.inverse_and_log_det(y)[1], equal_nan=True
    )
    slope = jax.vmap(jax.grad(bijector.forward))(x[1:-1])
    np.testing.assert_allclose(jnp.log(slope), log_det[1:-1], rtol=1e-5, atol=1e-6)
    both = jax.vmap(lambda b, x: b.forward(x), (0, None))(ours.SoftsignBijector(jnp.array([1.0, 3.0])), 3.0)
    assert both.tolist() == [0.75, 1.5]
    for wrong in (0.0, -1.0, np.nan, np.inf, jnp.array([1.0, -1.0])):
        with pytest.raises(ValueError, match=r"^SoftsignBijector: bound must be positive and finite, got "):
            ours.SoftsignBijector(wrong)
    for wrong in ("1", None, 1j):
        with pytest.raises(TypeError, match=r"^SoftsignBijector: bound must be real numbers, got "):
            ours.SoftsignBijector(wrong)
