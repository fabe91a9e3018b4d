"""The processes that train for a study: on this machine, or a Dask cluster's."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from types import FrameType

from softsign.study.runs import Result, Trial

__all__ = ["StopError", "StudyError", "dask_workers", "local_workers", "uninterrupted", "work"]


class StudyError(RuntimeError):
    """A study cannot go on; the message says what is left and what to do."""


class StopError(Exception):
    """A training was told to stop, and has left a checkpoint."""


_WORKING = threading.Lock()  # held by a worker while it trains


def work(trial: Trial, folder: str) -> Result:
    """Train in a worker, as long as the study runs and the process that started the worker lives.

    Parameters
    ----------
    trial : Trial
        What to train.
    folder : str
        The study's folder.

    Returns
    -------
    Result
        What came of it.

    Raises
    ------
    StopError
        When the study does not run any more. A checkpoint is left.
    """
    from softsign.study.training import train

    running, parent = Path(folder, "running"), multiprocessing.parent_process()
    progress = Path(folder, f"{trial.name}.progress")

    def report(updates: int) -> None:
        if (parent and not parent.is_alive()) or not running.exists():
            raise StopError
        progress.write_text(str(updates))

    with _WORKING:
        try:
            report(0)
            return train(trial, folder, report)
        finally:
            progress.unlink(missing_ok=True)


def _start_server() -> None:
    """Start the process of which workers are forks.

    An interrupt at the keyboard reaches all processes of the terminal; `Study.run` tells workers to stop.
    They inherit from this process that it is blocked, from the first instruction on.
    """
    resource_tracker.ensure_running()  # at its start it unblocks what is blocked
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit when the process that started the worker is gone, which its queue of work does not tell."""
    parent = multiprocessing.parent_process()
    if parent:
        multiprocessing.connection.wait([parent.sentinel])
        with _WORKING:  # once the training that is under way has left its checkpoint
            os._exit(1)


@contextlib.contextmanager
def local_workers(workers: int | None = None) -> Iterator[Executor]:
    """Start processes on this machine.

    Parameters
    ----------
    workers : int, optional
        Number of processes, 1 or more. Default: one for each core.

    Yields
    ------
    concurrent.futures.Executor
        For `Study.run`.

    Raises
    ------
    ValueError
        If `workers` is less than 1.
    StudyError
        When one of the processes is killed.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}, but must be 1 or more")
    # PyTorch's threads do not survive a fork; importing it starts none, and takes seconds. So the workers are
    # forks of a process that has imported it and done nothing else.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["softsign.study._server", "softsign.study.training"])
    _start_server()
    ready = context.Process(target=os.getpid)
    ready.start()  # which takes until the server has imported all, and may be interrupted
    ready.join()
    count = workers or len(os.sched_getaffinity(0))
    try:
        with concurrent.futures.ProcessPoolExecutor(count, context, _start_worker) as executor:
            yield executor
    except concurrent.futures.BrokenExecutor:
        raise StudyError(
            "a worker process was killed, perhaps for want of memory; "
            "the same command goes on from the last checkpoints"
        ) from None


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let signals wait until processes are started and their executor knows of them.

    If it ended in between, it would take away the semaphores of a process that is about to open them, which
    would write a traceback.
    """
    if threading.current_thread() is not threading.main_thread():  # no other meets signals
        yield
        return
    waiting: list[int] = []

    def later(number: int, frame: FrameType | None) -> None:
        waiting.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, later) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in waiting:
            signal.raise_signal(late)


@contextlib.contextmanager
def dask_workers(address: str) -> Iterator[Executor]:
    """Use a Dask cluster. Needs ``distributed``.

    Its workers need this package, the study's folder under the same path, and one thread each
    (``dask worker --nthreads 1``).

    Parameters
    ----------
    address : str
        Address of the scheduler, such as "tcp://10.0.0.1:8786".

    Yields
    ------
    concurrent.futures.Executor
        For `Study.run`.

    Raises
    ------
    OSError
        When there is no scheduler at the address.
    StudyError
        When workers are killed again and again.
    """
    import distributed

    try:
        with distributed.Client(address) as client:
            yield client.get_executor(pure=False)
    except distributed.scheduler.KilledWorker as error:
        raise StudyError(
            f"workers of the cluster were killed ({error}); "
            "the same command goes on from the last checkpoints"
        ) from error
