"""`softsign.data.files`: what is in the files arrives, and files that are wrong are named and never run."""

import contextlib
import gzip
import os
import pickle
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from softsign.data import digits, files, pickles
from softsign.data.files import Dataset, DatasetError

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
BATCHES = [f"data_batch_{i}" for i in range(1, 6)]

Bytes = NDArray[np.uint8]


def idx(array: Bytes) -> bytes:
    """The IDX file of an array of bytes, by the format's description."""
    return (
        bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()
    )


def random_bytes(seed: int, *shape: int, high: int = 256) -> Bytes:
    return np.random.default_rng(seed).integers(high, size=shape, dtype=np.uint8)


def write_mnist(folder: Path, train: int = 12, test: int = 4) -> dict[str, Bytes]:
    arrays = {
        IMAGES: random_bytes(1, train, 28, 28),
        LABELS: random_bytes(2, train, high=10),
        TEST_IMAGES: random_bytes(3, test, 28, 28),
        TEST_LABELS: random_bytes(4, test, high=10),
    }
    for name, array in arrays.items():
        (folder / name).write_bytes(idx(array))
    return arrays


def batch(seed: int, n: int = 4) -> dict[Any, Any]:
    return {
        "batch_label": "testing batch",
        "labels": random_bytes(seed, n, high=10).tolist(),
        "data": random_bytes(seed + 100, n, 3072),
        "filenames": [f"{i}.png" for i in range(n)],
    }


def write_cifar(folder: Path, protocol: int = 2) -> list[dict[Any, Any]]:
    batches = [batch(seed) for seed in range(6)]
    for name, content in zip([*BATCHES, "test_batch"], batches, strict=True):
        (folder / name).write_bytes(pickle.dumps(content, protocol))
    return batches


def parts(dataset: Dataset) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    return [
        (dataset.train_x, dataset.train_label),
        (dataset.valid_x, dataset.valid_label),
        (dataset.test_x, dataset.test_label),
    ]


def assert_parts(dataset: Dataset, expected: list[tuple[Any, Any]]) -> None:
    for (x, label), (expected_x, expected_label) in zip(parts(dataset), expected, strict=True):
        np.testing.assert_array_equal(x, np.asarray(expected_x, np.float32), strict=True)
        np.testing.assert_array_equal(label, np.asarray(expected_label, np.int64), strict=True)


@pytest.mark.parametrize(
    "compressed", [(), (IMAGES, TEST_LABELS), (IMAGES, LABELS, TEST_IMAGES, TEST_LABELS)]
)
def test_mnist_arrives(tmp_path: Path, compressed: tuple[str, ...]) -> None:
    arrays = write_mnist(tmp_path)
    for name in compressed:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        (tmp_path / name).unlink()
    x, test_x = (arrays[name].reshape(-1, 784) / 255 for name in (IMAGES, TEST_IMAGES))
    dataset = files.load(tmp_path)
    expected = [
        (x[:10], arrays[LABELS][:10]),
        (x[10:], arrays[LABELS][10:]),
        (test_x, arrays[TEST_LABELS]),
    ]
    assert_parts(dataset, expected)
    assert dataset.name == "MNIST"
    assert dataset.classes == tuple("0123456789")


def test_mnist_of_the_real_size_is_split_as_in_the_paper(tmp_path: Path) -> None:
    for kind, n in (("train", 60_000), ("t10k", 10_000)):
        (tmp_path / f"{kind}-images-idx3-ubyte").write_bytes(idx(np.zeros((n, 28, 28), np.uint8)))
        (tmp_path / f"{kind}-labels-idx1-ubyte").write_bytes(idx(np.zeros(n, np.uint8)))
    assert [x.shape for x, _ in parts(files.read_idx(tmp_path))] == [
        (50_000, 784),
        (10_000, 784),
        (10_000, 784),
    ]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("inner", [".", "cifar-10-batches-py"])
def test_cifar10_arrives(tmp_path: Path, protocol: int, inner: str) -> None:
    (tmp_path / inner).mkdir(exist_ok=True)
    batches = write_cifar(tmp_path / inner, protocol)
    x = [(2 * one["data"].astype(np.float64) - 255) / 255 for one in batches]
    label = [one["labels"] for one in batches]
    dataset = files.load(tmp_path)
    expected = [
        (np.concatenate(x[:4]), np.concatenate(label[:4])),
        (x[4], label[4]),
        (x[5], label[5]),
    ]
    assert_parts(dataset, expected)
    assert dataset.name == "CIFAR-10"
    assert dataset.classes[3] == "cat"
    assert len(dataset.classes) == 10


