"""Typical wrong attempts, and what each is told."""

import re

import pytest

from manualgrad.exercises import check
from manualgrad.exercises.course import find
from manualgrad.exercises.stub import solved
from tests.exercises.attempts import attempt, read_attempts, stub, written

# Every fifth of them by default.
BANK = [
    pytest.param(
        made, id=f"{made.exercise}: {made.lines[-1]}", marks=[] if number % 5 == 0 else pytest.mark.slow
    )
    for number, made in enumerate(read_attempts())
]


@pytest.mark.parametrize("made", BANK)
def test_an_attempt_is_told_truly(made, judge):
    outcome = judge(made.exercise, attempt(made.exercise, *made.lines))
    assert outcome.passed == (made.kinds == ["right"]), outcome.message
    if not outcome.passed:
        assert outcome.kind in made.kinds, outcome.message
        assert re.search(made.says, outcome.message), outcome.message


ALL_AT_ONCE = "(grad_output @ weight, grad_output.t() @ input, grad_output.sum(0))"
LINEAR = (
    "if input_needs_grad: grad_input = grad_output @ weight",
    "if weight_needs_grad: grad_weight = grad_output.t() @ input",
    "if bias_needs_grad: grad_bias = grad_output.sum(0)",
)


@pytest.mark.parametrize(
    ("lines", "steps_done", "kind"),
    [
        (("pass",), 0, "missing-gradient"),
        (("grad_input = grad_output @ weight",), 1, "missing-gradient"),
        ((LINEAR[0], "grad_weight = input.t() @ grad_output"), 1, "transposed"),
        ((*LINEAR[:2], "grad_bias = grad_output"), 2, "unsummed"),
        ((f"grad_input, grad_weight, grad_bias = {ALL_AT_ONCE}",), 3, "raises"),
    ],
)
def test_linear_goes_step_by_step(lines, steps_done, kind, judge):
    outcome = judge("linear", attempt("linear", *lines))
    assert (outcome.steps_done, outcome.kind) == (steps_done, kind), outcome.message
    assert outcome.step.split(";")[0] == find("linear").steps[steps_done].title


NETWORK = {
    "z1": "x @ w1.t() + b1",
    "h1": "torch.sigmoid(z1)",
    "z2": "h1 @ w2.t() + b2",
    "y": "torch.sigmoid(z2)",
    "loss": "((y - t) ** 2).mean()",
    "grad_y": "2 * (y - t) / y.numel()",
    "grad_z2": "grad_y * y * (1 - y)",
    "grad_w2": "grad_z2.t() @ h1",
    "grad_b2": "grad_z2.sum(0)",
    "grad_h1": "grad_z2 @ w2",
    "grad_z1": "grad_h1 * h1 * (1 - h1)",
    "grad_w1": "grad_z1.t() @ x",
    "grad_b1": "grad_z1.sum(0)",
}


@pytest.mark.parametrize(
    ("changed", "steps_done", "kind", "message"),
    [
        ({"z1": "x @ w1 + b1"}, 0, "wrong-value", "z1 = x @ w1 + b1"),
        ({"loss": "((y - t) ** 2).sum()"}, 0, "wrong-value", "`((y - t) ** 2).mean()`"),
        ({"grad_y": "(y - t) / y.numel()"}, 1, "wrong-value", "factor `2`"),
        ({"grad_z2": "grad_y * z2 * (1 - z2)"}, 1, "wrong-value", "`z2` stands where `y` belongs"),
        ({"grad_w1": "x.t() @ grad_z1"}, 1, "wrong-value", "It is the transpose of the right one."),
        ({"grad_b2": "grad_z2"}, 1, "wrong-value", "has shape (4, 1), and should have (1,)"),
        ({"grad_h1": "grad_z2 @ w1"}, 1, "raises", "grad_h1 = grad_z2 @ w1"),
        ({"grad_z1": "..."}, 1, "not-written", "grad_z1"),
        ({"grad_b1": "3"}, 1, "wrong-value", "should have (2,)"),
        ({"grad_b1": "grad_z1.sum(0) / 0 * 0"}, 1, "wrong-value", "yours nan"),
        # Both are wrong: the first is named.
        ({"grad_w2": "grad_z2.t() @ h1 * 2", "grad_w1": "x"}, 1, "wrong-value", "grad_w2 is the first"),
    ],
)
def test_the_first_wrong_line_of_the_network_is_named(changed, steps_done, kind, message, judge):
    outcome = judge("network", written("network", **NETWORK | changed))
    assert (outcome.steps_done, outcome.kind) == (steps_done, kind), outcome.message
    assert message in outcome.message
    assert "network.py, line" in outcome.message or kind == "not-written"


def test_the_network_may_be_written_in_other_ways(judge):
    text = written(
        "network", **NETWORK | {"grad_z2": "grad_y * (y - y**2)", "loss": "torch.mean((t - y) ** 2)"}
    )
    # In two steps, and in place.
    text = text.replace("    z1 = x @ w1.t() + b1", "    z1 = x @ w1.t()\n    z1 += b1")
    text += "\n\nloss = y = None  # the module's own names, and not the function's\n"
    assert judge("network", text).passed


