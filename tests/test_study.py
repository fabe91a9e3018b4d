"""softsign.learn.study: grids, results that last, and what happens when something is killed, damaged or in the way."""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from softsign.learn.study import FILE, PRESETS, Study, StudyError, dask_workers, grid, local_workers, preset
from softsign.learn.training import Result, Run, checkpoint_path, train
from tests.helpers import in_session, started, wait_until
from tests.test_training import SMALL, small, without_time

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

LONG = 10**6  # updates: hours


def runs(count: int = 2, **changes: Any) -> list[Run]:
    return [small(seed=seed, **changes) for seed in range(count)]


def results_of(study: Study) -> dict[str, Result]:
    return {name: without_time(result) for name, result in study.results.items()}


class InterruptError(Exception):
    """Stands for Ctrl-C."""


def interrupt_when_trained(under_way: Mapping[str, int]) -> None:
    if len(under_way) == 2 and min(under_way.values()) > 0:
        raise InterruptError


def test_grid_combines_each_with_each() -> None:
    arguments = dict(
        SMALL,
        activations=["tanh", "relu"],
        initializations=["standard"],
        depths=[1, 2],
        rates=[0.1],
        seeds=[0, 1, 1],
    )
    for name in ("activation", "initialization", "depth", "rate", "seed"):
        del arguments[name]
    found = grid(**arguments)
    assert len(found) == len(set(found)) == 8
    assert {(run.activation, run.depth, run.seed) for run in found} == {
        (activation, depth, seed) for activation in ("tanh", "relu") for depth in (1, 2) for seed in (0, 1)
    }
    assert len({run.name for run in found}) == 8
    with pytest.raises(ValueError, match="rates is empty, but must have one item or more"):
        grid(**arguments | {"rates": []})


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name: str) -> None:
    found = preset(name)
    assert len(found) == len({run.name for run in found})
    changed = preset(name, width=7, seeds=[3])
    assert {(run.width, run.seed) for run in changed} == {(7, 3)}


def test_the_papers_preset_is_its_protocol() -> None:
    for run in preset("paper"):
        assert (run.width, run.batch, run.updates, run.momentum) == (1000, 10, 5_000_000, 0)
    assert {run.depth for run in preset("paper")} == {1, 2, 3, 4, 5}


def test_unknown_preset() -> None:
    with pytest.raises(ValueError, match="preset is 'huge', but must be one of quick, deep, paper"):
        preset("huge")


def test_results_are_those_of_training_alone_and_last(tmp_path: Path) -> None:
    study = Study(tmp_path / "a", runs())
    seen: list[str] = []
    with local_workers(2) as executor:
        study.run(executor, finished=lambda run, result: seen.append(run.name))
    assert sorted(seen) == sorted(run.name for run in study.runs)
    assert [file.name for file in (tmp_path / "a").iterdir()] == [FILE]
    alone = {run.name: without_time(train(run, tmp_path)) for run in runs()}
    assert results_of(study) == alone
    again = Study(tmp_path / "a")
    assert again.runs == runs()
    assert results_of(again) == alone
    assert again.remaining() == []
    assert again.environment == study.environment
    assert set(again.environment) == {"softsign", "Python", "NumPy", "PyTorch", "processor", "cores"}


def test_an_interrupted_study_goes_on(tmp_path: Path) -> None:
    updates = 4000
    study = Study(tmp_path / "a", runs(3, updates=updates))
    with pytest.raises(InterruptError), local_workers(2) as executor:
        study.run(executor, interrupt_when_trained)
    left = {file.name for file in study.folder.iterdir()}
    assert left == {FILE, *(checkpoint_path(run, "").name for run in study.runs[:2])}
    assert study.results == {}
    again = Study(tmp_path / "a", runs(3, updates=updates))
    with local_workers(2) as executor:
        again.run(executor)
    assert [file.name for file in study.folder.iterdir()] == [FILE]
    assert results_of(again) == {run.name: without_time(train(run, tmp_path)) for run in study.runs}


def test_a_killed_worker_is_told_and_the_other_leaves_a_checkpoint(tmp_path: Path) -> None:
    study = Study(tmp_path, runs(updates=LONG))

    def kill_one(under_way: Mapping[str, int]) -> None:
        if len(under_way) == 2 and min(under_way.values()) > 0:
            os.kill(min(child.pid or 0 for child in multiprocessing.active_children()), signal.SIGKILL)

    with (
        pytest.raises(StudyError, match=r"a worker process was killed, .* goes on from the last checkpoints"),
        local_workers(2) as executor,
    ):
        study.run(executor, kill_one)
    assert Study(tmp_path).results == {}


KILLED = """
import sys
from softsign.learn.study import Study, local_workers
study = Study(sys.argv[1])
if __name__ == "__main__":
    with local_workers(2) as executor:
        study.run(executor)
"""


def test_workers_end_with_the_process_that_is_killed(tmp_path: Path) -> None:
    """They notice, leave checkpoints, and end; the study goes on from there to the bit."""
    study = Study(tmp_path / "a", runs(updates=5000))
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    with started(sys.executable, "-W", "ignore", script, study.folder) as process:
        wait_until(lambda: all(read(study.folder / f"{run.name}.progress") > 0 for run in study.runs))
        process.kill()
        process.wait()
        wait_until(lambda: not in_session(process.pid))
    assert all(checkpoint_path(run, study.folder).exists() for run in study.runs)
    assert not list(study.folder.glob("*.progress"))
    again = Study(study.folder)
    with local_workers(2) as executor:
        again.run(executor)
    assert all(result["notes"] == [] for result in again.results.values())
    assert results_of(again) == {run.name: without_time(train(run, tmp_path)) for run in study.runs}


