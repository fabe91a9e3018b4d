"""`softsign.stream`: a file gives what the array in it gives, and a failure leaves nothing behind."""

import io
import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import softsign
from softsign import stream
from tests.helpers import BFLOAT16, assert_same_bits

DTYPES = ["?", "i1", "u1", "<i2", ">i4", "<i8", "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "g", "<c8", ">c16"]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BLOCK", 12)


def array(dtype: str, shape: tuple[int, ...], order: Any = "C") -> np.ndarray[Any, Any]:
    values = (
        np.random.default_rng(1).normal(0, 30, int(np.prod(shape))).clip(0 if dtype == "u1" else -100, 100)
    )
    return np.asarray(values.astype(dtype).reshape(shape), order=order)


def files(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (5, 7), (2, 3, 41)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_equals_the_function_of_the_array(
    tmp_path: Path, dtype: str, shape: tuple[int, ...], order: str
) -> None:
    x = array(dtype, shape, order)
    np.save(tmp_path / "x.npy", x)
    header = stream.apply(softsign.softsign, tmp_path / "x.npy", tmp_path / "y.npy")
    y = np.load(tmp_path / "y.npy")
    expected = np.asarray(softsign.softsign(x))
    assert header == (y.shape, y.flags.fnc, y.dtype)
    np.testing.assert_array_equal(y, expected, strict=True)
    assert y.dtype.isnative
    assert y.flags.fnc == x.flags.fnc
    assert files(tmp_path) == {"x.npy", "y.npy"}


@pytest.mark.parametrize("scale", [None, -0.25])
def test_bfloat16(tmp_path: Path, scale: float | None) -> None:
    """NumPy writes it as items of two bytes without a type."""
    x = array("f4", (5, 7)).astype(BFLOAT16)
    np.save(tmp_path / "x.npy", x)
    header = stream.apply(softsign.softsign, tmp_path / "x.npy", tmp_path / "y.npy", scale=scale)
    expected = softsign.softsign(x if scale is None else scale * x)
    assert header.dtype == expected.dtype
    assert_same_bits(np.load(tmp_path / "y.npy").view(header.dtype), expected)


def test_writes_to_an_open_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array("f4", (5, 7)))
    stream.apply(softsign.softsign, tmp_path / "x.npy", tmp_path / "y.npy")
    file = io.BytesIO()
    stream.apply(softsign.softsign, tmp_path / "x.npy", file)
    assert file.getvalue() == (tmp_path / "y.npy").read_bytes()


@pytest.mark.parametrize("dtype", ["i1", "<f2", ">f4", "<f8", "<c8"])
def test_scale_is_numpys_product(tmp_path: Path, dtype: str) -> None:
    x = array(dtype, (50,))
    np.save(tmp_path / "x.npy", x)
    stream.apply(softsign.softsign, tmp_path / "x.npy", tmp_path / "y.npy", scale=0.3)
    y = np.load(tmp_path / "y.npy")
    np.testing.assert_array_equal(y, softsign.softsign(0.3 * x), strict=True)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_reads_every_version_of_the_format(tmp_path: Path, version: tuple[int, int]) -> None:
    with open(tmp_path / "x.npy", "wb") as file:
        np.lib.format.write_array(file, np.arange(3.0), version)
    stream.apply(softsign.softsign, tmp_path / "x.npy", tmp_path / "y.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), softsign.softsign(np.arange(3.0)))


def test_progress_reaches_the_total(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(100))
    seen: list[tuple[int, int]] = []
    stream.apply(
        softsign.softsign, tmp_path / "x.npy", tmp_path / "y.npy", progress=lambda *at: seen.append(at)
    )
    assert seen == [(min(800, done), 800) for done in range(96, 896, 96)]


def test_reads_a_pipe(tmp_path: Path) -> None:
    x = array("<f4", (1000,))
    os.mkfifo(tmp_path / "pipe")

    def feed() -> None:
        with open(tmp_path / "pipe", "wb", buffering=0) as file:
            np.lib.format.write_array(file, x)

    writer = threading.Thread(target=feed)
    writer.start()
    stream.apply(softsign.softsign, tmp_path / "pipe", tmp_path / "y.npy")
    writer.join()
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), softsign.softsign(x))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (2, 3, 41)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_reads_arrays_in_native_byte_order(dtype: str, shape: tuple[int, ...], order: str) -> None:
    x, file = array(dtype, shape, order), io.BytesIO()
    np.save(file, x)
    file.write(b"more")
    file.seek(0)
    y = stream.read_array(file, "x.npy")
    assert y.dtype.isnative
    np.testing.assert_array_equal(y, x)
    assert y.flags.f_contiguous == x.flags.f_contiguous
    assert y.flags.writeable
    assert file.read() == b"more"


