"""The training study: many runs on the processes of this machine, or on a Dask cluster, with results in one folder.

The folder holds ``study.json``, the runs and the results so far, and checkpoints of the runs under way. A study that was
interrupted, killed or short of disk space goes on from there when it is started again.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import fcntl
import itertools
import json
import multiprocessing
import multiprocessing.connection
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from softsign import __version__
from softsign._files import written_whole
from softsign.learn.training import Result, Run, checkpoint_path, train

__all__ = ["PRESETS", "Study", "StudyError", "dask_workers", "grid", "local_workers", "preset"]

FILE = "study.json"
POLL = 0.5  # seconds between looks at what the runs have done

#: Keyword arguments of `grid`. The last has the protocol of Glorot and Bengio; they do not say which rates they tried.
PRESETS: dict[str, tuple[dict[str, Any], ...]] = {
    "quick": (
        {
            "data": "shapeset",
            "activations": ("softsign", "tanh", "sigmoid", "relu", "isru"),
            "initializations": ("standard", "normalized", "critical:0.1", "critical:0.5"),
            "depths": (5,),
            "width": 200,
            "batch": 10,
            "updates": 20_000,
            "rates": (0.01, 0.03, 0.1, 0.3),
            "momentum": 0.0,
            "seeds": (0,),
        },
    ),
    "deep": (
        {
            "data": "digits",
            "activations": ("softsign",),
            "initializations": (
                *(f"critical:{q}" for q in (0.001, 0.01, 0.1, 0.5, 1)),
                "normalized",
                "pytorch",
                "identity:0.085",
                "identity:0.5",
            ),
            "depths": (50,),
            "width": 256,
            "batch": 50,
            "updates": 1080,
            "rates": (0.0003, 0.001, 0.003, 0.01),
            "momentum": 0.9,
            "seeds": (0, 1, 2),
        },
        {
            "data": "digits",
            "activations": ("softsign",),
            # Their gradients are smaller, which might ask for larger rates.
            "initializations": ("normalized", "pytorch", "identity:0.085", "identity:0.5"),
            "depths": (50,),
            "width": 256,
            "batch": 50,
            "updates": 1080,
            "rates": (0.03, 0.1, 0.3),
            "momentum": 0.9,
            "seeds": (0, 1),
        },
        {
            "data": "digits",
            "activations": ("softsign",),
            "initializations": (
                *(f"critical:{q}" for q in (0.01, 0.1, 0.5, 1)),
                "normalized",
                "identity:0.085",
                "identity:0.5",
            ),
            "depths": (50,),
            "width": 1000,
            "batch": 50,
            "updates": 0,
            "rates": (0.01,),
            "momentum": 0.9,
            "seeds": tuple(range(10)),
        },
    ),
    "paper": (
        {
            "data": "shapeset",
            "activations": ("softsign", "tanh", "sigmoid", "relu", "isru"),
            "initializations": ("standard", "normalized", "critical:0.1"),
            "depths": (1, 2, 3, 4, 5),
            "width": 1000,
            "batch": 10,
            "updates": 5_000_000,
            "rates": (0.003, 0.01, 0.03, 0.1, 0.3),
            "momentum": 0.0,
            "seeds": (0,),
        },
    ),
}


class StudyError(RuntimeError):
    """A study cannot go on; the message says what is left and what to do."""


class _StopError(Exception):
    """A run was told to stop, and has left a checkpoint."""


def grid(
    *,
    data: str,
    activations: Sequence[str],
    initializations: Sequence[str],
    depths: Sequence[int],
    width: int,
    batch: int,
    updates: int,
    rates: Sequence[float],
    momentum: float,
    seeds: Sequence[int],
) -> list[Run]:
    """Combine each with each.

    Parameters
    ----------
    data, activations, initializations, depths, width, batch, updates, rates, momentum, seeds
        As of `softsign.learn.training.Run`.

    Returns
    -------
    list of Run
        Without duplicates.

    Raises
    ------
    ValueError
        If one is out of its range, or a sequence is empty.

    Examples
    --------
    >>> runs = grid(**PRESETS["quick"][0])
    >>> len(runs), runs[0].name
    (80, 'softsign-standard-5x200-20000x10-rate0.01-momentum0-seed0')
    """
    axes: dict[str, Sequence[Any]] = {
        "activations": activations,
        "initializations": initializations,
        "depths": depths,
        "rates": rates,
        "seeds": seeds,
    }
    for name, values in axes.items():
        if not values:
            raise ValueError(f"{name} is empty, but must have one item or more")
    runs = [
        Run(data, activation, initialization, depth, width, batch, updates, rate, momentum, seed)
        for activation, initialization, depth, rate, seed in itertools.product(*axes.values())
    ]
    return list(dict.fromkeys(runs))


def preset(name: str, **changes: Any) -> list[Run]:
    """Return the runs of a preset.

    Parameters
    ----------
    name : str
        One of `PRESETS`.
    **changes
        Arguments of `grid` that replace those of the preset. With any, only the preset's first grid is taken.

    Returns
    -------
    list of Run

    Raises
    ------
    ValueError
        If there is no such preset, or a change is out of its range.

    Examples
    --------
    >>> len(preset("paper")), len(preset("paper", depths=[5], rates=[0.1]))
    (375, 15)
    """
    if name not in PRESETS:
        raise ValueError(f"preset is {name!r}, but must be one of {', '.join(PRESETS)}")
    grids = PRESETS[name][:1] if changes else PRESETS[name]
    return [run for arguments in grids for run in grid(**(arguments | changes))]


class Study:
    """Runs and their results, kept in a folder.

    Parameters
    ----------
    folder : path-like
        Made if it does not exist. If it holds a study already, this one goes on with it.
    runs : list of Run, optional
        What to train. Default: what the study in the folder has.

    Attributes
    ----------
    folder : Path
    runs : list of Run
    results : dict
        What `softsign.learn.training.train` returned, by the name of the run.
    environment : dict
        Versions and the processor on which the study began.

    Raises
    ------
    StudyError
        If the folder holds a study of other runs, a damaged one, or, without `runs`, none.

    Examples
    --------
    >>> import tempfile
    >>> runs = preset("deep", depths=[1], updates=10, width=10, rates=[0.1], seeds=[0], initializations=["standard"])
    >>> study = Study(tempfile.mkdtemp(), runs)
    >>> with local_workers(1) as executor:
    ...     study.run(executor)
    >>> [result["updates"] for result in study.results.values()], study.remaining()
    ([10], [])
    """

    def __init__(self, folder: str | os.PathLike[str], runs: Sequence[Run] | None = None) -> None:
        self.folder = Path(folder)
        file = self.folder / FILE
        if file.exists():
            self._load(file, runs)
        elif runs is None:
            raise StudyError(f"{folder} holds no study")
        else:
            self.runs = list(runs)
            self.results: dict[str, Result] = {}
            self.environment = _environment()
            self.folder.mkdir(parents=True, exist_ok=True)
            self._save()

    def remaining(self) -> list[Run]:
        """Return the runs that have no result yet."""
        return [run for run in self.runs if run.name not in self.results]

    def run(
        self,
        executor: Executor,
        progress: Callable[[Mapping[str, int]], None] | None = None,
        finished: Callable[[Run, Result], None] | None = None,
    ) -> None:
        """Train what remains.

        Parameters
        ----------
        executor : concurrent.futures.Executor
            From `local_workers` or `dask_workers`.
        progress : callable, optional
            Called twice a second with the updates that each run under way has done, by its name.
        finished : callable, optional
            Called with each run that has ended and its result, which is in the file by then.

        Raises
        ------
        StudyError
            If another process is at work in the folder, or workers do not see it.
        Exception
            The first that a run raises. The others stop then, as after an interrupt: each leaves a checkpoint.
        """
        with self._running():
            waiting = {
                executor.submit(_work, run, str(self.folder.resolve())): run for run in self.remaining()
            }
            try:
                while waiting:
                    done, _ = concurrent.futures.wait(waiting, POLL, concurrent.futures.FIRST_COMPLETED)
                    for future in done:
                        run = waiting.pop(future)
                        self._add(run, future)
                        if finished:
                            finished(run, self.results[run.name])
                    if progress:
                        progress(self._under_way())
            finally:
                for future in waiting:
                    future.cancel()

    def _add(self, run: Run, future: concurrent.futures.Future[Result]) -> None:
        try:
            self.results[run.name] = future.result()
        except _StopError:
            raise StudyError(
                f"{self.folder} was not seen by a worker: the machines of a cluster must share it, under the same path"
            ) from None
        self._save()
        checkpoint_path(run, self.folder).unlink(missing_ok=True)

    def _under_way(self) -> dict[str, int]:
        updates = {}
        for file in self.folder.glob("*.progress"):
            with contextlib.suppress(OSError, ValueError):  # it is being written, or has just been removed
                updates[file.stem] = int(file.read_text())
        return updates

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        """Keep the file that tells runs to go on, and other processes to keep out."""
        path = self.folder / "running"
        with open(path, "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StudyError(f"{self.folder} is in use: another process runs this study") from None
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def _save(self) -> None:
        content = {
            "format": 1,
            "environment": self.environment,
            "runs": [dataclasses.asdict(run) for run in self.runs],
            "results": self.results,
        }
        with written_whole(self.folder / FILE, overwrite=True) as file:
            file.write(json.dumps(content, separators=(",", ":"), allow_nan=False).encode())
            file.flush()
            os.fsync(file.fileno())

    def _load(self, file: Path, runs: Sequence[Run] | None) -> None:
        try:
            content = json.loads(file.read_bytes())
            if content["format"] != 1:
                raise ValueError(f"its format is {content['format']}, not 1")
            self.runs = [Run(**run) for run in content["runs"]]
            self.results = dict(content["results"])
            self.environment = dict(content["environment"])
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(f"{file} is damaged ({error}); remove it, or choose another folder") from error
        if runs is not None and list(runs) != self.runs:
            raise StudyError(
                f"{self.folder} holds a study of other runs ({_difference(self.runs, runs)}); choose another folder"
            )


def _difference(there: Sequence[Run], asked: Sequence[Run]) -> str:
    """Say in which attribute two lists of runs differ, and how."""
    for field in dataclasses.fields(Run):
        old, new = (list(dict.fromkeys(getattr(run, field.name) for run in runs)) for runs in (there, asked))
        if old != new:
            return f"{field.name} {', '.join(map(str, old))} instead of {', '.join(map(str, new))}"
    return f"{len(there)} instead of {len(asked)}"


_WORKING = threading.Lock()  # held by a worker while it trains


def _work(run: Run, folder: str) -> Result:
    """Train in a worker, which goes on as long as the study runs and the process that started the worker lives."""
    running, parent = Path(folder, "running"), os.getppid()
    progress = Path(folder, f"{run.name}.progress")

    def report(updates: int) -> None:
        if os.getppid() != parent or not running.exists():
            raise _StopError
        progress.write_text(str(updates))

    with _WORKING:
        try:
            report(0)
            return train(run, folder, report)
        finally:
            progress.unlink(missing_ok=True)


def _start_worker() -> None:
    # An interrupt at the keyboard reaches all processes of the terminal; `Study.run` tells these to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit when the process that started the worker is gone, which its queue of work does not tell."""
    parent = multiprocessing.parent_process()
    if parent:
        multiprocessing.connection.wait([parent.sentinel])
        with _WORKING:  # once the run that is under way has left its checkpoint
            os._exit(1)


