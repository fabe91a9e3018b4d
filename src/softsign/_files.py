"""A file that appears whole or not at all."""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["check_target", "written_whole"]


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
    """Open a hidden file for writing that takes the name of `target` when all is written.

    It lies beside `target` and takes its name when the block ends without an exception. After an exception,
    an interrupt included, it is removed and `target` is as it was.

    Parameters
    ----------
    target : path-like
        File to write. Symbolic links are followed.
    overwrite : bool
        Whether to replace `target` if it exists. The file that replaces it gets its permissions.

    Yields
    ------
    binary file
        The hidden file, open for writing.

    Raises
    ------
    FileExistsError
        When `target` is a file and `overwrite` is false.
    OSError
        When `target` is something else than a regular file, its directory does not exist, or the file cannot
        be written or renamed; ``filename`` tells which.
    """
    place = check_target(target, overwrite=overwrite)
    # A short name of its own: a suffix to the target's name could be too long for the file system.
    part = place.parent / f".softsign-{secrets.token_hex(8)}.part"
    try:
        with open(part, "xb") as file:
            if place.exists():
                shutil.copymode(place, part)
            yield file
        os.replace(part, place)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(part)):
            error.filename = str(target)  # a failed write() does not know its file
        raise
