"""Does a network learn as well with your backward as with ours?

    python experiments/compare.py xor my-backwards/sigmoid.py
    python experiments/compare.py mnist my-backwards/relu.py --epochs 1

says what `check` says of the file, then trains the same script twice, with our function and with yours in
its place, and nothing else changed. It shows both figures side by side, and both curves in one TensorBoard.
Try a wrong one: many wrong gradients still learn, and the table says how much worse.
"""

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from rich.console import Console

from manualgrad.errors import UserError
from manualgrad.exercises.course import find
from manualgrad.exercises.given import info_of
from manualgrad.exercises.sandbox import check
from manualgrad.exercises.session import show_verdict
from manualgrad.exercises.student import find_class, in_place_of_ours
from manualgrad.exercises.verdict import Request
from manualgrad.loading import load_module
from manualgrad.table import print_table
from manualgrad.training import Config as BaseConfig
from manualgrad.training import check_range, launch

sys.path.append(str(Path(__file__).parents[1]))
from experiments import mnist, xor

CALLED = {"xor": ("linear", "sigmoid", "mse_loss"), "mnist": ("linear", "relu", "softmax_nll")}
LEARNING = ("loss", "accuracy", "error")  # in the names of the figures that say how well it learnt


@dataclass(frozen=True, kw_only=True)
class Config(BaseConfig):
    """What to train, and with whose function."""

    script: tyro.conf.Positional[Literal["xor", "mnist"]]
    """The experiment."""
    file: tyro.conf.Positional[Path]
    """A file of the course, about a function that the experiment's network calls."""
    epochs: int | None = None
    """Passes over the data (default: the experiment's)."""

    def __post_init__(self) -> None:
        """Check the bounds."""
        super().__post_init__()
        check_range("epochs", self.epochs, minimum=1)


def main(config: Config) -> dict[str, Any]:
    """Train twice, and return the figures of the run with the student's function."""
    exercise = find(config.file.stem)
    name, known = exercise.page.stem, CALLED[config.script]
    if name not in known:
        raise UserError(f"{config.script}'s network never calls {name}, but {', '.join(known)}")
    console = Console(width=None if sys.stdout.isatty() else 100)
    file, source = config.file.resolve(), config.file.read_bytes()
    request = Request(exercise.name, file, source, width=console.width, colour=console.is_terminal)
    verdict = check(request)
    if verdict.kind == "raises" or not (verdict.passed or verdict.report):  # it cannot train at all
        raise UserError(f"{config.file}: {' '.join(verdict.message.split())}")
    runs = config.runs_dir / f"compare-{name}"
    show_verdict(console, exercise, verdict)
    print("\nfirst with our function")
    ours = train(config, runs / "ours")
    print(f"\nthe same with {name} of {config.file}")
    info = info_of(exercise)
    with in_place_of_ours(info, find_class(load_module(config.file), info.function_class)):
        yours = train(config, runs / "yours")
    rows = [(figure, f"{ours[figure]:.6g}", f"{value:.6g}") for figure, value in yours.items()]
    print(f"\nWith our {name} and with yours")  # a title is no wider than its table
    print_table("", ("figure", "ours", "yours"), rows)
    if yours == ours:
        print("the same to the last bit")
    print(f"look at both: tensorboard --logdir {shlex.quote(str(runs))}")
    return yours


def train(config: Config, runs_dir: Path) -> dict[str, float]:
    """Run the script and return the figures that say how well it learnt."""
    script: Any = {"xor": xor, "mnist": mnist}[config.script]
    chosen = {"device": config.device, "log": config.log, "seed": config.seed, "epochs": config.epochs}
    chosen = {name: value for name, value in chosen.items() if value != getattr(Config, name)}
    try:
        metrics = script.main(script.Config(runs_dir=runs_dir, **chosen))
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


if __name__ == "__main__":
    raise SystemExit(launch(main, Config))
