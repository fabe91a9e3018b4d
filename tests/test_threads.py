"""Many threads: the same bits and flags as one, limits that are checked, and no trouble after a fork."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import softsign
from tests.hammer import hammer
from tests.helpers import (
    FLOATS,
    NAMES,
    UNARY,
    arguments,
    assert_same_bits,
    kernels,
    raised_flags,
    random_values,
    run_python,
    threads,
    ufunc,
)

LARGE = (1 << 19) + 77  # enough work for five threads, and no whole number of cache lines

# For code that run_python runs: the pool's threads, waited for where they must come up.
HELPERS = """
import os, time
from pathlib import Path
def helpers():
    return sum(task.read_text() == "softsign\\n" for task in Path("/proc/self/task").glob("*/comm"))
def wait_until(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "waited in vain"
"""

by_name = pytest.mark.parametrize("name", NAMES)
by_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)


@by_name
@by_dtype
def test_any_number_of_threads_gives_the_same_bits(name: str, dtype: np.dtype[Any]) -> None:
    inputs = arguments(name, random_values(dtype, LARGE, seed=10))
    with np.errstate(all="ignore"):
        pieces = [ufunc(name)(*(a[i : i + 1000] for a in inputs)) for i in range(0, LARGE, 1000)]
        expected = np.concatenate(pieces)
        for n in (1, 2, 3, 5):
            with threads(n):
                assert_same_bits(ufunc(name)(*inputs), expected)


def test_a_last_piece_of_one_element() -> None:
    x = np.full((8 << 16) + 1, 3.0)  # pieces have 1,024 elements or a multiple
    with threads(2):
        y = softsign.softsign(x, out=np.zeros_like(x))
    assert_same_bits(y, np.full_like(x, 0.75))


@by_name
def test_threads_on_strided_arrays_and_in_place(name: str) -> None:
    f = ufunc(name)
    inputs = arguments(name, random_values(np.dtype("f4"), LARGE, seed=11))
    with np.errstate(all="ignore"), threads(1):
        expected = f(*inputs)
    with np.errstate(all="ignore"), threads(3):
        assert_same_bits(f(*(np.repeat(a, 2)[::2] for a in inputs)), expected)
        assert_same_bits(f(*(a[::-1] for a in inputs)), expected[::-1])
        x = inputs[-1].copy()
        f(*inputs[:-1], x, out=x)
        assert_same_bits(x, expected)


@by_name
@pytest.mark.parametrize("shift", [1, 5, 5000])
def test_threads_on_overlapping_arrays(name: str, shift: int) -> None:
    f = ufunc(name)
    *others, values = arguments(name, random_values(np.dtype("f4"), LARGE, seed=12))
    ahead, behind = slice(shift, None), slice(None, -shift)
    for read, written in ((ahead, behind), (behind, ahead)):
        x = values.copy()
        with np.errstate(all="ignore"), threads(3):
            f(*(a[read] for a in others), x[read], out=x[written])
            assert_same_bits(x[written], f(*(a[read] for a in others), values[read]))


@pytest.mark.parametrize("name", UNARY)
def test_threads_on_an_output_that_begins_where_the_input_does(name: str) -> None:
    memory = random_values(np.dtype("f4"), 2 * LARGE, seed=13)
    with np.errstate(all="ignore"), threads(4):
        expected = ufunc(name)(memory[::2].copy())
        ufunc(name)(memory[::2], out=memory[:LARGE])
    assert_same_bits(memory[:LARGE], expected)


@pytest.mark.parametrize("name", ["softsign", "derivative", "inverse", "gradient"])
@by_dtype
def test_operands_that_are_streamed(name: str, dtype: np.dtype[Any]) -> None:
    operands = ufunc(name).nin + 1
    size = softsign.cpu_features()["streams_from"] // (operands * dtype.itemsize) + 1001
    tile = arguments(name, random_values(dtype, 4099, seed=12))
    inputs = [np.resize(a, size + 3) for a in tile]
    out = np.zeros(size + 5, dtype)
    with np.errstate(all="ignore"):
        expected = np.resize(ufunc(name)(*tile), size + 3)
        for start in (0, 1, 3):
            ufunc(name)(*(a[start : start + size] for a in inputs), out=out[start + 1 : start + 1 + size])
            assert np.array_equal(
                out[start + 1 : start + 1 + size].view(np.uint8),
                expected[start : start + size].view(np.uint8),
            )
            assert out[start] == out[start + 1 + size] == 0
            out[:] = 0
        first = inputs[0].copy()
        ufunc(name)(first, *inputs[1:], out=first)
        assert_same_bits(first, expected)


@by_dtype
def test_flags_of_every_thread_arrive(dtype: np.dtype[Any]) -> None:
    y = np.full(LARGE, 0.5, dtype)
    with threads(3):
        assert raised_flags(softsign.inverse, y) == set()
        for i in range(0, LARGE, LARGE // 7):
            y[i] = 1
            assert raised_flags(softsign.inverse, y) == {"divide by zero"}
            y[i] = 3
            assert raised_flags(softsign.inverse, y) == {"invalid value"}
            y[i] = 0.5
        assert raised_flags(softsign.inverse, y) == set()  # no flag lingers in a worker
        y[0], y[-1] = 1, 3
        assert raised_flags(softsign.inverse, y) == {"divide by zero", "invalid value"}


def test_workers_keep_subnormals() -> None:
    x = np.full(LARGE, 1e-310)
    with threads(3):
        assert_same_bits(softsign.softsign(x), x)


def test_workers_round_as_the_caller() -> None:
    code = f"""
import ctypes, ctypes.util, numpy as np, softsign
libm = ctypes.CDLL(ctypes.util.find_library("m"))
x = np.linspace(-0.99, 0.99, {LARGE}).astype("g")  # long double follows the rounding mode
softsign.set_num_threads(3)
nearest = softsign.softsign(x)
upward = 0x800  # FE_UPWARD on x86
if libm.fesetround(upward) == 0:
    many = softsign.softsign(x)
    assert libm.fegetround() == upward
    softsign.set_num_threads(1)
    one = softsign.softsign(x)
    libm.fesetround(0)
    assert np.array_equal(many, one)
    assert not np.array_equal(many, nearest)
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_calls_from_many_python_threads() -> None:
    sizes = [7, 1001, 70_000, LARGE] * 4
    arrays = [random_values(np.dtype("f4"), size, seed) for seed, size in enumerate(sizes)]
    jobs = [(name, x) for x in arrays for name in NAMES]

    def call(job: tuple[str, Any]) -> Any:
        name, x = job
        with np.errstate(all="ignore"):
            return ufunc(name)(*arguments(name, x))

    with threads(1):
        expected = list(map(call, jobs))
    with threads(2), ThreadPoolExecutor(8) as pool:
        for actual, alone in zip(pool.map(call, jobs), expected, strict=True):
            assert_same_bits(actual, alone)


def test_thirty_two_threads_in_all_functions() -> None:
    assert hammer(2.0) >= 32


def test_flags_stay_in_the_python_thread_that_raised_them() -> None:
    quiet, loud = np.full(LARGE, 0.5), np.full(LARGE, 2.0)
    with threads(2), ThreadPoolExecutor(4) as pool:
        flags = list(pool.map(lambda y: raised_flags(softsign.inverse, y), [quiet, loud] * 20))
    assert flags == [set(), {"invalid value"}] * 20


@pytest.mark.parametrize("pause", [0, 0.001])
def test_helpers_at_hand_and_asleep(pause: float) -> None:
    """Numbers of threads and sizes that keep changing, with a value that counts at either end."""
    with np.errstate(all="ignore"):
        for i in range(60):
            y = np.full((3001, 40_000, LARGE)[i % 3], 0.5, np.float32)
            y[0], y[-1] = 0.75, 3
            with threads(1 + i % 4):
                assert raised_flags(softsign.inverse, y, out=y) == {"invalid value"}
            assert y[0] == 3
            assert np.isnan(y[-1])
            assert (y[1:-1] == 1).all()
            time.sleep(pause)


def test_flags_of_long_double_do_not_linger() -> None:
    quiet, loud = np.full(LARGE, 0.5, np.float32), np.full(40_000, 3, np.longdouble)
    with threads(2):
        for _ in range(20):
            assert raised_flags(softsign.inverse, loud) == {"invalid value"}
            assert raised_flags(softsign.inverse, quiet) == set()


def test_no_thread_before_it_pays() -> None:
    code = f"""{HELPERS}
import numpy as np, softsign
softsign.set_num_threads(3)
small, large = np.ones(1000), np.ones({LARGE})
for _ in range(1000):
    softsign.softsign(small)
assert helpers() == 0
softsign.softsign(large)
wait_until(lambda: helpers() == 2)
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_time_counts_not_elements() -> None:
    """A few elements that take long, often enough in a row."""
    code = f"""{HELPERS}
import numpy as np, softsign
softsign.set_num_threads(2)
x = np.full(20_000, 3, np.longdouble)
wait_until(lambda: softsign.second_antiderivative(x).size and helpers() == 1)
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("policy", ["PASSIVE", "passive", "ACTIVE"])
def test_threads_on_one_cpu_and_threads_that_do_not_spin(policy: str) -> None:
    code = f"""
import os, numpy as np, softsign
x = np.linspace(-9, 9, {LARGE})
softsign.set_num_threads(1)
expected = softsign.softsign(x)
softsign.set_num_threads(4)
for _ in range(20):
    assert np.array_equal(softsign.softsign(x), expected)
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
for _ in range(20):
    assert np.array_equal(softsign.softsign(x), expected)
"""
    done = run_python(code, OMP_WAIT_POLICY=policy)
    assert done.returncode == 0, done.stderr


def test_a_system_that_allows_no_more_threads() -> None:
    code = f"""{HELPERS}
import ctypes, numpy as np, softsign  # stacks of more bytes than there are addresses
libc, attributes = ctypes.CDLL(None), ctypes.create_string_buffer(64)
assert libc.pthread_getattr_default_np(attributes) == 0
assert libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(1 << 50)) == 0
assert libc.pthread_setattr_default_np(attributes) == 0
x = np.full({LARGE}, 3.0)
softsign.set_num_threads(4)
assert all((softsign.softsign(x) == 0.75).all() for _ in range(20))
assert helpers() == 0
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_fork_while_helpers_look_out_for_work() -> None:
    code = f"""{HELPERS}
import numpy as np, softsign
x = np.linspace(-9, 9, {LARGE})
softsign.set_num_threads(3)
before = softsign.softsign(x)
for _ in range(20):
    softsign.softsign(x)
    child = os.fork()
    if child == 0:
        same = np.array_equal(softsign.softsign(x), before)
        os._exit(0 if same and helpers() == 0 else 3)
    assert os.waitpid(child, 0)[1] == 0
    assert np.array_equal(softsign.softsign(x), before)
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_fork_in_the_middle_of_a_call() -> None:
    code = f"""{HELPERS}
import threading, numpy as np, softsign
x = np.linspace(-9, 9, {LARGE})
softsign.set_num_threads(3)
before = softsign.softsign(x)
ended = threading.Event()
def work():
    while not ended.is_set():
        softsign.softsign(x)
caller = threading.Thread(target=work)
caller.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(softsign.softsign(x), before) else 3)
    assert os.waitpid(child, 0)[1] == 0
ended.set()
caller.join()
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_signals_reach_the_program_itself() -> None:
    code = f"""{HELPERS}
import signal, numpy as np, softsign
x = np.ones({LARGE})
softsign.set_num_threads(3)
softsign.softsign(x)
wait_until(lambda: helpers() == 2)
for task in Path("/proc/self/task").iterdir():
    if (task / "comm").read_text() == "softsign\\n":
        blocked = int((task / "status").read_text().split("SigBlk:")[1].split()[0], 16)
        assert all(blocked >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM))
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job begins with SIGINT ignored
try:
    os.kill(os.getpid(), signal.SIGINT)
    wait_until(lambda: softsign.softsign(x).size == 0)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = run_python(code)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


