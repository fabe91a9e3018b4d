"""The command `softsign study`, run as a user runs it."""

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from softsign.learn.study import FILE
from tests.helpers import in_session, started, wait_until
from tests.test_cli import COMMAND, ENVIRONMENT, refused, run
from tests.test_study import read

SMALL = (
    "--data",
    "digits",
    "--depths",
    "3",
    "--width",
    "20",
    "--rates",
    "0.1",
    "--seeds",
    "0",
    "--updates",
    "100",
)
ONE = (*SMALL, "--activations", "softsign", "--initializations", "standard", "-o", "study")


def test_small_grid(tmp_path: Path) -> None:
    grid = (*SMALL, "--activations", "softsign, tanh", "--initializations", "standard,identity:0.085")
    result = run(tmp_path, "study", *grid, "--batch", "20", "--momentum", "0.5", "--workers", "2")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("% test error") == 4
    words = ["activation", "initialization", "layers", "updates", "rate", "test error, %", "paper"]
    assert [word in result.stdout for word in words] == [True] * 6 + [False]
    rows = re.findall(
        r"│ (softsign|tanh) +│ (standard|identity:0.085) +│ +3x20 │ +100 │ +0.1 │", result.stdout
    )
    assert len(rows) == len(set(rows)) == 4
    assert result.stdout.splitlines()[-1] == "report: softsign-study-quick/report.html"
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert {file.name for file in (tmp_path / "softsign-study-quick").iterdir()} == {FILE, "report.html"}


def test_the_same_command_again_writes_the_report_anew(tmp_path: Path) -> None:
    first = run(tmp_path, "study", *ONE)
    assert first.returncode == 0, first.stderr
    page = (tmp_path / "study" / "report.html").read_text()
    (tmp_path / "study" / "report.html").unlink()
    results = (tmp_path / "study" / FILE).read_bytes()
    second = run(tmp_path, "study", *ONE)
    assert second.stderr == ""
    assert second.stdout == first.stdout
    assert (tmp_path / "study" / FILE).read_bytes() == results
    # Plotly names its figures at random.
    names = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    assert names.sub("", (tmp_path / "study" / "report.html").read_text()) == names.sub("", page)
    words = refused(tmp_path, "study", *ONE, "--width", "30")
    assert words == (
        "softsign: study holds a study of other runs (width 20 instead of 30); choose another folder\n"
    )
    assert (tmp_path / "study" / FILE).read_bytes() == results


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--preset", "fast"), "preset is 'fast', but must be one of quick, deep, paper"),
        (("--activations", "swish"), "activation is 'swish', but must be one of softsign, tanh"),
        (("--initializations", "he"), "'he', but must be one of standard, normalized, pytorch, critical:Q, identity:A"),
        (("--initializations", "critical:0"), "Q must be a number above 0 and at most 100"),
        (("--depths", "1,two"), "'1,two' is not a list of integers with commas"),
        (("--depths", "0"), "depth is 0, but must be an integer of 1 or more"),
        (("--rates", "0.1,-1"), "rate is -1.0, but must be a finite number above 0"),
        (("--rates", ""), "'' is not a list of numbers with commas"),
        (("--momentum", "1"), "momentum is 1.0, but must be from 0 to below 1"),
        (("--seeds", "-1"), "seed is -1, but must be an integer of 0 or more"),
        (("--workers", "0"), "'--workers': Input should be greater than or equal to 1"),
        (("--batch", "5000", "--data", "digits"), "batch is 5000, but must be at most the 1078 training examples"),
        (("--data", "nowhere"), "nowhere"),
        (("--data", "."), "MNIST"),
        (("--dask", "tcp://127.0.0.1:9"), "127.0.0.1:9"),
    ],
)  # fmt: skip
def test_wrong_arguments(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    if "--dask" in arguments:
        arguments = (*ONE[:-2], *arguments, "-o", "study")
        result = run(
            tmp_path, "study", *arguments, before=("env", "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT=1s")
        )
        assert (result.returncode, result.stdout) == (2, "")
        assert re.fullmatch(r"softsign: .+\n", result.stderr)
        assert words in result.stderr
    else:
        assert words in refused(tmp_path, "study", *arguments)


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


def test_no_space_for_the_results(tmp_path: Path) -> None:
    """The operating system lets no file grow beyond 2000 bytes, as if the disk were full."""
    words = run(tmp_path, "study", *ONE, before=("prlimit", "--fsize=2000")).stderr
    assert words.splitlines()[-1].startswith("softsign: study/study.json: File too large")
    assert {file.name for file in (tmp_path / "study").iterdir()} == {FILE}
    assert json.loads((tmp_path / "study" / FILE).read_text())["results"] == {}
    assert run(tmp_path, "study", *ONE).returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_keeps_what_was_done(tmp_path: Path, number: signal.Signals, code: int) -> None:
    arguments = [*ONE[:-2], "--updates", "100000", "-o", "study"]
    study = tmp_path / "study"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(COMMAND, "study", *arguments, cwd=tmp_path, env=ENVIRONMENT, **pipes) as process:
        wait_until(lambda: any(read(file) > 0 for file in study.glob("*.progress")))
        process.send_signal(number)
        output, errors = process.communicate(timeout=120)
        wait_until(lambda: not in_session(process.pid))  # multiprocessing's resource tracker ends last
    assert process.returncode == code
    assert output == ""
    assert errors == ("softsign: interrupted\n" if number == signal.SIGINT else "")
    assert {file.suffix for file in study.iterdir()} == {".json", ".checkpoint"}
