"""Build the explorer: `make explorer`. Needs node, and ziglang and zopfli of the dependency group `explorer`.

The kernels of csrc are compiled to WebAssembly, the theory that the page shows is computed by softsign.init,
the filters for sound by softsign.applications.audio, and web/ is bundled around them, into one page for the
package and one script for the site. The same sources give the same bytes on every machine.
"""

import json
import math
import os
import re
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import softsign
from softsign import init
from softsign._palette import COLORS
from softsign.applications.audio._filters import design

WEB = Path(__file__).parent
ROOT = WEB.parent
GENERATED = WEB / "generated"
PAGE = ROOT / "src" / "softsign" / "learn" / "explorer.html"
SCRIPT = ROOT / "docs" / "_static" / "explorer.js"


def compile_kernels() -> None:
    """Compile csrc to WebAssembly, with the compiler's care for every rounding, and deflate it."""
    binary = ROOT / "build" / "explorer" / "kernels.wasm"
    binary.parent.mkdir(parents=True, exist_ok=True)
    target = ["-target", "wasm32-wasi", "-Os"]
    flags = ["FE_OVERFLOW", "FE_INEXACT", "FE_INVALID", "FE_DIVBYZERO", "FE_UNDERFLOW"]  # it has none
    objects = []
    for source in ("web/wasm.cpp", "csrc/kernels.cpp", "csrc/exact.cpp"):
        objects.append(f"build/explorer/{Path(source).stem}.o")
        zig(
            *("c++", *target, "-std=c++17", "-g0", "-msimd128"),
            *("-fno-exceptions", "-fno-rtti", "-fvisibility=hidden"),
            *("-ffp-contract=off", "-fno-fast-math", "-fno-math-errno", "-DSOFTSIGN_KERNELS=portable"),
            *(f"-D{flag}=0" for flag in flags),
            *("-c", source, "-o", objects[-1]),
        )
    # As C: to link as C++ it would first compile a C++ library, of which the kernels need headers alone.
    options = ["-mexec-model=reactor", "-Wl,--no-entry", "-Wl,--strip-all"]
    zig("cc", *target, *options, *objects, "-o", str(binary.relative_to(ROOT)))
    pack("kernels", binary.read_bytes())


def zig(*arguments: str) -> None:
    """Run the compiler to WebAssembly, which keeps what it compiles in build/."""
    caches = dict.fromkeys(["ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"], str(ROOT / "build" / "zig"))
    subprocess.run(
        [sys.executable, "-m", "ziglang", *arguments], cwd=ROOT, env=os.environ | caches, check=True
    )


def pack(name: str, content: bytes) -> None:
    """Write what the page unpacks, deflated alike on every machine."""
    import zopfli.zlib

    # Without zlib's header and checksum.
    (GENERATED / f"{name}.deflate").write_bytes(zopfli.zlib.compress(content)[2:-4])


def pack_digits() -> None:
    """Pack scikit-learn's handwritten digits: for each a byte for the digit and one for each of 64 pixels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pack("digits", np.column_stack([digits.target, digits.data]).astype(np.uint8).tobytes())


def rounded(values: Any, digits: int = 11) -> list[float]:
    """Return numbers to so many digits, which every machine's libm agrees on."""
    return [float(f"{value:.{digits}g}") for value in np.ravel(values)]


def theory() -> dict[str, Any]:
    """Return what the page shows of initialization: moments and the critical line over a grid of q."""
    first, last, per_decade = -16, 4, 16
    q = np.logspace(first, last, (last - first) * per_decade + 1)
    moments = init.moments(q)
    critical = init.critical(q)
    return {
        "decades": [first, last],
        "per_decade": per_decade,
        "kept": rounded(moments.second_moment / q),
        "derivative_second_moment": rounded(moments.derivative_second_moment),
        "sigma_w": rounded(critical.sigma_w),
        "sigma_b": rounded(critical.sigma_b),
        "gain": float(f"{init.gain():.13g}"),
    }


def filters() -> dict[str, Any]:
    """Return the filters around the moments at the host's rate: a row of taps for each stream.

    180 dB below 1, where they are rounded, all builds of LAPACK agree on them.
    """
    designed = design("moments", 1)
    return {name: np.round(getattr(designed, name)[0], 9).tolist() for name in ("before", "after")}


def numbers() -> dict[str, str]:
    """Return the numbers that stand in the page's text, by the name of their place."""
    share = {"90": 0.9, "99": 0.99}
    reach = {f"softsign_{name}": f"{softsign.inverse(value):.3g}" for name, value in share.items()}
    reach |= {f"tanh_{name}": f"{math.atanh(value):.3g}" for name, value in share.items()}
    return reach | {"version": softsign.__version__}


def palette() -> str:
    """Return the palette as CSS variables."""
    return ":root { " + " ".join(f"--p{i}: {color};" for i, color in enumerate(COLORS)) + " }\n"


def bundle(entry: str, *options: str) -> str:
    """Return a TypeScript file with all that it imports as one script."""
    command = [
        *("node_modules/.bin/esbuild", entry, "--bundle", "--minify", "--format=iife", "--target=es2022"),
        *("--loader:.deflate=binary", "--loader:.css=text", "--charset=utf8", "--log-level=warning"),
        *("--legal-comments=none", *options),
    ]
    return subprocess.run(command, cwd=WEB, check=True, capture_output=True, text=True).stdout


def build() -> None:
    """Write the page and the script."""
    GENERATED.mkdir(exist_ok=True)
    compile_kernels()
    pack_digits()
    (GENERATED / "theory.json").write_text(json.dumps(theory()))
    (GENERATED / "filters.json").write_text(json.dumps(filters()))
    (GENERATED / "palette.css").write_text(palette())
    (GENERATED / "worker.txt").write_text(bundle("worker.ts"))
    subprocess.run(["node_modules/.bin/tsc"], cwd=WEB, check=True)
    styles = {name: (WEB / f"{name}.css").read_text() for name in ("figure", "page")}
    parts = {
        "style": "".join([palette(), *(re.sub(r"\s+", " ", style) for style in styles.values())]),
        "script": bundle("page.ts"),
    }
    page = string.Template((WEB / "explorer.html").read_text()).substitute(numbers() | parts)
    PAGE.write_text(page)
    SCRIPT.parent.mkdir(parents=True, exist_ok=True)
    SCRIPT.write_text(bundle("embed.ts"))
    for path in (PAGE, SCRIPT):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    build()
