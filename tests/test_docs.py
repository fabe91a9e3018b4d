"""Docstrings: every public name has one, in numpydoc's form, and its examples are true."""

import ast
import doctest
import importlib
import pkgutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

import softsign
import softsign.onnx  # registers its operators, before the pages register theirs
from softsign.operator import operators, unregister_operator

PACKAGE = Path(softsign.__file__).parent
#: Those with examples.
MODULES = sorted(
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for file in PACKAGE.rglob("*.py")
    if ">>> " in file.read_text()
)
SECTIONS = {
    "get_num_threads": ["Returns", "Examples"],
    "set_num_threads": ["Parameters", "Raises", "Examples"],
    "cpu_features": ["Returns", "Examples"],
}

by_public_name = pytest.mark.parametrize("name", softsign.__all__)


def public(names: Iterable[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def names_in_stub() -> set[str]:
    tree = ast.parse((PACKAGE / "_core.pyi").read_text())
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def test_all_lists_the_public_names() -> None:
    assert softsign.__all__ == sorted(set(softsign.__all__))
    submodules = {module.name for module in pkgutil.iter_modules(softsign.__path__)}
    assert public(vars(softsign)) - submodules == set(softsign.__all__)


def test_stub_lists_what_the_native_module_has() -> None:
    native = {name for name in dir(softsign._core) if not name.startswith("__")}
    assert names_in_stub() == native
    assert public(native) == set(softsign.__all__)


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


#: What PyTorch warns of in modules of its own.
of_pytorch = pytest.mark.filterwarnings(
    "ignore:.isinstance.treespec:FutureWarning", "ignore:`torch.jit:DeprecationWarning"
)


@of_pytorch
@pytest.mark.parametrize("module", MODULES)
def test_examples_of_module(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize("module", ["softsign.operator", "softsign.onnx", "softsign.torch"])
def test_packages_export_what_they_list(module: str) -> None:
    package = importlib.import_module(module)
    assert package.__all__ == sorted(set(package.__all__), key=str)
    for name in package.__all__:
        assert getattr(package, name).__doc__, name


@of_pytorch
@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/initialization.md",
        "docs/jax.md",
        "docs/onnx.md",
        "docs/operator.md",
        "docs/study.md",
        "docs/torch.md",
    ],
)
def test_examples_of_the_pages(page: str) -> None:
    registered = set(operators())
    results = doctest.testfile(str(Path(__file__).parents[1] / page), module_relative=False)
    for name in set(operators()) - registered:
        unregister_operator(name)
    assert results.attempted > 0
    assert results.failed == 0
