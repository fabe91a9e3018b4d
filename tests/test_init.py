"""`softsign.init`: moments against closed forms in 60 digits, the theory against networks of finite width."""

import functools
import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import softsign
from softsign import init
from tests.helpers import Array
from tests.test_import import foreign_imports

#: The bound is stated for 1e-8 to 1e8; the range tried goes on to both sides.
GRID = [0.0] + [10.0 ** (k / 4) for k in range(-80, 65)]
ROOT = 2 * math.sqrt(2 / math.pi)  # the coefficient of sqrt(q) in the expansions for small q

variances = st.floats(-18, 18).map(math.exp)


class Exact:
    """What `init` computes by quadrature, in closed form through the Goodwin-Staton integral, to 60 digits.

    j, j2, j3, j4 are the integrals over z > 0 of exp(-z^2/2) / (z + a)^n.
    """

    def __init__(self, q: Any) -> None:
        q = mpmath.mpf(q)
        lost = max(0, -int(mpmath.log10(q)))  # the closed forms cancel: J4 by a^-4 = q^2
        with mpmath.workdps(60 + 3 * lost):
            a = 1 / mpmath.sqrt(q)
            t = a**2 / 2
            j = mpmath.exp(-t) * (mpmath.pi * mpmath.erfi(mpmath.sqrt(t)) - mpmath.ei(t)) / 2
            j2 = 1 / a - mpmath.sqrt(mpmath.pi / 2) + a * j
            j3 = (1 / a**2 - j + a * j2) / 2
            j4 = (1 / a**3 - j2 + a * j3) / 3
            scale = mpmath.sqrt(2 / mpmath.pi)
            self.second_moment = scale * (mpmath.sqrt(mpmath.pi / 2) - 2 * a * j + a**2 * j2)
            self.mean_derivative = scale * a**2 * j2
            self.derivative_second_moment = scale * a**4 * j4
            self.sigma_w = 1 / mpmath.sqrt(self.derivative_second_moment)
            self.sigma_b = mpmath.sqrt(q - self.second_moment / self.derivative_second_moment)
            # dE f^2/dq = E z^2 / (1 + z/a)^3, where z^2 = (z + a)^2 - 2 a (z + a) + a^2
            self.slope = scale * a**3 * (j - 2 * a * j2 + a**2 * j3)

    @property
    def moments(self) -> tuple[Any, ...]:
        return self.second_moment, self.mean_derivative, self.derivative_second_moment


def relative_error(value: Any, exact: Any) -> float:
    return float(abs(mpmath.mpf(float(value)) / exact - 1))


def by_quadrature(g: Callable[[Any], Any], q: float) -> Any:
    """E g(|x|) to 30 digits, integrated piece by piece over the decades of x and the bulk of the density."""
    with mpmath.workdps(40):
        deviation = mpmath.sqrt(q)
        bounds = {mpmath.mpf(0), *(deviation * k for k in (1, 3, 8, 15))}
        bounds |= {mpmath.mpf(10) ** k for k in range(-2, 8) if mpmath.mpf(10) ** k < deviation}
        density = mpmath.sqrt(2 / (mpmath.pi * q))
        return density * mpmath.quad(lambda x: g(x) * mpmath.exp(-(x**2) / (2 * q)), sorted(bounds))


@pytest.mark.parametrize("q", [1e-8, 1e-3, 0.3, 1.0, 50.0, 1e8])
def test_the_closed_forms_are_the_integrals(q: float) -> None:
    exact = Exact(q)
    integrals = [
        by_quadrature(lambda x: (x / (1 + x)) ** 2, q),
        by_quadrature(lambda x: (1 + x) ** -2, q),
        by_quadrature(lambda x: (1 + x) ** -4, q),
        by_quadrature(lambda x: x**2 * (1 + x) ** -3, q) / q,
    ]
    for closed, integral in zip([*exact.moments, exact.slope], integrals, strict=True):
        assert abs(closed / integral - 1) < 1e-14  # mpf compared in 15 digits


@pytest.mark.parametrize("name", init.Moments._fields)
def test_moments_to_1e12_on_a_grid(name: str) -> None:
    found = getattr(init.moments(GRID), name)
    errors = [
        relative_error(value, getattr(Exact(q), name)) for q, value in zip(GRID[1:], found[1:], strict=True)
    ]
    assert max(errors) <= 1e-12
    assert max(e for q, e in zip(GRID[1:], errors, strict=True) if 1e-8 <= q <= 1e8) <= 1e-15


