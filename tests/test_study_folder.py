"""softsign.study.folder: results that last, whatever is killed, damaged or in the way."""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, cast

import pytest

from softsign.data.files import DatasetError
from softsign.study import folder, training
from softsign.study.folder import FILE, Study, check_data
from softsign.study.runs import Trial
from softsign.study.training import train
from softsign.study.workers import StudyError, dask_workers, local_workers
from tests.helpers import in_session, started, wait_until
from tests.study_helpers import pause_file, pause_trainings, train_with_pause
from tests.test_data_files import write_mnist
from tests.test_study_runs import small
from tests.test_study_training import trained, without_time

LONG = 10**6  # updates: hours


def trials(count: int = 2, **changes: Any) -> list[Trial]:
    return [small(seed=seed, **changes) for seed in range(count)]


def results_of(study: Study) -> dict[str, Any]:
    return {name: without_time(result) for name, result in study.results.items()}


def results_alone(study: Study) -> dict[str, Any]:
    return {trial.name: trained(trial) for trial in study.trials}


def threads() -> ThreadPoolExecutor:
    """Workers in this process, for what does not depend on processes; one of them trains at a time."""
    return ThreadPoolExecutor(2)


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Random images, which need no scikit-learn: each process takes seconds to import that."""
    place = tmp_path_factory.mktemp("noise")
    write_mnist(place, train=120, test=40)
    return str(place)


@pytest.fixture
def quick_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "POLL", 0.02)
    monkeypatch.setattr(training, "REPORT_EVERY", 0.02)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "REPORT_EVERY", 0.0)
    monkeypatch.setattr(training, "train", train_with_pause)


class InterruptError(Exception):
    """Stands for Ctrl-C."""


def interrupt_when_trained(under_way: Mapping[str, int]) -> None:
    if any(updates > 0 for updates in under_way.values()):
        raise InterruptError


@pytest.mark.usefixtures("quick_reports")
def test_processes_give_the_results_of_training_alone_and_a_killed_one_is_told(
    tmp_path: Path, noise: str
) -> None:
    """Two studies, one after the other, by the same processes, which take seconds to start."""
    study = Study(tmp_path / "a", trials(data=noise))
    assert not (tmp_path / "a").exists()  # until it runs
    longer = Study(tmp_path / "b", trials(data=noise, updates=LONG))
    seen: list[str] = []
    others = set(multiprocessing.active_children())

    def kill_one(under_way: Mapping[str, int]) -> None:
        if len(under_way) == 2 and min(under_way.values()) > 0:
            workers = set(multiprocessing.active_children()) - others
            os.kill(min(worker.pid or 0 for worker in workers), signal.SIGKILL)

    def run_both() -> None:
        with local_workers(2) as executor:
            study.run(executor, finished=lambda trial, result: seen.append(trial.name))
            longer.run(executor, kill_one)

    with pytest.raises(
        StudyError, match=r"a worker process was killed, .* goes on from the last checkpoints"
    ):
        run_both()
    assert sorted(seen) == sorted(trial.name for trial in study.trials)
    assert [file.name for file in (tmp_path / "a").iterdir()] == [FILE]
    alone = results_alone(study)
    assert results_of(study) == alone
    again = Study(tmp_path / "a")
    assert again.trials == study.trials
    assert results_of(again) == alone
    assert again.remaining() == []
    assert again.environment == study.environment
    assert set(again.environment) == {"softsign", "Python", "NumPy", "PyTorch", "processor", "cores"}
    assert Study(tmp_path / "b").results == {}


@pytest.mark.usefixtures("quick_reports", "pauses")
def test_an_interrupted_study_goes_on(tmp_path: Path) -> None:
    study = Study(tmp_path / "a", trials())
    pause_file(study.folder).touch()
    with pytest.raises(InterruptError), threads() as executor:
        study.run(executor, interrupt_when_trained)
    left = {file.name for file in study.folder.iterdir()}
    assert left == {FILE, study.trials[0].checkpoint}
    assert study.results == {}
    again = Study(tmp_path / "a", trials())
    pause_file(study.folder).unlink()
    with threads() as executor:
        again.run(executor)
    assert [file.name for file in study.folder.iterdir()] == [FILE]
    assert results_of(again) == results_alone(study)


KILLED = """
import sys
if __name__ == "__main__":
    from softsign.study.folder import Study
    from softsign.study.workers import local_workers
    with local_workers(2) as executor:
        Study(sys.argv[1]).run(executor)
