"""Reinhard's global operator, its inverse, and the brightness of an image."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from softsign import _core
from softsign.applications.tonemap import _light
from softsign.variants._blocks import Array, positive

__all__ = ["inverse_reinhard", "log_average_luminance", "reinhard"]

Mode = Literal["luminance", "channel"]

_REC709 = (0.2126, 0.7152, 0.0722)  # of the primaries of ITU-R BT.709 and sRGB


def reinhard(
    image: npt.ArrayLike,
    *,
    key: float | None = 0.18,
    white: float | None = None,
    mode: Mode = "luminance",
    luminance_weights: Sequence[float] = _REC709,
    log_average: float | None = None,
    out: Array | None = None,
) -> Any:
    """Return an image of luminance z / (1 + z), where z is the luminance times key / log_average.

    Parameters
    ----------
    image : array_like of floating-point numbers, shape (height, width, 3)
        Linear light: red, green and blue.
    key : float or None
        The z of the log-average luminance; 0.18 is a gray card's reflectance. None: z is the luminance.
    white : float, optional
        The z that becomes 1: the luminance is z (1 + z / white**2) / (1 + z). Default: infinity.
    mode : {"luminance", "channel"}
        Whether luminance is mapped, with the ratios of a pixel's channels kept, or each channel by itself.
    luminance_weights : sequence of 3 float
        Weights of red, green and blue in the luminance, 0 or more; the default is sRGB's.
    log_average : float, optional
        Log-average luminance in place of the image's own, such as one for all frames of a film.
    out : ndarray, optional
        Where the result goes; it may be `image`.

    Returns
    -------
    ndarray
        Shape and dtype of `image`; `out` if that was given.

    Raises
    ------
    TypeError
        If `image` has no floating-point numbers, a parameter is no number, or `out` cannot hold the result.
    ValueError
        If a shape, the mode or the weights are others than these, or a number is not above 0 and finite.

    Notes
    -----
    The operator is odd, so that negative pixels stay negative. Infinite channels become ±1, or stay infinite
    with a `white`; a nan spoils no more than its pixel. The error, given the log-average luminance, is at
    most 0.51 ulp in float16, bfloat16 and float32 where a pixel's channels have one sign, and 4 in float64.

    References
    ----------
    .. [1] E. Reinhard, M. Stark, P. Shirley and J. Ferwerda, "Photographic tone reproduction for digital
       images", ACM Transactions on Graphics 21, 2002, 267-276: equations 1 to 4.

    Examples
    --------
    >>> from softsign.applications.tonemap import reinhard
    >>> reinhard([[[3.0, 3.0, 3.0], [4.0, 0.5, 0.0]]], key=None).round(4)
    array([[[0.75  , 0.75  , 0.75  ],
            [1.8116, 0.2264, 0.    ]]])
    >>> reinhard([[[3.0, 3.0, 3.0], [4.0, 0.5, 0.0]]], key=None, mode="channel").round(4)
    array([[[0.75  , 0.75  , 0.75  ],
            [0.8   , 0.3333, 0.    ]]])
    """
    options = (key, white, mode, luminance_weights, log_average, out)
    return _operate("reinhard", _core.softsign, _light.mapped, image, *options)


def inverse_reinhard(
    image: npt.ArrayLike,
    *,
    key: float | None = 0.18,
    white: float | None = None,
    mode: Mode = "luminance",
    luminance_weights: Sequence[float] = _REC709,
    log_average: float | None = None,
    out: Array | None = None,
) -> Any:
    """Return the image that `reinhard` takes to this one.

    Parameters
    ----------
    image : array_like of floating-point numbers, shape (height, width, 3)
        What `reinhard` returned: red, green and blue.
    key, white, mode, luminance_weights : as in `reinhard`
        What `reinhard` was given.
    log_average : float
        The log-average luminance of the image before; needed unless `key` is None.
    out : ndarray, optional
        Where the result goes; it may be `image`.

    Returns
    -------
    ndarray
        Shape and dtype of `image`. Without a `white`, a luminance (or channel) of ±1 comes from an infinite
        one, and one beyond from none: nan.

    Raises
    ------
    TypeError, ValueError
        As in `reinhard`, and if `log_average` is missing.

    Examples
    --------
    >>> from softsign.applications.tonemap import inverse_reinhard
    >>> inverse_reinhard([[[0.75, 0.75, 0.75]]], key=0.5, log_average=2.0)
    array([[[12., 12., 12.]]])
    """
    if key is not None and log_average is None:
        raise ValueError(
            "inverse_reinhard: log_average is missing, the log_average_luminance of the image that was mapped"
        )
    options = (key, white, mode, luminance_weights, log_average, out)
    return _operate("inverse_reinhard", _core.inverse, _light.unmapped, image, *options)


def _operate(
    function: str,
    ufunc: np.ufunc,
    formula: _light.Formula,
    image: npt.ArrayLike,
    key: float | None,
    white: float | None,
    mode: Mode,
    luminance_weights: Sequence[float],
    log_average: Any,
    out: Array | None,
) -> Any:
    light = _light.checked(function, image, out)
    weights = _light.checked_weights(function, luminance_weights)
    if mode not in ("luminance", "channel"):
        raise ValueError(f"{function}: mode is {mode!r}, but must be 'luminance' or 'channel'")
    if white is not None:
        white = positive(function, "white", white)
    if log_average is not None:
        log_average = positive(function, "log_average", log_average)
    unit: Any = 1.0
    if key is not None:
        key = positive(function, "key", key)
        if log_average is None:
            log_average = log_average_luminance(light, luminance_weights=luminance_weights)
        unit = np.maximum(log_average / key, np.finfo(float).tiny)
    elif mode == "channel" and white is None:
        return ufunc(light, out=out)
    levels = weights if mode == "luminance" else None
    lazy = _light.is_lazy(function, light)
    return _light.walk(formula, light, unit, lazy=lazy, out=out, white=white, weights=levels)


def log_average_luminance(
    image: npt.ArrayLike, *, eps: float = 1e-6, luminance_weights: Sequence[float] = _REC709
) -> Any:
    """Return exp(mean(log(eps + luminance))) - the geometric mean, which bright spots hardly change.

    Parameters
    ----------
    image : array_like of floating-point numbers, shape (height, width, 3)
        Linear light: red, green and blue.
    eps : float
        What is added, so that black pixels have a logarithm.
    luminance_weights : sequence of 3 float
        Weights of red, green and blue in the luminance.

    Returns
    -------
    float
        At least `eps`, the value for black. Negative luminances count as 0, and those that are infinite or
        nan not at all. Of an array of Dask, one of no dimensions.

    Raises
    ------
    TypeError, ValueError
        As in `reinhard`.

    Notes
    -----
    Equation 1 of Reinhard et al. 2002 has 1 / N before the exponential function by mistake.

    Examples
    --------
    >>> from softsign.applications.tonemap import log_average_luminance
    >>> print(round(log_average_luminance([[[1.0, 1.0, 1.0], [100.0, 100.0, 100.0]]]), 4))
    10.0
    """
    light = _light.checked("log_average_luminance", image)
    weights = _light.checked_weights("log_average_luminance", luminance_weights)
    eps = positive("log_average_luminance", "eps", eps)
    if _light.is_lazy("log_average_luminance", light):
        total, count = _light.log_sum(light, weights, eps)
        return eps * np.exp(total / np.maximum(count, 1))
    with np.errstate(all="ignore"):
        sums = [_light.log_sum(light[rows], weights, eps) for rows in _light.blocks(light)]
    return float(eps * np.exp(sum(s for s, _ in sums) / max(1, sum(n for _, n in sums))))
