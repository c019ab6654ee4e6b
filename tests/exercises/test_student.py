"""A student's function in the place of ours."""

from contextlib import nullcontext

import pytest
import torch

import manualgrad.functions as F
import manualgrad.nn as nn
from manualgrad.cases import FUNCTIONS
from manualgrad.exercises.course import find
from manualgrad.exercises.given import info_of
from manualgrad.exercises.student import find_class, in_place_of_ours
from manualgrad.loading import load_module
from tests.exercises.attempts import attempt


def write(folder, name, text):
    file = folder / f"{name}.py"
    file.write_text(text)
    return file


def load(folder, name, text):
    """The function that an exercise is about, and the student's class for it."""
    info = info_of(find(name))
    return info, find_class(load_module(write(folder, name, text)), info.function_class)


def test_it_takes_the_place_of_ours_and_ours_comes_back(tmp_path):
    info, theirs = load(tmp_path, "sigmoid", attempt("sigmoid", "grad_input = 3 * grad_output"))
    assert info.name == "sigmoid"
    x = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    for inside, derivative in ((True, 3.0), (False, 0.25)):
        with in_place_of_ours(info, theirs) if inside else nullcontext():
            y = nn.Sigmoid()(x)
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert torch.equal(gradient, torch.full_like(x, derivative))


def test_ours_comes_back_after_an_error(tmp_path):
    info, theirs = load(tmp_path, "sigmoid", attempt("sigmoid", "grad_input = grad_output"))
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
