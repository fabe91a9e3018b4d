"""softsign.study.sources: batches that can be taken up anywhere, and examples that are held out."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softsign.data import files
from softsign.study.sources import load_source
from tests.test_study_runs import small


@given(st.integers(0, 300), st.integers(1, 200), st.integers(0, 5))
@settings(max_examples=30)
def test_batches_do_not_depend_on_where_one_starts(start: int, batch_size: int, seed: int) -> None:
    trial, source = small(batch_size=batch_size, seed=seed), load_source("digits")
    ahead, there = source.batches(trial, 0), source.batches(trial, start)
    for _ in range(start):
        next(ahead)
    for (x, labels), (other, other_labels) in zip((next(ahead) for _ in range(3)), there, strict=False):
        assert torch.equal(x, other)
        assert torch.equal(labels, other_labels)
        assert len(x) == batch_size


def test_an_epoch_has_each_example_once() -> None:
    trial = small(batch_size=77)  # 14 batches are all 1078 scans
    batches = load_source("digits").batches(trial, 14)
    rows = torch.cat([next(batches)[0] for _ in range(14)])
    train_x = files.read_digits().train_x
    assert np.array_equal(np.sort(rows.numpy(), axis=0), np.sort(train_x, axis=0))
    assert not np.array_equal(rows.numpy(), train_x)


def test_shapeset_is_balanced_and_held_out() -> None:
    source = load_source("shapeset")
    assert source.name == "Shapeset-3x2"
    assert source.valid[0].shape == source.test[0].shape == (10_000, 1024)
    assert not torch.equal(source.valid[0], source.test[0])
    most = torch.bincount(source.test[1]).max().item()
    assert most / 10_000 == pytest.approx(1 / 6, abs=0.015)
