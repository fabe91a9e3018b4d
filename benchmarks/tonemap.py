"""Tone mapping beside NumPy, colour-hdri and OpenCV: times, and what real images become.

Every library takes the threads that it takes by default. The images are those of Debian's package
blender-data, which are in the public domain (CC0).
"""

from __future__ import annotations

import importlib
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from harness import (
    Table,
    Target,
    conclude,
    machine,
    make_parser,
    pause_between,
    section_to_write,
    take_turns,
    timed,
    written,
)

import softsign
from softsign.applications.tonemap import reinhard

Image = npt.NDArray[np.float32]

PAGE = Path(__file__).parents[1] / "docs" / "applications" / "tonemap.md"
SIZE = 2048
IMAGES = Path("/usr/share/blender/datafiles/studiolights/world")
#: The peers, by the name that they are imported by, and their distributions.
PEERS = {"colour_hdri": "colour-hdri", "cv2": "opencv-python-headless"}

#: What colour-hdri's docstring of its simple operator shows.
COLOUR_INPUT = (0.48046875, 0.35156256, 0.23632812, 1.39843753, 0.55468757, 0.39062594)
COLOUR_OUTPUT = (0.3245382, 0.2601156, 0.1911532, 0.5830618, 0.3567839, 0.2808993)


def installed() -> dict[str, Any]:
    """Import the peers that are installed, and name the others."""
    found = {}
    for name, distribution in PEERS.items():
        try:
            with warnings.catch_warnings(action="ignore"):
                found[name] = importlib.import_module(name)
        except ImportError as error:
            print(f"missing: {distribution} ({error})")
    return found


def operators(x: Image, y: Image, peers: dict[str, Any]) -> dict[str, Callable[[], object]]:
    """Return the calls to time, by name; those before the modes with a key take no average of the image."""
    calls: dict[str, Callable[[], object]] = {
        "softsign, channel mode": lambda: reinhard(x, key=None, mode="channel", out=y),
        "NumPy, x / (1 + abs(x))": lambda: x / (1 + np.abs(x)),
        "NumPy, x / (1 + x)": lambda: x / (1 + x),
    }
    if colour := peers.get("colour_hdri"):
        calls["colour-hdri, simple"] = lambda: colour.tonemapping_operator_simple(x)
    if cv2 := peers.get("cv2"):
        opencv = cv2.createTonemapReinhard(1.0, 0.0, 1.0, 0.0)
        calls["OpenCV, TonemapReinhard"] = lambda: opencv.process(x)
    calls["softsign, channel mode with a key"] = lambda: reinhard(x, mode="channel", out=y)
    calls["softsign, luminance mode"] = lambda: reinhard(x, out=y)
    if colour:
        calls["colour-hdri, Reinhard2004"] = lambda: colour.tonemapping_operator_Reinhard2004(x)
    return calls


def measure_times(peers: dict[str, Any], rounds: int) -> tuple[Table, list[Target]]:
    """Time the operators in turns."""
    x = np.random.default_rng(0).lognormal(-1, 2, (SIZE, SIZE, 3)).astype(np.float32)
    calls = operators(x, np.empty_like(x), peers)
    samples = take_turns([timed(call) for call in calls.values()], rounds, pause_between(2))
    milliseconds = dict(zip(calls, np.median(samples, axis=0) * 1e3, strict=True))
    ratios = dict(zip(calls, np.median(samples / samples[:, :1], axis=0), strict=True))
    lines = [(name, written(milliseconds[name]), written(ratios[name])) for name in calls]
    table = Table(f"Times of {SIZE} x {SIZE} pixels, float32", ("", "ms", "in softsign's time"), lines)
    aims = {
        "NumPy, x / (1 + abs(x))": 4.0,
        "NumPy, x / (1 + x)": 4.0,
        "colour-hdri, simple": 15.0,
        "OpenCV, TonemapReinhard": 40.0,
    }
    return table, [
        Target(f"time of {name}, in softsign's", ratios.get(name, math.nan), aim, at_least=True)
        for name, aim in aims.items()
    ]


def mappers(peers: dict[str, Any]) -> dict[str, Callable[[Image], Any]]:
    """Return the operators that take an image's own brightness into account."""
    found: dict[str, Callable[[Image], Any]] = {"softsign": reinhard}
    if colour := peers.get("colour_hdri"):
        found["colour-hdri, Reinhard2004"] = colour.tonemapping_operator_Reinhard2004
    if cv2 := peers.get("cv2"):
        found["OpenCV, gamma 2.2"] = cv2.createTonemapReinhard(2.2, 0.0, 1.0, 0.0).process
    return found


def nans(operator: Callable[[Image], Any], image: Image) -> str:
    """Count the nans of what an operator makes of an image."""
    with warnings.catch_warnings(action="ignore"):
        return f"{np.count_nonzero(np.isnan(np.asarray(operator(image)))):,}"


def judge_images(folder: Path, peers: dict[str, Any]) -> tuple[list[Table], list[Target]]:
    """Count the nans that the operators make of real images."""
    paths = sorted(folder.glob("*.exr"))
    if not paths:
        print(f"missing: the images in {folder} (apt-get install blender-data)")
        return [], [Target("images without a nan", math.nan, 8, at_least=True)]
    import OpenImageIO

    operators = mappers(peers)
    lines = []
    for path in paths:
        image: Any = OpenImageIO.ImageBuf(str(path)).get_pixels("float")
        assert np.isfinite(image).all()
        facts = f"{image.max():,.0f}", f"{np.count_nonzero(image < 0):,}"
        lines.append((path.stem, *facts, *(nans(operator, image) for operator in operators.values())))
    whole = sum(line[3] == "0" for line in lines)
    header = ("image", "largest", "below 0", *operators)
    tables = [Table(f"Numbers that become nan, of {image.size:,}", header, lines)]
    return tables, [Target(f"images without a nan, of {len(lines)}", whole, len(lines), at_least=True)]


def spoil(peers: dict[str, Any]) -> Table:
    """Count the nans that one pixel makes."""
    operators = mappers(peers)
    lines = []
    for value in (math.inf, math.nan, -1.0):
        image = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
        image[0, 0] = value
        lines.append((f"{value:g}", *(nans(operator, image) for operator in operators.values())))
    title = f"Numbers that become nan, of {image.size:,}, when one pixel is infinite, nan or negative"
    return Table(title, ("the pixel", *operators), lines)


def agreement() -> Target:
    """Compare with the values that colour-hdri publishes."""
    values = reinhard(np.reshape(COLOUR_INPUT, (1, 2, 3)), key=None, mode="channel").ravel()
    worst = float(np.max(np.abs(values - COLOUR_OUTPUT)))
    return Target("difference from the values in colour-hdri's docstring", worst, 1e-7)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and judge."""
    parser = make_parser(__doc__.partition("\n")[0], rounds=15)
    parser.add_argument(
        "--images", type=Path, default=IMAGES, help=f"folder of .exr files (default {IMAGES})"
    )
    options = parser.parse_args(arguments)
    section = section_to_write(options, "tonemap", PAGE)
    peers = installed()
    times, targets = measure_times(peers, options.rounds)
    tables, images = judge_images(options.images, peers)
    versions = {PEERS[name]: metadata.version(PEERS[name]) for name in peers}
    origin = machine(softsign.get_num_threads(), **versions)
    return conclude([times, *tables, spoil(peers)], [*targets, *images, agreement()], section, origin, PAGE)


if __name__ == "__main__":
    sys.exit(main())