MENDED = {
    "bug_bias_update": ("b2 = b2 - learning_rate * b2", "b2 -= learning_rate * grad_b2"),
    "bug_stale_gradients": (
        "loss.backward()",
        "parameters['weight'].grad = parameters['bias'].grad = None; loss.backward()",
    ),
    "bug_diagonal_softmax": (
        "grad_output * probs * (1 - probs)",
        "probs * grad_output - probs * (probs * grad_output).sum(ctx.dim, keepdim=True)",
    ),
    "bug_kernel": (
        "conv2d(padded, weight.transpose(0, 1))",
        "conv2d(padded, weight.transpose(0, 1).flip(2, 3))",
    ),
    "bug_in_place_relu": (
        "grad_output[output <= 0] = 0",
        "grad_output = grad_output.masked_fill(output <= 0, 0)",
    ),
}


@pytest.mark.parametrize("exercise", MENDED)
def test_a_bug_may_be_mended_in_any_way(exercise, judge):
    text, (before, after) = stub(exercise), MENDED[exercise]
    assert before in text
    text = text.replace(before, after)
    if exercise == "bug_bias_update":
        half = judge(exercise, text)
        assert half.kind == "training"
        assert "b1" in half.message
        text = text.replace("b1 = b1 - learning_rate * b1", "b1 = b1 - learning_rate * grad_b1")
    assert judge(exercise, text).passed


@pytest.mark.parametrize("exercise", ["bug_bias_update", "network"])
def test_a_file_without_its_function(exercise, judge):
    outcome = judge(exercise, "x = 1\n")
    assert outcome.kind == "no-class"
    assert "has to stay" in outcome.message


def test_what_is_printed_belongs_to_the_table(judge):
    outcome = judge(
        "exp", attempt("exp", "print(grad_output[0, 0].item())", "grad_input = -grad_output * output")
    )
    assert outcome.kind == "sign"
    assert outcome.printed.count("\n") == 1


def test_what_raises_is_told_with_shapes_and_names(judge):
    outcome = judge("tanh", attempt("tanh", "grad_input = grad_output * (1 - output ^ 2)"))
    assert outcome.kind == "raises", "PyTorch's NotImplementedError is not the stub's"
    assert "`^` is no power in Python: write `**`." in outcome.message
    outcome = judge("exp", attempt("exp", "grad_input = grad_output * y"))
    assert "The names that there are: ctx, grad_output, output." in outcome.message


def test_a_prediction(judge):
    wrong = judge("predict_linear", stub("predict_linear").replace("prediction = ...", 'prediction = "sign"'))
    assert wrong.kind == "wrong-prediction"
    assert "unsummed" not in wrong.message + wrong.report, "the figures alone"
    right = judge("predict_linear", stub("predict_linear").replace("= ...", '= " Unsummed"'))
    assert right.passed
    assert "unsummed (bias)" in right.report
    mended = solved(find("predict_exp")).replace("torch.exp(output)", "output")
    assert judge("predict_exp", mended).kind == "no-mistake"


@pytest.mark.parametrize(
    ("exercise", "line", "said"),
    [
        ("power", "grad_input = grad_output * ctx.exponent * input**ctx.exponent / input", "non-finite"),
        ("exp", "grad_input = grad_output.view(3, -1).view(output.shape) * output", "raises layout"),
        ("sin", "grad_input = grad_output * torch.cos(input) + 0 * input[0].sum()", "raises"),
        ("exp", "grad_input = grad_output * output * (1 + 0 * output.max())", "raises"),
    ],
)
def test_what_a_page_promises_is_asked_for(exercise, line, said, judge):
    """A 0 where the function is smooth, every layout, every number of dimensions, an empty batch."""
    outcome = judge(exercise, attempt(exercise, line))
    assert not outcome.passed
    assert outcome.kind in said.split(), outcome.message


def test_the_same_file_gets_the_same_verdict(judge):
    text = attempt("softmax", "grad_input = grad_output * torch.rand_like(probs)")
    first, second = judge("softmax", text), judge("softmax", text)
    assert (first.kind, first.message) == (second.kind, second.message)


def test_a_solved_file_of_another_exercise_does_not_pass(judge):
    assert judge("tanh", solved(find("sigmoid"))).kind == "no-class"


def test_a_notebook_shows_a_table(tmp_path):
    (tmp_path / "exp.py").write_text(attempt("exp", "print('<here>')", "grad_input = -grad_output * output"))
    verdict = check("exp", tmp_path)
    page = verdict._repr_html_()
    assert "worst at" in page
    assert "<pre>&lt;here&gt;" in page
    assert "has the wrong sign" in page
    assert "sign (input)" in str(verdict)
    (tmp_path / "exp.py").write_text(solved(find("exp")))
    assert "✓ right" in check("exp", tmp_path)._repr_html_()
