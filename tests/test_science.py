"""softsign.applications.science: published fits, laws of the fit, bad input."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from softsign.applications.science import SaturationFit, fit_saturation
from tests.helpers import run_python

#: R's data set Puromycin: speed of an enzyme (counts/min/min) by concentration of its substrate (ppm), cells
#: treated with puromycin and not. M. A. Treloar, "Effects of Puromycin on Galactosyltransferase in Golgi
#: Membranes", M.Sc. thesis, University of Toronto, 1974; in Bates and Watts, "Nonlinear Regression Analysis
#: and Its Applications", Wiley, 1988, appendix A1.3.
CONCENTRATION = np.array([0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.10, 1.10])
TREATED = np.array([76, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200])
UNTREATED = np.array([67, 51, 84, 86, 98, 115, 131, 124, 144, 158, 160])


def digits(fit: SaturationFit) -> tuple[str, ...]:
    return tuple(f"{value:.4g}" for value in (fit.a, fit.k, fit.a_error, fit.k_error, fit.residual_error))


def test_published_fits() -> None:
    """What R's nls and Bates and Watts have."""
    treated, untreated = fit_saturation(CONCENTRATION, TREATED), fit_saturation(CONCENTRATION[:11], UNTREATED)
    assert digits(treated) == ("212.7", "0.06412", "6.947", "0.008281", "10.93")
    assert digits(untreated) == ("160.3", "0.04771", "6.48", "0.007782", "9.773")
    assert (treated.degrees_of_freedom, untreated.degrees_of_freedom) == (10, 9)
    assert treated.covariance[0, 1] / (treated.a_error * treated.k_error) == pytest.approx(0.7651, abs=1e-4)


def test_predict() -> None:
    fit = fit_saturation(CONCENTRATION, TREATED)
    assert fit.predict([[0.0, fit.k], [3 * fit.k, math.inf]]) == pytest.approx(
        fit.a * np.array([[0, 0.5], [0.75, 1]])
    )
    residuals = TREATED - fit.predict(CONCENTRATION)
    assert np.sqrt(np.sum(residuals**2) / 10) == pytest.approx(fit.residual_error)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("sigma", [2.5, np.linspace(1, 20, 12)], ids=["one", "each"])
def test_weights_are_those_of_scipy(sigma: Any, absolute: bool) -> None:
    fit = fit_saturation(CONCENTRATION, TREATED, sigma=sigma, absolute_sigma=absolute)
    best, covariance = curve_fit(
        lambda x, a, k: a * x / (k + x),
        CONCENTRATION,
        TREATED,
        [200, 0.1],
        np.broadcast_to(sigma, 12),
        absolute_sigma=absolute,
    )
    assert [fit.a, fit.k] == pytest.approx(best, rel=1e-4)  # SciPy's differences for derivatives stop sooner
    assert fit.covariance == pytest.approx(covariance, rel=1e-3)
    assert [fit.a_error, fit.k_error] == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-3)


def test_a_gross_error_of_no_weight_does_not_count() -> None:
    """Not even for the start, which it would put beyond the data."""
    x, y = np.append(CONCENTRATION, 5.0), np.append(TREATED, 1e7)
    fit, other = fit_saturation(x, y, sigma=[*[1.0] * 12, 1e12]), fit_saturation(CONCENTRATION, TREATED)
    assert [fit.a, fit.k] == pytest.approx([other.a, other.k], rel=1e-4)
    with pytest.raises(ValueError, match="y does not bend over"):
        fit_saturation(x, y)


@given(st.floats(1e-6, 1e6), st.floats(-1e6, 1e6), st.floats(-2, 2), st.integers(3, 40))
def test_an_exact_hyperbola_is_found(unit: float, a: float, where: float, points: int) -> None:
    """In any unit, and for data that reach from a hundredth to a hundred times k."""
    assume(abs(a) > 1e-6)
    k = unit * 10**where
    x = unit * np.geomspace(0.1, 10, points)
    fit = fit_saturation(x, a * x / (k + x))
    assert [fit.a, fit.k] == pytest.approx([a, k], rel=1e-6)
    assert fit.a_error < 1e-6 * abs(a)


