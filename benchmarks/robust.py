"""Measure robust fitting beside its peers: `make bench-robust`.

Tuning constants against quadrature with 30 digits; Brownlee's stack loss data by statsmodels' RLM; what
scikit-learn's own checks say; how often sparse regression finds the true coefficients; variances under
contaminated errors; and boosted trees, if LightGBM and XGBoost are installed, where Fair's loss loses. The
exit code is 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import scipy
import sklearn
import statsmodels
import statsmodels.api as sm
from harness import Table, Target, conclude, machine, positive, section_to_write
from scipy import integrate, optimize, stats
from sklearn import datasets
from sklearn.linear_model import LassoCV, lasso_path
from sklearn.utils.estimator_checks import check_estimator
from statsmodels.robust import norms

from softsign import softsign
from softsign.applications.robust import (
    FAIR_95,
    FairNorm,
    FairRegressor,
    TransformedL1Regressor,
    fair_objective,
    tuning_constant,
)
from softsign.variants import soft_abs

PAGE = Path(__file__).parents[1] / "docs" / "applications" / "robust.md"

Array = npt.NDArray[np.float64]
Mp = Any  # mpmath.mpf, which has no types

#: Fair's fit of the stack loss data, intercept first, found by RLM with a norm written apart from this one.
STACKLOSS = (-39.7985, 0.8017, 0.9430, -0.1280)


@functools.cache
def imported(name: str) -> ModuleType | None:
    """Import a peer if it is installed, and say so if it is not."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"missing: {name}; pip install {name}")
        return None


# Constants


def exact_efficiency(c: Mp) -> Mp:
    """Return the efficiency by quadrature, straight from its definition."""
    ends = [0, *(end for end in sorted([c / 10, c, 10 * c, mpmath.mpf(1)]) if end < 8), 8, mpmath.inf]

    def mean(function: Callable[[Mp], Mp]) -> Mp:
        return mpmath.quad(lambda z: function(z) * 2 * mpmath.npdf(z), ends)

    return mean(lambda z: 1 / (1 + z / c) ** 2) ** 2 / mean(lambda z: (z / (1 + z / c)) ** 2)


def measure_constants() -> tuple[Table, Target]:
    """Compare tuning constants with roots of the quadrature."""
    lines, worst = [], 0.0
    with mpmath.workdps(30):
        for wanted in ("0.65", "0.8", "0.85", "0.9", "0.95", "0.98", "0.99"):
            ours = tuning_constant(float(wanted))
            exact = mpmath.findroot(
                lambda c, wanted=wanted: exact_efficiency(c) - mpmath.mpf(wanted), (ours, ours * 1.001)
            )
            error = abs(float(ours - exact))
            worst = max(worst, error)
            lines.append((wanted, f"{ours:.12f}", f"{error:.0e}"))
    target = Target("tuning constants, largest error", worst, 1e-10)
    return Table("Tuning constants", ("efficiency", "c", "error"), lines), target


# Stack loss


def minimum(endog: Array, exog: Array, scale: float, start: Array) -> Array:
    """Return the minimizer of Fair's loss at a scale, by BFGS instead of weighted least squares."""

    def loss(coefficients: Array) -> tuple[float, Array]:
        z = (endog - exog @ coefficients) / scale
        slope = -exog.T @ softsign(z / FAIR_95) / scale
        return float(np.sum(soft_abs(z, FAIR_95))), slope

    result: Array = optimize.minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-8}).x
    return result


def measure_stackloss() -> tuple[Table, list[Target]]:
    """Fit the stack loss data by several norms."""
    data = sm.datasets.stackloss.load()
    endog, exog = np.asarray(data.endog), np.asarray(sm.add_constant(data.exog))
    plain = sm.OLS(endog, exog).fit().params
    found = {"least squares": plain}
    for norm in (norms.HuberT(), norms.TukeyBiweight(), FairNorm()):
        fit = sm.RLM(endog, exog, M=norm).fit()
        found[f"RLM, {type(norm).__name__}"] = fit.params
    ours = fit.params
    model = FairRegressor().fit(exog[:, 1:], endog)
    others = {
        "FairRegressor": np.array([model.intercept_, *model.coef_]),
        "BFGS at RLM's scale": minimum(endog, exog, fit.scale, plain),
    }
    lines = [(name, *(f"{number:.4f}" for number in fit)) for name, fit in (found | others).items()]
    targets = [
        Target(f"stack loss, FairNorm / {name}, largest difference", float(np.max(np.abs(ours - fit))), 5e-5)
        for name, fit in ({"coefficients known": np.array(STACKLOSS)} | others).items()
    ]
    header = ("", "intercept", "air flow", "temperature", "acid")
    return Table("Brownlee's stack loss data", header, lines), targets


# scikit-learn's checks


