"""What holds for all tests: those in tests/, and the examples in docstrings and pages."""

import os
from collections.abc import Generator, Iterator
from importlib import import_module
from typing import TypeVar

# One thread for what computes the small matrices of these tests, set before anything imports NumPy, and
# inherited by processes that tests start. Two threads of OpenBLAS on two cores wait for each other as soon as
# another process is busy: 3,000 products of 64 x 128 by 128 x 128 numbers took 30.9 s of time and 17.2 s of
# CPU, with one thread 3.1 s and 1.5 s. PyTorch takes MKL_NUM_THREADS or OMP_NUM_THREADS for its own threads.
# PyTorch's compiler works in this process: others, for these few kernels, would import PyTorch first.
for variable in (
    *("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"),
    "TORCHINDUCTOR_COMPILE_THREADS",
):
    os.environ[variable] = "1"
# Softsign's own threads, which would take OMP_NUM_THREADS, are under test: two on every machine.
os.environ.setdefault("SOFTSIGN_NUM_THREADS", "2")

import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]

# No deadline: a shared machine can be slow, which is no failure.
settings.register_profile("softsign", deadline=None, max_examples=25)
settings.load_profile("softsign")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_configure(config: pytest.Config) -> None:
    for marker in (
        "slow",
        "thread_unsafe",
        "fail_slow",
        "xslow",
    ):  # test_ufuncs.py and test_stats.py import some
        config.addinivalue_line("markers", f"{marker}: set by NumPy's and SciPy's own tests")


def skip_is_failure(report: Report) -> Report:
    """Let a test that lacks something fail instead of being skipped if SOFTSIGN_NO_SKIP is set, as in CI."""
    if os.environ.get("SOFTSIGN_NO_SKIP") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"SOFTSIGN_NO_SKIP is set, and this was skipped: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return skip_is_failure((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return skip_is_failure((yield))


@pytest.fixture
def registry() -> Iterator[None]:
    """Unregister the operators that a test registers."""
    from softsign.operator import operators, unregister_operator

    registered = set(operators())
    yield
    for name in set(operators()) - registered:
        unregister_operator(name)


@pytest.fixture(autouse=True)
def operators_of_one_page(request: pytest.FixtureRequest) -> None:
    """Unregister the operators that the examples of a page register: the next page may do so, too."""
    if isinstance(request.node, pytest.DoctestItem):
        import_module("softsign.onnx")  # registers operators of its own
        request.getfixturevalue("registry")
