"""softsign.torch's derivatives of higher order where their factors alone overflow or underflow."""

import functools
from collections.abc import Callable
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

import softsign.torch as sst
from softsign.torch import ops
from tests.helpers import exact
from tests.test_torch import DTYPES

by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def powers_of_softsign(n: int) -> Callable[[Fraction], Fraction]:
    return lambda x: exact("nth_derivative", x, n)


def powers_of_inverse(n: int) -> Callable[[Fraction], Fraction]:
    factorial = {2: 2, 3: 6}[n]
    return lambda y: factorial * (1 if y > 0 else (-1) ** (n + 1)) / (1 - abs(y)) ** (n + 1)


Exact = Callable[[Fraction], Fraction]
#: Each function with its second and third derivative.
SECOND: dict[str, tuple[Callable[[Tensor], Tensor], Exact, Exact]] = {
    "softsign": (sst.softsign, powers_of_softsign(2), powers_of_softsign(3)),
    "derivative": (sst.derivative, powers_of_softsign(3), powers_of_softsign(4)),
    "nth_derivative": (lambda x: sst.nth_derivative(4, x), powers_of_softsign(6), powers_of_softsign(7)),
    "inverse": (sst.inverse, powers_of_inverse(2), powers_of_inverse(3)),
    "antiderivative": (sst.antiderivative, powers_of_softsign(1), powers_of_softsign(2)),
    "second_antiderivative": (sst.second_antiderivative, powers_of_softsign(0), powers_of_softsign(1)),
    "log_jacobian": (
        sst.log_jacobian,
        lambda x: 2 / (1 + abs(x)) ** 2,
        lambda x: (-4 if x > 0 else 4) / (1 + abs(x)) ** 3,
    ),
}


def reverse(f: Callable[[Tensor], Tensor], x: Tensor, *factors: Tensor) -> Tensor:
    """The derivative of f at x, differentiated again and again, times a factor each time."""
    x = x.clone().requires_grad_()
    y = f(x)
    for factor in factors:
        (y,) = torch.autograd.grad(y, x, factor, create_graph=True)
    return y.detach()


def forward_over_reverse(f: Callable[[Tensor], Tensor], x: Tensor, *factors: Tensor) -> Tensor:
    first, *others = factors

    def along(g: Callable[[Tensor], Tensor], factor: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda x: torch.func.jvp(g, (x,), (factor,))[1]

    def slope(x: Tensor) -> Tensor:
        (result,) = torch.func.vjp(f, x)[1](first)
        return cast(Tensor, result)

    g: Callable[[Tensor], Tensor] = slope
    for factor in others:
        g = along(g, factor)
    return g(x)


@functools.cache
def ordinary_products(
    f: Callable[[Fraction], Fraction], dtype: torch.dtype, inside: bool, count: int
) -> tuple[list[Tensor], list[Fraction]]:
    """Any x, and factors far from 1, as the dtype has them, whose product with f(x) is ordinary."""
    info, rng = torch.finfo(dtype), np.random.default_rng(0)
    least, most = np.log2(info.tiny), np.log2(info.max)
    rows: list[list[float]] = []
    products = []
    while len(rows) < 40:
        x = rng.uniform(0.01, 0.97) if inside else 2 ** rng.uniform(max(least, -100), most)
        *given, target = rng.uniform(least, most, count)
        row = [x * rng.choice([-1, 1]), *(2.0**e for e in given)]
        row = torch.tensor(row, dtype=dtype).tolist()
        value = f(Fraction(row[0]))
        for factor in row[1:]:
            value *= Fraction(factor)
        last = Fraction(2) ** int(target) / abs(value)  # the factor that makes the product ordinary
        if not Fraction(info.tiny) <= last <= Fraction(info.max):
            continue
        row.append(torch.tensor(float(last), dtype=dtype).item())
        rows.append(row)
        products.append(value * Fraction(row[-1]))
    return list(torch.tensor(rows, dtype=dtype).T), products


@pytest.mark.parametrize("path", [reverse, forward_over_reverse], ids=lambda f: f.__name__)
@by_dtype
@pytest.mark.parametrize("name", SECOND)
def test_products_of_gradients_and_derivatives(name: str, dtype: torch.dtype, path: Any) -> None:
    f, second, third = SECOND[name]
    for order, derivative in ((2, second), (3, third)):
        (x, *factors), products = ordinary_products(derivative, dtype, name == "inverse", order)
        got = path(f, x, *factors)
        assert got.dtype == dtype
        for value, product in zip(got.tolist(), products, strict=True):
            error = abs(Fraction(value) - product) if np.isfinite(value) else Fraction(1)
            assert error <= 12 * Fraction(torch.finfo(dtype).eps) * abs(product), (
                order,
                value,
                float(product),
            )


def hessian_times(x: Tensor, v: Tensor) -> Tensor:
    gradient = torch.func.grad(lambda x: sst.softsign(x).sum() * 1024)
    product: Tensor = torch.func.jvp(gradient, (x,), (v,))[1]
    return product


def test_scaled_losses_in_float16() -> None:
    x = torch.tensor([8.0, 16.0, 1000.0], dtype=torch.float16)
    for path in (hessian_times, torch.compile(hessian_times, backend="aot_eager", fullgraph=True)):
        got = path(x, torch.full_like(x, 1024))
        assert got.tolist() == pytest.approx([-2877.0, -427.0, -0.0021], rel=2e-2)


def test_batches_of_gradients() -> None:
    """The vmap of torch.autograd, which is not the one of torch.func."""
    x = torch.tensor([-2.0, 0.5, 3.0], dtype=torch.float64)
    f = lambda x: sst.softsign(x).square().sum()
    got = torch.autograd.functional.hessian(f, x, vectorize=True)
    torch.testing.assert_close(got, torch.func.hessian(f)(x))


def test_highest_order_is_differentiable() -> None:
    x = torch.tensor([60.0, -200.0], dtype=torch.float64, requires_grad=True)
    (dx,) = torch.autograd.grad(sst.nth_derivative(170, x).sum(), x)
    expected = [float(exact("nth_derivative", Fraction(v), 171)) for v in x.tolist()]
    assert dx.tolist() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    "arguments",
    [
        ("softsign", -2, torch.ones(1), [torch.ones(1)]),
        ("inverse", 0, torch.ones(1), [torch.ones(1)]),
        ("tanh", 1, torch.ones(1), [torch.ones(1)]),
        ("softsign", 1, torch.ones(1), []),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_unknown_derivatives_are_refused(arguments: Any, device: str) -> None:
    with pytest.raises(ValueError, match=r"derivative_times: takes orders from -1 for 'softsign'"):
        ops.derivative_times(*tree_map_only(Tensor, lambda t: t.to(device), arguments))
