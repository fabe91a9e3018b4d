"""Modules."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor

from softsign.torch.dynamic import dynamic_softsign
from softsign.torch.functional import antiderivative, softsign

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
        self.init = {"slope": float(slope), "range": float(range)}
        for name, learn in (("slope", learn_slope), ("range", learn_range)):
            value = self.init[name]
            if not abs(value) < float("inf") or (name, value) == ("slope", 0):
                raise ValueError(f"ParametricSoftsign: {name} must be finite and slope not 0, got {value}")
            tensor = torch.empty(num_parameters, device=device, dtype=dtype)
            if learn:
                setattr(self, name, torch.nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set slope and range to their initial values, as what fills a model made on the meta device asks."""
        with torch.no_grad():
            self.slope.fill_(self.init["slope"])
            self.range.fill_(self.init["range"])

    def forward(self, x: Tensor) -> Tensor:
        """Return range * softsign(slope * x).

        Parameters
        ----------
        x : torch.Tensor
            Any shape; with more than one parameter, at least 2 axes with channels as axis 1.

        Returns
        -------
        torch.Tensor
            Shape of `x`; its dtype under autocast, promoted with that of the parameters elsewhere.

        Raises
        ------
        ValueError
            If axis 1 of `x` has not as many channels as there are parameters.
        """
        return _fitted(self.range, x) * softsign(_fitted(self.slope, x) * x)

    def extra_repr(self) -> str:
        """Tell the number of parameters and which are learned."""
        learned = {name for name, _ in self.named_parameters()}
        return ", ".join(
            [f"num_parameters={self.num_parameters}"]
            + [f"learn_{name}=False" for name in ("slope", "range") if name not in learned]
        )


def _fitted(parameter: Tensor, x: Tensor) -> Tensor:
    """Return a parameter of ParametricSoftsign along the channels of x, under autocast in the dtype of x."""
    if not torch.jit.is_scripting():  # which has no such question
        autocast = x.is_floating_point() and torch.is_autocast_enabled(x.device.type)
        parameter = parameter.to(x.dtype) if autocast else parameter
    channels = parameter.numel()
    if channels == 1:
        return parameter.view(1) if x.dim() > 0 else parameter.view([])
    if x.dim() < 2 or x.size(1) != channels:
        raise ValueError(
            f"ParametricSoftsign: x must have {channels} channels as axis 1, got the shape {list(x.shape)}"
        )
    return parameter.view([channels] + [1] * (x.dim() - 2))


torch.fx.wrap("_fitted")  # a tracer records the call, as what it does depends on the shape of x


