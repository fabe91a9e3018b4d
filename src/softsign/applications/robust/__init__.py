"""Fitting that outliers do not spoil, and fits with few coefficients: where the influence is softsign.

An estimate that minimizes the sum of Fair's loss, c**2 (abs(r)/c - log(1 + abs(r)/c)), over residuals r feels
each of them with the strength c softsign(r / c). Here are its tuning constant, and what SciPy, statsmodels,
scikit-learn, XGBoost and LightGBM ask of a loss; `softsign.torch.nn.FairLoss` is PyTorch's. softsign itself
as a penalty, `TransformedL1`, makes sparse fits, and `box_penalty` keeps a minimizer within bounds.

The functions need NumPy alone. `FairNorm` needs statsmodels, and the regressors need scikit-learn: they are
imported by the first access, with ``pip install 'softsign[robust]'``.
"""

import typing as _typing

from softsign.applications.robust.fair import FAIR_95, efficiency, fair_loss, fair_objective, tuning_constant
from softsign.applications.robust.penalties import TransformedL1, box_penalty

__all__ = [
    "FAIR_95",
    "FairNorm",
    "FairRegressor",
    "TransformedL1",
    "TransformedL1Regressor",
    "box_penalty",
    "efficiency",
    "fair_loss",
    "fair_objective",
    "tuning_constant",
]

#: Subclasses of other packages' classes: the module that has them, and the package that it imports.
_DOORS = {
    "FairNorm": ("norms", "statsmodels"),
    "FairRegressor": ("linear", "sklearn"),
    "TransformedL1Regressor": ("sparse", "sklearn"),
}

if _typing.TYPE_CHECKING:
    from softsign.applications.robust.linear import FairRegressor
    from softsign.applications.robust.norms import FairNorm
    from softsign.applications.robust.sparse import TransformedL1Regressor
else:

    def __getattr__(name: str) -> object:
        """Import a class when it is first asked for."""
        from importlib import import_module

        if name not in _DOORS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, package = _DOORS[name]
        try:
            return getattr(import_module(f"{__name__}.{module}"), name)
        except ModuleNotFoundError as error:  # an AttributeError's text would be lost in `from ... import`
            if error.name != package:
                raise
            raise ModuleNotFoundError(
                f"{name} needs {package.replace('sklearn', 'scikit-learn')}: pip install 'softsign[robust]'",
                name=package,
            ) from error

    def __dir__() -> list[str]:
        """List the names that can be had, so that `help` works without the packages."""
        from importlib.util import find_spec

        return [name for name in __all__ if name not in _DOORS or find_spec(_DOORS[name][1])]
