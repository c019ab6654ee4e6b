from itertools import chain

import pytest
import torch

from manualgrad.errors import UserError
from manualgrad.training import BatchLoader

INPUTS = torch.arange(10.0).view(10, 1)
LABELS = torch.arange(10)


def epochs(loader, last):
    return [[labels.tolist() for _, labels in loader] for _ in range(loader.epoch, last + 1)]


def flat(lists):
    return list(chain.from_iterable(lists))


def test_every_row_once_an_epoch_and_in_another_order():
    loader = BatchLoader(INPUTS, LABELS, 4, seed=0)
    first, second = epochs(loader, 2)
    assert [len(batch) for batch in first] == [4, 4, 2] == [4] * (len(loader) - 1) + [2]
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(10))
    assert first != second
    assert (loader.epoch, loader.step) == (3, 6)
    assert epochs(BatchLoader(INPUTS, LABELS, 4, seed=0), 2) == [first, second]
    assert epochs(BatchLoader(INPUTS, LABELS, 4, seed=1), 2) != [first, second]


def test_step_and_epoch_in_the_loop():
    loader = BatchLoader(INPUTS, LABELS, 4, seed=0)
    seen = [(epoch, loader.step, loader.at_last_batch()) for epoch in (1, 2) for _ in loader]
    assert seen == [(1, 1, False), (1, 2, False), (1, 3, True), (2, 4, False), (2, 5, False), (2, 6, True)]


@pytest.mark.parametrize("interrupted", [0, 2, 3, 5])
def test_resumed_after_any_step_it_goes_on_where_it_was(interrupted):
    whole = flat(epochs(BatchLoader(INPUTS, LABELS, 4, seed=5), 3))
    loader = BatchLoader(INPUTS, LABELS, 4, seed=5)
    state = loader.state_dict()
    for _ in range(3):
        for _ in loader:
            if loader.step == interrupted:
                state = loader.state_dict()
    resumed = BatchLoader(INPUTS, LABELS, 4, seed=99)
    resumed.load_state_dict(state)
    assert flat(epochs(resumed, 3)) == whole[interrupted:]


def test_resumed_between_two_epochs_no_epoch_comes_twice():
    loader = BatchLoader(INPUTS, LABELS, 4, seed=5)
    epochs(loader, 2)
    resumed = BatchLoader(INPUTS, LABELS, 4, seed=0)
    resumed.load_state_dict(loader.state_dict())
    assert resumed.epoch == 3


def test_rows_that_have_no_equal_parts_for_the_processes(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    message = "a batch of 5 rows has no 2 equal parts: choose another --batch-size"
    with pytest.raises(UserError, match=message):
        next(iter(BatchLoader(INPUTS, LABELS, 5, seed=0)))
