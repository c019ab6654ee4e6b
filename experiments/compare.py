"""Does a network learn as well with your backward as with ours?

    python experiments/compare.py xor my-backwards/sigmoid.py
    python experiments/compare.py mnist my-backwards/relu.py --epochs 1

says what `check` says of the file, then trains the same script twice, with our function and with yours in
its place, and nothing else changed. It shows both figures side by side, and both curves in one TensorBoard.
Try a wrong one: many wrong gradients still learn, and the table says how much worse.
"""

import contextlib
import io
import json
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from rich.console import Console

from manualgrad.cases import FunctionInfo
from manualgrad.errors import UserError
from manualgrad.exercises.course import COURSE, find
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.sandbox import check
from manualgrad.exercises.session import show_verdict
from manualgrad.exercises.student import in_place_of_ours, load_function
from manualgrad.exercises.verdict import Request
from manualgrad.table import print_table
from manualgrad.training import Config as BaseConfig
from manualgrad.training import check_range, launch

sys.path.append(str(Path(__file__).parents[1]))
from experiments import mnist, xor

LEARNING = ("loss", "accuracy", "error")  # in the names of the figures that say how well it learnt
USELESS = {"not-written", "raises", "syntax", "no-class"}  # kinds of a file that cannot train at all


@dataclass(frozen=True, kw_only=True)
class Config(BaseConfig):
    """What to train, and with whose function."""

    script: tyro.conf.Positional[Literal["xor", "mnist"]]
    """The experiment."""
    file: tyro.conf.Positional[Path]
    """A file of the course, about one of the package's functions."""
    epochs: int | None = None
    """Passes over the data (default: the experiment's)."""

    def __post_init__(self) -> None:
        """Check the bounds."""
        super().__post_init__()
        check_range("epochs", self.epochs, minimum=1)


def main(config: Config) -> dict[str, Any]:
    """Train twice, and return the figures of the run with the student's function."""
    info, theirs = load_function(config.file)
    exercise = exercise_of(config.file, info)
    console = Console(width=None if sys.stdout.isatty() else 100)
    request = Request(
        exercise.name, config.file.resolve(), config.file.read_bytes(), width=console.width,
        colour=console.is_terminal,
    )  # fmt: skip
    verdict = check(request)
    if verdict.kind in USELESS:
        raise UserError(f"{config.file}: {' '.join(verdict.message.split())}")
    if not is_called(config, info):
        raise UserError(
            f"{config.script}'s network never calls {info.name}: nothing of {config.file} would be trained"
        )
    runs = config.runs_dir / f"compare-{info.name}"
    show_verdict(console, exercise, verdict)
    print("\nfirst with our function")
    ours = train(config, runs / "ours")
    print(f"\nthe same with {info.name} of {config.file}")
    with in_place_of_ours(info, theirs):
        yours = train(config, runs / "yours")
    rows = [(name, f"{ours[name]:.6g}", f"{value:.6g}") for name, value in yours.items()]
    print(f"\nWith our {info.name} and with yours")  # a title is no wider than its table
    print_table("", ("figure", "ours", "yours"), rows)
    if yours == ours:
        print("the same to the last bit")
    print(f"look at both: tensorboard --logdir {shlex.quote(str(runs))}")
    return yours


def exercise_of(file: Path, info: FunctionInfo) -> Exercise:
    """Return the exercise that a file's name says, or the one about its function."""
    names = {exercise.name for exercise in COURSE}
    return find(file.stem if file.stem in names else info.name)


def train(config: Config, runs_dir: Path, **others: Any) -> dict[str, float]:
    """Run the script and return the figures that say how well it learnt."""
    script: Any = {"xor": xor, "mnist": mnist}[config.script]
    chosen = {"device": config.device, "log": config.log, "seed": config.seed, "epochs": config.epochs}
    chosen = {name: value for name, value in chosen.items() if value != getattr(Config, name)}
    try:
        metrics = script.main(script.Config(runs_dir=runs_dir, **chosen | others))
    except UserError:  # with a wrong gradient the figures need not be the document's
        written = sorted(runs_dir.glob("*/*/metrics.json"), key=lambda file: file.stat().st_mtime)
        if not written:
            raise
        metrics = json.loads(written[-1].read_bytes())
    return {
        name.replace("_", " "): value
        for name, value in metrics.items()
        if isinstance(value, int | float) and any(word in name for word in LEARNING)
    }


def is_called(config: Config, info: FunctionInfo) -> bool:
    """Return whether the script's network calls a function: it is trained for a moment, aside."""
    calls = []

    class Noted(info.function_class):  # type: ignore[name-defined, misc]
        @classmethod
        def apply(cls, *args: Any) -> Any:
            calls.append(info.name)
            return info.function_class.apply(*args)

    brief = {"epochs": 1} if config.script == "xor" else {"dry_run": True}
    silence = contextlib.redirect_stdout(io.StringIO())
    with in_place_of_ours(info, Noted), tempfile.TemporaryDirectory() as aside, silence:
        train(config, Path(aside), log="none", **brief)
    return bool(calls)


if __name__ == "__main__":
    raise SystemExit(launch(main, Config))
