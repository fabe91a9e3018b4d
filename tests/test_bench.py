"""The benchmarks run, store what they say they store, name missing peers, and refuse what they cannot do."""

import csv
import dataclasses
import importlib
import itertools
import math
import os
import re
import subprocess
import sys
import timeit
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest

from softsign.functions import DTYPES, FUNCTIONS

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
COLUMNS = (
    "date,cpu,kernels,threads,numpy,softsign,name,version,function,form,dtype,size,rounds,"
    "seconds,ratio,ratio_q1,ratio_q3"
)


def bench(*arguments: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the benchmark of the ufuncs as `make` does, with `path` first among the places to import from."""
    command = [sys.executable, str(BENCHMARKS / "ufuncs.py"), *map(str, arguments)]
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=300)


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
    assert measured == set(itertools.product(DTYPES, FUNCTIONS))
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
        (("--threads", "100000"), "'100000' is not between 1 and the"),
        (("--rounds", "0"), "'0' is not a whole number of at least 1"),
        (("--peers", "fortran"), "invalid choice: 'fortran'"),
        (("--bars",), "--bars is now --targets"),
        (("--from", "none.csv"), "there is no file none.csv"),
        (("--from", "none.csv", "--targets"), "not allowed with argument --from"),
        (("--targets", "speed"), "invalid choice: 'speed'"),
    ],
)
def test_bad_options_are_refused(
    ufuncs: ModuleType,
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as refusal:
        ufuncs.main([*arguments, "--results", str(tmp_path / "none")])
    assert refusal.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def module_named(name: str) -> Iterator[ModuleType]:
    """Import a benchmark, and take it out of the way of other tests afterwards."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module(name)
    for other in ("harness", "peers", "conditions", "ports", "cycles", "threads", name):
        if other not in before:
            sys.modules.pop(other, None)


@pytest.fixture
def ufuncs() -> Iterator[ModuleType]:
    yield from module_named("ufuncs")


@pytest.fixture
def conditions() -> Iterator[ModuleType]:
    yield from module_named("conditions")


@pytest.fixture
def cycles() -> Iterator[ModuleType]:
    yield from module_named("cycles")


@pytest.fixture
def ports() -> Iterator[ModuleType]:
    yield from module_named("ports")


@pytest.fixture
def threads() -> Iterator[ModuleType]:
    yield from module_named("threads")


@pytest.fixture
def frameworks() -> Iterator[ModuleType]:
    yield from module_named("frameworks")


@pytest.fixture
def operator_layer() -> Iterator[ModuleType]:
    yield from module_named("operator_layer")


@pytest.fixture
def torch_cuda() -> Iterator[ModuleType]:
    yield from module_named("torch_cuda")


@pytest.fixture
def study() -> Iterator[ModuleType]:
    yield from module_named("study")


@pytest.fixture
def robust() -> Iterator[ModuleType]:
    yield from module_named("robust")


@pytest.fixture
def companding() -> Iterator[ModuleType]:
    yield from module_named("companding")


@pytest.fixture
def tonemap() -> Iterator[ModuleType]:
    yield from module_named("tonemap")


@pytest.fixture
def harness() -> Iterator[ModuleType]:
    yield from module_named("harness")


@pytest.fixture
def jax_settings() -> Iterator[None]:
    before = jax.config.jax_enable_x64  # a peer's setup enables it for the process
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.usefixtures("jax_settings")
@pytest.mark.filterwarnings("ignore")  # of what PyTorch imports to compile
def test_installed_peers_compute_softsign(ufuncs: ModuleType) -> None:
    x = np.linspace(-50, 50, 1001, dtype=np.float32)
    expected = x.astype(np.float64) / (1 + np.abs(x.astype(np.float64)))
    for peer in ufuncs.PEERS:
        if peer.missing() is None:
            y = np.zeros_like(x)
            names = peer.setup(x, y, 1)
            if peer.allocates:
                y = np.asarray(eval(peer.statement, names))
            else:
                timeit.Timer(peer.statement, globals=names).timeit(1)
            assert y.dtype == np.float32, peer.name
            np.testing.assert_allclose(y, expected, rtol=2.5e-7, err_msg=peer.name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numba_with_threads_is_a_loop_that_they_share(
    ufuncs: ModuleType, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    numba = importlib.import_module("numba")
    asked: list[int] = []
    monkeypatch.setattr(numba, "set_num_threads", asked.append)
    (peer,) = (peer for peer in ufuncs.PEERS if peer.name == "numba")
    x = np.linspace(-50, 50, 1001, dtype=dtype)
    y = np.zeros_like(x)
    names = peer.setup(x, y, 2)
    eval(peer.statement, names)
    assert asked == [2]
    assert names["softsign"].targetoptions["parallel"]
    np.testing.assert_allclose(y, x / (1 + abs(x)), rtol=2.5e-7)


@pytest.fixture
def row(ufuncs: ModuleType) -> Any:
    """Return a maker of rows with the fields that a test is about."""
    fields: dict[str, Any] = dict.fromkeys(("date", "cpu", "kernels", "numpy", "softsign", "version"), "")
    fields |= {"threads": 1, "function": "softsign", "form": "out", "dtype": "float32", "rounds": 1}

    def make(name: str, size: int, ratio: float, **others: Any) -> Any:
        times = dict.fromkeys(("seconds", "ratio", "ratio_q1", "ratio_q3"), ratio)
        return ufuncs.Row(name=name, size=size, **(fields | times | others))

    return make


@pytest.mark.parametrize(
    ("l2", "numba", "torch", "verdicts"),
    [
        (8 * 2**20, 0.6, 1.1, ["reached", "reached"]),  # numba may win by 2 inside L2
        (8 * 2**20, 0.4, 1.1, ["missed", "reached"]),
        (2**20, 0.9, 1.1, ["missed", "reached"]),  # but not outside
        (2**20, 1.1, 0.9, ["reached", "missed"]),  # and the others nowhere
    ],
)
def test_targets_beside_peers(
    ufuncs: ModuleType,
    row: Any,
    monkeypatch: pytest.MonkeyPatch,
    l2: int,
    numba: float,
    torch: float,
    verdicts: list[str],
) -> None:
    monkeypatch.setattr(ufuncs, "l2_bytes", lambda: l2)
    ratios = {"softsign": 1.0, "numba": numba, "torch": torch, "jax-jit": 5.0}
    rows = [row(name, 2**20, ratio) for name, ratio in ratios.items()]
    assert [target.verdict for target in ufuncs.peer_targets(2**20, rows)] == verdicts


def test_arrays_lie_where_they_are_said_to(conditions: ModuleType) -> None:
    for offset in (0, 16, 48):
        array = conditions.buffer(1000, np.float64, offset)
        assert array.ctypes.data % conditions.HUGE_PAGE == offset
        assert array.shape == (1000,)
        assert not array.any()
        assert conditions.describe_memory(array).startswith(f"arrays begin {offset} bytes after")
        assert 0 <= conditions.huge_share(array) <= 1
    copy = conditions.place(np.arange(7, dtype=np.int16))
    assert copy.dtype == np.int16
    assert copy.tolist() == [*range(7)]
    assert conditions.huge_share(np.zeros(1)) < 1  # malloc's memory, not advised


def test_huge_pages_are_read_from_the_mapping_of_the_array(
    conditions: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = np.zeros(10)
    here = array.ctypes.data
    mappings = [(here - 4096, here, 900), (here, here + 4096, 512), (here + 4096, here + 8192, 100)]
    listing = "".join(
        f"{begin:x}-{end:x} rw-p 00000000 00:00 0 \nRss: 1024 kB\nAnonHugePages: {huge} kB\nVmFlags: rd\n"
        for begin, end, huge in mappings
    )
    monkeypatch.setattr(Path, "read_text", lambda path: listing)
    assert conditions.huge_share(array) == 0.5


def test_memcpy_copies(conditions: ModuleType) -> None:
    x, y = np.arange(100.0), np.zeros(100)
    assert conditions.memcpy(y, x)() > 0
    assert y.tolist() == x.tolist()


def test_a_call_after_a_pause_is_timed_without_the_pause(
    conditions: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def perf_counter() -> float:
        nonlocal now
        now += 1e-6
        return now

    def call() -> None:
        nonlocal now
        calls.append(now)
        now += 1e-3

    calls: list[float] = []
    monkeypatch.setattr(conditions.time, "perf_counter", perf_counter)
    sample = conditions.after_pause(call, calls=3)
    assert sample() == pytest.approx(1e-3, rel=0.01)
    assert len(calls) == 3
    assert min(np.diff(calls)) > 1e-3 + conditions.PAUSE


def test_a_busy_neighbor_runs_for_a_while(conditions: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Process(subprocess.Popen[bytes]):
        def __init__(self, command: list[str]) -> None:
            super().__init__(command)
            started.append(self)

    monkeypatch.setattr(conditions.subprocess, "Popen", Process)
    with conditions.busy_neighbor():
        assert started[0].poll() is None
    assert started[0].returncode is not None


def test_the_clock_ticks_a_plausible_number_of_times(conditions: ModuleType) -> None:
    assert 1e8 < 1 / conditions.clock()() < 1e10


LOOP = """
kernels.cpp.o:     file format elf64-x86-64

0000000000000000 <Loop<softsign::Softsign, float, 1>::steps<(softsign::Mode)0, (softsign::Access)0>(float*)>:
   0:	vmovups (%rax),%ymm1
   4:	vandps %ymm2,%ymm1,%ymm3        # 20 <x>
   8:	vdivps %ymm3,%ymm1,%ymm4
   c:	vfnmadd132ps %ymm3,%ymm1,%ymm5
  10:	vmovaps %ymm3,0x40(%rsp)
  14:	vmovups %ymm4,(%rbx,%rax,1)
  18:	vmovups %ymm5,0x20(%rbx,%rax,1)
  1c:	jae    0 <Loop<softsign::(anonymous namespace)::Softsign, float, 1>::run(char* const*)>
  20:	vmovntps %ymm4,(%rbx,%rax,1)
  24:	vdivps %ymm3,%ymm1,%ymm4
  28:	jae    20 <Loop<softsign::(anonymous namespace)::Softsign, float, 1>::run(char* const*)>
  2c:	jmp    0 <Loop<softsign::(anonymous namespace)::Softsign, float, 1>::run(char* const*)>
"""


def test_the_instructions_of_the_inner_loop_are_counted(
    ports: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.CompletedProcess([], 0, stdout=LOOP)
    monkeypatch.setattr(ports.subprocess, "run", lambda *arguments, **options: done)
    monkeypatch.setattr(ports, "objects", lambda kernels: [Path("kernels.cpp.o")])
    (code,) = ports.disassembled(Path("kernels.cpp.o")).values()
    cached, streamed = ports.loops(code)
    assert [len(cached), len(streamed)] == [8, 3]
    assert [ports.stored_bytes(cached), ports.stored_bytes(streamed)] == [64, 0]
    assert [*ports.counts(cached).values()] == [1, 0, 1, 0, 3]
    cost = {"vdivps": 9.0, "vfmadd231ps": 1.0, "vandps": 2.5, "vaddps": 1.0, "vdivpd": 9.0}
    monkeypatch.setattr(ports, "cycles_each", lambda instruction, letter: cost[instruction])
    wanted = [("float32", "softsign"), ("float64", "softsign"), ("float32", "derivative")]
    assert ports.limits("avx2", wanted) == {("float32", "softsign"): 9.0}
    cost["vandps"] = 4.0
    assert ports.limits("avx2", wanted) == {("float32", "softsign"): 12.0}
    half = [(0, "vcvtps2ph", "$0x4,%ymm1,(%rdx,%rax,2)"), (4, "vcvtps2ph", "$0x4,%ymm1,%xmm1")]
    assert ports.stored_bytes(half) == 16


def test_limits_that_cannot_be_told_have_a_reason(
    ports: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ports.missing("sse2") == "loops of sse2 are not counted"
    monkeypatch.setattr(ports.shutil, "which", lambda name: None)
    assert "apt-get install binutils" in ports.missing("avx2")
    monkeypatch.setattr(ports.shutil, "which", lambda name: "/usr/bin/objdump")
    monkeypatch.setattr(ports, "BUILD", tmp_path)
    assert ports.missing("avx2") == f"no object files in {tmp_path}"


def test_cycles_are_those_of_64_bytes_without_the_call(cycles: ModuleType) -> None:
    kernels = cycles.softsign.cpu_features()["kernels"]
    samples = {
        "memcpy": np.full(3, 2.0),
        "softsign": np.array([3.0, 5.0, 9.0]),
        "gradient": np.full(3, 7.0),
        "cycle": np.array([0.25, 0.5, 1.0]),
    }
    single = {"memcpy": np.full(3, 1.0), "softsign": np.full(3, 1.0), "gradient": np.full(3, 1.0)}
    measured = {(kernels, "float32", size): samples for size in cycles.TABLE_SIZES} | {
        (kernels, "float32", 1): single
    }
    where = kernels, "float32", 16 * 1024
    assert cycles.cycles(measured, where, "softsign") == 8 / 1024
    assert math.isnan(cycles.cycles(measured, where, "inverse"))
    (table,) = cycles.tables(measured, ["float32"], {("float32", "softsign"): 18.06})
    assert [line[0] for line in table.lines] == ["memcpy", "softsign", "gradient"]
    assert [line[4] for line in table.lines] == ["", "18.1", ""]


def test_every_aim_is_measured_where_it_can_be(cycles: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = cycles.aimed()
    for (kernels, _, size), functions in wanted.items():
        assert kernels in cycles.softsign.cpu_features()["available"]
        assert functions
        assert size >= 16 * 1024
    halves = {
        where: dict.fromkeys(functions, np.full(3, 1.0))
        | {"memcpy": np.full(3, 2.0), "np.divide": np.full(3, 2.0)}
        for where, functions in wanted.items()
    }
    targets = list(cycles.aim_targets(halves))
    assert len(targets) == sum((a.avx512 is not None) + (a.avx2 is not None) for a in cycles.AIMS) + 1
    for target in targets[:-1]:
        assert (
            target.measured == 0.5
            if target.name.split(":")[0] in {k for k, *_ in wanted}
            else target.verdict == "not measured here"
        )
    assert all(t.verdict == "not measured here" for t in cycles.aim_targets({}))
    functions = ("softsign", "inverse", "derivative", "gradient", "gradient_from_output")
    slow = {  # at one of the sizes
        ("avx2", "float32", size): dict.fromkeys(functions, np.full(3, seconds))
        | {"np.divide": np.full(3, 1.0)}
        for size, seconds in zip(cycles.CACHED, (2.0, 5.0, 3.0), strict=True)
    }
    (derivative,) = (
        t for t in cycles.aim_targets(slow) if t.name.startswith("avx2: derivative float32 16Ki")
    )
    assert derivative.measured == 5.0


def test_yardsticks_and_functions_are_measured_on_the_arrays_they_take(cycles: ModuleType) -> None:
    kernels = cycles.softsign.cpu_features()["available"][-1]
    before = cycles.softsign.cpu_features()["kernels"]
    functions = ("gradient", "inverse", "softsign in place")
    samples = cycles.measure((kernels, "float32", 256), functions, rounds=1)
    assert list(samples) == ["memcpy", "np.divide", *functions, "cycle"]
    assert all(0 < seconds[0] < 1 for seconds in samples.values())
    assert list(cycles.measure((kernels, "bfloat16", 256), ("softsign",), 1)) == [
        "memcpy",
        "softsign",
        "cycle",
    ]
    assert cycles.softsign.cpu_features()["kernels"] == before


def test_awkward_values_are_what_they_are_called(cycles: ModuleType) -> None:
    values = cycles.real_life("float32", 1000)
    assert set(values) == {"softsign", "derivative", "gradient", "inverse"}
    x = values["softsign"]
    assert abs(x["clipped at 0.9"]).max() == np.float32(0.9)
    assert (abs(values["inverse"]["clipped at 1"]) == 1).mean() > 0.2
    assert 0 < np.isinf(x["with infinities"]).mean() < 0.1
    assert 1e7 < np.median(abs(x["of size 1e8"])) < 1e9
    assert {v.dtype for arguments in values.values() for v in arguments.values()} == {np.dtype("float32")}
    targets = list(cycles.real_life_targets(rounds=1, size=256))
    assert len(targets) == 8
    measured = {t.name.split(":")[0] for t in targets if t.measured > 0}
    assert measured == {"avx512", "avx2"} & set(cycles.softsign.cpu_features()["available"])


def test_passes_compute_what_the_function_does(cycles: ModuleType) -> None:
    x = np.linspace(-9, 9, 50, dtype=np.float32)
    arrays: dict[str, Any] = {"x": x, "dy": x[::-1].copy(), "c": np.float32(30)}
    arrays |= {"z": np.empty_like(x), "y": np.empty_like(x)}
    names = {"divide": np.divide, "multiply": np.multiply, **vars(cycles.softsign)}
    for function, passes in cycles.PASSES.items():
        cycles.timed(passes, names | arrays, seconds=1e-5)()
        extra = (arrays["dy"],) if function == "scaled_gradient" else ()
        expected = getattr(cycles.softsign, function)(x, arrays["c"], *extra)
        np.testing.assert_allclose(arrays["y"], expected, rtol=1e-6)
    targets = list(cycles.passes_targets(rounds=1, sizes=(256,)))
    assert [t.name.split()[0] for t in targets] == list(cycles.PASSES)


def test_two_threads_are_judged_in_every_condition(threads: ModuleType) -> None:
    def column(hot: float, paused: float, busy: float, numba: float) -> Any:
        ratios = {(False, False): hot, (True, False): paused, (False, True): busy, (True, True): 1.0}
        return threads.Column(1e-5, ratios, {"numba": numba})

    columns = {65536: column(0.7, 1.0, 1.2, 1.0), 4 * 2**20: column(0.5, 1.2, 1.4, 9.0)}
    table = threads.table(columns, "softsign")
    assert table.header == ("elements", "64Ki", "4Mi")
    assert table.lines[0] == ["one thread, µs", "10.00", "10.00"]
    assert table.lines[1] == ["two threads / one, hot", "0.70", "0.50"]
    assert [line[0] for line in table.lines[1:5]] == [
        f"two threads / one, {name}" for name in threads.CONDITIONS.values()
    ]
    assert table.lines[5] == ["two threads / numba on two", "1.00", "9.00"]
    verdicts = [target.verdict for target in threads.targets(columns)]
    assert verdicts[:5] == ["missed", "reached", "missed", "reached", "reached"]
    avx512 = threads.softsign.cpu_features()["kernels"] == "avx512"
    assert verdicts[5:] == ["reached" if avx512 else "not measured here", "not measured here"]


def test_two_threads_are_measured_beside_one(threads: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    before = threads.softsign.get_num_threads()
    used = []

    def call() -> None:
        used.append(threads.softsign.get_num_threads())

    try:
        monkeypatch.setattr(threads, "SAMPLE_SECONDS", {False: 1e-6, True: 1e-6})
        monkeypatch.setattr(threads, "PAUSED_CALLS", {False: 2, True: 2})
        for paused, busy in threads.CONDITIONS:
            used.clear()
            seconds, ratio = threads.beside_one(call, paused, busy, rounds=2)
            assert seconds > 0
            assert ratio > 0
            assert {1, 2} <= set(used)
    finally:
        threads.softsign.set_num_threads(before)


def test_import_cost_is_a_time_and_a_size(ufuncs: ModuleType) -> None:
    cost = ufuncs.import_cost(processes=1)
    assert set(cost) == {"ms", "MB"}
    assert 0 < cost["ms"] < 10_000
    assert 0 < cost["MB"] < 1_000


def test_a_picture_from_stored_rows_shows_the_fastest_peers(
    ufuncs: ModuleType, row: Any, tmp_path: Path
) -> None:
    rows = [
        row(name, size, ratio)
        for name, ratios in {"softsign": (1, 2), "numpy": (9, 9), "numba": (3, 2), "torch": (8, 8)}.items()
        for size, ratio in zip((1, 65536), ratios, strict=True)
    ]
    copies = [row("numpy", size, 1.0, function="copyto") for size in (1, 65536)]
    stored_rows = tmp_path / "rows.csv"
    with stored_rows.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS.split(","))
        writer.writeheader()
        writer.writerows(map(vars, copies + rows))
    assert ufuncs.read(stored_rows) == copies + rows
    picture = tmp_path / "speed.svg"
    assert ufuncs.main(["--from", str(stored_rows), "--plot", str(picture)]) == 0
    drawn = re.findall("<!-- (.*) -->", picture.read_text())
    assert drawn.count("softsign") == 1
    assert {"x / (1 + np.abs(x))", "numba", "64Ki"} <= set(drawn)
    assert "torch F.softsign" not in drawn


def test_contestants_take_turns(harness: ModuleType) -> None:
    taken = []

    def contestant(name: str, results: Iterator[int]) -> Any:
        def sample() -> float:
            taken.append(name)
            return next(results)

        return sample

    samples = harness.take_turns(
        [contestant("a", iter((1, 2, 3))), contestant("b", iter((4, 5, 6)))], rounds=3
    )
    assert taken == ["a", "b"] * 3
    assert samples.tolist() == [[1, 4], [2, 5], [3, 6]]


def test_a_sample_is_the_time_of_one_call(harness: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()  # each look at it is a second later than the one before
    monkeypatch.setattr(timeit, "default_timer", lambda: float(next(clock)))
    calls: list[None] = []
    monkeypatch.setattr(timeit.Timer.__init__, "__defaults__", ("pass", "pass", timeit.default_timer, None))
    sample = harness.timed(lambda: calls.append(None), seconds=1)
    assert len(calls) == 2  # one to warm up, and one that was long enough
    assert sample() == 1
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("measured", "at_least", "verdict"),
    [
        (2.0, False, "reached"),
        (2.1, False, "missed"),
        (2.0, True, "reached"),
        (1.9, True, "missed"),
        (math.nan, False, "not measured here"),
        (math.nan, True, "not measured here"),
    ],
)
def test_verdicts(
    harness: ModuleType, measured: float, at_least: bool, verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = harness.Target("speed", measured, 2.0, at_least)
    assert target.verdict == verdict
    assert harness.conclude([], [target], None, "") == (verdict == "missed")
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("speed"))
    assert line.endswith(verdict)


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (100, "100"), (99.5, "99.50"), (0.01, "0.01"), (0.0042, "4e-03")]
)
def test_measurements_are_written_shortly(harness: ModuleType, value: float, text: str) -> None:
    assert harness.written(value) == text


@pytest.mark.parametrize(
    ("function", "statement"),
    [
        ("softsign", "f(x, out=y)"),
        ("inverse", "f(u, out=y)"),
        ("gradient_from_output", "f(u, dy, out=y)"),
        ("nth_derivative", "f(3, x, out=y)"),
    ],
)
def test_functions_are_called_with_what_they_take(ufuncs: ModuleType, function: str, statement: str) -> None:
    assert ufuncs.call(function, ufuncs.ARGUMENTS, "y") == statement


def test_tables_are_written_between_the_marks(
    harness: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "speed.md"
    page.write_text(
        "before\n<!-- a:begin -->\nold\n<!-- a:end -->\nbetween\n<!-- b:begin -->\n<!-- b:end -->\n"
    )
    monkeypatch.setattr(harness, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["/some/where/ufuncs.py", "--write"])
    table = harness.Table("times", ("", "s"), [("one", "1"), ("two", "20")])
    assert table.plain() == "\ntimes\n      s\none   1\ntwo  20"
    for _ in range(2):  # a second time changes nothing
        assert harness.conclude([table], [], "a", "a CPU") == 0
        assert page.read_text() == (
            "before\n<!-- a:begin -->\n\ntimes:\n\n|  | s |\n| -- | -: |\n| one | 1 |\n| two | 20 |\n\n"
            "Printed by `python benchmarks/ufuncs.py --write`: a CPU.\n\n"
            "<!-- a:end -->\nbetween\n<!-- b:begin -->\n<!-- b:end -->\n"
        )
    with pytest.raises(SystemExit, match=r"speed\.md has no lines <!-- c:begin --> and <!-- c:end -->"):
        harness.write_section(page, "c", "")


@pytest.mark.parametrize(
    "section",
    ["ufuncs-1", "cycles", "threads", "frameworks-1", "frameworks-2", "operator_layer", "study"],
)
def test_the_page_has_the_sections_that_are_written(harness: ModuleType, section: str) -> None:
    before, after = harness.section_of(harness.PAGE, section)
    assert "\n| --" in harness.PAGE.read_text().removeprefix(before).removesuffix(after)


@pytest.mark.usefixtures("jax_settings")
def test_the_frameworks_benchmark_measures_in_turns(
    frameworks: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = frameworks.Pair("slow / fast", lambda: sum(range(3000)), lambda: sum(range(1000)), 1.0)
    assert 1.5 < frameworks.ratio(pair, rounds=15, pause=0.0) < 6  # 3, if nothing disturbs
    monkeypatch.setattr(frameworks, "MI", 1000)  # the pairs are not measured here
    monkeypatch.setattr(frameworks, "LARGE", (1000, 16_000))
    names = [pair.name for pair in (*frameworks.torch_pairs(), *frameworks.jax_pairs())]
    assert len(names) == len(set(names)) == 30
    forward_and_backward, in_place = frameworks.memory_targets()
    assert forward_and_backward.verdict == "reached"
    assert in_place.verdict == "reached"
    monkeypatch.setattr(frameworks, "MI", 1 << 20)
    forward, both = frameworks.fault_targets()
    # 1 and 2 without huge pages; with them, one for each of 2 MiB, and 4 MiB at the ends.
    assert 0 < forward.measured < both.measured < 2.1


def test_the_cuda_benchmark_takes_the_time_between_two_events(
    torch_cuda: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            self.time = clock

        def synchronize(self) -> None:
            pass

        def elapsed_time(self, end: "Event") -> float:
            return end.time - self.time

    def taking(milliseconds: float) -> Any:
        def call() -> None:
            nonlocal clock
            clock += milliseconds

        return call

    monkeypatch.setattr(torch_cuda.torch.cuda, "Event", Event)
    assert torch_cuda.medians({"a": taking(2), "b": taking(0.5)}, rounds=3) == {"a": 2, "b": 0.5}
    monkeypatch.setattr(torch_cuda.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="there is no GPU"):
        torch_cuda.main([])


def test_the_cuda_benchmark_counts_results_that_differ(
    torch_cuda: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_cuda, "DEVICE", "cpu")
    table = torch_cuda.check(torch_cuda.torch.bfloat16, part=50_000)
    assert [list(line[1:]) for line in table.lines] == [["65,536", "0", "0"]] * 3
    assert len(next(torch_cuda.every(torch_cuda.torch.float64, 7))) == 7

    found, wanted = (
        torch_cuda.torch.tensor([1.0, 0.0, math.nan, math.nan, last]) for last in (1, 1 + 3 * 2**-23)
    )
    wanted[1] = -0.0
    difference = torch_cuda.Difference()
    difference.add(found, wanted)
    assert difference == torch_cuda.Difference(results=5, differ=2, units=3)
    difference.add(found[:1], torch_cuda.torch.tensor([math.nan]))
    assert (difference.differ, difference.units > 2**22) == (3, True)


def test_the_operator_benchmark_judges_times_memory_and_gradients(
    operator_layer: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(operator_layer, "limit_threads", lambda threads: None)  # it is for the whole process
    assert operator_layer.main(["--rounds", "1"]) in (0, 1)  # times on a busy machine may be anything
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.endswith(("reached", "missed")) for line in lines) == 7
    for exact in ("in place on 4,096 KiB", "gradients in float64", "gradients in float32"):
        assert [line.split()[-1] for line in lines if line.startswith(exact)] == ["reached"]


def test_the_study_benchmark_shows_numbers_of_one_round(
    study: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = dataclasses.replace(study.networks()["deep"], depth=2, width=10)
    monkeypatch.setattr(study, "networks", lambda: {"small": small})
    table, (target,) = study.measure_training(rounds=1, wanted=3)
    assert 0 < target.measured < 100
    speeds = {"bare": iter((10.0, 40.0, 20.0)), "watched": iter((12.0, 20.0, 19.0))}
    for name, results in speeds.items():
        monkeypatch.setattr(study, name, lambda trial, results=results: next(results))
    table, (target,) = study.measure_training(rounds=3, wanted=3)
    assert table.lines == [("small", "3", "20.0", "19.0", "0.95")]
    assert target.verdict == "reached"


@pytest.mark.parametrize(
    ("seconds", "updates", "verdict"), [(2.5, 50, "not measured here"), (math.inf, 1080, "reached")]
)
def test_the_study_benchmark_trains_for_some_seconds_and_judges_whole_trainings(
    study: ModuleType, monkeypatch: pytest.MonkeyPatch, seconds: float, updates: int, verdict: str
) -> None:
    deep = study.networks()["deep"]
    monkeypatch.setattr(study, "networks", lambda: {"deep": deep})
    monkeypatch.setattr(study, "bare", lambda trial: 20.0)
    monkeypatch.setattr(study, "watched", lambda trial: 19.0)
    table, (target,) = study.measure_training(1, None, seconds)
    assert table.lines == [("deep", f"{updates:,}", "20.0", "19.0", "0.95")]
    assert target.verdict == verdict


def test_the_study_benchmark_counts_images_per_second(
    study: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study.main(["--parts", "images", "--rounds", "1", "--seconds", "0.1"]) in (0, 1)
    out, err = capsys.readouterr()
    assert err == ""
    for contestant in ("generate", "Batches, workers=1"):
        (line,) = (line for line in out.splitlines() if line.startswith(contestant))
        assert float(line.split()[-1].replace(",", "")) > 0


def test_the_tonemap_benchmark_counts_nans_and_names_what_is_missing(
    tonemap: ModuleType,
    harness: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tonemap, "SIZE", 8)
    monkeypatch.setattr(tonemap, "PEERS", {"no_such_peer": "no-such-peer"})
    assert tonemap.main(["--rounds", "1", "--images", str(tonemap.PAGE.parent)]) in (0, 1)
    out = capsys.readouterr().out
    assert "missing: no-such-peer (No module named 'no_such_peer')" in out
    assert re.search(r"^studio +118 +3 +0$", out, re.MULTILINE)
    assert [re.search(rf"^{x} +(.*)$", out, re.MULTILINE)[1] for x in ("inf", "nan", "-1")] == ["0", "3", "0"]  # type: ignore[index]
    verdicts = re.findall(r"^(.{30}).* (reached|missed|not measured here)$", out, re.MULTILINE)
    assert [verdict for _, verdict in verdicts][2:] == ["not measured here"] * 2 + ["reached"] * 2
    assert "missing: the images in" not in out
    assert tonemap.main(["--rounds", "1", "--images", "nowhere"]) in (0, 1)
    assert "missing: the images in nowhere (apt-get install blender-data)" in capsys.readouterr().out
    harness.section_of(tonemap.PAGE, "tonemap")


def test_the_robust_benchmark_judges_and_names_missing_peers(
    robust: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for peer in ("skglm", "lightgbm", "xgboost"):
        monkeypatch.setitem(sys.modules, peer, None)
    sparse, target = robust.measure_sparse(runs=1)
    assert target.verdict == "reached"
    assert sparse.lines[0] == ("TransformedL1Regressor", "1 of 1", "1.000")
    assert sparse.lines[1][1] == "0 of 1"  # LassoCV
    assert robust.measure_boosting(1) == ([], [])
    table, targets = robust.measure_stackloss()
    assert table.lines[0][1:] == ("-39.9197", "0.7156", "1.2953", "-0.1521")
    assert [target.verdict for target in targets] == ["reached"] * 3
    variances = {line[0]: line[1:] for line in robust.measure_variances().lines}
    assert variances["mean"][:2] == ("1.000", "1.400")
    assert variances["median"][0] == "1.571"
    assert [variances[name][0] for name in ("HuberT(1.345)", "FairNorm(1.4)")] == ["1.053"] * 2
    assert capsys.readouterr().out.count("missing: ") == 3


def test_the_page_of_robust_fitting_has_its_section(harness: ModuleType, robust: ModuleType) -> None:
    before, after = harness.section_of(robust.PAGE, "robust")
    assert "\n| --" in robust.PAGE.read_text().removeprefix(before).removesuffix(after)


def test_the_companding_benchmark_judges_what_is_left_of_speech(
    companding: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.random.default_rng(0).laplace(scale=0.03, size=48_000)
    monkeypatch.setattr(companding, "speech", lambda: (x / abs(x).max(), 48_000))
    assert companding.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.endswith("reached") for line in lines) == 4
    assert sum(line.startswith(("softsign, k = ", "G.711 ")) for line in lines) == 2 + 3 + 4
    monkeypatch.undo()
    monkeypatch.setattr(companding, "SPEECH", Path("none.wav"))
    with pytest.raises(SystemExit, match=r"^there is no none\.wav: apt-get install alsa-utils brings it$"):
        companding.main([])


def test_the_page_of_companding_has_its_section(harness: ModuleType, companding: ModuleType) -> None:
    before, after = harness.section_of(companding.PAGE, "companding")
    assert "\n| --" in companding.PAGE.read_text().removeprefix(before).removesuffix(after)