else:  # a worker, which begins with this script
    from tests.study_helpers import pause_trainings
    pause_trainings()
"""


def test_workers_end_with_the_process_that_is_killed(tmp_path: Path, noise: str) -> None:
    """They notice, leave checkpoints, and end, though a third trial waits; the study goes on to the bit."""
    study = Study(tmp_path / "a", trials(3, data=noise))
    study.save()
    pause_file(study.folder).touch()
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    here = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with started(sys.executable, "-W", "ignore", script, study.folder, env=here) as process:
        wait_until(lambda: any(read(study.folder / f"{trial.name}.progress") > 0 for trial in study.trials))
        process.kill()
        process.wait()
        wait_until(lambda: not in_session(process.pid))
    assert 1 <= len(list(study.folder.glob("*.checkpoint"))) <= 2
    assert not list(study.folder.glob("*.progress"))
    pause_file(study.folder).unlink()
    again = Study(study.folder)
    with threads() as executor:
        again.run(executor)
    assert all(result["notes"] == [] for result in again.results.values())
    assert results_of(again) == results_alone(study)


def read(path: Path) -> int:
    return int(path.read_text() or 0) if path.exists() else 0


@pytest.mark.usefixtures("quick_reports")
def test_an_error_in_a_training_stops_the_others(tmp_path: Path) -> None:
    """The folder of a data set that is there when the study begins and gone when the worker looks."""
    study = Study(tmp_path, [small(data=str(tmp_path / "nowhere")), small(updates=LONG)])
    with pytest.raises(DatasetError, match="nowhere"), threads() as executor:
        study.run(executor)
    assert Study(tmp_path).results == {}


@pytest.mark.usefixtures("quick_reports")
def test_one_process_at_a_time(tmp_path: Path) -> None:
    study = Study(tmp_path, trials(updates=LONG))
    study.save()
    other = Study(tmp_path)

    def run_other(under_way: Mapping[str, int]) -> None:
        with threads() as second:
            other.run(second, lambda under_way: pytest.fail("two processes run one study"))

    with (
        pytest.raises(StudyError, match="is in use: another process runs this study"),
        threads() as executor,
    ):
        study.run(executor, run_other)


def test_a_study_of_other_trials_is_left_alone(tmp_path: Path) -> None:
    Study(tmp_path, trials()).save()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(
        StudyError,
        match=r"holds a study of other trials \(updates 150 instead of 160\); choose another folder",
    ):
        Study(tmp_path, trials(updates=160))
    with pytest.raises(StudyError, match="seed 0, 1 instead of 0, 1, 2"):
        Study(tmp_path, trials(3))
    with pytest.raises(StudyError, match="of other trials"):
        Study(tmp_path, trials()[::-1])
    assert (tmp_path / FILE).read_bytes() == before


def test_each_trial_and_each_result_has_a_line(tmp_path: Path) -> None:
    study = Study(tmp_path, trials())
    study.results = {study.trials[0].name: train(study.trials[0], tmp_path)}
    study.save()
    lines = (tmp_path / FILE).read_text().splitlines()
    assert [line.startswith('{"data":"digits"') for line in lines] == [False, True, True, False, False, False]
    assert lines[4].startswith(f'"{study.trials[0].name}":{{"dataset":"digits"')


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-10],
        lambda content: b"",
        lambda content: b"[]",
        lambda content: content.replace(b'"format":2', b'"format":3'),
        lambda content: content.replace(b'"depth":3', b'"depth":-3'),
        lambda content: content.replace(b'"depth":3', b'"deep":3'),
        lambda content: content.replace(b'"trials"', b'"runs"'),
        lambda content: content.replace(b'"results":{', b'"results":{"x":{"updates":3}'),
        lambda content: content.replace(b'"results":{', b'"results":{"x":7'),
        lambda content: b"[" * 100_000,
        lambda content: b"\xff" + content,
    ],
)
def test_a_damaged_study_is_told(tmp_path: Path, damage: Any) -> None:
    Study(tmp_path, trials()).save()
    file = tmp_path / FILE
    file.write_bytes(damage(file.read_bytes()))
    before = file.read_bytes()
    with pytest.raises(
        StudyError, match=r"study.json is damaged \(.*\); remove it, or choose another folder"
    ):
        Study(tmp_path, trials())
    assert file.read_bytes() == before


OTHER_KINDS: list[tuple[str, Any]] = [
    ("dataset", None),
    ("updates", 1.5),
    ("seconds", "long"),
    ("seconds", float("inf")),
    ("diverged", 0),
    ("test_error", [0.5]),
    ("jacobian", [1.0, "x"]),
    ("histograms", {}),
    ("histograms", [{"layer": 1, "low": 0.0, "high": 1.0}]),
    ("notes", [3]),
    ("history", {"updates": [0]}),
    ("history", []),
]


def test_a_result_of_another_kind_is_told(tmp_path: Path) -> None:
    study = Study(tmp_path, trials(1, updates=10))
    result: Any = train(study.trials[0], tmp_path) | {"notes": ["a note"]}
    study.results = {study.trials[0].name: result}
    study.save()
    file = tmp_path / FILE
    content = json.loads(file.read_bytes())
    assert Study(tmp_path).results == study.results == content["results"]
    for name, value in OTHER_KINDS:
        content["results"][study.trials[0].name] = result | {name: value}
        file.write_text(json.dumps(content))
        with pytest.raises(StudyError, match=rf"is damaged \({name} of a result is of another kind\)"):
            Study(tmp_path)


def test_a_checkpoint_beside_its_result_is_removed(tmp_path: Path) -> None:
    """A kill came between the two; the other trial has yet to go on from its own."""
    study = Study(tmp_path, trials())
    study.results = {study.trials[0].name: train(study.trials[0], tmp_path)}
    study.save()
    for trial in study.trials:
        (tmp_path / trial.checkpoint).touch()
    Study(tmp_path)
    assert (tmp_path / study.trials[0].checkpoint).exists()
    Study(tmp_path, trials())
    assert not (tmp_path / study.trials[0].checkpoint).exists()
    assert (tmp_path / study.trials[1].checkpoint).exists()


def test_a_study_of_an_earlier_format_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"format":1,"runs":[],"results":{},"environment":{}}')
    with pytest.raises(StudyError, match="is of an earlier version, whose studies this one does not read"):
        Study(tmp_path)


def test_no_study(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="holds no study"):
        Study(tmp_path)


def test_a_result_that_cannot_be_kept_leaves_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up while a training ends: the file is whole, and the training is not lost."""
    study = Study(tmp_path, trials(1, updates=10))
    study.save()
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)

    def full(path: Any, *, overwrite: bool) -> Any:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("softsign.study.folder.written_whole", full)
    with pytest.raises(OSError, match="No space left"), threads() as executor:
        study.run(executor)
    assert (tmp_path / study.trials[0].checkpoint).exists()
    assert Study(tmp_path).results == {}


