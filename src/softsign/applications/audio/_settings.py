"""What settings may be; each error is one line that names the parameter and the range."""

import math
from typing import Any

import numpy as np

__all__ = ["count", "name_of", "one_of", "within"]


def within(name: str, value: Any, low: float, high: float) -> float:
    """Return a number that lies in a range.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        What was given.
    low, high : float
        The range, with its ends.

    Returns
    -------
    float
        The number.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, str) or not low <= number <= high:
        raise ValueError(f"{name} is {value!r}; it has to be a number from {low:g} to {high:g}")
    return number


def count(name: str, value: Any) -> int:
    """Return a whole number of at least 1.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        What was given.

    Returns
    -------
    int
        The number.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} is {value!r}; it has to be a whole number of at least 1")
    return int(value)


def one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """Return a value that is among the allowed ones.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        What was given.
    allowed : tuple
        What may be given.

    Returns
    -------
    object
        The value.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it has to be one of {', '.join(map(repr, allowed))}")
    return value


def name_of(dtype: Any) -> Any:
    """Return the name of a dtype.

    Parameters
    ----------
    dtype : object
        What was given.

    Returns
    -------
    object
        The name, or what was given if it is no dtype.
    """
    try:
        return np.dtype(dtype).name
    except TypeError:
        return dtype
