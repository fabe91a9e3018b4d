"""Make the pictures of README and of the pages: `python docs/pictures.py`.

Needs playwright, chromium and Debian's blender-data, whose image of a courtyard (CC0) is mapped.
"""

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
import OpenImageIO
import torch
from matplotlib.figure import Figure
from PIL import Image
from playwright.sync_api import sync_playwright
from scipy import stats
from statsmodels.robust import norms
from torch.distributions import Normal

import softsign
from softsign import learn
from softsign._palette import COLORS
from softsign.applications import robust, tonemap
from softsign.applications.companding import Moments, NonlinearADC
from softsign.learn import plots
from softsign.learn._canvas import GUIDE, decorate, panels
from softsign.study import report
from softsign.study.folder import Study
from softsign.torch import SquashedNormal

DOCS = Path(__file__).parent
#: The figures of a report, in their order.
FIGURES = ("errors", "activations", "histograms", "gradients")
WANTED = {"quick": FIGURES, "deep": ("errors", "gradients")}
COURTYARD = Path("/usr/share/blender/datafiles/studiolights/world/courtyard.exr")
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


def names_of(page: str) -> dict[str, Any]:
    """Run the examples of a page, and return what they have named."""
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for example in doctest.DocTestParser().get_examples((DOCS / page).read_text()):
            if example.exc_msg is None:
                exec(example.source, names)  # noqa: S102, pages of this project, which pytest runs as well
    return names


def draw_stats() -> Figure:
    """Draw the density, and the tail that the formula loses."""
    figure, (left, right) = panels(2, (4.6, 3.6))
    distribution = names_of("applications/stats.md")["softsign_dist"]
    x = np.linspace(-6, 6, 601)
    normal = stats.norm(scale=1 / stats.norm.ppf(0.75))
    for other, name, color in (
        (distribution, "softsign", 0),
        (stats.cauchy, "Cauchy", 1),
        (normal, "normal", 2),
    ):
        left.plot(x, other.pdf(x), color=COLORS[color], linewidth=2 if color == 0 else 1.5, label=name)
    decorate(left, "density, quartiles at ±1", "$x$", "$p(x)$")
    left.legend(frameon=False)
    far = np.geomspace(1, 1e20, 601)
    right.plot(far, distribution.sf(far), color=COLORS[0], linewidth=2, label="softsign_dist.sf(x)")
    formula = (1 - softsign.softsign(far)) / 2
    right.plot(far[formula > 0], formula[formula > 0], color=COLORS[1], label="(1 − softsign(x)) / 2")
    right.axvline(2.0**54, **GUIDE)
    right.text(2.0**54 / 2, 1e-3, "from $2^{54}$ on\nthe formula is 0", fontsize=9, ha="right")
    right.set(xscale="log", yscale="log")
    decorate(right, "probability of more than $x$", "$x$", "$P(X > x)$")
    right.legend(frameon=False, loc="lower left")
    return figure


def draw_control() -> Figure:
    """Draw describing functions, and a loop on its way to the limit cycle that they predict."""
    figure, (left, right) = panels(2, (4.6, 3.6))
    names = names_of("applications/control.md")
    amplitudes = np.geomspace(0.05, 100, 401)
    inside = np.arcsin(np.minimum(1, 1 / amplitudes))
    saturation = 2 / np.pi * (inside + np.sin(inside) * np.cos(inside))
    left.plot(
        amplitudes, names["describing_function"](amplitudes), color=COLORS[0], linewidth=2, label="softsign"
    )
    left.plot(amplitudes, saturation, color=COLORS[1], label="saturation")
    left.plot(amplitudes, 4 / np.pi / amplitudes, color=COLORS[2], label="switch")
    left.set(xscale="log", yscale="log", ylim=(0.01, 3))
    decorate(left, "gain for a sine", "amplitude $A$", "$N(A)$")
    left.legend(frameon=False, loc="lower left")
    run, amplitude, frequency = (names[name] for name in ("run", "amplitude", "frequency"))
    x, speed, _ = run.sol(np.linspace(0, 100, 5001))
    right.plot(x, speed, color=COLORS[0], linewidth=0.8, label="simulated")
    turn = np.linspace(0, 2 * np.pi, 201)
    right.plot(
        amplitude * np.cos(turn),
        -amplitude * frequency * np.sin(turn),
        color=COLORS[1],
        linestyle=(0, (5, 3)),
        linewidth=1.8,
        label="predicted",
    )
    decorate(right, "the loop runs into its limit cycle", "$x$", "$dx/dt$")
    right.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return figure


