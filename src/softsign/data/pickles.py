"""Pickles of dicts with arrays of bytes, read without running or trusting anything in them.

`pickle` itself calls what a file names, and takes memory as a file of a few bytes says. So the opcodes are
walked through first (`pickletools`), and the unpickler knows stand-ins for arrays and can call nothing else.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["PickledArray", "loads"]

#: Opcodes in a file, and tuples among them. A batch of CIFAR-10 has 70,000 and twenty. Each can make an
#: object of some 100 bytes; tuples within tuples are hashed by a recursion that nothing bounds.
_OPCODES, _TUPLES = 1_000_000, 1_000


def loads(content: bytes) -> Any:
    """Read a pickle.

    Parameters
    ----------
    content : bytes
        The whole file.

    Returns
    -------
    object
        Of str, bytes, list, dict, int and the like, and `PickledArray`.

    Raises
    ------
    Exception
        Nearly any, if the pickle is damaged or asks for what is refused.
    """
    _check_opcodes(content)
    return _Unpickler(io.BytesIO(content), encoding="bytes").load()


def _check_opcodes(content: bytes) -> None:
    """Refuse what takes much more memory than the file has bytes; strings cut short are refused too."""
    tuples = 0
    for number, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        tuples += "TUPLE" in opcode.name
        if number == _OPCODES or tuples > _TUPLES:
            raise pickle.UnpicklingError("it has too many parts")
        if isinstance(argument, int) and "PUT" in opcode.name and not 0 <= argument <= _OPCODES:
            raise pickle.UnpicklingError(f"it numbers its parts up to {argument}")


class PickledArray:
    """Stands in for numpy.ndarray while a pickle is read, and holds what the pickle says of the array.

    Parameters
    ----------
    *arguments : object
        What `_reconstruct` is called with. It is ignored: the state has all of it again.

    Attributes
    ----------
    state : object
        What the pickle says.
    """

    state: object = None

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.state = state

    def array(self) -> NDArray[np.uint8] | None:
        """Return the array, if it is a complete one of unsigned bytes with two dimensions.

        Returns
        -------
        ndarray of uint8, shape (rows, columns), or None
            None if it is something else.
        """
        match self.state:
            case (_, (int() as rows, int() as columns), _PickledDtype(code="u1"), fortran, bytes() as data):
                if min(rows, columns) >= 0 and rows * columns == len(data):
                    return np.frombuffer(data, np.uint8).reshape(
                        (rows, columns), order="F" if fortran else "C"
                    )
        return None


class _PickledDtype:
    """Stands in for numpy.dtype."""

    def __init__(self, code: object, *arguments: object) -> None:
        self.code = code.decode("latin1") if isinstance(code, bytes) else code

    def __setstate__(self, state: object) -> None:
        """Ignore the byte order and the like, which bytes do not have."""


class _Encode:
    """Stands in for _codecs.encode, by which Python 3 writes bytes in the pickle protocol of Python 2."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it sets attributes of a function, which is refused")

    def __call__(self, text: object, encoding: object = None) -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
            raise pickle.UnpicklingError(f"it encodes {type(text).__name__} otherwise than as latin1")
        self._left -= len(text)
        if self._left < 0:
            raise pickle.UnpicklingError("it encodes the same text again and again")
        return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Reads arrays of bytes, str, list, dict, int and the like; refuses whatever else has a name."""

    ADMITTED: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): PickledArray,
        ("numpy._core.multiarray", "_reconstruct"): PickledArray,
        ("numpy", "ndarray"): None,  # an argument of _reconstruct, never called
        ("numpy", "dtype"): _PickledDtype,
    }

    def __init__(self, file: io.BytesIO, *, encoding: str) -> None:
        super().__init__(file, encoding=encoding)
        self._encode = _Encode(file.getbuffer().nbytes)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return self._encode
        if (module, name) not in self.ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module:.60}.{name:.60}, which is refused")
        return self.ADMITTED[module, name]
