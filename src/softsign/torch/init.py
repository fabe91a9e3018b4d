"""Initialization of softsign networks in PyTorch, on the edge of chaos.

There the variance of pre-activations stays q from layer to layer, and that of gradients what it was.
`softsign.init` has the theory; `critical_` applies it to a network, `adapt_` to one that the theory does not
cover, from a batch of data.

Examples
--------
>>> import torch
>>> from softsign.torch import init, nn
>>> _ = torch.manual_seed(0)
>>> layers = [layer for _ in range(50) for layer in (torch.nn.Linear(500, 500), nn.Softsign())]
>>> network = init.critical_(torch.nn.Sequential(*layers), q=0.5)
>>> with torch.no_grad():
...     deep = network[:-1](torch.randn(100, 500))    # before the last softsign
>>> print(f"{deep.var().item():.1f}")
0.5
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from softsign import init as theory

Layers = TypeVar("Layers", bound="torch.nn.Module | Iterable[torch.nn.Module]")
Distribution = Literal["normal", "uniform", "orthogonal"]

#: Layers whose output is W x + b, with weights of shape (out, in / groups, ...).
_AFFINE = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the gain for a nonlinearity: `torch.nn.init.calculate_gain`, which also knows softsign.

    Parameters
    ----------
    nonlinearity : str
        "softsign", or what PyTorch's function takes.
    param : float, optional
        Passed on to PyTorch's function.

    Returns
    -------
    float
        For softsign 2.3375, which keeps unit variance of pre-activations, as `softsign.init.gain` has it.

    Raises
    ------
    ValueError
        If the nonlinearity is unknown.

    Examples
    --------
    >>> from softsign.torch.init import calculate_gain
    >>> print(f"{calculate_gain('softsign'):.6f} {calculate_gain('relu'):.6f}")
    2.337533 1.414214
    """
    if nonlinearity == "softsign":
        return theory.gain("forward")
    return float(torch.nn.init.calculate_gain(nonlinearity, param))


def softsign_normal_(tensor: Tensor, q: float = 0.1, generator: torch.Generator | None = None) -> Tensor:
    """Fill weights with normal numbers of the variance sigma_w**2 / fan_in of `softsign.init.critical`.

    Parameters
    ----------
    tensor : torch.Tensor
        Weights of shape (out, in, ...); fan_in is the product of all sizes but the first.
    q : float
        Variance of the pre-activations, from 0 to 1e16.
    generator : torch.Generator, optional
        Source of random numbers; PyTorch's default one if None.

    Returns
    -------
    torch.Tensor
        `tensor`, filled.

    Raises
    ------
    ValueError
        If `tensor` has fewer than 2 axes or `q` is out of its range.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch.init import softsign_normal_
    >>> weights = softsign_normal_(torch.empty(300, 400), q=1.0)
    >>> print(f"{weights.std().item() * 20:.1f}")
    2.1
    """
    return _fill(tensor, theory.critical(q).sigma_w, "normal", generator)


def softsign_uniform_(tensor: Tensor, q: float = 0.1, generator: torch.Generator | None = None) -> Tensor:
    """Fill weights with uniform numbers of the variance sigma_w**2 / fan_in; otherwise as `softsign_normal_`.

    Parameters
    ----------
    tensor : torch.Tensor
        Weights of shape (out, in, ...); fan_in is the product of all sizes but the first.
    q : float
        Variance of the pre-activations, from 0 to 1e16.
    generator : torch.Generator, optional
        Source of random numbers; PyTorch's default one if None.

    Returns
    -------
    torch.Tensor
        `tensor`, filled.

    Raises
    ------
    ValueError
        If `tensor` has fewer than 2 axes or `q` is out of its range.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch.init import softsign_uniform_
    >>> weights = softsign_uniform_(torch.empty(300, 400), q=1.0)
    >>> bool(weights.abs().max() <= 2.0957807 * 3**0.5 / 20)
    True
    """
    return _fill(tensor, theory.critical(q).sigma_w, "uniform", generator)


