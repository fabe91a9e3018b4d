"""The benchmark runs, stores what it says it stores, names the peers it lacks, and refuses what it cannot do."""

import csv
import importlib
import os
import subprocess
import sys
import timeit
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest

BENCH = Path(__file__).parents[1] / "benchmarks" / "ufuncs.py"
COLUMNS = (
    "date,cpu,kernels,threads,numpy,softsign,name,version,function,form,dtype,size,rounds,"
    "seconds,ratio,ratio_q1,ratio_q3"
)


def bench(*arguments: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the benchmark as `make bench` does, with `path` first among the places to import from."""
    command = [sys.executable, str(BENCH), *map(str, arguments)]
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=120)


def stored(folder: Path) -> list[dict[str, str]]:
    (path,) = folder.glob("*.csv")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_hold_every_measurement_as_a_ratio_to_copyto(tmp_path: Path) -> None:
    done = bench(
        *("--sizes", 1, "4Ki", "--dtypes", "float32", "float64", "--functions", "softsign", "gradient"),
        *("--rounds", 3, "--peers", "numpy", "numpy-out", "--results", tmp_path),
    )
    assert done.returncode == 0, done.stderr
    rows = stored(tmp_path)
    assert ",".join(rows[0]) == COLUMNS
    assert {(r["dtype"], r["size"]) for r in rows} == {
        (d, n) for d in ("float32", "float64") for n in ("1", "4096")
    }
    assert {(r["name"], r["function"], r["form"]) for r in rows if r["size"] == "4096"} == {
        ("numpy", "copyto", "out"),
        ("softsign", "softsign", "out"),
        ("softsign", "softsign", "in place"),
        ("softsign", "gradient", "out"),
        ("softsign", "gradient", "in place"),
        ("numpy", "softsign", "new"),
        ("numpy-out", "softsign", "out"),
    }
    assert {r["size"] for r in rows if r["function"] == "abs"} == {"1"}
    assert all(float(r["ratio"]) == 1 for r in rows if r["function"] == "copyto")
    for r in rows:
        assert 0 < float(r["ratio_q1"]) <= float(r["ratio"]) <= float(r["ratio_q3"])
        assert 1e-8 < float(r["seconds"]) < 1


def test_every_function_and_dtype_is_measured(tmp_path: Path) -> None:
    done = bench("--sizes", 16, "--rounds", 1, "--no-peers", "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    measured = {(r["dtype"], r["function"]) for r in stored(tmp_path) if r["name"] == "softsign"}
    assert len(measured) == 4 * 10
    assert "Warning" not in done.stderr


def test_a_missing_peer_is_named(tmp_path: Path) -> None:
    (tmp_path / "numexpr.py").write_text("raise ImportError('no numexpr here')")
    done = bench(
        *("--sizes", 1, "--dtypes", "float32", "--functions", "softsign", "--rounds", 1),
        *("--peers", "numpy", "numexpr", "--results", tmp_path),
        path=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "missing: numexpr (no numexpr here)" in done.stdout
    assert {r["name"] for r in stored(tmp_path)} == {"numpy", "softsign"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sizes", "0"), "size '0' is not a positive whole number"),
        (("--sizes", "3Gi"), "size '3Gi' is not a positive whole number"),
        (("--threads", "100000"), "100000 is not between 1 and the"),
        (("--rounds", "0"), "0 is not at least 1"),
        (("--peers", "fortran"), "invalid choice: 'fortran'"),
    ],
)
def test_bad_options_are_refused(arguments: tuple[str, str], message: str, tmp_path: Path) -> None:
    done = bench(*arguments, "--results", tmp_path / "none")
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "none").exists()


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH.parent))
    return importlib.import_module("ufuncs")


@pytest.fixture
def jax_settings() -> Iterator[None]:
    before = jax.config.jax_enable_x64  # a peer's setup enables it for the process
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.usefixtures("jax_settings")
@pytest.mark.filterwarnings("ignore")  # of what PyTorch imports to compile
def test_installed_peers_compute_softsign(module: ModuleType) -> None:
    x = np.linspace(-50, 50, 1001, dtype=np.float32)
    expected = x.astype(np.float64) / (1 + np.abs(x.astype(np.float64)))
    for peer in module.PEERS:
        if peer.missing() is None:
            y = np.zeros_like(x)
            names = peer.setup(x, y, 1)
            if peer.allocates:
                y = np.asarray(eval(peer.statement, names))
            else:
                timeit.Timer(peer.statement, globals=names).timeit(1)
            assert y.dtype == np.float32, peer.name
            np.testing.assert_allclose(y, expected, rtol=2.5e-7, err_msg=peer.name)


@pytest.mark.parametrize(
    ("l2", "numba", "torch", "kept"),
    [
        (8 * 2**20, 0.6, 1.1, [True, True]),  # numba may win by 2 inside L2
        (8 * 2**20, 0.4, 1.1, [False, True]),
        (2**20, 0.9, 1.1, [False, True]),  # but not outside
        (2**20, 1.1, 0.9, [True, False]),  # and the others nowhere
    ],
)
def test_peer_promises(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, l2: int, numba: float, torch: float, kept: list[bool]
) -> None:
    monkeypatch.setattr(module, "l2_bytes", lambda: l2)

    def row(name: str, ratio: float) -> object:
        times = {"seconds": ratio, "ratio": ratio, "ratio_q1": ratio, "ratio_q3": ratio}
        machine = {
            "date": "",
            "cpu": "",
            "kernels": "",
            "threads": 1,
            "numpy": "",
            "softsign": "",
            "version": "",
        }
        what = {"function": "softsign", "form": "out", "dtype": "float32", "size": 2**20, "rounds": 1}
        return module.Row(name=name, **machine, **what, **times)

    rows = [row("softsign", 1.0), row("numba", numba), row("torch", torch), row("jax-jit", 5.0)]
    assert [v.kept for v in module.peer_verdicts(2**20, rows)] == kept


def test_import_cost_is_a_time_and_a_size(module: ModuleType) -> None:
    cost = module.import_cost(processes=1)
    assert set(cost) == {"ms", "MB"}
    assert 0 < cost["ms"] < 10_000
    assert 0 < cost["MB"] < 1_000


def test_the_frameworks_benchmark_measures_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH.parent))
    frameworks = importlib.import_module("frameworks")
    pair = frameworks.Pair("slow / fast", lambda: sum(range(3000)), lambda: sum(range(1000)), 1.0)
    assert 2 < frameworks.ratio(pair, rounds=5, pause=0.0) < 5
    names = [pair.name for pair in (*frameworks.torch_pairs(), *frameworks.jax_pairs())]
    assert len(names) == len(set(names)) == 22
    forward_and_backward, in_place = frameworks.memory_verdicts()
    assert forward_and_backward.kept
    assert in_place.kept
