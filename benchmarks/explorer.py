"""Time the explorer: to its first picture, beside a marimo app, and from a key to the painted frame.

Needs chromium and playwright; marimo, with plotly, is measured if it is installed. Run as
`python benchmarks/explorer.py [--rounds N]`.
"""

import argparse
import contextlib
import importlib.util
import shutil
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

MARIMO = """
import marimo
app = marimo.App()

@app.cell
def _():
    import marimo as mo, numpy as np, softsign
    from plotly.subplots import make_subplots
    k = mo.ui.slider(0.1, 10, 0.1, value=1, label="k")
    r = mo.ui.slider(0.5, 100, 0.5, value=6, label="range")
    mo.hstack([k, r])
    return k, make_subplots, np, r, softsign

@app.cell
def _(k, make_subplots, np, r, softsign):
    x = np.linspace(-r.value, r.value, 301)
    figure = make_subplots(1, 3)
    for n in range(3):
        figure.add_scatter(x=x, y=k.value**n * softsign.nth_derivative(n, k.value * x), row=1, col=n + 1)
    figure
    return

if __name__ == "__main__":
    app.run()
"""

#: Reports for each key on the page how long it took until the frame behind it was painted.
WATCH = """
window.times = [];
addEventListener("keydown", event => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => times.push(performance.now() - event.timeStamp);
    port2.postMessage(0);
}), true);
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def served(command: list[str], port: int) -> Iterator[str]:
    """Start a server and wait until it listens."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()


def first_picture(browser: Any, command: list[str], picture: str) -> float:
    """Seconds from the command to the first picture in an open browser."""
    port = free_port()
    page = browser.new_context().new_page()
    start = time.perf_counter()
    with served([*command, "--port", str(port)], port) as address:
        page.goto(address, wait_until="commit")
        page.wait_for_selector(picture, timeout=120_000, state="attached")
        seconds = time.perf_counter() - start
        page.context.close()
    return seconds


def keys(browser: Any, command: list[str], rounds: int) -> list[float]:
    """Milliseconds from a key on a slider of the first figure to the painted frame."""
    port = free_port()
    with served([*command, "--port", str(port)], port) as address:
        page = browser.new_context().new_page()
        page.add_init_script(WATCH)
        page.goto(address)
        page.wait_for_selector("html[data-ready] [data-figure=function] svg path", state="attached")
        page.wait_for_timeout(1000)
        for slider in page.query_selector_all("[data-figure=function] input[type=range]")[:2]:
            slider.focus()
            for _ in range(10 * rounds):
                page.keyboard.press("ArrowRight")
                page.wait_for_timeout(50)
        times: list[float] = page.evaluate("times")
        page.context.close()
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    explore = [sysconfig.get_path("scripts") + "/softsign", "explore", "--no-browser"]
    contestants = {"softsign explore": (explore, "[data-figure=function] svg path")}
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        if importlib.util.find_spec("marimo"):
            app = Path(folder) / "app.py"
            app.write_text(MARIMO)
            marimo = [sys.executable, "-m", "marimo", "run", str(app), "--headless", "--no-token"]
            contestants["marimo"] = (marimo, ".js-plotly-plot .scatterlayer path")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, (command, picture) in contestants.items():
                seconds[name].append(first_picture(browser, command, picture))
        for name, found in seconds.items():
            spread = f"{min(found):.2f} to {max(found):.2f}"
            print(f"{name}: first picture after {statistics.median(found):.2f} s ({spread})")
        if len(seconds) == 2:
            ratios = [a / b for a, b in zip(*seconds.values(), strict=True)]
            print(f"ratio: {statistics.median(ratios):.3f}")
        times = keys(browser, explore, rounds)
        spread = f"median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms"
        print(f"key to painted frame, {len(times)} keys: {spread}")
        browser.close()


if __name__ == "__main__":
    main()
