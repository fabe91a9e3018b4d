"""`SoftsignTransform` with a bound and `SquashedNormal`: against exact numbers, at the edge, bad input."""

import math
from fractions import Fraction
from typing import Any

import mpmath
import pytest
import torch
from scipy import integrate, stats
from torch import Tensor, distributions

from softsign.torch import SoftsignTransform, SquashedNormal
from tests.helpers import ulps
from tests.test_torch import array

DOUBLE = torch.float64


def double(*values: Any) -> list[Tensor]:
    return [torch.tensor(value, dtype=DOUBLE) for value in values]


# The transform


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, DOUBLE], ids=str)
@pytest.mark.parametrize("bound", [0.01, 1.0, 1.7, 3e5])
def test_values_and_inverses_against_fractions(bound: float, dtype: torch.dtype) -> None:
    """Within 2 and 3 ulp, the inverse also of the number next to the bound."""
    torch.manual_seed(0)
    limit = torch.tensor(bound, dtype=dtype)
    transform, b = SoftsignTransform(limit.item()), Fraction(limit.item())
    x = torch.cat([torch.randn(100) * 10.0**k for k in range(-3, 4)]).to(dtype)
    y = transform(x)
    inner = torch.nextafter(limit, torch.zeros_like(limit))
    actions = torch.cat([y[y.abs() < limit], inner[None], -inner[None]])
    for v, found in zip(x.tolist(), array(y), strict=True):
        assert ulps(found, Fraction(v) / (1 + abs(Fraction(v)) / b)) <= 2
    for v, found in zip(actions.tolist(), array(transform.inv(actions)), strict=True):
        assert ulps(found, Fraction(v) / (1 - abs(Fraction(v)) / b)) <= 3


@pytest.mark.parametrize("bound", [1.0, 2.5])
def test_ends_and_derivatives(bound: float) -> None:
    transform = SoftsignTransform(bound)
    ends = torch.tensor([-math.inf, -0.0, math.inf, math.nan])
    assert str(transform(ends).tolist()) == f"[{-bound}, -0.0, {bound}, nan]"
    assert str(transform.inv(transform(ends)).tolist()) == "[-inf, -0.0, inf, nan]"
    assert transform.inv(torch.tensor([1.1, -9.0]) * bound).isnan().all()
    assert transform.codomain.check(transform(ends[:3])).all()
    x = torch.linspace(-9, 9, 40, dtype=DOUBLE, requires_grad=True)
    y = transform(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(transform.log_abs_det_jacobian(x, y), slope.log())
    y = y.detach().requires_grad_()
    (back,) = torch.autograd.grad(transform.inv(y).sum(), y)
    torch.testing.assert_close(back, 1 / slope)


def test_a_bound_for_each_number() -> None:
    bound = torch.tensor([1.0, 2.0, 4.0])
    transform = SoftsignTransform(bound)
    assert transform.forward_shape(torch.Size([5, 1])) == (5, 3)
    assert transform.inverse_shape(torch.Size([])) == (3,)
    assert transform(torch.ones(3)).tolist() == pytest.approx([1 / 2, 2 / 3, 4 / 5])
    assert transform == SoftsignTransform(bound.clone(), cache_size=1) == transform.with_cache()
    assert transform.with_cache(0) is transform
    assert transform != SoftsignTransform(torch.tensor([1.0, 2.0, 5.0]))
    assert SoftsignTransform(2.0) != SoftsignTransform() != distributions.TanhTransform()
    policy = SquashedNormal(0.0, 1.0, bound)
    assert policy.batch_shape == policy.sample().shape == policy.mode.shape == policy.entropy().shape == (3,)


@pytest.mark.parametrize("bound", [0.0, -1.0, math.nan, math.inf, torch.tensor([1.0, -2.0])])
def test_bounds_that_are_refused(bound: Any) -> None:
    for make in (SoftsignTransform, lambda b: SquashedNormal(0.0, 1.0, b)):
        with pytest.raises(ValueError, match=r"^SoftsignTransform: bound must be positive and finite, got "):
            make(bound)
    with pytest.raises(TypeError, match=r"^SoftsignTransform: bound must be a number or a tensor, got str$"):
        SoftsignTransform("1")


# The distribution


def exact_log_prob(x: Any, std: float) -> Any:
    """That of the action softsign(x), with loc = 0.25."""
    x = mpmath.mpf(x)
    return (
        -(((x - 0.25) / std) ** 2) / 2
        - mpmath.log(std * mpmath.sqrt(2 * mpmath.pi))
        + 2 * mpmath.log(1 + abs(x))
    )


@pytest.mark.parametrize(("std", "tanh_error"), [(2.0, 0.5), (4.0, 10.0), (8.0, 30.0)])
def test_log_probabilities_err_by_at_most_3e_6_nats(std: float, tanh_error: float) -> None:
    """In float32: of sampled actions, of the same numbers from elsewhere, of x. Tanh's, as usual, do not."""
    torch.manual_seed(int(std))
    policy = SquashedNormal(0.25, std)
    action = policy.rsample((4000,))
    x = policy.transforms[0].inv(action)
    exact = [exact_log_prob(v, std) for v in x.tolist()]
    elsewhere = [exact_log_prob(v / (1 - abs(v)), std) for v in map(mpmath.mpf, action.tolist())]
    for found, right in (
        (policy.log_prob(action), exact),
        (policy.log_prob_of_pre_action(x), exact),
        (policy.log_prob(action.clone()), elsewhere),
    ):
        assert max(abs(v - r) for v, r in zip(found.tolist(), right, strict=True)) <= 3e-6
    usual = distributions.Normal(0.25, std).log_prob(x) - (1 - x.tanh().square() + 1e-6).log()
    density = distributions.Normal(*double(0.25, std)).log_prob(x.double())
    right = density + 2 * (x.double().abs() + torch.log1p((-2 * x.double().abs()).exp()) - math.log(2))
    assert (usual - right).abs().max() > tanh_error


def test_actions_at_the_edge() -> None:
    """Next to the bound right, at it -inf, beyond it refused."""
    policy = SquashedNormal(0.25, 8.0, validate_args=True)  # compiling turns the default off
    last = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0))
    expected = exact_log_prob(2**24 - 1, 8.0)
    assert policy.log_prob(last).item() == pytest.approx(float(expected), rel=1e-6)
    assert policy.log_prob(torch.tensor([-1.0, 1.0])).tolist() == [-math.inf] * 2
    assert policy.log_prob_of_pre_action(torch.tensor([math.inf])).tolist() == [-math.inf]
    for value in (1.001, math.nan):
        with pytest.raises(ValueError, match="within the support"):
            policy.log_prob(torch.tensor(value))
    assert SquashedNormal(0.0, 1.0, validate_args=False).log_prob(torch.tensor(1.001)).isnan()
    half = SquashedNormal(*torch.tensor([300.0, 1.0]).half())
    action = half.sample()  # 1 - 2**-9 would be the last but one
    assert half.log_prob(action).isfinite()


