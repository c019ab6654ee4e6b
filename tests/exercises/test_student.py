"""A student's function in the place of ours."""

import pytest
import torch

import manualgrad.functions as F
from manualgrad.cases import FUNCTIONS
from manualgrad.errors import UserError
from manualgrad.exercises.course import course
from manualgrad.exercises.student import load_function, with_class
from tests.exercises.attempts import attempt, solved, stub


def write(folder, name, text):
    file = folder / f"{name}.py"
    file.write_text(text)
    return file


def test_it_is_named_and_takes_the_same_arguments(tmp_path):
    file = write(tmp_path, "sigmoid", attempt("sigmoid", "grad_input = 3 * grad_output"))
    name, function = load_function(file)
    assert name == function.__name__ == "sigmoid"
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    y = function(input=x)
    assert torch.equal(y, torch.sigmoid(x))
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, torch.full_like(x, 3))


def test_ours_stays_as_it_is(tmp_path):
    load_function(write(tmp_path, "sigmoid", attempt("sigmoid", "grad_input = 3 * grad_output")))
    x = torch.zeros(2, requires_grad=True)
    F.sigmoid(x).sum().backward()
    assert torch.equal(x.grad, torch.full((2,), 0.25))


def test_a_file_imports_its_neighbour(tmp_path, judge):
    write(tmp_path, "sines_neighbour", "from torch import cos")
    lines = ("from sines_neighbour import cos", "grad_input = cos(input) * grad_output")
    outcome = judge("sin", attempt("sin", *lines))
    assert outcome.passed, outcome.message


def test_a_wrapper_that_calls_itself_takes_the_students_class_there_too(tmp_path):
    lines = ("grad_input, grad_weight = torch.zeros_like(input), torch.zeros_like(weight)",)
    _, linear = load_function(write(tmp_path, "linear", attempt("linear", *lines)))
    x = torch.randn(3, 4, requires_grad=True)
    weight = torch.randn(4, requires_grad=True)
    linear(x, weight).sum().backward()
    assert torch.equal(weight.grad, torch.zeros(4))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_wrapper_works_with_another_class(name):
    """Each takes its class from the one name that is put in its place."""
    info = FUNCTIONS[name]

    class Other(info.function_class):
        @staticmethod
        def backward(ctx, *grad_outputs):
            raise LookupError("this one")

    sample = info.samples()[0]
    output = with_class(info, Other)(*sample.args, **sample.kwargs)
    with pytest.raises(LookupError, match="this one"):
        output.sum().backward()


@pytest.mark.parametrize("exercise", [e for e in course() if e.is_library_function], ids=lambda e: e.name)
def test_every_exercise_about_a_function_can_be_loaded(exercise, tmp_path):
    name, _ = load_function(write(tmp_path, exercise.name, solved(exercise)))
    assert name == exercise.page.stem


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