@given(variances)
def test_moments_to_1e12_anywhere(q: float) -> None:
    for value, exact in zip(init.moments(q), Exact(q).moments, strict=True):
        assert relative_error(value, exact) <= 1e-12


def test_moments_at_zero_are_the_limits() -> None:
    np.testing.assert_allclose(init.moments(0), (0, 1, 1), rtol=4e-16)
    np.testing.assert_allclose(init.moments(5e-324), (5e-324, 1, 1), rtol=4e-16)


def test_constants_to_twelve_digits() -> None:
    assert init.gain() == init.gain("forward") == pytest.approx(2.33753336310854, rel=1e-14)
    assert init.gain("backward") == pytest.approx(2.09578060894331, rel=1e-14)
    assert init.gain("geometric") ** 2 == pytest.approx(
        init.gain("forward") * init.gain("backward"), rel=1e-15
    )
    assert init.critical(1.0).sigma_w == init.gain("backward")


@pytest.mark.parametrize("q", GRID[1:])
def test_critical_keeps_its_digits(q: float) -> None:
    exact = Exact(q)
    sigma_w, sigma_b = init.critical(q)
    assert relative_error(sigma_w, exact.sigma_w) <= 1e-12
    assert relative_error(sigma_b, exact.sigma_b) <= 1e-12
    assert relative_error(init.contraction(q, 1.0), exact.slope) <= 1e-12


def test_critical_at_zero_is_linear() -> None:
    np.testing.assert_allclose(init.critical(0.0), (1, 0), rtol=4e-16)


@given(variances)
def test_critical_is_a_fixed_point_of_signal_and_gradient(q: float) -> None:
    sigma_w, sigma_b = init.critical(q)
    assert init.susceptibility(q, sigma_w) == pytest.approx(1, rel=1e-14)
    assert 0 < init.contraction(q, sigma_w) < 1
    # sigma_w to 1e-16 leaves q to 1e-16/sqrt(q), as sigma_w - 1 goes with sqrt(q): 8e-13 at the smallest, q =
    # 1.5e-8.
    assert init.fixed_point(float(sigma_w), float(sigma_b)) == pytest.approx(q, rel=4e-12)


@pytest.mark.parametrize("sigma_w", [0.0, 0.5, 0.999999, 1.0, 1.000001, 1.5, 4.0, 300.0])
@pytest.mark.parametrize("sigma_b", [0.0, 1e-9, 1e-3, 0.7, 50.0])
def test_fixed_point_is_the_root(sigma_w: float, sigma_b: float) -> None:
    q = init.fixed_point(sigma_w, sigma_b)
    if sigma_b == 0 and sigma_w <= 1:
        assert q == 0
        return
    with mpmath.workdps(60):

        def excess(factor: Any) -> Any:
            at = factor * mpmath.mpf(q)
            return (mpmath.mpf(sigma_w) ** 2 * Exact(at).second_moment + mpmath.mpf(sigma_b) ** 2) / at - 1

        assert excess(1 - mpmath.mpf("1e-13")) > 0 > excess(1 + mpmath.mpf("1e-13"))


def test_fixed_point_at_its_limits() -> None:
    assert init.fixed_point(1.0, 1e-150) == pytest.approx((1e-300 / (2 * ROOT)) ** (2 / 3), rel=1e-12)
    assert init.fixed_point(0.5, 1e-100) == pytest.approx(1e-200 / 0.75, rel=1e-15)
    assert init.fixed_point(1 + 2**-52, 0.0) == pytest.approx(math.pi / 32 * 2**-102, rel=1e-12)
    assert init.fixed_point(1e7, 1e7) < 2e14
    assert init.fixed_point(1.0, 1e-170) == 0


@given(st.floats(0, 5), st.floats(1e-3, 3), st.floats(0, 30))
def test_all_variances_come_to_the_fixed_point(sigma_w: float, sigma_b: float, start: float) -> None:
    q = init.fixed_point(sigma_w, sigma_b)
    variance = init.depth_profile(200, sigma_w, sigma_b, start).variance
    rate = float(init.contraction(min(q, start), sigma_w))  # its largest value on the way
    assert abs(variance[-1] - q) <= abs(start - q) * min(1, rate) ** 199 + 1e-12 * max(q, 1)
    assert (np.diff(np.abs(variance - q)) <= 1e-12 * max(q, 1)).all()


