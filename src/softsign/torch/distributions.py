"""Softsign as a bijector of `torch.distributions`, and a normal distribution squashed by it."""

from __future__ import annotations

import functools
import math
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal, Transform, TransformedDistribution, constraints

from softsign.torch.functional import inverse, log_jacobian, softsign


class SoftsignTransform(Transform):
    """Map the real line onto (-bound, bound) by y = bound softsign(x / bound) = x / (1 + abs(x) / bound).

    The inverse, y / (1 - abs(y) / bound), is ±inf at ±bound and right next to it; the logarithm of the
    Jacobian is -2 log(1 + abs(x) / bound).

    Parameters
    ----------
    bound : float or torch.Tensor
        Where the values end; positive and finite. A tensor is broadcast with x.
    cache_size : int
        0, or 1 to remember the last value and its inverse, as other transforms do.

    Raises
    ------
    ValueError
        If `bound` is not positive and finite.
    TypeError
        If it is neither a number nor a tensor.

    Notes
    -----
    ``zuko.transforms.SoftclipTransform(bound)`` is the same map; its inverse divides y by the bound first,
    which loses what is left of 1 - abs(y) / bound next to the bound.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import SoftsignTransform
    >>> base = torch.distributions.Normal(0.0, 1.0)
    >>> squashed = torch.distributions.TransformedDistribution(base, [SoftsignTransform()])
    >>> squashed.log_prob(torch.tensor(0.5))    # of Normal at 1, plus 2 log 2
    tensor(-0.0326)
    >>> SoftsignTransform(bound=5.0)(torch.tensor([-torch.inf, 0.0, 5.0]))
    tensor([-5.0000,  0.0000,  2.5000])
    """

    domain = constraints.real
    bijective = True
    sign = +1

    def __init__(self, bound: float | Tensor = 1.0, cache_size: int = 0) -> None:
        if not isinstance(bound, (Real, Tensor)):
            raise TypeError(
                f"SoftsignTransform: bound must be a number or a tensor, got {type(bound).__name__}"
            )
        self.bound = bound if isinstance(bound, Tensor) else float(bound)
        if not torch.as_tensor((self.bound > 0) & (self.bound < math.inf)).all():
            raise ValueError(f"SoftsignTransform: bound must be positive and finite, got {bound}")
        super().__init__(cache_size=cache_size)
        self._unit = not isinstance(bound, Tensor) and self.bound == 1

    @constraints.dependent_property(is_discrete=False, event_dim=0)  # type: ignore[untyped-decorator]
    def codomain(self) -> Any:
        """Interval of the values, ends included, as rounding may reach them."""
        return constraints.interval(-self.bound, self.bound)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SoftsignTransform):
            return False
        return bool(torch.as_tensor(self.bound == other.bound).all())

    __hash__ = Transform.__hash__

    def with_cache(self, cache_size: int = 1) -> SoftsignTransform:
        """Return this transform with a cache of another size.

        Parameters
        ----------
        cache_size : int
            0 or 1.

        Returns
        -------
        SoftsignTransform
            This one if it has that size.
        """
        if self._cache_size == cache_size:
            return self
        return SoftsignTransform(self.bound, cache_size=cache_size)

    def _call(self, x: Tensor) -> Tensor:
        return softsign(x) if self._unit else self.bound * softsign(x / self.bound)

    def _inverse(self, y: Tensor) -> Tensor:
        if self._unit:
            return inverse(y)
        rest = self.bound - y.abs()  # exact from half the bound on
        return y * (self.bound / rest.where(rest >= 0, torch.nan))

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Return -2 log(1 + abs(x) / bound), the logarithm of the derivative at x.

        Parameters
        ----------
        x : torch.Tensor
            Argument, of any shape.
        y : torch.Tensor
            Value of the transform at `x`; not used.

        Returns
        -------
        torch.Tensor
            Shape of `x`, broadcast with the bound's.
        """
        return log_jacobian(x if self._unit else x / self.bound)

    def forward_shape(self, shape: torch.Size) -> torch.Size:
        """Return the shape of the values for that of the arguments, or the other way round.

        Parameters
        ----------
        shape : torch.Size
            Shape of x.

        Returns
        -------
        torch.Size
            `shape`, broadcast with the bound's.
        """
        return torch.broadcast_shapes(shape, getattr(self.bound, "shape", ()))

    inverse_shape = forward_shape


class SquashedNormal(TransformedDistribution):
    """Distribution of bound softsign(x / bound) for a normal x: a policy over bounded actions.

    Parameters
    ----------
    loc : float or torch.Tensor
        Mean of x.
    scale : float or torch.Tensor
        Standard deviation of x; positive.
    bound : float or torch.Tensor
        Actions lie in (-bound, bound); positive and finite.
    validate_args : bool, optional
        Whether arguments are checked, as in `torch.distributions.Distribution`.

    Raises
    ------
    ValueError
        If `scale` or `bound` is not positive, or not a number.

    Notes
    -----
    An action of `sample` or `rsample` is remembered with its x, so that `log_prob` of that very tensor takes
    the x it was made of. Of an action that comes from elsewhere, x is computed within 3 ulp, for the action
    as it was rounded; if x is at hand, `log_prob_of_pre_action` loses nothing.

    `cdf`, `icdf`, `expand` and `torch.distributions.kl_divergence` (of two with the same bound) work as for
    every transformed distribution; ``Independent(SquashedNormal(loc, scale), 1)`` is one action of several
    numbers. docs/applications/squashing.md compares it with tanh.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import SquashedNormal
    >>> policy = SquashedNormal(torch.tensor([0.0, 3.0]), torch.tensor([1.0, 8.0]), bound=2.0)
    >>> policy.log_prob(torch.tensor([0.5, -1.9]))
    tensor([ -0.5658, -10.1397])
    >>> policy.median, policy.mode
    (tensor([0.0000, 1.2000]), tensor([0.5359, 1.7160]))
    >>> policy.entropy()
    tensor([0.7903, 0.8772])
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    has_rsample = True

    def __init__(
        self,
        loc: float | Tensor,
        scale: float | Tensor,
        bound: float | Tensor = 1.0,
        validate_args: bool | None = None,
    ) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        super().__init__(base, [SoftsignTransform(bound, cache_size=1)], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> SquashedNormal:
        """Return the distribution with its parameters expanded, as every distribution does.

        Parameters
        ----------
        batch_shape : torch.Size
            The shape to expand to.
        _instance : SquashedNormal, optional
            For subclasses: what to fill.

        Returns
        -------
        SquashedNormal
            With that batch shape.
        """
        new = self._get_checked_instance(SquashedNormal, _instance)
        expanded: SquashedNormal = super().expand(batch_shape, _instance=new)
        return expanded

    @property
    def loc(self) -> Tensor:
        """Mean of x, before it is squashed."""
        return self.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """Standard deviation of x, before it is squashed."""
        return self.base_dist.scale

    @property
    def bound(self) -> float | Tensor:
        """Where the actions end."""
        bound: float | Tensor = self.transforms[0].bound
        return bound

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the logarithm of the density at an action.

        Parameters
        ----------
        value : torch.Tensor
            Actions, from -bound to bound.

        Returns
        -------
        torch.Tensor
            Shape of `value`, broadcast with the batch shape; -inf at ±bound.

        Raises
        ------
        ValueError
            If arguments are checked and an action is beyond the bound, or nan.
        """
        if self._validate_args:
            self._validate_sample(value)
        return self.log_prob_of_pre_action(self.transforms[0].inv(value))

    def log_prob_of_pre_action(self, x: Tensor) -> Tensor:
        """Return `log_prob` of the action bound softsign(x / bound), from x.

        Parameters
        ----------
        x : torch.Tensor
            What comes before squashing.

        Returns
        -------
        torch.Tensor
            Shape of `x`, broadcast with the batch shape.
        """
        density = -((x - self.loc) / self.scale).square() / 2 - self.scale.log() - math.log(2 * math.pi) / 2
        result = density - self.transforms[0].log_abs_det_jacobian(x, x)
        return result.where(~x.isinf(), -torch.inf)  # else -inf + inf

    @property
    def median(self) -> Tensor:
        """Action bound softsign(loc / bound), which is as often exceeded as not: to act without noise."""
        return self.transforms[0](self.loc)

    @property
    def mode(self) -> Tensor:
        """Action where the density is largest, which is further out than `median`; for loc = 0 one of two."""
        # (x - loc)(bound + x) = 2 scale^2 for loc >= 0, of whose two roots the larger is positive.
        loc, bound = self.loc.abs(), self.bound
        root = torch.hypot(loc + bound, math.sqrt(8) * self.scale)
        x = torch.where(
            loc > bound,
            (loc - bound + root) / 2,
            (2 * loc * bound + 4 * self.scale.square()) / (bound - loc + root),
        )
        return self.transforms[0](x.where(self.loc >= 0, -x))

    def entropy(self) -> Tensor:
        """Return the differential entropy, by a quadrature that errs by less than 1e-6 nats in float64.

        It is that of x less twice the expectation of t = log(1 + abs(x) / bound), integrated over t.

        Returns
        -------
        torch.Tensor
            The batch shape; differentiable.
        """
        nodes, weights = (torch.as_tensor(t, dtype=self.loc.dtype, device=self.loc.device) for t in _rule())
        loc, scale = self.loc.unsqueeze(-1), self.scale.unsqueeze(-1)
        bound = torch.as_tensor(self.bound, dtype=loc.dtype, device=loc.device).unsqueeze(-1)
        with torch.no_grad():
            least, most = (
                ((loc.abs() + k * scale).clamp(min=0) / bound).log1p() for k in (-_DEVIATIONS, _DEVIATIONS)
            )
            t = least + (most - least) * nodes
        x = bound * t.expm1()
        density = sum((-((x + s * loc) / scale).square() / 2).exp() for s in (1, -1))
        density = density / (scale * math.sqrt(2 * math.pi)) * (x + bound)  # of t
        expected: Tensor = (weights * (most - least) * t * density).sum(-1)
        return self.base_dist.entropy() - 2 * expected


#: Beyond, a normal density has 1e-15 of its mass.
_DEVIATIONS = 8


@functools.cache
def _rule() -> tuple[Any, Any]:
    """Return nodes and weights of Gauss and Legendre from 0 to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    return (nodes + 1) / 2, weights / 2
