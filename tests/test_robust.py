"""softsign.applications.robust: constants against quadrature, peers' own checks, prox, doors, bad input."""

import pickle
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares, minimize
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.utils.estimator_checks import check_estimator
from statsmodels.robust import norms, tools

import softsign
from softsign.applications import robust
from softsign.torch.nn import FairLoss
from tests.helpers import run_python

Array = npt.NDArray[np.float64]
Mp = Any  # mpmath.mpf, which has no types


def fair(r: Mp, c: Mp) -> Mp:
    """Fair's loss, by its formula in however many digits."""
    a = abs(r) / c
    return c * c * (a - mpmath.log1p(a))


def problem(n: int = 40, p: int = 3, seed: int = 0) -> tuple[Array, Array]:
    """A linear model whose every tenth target is far off."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p))
    y = x @ np.arange(1.0, p + 1) + 5 + 0.3 * rng.standard_normal(n)
    y[::10] += 50
    return x, y


# The tuning constant


def exact_efficiency(c: Mp) -> Mp:
    """Quadrature of the definition."""
    ends = sorted({mpmath.mpf(0), c / 10, c, 10 * c, mpmath.mpf(8), mpmath.inf})

    def mean(function: Callable[[Mp], Mp]) -> Mp:
        return mpmath.quad(lambda z: function(z) * 2 * mpmath.npdf(z), ends)

    return mean(lambda z: (1 + z / c) ** -2) ** 2 / mean(lambda z: (z / (1 + z / c)) ** 2)


@pytest.mark.parametrize("wanted", ["0.7", "0.95", "0.99"])
def test_tuning_constants_are_those_of_quadrature(wanted: str) -> None:
    c = robust.tuning_constant(float(wanted))
    with mpmath.workdps(22):
        below, above = (exact_efficiency(mpmath.mpf(c) * (1 + e)) - mpmath.mpf(wanted) for e in (-1e-6, 1e-6))
        root = c * (1 - 1e-6 * (above + below) / (above - below))  # of the line through both
    assert abs(root - c) <= 1e-11 * max(c, 1)


def test_the_usual_constant() -> None:
    assert robust.tuning_constant() == pytest.approx(1.39977681246402, abs=1e-13)
    assert pytest.approx(robust.FAIR_95, abs=1e-13) == robust.tuning_constant(0.95)


def test_the_efficiency_goes_from_the_median_s_to_the_mean_s() -> None:
    c = np.geomspace(1e-8, 1e9, 200).reshape(2, 100)
    efficiency = robust.efficiency(c)
    assert efficiency.shape == c.shape
    assert np.all(np.diff(efficiency.ravel()) > -1e-15)
    assert efficiency[0, 0] == pytest.approx(2 / np.pi, abs=2e-7)
    assert robust.efficiency(np.inf) == robust.efficiency(1e300) == 1.0
    assert efficiency.max() == 1.0
    assert robust.efficiency(2) == robust.efficiency(2.0)


@settings(max_examples=25, deadline=None)
@given(st.floats(-7, 4))
def test_the_constant_inverts_the_efficiency(exponent: float) -> None:
    c = 10**exponent
    assert robust.tuning_constant(robust.efficiency(c)) == pytest.approx(c, rel=1e-6)


# SciPy's loss


def test_the_loss_and_its_derivatives_in_scipy_s_form() -> None:
    z = np.array([5e-324, 1e-300, 1e-20, 1e-3, 1.0, 50.0, 1e20, 1e300])
    found = robust.fair_loss(z)
    with mpmath.workdps(700):
        for column, square in zip(found.T, z, strict=True):
            root = mpmath.sqrt(mpmath.mpf(square))
            exact = (2 * fair(root, 1), 1 / (1 + root), -1 / (2 * root * (1 + root) ** 2))
            assert column == pytest.approx([float(value) for value in exact], rel=2e-15, abs=1e-320)
    with np.errstate(all="raise"):
        assert robust.fair_loss([0.0]).T.tolist() == [[0.0, 1.0, 0.0]]
    assert robust.fair_loss([np.inf, np.nan])[:, 0].tolist() == [np.inf, 0.0, 0.0]
    assert np.isnan(robust.fair_loss([np.nan])[:2]).all()
    assert robust.fair_loss(np.array([], int)).shape == (3, 0)


@pytest.mark.parametrize("method", ["trf", "dogbox"])
def test_least_squares_starts_where_residuals_are_zero(method: str) -> None:
    t = np.arange(9.0)
    y = 2 + t + np.where(t == 4, 30, 0)

    def residuals(p: Array) -> Array:
        misfit: Array = p[0] + p[1] * t - y
        return misfit

    assert np.count_nonzero(residuals(np.array([2.0, 1.0]))) == 1
    fitted = least_squares(residuals, [2.0, 1.0], loss=robust.fair_loss, f_scale=0.01, method=method)
    assert fitted.x == pytest.approx([2, 1], abs=0.01)
    assert fitted.cost == pytest.approx(float(fair(30, 0.01)), rel=0.01)


# statsmodels


def test_the_norm_passes_statsmodels_own_test() -> None:
    from statsmodels.robust.tests import test_norms

    test_norms.test_norms_consistent((robust.FairNorm, (0.7,)))
    assert 1 / tools._var_normal(robust.FairNorm()) == pytest.approx(0.95, abs=1e-7)


def test_the_norm_s_numbers() -> None:
    norm = robust.FairNorm(2.0)
    z = [0, 2, -6]
    assert norm.rho(z).tolist() == pytest.approx([float(fair(r, 2)) for r in z], rel=1e-15)
    assert norm.psi(z).tolist() == [0, 1, -1.5]
    assert norm.weights(z).tolist() == [1, 0.5, 0.25]
    assert norm.psi_deriv(z).tolist() == [1, 0.25, 0.0625]
    assert (norm(2.0), norm.psi(np.inf), norm.weights(np.inf), norm.max_rho()) == (norm.rho(2), 2, 0, np.inf)
    assert (norm.continuous, norm.redescending, repr(norm)) == (2, "not", "FairNorm(c=2.0)")
    assert isinstance(norm, norms.RobustNorm)
    assert pickle.loads(pickle.dumps(norm)).c == 2


def test_the_norm_s_constant_is_set_as_statsmodels_sets_it() -> None:
    norm = robust.FairNorm()
    assert norm._set_tuning_param(3).c == 3
    assert norm.c == robust.FAIR_95
    assert norm._set_tuning_param(3, inplace=True) is norm
    assert norm.c == 3


def test_stack_loss() -> None:
    data = sm.datasets.stackloss.load()
    exog = sm.add_constant(data.exog)
    fits = [sm.RLM(data.endog, exog, M=robust.FairNorm()).fit(cov=cov) for cov in ("H1", "H2", "H3")]
    assert fits[0].params.to_numpy() == pytest.approx([-39.7985, 0.8017, 0.9430, -0.1280], abs=5e-5)
    errors = np.array([fit.bse for fit in fits])
    assert errors == pytest.approx(errors[:1].repeat(3, axis=0), rel=0.3)
    assert "FairNorm" in str(fits[0].summary())
    model = robust.FairRegressor().fit(data.exog, data.endog)
    assert [model.intercept_, *model.coef_] == pytest.approx(fits[0].params.tolist(), abs=1e-5)
    assert model.scale_ == pytest.approx(fits[0].scale, rel=1e-5)
    assert model.feature_names_in_.tolist() == data.exog.columns.tolist()


# scikit-learn


@pytest.mark.parametrize("estimator", [robust.FairRegressor(), robust.TransformedL1Regressor(n_alphas=3)])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_s_checks(estimator: Any) -> None:
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    assert len(results) > 40
    assert [result for result in results if result["status"] == "failed"] == []


@pytest.mark.parametrize(("n", "c", "intercept"), [(40, 1.4, True), (41, 0.3, True), (40, 5.0, False)])
def test_the_regressor_is_rlm(n: int, c: float, intercept: bool) -> None:
    x, y = problem(n)
    model = robust.FairRegressor(c, fit_intercept=intercept, tol=1e-9).fit(x, y)
    exog = sm.add_constant(x) if intercept else x
    fit = sm.RLM(y, exog, M=robust.FairNorm(c)).fit(tol=1e-12, maxiter=500)
    found = [model.intercept_, *model.coef_] if intercept else model.coef_
    assert found == pytest.approx(fit.params, rel=1e-6)
    assert model.scale_ == pytest.approx(fit.scale, rel=1e-6)
    assert model.predict(x) == pytest.approx(fit.fittedvalues, rel=1e-6)
    assert intercept or model.intercept_ == 0
    assert 1 <= model.n_iter_ <= 200


def test_without_a_bend_the_regressor_is_ridge() -> None:
    x, y = problem()
    for alpha in (0.0, 3.0):
        model = robust.FairRegressor(1e12, alpha=alpha).fit(x, y)
        plain = Ridge(alpha).fit(x, y)
        assert model.coef_ == pytest.approx(plain.coef_, rel=1e-9)
        assert model.intercept_ == pytest.approx(plain.intercept_, rel=1e-9)


def test_a_weight_counts_as_so_many_samples() -> None:
    x, y = problem(30)
    counts = np.arange(30) % 4
    weighted = robust.FairRegressor(tol=1e-10).fit(x, y, counts)
    repeated = robust.FairRegressor(tol=1e-10).fit(x.repeat(counts, axis=0), y.repeat(counts))
    scaled = robust.FairRegressor(tol=1e-10).fit(x, y, counts / 7)
    for other in (repeated, scaled):
        assert weighted.coef_ == pytest.approx(other.coef_, rel=1e-8)
        assert weighted.scale_ == pytest.approx(other.scale_, rel=1e-8)


@settings(max_examples=20, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(0, 3))
def test_the_regressor_follows_shifts_and_scales(shift: float, scale: float, seed: int) -> None:
    x, y = problem(seed=seed)
    model = robust.FairRegressor(tol=1e-8).fit(x, y)
    moved = robust.FairRegressor(tol=1e-8).fit(x, scale * y + shift + x @ [1, -1, 2])
    size = 1e-7 * scale + 1e-9 * abs(shift)
    assert moved.coef_ == pytest.approx(scale * model.coef_ + [1, -1, 2], abs=size + 1e-7)
    assert moved.intercept_ == pytest.approx(scale * model.intercept_ + shift, abs=size + 1e-7)


def test_outliers_move_it_little() -> None:
    x, y = problem()
    clean = np.arange(len(y)) % 10 > 0
    true = LinearRegression().fit(x[clean], y[clean])
    spoiled = LinearRegression().fit(x, y)
    model = robust.FairRegressor().fit(x, y)
    assert np.abs(model.coef_ - true.coef_).max() < 0.2 < np.abs(spoiled.coef_ - true.coef_).max()
    assert abs(model.intercept_ - true.intercept_) < 0.3 < abs(spoiled.intercept_ - true.intercept_)


@pytest.mark.parametrize("estimator", [robust.FairRegressor(), robust.TransformedL1Regressor()])
def test_degenerate_data(estimator: Any) -> None:
    """No warning, and a fit: constants, one sample, more features than samples, twice the same feature."""
    x, y = problem(20)
    for exponent in (-150, 0, 150):
        model = clone(estimator).fit(x, np.full(20, 10.0**exponent))
        assert model.predict(x) == pytest.approx(10.0**exponent, rel=1e-12)
    assert clone(estimator).fit(x, np.zeros(20)).predict(x).tolist() == [0.0] * 20
    assert clone(estimator).fit(x[:1], y[:1]).predict(x[:1]) == pytest.approx(y[:1])
    assert np.isfinite(clone(estimator).fit(x[:2], y[:2]).coef_).all()
    assert np.isfinite(clone(estimator).fit(np.column_stack([x, x, 0 * x]), y).coef_).all()


def test_where_most_points_fit_exactly_they_decide() -> None:
    x = np.random.default_rng(0).standard_normal((31, 2))
    y = x @ [2.0, -3.0] + 1
    y[:4] += 1e6
    model = robust.FairRegressor().fit(x, y)
    assert model.coef_ == pytest.approx([2, -3], rel=1e-6)
    assert model.intercept_ == pytest.approx(1, rel=1e-6)
    assert model.scale_ < 1e-6


def test_too_few_iterations_are_told() -> None:
    x, y = problem()
    for estimator in (robust.FairRegressor(max_iter=2), robust.TransformedL1Regressor(0.05, max_iter=1)):
        with pytest.warns(ConvergenceWarning, match=r"^\w+ did not converge in max_iter = \d iterations$"):
            estimator.fit(x, y)
        assert estimator.n_iter_ == estimator.max_iter


# Transformed L1


@settings(max_examples=40, deadline=None)
@given(st.floats(-3, 3), st.floats(-4, 3), st.integers(0, 2**32 - 1))
def test_nothing_is_better_than_the_prox(log_a: float, log_lam: float, seed: int) -> None:
    a, lam = 10**log_a, 10**log_lam
    penalty = robust.TransformedL1(a)
    v = np.random.default_rng(seed).standard_normal(20) * np.geomspace(0.1, 10, 20) * max(1, lam)

    def objective(x: Array) -> Array:
        result: Array = (x - v) ** 2 / 2 + lam * penalty.value(x)
        return result

    best = objective(penalty.prox(v, lam))
    for share in np.linspace(0, 1, 201):
        assert np.all(best <= objective(share * v) * (1 + 1e-12) + 1e-300)


@pytest.mark.parametrize("a", [1e-6, 0.1, 1.0, 30.0, 1e8, 1e150])
def test_the_prox_keeps_its_digits(a: float) -> None:
    """The slope of the objective is 0 at the result, to the rounding of v; the formula published loses it."""
    lam = min(0.3, a / 4)
    v = np.array([2.0, 10.0, 1e5])
    x = robust.TransformedL1(a).prox(v, lam)
    with mpmath.workdps(200):
        for point, start in zip(x, v, strict=True):
            slope = (
                point
                - mpmath.mpf(start)
                + mpmath.mpf(lam) * a * (mpmath.mpf(a) + 1) / (a + mpmath.mpf(point)) ** 2
            )
            assert abs(slope) <= 4e-16 * start


def test_the_threshold_of_the_prox() -> None:
    for a, lam in ((1.0, 0.2), (1.0, 0.25), (1.0, 2.0), (0.01, 0.5), (1e6, 3.0)):
        penalty = robust.TransformedL1(a)
        jumps = lam > a**2 / (2 * (a + 1))
        t = np.sqrt(2 * lam * (a + 1)) - a / 2 if jumps else lam * (a + 1) / a
        below, above = penalty.prox([-t * (1 - 1e-9), t * (1 + 1e-9)], lam)
        assert below == 0
        assert above == pytest.approx(np.sqrt(2 * lam * (a + 1)) - a if jumps else 0, rel=1e-4, abs=1e-3)


def test_special_values_of_transformed_l1() -> None:
    penalty = robust.TransformedL1(3)
    with np.errstate(all="raise"):
        assert penalty.prox([-np.inf, np.inf, 0.0], 2.0).tolist() == [-np.inf, np.inf, 0.0]
        assert penalty.prox([-5.0, 0.0, 1e-300], 0.0).tolist() == [-5.0, 0.0, 1e-300]
        assert np.isnan(penalty.prox(np.nan, 2.0))
        assert penalty.value([-np.inf, 0, 1, 3]).tolist() == [4, 0, 1, 2]
        assert penalty.weights([np.inf, 0, -3]).tolist() == pytest.approx([0, 4 / 3, 1 / 3])
    assert penalty.prox(-5.0, 1.0) == -penalty.prox(5.0, 1.0) < -4
    assert penalty.prox(np.ones((2, 0)), 1.0).shape == (2, 0)
    assert robust.TransformedL1(1e12).prox([0.5, -4.0], 1.0) == pytest.approx([0, -3], rel=1e-9)
    assert (penalty, repr(penalty)) == (robust.TransformedL1(3.0), "TransformedL1(a=3.0)")


def test_the_sparse_regressor_is_at_a_stationary_point() -> None:
    x, y = problem(60, 8)
    for alpha, a in ((1.0, 1.0), (0.1, 0.2), (0.5, 1e6)):
        model = robust.TransformedL1Regressor(alpha, a=a).fit(x, y)
        penalty = robust.TransformedL1(a)
        slope = (x - x.mean(axis=0)).T @ (y - model.predict(x)) / len(y)
        zero = model.coef_ == 0
        pull = alpha * penalty.weights(model.coef_)
        assert np.all(np.abs(slope[zero]) <= pull[zero])
        assert slope[~zero] == pytest.approx((pull * np.sign(model.coef_))[~zero], abs=1e-3 * alpha)
        assert model.alpha_ == alpha
        assert np.any(~zero)


def test_the_sparse_regressor_finds_what_there_is() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 120))
    true = np.zeros(120)
    true[[3, 40, 77]] = 2.0, -1.5, 1.0
    y = 7 + x @ true + 0.3 * rng.standard_normal(60)
    model = robust.TransformedL1Regressor().fit(x, y)
    assert np.flatnonzero(model.coef_).tolist() == [3, 40, 77]
    assert model.coef_ == pytest.approx(true, abs=0.2)
    assert model.intercept_ == pytest.approx(7, abs=0.2)
    again = pickle.loads(pickle.dumps(model))
    assert again.predict(x).tobytes() == model.predict(x).tobytes()
    assert robust.TransformedL1Regressor(model.alpha_).fit(x, y).coef_ == pytest.approx(model.coef_, abs=1e-3)


# Bounds


def test_the_box_penalty_and_its_gradient() -> None:
    lower, upper = [-1.0, -np.inf, 0.0, 2.0], [1.0, 5.0, np.inf, 2.0]
    value, gradient = robust.box_penalty([0.5, 5.0, 0.0, 2.0], lower, upper)
    assert (value, gradient.tolist()) == (0, [0, 0, 0, 0])
    x = np.array([-1.5, 5.002, -3.0, 2.4])
    value, gradient = robust.box_penalty(x, lower, upper, 0.1)
    excess = [-0.5, 0.002, -3.0, 0.4]
    assert value == pytest.approx(sum(float(fair(t, 0.1)) for t in excess) / 0.1, rel=1e-12)
    assert gradient == pytest.approx(softsign.softsign(np.array(excess) / 0.1), rel=1e-12)
    assert np.isnan(robust.box_penalty([np.nan], 0, 1)[0])
    assert robust.box_penalty([], 0, 1)[0] == 0


@pytest.mark.parametrize("c", [1e-2, 1e-6])
def test_the_excess_is_as_the_page_says(c: float) -> None:
    """Minimize (x - 3)**2, x at most 1, where the slope is -4; the strength is twice that."""

    def objective(x: Array) -> tuple[float, Array]:
        value, gradient = robust.box_penalty(x, -np.inf, 1.0, c)
        return float((x[0] - 3) ** 2) + 8 * value, 2 * (x - 3) + 8 * gradient

    (x,) = minimize(objective, np.array([0.0]), jac=True, method="BFGS", options={"gtol": 1e-7}).x
    slope = 2 * (3 - x)
    assert x - 1 == pytest.approx(c * slope / (8 - slope), rel=1e-4)
    assert 0 < x - 1 <= c


# Boosted trees


@pytest.mark.parametrize("c", [0.5, 1.0, 30.0])
def test_the_objective_is_lightgbm_s(c: float) -> None:
    """Its source computes c x / (abs(x) + c) and c**2 / (abs(x) + c)**2 of x = prediction - target."""
    rng = np.random.default_rng(0)
    y, p, weight = rng.standard_cauchy((3, 500))
    weight = np.abs(weight)
    x = p - y
    gradient, curvature = robust.fair_objective(c)(y, p)
    assert gradient == pytest.approx(c * x / (np.abs(x) + c), rel=1e-14)
    assert curvature == pytest.approx((c / (np.abs(x) + c)) ** 2, rel=1e-14)
    objective = pickle.loads(pickle.dumps(robust.fair_objective(c, "mm")))
    weighted, majorized = objective(y, p.astype(np.float32), sample_weight=weight)
    assert weighted == pytest.approx(weight * gradient, rel=1e-3, abs=1e-6)
    assert majorized == pytest.approx(weight * np.sqrt(curvature), rel=1e-3)
    assert weighted.dtype == majorized.dtype == np.float64


# PyTorch


def test_the_loss_in_pytorch() -> None:
    r = torch.tensor([0.0, -1e-3, 2.0, -300.0], dtype=torch.float64)
    each = FairLoss(2.0, "none")(r + 1, torch.ones_like(r))
    exact = [float(fair(value - 1, 2)) for value in (r + 1).tolist()]
    assert each.tolist() == pytest.approx(exact, rel=1e-14)
    assert FairLoss(2.0)(r, 0 * r).item() == pytest.approx(each.mean().item(), rel=1e-9)
    assert FairLoss(2.0, reduction="sum")(r, 0 * r).item() == pytest.approx(each.sum().item(), rel=1e-9)
    r.requires_grad_()
    (slope,) = torch.autograd.grad(FairLoss(2.0, "sum")(r, torch.zeros_like(r)), r, create_graph=True)
    assert slope.tolist() == pytest.approx([2 * x / (2 + abs(x)) for x in r.tolist()], rel=1e-14)
    (bend,) = torch.autograd.grad(slope.sum(), r)
    assert bend.tolist() == pytest.approx([(1 + abs(x) / 2) ** -2 for x in r.tolist()], rel=1e-14)
    half = torch.tensor([0.0, 100.0], dtype=torch.float16, requires_grad=True)
    loss = FairLoss(300.0)(half, torch.zeros_like(half))
    assert loss.dtype == torch.float32
    assert torch.autograd.grad(loss * 512, half)[0].tolist() == [
        0,
        512 / 2 * 75,
    ]  # 512 * 300**2 is no float16
    assert repr(FairLoss(2.0, "sum")) == "FairLoss(c=2.0, reduction='sum')"
    with pytest.raises(ValueError, match=r"one shape, got \[2, 1\] and \[2\]"):
        FairLoss()(torch.ones(2, 1), torch.ones(2))
    for c in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match=f"FairLoss: c must be above 0 and finite, got {c}"):
            FairLoss(c)
    with pytest.raises(ValueError, match="FairLoss: reduction must be 'mean', 'sum' or 'none', got 'max'"):
        FairLoss(reduction="max")


# Bad input

X, Y = problem(20)
ABOVE_0 = "but must be a positive number below infinity"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: robust.tuning_constant(0.6),
            r"efficiency is 0\.6, but must be between 2/pi = 0\.63662 .* and 1",
        ),
        (lambda: robust.tuning_constant(2 / np.pi), r"must be between 2/pi = 0\.63662"),
        (lambda: robust.tuning_constant(1.0), r"efficiency is 1\.0, but must be between"),
        (lambda: robust.tuning_constant(np.nan), "tuning_constant: efficiency is nan"),
        (lambda: robust.efficiency([1.0, 1e-9, -1.0]), "efficiency: c is 1e-09, but must be 1e-08 or larger"),
        (lambda: robust.efficiency(np.nan), "efficiency: c is nan"),
        (lambda: robust.FairNorm(0), f"FairNorm: c is 0.0, {ABOVE_0}"),
        (lambda: robust.FairNorm()._set_tuning_param(-1, inplace=True), f"FairNorm: c is -1.0, {ABOVE_0}"),
        (lambda: robust.FairRegressor(-1.0).fit(X, Y), f"FairRegressor: c is -1.0, {ABOVE_0}"),
        (lambda: robust.FairRegressor(tol=0).fit(X, Y), f"FairRegressor: tol is 0.0, {ABOVE_0}"),
        (
            lambda: robust.FairRegressor(alpha=-1).fit(X, Y),
            "alpha is -1, but must be 0 or larger, and finite",
        ),
        (lambda: robust.FairRegressor(max_iter=0).fit(X, Y), "max_iter is 0, but must be at least 1"),
        (lambda: robust.FairRegressor().fit(X * [1, np.nan, 1], Y), "Input X contains NaN"),
        (lambda: robust.FairRegressor().fit(X, Y * np.nan), "Input y contains NaN"),
        (lambda: robust.FairRegressor().fit(X, Y, -np.ones(20)), "Negative values in data passed to"),
        (lambda: robust.TransformedL1Regressor().fit(0 * X + np.inf, Y), "Input X contains infinity"),
        (
            lambda: robust.TransformedL1Regressor(0.0).fit(X, Y),
            f"TransformedL1Regressor: alpha is 0.0, {ABOVE_0}",
        ),
        (lambda: robust.TransformedL1Regressor(a=-2).fit(X, Y), f"TransformedL1: a is -2.0, {ABOVE_0}"),
        (
            lambda: robust.TransformedL1Regressor(n_alphas=0).fit(X, Y),
            "n_alphas is 0, but must be at least 1",
        ),
        (
            lambda: robust.TransformedL1Regressor(max_iter=0).fit(X, Y),
            "max_iter is 0, but must be at least 1",
        ),
        (lambda: robust.TransformedL1(0.0), f"TransformedL1: a is 0.0, {ABOVE_0}"),
        (lambda: robust.TransformedL1().prox(1.0, -0.5), "lam is -0.5, but must be 0 or larger, and finite"),
        (lambda: robust.TransformedL1().prox(1.0, np.nan), "TransformedL1.prox: lam is nan"),
        (lambda: robust.fair_objective(-3), f"fair_objective: c is -3.0, {ABOVE_0}"),
        (lambda: robust.fair_objective(1, "no"), "curvature is 'no', but must be 'newton' or 'mm'"),  # type: ignore[arg-type]
        (lambda: robust.box_penalty([1, 2], [0, 3], [1, 2]), r"lower is 3\.0 where upper is 2\.0, but"),
        (lambda: robust.box_penalty([1], np.nan, 1), "box_penalty: lower is nan where upper is 1.0"),
        (lambda: robust.box_penalty([1], [0, 0], 1), "broadcast"),
        (lambda: robust.box_penalty([1], 0, 1, 0), f"box_penalty: c is 0.0, {ABOVE_0}"),
    ],
)
def test_bad_values_are_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: robust.tuning_constant("0.95"),  # type: ignore[arg-type]
        lambda: robust.efficiency(1j),
        lambda: robust.FairNorm([1.0]),  # type: ignore[arg-type]
        lambda: robust.FairRegressor("huge").fit(X, Y),  # type: ignore[arg-type]
        lambda: robust.TransformedL1("1"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_number_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"(c|a|efficiency) (is|has dtype) .*, but must be"):
        call()


# Doors

LACKING = """
import sys
from softsign.applications import robust
brought = {name.partition(".")[0] for name in sys.modules} & {"scipy", "sklearn", "statsmodels", "torch"}
print(sorted(brought), "FairNorm" in dir(robust), robust.efficiency(1.0).round(3))

