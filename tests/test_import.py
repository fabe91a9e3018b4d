"""`import softsign` brings NumPy and nothing else, in little time and memory; its rooms open on demand."""

import importlib.metadata
import pkgutil
import shutil
import statistics
from pathlib import Path

import pytest

import softsign
from tests.helpers import run_python

ROOMS = sorted(m.name for m in pkgutil.iter_modules(softsign.__path__) if not m.name.startswith("_"))

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


# Doors


def test_no_room_is_opened_before_it_is_asked_for() -> None:
    done = run_python(
        "import sys, softsign; dir(softsign); hasattr(softsign, 'nothing');"
        "print(*sorted(name for name in sys.modules if name.startswith('softsign')))"
    )
    assert done.stdout.split() == ["softsign", "softsign._core"], done.stderr


def test_every_room_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here, and in a process of its own what takes little time."""
    for room in ROOMS:
        monkeypatch.delattr(softsign, room, raising=False)
        assert room in dir(softsign)
        assert getattr(softsign, room).__name__ == f"softsign.{room}"
    quick = sorted(set(ROOMS) - {"jax", "onnx", "torch"})
    names = ", ".join(f"softsign.{room}.__name__" for room in quick)
    done = run_python(f"import softsign; print({names})")
    assert done.stdout.split() == [f"softsign.{room}" for room in quick], done.stderr


def test_the_docstring_names_every_room() -> None:
    assert softsign.__doc__ is not None
    listed = softsign.__doc__.partition("::\n\n    init,")[2].partition("\n\n")[0]
    assert set(ROOMS) - {"init"} <= set(listed.replace(",", " ").split())


LACKING = """
import sys
import softsign
for room in ("jax", "onnx", "torch"):
    sys.modules[room] = None
    for statement in (f"softsign.{room}", f"from softsign import {room}", f"import softsign.{room}"):
        try:
            exec(statement)
        except (AttributeError, ModuleNotFoundError) as error:
            print(f"{type(error).__name__}: {error}")
    print(hasattr(softsign, room), softsign.softsign(1.0), room in dir(softsign))
"""


def test_a_door_names_the_extra_that_is_missing() -> None:
    """Whether an attribute opens the room or a statement does; the package stays usable."""
    done = run_python(LACKING)
    lines = iter(done.stdout.splitlines())
    for room in ("jax", "onnx", "torch"):
        for error in ("AttributeError", "ModuleNotFoundError", "ModuleNotFoundError"):
            line = next(lines)
            assert line.startswith(f"{error}: softsign.{room} needs "), done.stderr
            assert line.endswith(f": pip install 'softsign[{room}]'")
        assert next(lines) == "False 0.5 True"


def test_a_defect_inside_a_room_is_not_taken_for_a_missing_extra(tmp_path: Path) -> None:
    """What a package lacks itself is reported in its own words."""
    (tmp_path / "jax.py").write_text("import of_jax_s_own")
    done = run_python(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import softsign.jax")
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'of_jax_s_own'"


def test_what_is_no_room_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match=r"^module 'softsign' has no attribute 'nothing'$"):
        softsign.nothing  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nothing' from 'softsign'"):
        from softsign import nothing  # type: ignore[attr-defined]  # noqa: F401


def test_a_package_that_is_not_compiled_says_how_to_compile_it(tmp_path: Path) -> None:
    source = Path(softsign.__file__).parent
    shutil.copytree(source, tmp_path / "softsign", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    # Without the hook of an editable installation, which would find the compiled module elsewhere.
    done = run_python(
        f"import sys; sys.meta_path = [f for f in sys.meta_path if isinstance(f, type)];"
        f"sys.path.insert(0, {str(tmp_path)!r}); import softsign"
    )
    assert done.stderr.splitlines()[-2] == "ModuleNotFoundError: No module named 'softsign._core'"
    assert "`pip install .` compiles and installs it" in done.stderr.splitlines()[-1]


# Once more in the same process

AGAIN = """
import gc, importlib, pickle, sys
from unittest import mock
import ml_dtypes, numpy as np
with mock.patch.dict(sys.modules):
    from softsign import gradient, set_num_threads, softsign as first
import softsign
assert softsign.softsign is first
for x in ([1, 2, 3], np.arange(3), np.ones(3, ml_dtypes.bfloat16)):
    assert softsign.softsign(x).tobytes() == first(x).tobytes()
softsign.set_num_threads(7)
del softsign, sys.modules["softsign"], sys.modules["softsign._core"]
gc.collect()
assert first([1, 3]).tolist() == [0.5, 0.75]
assert gradient(np.ones(2), 4).tolist() == [1, 1]
import softsign
assert softsign.softsign is first
assert pickle.loads(pickle.dumps(first)) is first
assert softsign.get_num_threads() == 7
importlib.reload(softsign._core)
importlib.reload(softsign)
try:
    first("text")
except TypeError as error:
    assert str(error).startswith("softsign: an argument of "), error
print(first(3.0))
"""


def test_a_second_import_brings_the_same_functions() -> None:
    """What was imported before goes on to work, and what was set stays."""
    done = run_python(AGAIN, SOFTSIGN_NUM_THREADS="2")
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert done.stdout == "0.75\n"


def test_a_second_import_corrects_a_bad_environment() -> None:
    done = run_python(
        """
import os
try:
    import softsign
except ValueError:
    os.environ["SOFTSIGN_NUM_THREADS"] = "3"
    import softsign
print(softsign.get_num_threads())
""",
        SOFTSIGN_NUM_THREADS="none",
    )
    assert done.stdout == "3\n", done.stderr


INTERPRETERS = """
import sys, numpy, softsign
try:
    import _interpreters as interpreters
    other = interpreters.create("legacy")
except ImportError:
    import _xxsubinterpreters as interpreters
    other = interpreters.create(isolated=False) if sys.version_info < (3, 12) else interpreters.create()
try:
    failed = interpreters.run_string(other, "import softsign; softsign.softsign([1, 2, 3])")
except interpreters.RunFailedError as error:
    failed = error
assert "ImportError" in str(failed), failed
interpreters.destroy(other)
print(softsign.softsign([1, 3]), softsign.gradient(1, 4))
"""


def test_a_second_interpreter_is_refused() -> None:
    """Interpreters of one process would share the ufuncs, which are objects of the first one."""
    done = run_python(INTERPRETERS)
    assert done.stdout == "[0.5  0.75] 1.0\n", (done.returncode, done.stderr)


def test_version() -> None:
    assert softsign.__version__ == importlib.metadata.version("softsign")


# Cost

COST = """
import os, time, numpy
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
for module in ("softsign", "mpmath"):
    memory, start = resident(), time.process_time()
    __import__(module)
    print(time.process_time() - start, resident() - memory)
"""
#: CPU time, which other processes do not change, and memory; seen are 0.0017 s and 540,000 bytes.
SECONDS, BYTES = 0.01, 1_000_000


def test_import_is_light(tmp_path: Path) -> None:
    """Medians of what importing adds, byte-compiled, to a process that has NumPy; mpmath is not light."""
    environment = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    runs = [run_python(COST, **environment).stdout.split() for _ in range(6)][1:]  # the first one compiles
    costs = [statistics.median(map(float, run)) for run in zip(*runs, strict=True)]
    seconds, memory, heavy_seconds, heavy_memory = costs
    assert seconds <= SECONDS < heavy_seconds
    assert memory <= BYTES < heavy_memory
