"""The support matrix: that its marks are earned, and that the README shows what it prints."""

import dataclasses
import re
from pathlib import Path

import pytest
import torch

import manualgrad.functions as F
from experiments import support_matrix
from manualgrad.cases import FUNCTIONS

README = Path(__file__).parents[2] / "README.md"
CPU = torch.device("cpu")


def readmes_block():
    return re.search(r"<!-- support-matrix -->\n(.*?)<!-- /support-matrix -->", README.read_text(), re.S)[
        1
    ].strip()


def test_readme_has_every_function_and_every_column():
    header, _, *rows = readmes_block().splitlines()[: 2 + len(FUNCTIONS)]
    assert [cell.strip() for cell in header.strip("|").split("|")][1:] == list(support_matrix.COLUMNS)
    assert [row.split("|")[1].strip() for row in rows] == [f"`{name}`" for name in FUNCTIONS]
    assert all(set(map(str.strip, row.split("|")[2:-1])) == {"yes"} for row in rows)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_readme_shows_what_the_script_prints():
    text, noes = support_matrix.report(list(FUNCTIONS.values()), CPU)
    assert noes == []
    assert readmes_block() == text


def wrong_relu(input):
    """A gradient for every input, one integer rounding, no checks."""
    return WrongReLU.apply(input)


class WrongReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input, input.clone())
        return input.clamp(min=0).float().to(input.dtype)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.view(-1).view(grad_output.shape).clone()


def test_a_wrong_function_earns_no_mark():
    """Everything but what it does get right: it is repeatable, exports, and is not fussy about layouts."""
    wrong = dataclasses.replace(FUNCTIONS["relu"], function=wrong_relu)
    for name in ("value", "gradient", "2nd order", "3rd order", "forward mode", "vmap", "per-sample", "half",
                 "layouts", "extremes", "checkpoint", "memory", "bad input"):  # fmt: skip
        with pytest.raises((AssertionError, RuntimeError)):
            support_matrix.COLUMNS[name](wrong, CPU)


def test_a_no_is_printed_with_its_reason_and_makes_the_status_1(monkeypatch, capsys, tmp_path):
    def never(info, device):
        raise ValueError("not on a Sunday")

    monkeypatch.setattr(support_matrix, "COLUMNS", {"value": support_matrix.value, "rest": never})
    assert support_matrix.main(["--only", "relu", "--runs-dir", str(tmp_path), "--device", "cpu"]) == 1
    printed = capsys.readouterr()
    assert "| `relu` | yes | no |" in printed.out
    assert "no: relu, rest: ValueError: not on a Sunday" in printed.out
    assert "1 of 2 cells" in printed.err


def test_an_unknown_function_is_one_clear_line(capsys):
    assert support_matrix.main(["--only", "gelu"]) == 1
    assert capsys.readouterr().err.startswith(
        "support_matrix: error: --only gelu: no such function; there are sigmoid"
    )


def test_bytes_saved_counts_a_storage_once():
    x = torch.randn(3, 4, dtype=torch.float64)
    assert support_matrix.bytes_saved(F.sigmoid, [x]) == 12 * 8
    assert support_matrix.bytes_saved(lambda value: value * value, [x]) == 12 * 8
    assert support_matrix.bytes_saved(lambda value: value * value.exp(), [x]) == 2 * 12 * 8
