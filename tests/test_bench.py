"""The benchmark runs, stores what it says it stores, names the peers it lacks, and refuses what it cannot do."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "benchmarks" / "bench.py"
COLUMNS = (
    "date,cpu,kernels,threads,numpy,softsign,name,version,function,form,dtype,size,rounds,"
    "seconds,ratio,ratio_q1,ratio_q3"
)


def bench(*arguments: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the benchmark as `make bench` does, with `path` first among the places to import from."""
    command = [sys.executable, str(BENCH), *map(str, arguments)]
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


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
        (("--peers", "fortran"), "invalid choice: 'fortran'"),
    ],
)
def test_bad_options_are_refused(arguments: tuple[str, str], message: str, tmp_path: Path) -> None:
    done = bench(*arguments, "--results", tmp_path / "none")
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "none").exists()
