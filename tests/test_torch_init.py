"""softsign.torch.init: variances of signal and gradient in networks, and what is refused."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils import prune

from softsign import init as theory
from softsign.torch import init, nn


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """OpenMP's threads wait for each other 100,000 times here: minutes beside another busy process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def deep(width: int, depth: int) -> torch.nn.Sequential:
    layers = [layer for _ in range(depth) for layer in (torch.nn.Linear(width, width), nn.Softsign())]
    return torch.nn.Sequential(*layers[:-1])


def variances(network: torch.nn.Sequential, x: Tensor) -> tuple[list[float], list[float]]:
    """Of the pre-activations, and of the gradient with respect to them for a random gradient at the top."""
    hidden = []
    for module in network:
        x = module(x)
        if isinstance(module, torch.nn.Linear):
            x.retain_grad()
            hidden.append(x)
    x.backward(torch.randn(x.shape))
    return [h.var().item() for h in hidden], [
        h.grad.square().mean().item() for h in hidden if h.grad is not None
    ]


@pytest.mark.parametrize(  # q and how weights are drawn meet in sigma_w alone
    ("q", "distribution"),
    [(q, "normal") for q in (0.01, 0.1, 0.5, 1.0)]
    + [(q, name) for q in (0.01, 1.0) for name in ("uniform", "orthogonal")],
)
def test_signal_and_gradient_keep_their_variance(q: float, distribution: Any) -> None:
    """Over 30 layers of width 200; of the gradients' ratio, which varies, the mean over networks.

    Among orthogonal weights, which take longest, it varies less: half as many give the mean as well.
    """
    torch.manual_seed(1)
    network = deep(200, 30).requires_grad_(False)
    ratios = []
    for _ in range(6 if distribution == "orthogonal" else 12):
        init.critical_(network, q, distribution=distribution)
        signal, gradient = variances(network, torch.randn(32, 200).requires_grad_())
        assert signal == pytest.approx([q] * 30, rel=0.5)
        assert signal[0] == pytest.approx(q, rel=0.1)
        ratios.append(gradient[0] / gradient[-1])
    assert 0.7 <= np.mean(ratios) <= 1.5


def test_xavier_loses_the_gradient() -> None:
    torch.manual_seed(0)
    network = deep(300, 50)
    for layer in network[::2]:
        torch.nn.init.xavier_normal_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    _, gradient = variances(network, torch.randn(64, 300))
    assert gradient[0] / gradient[-1] < 1e-2


def test_first_layer_takes_the_input_as_it_is() -> None:
    batch = 7 + 3 * torch.randn(500, 200)
    for moment in (batch, batch.square().mean().item()):
        torch.manual_seed(3)
        layer = init.critical_(torch.nn.Linear(200, 400), q=0.5, input_second_moment=moment)
        assert layer(batch).square().mean().item() == pytest.approx(0.5, rel=0.15)


@pytest.mark.parametrize(
    "fill",
    [init.softsign_normal_, init.softsign_uniform_, init.softsign_orthogonal_],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("shape", [(300, 400), (400, 300), (64, 16, 5, 5), (64, 8, 3)])
def test_weights_have_the_critical_variance(fill: Any, shape: tuple[int, ...]) -> None:
    weights = fill(torch.empty(shape), q=1.0, generator=torch.Generator().manual_seed(0))
    fan_in = weights[0].numel()
    assert weights.std().item() * fan_in**0.5 == pytest.approx(theory.critical(1.0).sigma_w, rel=0.04)
    assert torch.equal(weights, fill(torch.empty(shape), q=1.0, generator=torch.Generator().manual_seed(0)))


def test_convolutions_count_the_fan_of_their_groups() -> None:
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(32, 64, 3), torch.nn.Conv2d(64, 64, 3, groups=4)]
    assert init.critical_(layers, q=0.5) is layers
    x = layers[0](torch.randn(8, 32, 20, 20))
    for layer in layers[1:]:
        x = layer(nn.Softsign()(x))
    assert x.square().mean().item() == pytest.approx(0.5, rel=0.3)
    sigma = theory.critical(0.5).sigma_w
    assert layers[1].weight.std().item() * 144**0.5 == pytest.approx(sigma, rel=0.03)


