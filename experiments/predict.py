"""Which digit is this?

    python experiments/predict.py runs/mnist/20260101-120000-default-seed0 seven.jpg drawing.png

takes the weights of a run of mnist.py that did best on its validation images, and says for each PNG or JPEG
which digit it shows, how probable that is to the network, and what it thought of next. Photograph or draw one
digit a picture, dark on light or light on dark, with some paper around it; manualgrad/data/photographs.py
makes of it what the network knows. Expect a few seconds, and a wrong answer now and then.

    python experiments/predict.py runs/mnist/20260101-120000-default-seed0 --test-set

reads MNIST's 10 000 test images instead: the accuracy must be the run's own.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import manualgrad.nn as nn
from manualgrad.data.mnist import load_mnist
from manualgrad.data.photographs import read_digit
from manualgrad.errors import UserError
from manualgrad.table import print_table
from manualgrad.training import Metrics, evaluate, gather_batches, launch, option, prepare
from manualgrad.training.checkpoint import load_model, read_checkpoint
from manualgrad.training.precision import matmul_precision
from manualgrad.training.settings import REQUIRED, ScriptSettings

sys.path.append(str(Path(__file__).parents[1]))  # a script finds only what lies beside it
from experiments.mnist import EVALUATION_BATCH, build_model

SHOWN = 3  # digits for each picture, the most probable first


@dataclass(frozen=True, kw_only=True)
class Settings(ScriptSettings):
    """What to read, and with which weights."""

    run: Path = option(REQUIRED, "folder of a run of mnist.py, or a checkpoint in it", positional=True)
    images: tuple[Path, ...] = option((), "PNG or JPEG, one digit each", positional=True)
    test_set: bool = option(False, "read MNIST's test images, and compare with the run's own accuracy")
    data_dir: Path | None = option(
        None, "folder with MNIST/raw; by default MANUALGRAD_DATA or the user's cache"
    )


def run(settings: Settings) -> Metrics:
    """Read the pictures, the test images, or both."""
    if not settings.images and not settings.test_set:
        raise UserError("nothing to read: name pictures behind the run, or --test-set")
    device = prepare(settings.device, seed=0)
    path = find_checkpoint(settings.run)
    checkpoint = read_checkpoint(path, "best")
    if checkpoint["experiment"] != "mnist":
        raise UserError(f"{path} is of a run of {checkpoint['experiment']!r:.20}, and reads no digits")
    model = build_model().to(device)
    load_model(model, checkpoint, path)
    metrics: Metrics = {}
    if settings.test_set:
        metrics["test_accuracy"] = test_again(model, checkpoint, path, settings.data_dir)
    if settings.images:
        metrics["digits"] = read_pictures(model, settings.images, device)
    return metrics


def find_checkpoint(run: Path) -> Path:
    """Return the best checkpoint of a run, or the file that was named itself."""
    if run.is_file():
        return run
    path = run / "checkpoints" / "best.pt"
    if path.is_file():
        return path
    if not run.is_dir():
        raise UserError(f"{run}: there is no such run")
    if (run / "config.json").is_file():
        raise UserError(f"{run} has no checkpoints/best.pt yet: it comes with the first epoch's end")
    below = [*run.glob("*/checkpoints/best.pt"), *run.glob("*/*/checkpoints/best.pt")]
    inside = sorted(found.parents[1] for found in below)
    hint = f"; take one of the {len(inside)} in it, such as {inside[-1]}" if inside else ""
    raise UserError(f"{run} is no run's folder{hint}")


def read_pictures(model: nn.Sequential, paths: Sequence[Path], device: torch.device) -> dict[str, int]:
    """Print a row for each picture that can be read, and then complain of the others."""
    digits, rows, problems = {}, [], []
    for path in paths:
        try:
            picture = read_digit(path)
        except (UserError, OSError) as problem:
            problems.append(str(problem))
            continue
        probabilities = probabilities_of(model, picture.to(device))
        order = probabilities.argsort(descending=True)[:SHOWN].tolist()
        digits[str(path)] = order[0]
        shown = [f"{digit}  {percent(probabilities[digit].item())}" for digit in order]
        rows.append([str(path), *shown])
    print_table("What each picture shows", ["picture", "digit", *["or"] * (SHOWN - 1)], rows)
    if problems:
        raise UserError("; ".join(problems))
    return digits


def probabilities_of(model: nn.Sequential, picture: Tensor) -> Tensor:
    """Return the probability of each digit: (28, 28) -> (10,)."""
    model.eval()
    with torch.no_grad():
        return model(picture[None])[0].double().softmax(0)


def percent(probability: float) -> str:
    """Write a probability; no network is certain, so none is written as 100 %."""
    return f"{min(probability, 0.9999):6.2%}"


def test_again(model: nn.Sequential, checkpoint: dict[str, Any], path: Path, data_dir: Path | None) -> float:
    """Return the accuracy on the test images, and compare it with what the run wrote down."""
    device = next(model.parameters()).device
    data = load_mnist(data_dir, device)
    unseen = gather_batches(data.test_images, data.test_labels, EVALUATION_BATCH)
    with matmul_precision(checkpoint["settings"].get("precision")):
        accuracy = evaluate(model, nn.CrossEntropyLoss(), unseen).accuracy
    print(f"test accuracy {accuracy:.4f}, with the weights of epoch {checkpoint['epoch']}")
    noted = path.parents[1] / "metrics.json"
    try:
        own = json.loads(noted.read_bytes())["test_accuracy"]
    except FileNotFoundError:
        print("the run itself has not come to its test")
        return accuracy
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{noted} does not hold a run's figures") from None
    if own != accuracy:
        raise UserError(f"{noted} says {own}, not {accuracy}; another device may round otherwise")
    print("that is the run's own figure")
    return accuracy


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return launch(run, Settings, __doc__, argv)


if __name__ == "__main__":
    raise SystemExit(main())
