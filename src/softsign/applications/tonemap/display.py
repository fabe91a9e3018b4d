"""From light to what is seen and stored: the retina's response, the gamut of a screen, sRGB's curve."""

from typing import Any

import numpy as np
import numpy.typing as npt

from softsign import _core
from softsign.applications.tonemap import _light
from softsign.variants._blocks import Array, compute, positive

__all__ = ["naka_rushton", "out_of_gamut", "srgb_encode"]


def out_of_gamut(image: npt.ArrayLike) -> Any:
    """Return which pixels have a channel below 0 or above 1, which a screen shows as 0 or 1.

    Parameters
    ----------
    image : array_like of floating-point numbers, shape (height, width, 3)
        A mapped image; its sum counts them.

    Returns
    -------
    ndarray of bool, shape (height, width)
        True for these pixels; channels that are nan are none of them.

    Examples
    --------
    >>> from softsign.applications.tonemap import out_of_gamut
    >>> out_of_gamut([[[0.0, 0.5, 1.0], [1.8116, 0.2264, 0.0]]])
    array([[False,  True]])
    """
    mapped = _light.checked("out_of_gamut", image)
    return np.any((mapped < 0) | (mapped > 1), axis=2)


def naka_rushton(
    x: npt.ArrayLike, sigma: float = 1.0, n: float = 1.0, rmax: float = 1.0, out: Array | None = None
) -> Any:
    """Return rmax x**n / (x**n + sigma**n), the response of the retina to light [1]_, odd in x.

    Parameters
    ----------
    x : array_like of real numbers
        Intensities, any shape.
    sigma : float
        The intensity with half the largest response, above 0 and finite.
    n : float
        Exponent, above 0 and finite; for n = 1 this is rmax * softsign(x / sigma).
    rmax : float
        The largest response, above 0 and finite.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        If `x` is not real, `out` cannot hold the result, or a number is not above 0 and finite.

    References
    ----------
    .. [1] K. I. Naka and W. A. H. Rushton, "S-potentials from luminosity units in the retina of fish
       (Cyprinidae)", Journal of Physiology 185, 1966, 587-599.

    Examples
    --------
    >>> from softsign.applications.tonemap import naka_rushton
    >>> naka_rushton([0.5, 2.0, 8.0], sigma=2, n=2)
    array([0.05882353, 0.5       , 0.94117647])
    """
    numbers = {"sigma": sigma, "n": n, "rmax": rmax}
    sigma, n, rmax = (positive("naka_rushton", name, value) for name, value in numbers.items())

    def formula(x: Array) -> Array:
        response: Array = rmax * _core.softsign(np.copysign((np.abs(x) / sigma) ** n, x))
        return response

    if _light.is_lazy("naka_rushton", x, out):
        return x.map_blocks(naka_rushton, sigma, n, rmax)  # type: ignore[union-attr]
    return compute("naka_rushton", formula, x, out)


def srgb_encode(image: npt.ArrayLike, out: Array | None = None) -> Any:
    """Return light x as sRGB stores it: 12.92 x up to 0.0031308, then 1.055 x**(1 / 2.4) - 0.055; odd.

    Parameters
    ----------
    image : array_like of floating-point numbers
        Linear light of sRGB's primaries, any shape; 1 is the screen's white.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray or scalar
        Shape and dtype of `image`: from 0 to 1 where that is, and not cut off beyond.

    Raises
    ------
    TypeError, ValueError
        If `image` has no floating-point numbers, or `out` is not one that can hold the result.

    References
    ----------
    .. [1] IEC 61966-2-1:1999, "Default RGB colour space - sRGB"; its extension to all numbers is that of
       scRGB, IEC 61966-2-2.

    Examples
    --------
    >>> from softsign.applications.tonemap import srgb_encode
    >>> srgb_encode([-0.5, 0.001, 0.18, 1.0]).round(4)
    array([-0.7354,  0.0129,  0.4614,  1.    ])
    """
    light = _light.checked("srgb_encode", image, out, any_shape=True)
    if _light.is_lazy("srgb_encode", light):
        return light.map_blocks(srgb_encode, dtype=light.dtype)
    return compute("srgb_encode", _encode, light, out)


def _encode(x: Array) -> Array:
    level = np.abs(x)
    curve = 1.055 * level ** (1 / 2.4) - 0.055
    return np.copysign(np.where(level <= 0.0031308, 12.92 * level, curve), x)
