from dataclasses import dataclass

import pytest
import torch

from manualgrad.errors import UserError
from manualgrad.training import RunSettings, launch, option, prepare


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    fail: str = option("", "how to end")


def run(settings):
    if settings.fail == "user":
        raise UserError("expected this, got that")
    if settings.fail == "os":
        raise FileNotFoundError(2, "No such file or directory", "somewhere")
    if settings.fail == "bug":
        raise ZeroDivisionError
    if settings.fail == "ctrl-c":
        raise KeyboardInterrupt
    return {"seconds": 0.1}


@pytest.mark.parametrize(
    ("fail", "status", "message"),
    [
        ("", 0, ""),
        ("user", 1, "test_launch: error: expected this, got that\n"),
        ("os", 1, "test_launch: error: No such file or directory: somewhere\n"),
        ("ctrl-c", 130, "test_launch: interrupted\n"),
    ],
)
def test_status_and_message(fail, status, message, capsys):
    assert launch(run, Settings, "", [f"--fail={fail}"]) == status
    assert capsys.readouterr().err == message


def test_a_bug_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        launch(run, Settings, "", ["--fail=bug"])


def test_prepare_seeds():
    prepare("cpu", 5)
    first = torch.rand(3)
    prepare("cpu", 5)
    assert torch.equal(torch.rand(3), first)


def test_auto_takes_what_is_there():
    assert prepare("auto", 0).type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there():
    with pytest.raises(UserError, match="--device cuda: not on this machine, which has cpu"):
        prepare("cuda", 0)
