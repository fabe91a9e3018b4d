"""The softsign distribution for SciPy: its cumulative distribution function is (1 + softsign(x)) / 2.

``softsign_dist`` is an instance of `scipy.stats.rv_continuous`, as `scipy.stats.cauchy` is, with all their
methods: ``pdf``, ``cdf``, ``sf``, ``ppf``, ``isf``, their logarithms, ``rvs``, ``fit``, ``entropy``, with
``loc`` and ``scale``, frozen or not. It is made when it is first asked for; the extra ``stats`` brings SciPy.

========  ================================  =================================
method    value                             largest error for loc 0, scale 1
========  ================================  =================================
pdf       1 / (2 (1 + abs(x))**2)           1 ulp; 0.5 unless subnormal
logpdf    -log(2) - 2 log(1 + abs(x))       3 ulp
cdf       (1 + softsign(x)) / 2             2 ulp
sf        (1 - softsign(x)) / 2             2 ulp
logcdf    log(cdf(x))                       3 ulp
logsf     log(sf(x))                        3 ulp
ppf       softsign.inverse(2 q - 1)         2 ulp
isf       -ppf(q)                           2 ulp
========  ================================  =================================

The median is 0 and the quartiles are -1 and 1. The tails, 1 / (2 abs(x)), are so heavy that there is no mean:
``moment`` is nan for odd orders and infinite for even ones. As everywhere in SciPy, ``scale`` <= 0 and
probabilities outside [0, 1] give nan. docs/applications/stats.md has the formulas with their proofs.

Examples
--------
>>> from softsign.applications.stats import softsign_dist
>>> print(softsign_dist.cdf([-1.0, 0.0, 1.0]))
[0.25 0.5  0.75]
>>> print(softsign_dist.sf(1e300), softsign_dist.ppf(2.0**-53))     # (1 - softsign(1e300)) / 2 is 0
5e-301 -4503599627370495.0
>>> prices = softsign_dist(loc=10, scale=2)
>>> print(prices.ppf([0.25, 0.5, 0.75]))
[ 8. 10. 12.]
"""

from typing import TYPE_CHECKING

__all__ = ["softsign_dist"]

if TYPE_CHECKING:
    from softsign.applications._distribution import softsign_dist
else:

    def __getattr__(name: str) -> object:
        """Make the distribution when it is first asked for."""
        if name != "softsign_dist":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            from softsign.applications._distribution import softsign_dist
        except ModuleNotFoundError as error:
            if not str(error.name).startswith("scipy"):
                raise
            raise ModuleNotFoundError(
                "softsign_dist needs SciPy: pip install 'softsign[stats]'", name="scipy"
            ) from error
        globals()[name] = softsign_dist
        return softsign_dist
