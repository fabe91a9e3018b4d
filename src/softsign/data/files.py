"""Labeled data for training: the digits that scikit-learn ships, and MNIST and CIFAR-10 from a folder.

Files are only read, and nothing in them is trusted: sizes, types and labels are checked before memory is
taken, and CIFAR-10's pickles are read by `softsign.data.pickles`.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from softsign.data import digits, pickles
from softsign.data.shapeset import scaled

__all__ = ["Dataset", "DatasetError", "load", "read_cifar10", "read_digits", "read_idx"]

Bytes = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Labels = NDArray[np.int64]

NUMERALS = tuple("0123456789")
OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR_PIXELS = 3 * 32 * 32

_UNSIGNED_BYTE = 8  # the code of the type in an IDX file
_IDX_TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_IDX_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
#: Bytes that a compressed file may hold, or this many times its own, whichever is more: scans of digits
#: shrink to a fifth, zeros to a thousandth.
_UNPACKED, _RATIO = 1 << 26, 100
_CIFAR_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_CIFAR_TEST = "test_batch"
_CIFAR_FOLDER = "cifar-10-batches-py"  # what its archive unpacks to


class DatasetError(ValueError):
    """A file of a data set is missing, damaged, or not what its name says."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labeled examples in three parts.

    Attributes
    ----------
    name : str
        Name of the data set.
    train_x, valid_x, test_x : ndarray of float32, shape (examples, features)
        Features, pixels for instance.
    train_label, valid_label, test_label : ndarray of int64, shape (examples,)
        Indices into `classes`.
    classes : tuple of str
        Names of the classes.
    """

    name: str
    train_x: Float32
    train_label: Labels
    valid_x: Float32
    valid_label: Labels
    test_x: Float32
    test_label: Labels
    classes: tuple[str, ...]


def load(name_or_folder: str | os.PathLike[str]) -> Dataset:
    """Load a data set.

    Parameters
    ----------
    name_or_folder : str or path-like
        ``"digits"``, or a folder with the files of `read_idx` or `read_cifar10`. A folder named digits is
        ``"./digits"``.

    Returns
    -------
    Dataset
        Examples for training, validation and test.

    Raises
    ------
    DatasetError
        If there is no such folder, the folder has neither set of files, or a file is wrong.

    Examples
    --------
    >>> dataset = load("digits")
    >>> dataset.train_x.shape, dataset.valid_x.shape, dataset.test_x.shape
    ((1078, 64), (269, 64), (450, 64))
    """
    if name_or_folder == "digits":
        return read_digits()
    folder = Path(name_or_folder)
    if not folder.is_dir():
        raise DatasetError(f'{folder} is no folder, and no data set has this name: give "digits" or a folder')
    if any((folder / f"{_IDX_TRAIN[0]}{suffix}").exists() for suffix in ("", ".gz")):
        return read_idx(folder)
    if any((place / _CIFAR_TRAIN[0]).exists() for place in (folder, folder / _CIFAR_FOLDER)):
        return read_cifar10(folder)
    raise DatasetError(
        f"{folder} holds no data set: expected {_IDX_TRAIN[0]} (MNIST, or .gz) "
        f"or {_CIFAR_TRAIN[0]} (CIFAR-10)"
    )


def read_digits() -> Dataset:
    """Load the digits of `softsign.data.digits`. Needs scikit-learn.

    Returns
    -------
    Dataset
        8x8 pixels, standardized. The last fifth of the training scans is held out for validation: 1,078, 269
        and 450 scans.
    """
    scans = digits.load()
    train_x, test_x = (x.reshape(len(x), -1) for x in (scans.train_x, scans.test_x))
    train = len(train_x) - len(train_x) // 5
    return Dataset(
        "digits",
        train_x[:train],
        scans.train_label[:train],
        train_x[train:],
        scans.train_label[train:],
        test_x,
        scans.test_label,
        NUMERALS,
    )


def read_idx(folder: str | os.PathLike[str]) -> Dataset:
    """Read MNIST, or a set in its format, from four IDX files.

    They are named train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
    t10k-labels-idx1-ubyte, each plain or compressed with the suffix .gz.

    Parameters
    ----------
    folder : path-like
        Folder with the four files.

    Returns
    -------
    Dataset
        Pixels row by row, from 0 (paper) to 1 (ink). The last sixth of the training images is held out for
        validation: of MNIST 10,000, which leaves 50,000.

    Raises
    ------
    DatasetError
        If a file is missing, cannot be decompressed or holds more than 64 MiB and 100 times its size, is not
        IDX of unsigned bytes with the right number of dimensions, is shorter or longer than its header says,
        or has a label over 9; or if images and labels do not agree in number, training and test images in
        size; or if there are too few to hold some out.

    References
    ----------
    Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits", which describes the format.
    """
    folder = Path(folder)
    train_x, train_label = _read_idx_pair(folder, *_IDX_TRAIN)
    test_x, test_label = _read_idx_pair(folder, *_IDX_TEST)
    if train_x.shape[1:] != test_x.shape[1:]:
        raise DatasetError(
            f"{folder}: the training images have {_by(train_x.shape[1:])} pixels and the test images "
            f"{_by(test_x.shape[1:])}, but must have the same number"
        )
    train = len(train_x) - len(train_x) // 6
    return _dataset("MNIST", _from_0_to_1, train_x, train_label, train, test_x, test_label, NUMERALS)


def read_cifar10(folder: str | os.PathLike[str]) -> Dataset:
    """Read CIFAR-10 from its "python version": data_batch_1 to data_batch_5 and test_batch.

    The files are pickles, which could run any code when loaded in the usual way. Here they cannot: the
    unpickler refuses, by name, all but what a pickled array of bytes is made of, and calls only functions of
    this package. Files that take much more memory than they have bytes are refused too.

    Parameters
    ----------
    folder : path-like
        Folder with the files, or with the folder cifar-10-batches-py that has them.

    Returns
    -------
    Dataset
        The red, the green and the blue plane of 32x32 pixels, row by row, from -1 to 1. The last fifth of the
        training images is held out for validation: 10,000, which leaves 40,000.

    Raises
    ------
    DatasetError
        If a file is missing, is no pickle, asks for something that is refused, or does not hold 3,072 bytes
        and one label from 0 to 9 for each image; or if there are too few to hold some out.

    References
    ----------
    A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    folder = Path(folder)
    if (folder / _CIFAR_FOLDER).is_dir():
        folder = folder / _CIFAR_FOLDER
    batches = [_read_batch(folder / name) for name in _CIFAR_TRAIN]
    test_x, test_label = _read_batch(folder / _CIFAR_TEST)
    x = np.concatenate([images for images, _ in batches])
    label = np.concatenate([labels for _, labels in batches])
    return _dataset("CIFAR-10", scaled, x, label, len(x) - len(x) // 5, test_x, test_label, OBJECTS)


def _dataset(
    name: str,
    scale: Callable[[Bytes], Float32],
    x: Bytes,
    label: Labels,
    train: int,
    test_x: Bytes,
    test_label: Labels,
    classes: tuple[str, ...],
) -> Dataset:
    """Scale the pixels and hold out all training images after the first `train`."""
    if train == len(x):
        raise DatasetError(f"{name}: {len(x)} training images are too few to hold some out for validation")
    train_x, valid_x, test_x_scaled = (
        scale(part.reshape(len(part), math.prod(part.shape[1:]))) for part in (x[:train], x[train:], test_x)
    )
    return Dataset(name, train_x, label[:train], valid_x, label[train:], test_x_scaled, test_label, classes)


def _from_0_to_1(levels: Bytes) -> Float32:
    values = levels.astype(np.float32)
    values /= 255
    return values


def _checked_labels(path: Path, labels: list[int], images: int) -> Labels:
    if len(labels) != images:
        raise DatasetError(f"{path} holds {len(labels):,} labels, but there are {images:,} images")
    wrong = next((label for label in labels if not 0 <= label <= 9), None)
    if wrong is not None:
        raise DatasetError(f"{path} holds the label {wrong}, but labels are 0 to 9")
    return np.array(labels, np.int64)


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _read_idx_pair(folder: Path, images_name: str, labels_name: str) -> tuple[Bytes, Labels]:
    _, images = _read_idx_file(folder / images_name, 3)
    path, labels = _read_idx_file(folder / labels_name, 1)
    return images, _checked_labels(path, labels.tolist(), len(images))


def _read_idx_file(path: Path, dimensions: int) -> tuple[Path, Bytes]:
    """Read the array of an IDX file, plain or compressed, and return it after the path of the file."""
    packed = path.with_name(f"{path.name}.gz")
    try:
        if path.exists():
            with open(path, "rb") as file:
                return path, _idx_array(path, file, dimensions, path.stat().st_size)
        with gzip.open(packed) as unpacked:
            return packed, _idx_array(packed, cast(IO[bytes], unpacked), dimensions, None)
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing, and so is {packed.name}") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(f"{packed} is not a complete gzip file: {error}") from error


def _idx_array(path: Path, file: IO[bytes], dimensions: int, size: int | None) -> Bytes:
    """Read the array, and not more bytes than its header promises and one; `size` is that of a plain file."""
    expected = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    header = file.read(4 + 4 * dimensions)
    if header[:4] != expected:
        raise DatasetError(
            f"{path} begins with the bytes {header[:4].hex(' ') or '(none)'}, but an IDX file of unsigned "
            f"bytes in {dimensions} dimension{'s'[: dimensions > 1]} begins with {expected.hex(' ')}"
        )
    if len(header) < 4 + 4 * dimensions:
        raise DatasetError(
            f"{path} is truncated: it holds {len(header)} bytes, but its header has {4 + 4 * dimensions}"
        )
    shape = tuple(np.frombuffer(header[4:], ">u4").tolist())
    promised = math.prod(shape)
    promise = f"its header promises {_by(shape)} = {promised:,} bytes"
    if size is None:
        packed = path.stat().st_size
        if promised > max(_UNPACKED, _RATIO * packed):
            raise DatasetError(
                f"{path} is refused: {promise}, more than {_RATIO} times its {packed:,}; decompress it first"
            )
        content = file.read(promised + 1)
        held, more = len(content), " or more"[: 8 * (len(content) > promised)]
    else:
        held, more = size - len(header), ""
        content = file.read(promised) if held == promised else b""
    if held != promised:
        fault = "is truncated" if held < promised else "has bytes after its end"
        raise DatasetError(f"{path} {fault}: {promise} and it holds {held:,}{more}")
    if promised == 0:
        raise DatasetError(
            f"{path} holds an empty array of shape {_by(shape)}, but a data set needs examples"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_batch(path: Path) -> tuple[Bytes, Labels]:
    content = _unpickle(path)
    images, labels = (content.get(key, content.get(key.decode())) for key in (b"data", b"labels"))
    array = images.array() if isinstance(images, pickles.PickledArray) else None
    if array is None or len(array) == 0 or array.shape[1] != CIFAR_PIXELS:
        found = "no complete array of these" if array is None else _by(array.shape)
        raise DatasetError(
            f"{path}: data must be an array of unsigned bytes, images x {CIFAR_PIXELS}, found {found}"
        )
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DatasetError(f"{path}: labels must be a list of integers, one for each image")
    return array, _checked_labels(path, labels, len(array))


def _unpickle(path: Path) -> dict[Any, Any]:
    try:
        with open(path, "rb") as file:
            content = pickles.loads(file.read())
    except FileNotFoundError:
        raise DatasetError(
            f"{path} is missing; CIFAR-10 has {', '.join(_CIFAR_TRAIN)} and {_CIFAR_TEST}"
        ) from None
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DatasetError(f"{path} is not a batch of CIFAR-10: {error}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path} holds {type(content).__name__}, but a batch of CIFAR-10 is a dict")
    return content
