"""`softsign._files`: a file appears whole or not at all, and replaces another only if asked to."""

import errno
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from softsign import _files
from softsign._files import check_target, written_together, written_whole
from tests.helpers import run_python


@pytest.fixture(autouse=True, params=["nameless", "hidden"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the file is until it is complete: as the file system allows, or with a hidden name."""
    if request.param == "hidden":
        monkeypatch.setattr(_files, "_FILES", Path("/nowhere"))
    found: str = request.param
    return found


def knows_nameless_files(folder: Path) -> bool:
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY))
    except OSError:
        return False
    return True


def files(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_the_file_appears_at_the_end(tmp_path: Path, kind: str) -> None:
    with written_whole(tmp_path / "y") as file:
        file.write(b"new")
        assert not (tmp_path / "y").exists()
        nameless = kind == "nameless" and knows_nameless_files(tmp_path)
        assert len(files(tmp_path)) == (0 if nameless else 1)
    assert files(tmp_path) == {"y"}
    assert (tmp_path / "y").read_bytes() == b"new"


def test_a_file_is_replaced_only_if_asked_to(tmp_path: Path) -> None:
    (tmp_path / "y").write_bytes(b"old")
    with pytest.raises(FileExistsError) as caught:
        written_whole(tmp_path / "y").__enter__()
    assert caught.value.filename == str(tmp_path / "y")
    assert (tmp_path / "y").read_bytes() == b"old"
    with written_whole(tmp_path / "y", overwrite=True) as file:
        file.write(b"new")
        assert (tmp_path / "y").read_bytes() == b"old"
    assert (tmp_path / "y").read_bytes() == b"new"
    assert files(tmp_path) == {"y"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_exception_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "y").write_bytes(b"old")
    with pytest.raises(error), written_whole(tmp_path / "y", overwrite=True) as file:
        raise error(file.write(b"new"))
    assert (tmp_path / "y").read_bytes() == b"old"
    assert files(tmp_path) == {"y"}


def test_permissions_and_links_are_kept(tmp_path: Path) -> None:
    (tmp_path / "place").write_bytes(b"old")
    (tmp_path / "place").chmod(0o600)
    (tmp_path / "link").symlink_to("place")
    with written_whole(tmp_path / "link", overwrite=True) as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "place").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "place").read_bytes() == b"new"


def test_a_link_to_nothing_is_written_where_it_points(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("place")
    assert check_target(tmp_path / "link", overwrite=False) == (tmp_path / "place").resolve()
    with written_whole(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "place").read_bytes() == b"new"


def test_a_name_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    with written_whole(tmp_path / ("y" * 255)) as file:
        file.write(b"new")
    assert files(tmp_path) == {"y" * 255}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (".", errno.EINVAL, "not a regular file"),
        ("/dev/null", errno.EINVAL, "not a regular file"),
        ("no/y", errno.ENOENT, "no such directory"),
    ],
)
def test_what_could_not_be_written_is_refused_at_once(
    tmp_path: Path, target: str, error: int, message: str, overwrite: bool
) -> None:
    with pytest.raises(OSError, match=message) as caught:
        written_whole(tmp_path / target, overwrite=overwrite).__enter__()
    assert caught.value.errno == error
    assert caught.value.filename == str(tmp_path / ("no" if target == "no/y" else target))
    assert files(tmp_path) == set()


def test_a_failed_write_names_the_target(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, written_whole(tmp_path / "y"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "y")
    assert files(tmp_path) == set()


def test_a_failure_elsewhere_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, written_whole(tmp_path / "y"):
        (tmp_path / "input").read_bytes()
    assert caught.value.filename == str(tmp_path / "input")


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_somebody_makes_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, links: bool
) -> None:
    if kind == "hidden" and not links:  # as on FAT
        monkeypatch.setattr(os, "link", fails(errno.EPERM))
    for name in ("x", "y"):
        with written_whole(tmp_path / name) as file:
            file.write(b"new")
        assert (tmp_path / name).read_bytes() == b"new"
    with pytest.raises(FileExistsError) as caught, written_whole(tmp_path / "z"):
        (tmp_path / "z").write_bytes(b"theirs")
    assert caught.value.filename == str(tmp_path / "z")
    assert (tmp_path / "z").read_bytes() == b"theirs"
    assert files(tmp_path) == {"x", "y", "z"}


def fails(number: int) -> Any:
    def raise_it(path: Any, *arguments: Any, **options: Any) -> None:
        raise OSError(number, os.strerror(number), path)

    return raise_it


@pytest.mark.parametrize("call", ["open", "replace"])
def test_an_error_names_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    writing = written_whole(tmp_path / "y", overwrite=True)
    with monkeypatch.context() as patched, pytest.raises(OSError, match="Read-only") as caught:  # noqa: PT012
        patched.setattr(os, call, fails(errno.EROFS))
        with writing as file:
            file.write(b"new")
    assert str(caught.value) == f"[Errno {errno.EROFS}] Read-only file system: '{tmp_path / 'y'}'"
    assert files(tmp_path) == set()


def test_several_files_appear_together(tmp_path: Path) -> None:
    with written_together([tmp_path / "x", tmp_path / "y"]) as (x, y):
        x.write(b"1")
        y.write(b"2")
        assert not (tmp_path / "x").exists()
    assert [(tmp_path / name).read_bytes() for name in ("x", "y")] == [b"1", b"2"]
    assert files(tmp_path) == {"x", "y"}


def test_a_disk_without_room_for_the_last_takes_none(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    targets = [tmp_path / name for name in ("x", "y", "z")]  # all of which fits the buffers
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught, written_together(targets) as opened:
            all(file.write(bytes(size)) for file, size in zip(opened, (1, 10, 5000), strict=True))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(targets[2])
    assert files(tmp_path) == set()


def test_a_name_that_is_taken_meanwhile_takes_the_others_back(tmp_path: Path) -> None:
    targets = [tmp_path / name for name in ("x", "y", "z")]
    with pytest.raises(FileExistsError), written_together(targets):
        targets[2].write_bytes(b"theirs")
    assert files(tmp_path) == {"z"}
    with pytest.raises(FileExistsError):
        written_together(targets).__enter__()
    assert files(tmp_path) == {"z"}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_nothing_is_left_by_a_kill(tmp_path: Path, kind: str, number: signal.Signals) -> None:
    program = f"""
import os, signal
from softsign._files import written_whole
signal.signal(signal.SIGHUP, signal.SIG_DFL)
with written_whole({str(tmp_path / "y")!r}) as file:
    file.write(bytes(100_000))
    os.kill(os.getpid(), {int(number)})
"""
    if kind == "nameless" and knows_nameless_files(tmp_path):
        assert run_python(program).returncode == -number
        assert files(tmp_path) == set()
