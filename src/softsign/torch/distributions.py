"""Softsign as a bijector of `torch.distributions`."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Transform, constraints

from softsign.torch.functional import inverse, log_jacobian, softsign


class SoftsignTransform(Transform):  # numpydoc ignore=PR02
    """Map the real line onto (-1, 1) by y = x / (1 + abs(x)).

    The inverse is y / (1 - abs(y)), exact up to rounding, with ±inf at ±1; the logarithm of the Jacobian is
    -2 log(1 + abs(x)).

    Parameters
    ----------
    cache_size : int
        0, or 1 to remember the last value and its inverse, as other transforms do.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import SoftsignTransform
    >>> base = torch.distributions.Normal(0.0, 1.0)
    >>> squashed = torch.distributions.TransformedDistribution(base, [SoftsignTransform()])
    >>> squashed.log_prob(torch.tensor(0.5))    # of Normal at 1, plus 2 log 2
    tensor(-0.0326)
    """

    domain = constraints.real
    codomain = constraints.interval(-1.0, 1.0)
    bijective = True
    sign = +1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SoftsignTransform)

    __hash__ = Transform.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return softsign(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return inverse(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Return -2 log(1 + abs(x)), the logarithm of the derivative at x.

        Parameters
        ----------
        x : torch.Tensor
            Argument, of any shape.
        y : torch.Tensor
            Value of the transform at `x`; not used.

        Returns
        -------
        torch.Tensor
            Shape of `x`.
        """
        return log_jacobian(x)
