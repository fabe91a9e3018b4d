"""Which room may import which: the contracts in pyproject.toml hold, and imports against them break them."""

import itertools
import tomllib
from pathlib import Path

import grimp
import pytest
from importlinter.configuration import configure
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract

CONTRACTS = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
TYPES = {"layers": LayersContract, "forbidden": ForbiddenContract}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    configure()  # of import-linter itself
    return grimp.build_graph("softsign", cache_dir=None)


def broken(graph: grimp.ImportGraph) -> set[str]:
    """The types of the contracts that do not hold."""
    found = set()
    for options in CONTRACTS:
        given = {name: str(value) if isinstance(value, bool) else value for name, value in options.items()}
        contract = TYPES[options["type"]](options["name"], {"root_packages": ["softsign"]}, given)
        if not contract.check(graph, verbose=False).kept:
            found.add(options["type"])
    return found


def rooms(graph: grimp.ImportGraph) -> list[list[str]]:
    """The rooms that exist, a list for each layer, from the top."""
    (layers,) = (contract["layers"] for contract in CONTRACTS if contract["type"] == "layers")
    named = [[f"softsign.{room.strip('() ')}" for room in layer.split("|")] for layer in layers]
    return [[room for room in layer if room in graph.modules] for layer in named]


def test_the_house_keeps_its_contracts(graph: grimp.ImportGraph) -> None:
    assert broken(graph) == set()


def test_no_room_imports_one_above_or_beside_it(graph: grimp.ImportGraph) -> None:
    layers = rooms(graph)
    up = [(low, high) for above, below in itertools.pairwise(layers) for low in below for high in above]
    beside = [pair for layer in layers for pair in itertools.permutations(layer, 2)]
    assert len(up) > 10
    assert len(beside) > 10
    for importer, imported in up + beside:
        graph.add_import(importer=importer, imported=imported)
        assert broken(graph) == {"layers"}, (importer, imported)
        graph.remove_import(importer=importer, imported=imported)


def test_the_ufuncs_import_no_room(graph: grimp.ImportGraph) -> None:
    for room in itertools.chain(*rooms(graph)):
        graph.add_import(importer="softsign", imported=room)
        assert "forbidden" in broken(graph), room
        graph.remove_import(importer="softsign", imported=room)


def test_a_new_room_needs_a_layer(graph: grimp.ImportGraph) -> None:
    graph.add_module("softsign.attic")
    assert broken(graph) == {"layers"}
    graph.remove_module("softsign.attic")