def test_depth_profile_by_hand() -> None:
    sigma_w, sigma_b, q = 1.3, 0.2, 0.8
    profile = init.depth_profile(3, sigma_w, sigma_b, q)
    second = sigma_w**2 * float(Exact(q).second_moment) + sigma_b**2
    third = sigma_w**2 * float(Exact(second).second_moment) + sigma_b**2
    before = [sigma_w**2 * float(Exact(at).derivative_second_moment) for at in (q, second)]
    np.testing.assert_allclose(profile.variance, [q, second, third], rtol=1e-14)
    np.testing.assert_allclose(profile.gradient_variance, [before[0] * before[1], before[1], 1], rtol=1e-14)
    np.testing.assert_array_equal(init.depth_profile(1, sigma_w, sigma_b, q), [[q], [1]])


@given(variances, st.floats(-9, 9).map(math.exp))
def test_first_layer_hits_q(q: float, input_second_moment: float) -> None:
    sigma = float(init.first_layer(q, input_second_moment))
    sigma_b = float(init.critical(q).sigma_b)
    assert sigma**2 * input_second_moment + sigma_b**2 == pytest.approx(q, rel=1e-13)


@given(st.floats(-8, 8).map(math.exp))
def test_self_normalizing_keeps_unit_variance(alpha: float) -> None:
    scale = float(init.self_normalizing(alpha))
    assert scale**2 * Exact(mpmath.mpf(alpha) ** 2).second_moment == pytest.approx(1, rel=1e-12)
    assert init.contraction(alpha**2, scale * alpha) < 1 < init.susceptibility(alpha**2, scale * alpha)


def test_self_normalizing_known_values() -> None:
    np.testing.assert_allclose(
        init.self_normalizing([0.5, 1, 2]), [3.41422595212625, 2.33753336310854, 1.75922707947344], rtol=1e-14
    )
    scale, sigma_b = np.divide(init.critical(0.25), 0.5)
    mean, slope = Exact(0.25).second_moment, Exact(0.25).derivative_second_moment
    assert scale**2 * mean + sigma_b**2 == pytest.approx(1, rel=1e-14)
    assert (scale * 0.5) ** 2 * slope == pytest.approx(1, rel=1e-14)


def test_small_variances_have_a_square_root_in_them() -> None:
    q = 10.0 ** np.arange(-12, -5)
    sigma_w, sigma_b = init.critical(q)
    np.testing.assert_allclose((sigma_w - 1) / np.sqrt(q), ROOT, rtol=2e-3)
    np.testing.assert_allclose(sigma_b / q, 1, rtol=2e-3)
    np.testing.assert_allclose((1 - init.contraction(q, sigma_w)) / np.sqrt(q), ROOT, rtol=2e-3)


def test_without_bias_at_gain_one_the_signal_decays_as_pi_over_eight_depth_squared() -> None:
    variance, gradient = init.depth_profile(10_000, 1.0, 0.0, 1.0)
    assert variance[-1] * 10_000**2 == pytest.approx(math.pi / 8, rel=1e-3)
    # The constant of the gradient depends on where it starts; that it has one is what the theory says.
    starts = [
        init.depth_profile(depth, 1.0, 0.0, 1.0).gradient_variance[0] * depth**2 for depth in (1000, 4000)
    ]
    assert starts[0] == pytest.approx(starts[1], rel=5e-3)
    assert gradient[0] * 10_000**2 == pytest.approx(0.61, rel=2e-3)


@pytest.mark.parametrize("epsilon", [1e-4, 1e-6, 1e-8])
def test_without_bias_chaos_sets_in_with_the_square_of_the_gain(epsilon: float) -> None:
    sigma_w = math.sqrt(1 + epsilon)
    q = init.fixed_point(sigma_w, 0.0)
    # the next term is 0.23 epsilon; sigma_w**2 carries epsilon to 2e-16/epsilon, twice that in its square
    tolerance = epsilon + 1e-15 / epsilon
    assert q == pytest.approx(math.pi / 32 * epsilon**2, rel=tolerance)
    if epsilon == 1e-4:  # below, the susceptibility is 1 to all digits but a few
        assert init.susceptibility(q, sigma_w) - 1 == pytest.approx(q, rel=1e-3)


@functools.lru_cache(maxsize=1)
def normals(seed: int, depth: int, width: int) -> tuple[Array, Array, Array, Array]:
    """Weights, biases, inputs and last gradients of deviation 1: most of the time that a network takes."""
    rng = np.random.default_rng(seed)
    shapes = (depth, width, width), (depth, width), (16, width), (16, width)
    weights, biases, x, gradient = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return weights / np.float32(math.sqrt(width)), biases, x, gradient


