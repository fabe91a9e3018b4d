"""Fair's loss as a norm of statsmodels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from statsmodels.robust.norms import RobustNorm

from softsign import _core
from softsign.applications.robust.fair import FAIR_95
from softsign.variants._blocks import positive
from softsign.variants.sigmoids import soft_abs, soft_cap

__all__ = ["FairNorm"]


class FairNorm(RobustNorm):
    """Fair's loss for statsmodels: ``RLM(endog, exog, M=FairNorm()).fit()``.

    rho(z) = c**2 (abs(z)/c - log(1 + abs(z)/c)), whose derivative is psi(z) = c softsign(z / c).

    Parameters
    ----------
    c : float
        Tuning constant in units of the errors' standard deviation, above 0 and finite. The default has an
        efficiency of 95 % at normal errors; `tuning_constant` has those of others.

    Raises
    ------
    ValueError
        If `c` is not above 0 and finite.
    TypeError
        If `c` is not a real number.

    Examples
    --------
    >>> import numpy as np
    >>> import statsmodels.api as sm
    >>> from softsign.applications.robust import FairNorm
    >>> x = np.arange(8.0)
    >>> y = np.array([1.1, 2.9, 5.0, 60.0, 8.9, 11.1, 13.0, 14.9])
    >>> sm.RLM(y, sm.add_constant(x), M=FairNorm()).fit().params.round(2)
    array([1.08, 1.99])
    """

    continuous = 2  # psi' is, as RamsayE's
    redescending = "not"

    def __init__(self, c: float = FAIR_95) -> None:
        self.c = positive("FairNorm", "c", c)

    def __repr__(self) -> str:
        return f"FairNorm(c={self.c})"

    def _set_tuning_param(self, c: float, inplace: bool = False) -> FairNorm:
        """Return a norm with another constant, this one if `inplace`; statsmodels' tools call it."""
        other = type(self)(c)
        if not inplace:
            return other
        self.c = other.c
        return self

    def max_rho(self) -> float:
        """Return the limit of rho for large z, infinity."""
        return np.inf

    def rho(self, z: npt.ArrayLike) -> Any:
        """Return the loss, c**2 (abs(z)/c - log(1 + abs(z)/c)).

        Parameters
        ----------
        z : array_like of real numbers
            Residuals in units of their scale, of any shape.

        Returns
        -------
        float64 scalar or array
            Of the shape of `z`.
        """
        return self.c * soft_abs(np.asarray(z, np.float64), self.c)

    def psi(self, z: npt.ArrayLike) -> Any:
        """Return the derivative of rho, c softsign(z / c), by which an observation pulls.

        Parameters
        ----------
        z : array_like of real numbers
            Residuals in units of their scale, of any shape.

        Returns
        -------
        float64 scalar or array
            Of the shape of `z`, between -c and c.
        """
        return soft_cap(np.asarray(z, np.float64), self.c)

    def weights(self, z: npt.ArrayLike) -> Any:
        """Return psi(z) / z = 1 / (1 + abs(z)/c), the weights of iterated least squares.

        Parameters
        ----------
        z : array_like of real numbers
            Residuals in units of their scale, of any shape.

        Returns
        -------
        float64 scalar or array
            Of the shape of `z`, 1 at 0.
        """
        return 1 / (1 + np.abs(np.asarray(z, np.float64)) / self.c)

    def psi_deriv(self, z: npt.ArrayLike) -> Any:
        """Return the derivative of psi, 1 / (1 + abs(z)/c)**2, which standard errors need.

        Parameters
        ----------
        z : array_like of real numbers
            Residuals in units of their scale, of any shape.

        Returns
        -------
        float64 scalar or array
            Of the shape of `z`.
        """
        return _core.derivative(np.asarray(z, np.float64) / self.c)
