from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from manualgrad.training import RunSettings, option, parse_settings
from manualgrad.training.settings import REQUIRED


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    epochs: int = option(10, "how often", minimum=1)
    learning_rate: float = option(0.1, "how far", minimum=0)
    goal: float | None = option(None, "how well", minimum=0, maximum=1)
    preset: Literal["a", "b"] = option("a", "which")
    loud: bool = option(False, "how")
    place: Path | None = option(None, "where")
    what: str | None = option(None, "what", positional=True)


def parse(*argv):
    return parse_settings(Settings, argv, "program", "What it does.")


def test_defaults():
    assert parse() == Settings()


def test_every_kind_of_setting():
    settings = parse(
        "thing", "--epochs", "3", "--learning-rate", "1e-2", "--goal", "0.5", "--preset", "b", "--loud",
        "--place", "x/y", "--device", "cpu", "--seed", "7", "--runs-dir", "elsewhere",
    )  # fmt: skip
    assert settings == Settings(
        epochs=3, learning_rate=0.01, goal=0.5, preset="b", loud=True, place=Path("x/y"), what="thing",
        device="cpu", seed=7, runs_dir=Path("elsewhere"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--epochs", "0"], "--epochs: must be at least 1, got 0"),
        (["--epochs", "2.5"], "--epochs: invalid int value: '2.5'"),
        (["--learning-rate", "nan"], "--learning-rate: must be at least 0, got nan"),
        (["--goal", "1.1"], "--goal: must be at most 1, got 1.1"),
        (["--preset", "c"], "invalid choice: 'c'"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--seed", "-1"], "--seed: must be at least 0, got -1"),
        (["--epoch", "3"], "unrecognized arguments: --epoch"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_2(argv, complaint, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(*argv)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("program: error: ")
    assert complaint in error
    assert error.count("\n") == 1


def test_help_lists_every_setting_with_its_default(capsys):
    with pytest.raises(SystemExit) as caught:
        parse("--help")
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "What it does." in text
    for part in (
        "--epochs INT how often (default: 10)",
        "--loud how",
        "--goal FLOAT how well",
        "{a,b} which",
    ):
        assert part in text
    assert "None" not in text


@dataclass(frozen=True, kw_only=True)
class Places(RunSettings):
    folder: Path = option(REQUIRED, "which", positional=True)
    files: tuple[Path, ...] = option((), "what", positional=True)
    loud: bool = option(False, "how")


def test_arguments_by_their_place():
    def places(*argv):
        return parse_settings(Places, argv, "program", "What it does.")

    assert places("a") == Places(folder=Path("a"))
    two = Places(folder=Path("a"), files=(Path("b"), Path("c")), loud=True)
    assert places("a", "b", "c", "--loud") == two
    assert places("--loud", "a", "b", "c") == two
    assert places("a", "b", "--loud", "c") == two


def test_a_choice_by_its_place():
    @dataclass(frozen=True, kw_only=True)
    class Measuring(RunSettings):
        what: Literal["all", "some"] = option("all", "what", positional=True)

    def parse(*argv):
        return parse_settings(Measuring, argv, "program", "").what

    assert (parse(), parse("some"), parse("--seed", "1")) == ("all", "some", "all")
    with pytest.raises(SystemExit):
        parse("none")


def test_arguments_by_their_place_in_help_and_error(capsys):
    for argv, text in (([], "required: FOLDER"), (["--help"], "FOLDER [FILE ...]")):
        with pytest.raises(SystemExit):
            parse_settings(Places, argv, "program", "What it does.")
        out, err = capsys.readouterr()
        assert text in " ".join((out + err).split())
        assert "MISSING" not in out
