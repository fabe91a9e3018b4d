"""`softsign.data.shapeset`: images follow the published rules; batches are the same however they are made."""

import cmath
import math
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from numpy.typing import NDArray

from softsign import reference
from softsign.data import shapeset
from softsign.data.shapeset import CLASSES, Batches, Scenes, Shapes, draw, generate, paint, scaled
from tests.helpers import started
from tests.test_import import foreign_imports

N = 20_000
DARK, LIGHT = set(range(115)), set(range(141, 256))  # within [0, 0.45] and [0.55, 1] of 255
ANGLES = 2 * math.pi / 255


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return draw(np.random.default_rng(1), N)


@pytest.fixture(scope="module")
def images(scenes: Scenes) -> NDArray[np.uint8]:
    return paint(scenes)


def corners_of(shapes: Shapes, kinds: NDArray[np.int64], image: int) -> list[complex]:
    return [complex(corner) for corner in shapes.corners[: (3, 4, 20)[kinds[image]], image]]


def within_5_sigma(count: float, n: int, probability: float) -> bool:
    return abs(count - n * probability) < 5 * math.sqrt(n * probability * (1 - probability))


def test_images_and_labels() -> None:
    images, labels = generate(np.random.default_rng(0), 100)
    assert images.shape == (100, 32, 32)
    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    scenes = draw(np.random.default_rng(0), 100)
    np.testing.assert_array_equal(images, scaled(paint(scenes)))
    np.testing.assert_array_equal(labels, scenes.labels)


@pytest.mark.parametrize("n", [0, 1])
def test_few_images(n: int) -> None:
    images, labels = generate(np.random.default_rng(0), n)
    assert images.shape == (n, 32, 32)
    assert labels.shape == (n,)


@pytest.mark.parametrize("n", [-1, 1.5, "3"])
def test_number_of_images(n: Any) -> None:
    with pytest.raises(ValueError, match=rf"draw: n is {n!r}, but must be an integer of 0 or more"):
        generate(np.random.default_rng(0), n)


def test_scaled_is_rounded_once() -> None:
    levels = np.arange(256, dtype=np.uint8)
    expected = [reference.round_to(Fraction(2 * level - 255, 255), "float32") for level in range(256)]
    np.testing.assert_array_equal(scaled(levels), np.array(expected), strict=True)
    np.testing.assert_array_equal(scaled(255 - levels), -scaled(levels))


def test_labels_name_what_is_there(scenes: Scenes) -> None:
    nouns = ("triangle", "parallelogram", "ellipse")
    for both, kinds, label in zip(scenes.both, scenes.kinds.T, scenes.labels, strict=True):
        one, other = (nouns[kind] for kind in sorted(kinds))
        pair = f"two {one}s" if one == other else f"{one} and {other}"
        assert CLASSES[label] == (pair if both else nouns[kinds[0]])


def test_class_prior(scenes: Scenes) -> None:
    found = np.bincount(scenes.labels, minlength=9)
    expected = N * np.array([1 / 6] * 3 + [1 / 18, 1 / 9, 1 / 9, 1 / 18, 1 / 9, 1 / 18])
    assert (
        (found - expected) ** 2 / expected
    ).sum() < 42.7  # chi-square with 8 degrees of freedom: once in 10^6


def test_grey_levels(scenes: Scenes, images: NDArray[np.uint8]) -> None:
    backgrounds = images[:, 0, 0]
    inverted = backgrounds > 127
    found = np.zeros((N, 256), bool)  # the levels of each image, that of its background apart
    found[np.arange(N)[:, np.newaxis], images.reshape(N, -1)] = True
    found[np.arange(N), backgrounds] = False
    for light, levels in ((False, LIGHT), (True, DARK)):
        assert set(backgrounds[inverted == light].tolist()) == (DARK | LIGHT) - levels
        assert set(np.flatnonzero(found[inverted == light].any(axis=0)).tolist()) == levels
    assert within_5_sigma(int(np.count_nonzero(inverted)), N, 0.5)
    same = found[scenes.both].sum(axis=1) == 1
    assert within_5_sigma(int(np.count_nonzero(same)), same.size, 1 / 115)  # each shape has its own level


