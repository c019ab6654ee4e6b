"""Which digit is this?

    python experiments/predict.py runs/mnist/20260101-120000-seed0 seven.jpg drawing.png
    python experiments/predict.py runs/mnist/20260101-120000-seed0 --test-set

reads PNG and JPEG pictures with the best weights of a run of mnist.py, and prints which digit each shows, how
probable that is to the network, and what is unusual about it.

Photograph or draw one digit a picture, dark on light or light on dark, with paper all around it.

Expect a few seconds, and a wrong answer now and then; in TensorBoard, Images shows what the network saw.

--test-set reads MNIST's 10 000 test images instead: the accuracy must be the run's own.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor
from torch.nn.functional import normalize

import manualgrad.nn as nn
from manualgrad.data.mnist import load_mnist
from manualgrad.data.photographs import read_digit
from manualgrad.errors import UserError
from manualgrad.plots.digits import plot_predictions
from manualgrad.table import print_table
from manualgrad.training import Config as BaseConfig
from manualgrad.training import RunDir, evaluate, launch, load_best, setup

sys.path.append(str(Path(__file__).parents[1]))  # a script finds only what lies beside it
from experiments.mnist import build_model

SHEET = 12  # pictures that are drawn on one
UNLIKE = 0.73  # cosine with the nearest training image; of MNIST's test digits one in a hundred has less


@dataclass(frozen=True, kw_only=True)
class Config(BaseConfig):
    """What to read, and with which weights."""

    run: tyro.conf.Positional[Path]
    """Folder of a run of mnist.py, or a checkpoint in it."""
    images: tyro.conf.Positional[tuple[Path, ...]] = ()
    """PNG or JPEG pictures, one digit each."""
    test_set: bool = False
    """Read MNIST's test images, and compare with the run's own accuracy."""
    data_dir: Path | None = None
    """Folder with MNIST/raw; by default MANUALGRAD_DATA or the user's cache."""

    runtime = BaseConfig.runtime | {"data_dir"}


def main(config: Config) -> dict[str, Any]:
    """Read the pictures, the test images, or both."""
    if not config.images and not config.test_set:
        raise UserError("nothing to read: name pictures after the run, or --test-set")
    device = setup(config)
    model = build_model()
    load_best(config.run, model)
    model = model.to(device).eval()
    pictures, problems = {}, []
    for path in config.images:
        try:
            pictures[str(path).encode(errors="replace").decode()] = read_digit(path)  # any bytes are a name
        except (UserError, OSError) as problem:
            problems.append(str(problem))
    if problems and not pictures and not config.test_set:
        raise UserError("; ".join(problems))

    data = load_mnist(config.data_dir, device)
    metrics: dict[str, Any] = {}
    with RunDir("predict", config, device) as run:
        if config.test_set:
            accuracy = evaluate(model, nn.CrossEntropyLoss(), data.test_images, data.test_labels).accuracy
            metrics["test_accuracy"] = accuracy
            own = read_own_accuracy(config.run)
            print(f"test accuracy {accuracy:.4f}; the run's own: {own}")
            if own not in (None, accuracy):
                problems.append(f"{config.run} says {own}, not {accuracy}; another device may round")
        if pictures:
            metrics["digits"] = predict(run, model, pictures, data.train_images)
        metrics = run.finish(metrics)
    if problems:
        raise UserError("; ".join(problems))
    return metrics


@torch.no_grad()
def predict(
    run: RunDir, model: nn.Sequential, pictures: dict[str, tuple[Tensor, list[str]]], known: Tensor
) -> dict[str, int]:
    """Print and draw which digit each picture shows, and return that by the picture's name."""
    images = torch.stack([image for image, _ in pictures.values()]).to(known)
    # One by one, because the last bits of a product depend on how many rows it has.
    probabilities = torch.stack([model(image[None])[0].double().softmax(0) for image in images])
    likeness = normalize(images.flatten(1)) @ normalize(known.flatten(1)).t()  # (N, 784) @ (784, 60000)
    rows = []
    for (name, (_, notes)), row, like in zip(pictures.items(), probabilities, likeness.amax(1), strict=True):
        unlike = ["unlike any digit of MNIST's"] if like < UNLIKE else []
        best = row.argsort(descending=True)[:3].tolist()
        shown = (f"{digit}  {min(row[digit].item(), 0.9999):6.2%}" for digit in best)  # none is certain
        rows.append((name, *shown, "; ".join([*notes, *unlike])))
    print_table("What each picture shows", ("picture", "digit", "or", "or ", "note"), rows)
    names = [Path(name).name for name in pictures]
    for sheet, first in enumerate(range(0, len(names), SHEET), start=1):
        drawn = (each[first : first + SHEET] for each in (names, images, probabilities))
        run.log_figure("what the network saw", sheet, plot_predictions, *drawn)
    return dict(zip(pictures, probabilities.argmax(1).tolist(), strict=True))


def read_own_accuracy(run: Path) -> float | None:
    """Return the test accuracy that the run itself came to, if it has come to its test."""
    file = (run if run.is_dir() else run.parents[1]) / "metrics.json"
    try:
        return json.loads(file.read_bytes())["test_accuracy"] if file.exists() else None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{file} does not hold a run's figures") from None


if __name__ == "__main__":
    raise SystemExit(launch(main, Config))
