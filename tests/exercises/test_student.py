"""A student's function in the place of ours."""

from contextlib import nullcontext

import pytest
import torch

import manualgrad.functions as F
import manualgrad.nn as nn
from manualgrad.cases import FUNCTIONS
from manualgrad.errors import UserError
from manualgrad.exercises.course import COURSE
from manualgrad.exercises.exercise import FUNCTIONS as FUNCTIONS_FOLDER
from manualgrad.exercises.student import in_place_of_ours, load_function
from tests.exercises.attempts import attempt, solved, stub


def write(folder, name, text):
    file = folder / f"{name}.py"
    file.write_text(text)
    return file


def test_it_takes_the_place_of_ours_and_ours_comes_back(tmp_path):
    info, theirs = load_function(
        write(tmp_path, "sigmoid", attempt("sigmoid", "grad_input = 3 * grad_output"))
    )
    assert info.name == "sigmoid"
    x = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    for inside, derivative in ((True, 3.0), (False, 0.25)):
        with in_place_of_ours(info, theirs) if inside else nullcontext():
            y = nn.Sigmoid()(x)
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert torch.equal(gradient, torch.full_like(x, derivative))


def test_ours_comes_back_after_an_error(tmp_path):
    info, theirs = load_function(write(tmp_path, "sigmoid", attempt("sigmoid", "grad_input = grad_output")))
    with pytest.raises(LookupError), in_place_of_ours(info, theirs):
        raise LookupError
    x = torch.zeros((), requires_grad=True)
    F.sigmoid(x).backward()
    assert x.grad == 0.25


def test_a_file_imports_its_neighbour(tmp_path, judge):
    write(tmp_path, "sines_neighbour", "from torch import cos")
    lines = ("from sines_neighbour import cos", "grad_input = cos(input) * grad_output")
    outcome = judge("sin", attempt("sin", *lines))
    assert outcome.passed, outcome.message


def test_every_wrapper_works_with_another_class():
    """Each takes its class from the one name that is put in its place."""
    for info in FUNCTIONS.values():

        class Other(info.function_class):
            @staticmethod
            def backward(ctx, *grad_outputs):
                raise LookupError("this one")

        sample = info.samples()[0]
        with in_place_of_ours(info, Other):
            output = info.function(*sample.args, **sample.kwargs)
        first = output[0] if isinstance(output, tuple) else output
        with pytest.raises(LookupError, match="this one"):
            first.sum().backward()


def test_every_exercise_about_a_function_can_be_loaded(tmp_path):
    for exercise in COURSE:
        if exercise.page.parent == FUNCTIONS_FOLDER:
            info, _ = load_function(write(tmp_path, exercise.name, solved(exercise)))
            assert info.name == exercise.page.stem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (", "bad.py, line 1: '\\(' was never closed"),
        ("1 / 0", "bad.py, line 1: 1 / 0 ZeroDivisionError: division by zero"),
        ("x = 1", "no class in it derives"),
        (stub("network"), "no class in it derives"),
    ],
)
def test_a_file_that_cannot_be_used(text, message, tmp_path):
    with pytest.raises(UserError, match=message) as caught:
        load_function(write(tmp_path, "bad", text))
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load_function(tmp_path / "none.py")