def test_one_pixel_of_background_on_every_side(scenes: Scenes, images: NDArray[np.uint8]) -> None:
    edge = np.concatenate([images[:, [0, -1]].reshape(N, -1), images[:, :, [0, -1]].reshape(N, -1)], axis=1)
    assert (edge == images[:, :1, 0]).all()
    for shapes in (scenes.first, scenes.second):
        for part in (shapes.corners.real, shapes.corners.imag):
            assert part.min() >= 1 - 1e-12
            assert part.max() <= 31 + 1e-12
            assert part.min() < 1.01
            assert part.max() > 30.99


def test_places_are_uniform(scenes: Scenes) -> None:
    for part in (scenes.first.corners.real, scenes.first.corners.imag):
        low, high = part.min(axis=0), part.max(axis=0)
        place = (low - 1) / (30 - (high - low))
        counts = np.histogram(place, 10, (0, 1))[0]
        assert ((counts - N / 10) ** 2 / (N / 10)).sum() < 44.9  # 9 degrees of freedom: once in 10^6


def test_shapes_are_affine_regular_polygons(scenes: Scenes) -> None:
    for shapes, kinds in zip((scenes.first, scenes.second), scenes.kinds, strict=True):
        for image in range(300):
            corners = corners_of(shapes, kinds, image)
            count, center = len(corners), complex(shapes.center[image])
            assert abs(sum(corners) / count - center) < 1e-12
            assert (shapes.corners[count:, image] == corners[-1]).all()
            for k in range(count):  # true of the regular polygon, and kept by every affine map
                neighbors = corners[k - 1] + corners[(k + 1) % count] - 2 * center
                assert abs(neighbors - 2 * math.cos(2 * math.pi / count) * (corners[k] - center)) < 1e-11
            shoelace = sum((corners[k - 1].conjugate() * corners[k]).imag for k in range(count)) / 2
            assert shoelace == pytest.approx(shapes.area[image], rel=1e-12)
            steps = cmath.phase(corners[1] - corners[0]) / ANGLES
            assert steps == pytest.approx(round(steps), abs=1e-9)


def test_axes(scenes: Scenes) -> None:
    """The variances of the corners along the axes are an eighth of the squared axes."""
    kinds = scenes.kinds[0]
    axes = []
    for image in range(3000):
        corners = np.array(corners_of(scenes.first, kinds, image))
        axes.append(np.sqrt(8 * np.linalg.eigvalsh(np.cov(corners.real, corners.imag, bias=True))))
    minor, major = np.array(axes).T
    assert minor.min() >= 6.4 - 1e-9
    assert major.max() <= 25.6 + 1e-9
    # Of the smaller and the larger one of two uniform numbers, mean 1/3 and 2/3, variance 1/18.
    sigma = 19.2 / math.sqrt(18 * 3000)
    assert abs(minor.mean() - (6.4 + 19.2 / 3)) < 5 * sigma
    assert abs(major.mean() - (6.4 + 19.2 * 2 / 3)) < 5 * sigma


def test_rotations_are_uniform(scenes: Scenes) -> None:
    base = scenes.first.corners[1] - scenes.first.corners[0]
    steps = np.rint(np.angle(base) / ANGLES).astype(int) % 255
    counts = np.bincount(steps, minlength=255)
    assert ((counts - N / 255) ** 2 / (N / 255)).sum() < 378  # 254 degrees of freedom: once in 10^6


