"""softsign.applications.stats: SciPy's own checks, the tails against exact arithmetic, fit, pickling."""

import inspect
import math
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import stats
from scipy.stats.tests import common_tests, test_continuous_basic

import softsign
from softsign.accuracy import Exact, ulp_error
from softsign.applications import stats as room
from softsign.applications.stats import softsign_dist
from tests.helpers import random_values, run_python

Mp = Any  # mpmath.mpf, which has no types
METHODS = ("pdf", "logpdf", "cdf", "sf", "logcdf", "logsf", "ppf", "isf")


# SciPy's own checks

NAN, NAME, ARGUMENTS = math.nan, "softsign", ()
CHECKS: dict[str, Callable[..., tuple[Any, ...]]] = {
    # what each takes after the distribution and its (no) shape parameters; `x` is a sample
    "check_normalization": lambda x: (NAME,),
    "check_moment": lambda x: (NAN, NAN, NAME),
    "check_mean_expect": lambda x: (NAN, NAME),
    "check_var_expect": lambda x: (NAN, NAN, NAME),
    "check_skew_expect": lambda x: (NAN, NAN, NAN, NAME),
    "check_kurt_expect": lambda x: (NAN, NAN, NAN, NAME),
    "check_munp_expect": lambda x: (NAME,),
    "check_entropy": lambda x: (NAME,),
    "check_private_entropy": lambda x: (stats.rv_continuous,),
    "check_entropy_vect_scale": lambda x: (),
    "check_edge_support": lambda x: (),
    "check_random_state_property": lambda x: (),
    "check_meth_dtype": lambda x: ([getattr(softsign_dist, name) for name in METHODS[:6]],),
    "check_ppf_dtype": lambda x: (),
    "check_pickling": lambda x: (),
    "check_freezing": lambda x: (),
    "check_cdf_ppf": lambda x: (NAME,),
    "check_sf_isf": lambda x: (NAME,),
    "check_cdf_sf": lambda x: (NAME,),
    "check_ppf_isf": lambda x: (NAME,),
    "check_pdf": lambda x: (NAME,),
    "check_pdf_logpdf": lambda x: (NAME,),
    "check_pdf_logpdf_at_endpoints": lambda x: (NAME,),
    "check_cdf_logcdf": lambda x: (NAME,),
    "check_sf_logsf": lambda x: (NAME,),
    "check_ppf_broadcast": lambda x: (NAME,),
    "check_ppf_private": lambda x: (NAME,),
    "check_vecentropy": lambda x: (),
    "check_retrieving_support": lambda x: (),
    "check_loc_scale": lambda x: (NAN, NAN, NAME),
    "check_fit_args": lambda x: (x[:50], "mle"),
    "check_fit_args_fix": lambda x: (x[:50], "mle"),
}
#: Those with other first parameters.
OTHERS = ("check_named_args", "check_rvs_broadcast", "check_distribution_rvs")
EXEMPT = {
    "check_cmplx_deriv": "a function of abs(x) has no complex derivative",
    "check_named_results": "of results, not of distributions",
    "check_sample_meanvar_": "there is no mean and no variance",
    "check_sample_mean": "there is no mean",
    "check_sample_var": "there is no variance",
}


def scipy_check(name: str) -> Callable[..., None]:
    check: Callable[..., None] = getattr(
        common_tests if hasattr(common_tests, name) else test_continuous_basic, name
    )
    return check


@pytest.fixture(scope="module")
def sample() -> Any:
    return softsign_dist.rvs(size=1000, random_state=np.random.default_rng(5))


