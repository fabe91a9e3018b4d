"""The training study: many trainings in processes of this machine or of a Dask cluster, and their results.

The folder holds ``study.json``, the trials and the results so far, and checkpoints of the trainings under
way. A study that was interrupted, killed or short of disk space goes on from there when it is started again.
PyTorch is imported by what trains alone, which takes it seconds: results are read without it.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import fcntl
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, cast, get_args, get_origin, get_type_hints, is_typeddict

from softsign import __version__
from softsign._files import written_whole
from softsign.study.runs import Result, Trial, check_batch_size
from softsign.study.workers import StopError, StudyError, uninterrupted, work

__all__ = ["FILE", "Study", "check_data"]

FILE = "study.json"
FORMAT = 2
POLL = 0.5  # seconds between looks at what the trainings have done


class Study:
    """Trials and their results, kept in a folder.

    Parameters
    ----------
    folder : path-like
        Where it is kept. If it holds a study already, this one goes on with it; else it is made by `run` or
        `save`.
    trials : sequence of Trial, optional
        What to train. Default: what the study in the folder has.

    Attributes
    ----------
    folder : Path
        Where it is kept.
    trials : list of Trial
        What to train.
    results : dict of str to Result
        What `softsign.study.training.train` returned, by the name of the trial.
    environment : dict of str to str
        Versions and the processor with which the study began; empty before.

    Raises
    ------
    StudyError
        If the folder holds a study of other trials, a damaged one, or, without `trials`, none.

    Examples
    --------
    >>> import tempfile
    >>> from softsign.study.runs import preset
    >>> from softsign.study.workers import local_workers
    >>> small = {"depths": [1], "width": 10, "updates": 10, "seeds": [0]}
    >>> trials = preset("deep", initializations=["standard"], learning_rates=[0.1], **small)
    >>> study = Study(tempfile.mkdtemp(), trials)
    >>> with local_workers(1) as executor:
    ...     study.run(executor)
    >>> [result["updates"] for result in study.results.values()], study.remaining()
    ([10], [])
    """

    def __init__(self, folder: str | os.PathLike[str], trials: Sequence[Trial] | None = None) -> None:
        self.folder = Path(folder)
        self.results: dict[str, Result] = {}
        self.environment: dict[str, str] = {}
        file = self.folder / FILE
        if file.exists():
            self._load(file, trials)
            if trials is not None:
                self._clean()
        elif trials is None:
            raise StudyError(f"{folder} holds no study")
        else:
            self.trials = list(trials)

    def remaining(self) -> list[Trial]:
        """Return the trials that have no result yet.

        Returns
        -------
        list of Trial
            In the order of the study.
        """
        return [trial for trial in self.trials if trial.name not in self.results]

    def run(
        self,
        executor: Executor,
        progress: Callable[[Mapping[str, int]], None] | None = None,
        finished: Callable[[Trial, Result], None] | None = None,
    ) -> None:
        """Train what remains.

        Parameters
        ----------
        executor : concurrent.futures.Executor
            From `local_workers` or `dask_workers`.
        progress : callable, optional
            Called twice a second with the updates that each training under way has done, by the name of its
            trial.
        finished : callable, optional
            Called with each trial whose training has ended and its result, which is in the file by then.

        Raises
        ------
        StudyError
            If another process is at work in the folder, or workers do not see it.
        Exception
            The first that a training raises. The others stop then, as after an interrupt: each leaves a
            checkpoint.
        """
        environment = self.environment or _environment()
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._running():
            if not (self.folder / FILE).exists():
                self.environment = environment
                self.save()
            folder = str(self.folder.resolve())
            with uninterrupted():
                waiting = {executor.submit(work, trial, folder): trial for trial in self.remaining()}
            try:
                while waiting:
                    done, _ = concurrent.futures.wait(waiting, POLL, concurrent.futures.FIRST_COMPLETED)
                    for future in done:
                        trial = waiting.pop(future)
                        self._add(trial, future)
                        if finished:
                            finished(trial, self.results[trial.name])
                    if progress:
                        progress(self._under_way())
            finally:
                for future in waiting:
                    future.cancel()

    def save(self) -> None:
        """Write trials and results into the folder, whole or not at all, and a line of JSON for each.

        Raises
        ------
        OSError
            If the file cannot be written. The one before is kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        trials = [_json(dataclasses.asdict(trial)) for trial in self.trials]
        results = [f"{_json(name)}:{_json(result)}" for name, result in self.results.items()]
        lines = [
            f'{{"format":{FORMAT},"environment":{_json(self.environment)},"trials":[',
            ",\n".join(trials),
            '],"results":{',
            ",\n".join(results),
            "}}\n",
        ]
        with written_whole(self.folder / FILE, overwrite=True) as file:
            file.write("\n".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())

    def _load(self, file: Path, trials: Sequence[Trial] | None) -> None:
        try:
            content = json.loads(file.read_bytes())
            if content["format"] == 1:
                raise StudyError(
                    f"{file} is of an earlier version, whose studies this one does not read; "
                    "choose another folder"
                )
            if content["format"] != FORMAT:
                raise ValueError(f"its format is {content['format']}, not {FORMAT}")
            self.trials = [Trial(**trial) for trial in content["trials"]]
            self.results = {name: _checked(result) for name, result in content["results"].items()}
            self.environment = dict(content["environment"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StudyError(f"{file} is damaged ({error}); remove it, or choose another folder") from error
        if trials is not None and list(trials) != self.trials:
            raise StudyError(
                f"{self.folder} holds a study of other trials ({_difference(self.trials, trials)}); "
                "choose another folder"
            )

    def _add(self, trial: Trial, future: concurrent.futures.Future[Result]) -> None:
        try:
            self.results[trial.name] = future.result()
        except StopError:
            raise StudyError(
                f"{self.folder} was not seen by a worker: the machines of a cluster must share it, "
                "under the same path"
            ) from None
        self.save()
        (self.folder / trial.checkpoint).unlink(missing_ok=True)

    def _clean(self) -> None:
        """Remove checkpoints that a kill has left beside the results that came of them."""
        for trial in self.trials:
            if trial.name in self.results:
                (self.folder / trial.checkpoint).unlink(missing_ok=True)

    def _under_way(self) -> dict[str, int]:
        updates = {}
        for file in self.folder.glob("*.progress"):
            with contextlib.suppress(OSError, ValueError):  # it is being written, or has just been removed
                updates[file.stem] = int(file.read_text())
        return updates

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        """Keep the file that tells trainings to go on, and other processes to keep out."""
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


def _checked(result: Any) -> Result:
    missing = Result.__required_keys__ - dict(result).keys()
    if missing:
        raise ValueError(f"a result lacks {', '.join(sorted(missing))}")
    for name, kind in get_type_hints(Result).items():
        if not _is(result[name], kind):
            raise ValueError(f"{name} of a result is of another kind")
    return cast(Result, result)


def _is(value: Any, kind: Any) -> bool:
    """Return whether a value from JSON is of a type of which `Result` is made."""
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        return isinstance(value, dict) and all(_is(value.get(name), hints[name]) for name in hints)
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_is(item, *get_args(kind)) for item in value)
    if get_args(kind):  # a union
        return any(_is(value, one) for one in get_args(kind))
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind


def _json(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def _difference(there: Sequence[Trial], asked: Sequence[Trial]) -> str:
    """Say in which attribute two lists of trials differ, and how."""
    for field in dataclasses.fields(Trial):
        old, new = (
            list(dict.fromkeys(getattr(trial, field.name) for trial in trials)) for trials in (there, asked)
        )
        if old != new:
            return f"{field.name} {', '.join(map(str, old))} instead of {', '.join(map(str, new))}"
    return f"{len(there)} instead of {len(asked)}"


def check_data(trials: Iterable[Trial]) -> None:
    """Raise what training would, if the data are missing or damaged, or too few for a batch.

    Parameters
    ----------
    trials : iterable of Trial
        What is to be trained.

    Raises
    ------
    DatasetError
        As `softsign.data.files.load`.
    ValueError
        If a batch is larger than the training set.
    """
    from softsign.data import files

    for trial in {(trial.data, trial.batch_size): trial for trial in trials}.values():
        if trial.data != "shapeset":
            check_batch_size(trial, len(files.load(trial.data).train_x))


def _environment() -> dict[str, str]:
    if importlib.util.find_spec("torch") is None:  # the workers would say so, after the folder was made
        raise ModuleNotFoundError("No module named 'torch'", name="torch")
    return {
        "softsign": __version__,
        "Python": platform.python_version(),
        "NumPy": importlib.metadata.version("numpy"),
        "PyTorch": importlib.metadata.version("torch"),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