class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name in ("sklearn", "statsmodels"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Lacking())
import importlib.util
importlib.util.find_spec = lambda name: None
print(sorted(set(robust.__all__) - set(dir(robust))))
for name in ("FairNorm", "FairRegressor", "TransformedL1Regressor", "Nothing"):
    try:
        exec(f"from softsign.applications.robust import {name}")
    except ImportError as error:
        print(f"{type(error).__name__}: {error}")
"""


def test_the_doors() -> None:
    lines = run_python(LACKING).stdout.splitlines()
    assert lines[0] == "[] True 0.931"
    assert lines[1] == "['FairNorm', 'FairRegressor', 'TransformedL1Regressor']"
    assert lines[2] == "ModuleNotFoundError: FairNorm needs statsmodels: pip install 'softsign[robust]'"
    needs = "needs scikit-learn: pip install 'softsign[robust]'"
    assert lines[3] == f"ModuleNotFoundError: FairRegressor {needs}"
    assert lines[4] == f"ModuleNotFoundError: TransformedL1Regressor {needs}"
    assert lines[5].startswith("ImportError: cannot import name 'Nothing'")
    assert set(robust.__all__) == set(dir(robust))
    assert all(getattr(robust, name).__doc__ for name in robust.__all__)
    room, door = softsign.applications, "robust"
    assert getattr(room, door) is robust
    assert not hasattr(room, "nothing")
