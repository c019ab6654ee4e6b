import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

from manualgrad.errors import UserError
from manualgrad.training import TrainingSettings, changed_settings, option
from manualgrad.training.settings import check_same, hyper_parameters, kept_settings, read_settings


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    learning_rate: float = option(0.1, "how far", minimum=0, maximum=1)
    preset: Literal["a", "b"] = option("a", "which")
    loud: bool = option(False, "how")
    with_: Path | None = option(None, "with what")
    files: tuple[Path, ...] = option((), "what", positional=True)
    place: Path | None = option(None, "where", role="circumstance")


CHANGED = Settings(
    device="cpu", seed=3, runs_dir=Path("x"), log="none", epochs=20, resume=Path("y"), checkpoint_steps=5,
    anomaly=True, learning_rate=0.5, preset="b", loud=True, with_=Path("tanh.py"),
    files=(Path("a"), Path("b")), place=Path("z"),
)  # fmt: skip


def test_a_run_is_named_by_what_its_figures_depend_on():
    assert changed_settings(Settings()) == "default"
    assert changed_settings(Settings(seed=3, device="cpu", runs_dir=Path("x"), place=Path("z"))) == "default"
    assert changed_settings(CHANGED) == "epochs=20-learning-rate=0.5-preset=b-loud-files=2"


def test_hyper_parameters_are_what_the_figures_depend_on():
    assert hyper_parameters(CHANGED) == {
        "seed": 3,
        "epochs": 20,
        "learning-rate": 0.5,
        "preset": "b",
        "loud": True,
        "with": "tanh.py",
        "files": ["a", "b"],
    }


def test_a_run_keeps_all_but_what_was_said_once():
    kept = kept_settings(CHANGED)
    assert kept == json.loads(json.dumps(kept))
    assert kept["runs_dir"] == "x"
    assert kept["files"] == ["a", "b"]
    assert {"resume", "anomaly"}.isdisjoint(kept)


def test_only_hyper_parameters_must_be_the_same(tmp_path):
    kept = kept_settings(CHANGED)
    check_same(kept, replace(CHANGED, epochs=30, device="auto", place=None, resume=None), tmp_path)
    for other, complaint in (
        ({"seed": 4}, "--seed 3, config.json says 4"),
        ({"with_": None}, "--with tanh.py, config.json says None"),
        ({"learning_rate": 0.25}, "--learning-rate 0.5, config.json says 0.25"),
    ):
        with pytest.raises(UserError, match=complaint):
            check_same(kept, replace(CHANGED, **other), tmp_path)


@pytest.mark.parametrize("settings", [Settings(), replace(CHANGED, resume=None, anomaly=False, files=())])
def test_what_was_kept_is_read_back(tmp_path, settings):
    path = tmp_path / "config.json"
    kept = kept_settings(settings)
    del kept["files"]  # no run that can be resumed has several of a kind
    path.write_text(json.dumps({"experiment": "lesson", "settings": kept}))
    assert read_settings(path, Settings, "lesson") == settings


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("learning_rate", 2, "must be at most 1, got 2.0"),
        ("learning_rate", float("nan"), "must be at least 0, got nan"),
        ("learning_rate", 10**400, "must be at most 1, got inf"),
        ("epochs", 1.5, "expected int"),
        ("epochs", True, "expected int"),
        ("epochs", None, "expected int"),
        ("preset", "c", "expected one of a, b"),
        ("with_", "\0", "no file has such a name"),
    ],
)
def test_what_the_command_line_would_not_take_is_not_read(tmp_path, name, value, complaint):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"experiment": "lesson", "settings": {name: value}}))
    with pytest.raises(UserError, match=f"config.json: {name} is .*: {complaint}"):
        read_settings(path, Settings, "lesson")
