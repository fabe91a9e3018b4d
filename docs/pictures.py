"""Make the pictures of README and of the pages: `python docs/pictures.py`. Needs playwright and chromium."""

import contextlib
import doctest
import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from playwright.sync_api import sync_playwright

from softsign._palette import COLORS
from softsign.applications.companding import Moments, NonlinearADC
from softsign.learn import plots
from softsign.learn._canvas import GUIDE, decorate, panels
from softsign.study import report
from softsign.study.folder import Study

DOCS = Path(__file__).parent
#: The figures of a report, in their order.
FIGURES = ("errors", "activations", "histograms", "gradients")
WANTED = {"quick": FIGURES, "deep": ("errors", "gradients")}


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
    for name, figure in (("companding", draw_companding()), ("adc", draw_adc())):
        file = io.BytesIO()
        figure.savefig(file)
        save(file.getvalue(), DOCS / "pictures" / f"{name}.png")


def names_of(page: str) -> dict[str, Any]:
    """Run the examples of a page, and return what they have named."""
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for example in doctest.DocTestParser().get_examples((DOCS / page).read_text()):
            if example.exc_msg is None:
                exec(example.source, names)  # noqa: S102
    return names


def draw_companding() -> Figure:
    """Draw the law, and the noise that it leaves at all levels."""
    figure, (left, right) = panels(2, (4.6, 3.6))
    x = np.linspace(-1, 1, 1001)
    level = np.linspace(-72, -6, 401)
    rms = 10 ** (level / 20)
    for color, k in zip(COLORS, (8.0, 20.0, 100.0), strict=False):
        adc = NonlinearADC(8, k)
        left.plot(x, adc.compander.compress(x), color=color, label=f"softsign, k = {k:g}")
        predicted = [adc.predicted_sqnr_db(Moments.of_density("laplace", one)) for one in rms]
        right.plot(level, predicted, color=color)
    mu = 255.0
    left.plot(x, np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu), color="0.3", label="µ-law, µ = 255")
    spread = 1 + 2 * mu * rms * np.sqrt(0.5) + (mu * rms) ** 2
    right.plot(level, 10 * np.log10(3 * 4**8 * (rms * mu / np.log1p(mu)) ** 2 / spread), color="0.3")
    right.plot(level, 10 * np.log10(3 * 4**8 * rms**2), label="even division", **GUIDE)
    right.set_ylim(0, 45)
    decorate(left, "the law", "$x$", "$c(x)$")
    decorate(right, "8 bits, Laplacian signal, nothing clipped", "level in dB of full scale", "SNR in dB")
    left.legend(frameon=False, loc="lower right")
    right.legend(frameon=False, loc="lower right")
    return figure


def draw_adc() -> Figure:
    """Draw the steps of a converter, and what tables leave of its linearity."""
    figure, (left, right) = panels(2, (4.6, 3.6))
    adc = NonlinearADC(4, 8.0)
    x = np.linspace(-1, 1, 4001)
    left.plot(x, adc.encode(x), color=COLORS[0], label="code")
    left.plot(x, 8 * adc.compander.compress(x), label="the law", **GUIDE)
    decorate(left, "4 bits, k = 8", "signal", "code")
    left.legend(frameon=False)
    names = names_of("applications/adc.md")
    for color, (name, entries) in zip(COLORS, names["entries"].items(), strict=False):
        right.plot(np.arange(-127, 128), names["inl_of"](entries(23)), color=color, label=name)
    right.set_ylim(-3.5, 5.5)
    decorate(right, "8 bits, k = 8, tables of 23 intervals", "threshold", "INL in steps")
    right.legend(frameon=False, loc="upper left")
    return figure


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
    run_the_gallery()
    photograph()