def test_proportions_vary_within_a_kind(scenes: Scenes) -> None:
    """The first turn, before the scaling, makes rectangles and rhombs and what is between them."""
    images = np.flatnonzero(scenes.kinds[0] == 1)
    one, other = np.diff(scenes.first.corners[:3, images], axis=0)
    ratio = np.abs(other / one)
    cosine = np.cos(np.angle(other / one))
    assert ratio.max() < 1 + 1e-9  # the larger axis is along the base
    assert np.abs(cosine[ratio < 0.4]).min() < 0.1  # narrow rectangles
    assert np.abs(cosine[ratio > 0.99]).max() > 0.8  # flat rhombs
    assert np.abs(cosine[ratio > 0.99]).min() < 0.1  # squares


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_pixels_are_those_with_their_centres_inside_in_exact_arithmetic(scenes: Scenes, kind: int) -> None:
    for image in np.flatnonzero(scenes.kinds[0] == kind)[:8]:
        exact = [
            (Fraction(corner.real), Fraction(corner.imag))
            for corner in corners_of(scenes.first, scenes.kinds[0], image)
        ]
        # In units of a power of two, all coordinates are integers, which are faster than fractions.
        units = 2 * max(value.denominator for corner in exact for value in corner)
        corners = [(int(x * units), int(y * units)) for x, y in exact]
        filled = shapeset._filled(scenes.first.corners[:, [image]])[0]
        for row, column in np.ndindex(32, 32):
            x, y = (2 * column + 1) * units // 2, (2 * row + 1) * units // 2
            sides = [
                (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
                for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True)
            ]
            assert filled[row, column] == (min(sides) >= 0)


def test_pixels_agree_with_matplotlib(scenes: Scenes, images: NDArray[np.uint8]) -> None:
    centers = np.stack(np.meshgrid(np.arange(32) + 0.5, np.arange(32) + 0.5), axis=-1).reshape(-1, 2)

    def inside(shapes: Shapes, kinds: NDArray[np.int64], image: int) -> NDArray[np.bool_]:
        outline = [(corner.real, corner.imag) for corner in corners_of(shapes, kinds, image)]
        return np.asarray(Outline(outline).contains_points(centers)).reshape(32, 32)

    for image in range(1000):
        background, first, second = scenes.levels[:, image]
        expected = np.where(inside(scenes.first, scenes.kinds[0], image), first, background)
        if scenes.both[image]:
            expected[inside(scenes.second, scenes.kinds[1], image)] = second
        np.testing.assert_array_equal(images[image], expected)


def test_a_polygon_on_the_grid() -> None:
    """Horizontal edges, and corners on the lines of the pixels' centers."""
    square = np.full((20, 1), 2.5 + 8.0j)
    square[:3, 0] = 2.5 + 4.0j, 6.5 + 4.0j, 6.5 + 8.0j
    expected = np.zeros((32, 32), bool)
    expected[4:8, 2:7] = True  # the centers 2.5 and 6.5 lie on the edge, which counts
    np.testing.assert_array_equal(shapeset._filled(square)[0], expected)
    np.testing.assert_array_equal(shapeset._filled(square + 0.5j)[0], expected)  # but not the edge at y = 8.5


def hidden(scenes: Scenes, image: int) -> float:
    """The rule of overlap, for one image."""
    first = corners_of(scenes.first, scenes.kinds[0], image)
    second = corners_of(scenes.second, scenes.kinds[1], image)
    c1, c2 = sum(first) / len(first), sum(second) / len(second)
    d = abs(c2 - c1)
    ux, uy = (c2 - c1).real / d, (c2 - c1).imag / d
    p = max((z - c1).real * ux + (z - c1).imag * uy for z in first)
    p += max((c2 - z).real * ux + (c2 - z).imag * uy for z in second)
    ratio = float(scenes.second.area[image] / scenes.first.area[image])
    return (1 - 2 ** (-(p - d) / d)) * ratio if p >= d else 0.0


def test_overlap_rule(scenes: Scenes) -> None:
    pairs = np.flatnonzero(scenes.both)[:3000]
    estimates = [hidden(scenes, image) for image in pairs]
    assert max(estimates) <= 0.5
    assert max(estimates) > 0.49  # what the rule allows does come up
    found = shapeset._hidden(scenes.first.of(pairs), scenes.second.of(pairs))
    np.testing.assert_allclose(found, estimates, rtol=1e-9, atol=1e-12)