def short(text: bytes) -> bytes:
    """A byte string as Python 2 pickled it."""
    return b"T" + len(text).to_bytes(4, "little") + text


def test_reads_what_python_2_wrote(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    data = random_bytes(9, 2, 3072)
    content = (
        b"\x80\x02}(" + short(b"data") + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
        + short(b"b") + b"\x87R(K\x01K\x02M\x00\x0c\x86cnumpy\ndtype\n" + short(b"u1") + b"K\x00K\x01\x87R"
        + b"(K\x03" + short(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + short(data.tobytes())
        + b"tb" + short(b"labels") + b"](K\x03K\x09eu."
    )  # fmt: skip
    assert np.array_equal(pickle.loads(content, encoding="bytes")[b"data"], data)
    (tmp_path / "test_batch").write_bytes(content)
    dataset = files.read_cifar10(tmp_path)
    np.testing.assert_array_equal(np.rint(dataset.test_x * 127.5 + 127.5), data)
    assert dataset.test_label.tolist() == [3, 9]


def test_cifar10_in_fortran_order(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    content = batch(7)
    content["data"] = np.asfortranarray(content["data"])
    (tmp_path / "test_batch").write_bytes(pickle.dumps(content, 2))
    test_x = files.read_cifar10(tmp_path).test_x
    np.testing.assert_array_equal(np.rint(test_x * 127.5 + 127.5), content["data"])


def test_digits_are_those_of_the_demo() -> None:
    dataset, scans = files.load("digits"), digits.load()
    np.testing.assert_array_equal(
        np.concatenate([dataset.train_x, dataset.valid_x]), scans.train_x.reshape(-1, 64)
    )
    np.testing.assert_array_equal(
        np.concatenate([dataset.train_label, dataset.valid_label]), scans.train_label
    )
    np.testing.assert_array_equal(dataset.test_x, scans.test_x.reshape(-1, 64))
    np.testing.assert_array_equal(dataset.test_label, scans.test_label)
    assert [len(x) for x, _ in parts(dataset)] == [1078, 269, 450]


def edit(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def put(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def replace_by_gz(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (remove(name)(folder), put(f"{name}.gz", content)(folder))


PACKED = gzip.compress(idx(random_bytes(1, 12, 28, 28)))
HUGE = bytes([0, 0, 8, 3]) + b"\xff" * 12
BAD_MNIST: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (remove(TEST_LABELS), rf"{TEST_LABELS} is missing, and so is {TEST_LABELS}\.gz"),
    "empty file": (put(IMAGES, b""), rf"{IMAGES} begins with the bytes \(none\)"),
    "text": (put(LABELS, b"<html>"), r"the bytes 3c 68 74 6d, but an IDX .* begins with 00 00 08 01"),
    "images for labels": (put(LABELS, idx(random_bytes(0, 12, 28, 28))), "in 1 dimension begins"),
    "labels for images": (put(IMAGES, idx(random_bytes(0, 12))), "00 00 08 01, .* in 3 dimensions begins"),
    "floats": (edit(IMAGES, lambda old: b"\0\0\x0d\3" + old[4:]), "begins with the bytes 00 00 0d 03"),
    "header cut": (edit(IMAGES, lambda old: old[:9]), "truncated: it holds 9 bytes, but its header has 16"),
    "truncated": (
        edit(IMAGES, lambda old: old[:-1]),
        "truncated: its header promises 12x28x28 = 9,408 bytes and it holds 9,407",
    ),
    "trailing": (
        edit(TEST_LABELS, lambda old: old + b"\0"),
        "bytes after its end: its header promises 4 = 4 bytes and it holds 5",
    ),
    "header lies": (edit(IMAGES, lambda old: HUGE + old[16:]), "4294967295x4294967295x4294967295"),
    "no images": (put(IMAGES, idx(np.zeros((0, 28, 28), np.uint8))), "empty array of shape 0x28x28"),
    "no pixels": (put(IMAGES, idx(np.zeros((12, 0, 28), np.uint8))), "empty array of shape 12x0x28"),
    "label 10": (put(LABELS, idx(np.full(12, 10, np.uint8))), rf"{LABELS} holds the label 10, but .* 0 to 9"),
    "too many labels": (put(LABELS, idx(np.zeros(13, np.uint8))), "13 labels, but there are 12 images"),
    "other size": (put(TEST_IMAGES, idx(random_bytes(0, 4, 8, 9))), "28x28 pixels and the test images 8x9"),
    "not gzip": (replace_by_gz(IMAGES, b"no gzip"), rf"{IMAGES}\.gz is not a complete gzip file"),
    "gzip cut": (replace_by_gz(IMAGES, PACKED[:-9]), "is not a complete gzip file"),
    "gzip of other sum": (replace_by_gz(IMAGES, PACKED[:-8] + bytes(8)), "not a complete gzip file: CRC"),
    "gzip damaged": (replace_by_gz(IMAGES, PACKED[:2000] + bytes(99)), "is not a complete gzip file"),
    "gzip truncated": (
        replace_by_gz(IMAGES, gzip.compress(idx(random_bytes(1, 12, 28, 28))[:-1])),
        "truncated: its header promises 12x28x28 = 9,408 bytes and it holds 9,407",
    ),
    "gzip goes on": (
        replace_by_gz(IMAGES, gzip.compress(idx(random_bytes(1, 12, 28, 28)) + bytes(1 << 25), 1)),
        "bytes after its end: its header promises 12x28x28 = 9,408 bytes and it holds 9,409 or more",
    ),
    "gzip of zeros": (
        replace_by_gz(IMAGES, gzip.compress(bytes.fromhex("00000803 00010000 00000400 00000100"))),
        r"65536x1024x256 = 17,179,869,184 bytes, more than 100 times its [\d,]+; decompress it first",
    ),
    "too few": (lambda folder: write_mnist(folder, train=5), "5 training images are too few to hold some"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_MNIST)
def test_bad_mnist(tmp_path: Path, case: str) -> None:
    spoil, message = BAD_MNIST[case]
    write_mnist(tmp_path)
    spoil(tmp_path)
    with little_memory(), pytest.raises(DatasetError, match=message):
        files.read_idx(tmp_path)


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    """See that at no time 16 MiB are taken, as by files of a few bytes that claim to hold much."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def spoiled(**changes: object) -> bytes:
    return pickle.dumps(batch(0) | changes, 2)


BAD_CIFAR: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "data_batch_3 is not a batch of CIFAR-10: pickle exhausted"),
    "text": (b"hello", "is not a batch of CIFAR-10"),
    "memo": (b"\x80\x02}r\x00\x00\x00\x04.", "numbers its parts up to 67108864"),
    "memo in text": (b"}p2000000000\n.", "numbers its parts up to 2000000000"),
    "negative memo": (b"}p-1\n.", "numbers its parts up to -1"),
    "string": (b"\x80\x02T\xff\xff\xff\x7f.", "expected 2147483647 bytes in a string4, but only 1 remain"),
    "bytes": (b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b".", "expected 1099511627776 bytes"),
    "bytearray": (b"\x80\x05\x96" + (1 << 31).to_bytes(8, "little") + b".", "expected 2147483648 bytes"),
    "frame": (b"\x80\x04\x95" + (1 << 40).to_bytes(8, "little") + b"}.", "is not a batch of CIFAR-10"),
    "many parts": (b"\x80\x02(" + b"}" * 100_000 + b"l.", "it has too many parts"),
    "deep": (b"\x80\x02}(K\x01" + b"\x85" * 100_000 + b"K\x01u.", "it has too many parts"),
    "text again and again": (
        b"\x80\x02}(" + b"c_codecs\nencode\nq\x00X\xa0\x86\x01\x00" + b"a" * 100_000
        + b"X\x06\x00\x00\x00latin1\x86q\x01R" + b"h\x00h\x01R" * 10_001 + b"u.",
        "it encodes the same text again and again",
    ),
    "truncated": (spoiled()[:-1000], "is not a batch of CIFAR-10"),
    "list": (pickle.dumps([1, 2]), "holds list, but a batch of CIFAR-10 is a dict"),
    "no data": (pickle.dumps({"labels": [1]}), "found no complete array"),
    "data is a list": (spoiled(data=[1, 2]), "found no complete array"),
    "floats": (spoiled(data=np.zeros((4, 3072))), "found no complete array"),
    "wide bytes": (spoiled(data=np.zeros((4, 3072), np.int16)), "found no complete array"),
    "flat": (spoiled(data=np.zeros(4 * 3072, np.uint8)), "found no complete array"),
    "narrow": (spoiled(data=np.zeros((4, 1024), np.uint8)), "images x 3072, found 4x1024"),
    "no images": (
        pickle.dumps({"data": np.zeros((0, 3072), np.uint8), "labels": []}, 3),
        "images x 3072, found 0x3072",
    ),
    "shape lies": (
        spoiled().replace(b"K\x04M\x00\x0c\x86", b"K\x05M\x00\x0c\x86"),
        "found no complete array",
    ),
    "negative shape": (
        spoiled().replace(b"K\x04M\x00\x0c\x86", b"J\xff\xff\xff\xffJ\x00\xd0\xff\xff\x86"),
        "found no complete array",
    ),
    "no labels": (pickle.dumps({"data": batch(0)["data"]}, 2), "labels must be a list of integers"),
    "labels in a tuple": (spoiled(labels=(1, 2, 3, 4)), "labels must be a list of integers"),
    "label is text": (spoiled(labels=[1, 2, "3", 4]), "labels must be a list of integers"),
    "label is true": (spoiled(labels=[1, 2, True, 4]), "labels must be a list of integers"),
    "label 10": (spoiled(labels=[1, 2, 3, 10]), "holds the label 10, but labels are 0 to 9"),
    "label -1": (spoiled(labels=[1, 2, -1, 4]), "holds the label -1, but labels are 0 to 9"),
    "label 2**70": (spoiled(labels=[1, 2, 3, 2**70]), "holds the label 1180591620717411303424"),
    "a label short": (spoiled(labels=[1, 2, 3]), "holds 3 labels, but there are 4 images"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CIFAR)
def test_bad_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    content, message = BAD_CIFAR[case]
    if case == "many parts":
        monkeypatch.setattr(pickles, "_OPCODES", 100_000)
    write_cifar(tmp_path)
    (tmp_path / "data_batch_3").write_bytes(content)
    with little_memory(), pytest.raises(DatasetError, match=message) as caught:
        files.read_cifar10(tmp_path)
    assert str(tmp_path / "data_batch_3") in str(caught.value)


@pytest.mark.parametrize("name", [*BATCHES, "test_batch"])
def test_a_missing_batch_is_named(tmp_path: Path, name: str) -> None:
    write_cifar(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(
        DatasetError, match=f"{name} is missing; CIFAR-10 has data_batch_1, .* and test_batch"
    ):
        files.read_cifar10(tmp_path)


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("posix.mkdir", lambda place: Call(os.mkdir, place)),
        ("exec", lambda place: Call(exec, f"open({place!r}, 'w').close()")),
        ("numpy.save", lambda place: Call(np.save, place, 1)),
    ],
)
def test_a_malicious_pickle_does_not_run(
    tmp_path: Path, name: str, call: Callable[[str], Call], protocol: int
) -> None:
    write_cifar(tmp_path)
    made = tmp_path / "made.npy"
    content = pickle.dumps({"more": call(str(made))} | batch(0), protocol)
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(
        DatasetError, match=rf"test_batch is not a batch .* it asks for .*{name}, which is refused"
    ):
        files.read_cifar10(tmp_path)
    assert not made.exists()
    pickle.loads(content, encoding="bytes")  # in the usual way it does run
    assert made.exists()


@pytest.mark.parametrize(
    "content",
    {
        "calls ndarray": b"cnumpy\nndarray\nK\x03\x85R.",
        "encodes with another codec": b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.",
        "sets an attribute of encode": b"c_codecs\nencode\nN}X\x08\x00\x00\x00__call__Ns\x86b.",
        "sets an attribute of dtype": b"cnumpy\ndtype\nN}X\x08\x00\x00\x00__init__Ns\x86b.",
        "sets an attribute of reconstruct": b"cnumpy.core.multiarray\n_reconstruct\n"
        b"N}X\x05\x00\x00\x00arrayNs\x86b.",
    }.values(),
)
def test_stand_ins_are_good_for_arrays_only(tmp_path: Path, content: bytes) -> None:
    before = [dict(vars(kind)) for kind in (pickles.PickledArray, pickles._PickledDtype, pickles._Encode)]
    write_cifar(tmp_path)
    (tmp_path / "test_batch").write_bytes(b"\x80\x02" + content)
    with pytest.raises(DatasetError, match="test_batch is not a batch of CIFAR-10"):
        files.read_cifar10(tmp_path)
    after = [dict(vars(kind)) for kind in (pickles.PickledArray, pickles._PickledDtype, pickles._Encode)]
    assert before == after


def test_load_says_what_it_expects(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r'digit is no folder, .*: give "digits" or a folder'):
        files.load("digit")
    with pytest.raises(DatasetError, match=r"holds no data set: expected train-images-.* or data_batch_1"):
        files.load(tmp_path)


def test_an_unreadable_file_is_an_oserror(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    (tmp_path / "data_batch_2").unlink()
    (tmp_path / "data_batch_2").mkdir()
    with pytest.raises(IsADirectoryError):
        files.read_cifar10(tmp_path)
