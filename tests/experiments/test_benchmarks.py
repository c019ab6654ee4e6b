"""Candidates run in turn, the baseline's ratio is 1, and every benchmark prints its table."""

import importlib
import sys
import time

import pytest

from experiments.benchmarks.interleaved import Candidate, compare, duration


def work(seconds):
    """Take processor time, as waiting would not."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_candidates_run_in_alternating_order():
    ran = []
    compare([Candidate(name, lambda name=name: ran.append(name)) for name in "ABC"], rounds=2)
    assert "".join(ran) == "ABC" + "ABC" + "CBA"  # the first is the warm-up


def test_ratios_are_to_the_first_candidate():
    baseline, slower = compare(
        [Candidate("one", lambda: work(0.01)), Candidate("three", lambda: work(0.03))], rounds=4
    )
    assert baseline.ratio == baseline.lower == baseline.upper == 1
    assert 2 < slower.ratio < 4
    assert slower.lower <= slower.ratio <= slower.upper


def test_units_divide_the_time():
    (timing,) = compare([Candidate("", lambda: work(0.02), units=10)], rounds=2)
    assert 0.002 <= timing.seconds < 0.01


def test_duration_takes_the_unit_that_suits():
    assert [duration(seconds) for seconds in (2, 0.0123, 4.56e-6)] == ["2 s", "12.3 ms", "4.56 µs"]


@pytest.mark.parametrize(
    ("name", "smaller"),
    [
        ("functions", {"SIZES": {"small": (1, 1), "large": (2, 1)}}),
        ("mnist", {"STEPS": 1}),
        ("xor", {"STEPS": 20, "FEW": 2, "NETWORKS": 3}),
        ("layers", {"STEPS": 1, "BATCH": 3}),
        ("scale", {"SIZES": {"width": [(16, 2, 8)]}, "ROUND": 1}),
    ],
)
def test_every_benchmark_prints_its_table(name, smaller, monkeypatch, capsys):
    benchmark = importlib.import_module(f"experiments.benchmarks.{name}")
    for constant, value in smaller.items():
        monkeypatch.setattr(benchmark, constant, value)
    monkeypatch.setattr(sys, "argv", [name, "--rounds", "2"])
    benchmark.main()
    machine, _, *table = capsys.readouterr().out.splitlines()
    assert "2 rounds" in machine
    assert len(table) > 3


def test_a_single_round_is_refused(monkeypatch, capsys):
    benchmark = importlib.import_module("experiments.benchmarks.xor")
    monkeypatch.setattr(sys, "argv", ["xor", "--rounds", "1"])
    with pytest.raises(SystemExit) as ended:
        benchmark.main()
    assert ended.value.code == 2
    assert "expected at least 2, got 1" in capsys.readouterr().err
