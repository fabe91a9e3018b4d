"""The explorer: its page in a real browser, its kernels against the package's bits, and the command."""

import contextlib
import doctest
import gzip
import html
import itertools
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sysconfig
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from scipy.optimize import minimize_scalar
from scipy.special import erf, erfinv, expit

import softsign
from softsign import init, variants
from softsign.applications.audio import Waveshaper
from softsign.functions import FUNCTIONS
from tests.helpers import (
    FLOATS,
    Array,
    arguments,
    assert_same_bits,
    chromium,
    random_values,
    started,
    ufunc,
)

PAGE = Path(softsign.__file__).parent / "learn" / "explorer.html"
SCRIPT = Path(__file__).parents[1] / "docs" / "_static" / "explorer.js"
COMMAND = Path(sysconfig.get_path("scripts")) / "softsign"
#: The inputs at which the kernels replace a result, named in docs/numerics.md.
REPLACED = ("0x1.17022cp-7", "0x1.2d5dc4p-9", "0x1.f1724cp-11", "0x1.320134p-9")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@contextlib.contextmanager
def opened(
    browser: Any, fragment: str = "", script: str = "", drawn: str = "[data-figure]", **options: Any
) -> Iterator[Any]:
    """The page, with figures drawn; nothing may be written to the console, nor any host be asked."""
    context = browser.new_context(offline=True, reduced_motion="reduce", **options)
    page = context.new_page()
    said: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: requests.append(request.url.partition("#")[0]))
    page.add_init_script(script)
    page.goto(PAGE.as_uri() + fragment)
    page.wait_for_selector("html[data-ready]")
    for place in page.query_selector_all(drawn) if drawn else []:
        place.scroll_into_view_if_needed()
        page.wait_for_function("place => place.querySelector('.readout')?.textContent", arg=place)
    yield page
    assert said == []
    assert [url for url in requests if not url.startswith(("blob:", "data:"))] == [PAGE.as_uri()]
    context.close()


#: A hash of all pictures when nothing is drawn or trained any more; Plot numbers its clips as it draws them.
SETTLED = """new Promise(done => {
    const look = () => document.querySelector("[aria-busy=true]") ? setTimeout(look, 20) : done(digest());
    const digest = () => {
        const pictures = Array.from(document.querySelectorAll(".softsign-figure svg"), one => one.outerHTML);
        let hash = 0;
        for (const letter of pictures.join().replace(/plot-clip-\\d+/g, ""))
            hash = Math.imul(hash, 31) + letter.charCodeAt() | 0;
        return hash;
    };
    requestAnimationFrame(() => requestAnimationFrame(look));
})"""


