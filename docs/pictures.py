"""Make the pictures of README and of the pages: `python docs/pictures.py`. Needs playwright and chromium."""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from softsign import learn
from softsign.learn import plots
from softsign.study import report
from softsign.study.folder import Study

DOCS = Path(__file__).parent
#: The figures of a report, in their order.
FIGURES = ("errors", "activations", "histograms", "gradients")
WANTED = {"quick": FIGURES, "deep": ("errors", "gradients")}
#: The figures of the explorer that no command draws, as they are at first.
LIVE = ("gradient", "start", "sound", "elsewhere", "today")


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
    """Write figures of the two studies' reports, from the results in docs/study, and of the explorer."""
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
        page = chromium.new_page(viewport={"width": 1000, "height": 900}, device_scale_factor=1.5)
        page.goto(Path(learn.__file__).with_name("explorer.html").as_uri())
        page.add_style_tag(content=".pictures .control { display: none !important; }")
        for name in LIVE:
            page.locator(f"[data-figure={name}]").scroll_into_view_if_needed()
            page.wait_for_selector(f"[data-figure={name}] .readout:not(:empty)")
            pictures = page.locator(f"[data-figure={name}] .pictures")
            save(pictures.screenshot(), DOCS / "pictures" / f"{name}.png")
        chromium.close()


if __name__ == "__main__":
    draw()
    run_the_gallery()
    photograph()
