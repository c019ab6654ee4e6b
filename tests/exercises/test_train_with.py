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
        return {"test_loss": slope(), "seconds": 1.0, "mean_absolute_errors": [0.5], "errors": [1, 2]}

    assert train_both(file, tmp_path, train, train)["test_loss"] == 0.125
    out = capsys.readouterr().out
    rows = [line.split() for line in out.partition("───")[2].splitlines()[1:]]
    assert rows[:2] == [["test", "loss", "0.25", "0.125"], ["mean", "absolute", "error", "0.5", "0.5"]]
    assert "seconds" not in out
    assert "errors" not in out
    assert f"look at both: tensorboard --logdir {tmp_path}" in out


def test_a_bad_file_is_told_before_the_training(tmp_path):
    def train():
        raise AssertionError("must not be reached")

    with pytest.raises(UserError, match="no such file"):
        train_both(tmp_path / "none.py", tmp_path, train, train)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["raise NotImplementedError"], "^sigmoid.py: backward is not written yet$"),
        (["grad_input = nothing"], "^sigmoid.py, line .*: grad_input = nothing NameError: .*$"),
        (["grad_input = ("], "^sigmoid.py, line .*: '\\(' was never closed"),
    ],
)
def test_a_backward_that_raises_is_told_before_the_training(lines, message, tmp_path):
    def train():
        raise AssertionError("must not be reached")

    file = tmp_path / "sigmoid.py"
    file.write_text(attempt("sigmoid", *lines))
    with pytest.raises(UserError, match=message):
        train_both(file, tmp_path, train, train)


def test_what_raises_only_in_the_training_is_one_line_too(tmp_path):
    file = tmp_path / "sigmoid.py"
    lines = ("grad_input = grad_output if output.dim() else nothing",)
    file.write_text(attempt("sigmoid", *lines))
    with pytest.raises(UserError, match=r"^sigmoid.py, line .* NameError: .*$"):
        train_both(file, tmp_path, lambda: {"slope": slope()}, lambda: {"slope": slope()})


def test_a_function_that_is_never_called_is_told_before_its_training(file, tmp_path):
    def train():
        raise AssertionError("must not be reached")

    with pytest.raises(UserError, match=r"network never calls sigmoid: nothing of .*sigmoid.py would be"):
        train_both(file, tmp_path, dict, train)
    assert slope() == 0.25
