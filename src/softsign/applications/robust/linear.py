"""Linear regression by Fair's loss, in scikit-learn's manner."""

from __future__ import annotations

import math
import warnings
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from softsign.applications.robust.fair import FAIR_95
from softsign.variants._blocks import positive

__all__ = ["FairRegressor"]

Array = npt.NDArray[np.float64]

#: Median of abs(z) for standard normal z: what makes of a median absolute deviation a standard deviation.
_NORMAL_MAD = 0.674489750196082


class LinearModel(RegressorMixin, BaseEstimator):
    """What the regressors here have in common: predictions, and the warning of too few iterations."""

    coef_: Array
    intercept_: float

    def predict(self, X: npt.ArrayLike) -> Array:  # noqa: N803  (as in scikit-learn)
        """Return the fitted linear function at the rows of a matrix.

        Parameters
        ----------
        X : array_like of real numbers, shape (n_samples, n_features)
            Points.

        Returns
        -------
        ndarray of float64, shape (n_samples,)
            ``X @ coef_ + intercept_``.
        """
        check_is_fitted(self)
        values: Array = validate_data(self, X, dtype=np.float64, reset=False) @ self.coef_ + self.intercept_
        return values

    def _warn(self) -> None:
        warnings.warn(
            f"{type(self).__name__} did not converge in max_iter = {self.max_iter} iterations",
            ConvergenceWarning,
            stacklevel=3,
        )


def _median(values: Array, weight: Array) -> float:
    """Return the median of numbers that each count as often as their weight says, also if not whole."""

    def lower(numbers: Array) -> Any:
        return np.quantile(numbers, 0.5, weights=weight, method="inverted_cdf")

    return float((lower(values) - lower(-values)) / 2)


class FairRegressor(LinearModel):
    """Linear regression that outliers in y do not spoil: Fair's loss of the residuals over their scale.

    Minimizes ``sum_i sample_weight_i 2 s**2 rho((y_i - x_i coef - intercept) / s) + alpha norm(coef)**2``,
    where rho(z) = c**2 (abs(z)/c - log(1 + abs(z)/c)) and the scale s is the median absolute residual over
    0.6745, in turn. For c to infinity it is scikit-learn's Ridge, and with alpha = 0 statsmodels' ``RLM(y, X,
    M=FairNorm(c))``.

    Parameters
    ----------
    c : float
        Tuning constant in units of the scale, above 0 and finite. The default has an efficiency of 95 % at
        normal errors; `tuning_constant` has those of others.
    alpha : float
        Strength of the squared penalty, 0 or larger.
    fit_intercept : bool
        Whether there is an intercept, which is not penalized.
    max_iter : int
        Most iterations, 1 or more.
    tol : float
        The iteration ends when no prediction changes by more than `tol` times the scale.

    Attributes
    ----------
    coef_ : ndarray of float64, shape (n_features,)
        Coefficients.
    intercept_ : float
        Intercept, 0 if there is none.
    scale_ : float
        Scale of the residuals, 0 if more than half of them are.
    n_iter_ : int
        Iterations that were made.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str, shape (n_features,)
        Their names, if X has such.

    Notes
    -----
    Each iteration is a least squares fit with the weights 1 / (1 + abs(z)/c). No weight is 0, and a row of X
    far from the others still pulls the line to itself: its y is then no outlier of the fit. scikit-learn's
    HuberRegressor has Huber's loss, which is quadratic up to a corner.

    References
    ----------
    .. [1] R. C. Fair, "On the robust estimation of econometric models", Annals of Economic and Social
       Measurement 3, 1974, 667-677.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.applications.robust import FairRegressor
    >>> X = np.arange(8.0)[:, np.newaxis]
    >>> model = FairRegressor().fit(X, [1.1, 2.9, 5.0, 60.0, 8.9, 11.1, 13.0, 14.9])
    >>> print(model.coef_.round(2), round(model.intercept_, 2), round(model.scale_, 2))
    [1.99] 1.08 0.13
    """

    def __init__(
        self,
        c: float = FAIR_95,
        *,
        alpha: float = 0.0,
        fit_intercept: bool = True,
        max_iter: int = 200,
        tol: float = 1e-6,
    ) -> None:
        self.c = c
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol

    def fit(
        self,
        X: npt.ArrayLike,  # noqa: N803
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array_like of real numbers, shape (n_samples, n_features)
            Features.
        y : array_like of real numbers, shape (n_samples,)
            Targets.
        sample_weight : array_like of real numbers, shape (n_samples,), optional
            How often each sample counts, 0 or more, whole or not.

        Returns
        -------
        FairRegressor
            The object itself.

        Raises
        ------
        ValueError
            If `X` or `y` is not finite or of a wrong shape, a weight is negative, or a parameter is outside
            its range.
        TypeError
            If a parameter is not a real number.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` iterations were too few.
        """
        c, tol = positive("FairRegressor", "c", self.c), positive("FairRegressor", "tol", self.tol)
        if not 0 <= self.alpha < np.inf:
            raise ValueError(f"FairRegressor: alpha is {self.alpha}, but must be 0 or larger, and finite")
        if self.max_iter < 1:
            raise ValueError(f"FairRegressor: max_iter is {self.max_iter}, but must be at least 1")
        features, targets = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        targets = np.asarray(targets, np.float64)
        weight = _check_sample_weight(sample_weight, features, dtype=np.float64, ensure_non_negative=True)
        design = np.column_stack([features, np.ones(len(features))]) if self.fit_intercept else features
        ridge = math.sqrt(self.alpha) * np.eye(features.shape[1], design.shape[1])
        rows, values = np.concatenate([design, ridge]), np.concatenate([targets, np.zeros(len(ridge))])

        def least_squares(weight: Array) -> Array:
            root = np.concatenate([np.sqrt(weight), np.ones(len(ridge))])
            solution: Array = np.linalg.lstsq(root[:, np.newaxis] * rows, root * values)[0]
            return solution

        def sizes(solution: Array) -> tuple[Array, float]:
            size = np.abs(targets - design @ solution)
            return size, _median(size, weight) / _NORMAL_MAD

        solution = least_squares(weight)
        rounding = 1e-13 * np.max(np.abs(targets))
        for n_iter in range(1, self.max_iter + 1):  # noqa: B007  (its last value is a result)
            before, (size, scale) = solution, sizes(solution)
            bend = max(c * scale, np.finfo(np.float64).tiny)
            solution = least_squares(weight * (bend / (bend + size)))
            if np.max(np.abs(design @ (solution - before))) <= tol * scale + rounding:
                break
        else:
            self._warn()
        self.n_iter_, self.coef_ = n_iter, solution[: features.shape[1]]
        self.intercept_ = float(solution[-1]) if self.fit_intercept else 0.0
        self.scale_ = sizes(solution)[1]
        return self
