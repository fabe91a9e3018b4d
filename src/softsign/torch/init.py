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

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import is_parametrized

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
        Parametrized weights are assigned through their parametrization, as `weight_norm` permits.
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
        If there are no layers, one has no bias, is lazy or has weights that cannot be set, as with
        `spectral_norm`, `orthogonal` or pruning; if the first layer's weights are those of another layer,
        too; or if an argument is out of its range. Nothing is changed then.
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
    for i, layer in enumerate(layers):
        if is_lazy(layer.weight):
            raise ValueError(
                f"critical_: number {i}, {layer}, does not know its size yet: run the model once before"
            )
        if i > 0 and _own(layer, "weight") is _own(layers[0], "weight") and first != deviations.sigma_w:
            raise ValueError(
                f"critical_: number 0 and number {i} have the same weights, but the first layer's need "
                f"another variance"
            )
    for layer in layers:
        sigma = first if layer is layers[0] else deviations.sigma_w
        _draw(layer, sigma, deviations.sigma_b, distribution, generator)
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
        Its Linear and Conv layers are initialized as the forward pass comes to them, each once; those that it
        does not come to stay as they are. It runs in the mode that it is in, train or eval. Buffers, as the
        statistics of BatchNorm, are afterwards what they were.
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
        If there are no layers, one has no bias, gets nothing but zeros or has weights that cannot be set, as
        with `spectral_norm`, `orthogonal` or pruning; if two layers have the same weights or biases; or if an
        argument is out of its range.

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
    _check_untied(layers)
    seen: set[torch.nn.Module] = set()

    def adapt(layer: Any, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if layer in seen:
            return None
        seen.add(layer)
        _draw(layer, deviations.sigma_w, deviations.sigma_b, distribution, generator)
        bias = layer.bias.view(-1, *(1 for _ in layer.weight.shape[2:]))
        product = layer.forward(*inputs) - bias
        scaled = layer.weight * _scale(product, bias.expand_as(product), q)
        _set(layer, "weight", lambda w: w.copy_(scaled))
        return layer.forward(*inputs)

    hooks = [layer.register_forward_hook(adapt) for layer in layers]
    try:
        with torch.no_grad(), _buffers_kept(model):
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return model


@contextmanager
def _buffers_kept(model: torch.nn.Module) -> Iterator[None]:
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers() if not is_lazy(buffer)]
    try:
        yield
    finally:
        for buffer, before in buffers:
            buffer.copy_(before)


def _check_untied(layers: list[Any]) -> None:
    for name in ("weight", "bias"):
        numbers: dict[int, int] = {}
        for i, layer in enumerate(layers):
            first = numbers.setdefault(id(_own(layer, name)), i)
            if first != i and layer is not layers[first]:
                raise ValueError(
                    f"adapt_: number {first} and number {i} have the same {name}, which cannot be scaled to "
                    f"the inputs of both"
                )


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
        for name in ("weight", "bias"):
            if not _is_settable(layer, name):
                raise ValueError(
                    f"{function}: the {name} of number {i}, {type(layer).__name__}, is computed from others, "
                    f"which do not give each value; initialize it before it is parametrized or pruned"
                )
    return layers


def _own(layer: Any, name: str) -> Any:
    """Return what a layer has its weight or bias in, by which it is seen whether another has the same."""
    return layer.parametrizations[name] if is_parametrized(layer, name) else getattr(layer, name)


def _is_settable(layer: Any, name: str) -> bool:
    """Whether a parameter is one, or has a parametrization that takes any value as it is."""
    if not is_parametrized(layer, name):
        return name in layer._parameters  # hooks leave a tensor that the next call replaces
    trial = copy.deepcopy(layer)
    value = getattr(trial, name).detach()
    value = torch.linspace(-1, 2, value.numel(), dtype=value.dtype, device=value.device).view_as(value)
    try:
        _set(trial, name, lambda tensor: tensor.copy_(value))
    except (RuntimeError, ValueError, NotImplementedError):
        return False
    return bool(torch.allclose(getattr(trial, name), value, rtol=1e-2, atol=1e-3))


def _draw(
    layer: Any, sigma_w: float, sigma_b: float, distribution: Distribution, generator: torch.Generator | None
) -> None:
    _set(layer, "weight", lambda w: _fill(w, sigma_w, distribution, generator))
    _set(layer, "bias", lambda b: _fill_bias(b, sigma_b, generator))


def _set(layer: Any, name: str, fill: Callable[[Tensor], Tensor]) -> None:
    """Fill a parameter; one that is parametrized is assigned, so that its parametrization takes it apart."""
    with torch.no_grad():
        tensor = getattr(layer, name)
        if is_parametrized(layer, name):
            setattr(layer, name, fill(torch.empty_like(tensor)))
        else:
            fill(tensor)


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


def _fill_bias(bias: Tensor, sigma: float, generator: torch.Generator | None) -> Tensor:
    return torch.nn.init.normal_(bias, 0.0, float(sigma), generator)
