"""What a caller gets: the report, its text, its data; and what a check leaves alone."""

import io
import json
import math
import re
from pathlib import Path

import pytest
import torch
import torch.utils.checkpoint
from rich.console import Console
from torch import nn

from manualgrad.gradcheck import entry, forward_backward, gradcheck
from tests.gradcheck.bank import (
    ExpAndSin,
    Linear,
    LogSumExp,
    Sigmoid,
    Softmax,
    Tanh,
    affine,
    function,
    normal,
    with_backward,
)
from tests.gradcheck.bank_right import RightLinear, RightSigmoid

HalfWeight = with_backward(Linear, "HalfWeight", lambda g, x, w, b, y: (g @ w, g.t() @ x / 2, g.sum(0)))
TransposedWeight = with_backward(
    Linear, "TransposedWeight", lambda g, x, w, b, y: (g @ w, x.t() @ g, g.sum(0))
)


def one_wrong(g, x, y):
    mask = torch.ones_like(y)
    mask[27, 33] = 1.001
    return g * y * (1 - y) * mask


def test_a_finding_has_the_argument_the_index_and_the_arithmetic():
    report = gradcheck(HalfWeight, affine())
    (finding,) = report.findings
    worst = report.rows[1]
    assert (finding.kind, finding.argument, finding.index) == ("scale", "weight", worst.index)
    assert "is ½ (1/N: weight has size 2 in dimension 0" in finding.message
    assert finding.figures.startswith(f"weight{list(worst.index)}: yours {worst.yours:.6g}, should be")
    assert finding.message.endswith(f" {finding.figures}.")
    assert [row.verdict for row in report.rows] == ["right", "scale", "right"]


@pytest.mark.parametrize(
    ("base", "formula", "kind", "says"),
    [
        (
            LogSumExp,
            lambda g, x, y: g[:, None] * x.softmax(0),
            "transposed",
            "takes softmax over dimension 0: right is dimension 1",
        ),
        (
            Softmax,
            lambda g, x, y: y * (g - (g * y).sum(0, keepdim=True)),
            "missing-terms",
            "takes sum over dimension 0: right is dimension 1",
        ),
        (
            Tanh,
            lambda g, x, y: g * (1 - torch.stack([x, x]).prod(0)),
            "input-for-output",
            "uses the input (input) where its formula needs the output",
        ),
        (  # of the two ways to say it, the nearer
            ExpAndSin,
            lambda g, h, x, y, z: g * y.exp() + h * x.cos(),
            "input-for-output",
            "uses exp(output 0) where its formula needs output 0",
        ),
    ],
)
def test_a_message_names_what_is_to_be_exchanged(base, formula, kind, says):
    finding = gradcheck(with_backward(base, "Exchanged", formula), normal(4, 3)).findings[0]
    assert (finding.kind, says in finding.message) == (kind, True), str(finding)


def test_one_wrong_element_of_many_is_found_and_worked_out():
    fn = with_backward(Sigmoid, "OneElementWrong", one_wrong)
    report = gradcheck(fn, normal(50, 50))
    (finding,) = report.findings
    assert finding.index == (27, 33)
    found = re.search(
        r"= (\S+), upstream (\S+): yours upstream × (\S+), should be upstream × (\S+)\.$", finding.message
    )
    x, _, yours, right = map(float, found.groups())
    s = 1 / (1 + math.exp(-x))
    assert right == pytest.approx(s * (1 - s), rel=1e-2)
    assert yours == pytest.approx(1.001 * right, rel=1e-3)
    assert gradcheck(fn, normal(50, 50), rtol=1e-2).ok


def test_a_wrong_block_of_a_large_tensor_is_found_without_a_reference():
    def wrong_block(g, x, y):
        mask = torch.ones_like(y)
        mask[100:120, 10:20] = 1.5
        return g * y * (1 - y) * mask

    finding = gradcheck(with_backward(Sigmoid, "WrongBlock", wrong_block), normal(300, 40)).findings[0]
    row, column = finding.index
    assert 100 <= row < 120
    assert 10 <= column < 20


