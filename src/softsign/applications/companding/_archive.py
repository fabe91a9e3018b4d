"""The ``.npz`` file of companded codes, written and read block by block."""

import contextlib
import errno
import io
import math
import os
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy

from softsign import stream
from softsign.applications.companding.adc import NonlinearADC
from softsign.variants._blocks import Array

_FORMAT = "softsign companded 1"
#: What is in a file beside the codes, and the kinds of NumPy's dtypes that it may have.
_FACTS = {
    "format": "U",
    "bits": "iu",
    "k": "f",
    "limit": "f",
    "midtread": "b",
    "sample_rate": "iu",
    "subtype": "U",
}
_LONGEST = 1024  # bytes of a fact


def write(
    file: Any,
    adc: NonlinearADC,
    shape: tuple[int, int],
    sample_rate: int,
    subtype: str,
    codes: Iterable[Array],
) -> None:
    """Write codes of that shape, (frames, channels), and what they mean."""
    law = adc.compander
    facts = dict(
        zip(_FACTS, (_FORMAT, adc.bits, law.k, law.limit, adc.midtread, sample_rate, subtype), strict=True)
    )
    with zipfile.ZipFile(file, "w") as archive:
        for name, fact in facts.items():
            with archive.open(_member(name), "w") as member:
                npy.write_array(member, np.asarray(fact), allow_pickle=False)
        with archive.open(_member("codes"), "w", force_zip64=True) as member:
            header = {"shape": shape, "fortran_order": False, "descr": adc.dtype.str}
            npy.write_array_header_1_0(member, header)
            for block in codes:
                member.write(block.tobytes())


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(f"{name}.npy")  # of 1980, so that a file depends on what is in it alone
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


class Archive:
    """A file of codes that is read; every error that its bytes cause is a ValueError that names it."""

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self.source = source
        with self.refusing():
            self._zip = zipfile.ZipFile(source)
            facts = {name: self._fact(name, kinds) for name, kinds in _FACTS.items()}
            if facts["format"] != _FORMAT:
                raise ValueError(f"its format is {facts['format']!r} instead of {_FORMAT!r}")
            if facts["limit"] == math.inf:
                raise ValueError("its limit is infinite")
            self.adc = NonlinearADC(
                facts["bits"], facts["k"], limit=facts["limit"], midtread=facts["midtread"]
            )
            self.sample_rate, self.subtype = facts["sample_rate"], facts["subtype"]
            with self._zip.open("codes.npy") as member:
                header = stream.read_header(member, "codes.npy")
            if (
                len(header.shape) != 2
                or header.fortran_order
                or header.dtype.newbyteorder("=") != self.adc.dtype
            ):
                raise ValueError(f"its codes are {header.dtype} of shape {header.shape}")
            self.frames, self.channels = header.shape
            self._dtype = header.dtype
            if not (1 <= self.channels <= 1024 and 1 <= self.sample_rate < 2**31):
                raise ValueError(f"it has {self.channels} channels and {self.sample_rate} samples per second")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Say in one way what is wrong with the file."""
        try:
            yield
        except Exception as error:  # zipfile and zlib have many
            if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno != errno.EINVAL):
                raise
            reason = error.args[0] if isinstance(error, KeyError) else error
            raise ValueError(f"{self.source} is damaged, or not from softsign compand: {reason}") from error

    def _fact(self, name: str, kinds: str) -> Any:
        info = self._zip.getinfo(f"{name}.npy")
        if info.file_size > _LONGEST:
            raise ValueError(f"its {name} takes {info.file_size:,} bytes")
        fact = stream.read_array(io.BytesIO(self._zip.read(info)), info.filename)
        if fact.shape or fact.dtype.kind not in kinds:
            raise ValueError(f"its {name} is {fact.dtype} of shape {fact.shape}")
        return fact.item()

    def decoded(self, block: int) -> Iterator[Array]:
        """Yield the samples in blocks of so many frames."""
        with self.refusing(), self._zip.open("codes.npy") as member:
            stream.read_header(member, "codes.npy")
            for start in range(0, self.frames, block):
                count = min(block, self.frames - start) * self.channels
                data = member.read(count * self._dtype.itemsize)
                if len(data) < count * self._dtype.itemsize:
                    raise ValueError(f"its codes end before frame {start + block:,} of {self.frames:,}")
                yield self.adc.decode(np.frombuffer(data, self._dtype).reshape(-1, self.channels))
            if member.read(1):  # at the end, the checksum is looked at
                raise ValueError("there is more after its codes")