def softsign_orthogonal_(tensor: Tensor, q: float = 0.1, generator: torch.Generator | None = None) -> Tensor:
    """Fill weights with sigma_w times a random orthogonal matrix, scaled to the variance sigma_w**2 / fan_in.

    Parameters
    ----------
    tensor : torch.Tensor
        Weights of shape (out, in, ...); fan_in is the product of all sizes but the first.
    q : float
        Variance of the pre-activations, from 0 to 1e16.
    generator : torch.Generator, optional
        Source of random numbers; PyTorch's default one if None.

    Returns
    -------
    torch.Tensor
        `tensor`, filled.

    Raises
    ------
    ValueError
        If `tensor` has fewer than 2 axes or `q` is out of its range.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch.init import softsign_orthogonal_
    >>> weights = softsign_orthogonal_(torch.empty(30, 30), q=1.0)
    >>> print(f"{torch.linalg.matrix_norm(weights, 2).item():.4f}")
    2.0958
    """
    return _fill(tensor, theory.critical(q).sigma_w, "orthogonal", generator)


def critical_(
    module_or_layers: Layers,
    q: float = 0.1,
    input_second_moment: float | Tensor = 1.0,
    distribution: Distribution = "normal",
    generator: torch.Generator | None = None,
) -> Layers:
    """Initialize a feed-forward softsign network on the edge of chaos.

    Weights have the variance sigma_w**2 / fan_in and biases sigma_b**2 of `softsign.init.critical`; the first
    layer's weights bring the input to the variance q.

    Parameters
    ----------
    module_or_layers : torch.nn.Module or iterable of torch.nn.Module
        A module, of which all Linear and Conv layers are taken in the order in which they were made, or these
        layers in their order. Each is followed by softsign, but the last, which may be followed by anything.
    q : float
        Variance of the pre-activations, above 0. Small values keep distances between inputs to greater depth:
        about 1/(2 depth) does.
    input_second_moment : float or torch.Tensor
        Mean of the squares of the network's input, 1 if it is standardized; or a batch of inputs to take it
        from.
    distribution : {"normal", "uniform", "orthogonal"}
        Distribution of the weights.
    generator : torch.Generator, optional
        Source of random numbers; PyTorch's default one if None.

    Returns
    -------
    torch.nn.Module or iterable of torch.nn.Module
        `module_or_layers`, initialized.

    Raises
    ------
    ValueError
        If there are no layers, one has no bias, or an argument is out of its range. Nothing is changed then.
    TypeError
        If one of the layers is no Linear or Conv layer.

    Notes
    -----
    Zero padding of convolutions lowers the variance near the edges; `adapt_` takes it into account.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch.init import critical_
    >>> layer = critical_(torch.nn.Linear(1000, 1000), q=1.0, input_second_moment=0.5)
    >>> print(f"{layer.weight.std().item() * 1000**0.5:.1f} {layer.bias.std().item():.1f}")
    1.3 0.4
    """
    layers = _affine_layers("critical_", module_or_layers)
    moment = input_second_moment
    if isinstance(moment, Tensor):
        moment = moment.detach().double().square().mean().item()
    deviations = theory.critical(q)
    first = theory.first_layer(q, moment)
    _check_distribution("critical_", distribution)
    for layer in layers:
        sigma = first if layer is layers[0] else deviations.sigma_w
        _fill(layer.weight, sigma, distribution, generator)
        _fill_bias(layer.bias, deviations.sigma_b, generator)
    return module_or_layers