class Exchange(BaseHTTPRequestHandler):
    """Gives the page the bytes that lie under a name, and keeps what it sends back."""

    bytes_of: ClassVar[dict[str, bytes]] = {}

    def answer(self, body: bytes = b"") -> None:
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer(self.bytes_of.get(self.path, b""))

    def do_POST(self) -> None:
        self.bytes_of[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer()

    def log_message(self, format: str, *args: object) -> None:
        pass


#: Computes each of the functions in the page; bytes as JSON would take minutes.
COMPUTE = """async ([address, dtype, inputs]) => {
    const bytes = async key => new Uint8Array(await (await fetch(address + key)).arrayBuffer());
    for (const [name, keys] of Object.entries(inputs)) {
        const result = softsign.apply(name, dtype, ...await Promise.all(keys.map(bytes)));
        await fetch(`${address}/${name}`, {method: "POST", body: result});
    }
}"""


def values(dtype: Any) -> Array:
    """All numbers of 16 bits; of wider formats any bits, ordinary numbers, and those named in numerics.md."""
    if dtype.itemsize == 2:
        return np.arange(1 << 16, dtype=np.uint16).view(dtype)
    half = (1 << 18) // dtype.itemsize
    named = [float.fromhex(text) * sign for text in REPLACED for sign in (1, -1)]
    ordinary = np.random.default_rng(1).standard_normal(half - len(named)) * 3
    known = np.concatenate([named, ordinary]).astype(dtype)
    return np.concatenate([known, random_values(dtype, half, seed=2)])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_the_kernels_of_the_page_have_the_bits_of_the_package(browser: Any, dtype: Any) -> None:
    pages = {name: facts for name, facts in FUNCTIONS.items() if len(facts.arguments) < 3}
    given = {name: arguments(name, values(dtype)) for name in pages}
    keys = {name: [f"/{name}/{i}" for i in range(len(given[name]))] for name in pages}
    for name in pages:
        for key, argument in zip(keys[name], given[name], strict=True):
            Exchange.bytes_of[key] = argument.tobytes()
    page = browser.new_page()
    page.goto(PAGE.as_uri())
    page.wait_for_selector("html[data-ready]")
    with ThreadingHTTPServer(("127.0.0.1", 0), Exchange) as server:
        threading.Thread(target=server.serve_forever).start()
        page.evaluate(COMPUTE, [f"http://127.0.0.1:{server.server_port}", str(dtype), keys])
        server.shutdown()
    page.close()
    for name, facts in pages.items():
        found = np.frombuffer(Exchange.bytes_of.pop(f"/{name}"), dtype).reshape(facts.outputs, -1)
        with np.errstate(all="ignore"):
            assert_same_bits(found, np.reshape(ufunc(name)(*given[name]), found.shape))


def test_what_figures_compute(browser: Any) -> None:
    """Functions of numbers, rounded to a format as NumPy does, and the theory of initialization."""
    x = np.concatenate([random_values(np.dtype("d"), 2000), np.geomspace(1e-9, 1e9, 2000)])
    x = x[np.isfinite(x)]
    with opened(browser, drawn="") as page:
        for dtype in FLOATS:
            with np.errstate(all="ignore"):
                wanted = softsign.softsign(x.astype(dtype)).astype(float)
            found = page.evaluate("given => softsign.call(...given)", ["softsign", x.tolist(), str(dtype)])
            np.testing.assert_array_equal(np.array(found, float), wanted)
        for q in (0.01, 0.123, 1.0, 10.0):
            rule = page.evaluate("q => softsign.critical(q)", q)
            np.testing.assert_allclose([rule["sigmaW"], rule["sigmaB"]], init.critical(q), rtol=1e-6)
            for weight, bias in (init.critical(q), (1, 0), (3**-0.5, 0), (init.gain(), 0), (0.3, 0.2)):
                given = [100, float(weight), float(bias), q]
                found = page.evaluate("given => softsign.depthProfile(...given)", given)
                wanted = init.depth_profile(100, weight, bias, q)
                np.testing.assert_allclose(found["variance"], wanted.variance, rtol=1e-5)
                np.testing.assert_allclose(found["gradient"], wanted.gradient_variance, rtol=1e-5)


def test_the_page_is_small_and_whole() -> None:
    page = PAGE.read_bytes()
    assert len(page) <= 750_000
    assert len(gzip.compress(page, 9)) <= 260_000
    without_script = re.sub(rb"<script>.*</script>", b"", page, flags=re.DOTALL)
    links = re.findall(rb"""(?:src|href)="([^"]*)""", without_script)
    assert {link[:1] for link in links if link != b"data:,"} == {b"#"}


def test_nobody_is_shut_out(browser: Any) -> None:
    """WCAG 2 A and AA as far as axe can tell, and no sideways scrolling."""
    levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
    options = {"runOnly": levels, "resultTypes": ["violations"]}
    with opened(browser) as page:
        for width, scheme in itertools.product((320, 400, 1600), ("light", "dark")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            page.evaluate(SETTLED)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            if width > 320:
                # The insides of the pictures are the same each time, and take most of the time.
                context = None if (width, scheme) == (400, "light") else {"exclude": [["svg"]]}
                found = Axe().run(page, context, options)
                assert found.violations_count == 0, (width, scheme, found.generate_report())


def test_every_control_by_keyboard_and_a_link_that_shows_the_same(browser: Any) -> None:
    with opened(browser) as page:
        controls = page.query_selector_all(".softsign-figure :is(input, select, button):enabled")
        reached: set[str] = set()
        presses = 0
        while len(reached) < len(controls):
            assert (presses := presses + 1) < 200, reached
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "document.activeElement.matches('.softsign-figure :is(input, select, button)') &&"
                " [document.activeElement.id || document.activeElement.textContent,"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
            if focused:
                assert focused[1] == "solid", focused
                reached.add(focused[0])
        changed = page.evaluate(SETTLED)
        for slider in page.query_selector_all("input[type=range]"):
            before = changed
            slider.focus()
            at_its_end = slider.input_value() == slider.get_attribute("max")
            page.keyboard.press("ArrowLeft" if at_its_end else "ArrowRight")
            changed = page.evaluate(SETTLED)
            assert changed != before, slider.evaluate("slider => slider.labels[0].textContent")
        page.wait_for_function("document.querySelector('audio').duration > 1")
        page.wait_for_function("location.hash.includes('today.alpha')")
        fragment = page.evaluate("location.hash")
        page.locator("nav a").first.click()
        assert page.evaluate("location.hash") == "#what"
        assert page.evaluate(SETTLED) == changed
    with opened(browser, fragment) as page:
        assert page.evaluate(SETTLED) == changed


def test_nonsense_is_said_beside_the_field_and_the_picture_stays(browser: Any) -> None:
    with opened(browser) as page:
        for field in page.query_selector_all("input[type=text]"):
            before = page.evaluate(SETTLED)
            for text in ("", "abc", "nan", "inf", "1e400", "--1"):
                field.fill(text)
                said = page.inner_text(f"#{field.get_attribute('aria-describedby')}")
                assert "number" in said or "finite" in said
                assert field.get_attribute("aria-invalid") == "true"
                assert page.evaluate(SETTLED) == before
            field.fill("3")
            assert field.get_attribute("aria-invalid") == "false"
            assert page.evaluate(SETTLED) != before
    nonsense = "#function.k=abc&function.order=1e9&float.dtype=float8&float.x=nan&training.data=digits"
    figures = "[data-figure=function], [data-figure=float], [data-figure=training]"
    with opened(browser, nonsense, drawn=figures) as page:
        assert "f⁽⁶⁾" in page.inner_text("[data-figure=function] .readout")
        assert "nan" in page.inner_text("[data-figure=float] .alert")
        assert "28 of 59" in page.inner_text("[data-figure=float] .readout")
        page.evaluate(SETTLED)
        wrong = re.search(r"([\d.]+) % of the digits", page.inner_text("[data-figure=training] .readout"))
        assert wrong
        assert float(wrong[1]) < 20


Antialias = Literal["none", "adaa1", "moments"]
#: A state of every figure but those that have tests of their own, as a link has it.
STATE = (
    "#function.k=2&function.order=3&tails.share=0.99&others.match=best&gradient.depth=30&gradient.x=2"
    "&start.depth=100&start.q=0.5&start.sigma=2&relatives.k=3&sound.drive=30&sound.pitch=440"
    "&sound.antialias=moments"
    "&elsewhere.enzyme=3&today.slope=10&others.functions="
    "tanh,arctan,isru,erf,gudermann,hard,elliot2,logistic,relu,softplus,gelu,silu"
)


#: Those of the twelve that are odd and stretched, in the page's order.
ODD: dict[str, Any] = {
    "tanh": np.tanh,
    "arctan": lambda x: 2 / np.pi * np.arctan(x),
    "ISRU": lambda x: x / np.hypot(1, x),
    "erf": erf,
    "Gudermannian": lambda x: 4 / np.pi * np.arctan(np.tanh(x / 2)),
    "hard tanh": lambda x: np.clip(x, -1, 1),
}


def distance(f: Any, scale: float) -> float:
    x = np.geomspace(1e-2, 1e2, 20_000)
    return float(np.max(np.abs(f(scale * x) - softsign.softsign(x))))


PERIODS = 81  # of the tone in STATE, the odd number next to 440 Hz in 8192 samples of 44,100 a second


def shaped_tone(antialias: Antialias) -> Array:
    """The tone in STATE as softsign.applications.audio shapes it."""
    n = 8192
    tone = np.sin(2 * np.pi * PERIODS * np.arange(3 * n) / n)
    return np.asarray(Waveshaper(drive_db=30, antialias=antialias)(tone, 44_100)[n:-n])


def wanted_of_sound(antialias: Antialias) -> list[Any]:
    """Pitch, third harmonic and aliases of the tone in STATE."""
    lines = np.abs(np.fft.rfft(shaped_tone(antialias)))[1:-1]
    lines /= lines[PERIODS - 1]
    lines[lines < 1e-6] = 0
    harmonics = np.sum(lines[PERIODS - 1 :: PERIODS] ** 2)
    aliases = 10 * np.log10((np.sum(lines**2) - harmonics) / harmonics)
    return [PERIODS * 44100 / 8192, 20 * np.log10(lines[3 * PERIODS - 1]), aliases]


#: The bytes of the sound that the page plays.
PLAYED = """fetch(document.querySelector("audio").src)
    .then(got => got.arrayBuffer())
    .then(bytes => Array.from(new Uint8Array(bytes)))"""


def wanted_in_readouts() -> dict[str, tuple[float, list[Any]]]:
    """What the figures show in STATE, computed in Python: for each the tolerance and the numbers."""
    best = [minimize_scalar(lambda a, f=f: distance(f, a), (0.3, 1)).fun for f in ODD.values()]
    chains: dict[str, tuple[Any, Any]] = {
        "softsign": (softsign.softsign, softsign.derivative),
        "tanh": (np.tanh, lambda x: np.cosh(x) ** -2),
        "logistic": (expit, lambda x: expit(x) * expit(-x)),
    }
    gradients = []
    for f, slope in chains.values():
        x, gradient = 2.0, 1.0
        for _ in range(30):
            gradient, x = gradient * slope(x), f(x)
        gradients.append(gradient)
    sigma_w, sigma_b = (float(sigma) for sigma in init.critical(0.5))
    rules = [(sigma_w, sigma_b), (1, 0), (3**-0.5, 384**-0.5), (2, 0)]
    profiles = [init.depth_profile(100, *rule, 0.5).gradient_variance[0] for rule in rules]
    u = np.geomspace(0.01, 1000, 4000)
    with np.errstate(over="ignore"):
        plain = 1 / (1 + np.float16(10) * u.astype("e")) ** 2
    lost = u[np.argmin(plain > 0)]
    turned = [math.degrees(math.atan2(y, x)) for x, y in ((4, 1), softsign.softsign([4.0, 1.0]))]
    reached = [
        softsign.inverse(0.99),
        np.tan(0.99 * np.pi / 2) * 2 / np.pi,
        0.99 / np.sqrt(1 - 0.99**2),
        np.arctanh(0.99),
        erfinv(0.99) * 2 / np.sqrt(np.pi),
    ]
    return {
        "function": (1e-3, list(8 * softsign.nth_derivative(3, [-5e-324, 0, 5e-324]))),
        "tails": (5e-3, reached),
        "others": (2e-3, best),
        "gradient": (5e-2, gradients),
        "start": (5e-2, [*profiles, sigma_w, sigma_b]),
        "relatives": (5e-3, [float(variants.generalized_inverse(0.99, 3)), 99, *np.round(turned)]),
        "sound": (5e-3, wanted_of_sound("moments")),
        "elsewhere": (5e-3, [1 / 3, 27, 81]),
        "today": (5e-2, [lost, float(softsign.derivative(10 * lost))]),
    }


def in_readout(page: Any, figure: str) -> list[float]:
    texts = page.locator(f"[data-figure={figure}] .readout b").all_inner_texts()
    return [float(text.replace("−", "-").split(" ")[0].rstrip("°")) for text in texts]


def test_what_the_readouts_say(browser: Any) -> None:
    """Every number is that of Python, and every line has a color."""
    with opened(browser, STATE) as page:
        for figure, (tolerance, wanted) in wanted_in_readouts().items():
            found = in_readout(page, figure)
            if figure == "others":  # and elliot2sig, which is not stretched
                found = found[: len(wanted)]
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=0, err_msg=figure)
        page.wait_for_function("document.querySelector('audio').duration > 1")
        played = np.array(page.evaluate(PLAYED), np.uint8)[44:].view(np.int16)
        sound = 20_000 * shaped_tone("moments")[213:]  # faded in, and without the 13 samples of latency
        np.testing.assert_allclose(played[200:][: len(sound)], sound, rtol=0, atol=0.51)
        methods: tuple[Antialias, ...] = ("none", "adaa1", "moments")
        for antialias in methods:
            page.get_by_label("Against aliases").select_option(antialias)
            page.evaluate(SETTLED)
            np.testing.assert_allclose(in_readout(page, "sound"), wanted_of_sound(antialias), rtol=5e-3)
        relatives = page.inner_text("[data-figure=relatives] .readout")
        assert "order 4 jumps" in relatives
        colors = page.evaluate(
            "Array.from(document.querySelectorAll('svg path[stroke], svg g[stroke]'), path =>"
            " [path.getAttribute('stroke'), getComputedStyle(path).stroke])"
        )
        assert [attribute for attribute, color in colors if color == "none" != attribute] == []


def test_falls_are_counted_in_the_browser(browser: Any) -> None:
    with opened(browser, drawn="[data-figure=float]") as page:
        readout = page.locator("[data-figure=float] .readout")
        assert "28 of 59" in readout.inner_text()
        page.get_by_label("Number format").select_option("float16")
        page.wait_for_selector("[data-figure=float] .readout :text('11,558')")
        assert "63,488" in readout.inner_text()
        assert "2,026" in readout.inner_text()
        page.get_by_text("Count all falls").click()
        page.wait_for_selector(".counted:has-text('Counted in')", timeout=300_000)
        assert "8,334,268 steps; the package’s kernels, 0." in page.inner_text(".counted")


def test_without_vectors_of_webassembly_the_page_says_so(browser: Any) -> None:
    with opened(browser, script="WebAssembly.compile = () => Promise.reject(new Error('none'))") as page:
        assert "without the package’s kernels" in page.inner_text(".softsign-banner")
        x = [-3.0, -0.25, 0.0, 1.0, 1e300]
        for name in ("softsign", "derivative", "second_derivative", "antiderivative", "log_jacobian"):
            found = page.evaluate("given => softsign.call(...given)", [name, x])
            np.testing.assert_allclose(found, ufunc(name)(x), rtol=1e-14)
        ends = np.repeat(x, 5), np.tile(x, 5)
        found = page.evaluate("given => softsign.moments(...given)", [end.tolist() for end in ends])
        np.testing.assert_allclose(found, softsign.segment_moments(*ends), rtol=1e-13, atol=1e-16)
        for n in range(5):
            found = page.evaluate("given => softsign.call(...given)", ["nth_derivative", x, "float64", n])
            np.testing.assert_allclose(found, softsign.nth_derivative(n, x), rtol=1e-14)


def test_the_script_of_the_site_draws_where_a_page_says(browser: Any, tmp_path: Path) -> None:
    body = '<body data-theme="dark"><div data-figure="gradient"></div><div data-figure="training"></div>'
    (tmp_path / "page.html").write_text(f'<meta charset="utf-8">{body}<script src="{SCRIPT}"></script>')
    page = browser.new_page(color_scheme="light", reduced_motion="reduce")
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector(".readout:has-text('3.8e−4')")
    ink, paper = page.evaluate(
        "['--ink', '--paper'].map(name => getComputedStyle(document.body).getPropertyValue(name))"
    )
    assert (ink, paper) == ("#e9e7e1", "#15171b")  # those of a dark page, as the body says
    page.wait_for_selector("[data-figure=training] image", state="attached")
    page.evaluate(SETTLED)
    image = "document.querySelector('[data-figure=training] image').href.baseVal"
    dark = page.evaluate(image)
    page.evaluate("document.body.dataset.theme = 'light'")
    page.evaluate(SETTLED)
    assert page.evaluate(image) != dark  # its paper is that of the theme
    page.close()


#: Goes through the page as `opened` does, and reports; the image holds Firefox's screenshot back until then.
REPORT = """<img alt="" src="/wait"><script>(async () => {
    const until = async found => { while (!found()) await new Promise(next => setTimeout(next, 20)); };
    const readouts = {};
    await until(() => document.documentElement.dataset.ready);
    for (const place of document.querySelectorAll("[data-figure]")) {
        place.scrollIntoView();
        const text = () => place.querySelector(".readout")?.textContent;
        await until(text);
        readouts[place.dataset.figure] = [text(), place.querySelectorAll("svg").length];
    }
    const values = softsign.call("softsign", Array.from({length: 2000}, (_, i) => Math.sinh(i / 50 - 20)));
    await fetch("/report", {method: "POST", body: JSON.stringify([readouts, values])});
})();</script>"""


def test_firefox_shows_the_same(tmp_path: Path) -> None:
    """Firefox as users have it, which Playwright cannot drive, loads the page and reports."""
    firefox = shutil.which("firefox-esr") or shutil.which("firefox")
    if firefox is None:
        (pytest.fail if os.environ.get("SOFTSIGN_NO_SKIP") else pytest.skip)("Firefox is not installed")
    reported = threading.Event()

    class Waiting(Exchange):
        bytes_of: ClassVar[dict[str, bytes]] = {"/": PAGE.read_bytes() + REPORT.encode(), "/wait": b""}

        def do_GET(self) -> None:
            assert self.path != "/wait" or reported.wait(240)
            super().do_GET()

        def do_POST(self) -> None:
            super().do_POST()
            reported.set()

    with ThreadingHTTPServer(("127.0.0.1", 0), Waiting) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        options = ["--headless", "--profile", str(tmp_path), "--screenshot", f"{tmp_path}/page.png", address]
        subprocess.run([firefox, *options], capture_output=True, timeout=300, check=True)
        server.shutdown()
    readouts, values = json.loads(Waiting.bytes_of["/report"])
    assert all(pictures for _, pictures in readouts.values())
    assert "28 of 59" in readouts["float"][0]
    x = np.sinh(np.arange(2000) / 50 - 20)
    np.testing.assert_allclose(values, softsign.softsign(x), rtol=1e-14)  # Math.sinh is not NumPy's


def snippets() -> dict[str, str]:
    text = PAGE.read_text()
    found = re.findall(r'<section id="(\w+)">.*?<pre[^>]*class="python">(.*?)</pre>', text, re.DOTALL)
    return {section: html.unescape(code) for section, code in found}


def test_every_section_has_its_parts() -> None:
    text = PAGE.read_text()
    sections = re.findall(r'<section id="(\w+)">(.*?)</section>', text, re.DOTALL)
    assert [name for name, _ in sections] == re.findall(r'<li><a href="#(\w+)">', text)
    assert set(snippets()) == {name for name, _ in sections}
    for name, section in sections:
        assert re.search(r"<h2>[^<]*\?</h2>", section), name
        for part in ('class="source"', "data-page=", "data-figure="):
            assert part in section, (name, part)


@pytest.mark.parametrize("section", snippets())
def test_the_same_in_python(section: str) -> None:
    example = doctest.DocTestParser().get_doctest(snippets()[section], {}, section, None, None)
    runner = doctest.DocTestRunner(verbose=False)
    said: list[str] = []
    assert runner.run(example, out=said.append).failed == 0, "".join(said)


def test_the_command_serves_the_page_on_the_next_free_port_until_ctrl_c() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with started(COMMAND, "explore", "--no-browser", "--port", str(port), **pipes) as process:
            assert process.stdout
            assert process.stderr
            assert process.stdout.readline() == f"port {port} is taken, so this is the next free one\n"
            address = process.stdout.readline().split()[0]
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
            with urllib.request.urlopen(address) as answer:
                assert answer.read() == PAGE.read_bytes()
                assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            process.send_signal(signal.SIGINT)
            assert process.wait() == 130
            assert process.stderr.read() == "softsign: interrupted\n"


def test_the_command_saves_the_page(tmp_path: Path) -> None:
    target, page = tmp_path / "page.html", PAGE.read_bytes()
    for options in ([], ["--force"]):
        command: list[str | Path] = [COMMAND, "explore", "--save", target, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == f"{target}: the explorer, {len(page) / 1e6:.2f} MB; open it in a browser\n"
        assert target.read_bytes() == page