def test_a_size_in_a_message_is_the_callers_although_the_first_rows_are_looked_at():
    mean = function("Mean", lambda x: x.mean(0))
    as_sum = with_backward(mean, "AsSum", lambda g, x, y: g.expand_as(x))
    finding = gradcheck(as_sum, normal(100, 40)).findings[0]
    assert "is 100 (N: x has size 100 in dimension 0)" in finding.message
    yours, right = map(float, re.search(r"yours (\S+), should be (\S+) ", finding.figures).groups())
    assert yours == pytest.approx(100 * right, rel=1e-4)

    def half_from_row_10(g, x, y):
        return g * y * (1 - y) * torch.where(torch.arange(100) < 10, 1.0, 0.5)[:, None]

    half = with_backward(Sigmoid, "HalfFromRow10", half_from_row_10)
    finding = gradcheck(half, normal(100, 40), torch.sigmoid).findings[0]
    assert "wrong only in rows 10 to 99, ½ × the right one there" in finding.message


def test_its_text_is_plain_its_first_line_the_finding_and_its_data_json():
    report = gradcheck(HalfWeight, affine())
    text = str(report)
    assert "\x1b" not in text
    assert re.match(r"scale \(weight\): The gradient of weight is ½[^\n]*\.\n", text)
    data = json.loads(json.dumps(report.to_dict()))
    assert data["ok"] is False
    assert data["findings"][0]["kind"] == "scale"
    assert data["findings"][0]["hint"]
    assert all(part in report._repr_html_() for part in ("<pre>", "weight", ">scale</span> (weight)"))


@pytest.mark.parametrize("width", [60, 80])
def test_a_terminal_gets_colour_and_no_line_that_is_cut_or_broken(width, monkeypatch):
    report = gradcheck(HalfWeight, affine(), lambda x, w, b: nn.functional.linear(x, w, b))
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system="standard")
    console.print(report)
    assert "\x1b[" in console.file.getvalue()
    plain = re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue())
    assert max(map(len, plain.splitlines())) <= width
    assert any(line.split()[:1] + line.split()[-1:] == ["weight", "scale"] for line in plain.splitlines())
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    assert str(report).split() == plain.split()


def test_in_a_test_it_is_one_line():
    right, wrong = gradcheck(RightLinear, affine()), gradcheck(HalfWeight, affine())
    assert right
    assert not wrong
    assert (repr(right), repr(wrong)) == (
        "<Report RightLinear: right>",
        "<Report HalfWeight: scale (weight)>",
    )
    right.raise_if_wrong()
    with pytest.raises(AssertionError, match=r"^scale \(weight\): "):
        wrong.raise_if_wrong()


def test_seed_and_upstream_repeat_it():
    report = gradcheck(RightSigmoid, normal(3), seed=5)
    assert "seed 5; upstream [" in str(report)
    x = normal(3)
    (grad,) = torch.autograd.grad(RightSigmoid.apply(x), x, report.upstream)
    row = report.rows[0]
    assert float(grad[row.index]) == pytest.approx(row.yours)


def test_elements_that_cannot_be_compared_are_left_out():
    input, weight, bias = gradcheck(TransposedWeight, affine()).rows
    assert (weight.verdict, weight.yours, weight.relative_error) == ("transposed", None, None)
    assert weight.numeric is not None
    assert input.yours is not None
    assert bias.relative_error is not None


def test_the_callers_tensors_are_left_alone():
    module, input, arguments = nn.BatchNorm1d(3), torch.randn(6, 3), affine()
    tensors = [*arguments, *module.parameters(), *module.buffers()]
    before = [(t.detach().clone(), t._version) for t in tensors]
    state = torch.get_rng_state()
    gradcheck(HalfWeight, arguments, nn.functional.linear)
    report = gradcheck(module, input)
    assert [row.argument for row in report.rows] == ["input", "weight", "bias"]
    assert report.ok, report
    assert all(torch.equal(t, was) and t._version == n for t, (was, n) in zip(tensors, before, strict=True))
    assert all(t.grad is None for t in tensors)
    assert torch.equal(torch.get_rng_state(), state)


