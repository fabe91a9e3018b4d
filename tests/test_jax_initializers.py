"""softsign.jax.initializers: variances of weights, signal and gradient in networks, what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softsign import init
from softsign.jax import initializers, softsign
from softsign.jax.initializers import softsign_bias, softsign_normal, softsign_orthogonal, softsign_uniform

WEIGHTS = (softsign_normal, softsign_uniform, softsign_orthogonal)

each_kind = pytest.mark.parametrize("kind", WEIGHTS, ids=lambda f: f.__name__)


@each_kind
@pytest.mark.parametrize("shape", [(400, 300), (300, 400), (5, 5, 16, 64)])
@pytest.mark.parametrize("moment", [None, 0.3])
def test_weights_have_the_critical_variance(kind: Any, shape: tuple[int, ...], moment: float | None) -> None:
    initializer = kind(0.5, moment)
    weights = initializer(jax.random.key(0), shape)
    fan_in = np.prod(shape[:-1])
    sigma = init.critical(0.5).sigma_w if moment is None else init.first_layer(0.5, moment)
    assert weights.shape == shape
    assert float(weights.std()) * fan_in**0.5 == pytest.approx(sigma, rel=0.04)
    assert jnp.array_equal(weights, initializer(jax.random.key(0), shape))
    assert not jnp.array_equal(weights, initializer(jax.random.key(1), shape))


def test_shapes_of_distributions() -> None:
    sigma = init.critical(0.5).sigma_w
    key = jax.random.key(0)
    normal, uniform = (
        kind(0.5)(key, (300, 300)) * 300**0.5 / sigma for kind in (softsign_normal, softsign_uniform)
    )
    assert float(jnp.mean(normal**4)) == pytest.approx(3, rel=0.05)
    assert float(jnp.max(jnp.abs(uniform))) == pytest.approx(3**0.5, rel=1e-3)
    tall = softsign_orthogonal(0.5)(key, (60, 40))
    np.testing.assert_allclose(tall.T @ tall, sigma**2 * np.eye(40), atol=2e-5)
    wide = softsign_orthogonal(0.5)(key, (40, 60))
    np.testing.assert_allclose(wide @ wide.T, sigma**2 * 60 / 40 * np.eye(40), atol=2e-5)


def test_axes_are_jaxs() -> None:
    """Of the transposed weights: 16 outputs, 64 inputs, a batch of three layers, a window of five."""
    weights = softsign_normal(0.5, in_axis=2, out_axis=1, batch_axis=0)(jax.random.key(0), (3, 16, 64, 5))
    assert float(weights.std()) * (64 * 5) ** 0.5 == pytest.approx(init.critical(0.5).sigma_w, rel=0.03)
    columns = softsign_orthogonal(0.5, column_axis=0)(jax.random.key(0), (20, 50))
    np.testing.assert_allclose(columns @ columns.T, init.critical(0.5).sigma_w ** 2 * np.eye(20), atol=2e-5)


def test_biases() -> None:
    biases = softsign_bias(2.0)(jax.random.key(0), (100_000,))
    assert float(biases.std()) == pytest.approx(init.critical(2.0).sigma_b, rel=0.02)
    assert not softsign_bias(0.0)(jax.random.key(0), (5,)).any()


@pytest.mark.parametrize("kind", [*WEIGHTS, softsign_bias], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_dtypes(kind: Any, dtype: str) -> None:
    key, shape = jax.random.key(0), (20, 30)
    wide = kind(0.5)(key, shape)
    assert wide.dtype == jnp.float32
    for weights in (
        kind(0.5)(key, shape, dtype),
        kind(0.5, dtype=dtype)(key, shape),
        jax.jit(kind(0.5), static_argnums=(1, 2))(key, shape, dtype),
    ):
        assert weights.dtype == dtype
        assert float(weights.astype(jnp.float32).std()) == pytest.approx(float(wide.std()), rel=0.1)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty(shape: tuple[int, ...]) -> None:
    assert softsign_orthogonal(0.5)(jax.random.key(0), shape).shape == shape


@each_kind
@pytest.mark.parametrize("q", [0.1, 1.0])
def test_signal_and_gradient_keep_their_variance(kind: Any, q: float) -> None:
    """Over 50 layers of width 300; of the gradients' ratio, which varies, the mean over networks."""
    depth, width, second_moment = 50, 300, 4.0

    def variances(key: Any) -> Any:
        x_key, first_key, weight_key, bias_key, top_key = jax.random.split(key, 5)
        first = kind(q, second_moment)(first_key, (width, width))
        weights = jax.vmap(lambda key: kind(q)(key, (width, width)))(jax.random.split(weight_key, depth - 1))
        biases = softsign_bias(q)(bias_key, (depth, width))
        x = second_moment**0.5 * jax.random.normal(x_key, (32, width))
        start = x @ first + biases[0]

        def layer(h: Any, parameters: Any) -> Any:
            weight, bias = parameters
            h = softsign(h) @ weight + bias
            return h, jnp.mean(h**2)

        last, backward, signal = jax.vjp(
            lambda h: jax.lax.scan(layer, h, (weights, biases[1:])), start, has_aux=True
        )
        top = jax.random.normal(top_key, last.shape)
        (gradient,) = backward(top)
        return signal, jnp.mean(gradient**2) / jnp.mean(top**2)

    jitted = jax.jit(variances)
    signals, ratios = zip(*(jitted(jax.random.key(seed)) for seed in range(12)), strict=True)
    assert np.mean(signals, axis=0) == pytest.approx([q] * (depth - 1), rel=0.3)
    assert 0.7 <= np.mean(ratios) <= 1.5


@each_kind
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0,), "q is -1.0, but must be at least 0"),
        ((float("nan"),), "q is nan"),
        ((0.0, 1.0), "q is 0.0, but must be more than 0"),
        ((0.5, 0.0), "input_second_moment is 0.0, but must be more than 0"),
        ((0.5, -1.0), "input_second_moment is -1.0"),
    ],
)
def test_impossible_arguments(kind: Any, arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(*arguments)


def test_one_axis_is_refused_as_by_jax() -> None:
    for kind in WEIGHTS:
        with pytest.raises(ValueError, match=r"2D|two dimensions"):
            kind(0.5)(jax.random.key(0), (3,))
    with pytest.raises(ValueError, match="critical: q is -1"):
        softsign_bias(-1.0)


def test_all_of_it_is_listed() -> None:
    assert initializers.__all__ == sorted(f.__name__ for f in (*WEIGHTS, softsign_bias))
