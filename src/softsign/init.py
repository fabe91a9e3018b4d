"""How to initialize deep softsign networks: variances of signal and gradient by mean-field theory.

A layer is ``h = W softsign(h_before) + b`` with independent normal weights of variance ``sigma_w**2 /
fan_in`` and biases of variance ``sigma_b**2``. In wide layers the pre-activations h are normal; their
variance is called q throughout, and everything here follows from moments of softsign of a normal variable.
`critical` and `first_layer` are what to use; docs/initialization.md derives it all. NumPy is all it needs.

Examples
--------
>>> from softsign import init
>>> sigma_w, sigma_b = init.critical(0.5)
>>> print(f"{sigma_w:.6f} {sigma_b:.6f}")
1.834818 0.260392
>>> profile = init.depth_profile(50, sigma_w, sigma_b, 0.5)
>>> print(f"{profile.variance[-1]:.6f} {profile.gradient_variance[0]:.6f}")
0.500000 1.000000
>>> xavier = init.depth_profile(50, 1.0, 0.0, 0.5)
>>> print(f"{xavier.variance[-1]:.6f} {xavier.gradient_variance[0]:.6f}")
0.000164 0.000456
"""

from __future__ import annotations

import math
import operator
from typing import Any, Literal, NamedTuple, SupportsIndex

import numpy as np
import numpy.typing as npt

__all__ = [
    "Critical",
    "Moments",
    "Profile",
    "contraction",
    "critical",
    "curvature",
    "depth_profile",
    "first_layer",
    "fixed_point",
    "gain",
    "moments",
    "self_normalizing",
    "susceptibility",
]

#: A float64 scalar where all arguments are scalars, else an array; a union of these could not be indexed.
Float64 = Any

#: Largest variance, and standard deviation, that is taken. From q = 1e16 on the quadrature errs by more than
#: 1e-12.
MAX_VARIANCE = 1e16
MAX_DEVIATION = 1e7  # a fixed point is below sigma_w**2 + sigma_b**2, which has to stay below MAX_VARIANCE


def _half_normal() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return nodes z and weights w such that g(z) @ w is the mean of g(abs(Z)), Z standard normal.

    The double-exponential rule for half-lines (Takahasi and Mori, 1974): the trapezoidal rule in u, z = exp(u
    - exp(-u)). Its 201 nodes do for all q, and no term that is summed is negative. Against 60 digits the
    moments err by 4e-16 at most for q from 1e-8 to 1e8, and by 6e-13 at 1e16. A step of 1/24 or a range that
    ends at 2.125 errs by more.
    """
    step = 1 / 32
    u = np.arange(-4, 2.25 + step, step)
    z = np.exp(u - np.exp(-u))
    density = math.sqrt(2 / math.pi) * np.exp(-(z**2) / 2)
    return z, step * z * (1 + np.exp(-u)) * density


_Z, _MEAN = _half_normal()
_SQUARE = _Z**2 * _MEAN  # g(z) @ _SQUARE is the mean of Z**2 g(abs(Z))


class Moments(NamedTuple):  # numpydoc ignore=PR02
    """Moments of softsign, called f, at x normal with mean 0 and variance q.

    Parameters
    ----------
    second_moment : float64 scalar or array
        E f(x)**2, the variance of the output.
    mean_derivative : float64 scalar or array
        E f'(x).
    derivative_second_moment : float64 scalar or array
        E f'(x)**2.
    """

    second_moment: Float64
    mean_derivative: Float64
    derivative_second_moment: Float64


class Critical(NamedTuple):  # numpydoc ignore=PR02
    """Standard deviations at which gradients neither vanish nor explode.

    Parameters
    ----------
    sigma_w : float64 scalar or array
        Standard deviation of the weights, times sqrt(fan_in).
    sigma_b : float64 scalar or array
        Standard deviation of the biases.
    """

    sigma_w: Float64
    sigma_b: Float64


class Profile(NamedTuple):  # numpydoc ignore=PR02
    """Variances over the layers of a network.

    Parameters
    ----------
    variance : ndarray of float64, shape (depth,)
        Variance of the pre-activations.
    gradient_variance : ndarray of float64, shape (depth,)
        Variance of the gradient with respect to the pre-activations, in units of the last layer's.
    """

    variance: npt.NDArray[np.float64]
    gradient_variance: npt.NDArray[np.float64]


def _checked(name: str, value: npt.ArrayLike, most: float, positive: bool = False) -> npt.NDArray[np.float64]:
    """Return the value as float64, if all of it is from 0 to `most` and, where asked for, not 0."""
    given = np.asarray(value)
    if given.dtype.kind not in "iuf":
        raise TypeError(f"{name} has dtype {given.dtype}, but must be real numbers")
    wrong = ~((given >= 0) & (given <= most)) | (positive & (given == 0))
    if wrong.any():
        above = "more than" if positive else "at least"
        raise ValueError(f"{name} is {given[wrong][0]}, but must be {above} 0 and at most {most:g}")
    return given.astype(np.float64)


def _number(name: str, value: float, most: float) -> float:
    checked = _checked(name, value, most)
    if checked.ndim:
        raise TypeError(f"{name} has shape {checked.shape}, but must be one number")
    return float(checked)


def _root_derivative(q: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return 1 / (1 + abs(x)) at x = sqrt(q) z for every node z, along a new last axis; squared, f'(x)."""
    inverse: npt.NDArray[np.float64] = 1 / (1 + np.sqrt(q)[..., np.newaxis] * _Z)
    return inverse