#: Name, axes, y at large x, and x where half of that is reached.
SCIENCES = (
    ("enzymes: Michaelis–Menten", "substrate [S]", "speed $v$", "$V_{max}$", "$K_m$", 2.0),
    ("gas on a surface: Langmuir", "pressure $p$", "taken up $q$", "$q_{max}$", "$1/K$", 1.3),
    ("hunters: Holling II", "prey $N$", "eaten in a time", "$1/h$", "$1/(αh)$", 3.0),
    ("eyes: Naka–Rushton", "light $I$", "response $R$", "$R_{max}$", "$σ$", 2.5),
    ("networks: Elliott", "input $x$", "output", "$1$", "$1$", 2.0),
)


def draw_sciences() -> Figure:
    """Draw the curve in the words of each science."""
    figure, every = panels(len(SCIENCES), (3.0, 2.4))
    for axes, (name, xlabel, ylabel, top, half, k), color in zip(every, SCIENCES, COLORS, strict=False):
        x = np.linspace(-10 if name.endswith("Elliott") else 0, 10, 401)
        axes.plot(x, softsign.softsign(x / k), color=color, linewidth=2)
        axes.plot([k, k, min(0, x[0])], [min(0, x[0] / 10), 0.5, 0.5], **GUIDE)
        decorate(axes, name, xlabel, ylabel)
        axes.set(xlim=(x[0], 10), ylim=(min(0, x[0] / 10), 1), xticks=[0, k], xticklabels=["0", half])
        axes.set(yticks=[0, 0.5, 1], yticklabels=["0", "half", top])
    return figure


def draw_science() -> Figure:
    """Draw the two fits, and both sets of data on softsign."""
    figure, (left, right) = panels(2, (4.6, 3.6))
    names = names_of("applications/science.md")
    x = np.linspace(0, 1.2, 301)
    u = np.geomspace(0.1, 40, 301)
    right.plot(u, softsign.softsign(u), color="0.4", label="softsign")
    for label, fit, speeds, color in (
        ("treated", names["with_it"], names["treated"], COLORS[0]),
        ("untreated", names["without"], names["untreated"], COLORS[1]),
    ):
        concentration = names["concentration"][: len(speeds)]
        left.plot(x, fit.predict(x), color=color)
        left.plot(
            concentration, speeds, "o", color=color, markersize=5, label=f"{label}: $V_{{max}}$ {fit.a:.0f}"
        )
        left.plot(
            [fit.k, fit.k, 0], [0, fit.a / 2, fit.a / 2], color=color, linewidth=0.9, linestyle=(0, (3, 3))
        )
        right.plot(concentration / fit.k, speeds / fit.a, "o", color=color, markersize=5, label=label)
    left.set(xlim=(0, 1.2), ylim=(0, 220))
    decorate(left, "speed of an enzyme; half of it at $K_m$", "concentration, ppm", "counts/min²")
    left.legend(frameon=False, loc="lower right")
    right.set(xscale="log", ylim=(0, 1.05))
    decorate(right, "both are softsign", "concentration / $K_m$", "speed / $V_{max}$")
    right.legend(frameon=False, loc="lower right")
    return figure


def draw_audio() -> Figure:
    """Draw the spectra of a sine after softsign, by three methods."""
    figure, every = panels(3, (3.4, 3.2))
    names = names_of("applications/audio.md")
    x, rate, shaper = names["x"], names["rate"], names["Waveshaper"]
    titles = {"none": "softsign of the samples", "moments": "moments", "moments2": "moments2"}
    for axes, (antialias, title) in zip(every, titles.items(), strict=True):
        y = shaper(drive_db=20, antialias=antialias)(x, rate)[rate:-rate]
        level = 20 * np.log10(np.abs(np.fft.rfft(y)) / rate * 2 + 1e-12)
        axes.axvspan(16, 22.05, color="0.95")
        for picked, color, label in (
            (np.setdiff1d(np.flatnonzero(level > -140), [5000, 15_000]), COLORS[1], "aliasing"),
            (np.array([5000, 15_000]), COLORS[0], "sine and harmonic"),
        ):
            axes.vlines(picked / 1000, -140, level[picked], color=color, linewidth=2, label=label)
        axes.set(xlim=(0, 22.05), ylim=(-140, 5))
        decorate(axes, title, "kHz", "dB")
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=2)
    return figure


