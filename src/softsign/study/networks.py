"""The networks of the training study, built and initialized. Needs PyTorch.

They are those of Glorot and Bengio (2010): fully connected, one activation function throughout, softmax and
negative log-likelihood on top.

References
----------
X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS
2010. H. Lee, H. Choi and H. Kim, "Robust weight initialization for tanh neural networks with fixed point
analysis", 2024, arXiv 2410.02242.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from softsign.study.runs import Trial, split
from softsign.torch import init
from softsign.torch.nn import Softsign

__all__ = ["ISRU", "MODULES", "build"]


class ISRU(torch.nn.Module):
    """The inverse square root unit x / sqrt(1 + x**2), with softsign's range and tanh's smoothness."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute x / sqrt(1 + x**2).

        Parameters
        ----------
        x : Tensor of a floating-point dtype, any shape
            Pre-activations.

        Returns
        -------
        Tensor of the same dtype and shape
            Activations.
        """
        return x * torch.rsqrt(1 + x * x)


#: What computes each of `softsign.study.runs.ACTIVATIONS`.
MODULES: dict[str, Callable[[], torch.nn.Module]] = {
    "softsign": Softsign,
    "tanh": torch.nn.Tanh,
    "sigmoid": torch.nn.Sigmoid,
    "relu": torch.nn.ReLU,
    "isru": ISRU,
}


def build(trial: Trial, features: int, classes: int, input_second_moment: float) -> torch.nn.Sequential:
    """Build and initialize a network: linear layers with the activation in between.

    Parameters
    ----------
    trial : Trial
        What to build; its data, batch size, updates, learning rate and momentum do not matter.
    features : int
        Units at the bottom.
    classes : int
        Units at the top.
    input_second_moment : float
        Mean square of the features, which the critical rule takes into account.

    Returns
    -------
    Sequential
        On the CPU, in float32.

    Notes
    -----
    The critical rule for functions other than softsign solves the same two equations, with moments by
    quadrature. For ReLU that is He's rule. The sigmoid is centered: its mean is taken out of the biases of
    the next layer, which makes it the network of tanh(x/2)/2; without that no critical point has a small q.

    Examples
    --------
    >>> build(Trial("digits", "tanh", "standard", 1, 20, 10, 100, 0.1, 0.0, 0), 64, 10, 1.0)
    Sequential(
      (0): Linear(in_features=64, out_features=20, bias=True)
      (1): Tanh()
      (2): Linear(in_features=20, out_features=10, bias=True)
    )
    """
    widths = [features] + [trial.width] * trial.depth + [classes]
    layers = [torch.nn.utils.skip_init(torch.nn.Linear, *pair) for pair in itertools.pairwise(widths)]
    generator = torch.Generator().manual_seed(trial.seed)
    rule, number = split(trial.initialization)
    if rule == "identity":
        for layer in layers:
            _fill_identity(layer, number, generator)
    elif rule != "critical":
        for layer in layers:
            _fill_uniform(layer, rule, generator)
    elif trial.activation == "softsign":
        init.critical_(layers, number, input_second_moment, generator=generator)
    else:
        _fill_critical(layers, trial.activation, number, input_second_moment, generator)
    modules: list[torch.nn.Module] = []
    for layer in layers:
        modules += [layer, MODULES[trial.activation]()]
    return torch.nn.Sequential(*modules[:-1])


def _fill_uniform(layer: torch.nn.Linear, rule: str, generator: torch.Generator) -> None:
    bound = (
        math.sqrt(6 / (layer.in_features + layer.out_features))
        if rule == "normalized"
        else layer.in_features**-0.5
    )
    torch.nn.init.uniform_(layer.weight, -bound, bound, generator)
    if rule == "pytorch":
        torch.nn.init.uniform_(layer.bias, -bound, bound, generator)
    else:
        torch.nn.init.zeros_(layer.bias)


def _fill_identity(layer: torch.nn.Linear, alpha: float, generator: torch.Generator) -> None:
    """Let unit i copy input i, counted modulo the number of inputs, and add noise to the weights."""
    torch.nn.init.normal_(layer.weight, 0.0, alpha * layer.in_features**-0.5, generator)
    torch.nn.init.zeros_(layer.bias)
    units = torch.arange(layer.out_features)
    with torch.no_grad():
        layer.weight[units, units % layer.in_features] += 1


def _fill_critical(
    layers: list[torch.nn.Linear],
    activation: str,
    q: float,
    input_second_moment: float,
    generator: torch.Generator,
) -> None:
    z = torch.linspace(-10, 10, 4000, dtype=torch.float64)  # an even number: ReLU's kink is at no node
    weights = torch.softmax(-z * z / 2, 0)
    x = (math.sqrt(q) * z).requires_grad_()
    y = MODULES[activation]()(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    center = (weights @ y.detach()).item() if activation == "sigmoid" else 0.0
    square, slope_square = (weights @ (y.detach() - center) ** 2).item(), (weights @ slope**2).item()
    bias_variance = max(q - square / slope_square, 0.0)  # ReLU's is 0, but for rounding
    for layer in layers:
        variance = (
            (q - bias_variance) / input_second_moment / layer.in_features
            if layer is layers[0]
            else 1 / slope_square / layer.in_features
        )
        torch.nn.init.normal_(layer.weight, 0.0, math.sqrt(variance), generator)
        torch.nn.init.normal_(layer.bias, 0.0, math.sqrt(bias_variance), generator)
        if layer is not layers[0]:
            with torch.no_grad():
                layer.bias -= center * layer.weight.sum(1)