def adapt_(
    model: torch.nn.Module,
    batch: Any,
    q: float = 0.1,
    distribution: Distribution = "normal",
    generator: torch.Generator | None = None,
) -> torch.nn.Module:
    """Initialize a network from data, in one forward pass: each layer's weights are scaled to what comes in.

    Biases are normal with the sigma_b of `softsign.init.critical`, weights scaled so that the layer's output
    has the mean square q on the batch. So residual connections, normalization, pooling or other activations
    in between are taken into account, as in layer-sequential unit-variance initialization (Mishkin and Matas,
    2016).

    Parameters
    ----------
    model : torch.nn.Module
        Its Linear and Conv layers are initialized as the forward pass comes to them, each once.
    batch : torch.Tensor
        What `model` is called with: a few hundred examples, or anything else that it takes.
    q : float
        Mean square of the pre-activations, above 0.
    distribution : {"normal", "uniform", "orthogonal"}
        Distribution of the weights.
    generator : torch.Generator, optional
        Source of random numbers; PyTorch's default one if None.

    Returns
    -------
    torch.nn.Module
        `model`, initialized.

    Raises
    ------
    ValueError
        If there are no layers, one has no bias or gets nothing but zeros, or an argument is out of its range.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import init, nn
    >>> first, second = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 8, 3)
    >>> model = torch.nn.Sequential(first, nn.Softsign(), second)
    >>> batch = 100 * torch.rand(50, 3, 16, 16)
    >>> with torch.no_grad():
    ...     print(f"{init.adapt_(model, batch)(batch).square().mean().item():.4f}")
    0.1000
    """
    layers = _affine_layers("adapt_", model)
    deviations = theory.critical(q)
    theory.first_layer(q, 1.0)  # which refuses q = 0
    _check_distribution("adapt_", distribution)
    seen: set[torch.nn.Module] = set()

    def adapt(layer: Any, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if layer in seen:
            return None
        seen.add(layer)
        _fill(layer.weight, deviations.sigma_w, distribution, generator)
        _fill_bias(layer.bias, deviations.sigma_b, generator)
        bias = layer.bias.view(-1, *(1 for _ in layer.weight.shape[2:]))
        product = layer.forward(*inputs) - bias
        layer.weight.mul_(_scale(product, bias.expand_as(product), q))
        return layer.forward(*inputs)

    hooks = [layer.register_forward_hook(adapt) for layer in layers]
    try:
        with torch.no_grad():
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return model


def _scale(product: Tensor, bias: Tensor, q: float) -> float:
    """Return the s > 0 for which s * product + bias has the mean square q."""
    product, bias = product.double(), bias.double()
    square, mixed, rest = (v.mean().item() for v in (product**2, product * bias, bias**2 - q))
    if not (square > 0 and rest < 0 and math.isfinite(square)):
        raise ValueError(
            "adapt_: a layer's input must be finite and not all 0, and q more than its biases' mean square"
        )
    return float((math.sqrt(mixed**2 - square * rest) - mixed) / square)


def _affine_layers(function: str, module_or_layers: Any) -> list[Any]:
    if isinstance(module_or_layers, torch.nn.Module):
        layers = [module for module in module_or_layers.modules() if isinstance(module, _AFFINE)]
    else:
        layers = list(module_or_layers)
    if not layers:
        raise ValueError(f"{function}: there must be a Linear or Conv layer, but there is none")
    for i, layer in enumerate(layers):
        if not isinstance(layer, _AFFINE):
            raise TypeError(
                f"{function}: layers must be Linear or Conv layers, but number {i} is {type(layer).__name__}"
            )
        if layer.bias is None:
            raise ValueError(f"{function}: layers must have biases, but number {i}, {layer}, has none")
    return layers


def _check_distribution(function: str, distribution: str) -> None:
    if distribution not in ("normal", "uniform", "orthogonal"):
        raise ValueError(
            f"{function}: distribution must be 'normal', 'uniform' or 'orthogonal', got {distribution!r}"
        )


def _fill(
    weight: Tensor, sigma: float, distribution: Distribution, generator: torch.Generator | None
) -> Tensor:
    """Fill weights with numbers of standard deviation sigma / sqrt(fan_in)."""
    if weight.ndim < 2:
        raise ValueError(f"weights must have 2 axes or more, got the shape {tuple(weight.shape)}")
    fan_in = weight[0].numel()
    deviation = float(sigma) / math.sqrt(fan_in)
    fill: dict[str, Callable[[], Tensor]] = {
        "normal": lambda: torch.nn.init.normal_(weight, 0.0, deviation, generator),
        "uniform": lambda: torch.nn.init.uniform_(
            weight, -math.sqrt(3) * deviation, math.sqrt(3) * deviation, generator
        ),
        # An orthonormal matrix has the variance 1 / max(out, fan_in).
        "orthogonal": lambda: torch.nn.init.orthogonal_(
            weight, float(sigma) * max(1.0, math.sqrt(weight.shape[0] / fan_in)), generator
        ),
    }
    return fill[distribution]()


def _fill_bias(bias: Tensor, sigma: float, generator: torch.Generator | None) -> None:
    torch.nn.init.normal_(bias, 0.0, float(sigma), generator)
