"""A servo that a sliding mode holds against a disturbance: smooth switches of equal bound, and their chatter.

A carriage of 1 kg is to follow sin(t) meters while a force of up to 8 N, a sine or a square wave, pushes it.
The control is computed a thousand times a second, at most 12 N beside what the path needs, and acts through
an actuator of 2 ms. For a hard switch and for three smooth ones whose ultimate bound is 0.05 m/s the table
shows the largest sliding variable s, and the chatter, which is how much the control changes from one
millisecond to the next (root mean square), with noise of 1 mm in the position and without, for each
disturbance. docs/applications/control.md has the theory. SciPy simulates: `cont2discrete` is exact for a
control that is held for a step.
`python examples/servo.py --help`; needs the extra control.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import cont2discrete

from softsign.applications.control import SlidingMode

GAIN, DISTURBANCE, BOUND = 12.0, 8.0, 0.05
STEP, LAG, RATE = 1e-3, 2e-3, 10.0  # s, s, 1/s: s = de/dt + RATE e
SHARE = DISTURBANCE / GAIN  # what a law has to give at the bound

Array = npt.NDArray[np.float64]
DISTURBANCES: dict[str, Callable[[float], float]] = {
    "none": lambda t: 0.0,
    "sine": lambda t: DISTURBANCE * np.sin(3 * t),
    "square": lambda t: DISTURBANCE if t % 2 < 1 else -DISTURBANCE,
}


def laws() -> dict[str, tuple[float, Callable[[Array], Array]]]:
    """Return width and law of each switch, of equal bound but for the hard one."""
    saturation, tanh = BOUND / SHARE, BOUND / np.arctanh(SHARE)
    softsign = SlidingMode(GAIN, BOUND * (GAIN - DISTURBANCE) / DISTURBANCE)
    return {
        "switch": (0.0, lambda s: -GAIN * np.sign(s)),
        "saturation": (saturation, lambda s: -GAIN * np.clip(s / saturation, -1, 1)),
        "tanh": (tanh, lambda s: -GAIN * np.tanh(s / tanh)),
        "softsign": (softsign.width, softsign.control),
    }


def simulate(law: Callable[[Array], Array], steps: int) -> tuple[Any, Any]:
    """Return the largest s and the chatter, for each disturbance without noise, then for each with noise."""
    carriage = np.array([[0, 1, 0], [0, 0, 1], [0, 0, -1 / LAG]])  # position, speed, force of the actuator
    forces = np.array([[0, 0], [0, 1], [1 / LAG, 0]])  # control, disturbance
    advance, push, *_ = cont2discrete((carriage, forces, np.eye(3), np.zeros((3, 2))), STEP)
    runs = 2 * len(DISTURBANCES)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(steps)
    noises = np.repeat([np.zeros(steps), noise], len(DISTURBANCES), axis=0).T
    state = np.outer([0.0, 1.0, 0.0], np.ones(runs))
    sliding, controls = np.empty((2, steps, runs))
    for i in range(steps):
        t = i * STEP
        error, change = state[0] - np.sin(t), state[1] - np.cos(t)
        sliding[i] = change + RATE * error
        controls[i] = -np.sin(t) - RATE * change + law(sliding[i] + RATE * noises[i])
        disturbances = 2 * [disturbance(t) for disturbance in DISTURBANCES.values()]
        state = advance @ state + push @ np.array([controls[i], disturbances])
    return np.abs(sliding).max(axis=0), np.sqrt(np.mean(np.diff(controls, axis=0) ** 2, axis=0))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Compare smooth switches of equal bound in a servo.")
    parser.add_argument("--seconds", type=float, default=10.0, help="time simulated (default: %(default)s)")
    steps = round(parser.parse_args().seconds / STEP)
    print("law         width   disturbance  max |s|  with noise  chatter, N  with noise")
    for name, (width, law) in laws().items():
        largest, chatter = simulate(law, steps)
        for i, disturbance in enumerate(DISTURBANCES):
            numbers = [values[j] for values in (largest, chatter) for j in (i, i + len(DISTURBANCES))]
            cells = "".join(
                f"{number:{size}.3f}" for number, size in zip(numbers, (9, 12, 12, 12), strict=True)
            )
            print(f"{name:12}{width:<8.4f}{disturbance:11}{cells}")


if __name__ == "__main__":
    main()
