"""What `tonemap` computes with: images that are checked, the formulas, pixels block by block."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from softsign import _core
from softsign.variants._blocks import Array, check_out, double, promoted

_BLOCK = 1 << 13  # pixels worked on at a time, so that the temporaries stay in the cache

Formula = Callable[[Array, Array, Any, float | None], Array]


def is_lazy(function: str, x: Any, out: Array | None = None) -> bool:
    """Tell whether this is an array of Dask, without importing Dask, and refuse an `out` beside it."""
    lazy = hasattr(x, "map_blocks") and hasattr(x, "rechunk")
    if lazy and out is not None:
        raise TypeError(f"{function}: out does not go with an array of Dask, which is computed later")
    return lazy


def checked(function: str, image: Any, out: Array | None = None, *, any_shape: bool = False) -> Any:
    """Return an image as an array of floating-point numbers, and refuse anything else."""
    lazy = is_lazy(function, image, out)
    light = image if lazy else np.asarray(image)
    if light.dtype.kind in "biu":
        raise TypeError(
            f"{function}: image has dtype {light.dtype}, but must be floating-point: "
            "divide by 255 first, or by 65535 if it has 16 bits"
        )
    dtype = promoted(function, "image", light.dtype)
    if not any_shape and (light.ndim != 3 or light.shape[2] != 3):
        raise ValueError(f"{function}: image has shape {light.shape}, but must be (height, width, 3)")
    if not lazy:
        check_out(function, out, light.shape, dtype)
    return light


def checked_weights(function: str, weights: Sequence[float]) -> Array:
    """Return the weights of a luminance, and refuse what are none."""
    given = np.asarray(weights, float)
    if given.shape != (3,) or not (np.isfinite(given).all() and (given >= 0).all() and given.any()):
        raise ValueError(
            f"{function}: luminance_weights is {weights!r}, but must be three numbers, 0 or more, not all 0"
        )
    return given


def log_sum(light: Any, weights: Array, eps: float) -> tuple[Any, Any]:
    """Return the sum of log(1 + luminance / eps) over the pixels where it is finite, and their number."""
    luminance = light.astype(double(light.dtype)) @ weights
    logs = np.log(1 + np.maximum(luminance, 0) / eps)
    finite = np.isfinite(logs)
    return np.sum(np.where(finite, logs, 0)), np.sum(finite)


def blocks(image: Array) -> list[slice]:
    """Return the rows to take at a time."""
    rows = max(1, _BLOCK // max(1, image.shape[1]))
    return [slice(start, start + rows) for start in range(0, len(image), rows)]


def mapped(light: Array, level: Array, unit: Any, white: float | None) -> Array:
    """Return what `reinhard` makes of light with these levels, luminances or channels; z = level / unit."""
    result: Array = light / (unit + np.minimum(level, np.finfo(level.dtype).max))
    if white is not None:
        result += light / white / (unit * white) * _core.softsign(level / unit)
    elif np.isinf(level).any():
        np.copyto(result, np.copysign(1, light), where=np.isinf(light))
    return result


def unmapped(image: Array, level: Array, unit: Any, white: float | None) -> Array:
    """Return the light again: z is level / rest, or with a white the root of (z / white)**2 + rest z = level.

    A level is mapped light's, and beyond 1 it has no z without a white.
    """
    if white is None:
        rest = 1 - level
        inverse = np.where(rest >= 0, unit * image / rest, np.nan)
        return np.where((image == 0) & (rest == 0), image, inverse)
    level = np.minimum(level, np.finfo(level.dtype).max / 4)
    rest = 1 - level
    root = np.hypot(rest, 2 * np.sqrt(level) / white)
    ratio = np.where(rest > 0, 2 / (rest + root), (root - rest) / (2 * level) * white * white)
    light: Array = unit * image * ratio
    return light


def walk(formula: Formula, image: Any, unit: Any, *, lazy: bool, out: Array | None, **options: Any) -> Any:
    """Return a formula of all pixels, block by block; options are those of `_compute`."""
    if lazy:
        step = functools.partial(_compute, formula, **options)
        return image.rechunk({2: 3}).map_blocks(step, unit, dtype=image.dtype)
    return _compute(formula, image, unit, out=out, **options)


def _compute(
    formula: Formula,
    image: Array,
    unit: Any,
    *,
    white: float | None,
    weights: Array | None,
    out: Array | None = None,
) -> Array:
    """Return a formula of pixels, with the levels that the weights make, or else those of the channels."""
    result = np.empty(image.shape, image.dtype.newbyteorder("=")) if out is None else out
    if np.may_share_memory(image, result) and not _same_memory(image, result):
        image = image.copy()
    with np.errstate(all="ignore"):
        for rows in blocks(image):
            pixels = image[rows].astype(double(image.dtype))
            level = np.abs(pixels if weights is None else (pixels @ weights)[..., np.newaxis])
            result[rows] = formula(pixels, level, unit, white)
    return result


def _same_memory(x: Array, y: Array) -> bool:
    return x.__array_interface__ == y.__array_interface__