def simulated(
    seed: int, depth: int, sigma_w: float, sigma_b: float, first: float, width: int = 250
) -> tuple[Array, Array]:
    """Variance of the pre-activations and of the gradient, over 16 normal inputs, in one random network."""
    weights, biases, x, gradient = normals(seed, depth, width)
    states = []
    for deviation, weight, bias in zip([first, *(depth - 1) * [sigma_w]], weights, biases, strict=True):
        states.append(np.float32(deviation) * (x @ weight) + np.float32(sigma_b) * bias)
        x = softsign.softsign(states[-1])
    gradients = [gradient]
    for state, weight in zip(states[-2::-1], weights[:0:-1], strict=True):
        gradients.append(softsign.gradient(state, np.float32(sigma_w) * (gradients[-1] @ weight.T)))
    variance = np.array([(state**2).mean() for state in states])
    gradient_variance = np.array([(gradient**2).mean() for gradient in gradients[::-1]])
    return variance, gradient_variance / gradient_variance[-1]


def test_theory_holds_in_networks_of_finite_width() -> None:
    depth, width, networks = 20, 200, 12
    cases = [(1.0, 0.0, 1.0), (2.3375, 0.0, 1.0), (1.4259, 0.0693, 0.1), (1.2, 0.5, 2.0)]
    found = np.array(
        [
            [simulated(seed, depth, w, b, math.sqrt(q - b**2), width) for w, b, q in cases]
            for seed in range(networks)
        ]
    )
    theory = np.array([init.depth_profile(depth, *case) for case in cases])
    error = found.mean(axis=0) - theory
    # Chance: 4 standard errors of the mean over networks. Width: corrections to the theory go with depth /
    # width.
    allowed = 4 * found.std(axis=0, ddof=1) / math.sqrt(networks) + depth / width * theory
    assert (abs(error) <= allowed).all()
    assert (allowed <= 0.9 * theory).all()  # so that the test can fail


def test_critical_networks_keep_their_gradients_over_50_layers() -> None:
    variances = (0.01, 0.1, 0.5, 1.0)

    def network(seed: int, q: float) -> tuple[Array, Array]:
        sigma_w, sigma_b = map(float, init.critical(q))
        return simulated(seed, 50, sigma_w, sigma_b, float(init.first_layer(q, 1.0)))

    found = np.array([[network(seed, q) for q in variances] for seed in range(12)])
    for q, (variance, gradient) in zip(variances, found.mean(axis=0), strict=True):
        assert 0.7 <= gradient[0] <= 1.5
        np.testing.assert_allclose(variance, q, rtol=0.2)


def test_xaviers_gradients_are_lost_over_50_layers() -> None:
    for seed in range(3):
        assert simulated(seed, 50, 1.0, 0.0, 1.0)[1][0] < 1e-2


@pytest.mark.parametrize("q", [1e-8, 1e-3, 0.3, 1.0, 50.0, 1e8])
def test_curvature_to_1e12(q: float) -> None:
    exact = 4 * q * by_quadrature(lambda x: (1 + x) ** -6, q) / by_quadrature(lambda x: (1 + x) ** -4, q)
    assert relative_error(init.curvature(q), exact) <= 1e-12


def test_inputs_become_alike_as_the_curvature_says() -> None:
    """Two inputs of cosine 0.5 in ten networks of width 300: how far the mean cosine is from 1 with depth.

    The leading order is a lower bound here, and higher orders keep at most 2.5 times as much.
    """
    width, depth, q = 300, 30, np.array([0.01, 0.1, 1.0])
    sigma_w, sigma_b = (sigma[:, np.newaxis, np.newaxis] for sigma in init.critical(q))
    apart = np.zeros((depth, q.size))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        one, two = np.linalg.qr(rng.normal(size=(width, 2)))[0].T
        h = np.stack([one, 0.5 * one + 0.75**0.5 * two]) * (q[:, np.newaxis, np.newaxis] * width) ** 0.5
        for layer in range(depth):
            weights = rng.standard_normal((width, width), np.float32)
            h = sigma_w / width**0.5 * (softsign.softsign(h) @ weights) + sigma_b * rng.normal(size=width)
            unit = h / np.linalg.norm(h, axis=-1, keepdims=True)
            apart[layer] += (1 - (unit[:, 0] * unit[:, 1]).sum(-1)) / 10
    for layers in (10, 20, 30):
        found = apart[layers - 1] * (2 + init.curvature(q) * layers / 2)
        assert ((found > 0.9) & (found < 2.6)).all()