def test_what_requires_grad_is_judged():
    x, w, b = (a.detach() for a in affine())
    rows = gradcheck(RightLinear, (x, w.requires_grad_(), b)).rows
    assert [row.argument for row in rows] == ["weight"]


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (torch.arange(3), {}, "floating-point tensor"),
        (normal(3), {"reference": lambda: None}, "the reference.s forward raised TypeError"),
        (normal(3), {"allow": {"scales"}}, "there is no kind scales; expected some of"),
        (torch.randn(3, dtype=torch.complex64).requires_grad_(), {}, "input is complex: .* real tensors"),
    ],
)
def test_misuse_is_an_error(inputs, options, message):
    with pytest.raises(ValueError, match=message):
        gradcheck(RightSigmoid, inputs, **options)


def test_a_forward_unlike_the_reference_is_told():
    report = gradcheck(RightSigmoid, normal(3), torch.tanh)
    assert report.findings[0].message.startswith("The forward itself returns")


def test_no_probe_without_magnitudes():
    seen = []

    def largest(x):
        seen.append(float(x.detach().abs().max()))
        return x.tanh()

    gradcheck(largest, normal(3), magnitudes=False, second_order=False)
    assert max(seen) < 10


def test_when_code_raises_its_line_and_the_shapes_of_its_names_are_told():
    class Raises(Linear):
        @staticmethod
        def backward(ctx, grad_output):
            x, *_ = ctx.saved_tensors
            return grad_output @ x, None, None

    (finding,) = gradcheck(Raises, affine()).findings
    assert finding.kind == "raises"
    assert re.search(r"test_report.py, line \d+: return grad_output @ x, None, None", finding.message)
    assert "with grad_output (5, 2), x (5, 3)" in finding.message


@pytest.mark.parametrize(
    ("function", "says"),
    [(torch.fft.fft, "a result is complex"), (lambda x: x.long(), "there is nothing to differentiate")],
)
def test_what_cannot_be_judged_is_one_line(function, says):
    (finding,) = gradcheck(function, normal(3)).findings
    assert (finding.kind, says in finding.message) == ("raises", True), str(finding)


def test_what_the_checker_stumbles_over_is_not_the_subjects_fault(monkeypatch):
    def stumbles(session):
        raise RuntimeError("of its own")

    monkeypatch.setattr(entry, "WHILE_RIGHT", [stumbles])
    report = gradcheck(RightSigmoid, normal(3))
    assert report.ok
    assert "gradcheck's own stumbles raised RuntimeError: of its own" in report.findings[0].message


def test_private_names_of_pytorch_stand_in_one_file():
    folder = Path(forward_backward.__file__).parent
    private = re.compile(r"torch\._[a-zA-Z]|\._(?:forward_cls|input_metadata|version|C)\b|\.apply = ")
    using = {path.name for path in folder.rglob("*.py") if private.search(path.read_text(encoding="utf-8"))}
    assert using == {"forward_backward.py"}


def test_a_module_that_reaches_its_parameters_by_another_way_is_judged_and_left_as_it_was():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, input, weight):
            ctx.save_for_backward(input, weight)
            return input * weight

        @staticmethod
        def backward(ctx, grad_output):
            input, weight = ctx.saved_tensors
            return grad_output * weight, 2 * (grad_output * input).sum(0)

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(normal(3))
            self.multiply = lambda x: Wrong.apply(x.to(next(self.parameters()).dtype), self.weight)

        def forward(self, input):
            return self.multiply(input)

    module = Module()
    weight = module.weight
    report = gradcheck(module, normal(4, 3))
    assert [(f.kind, f.argument) for f in report.findings] == [("scale", "weight")]
    assert module.weight is weight


def test_a_function_within_a_checkpoint_is_judged():
    def checkpointed(input):
        return torch.utils.checkpoint.checkpoint(RightSigmoid.apply, input, use_reentrant=False)

    assert gradcheck(checkpointed, normal(3)).ok
