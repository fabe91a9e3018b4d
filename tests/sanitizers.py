"""Mistakes that the sanitizers must report: ``make sanitize`` runs these before it trusts their silence.

The core has none of them; they are made by handing it wrong addresses. `make test` does not collect this
file.
"""

import os

import pytest

from tests.helpers import run_python

SANITIZER = os.environ.get("SOFTSIGN_SANITIZER", "address")

CALL = """
import ctypes, threading
import numpy as np
from softsign import _core
def call(function, dtype, n, *addresses):
    _core._compute(_core._functions.index(function), _core._types.index(dtype), n, 1, *addresses)
"""

MISTAKES = {
    "address": {
        "heap-buffer-overflow": """
x, y = np.zeros(1000), np.zeros(900)
call("softsign", "float64", 1000, x.ctypes.data, y.ctypes.data)
""",
        "heap-use-after-free": """
x, libc = np.zeros(1000), ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
y = libc.malloc(8000)
libc.free(y)
call("softsign", "float64", 1000, x.ctypes.data, y)
""",
        "runtime error: load of misaligned address": """
x = np.zeros(1000, np.longdouble)
call("softsign", "longdouble", 10, x.ctypes.data + 1, x.ctypes.data + 4096)
""",
    },
    "thread": {
        "data race": """
x, y = np.zeros(1 << 20), np.zeros(1 << 20)
calls = [
    threading.Thread(target=call, args=("softsign", "float64", 1 << 20, x.ctypes.data, y.ctypes.data))
    for _ in range(4)
]
for thread in calls:
    thread.start()
for thread in calls:
    thread.join()
""",
    },
}


@pytest.mark.parametrize("report", MISTAKES[SANITIZER])
def test_a_mistake_is_reported(report: str) -> None:
    done = run_python(CALL + MISTAKES[SANITIZER][report])
    assert done.returncode != 0, done.stdout
    assert report in done.stderr, done.stderr[-2000:]


def test_what_is_no_mistake_is_not() -> None:
    code = """
x, y = np.zeros(1000), np.zeros(1000)
call("softsign", "float64", 1000, x.ctypes.data, y.ctypes.data)
"""
    done = run_python(CALL + code)
    assert (done.returncode, done.stderr) == (0, "")