def moments(q: npt.ArrayLike) -> Moments:
    """Return E f(x)^2, E f'(x) and E f'(x)^2 for softsign f and normal x with mean 0 and variance q.

    With a = 1/sqrt(q) and the Goodwin-Staton integral J = integral from 0 to infinity of exp(-t^2/2)/(t + a)
    dt, which Dawson's integral and Ei give, they are sqrt(2/pi) times ``sqrt(pi/2) - 2 a J + a^2 J2``, ``a^2
    J2`` and ``a^4 J4``, where J2, J3, J4 follow from J by integration by parts. These closed forms cancel
    where q is small; what is computed is a sum of positive terms, to a relative error of 1e-12 (4e-16 seen
    for q from 1e-8 to 1e8).

    Parameters
    ----------
    q : array_like of real numbers
        Variance, from 0 to 1e16. At 0 the moments are their limits 0, 1, 1.

    Returns
    -------
    Moments
        Three float64 arrays of the shape of `q`, scalars for a scalar. 200 numbers per element of `q` are in
        use meanwhile.

    Raises
    ------
    ValueError
        If `q` is negative, nan or above 1e16.
    TypeError
        If `q` is not of real numbers.

    Examples
    --------
    >>> print("{:.13f} {:.13f} {:.13f}".format(*moments(1.0)))
    0.1830140212665 0.4127551003392 0.2276713404222
    """
    variance = _checked("moments: q", q, MAX_VARIANCE)
    derivative = _root_derivative(variance) ** 2
    return Moments(variance * (derivative @ _SQUARE), derivative @ _MEAN, derivative**2 @ _MEAN)


def gain(mode: Literal["forward", "backward", "geometric"] = "forward") -> float:
    """Return the factor on 1/sqrt(fan_in) that keeps a variance of 1, for weights without biases.

    Parameters
    ----------
    mode : {"forward", "backward", "geometric"}
        What to keep: the variance of pre-activations, 1/sqrt(E f(z)^2); that of gradients, 1/sqrt(E f'(z)^2);
        or the geometric mean of both factors. z is standard normal.

    Returns
    -------
    float
        The gain, to be divided by sqrt(fan_in).

    Raises
    ------
    ValueError
        If `mode` is another.

    Notes
    -----
    Each keeps one of the two only: with the forward gain gradients grow by a factor of 1.244 each layer, with
    the backward gain the variance decays from 1 to 0.647. `critical` keeps both.

    Examples
    --------
    >>> print(f"{gain():.12f} {gain('backward'):.12f} {gain('geometric'):.12f}")
    2.337533363109 2.095780608943 2.213358781391
    """
    at_one = moments(1.0)
    factors = {
        "forward": 1 / math.sqrt(at_one.second_moment),
        "backward": 1 / math.sqrt(at_one.derivative_second_moment),
    }
    factors["geometric"] = math.sqrt(factors["forward"] * factors["backward"])
    if mode not in factors:
        raise ValueError(f"gain: mode is {mode!r}, but must be 'forward', 'backward' or 'geometric'")
    return factors[mode]