@pytest.mark.parametrize("unit", [1e-30, 1e-9, 1e9, 1e30])
def test_units_change_nothing_else(unit: float) -> None:
    fit, other = fit_saturation(CONCENTRATION, TREATED), fit_saturation(CONCENTRATION * unit, TREATED / unit)
    scaled = (other.a * unit, other.k / unit, other.a_error * unit, other.k_error / unit)
    assert scaled == pytest.approx(fit[:4], rel=1e-7)


def test_standard_errors_cover_the_truth() -> None:
    """In 300 noisy experiments, a and k are within two standard errors about 92 % of the time."""
    rng, x = np.random.default_rng(0), np.geomspace(0.1, 10, 10)
    inside = np.zeros(2)
    for _ in range(300):
        fit = fit_saturation(x, 2 * x / (0.7 + x) + 0.05 * rng.standard_normal(10))
        inside += abs(fit.a - 2) < 2 * fit.a_error, abs(fit.k - 0.7) < 2 * fit.k_error
    assert (inside > 260).all()
    assert (inside < 295).all()


@pytest.mark.parametrize(
    ("x", "y", "sigma", "words"),
    [
        ([1, 2, 3], [1, 2], None, r"x has shape \(3,\) and y \(2,\), but both must have the same"),
        ([[1, 2, 3]], [[1, 2, 3]], None, r"x has shape \(1, 3\) and y \(1, 3\)"),
        (1.0, 1.0, None, r"x has shape \(\) and y \(\)"),
        ([], [], None, "x has 0 points, but must have at least 3, and 2 different ones above 0"),
        ([1, 2], [1, 2], None, "x has 2 points"),
        ([0, 1, 1, 1], [0, 1, 2, 3], None, "x has 4 points, but must have at least 3, and 2 different ones"),
        ([1, -2, 3], [1, 2, 3], None, r"x\[1\] is -2, but must be finite and at least 0"),
        ([1, 2, math.inf], [1, 2, 3], None, r"x\[2\] is inf, but must be finite and at least 0"),
        ([1, 2, 3], [1, math.nan, 3], None, r"y\[1\] is nan, but must be finite$"),
        ([1, 2, 3], [1, 2, 3], 0.0, "sigma is 0.0, but must be finite and positive"),
        ([1, 2, 3], [1, 2, 3], [1, 1, math.nan], r"sigma\[2\] is nan, but must be finite and positive"),
        (
            [1, 2, 3],
            [1, 2, 3],
            [1, 1],
            r"sigma has shape \(2,\), but must be one number or have that of x, \(3,\)",
        ),
        (
            [1, 2, 3],
            [2, 4, 6],
            None,
            "y does not bend over: k would be above 30000, 10000 times the largest x",
        ),
        ([1, 2, 3], [1, 4, 9], None, "y does not bend over"),
        (
            [1, 2, 3],
            [5, 5, 5],
            None,
            r"y does not rise with x: k would be below 0.0001, the smallest x / 10000",
        ),
        ([1, 2, 3], [0, 0, 0], None, "y does not rise with x"),
    ],
)
def test_bad_values(x: Any, y: Any, sigma: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit_saturation(x, y, sigma=sigma)


@pytest.mark.parametrize("name", ["x", "y", "sigma"])
def test_bad_types(name: str) -> None:
    arguments: dict[str, Any] = {"x": [1, 2, 3], "y": [1, 2, 2.5], "sigma": None, name: [1j, 2, 3]}
    with pytest.raises(TypeError, match=f"{name} has dtype complex128, but must be real numbers"):
        fit_saturation(**arguments)


def test_scipy_is_asked_for_by_name() -> None:
    done = run_python(
        "import sys; sys.modules['scipy'] = sys.modules['scipy.optimize'] = None\n"
        "from softsign.applications.science import fit_saturation\n"
        "try: fit_saturation([1, 2, 3], [1, 2, 2.5])\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    assert done.stdout == "fit_saturation needs SciPy: pip install 'softsign[science]'\n", done.stderr
