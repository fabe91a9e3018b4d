"""Ufuncs on arrays larger than memory: one ``.npy`` file in, one out, block by block.

Both files go through one reused buffer each, with plain reads and writes. Memory maps would save a copy, but
they turn a full disk or a file that shrinks meanwhile into SIGBUS, which kills the process where a read or
write raises.
"""

import contextlib
import io
import math
import os
import stat
from collections.abc import Callable
from typing import IO, Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from softsign._files import check_target, written_whole

__all__ = ["Header", "apply", "read_array", "read_header"]

#: Elements per block: small enough for the second-level cache and for one thread, as waking a second one for
#: each block would cost more than it brings beside the reading and writing.
BLOCK = 1 << 16

#: Bytes of the header's length and encoding of its text, by the version of the format.
_VERSIONS = {(1, 0): (2, "latin1"), (2, 0): (4, "latin1"), (3, 0): (4, "utf-8")}
#: Bytes that a header may have, as in NumPy, which reads it as a Python literal.
_LONGEST_HEADER = 10_000
_CHUNK = 1 << 20  # bytes that are read from a pipe at a time


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


def read_header(file: IO[bytes], name: str | os.PathLike[str]) -> Header:
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
        When the file is not in the ``.npy`` format, version 1.0, 2.0 or 3.0, its header is longer than 10,000
        bytes, or it holds fewer bytes of data than its header says.
    TypeError
        When the array holds Python objects.
    OSError
        When it cannot be read.

    References
    ----------
    NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays".
    """
    try:
        version = npy.read_magic(file)
    except ValueError as error:
        raise ValueError(f"{name} is not a NumPy .npy file") from error
    if version not in _VERSIONS:
        raise ValueError(
            f"{name} is of version {version[0]}.{version[1]} of the .npy format; 1.0, 2.0 and 3.0 are read"
        )
    width, encoding = _VERSIONS[version]
    length = int.from_bytes(file.read(width), "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"{name} has a header of {length:,} bytes, but at most {_LONGEST_HEADER:,} are read")
    try:
        # As one of version 2.0, for whose header NumPy has a public reader. Names of fields that it cannot
        # hold are escaped; they only matter to arrays that no function takes.
        text = file.read(length).decode(encoding).encode("latin1", "backslashreplace")
        header = Header(*npy.read_array_header_2_0(io.BytesIO(len(text).to_bytes(4, "little") + text)))
        if min(header.shape, default=0) < 0:
            raise ValueError(f"negative dimension in {header.shape}")
    except OSError:
        raise
    except Exception as error:  # the header is a Python literal: a damaged one can raise nearly anything
        raise ValueError(f"{name} is not a NumPy .npy file") from error
    if header.dtype.hasobject:
        raise TypeError(f"{name} holds pickled Python objects, which are never loaded")
    held = _held(file)
    if held is not None and held < header.nbytes:
        raise _truncated(name, header, held)
    return header


def read_array(file: BinaryIO, name: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """Read an array of numbers from a ``.npy`` file, in native byte order.

    Memory grows with what is read: a pipe that ends early takes no more than it held.

    Parameters
    ----------
    file : binary file
        File to read, at its start. Pipes are allowed; what follows the array is left in them.
    name : path-like
        Name of the file in error messages.

    Returns
    -------
    ndarray
        The array, in the memory order of the file.

    Raises
    ------
    ValueError
        When the file is not a complete ``.npy`` file, or the array does not fit in memory.
    TypeError
        When the array holds Python objects.
    OSError
        When it cannot be read.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> np.save(file, np.array([1, 2], ">f4"))
    >>> _ = file.seek(0)
    >>> read_array(file, "x.npy")
    array([1., 2.], dtype=float32)
    """
    header = read_header(file, name)
    data = bytearray()
    try:
        while len(data) < header.nbytes:
            chunk = file.read(min(_CHUNK, header.nbytes - len(data)))
            if not chunk:
                raise _truncated(name, header, len(data))
            data += chunk
        x = np.frombuffer(data, header.dtype) if header.nbytes else np.empty(header.size, header.dtype)
        return x.astype(header.dtype.newbyteorder("="), copy=False).reshape(
            header.shape, order="F" if header.fortran_order else "C"
        )
    except MemoryError as error:
        raise ValueError(f"{name} holds {header.nbytes:,} bytes, which do not fit in memory") from error
    except OSError as error:
        error.filename = os.fspath(name)
        raise


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
    has native byte order. Items of two bytes without a type, as which `numpy.save` writes bfloat16, are taken
    for bfloat16 where ml_dtypes is installed. The result is written to a file without a name that
    becomes `target` when complete; after an error, an interrupt or a kill nothing is left of it.

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
        header = _with_bfloat16(read_header(file, source))
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
                out.write(y[:n].view(np.uint8).data)
                if progress is not None:
                    progress((start + n) * x.itemsize, header.nbytes)
    return made


def _with_bfloat16(header: Header) -> Header:
    """Take items of two bytes for bfloat16, for which the format has no name."""
    if header.dtype != np.dtype("V2"):
        return header
    try:
        import ml_dtypes
    except ModuleNotFoundError:
        return header
    return header._replace(dtype=np.dtype(ml_dtypes.bfloat16))


def _held(file: IO[bytes]) -> int | None:
    """Return how many bytes are left in a regular file, or None for a pipe and the like."""
    try:
        status = os.fstat(file.fileno())
    except io.UnsupportedOperation:
        return None
    return status.st_size - file.tell() if stat.S_ISREG(status.st_mode) else None


def _dtypes(
    function: np.ufunc, dtype: np.dtype[Any], scale: float | None, name: str | os.PathLike[str]
) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """Return the dtypes of ``scale * x`` and of ``function(scale * x)``."""
    try:
        scaled = dtype if scale is None else np.multiply(np.empty(0, dtype), scale).dtype
        return scaled, function.resolve_dtypes((scaled, None))[1]
    except TypeError as error:
        raise TypeError(f"{name} holds {dtype} data, which {function.__name__} does not take") from error


def _read(file: BinaryIO, buffer: np.ndarray[Any, Any], name: str | os.PathLike[str]) -> int:
    """Fill `buffer` from `file` and return how many bytes there were."""
    try:
        return file.readinto(buffer.view(np.uint8))  # type: ignore[attr-defined, no-any-return]
    except OSError as error:
        error.filename = os.fspath(name)
        raise


def _truncated(name: str | os.PathLike[str], header: Header, held: int) -> ValueError:
    return ValueError(
        f"{name} is truncated: its header promises {header.nbytes:,} bytes of data and it holds {held:,}"
    )
