"""Docstrings of the ufuncs, which are compiled, and the names that packages list.

pytest itself runs the examples of Python modules and of pages, and mypy's stubtest holds the stub against the
core.
"""

import contextlib
import doctest
import importlib
import pkgutil
import re
from collections.abc import Iterable
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import softsign
from softsign import cli

DOCS = Path(__file__).parents[1] / "docs"
SECTIONS = {
    "get_num_threads": ["Returns", "Examples"],
    "set_num_threads": ["Parameters", "Raises", "Examples"],
    "cpu_features": ["Returns", "Examples"],
}

by_public_name = pytest.mark.parametrize("name", softsign.__all__)


def public(names: Iterable[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def test_all_lists_the_public_names() -> None:
    assert softsign.__all__ == sorted(set(softsign.__all__))
    submodules = {module.name for module in pkgutil.iter_modules(softsign.__path__)}
    assert public(vars(softsign)) - submodules == set(softsign.__all__)
    assert public(dir(softsign._core)) == set(softsign.__all__)


@by_public_name
def test_docstring_is_numpydoc(name: str) -> None:
    item = getattr(softsign, name)
    lines = [line.strip() for line in item.__doc__.splitlines()]
    for section in SECTIONS.get(name, ["Parameters", "Returns", "Examples"]):
        assert section in lines
        assert lines[lines.index(section) + 1] == "-" * len(section)
    first = (
        2 if isinstance(item, np.ufunc) else 0
    )  # NumPy puts a signature and an empty line before a ufunc's
    assert lines[first].endswith(".")
    assert lines[first + 1] == ""


@by_public_name
def test_examples_of(name: str) -> None:
    examples = doctest.DocTestParser().get_doctest(
        getattr(softsign, name).__doc__, {"np": np, "softsign": softsign}, name, None, None
    )
    assert examples.examples
    assert doctest.DocTestRunner().run(examples).failed == 0


def test_formulas_have_a_source_and_a_test() -> None:
    page = (DOCS / "mathematics.md").read_text()
    formulas = [part for part in page.split("\n### ")[1:] if "```math" in part]
    assert len(formulas) >= 18
    for formula in formulas:
        name, _, text = formula.partition("\n")
        assert text.count("```math") == 1, name
        assert "*Source*: " in text, name
        assert "\n```python\n>>> " in text, name
        assert "*Proof.*" in text or name == "Definition", name


def test_commands_of_the_gallery(tmp_path: Path) -> None:
    page = (DOCS / "gallery.md").read_text()
    commands = re.findall("^softsign plot (.*)", page, re.MULTILINE)
    pictures = re.findall(r"\(pictures/(.*?)\)", page)
    assert len(commands) == len(pictures)
    with contextlib.chdir(tmp_path):
        for command, picture in zip(commands, pictures, strict=True):
            cli._command()(["plot", *command.split()], standalone_mode=False)
            drawn, kept = (matplotlib.image.imread(path) for path in (picture, DOCS / "pictures" / picture))
            assert drawn.shape[:2] == pytest.approx(kept.shape[:2], rel=0.1)  # with other fonts


@pytest.mark.parametrize("module", ["softsign.operator", "softsign.onnx", "softsign.torch", "softsign.jax"])
def test_packages_export_what_they_list(module: str) -> None:
    package = importlib.import_module(module)
    assert len(package.__all__) == len(set(package.__all__))
    for name in package.__all__:
        assert getattr(package, name).__doc__, name