def test_overlap_rule_where_nothing_was_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapeset, "HIDDEN", np.inf)
    scenes = draw(np.random.default_rng(2), 2000)
    estimates = [hidden(scenes, image) for image in range(2000)]
    found = shapeset._hidden(scenes.first, scenes.second)
    np.testing.assert_allclose(found, estimates, rtol=1e-9, atol=1e-12)
    assert np.mean(found > 0.5) > 0.3


def test_little_is_hidden_in_pixels(scenes: Scenes) -> None:
    pairs = np.flatnonzero(scenes.both)
    first = shapeset._filled(scenes.first.corners[:, pairs])
    second = shapeset._filled(scenes.second.corners[:, pairs])
    share = (first & second).sum(axis=(1, 2)) / first.sum(axis=(1, 2))
    assert share.max() < 1
    assert np.mean(share > 0.5) < 0.002
    assert np.mean(share > 0) > 0.5


def test_same_centre_counts_as_hidden() -> None:
    square = np.full((20, 1), 8 + 12j)
    square[:3, 0] = 8 + 8j, 12 + 8j, 12 + 12j
    shapes = Shapes(square, np.array([10 + 10j]), np.array([16.0]))
    assert shapeset._hidden(shapes, shapes) == 1


def test_a_second_shape_that_finds_no_place_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapeset, "HIDDEN", -1.0)
    drawn = []
    shapes = shapeset._shapes

    def counted(rng: np.random.Generator, kinds: NDArray[np.int64]) -> Shapes:
        drawn.append(len(kinds))
        return shapes(rng, kinds)

    monkeypatch.setattr(shapeset, "_shapes", counted)
    scenes = draw(np.random.default_rng(3), 200)
    assert not scenes.both.any()
    np.testing.assert_array_equal(scenes.labels, scenes.kinds[0])
    assert len(drawn) == 1 + 50  # the first shapes, and 50 attempts at the second ones
    assert len(set(drawn[2:])) == 1


def first_batches(number: int, **arguments: Any) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    with Batches(**arguments) as batches:
        return [next(batches) for _ in range(number)]


def assert_same(one: list[tuple[Any, Any]], other: list[tuple[Any, Any]]) -> None:
    for (x, label), (other_x, other_label) in zip(one, other, strict=True):
        np.testing.assert_array_equal(x, other_x, strict=True)
        np.testing.assert_array_equal(label, other_label, strict=True)


def test_batches_are_generate() -> None:
    found = first_batches(4, batch_size=400, seed=5, workers=2)
    for chunk in range(2):
        images, labels = generate(np.random.default_rng(np.random.SeedSequence(5, spawn_key=(chunk,))), 800)
        pair = found[2 * chunk : 2 * chunk + 2]
        np.testing.assert_array_equal(
            np.concatenate([x for x, _ in pair]), images.reshape(-1, 1024), strict=True
        )
        np.testing.assert_array_equal(np.concatenate([label for _, label in pair]), labels, strict=True)
    assert not np.array_equal(first_batches(1, batch_size=400, seed=6)[0][0], found[0][0])


