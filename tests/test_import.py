"""`import softsign` brings NumPy and nothing else, in little time and memory."""

import statistics

from tests.helpers import run_python

FOREIGN = """
import sys
before = set(sys.modules)
{statement}
roots = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*sorted(roots - sys.stdlib_module_names - {{"numpy", "softsign"}}))
"""


def foreign_imports(statement: str) -> list[str]:
    """What a statement imports besides NumPy, softsign and the standard library."""
    done = run_python(FOREIGN.format(statement=statement))
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_softsign_imports_numpy_alone() -> None:
    assert foreign_imports("import softsign") == []


def test_its_use_imports_numpy_alone() -> None:
    assert foreign_imports("import softsign; softsign.softsign([1, 2.5]); softsign.cpu_features()") == []


def test_the_operator_layer_imports_numpy_alone() -> None:
    assert foreign_imports("import softsign.operator") == []


def test_this_check_sees_foreign_modules() -> None:
    assert "mpmath" in foreign_imports("import softsign, mpmath")


COST = """
import os, time, numpy
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
memory, start = resident(), time.perf_counter()
import {module}
print(time.perf_counter() - start, resident() - memory)
"""


def import_cost(module: str) -> tuple[float, float]:
    """Median seconds and bytes that importing a module adds to a process that has NumPy."""
    runs = [run_python(COST.format(module=module)).stdout.split() for _ in range(7)]
    seconds, memory = zip(*(map(float, run) for run in runs), strict=True)
    return statistics.median(seconds), statistics.median(memory)


def test_import_is_light() -> None:
    seconds, memory = import_cost("softsign")
    assert seconds <= 0.015
    assert memory <= 2_000_000


def test_this_check_sees_a_heavy_import() -> None:
    seconds, memory = import_cost("mpmath")
    assert seconds > 0.015
    assert memory > 2_000_000
