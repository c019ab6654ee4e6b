"""What a caller gets: the report, its text, its data; and what a check leaves alone."""

import io
import json
import time

import pytest
import torch
from rich.console import Console
from torch import nn

from manualgrad.gradcheck import gradcheck
from tests.gradcheck.bank import Linear, Sigmoid, affine, normal
from tests.gradcheck.bank_right import RightLinear, RightSigmoid


class HalfWeight(Linear):
    @staticmethod
    def backward(ctx, g):
        x, w, _, _ = ctx.saved_tensors
        return g @ w, g.t() @ x / 2, g.sum(0)


class OneElementWrong(Sigmoid):
    @staticmethod
    def backward(ctx, g):
        _, y = ctx.saved_tensors
        mask = torch.ones_like(y)
        mask[70, 33] = 1.001
        return g * y * (1 - y) * mask


def test_a_finding_has_the_argument_the_index_and_the_arithmetic():
    report = gradcheck(HalfWeight, affine())
    (finding,) = report.findings
    assert (finding.kind, finding.argument, finding.index) == ("scale", "weight", report.rows[1].index)
    assert "is ½ (1/N: weight has size 2 in dimension 0" in finding.message
    worst = report.rows[1]
    assert f"weight{list(worst.index)}: yours {worst.yours:.6g}, should be" in finding.message
    assert [row.verdict for row in report.rows] == ["right", "scale", "right"]


def test_its_text_is_plain_and_its_data_is_json():
    report = gradcheck(HalfWeight, affine())
    assert "\x1b" not in str(report)
    assert "scale (weight)" in str(report)
    assert "Jacobian mismatch" not in str(report)
    data = json.loads(json.dumps(report.to_dict()))
    assert data["ok"] is False
    assert data["findings"][0]["kind"] == "scale"
    assert data["findings"][0]["hint"]


def test_a_terminal_gets_colour():
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=120)
    console.print(gradcheck(HalfWeight, affine()))
    assert "\x1b[" in console.file.getvalue()


def test_raise_if_wrong():
    gradcheck(RightLinear, affine()).raise_if_wrong()
    with pytest.raises(AssertionError, match="scale \\(weight\\)"):
        gradcheck(HalfWeight, affine()).raise_if_wrong()


class TransposedWeight(Linear):
    @staticmethod
    def backward(ctx, g):
        x, w, _, _ = ctx.saved_tensors
        return g @ w, x.t() @ g, g.sum(0)


def test_elements_that_cannot_be_compared_are_left_out():
    report = gradcheck(TransposedWeight, affine())
    input, weight, bias = report.rows
    assert (weight.verdict, weight.yours, weight.relative_error) == ("transposed", None, None)
    assert weight.numeric is not None
    assert input.yours is not None
    assert bias.relative_error is not None


class OnlyTheRow(torch.autograd.Function):
    """The mean over dimension 1, whose factor 1/3 is missing; input and other have the same shape."""

    @staticmethod
    def forward(ctx, input, other):
        ctx.save_for_backward(input, other)
        return (input * other).mean(1)

    @staticmethod
    def backward(ctx, g):
        input, other = ctx.saved_tensors
        return g[:, None] * other, g[:, None] * input / 3


def test_a_factor_is_explained_by_one_argument_of_those_that_agree():
    (finding,) = gradcheck(OnlyTheRow, (normal(2, 3), normal(2, 3, seed=1))).findings
    assert " is 3 (C: input has size 3 in dimension 1) × the right one" in finding.message


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input**3

    @staticmethod
    def backward(ctx, g):
        (input,) = ctx.saved_tensors
        return 3 * input * g


def test_a_missing_factor_is_no_matter_of_sums_alone():
    (finding,) = gradcheck(Cube, normal(2, 3)).findings
    assert finding.kind == "missing-terms"
    assert "lacks a factor" in finding.message
    assert "multiplies the derivatives" in finding.hint


def test_one_wrong_element_of_ten_thousand_is_found():
    report = gradcheck(OneElementWrong, normal(100, 100))
    assert report.findings[0].index == (70, 33), report


def test_the_callers_tensors_are_left_alone():
    arguments = affine()
    before = [a.detach().clone() for a in arguments]
    versions = [a._version for a in arguments]
    state = torch.get_rng_state()
    gradcheck(HalfWeight, arguments, nn.functional.linear)
    assert all(torch.equal(a, b) for a, b in zip(arguments, before, strict=True))
    assert [a._version for a in arguments] == versions
    assert all(a.grad is None for a in arguments)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_modules_parameters_and_buffers_are_left_alone():
    module = nn.BatchNorm1d(3)
    state = {name: value.clone() for name, value in module.state_dict().items()}
    report = gradcheck(module, torch.randn(6, 3))
    assert report.ok, report
    assert [row.argument for row in report.rows] == ["input", "weight", "bias"]
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


def test_what_requires_grad_is_judged():
    x, w, b = (a.detach() for a in affine())
    rows = gradcheck(RightLinear, (x, w.requires_grad_(), b)).rows
    assert [row.argument for row in rows] == ["weight"]


def test_without_a_floating_point_tensor_it_is_misused():
    with pytest.raises(ValueError, match="floating-point tensor"):
        gradcheck(RightSigmoid, (torch.arange(3),))


def test_a_reference_that_raises_is_misuse():
    with pytest.raises(ValueError, match="the reference raised TypeError"):
        gradcheck(RightSigmoid, normal(3), lambda: None)


def test_a_forward_unlike_the_reference_is_told():
    report = gradcheck(RightSigmoid, normal(3), torch.tanh)
    assert report.findings[0].message.startswith("The forward itself returns")


def test_a_raising_backward_is_shown_with_its_line():
    class Raises(Sigmoid):
        @staticmethod
        def backward(ctx, g):
            return g @ g  # shapes that do not meet

    (finding,) = gradcheck(Raises, normal(4, 3)).findings
    assert finding.kind == "raises"
    assert "test_report.py, line" in finding.message
    assert "return g @ g" in finding.message


@pytest.mark.slow
def test_ten_times_faster_than_pytorchs_check():
    x = normal(70, 70)
    gradcheck(RightSigmoid, x)
    start = time.process_time()  # which other programs do not lengthen
    gradcheck(RightSigmoid, x)
    between = time.process_time()
    torch.autograd.gradcheck(RightSigmoid.apply, (x,))
    assert time.process_time() - between > 10 * (between - start)
