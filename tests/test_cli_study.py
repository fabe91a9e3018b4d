"""The command `softsign study`, run as a user runs it."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import dask
import distributed  # noqa: F401  (its defaults would go with the settings during which it is first imported)
import pytest

from softsign.study import workers
from softsign.study.folder import FILE
from tests.helpers import in_session, largest_file, run_python, started, wait_until
from tests.test_cli import COMMAND, ENVIRONMENT, call, refused, run
from tests.test_data_files import write_mnist
from tests.test_study_folder import read, threads

SMALL = (
    "--data",
    "digits",
    "--depths",
    "3",
    "--width",
    "20",
    "--learning-rates",
    "0.1",
    "--seeds",
    "0",
    "--updates",
    "100",
)
ONE = (*SMALL, "--activations", "softsign", "--initializations", "standard", "-o", "study")


GRID = (
    *SMALL,
    *("--activations", "softsign, tanh", "--initializations", "standard,identity:0.085"),
    *("--batch-size", "20", "--momentum", "0.5", "--workers", "2"),
)


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The option for random images, which need no scikit-learn: a process takes seconds to import that."""
    place = tmp_path_factory.mktemp("noise")
    write_mnist(place, train=120, test=40)
    return "--data", str(place)


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, noise: tuple[str, str]
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Where `softsign study` with GRID was called, and what it said."""
    place = tmp_path_factory.mktemp("finished")
    return place, run(place, "study", *GRID, *noise)


def test_small_grid(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    place, result = finished
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("% test error") == 4
    words = ["activation", "initialization", "layers", "updates", "learning", "test error, %", "paper"]
    assert [word in result.stdout for word in words] == [True] * 6 + [False]
    rows = re.findall(
        r"│ (softsign|tanh) +│ (standard|identity:0.085) +│ +3x20 │ +100 │ +0.1 │", result.stdout
    )
    assert len(rows) == len(set(rows)) == 4
    assert result.stdout.splitlines()[-1] == "report: softsign-study-quick/report.html"
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert {file.name for file in (place / "softsign-study-quick").iterdir()} == {FILE, "report.html"}


def test_the_same_command_again_writes_the_report_anew(
    finished: tuple[Path, subprocess.CompletedProcess[str]], noise: tuple[str, str], tmp_path: Path
) -> None:
    place, first = finished
    study = tmp_path / "softsign-study-quick"
    shutil.copytree(place / study.name, study)
    page, results = (study / "report.html").read_text(), (study / FILE).read_bytes()
    (study / "report.html").unlink()
    second = call(tmp_path, "study", *GRID, *noise)
    assert second.stderr == ""
    assert second.stdout == first.stdout
    assert (study / FILE).read_bytes() == results
    # Plotly names its figures at random.
    names = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    assert names.sub("", (study / "report.html").read_text()) == names.sub("", page)
    words = refused(tmp_path, "study", *GRID, *noise, "--width", "30")
    assert words == (
        "softsign: softsign-study-quick holds a study of other trials (width 20 instead of 30); "
        "choose another folder\n"
    )
    assert (study / FILE).read_bytes() == results


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--preset", "fast"), "preset is 'fast', but must be one of quick, deep, paper"),
        (("--activations", "swish"), "activation is 'swish', but must be one of softsign, tanh"),
        (("--initializations", "he"), "'he', but must be one of standard, normalized, pytorch, critical:Q,"),
        (("--initializations", "critical:0"), "Q must be a number above 0 and at most 100"),
        (("--depths", "1,two"), "'1,two' is not a list of integers with commas"),
        (("--depths", "0"), "depth is 0, but must be an integer of 1 or more"),
        (("--learning-rates", "0.1,-1"), "learning_rate is -1.0, but must be a finite number above 0"),
        (("--learning-rates", ""), "'' is not a list of numbers with commas"),
        (("--momentum", "1"), "momentum is 1.0, but must be from 0 to below 1"),
        (("--seeds", "-1"), "seed is -1, but must be an integer of 0 or more"),
        (("--workers", "0"), "'--workers': Input should be greater than or equal to 1"),
        (("--batch-size", "5000", "--data", "digits"), "batch_size is 5000, but must be at most the 1078"),
        (("--data", "nowhere"), "nowhere"),
        (("--data", "."), "MNIST"),
        (("--rates", "0.1"), "--rates is now --learning-rates"),
        (("--batch=10",), "--batch is now --batch-size"),
        (("--initialisations", "standard"), "--initialisations is now --initializations"),
    ],
)  # fmt: skip
def test_wrong_arguments(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(tmp_path, "study", *arguments)


def test_no_scheduler_at_the_address(tmp_path: Path) -> None:
    with dask.config.set({"distributed.comm.timeouts.connect": "100ms"}):
        assert "127.0.0.1:9" in refused(tmp_path, "study", *ONE, "--dask", "tcp://127.0.0.1:9")


#: One call after the other in a process without PyTorch, as if it were not installed.
WITHOUT_TORCH = """
import sys
from softsign.cli import main
sys.modules["torch"] = None
for arguments, code in {calls}:
    sys.argv = ["softsign", "study", *arguments]
    try:
        main()
    except SystemExit as end:
        assert end.code == code
