"""Which digit is this?

    python experiments/predict.py runs/mnist/20260101-120000-default-seed0 seven.jpg drawing.png

takes the weights of a run of mnist.py that did best on its validation images, and says for each PNG or JPEG
which digit it shows, how probable that is to the network, and what it thought of next. Photograph or draw one
digit a picture, dark on light or light on dark, with some paper around it; manualgrad/data/photographs.py
makes of it what the network knows. Expect a few seconds, and a wrong answer now and then. In TensorBoard,
Images shows what the network saw of each picture and how probable each digit is to it, twelve a sheet.

    python experiments/predict.py runs/mnist/20260101-120000-default-seed0 --test-set

reads MNIST's 10 000 test images instead: the accuracy must be the run's own. Nothing here is random, so every
--seed gives the same answers.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import manualgrad.nn as nn
from manualgrad.data.mnist import load_mnist
from manualgrad.data.photographs import read_digit
from manualgrad.errors import UserError
from manualgrad.table import print_table
from manualgrad.training import (
    Metrics,
    Run,
    RunSettings,
    changed_settings,
    evaluate,
    gather_batches,
    launch,
    option,
    prepare,
)
from manualgrad.training.checkpoint import load_model, read_checkpoint
from manualgrad.training.precision import matmul_precision
from manualgrad.training.settings import REQUIRED, read_settings

sys.path.append(str(Path(__file__).parents[1]))  # a script finds only what lies beside it
from experiments import mnist

SHOWN = 3  # digits for each picture in the table, the most probable first
SHEET = 12  # pictures that are drawn on one


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    """What to read, and with which weights."""

    run: Path = option(REQUIRED, "folder of a run of mnist.py, or a checkpoint in it", positional=True)
    images: tuple[Path, ...] = option((), "PNG or JPEG, one digit each", positional=True)
    test_set: bool = option(False, "read MNIST's test images, and compare with the run's own accuracy")
    data_dir: Path | None = option(
        None, "folder with MNIST/raw; by default MANUALGRAD_DATA or the user's cache", role="circumstance"
    )


def run(settings: Settings) -> Metrics:
    """Read the pictures, the test images, or both."""
    if not settings.images and not settings.test_set:
        raise UserError("nothing to read: name pictures behind the run, or --test-set")
    device = prepare(settings.device, settings.seed)
    path = find_checkpoint(settings.run)
    checkpoint = read_checkpoint(path, "best")
    if checkpoint["experiment"] != "mnist":
        raise UserError(f"{path} is of a run of {checkpoint['experiment']!r:.20}, and reads no digits")
    model = mnist.build_model().to(device).eval()
    load_model(model, checkpoint, path)
    pictures, problems = read_pictures(settings.images)
    if problems and not pictures and not settings.test_set:
        raise UserError("; ".join(problems))
    data = load_mnist(settings.data_dir, device) if settings.test_set else None
    own = own_accuracy(path) if settings.test_set else None

    metrics: Metrics = {}
    with Run("predict", changed_settings(settings), settings, device) as record:
        if data:
            unseen = gather_batches(data.test_images, data.test_labels, mnist.EVALUATION_BATCH)
            with matmul_precision(checkpoint["settings"].get("precision")):
                accuracy = evaluate(model, nn.CrossEntropyLoss(), unseen).accuracy
            metrics["test_accuracy"] = accuracy
            record.log(checkpoint["epoch"], {"accuracy/test": accuracy})
            print(f"test accuracy {accuracy:.4f}, with the weights of epoch {checkpoint['epoch']}")
            if own is None:
                print("the run itself has not come to its test")
            elif own == accuracy:
                print("that is the run's own figure")
            else:
                problems.append(
                    f"{own_figures(path)} says {own}, not {accuracy}; another device may round otherwise"
                )
        if settings.images:
            metrics["digits"] = tell(record, model, pictures)
        metrics = record.finish(metrics)
    if problems:
        raise UserError("; ".join(problems))
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
        read_settings(run / "config.json", mnist.Settings, "mnist")  # refuses another experiment's run
        raise UserError(f"{run} has no checkpoints/best.pt yet: it comes with the first epoch's end")
    below = [*run.glob("*/checkpoints/best.pt"), *run.glob("*/*/checkpoints/best.pt")]
    inside = sorted(found.parents[1] for found in below)
    hint = f"; take one of the {len(inside)} in it, such as {inside[-1]}" if inside else ""
    raise UserError(f"{run} is no run's folder{hint}")


def read_pictures(paths: Sequence[Path]) -> tuple[dict[Path, Tensor], list[str]]:
    """Return each picture that can be read, as MNIST would have it, and what is wrong with the others."""
    pictures, problems = {}, []
    for path in paths:
        try:
            pictures[path], _ = read_digit(path)
        except (UserError, OSError) as problem:
            problems.append(str(problem))
    return pictures, problems


@torch.no_grad()
def tell(record: Run, model: nn.Sequential, pictures: dict[Path, Tensor]) -> dict[str, int]:
    """Print and draw which digit each picture shows, and return that by the picture's name."""
    device = next(model.parameters()).device
    # One by one, because the last bits of a product depend on how many rows it has.
    answers = {
        path: model(picture[None].to(device))[0].double().softmax(0).cpu()
        for path, picture in pictures.items()
    }
    rows = []
    for path, probabilities in answers.items():
        order = probabilities.argsort(descending=True)[:SHOWN].tolist()
        rows.append(
            [printable(path), *(f"{digit}  {percent(probabilities[digit].item())}" for digit in order)]
        )
    print_table("What each picture shows", ["picture", "digit", *["or"] * (SHOWN - 1)], rows)

    paths = list(pictures)
    for sheet, first in enumerate(range(0, len(paths), SHEET), start=1):
        drawn = paths[first : first + SHEET]
        record.page.picture(
            "what the network saw",
            sheet,
            "readings",
            title=f"What did the network see? Sheet {sheet} of {-(-len(paths) // SHEET)}",
            names=[printable(Path(path.name)) for path in drawn],
            images=torch.stack([pictures[path] for path in drawn]).numpy(),
            probabilities=torch.stack([answers[path] for path in drawn]).numpy(),
        )
    return {str(path): int(probabilities.argmax()) for path, probabilities in answers.items()}


def printable(path: Path) -> str:
    """Return a path as it can be printed: a file's name may be any bytes."""
    return str(path).encode(errors="replace").decode()


def percent(probability: float) -> str:
    """Write a probability; no network is certain, so none is written as 100 %."""
    return f"{min(probability, 0.9999):6.2%}"


def own_accuracy(path: Path) -> float | None:
    """Return what the run of a checkpoint wrote down of its test, if it has come to it."""
    noted = own_figures(path)
    try:
        return json.loads(noted.read_bytes())["test_accuracy"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{noted} does not hold a run's figures") from None


def own_figures(checkpoint: Path) -> Path:
    """Return the file in which the run of a checkpoint wrote its figures down."""
    return checkpoint.parents[1] / "metrics.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return launch(run, Settings, __doc__, argv)


if __name__ == "__main__":
    raise SystemExit(main())
