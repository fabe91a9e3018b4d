"""Fit of the saturating hyperbola a x / (k + x), which many sciences know by a name of their own.

==================  =================================  ====================  =========================
name                y                                  a                     k
==================  =================================  ====================  =========================
Michaelis-Menten    speed of a reaction                V_max                 K_m, a concentration
Langmuir            what a surface has taken up        monolayer             1 / K, a pressure
Holling II          prey eaten by one predator         1 / h, h handling     1 / (rate of search * h)
Naka-Rushton        response of the retina             R_max                 sigma, an intensity
Monod               growth of microbes                 mu_max                K_s, a concentration
==================  =================================  ====================  =========================

It is a * softsign(x / k) for x >= 0. docs/applications/science.md has each with its words. The extra
``science`` brings SciPy, whose `scipy.optimize.curve_fit` does the work.

Examples
--------
>>> from softsign.applications.science import fit_saturation
>>> concentration = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0]
>>> speed = [1.1, 1.9, 3.6, 5.2, 6.8, 8.5]
>>> fit = fit_saturation(concentration, speed)
>>> print(f"{fit.a:.2f} ± {fit.a_error:.2f}, {fit.k:.3f} ± {fit.k_error:.3f}")
9.92 ± 0.13, 0.886 ± 0.033
>>> print(fit.predict([0.0, fit.k]).round(2))
[0.   4.96]
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import softsign

__all__ = ["SaturationFit", "fit_saturation"]

Array = npt.NDArray[np.float64]

#: Values of k that are tried first, and how far beyond the data they go.
_TRIED, _BEYOND = 400, 1e4


class SaturationFit(NamedTuple):  # numpydoc ignore=PR02
    """The hyperbola that was fitted, and how sure it is.

    Parameters
    ----------
    a : float
        What y goes to for large x, in the unit of y.
    k : float
        The x at which y is a / 2, in the unit of x.
    a_error, k_error : float
        Standard errors of both, the square roots of the covariance's diagonal.
    covariance : ndarray of float64, shape (2, 2)
        Of a and k.
    residual_error : float
        Residual standard error, sqrt(sum of weighted squares / degrees of freedom).
    degrees_of_freedom : int
        Number of points less 2.
    """

    a: float
    k: float
    a_error: float
    k_error: float
    covariance: Array
    residual_error: float
    degrees_of_freedom: int

    def predict(self, x: npt.ArrayLike) -> Any:
        """Return a x / (k + x).

        Parameters
        ----------
        x : array_like of real numbers
            At least 0, of any shape.

        Returns
        -------
        float64 or ndarray of float64
            Shape of `x`; a at inf.
        """
        return self.a * softsign.softsign(np.asarray(x) / self.k)


def _checked(name: str, values: npt.ArrayLike, least: str = "finite") -> Array:
    """Return the values as float64, if all are finite, and as large as asked for."""
    given = np.asarray(values)
    if given.dtype.kind not in "iuf":
        raise TypeError(f"{name} has dtype {given.dtype}, but must be real numbers")
    allowed = {"finite": np.isfinite(given), "at least 0": given >= 0, "positive": given > 0}[least]
    if (wrong := ~(np.isfinite(given) & allowed)).any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = f"[{', '.join(map(str, place))}]" if place else ""
        also = "" if least == "finite" else f" and {least}"
        raise ValueError(f"{name}{where} is {given[place]}, but must be finite{also}")
    return given.astype(np.float64)


def _start(x: Array, y: Array, weight: Array) -> tuple[float, float]:
    """Return the best a and k of a grid of k; for each k the best a is a linear fit."""
    positive = x[x > 0]
    tried = np.geomspace(positive.min() / _BEYOND, positive.max() * _BEYOND, _TRIED)
    shape = softsign.softsign(x / tried[:, None]) * weight
    a = shape @ (y * weight) / (shape**2).sum(axis=1)
    squares = ((y * weight - a[:, None] * shape) ** 2).sum(axis=1)
    best = int(np.argmin(squares))
    if best == 0:
        raise ValueError(
            f"y does not rise with x: k would be below {tried[0]:g}, the smallest x / {_BEYOND:g}"
        )
    if best == _TRIED - 1:
        raise ValueError(
            f"y does not bend over: k would be above {tried[-1]:g}, {_BEYOND:g} times the largest x"
        )
    return float(a[best]), float(tried[best])


def fit_saturation(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    sigma: npt.ArrayLike | None = None,
    absolute_sigma: bool = False,
) -> SaturationFit:
    """Fit y = a x / (k + x) by least squares.

    No starting values are needed: for each of 400 values of k, from the smallest positive x / 1e4 to the
    largest x * 1e4, the best a is a linear fit, and the best pair starts Levenberg and Marquardt's method.

    Parameters
    ----------
    x : array_like of real numbers, shape (n,)
        Concentration, pressure, density of prey, intensity ..., at least 0. At least 3 points, and among them
        2 different ones above 0.
    y : array_like of real numbers, shape (n,)
        What was measured.
    sigma : array_like of real numbers, shape () or (n,), optional
        Standard deviations of y, positive. Default: all alike.
    absolute_sigma : bool
        Whether `sigma` is in the unit of y. Otherwise its size counts only beside the others', and the errors
        follow from the residuals, as in `scipy.optimize.curve_fit` and R's ``nls``.

    Returns
    -------
    SaturationFit
        a and k with standard errors and covariance; its ``predict`` gives the curve.

    Raises
    ------
    ModuleNotFoundError
        If SciPy is missing.
    TypeError
        If an argument is not real.
    ValueError
        If a number is not finite or too small, lengths differ, there are too few points, or y is constant or
        proportional to x over all of the data, so that k cannot be told.

    References
    ----------
    .. [1] D. M. Bates and D. G. Watts, "Nonlinear Regression Analysis and Its Applications", Wiley, 1988.

    Examples
    --------
    >>> from softsign.applications.science import fit_saturation
    >>> fit = fit_saturation([1, 2, 4, 8], [2.0, 3.1, 3.9, 4.6], sigma=[0.1, 0.1, 0.2, 0.2])
    >>> print(f"{fit.a:.2f} {fit.k:.2f} {fit.degrees_of_freedom}")
    5.66 1.74 2
    """
    try:
        from scipy.optimize import curve_fit
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "fit_saturation needs SciPy: pip install 'softsign[science]'", name="scipy"
        ) from error
    x, y = _checked("x", x, "at least 0"), _checked("y", y)
    if x.ndim != 1 or y.shape != x.shape:
        raise ValueError(
            f"x has shape {x.shape} and y {y.shape}, but both must have the same, one-dimensional"
        )
    if x.size < 3 or np.unique(x[x > 0]).size < 2:
        raise ValueError(f"x has {x.size} points, but must have at least 3, and 2 different ones above 0")
    deviation = _checked("sigma", 1.0 if sigma is None else sigma, "positive")
    if deviation.shape not in ((), x.shape):
        raise ValueError(
            f"sigma has shape {deviation.shape}, but must be one number or have that of x, {x.shape}"
        )
    deviation = np.broadcast_to(deviation, x.shape)

    def hyperbola(x: Array, a: float, k: float) -> Array:
        return a * np.asarray(softsign.softsign(x / k))

    def jacobian(x: Array, a: float, k: float) -> Array:
        u = x / k
        return np.column_stack([softsign.softsign(u), -a / k * u * softsign.derivative(u)])

    start = _start(x, y, deviation.min() / deviation)
    tight = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-13)
    (a, k), covariance = curve_fit(
        hyperbola, x, y, start, deviation, absolute_sigma, jac=jacobian, method="lm", **tight
    )
    degrees = x.size - 2
    squares = np.sum(((y - hyperbola(x, a, k)) / deviation) ** 2)
    errors = np.sqrt(np.diag(covariance))
    residual = float(np.sqrt(squares / degrees))
    return SaturationFit(
        float(a), float(k), float(errors[0]), float(errors[1]), covariance, residual, degrees
    )
