"""The command `softsign`: by its own process where that matters, otherwise by its function `main`."""

import contextlib
import functools
import io
import os
import pty
import random
import re
import signal
import stat
import subprocess
import sys
import sysconfig
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import pytest

import softsign
from softsign import cli
from tests.helpers import (
    UNARY,
    assert_same_bits,
    in_session,
    largest_file,
    run_python,
    started,
    wait_until,
)

COMMAND = str(Path(sysconfig.get_path("scripts")) / "softsign")

# Colors and widths as on a user's terminal, whatever the machine that runs the tests sets.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name
    not in ("COLUMNS", "CI", "GITHUB_ACTIONS", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "TERMINAL_WIDTH")
} | {"TERM": "xterm-256color"}

# Runs its arguments and tells the peak of memory; small itself, because a child inherits its peak.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
"""


def run(folder: Path, *arguments: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as a user does."""
    return subprocess.run(
        [*before, COMMAND, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def call(folder: Path, *arguments: str, columns: int = 80) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, which saves the time that a new one takes to import everything."""
    output, errors = io.StringIO(), io.StringIO()
    on_terminate = signal.getsignal(signal.SIGTERM)
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        mock.patch.dict(os.environ, ENVIRONMENT | {"COLUMNS": str(columns)}, clear=True),
        mock.patch.object(sys, "argv", ["softsign", *arguments]),
        pytest.raises(SystemExit) as end,
    ):
        cli.main()
    signal.signal(signal.SIGTERM, on_terminate)
    assert isinstance(end.value.code, int)
    return subprocess.CompletedProcess(arguments, end.value.code, output.getvalue(), errors.getvalue())


def refused(folder: Path, *arguments: str) -> str:
    """Return the one line with which the command refuses, having seen that it changed no file."""
    was = contents(folder)
    result = call(folder, *arguments)
    assert result.returncode == 2, result
    assert result.stdout == ""
    assert re.fullmatch(r"softsign: .+\n", result.stderr), result.stderr
    assert contents(folder) == was
    return result.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def peak_kilobytes(folder: Path, *arguments: str) -> int:
    """Return the memory that a command takes which writes no errors."""
    return int(run(folder, *arguments, before=(sys.executable, "-S", "-c", MEASURE)).stderr)


def sparse(path: Path, size: int, promised: int = 0) -> None:
    """Make a file of that many bytes of float32 zeros, whatever its header promises, without disk space."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"shape": ((promised or size) // 4,), "fortran_order": False, "descr": "<f4"}
        )
        file.truncate(file.tell() + size)


@pytest.fixture
def x(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", np.linspace(-3, 3, 1001, dtype=np.float32))
    return tmp_path / "x.npy"


def test_version() -> None:
    assert run(Path(), "--version").stdout == f"softsign {softsign.__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_help_names_every_subcommand(arguments: tuple[str, ...]) -> None:
    result = call(Path(), *arguments)
    assert result.returncode == 0
    assert result.stderr == ""
    words = " ".join(result.stdout.split())
    for (*group, name), command in COMMANDS.items():
        if not group:
            assert f" {name} {command.help.partition('.')[0]}." in words


def tree(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command under one, as Typer made them, with the words that call it."""
    for name, subcommand in getattr(command, "commands", {}).items():
        yield (*path, name), subcommand
        yield from tree(subcommand, *path, name)


COMMANDS = dict(tree(cli._command()))


def test_commands_are_found() -> None:
    assert {("demo",), ("study",), ("apply",), ("plot",), ("explore",), ("tonemap",), ("info",)} < set(
        COMMANDS
    )


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help(path: tuple[str, ...], columns: int) -> None:
    """No name is cut, every default is told, no line is too long."""
    result = call(Path(), *path, "--help", columns=columns)
    assert (result.returncode, result.stderr) == (0, "")
    assert call(Path(), *path, "-h", columns=columns).stdout == result.stdout
    assert max(map(len, result.stdout.splitlines())) <= columns
    lists = re.split(r"^(?:Arguments|Options):$", result.stdout, maxsplit=1, flags=re.MULTILINE)[1]
    entries = re.split(r"^  (?=\S)", lists, flags=re.MULTILINE)
    for parameter in COMMANDS[path].params:
        for name in (*parameter.opts, *parameter.secondary_opts):
            shown = name if name.startswith("-") else parameter.metavar
            (entry,) = (entry for entry in entries if shown in re.split(r"[\s,]+", entry.partition("  ")[0]))
            words = " ".join(entry.split())
            assert parameter.required == ("required]" in words)
            if isinstance(parameter.show_default, str):
                assert f"[default: ({parameter.show_default})" in words
            elif parameter.default is not None and not parameter.is_flag:
                assert "[default: " in words


@pytest.mark.parametrize("old", cli._RENAMED)
def test_a_renamed_command_or_option_is_told(old: str, tmp_path: Path) -> None:
    new = cli._RENAMED[old]
    _, *path = old.split()
    assert refused(tmp_path, *path, "1").endswith(f"{path[-1]} is now {new}\n")
    if new.startswith("-"):
        assert refused(tmp_path, *path[:-1], f"{path[-1]}=1") == f"softsign: {path[-1]} is now {new}\n"
        assert new in [name for parameter in COMMANDS[tuple(path[:-1])].params for name in parameter.opts]
    else:
        assert tuple(new.split()[1:]) in COMMANDS


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("aply",), "No such command 'aply'. Did you mean 'apply'?"),
        (("plot", "--color"), "No such option: --color"),
        (("apply", "x.npy"), "name one file to write: --output OUT.npy"),
        (("apply", "x.npy", "y.npy", "-o", "y.npy"), "name one file to write: --output OUT.npy"),
        (
            ("apply", "x.npy", "y.npy", "--function", "gradient"),
            "'gradient' is not one of softsign, deriv",
        ),
        (("apply", "x.npy", "y.npy", "--scale", "two"), "'--scale': Input should be a valid number"),
        (("apply", "x.npy", "y.npy", "--scale", "nan"), "nan is not a finite number"),
        (("plot", "-o", "x.gif"), "'x.gif' does not end in .png, .svg, .pdf"),
        (("plot", "-o", "no/x.png"), "no: no such directory"),
        (("plot", "--range", "1", "1"), "the range must be two finite numbers, the smaller first, not 1 1"),
        (("plot", "--range", "2", "3", "--functions", "inverse"), "between -1 and 1"),
        (("plot", "--functions", "softsign,"), "'' is not one of"),
        (("plot", "--functions", "softsign", "--scale", "2"), "--scale does not go with --functions"),
        (("plot", "--view", "plane", "--range", "1", "2"), "--range does not go with --view plane"),
        (("plot", "--view", "tails", "--functions", "inverse"), "--functions does not go with --view tails"),
        (("plot", "--view", "tails", "--beside", "relu"), "'relu' is not one of the functions with a limit"),
        (("plot", "--beside", "tan"), "'tan' is not one of softsign, tanh, "),
        (("plot", "--orders", "1,x"), "--orders '1,x' is not a list of integers with commas"),
        (("plot", "--orders", "21"), "order must be an integer from 0 to 20, not 21"),
        (("plot", "--scale", "0"), "scale must be positive and finite, not 0"),
        (("demo", "-o", "x.txt"), "does not end in"),
        (("explore", "--port", "0"), "'--port': 0 is not one of the ports, which are 1 to 65535."),
        (("explore", "--port", "65536"), "'--port': 65536 is not one of the ports, which are 1 to 65535."),
        (("explore", "--port", "x"), "'--port': Input should be a valid integer"),
        (("explore", "--save", "no/x.html"), "no: no such directory"),
        (("demo", "--trainer", "torch"), "'torch' is not one of numpy, onnxruntime"),
        (("demo", "--seed", "-1"), "'--seed': Input should be greater than or equal to 0"),
    ],
)
def test_wrong_arguments(x: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(x.parent, *arguments)


#: A command of a process for each package that it lacks; test_cli_study.py has PyTorch.
LACKING = {"typer": "plot", "rich": "plot", "matplotlib": "plot", "sklearn": "demo", "plotly": "study"}
LACK = """
import os, sys
from softsign.cli import main
for module, command in {lacking}.items():
    if not os.fork():
        sys.modules[module] = None
        sys.argv = ["softsign", command]
        main()
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 2
"""


def test_says_what_to_install(tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        result = run_python(LACK.format(lacking=LACKING))
    assert result.stdout == ""
    for line, module in zip(result.stderr.splitlines(), LACKING, strict=True):
        extras = "cli,study" if module == "plotly" else "cli"
        install = f'this installs it: pip install "softsign[{extras}]"'
        assert line == f"softsign: {module} is not installed; {install}"


@pytest.mark.parametrize("name", UNARY)
def test_apply(x: Path, name: str) -> None:
    target = ("y.npy",) if name == "softsign" else ("-o", "y.npy")
    result = call(x.parent, "apply", "x.npy", *target, "--function", name, "--scale", "-0.25")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"y.npy: {name}, 1,001 x float32, ")
    assert result.stderr == ""
    assert_same_bits(np.load(x.with_name("y.npy")), getattr(softsign, name)(-0.25 * np.load(x)))


def test_apply_tells_its_speed(x: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(x, np.ones(1_500_000, np.float32))
    times = iter([10.0, 12.0])
    monkeypatch.setattr("softsign.cli.apply.perf_counter", lambda: next(times))
    result = call(x.parent, "apply", "x.npy", "y.npy")
    assert result.stdout == "y.npy: softsign, 1,500,000 x float32, 6.0 MB in 2.0 s, 3 MB/s\n"


def test_apply_tells_of_values_outside_the_domain(x: Path) -> None:
    result = call(x.parent, "apply", "x.npy", "y.npy", "--function", "inverse")
    assert result.returncode == 0
    assert result.stderr == "softsign: note: inverse is undefined for some of the input: nan written there\n"
    assert np.isnan(np.load(x.with_name("y.npy"))).any()


def test_apply_replaces_only_with_force(x: Path) -> None:
    y = x.with_name("y.npy")
    y.write_bytes(b"old")
    assert refused(x.parent, "apply", "x.npy", "y.npy") == "softsign: y.npy exists; --force replaces it\n"
    assert call(x.parent, "apply", "x.npy", "y.npy", "--force").returncode == 0
    assert_same_bits(np.load(y), softsign.softsign(np.load(x)))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("plot",), "softsign.png"),
        (("plot", "-o", "mine.svg"), "mine.svg"),
        (("explore", "--save", "x.html"), "x.html"),
        (("demo",), "softsign-demo.png"),
        (("demo",), "softsign-demo.onnx"),
        (("demo", "-o", "mine.pdf"), "mine.onnx"),
    ],
)
def test_pictures_and_networks_are_replaced_only_with_force(
    tmp_path: Path, arguments: tuple[str, ...], name: str
) -> None:
    (tmp_path / name).write_bytes(b"old")
    assert refused(tmp_path, *arguments) == f"softsign: {name} exists; --force replaces it\n"


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("none.npy", "y.npy", "none.npy: No such file or directory"),
        (".", "y.npy", ".: Is a directory"),
        ("text.npy", "y.npy", "text.npy is not a NumPy .npy file"),
        (
            "short.npy",
            "y.npy",
            "short.npy is truncated: its header promises 4,004 bytes of data and it holds 3,",
        ),
        ("objects.npy", "y.npy", "objects.npy holds pickled Python objects, which are never loaded"),
        ("strings.npy", "y.npy", "strings.npy holds <U1 data, which softsign does not take"),
        ("x.npy", "x.npy", "x.npy and x.npy are the same file"),
        ("x.npy", "hard.npy", "x.npy and hard.npy are the same file"),
        ("soft.npy", "x.npy", "soft.npy and x.npy are the same file"),
        ("x.npy", "no/y.npy", "no: no such directory"),
        ("x.npy", ".", ".: not a regular file"),
        ("x.npy", "/dev/full", "/dev/full: not a regular file"),
    ],
)
def test_apply_refuses(x: Path, source: str, target: str, words: str) -> None:
    folder = x.parent
    (folder / "text.npy").write_text("1 2 3\n")
    (folder / "short.npy").write_bytes(x.read_bytes()[:-100])
    np.save(folder / "objects.npy", np.array([{}]))
    np.save(folder / "strings.npy", np.array(["a"]))
    (folder / "hard.npy").hardlink_to(x)
    (folder / "soft.npy").symlink_to(x)
    assert words in refused(folder, "apply", source, target, "--force")


@pytest.mark.parametrize(
    ("arguments", "size"), [(("apply", "x.npy", "y.npy"), 1 << 18), (("plot", "-o", "y.png"), 1 << 13)]
)
def test_full_disk(x: Path, arguments: tuple[str, ...], size: int) -> None:
    np.save(x, np.zeros(1 << 20))
    with largest_file(size):
        words = refused(x.parent, *arguments)
    assert words == f"softsign: {arguments[-1]}: File too large\n"


def test_standard_output_on_a_full_disk() -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [COMMAND, "info"], env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert result.returncode == 2
    assert result.stderr == "softsign: No space left on device\n"


def largest_open_file(leader: int) -> int:
    """Bytes of the largest file that a process of a session has open; it may have no name yet."""
    sizes = [0]
    for descriptor in (file for pid in in_session(leader) for file in Path(f"/proc/{pid}/fd").iterdir()):
        with contextlib.suppress(OSError):
            status = descriptor.stat()
            sizes.append(status.st_size if stat.S_ISREG(status.st_mode) else 0)
    return max(sizes)


@pytest.mark.parametrize(
    ("number", "code", "line"),
    [(signal.SIGINT, 130, "softsign: interrupted\n"), (signal.SIGTERM, 143, "softsign: terminated\n")],
)
def test_a_signal_in_the_middle_leaves_nothing(
    tmp_path: Path, number: signal.Signals, code: int, line: str
) -> None:
    sparse(tmp_path / "start.npy", 1 << 22, promised=1 << 36)
    arguments = (COMMAND, "apply", "/dev/stdin", "y.npy")
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stderr"), subprocess.PIPE)
    with started(*arguments, cwd=tmp_path, env=ENVIRONMENT, **pipes) as process:
        assert process.stdin is not None
        start = (tmp_path / "start.npy").read_bytes()
        assert os.write(process.stdin.fileno(), start) == len(start)
        wait_until(lambda: largest_open_file(process.pid) > 1 << 21)
        process.send_signal(number)
        process.wait(timeout=60)  # before its input ends, which it would tell, too
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert stderr == line
    assert [path.name for path in tmp_path.iterdir()] == ["start.npy"]


#: The start of a command whose work is a line of Python: it imports what it says, or works, for a minute.
WORK = """
import ctypes, os, sys, time
import softsign_command
softsign_command._ANSWER = 0.2  # seconds: it comes at once, or not at all
class Slow:
    def find_spec(self, name, *rest):
        if name == "softsign":
            work()
def work():
    print("at work", flush=True)
    {work}
if {importing}:
    sys.meta_path.insert(0, Slow())
else:
    import softsign.cli
    softsign.cli.main = work
softsign_command.main()
"""
#: As C++ that keeps the interpreter to itself: a signal ends a sleep there, but not the wait for a lock.
FOREIGN = "lock = ctypes.c_buffer(64); [ctypes.PyDLL(None).pthread_mutex_lock(lock) for _ in '12']"


@contextlib.contextmanager
def working(work: str, *, importing: bool = False, ignored: str = "CHLD") -> Iterator[Any]:
    """A command at work."""
    code = WORK.format(work=work, importing=importing)
    pipes: dict[str, Any] = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    with started("env", f"--ignore-signal={ignored}", sys.executable, "-c", code, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        yield process


def ended(leader: int) -> bool:
    return not in_session(leader)


@pytest.mark.parametrize("importing", [True, False], ids=["importing", "in C++"])
def test_signals_end_the_command_at_once(importing: bool) -> None:
    for number, code, line in (
        (signal.SIGINT, 130, "softsign: interrupted\n"),
        (signal.SIGTERM, 143, "softsign: terminated\n"),
        (signal.SIGHUP, 129, "softsign: ended, as the terminal was closed\n"),
        (signal.SIGKILL, -9, ""),
    ):
        with working("time.sleep(60)" if importing else FOREIGN, importing=importing) as process:
            process.send_signal(number)
            assert process.communicate(timeout=15) == ("", line)  # less than what may clean up gets
            assert process.returncode == code
            wait_until(functools.partial(ended, process.pid), seconds=30)


def test_what_nohup_ignores_stays_ignored() -> None:
    with working("time.sleep(60)", ignored="HUP") as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "softsign: interrupted\n")


def test_a_crash_is_told_in_one_line() -> None:
    with working("os.kill(os.getpid(), 11)") as process:
        assert process.communicate(timeout=30) == ("", "softsign: ended by signal 11, Segmentation fault\n")
        assert process.returncode == 128 + 11


@pytest.mark.parametrize("command", ["apply", "gradients"])
def test_commands_killed_at_random_moments(tmp_path: Path, command: str) -> None:
    """One moment for each signal; `python -m tests.kills` takes fifty, and the other commands too."""
    from tests import kills

    found = list(kills.kills(tmp_path, command, 1, seed=random.randrange(1 << 30)))
    assert [(kill.moment, kill.faults) for _, kill in found if kill.faults] == []
    assert sum(kill.code != 0 for _, kill in found) == 3


def shell(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `softsign` is the command."""
    path = f"{Path(COMMAND).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=ENVIRONMENT | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_pipes(x: Path) -> None:
    """Standard input and output by their names and as -, and process substitution."""
    chain = "cat x.npy | softsign apply - -o - | softsign apply /dev/stdin >(cat > y.npy); wait"
    result = shell(x.parent, chain)
    assert re.fullmatch(r"standard output: softsign, 1,001 x float32, .*\n", result.stderr), result.stderr
    assert re.fullmatch(r"/dev/fd/\d+: softsign, 1,001 x float32, .*\n", result.stdout)
    wait_until(lambda: x.with_name("y.npy").stat().st_size == x.stat().st_size)
    once = softsign.softsign(np.load(x))
    assert_same_bits(np.load(x.with_name("y.npy")), softsign.softsign(once))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("softsign info >&-", "standard output is closed; the command has nowhere to say what it did"),
        (
            "softsign apply - y.npy <&-",
            "Invalid value: standard input is closed; a file or a pipe is needed.",
        ),
        ("softsign apply big.npy - | true; exit ${PIPESTATUS[0]}", "standard output: Broken pipe"),
        ("softsign info | true; exit ${PIPESTATUS[0]}", "standard output: Broken pipe"),
        ("head -c 200 x.npy | softsign apply - y.npy", "is truncated: its header promises 4,004 bytes"),
    ],
)
def test_pipes_that_are_closed(x: Path, script: str, words: str) -> None:
    sparse(x.with_name("big.npy"), 1 << 22)
    was = contents(x.parent)
    result = shell(x.parent, script)
    assert result.returncode == 2
    assert result.stderr.startswith("softsign: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert contents(x.parent) == was


def test_closed_standard_error(x: Path) -> None:
    """The line that nobody reads does not go into a file that got its number."""
    result = shell(x.parent, "softsign apply x.npy y.npy 2>&-; softsign apply none.npy - 2>&- | wc -c")
    assert result.stdout.splitlines()[1:] == ["0"]
    assert_same_bits(np.load(x.with_name("y.npy")), softsign.softsign(np.load(x)))


def test_terminals_take_and_give_no_arrays(x: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor in (0, 1))
    assert "standard input is a terminal" in refused(x.parent, "apply", "-", "y.npy")
    assert "standard output is a terminal" in refused(x.parent, "apply", "x.npy", "-o", "-")


@pytest.mark.parametrize(
    ("name", "value"), [("SOFTSIGN_KERNELS", "best"), ("SOFTSIGN_NUM_THREADS", "0"), ("SOFTSIGN_CPU", "avx2")]
)
def test_a_wrong_environment_variable_is_told_in_one_line(name: str, value: str) -> None:
    result = shell(Path(), f"{name}={value} softsign info")
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(rf"softsign: {name} .*'{value}'\n", result.stderr)


def test_completion_in_bash() -> None:
    script = """
        eval "$(_SOFTSIGN_COMPLETE=source_bash softsign)"
        for words in "softsign onnx gr" "softsign apply --fun"; do
            COMP_WORDS=($words); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _softsign_completion softsign; echo "${COMPREPLY[*]}"
        done
    """
    result = shell(Path(), script)
    assert (result.stdout.split(), result.stderr) == (["gradients", "--function"], "")


def test_completion_imports_no_numpy() -> None:
    code = """
import sys, softsign_command
try:
    softsign_command.main()
finally:
    print({"numpy", "rich"} & set(sys.modules), file=sys.stderr)
"""
    words = {"_SOFTSIGN_COMPLETE": "complete_bash", "COMP_WORDS": "softsign de", "COMP_CWORD": "1"}
    result = run_python(code, **words)
    assert (result.stdout, result.stderr) == ("demo\n", "set()\n")


def test_memory_does_not_grow_with_the_file(x: Path) -> None:
    small = peak_kilobytes(x.parent, "apply", "x.npy", "y.npy")
    sparse(x, 1 << 26)
    large = peak_kilobytes(x.parent, "apply", "x.npy", "y.npy", "--force")
    assert x.with_name("y.npy").stat().st_size > 1 << 26
    x.with_name("y.npy").unlink()
    assert large - small < 10_000


@pytest.mark.parametrize(
    ("name", "magic", "options"),
    [
        ("softsign.png", b"\x89PNG", ()),
        ("one.svg", b"<?xml", ("--functions", "softsign", "--range", "-2", "2")),
        ("all.pdf", b"%PDF", ("--functions", ",".join(UNARY))),
        ("beside.svg", b"<?xml", ("--beside", "tanh,gelu", "--orders", "0,3", "--scale", "2")),
        ("tails.svg", b"<?xml", ("--view", "tails", "--beside", "isru")),
        ("plane.svg", b"<?xml", ("--view", "plane")),
        ("variants.svg", b"<?xml", ("--view", "variants", "--range", "-2", "2")),
        ("errors.svg", b"<?xml", ("--view", "errors")),
    ],
)
def test_plot(tmp_path: Path, name: str, magic: bytes, options: tuple[str, ...]) -> None:
    """In each format, of every function, with and without options; a picture that is there is replaced."""
    output = ("-o", name, "--force") if options else ()
    if output:
        (tmp_path / name).write_bytes(b"old")
    result = call(tmp_path, "plot", *output, *options)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{name}\n"
    assert (tmp_path / name).read_bytes().startswith(magic)


def test_info() -> None:
    shown = " ".join(call(Path(), "info", columns=200).stdout.split())
    for words in (softsign.__version__, softsign.cpu_features()["kernels"], np.__version__, "MiB"):
        assert words in shown
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    for extra, requirements in project["optional-dependencies"].items():
        (line,) = re.findall(rf"extra {extra} │ (.*?) │", shown)
        for requirement in requirements:
            name, bracket, _ = re.split(r"(\[|[<>=])", requirement, maxsplit=1)
            assert (f"extra {requirement[len(name) + 1 : -1]}" if bracket == "[" else name) in line


def test_info_imports_nothing_it_lists() -> None:
    result = run_python(
        "import sys; from softsign.cli import info; info.info(); print(*sys.modules, file=sys.stderr)"
    )
    assert result.returncode == 0
    assert set(result.stderr.split()).isdisjoint(
        ("matplotlib", "sklearn", "numba", "numexpr", "torch", "jax")
    )


def test_demo(tmp_path: Path) -> None:
    start = time.process_time()
    result = call(tmp_path, "demo", "--seed", "3")
    assert time.process_time() - start < 15  # processor time: the machine may be shared
    assert (result.returncode, result.stderr) == (0, "")
    output = result.stdout
    accuracy = re.search(r"softsign network, by numpy .* ([\d.]+)%", output)
    assert accuracy is not None
    assert float(accuracy[1]) >= 97
    wrong = re.findall(r"(?:softsign|derivative|inverse), float(?:32|64) +. +(\d+) ", output)
    assert wrong == ["0"] * 6
    for words in (
        "np.copyto(y, x)",
        "x / (1 + np.abs(x))",
        "picture: softsign-demo.png",
        "450 predictions agree",
    ):
        assert words in output
    onnx.checker.check_model(str(tmp_path / "softsign-demo.onnx"), full_check=True)
    assert (tmp_path / "softsign-demo.png").read_bytes().startswith(b"\x89PNG")
    assert "\x1b" not in output
    assert max(map(len, output.splitlines())) <= 80


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


def test_progress_shows_on_a_terminal_alone(x: Path, terminal: tuple[int, int]) -> None:
    sparse(x, 100_000_000)
    ours, theirs = terminal
    shown = b""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": theirs}
    with started(COMMAND, "apply", "x.npy", "y.npy", cwd=x.parent, env=ENVIRONMENT, **pipes) as process:
        os.close(theirs)
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
        except OSError:  # Linux's end of file on a terminal
            pass
        stdout, _ = process.communicate()
    x.with_name("y.npy").unlink()
    assert process.returncode == 0
    assert "\x1b" not in stdout
    text = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", shown.decode())
    assert "100%" in text
    assert "100.0/100.0 MB" in text
    assert "MB/s" in text or "GB/s" in text
    assert max(len(line) for line in re.split(r"[\r\n]+", text)) <= 80