def draw_squashing() -> Figure:
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


def draw_robust() -> Figure:
    """Draw how hard a residual pulls, what that costs at normal errors, and what two penalties leave."""
    figure, (pull, cost, left_over) = panels(3, (4.0, 3.6))
    r = np.linspace(-8, 8, 801)
    for color, norm, name in (
        (COLORS[0], robust.FairNorm(), "Fair, c = 1.4"),
        (COLORS[1], norms.HuberT(), "Huber, 1.345"),
        (COLORS[2], norms.TukeyBiweight(), "Tukey, 4.685"),
    ):
        pull.plot(r, norm.psi(r), color=color, label=name)
    pull.plot(r[np.abs(r) < 2.2], r[np.abs(r) < 2.2], label="least squares", **GUIDE)
    decorate(pull, "pull of a residual", "residual in units of its scale", "$\\psi$")
    pull.legend(frameon=False, fontsize=8, loc="lower right")
    c = np.geomspace(1e-3, 1e2, 301)
    cost.semilogx(c, robust.efficiency(c), color=COLORS[0])
    cost.plot([1e-3, robust.FAIR_95, robust.FAIR_95], [0.95, 0.95, 0.62], **GUIDE)
    cost.set_ylim(0.62, 1.01)
    decorate(cost, "efficiency at normal errors", "$c$", "mean's variance / estimate's")
    v = np.linspace(-4, 4, 1601)
    for color, a in ((COLORS[0], 1.0), (COLORS[4], 0.1)):
        x = robust.TransformedL1(a).prox(v, 1.0)
        x[1:][np.abs(np.diff(x)) > 0.1] = np.nan  # the line is not joined across the jump
        left_over.plot(v, x, color=color, label=f"transformed L1, a = {a:g}")
    left_over.plot(v, np.sign(v) * np.maximum(np.abs(v) - 1, 0), color=COLORS[1], label="lasso")
    left_over.plot(v, v, label="no penalty", **GUIDE)
    decorate(left_over, "proximal operators, strength 1", "$v$", "prox$(v)$")
    left_over.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def draw_applications() -> None:
    """Write the pictures of the pages in applications/, of what their examples compute."""
    for name, drawing in (
        ("stats", draw_stats),
        ("control", draw_control),
        ("science", draw_science),
        ("sciences", draw_sciences),
        ("audio", draw_audio),
        ("companding", draw_companding),
        ("adc", draw_adc),
        ("robust", draw_robust),
        ("squashing", draw_squashing),
    ):
        picture = io.BytesIO()
        drawing().savefig(picture)
        save(picture.getvalue(), DOCS / "pictures" / f"{name}.png")


def map_the_courtyard() -> None:
    """Write the picture of tone mapping: its curves, and one image cut off, by channel and by luminance."""
    light = np.asarray(OpenImageIO.ImageBuf(str(COURTYARD)).get_pixels("float"))
    average = tonemap.log_average_luminance(light)
    figure = Figure(figsize=(12, 6.3), dpi=110, layout="constrained")
    every = figure.subplots(2, 2).ravel()
    z = np.geomspace(0.02, 50, 400)
    gray = np.repeat(z, 3).reshape(1, -1, 3)
    curves = {
        "cut off at 1": np.minimum(z, 1),
        "z / (1 + z)": tonemap.reinhard(gray, key=None)[0, :, 0],
        "with white = 5": np.minimum(tonemap.reinhard(gray, key=None, white=5)[0, :, 0], 1),
    }
    for (label, curve), color in zip(curves.items(), COLORS[6::-3], strict=True):
        every[0].plot(z, curve, color=color, label=label, linewidth=2)
    every[0].set_xscale("log")
    every[0].axvline(0.18, **GUIDE)
    every[0].legend(frameon=False)
    decorate(every[0], "What becomes of light z; dashed: the key", "z", "shown")
    pictures = {
        "cut off at 1: sky and sun are white": light * (0.18 / average),
        "channel mode: they are pale": tonemap.reinhard(light, mode="channel"),
        "luminance mode: they keep their colors": tonemap.reinhard(light),
    }
    for axes, (title, picture) in zip(every[1:], pictures.items(), strict=True):
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
    draw_applications()
    map_the_courtyard()
    run_the_gallery()
    photograph()
