"""The settings of a run: a dataclass whose fields are the options of the command line."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal


def check_range(name: str, value: float | None, minimum: float, maximum: float = math.inf) -> None:
    """Raise a ValueError if a setting, named as on the command line, is out of bounds or NaN. None is not."""
    if value is None or minimum <= value <= maximum:
        return
    most = f" and at most {maximum}" if maximum < math.inf else ""
    raise ValueError(f"--{name} {value}: expected at least {minimum}{most}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of every experiment. A script adds its own in a subclass; a field's docstring is its help."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto: cuda if it is there."""

    seed: int = 0
    """Same seed, same machine, same device: the same figures."""

    runs_dir: Path = Path("runs")
    """Where the run's folder goes."""

    log: Literal["none", "scalars", "full"] = "full"
    """For TensorBoard: nothing; curves; also pictures and distributions."""

    # The settings that change no figure of a run, but where it computes, what it keeps, what it reads: they
    # are not part of the run folder's name, and may be others when the run is resumed.
    runtime: ClassVar[frozenset[str]] = frozenset({"device", "runs_dir", "log"})

    def __post_init__(self) -> None:
        """Check the bounds."""
        check_range("seed", self.seed, 0, 2**32 - 1)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Config):
    """The settings of a training that can be interrupted and resumed."""

    epochs: int = 10
    """Passes over the training images."""

    resume: Path | None = None
    """Folder of a run to resume, with the settings that it was begun with."""

    runtime = Config.runtime | {"resume"}

    def __post_init__(self) -> None:
        """Check the bounds."""
        super().__post_init__()
        check_range("epochs", self.epochs, 1)


def flag(name: str) -> str:
    """Return a field's option: ``--batch-size``."""
    return f"--{name.replace('_', '-')}"


def hyper_parameters(config: Config) -> dict[str, Any]:
    """Return the settings on which a run's figures depend."""
    return {name: value for name, value in vars(config).items() if name not in config.runtime}


def changed(config: Config) -> str:
    """Name the settings that differ from the defaults, for a folder's name: ``batch-size=64-epochs=3``.

    The seed stands in the name anyway; a file or several things would be too long for it, and so would a
    path in a setting: its last part stands.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    return "-".join(
        flag(name)[2:] if value is True else f"{flag(name)[2:]}={str(value).rpartition('/')[2]}"
        for name, value in hyper_parameters(config).items()
        if name != "seed" and value != defaults[name] and isinstance(value, int | float | str)
    )
