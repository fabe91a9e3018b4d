"""`softsign.threadpool`: threadpoolctl lists the threads of softsign and limits them."""

from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

import softsign
import softsign.threadpool
from tests.helpers import run_python, threads


def test_it_is_listed() -> None:
    with threads(3):
        (found,) = ThreadpoolController().select(user_api="softsign").info()
    assert found["filepath"] == softsign._core.__file__
    assert found["num_threads"] == 3
    assert found["version"] == softsign.__version__


def test_limits_hold_and_are_lifted() -> None:
    with threads(3):
        with threadpool_limits(1):
            assert softsign.get_num_threads() == 1
        with threadpool_limits({"softsign": 2}):
            assert softsign.get_num_threads() == 2
        with threadpool_limits(1, user_api="blas"):
            assert softsign.get_num_threads() == 3
        with threadpool_limits(5000):
            assert softsign.get_num_threads() == 1024
        assert softsign.get_num_threads() == 3


def test_libraries_of_the_same_file_name_are_none_of_its() -> None:
    code = """
import ctypes, pathlib, shutil, softsign.threadpool, tempfile, threadpoolctl
from numpy.random import mtrand
with tempfile.TemporaryDirectory() as folder:
    other = pathlib.Path(folder, "_core.abi3.so")
    shutil.copy(mtrand.__file__, other)
    ctypes.CDLL(str(other))
    paths = [library["filepath"] for library in threadpoolctl.threadpool_info()]
assert softsign._core.__file__ in paths
assert str(other) not in paths
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_nothing_is_registered_unasked() -> None:
    code = """
import softsign, threadpoolctl
assert all(library["user_api"] != "softsign" for library in threadpoolctl.threadpool_info())
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert any(library["user_api"] == "softsign" for library in threadpool_info())