class DynamicSoftsign(torch.nn.Module):
    """Apply weight * softsign(alpha * x) + bias, a layer to try in place of LayerNorm.

    Unlike a normalization it takes no mean and no variance: each number is treated by itself. It is Dynamic
    Tanh [1]_ with softsign, whose slope falls sooner, but not as far.

    Parameters
    ----------
    num_features : int
        Size of the last axis of the input, which weight and bias have one number for each of.
    alpha : float
        Initial alpha, one number for all features; finite and not 0.
    device : torch.device or str, optional
        Device of the parameters.
    dtype : torch.dtype, optional
        Floating dtype of the parameters.

    Raises
    ------
    ValueError
        If `num_features` is less than 1, or `alpha` is 0 or not finite.

    Notes
    -----
    On a CPU, and on CUDA where Triton is installed, one pass computes the layer, and one its four gradients.
    Where it is transformed, compiled or on another device it is a few operations. Whether it trains as well
    as a normalization is contested: docs/variants.md has both sides.

    References
    ----------
    .. [1] J. Zhu, X. Chen, K. He, Y. LeCun and Z. Liu, "Transformers without normalization",
       arXiv:2503.10622, 2025.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import nn
    >>> layer = nn.DynamicSoftsign(3)
    >>> layer(torch.tensor([[-1.0, 0.0, 3.0]])).detach()
    tensor([[-0.5000,  0.0000,  0.7500]])
    >>> layer
    DynamicSoftsign(3, alpha=1.0)
    """

    def __init__(self, num_features: int, alpha: float = 1.0, device: Any = None, dtype: Any = None) -> None:
        if num_features < 1:
            raise ValueError(f"DynamicSoftsign: num_features must be at least 1, got {num_features}")
        if not 0 < abs(alpha) < float("inf"):
            raise ValueError(f"DynamicSoftsign: alpha must be finite and not 0, got {alpha}")
        super().__init__()
        self.num_features, self.init_alpha = num_features, float(alpha)
        for name, size in (("alpha", 1), ("weight", num_features), ("bias", num_features)):
            setattr(self, name, torch.nn.Parameter(torch.empty(size, device=device, dtype=dtype)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set alpha to its initial value, weight to 1 and bias to 0."""
        with torch.no_grad():
            self.alpha.fill_(self.init_alpha)
            self.weight.fill_(1)
            self.bias.fill_(0)

    def forward(self, x: Tensor) -> Tensor:
        """Return weight * softsign(alpha * x) + bias.

        Parameters
        ----------
        x : torch.Tensor
            Any shape whose last axis has `num_features` numbers.

        Returns
        -------
        torch.Tensor
            Shape and dtype of `x`.

        Raises
        ------
        ValueError
            If the last axis of `x` has another size.
        """
        if x.dim() < 1 or x.size(-1) != self.num_features:
            raise ValueError(
                f"DynamicSoftsign: the last axis of x must have {self.num_features} features, got the shape "
                f"{list(x.shape)}"
            )
        return dynamic_softsign(x, self.alpha, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Tell the size and the initial alpha."""
        return f"{self.num_features}, alpha={self.init_alpha}"


class FairLoss(torch.nn.Module):
    """Fair's loss of predictions, c**2 (abs(r)/c - log(1 + abs(r)/c)) of r = input - target.

    It is r**2 / 2 for small errors and grows like c abs(r) for large ones, with the gradient c softsign(r /
    c): that of `torch.nn.HuberLoss` without its corner.

    Parameters
    ----------
    c : float
        Error at which the gradient is half of its limit c; above 0 and finite.
    reduction : {"mean", "sum", "none"}
        What is returned: the mean or sum of all losses, or each of them.

    Raises
    ------
    ValueError
        If `c` is not above 0 and finite, or `reduction` is another.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import nn
    >>> prediction = torch.tensor([0.0, 1.0, 100.0], requires_grad=True)
    >>> loss = nn.FairLoss(c=2.0, reduction="sum")(prediction, torch.zeros(3))
    >>> print(f"{loss.item():.4f}", torch.autograd.grad(loss, prediction)[0])
    184.6508 tensor([0.0000, 0.6667, 1.9608])
    """

    def __init__(self, c: float = 1.0, reduction: str = "mean") -> None:
        if not 0 < c < float("inf"):
            raise ValueError(f"FairLoss: c must be above 0 and finite, got {c}")
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"FairLoss: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
        super().__init__()
        self.c, self.reduction = float(c), reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss.

        Parameters
        ----------
        input : torch.Tensor
            Predictions, of any shape.
        target : torch.Tensor
            What they should be, in the same shape.

        Returns
        -------
        torch.Tensor
            A scalar, or with the reduction "none" the shape of `input`; float32 for float16 and bfloat16, as
            losses are under autocast.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        if input.shape != target.shape:
            raise ValueError(
                f"FairLoss: input and target must have one shape, got {list(input.shape)} and "
                f"{list(target.shape)}"
            )
        error = input - target
        error = error.to(torch.promote_types(error.dtype, torch.float32))
        losses = self.c**2 * antiderivative(error / self.c)
        return losses if self.reduction == "none" else getattr(losses, self.reduction)()

    def extra_repr(self) -> str:
        """Tell c and the reduction."""
        return f"c={self.c}, reduction={self.reduction!r}"


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
        If `model` is not a `torch.nn.Module`, or a part of it that has a Softsign was scripted or traced, so
        that its code is fixed. Nothing is changed then.

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
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule) and module.original_name == "Softsign":
            raise TypeError(
                f"swap: {path or 'model'} is a Softsign in TorchScript, whose code is fixed; swap the model "
                f"before it is scripted or traced"
            )
    for module in model.modules():
        if type(module) is torch.nn.Softsign:
            module.__class__ = Softsign
            module.inplace = inplace
    return model