def read(path: Path) -> int:
    return int(path.read_text() or 0) if path.exists() else 0


def test_an_error_in_a_run_stops_the_others(tmp_path: Path) -> None:
    """The folder of a data set that is there when the study begins and gone when the worker looks."""
    study = Study(tmp_path, [small(data=str(tmp_path / "nowhere")), small(updates=LONG)])
    with pytest.raises(Exception, match="nowhere"), local_workers(2) as executor:
        study.run(executor)
    assert Study(tmp_path).results == {}


def test_one_process_at_a_time(tmp_path: Path) -> None:
    study, other = Study(tmp_path, runs(updates=LONG)), Study(tmp_path)

    def run_other(under_way: Mapping[str, int]) -> None:
        with local_workers(1) as second:
            other.run(second, lambda under_way: pytest.fail("two processes run one study"))

    with (
        pytest.raises(StudyError, match="is in use: another process runs this study"),
        local_workers(2) as executor,
    ):
        study.run(executor, run_other)


def test_a_study_of_other_runs_is_left_alone(tmp_path: Path) -> None:
    Study(tmp_path, runs())
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(
        StudyError, match=r"holds a study of other runs \(updates 150 instead of 160\); choose another folder"
    ):
        Study(tmp_path, runs(updates=160))
    with pytest.raises(StudyError, match="seed 0, 1 instead of 0, 1, 2"):
        Study(tmp_path, runs(3))
    with pytest.raises(StudyError, match="of other runs"):
        Study(tmp_path, runs()[::-1])
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-10],
        lambda content: b"",
        lambda content: b"[]",
        lambda content: content.replace(b'"format":1', b'"format":2'),
        lambda content: content.replace(b'"depth":3', b'"depth":-3'),
        lambda content: content.replace(b'"depth":3', b'"deep":3'),
        lambda content: content.replace(b'"runs"', b'"Runs"'),
        lambda content: b"\xff" + content,
    ],
)
def test_a_damaged_study_is_told(tmp_path: Path, damage: Any) -> None:
    Study(tmp_path, runs())
    file = tmp_path / FILE
    file.write_bytes(damage(file.read_bytes()))
    before = file.read_bytes()
    with pytest.raises(
        StudyError, match=r"study.json is damaged \(.*\); remove it, or choose another folder"
    ):
        Study(tmp_path, runs())
    assert file.read_bytes() == before


def test_no_study(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="holds no study"):
        Study(tmp_path)


def test_a_result_that_cannot_be_kept_leaves_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up while a run ends: the study in the file is whole, and the run is not lost."""
    study = Study(tmp_path, runs(1, updates=4000))

    def full(path: Any, *, overwrite: bool) -> Any:
        raise OSError(28, "No space left on device", str(path))

    def interrupt(under_way: Mapping[str, int]) -> None:
        if under_way and min(under_way.values()) > 0:
            raise InterruptError

    with pytest.raises(InterruptError), local_workers(1) as executor:
        study.run(executor, interrupt)
    monkeypatch.setattr("softsign.learn.study.written_whole", full)
    with pytest.raises(OSError, match="No space left"), local_workers(1) as executor:
        study.run(executor)
    assert checkpoint_path(study.runs[0], tmp_path).exists()
    assert Study(tmp_path).results == {}


def test_workers_must_be_one_or_more() -> None:
    with pytest.raises(ValueError, match="workers is 0, but must be 1 or more"), local_workers(0):
        pass


def test_results_are_json(tmp_path: Path) -> None:
    study = Study(tmp_path, [small(activation="relu", rate=1e9), small(updates=0)])
    with local_workers(1) as executor:
        study.run(executor)
    content = json.loads((tmp_path / FILE).read_text(), parse_constant=pytest.fail)
    assert [result["diverged"] for result in content["results"].values()] == [True, False]


@pytest.fixture(scope="module")
def cluster() -> Any:
    import distributed

    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50, host="127.0.0.1"
    ) as cluster:
        yield cluster


def test_dask_gives_the_same_results(tmp_path: Path, cluster: Any) -> None:
    study = Study(tmp_path / "a", runs())
    with dask_workers(cluster.scheduler_address) as executor:
        study.run(executor)
    assert results_of(study) == {run.name: without_time(train(run, tmp_path)) for run in runs()}
    assert [file.name for file in study.folder.iterdir()] == [FILE]


def test_an_interrupted_study_on_dask_goes_on(tmp_path: Path, cluster: Any) -> None:
    study = Study(tmp_path / "a", runs(updates=4000))
    with pytest.raises(InterruptError), dask_workers(cluster.scheduler_address) as executor:
        study.run(executor, interrupt_when_trained)
    wait_until(lambda: not list(study.folder.glob("*.progress")))
    assert all(checkpoint_path(run, study.folder).exists() for run in study.runs)
    with dask_workers(cluster.scheduler_address) as executor:
        study.run(executor)
    assert results_of(study) == {run.name: without_time(train(run, tmp_path)) for run in study.runs}


class Elsewhere:
    """An executor on a machine that sees another folder."""

    def __init__(self, executor: Any, folder: Path) -> None:
        self.executor, self.folder = executor, folder

    def submit(self, work: Any, run: Run, folder: str) -> Any:
        return self.executor.submit(work, run, str(self.folder))


def test_a_folder_that_dask_does_not_share(tmp_path: Path, cluster: Any) -> None:
    study = Study(tmp_path / "a", runs(1))
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
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(OSError, match=r"127\.0\.0\.1:9"),
        dask_workers("tcp://127.0.0.1:9"),
    ):
        pass
