"""Files that were cut, changed, or made by others: read as they are, or refused in one line."""

import io
import os
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manualgrad.errors import UserError
from manualgrad.training.checkpoint import FORMAT, read_checkpoint, write_checkpoint

CONTENT = {
    "experiment": "mnist",
    "settings": {"seed": 0, "runs_dir": "runs"},
    "best_accuracy": 0.5,
    "model": torch.nn.Linear(3, 2).state_dict(),
    "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"betas": (0.9, 0.999)}]},
}


def plain(value):
    """Return something that can be compared with ==."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value.tolist() if isinstance(value, torch.Tensor) else value


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "last.pt"
    write_checkpoint(path, CONTENT)
    return path.read_bytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "last.pt"


def refused(path, file):
    path.write_bytes(file)
    with pytest.raises(UserError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path} cannot be used: ")
    assert "\n" not in str(caught.value)


def saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def test_what_was_written_is_read(path, whole):
    path.write_bytes(whole)
    assert plain(read_checkpoint(path)) == plain({"format": FORMAT} | CONTENT)


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_a_file_that_was_cut_off(path, whole, data):
    refused(path, whole[: data.draw(st.integers(0, len(whole) - 1))])


class Evil:
    def __reduce__(self):
        return os.mkdir, ("/tmp/never-made",)


OTHERS = {
    "of another program": saved({"model": CONTENT["model"]}),
    "of another version": saved(CONTENT | {"format": "manualgrad checkpoint 1"}),
    "not a dict": saved([1]),
    "calls a function": saved({"format": FORMAT, "model": Evil()}),
    "a bare pickle": pickle.dumps(CONTENT | {"format": FORMAT}),
}


@pytest.mark.parametrize("file", OTHERS.values(), ids=OTHERS)
def test_files_of_others(path, file):
    refused(path, file)
