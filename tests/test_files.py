"""`softsign._files`: a file appears whole or not at all, and replaces another only if asked to."""

import errno
from pathlib import Path

import pytest

from softsign._files import check_target, written_whole


def files(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_the_file_appears_at_the_end(tmp_path: Path) -> None:
    with written_whole(tmp_path / "y") as file:
        file.write(b"new")
        assert not (tmp_path / "y").exists()
        assert len(files(tmp_path)) == 1
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