def critical(q: npt.ArrayLike) -> Critical:
    """Return the point of the edge of chaos at which the pre-activations have variance q.

    There both ``sigma_w^2 E f^2 + sigma_b^2 = q`` and ``sigma_w^2 E f'^2 = 1``: layer by layer the variance
    of the signal stays q and that of the gradient what it was. Hence sigma_w = 1/sqrt(E f'^2), and, since E
    f^2 = q (E f'^2 - E f^2 f') by integration by parts, sigma_b = sqrt(q E f^2 f' / E f'^2), which has no
    difference in it.

    Parameters
    ----------
    q : array_like of real numbers
        Variance of the pre-activations, from 0 to 1e16. The smaller, the more linear the network; at 0 it is
        (1, 0).

    Returns
    -------
    Critical
        sigma_w (to be divided by sqrt(fan_in)) and sigma_b, float64 of the shape of `q`.

    Raises
    ------
    ValueError
        If `q` is negative, nan or above 1e16.
    TypeError
        If `q` is not of real numbers.

    See Also
    --------
    first_layer : the weights that bring the input to q.

    Examples
    --------
    >>> print("{:.8f} {:.8f}".format(*critical(1.0)))
    2.09578061 0.44288619
    """
    variance = _checked("critical: q", q, MAX_VARIANCE)
    squared = _root_derivative(variance) ** 4  # f'^2, and f^2 f' is x^2 times it
    mean = squared @ _MEAN
    return Critical(1 / np.sqrt(mean), variance * np.sqrt(squared @ _SQUARE / mean))


def first_layer(q: npt.ArrayLike, input_second_moment: npt.ArrayLike) -> Float64:
    """Return the sigma_w of a first layer that, beside `critical`'s biases, brings its input to variance q.

    ``sqrt((q - sigma_b^2) / E x^2)``, where ``q - sigma_b^2 = E f^2 / E f'^2 > 0`` on the edge of chaos.

    Parameters
    ----------
    q : array_like of real numbers
        Variance of the pre-activations, above 0, at most 1e16.
    input_second_moment : array_like of real numbers
        Mean of the squares of the inputs (1 when standardized), above 0, at most 1e16. Broadcast with `q`.

    Returns
    -------
    float64 scalar or array
        To be divided by sqrt(fan_in).

    Raises
    ------
    ValueError
        If an argument is outside its range.
    TypeError
        If an argument is not of real numbers.

    Examples
    --------
    >>> print(f"{first_layer(0.5, 1.0):.6f}")
    0.657416
    """
    variance = _checked("first_layer: q", q, MAX_VARIANCE, positive=True)
    second = _checked("first_layer: input_second_moment", input_second_moment, MAX_VARIANCE, positive=True)
    at_q = moments(variance)
    return np.sqrt(at_q.second_moment / at_q.derivative_second_moment / second)


def susceptibility(q: npt.ArrayLike, sigma_w: npt.ArrayLike) -> Float64:
    """Return sigma_w^2 E f'^2, the factor on the variance of the gradient from one layer to the one before.

    Below 1 gradients vanish and inputs become alike; above 1 gradients explode and near inputs part (chaos).

    Parameters
    ----------
    q : array_like of real numbers
        Variance of the pre-activations, from 0 to 1e16.
    sigma_w : array_like of real numbers
        Standard deviation of the weights times sqrt(fan_in), from 0 to 1e7. Broadcast with `q`.

    Returns
    -------
    float64 scalar or array
        The factor, of the shape of both arguments broadcast.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    TypeError
        If an argument is not of real numbers.

    Examples
    --------
    >>> print(f"{susceptibility(1.0, gain()):.6f}")
    1.244010
    """
    sigma = _checked("susceptibility: sigma_w", sigma_w, MAX_DEVIATION)
    squared = _root_derivative(_checked("susceptibility: q", q, MAX_VARIANCE)) ** 4
    return sigma**2 * (squared @ _MEAN)


