"""The methods of antialiasing: what is taken of the signal between two samples, in place of its samples."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from softsign import segment_mean, segment_moments, segment_ramp, softsign

__all__ = ["METHODS", "Method"]

Array = npt.NDArray[Any]


class Method(NamedTuple):
    """A method of antialiasing.

    Attributes
    ----------
    apply : callable
        ``apply(v, streams, work)``: v is past + lines arrays of n samples, each array one line later than the
        one before; streams of shape (len(linear), lines, n) is written; work of shape (5, n) is memory.
    linear : tuple of tuple of float
        For each stream the weights of x[n], x[n-1], ... that it would be with the identity for softsign.
    lines : int
        Number of straight lines that are drawn from one sample to the next.
    """

    apply: Callable[[Sequence[Array], Array, Array], None]
    linear: tuple[tuple[float, ...], ...]
    lines: int = 1

    @property
    def past(self) -> int:
        """Samples before the present one that are needed."""
        return len(self.linear[0]) - 1


def _point(v: Sequence[Array], streams: Array, work: Array) -> None:
    """Take softsign of each sample."""
    softsign(v[0], out=streams[0, 0])


def _mean(v: Sequence[Array], streams: Array, work: Array) -> None:
    """Take the mean over each line."""
    segment_mean(v[0], v[1], out=streams[0, 0])


def _moments(v: Sequence[Array], streams: Array, work: Array) -> None:
    """Take the mean, and the moments that say how the values lean and bend along each line."""
    for line, (a, b) in enumerate(pairwise(v)):
        segment_moments(a, b, out=tuple(streams[:, line]))


def _bilbao(v: Sequence[Array], streams: Array, work: Array) -> None:
    """Take the mean over the triangle of three samples, which depends on their order in size alone.

    With p <= q <= r it is 2 [(q - p) G(p, q) + (r - q) G(r, q)] / (r - p), where G is the mean weighted
    towards its second argument.
    """
    p, q, r, low, high = work
    a, b, c = v
    np.minimum(a, b, out=p)
    np.maximum(a, b, out=r)
    np.minimum(r, c, out=q)
    np.maximum(p, q, out=q)
    np.maximum(r, c, out=r)
    np.minimum(p, c, out=p)
    least = np.finfo(p.dtype).tiny  # so that both weights are 1/2 where all three are equal
    np.maximum(np.subtract(q, p, out=low), least, out=low)
    np.maximum(np.subtract(r, q, out=high), least, out=high)
    segment_ramp(p, q, out=p)
    segment_ramp(r, q, out=r)
    np.add(low, high, out=q)
    np.multiply(np.divide(low, q, out=low), p, out=p)
    np.multiply(np.divide(high, q, out=high), r, out=r)
    np.multiply(np.add(p, r, out=p), 2, out=streams[0, 0])


def _parker(v: Sequence[Array], streams: Array, work: Array) -> None:
    """Take the mean over the last two lines, weighted towards the sample between them."""
    new, old = work[:2]
    segment_ramp(v[2], v[1], out=new)
    segment_ramp(v[0], v[1], out=old)
    np.add(new, old, out=streams[0, 0])


_LINE = ((1 / 2, 1 / 2), (1 / 6, -1 / 6), (0.0, 0.0))
METHODS = {
    "moments": Method(_moments, _LINE),
    "moments2": Method(_moments, _LINE, lines=2),
    "none": Method(_point, ((1.0,),)),
    "adaa1": Method(_mean, ((1 / 2, 1 / 2),)),
    "adaa2": Method(_bilbao, ((1 / 3, 1 / 3, 1 / 3),)),
    "adaa2-triangle": Method(_parker, ((1 / 6, 4 / 6, 1 / 6),)),
}