assert "matplotlib.pyplot" not in sys.modules  # its state is the caller's
"""
#: A refusal, its CPU time, and what it imports.
REFUSED = """
import sys, time
start = time.process_time()
import numpy, typer, rich
least, start = time.process_time() - start, time.process_time()
sys.argv = ["softsign", "study", "--preset", "nope"]
try:
    from softsign.cli import main
    main()
finally:
    print(time.process_time() - start, least, {"matplotlib", "plotly", "onnx", "torch"} & set(sys.modules))
"""


def test_a_refusal_imports_little() -> None:
    refusal, least, heavy = run_python(REFUSED).stdout.split()
    assert float(refusal) < 2 * float(least)
    assert heavy == "set()"


def test_a_report_needs_no_pytorch_and_training_says_so(tmp_path: Path, noise: tuple[str, str]) -> None:
    """Reports of the results in docs/study, with samples of Shapeset; compact again, they stay the same."""
    committed = Path(__file__).parents[1] / "docs" / "study"
    calls: list[tuple[tuple[str, ...], int]] = [((*ONE, *noise), 2)]
    for preset in ("quick", "deep"):
        (tmp_path / preset).mkdir()
        shutil.copy(committed / preset / FILE, tmp_path / preset)
        calls.append((("--preset", preset, "-o", preset, "--compact"), 0))
    with contextlib.chdir(tmp_path):
        result = run_python(WITHOUT_TORCH.format(calls=calls))
    assert (result.returncode, result.stderr) == (
        0,
        'softsign: torch is not installed; this installs it: pip install "softsign[cli,study]"\n',
    )
    assert not (tmp_path / "study").exists()
    for preset in ("quick", "deep"):
        assert f"\nreport: {preset}/report.html\n" in result.stdout
        assert "Test error over updates" in (tmp_path / preset / "report.html").read_text()
        assert (tmp_path / preset / FILE).read_bytes() == (committed / preset / FILE).read_bytes()


def test_a_corrupt_dataset_is_told_before_anything_is_written(tmp_path: Path) -> None:
    for name in (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ):
        (tmp_path / name).write_bytes(b"\0\0\x08\x03" + bytes(10))
    assert "train-images-idx3-ubyte" in refused(tmp_path, "study", "--data", ".")
    assert not (tmp_path / "softsign-study-quick").exists()


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "study").write_text("mine")
    assert "study" in refused(tmp_path, "study", *ONE)


def test_a_damaged_study_is_told(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / FILE).write_text("{")
    assert "study/study.json is damaged" in refused(tmp_path, "study", *ONE)


def test_results_that_are_damaged_are_told(tmp_path: Path) -> None:
    content = json.loads((Path(__file__).parents[1] / "docs" / "study" / "deep" / FILE).read_text())
    result = next(iter(content["results"].values()))
    arguments = ("study", "--preset", "deep", "-o", ".")
    for key, value in ("history", {}), ("notes", [[]]):
        (tmp_path / FILE).write_text(
            json.dumps(content).replace(json.dumps(result), json.dumps(result | {key: value}))
        )
        assert "study.json is damaged" in refused(tmp_path, *arguments)


@pytest.mark.parametrize("name", ["report.html", "running"])
def test_files_of_something_else_are_kept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    words = refused(tmp_path, "study", *ONE, "-o", ".")
    assert words == f"softsign: {name} exists, and . holds no study; choose another folder\n"


def test_no_space_for_the_results(
    tmp_path: Path, noise: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operating system lets no file grow beyond 2000 bytes, as if the disk were full."""
    monkeypatch.setattr(workers, "local_workers", lambda count: threads())
    with largest_file(2000):
        words = call(tmp_path, "study", *ONE, *noise).stderr
    assert words.splitlines()[-1].startswith("softsign: study/study.json: File too large")
    assert {file.name for file in (tmp_path / "study").iterdir()} == {FILE}
    assert json.loads((tmp_path / "study" / FILE).read_text())["results"] == {}
    assert call(tmp_path, "study", *ONE, *noise).returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_keeps_what_was_done(
    tmp_path: Path, noise: tuple[str, str], number: signal.Signals, code: int
) -> None:
    arguments = [*ONE, *noise, "--updates", "100000"]
    study = tmp_path / "study"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(COMMAND, "study", *arguments, cwd=tmp_path, env=ENVIRONMENT, **pipes) as process:
        wait_until(lambda: any(read(file) > 0 for file in study.glob("*.progress")))
        if number == signal.SIGINT:  # at the keyboard it reaches all processes
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        output, errors = process.communicate(timeout=300)
        wait_until(lambda: not in_session(process.pid))  # multiprocessing's resource tracker ends last
    assert process.returncode == code
    assert output == ""
    assert errors == f"softsign: {'interrupted' if number == signal.SIGINT else 'terminated'}\n"
    assert {file.suffix for file in study.iterdir()} == {".json", ".checkpoint"}
