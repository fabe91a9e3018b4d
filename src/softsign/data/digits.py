"""Scans of handwritten digits, 8x8 pixels each, that scikit-learn ships.

They are the test part of the UCI set "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998):
1,797 scans, of which a quarter is set aside for the test by a fixed, stratified split.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Digits", "load"]


class Digits(NamedTuple):
    """Scans, standardized with the mean and the deviation of the training pixels.

    Attributes
    ----------
    train_x, test_x : ndarray of float32, shape (scans, 8, 8)
        Pixels of the scans.
    train_label, test_label : ndarray of int64, shape (scans,)
        Digits that they show.
    paper : float
        Standardized value of an empty pixel.
    """

    train_x: NDArray[np.float32]
    train_label: NDArray[np.int64]
    test_x: NDArray[np.float32]
    test_label: NDArray[np.int64]
    paper: float


def load() -> Digits:
    """Load and split the scans. Needs scikit-learn.

    Returns
    -------
    Digits
        1,347 training scans and 450 test scans, the same ones at each call.

    Examples
    --------
    >>> digits = load()
    >>> digits.train_x.shape, digits.test_x.shape
    ((1347, 8, 8), (450, 8, 8))
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    scans, labels = load_digits(return_X_y=True)
    scans = scans.astype(np.float32).reshape(-1, 8, 8)
    train_x, test_x, train_label, test_label = train_test_split(
        scans, labels.astype(np.int64), test_size=450, stratify=labels, random_state=0
    )
    mean, deviation = train_x.mean(), train_x.std()
    paper = float(-mean / deviation)
    return Digits((train_x - mean) / deviation, train_label, (test_x - mean) / deviation, test_label, paper)
