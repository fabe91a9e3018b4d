"""What is done between two samples: each method turns rows of samples into streams that filters may mix."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from softsign import antiderivative, softsign

Array = npt.NDArray[Any]


class Method(NamedTuple):
    """A method of antialiasing.

    Attributes
    ----------
    apply : callable
        ``apply(v, streams)`` reads v of shape (past + oversample, n), rows of consecutive samples, the oldest
        first, and writes streams of shape (len(linear), oversample, n).
    linear : tuple of tuple of float
        For each stream its weights of x[n], x[n-1], ... if softsign were the identity.
    """

    apply: Callable[[Array, Array], None]
    linear: tuple[tuple[float, ...], ...]

    @property
    def past(self) -> int:
        """Samples before the present one that are needed."""
        return len(self.linear[0]) - 1


def _segment_mean(a: Array, b: Array, out: Array) -> None:
    """Write the mean of softsign from a to b."""
    near = np.abs(b - a) < 1e-5 * (1 + np.abs(a))
    with np.errstate(all="ignore"):
        mean = (antiderivative(b) - antiderivative(a)) / (b - a)
    out[...] = np.where(near, softsign((a + b) / 2), mean)


def _point(v: Array, streams: Array) -> None:
    """Take softsign of each sample."""
    softsign(v, out=streams[0])


def _mean(v: Array, streams: Array) -> None:
    """Take the mean of softsign over each segment."""
    _segment_mean(v[:-1], v[1:], streams[0])


METHODS = {
    "none": Method(_point, ((1.0,),)),
    "adaa1": Method(_mean, ((1 / 2, 1 / 2),)),
}
