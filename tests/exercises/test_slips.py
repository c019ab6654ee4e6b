"""The search for a slip runs a student's code in many versions: no check is harmed by it."""

import time

import pytest

HEAD = "import torch\nfrom manualgrad.exercises import given\n\n\nclass Sigmoid(given.Sigmoid):\n"
WRITTEN = "    def backward(ctx, grad_output{}):\n        (output,) = ctx.saved_tensors\n        {}\n"
WRONG = "return grad_output * output * (2 - output)"
LOOP = (
    "total, i = output * 0, 0\n"
    "        while i < 3:\n"
    "            total = total + output * torch.sin(output)\n"
    "            i += 1\n"
    "        return grad_output * total"
)


def static(decorator, arguments, body):
    """A file whose backward may have a decorator and more arguments; its return is in line 9, or in 10."""
    lines = ["@staticmethod", *filter(None, [decorator])]
    return HEAD + "".join(f"    {line}\n" for line in lines) + WRITTEN.format(arguments, body)


@pytest.mark.parametrize(
    ("text", "kinds", "said"),
    [
        (static("", "", "raise ValueError('no formula')"), "raises", "no formula"),
        (
            HEAD + "    backward = staticmethod(lambda ctx, g: g * ctx.saved_tensors[0].sin())\n",
            "unknown input-for-output",
            "",
        ),
        (
            static("", ", k=2", "return grad_output * output * (k - output)"),
            "input-for-output",
            "where `1 - output` belongs",
        ),
        (static("@torch.no_grad()", "", WRONG), "input-for-output", "Line 10: `2 - output`"),
        (
            static("@torch.autograd.function.once_differentiable", "", WRONG),
            "input-for-output",
            "Line 10: `2 - output`",
        ),
        (static("", "", LOOP), "unknown input-for-output", ""),
    ],
    ids=["no return", "lambda", "default", "no_grad", "once_differentiable", "while"],
)
def test_any_way_to_write_backward_is_judged(text, kinds, said, judge):
    outcome = judge("sigmoid", text)
    assert outcome.kind in kinds.split(), outcome.message
    assert said in outcome.message
    assert outcome.seconds < 3


def test_a_slow_backward_is_not_run_for_long(judge):
    start = time.monotonic()
    body = "import time; time.sleep(0.03); return grad_output * torch.sin(torch.exp(output))"
    outcome = judge("sigmoid", static("", "", body))
    assert outcome.kind not in ("time", "unfinished"), outcome.message
    assert time.monotonic() - start < 15


def test_an_endless_edit_is_left(judge):
    body = "k = 8\n        for k in iter(lambda: output.dim() - 2, 0): pass\n        " + WRONG
    outcome = judge("sigmoid", static("", "", body))
    assert outcome.kind not in ("time", "unfinished"), outcome.message


def test_the_search_prints_nothing(judge):
    outcome = judge("sigmoid", static("", "", "print('<here>'); return grad_output * output.foo()"))
    assert outcome.kind == "raises"
    assert outcome.printed.count("<here>") == 1
