import math
import tomllib

import pytest
import torch

from manualgrad.data import documents
from manualgrad.data.documents import agrees, compare, load
from manualgrad.errors import UserError

FIGURES = {
    "chain_rule": 2,
    "one_step": 18,
    "two_two_two": 32,
    "softmax_net": 38,
    "xor_sigmoid": 9,
    "xor_tanh": 9,
    "xor_keras": 4,
}


@pytest.mark.parametrize(
    ("printed", "here", "right"),
    [
        ("0.4988", 0.49876, True),
        ("0.4988", 0.49886, False),
        ("0.4988", -0.4988, False),
        # 17 digits: to a relative 1e-12
        ("0.29837110876000272", 0.29837110876000272 * (1 + 5e-13), True),
        ("0.29837110876000272", 0.29837110876000272 * (1 + 2e-12), False),
        # a whole number: exactly
        ("0", -0.0, True),
        ("0", 1e-9, False),
        ("0.5", math.nan, False),
    ],
)
def test_a_figure_agrees_to_the_digits_that_are_printed(printed, here, right):
    assert agrees(here, printed) is right


def test_every_system_is_there_with_all_its_figures():
    with documents.FILE.open("rb") as file:
        assert set(tomllib.load(file)) == set(FIGURES)
    assert {system: len(load(system).printed) for system in FIGURES} == FIGURES


def test_entries_are_named_by_their_place():
    assert list(load("one_step").printed)[3:6] == ["output before[3]", "W1[0,0]", "W1[0,1]"]
    assert load("softmax_net").printed["W3[1,2]"] == "-0.06274803"


def test_a_comparison_goes_as_far_as_the_numbers(capsys):
    ours = {"W1": torch.eye(3), "cost": [1.1674456052871238], "not printed": 3.0}
    comparison = compare("softmax_net", ours)
    assert list(comparison.metrics["figures"])[:2] == ["W1[0,0]", "W1[0,1]"]
    assert comparison.metrics["figures_compared"] == 10
    assert comparison.metrics["figures_differing"] == 9
    out = capsys.readouterr().out
    assert "Beside the softmax-NLL notebook" in out
    assert "1.1674456052871238   1.1674456052871238" in out
    assert "1 of 10 figures agree" in out
    with pytest.raises(UserError, match=r"9 of 10 figures .* W1\[0,0\] should be 0\.10083595, got 1\.0000"):
        comparison.raise_if_different()


def test_without_figures_it_says_so(capsys):
    compare("chain_rule", {}).raise_if_different()
    assert "no figures for these settings" in capsys.readouterr().out
