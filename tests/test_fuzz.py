"""Cases that were once answered wrongly, a few new ones, and that the search finds what is wrong."""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests import fuzz
from tests.fuzz_kinds import KINDS, Case, Kind, Rng

FINDS = sorted(fuzz.CORPUS.glob("*.json"))


@pytest.mark.parametrize("path", FINDS, ids=lambda path: path.stem)
def test_what_was_wrong_is_right(path: Path) -> None:
    find = json.loads(path.read_text())
    fuzz.judge(KINDS[find["kind"]].check, find["case"])


@pytest.mark.parametrize(("kind", "count"), [("ufunc", 100), ("net", 30), ("file", 100)])
def test_new_cases(kind: str, count: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(count):
        case = KINDS[kind].draw(rng)
        assert json.loads(json.dumps(case)) == case
        KINDS[kind].check(case)


def draw_number(rng: Rng) -> Case:
    return {"number": int(rng.integers(1000))}


def check_nothing(case: Case) -> None:
    pass


def check_even(case: Case) -> None:
    if case["number"] % 2:
        raise ArithmeticError(f"{case['number']} is odd")


def crash(case: Case) -> None:
    if case["number"] % 2:
        os.kill(os.getpid(), signal.SIGSEGV)


def take_long(case: Case) -> None:
    if case["number"] % 2:
        time.sleep(60)


def take_memory(case: Case) -> None:
    if case["number"] % 2:
        bytearray(2 << 30)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (check_even, "ArithmeticError in test_fuzz.py"),
        (crash, f"with exit code {-signal.SIGSEGV}"),
        (take_long, "it takes more than 1 seconds"),
        (take_memory, "MemoryError"),
    ],
)
def test_each_kind_of_find_is_told(check: Callable[[Case], None], words: str) -> None:
    tried = fuzz.outcomes(Kind(draw_number, check), 0, 60, seconds=1)
    with contextlib.closing(tried):
        case, error = next((case, error) for case, error in tried if error)
    assert case["number"] % 2
    assert words in error


def test_search(tmp_path: Path) -> None:
    """Finds that fail in the same place are kept once, and what was right is no find."""
    kinds = {"wrong": Kind(draw_number, check_even), "right": Kind(draw_number, check_nothing)}
    numbers, (find,) = fuzz.search(kinds, 0.4, 0, tmp_path / "corpus")
    assert min(numbers.values()) > 10
    (path,) = (tmp_path / "corpus").iterdir()
    assert find.startswith(f"{path}: ArithmeticError")
    assert json.loads(path.read_text())["case"]["number"] % 2


def test_unknown_kind(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz", "--kinds", "ufunc,moon"])
    with pytest.raises(SystemExit):
        fuzz.main()
    assert "--kinds: moon is none of ufunc, net, file" in capsys.readouterr().err
