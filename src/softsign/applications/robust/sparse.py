"""Linear regression with few coefficients, in scikit-learn's manner."""

from __future__ import annotations

import math
import operator
import warnings
from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lasso_path
from sklearn.utils.validation import validate_data

from softsign.applications.robust.linear import LinearModel
from softsign.applications.robust.penalties import TransformedL1
from softsign.variants._blocks import positive

__all__ = ["TransformedL1Regressor"]

Array = npt.NDArray[np.float64]

#: The least of the strengths that are tried, in units of the largest.
_LEAST = 0.01


class TransformedL1Regressor(LinearModel):
    """Linear regression with few coefficients: least squares with the penalty `TransformedL1`.

    Minimizes ``norm(y - X coef - intercept)**2 / (2 n) + alpha sum_j TransformedL1(a).value(coef_j)``, n
    being the number of samples. The lasso, which is this for a to infinity, shrinks all coefficients, and
    makes up for it by many small ones.

    Parameters
    ----------
    alpha : float, optional
        Strength of the penalty, above 0. By default it is chosen among `n_alphas` strengths by the extended
        Bayesian information criterion [1]_, ``n log(rss / n) + k (log n + 2 log p)`` for k of p coefficients
        that are not 0.
    a : float
        Where the penalty levels off, in units of the coefficients, above 0 and finite.
    n_alphas : int
        Number of strengths, geometric from the least that makes all coefficients 0 to 1/100 of that.
    fit_intercept : bool
        Whether there is an intercept, which is not penalized.
    max_iter : int
        Most iterations for each strength, 1 or more.
    tol : float
        The iteration ends when no coefficient changes by more than `tol` times the largest one.

    Attributes
    ----------
    coef_ : ndarray of float64, shape (n_features,)
        Coefficients.
    intercept_ : float
        Intercept, 0 if there is none.
    alpha_ : float
        The strength that was chosen, or given.
    n_iter_ : int
        Iterations that were made for it.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str, shape (n_features,)
        Their names, if X has such.

    Notes
    -----
    Columns of X should be of about one size (StandardScaler), as one `a` is for all. Each iteration is a
    lasso of scikit-learn, weighted by `TransformedL1.weights` at the coefficients of the one before, so the
    objective never rises. It is not convex: what is found is a stationary point, reached from that of the
    next larger alpha. Strengths that let more than half as many coefficients as samples in are not tried.

    References
    ----------
    .. [1] J. Chen and Z. Chen, "Extended Bayesian information criteria for model selection with large model
       spaces", Biometrika 95, 2008, 759-771.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.applications.robust import TransformedL1Regressor
    >>> random = np.random.default_rng(0)
    >>> X = random.standard_normal((50, 100))
    >>> y = 3 * X[:, 2] - X[:, 7] + 0.1 * random.standard_normal(50)
    >>> model = TransformedL1Regressor().fit(X, y)
    >>> print(np.flatnonzero(model.coef_), model.coef_[[2, 7]].round(2))
    [2 7] [ 2.96 -1.01]
    """

    def __init__(
        self,
        alpha: float | None = None,
        *,
        a: float = 1.0,
        n_alphas: int = 25,
        fit_intercept: bool = True,
        max_iter: int = 50,
        tol: float = 1e-6,
    ) -> None:
        self.alpha = alpha
        self.a = a
        self.n_alphas = n_alphas
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:  # noqa: N803
        """Fit the model.

        Parameters
        ----------
        X : array_like of real numbers, shape (n_samples, n_features)
            Features.
        y : array_like of real numbers, shape (n_samples,)
            Targets.

        Returns
        -------
        TransformedL1Regressor
            The object itself.

        Raises
        ------
        ValueError
            If `X` or `y` is not finite or of a wrong shape, or a parameter is outside its range.
        TypeError
            If a parameter is not a real number.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` iterations were too few.
        """
        penalty, tol = TransformedL1(self.a), positive("TransformedL1Regressor", "tol", self.tol)
        given = None if self.alpha is None else positive("TransformedL1Regressor", "alpha", self.alpha)
        for name in ("n_alphas", "max_iter"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"TransformedL1Regressor: {name} is {getattr(self, name)}, but must be at least 1"
                )
        features, values = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        values = np.asarray(values, np.float64)
        mean, offset = np.zeros(features.shape[1]), 0.0
        if self.fit_intercept:
            mean, offset = features.mean(axis=0), values.mean()
        rows, targets = features - mean, values - offset
        largest = np.max(np.abs(rows.T @ targets)) / len(rows) / (1 + 1 / penalty.a)
        path = (largest or 1.0) * np.geomspace(1, _LEAST, self.n_alphas)
        coef, fits = np.zeros(len(mean)), list[tuple[float, Array, float, int]]()
        for alpha in path if given is None else [given]:
            coef, n_iter = self._descend(rows, targets, penalty, alpha, tol, coef)
            criterion = _extended_bic(rows, targets, coef)
            if fits and criterion == np.inf:
                break
            fits.append((criterion, coef, float(alpha), n_iter))
        _, self.coef_, self.alpha_, self.n_iter_ = min(fits, key=operator.itemgetter(0))
        self.intercept_ = float(offset - mean @ self.coef_)
        return self

    def _descend(
        self, rows: Array, targets: Array, penalty: TransformedL1, alpha: float, tol: float, coef: Array
    ) -> tuple[Array, int]:
        """Minimize from a start, by one weighted lasso after the other; return how many there were, too."""
        for n_iter in range(1, self.max_iter + 1):  # noqa: B007  (its last value is a result)
            before, weights = coef, penalty.weights(coef)
            with warnings.catch_warnings():  # a lasso that stops too early is gone on with by the next one
                warnings.simplefilter("ignore", ConvergenceWarning)
                _, path, _ = lasso_path(
                    rows / weights, targets, alphas=[alpha], coef_init=coef * weights, tol=tol
                )
            coef = path[:, 0] / weights
            if np.max(np.abs(coef - before)) <= tol * np.max(np.abs(coef)):
                break
        else:
            self._warn()
        return coef, n_iter


def _extended_bic(rows: Array, targets: Array, coef: Array) -> float:
    """Return the criterion, infinite where there are too many coefficients for it to mean anything."""
    (n, p), k = rows.shape, np.count_nonzero(coef)
    if k > n / 2:
        return math.inf
    squares = np.sum(np.square(targets - rows @ coef))
    rounding = 1e-30 * np.sum(np.square(targets)) + np.finfo(np.float64).tiny
    return float(n * math.log(max(squares, rounding) / n) + k * (math.log(n) + 2 * math.log(p)))