FORK = f"""
import os, signal, numpy as np, softsign
signal.alarm(120)
x = np.linspace(-9, 9, {LARGE})
softsign.set_num_threads(4)
before = softsign.softsign(x)
child = os.fork()
if child == 0:
    same = np.array_equal(softsign.softsign(x), before)
    softsign.set_num_threads(2)
    os._exit(0 if same and np.array_equal(softsign.softsign(x), before) else 3)
assert os.waitpid(child, 0)[1] == 0
assert np.array_equal(softsign.softsign(x), before)
"""


def test_fork_after_a_parallel_call() -> None:
    done = run_python(FORK)
    assert done.returncode == 0, done.stderr


def test_the_size_of_the_cache_is_read_at_import() -> None:
    """Not by the first large call, under a lock that a process forked meanwhile would find locked."""
    code = """
import os, softsign
def reads():
    with open("/proc/self/io") as file:
        return int(file.read().split("syscr: ")[1].split()[0])
reads()
before, after = reads(), reads()
softsign.cpu_features()
assert reads() - after == after - before
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_worker_processes_of_multiprocessing() -> None:
    code = f"""
import multiprocessing, numpy as np, softsign
x = np.linspace(-9, 9, {LARGE})
before = softsign.softsign(x)
with multiprocessing.get_context("fork").Pool(2) as pool:
    for y in pool.map(softsign.softsign, [x, x, x]):
        assert np.array_equal(y, before)
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("n", [1, 2, 7, np.int64(3)], ids=repr)
def test_set_num_threads(n: int) -> None:
    with threads(n):
        assert softsign.get_num_threads() == n
        assert type(softsign.get_num_threads()) is int


