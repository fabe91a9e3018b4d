"""Examples of the training study: endless batches, and sets for validation and test. Needs PyTorch."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Generator
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from softsign.data import files, shapeset
from softsign.study.runs import Trial, check_batch_size

__all__ = ["Batches", "Source", "load_source"]

#: Endless examples and labels.
Batches: TypeAlias = Generator[tuple[Tensor, Tensor], None, None]

HELD_OUT = 10_000  # images of Shapeset for validation, and as many for the test


class Source(NamedTuple):
    """Where examples come from.

    Attributes
    ----------
    name : str
        Name of the data set.
    valid, test : tuple of Tensor
        Images, shape (examples, features) in float32, and their labels, shape (examples,) in int64.
    classes : int
        Number of classes.
    input_second_moment : float
        Mean square of the features.
    batches : callable
        ``batches(trial, start)`` gives `Batches`, from batch number `start` on.
    """

    name: str
    valid: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    classes: int
    input_second_moment: float
    batches: Callable[[Trial, int], Batches]


@functools.lru_cache(1)
def load_source(data: str) -> Source:
    """Load a data set, or draw Shapeset's images for validation and test.

    Parameters
    ----------
    data : str
        As of `softsign.study.runs.Trial`.

    Returns
    -------
    Source
        The same one, as long as no other is asked for.

    Raises
    ------
    DatasetError
        As `softsign.data.files.load`.
    """
    if data == "shapeset":
        # Entropy of three words: no seed of batches, which is one, gives these images.
        valid, test = (_held_out(np.random.default_rng([2010, 3, part])) for part in (1, 2))
        moment = valid[0].square().mean().item()
        return Source("Shapeset-3x2", valid, test, len(shapeset.CLASSES), moment, _drawn)
    d = files.load(data)
    valid, test, train = (
        (torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(label))
        for x, label in ((d.valid_x, d.valid_label), (d.test_x, d.test_label), (d.train_x, d.train_label))
    )
    moment = train[0].square().mean().item()
    return Source(d.name, valid, test, len(d.classes), moment, functools.partial(_shuffled, *train))


def _held_out(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    images, labels = shapeset.generate(rng, HELD_OUT)
    return torch.from_numpy(images.reshape(HELD_OUT, -1)), torch.from_numpy(labels)


def _drawn(trial: Trial, start: int) -> Batches:
    with shapeset.Batches(trial.batch_size, trial.seed, workers=1, start=start) as batches:
        for images, labels in batches:
            yield torch.from_numpy(images), torch.from_numpy(labels)


def _shuffled(x: Tensor, labels: Tensor, trial: Trial, start: int) -> Batches:
    """Go through the examples in a new order each time; those that do not fill a batch wait for the next."""
    check_batch_size(trial, len(x))
    first, skip = divmod(start, len(x) // trial.batch_size)
    for epoch in itertools.count(first):
        order = torch.from_numpy(np.random.default_rng([trial.seed, epoch]).permutation(len(x)))
        for rows in order.split(trial.batch_size)[skip : len(x) // trial.batch_size]:
            yield x[rows], labels[rows]
        skip = 0
