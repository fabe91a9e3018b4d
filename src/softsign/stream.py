"""Ufuncs on arrays larger than memory: one ``.npy`` file in, one out, block by block.

Both files go through one reused buffer each, with plain reads and writes. Memory maps would save a copy, but
they turn a full disk or a file that shrinks meanwhile into SIGBUS, which kills the process where a read or
write raises.
"""

import contextlib
import math
import os
import stat
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from softsign._files import check_target, written_whole

__all__ = ["Header", "apply", "read_array", "read_header"]

#: Elements per block: small enough for the second-level cache and for one thread, as waking a second one for
#: each block would cost more than it brings beside the reading and writing.
BLOCK = 1 << 16

_HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class Header(NamedTuple):
    """Shape, memory order and dtype of the array in a ``.npy`` file, as its header states them.

    Attributes
    ----------
    shape : tuple of int
        Length of each axis.
    fortran_order : bool
        Whether the first axis varies fastest in the file.
    dtype : numpy.dtype
        Type of the elements, with the byte order of the file.
    """

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Length of the data after the header, in bytes."""
        return self.size * self.dtype.itemsize


def read_header(file: BinaryIO, name: str | os.PathLike[str]) -> Header:
    """Read the header of a ``.npy`` file and leave `file` at the first byte of the data.

    Parameters
    ----------
    file : binary file
        File to read, at its start. Pipes are allowed.
    name : path-like
        Name of the file in error messages.

    Returns
    -------
    Header
        Shape, memory order and dtype of the array.

    Raises
    ------
    ValueError
        When the file is not in the ``.npy`` format, or holds fewer bytes of data than its header says.
    TypeError
        When the array holds Python objects.
    OSError
        When it cannot be read.

    References
    ----------
    NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays".
    """
    try:
        header = Header(*_HEADER_READERS[npy.read_magic(file)](file))
        if min(header.shape, default=0) < 0:
            raise ValueError(f"negative dimension in {header.shape}")
    except OSError:
        raise
    except Exception as error:  # the header is a Python literal: a damaged one can raise nearly anything
        raise ValueError(f"{name} is not a NumPy .npy file") from error
    if header.dtype.hasobject:
        raise TypeError(f"{name} holds pickled Python objects, which are never loaded")
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size - file.tell() < header.nbytes:
        raise _truncated(name, header, status.st_size - file.tell())
    return header


def read_array(file: BinaryIO, name: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """Read a whole ``.npy`` file, which may be a pipe, whose end only reading it tells.

    Parameters
    ----------
    file : binary file
        File to read, at its start.
    name : path-like
        Name of the file in error messages.

    Returns
    -------
    ndarray
        The array, in the memory order and byte order of the file.

    Raises
    ------
    ValueError
        When the file is not a complete ``.npy`` file, or promises more than memory can hold.
    TypeError
        When the array holds Python objects.
    OSError
        When it cannot be read.
    """
    header = read_header(file, name)
    try:
        array = np.empty(header.size, header.dtype)
    except (MemoryError, ValueError) as error:
        raise ValueError(
            f"{name} promises {header.nbytes:,} bytes of data, more than memory can hold"
        ) from error
    held = _read(file, array, name)
    if held < header.nbytes:
        raise _truncated(name, header, held)
    return array.reshape(header.shape, order="F" if header.fortran_order else "C")


def apply(
    function: np.ufunc,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str] | BinaryIO,
    *,
    scale: float | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Header:
    """Write ``function(scale * x)`` for the array x in one ``.npy`` file to another, of any size.

    Peak memory is a few blocks of 65,536 elements. Shape and memory order are kept, and the values and the
    dtype are the ones that ``function(scale * numpy.load(source))`` gives: integers promote, and the result
    has native byte order. The result is written to a hidden file beside `target` that takes its name when
    complete; after an error or an interrupt nothing is left of it.

    Parameters
    ----------
    function : numpy.ufunc
        Function with one input and one output.
    source : path-like
        The ``.npy`` file to read. A pipe such as ``/dev/stdin`` is allowed.
    target : path-like or binary file
        The ``.npy`` file to write. Symbolic links are followed. A binary file that is open for writing, such
        as a pipe, gets the result as it is computed.
    scale : float, optional
        Factor on the input; NumPy's rules for a Python float hold, so integers become float64. Default: no
        scaling.
    overwrite : bool
        Whether to replace `target` if it exists. Its permissions are kept.
    progress : callable, optional
        Called after each block as ``progress(done, total)``, in bytes of input.

    Returns
    -------
    Header
        Shape, memory order and dtype of the array written.

    Raises
    ------
    ValueError
        When `source` is not a complete ``.npy`` file, or `source` and `target` are the same file.
    TypeError
        When `function` has no loop for the dtype.
    FileExistsError
        When `target` exists and `overwrite` is false.
    OSError
        When reading or writing fails, or `target` is something else than a regular file; ``filename`` tells
        which file.

    Examples
    --------
    >>> import tempfile, numpy, softsign
    >>> from softsign import stream
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     numpy.save(f"{folder}/x.npy", [-1.0, 0.0, 3.0])
    ...     header = stream.apply(softsign.softsign, f"{folder}/x.npy", f"{folder}/y.npy")
    ...     print(header.dtype, numpy.load(f"{folder}/y.npy"))
    float64 [-0.5   0.    0.75]
    """
    if isinstance(target, (str, os.PathLike)):
        if os.path.exists(target) and os.path.samefile(source, target):
            raise ValueError(f"{source} and {target} are the same file; the result needs a file of its own")
        check_target(target, overwrite=overwrite)
    with open(source, "rb") as file:
        header = read_header(file, source)
        scaled, result = _dtypes(function, header.dtype, scale, source)
        made = Header(header.shape, header.fortran_order, result)
        block = max(1, min(BLOCK, header.size))
        x = np.empty(block, header.dtype)
        scaled_x = x if scale is None else np.empty(block, scaled)
        y = np.empty(block, result)
        with (
            written_whole(target, overwrite=overwrite)
            if isinstance(target, (str, os.PathLike))
            else contextlib.nullcontext(target) as out
        ):
            npy.write_array_header_1_0(
                out, {"shape": made.shape, "fortran_order": made.fortran_order, "descr": made.dtype.str}
            )
            for start in range(0, header.size, block):
                n = min(block, header.size - start)
                held = _read(file, x[:n], source)
                if held < n * x.itemsize:
                    raise _truncated(source, header, start * x.itemsize + held)
                if scale is not None:
                    np.multiply(x[:n], scale, out=scaled_x[:n])
                function(scaled_x[:n], out=y[:n])
                out.write(y[:n].data)
                if progress is not None:
                    progress((start + n) * x.itemsize, header.nbytes)
    return made


def _dtypes(
    function: np.ufunc, dtype: np.dtype[Any], scale: float | None, name: str | os.PathLike[str]
) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """Return the dtypes of ``scale * x`` and of ``function(scale * x)``."""
    try:
        scaled = dtype if scale is None else np.result_type(dtype, scale)
        return scaled, function.resolve_dtypes((scaled, None))[1]
    except TypeError as error:
        raise TypeError(f"{name} holds {dtype} data, which {function.__name__} does not take") from error


def _read(file: BinaryIO, buffer: np.ndarray[Any, Any], name: str | os.PathLike[str]) -> int:
    """Fill `buffer` from `file` and return how many bytes there were."""
    try:
        return file.readinto(buffer)  # type: ignore[attr-defined, no-any-return]
    except OSError as error:
        error.filename = os.fspath(name)
        raise


def _truncated(name: str | os.PathLike[str], header: Header, held: int) -> ValueError:
    return ValueError(
        f"{name} is truncated: its header promises {header.nbytes:,} bytes of data and it holds {held:,}"
    )