@pytest.mark.parametrize(
    ("n", "error"),
    [(0, ValueError), (-1, ValueError), (2**31, ValueError), (2**80, ValueError), (-(2**80), ValueError)]
    + [(bad, TypeError) for bad in (1.0, 1.5, "2", None, [1], float("nan"), True)],
    ids=repr,
)
def test_bad_number_of_threads(n: Any, error: type[Exception]) -> None:
    before = softsign.get_num_threads()
    with pytest.raises(error) as raised:
        softsign.set_num_threads(n)
    message = str(raised.value)
    assert "n must be" in message
    assert repr(n) in message
    assert "\n" not in message
    assert softsign.get_num_threads() == before


@pytest.mark.parametrize(("own", "openmp", "n"), [("3", "5", "3"), ("", "5", "5")])
def test_number_of_threads_from_the_environment(own: str, openmp: str, n: str) -> None:
    code = "import softsign; print(softsign.get_num_threads())"
    done = run_python(code, SOFTSIGN_NUM_THREADS=own, OMP_NUM_THREADS=openmp)
    assert done.stdout.strip() == n, done.stderr


def refusals(variable: str, *values: str) -> list[str]:
    """What the import says, in one process, to values that it must refuse; it can be tried again."""
    code = f"""
import os
for value in {values!r}:
    os.environ[{variable!r}] = value
    try:
        import softsign
    except ValueError as error:
        print(str(error))
    else:
        raise AssertionError(value)
del os.environ[{variable!r}]
import softsign
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_bad_environment_ends_the_process() -> None:
    done = run_python("import softsign", SOFTSIGN_NUM_THREADS="two")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: SOFTSIGN_NUM_THREADS must be")


def test_bad_number_of_threads_from_the_environment() -> None:
    values = "0", "-2", "two", "1.5", "3 4", "99999999999999999999"
    for n, message in zip(values, refusals("SOFTSIGN_NUM_THREADS", *values), strict=True):
        assert message.startswith("SOFTSIGN_NUM_THREADS must be")
        assert f"'{n}'" in message


@pytest.mark.parametrize("name", softsign.cpu_features()["available"])
def test_kernels_from_the_environment(name: str) -> None:
    done = run_python("import softsign; print(softsign.cpu_features()['kernels'])", SOFTSIGN_KERNELS=name)
    assert done.stdout.strip() == name, done.stderr


def test_unknown_kernels_from_the_environment() -> None:
    names = "sse9", "AVX2", " avx2", "avx2,sse2"
    for name, message in zip(names, refusals("SOFTSIGN_KERNELS", *names), strict=True):
        assert message.startswith("SOFTSIGN_KERNELS must be")
        assert f"'{name}'" in message
        assert all(available in message for available in softsign.cpu_features()["available"])


def test_the_former_name_of_the_variable_is_refused() -> None:
    assert refusals("SOFTSIGN_CPU", "sse2") == ["SOFTSIGN_CPU is now SOFTSIGN_KERNELS: set that to 'sse2'"]


def test_empty_variables_count_as_unset() -> None:
    done = run_python("import softsign", SOFTSIGN_CPU="", SOFTSIGN_KERNELS="", SOFTSIGN_NUM_THREADS="")
    assert done.returncode == 0, done.stderr


def test_cpu_features() -> None:
    features = softsign.cpu_features()
    assert list(features) == ["kernels", "available", "last_level_cache", "streams_from"]
    assert features["kernels"] in features["available"]
    assert features["last_level_cache"] >= 1 << 16
    assert features["streams_from"] == min(2 * features["last_level_cache"], 16 << 20)


def test_kernels_can_be_switched_and_wrong_names_are_refused() -> None:
    for name in softsign.cpu_features()["available"]:
        with kernels(name):
            assert softsign.cpu_features()["kernels"] == name
    with pytest.raises(ValueError, match="'mmx'"):
        softsign._core._use_kernels("mmx")
    with pytest.raises(TypeError):
        softsign._core._use_kernels(2)  # type: ignore[arg-type]
