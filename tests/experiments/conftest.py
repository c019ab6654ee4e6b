"""What the tests of the experiments share."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from manualgrad.data import documents
from manualgrad.training import launch


@dataclass
class Performance:
    """What a script left behind."""

    status: int
    folder: Path
    metrics: dict[str, Any]
    out: str
    err: str

    def curve(self, tag, part=""):
        """A TensorBoard curve of the run or a sub-run, as a dict from step to value."""
        events = EventAccumulator(str(self.folder / part))
        events.Reload()
        return {point.step: point.value for point in events.Scalars(tag)}


@pytest.fixture
def perform(tmp_path, capsys):
    """Run a script in this process; its run folder must be the only new one."""

    def perform(script, *argv):
        before = set(tmp_path.glob("runs/*/*"))
        # Curves only, unless a test asks for more: the pictures have tests of their own.
        argv = ["--runs-dir", str(tmp_path / "runs"), "--log", "scalars", *argv]
        status = launch(script.main, script.Config, argv)
        (folder,) = set(tmp_path.glob("runs/*/*")) - before
        metrics = json.loads((folder / "metrics.json").read_text())
        captured = capsys.readouterr()
        return Performance(status, folder, metrics, captured.out, captured.err)

    return perform


@pytest.fixture
def reproduces():
    """Check that a run has every figure of a document, to its digits."""

    def reproduces(performance, system):
        printed, figures = documents.load(system).printed, performance.metrics["figures"]
        assert performance.status == 0
        assert figures.keys() == printed.keys()
        assert [name for name in printed if not documents.agrees(figures[name], printed[name])] == []
        assert performance.metrics["figures_differing"] == 0
        return True

    return reproduces


@pytest.fixture
def figures(monkeypatch):
    """Draw no picture; return the last figure of each tag, and in ``log`` every tag with its step."""

    class Figures(dict):
        def __init__(self):
            self.log = []

    drawn = Figures()

    def log_figure(run, tag, step, plot, *args, **kwargs):
        drawn.log.append((tag, step))
        drawn[tag] = plot(*args, **kwargs)

    monkeypatch.setattr("manualgrad.training.RunDir.log_figure", log_figure)
    return drawn