@pytest.mark.parametrize("name", CHECKS)
def test_scipy_check(name: str, sample: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of integrals that diverge, which SciPy's checks try
        scipy_check(name)(softsign_dist, ARGUMENTS, *CHECKS[name](sample))


def test_scipy_checks_with_other_parameters(sample: Any) -> None:
    methods = [getattr(softsign_dist, name) for name in METHODS[:6]]
    common_tests.check_named_args(softsign_dist, sample[0], ARGUMENTS, (0, 1), methods)
    scale = np.array([1.0, 2.0, 3.0])
    common_tests.check_rvs_broadcast(softsign_dist, NAME, (0.0, scale), (3,), False, "d")
    test_continuous_basic.check_distribution_rvs(softsign_dist.cdf, ARGUMENTS, 0.01, sample)


def test_no_check_of_scipy_is_left_out() -> None:
    found = {
        name
        for module in (common_tests, test_continuous_basic)
        for name, _ in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("check_")
    }
    assert found == {*CHECKS, *OTHERS, *EXEMPT}


# Against exact values


def tail(x: Mp) -> Mp:
    return 1 / (2 * (1 + abs(x)))


def cdf(x: Mp) -> Mp:
    return tail(x) if x < 0 else 1 - tail(x)


def logcdf(x: Mp) -> Mp:
    return mpmath.log(tail(x)) if x < 0 else mpmath.log1p(-tail(x))


def ppf(q: Mp) -> Mp:
    return (2 * q - 1) / (2 * q if q < 0.5 else 2 - 2 * q)


EXACT: dict[str, tuple[Callable[[Mp], Mp], float]] = {
    "pdf": (lambda x: 2 * tail(x) ** 2, 1),
    "cdf": (cdf, 2),
    "sf": (lambda x: cdf(-x), 2),
    "ppf": (ppf, 2),
    "isf": (lambda q: -ppf(q), 2),
    "logpdf": (lambda x: mpmath.log(2 * tail(x) ** 2), 3),
    "logcdf": (logcdf, 3),
    "logsf": (lambda x: logcdf(-x), 3),
}


def points(method: str) -> Any:
    """Numbers of every size from 1e-300 to 1e300, and of every bit pattern, that the method takes."""
    sizes = np.geomspace(1e-300, 1e300, 1201) * np.random.default_rng(0).uniform(0.9, 1.1, 1201)
    drawn = random_values(np.dtype(np.float64), 500)
    near = 2.0 ** -np.arange(1, 54)
    if method in ("ppf", "isf"):
        drawn = drawn[(drawn > 0) & (drawn < 1)]
        return np.concatenate(
            [sizes[sizes < 1], 1 - sizes[(sizes < 1) & (sizes > 1e-16)], near, 1 - near, drawn]
        )
    drawn = drawn[np.isfinite(drawn)]
    return np.concatenate([sizes, -sizes, near, -near, [0.0], drawn])


def exact(values: list[Mp]) -> Exact:
    """What `ulp_error` compares with."""
    rows = []
    for value in values:
        mantissa, exponent = mpmath.frexp(value)
        rows.append((float(mantissa), float(mantissa - float(mantissa)), exponent))
    heads, tails, exponents = np.array(rows, float).T
    return Exact(heads, tails, exponents.astype(np.int64))


@pytest.mark.parametrize("method", METHODS)
def test_error(method: str) -> None:
    function, bound = EXACT[method]
    x = points(method)
    with mpmath.workdps(60):
        values = exact([function(mpmath.mpf(value)) for value in x.tolist()])
    errors = ulp_error(getattr(softsign_dist, method)(x), values)
    assert np.max(np.abs(errors)) <= bound


def test_what_the_formula_loses() -> None:
    """The numbers on the page, beside those of the formula."""
    with np.errstate(divide="ignore"):
        assert (1 - softsign.softsign(1e300)) / 2 == 0 < softsign_dist.sf(1e300) == 5e-301
        assert softsign.inverse(2 * 1e-300 - 1) == -math.inf < softsign_dist.ppf(1e-300) == -0.5 / 1e-300
    assert softsign_dist.isf(5e-324) == math.inf  # exactly 1e323, which is beyond the format


# Moments, random numbers, fit


def test_moments() -> None:
    assert softsign_dist.moment(0) == 1
    assert [softsign_dist.moment(n) for n in (2, 4, 6)] == [math.inf] * 3
    assert np.isnan([softsign_dist.moment(n) for n in (1, 3, 5)]).all()
    assert np.isnan(softsign_dist.stats(moments="mvsk")).all()
    assert softsign_dist.entropy(scale=3) == pytest.approx(2 + math.log(2) + math.log(3), rel=1e-15)


def test_random_numbers_are_exact_quantiles() -> None:
    class Uniform(np.random.Generator):
        def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
            return np.resize([0.0, 0.25, 0.5, 1 - 2.0**-53], size)

    values = softsign_dist.rvs(size=4, random_state=Uniform(np.random.PCG64(0)))
    assert values.tolist() == [1 - 2.0**53, -1, 0, 2.0**52 - 1]


def test_logarithms_of_random_numbers_are_exponential(sample: Any) -> None:
    assert stats.kstest(np.log1p(np.abs(sample)), stats.expon.cdf).pvalue > 0.01
    assert abs(np.mean(sample > 0) - 0.5) < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_fit_is_near_the_most_likely(seed: int) -> None:
    """That of all observations as loc, and of scales 2.5 % apart, is not better by more than 0.1."""
    data = softsign_dist.rvs(loc=5, scale=0.01, size=200, random_state=np.random.default_rng(seed))
    loc, scale = softsign_dist.fit(data)
    assert abs(loc - 5) < 0.005
    assert 0.007 < scale < 0.014
    best = max(
        softsign_dist.logpdf(data, data[:, None], 0.01 * s).sum(axis=1).max()
        for s in np.geomspace(0.6, 1.6, 40)
    )
    assert softsign_dist.logpdf(data, loc, scale).sum() > best - 0.1


def test_fit_of_censored_data() -> None:
    loc, scale = softsign_dist.fit(stats.CensoredData(np.array([1.0, 2, 3, 5]), right=[4]))
    assert 1 < loc < 5
    assert scale > 0


# SciPy's other door, pickles, bad input, imports


def test_make_distribution() -> None:
    x = stats.make_distribution(softsign_dist)()
    assert (x.cdf(1), x.icdf(0.25), x.ccdf(1e10)) == (0.75, -1, softsign_dist.sf(1e10))
    assert x.entropy() == softsign_dist.entropy()
    assert (2 * x + 1).cdf(3) == pytest.approx(0.75)
    assert x.sample(5, rng=1).shape == (5,)


def test_a_frozen_distribution_can_be_pickled_into_another_process() -> None:
    text = pickle.dumps(softsign_dist(loc=2, scale=3))
    done = run_python(f"import pickle; print(pickle.loads({text!r}).cdf([-1, 2, 5]))")
    assert done.stdout == "[0.25 0.5  0.75]\n", done.stderr
    assert pickle.loads(pickle.dumps(softsign_dist.cdf))(1) == 0.75


def test_bad_input_is_nan_as_everywhere_in_scipy() -> None:
    assert np.isnan(softsign_dist.cdf([1.0, math.nan], scale=[-1, 1])).all()
    assert np.isnan(softsign_dist.ppf([-0.1, 1.1, math.nan])).all()
    assert np.isnan(softsign_dist(scale=-1).sf(1))
    with np.errstate(divide="ignore"):  # SciPy divides by the scale before it looks at it
        assert np.isnan(softsign_dist.pdf(1, scale=0))


def test_nothing_is_imported_before_it_is_needed() -> None:
    done = run_python(
        "import sys; from softsign.applications import stats; print('scipy' in sys.modules)\n"
        "sys.modules['scipy'] = None\n"
        "try: from softsign.applications.stats import softsign_dist\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    assert done.stdout.splitlines() == [
        "False",
        "softsign_dist needs SciPy: pip install 'softsign[stats]'",
    ], done.stderr
    with pytest.raises(
        AttributeError, match=r"module .softsign\.applications\.stats. has no attribute .cauchy."
    ):
        room.cauchy  # type: ignore[attr-defined]  # noqa: B018
