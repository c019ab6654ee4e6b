"""What a caller gets: the report, its text, its data; and what a check leaves alone."""

import io
import json
import math
import re
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

from manualgrad.gradcheck import checks, gradcheck, recording
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


def test_the_first_line_is_the_finding_whole():
    with pytest.raises(AssertionError) as failure:
        gradcheck(HalfWeight, affine()).raise_if_wrong()
    first, *_ = str(failure.value).splitlines()
    assert first.startswith("scale (weight): The gradient of weight is ½")
    assert first.endswith(".")


def test_it_is_true_if_it_is_ok_and_short_in_a_shell():
    right, wrong = gradcheck(RightLinear, affine()), gradcheck(HalfWeight, affine())
    assert right
    assert not wrong
    assert (repr(right), repr(wrong)) == (
        "<Report RightLinear: right>",
        "<Report HalfWeight: scale (weight)>",
    )


def test_seed_and_upstream_repeat_it():
    report = gradcheck(RightSigmoid, normal(3), seed=5)
    assert "seed 5; upstream [" in str(report)
    x = normal(3)
    (grad,) = torch.autograd.grad(RightSigmoid.apply(x), x, report.upstream)
    row = report.rows[0]
    assert float(grad[row.index]) == pytest.approx(row.yours)


@pytest.mark.parametrize("width", [50, 60, 80, 100])
def test_no_line_is_cut_or_broken_in_a_narrow_terminal(width):
    report = gradcheck(HalfWeight, affine(), lambda x, w, b: nn.functional.linear(x, w, b))
    console = Console(file=io.StringIO(), width=width)
    console.print(report)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in console.file.getvalue()
    assert any(line.split()[:1] + line.split()[-1:] == ["weight", "scale"] for line in lines) or width < 80


def test_its_text_fits_the_terminal(monkeypatch):
    report = gradcheck(HalfWeight, affine(), lambda x, w, b: nn.functional.linear(x, w, b))
    assert max(map(len, str(report).splitlines())) > 80
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, str(report).splitlines())) <= 80


def test_a_notebook_gets_a_table_and_plain_text_stays_plain(monkeypatch):
    report = gradcheck(HalfWeight, affine())
    page = report._repr_html_()
    assert "<table>" in page
    assert "<td>weight</td>" in page
    assert "scale (weight)" in page
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert "scale (weight)" in str(report)


def test_the_sentence_can_be_worked_out_by_hand():
    (finding,) = gradcheck(OneElementWrong, normal(100, 100)).findings
    found = re.search(
        r"= (\S+), upstream (\S+): yours upstream × (\S+), should be upstream × (\S+)\.$", finding.message
    )
    x, _, yours, right = map(float, found.groups())
    s = 1 / (1 + math.exp(-x))
    assert right == pytest.approx(s * (1 - s), rel=1e-2)
    assert yours == pytest.approx(1.001 * right, rel=1e-3)


def test_an_allowed_kind_is_a_note_and_an_unknown_one_is_misuse():
    report = gradcheck(HalfWeight, affine(), allow={"scale"})
    assert report.ok
    assert [(finding.kind, finding.wrong) for finding in report.findings] == [("scale", False)]
    with pytest.raises(ValueError, match="there is no kind scales; expected some of"):
        gradcheck(HalfWeight, affine(), allow={"scales"})


def test_a_tolerance_of_ones_own():
    assert not gradcheck(OneElementWrong, normal(100, 100)).ok
    assert gradcheck(OneElementWrong, normal(100, 100), rtol=1e-2).ok


def test_no_probe_without_magnitudes():
    seen = []

    def largest(x):
        seen.append(float(x.detach().abs().max()))
        return x.tanh()

    gradcheck(largest, normal(3), magnitudes=False, second_order=False)
    assert max(seen) < 10


def test_when_code_raises_the_shapes_of_its_names_are_told():
    class Raises(Linear):
        @staticmethod
        def backward(ctx, grad_output):
            x, *_ = ctx.saved_tensors
            return grad_output @ x, None, None

    (finding,) = gradcheck(Raises, affine()).findings
    assert "with grad_output (5, 2), x (5, 3)" in finding.message


def test_what_the_checker_stumbles_over_is_not_the_subjects_fault(monkeypatch):
    def stumbles(session):
        raise RuntimeError("of its own")

    monkeypatch.setattr(checks, "WHILE_RIGHT", [stumbles])
    report = gradcheck(RightSigmoid, normal(3))
    assert report.ok
    assert "gradcheck's own stumbles raised RuntimeError: of its own" in report.findings[0].message


def test_private_names_of_pytorch_stand_in_one_file():
    folder = Path(recording.__file__).parent
    private = re.compile(r"torch\._[a-zA-Z]|\._(?:forward_cls|input_metadata|version|C)\b|\.apply = ")
    using = {path.name for path in folder.rglob("*.py") if private.search(path.read_text(encoding="utf-8"))}
    assert using == {"recording.py"}