CASES = [(0.0, 1.0, 1.0), (-3.0, 8.0, 2.0), (0.7, 0.1, 1.0), (2.0, 20.0, 0.1), (-1.0, 3.0, 100.0)]


@pytest.mark.parametrize(("loc", "scale", "bound"), CASES)
def test_the_density_and_what_is_made_of_it(loc: float, scale: float, bound: float) -> None:
    mean, deviation = double(loc, scale)
    policy = SquashedNormal(mean, deviation, bound)
    x = torch.linspace(-12, 12, 40001, dtype=DOUBLE) * scale + loc
    y = policy.transforms[0](x)
    density = policy.log_prob_of_pre_action(x).exp()
    assert torch.trapezoid(density, y).item() == pytest.approx(1, abs=2e-4)
    normal = stats.norm(loc, scale)
    stretched = sum(
        integrate.quad(lambda x: normal.pdf(x) * math.log1p(abs(x) / bound), a, b, epsabs=1e-9)[0]
        for a, b in ((loc - 12 * scale, 0), (0, loc + 12 * scale))
    )
    expected = normal.entropy() - 2 * stretched
    assert policy.entropy().item() == pytest.approx(expected, abs=1e-6)
    assert SquashedNormal(loc, scale, bound).entropy().item() == pytest.approx(expected, abs=5e-6)
    assert policy.log_prob(policy.mode) >= policy.log_prob_of_pre_action(x).max()
    assert policy.cdf(policy.median).item() == 0.5
    torch.testing.assert_close(policy.icdf(policy.cdf(y[18000:22000])), y[18000:22000])


def test_gradients() -> None:
    """Of samples, of log-probabilities and of the entropy, which has that of -log_prob in the mean."""
    loc, scale = (t.requires_grad_() for t in double([0.3, -2.0], [1.0, 0.5]))
    action = torch.tensor([0.2, -0.9], dtype=DOUBLE, requires_grad=True)

    def sample(loc: Tensor, scale: Tensor) -> Tensor:
        torch.manual_seed(3)
        return SquashedNormal(loc, scale, 2.0).rsample()

    assert torch.autograd.gradcheck(sample, (loc, scale))
    assert torch.autograd.gradcheck(
        lambda m, s, a: SquashedNormal(m, s, 2.0).log_prob(a), (loc, scale, action)
    )
    assert torch.autograd.gradcheck(lambda m, s: SquashedNormal(m, s, 2.0).entropy(), (loc, scale))


def test_as_other_distributions_are() -> None:
    policy = SquashedNormal(torch.zeros(3), 2.0, 0.5)
    wide = policy.expand([4, 3])
    assert isinstance(wide, SquashedNormal)
    assert wide.rsample((7,)).shape == (7, 4, 3)
    assert (wide.loc.shape, wide.scale.shape, wide.bound) == ((4, 3), (4, 3), 0.5)
    action = wide.sample()
    whole = distributions.Independent(wide, 1)
    torch.testing.assert_close(whole.log_prob(action), wide.log_prob(action).sum(-1))
    other = SquashedNormal(torch.ones(3), 3.0, 0.5)
    expected = distributions.kl_divergence(policy.base_dist, other.base_dist)
    torch.testing.assert_close(distributions.kl_divergence(policy, other), expected)
    with pytest.raises(NotImplementedError):
        distributions.kl_divergence(policy, SquashedNormal(torch.ones(3), 3.0, 0.6))
    assert policy.support.check(policy.sample((1000,))).all()
    for loc, scale in ((0.0, 0.0), (0.0, -1.0), (0.0, math.nan), (math.nan, 1.0)):
        with pytest.raises(ValueError, match="to satisfy the constraint"):
            SquashedNormal(loc, scale, validate_args=True)
