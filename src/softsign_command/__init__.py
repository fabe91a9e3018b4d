"""The command ``softsign`` from its first line on: a process that does the work, and one that watches it.

Python tells its own code of a signal between two instructions, and the C++ of others, such as ONNX's checker,
may have none for minutes. The process that the user started therefore does nothing but wait. At a signal it
says so, gives the other a moment to clean up, and kills it where that takes too long. As the package and
NumPy take time to import, which is work, too, this stands outside the package.
"""

import contextlib
import os
import select
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

__all__ = ["main"]

#: The signals that end the command, and what it says then. The exit code is 128 plus their number.
_ENDS: dict[int, str] = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "ended, as the terminal was closed",
}
_WORKER_ENDS: dict[int, str] = {**_ENDS, signal.SIGKILL: "killed, perhaps for want of memory"}
_ANSWER = 1.0  # seconds in which the worker has to answer a signal: longer, and C++ is at work
_CLEANUP = 20.0  # seconds that it has, having answered: the workers of a study leave checkpoints
_PR_SET_PDEATHSIG = 1


def main() -> NoReturn:
    """Run the command in a process of its own, and exit with its exit code."""
    if "_SOFTSIGN_COMPLETE" in os.environ:
        _leave_numpy_out()
        from softsign.cli import main as complete

        complete()
    _fill_descriptors()
    answers, answer = os.pipe()
    watcher = os.getpid()
    # What the caller ignores, as nohup and shells without job control do, stays ignored.
    ends = [number for number in _ENDS if signal.getsignal(number) != signal.SIG_IGN]
    awaited: set[int] = {*ends, signal.SIGCHLD}
    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # ignored, it would not be awaited either
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    worker = os.fork()
    if not worker:
        _work(watcher, answer, ends)
    os.close(answer)
    os._exit(_watch(worker, answers, awaited))


def _watch(worker: int, answers: int, awaited: set[int]) -> int:
    """Wait for a signal or for the worker's end, and return the exit code."""
    while (number := signal.sigwait(awaited)) == signal.SIGCHLD:
        done, status = os.waitpid(worker, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code >= 0:
                return code
            _say(_WORKER_ENDS.get(-code, f"ended by signal {-code}, {signal.strsignal(-code)}"))
            return 128 - code
    _say(_ENDS[number])
    _end(worker, answers, number)
    return 128 + number


def _end(worker: int, answers: int, number: int) -> None:
    """Let the worker end, or end it."""
    os.kill(worker, number)
    answered = bool(select.select([answers], [], [], _ANSWER)[0])
    deadline = time.monotonic() + (_CLEANUP if answered else 0)
    while not os.waitpid(worker, os.WNOHANG)[0]:
        if time.monotonic() > deadline:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
            return
        time.sleep(0.005)


def _work(watcher: int, answer: int, ends: list[int]) -> NoReturn:
    """Import and run the command."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != watcher:  # it was killed before that was asked for
        os._exit(1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in ends:  # nothing is to be cleaned up before all is imported
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [*ends, signal.SIGCHLD])
    if sys.argv[1:2] == ["explore"]:
        _leave_numpy_out()
    try:
        from softsign.cli import main as command
    except (ImportError, ValueError) as error:  # a value that an environment variable cannot have
        _say(" ".join([str(error), *getattr(error, "__notes__", [])]))
        sys.exit(2)

    def end(number: int, frame: FrameType | None) -> NoReturn:
        for other in ends:
            signal.signal(other, signal.SIG_IGN)
        os.write(answer, b".")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the line is the watcher's; nothing follows it
        sys.exit(128 + number)

    for number in ends:
        signal.signal(number, end)
    command()


def _say(message: str) -> None:
    """Write one line on standard error, below what a progress bar, whose cursor is hidden, has there."""
    start = "\x1b[?25h\n" if os.isatty(2) else ""
    with contextlib.suppress(OSError):  # nobody listens
        os.write(2, f"{start}softsign: {message}\n".encode())


def _fill_descriptors() -> None:
    """Let no file that is opened later take the place of a standard stream that the caller has closed."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
            os.set_inheritable(descriptor, True)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _leave_numpy_out() -> None:
    """Let the package be bare, as it imports NumPy, for what computes nothing while somebody waits.

    That is the shell that completes a line, and the explorer, whose page computes by itself.
    """
    from importlib.machinery import ModuleSpec
    from importlib.util import find_spec, module_from_spec

    found = find_spec("softsign")
    assert found is not None
    bare = ModuleSpec("softsign", None, is_package=True)
    bare.submodule_search_locations = found.submodule_search_locations
    sys.modules["softsign"] = module_from_spec(bare)
