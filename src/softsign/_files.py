"""Files that appear whole or not at all."""

import contextlib
import errno
import io
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["check_target", "written_together", "written_whole"]

_FILES = Path("/proc/self/fd")  # by which a file without a name gets one


def check_target(target: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Return the place of a file to be written, and refuse at once what could not be written in the end.

    Parameters
    ----------
    target : path-like
        File to write. Symbolic links are followed.
    overwrite : bool
        Whether `target` may be a file that exists.

    Returns
    -------
    pathlib.Path
        Where `target` is, without symbolic links.

    Raises
    ------
    FileExistsError
        When `target` is a file and `overwrite` is false.
    OSError
        When `target` is something else than a regular file, or its directory does not exist; ``filename``
        tells which.
    """
    place = Path(os.path.realpath(target))
    if place.exists() and not place.is_file():
        raise OSError(errno.EINVAL, "not a regular file, and no other is replaced", str(target))
    if place.exists() and not overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    if not place.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such directory", str(place.parent))
    return place


@contextlib.contextmanager
def written_whole(target: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the name of `target` when all is written.

    It has no name until the block ends without an exception, or a hidden one beside `target` on file systems
    that know no nameless files. After an exception, an interrupt included, it is removed and `target` is as
    it was; a nameless one vanishes with a process that is killed, too.

    Parameters
    ----------
    target : path-like
        File to write. Symbolic links are followed.
    overwrite : bool
        Whether to replace `target` if it exists. The file that replaces it gets its permissions.

    Yields
    ------
    binary file
        The file, open for writing.

    Raises
    ------
    FileExistsError
        When `target` is a file and `overwrite` is false, or becomes one before the block ends.
    OSError
        When `target` is something else than a regular file, its directory does not exist, or the file cannot
        be written or named; ``filename`` tells which.
    """
    with written_together([target], overwrite=overwrite) as (file,):
        yield file


@contextlib.contextmanager
def written_together(
    targets: Sequence[str | os.PathLike[str]], *, overwrite: bool = False
) -> Iterator[list[BinaryIO]]:
    """Open files for writing that take the names of `targets` when all of all of them is on the disk.

    Each is as from `written_whole`. When one cannot be written or named, none appears; of those that are
    replaced, the ones before it stay replaced if only its name fails.

    Parameters
    ----------
    targets : sequence of path-like
        Files to write. Symbolic links are followed.
    overwrite : bool
        Whether to replace those that exist.

    Yields
    ------
    list of binary file
        The files, in the order of `targets`, open for writing.

    Raises
    ------
    FileExistsError
        When one of `targets` is a file and `overwrite` is false, or becomes one before the block ends.
    OSError
        As from `written_whole`.
    """
    places = [check_target(target, overwrite=overwrite) for target in targets]
    with contextlib.ExitStack() as stack:
        parts = [_Part(str(target), place) for target, place in zip(targets, places, strict=True)]
        for part in parts:
            stack.callback(part.discard)
            part.open()
        try:
            yield [part.file for part in parts]
        except OSError as error:
            if error.filename is None and len(parts) == 1:
                error.filename = parts[0].target
            raise
        for part in parts:
            part.finish(sync=len(parts) > 1)
        for part in parts:
            part.publish(overwrite)
        for part in parts:
            part.published = False  # to stay


class _Part:
    """The file that is to take the name of a target."""

    def __init__(self, target: str, place: Path) -> None:
        self.target = target
        self.place = place
        # A short name of its own: a suffix to the target's name could be too long for the file system.
        self.hidden = place.parent / f".softsign-{secrets.token_hex(8)}.part"
        self.nameless = False
        self.published = False  # under a name that was free, so that it can be taken back

    def open(self) -> None:
        with self._errors():
            self.file: BinaryIO = io.BufferedWriter(_Raw(self._descriptor(), self.target))
            if self.place.exists():
                os.chmod(self.file.fileno(), self.place.stat().st_mode & 0o7777)

    def _descriptor(self) -> int:
        if hasattr(os, "O_TMPFILE") and _FILES.is_dir():
            with contextlib.suppress(OSError):  # file systems and kernels refuse in several ways
                descriptor = os.open(self.place.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
                self.nameless = True
                return descriptor
        return os.open(self.hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)

    def finish(self, *, sync: bool) -> None:
        """Write what is buffered; with `sync` make sure that the disk has room for it."""
        with self._errors():
            self.file.flush()
            if sync:
                os.fsync(self.file.fileno())

    def publish(self, overwrite: bool) -> None:
        with self._errors():
            free = not self.place.exists()
            if overwrite:
                if self.nameless:
                    self._link(self.hidden)
                os.replace(self.hidden, self.place)
            else:
                self._name_without_replacing()
            self.published = free

    def _name_without_replacing(self) -> None:
        try:
            self._link(self.place)
        except FileExistsError:
            raise
        except OSError:
            if self.nameless:
                raise
            # There are no hard links: an empty file keeps the name free of others.
            os.close(os.open(self.place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            os.replace(self.hidden, self.place)

    def _link(self, name: Path) -> None:
        if self.nameless:
            descriptor = self.file.fileno()
            # With a descriptor of a directory, which an absolute path does not use, this is linkat, which
            # follows the link in /proc.
            os.link(_FILES / str(descriptor), name, src_dir_fd=descriptor, follow_symlinks=True)
        else:
            os.link(self.hidden, name)

    def discard(self) -> None:
        """Close the file and remove it, unless it stays."""
        if hasattr(self, "file"):
            with contextlib.suppress(OSError):  # a full disk has been told already
                self.file.close()
        self.hidden.unlink(missing_ok=True)
        if self.published:
            self.place.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Let errors name the target instead of the file that is to take its name."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.target) from error


class _Raw(io.FileIO):
    """A file whose failing writes name the target."""

    def __init__(self, descriptor: int, target: str) -> None:
        super().__init__(descriptor, "wb")
        self.target = target

    def write(self, data: Any, /) -> Any:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = self.target
            raise
