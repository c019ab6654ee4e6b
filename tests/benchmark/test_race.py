import pytest

from manualgrad.benchmark import race as module
from manualgrad.benchmark.race import Contender, duration, missing, race, tabulate


def test_contenders_alternate_and_warm_up():
    order = []
    contenders = [Contender(name, lambda name=name: order.append(name)) for name in "ab"]
    race(contenders, rounds=3)
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"


def test_ratios_are_taken_within_a_round(monkeypatch):
    # The machine gets slower from round to round, and b always takes three times as long as a.
    times = {"a": iter([1.0, 2.0, 10.0]), "b": iter([3.0, 6.0, 30.0])}
    monkeypatch.setattr(module, "_time", lambda lap: next(times[lap()]))
    a, b = race([Contender("a", lambda: "a"), Contender("b", lambda: "b", units=2)], rounds=3)
    assert (a.seconds, a.ratio) == (2.0, 1.0)
    assert (b.seconds, b.ratio, b.low, b.high) == (3.0, 1.5, 1.5, 1.5)
    table = tabulate("title", [a, b], "step")
    assert table.rows[1][:3] == ("b", "3 s", "1.5")
    assert table.ratios == {"a": 1.0, "b": 1.5}


@pytest.mark.parametrize(
    ("seconds", "shown"), [(2.5, "2.5 s"), (0.0314, "31.4 ms"), (12e-6, "12 µs"), (12e-9, "0.012 µs")]
)
def test_durations(seconds, shown):
    assert duration(seconds) == shown


def test_what_is_missing_is_said(capsys):
    assert missing("no_such_package", "Keras")
    assert capsys.readouterr().out.startswith("Keras: left out, because no_such_package is not installed")
    assert not missing("torch", "PyTorch")
    assert capsys.readouterr().out == ""
