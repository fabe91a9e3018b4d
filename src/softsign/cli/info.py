"""``softsign info``: what is installed and in use."""

import re
from collections.abc import Iterable

import softsign

#: Distributions that no extra brings, and that softsign works with or is compared with.
_PEERS = ("ml_dtypes", "numexpr", "numba", "triton", "tensorflow", "tensorflow-cpu", "openvino")


def info() -> None:
    """Show the version, the kernels in use and what is installed."""
    import platform
    from importlib import metadata

    from rich.console import Console
    from rich.table import Table

    features = softsign.cpu_features()
    table = Table(show_header=False, title="softsign", title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("version", softsign.__version__)
    table.add_row("Python, NumPy", f"{platform.python_version()}, {metadata.version('numpy')}")
    table.add_row("system", f"{platform.system()} {platform.machine()}")
    table.add_section()
    table.add_row("kernels in use", features["kernels"])
    table.add_row("kernels this CPU can run", ", ".join(features["available"]))
    table.add_row("threads", str(softsign.get_num_threads()))
    table.add_row("last-level cache", f"{features['last_level_cache'] / 2**20:g} MiB")
    table.add_row("writes past it from", f"{features['streams_from'] / 2**20:g} MiB of arrays in a call")
    table.add_section()
    for extra, names in _extras().items():
        table.add_row(f"extra {extra}", _versions(names))
    table.add_row("used beside it", _versions(_PEERS))
    Console().print(table)


def _extras() -> dict[str, list[str]]:
    """Return the distributions that each extra brings, as the metadata of the package lists them."""
    from importlib import metadata

    brought: dict[str, list[str]] = {}
    for requirement in metadata.requires("softsign") or []:
        if found := re.fullmatch(r"([\w.-]+)(?:\[(\w+)\])?.*; extra == ['\"](\w+)['\"]", requirement):
            name, extra_of_its_own, extra = found.groups()
            brought.setdefault(extra, []).append(f"extra {extra_of_its_own}" if name == "softsign" else name)
    return brought


def _versions(names: Iterable[str]) -> str:
    """Look distributions up; importing them would take seconds."""
    from importlib import metadata

    found = []
    missing = []
    for name in names:
        try:
            found.append(name if name.startswith("extra ") else f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    parts = [", ".join(found)] if found else []
    return "; ".join(parts + ([f"not installed: {', '.join(missing)}"] if missing else []))
