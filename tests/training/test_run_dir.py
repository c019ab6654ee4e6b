import json
import re
from dataclasses import replace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from manualgrad.training import Config, RunDir, TrainConfig, log_times


@pytest.fixture
def config(tmp_path):
    return TrainConfig(runs_dir=tmp_path / "runs", seed=4)


def open_run(config):
    return RunDir("lesson", config, torch.device("cpu"))


def curve(path, tag):
    events = EventAccumulator(str(path))
    events.Reload()
    return [(point.step, point.value) for point in events.Scalars(tag)]


def red():
    from matplotlib.figure import Figure

    return Figure(figsize=(1, 0.5), dpi=100, facecolor="red")


def test_the_folder_says_what_ran_and_with_what(config):
    with open_run(config) as run, open_run(replace(config, epochs=2)) as other, open_run(config) as third:
        assert run.path != third.path  # though they begin in one second
        assert run.path.parent == config.runs_dir / "lesson"
        assert re.fullmatch(r"\d{8}-\d{6}-seed4", run.path.name)
        assert re.fullmatch(r"\d{8}-\d{6}-epochs=2-seed4", other.path.name)
        content = json.loads((run.path / "config.json").read_text())
    assert content["settings"]["runs_dir"] == str(config.runs_dir)
    assert content["settings"]["seed"] == 4
    assert content["device"] == "cpu"
    assert content["versions"]["torch"] == torch.__version__


def test_the_first_lines_and_the_last_say_where_to_look(config, capsys):
    with open_run(config) as run:
        metrics = run.finish({"test_accuracy": 0.5})
    where = [
        f"run folder: {run.path}",
        f"look at it: tensorboard --logdir {config.runs_dir}/lesson",
        "            http://localhost:6006/#custom_scalars&_smoothingWeight=0",
    ]
    assert capsys.readouterr().out.splitlines() == where + where
    assert json.loads((run.path / "metrics.json").read_text()) == metrics
    assert metrics["test_accuracy"] == 0.5
    assert metrics["seconds"] >= 0


def test_what_a_log_level_leaves_out(config, tmp_path):
    for level, images in (("full", ["red"]), ("scalars", []), ("none", None)):
        with open_run(Config(runs_dir=tmp_path / level, log=level)) as run:
            run.log_scalars(1, {"loss": 0.5})
            run.log_figure("red", 1, red)
            run.finish({})
        if images is None:
            assert {path.name for path in run.path.iterdir()} == {"config.json", "metrics.json"}
            continue
        events = EventAccumulator(str(run.path))
        events.Reload()
        assert events.Tags()["images"] == images
        assert curve(run.path, "loss") == [(1, 0.5)]


def test_a_resumed_run_goes_on_in_its_curves_and_forgets_its_end(config):
    with open_run(config) as run:
        for step in range(1, 5):
            run.log_scalars(step, {"loss": step})
        run.finish({"x": 1})
    resumed = TrainConfig(runs_dir=config.runs_dir, seed=4, epochs=12, resume=run.path)
    with open_run(resumed) as again:
        again.resume(step=2)
        assert not (run.path / "metrics.json").exists()
        again.log_scalars(3, {"loss": 33.0})
        again.finish({})
    assert again.path == run.path
    assert curve(run.path, "loss") == [(1, 1), (2, 2), (3, 33)]
    assert json.loads((run.path / "config.json").read_text())["settings"]["epochs"] == 12


def test_denormals_are_flushed_in_a_run_only(config):
    torch.set_flush_denormal(True)
    with open_run(config):
        assert (torch.tensor(1e-310, dtype=torch.float64) / 2).item() == 0
    assert (torch.tensor(1e-310, dtype=torch.float64) / 2).item() > 0


def test_times_to_look_are_logarithmic():
    assert log_times(20_000, 7) == [1, 200, 502, 1262, 3170, 7962, 20_000]
    assert log_times(10, 5) == [1, 2, 5, 10]
    assert log_times(3) == [1, 2, 3]
    assert log_times(1) == [1]