def test_an_array_takes_no_more_memory_than_a_pipe_holds() -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    file = io.BytesIO(b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header + bytes(100))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"x is truncated: .* promises 8,000,000,000,000 bytes"):
            stream.read_array(file, "x")
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def take(target: Path) -> None:
    target.write_bytes(b"theirs")


def test_a_target_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(100))
    target = tmp_path / "y.npy"
    with pytest.raises(FileExistsError) as caught:
        stream.apply(softsign.softsign, tmp_path / "x.npy", target, progress=lambda *at: take(target))
    assert caught.value.filename == str(target)
    assert target.read_bytes() == b"theirs"
    assert files(tmp_path) == {"x.npy", "y.npy"}


def test_replaces_where_a_link_points_and_keeps_the_permissions(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    (tmp_path / "place.npy").write_bytes(b"old")
    (tmp_path / "place.npy").chmod(0o600)
    (tmp_path / "link.npy").symlink_to("place.npy")
    stream.apply(softsign.softsign, tmp_path / "x.npy", tmp_path / "link.npy", overwrite=True)
    assert (tmp_path / "link.npy").is_symlink()
    assert (tmp_path / "place.npy").stat().st_mode & 0o777 == 0o600
    np.testing.assert_array_equal(np.load(tmp_path / "place.npy"), 0.5)


def _cut(path: Path) -> None:
    np.save(path, np.zeros(100))
    os.truncate(path, path.stat().st_size - 1)


def _archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, np.ones(3))


def _written(path: Path, x: Any, version: tuple[int, int]) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array(file, x, version)


def _negative(path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24))


BAD: dict[str, tuple[Callable[[Path], object], type[Exception], str]] = {
    "empty": (Path.touch, ValueError, r"x\.npy is not a NumPy \.npy file"),
    "text": (lambda path: path.write_text("1 2 3"), ValueError, "is not a NumPy"),
    "magic alone": (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00"), ValueError, "is not a NumPy"),
    "later version": (
        lambda path: path.write_bytes(b"\x93NUMPY\x09\x00"),
        ValueError,
        r"x\.npy is of version 9\.0 of the \.npy format; 1\.0, 2\.0 and 3\.0 are read",
    ),
    "long header": (
        lambda path: path.write_bytes(b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(100)),
        ValueError,
        "has a header of 2,147,483,647 bytes, but at most 10,000 are read",
    ),
    "header cut": (
        lambda path: path.write_bytes(b"\x93NUMPY\x03\x00\x20\0\0\0{"),
        ValueError,
        "is not a NumPy",
    ),
    "no text": (
        lambda path: path.write_bytes(b"\x93NUMPY\x03\x00\1\0\0\0\xff"),
        ValueError,
        "is not a NumPy",
    ),
    "names in Greek": (
        lambda path: _written(path, np.zeros(3, [("\u03b1", "f4")]), (3, 0)),
        TypeError,
        "which softsign does not take",
    ),
    "archive": (_archive, ValueError, "is not a NumPy"),
    "negative shape": (_negative, ValueError, "is not a NumPy"),
    "truncated": (_cut, ValueError, r"truncated: its header promises 800 bytes of data and it holds 799"),
    "objects": (lambda path: np.save(path, np.array([1, "a"], object)), TypeError, "pickled Python objects"),
    "strings": (lambda path: np.save(path, np.array(["a"])), TypeError, "holds <U1 data, which softsign"),
    "empty strings": (
        lambda path: np.save(path, np.zeros(3, "V0")),
        TypeError,
        "which softsign does not take",
    ),
    "times": (lambda path: np.save(path, np.zeros(3, "M8[s]")), TypeError, "datetime64"),
    "records": (lambda path: np.save(path, np.zeros(3, "i4,f4")), TypeError, "which softsign does not take"),
    "missing": (lambda path: None, FileNotFoundError, r"x\.npy"),
    "directory": (Path.mkdir, IsADirectoryError, r"x\.npy"),
}


@pytest.mark.parametrize("scale", [None, 2.0])
@pytest.mark.parametrize("case", BAD)
def test_refuses_bad_input(tmp_path: Path, case: str, scale: float | None) -> None:
    make, error, message = BAD[case]
    make(tmp_path / "x.npy")
    before = files(tmp_path)
    with pytest.raises(error, match=message):
        stream.apply(softsign.softsign, tmp_path / "x.npy", tmp_path / "y.npy", scale=scale)
    assert files(tmp_path) == before


def test_refuses_complex_data_where_the_function_has_no_meaning_for_it(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3, np.complex64))
    with pytest.raises(TypeError, match="holds complex64 data, which derivative does not take"):
        stream.apply(softsign.derivative, tmp_path / "x.npy", tmp_path / "y.npy")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to, None])
