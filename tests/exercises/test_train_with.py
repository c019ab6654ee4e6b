"""An experiment with a student's function in it."""

import pytest
import torch

import manualgrad.functions as F
import manualgrad.nn as nn
from manualgrad.errors import UserError
from manualgrad.exercises.train_with import in_place_of_ours, train_both
from tests.exercises.attempts import attempt


@pytest.fixture
def file(tmp_path):
    """A sigmoid whose gradient is half as large as it should be."""
    file = tmp_path / "sigmoid.py"
    file.write_text(attempt("sigmoid", "grad_input = 0.5 * grad_output * output * (1 - output)"))
    return file


def slope():
    x = torch.zeros((), requires_grad=True)
    nn.Sigmoid()(x).backward()
    return x.grad.item()


def test_modules_take_it_and_ours_comes_back(file):
    ours = F.sigmoid
    with in_place_of_ours(file) as name:
        assert name == "sigmoid"
        assert slope() == 0.125
    assert slope() == 0.25
    assert F.sigmoid is ours


def test_ours_comes_back_after_an_error(file):
    ours = F.sigmoid
    with pytest.raises(LookupError), in_place_of_ours(file):
        raise LookupError
    assert F.sigmoid is ours


def test_both_are_trained_and_shown(file, tmp_path, capsys):
    def train():
        return {"slope": slope(), "seconds": 1.0, "outputs": [1, 2], "errors": [0.5]}

    assert train_both(file, tmp_path, train, train)["slope"] == 0.125
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if "slope" in line)
    assert row.split() == ["slope", "0.25", "0.125"]
    assert "outputs" not in out
    assert "errors" in out
    assert f"look at both: tensorboard --logdir {tmp_path}" in out


def test_a_bad_file_is_told_before_the_training(tmp_path):
    def train():
        raise AssertionError("must not be reached")

    with pytest.raises(UserError, match="no such file"):
        train_both(tmp_path / "none.py", tmp_path, train, train)