def measure_checks() -> tuple[Table, Target]:
    """Count what scikit-learn's own checks say of the estimators."""
    lines, failures = [], 0
    for estimator in (FairRegressor(), TransformedL1Regressor()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = check_estimator(estimator, on_fail=None, on_skip=None)
        counts = [sum(r["status"] == status for r in results) for status in ("passed", "skipped", "failed")]
        failures += counts[-1]
        lines.append((type(estimator).__name__, *map(str, counts)))
    target = Target("checks of scikit-learn that fail", failures, 0)
    return Table("check_estimator", ("", "passed", "skipped", "failed"), lines), target


# Sparse regression


def sparse_problem(seed: int) -> tuple[Array, Array, Array]:
    """Draw 100 samples of 300 features, neighbors correlated by 1/2, ten with an effect of 1 to 2."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((100, 300))
    features = np.empty_like(noise)
    features[:, 0] = noise[:, 0]
    for j in range(1, noise.shape[1]):
        features[:, j] = 0.5 * features[:, j - 1] + np.sqrt(0.75) * noise[:, j]
    coef = np.zeros(noise.shape[1])
    chosen = rng.choice(len(coef), 10, replace=False)
    coef[chosen] = rng.choice([-1, 1], 10) * rng.uniform(1, 2, 10)
    return features, features @ coef + 0.5 * rng.standard_normal(len(features)), coef


def extended_bic(features: Array, targets: Array, coef: Array) -> float:
    """Return the criterion by which `TransformedL1Regressor` chooses, for peers that have none."""
    (n, p), k = features.shape, np.count_nonzero(coef)
    squares = float(np.sum((targets - features @ coef) ** 2))
    return n * np.log(squares / n) + k * (np.log(n) + 2 * np.log(p)) if k <= n / 2 else np.inf


def paths(features: Array, targets: Array) -> dict[str, list[Array]]:
    """Return for each method the coefficients among which it may choose; the best one counts."""
    warnings.simplefilter("ignore")
    kwargs = {"fit_intercept": False}
    found = {
        "TransformedL1Regressor": [TransformedL1Regressor(**kwargs).fit(features, targets).coef_],
        "LassoCV": [LassoCV(**kwargs).fit(features, targets).coef_],
        "lasso, the best of its path": list(lasso_path(features, targets)[1].T),
    }
    if skglm := imported("skglm"):
        largest = np.max(np.abs(features.T @ targets)) / len(features)
        alphas = largest * np.geomspace(1, 0.01, 25)
        path = [skglm.MCPRegression(alpha=alpha, **kwargs).fit(features, targets).coef_ for alpha in alphas]
        found["MCP (skglm), extended BIC"] = [
            min(path, key=lambda coef: extended_bic(features, targets, coef))
        ]
    return found


def measure_sparse(runs: int) -> tuple[Table, Target]:
    """Count how often exactly the true coefficients are found, and take the mean of F1."""
    exact: dict[str, list[bool]] = {}
    scores: dict[str, list[float]] = {}
    for seed in range(runs):
        features, targets, coef = sparse_problem(seed)
        true = coef != 0
        for name, path in paths(features, targets).items():
            supports = [found != 0 for found in path]
            f1 = [2 * np.sum(true & found) / (np.sum(true) + np.sum(found)) for found in supports]
            exact.setdefault(name, []).append(any(np.array_equal(true, found) for found in supports))
            scores.setdefault(name, []).append(float(max(f1)))
    lines = [(name, f"{sum(hits)} of {runs}", f"{np.mean(scores[name]):.3f}") for name, hits in exact.items()]
    missed = runs - sum(exact["TransformedL1Regressor"])
    target = Target(f"runs of {runs} in which TransformedL1Regressor has another support", missed, 0)
    return Table("True coefficients, 10 of 300, from 100 samples", ("", "exactly", "F1"), lines), target


# Contaminated errors

DISTRIBUTIONS: dict[str, Callable[[Array], Array]] = {
    "normal": stats.norm.pdf,
    **{
        f"{share:.0%} of deviation {wide}": lambda x, share=share, wide=wide: (  # type: ignore[misc]
            (1 - share) * stats.norm.pdf(x) + share * stats.norm.pdf(x, scale=wide)
        )
        for share, wide in ((0.05, 3), (0.05, 10), (0.2, 10))
    },
    "Student, 3": stats.t(3).pdf,
}


def measure_variances() -> Table:
    """Compute asymptotic variances of the estimate of a center, the scale being known."""
    contestants = {
        "mean": norms.LeastSquares(),
        "HuberT(1.345)": norms.HuberT(),
        "FairNorm(1.4)": FairNorm(),
        "FairNorm(0.635)": FairNorm(tuning_constant(0.9)),
        "TukeyBiweight(4.685)": norms.TukeyBiweight(),
    }
    lines = []
    u = np.linspace(0, 20, 200_001)
    z, width = np.sinh(u), np.cosh(u)
    for name, norm in contestants.items():
        psi, slope = norm.psi(z), norm.psi_deriv(z)
        row = []
        for density in DISTRIBUTIONS.values():
            weight = 2 * density(z) * width
            row.append(integrate.simpson(psi**2 * weight, x=u) / integrate.simpson(slope * weight, x=u) ** 2)
        pull = np.max(psi) / integrate.simpson(slope * 2 * stats.norm.pdf(z) * width, x=u)
        lines.append((name, *(f"{v:.3f}" for v in row), f"{pull:.2f}" if name != "mean" else "∞"))
    halves = (1 / (2 * float(density(np.zeros(1))[0])) for density in DISTRIBUTIONS.values())
    median = [f"{half**2:.3f}" for half in halves]
    lines.insert(1, ("median", *median, f"{np.sqrt(np.pi / 2):.2f}"))
    header = ("", *DISTRIBUTIONS, "largest influence")
    return Table("Variance of the estimate of a center, times the number of observations", header, lines)


# Boosted trees


def boosters() -> dict[str, Callable[[], Any]]:
    """Return makers of the estimators that are compared."""
    makers: dict[str, Callable[[], Any]] = {}
    shared = {"n_estimators": 200, "learning_rate": 0.1, "n_jobs": 1}
    if lightgbm := imported("lightgbm"):
        light = shared | {"verbose": -1, "num_leaves": 15}
        for name, objective in {
            "LightGBM, regression": "regression",
            "LightGBM, huber": "huber",
            "LightGBM, fair": "fair",
            "LightGBM, fair_objective(1)": fair_objective(1.0),
        }.items():
            # Without boost_from_average, which objectives of users do not have.
            plain = {"boost_from_average": False} if "fair" in name else {}
            makers[name] = lambda objective=objective, plain=plain: lightgbm.LGBMRegressor(  # type: ignore[misc]
                objective=objective, **light, **plain
            )
    if xgboost := imported("xgboost"):
        for name, objective in {
            "XGBoost, squared error": "reg:squarederror",
            "XGBoost, pseudo-Huber": "reg:pseudohubererror",
            "XGBoost, absolute error": "reg:absoluteerror",
            'XGBoost, fair_objective(1, "newton")': fair_objective(1.0),
            'XGBoost, fair_objective(1, "mm")': fair_objective(1.0, "mm"),
        }.items():
            makers[name] = lambda objective=objective: xgboost.XGBRegressor(  # type: ignore[misc]
                objective=objective, max_depth=4, **shared
            )
    return makers


def tables_of_numbers() -> dict[str, tuple[Array, Array]]:
    """Return data sets, the targets with mean 0 and deviation 1."""
    sets = {
        "diabetes": datasets.load_diabetes(return_X_y=True),
        "friedman1": datasets.make_friedman1(1000, noise=1.0, random_state=0),
        "friedman2": datasets.make_friedman2(1000, noise=50.0, random_state=0),
    }
    return {name: (x, (y - y.mean()) / y.std()) for name, (x, y) in sets.items()}


def measure_boosting(rounds: int) -> tuple[list[Table], list[Target]]:
    """Compare errors on clean data of boosted trees that learned from data with 10 % outliers."""
    makers = boosters()
    data = tables_of_numbers()
    errors = {name: np.zeros(len(data)) for name in makers}
    difference = 0.0
    for column, (x, y) in enumerate(data.values()):
        for seed in range(rounds):
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(y))
            learn, test = order[len(y) // 4 :], order[: len(y) // 4]
            spoiled = y + 10 * rng.choice([-1, 1], len(y)) * (rng.uniform(size=len(y)) < 0.1)
            found = {
                name: make().fit(x[learn], spoiled[learn]).predict(x[test]) for name, make in makers.items()
            }
            for name, predicted in found.items():
                errors[name][column] += np.mean(np.abs(predicted - y[test])) / rounds
            if "LightGBM, fair" in found:
                apart = np.abs(found["LightGBM, fair"] - found["LightGBM, fair_objective(1)"])
                difference = max(difference, float(np.max(apart)))
    if not makers:
        return [], []
    lines = [(name, *(f"{error:.3f}" for error in row)) for name, row in errors.items()]
    title = "Mean absolute error of boosted trees, a tenth of the targets learned from off by 10 deviations"
    builtin = difference if imported("lightgbm") else np.nan
    target = Target("LightGBM's fair / fair_objective, largest difference of predictions", builtin, 0)
    return [Table(title, ("", *data), lines)], [target]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=positive, default=20, help="sparse problems (default 20)")
    parser.add_argument(
        "--rounds", type=positive, default=5, help="divisions of the data for boosting (default 5)"
    )
    parser.add_argument(
        "--write", action="store_true", help="write the tables into docs/applications/robust.md as well"
    )
    given = parser.parse_args(arguments)
    section = section_to_write(given, "robust", PAGE)
    constants, error = measure_constants()
    stackloss, differences = measure_stackloss()
    checks, failures = measure_checks()
    sparse, missed = measure_sparse(given.runs)
    boosting, equal = measure_boosting(given.rounds)
    versions = {"SciPy": scipy, "statsmodels": statsmodels, "scikit-learn": sklearn}
    versions |= {name: peer for name in ("skglm", "lightgbm", "xgboost") if (peer := imported(name))}
    origin = machine(1, **{name: package.__version__ for name, package in versions.items()})
    return conclude(
        [constants, stackloss, checks, measure_variances(), sparse, *boosting],
        [error, *differences, failures, missed, *equal],
        section,
        origin,
        PAGE,
    )


if __name__ == "__main__":
    sys.exit(main())
