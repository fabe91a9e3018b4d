"""The distribution of `softsign.applications.stats`, which imports this module, and SciPy, when used."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import CensoredData, rv_continuous

import softsign
from softsign.variants import elliott

__all__ = ["softsign_dist"]

Array = npt.NDArray[np.floating]


class softsign_gen(rv_continuous):  # type: ignore[misc]  # noqa: N801, named as SciPy's are
    """A continuous random variable whose cumulative distribution function is (1 + softsign(x)) / 2.

    Its density is 1 / (2 (1 + abs(x))**2): that of the ratio of two independent exponential variables, with a
    random sign. The tails are those of a Cauchy variable, up to a factor, and the peak is a kink.

    Examples
    --------
    >>> from softsign.applications.stats import softsign_dist
    >>> print(softsign_dist.ppf([0.01, 0.25, 0.5, 0.75, 0.99]))
    [-49.  -1.   0.   1.  49.]
    >>> print(softsign_dist.entropy(), softsign_dist.mean())
    2.6931471805599454 nan
    """

    def _shape_info(self) -> list[Any]:
        return []

    def _pdf(self, x: Array) -> Any:
        return 0.5 * softsign.derivative(x)

    def _logpdf(self, x: Array) -> Any:
        return softsign.log_jacobian(x) - math.log(2)

    def _cdf(self, x: Array) -> Any:
        return elliott(x)

    def _sf(self, x: Array) -> Any:
        return elliott(-x)

    def _logcdf(self, x: Array) -> Any:
        a = np.abs(x)
        return np.where(x < 0, -np.log1p(a) - math.log(2), np.log1p(-elliott(-a)))

    def _logsf(self, x: Array) -> Any:
        return self._logcdf(-x)

    def _ppf(self, q: Array) -> Any:
        tail = np.minimum(q, 1 - q)  # exact: q itself, or from 1/2 on a difference without rounding
        with np.errstate(divide="ignore", over="ignore"):
            return np.copysign((1 - 2 * tail) / (2 * tail), q - 0.5)

    def _isf(self, q: Array) -> Any:
        return -self._ppf(q)

    def _munp(self, n: Any) -> Any:
        return np.where(np.asarray(n) == 0, 1.0, np.where(np.asarray(n) % 2 == 0, np.inf, np.nan))[()]

    def _entropy(self) -> float:
        return 2 + math.log(2)

    def _fitstart(self, data: Any, args: None = None) -> tuple[float, float]:
        """Start from the quartiles, as the moments of the distribution do not exist."""
        values = data._uncensor() if isinstance(data, CensoredData) else data
        first, median, third = np.percentile(values, [25, 50, 75])
        return median, (third - first) / 2

    def _rvs(self, size: Any = None, random_state: Any = None) -> Any:
        # Random numbers are multiples of 2**-53 below 1; 0, whose quantile is -inf, stands for what is below.
        return self._ppf(np.maximum(random_state.uniform(size=size), 2.0**-54))


softsign_dist = softsign_gen(name="softsign")