class Residual(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Conv2d(8, 8, 3, padding=1)
        self.outer = torch.nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = x + nn.Softsign()(self.inner(x))
        y: Tensor = self.outer(nn.Softsign()(x.mean((2, 3))))
        return y


def test_adapt_takes_any_network() -> None:
    torch.manual_seed(0)
    model, batch = Residual(), 40 + 3 * torch.randn(200, 8, 9, 9)
    outputs = []
    hooks = [
        layer.register_forward_hook(lambda m, i, o: outputs.append(o)) for layer in (model.inner, model.outer)
    ]
    assert init.adapt_(model, batch, q=0.2) is model
    outputs.clear()
    model(batch)
    assert [o.square().mean().item() for o in outputs] == pytest.approx([0.2, 0.2], rel=1e-4)
    assert all(p.requires_grad for p in model.parameters())
    for hook in hooks:
        hook.remove()
    assert not model.inner._forward_hooks


# Weights that are no plain parameters

parametrizations = torch.nn.utils.parametrizations


def layer_with(change: Any) -> torch.nn.Linear:
    layer = torch.nn.Linear(60, 60)
    return cast(torch.nn.Linear, change(layer) or layer)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_weights_under_weight_norm_are_set() -> None:
    torch.manual_seed(0)
    layers = [layer_with(parametrizations.weight_norm) for _ in range(2)]
    init.critical_(layers, q=1.0)
    layers[1](torch.ones(60))  # which computes the weights again
    assert layers[1].weight.std().item() * 60**0.5 == pytest.approx(theory.critical(1.0).sigma_w, rel=0.1)
    batch = torch.randn(200, 60)
    model = init.adapt_(torch.nn.Sequential(layers[0], nn.Softsign(), layers[1]), batch, q=0.3)
    assert model(batch).square().mean().item() == pytest.approx(0.3, rel=1e-4)


def halved(layer: torch.nn.Linear) -> None:
    class Half(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / 2

    torch.nn.utils.parametrize.register_parametrization(layer, "bias", Half())


COMPUTED = {
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "weight_norm by a hook": torch.nn.utils.weight_norm,
    "spectral_norm by a hook": torch.nn.utils.spectral_norm,
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    "bias": halved,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("kind", COMPUTED)
def test_weights_that_cannot_be_set_are_refused(kind: str) -> None:
    layer = layer_with(COMPUTED[kind])
    model = torch.nn.Sequential(torch.nn.Linear(60, 60), nn.Softsign(), layer).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batch = torch.randn(10, 60)
    calls: list[Callable[[Any], object]] = [init.critical_, lambda m: init.adapt_(m, batch)]
    for call in calls:
        with pytest.raises(ValueError, match=r"_: the (weight|bias) of number 1, \w+, is computed from"):
            call(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_tied_weights() -> None:
    first, second = torch.nn.Linear(60, 60), torch.nn.Linear(60, 60)
    second.weight = first.weight
    with pytest.raises(ValueError, match="critical_: number 0 and number 1 have the same weights"):
        init.critical_([first, second], q=0.5)
    deviations = theory.critical(0.5)
    init.critical_([torch.nn.Linear(60, 60), first, second], q=0.5)
    assert first.weight.std().item() * 60**0.5 == pytest.approx(deviations.sigma_w, rel=0.1)
    with pytest.raises(ValueError, match="adapt_: number 0 and number 1 have the same weight"):
        init.adapt_(torch.nn.Sequential(first, second), torch.ones(3, 60))


def test_lazy_layers() -> None:
    model = torch.nn.Sequential(torch.nn.LazyLinear(40), nn.Softsign(), torch.nn.LazyLinear(30))
    with pytest.raises(ValueError, match=r"critical_: number 0, .* does not know its size yet"):
        init.critical_(model)
    batch = torch.randn(100, 20)
    assert init.adapt_(model, batch, q=0.2)(batch).square().mean().item() == pytest.approx(0.2, rel=1e-4)


def test_adapt_leaves_statistics_as_they_were() -> None:
    norm = torch.nn.BatchNorm1d(30)
    model = torch.nn.Sequential(torch.nn.Linear(20, 30), norm, nn.Softsign(), torch.nn.Linear(30, 5))
    init.adapt_(model, 5 + torch.randn(100, 20))
    assert norm.training
    assert not norm.running_mean.any()
    assert norm.num_batches_tracked == 0


def test_calculate_gain() -> None:
    assert init.calculate_gain("softsign") == theory.gain()
    assert init.calculate_gain("leaky_relu", 0.2) == torch.nn.init.calculate_gain("leaky_relu", 0.2)
    with pytest.raises(ValueError, match="softplus"):
        init.calculate_gain("softplus")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: init.critical_(m, q=-1), ValueError, "q is -1"),
        (lambda m: init.critical_(m, q=0), ValueError, "q is 0"),
        (lambda m: init.critical_(m, input_second_moment=0.0), ValueError, "input_second_moment is 0"),
        (
            lambda m: init.critical_(m, distribution=cast(Any, "cauchy")),
            ValueError,
            "distribution must be 'normal'",
        ),
        (lambda m: init.critical_([]), ValueError, "there must be a Linear or Conv layer"),
        (lambda m: init.critical_([m, torch.nn.ReLU()]), TypeError, "number 1 is ReLU"),
        (
            lambda m: init.critical_([m, torch.nn.Linear(2, 2, bias=False)]),
            ValueError,
            "number 1, .* has none",
        ),
        (
            lambda m: init.adapt_(m, torch.zeros(3, 2)),
            ValueError,
            "adapt_: a layer's input must be finite and not all 0",
        ),
        (lambda m: init.adapt_(m, torch.ones(3, 2), q=0), ValueError, "q is 0"),
        (lambda m: init.softsign_normal_(torch.empty(3)), ValueError, "weights must have 2 axes or more"),
    ],
)
def test_impossible_arguments(call: Any, error: type[Exception], message: str) -> None:
    layer = torch.nn.Linear(2, 2)
    before = layer.weight.clone()
    with pytest.raises(error, match=message):
        call(layer)
    if "adapt_" not in message:
        assert torch.equal(layer.weight, before)
