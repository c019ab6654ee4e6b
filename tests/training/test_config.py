from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from manualgrad.training import TrainConfig, check_range
from manualgrad.training.config import changed, hyper_parameters


@dataclass(frozen=True, kw_only=True)
class Settings(TrainConfig):
    rate: float = 0.1
    kind: Literal["a", "b"] = "a"
    dry_run: bool = False
    data_dir: Path | None = None
    files: tuple[Path, ...] = ()
    runtime = TrainConfig.runtime | {"data_dir"}


def test_a_folder_s_name_has_what_differs_and_decides():
    assert changed(Settings()) == ""
    assert changed(Settings(seed=3, device="cpu", data_dir=Path("x"), log="none")) == ""
    several = Settings(rate=0.5, kind="b", dry_run=True, files=(Path("a"), Path("b")))
    assert changed(several) == "rate=0.5-kind=b-dry-run"


def test_settings_on_which_the_figures_depend():
    assert set(hyper_parameters(Settings())) == {"seed", "epochs", "rate", "kind", "dry_run", "files"}


def test_bounds():
    check_range("x", 1.0, 0, 1)
    check_range("x", None, 0, 1)
    for value, message in (
        (-1, "--x -1: expected at least 0 and at most 1"),
        (2, "--x 2: expected at least 0"),
    ):
        with pytest.raises(ValueError, match=message):
            check_range("x", value, 0, 1)
    with pytest.raises(ValueError, match="--x nan"):
        check_range("x", float("nan"), 0)
