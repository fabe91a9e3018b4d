"""softsign.applications.control: describing function against quadrature, limit cycle and bound simulated."""

import math
import pickle
from typing import Any

import control as peer
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import softsign
from softsign.applications.control import (
    SlidingMode,
    SmoothActuator,
    SoftsignSaturation,
    describing_function,
)
from tests.helpers import run_python

positives = st.floats(1e-3, 1e3)


# The describing function


def by_quadrature(amplitude: float) -> Any:
    """The first harmonic over a quarter of a period, pieces at the scale of 1 / A, where it turns."""
    a = mpmath.mpf(amplitude)
    ends = sorted(
        {mpmath.mpf(0), *(min(mpmath.pi / 2, 10**k / (1 + a)) for k in range(-2, 14)), mpmath.pi / 2}
    )
    return 4 / mpmath.pi * mpmath.quad(lambda t: mpmath.sin(t) ** 2 / (1 + a * mpmath.sin(t)), ends)


def closed_form(amplitude: float) -> Any:
    a = mpmath.mpf(amplitude)
    if a == 1:
        k = mpmath.mpf(2)
    else:
        k = 2 * (mpmath.acos(a) if a < 1 else mpmath.acosh(a)) / mpmath.sqrt(abs(1 - a * a))
    return 2 / mpmath.pi * (2 * a - mpmath.pi + k) / a**2


def test_describing_function_is_right_at_every_amplitude() -> None:
    amplitudes = np.geomspace(1e-8, 1e12, 401) * np.random.default_rng(0).uniform(0.9, 1.1, 401)
    amplitudes = np.concatenate([amplitudes, 1 + np.linspace(-1e-6, 1e-6, 21), [0.5, 2.0]])
    with mpmath.workdps(60):
        exact = [closed_form(a) for a in amplitudes.tolist()]
        for a in (1e-8, 0.3, 1.0, 50.0, 1e12):  # which is the integral
            assert abs(by_quadrature(a) / closed_form(a) - 1) < 1e-20
        errors = [
            abs(value / e - 1)
            for value, e in zip(describing_function(amplitudes).tolist(), exact, strict=True)
        ]
    assert max(errors) <= 1e-15


def test_describing_function_at_its_ends() -> None:
    assert describing_function(0.0) == 1
    assert describing_function(0, limit=5, width=2) == 2.5
    assert describing_function(math.inf) == 0
    assert math.isnan(describing_function(math.nan))
    assert describing_function(1e300) == pytest.approx(4 / math.pi * 1e-300, rel=1e-15)
    assert describing_function(1.0, 1e-300, 1e300) == 0
    assert describing_function(1e-300, 1e300, 1e300) == pytest.approx(1, rel=1e-15)
    assert describing_function(np.ones((2, 2), np.float32)).shape == (2, 2)
    assert describing_function([]).shape == (0,)
    assert type(describing_function(1)) is np.float64


@given(st.floats(0, 1e6), st.floats(1e-6, 1e6), positives, positives)
def test_describing_function_falls_and_scales(a: float, more: float, limit: float, width: float) -> None:
    gain, less = describing_function([a, a + more], limit, width)
    assert 0 < less <= gain * (1 + 1e-15)
    assert gain <= limit / width * (1 + 1e-15)
    assert gain == pytest.approx(limit / width * describing_function(a / width), rel=4e-15)


def test_python_control_takes_the_nonlinearity() -> None:
    amplifier = SoftsignSaturation(5, 1)
    amplitudes = np.array([0.0, 0.5, 7.0, 1000.0])
    analytic = peer.describing_function(amplifier, amplitudes)
    assert analytic.tolist() == [complex(amplifier.describing_function(a)) for a in amplitudes]
    assert analytic[0] == 5
    # What python-control does without it: 1 at amplitude 0, and a sum of 100 points.
    numeric = peer.describing_function(amplifier, amplitudes, try_method=False)
    assert numeric[0] == 1
    assert abs(numeric[1:3] / analytic[1:3] - 1).max() < 1e-4
    assert 1e-4 < abs(numeric[3] / analytic[3] - 1) < 1e-3


def test_predicted_limit_cycle_is_the_simulated_one() -> None:
    plant, amplifier = peer.tf([4], [1, 2, 2, 1]), SoftsignSaturation(limit=5, width=1)
    response = peer.describing_function_response(plant, amplifier, np.linspace(1, 20, 50))
    [(amplitude, frequency)] = response.intersections

    def loop(t: float, state: Any) -> list[float]:
        x, speed, acceleration = state
        return [speed, acceleration, -4 * amplifier(x) - x - 2 * speed - 2 * acceleration]

    def rising(t: float, state: Any) -> float:
        return float(state[0])

    rising.direction = 1.0  # type: ignore[attr-defined]
    run = solve_ivp(loop, (0, 120), [1, 0, 0], events=rising, rtol=1e-7, dense_output=True)
    start, end = run.t_events[0][-2:]
    largest = np.abs(run.sol(np.linspace(start, end, 1000))[0]).max()
    assert abs(amplitude / largest - 1) < 0.01
    assert abs(frequency / (2 * math.pi / (end - start)) - 1) < 0.005


