import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import manualgrad.nn as nn
from experiments import xor
from manualgrad.pages.exclusive_or import ANSWERS, PICTURES, ExclusiveOrPage
from manualgrad.training import Run, RunSettings
from manualgrad.training.page import KEPT


@pytest.fixture
def drawn(monkeypatch):
    """Draw nothing, and return what would be drawn last, by its name."""
    contents = {}

    def draw(name, path, content):
        contents[name] = content
        return "not drawn"

    monkeypatch.setattr("manualgrad.training.page.draw", draw)
    return contents


def pictures(tmp_path, level, epochs=100):
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    with Run("xor", "test", RunSettings(runs_dir=tmp_path, log=level), torch.device("cpu")) as run:
        page = ExclusiveOrPage(run, model, nn.Sigmoid(), epochs)
        for epoch in range(epochs):
            page.look(epoch)
        command = run.page.command()
    names = [path.stem for path in (run.folder / "pictures").glob("*.png")]
    return sorted(int(name.split("-")[-1]) for name in names if name.startswith("boundary")), names, command


def test_the_boundary_is_drawn_at_the_end(tmp_path):
    epochs, names, command = pictures(tmp_path, "standard")
    assert epochs == [99]
    assert "hidden-space-99" in names
    assert "samples_per_plugin" not in command


def test_one_picture_shows_the_answers_from_the_first_epoch_to_the_last(tmp_path, drawn):
    pictures(tmp_path, "standard", epochs=500)
    assert drawn["boundary"]["answers"].shape[0] == len(drawn["boundary"]["epochs"]) == ANSWERS
    epochs = drawn["boundary"]["epochs"]
    assert (epochs[0], epochs[-1]) == (0, 499)
    assert epochs[1] - epochs[0] < epochs[-1] - epochs[-2]


def test_with_everything_the_boundary_moves_and_the_command_asks_for_all_pictures(tmp_path, drawn):
    command = pictures(tmp_path, "everything", epochs=2000)[2]
    assert command.endswith(f"--samples_per_plugin images={PICTURES}")


@pytest.mark.parametrize("level", ["none", "scalars"])
def test_without_pictures_nothing_is_drawn(level, tmp_path):
    assert pictures(tmp_path, level)[1] == []


def test_one_epoch_is_enough(tmp_path):
    assert pictures(tmp_path, "standard", epochs=1)[0] == [0]


def test_the_plane_is_seen_as_the_axes_say(tmp_path, drawn):
    """The first input runs from left to right, the second from bottom to top."""
    model = nn.Sequential(nn.Linear(2, 1), nn.Identity(), nn.Linear(1, 1)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0.0]]))  # the hidden unit is the first input
        model[0].bias.zero_()
    with Run("xor", "test", RunSettings(runs_dir=tmp_path), torch.device("cpu")) as run:
        ExclusiveOrPage(run, model, nn.Identity(), 1).look(0)
    hidden = drawn["boundary"]["hidden"][0]
    assert hidden[:, 0] == pytest.approx(-0.5)
    assert hidden[:, -1] == pytest.approx(1.5)


def read(folder):
    everything = dict.fromkeys(("scalars", "images", "histograms", "tensors"), 0)
    events = EventAccumulator(str(folder), size_guidance=everything)
    events.Reload()
    return events


def test_tensorboard_drops_nothing_if_it_is_opened_as_the_run_says(tmp_path, capsys):
    assert xor.main(["--epochs", "2000", "--log", "everything", "--runs-dir", str(tmp_path)]) == 0
    command = capsys.readouterr().out.splitlines()[-1]
    raised = {kind: int(count) for kind, count in re.findall(r"(\w+)=(\d+)", command)}
    (folder,) = (tmp_path / "xor").iterdir()
    events = read(folder)
    for kind, entries in (
        ("scalars", events.Scalars),
        ("images", events.Images),
        ("histograms", events.Histograms),
    ):
        tags = events.Tags()[kind]
        assert tags
        for tag in tags:
            assert len(entries(tag)) <= raised.get(kind, KEPT[kind]), tag
    assert all(len(events.Tensors(tag)) == 1 for tag in events.Tags()["tensors"])  # texts


def test_a_run_that_is_killed_leaves_its_curves_its_distributions_and_its_pictures(tmp_path):
    command = [sys.executable, xor.__file__, "--log", "everything", "--runs-dir", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as run:
        while len(list(tmp_path.rglob("boundary*.png"))) < 12:
            assert run.poll() is None
            time.sleep(0.05)
        run.kill()
    assert run.returncode == -signal.SIGKILL
    (folder,) = (tmp_path / "xor").iterdir()
    events = read(folder)
    assert len(events.Images("boundary")) >= 11  # of the twelfth the file may be there, and no event yet
    assert len(events.Scalars("loss/training")) >= 2
    assert len(events.Histograms("gradients/layer 1")) >= 2
