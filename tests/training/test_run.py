import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from manualgrad.training import Run, RunSettings, Score, option


@pytest.fixture
def settings(tmp_path):
    return RunSettings(runs_dir=tmp_path / "runs", seed=4)


def open_run(settings):
    return Run("lesson", "default", settings, torch.device("cpu"))


def test_the_folder_says_what_ran_and_with_what(settings):
    with open_run(settings) as run:
        assert run.folder.parent == settings.runs_dir / "lesson"
        assert re.fullmatch(r"\d{8}-\d{6}-default-seed4", run.folder.name)
        config = json.loads((run.folder / "config.json").read_text())
    assert config["settings"] == {
        "device": "auto",
        "seed": 4,
        "runs_dir": str(settings.runs_dir),
        "log": "standard",
    }
    assert config["device"] == "cpu"
    assert config["versions"]["torch"] == torch.__version__


def test_two_runs_in_one_second_have_two_folders(settings):
    with open_run(settings) as first, open_run(settings) as second:
        assert first.folder != second.folder


def test_curves_can_be_read_back(settings):
    with open_run(settings) as run:
        run.log(1, {"error": 0.5})
        run.log(2, {"error": 0.25})
        run.log_scores(2, training=Score(0.1, 0.9), validation=Score(0.2, 0.8))
    events = EventAccumulator(str(run.folder))
    events.Reload()
    assert [(point.step, point.value) for point in events.Scalars("error")] == [(1, 0.5), (2, 0.25)]
    assert events.Scalars("accuracy/validation")[0].value == pytest.approx(0.8)


@dataclass(frozen=True, kw_only=True)
class ManySettings(RunSettings):
    with_: Path | None = option(None, "with what")
    loud: bool = option(True, "how")
    quiet: bool = option(False, "one | another")
    files: tuple[Path, ...] = option((Path("a"), Path("b\udcff")), "which", positional=True)
    resume: Path | None = option(None, "again", role="once")


def test_the_settings_in_words(tmp_path):
    with open_run(ManySettings(runs_dir=tmp_path)) as run:
        pass
    events = EventAccumulator(str(run.folder))
    events.Reload()
    (text,) = events.Tensors("about/settings/text_summary")
    table = text.tensor_proto.string_val[0].decode().splitlines()
    assert table[4:-3] == [
        f"| runs-dir | {tmp_path} | where the run's folder goes |",
        f"| log | standard | {RunSettings.__dataclass_fields__['log'].metadata['help']} |",
        "| with | not given | with what |",
        "| loud | yes | how |",
        r"| quiet | no | one \| another |",
        "| files | a, b? | which |",
    ]
    assert table[-3] == "| computed on | cpu |  |"


def test_finish_writes_the_figures_and_says_how_to_look(settings, capsys):
    with open_run(settings) as run:
        metrics = run.finish({"test_accuracy": 0.5})
    assert json.loads((run.folder / "metrics.json").read_text()) == metrics
    assert metrics["test_accuracy"] == 0.5
    assert metrics["seconds"] >= 0
    folder, command = capsys.readouterr().out.splitlines()[-2:]
    assert folder == f"run folder: {run.folder}"
    assert command == f"look at it: tensorboard --logdir {run.folder}"
    assert not list(run.folder.glob("*.part"))


def test_a_file_in_the_way(settings):
    settings.runs_dir.write_text("not a folder")
    with pytest.raises(OSError, match="runs"):
        open_run(settings)
