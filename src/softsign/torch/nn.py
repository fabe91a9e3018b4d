"""Modules."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor

from softsign.torch.functional import softsign

Model = TypeVar("Model", bound=torch.nn.Module)


class Softsign(torch.nn.Softsign):
    """Apply x / (1 + abs(x)) to each element, as `softsign.torch.softsign` does.

    Parameters
    ----------
    inplace : bool
        Write the result over the input.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import nn
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), nn.Softsign(inplace=True))
    >>> model[1]
    Softsign(inplace=True)
    """

    inplace = False

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Return softsign of `input`.

        Parameters
        ----------
        input : torch.Tensor
            Any shape; what `softsign.torch.softsign` takes.

        Returns
        -------
        torch.Tensor
            Shape of `input`; `input` itself if it is overwritten.
        """
        return softsign(input, self.inplace)

    def extra_repr(self) -> str:
        """Tell what differs from the default."""
        return "inplace=True" if self.inplace else ""


class ParametricSoftsign(torch.nn.Module):
    """Apply range * softsign(slope * x), with slope and range that may be learned.

    Its derivative at 0 is range * slope, its limits are ±range.

    Parameters
    ----------
    num_parameters : int
        1, for one slope and one range, or the number of channels, the size of the input's axis 1, for one of
        each for each.
    learn_slope : bool
        Whether the slope is a parameter; otherwise it is a buffer.
    learn_range : bool
        Whether the range is a parameter; otherwise it is a buffer.
    slope : float
        Initial slope, not 0, as nothing would be learned then.
    range : float
        Initial range.
    device : torch.device or str, optional
        Device of the parameters.
    dtype : torch.dtype, optional
        Floating dtype of the parameters.

    Raises
    ------
    ValueError
        If `num_parameters` is less than 1, or `slope` or `range` is not finite or `slope` is 0.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import nn
    >>> activation = nn.ParametricSoftsign(slope=2.0, range=3.0)
    >>> activation(torch.tensor([[-1.0, 0.0, 1.0]])).detach()
    tensor([[-2.,  0.,  2.]])
    >>> [name for name, _ in activation.named_parameters()]
    ['slope', 'range']
    """

    def __init__(
        self,
        num_parameters: int = 1,
        learn_slope: bool = True,
        learn_range: bool = True,
        slope: float = 1.0,
        range: float = 1.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if num_parameters < 1:
            raise ValueError(f"ParametricSoftsign: num_parameters must be at least 1, got {num_parameters}")
        super().__init__()
        self.num_parameters = num_parameters
        for name, value, learn in (("slope", slope, learn_slope), ("range", range, learn_range)):
            if not abs(value) < float("inf") or (name, value) == ("slope", 0):
                raise ValueError(f"ParametricSoftsign: {name} must be finite and slope not 0, got {value}")
            tensor = torch.full((num_parameters,), float(value), device=device, dtype=dtype)
            if learn:
                setattr(self, name, torch.nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)

    def forward(self, x: Tensor) -> Tensor:
        """Return range * softsign(slope * x).

        Parameters
        ----------
        x : torch.Tensor
            Any shape; with more than one parameter, at least 2 axes with channels as axis 1.

        Returns
        -------
        torch.Tensor
            Shape of `x`.

        Raises
        ------
        ValueError
            If axis 1 of `x` has not as many channels as there are parameters.
        """
        slope, limit = self.slope, self.range
        if self.num_parameters > 1:
            if x.ndim < 2 or x.shape[1] != self.num_parameters:
                raise ValueError(
                    f"ParametricSoftsign: x must have {self.num_parameters} channels as axis 1, got the "
                    f"shape {tuple(x.shape)}"
                )
            channels = (self.num_parameters, *(1 for _ in x.shape[2:]))
            slope, limit = slope.view(channels), limit.view(channels)
        return limit * softsign(slope * x)

    def extra_repr(self) -> str:
        """Tell the number of parameters and which are learned."""
        learned = {name for name, _ in self.named_parameters()}
        return ", ".join(
            [f"num_parameters={self.num_parameters}"]
            + [f"learn_{name}=False" for name in ("slope", "range") if name not in learned]
        )


def swap(model: Model, inplace: bool = False) -> Model:
    """Make every `torch.nn.Softsign` in a model the one of this package.

    The modules stay the same objects, with their hooks and names; `torch.nn.functional.softsign` in the code
    of a model stays PyTorch's.

    Parameters
    ----------
    model : torch.nn.Module
        The model, changed where it is; or a `torch.nn.Softsign` itself.
    inplace : bool
        Whether the modules write over their inputs.

    Returns
    -------
    torch.nn.Module
        `model`, the same object.

    Raises
    ------
    TypeError
        If `model` is not a `torch.nn.Module`.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import swap
    >>> model = swap(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Softsign()))
    >>> type(model[1]).__module__
    'softsign.torch.nn'
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"swap: model must be a torch.nn.Module, got {type(model).__name__}")
    for module in model.modules():
        if type(module) is torch.nn.Softsign:
            module.__class__ = Softsign
            module.inplace = inplace
    return model