def curvature(q: npt.ArrayLike) -> Float64:
    """Return sigma_w^2 q E f''^2 on the edge of chaos: how fast different inputs become alike with depth.

    Two inputs whose pre-activations have the correlation 1 - e have 1 - e + curvature e^2 / 2 one layer on,
    to leading order in e, and l layers on ``1 - 1 / (1/e + curvature l / 2)``. So a network of many more than
    2/curvature layers forgets what distinguishes them, although its gradients keep their variance. (For e =
    0.5, orders beyond keep up to 2.5 times as much.)

    Parameters
    ----------
    q : array_like of real numbers
        Variance of the pre-activations, from 0 to 1e16.

    Returns
    -------
    float64 scalar or array
        The curvature, of the shape of `q`.

    Raises
    ------
    ValueError
        If `q` is negative, nan or above 1e16.
    TypeError
        If `q` is not of real numbers.

    Notes
    -----
    f''^2 = 4 / (1 + abs(x))^6. For small q it is 4 q to leading order.

    Examples
    --------
    >>> print(curvature([0.001, 0.01, 0.1, 1.0]).round(5))
    [0.00382 0.03533 0.30644 2.64287]
    """
    variance = _checked("curvature: q", q, MAX_VARIANCE)
    derivative = _root_derivative(variance) ** 2
    return 4 * variance * (derivative**3 @ _MEAN) / (derivative**2 @ _MEAN)


def contraction(q: npt.ArrayLike, sigma_w: npt.ArrayLike) -> Float64:
    """Return sigma_w^2 dE f^2/dq, the factor on a small deviation of the variance from one layer to the next.

    ``dE f^2/dq = E z^2 / (1 + sqrt(q) abs(z))^3``, z standard normal. At a `fixed_point` it is below 1.

    Parameters
    ----------
    q : array_like of real numbers
        Variance of the pre-activations, from 0 to 1e16.
    sigma_w : array_like of real numbers
        Standard deviation of the weights times sqrt(fan_in), from 0 to 1e7. Broadcast with `q`.

    Returns
    -------
    float64 scalar or array
        The factor, of the shape of both arguments broadcast.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    TypeError
        If an argument is not of real numbers.

    Examples
    --------
    >>> print(f"{contraction(1.0, critical(1.0).sigma_w):.6f}")
    0.383205
    """
    sigma = _checked("contraction: sigma_w", sigma_w, MAX_DEVIATION)
    cubed = _root_derivative(_checked("contraction: q", q, MAX_VARIANCE)) ** 3
    return sigma**2 * (cubed @ _SQUARE)


def fixed_point(sigma_w: float, sigma_b: float) -> float:
    """Return the variance q that the pre-activations of a deep network approach, whatever its input.

    It solves ``q = sigma_w^2 E f^2 + sigma_b^2``. E f^2 is concave in q and E f^2 / q falls, so there is one
    positive solution, which attracts from all sides, unless sigma_b = 0 and sigma_w <= 1; then all variances
    decay to 0. Newton's method from ``sigma_w^2 + sigma_b^2``, which is above the solution as f^2 < 1, falls
    towards it without ever passing it.

    Parameters
    ----------
    sigma_w, sigma_b : float
        Standard deviations of the weights, times sqrt(fan_in), and of the biases, from 0 to 1e7. A sigma_b
        below 1e-162, the square of which is 0 in float64, counts as 0.

    Returns
    -------
    float
        The variance.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    TypeError
        If an argument is not a real number.

    Examples
    --------
    >>> print(f"{fixed_point(*critical(0.25)):.12f}")
    0.250000000000
    >>> fixed_point(1.0, 0.0)
    0.0
    """
    weight = _number("fixed_point: sigma_w", sigma_w, MAX_DEVIATION)
    bias = _number("fixed_point: sigma_b", sigma_b, MAX_DEVIATION) ** 2
    if bias == 0 and weight <= 1:
        return 0.0
    growth = (weight - 1) * (weight + 1)  # weight**2 - 1, of which rounding would leave little near 1
    q = weight**2 + bias
    while True:
        x = math.sqrt(q) * _Z
        inverse = 1 / (1 + x)
        # With V = E f^2, V' = dV/dq and s = sigma_w, Newton's step is (s^2 (V - q V') + sigma_b^2) / (1 - s^2
        # V'). The differences V - q V' and 1 - V' are taken inside the means, and 1 - s^2 V' is (1 - V') -
        # (s^2 - 1) V': else q = 1.3e-200 at (0.5, 1e-100) would be lost, and so would q = 1.9e-32 at (1 +
        # 2**-52, 0).
        above = weight**2 * q * float(x * inverse**3 @ _SQUARE) + bias
        below = float(x * inverse * (1 + inverse + inverse**2) @ _SQUARE - growth * (inverse**3 @ _SQUARE))
        following = above / below
        if not following < q:
            return q
        q = following