@pytest.mark.parametrize("call", [describing_function, SoftsignSaturation(1, 1).describing_function])
def test_bad_amplitudes(call: Any) -> None:
    with pytest.raises(ValueError, match=r"amplitude A is -1\.0, but must be at least 0"):
        call([1.0, -1.0])
    with pytest.raises(TypeError, match="amplitude A has dtype complex128, but must be real numbers"):
        call(1j)


@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize(
    ("made", "parameter"),
    [
        (SoftsignSaturation, "limit"),
        (SoftsignSaturation, "width"),
        (lambda **k: SlidingMode(**{"gain": 1.0, "width": 1.0, **k}), "gain"),
        (lambda **k: SlidingMode(**{"gain": 1.0, "width": 1.0, **k}), "width"),
        (SmoothActuator, "limit"),
        (lambda **k: describing_function(1.0, **k), "limit"),
        (lambda **k: describing_function(1.0, **k), "width"),
    ],
)
def test_bad_parameters(made: Any, parameter: str, value: float) -> None:
    with pytest.raises(
        ValueError, match=f"{parameter} is {float(value)}, but must be a positive number below"
    ):
        made(**{parameter: value})
    with pytest.raises(TypeError, match=f"{parameter} is 'wide', but must be a positive number"):
        made(**{parameter: "wide"})


# Control laws


def test_sliding_mode() -> None:
    law = SlidingMode(12, 0.02)
    s = np.array([[-np.inf, -0.02], [0.0, 0.02]])
    assert law.control(s).tolist() == [[12, 6], [0, -6]]
    assert (law.control(1e-5), law.ultimate_bound(0)) == (-12 * softsign.softsign(1e-5 / 0.02), 0)
    assert pickle.loads(pickle.dumps(law)) == law


@pytest.mark.parametrize("width", [0.1, 0.02])
def test_ultimate_bound(width: float) -> None:
    """A servo pushed by 8 N comes from far outside below the bound, and reaches 98 % of it while pushed."""
    law, rate = SlidingMode(12, width), 5.0
    bound = law.ultimate_bound(8)
    assert bound == pytest.approx(2 * width)

    def servo(t: float, state: Any) -> list[float]:
        place, speed = state
        disturbance = 8 * math.sin(1.5 * t)
        return [speed, -rate * speed + law.control(speed + rate * place) + disturbance]

    run = solve_ivp(servo, (0, 8), [1, 0], method="LSODA", rtol=1e-8, atol=1e-10, max_step=0.01)
    sliding = abs(run.y[1] + rate * run.y[0])
    assert sliding[0] > 10 * bound
    assert 0.98 * bound < sliding[run.t > 3].max() <= bound


@pytest.mark.parametrize(
    ("disturbance", "words"), [(12, "12 is not below gain 12"), (13.5, "13.5 is not below gain 12")]
)
def test_a_disturbance_that_wins(disturbance: float, words: str) -> None:
    with pytest.raises(ValueError, match=f"disturbance {words}"):
        SlidingMode(12, 1).ultimate_bound(disturbance)


@pytest.mark.parametrize("disturbance", [-1.0, math.nan])
def test_bad_disturbances(disturbance: float) -> None:
    with pytest.raises(ValueError, match=f"disturbance is {disturbance}, but must be at least 0"):
        SlidingMode(12, 1).ultimate_bound(disturbance)


@given(st.floats(-0.99, 0.99), positives)
def test_the_actuator_does_what_it_is_commanded(share: float, limit: float) -> None:
    motor = SmoothActuator(limit)
    assert motor.apply(motor.command(share * limit)) == pytest.approx(share * limit, rel=1e-13, abs=1e-300)


def test_the_actuator_at_its_limit() -> None:
    motor = SmoothActuator(4)
    assert motor.apply([4.0, np.inf, -np.inf]).tolist() == [2, 4, -4]
    with np.errstate(all="ignore"):
        assert motor.command([4.0, -4.0]).tolist() == [np.inf, -np.inf]
        assert math.isnan(motor.command(4.1))


def test_numpy_alone_is_imported() -> None:
    done = run_python(
        "import sys; from softsign.applications import control, science, stats\n"
        "control.describing_function(1.0)\n"
        "print({'scipy', 'control', 'matplotlib'} & set(sys.modules))"
    )
    assert done.stdout == "set()\n", done.stderr
