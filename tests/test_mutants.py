"""The list of planted mistakes fits the sources, and the runner tells what is caught from what is not."""

import ast
import sys
from pathlib import Path

import pytest

from tests import mutants
from tests.mutant_list import MUTANTS, Mutant

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file}: {mutant.new}")
def test_each_can_be_planted(mutant: Mutant) -> None:
    text = mutant.applied((ROOT / mutant.file).read_text())
    if mutant.file.endswith(".py"):
        ast.parse(text)
    assert all((ROOT / name).is_file() for name in mutant.tests.split())


def test_they_are_in_every_room() -> None:
    rooms = {path.parent for path in (ROOT / "src" / "softsign").rglob("*.py")} | {ROOT / "csrc"}
    assert len(MUTANTS) >= 40
    assert {(ROOT / mutant.file).parent for mutant in MUTANTS} == rooms


def test_a_mistake_that_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match=r"x\.py has 'a' 2 times, not once"):
        Mutant("x.py", "a", "b", "").applied("a a")


TESTED = Mutant("two.py", "TWO = 2", "TWO = 3", "test_two.py")
UNTESTED = Mutant("two.py", "ONE = 1", "ONE = 3", "test_two.py")
HANGING = Mutant("two.py", "TWO = 2", "while True: pass", "test_two.py")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> mutants.Copy:
    """Two small files in the environment of this process."""
    monkeypatch.setattr(mutants, "OPTIONS", ["-q", "-x", "-p", "no:cacheprovider"])
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # which takes longer than the test
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "two.py").write_text("TWO = 2\nONE = 1\n")
    (tmp_path / "source" / "test_two.py").write_text("import two\ndef test_two():\n    assert two.TWO == 2\n")
    made = mutants.Copy(tmp_path / "source", tmp_path / "tree", Path(sys.executable))
    for name in ("two.py", "test_two.py"):
        made.restore(name)
    return made


def test_what_tests_see_is_caught(copy: mutants.Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert copy.catches(TESTED)
    assert not copy.catches(UNTESTED)
    monkeypatch.setattr(mutants, "TIMEOUT", 1)
    assert copy.catches(HANGING)
    assert (copy.tree / "two.py").read_text() == "TWO = 2\nONE = 1\n"


def test_tests_that_do_not_run_catch_nothing(copy: mutants.Copy, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"nowhere\.py: pytest ended with exit code 4"):
        copy.catches(TESTED._replace(tests="nowhere.py"))
    assert "nowhere.py" in capsys.readouterr().err