def depth_profile(depth: SupportsIndex, sigma_w: float, sigma_b: float, q: float) -> Profile:
    """Return the variances of signal and gradient in every layer of a deep network, by mean-field theory.

    ``q_1 = q``, ``q_(l+1) = sigma_w^2 E f^2(q_l) + sigma_b^2``, and backwards ``g_l = sigma_w^2 E f'^2(q_l)
    g_(l+1)`` from ``g_depth = 1``, for layers of one width.

    Parameters
    ----------
    depth : int
        Number of layers, at least 1.
    sigma_w, sigma_b : float
        Standard deviations of the weights, times sqrt(fan_in), and of the biases, from 0 to 1e7.
    q : float
        Variance of the pre-activations of the first layer, from 0 to 1e16: sigma_b^2 + sigma_1^2 E x^2 for a
        first layer with weights of standard deviation sigma_1/sqrt(fan_in) and input x.

    Returns
    -------
    Profile
        Both variances, layer by layer.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    TypeError
        If `depth` is not an integer, or another argument not a real number.

    Examples
    --------
    >>> print(depth_profile(4, 1.0, 0.0, 1.0).variance.round(4))
    [1.     0.183  0.0704 0.0364]
    """
    layers = operator.index(depth)
    if layers < 1:
        raise ValueError(f"depth_profile: depth is {layers}, but must be at least 1")
    weight = _number("depth_profile: sigma_w", sigma_w, MAX_DEVIATION)
    bias = _number("depth_profile: sigma_b", sigma_b, MAX_DEVIATION) ** 2
    variance = np.empty(layers)
    variance[0] = _number("depth_profile: q", q, MAX_VARIANCE)
    for layer in range(1, layers):
        variance[layer] = weight**2 * moments(variance[layer - 1]).second_moment + bias
    factors = np.append(1.0, susceptibility(variance[:-1], weight)[::-1])
    return Profile(variance, np.cumprod(factors)[::-1])


def self_normalizing(alpha: npt.ArrayLike) -> Float64:
    """Return the lambda for which lambda softsign(alpha x) keeps unit variance.

    It is 1/sqrt(E f(alpha z)^2), z standard normal.

    With weights of variance 1/fan_in and no biases, unit variance is then a fixed point of the layers, and it
    attracts. Gradients grow by ``susceptibility(alpha**2, lambda * alpha)`` each layer, which is above 1 and
    falls to it with alpha.

    Parameters
    ----------
    alpha : array_like of real numbers
        Scale of the input, above 0, at most 1e8.

    Returns
    -------
    float64 scalar or array
        Of the shape of `alpha`.

    Raises
    ------
    ValueError
        If `alpha` is outside its range.
    TypeError
        If `alpha` is not of real numbers.

    Notes
    -----
    With biases the gradients can be kept as well: ``lambda, sigma_b = numpy.divide(critical(alpha**2),
    alpha)``.

    Examples
    --------
    >>> print(self_normalizing([0.5, 1.0, 2.0]))
    [3.41422595 2.33753336 1.75922708]
    """
    scale = _checked("self_normalizing: alpha", alpha, MAX_VARIANCE**0.5, positive=True)
    squared = _root_derivative(scale**2) ** 2
    return 1 / (scale * np.sqrt(squared @ _SQUARE))