def test_refuses_to_write_its_input(tmp_path: Path, link: Any, overwrite: bool) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    target = tmp_path / ("y.npy" if link else "x.npy")
    if link:
        link(target, tmp_path / "x.npy")
    with pytest.raises(ValueError, match="are the same file"):
        stream.apply(softsign.softsign, tmp_path / "x.npy", target, overwrite=overwrite)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), 1)


def test_refuses_an_existing_target(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    (tmp_path / "y.npy").write_bytes(b"old")
    with pytest.raises(FileExistsError, match=r"y\.npy"):
        stream.apply(softsign.softsign, tmp_path / "x.npy", tmp_path / "y.npy")
    assert (tmp_path / "y.npy").read_bytes() == b"old"


@pytest.mark.parametrize("target", [".", "/dev/null"])
def test_replaces_regular_files_only(tmp_path: Path, target: str) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    with pytest.raises(OSError, match="not a regular file"):
        stream.apply(softsign.softsign, tmp_path / "x.npy", tmp_path / target, overwrite=True)


def test_a_pipe_that_ends_early_leaves_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    np.save(tmp_path / "x.npy", np.zeros(100))
    data = (tmp_path / "x.npy").read_bytes()
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(data[:-150]))
    writer.start()
    with pytest.raises(ValueError, match="promises 800 bytes of data and it holds 650"):
        stream.apply(softsign.softsign, tmp_path / "pipe", tmp_path / "y.npy")
    writer.join()
    assert files(tmp_path) == {"pipe", "x.npy"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_an_exception_in_the_middle_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    def fail(done: int, total: int) -> None:
        if done > total // 2:
            raise error

    np.save(tmp_path / "x.npy", np.ones(100))
    (tmp_path / "y.npy").write_bytes(b"old")
    with pytest.raises(error):
        stream.apply(softsign.softsign, tmp_path / "x.npy", tmp_path / "y.npy", overwrite=True, progress=fail)
    assert (tmp_path / "y.npy").read_bytes() == b"old"
    assert files(tmp_path) == {"x.npy", "y.npy"}


@pytest.mark.parametrize("missing", [1, 8])
def test_a_pipe_that_ends_early_is_told(tmp_path: Path, missing: int) -> None:
    """Its length is not known before it is read, and less than an element may be missing, or just one."""
    content = io.BytesIO()
    np.save(content, np.ones(100))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content.getvalue()[:-missing],))
    writer.start()
    with pytest.raises(ValueError, match=f"truncated: .* promises 800 .* holds {800 - missing}"):
        stream.apply(softsign.softsign, pipe, tmp_path / "y.npy")
    writer.join()
    assert not (tmp_path / "y.npy").exists()
