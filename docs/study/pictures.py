"""Make the pictures of docs/study.md from the results beside this file. Needs playwright and chromium.

`python docs/study/pictures.py`
"""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from softsign.learn import report, shapeset
from softsign.learn.study import Study

HERE = Path(__file__).parent
#: The figures of a report, in their order.
FIGURES = ("errors", "activations", "histograms", "gradients")
WANTED = {"quick": FIGURES, "deep": ("errors", "gradients")}


def main() -> None:
    """Write the pictures."""
    shapeset.picture(HERE / "shapeset.png")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1200, "height": 900})
        for name, wanted in WANTED.items():
            path = Path(folder, f"{name}.html")
            report.write(Study(HERE / name), path)
            page.goto(path.as_uri())
            figures = page.query_selector_all(".js-plotly-plot")
            for figure, content in zip(figures, FIGURES, strict=True):
                if content in wanted:
                    figure.screenshot(path=HERE / f"{name}-{content}.png")
        chromium.close()


if __name__ == "__main__":
    main()
