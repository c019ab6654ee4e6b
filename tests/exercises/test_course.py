"""The maintainers' check: every stub is unsolved, every reference passes, nothing is left out."""

import ast
import inspect
import re

import pytest
import torch

from manualgrad.cases import FUNCTIONS
from manualgrad.errors import UserError
from manualgrad.exercises.course import COURSE, find
from manualgrad.exercises.exercise import FUNCTIONS as PAGES
from manualgrad.exercises.given import info_of
from manualgrad.exercises.stub import our_solution, solved, their_solution
from tests.exercises.attempts import stub

# What a check says about the file as the student gets it.
UNSOLVED = {
    "bug_bias_update": "training",
    "bug_stale_gradients": "training",
    "bug_diagonal_softmax": "missing-terms",
    "bug_in_place_relu": "mutates",
    "bug_new_mask": "wrong-region",
    "bug_kernel": "transposed",
    "bug_constant_mean": "missing-terms",
}


@pytest.mark.parametrize("exercise", COURSE, ids=lambda exercise: exercise.name)
def test_the_stub_is_unsolved_for_the_right_reason_and_the_reference_passes(exercise, judge):
    unsolved = judge(exercise.name, stub(exercise))
    assert unsolved.kind == UNSOLVED.get(exercise.name, "not-written")
    assert (unsolved.passed, unsolved.steps_done) == (False, 0)
    assert unsolved.message
    right = judge(exercise.name, solved(exercise))
    assert right.passed, right.message
    assert right.steps_done == len(exercise.steps)
    assert (right.kind, right.message, right.printed) == ("", "", "")


def test_the_stub_does_not_hold_the_solution():
    for exercise in COURSE:
        text, ours = stub(exercise), our_solution(exercise)
        assert ours.strip()
        assert ours not in text
        if exercise.kind == "function" and not exercise.wrong_backward:
            theirs = _statements(their_solution(exercise, text))
            shared = theirs & _statements(ours)
            given = _statements("\n".join(exercise.lesson.given_lines()))
            # what to return, and nothing of how to compute it
            told = ("return (grad_", "return (None, grad_", "return grad_input")
            assert all(line.startswith(told) or line.endswith("= None") for line in shared - given)


def _statements(code):
    """Every statement of a piece of code, spelt in one way."""
    return {ast.unparse(node) for node in ast.walk(ast.parse(code)) if isinstance(node, ast.stmt)}


def test_the_stub_shows_formula_shapes_and_commands_on_a_terminal():
    for exercise in COURSE:
        text = stub(exercise)
        assert [line for line in text.splitlines() if len(line) > 80] == []
        assert exercise.title.split() == text[3:].partition("\n\n")[0].split()
        assert f"exercises check {exercise.name}" in text
        assert f"exercises hint {exercise.name}" in text
        if exercise.kind in ("function", "prediction"):
            forward = text.partition("Forward\n-------\n")[2].partition("\nShapes\n")[0]
            assert exercise.lesson.sections["Forward"].split() == forward.split()
            assert "result:" in text
            saves = "ctx.saved_tensors" in exercise.lesson.code("backward")
            assert not saves or any("ctx.saved_tensors" in line for line in exercise.lesson.given_lines())


def test_where_the_reduction_matters_its_values_are_named():
    for name in ("mse_loss", "nll_loss"):
        task = stub(name).partition("Your task")[2].partition("import torch")[0]
        assert all(f'"{value}"' in task for value in ("mean", "sum", "none"))


def test_the_given_forward_breaks_at_commas_and_calls_no_helper_of_ours():
    assert "save_for_backward(input if weight_needs_grad else None,\n" in stub("linear")
    for exercise in COURSE:
        if exercise.kind == "function":
            given = stub(exercise).partition("# Given")[2].partition("@staticmethod")[0]
            called = set(re.findall(r"\b((?:_|reduce|mask_|split_|widen)\w*)\(", given))
            assert called <= set(re.findall(r"def (\w+)", given))


def test_a_forward_in_plain_lines_is_ours():
    for exercise in COURSE:
        if exercise.forward:
            info, names = info_of(exercise), {"torch": torch}
            exec(exercise.forward, names)
            sample = next(s for s in info.samples() if s.name in exercise.steps[0].samples)
            spare = list(inspect.signature(names["forward"]).parameters)[len(sample.args) :]
            others = [sample.args[0].shape[-1] ** -0.5 if name == "scale" else None for name in spare]
            result = names["forward"](*sample.args, *others)
            right = info.function(*sample.args, **sample.kwargs)
            assert torch.allclose(result[0] if isinstance(result, tuple) else result, right)


def test_steps_name_samples_and_arguments_that_there_are():
    for exercise in COURSE:
        assert exercise.steps
        assert all(exercise.lesson.body().count(right) == 1 for right, _ in exercise.mistakes)
        if exercise.kind == "function":
            names = [sample.name for sample in info_of(exercise).samples()]
            arguments = {name for name, has in exercise.lesson.arguments().items() if has}
            assert len(set(names)) == len(names)
            assert all(set(step.samples) <= set(names) for step in exercise.steps)
            assert all(set(step.arguments) <= arguments for step in exercise.steps)


def test_every_function_has_its_place_in_an_order_that_teaches():
    assert {exercise.page.stem for exercise in COURSE if exercise.page.parent == PAGES} == set(FUNCTIONS)
    names = [exercise.name for exercise in COURSE]
    assert names[:6] == ["square", "power", "exp", "sin", "predict_exp", "chain_of_three"]
    assert names.index("max_pool2d") < names.index("conv2d") < names.index("layer_norm")
    assert names.index("layer_norm") < names.index("batch_norm") < names.index("lstm_gates")
    assert names.index("softmax") < names.index("nll_loss") < names.index("softmax_nll")
    assert names.index("softmax_nll") < names.index("network") < names.index("bug_bias_update")


def test_names_may_be_typed_in_several_ways():
    for typed in ("mse_loss", "mse-loss", "MSE_loss", "mse_loss.py"):
        assert find(typed).name == "mse_loss"
    with pytest.raises(UserError, match="did you mean sigmoid"):
        find("sigmiod")
    with pytest.raises(UserError, match="`list --all` shows them all"):
        find("zzz")
