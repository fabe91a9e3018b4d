"""The documentation site that `make docs` builds: without a network, on narrow screens, read by machines."""

import io
import itertools
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from softsign.functions import FUNCTIONS

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
SITE = REPOSITORY / "build" / "site"
EXPLORER = REPOSITORY / "src" / "softsign" / "learn" / "explorer.html"
#: Words, and a page that the search has to find for each.
WORDS = {
    "monotone": "numerics",
    "Lipschitz": "mathematics",
    "Michaelis": "questions",
    "chatters": "questions",
    "Wirtinger": "mathematics",
    "subadditive": "mathematics",
    "log_jacobian": "reference/ufuncs",
    "fix_softsign": "howto/mend",
    "critical_": "howto/deep",
    "logits": "howto/cap",
}
#: Pages of each kind, and the part of them that axe looks at: of formulas it takes long.
FOR_ALL = {
    "index": "html",
    "accuracy": "html",
    "reference/stream": "html",
    "howto/ulp": "html",
    "mathematics": "#definition",
    "reference/ufuncs": "[id='softsign.inverse'] + dd",
}


def give_up(reason: str) -> None:
    (pytest.fail if os.environ.get("SOFTSIGN_NO_SKIP") else pytest.skip)(reason)


@pytest.fixture(scope="module")
def pages() -> list[str]:
    """Return the addresses of all pages of the site, relative to it."""
    complete = SITE / ".complete"
    sources = [
        EXPLORER,
        *(path for path in DOCS.rglob("*") if path.suffix in (".md", ".py", ".js", ".css", ".png")),
    ]
    if not complete.exists() or complete.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        give_up("build/site is missing or older than docs: `make docs` builds it")
    return sorted(path.relative_to(SITE).with_suffix("").as_posix() for path in SITE.rglob("*.html"))


@pytest.fixture(scope="module")
def browser() -> Any:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        give_up("the pages are tested in chromium, which is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


def test_what_sphinx_is_told_in_conf_py(pages: list[str]) -> None:
    """Navigation, places of live figures, signatures of ufuncs and the help of the command are there."""
    text = {page: (SITE / f"{page}.html").read_text() for page in pages}
    captions = re.findall('class="caption"[^>]*><span class="caption-text">(.*?)</span>', text["tutorial"])
    assert captions == ["Learn", "How-to", "Applications", "Reference", "Explanation", "Glossary"]
    for source in DOCS.rglob("*.md"):
        page = source.relative_to(DOCS).with_suffix("").as_posix()
        names = re.findall(r"<!-- figure: (\w+)", source.read_text())
        assert re.findall(r'<div data-figure="(\w+)">\s*<p><img[^>]*></p>\s*</div>', text[page]) == names, (
            page
        )
    ufuncs = text["reference/ufuncs"]
    for name in FUNCTIONS:
        assert f'id="softsign.{name}"' in ufuncs
    assert "out=None" in re.sub("<.*?>", "", ufuncs)
    assert "softsign onnx gradients" in text["reference/command"]
    questions = re.findall("<h2>(.*?)</h2>", text["explorer"])
    assert re.findall(r"^\d+\. (.*)$", (DOCS / "explorer.md").read_text(), re.MULTILINE) == questions


def address(page: str) -> str:
    return (SITE / f"{page}.html").as_uri()


def test_the_site_in_a_browser(pages: list[str], browser: Any) -> None:
    context = browser.new_context(offline=True, viewport={"width": 400, "height": 800})
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("requestfailed", lambda request: wrong.append(f"{tab.url}: {request.url} failed"))
    tab.on("pageerror", lambda error: wrong.append(f"{tab.url}: {error}"))
    tab.on("console", lambda message: wrong.append(f"{tab.url}: {message.text}"))
    tab.on(
        "request",
        lambda request: wrong.append(request.url) if not request.url.startswith(SITE.as_uri()) else 0,
    )
    for page in pages:
        tab.goto(address(page), wait_until="load")
        if tab.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            wrong.append(f"{page} scrolls sideways")
        if tab.evaluate(
            "[...document.querySelectorAll('.katex-html')].some(e => e.scrollWidth > e.clientWidth + 1)"
        ):
            wrong.append(f"{page} has a formula that is cut off")
        if tab.evaluate("[...document.images].some(image => !image.naturalWidth)"):
            wrong.append(f"{page} lacks an image")
    tab.goto(address("explorer"), wait_until="load")
    for link in tab.evaluate("Array.from(document.querySelectorAll('a[data-page]'), link => link.href)"):
        page, _, part = link.partition("#")
        target = Path(page.removeprefix("file://"))
        if not target.exists() or (part and f'id="{part}"' not in target.read_text()):
            wrong.append(f"explorer links to {link}, which is not there")
    tab.click("text=The documentation")
    tab.wait_for_load_state("load")  # else what is still on its way counts as failed
    assert tab.url == address("index")
    for scheme, theme in itertools.product(("light", "dark"), ("auto", "light", "dark")):
        tab.emulate_media(color_scheme=scheme)
        tab.goto(address("speed"), wait_until="load")
        tab.evaluate("theme => { document.body.dataset.theme = theme; }", theme)
        picture = Image.open(io.BytesIO(tab.query_selector("article img").screenshot())).convert("L")
        shade: Any = picture.getpixel((2, 2))
        dark = theme == "dark" or (theme == "auto" and scheme == "dark")
        if (shade < 64) != dark:
            wrong.append(f"a picture is not that of theme {theme} where the system has {scheme}")
    for word, page in WORDS.items():
        tab.goto(f"{address('search')}?q={word}", wait_until="load")
        tab.wait_for_function("document.querySelector('#search-results h2')?.innerText == 'Search Results'")
        links = tab.query_selector_all("#search-results ul.search a")
        if not any(link.evaluate("a => a.href").startswith(address(page)) for link in links):
            wrong.append(f"the search for {word} does not find {page}")
    context.close()
    tab = browser.new_page()
    for page, part in FOR_ALL.items():
        tab.goto(address(page), wait_until="load")
        for scheme in ("light", "dark"):
            tab.emulate_media(color_scheme=scheme)
            for violation in Axe().run(tab, part).response["violations"]:
                targets = [node["target"] for node in violation["nodes"]]
                wrong.append(f"{page}, {scheme}: {violation['id']} of {len(targets)}, {targets[:3]}")
    tab.close()
    assert wrong == []
