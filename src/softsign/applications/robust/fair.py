"""Fair's loss: its tuning constant, and what SciPy and the libraries of boosted trees ask of a loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from softsign import _core, init
from softsign.variants._blocks import positive

__all__ = ["FAIR_95", "efficiency", "fair_loss", "fair_objective", "tuning_constant"]

Array = npt.NDArray[np.float64]

#: `tuning_constant` of 0.95, the usual choice.
FAIR_95 = 1.3997768124640206

#: Constants between which `tuning_constant` looks. `init.moments` takes no smaller one.
_LEAST, _LARGEST = 1e-8, 1e8


def _efficiency(c: npt.ArrayLike) -> Any:
    q = 1 / np.square(np.minimum(c, 1e20, dtype=np.float64))  # for larger c it is 1, and 1/c**2 goes to 0
    second_moment, mean_derivative, _ = init.moments(q)
    return np.minimum(np.square(mean_derivative) * q / second_moment, 1.0)


def efficiency(c: npt.ArrayLike) -> Any:
    """Return the efficiency of Fair's loss at normal errors: variance of the mean over that of the estimate.

    It is ``(E psi')**2 / E psi**2`` of ``psi(z) = c softsign(z / c)``, z standard normal: 1 for c to infinity
    (least squares), 2/pi for c to 0 (least absolute deviations).

    Parameters
    ----------
    c : array_like of real numbers
        Tuning constant in units of the errors' standard deviation, 1e-8 or larger.

    Returns
    -------
    float64 scalar or array
        Of the shape of `c`, with a relative error below 1e-13 (2e-15 seen for c from 1e-6 on).

    Raises
    ------
    ValueError
        If `c` is below 1e-8, or nan.
    TypeError
        If `c` is not of real numbers.

    See Also
    --------
    tuning_constant : the inverse.

    Notes
    -----
    psi' and psi / c are softsign's derivative and softsign at z / c, which has the variance 1 / c**2:
    `softsign.init.moments` has their moments, as sums of positive terms.

    Examples
    --------
    >>> from softsign.applications import robust
    >>> robust.efficiency([0.1, 1.0, 10.0]).round(4)
    array([0.7602, 0.9309, 0.9968])
    """
    given = np.asarray(c)
    if given.dtype.kind not in "iuf":
        raise TypeError(f"efficiency: c has dtype {given.dtype}, but must be real numbers")
    wrong = given[~(given >= _LEAST)]
    if wrong.size:
        raise ValueError(f"efficiency: c is {wrong[0]}, but must be {_LEAST:g} or larger")
    return _efficiency(given)


def tuning_constant(efficiency: float = 0.95) -> float:
    """Return the constant c with which Fair's loss has an efficiency at normal errors.

    Parameters
    ----------
    efficiency : float
        Between 2/pi = 0.63662, that of least absolute deviations, and 1, that of least squares.

    Returns
    -------
    float
        c, in units of the errors' standard deviation.

    Raises
    ------
    ValueError
        If `efficiency` is not between 2/pi and 1.
    TypeError
        If `efficiency` is not a real number.

    Notes
    -----
    1 - efficiency goes like 4.5 / c**2, so that the float next to an efficiency near 1 belongs to another c:
    the relative error is below 1e-12 from 0.64 to 0.999, and below 1e-8 up to 1 - 1e-7. Within 2e-7 of 2/pi
    the result is 1e-8.

    Examples
    --------
    >>> from softsign.applications import robust
    >>> for wanted in (0.8, 0.9, 0.95, 0.99):
    ...     print(f"{robust.tuning_constant(wanted):.10f}")
    0.1760231025
    0.6350823126
    1.3997768125
    4.9579079891
    """
    target = positive("tuning_constant", "efficiency", efficiency)
    if not 2 / math.pi < target < 1:
        raise ValueError(
            f"tuning_constant: efficiency is {target}, but must be between 2/pi = {2 / math.pi:.5f} "
            "(least absolute deviations) and 1 (least squares)"
        )
    low, high = _LEAST, _LARGEST
    while low < (middle := math.sqrt(low * high)) < high:
        low, high = (middle, high) if _efficiency(middle) < target else (low, middle)
    return low


def fair_loss(z: npt.ArrayLike) -> Array:
    """Return Fair's loss as `scipy.optimize.least_squares` takes it: ``loss=fair_loss, f_scale=c``.

    SciPy's losses are functions rho of the square z of residual / f_scale: here rho(z) = 2 (sqrt(z) - log(1 +
    sqrt(z))), which is z where z is small, and grows like sqrt(z).

    Parameters
    ----------
    z : array_like of real numbers, shape (m,)
        Squares, 0 or larger.

    Returns
    -------
    ndarray of float64, shape (3, m)
        rho, its first and its second derivative.

    Notes
    -----
    rho''(z) = -1 / (2 sqrt(z) (1 + sqrt(z))**2) is infinite at 0, and `least_squares` would stop with "array
    must not contain infs or NaNs" as soon as a residual is exactly 0. It uses rho' + 2 z rho'' alone, in
    which the second term vanishes there; so rho''(0) is given as 0.

    Examples
    --------
    A line through points of which one is far off:

    >>> import numpy as np
    >>> from scipy.optimize import least_squares
    >>> from softsign.applications import robust
    >>> x = np.arange(8.0)
    >>> y = np.array([1.1, 2.9, 5.0, 60.0, 8.9, 11.1, 13.0, 14.9])
    >>> def residuals(p):
    ...     return p[0] + p[1] * x - y
    >>> least_squares(residuals, [0.0, 0.0]).x.round(2)
    array([9.85, 1.36])
    >>> least_squares(residuals, [0.0, 0.0], loss=robust.fair_loss, f_scale=0.1).x.round(2)
    array([1.07, 1.99])
    """
    squares = np.asarray(z, np.float64)
    root = np.sqrt(squares)
    slope = 1 / (1 + root)
    bend = np.divide(-0.5 * np.square(slope), root, out=np.zeros_like(root), where=root != 0)
    return np.stack([2 * _core.antiderivative(root), slope, bend])


@dataclass(frozen=True)
class _FairObjective:
    """What `fair_objective` returns: an object and not a closure, since fitted models are pickled with it."""

    c: float
    curvature: Literal["newton", "mm"]

    def __call__(
        self, y_true: npt.ArrayLike, y_pred: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> tuple[Array, Array]:
        ratio = np.subtract(y_pred, y_true, dtype=np.float64) / self.c
        weight = 1.0 if sample_weight is None else np.asarray(sample_weight, np.float64)
        bend = _core.derivative(ratio) if self.curvature == "newton" else 1 / (1 + np.abs(ratio))
        return weight * (self.c * _core.softsign(ratio)), weight * bend


def fair_objective(c: float, curvature: Literal["newton", "mm"] = "newton") -> _FairObjective:
    """Return Fair's loss as the estimators of LightGBM and XGBoost take it: ``LGBMRegressor(objective=...)``.

    It is for compatibility: in boosted trees Huber's loss and absolute deviations fit better, see
    docs/applications/robust.md.

    Parameters
    ----------
    c : float
        Residual, in units of the target, at which the pull is half of its limit; above 0 and finite.
    curvature : {"newton", "mm"}
        Which second derivative to state: the loss's own, 1 / (1 + abs(r)/c)**2, as LightGBM's ``objective=
        "fair", fair_c=c`` does; or 1 / (1 + abs(r)/c), that of the parabola which touches the loss from above
        (majorize-minimize), with which no step is too long.

    Returns
    -------
    callable
        Takes y_true, y_pred and optionally sample_weight, arrays of shape (n,), and returns the gradient
        c softsign(r / c) and the curvature for r = y_pred - y_true, float64 arrays of shape (n,). It can be
        pickled.

    Raises
    ------
    ValueError
        If `c` is not above 0 and finite, or `curvature` is another.
    TypeError
        If `c` is not a real number.

    Notes
    -----
    ``xgboost.train`` and ``lightgbm.train`` call with (prediction, data): ``lambda p, data:
    objective(data.get_label(), p)``.

    Examples
    --------
    >>> from softsign.applications import robust
    >>> gradient, curvature = robust.fair_objective(2.0)([0.0, 0.0, 5.0], [0.0, 2.0, -1.0])
    >>> print(gradient, curvature)
    [ 0.   1.  -1.5] [1.     0.25   0.0625]
    """
    if curvature not in ("newton", "mm"):
        raise ValueError(f"fair_objective: curvature is {curvature!r}, but must be 'newton' or 'mm'")
    return _FairObjective(positive("fair_objective", "c", c), curvature)