def test_shapes() -> None:
    q = [[0.1, 0.2, 0.3]]
    for result in (*init.moments(q), *init.critical(q), init.susceptibility(q, [[1], [2]])[:1]):
        assert result.shape == (1, 3)
        assert result.dtype == np.float64
    assert init.first_layer(q, [[1], [2]]).shape == init.contraction(q, [[1], [2]]).shape == (2, 3)
    assert init.moments([]).second_moment.shape == (0,)
    for scalar in (
        *init.moments(np.float32(0.5)),
        *init.critical(1),
        init.curvature(1),
        init.first_layer(1, 1),
        init.self_normalizing(1),
    ):
        assert isinstance(scalar, np.float64)
    assert init.moments(q).second_moment[0, 1] == pytest.approx(init.moments(0.2).second_moment, rel=1e-15)


UP_TO = "but must be at least 0 and at most"
ABOVE = "but must be more than 0 and at most"
BAD: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "negative": (lambda: init.moments(-1.0), ValueError, rf"moments: q is -1.0, {UP_TO} 1e\+16"),
    "one of several": (lambda: init.moments([1, math.nan]), ValueError, rf"moments: q is nan, {UP_TO}"),
    "infinite": (lambda: init.critical(math.inf), ValueError, rf"critical: q is inf, {UP_TO} 1e\+16"),
    "too large": (lambda: init.moments(2e16), ValueError, r"moments: q is 2e\+16"),
    "complex": (lambda: init.moments(1j), TypeError, "q has dtype complex128, but must be real numbers"),
    "text": (lambda: init.critical("1"), TypeError, "q has dtype <U1, but must be real numbers"),
    "mode": (
        lambda: init.gain("up"),  # type: ignore[arg-type]
        ValueError,
        "mode is 'up', but must be 'forward', 'backward' or",
    ),
    "no signal": (lambda: init.first_layer(0, 1), ValueError, f"first_layer: q is 0, {ABOVE}"),
    "no input": (
        lambda: init.first_layer(1, 0.0),
        ValueError,
        f"first_layer: input_second_moment is 0.0, {ABOVE}",
    ),
    "weights": (lambda: init.susceptibility(1, -1), ValueError, rf"sigma_w is -1, {UP_TO} 1e\+07"),
    "variance": (lambda: init.susceptibility(-1, 1), ValueError, f"susceptibility: q is -1, {UP_TO}"),
    "slope": (lambda: init.contraction(1, 1e8), ValueError, r"contraction: sigma_w is 100000000.0"),
    "curvature": (lambda: init.curvature(-1), ValueError, f"curvature: q is -1, {UP_TO}"),
    "fixed weights": (lambda: init.fixed_point(-1, 0), ValueError, f"fixed_point: sigma_w is -1, {UP_TO}"),
    "fixed biases": (lambda: init.fixed_point(1, math.nan), ValueError, "fixed_point: sigma_b is nan"),
    "two numbers": (
        lambda: init.fixed_point([1, 2], 0),  # type: ignore[arg-type]
        TypeError,
        r"fixed_point: sigma_w has shape \(2,\), but must be one number",
    ),
    "no layer": (
        lambda: init.depth_profile(0, 1, 0, 1),
        ValueError,
        "depth_profile: depth is 0, but must be at least 1",
    ),
    "half a layer": (
        lambda: init.depth_profile(1.5, 1, 0, 1),  # type: ignore[arg-type]
        TypeError,
        "integer",
    ),
    "profile weights": (
        lambda: init.depth_profile(2, math.inf, 0, 1),
        ValueError,
        "depth_profile: sigma_w is inf",
    ),
    "profile biases": (
        lambda: init.depth_profile(2, 1, -0.1, 1),
        ValueError,
        "depth_profile: sigma_b is -0.1",
    ),
    "profile start": (lambda: init.depth_profile(2, 1, 0, -0.1), ValueError, "depth_profile: q is -0.1"),
    "alpha": (lambda: init.self_normalizing(0), ValueError, rf"self_normalizing: alpha is 0, {ABOVE} 1e\+08"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses_what_is_impossible(case: str) -> None:
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()


def test_numpy_is_all_it_needs() -> None:
    assert foreign_imports("import softsign.init") == []