def test_a_signal_waits_until_a_process_that_starts_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An executor that ended in between would take from it what it is about to open."""

    def start(process: Any) -> None:
        whole_start(process)
        signal.raise_signal(signal.SIGTERM)

    def end(number: int, frame: FrameType | None) -> NoReturn:
        known.append(len(cast(ProcessPoolExecutor, executor)._processes))
        raise InterruptError

    known: list[int] = []
    whole_start = ForkServerProcess.start
    before = signal.signal(signal.SIGTERM, end)
    try:
        with local_workers(1) as executor:
            monkeypatch.setattr(ForkServerProcess, "start", start)
            with pytest.raises(InterruptError):
                Study(tmp_path, trials(updates=2)).run(executor)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert known == [1]


def test_workers_must_be_one_or_more() -> None:
    with pytest.raises(ValueError, match="workers is 0, but must be 1 or more"), local_workers(0):
        pass


def test_results_are_json(tmp_path: Path) -> None:
    study = Study(tmp_path, [small(activation="relu", learning_rate=1e9), small(updates=0)])
    with threads() as executor:
        study.run(executor)
    content = json.loads((tmp_path / FILE).read_text(), parse_constant=pytest.fail)
    assert [content["results"][trial.name]["diverged"] for trial in study.trials] == [True, False]


@pytest.fixture(scope="module")
def cluster() -> Any:
    """Two processes that begin as copies of one that has imported, once, what takes seconds."""
    import dask
    import distributed

    multiprocessing.set_forkserver_preload(["distributed", training.__name__])
    forkserver.ensure_running()  # before Dask chooses what is imported
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50, host="127.0.0.1"
        ) as cluster,
    ):
        with distributed.Client(cluster) as client:
            client.run(pause_trainings)
        yield cluster


@pytest.mark.usefixtures("quick_reports")
def test_dask_gives_the_same_results(tmp_path: Path, noise: str, cluster: Any) -> None:
    study = Study(tmp_path / "a", trials(data=noise))
    with dask_workers(cluster.scheduler_address) as executor:
        study.run(executor)
    assert results_of(study) == results_alone(study)
    assert [file.name for file in study.folder.iterdir()] == [FILE]


@pytest.mark.usefixtures("quick_reports")
def test_an_interrupted_study_on_dask_goes_on(tmp_path: Path, noise: str, cluster: Any) -> None:
    study = Study(tmp_path / "a", trials(data=noise))
    pause_file(study.folder).touch()
    with pytest.raises(InterruptError), dask_workers(cluster.scheduler_address) as executor:
        study.run(executor, interrupt_when_trained)
    wait_until(lambda: not list(study.folder.glob("*.progress")))
    assert any((study.folder / trial.checkpoint).exists() for trial in study.trials)
    pause_file(study.folder).unlink()
    with dask_workers(cluster.scheduler_address) as executor:
        study.run(executor)
    assert results_of(study) == results_alone(study)


class Elsewhere:
    """An executor on a machine that sees another folder."""

    def __init__(self, executor: Any, folder: Path) -> None:
        self.executor, self.folder = executor, folder

    def submit(self, work: Any, trial: Trial, folder: str) -> Any:
        return self.executor.submit(work, trial, str(self.folder))


def test_a_folder_that_dask_does_not_share(tmp_path: Path, cluster: Any) -> None:
    study = Study(tmp_path / "a", trials(1))
    (tmp_path / "b").mkdir()
    with dask_workers(cluster.scheduler_address) as executor:
        elsewhere: Any = Elsewhere(executor, tmp_path / "b")
        with pytest.raises(
            StudyError, match="was not seen by a worker: the machines of a cluster must share it"
        ):
            study.run(elsewhere)
    assert Study(tmp_path / "a").results == {}
    assert list((tmp_path / "b").iterdir()) == []


def test_no_scheduler_at_the_address() -> None:
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "100ms"}),
        pytest.raises(OSError, match=r"127\.0\.0\.1:9"),
        dask_workers("tcp://127.0.0.1:9"),
    ):
        pass


def test_batch_larger_than_the_training_set() -> None:
    with pytest.raises(
        ValueError, match="batch_size is 2000, but must be at most the 1078 training examples"
    ):
        check_data([small(batch_size=2000)])
