"""What conftest.py promises to all tests."""

from pathlib import Path

import numpy as np
import pytest
import threadpoolctl
import torch

import softsign

SKIPPED = """
import pytest

def test_skipped() -> None:
    pytest.skip("something is missing")

@pytest.mark.xfail(reason="known")
def test_xfailed() -> None:
    raise ValueError
"""


def test_blas_has_one_thread() -> None:
    np.ones((2, 2)) @ np.ones((2, 2))
    found = [library for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]
    assert found
    assert [library["num_threads"] for library in found] == [1] * len(found)


def test_softsign_has_threads_and_pytorch_one() -> None:
    assert softsign.get_num_threads() > 1
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("variable", "outcomes"),
    [("", {"skipped": 2, "xfailed": 1}), ("1", {"failed": 1, "errors": 1, "xfailed": 1})],
)
def test_no_skip(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, variable: str, outcomes: dict[str, int]
) -> None:
    monkeypatch.setenv("SOFTSIGN_NO_SKIP", variable)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # which takes longer than the tests
    pytester.makeconftest((Path(__file__).parents[1] / "conftest.py").read_text())
    pytester.makepyfile(test_one=SKIPPED, test_two="import pytest; pytest.importorskip('no_such_package')")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--continue-on-collection-errors")
    result.assert_outcomes(**outcomes)
    assert ("this was skipped: Skipped: something is missing" in result.stdout.str()) == bool(variable)
