import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments import benchmark
from manualgrad.benchmark import BENCHMARKS, Table


@pytest.fixture
def one_table(monkeypatch):
    table = Table("xor: one step", ("", "a step", "ratio"), [("by hand", "9 µs", "0.8")], {"by hand": 0.8})
    monkeypatch.setitem(BENCHMARKS, "xor", lambda effort: iter([table]))


def run(runs_dir, *argv):
    status = benchmark.main(["--runs-dir", str(runs_dir), *argv])
    (folder,) = (runs_dir / "benchmark").iterdir()
    return status, folder, json.loads((folder / "metrics.json").read_text())


@pytest.mark.usefixtures("one_table")
def test_tables_picture_and_figures(tmp_path, capsys):
    status, folder, metrics = run(tmp_path, "xor")
    assert status == 0
    assert metrics["ratios"] == {"xor: one step: by hand": 0.8}
    assert (folder / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    events = EventAccumulator(str(folder))
    events.Reload()
    assert "ratios" in events.Tags()["images"]
    assert "by hand" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["xor", "mnist"])
def test_a_quick_run_is_real(tmp_path, name):
    status, _, metrics = run(tmp_path, name, "--quick", "--rounds", "2")
    assert status == 0
    assert any("by hand" in name for name in metrics["ratios"])
    assert all(ratio > 0 for ratio in metrics["ratios"].values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["functions", "gradcheck", "scale", "process"])
def test_other_quick_runs(tmp_path, monkeypatch, name):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # two would wait for one another where others compute
    assert run(tmp_path, name, "--quick", "--rounds", "2")[0] == 0


def test_wrong_arguments(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        benchmark.main(["everything"])
    assert stopped.value.code == 2
    assert "invalid choice: 'everything'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        benchmark.main(["--rounds", "1"])
    assert stopped.value.code == 2
