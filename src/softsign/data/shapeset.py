"""Shapeset-3x2: an endless set of drawn images, made anew from its published description.

Glorot and Bengio (2010) trained on images of 32x32 pixels with one or two shapes out of three kinds
(triangle, parallelogram, ellipse) at random places, sizes, proportions and angles. Their kinds make nine
classes; one shape may hide about half of another. No image comes twice, so the error measures optimization
alone. An answer that is always "triangle" is wrong in 5 of 6 cases (83.33 %).

`generate` makes images in this process, `Batches` in worker processes. NumPy is all that either needs.

References
----------
X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS
2010, section 2.1.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASSES", "Batches", "Scenes", "Shapes", "draw", "generate", "paint", "scaled"]

#: Names of the classes, in the order of the labels.
CLASSES = (
    "triangle",
    "parallelogram",
    "ellipse",
    "two triangles",
    "triangle and parallelogram",
    "triangle and ellipse",
    "two parallelograms",
    "parallelogram and ellipse",
    "two ellipses",
)
_PAIRS = np.array([[3, 4, 5], [4, 6, 7], [5, 7, 8]])  # the label of two shapes, by kind

SIZE = 32  # pixels along each side
MARGIN = 1  # pixels between a shape and the edge of the image
CORNERS = np.array([3, 4, 20])  # of a triangle, a parallelogram and what stands for an ellipse
STEPS = 255  # into which the angles are divided
SCALE = (0.2 * SIZE, 0.8 * SIZE)  # pixels, of either axis
DARK, LIGHT = (0, 114), (141, 255)  # gray levels, from 0 to 0.45 and from 0.55 to 1
HIDDEN = 0.5  # largest part of the first shape that the second may hide, by the estimate in `_hidden`
ATTEMPTS = 50  # at placing the second shape, before it is left out

CHUNK = 1000  # images per piece of work of `Batches`, about
_BLOCK = 64  # images painted at a time: their 20 edges x 32 rows in float64 fit the second-level cache

Images = NDArray[np.float32]
Labels = NDArray[np.int64]
Bytes = NDArray[np.uint8]


class Shapes(NamedTuple):
    """One shape in each of n images. Units are pixels; x and y are the real and the imaginary part.

    Attributes
    ----------
    corners : ndarray of complex128, shape (20, n)
        In order around the shape. A shape with fewer corners repeats its last one.
    center : ndarray of complex128, shape (n,)
        Centroid of the corners.
    area : ndarray of float64, shape (n,)
        Area of the polygon.
    """

    corners: NDArray[np.complex128]
    center: NDArray[np.complex128]
    area: NDArray[np.float64]

    def of(self, images: Any) -> Shapes:
        """Return the shapes of some of the images.

        Parameters
        ----------
        images : slice or ndarray of int or bool, shape (k,) or (n,)
            Which images, in NumPy's indexing.
        """
        return Shapes(self.corners[:, images], self.center[images], self.area[images])


class Scenes(NamedTuple):
    """What there is to see in n images.

    Attributes
    ----------
    first, second : Shapes
        The second, where it counts, is painted over the first.
    both : ndarray of bool, shape (n,)
        Whether the second shape counts.
    kinds : ndarray of int64, shape (2, n)
        Kinds of the two shapes: 0, 1, 2 for triangle, parallelogram, ellipse.
    levels : ndarray of uint8, shape (3, n)
        Gray levels of the background and of the two shapes.
    """

    first: Shapes
    second: Shapes
    both: NDArray[np.bool_]
    kinds: Labels
    levels: Bytes

    @property
    def labels(self) -> Labels:
        """Indices into `CLASSES`, as int64 of shape (n,)."""
        return np.asarray(np.where(self.both, _PAIRS[self.kinds[0], self.kinds[1]], self.kinds[0]))


def generate(rng: np.random.Generator, n: int) -> tuple[Images, Labels]:
    """Draw labeled images.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the scenes.
    n : int
        Number of images, 0 or more.

    Returns
    -------
    images : ndarray of float32, shape (n, 32, 32)
        From -1 (black) to 1 (white).
    labels : ndarray of int64, shape (n,)
        Indices into `CLASSES`. The probabilities are 1/6 for each kind alone, 1/18 for two of the same kind
        and 1/9 for each other pair.

    Raises
    ------
    ValueError
        If `n` is negative.

    Examples
    --------
    >>> images, labels = generate(np.random.default_rng(0), 4)
    >>> images.shape, [CLASSES[label] for label in labels[:2]]
    ((4, 32, 32), ['triangle', 'parallelogram and ellipse'])
    """
    scenes = draw(rng, n)
    return scaled(paint(scenes)), scenes.labels


def scaled(levels: Bytes) -> Images:
    """Map gray levels to [-1, 1] by (2 level - 255) / 255, rounded once: inverted images are negated ones.

    Parameters
    ----------
    levels : ndarray of uint8, any shape
        Gray levels.

    Returns
    -------
    ndarray of float32, of the same shape
        From -1 (black) to 1 (white).
    """
    values = levels.astype(np.float32)
    values *= 2
    values -= 255
    values /= 255
    return values


def draw(rng: np.random.Generator, n: int) -> Scenes:
    """Draw what is to be seen in images, by these rules.

    * One shape or two, with equal probability, each of a kind drawn from three.
    * The background's level is uniform in 0 to 114 and that of each shape in 141 to 255; half of the images
      are inverted.
    * A shape starts as a regular polygon inscribed in a circle, turned by a random part of the angle that
      maps it onto itself. It is scaled along two axes, each to 6.4 to 25.6 pixels, the larger one horizontal;
      turned until its base is horizontal; turned by a random multiple of 1/255 of a full turn; and moved to a
      random place 1 pixel or more from the edges.
    * A second shape that hides too much of the first is drawn again, up to 50 times in all; then it is left
      out.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the scenes.
    n : int
        Number of images, 0 or more.

    Returns
    -------
    Scenes
        What there is to see.

    Raises
    ------
    ValueError
        If `n` is negative.
    """
    _check_integer("draw", "n", n, 0)
    both = rng.random(n) < 0.5
    kinds = rng.integers(len(CORNERS), size=(2, n))
    levels = rng.integers(LIGHT[0], LIGHT[1], size=(3, n), dtype=np.uint8, endpoint=True)
    levels[0] = rng.integers(DARK[0], DARK[1], size=n, dtype=np.uint8, endpoint=True)
    levels[:, rng.random(n) < 0.5] ^= 255  # 255 - level, which maps either range onto the other
    first, second = _shapes(rng, kinds[0]), _shapes(rng, kinds[1])
    pending = np.flatnonzero(both & (_hidden(first, second) > HIDDEN))
    for _ in range(ATTEMPTS - 1):
        if not pending.size:
            break
        again = _shapes(rng, kinds[1, pending])
        for whole, part in zip(second, again, strict=True):
            whole[..., pending] = part
        pending = pending[_hidden(first.of(pending), again) > HIDDEN]
    both[pending] = False
    return Scenes(first, second, both, kinds, levels)


def _shapes(rng: np.random.Generator, kinds: Labels) -> Shapes:
    n = len(kinds)
    count = CORNERS[kinds]
    corner = np.minimum(np.arange(CORNERS.max())[:, np.newaxis], count - 1)
    minor, major = np.sort(rng.uniform(*SCALE, size=(2, n)), axis=0)
    angle = 2 * np.pi / count * (corner + rng.integers(STEPS, size=n) / STEPS)
    corners = major / 2 * np.cos(angle) + 1j * (minor / 2 * np.sin(angle))
    base = corners[1] - corners[0]
    corners *= np.exp(2j * np.pi / STEPS * rng.integers(STEPS, size=n)) * np.abs(base) / base
    x, y = (_shift(rng, part) for part in (corners.real, corners.imag))
    center = x + 1j * y
    return Shapes(corners + center, center, major * minor / 8 * count * np.sin(2 * np.pi / count))


def _shift(rng: np.random.Generator, corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw how far to move corners along one axis, from those that keep the margin with equal probability."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    return np.asarray(MARGIN - low + rng.random(low.size) * (SIZE - 2 * MARGIN - (high - low)))


def _hidden(first: Shapes, second: Shapes) -> NDArray[np.float64]:
    """Estimate which part of the first shape the second one hides.

    With d the distance of the centers and p the sum of how far the shapes reach towards each other on the
    line through them, it is ``(1 - 2**(-(p - d) / d)) * area of the second / area of the first`` if p > d,
    else 0.
    """
    between = second.center - first.center
    between[between == 0] = 1e-9  # any direction will do
    distance = np.abs(between)
    towards = between.conj() / distance
    reach = ((first.corners - first.center) * towards).real.max(axis=0)
    reach -= ((second.corners - second.center) * towards).real.min(axis=0)
    overlap = 1 - np.exp2(-np.maximum(reach - distance, 0) / distance)
    return np.asarray(overlap * second.area / first.area)


def paint(scenes: Scenes) -> Bytes:
    """Paint scenes. A pixel has the level of the last shape that its center lies in.

    A center that is exactly on an edge counts as inside, except on the shape's largest y.

    Parameters
    ----------
    scenes : Scenes
        What there is to see in n images.

    Returns
    -------
    ndarray of uint8, shape (n, 32, 32)
        Gray levels. Centers of pixels are at 0.5, 1.5, ... 31.5; y grows from row to row.
    """
    n = len(scenes.both)
    images = np.empty((n, SIZE, SIZE), np.uint8)
    background, first, second = scenes.levels[:, :, np.newaxis, np.newaxis]
    for start in range(0, n, _BLOCK):
        block = slice(start, start + _BLOCK)
        images[block] = np.where(_filled(scenes.first.corners[:, block]), first[block], background[block])
        two = start + np.flatnonzero(scenes.both[block])
        images[two] = np.where(_filled(scenes.second.corners[:, two]), second[two], images[two])
    return images


def _filled(corners: NDArray[np.complex128]) -> NDArray[np.bool_]:
    """Tell which pixels have their centers in convex polygons: shape (n, 32, 32).

    A row of centers is inside between the outermost crossings of its line with the edges.
    """
    middles = np.arange(SIZE) + 0.5
    x, y = (np.ascontiguousarray(part)[..., np.newaxis] for part in (corners.real, corners.imag))
    next_x, next_y = (np.roll(part, -1, axis=0) for part in (x, y))
    crosses = (y <= middles) != (next_y <= middles)  # never true of a horizontal edge
    slope = (next_x - x) / np.where(next_y == y, 1, next_y - y)
    at = x + slope * (middles - y)
    left = np.where(crosses, at, np.inf).min(axis=0)[..., np.newaxis]
    right = np.where(crosses, at, -np.inf).max(axis=0)[..., np.newaxis]
    return np.asarray((left <= middles) & (middles <= right))


class Batches:
    """Endless batches that worker processes draw.

    Batch number i depends on `seed`, `batch_size` and i alone, and not on the number of workers or their
    speed, so ``start=i`` goes on exactly where others stopped. Each worker is a Python interpreter that loads
    NumPy alone, stays a chunk of some 1000 images ahead, and ends when the batches are closed or its process
    ends, however that happens. Ctrl-C reaches the consumer alone.

    Parameters
    ----------
    batch_size : int
        Images per batch, 1 or more.
    seed : int
        Seed of the images, 0 or more.
    workers : int
        Number of processes, 1 or more.
    start : int
        Number of the first batch, 0 or more.

    Attributes
    ----------
    position : int
        Number of the batch that comes next: the `start` of batches that go on from here.

    Yields
    ------
    images : ndarray of float32, shape (batch_size, 1024)
        Row by row; from -1 (black) to 1 (white).
    labels : ndarray of int64, shape (batch_size,)
        Indices into `CLASSES`.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    RuntimeError
        On iteration, when a worker has ended, or the batches are closed. An exception in the middle of
        iteration, Ctrl-C included, closes them.

    Examples
    --------
    >>> with Batches(10, seed=0, workers=1) as batches:
    ...     images, labels = next(batches)
    >>> images.shape, labels.shape, batches.position
    ((10, 1024), (10,), 1)
    """

    def __init__(self, batch_size: int, seed: int, workers: int = 2, start: int = 0) -> None:
        _check_integer("Batches", "batch_size", batch_size, 1)
        _check_integer("Batches", "seed", seed, 0)
        _check_integer("Batches", "workers", workers, 1)
        _check_integer("Batches", "start", start, 0)
        self.position = start
        self._batch_size = batch_size
        self._per_chunk = max(1, CHUNK // batch_size)
        self._seed = seed
        self._count = workers
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._chunk: tuple[Images, Labels] | None = None
        first = start // self._per_chunk
        try:
            for number in range(first, first + workers):
                self._workers[number % workers] = self._start_worker(number)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Self:
        """Return itself."""
        return self

    def __next__(self) -> tuple[Images, Labels]:
        """Return the next batch."""
        if not self._workers:
            raise RuntimeError(f"the Batches are closed; start={self.position} of new ones goes on from here")
        number, index = divmod(self.position, self._per_chunk)
        if self._chunk is None or index == 0:
            self._chunk = self._receive(number)
        images, labels = self._chunk
        rows = slice(index * self._batch_size, (index + 1) * self._batch_size)
        self.position += 1
        return images[rows], labels[rows]

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the batches."""
        self.close()

    def close(self) -> None:
        """End the workers. A second call does nothing."""
        while self._workers:
            _, worker = self._workers.popitem()
            worker.kill()  # it holds nothing but the chunk that nobody will read
            worker.communicate()

    def _start_worker(self, first: int) -> subprocess.Popen[bytes]:
        # A plain process instead of multiprocessing's, which would run the consumer's main module again,
        # PyTorch and all. A session of its own keeps the terminal's Ctrl-C from it; -P keeps this folder out
        # of its imports.
        arguments = (self._seed, first, self._count, self._per_chunk * self._batch_size)
        return subprocess.Popen(
            [sys.executable, "-P", __file__, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def _receive(self, number: int) -> tuple[Images, Labels]:
        worker = self._workers[number % self._count]
        images = np.empty((self._per_chunk * self._batch_size, SIZE * SIZE), np.uint8)
        labels = np.empty(len(images), np.uint8)
        try:
            for part in (images, labels):
                if worker.stdout.readinto(part.data.cast("B")) < part.nbytes:  # type: ignore[union-attr]
                    raise RuntimeError(self._ended(number % self._count, worker))
        except BaseException:
            self.close()  # an interrupt may have left half a chunk in the pipe
            raise
        return scaled(images), labels.astype(np.int64)

    def _ended(self, index: int, worker: subprocess.Popen[bytes]) -> str:
        status = worker.wait()
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return (
            f"worker {index} of the Batches, process {worker.pid}, {how}; "
            f"start={self.position} of new ones goes on from here"
        )


def _check_integer(function: str, name: str, value: object, least: int) -> None:
    if not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{function}: {name} is {value!r}, but must be an integer of {least} or more")


def _work(seed: int, first: int, step: int, images: int) -> None:
    """Write chunk after chunk to standard output, until nobody reads them any more."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for number in itertools.count(first, step):
        scenes = draw(np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,))), images)
        for part in (paint(scenes), scenes.labels.astype(np.uint8)):
            unwritten = part.data.cast("B")
            while unwritten:
                unwritten = unwritten[os.write(sys.stdout.fileno(), unwritten) :]


if __name__ == "__main__":
    _work(*map(int, sys.argv[1:]))
