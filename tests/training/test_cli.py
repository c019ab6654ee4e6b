"""A script whose settings come from the command line, and how it ends."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import torch

from manualgrad.errors import UserError
from manualgrad.training import RunDir, TrainConfig, check_range
from manualgrad.training.cli import launch, parse


@dataclass(frozen=True, kw_only=True)
class Settings(TrainConfig):
    end: str = ""
    """How to end."""
    rate: float = 0.1
    """How far."""
    preset: Literal["a", "b"] = "a"
    """Which."""
    loud: bool = False
    """How."""
    place: Path | None = None
    """Where."""

    def __post_init__(self):
        super().__post_init__()
        check_range("rate", self.rate, minimum=0)


def main(config):
    if config.end == "user":
        raise UserError("expected this, got that")
    if config.end == "file":
        Path(__file__, "x").mkdir()
    if config.end == "bug":
        raise ZeroDivisionError
    if config.end == "ctrl-c":
        raise KeyboardInterrupt
    with RunDir("test_cli", config, torch.device("cpu")) as run:
        run.finish({})


def parsed(*argv):
    return parse(Settings, argv, "test_cli")


def test_status_and_message(capsys):
    assert launch(main, Settings, ["--end=user"]) == 1
    assert capsys.readouterr().err == "test_cli: error: expected this, got that\n"
    assert launch(main, Settings, ["--end=ctrl-c"]) == 130
    assert capsys.readouterr().err == "test_cli: interrupted\n"
    assert launch(main, Settings, ["--end=file"]) == 1
    assert capsys.readouterr().err == f"test_cli: error: {__file__}/x: Not a directory\n"
    with pytest.raises(ZeroDivisionError):  # an error in the script's own code keeps its traceback
        launch(main, Settings, ["--end=bug"])


def test_every_kind_of_setting():
    config = parsed(
        "--rate=1e-2", "--preset", "b", "--loud", "--place", "x/y", "--device", "cpu", "--seed=7",
        "--epochs", "3", "--runs-dir", "elsewhere",
    )  # fmt: skip
    assert config == Settings(
        rate=0.01, preset="b", loud=True, place=Path("x/y"), device="cpu",
        seed=7, epochs=3, runs_dir=Path("elsewhere"),
    )  # fmt: skip
    assert parsed() == Settings()


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--epochs", "0"], "--epochs 0: expected at least 1"),
        (["--epochs", "2.5"], "--epochs: invalid literal for int() with base 10: '2.5'"),
        (["--rate", "nan"], "--rate nan: expected at least 0"),
        (["--preset", "c"], "invalid choice 'c' for argument '--preset'. Expected one of ('a', 'b')"),
        (["--epoch", "3"], "Unrecognized options: --epoch, 3; similar: --epochs"),
        (["--seed"], "Missing value for argument '--seed'"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_2(argv, complaint, capsys):
    with pytest.raises(SystemExit) as caught:
        parsed(*argv)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"test_cli: error: {complaint}")
    assert line.endswith("(--help lists the options)")


def test_in_a_terminal_with_colours_it_is_the_same_line(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(SystemExit):
        parsed("--epoch", "3")
    assert capsys.readouterr().err == (
        "test_cli: error: Unrecognized options: --epoch, 3; similar: --epochs (--help lists the options)\n"
    )


def test_help_has_the_script_s_docstring_and_every_setting(capsys):
    with pytest.raises(SystemExit) as caught:
        launch(main, Settings, ["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "A script whose settings come from the command line" in text
    assert "--rate FLOAT" in text
    assert "How far. (default: 0.1)" in text


@pytest.fixture
def folder(tmp_path):
    begun = f"--runs-dir {tmp_path} --rate 0.5 --loud --place=-x --epochs 3".split()
    assert launch(main, Settings, [*begun, "--log", "none"]) == 0
    (folder,) = (tmp_path / "test_cli").iterdir()
    return folder


def test_a_resumed_run_has_the_settings_that_it_was_begun_with(folder):
    assert parsed("--resume", str(folder)) == Settings(
        resume=folder, rate=0.5, loud=True, place=Path("-x"), epochs=3,
        runs_dir=folder.parents[1], log="none",
    )  # fmt: skip
    assert parsed("--resume", str(folder), "--epochs", "5", "--device", "cpu").epochs == 5


def test_a_config_that_the_command_line_would_not_take(folder, capsys):
    content = json.loads((folder / "config.json").read_text())
    content["settings"]["epochs"] = 0
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(SystemExit):
        parsed("--resume", str(folder))
    assert capsys.readouterr().err.startswith("test_cli: error: --epochs 0: expected at least 1")


def test_a_folder_of_something_else(folder, tmp_path):
    with pytest.raises(UserError, match="is not the folder of a run of test_cli"):
        parsed("--resume", str(tmp_path))
    with pytest.raises(UserError, match="is not the folder of a run of other"):
        parse(Settings, ["--resume", str(folder)], "other")
    for content in (b"", b'{"experiment": "test_cli"}', b"[]"):
        (folder / "config.json").write_bytes(content)
        with pytest.raises(UserError, match="is not the folder of a run"):
            parsed("--resume", str(folder))