@contextlib.contextmanager
def local_workers(workers: int | None = None) -> Iterator[Executor]:
    """Start processes on this machine.

    Parameters
    ----------
    workers : int, optional
        How many, 1 or more. Default: one for each core.

    Yields
    ------
    concurrent.futures.Executor

    Raises
    ------
    ValueError
        If `workers` is less than 1.
    StudyError
        When one of the processes is killed.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}, but must be 1 or more")
    context = multiprocessing.get_context("spawn")  # threads of PyTorch do not survive a fork
    count = workers or len(os.sched_getaffinity(0))
    try:
        with concurrent.futures.ProcessPoolExecutor(count, context, _start_worker) as executor:
            yield executor
    except concurrent.futures.BrokenExecutor:
        raise StudyError(
            "a worker process was killed, perhaps for want of memory; the same command goes on from the last checkpoints"
        ) from None


@contextlib.contextmanager
def dask_workers(address: str) -> Iterator[Executor]:
    """Use a Dask cluster. Needs ``distributed``.

    Its workers need this package, the study's folder under the same path, and one thread each
    (``dask worker --nthreads 1``).

    Parameters
    ----------
    address : str
        Of the scheduler, such as "tcp://10.0.0.1:8786".

    Yields
    ------
    concurrent.futures.Executor

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
            f"workers of the cluster were killed ({error}); the same command goes on from the last checkpoints"
        ) from error


def _environment() -> dict[str, str]:
    import numpy as np
    import torch

    return {
        "softsign": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "PyTorch": torch.__version__,
        "processor": _processor(),
        "cores": str(os.cpu_count()),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
