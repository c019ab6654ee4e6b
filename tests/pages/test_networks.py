from collections import Counter

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from manualgrad.by_hand.survey import Group
from manualgrad.pages.networks import show_errors, show_groups
from manualgrad.training import Run, RunSettings


@pytest.fixture
def run(tmp_path):
    with Run("xor", "test", RunSettings(runs_dir=tmp_path), torch.device("cpu")) as run:
        yield run


def shown(run):
    events = EventAccumulator(str(run.folder))
    events.Reload()
    return events


def test_groups_are_rows_with_what_the_others_answer_most(run, capsys):
    stuck = Counter({"0 1 ½ ½": 5, "½ ½ ½ ½": 30, "0 ½ 1 ½": 4, "1 1 1 1": 1})
    show_groups(run, [Group("tanh", 0.3, 0.6, stuck), Group("sigmoid", 0.3, 1.0, Counter())])
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines if line.strip().startswith("tanh")]
    assert " ".join(row.split()) == "tanh 0.3 60.0% ½ ½ ½ ½ (30) 0 1 ½ ½ (5) 0 ½ 1 ½ (4)"
    assert (run.folder / "networks.png").stat().st_size > 1000
    assert shown(run).Tags()["images"] == ["networks that learn"]


def test_errors_are_counted_by_their_size(run, capsys):
    show_errors(run, [0.01, 0.02, 0.26])
    counted = [line.split() for line in capsys.readouterr().out.splitlines() if " to " in line][1:]
    assert [row[3] for row in counted] == ["2", "0", "0", "0", "0", "1", "0", "0", "0", "0"]
    assert counted[0][:3] == ["0.00", "to", "0.05"]
    assert len(counted[0][4]) == 2 * len(counted[5][4])
    (histogram,) = shown(run).Histograms("final mean absolute error")
    assert histogram.histogram_value.num == 3
