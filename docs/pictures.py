"""Make the pictures of README and of the pages: `python docs/pictures.py`. Needs playwright and chromium."""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from matplotlib.figure import Figure
from PIL import Image
from playwright.sync_api import sync_playwright
from torch.distributions import Normal

from softsign._palette import COLORS
from softsign.learn import plots
from softsign.learn._canvas import decorate, panels
from softsign.study import report
from softsign.study.folder import Study
from softsign.torch import SquashedNormal

DOCS = Path(__file__).parent
#: The figures of a report, in their order.
FIGURES = ("errors", "activations", "histograms", "gradients")
WANTED = {"quick": FIGURES, "deep": ("errors", "gradients")}


def save(picture: bytes, path: Path) -> None:
    """Write a PNG with a palette of 64 colors, a third as large as the picture."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def squashing_figure() -> Figure:
    """Draw the densities of squashed normal numbers, and the errors of their logarithms in float32."""
    figure, (left, right) = panels(2, (4.0, 3.2))
    x = torch.linspace(-40, 40, 16001)
    for std, color in zip((0.5, 1.0, 8.0), COLORS, strict=False):
        policy, wide = SquashedNormal(0.0, std), Normal(0.0, std)
        near = x[x.abs() < 6 * std]
        left.plot(
            policy.transforms[0](near),
            policy.log_prob_of_pre_action(near).exp(),
            color=color,
            label=f"{std:g}",
        )
        slope = 1 / near.double().cosh() ** 2
        left.plot(near.double().tanh(), wide.log_prob(near).exp() / slope, color=color, linestyle=":")
    left.set_ylim(0, 2)
    left.legend(title="std", frameon=False, loc="upper center")
    decorate(left, "density: softsign, dotted tanh", "action", "")
    std, ours = 8.0, SquashedNormal(0.0, 8.0)
    normal = Normal(0.0, std).log_prob(x.double())
    usual = Normal(0.0, std).log_prob(x) - (1 - x.tanh() ** 2 + 1e-6).log()
    errors = (
        ("tanh, + 1e-6", usual - normal - 2 * x.double().cosh().log(), COLORS[1]),
        ("softsign", ours.log_prob_of_pre_action(x) - normal - 2 * x.double().abs().log1p(), COLORS[0]),
    )
    for (label, error, color), height in zip(errors, (3e-1, 2e-6), strict=True):
        right.semilogy(x, error.abs().clamp(min=1e-8), color=color, linewidth=0.8)
        right.text(40, height, label, color=color, ha="right", va="bottom")
    decorate(right, "error of log p in float32, std 8", "x, before squashing", "nats")
    return figure


def draw() -> None:
    """Write the pictures that matplotlib draws."""
    comparison, samples = io.BytesIO(), io.BytesIO()
    plots.comparison_figure().savefig(comparison)
    save(comparison.getvalue(), DOCS / "pictures" / "softsign.png")
    squashing = io.BytesIO()
    squashing_figure().savefig(squashing)
    save(squashing.getvalue(), DOCS / "pictures" / "squashing.png")
    report.draw_samples(samples)
    save(samples.getvalue(), DOCS / "study" / "shapeset.png")


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
