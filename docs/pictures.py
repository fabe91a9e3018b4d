"""Make the pictures of README and of the pages: `python docs/pictures.py`.

Needs playwright, chromium and Debian's blender-data, whose image of a courtyard (CC0) is mapped.
"""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import OpenImageIO
from matplotlib.figure import Figure
from PIL import Image
from playwright.sync_api import sync_playwright

from softsign._palette import COLORS
from softsign.applications import tonemap
from softsign.learn import _canvas, plots
from softsign.study import report
from softsign.study.folder import Study

DOCS = Path(__file__).parent
#: The figures of a report, in their order.
FIGURES = ("errors", "activations", "histograms", "gradients")
WANTED = {"quick": FIGURES, "deep": ("errors", "gradients")}
COURTYARD = Path("/usr/share/blender/datafiles/studiolights/world/courtyard.exr")


def save(picture: bytes, path: Path) -> None:
    """Write a PNG with a palette of 64 colors, a third as large as the picture."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def draw() -> None:
    """Write the pictures that matplotlib draws."""
    comparison, samples = io.BytesIO(), io.BytesIO()
    plots.comparison_figure().savefig(comparison)
    save(comparison.getvalue(), DOCS / "pictures" / "softsign.png")
    report.draw_samples(samples)
    save(samples.getvalue(), DOCS / "study" / "shapeset.png")


def map_the_courtyard() -> None:
    """Write the picture of tone mapping: its curves, and one image cut off, by channel and by luminance."""
    light = np.asarray(OpenImageIO.ImageBuf(str(COURTYARD)).get_pixels("float"))
    average = tonemap.log_average_luminance(light)
    figure = Figure(figsize=(12, 6.3), dpi=110, layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    z = np.geomspace(0.02, 50, 400)
    gray = np.repeat(z, 3).reshape(1, -1, 3)
    curves = {
        "cut off at 1": np.minimum(z, 1),
        "z / (1 + z)": tonemap.reinhard(gray, key=None)[0, :, 0],
        "with white = 5": np.minimum(tonemap.reinhard(gray, key=None, white=5)[0, :, 0], 1),
    }
    for (label, curve), color in zip(curves.items(), COLORS[6::-3], strict=True):
        panels[0].plot(z, curve, color=color, label=label, linewidth=2)
    panels[0].set_xscale("log")
    panels[0].axvline(0.18, **_canvas.GUIDE)
    panels[0].legend(frameon=False)
    _canvas.decorate(panels[0], "What becomes of light z; dashed: the key", "z", "shown")
    pictures = {
        "cut off at 1: sky and sun are white": light * (0.18 / average),
        "channel mode: they are pale": tonemap.reinhard(light, mode="channel"),
        "luminance mode: they keep their colors": tonemap.reinhard(light),
    }
    for axes, (title, picture) in zip(panels[1:], pictures.items(), strict=True):
        axes.imshow(tonemap.srgb_encode(np.clip(picture, 0, 1)))
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    whole = io.BytesIO()
    figure.savefig(whole)
    Image.open(whole).convert("RGB").save(DOCS / "pictures" / "tonemap.jpg", quality=85, optimize=True)


def run_the_gallery() -> None:
    """Run the commands in gallery.md."""
    for command in re.findall("^softsign plot .*", (DOCS / "gallery.md").read_text(), re.MULTILINE):
        words = [*command.split()[1:], "--force"]
        subprocess.run(
            [Path(sys.executable).with_name("softsign"), *words], cwd=DOCS / "pictures", check=True
        )
        picture = DOCS / "pictures" / words[words.index("-o") + 1]
        save(picture.read_bytes(), picture)


def photograph() -> None:
    """Write the figures of the two studies' reports, from the results in docs/study."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1200, "height": 900})
        for name, wanted in WANTED.items():
            path = Path(folder, f"{name}.html")
            report.write(Study(DOCS / "study" / name), path)
            page.goto(path.as_uri())
            figures = page.query_selector_all(".js-plotly-plot")
            for figure, content in zip(figures, FIGURES, strict=True):
                if content in wanted:
                    save(figure.screenshot(), DOCS / "study" / f"{name}-{content}.png")
        chromium.close()


if __name__ == "__main__":
    draw()
    map_the_courtyard()
    run_the_gallery()
    photograph()
