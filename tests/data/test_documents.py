import math
import tomllib

import pytest
import torch

from manualgrad.data import documents
from manualgrad.data.documents import Comparison, Figure, compare, load
from manualgrad.errors import UserError

SYSTEMS = {
    "chain_rule": 2,
    "one_step": 18,
    "two_two_two": 32,
    "softmax_net": 38,
    "xor_sigmoid": 9,
    "xor_tanh": 9,
    "xor_keras": 4,
}


@pytest.mark.parametrize(
    ("printed", "decimals", "digits"),
    [
        ("0.4988", 4, 4),
        ("-0.02260254", 8, 7),
        ("0.0000283999840", 13, 9),
        ("0.29837110876000272", 17, 17),
        ("-32757.521776103014", 12, 17),
        ("1", 0, 1),
    ],
)
def test_what_is_printed_says_how_many_digits_count(printed, decimals, digits):
    figure = Figure("y", printed)
    assert (figure.decimals, figure.digits) == (decimals, digits)


@pytest.mark.parametrize(
    ("printed", "here", "agrees"),
    [
        ("0.4988", 0.49876, True),
        ("0.4988", 0.49884, True),
        ("0.4988", 0.49886, False),
        ("0.4988", -0.4988, False),
        ("0.3775", 0.37750000000000006, True),
        # 17 digits: to a relative 1e-12
        ("0.29837110876000272", 0.29837110876000272 * (1 + 5e-13), True),
        ("0.29837110876000272", 0.29837110876000272 * (1 + 2e-12), False),
        ("-32757.521776103014", -32757.521776103014 - 1e-8, True),
        ("-32757.521776103014", -32757.521776103014 - 1e-7, False),
        # a whole number: exactly
        ("0", 0.0, True),
        ("0", -0.0, True),
        ("0", 1e-9, False),
        ("1", 1.0, True),
        ("1", 0.999, False),
        ("0.5", math.nan, False),
        ("0.5", math.inf, False),
        ("0", math.nan, False),
    ],
)
def test_agrees(printed, here, agrees):
    assert Figure("y", printed).agrees(here) is agrees


def test_a_figure_is_shown_as_its_document_prints_it():
    assert Figure("y", "0.9813687").show(0.98136870226) == "0.9813687"
    assert Figure("y", "0.29837110876000272").show(0.29837110876000272) == "0.29837110876000272"
    assert Figure("y", "-0.02").show(-0.0251) == "-0.03"
    assert Figure("y", "0.5").show(math.nan) == "nan"
    assert [Figure("y", printed).show(-0.0) for printed in ("0", "0.00")] == ["0", "0.00"]


def test_every_system_is_there_with_all_its_figures():
    with documents.FILE.open("rb") as file:
        assert set(tomllib.load(file)) == set(SYSTEMS)
    assert {system: len(load(system).figures) for system in SYSTEMS} == SYSTEMS


def test_figures_are_named_by_their_place():
    names = [figure.name for figure in load("one_step").figures]
    assert names[3:8] == ["output before[3]", "W1[0,0]", "W1[0,1]", "W1[1,0]", "W1[1,1]"]
    assert load("softmax_net").printed["W3"][5] == Figure("W3[1,2]", "-0.06274803")


def test_compare_goes_as_far_as_the_numbers_and_in_the_document_s_order():
    comparison = compare("softmax_net", {"W1": torch.eye(3), "cost": [1.1674456052871238]})
    assert [figure.name for figure, _ in comparison.pairs][:2] == ["cost[0]", "W1[0,0]"]
    assert len(comparison.pairs) == 10
    assert len(comparison.differing) == 9


def test_rows_show_document_here_and_difference():
    y = Figure("y", "0.40176297151886475")
    assert Comparison(
        [(y, 0.40176297151886475), (Figure("z", "0.25"), 0.244), (Figure("t", "1"), 1)]
    ).rows() == [
        ("y", "0.40176297151886475", "0.40176297151886475", "0"),
        ("z", "0.25", "0.24", "-1.0e-02"),
        ("t", "1", "1", "0"),
    ]


def test_agreement_in_words():
    full, short = Figure("y", "0.40176297151886475"), Figure("z", "0.25")
    exact = Comparison([(short, 0.25)])
    assert exact.summary() == "1 of 1 figures agree with the document's to every printed digit"
    exact.raise_if_different()
    close = Comparison([(full, 0.40176297151886475 * (1 + 1e-15)), (short, 0.25)])
    assert "2 of 2 figures agree" in close.summary()
    assert "those of 16 or 17 digits to a relative 1.1e-15" in close.summary()
    assert "no figures" in compare("chain_rule", {}).summary()


def test_a_difference_is_named():
    comparison = Comparison(
        [(Figure("y", "1"), 1), (Figure("z", "0.25"), 0.244), (Figure("t", "2"), math.nan)]
    )
    assert comparison.summary() == "2 of 3 figures differ from the document's"
    assert comparison.metrics() | {"figures": None} == {
        "figures": None,
        "figures_compared": 3,
        "figures_differing": 2,
    }
    with pytest.raises(UserError, match=r"the first: z should be 0\.25, got 0\.24"):
        comparison.raise_if_different()


def test_what_the_document_does_not_print_is_refused():
    with pytest.raises(KeyError, match="chain_rule prints y, dy/dx; got z"):
        compare("chain_rule", {"z": 1.0})
    with pytest.raises(ValueError, match="prints 1 figures for y, got 2"):
        compare("chain_rule", {"y": [1.0, 2.0]})
