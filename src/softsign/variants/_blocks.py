"""Arrays in and out: what may be given, the result's dtype, and blocks that are computed in a wider type."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from softsign import _core

Array = npt.NDArray[Any]

_BLOCK = 1 << 14  # elements worked on at a time, so that the temporaries stay in the cache

Wide = Callable[[np.dtype[Any]], npt.DTypeLike]


def same(dtype: np.dtype[Any]) -> npt.DTypeLike:
    """Return the type to compute in for the ufuncs, which are accurate in every dtype.

    Parameters
    ----------
    dtype : dtype
        That of the result's real numbers.

    Returns
    -------
    dtype
        The same.
    """
    return dtype


def double(dtype: np.dtype[Any]) -> npt.DTypeLike:
    """Return the type to compute in for formulas that lose no more than their few roundings.

    Parameters
    ----------
    dtype : dtype
        That of the result's real numbers.

    Returns
    -------
    type
        At least float64.
    """
    return np.longdouble if dtype.char == "g" else np.float64


def extended(dtype: np.dtype[Any]) -> npt.DTypeLike:
    """Return the type to compute in for formulas that multiply rounding errors.

    Parameters
    ----------
    dtype : dtype
        That of the result's real numbers.

    Returns
    -------
    type
        One with more digits and range, if there is one.
    """
    return np.longdouble if dtype.char in "dg" else np.float64


def positive(function: str, parameter: str, value: float, infinite: bool = False) -> float:
    """Return a parameter as a float.

    Parameters
    ----------
    function : str
        Name of the function, for error messages.
    parameter : str
        Name of the parameter.
    value : float
        What was given.
    infinite : bool
        Whether infinity is allowed.

    Returns
    -------
    float
        The value, above 0.

    Raises
    ------
    TypeError
        If it is not one real number.
    ValueError
        If it is not above 0, or infinite.
    """
    given = np.asarray(value)
    allowed = "a positive number" + ("" if infinite else " below infinity")
    if given.dtype.kind not in "iuf" or given.ndim:
        raise TypeError(f"{function}: {parameter} is {value!r}, but must be {allowed}")
    number = float(given)
    if not (number > 0 and (infinite or number < np.inf)):
        raise ValueError(f"{function}: {parameter} is {number}, but must be {allowed}")
    return number


def promoted(
    function: str, argument: str, dtype: np.dtype[Any], takes_complex: bool = False
) -> np.dtype[Any]:
    """Return what the ufuncs make of a dtype.

    Parameters
    ----------
    function : str
        Name of the function, for error messages.
    argument : str
        Name of the argument.
    dtype : dtype
        What was given.
    takes_complex : bool
        Whether it may be complex.

    Returns
    -------
    dtype
        That of the result.

    Raises
    ------
    TypeError
        If it is of another kind.
    """
    ufunc = _core.softsign if takes_complex else _core.derivative
    try:
        resolved: np.dtype[Any] = ufunc.resolve_dtypes((dtype, None))[1]
    except TypeError:
        kind = "real or complex" if takes_complex else "real"
        raise TypeError(f"{function}: {argument} has dtype {dtype}, but must be {kind} numbers") from None
    return resolved


def compute(
    function: str,
    formula: Callable[[Array], Array],
    given: npt.ArrayLike,
    out: Array | None,
    *,
    argument: str = "x",
    wide: Wide = extended,
    axis: int | None = None,
    reduces: bool = False,
    takes_complex: bool = False,
) -> Any:
    """Apply a formula to all vectors along an axis, without one to all numbers.

    Parameters
    ----------
    function : str
        Name of the function, for error messages.
    formula : callable
        Takes and returns real arrays of shape (components, vectors). Complex numbers are vectors of two
        components, real ones without an axis vectors of one.
    given : array_like
        The argument.
    out : ndarray or None
        Where the result goes; it may overlap the argument.
    argument : str
        Name of the argument.
    wide : callable
        Returns the type to compute in.
    axis : int, optional
        Where the vectors' components stand.
    reduces : bool
        Whether the formula returns one component, however many it takes.
    takes_complex : bool
        Whether the argument may be complex.

    Returns
    -------
    ndarray or scalar
        The results, rounded once; `out` if that was given.

    Raises
    ------
    TypeError
        If the argument is of another kind, or `out` cannot hold the result.
    ValueError
        If there is no such axis, or `out` has another shape.
    """
    x = np.asarray(given)
    x = x.astype(promoted(function, argument, x.dtype, takes_complex), copy=False)
    vectors = x[np.newaxis] if axis is None else np.moveaxis(x, axis, 0)
    shape = vectors.shape[1:] if reduces else vectors.shape
    real = x.real.dtype
    check_out(function, out, shape if reduces else x.shape, real if reduces else x.dtype)
    columns = vectors.reshape(vectors.shape[0], int(np.prod(vectors.shape[1:])))
    if x.dtype.kind == "c":
        columns = np.ascontiguousarray(columns).view(real).reshape(-1, 2).T
    components, count = columns.shape
    result = np.empty((count, 1 if reduces else components), real).T
    step = max(1, _BLOCK // max(components, 1))
    with np.errstate(all="ignore"):
        for start in range(0, count, step):
            block = columns[:, start : start + step].astype(wide(real))
            result[:, start : start + step] = formula(block)
    if x.dtype.kind == "c" and not reduces:
        result = result.T.view(x.dtype).T
    computed = _moved(result.reshape(shape), axis, reduces)
    if out is None:
        return computed[()]
    np.copyto(out, computed, casting="same_kind")
    return out


def _moved(vectors: Array, axis: int | None, reduces: bool) -> Array:
    """Return the vectors with their components where they were given."""
    if reduces:
        return vectors
    return vectors[0] if axis is None else np.moveaxis(vectors, 0, axis)


def check_out(function: str, out: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse what cannot take a result.

    Parameters
    ----------
    function : str
        Name of the function, for error messages.
    out : ndarray or None
        Where the result is to go.
    shape : tuple of int
        Shape of the result.
    dtype : dtype
        That of the result.

    Raises
    ------
    TypeError
        If `out` is no array, or cannot hold the dtype.
    ValueError
        If `out` has another shape.
    """
    if out is None:
        return
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{function}: out must be an array, got {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"{function}: out has shape {out.shape}, but the result has {shape}")
    if not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TypeError(f"{function}: out has dtype {out.dtype}, which cannot hold the result's {dtype}")
