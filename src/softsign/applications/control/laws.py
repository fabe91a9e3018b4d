"""Control laws: a smooth switch with its bound, and an actuator that can be undone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import softsign
from softsign.variants._blocks import positive

__all__ = ["SlidingMode", "SmoothActuator"]


@dataclass(frozen=True)
class SlidingMode:  # numpydoc ignore=PR02
    """The control law u = -gain * softsign(s / width), a smooth switch, for ds/dt = u + d.

    s is the sliding variable, which is 0 where the error dies out as it should, and d a disturbance that is
    only known to be small enough.

    Parameters
    ----------
    gain : float
        The largest control, positive; it has to be above the largest disturbance.
    width : float
        The s at which the control is half of it, positive. The smaller, the smaller s stays and the more
        noise comes through.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a positive finite number.

    Examples
    --------
    >>> from softsign.applications.control import SlidingMode
    >>> law = SlidingMode(gain=12, width=0.02)
    >>> print(law.control([-1e9, 0.02]), law.ultimate_bound(8))
    [12. -6.] 0.04
    >>> law.ultimate_bound(12)
    Traceback (most recent call last):
        ...
    ValueError: disturbance 12 is not below gain 12
    """

    gain: float
    width: float

    def __post_init__(self) -> None:
        positive("SlidingMode", "gain", self.gain)
        positive("SlidingMode", "width", self.width)

    def control(self, s: npt.ArrayLike) -> Any:
        """Return -gain * softsign(s / width).

        Parameters
        ----------
        s : array_like of real numbers
            The sliding variable, of any shape.

        Returns
        -------
        float64 or ndarray of float64
            The control, within ±gain.
        """
        return -self.gain * softsign.softsign(np.asarray(s) / self.width)

    def ultimate_bound(self, disturbance: float) -> float:
        """Return width * disturbance / (gain - disturbance), which abs(s) comes down to and stays below.

        Parameters
        ----------
        disturbance : float
            Largest absolute value of the disturbance, at least 0 and below the gain.

        Returns
        -------
        float
            The bound, in the unit of s.

        Raises
        ------
        ValueError
            If the disturbance is negative, nan, or not below the gain.
        """
        if not disturbance >= 0:
            raise ValueError(f"disturbance is {disturbance}, but must be at least 0")
        if disturbance >= self.gain:
            raise ValueError(f"disturbance {disturbance:g} is not below gain {self.gain:g}")
        return float(self.width * (disturbance / (self.gain - disturbance)))


@dataclass(frozen=True)
class SmoothActuator:  # numpydoc ignore=PR02
    """An actuator that gives limit * softsign(v / limit) for the command v, and the command for an output.

    Parameters
    ----------
    limit : float
        What the output goes to for large commands, positive.

    Raises
    ------
    TypeError, ValueError
        If the limit is not a positive finite number.

    Examples
    --------
    >>> from softsign.applications.control import SmoothActuator
    >>> motor = SmoothActuator(limit=10)
    >>> print(motor.apply([1.0, 10.0, 1e9]).round(3), motor.command([5.0, -9.0]))
    [ 0.909  5.    10.   ] [ 10. -90.]
    """

    limit: float

    def __post_init__(self) -> None:
        positive("SmoothActuator", "limit", self.limit)

    def apply(self, v: npt.ArrayLike) -> Any:
        """Return limit * softsign(v / limit), what the actuator does for a command.

        Parameters
        ----------
        v : array_like of real numbers
            The command, of any shape.

        Returns
        -------
        float64 or ndarray of float64
            The output, within ±limit.
        """
        return self.limit * softsign.softsign(np.asarray(v) / self.limit)

    def command(self, u: npt.ArrayLike) -> Any:
        """Return limit * inverse(u / limit), the command for an output.

        Parameters
        ----------
        u : array_like of real numbers
            The output that is wanted, of any shape.

        Returns
        -------
        float64 or ndarray of float64
            The command: infinite at ±limit and nan beyond, of both of which NumPy warns as it does of 1 / 0
            and 0 / 0.
        """
        return self.limit * softsign.inverse(np.asarray(u) / self.limit)