@pytest.mark.parametrize("batch_size", [10, 300, 1500])
def test_batches_depend_on_seed_and_number_alone(batch_size: int) -> None:
    number = max(3, 2300 // batch_size)
    expected = first_batches(number, batch_size=batch_size, seed=7, workers=1)
    assert expected[0][0].shape == (batch_size, 1024)
    for workers, start in ((3, 1), (2, number // 2 + 1)):
        found = first_batches(number - start, batch_size=batch_size, seed=7, workers=workers, start=start)
        assert_same(found, expected[start:])
    assert len({x.tobytes() for x, _ in expected}) == number


def test_batches_iterate() -> None:
    with Batches(10, 0, start=99) as batches:
        for (images, labels), position in zip(batches, (100, 101), strict=False):
            assert images.shape == (10, 1024)
            assert labels.shape == (10,)
            assert batches.position == position


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "Batches: batch_size is 0, but must be an integer of 1 or more"),
        ((10.0, 0), r"batch_size is 10\.0"),
        ((10, -1), "seed is -1, but must be an integer of 0"),
        ((10, 0, 0), "workers is 0, .* 1 or more"),
        ((10, 0, 1, -1), "start is -1, .* 0 or more"),
    ],
)
def test_batches_parameters(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Batches(*arguments)


def gone(process: int) -> bool:
    """Whether a process has ended, or does within a minute. A zombie has."""
    for _ in range(1200):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_close_ends_the_workers() -> None:
    with Batches(10, 0, workers=3) as batches:
        next(batches)
        processes = [worker.pid for worker in batches._workers.values()]
        assert len(processes) == 3
    assert all(not Path(f"/proc/{process}").exists() for process in processes)
    batches.close()
    with pytest.raises(RuntimeError, match="the Batches are closed; start=1 of new ones goes on from here"):
        next(batches)


@pytest.fixture(scope="module")
def expected() -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Some batches of workers that nothing kills."""
    return first_batches(400, batch_size=10, seed=4, workers=1)


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_worker_is_named(killed: int, expected: list[tuple[NDArray[Any], NDArray[Any]]]) -> None:
    seen = []
    with Batches(10, 4, workers=2) as batches:
        seen.append(next(batches))
        processes = {index: worker.pid for index, worker in batches._workers.items()}
        os.kill(processes[killed], signal.SIGKILL)
        with pytest.raises(
            RuntimeError,
            match=rf"worker {killed} of the Batches, process {processes[killed]}, was killed by SIGKILL; "
            r"start=[12]00 of new ones goes on from here",
        ):
            seen.extend(batches)
        with pytest.raises(RuntimeError, match="closed"):
            next(batches)
        assert all(not Path(f"/proc/{process}").exists() for process in processes.values())
    assert len(seen) == batches.position
    seen += first_batches(400 - len(seen), batch_size=10, seed=4, start=batches.position)
    assert_same(seen, expected)


def test_a_worker_that_cannot_start_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text("raise SystemExit(3)")
    monkeypatch.setattr(shapeset, "__file__", str(script))
    with Batches(10, 0, workers=1) as batches, pytest.raises(RuntimeError, match="ended with status 3"):
        next(batches)


def test_an_interrupt_inside_of_next_closes_the_batches() -> None:
    with Batches(10, 0, workers=1) as batches:
        next(batches)
        (worker,) = batches._workers.values()
        os.kill(worker.pid, signal.SIGSTOP)
        old = signal.signal(signal.SIGALRM, lambda *_: signal.default_int_handler(signal.SIGINT, None))
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        try:
            with pytest.raises(KeyboardInterrupt):
                for _ in batches:
                    pass
        finally:
            signal.signal(signal.SIGALRM, old)
        with pytest.raises(RuntimeError, match="the Batches are closed"):
            next(batches)
    assert gone(worker.pid)


CONSUMER = """
import os, signal, sys
from softsign.data.shapeset import Batches
with Batches(10, 0, workers=2) as batches:
    next(batches)
    print(*(worker.pid for worker in batches._workers.values()), flush=True)
    for _ in batches:
        pass
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_the_consumer(how: signal.Signals) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(sys.executable, "-c", CONSUMER, **pipes) as consumer:
        assert consumer.stdout is not None
        workers = [int(word) for word in consumer.stdout.readline().split()]
        assert len(workers) == 2
        os.killpg(consumer.pid, how)  # as a terminal does
        _, errors = consumer.communicate(timeout=300)
        assert consumer.returncode == -how
        assert all(gone(worker) for worker in workers)
    # One traceback, the consumer's own; the workers say nothing.
    assert errors.count("Traceback") == (how == signal.SIGINT)
    assert errors.strip().endswith("KeyboardInterrupt" if how == signal.SIGINT else "")


@pytest.mark.parametrize("module", ["digits", "files", "shapeset"])
def test_import_brings_numpy_alone(module: str) -> None:
    found = foreign_imports(f"import softsign.data.{module}")
    assert [name for name in found if "cython" not in name] == []  # numpy.random is made with Cython
