"""softsign.jax.initializers: variances of weights, signal and gradient in networks, what is refused."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softsign import init
from softsign.jax import initializers, softsign
from softsign.jax.initializers import softsign_bias, softsign_normal, softsign_orthogonal, softsign_uniform

#: XLA compiles this generator in less than half the time that it takes for the default one.
KEY, OTHER_KEY = (jax.random.key(seed, impl="rbg") for seed in (0, 1))
WEIGHTS = (softsign_normal, softsign_uniform, softsign_orthogonal)

each_kind = pytest.mark.parametrize("kind", WEIGHTS, ids=lambda f: f.__name__)


@each_kind
@pytest.mark.parametrize("shape", [(400, 300), (300, 400), (5, 5, 16, 64)])
@pytest.mark.parametrize("moment", [None, 0.3])
def test_weights_have_the_critical_variance(kind: Any, shape: tuple[int, ...], moment: float | None) -> None:
    initializer = kind(0.5, moment)
    weights = np.asarray(initializer(KEY, shape))
    fan_in = np.prod(shape[:-1])
    sigma = init.critical(0.5).sigma_w if moment is None else init.first_layer(0.5, moment)
    assert weights.shape == shape
    assert float(weights.std()) * fan_in**0.5 == pytest.approx(sigma, rel=0.04)
    assert np.array_equal(weights, initializer(KEY, shape))
    assert not np.array_equal(weights, initializer(OTHER_KEY, shape))


def test_shapes_of_distributions() -> None:
    sigma = init.critical(0.5).sigma_w
    normal, uniform = (
        kind(0.5)(KEY, (300, 400)) * 300**0.5 / sigma for kind in (softsign_normal, softsign_uniform)
    )
    assert float(jnp.mean(normal**4)) == pytest.approx(3, rel=0.05)
    assert float(jnp.max(jnp.abs(uniform))) == pytest.approx(3**0.5, rel=1e-3)
    tall = softsign_orthogonal(0.5)(KEY, (60, 40))
    np.testing.assert_allclose(tall.T @ tall, sigma**2 * np.eye(40), atol=2e-5)
    wide = softsign_orthogonal(0.5)(KEY, (40, 60))
    np.testing.assert_allclose(wide @ wide.T, sigma**2 * 60 / 40 * np.eye(40), atol=2e-5)


def test_axes_are_jaxs() -> None:
    """Of the transposed weights: 16 outputs, 64 inputs, a batch of three layers, a window of five."""
    weights = softsign_normal(0.5, in_axis=2, out_axis=1, batch_axis=0)(KEY, (3, 16, 64, 5))
    assert float(weights.std()) * (64 * 5) ** 0.5 == pytest.approx(init.critical(0.5).sigma_w, rel=0.03)
    columns = softsign_orthogonal(0.5, column_axis=0)(KEY, (40, 60))
    np.testing.assert_allclose(columns @ columns.T, init.critical(0.5).sigma_w ** 2 * np.eye(40), atol=2e-5)


def test_biases() -> None:
    biases = softsign_bias(2.0)(KEY, (100_000,))
    assert float(biases.std()) == pytest.approx(init.critical(2.0).sigma_b, rel=0.02)
    assert not softsign_bias(0.0)(KEY, (5,)).any()


@pytest.mark.parametrize("kind", [*WEIGHTS, softsign_bias], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_dtypes(kind: Any, dtype: str) -> None:
    key, shape = KEY, (60, 40)
    wide = kind(0.5)(key, shape)
    assert wide.dtype == jnp.float32
    for weights in (kind(0.5)(key, shape, dtype), kind(0.5, dtype=dtype)(key, shape)):
        assert weights.dtype == dtype
        assert np.asarray(weights, np.float32).std() == pytest.approx(np.asarray(wide).std(), rel=0.1)
    traced = jax.eval_shape(lambda key: kind(0.5)(key, shape, dtype), key)  # as `jax.jit` does
    assert (traced.shape, traced.dtype) == (shape, dtype)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty(shape: tuple[int, ...]) -> None:
    assert softsign_orthogonal(0.5)(KEY, shape).shape == shape


VARIANCES = (0.1, 1.0)


@functools.cache
def networks(kind: Any) -> dict[float, Any]:
    """What `mean_squares` finds in 12 networks for each q."""
    depth, width, second_moment = 30, 150, 4.0

    def draw(key: Any) -> Any:  # not compiled as a whole: all q and kinds share what draws the numbers
        first_key, weight_key, bias_key = jax.random.split(key, 3)
        weight_keys = jax.random.split(weight_key, depth - 1)
        return {
            q: (
                kind(q, second_moment)(first_key, (width, width)),
                jax.vmap(lambda key, q=q: kind(q)(key, (width, width)))(weight_keys),
                softsign_bias(q)(bias_key, (depth, width)),
            )
            for q in VARIANCES
        }

    found: dict[float, Any] = {q: [] for q in VARIANCES}
    for key in jax.random.split(KEY, 12):
        x_key, top_key, key = jax.random.split(key, 3)
        x = second_moment**0.5 * jax.random.normal(x_key, (32, width))
        top = jax.random.normal(top_key, x.shape)
        for q, parameters in draw(key).items():
            found[q].append(mean_squares(x, top, *parameters))
    return found


@jax.jit  # type: ignore[untyped-decorator]
def mean_squares(x: Any, top: Any, first: Any, weights: Any, biases: Any) -> Any:
    """Mean squares of pre-activations after the first layer; that of the first gradient over the last's."""

    def layer(h: Any, parameters: Any) -> Any:
        weight, bias = parameters
        h = softsign(h) @ weight + bias
        return h, jnp.mean(h**2)

    start = x @ first + biases[0]
    _, backward, signal = jax.vjp(
        lambda h: jax.lax.scan(layer, h, (weights, biases[1:])), start, has_aux=True
    )
    (gradient,) = backward(top)
    return signal, jnp.mean(gradient**2) / jnp.mean(top**2)


@each_kind
@pytest.mark.parametrize("q", VARIANCES)
def test_signal_and_gradient_keep_their_variance(kind: Any, q: float) -> None:
    """Over 30 layers of width 150; of the gradients' ratio, which varies, the mean over networks."""
    signals, ratios = zip(*networks(kind)[q], strict=True)
    assert np.shape(signals) == (12, 29)
    assert np.mean(signals, axis=0) == pytest.approx([q] * 29, rel=0.3)
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
            kind(0.5)(KEY, (3,))
    with pytest.raises(ValueError, match="critical: q is -1"):
        softsign_bias(-1.0)


def test_all_of_it_is_listed() -> None:
    assert initializers.__all__ == sorted(f.__name__ for f in (*WEIGHTS, softsign_bias))
