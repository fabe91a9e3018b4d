"""softsign.study.networks: rules of initialization."""

import math

import numpy as np
import pytest
import torch

from softsign.study.networks import MODULES, build
from softsign.study.runs import ACTIVATIONS
from tests.test_study_runs import small


def test_every_activation_has_a_module() -> None:
    assert tuple(MODULES) == ACTIVATIONS


@pytest.mark.parametrize(
    ("rule", "weight_variance", "bias_bound"),
    [("standard", 1 / 900, 0), ("normalized", 2 / 900, 0), ("pytorch", 1 / 900, 300**-0.5)],
)
def test_uniform_rules(rule: str, weight_variance: float, bias_bound: float) -> None:
    network = build(small(initialization=rule, width=300), 100, 10, 1.0)
    layer = network[2]
    assert layer.weight.var().item() == pytest.approx(2 / 600 if rule == "normalized" else 1 / 900, rel=0.02)
    assert layer.weight.abs().max().item() <= math.sqrt(3 * layer.weight.var().item()) * 1.01
    assert layer.bias.abs().max().item() <= bias_bound
    assert (layer.bias.abs().max().item() > 0.9 * bias_bound) == (bias_bound > 0)
    first = network[0].weight.var().item()
    assert first == pytest.approx(2 / 400 if rule == "normalized" else 1 / 300, rel=0.05)


def test_identity_rule() -> None:
    network = build(small(initialization="identity:0.3", width=300), 100, 10, 1.0)
    for layer in network[::2]:
        unit = np.eye(layer.in_features)[np.arange(layer.out_features) % layer.in_features]
        noise = layer.weight.detach().numpy() - unit
        assert noise.std() * layer.in_features**0.5 == pytest.approx(0.3, rel=0.03)
        assert abs((noise * unit).sum() / unit.sum()) < 0.05
        assert not layer.bias.any()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_critical_rule_of_each_activation(activation: str) -> None:
    """Variances stay over twelve layers of width 300, in the mean over twelve networks.

    They differ from network to network, hardly between the inputs of one.
    """
    q, ratios, squares = 0.5, [], []
    generator = torch.Generator().manual_seed(1)
    for seed in range(12):
        trial = small(activation=activation, initialization=f"critical:{q}", depth=12, width=300, seed=seed)
        network = build(trial, 100, 10, 4.0)
        x = 2 * torch.randn(60, 100, generator=generator)
        sums = []
        for module in network:
            x = module(x)
            if isinstance(module, torch.nn.Linear):
                sums.append(x)
        hidden = sums[:-1]
        squares.append([h.square().mean().item() for h in hidden])
        top = torch.randn(hidden[-1].shape, generator=generator)
        gradients = torch.autograd.grad(hidden[-1], hidden, top)
        ratios.append(gradients[0].square().mean().item() / gradients[-1].square().mean().item())
    # Without biases, ReLU's networks keep what variance the first layers happen to have.
    assert np.mean(squares, axis=0) == pytest.approx([q] * 12, rel=0.3)
    assert 0.7 < np.mean(ratios) < 1.5


def test_softsign_is_initialized_by_the_house_rule() -> None:
    from softsign.torch import init

    trial = small()
    network = build(trial, 64, 10, 2.0)
    other = [torch.nn.Linear(*shape) for shape in ((64, 20), (20, 20), (20, 20), (20, 10))]
    init.critical_(other, 0.5, 2.0, generator=torch.Generator().manual_seed(0))
    for mine, theirs in zip(network[::2], other, strict=True):
        assert torch.equal(mine.weight, theirs.weight)
        assert torch.equal(mine.bias, theirs.bias)
