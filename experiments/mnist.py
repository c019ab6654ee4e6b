"""Can a network whose every gradient was derived by hand read handwritten digits?

    python experiments/mnist.py
    python experiments/mnist.py --with my-backwards/relu.py
    python experiments/mnist.py --engine by-hand
    python experiments/mnist.py --resume runs/mnist/20260101-120000-default-seed0
    torchrun --nproc-per-node 2 experiments/mnist.py

trains 784-512-256-128-10 with ReLU, softmax and Adam for ten epochs on 48 000 images, keeps the last 12 000
of the training images for validation, and ends with the accuracy, of the weights that did best on these, on
10 000 images that it never saw. Expect 97.5 to 98 %, in about twenty seconds on two CPU cores.

Whatever ends a run, --resume goes on with it and comes to the same weights, bit for bit. Ctrl-C saves first.
torchrun has several processes train it together, on one machine or on several.

--engine by-hand trains without autograd (manualgrad/by_hand/classifier.py), and faster. --compile and
--precision are for those who want to see what else there is to gain, and what it costs in accuracy.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

import manualgrad.nn as nn
from manualgrad.by_hand import Classifier, Mirror, Trainer
from manualgrad.by_hand.culprit import find_culprit_by_hand
from manualgrad.data.mnist import load_mnist
from manualgrad.errors import UserError
from manualgrad.exercises.train_with import in_place_of_ours, train_both
from manualgrad.pages.digits import show_learning, show_reading
from manualgrad.progress import progress
from manualgrad.training import (
    Keeper,
    Metrics,
    Position,
    Run,
    Score,
    Stateful,
    TrainingSettings,
    Watch,
    changed_settings,
    distributed,
    evaluate,
    gather_batches,
    launch,
    option,
    prepare,
    train_epoch,
)
from manualgrad.training.culprit import find_culprit
from manualgrad.training.finite import Guard
from manualgrad.training.precision import Autocast, Precision, low_dtype, matmul_precision

EVALUATION_BATCH = 2000  # rows at a time where nothing is learnt; any number gives the same figures
KERAS_EPSILON = 1e-7  # Adam's; PyTorch's own default is 1e-8
WATCH_EVERY = 125  # steps: three times an epoch
PROBE = 256  # validation images on which activations are observed
SIZES = (28 * 28, 512, 256, 128, 10)

Epoch = Callable[[Iterable[tuple[Tensor, Tensor]], Keeper], Score]
Parts = dict[str, Stateful]  # by their names in a checkpoint


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    """The network's training, as the source document meant it."""

    batch_size: int = option(128, "images a step", minimum=1)
    learning_rate: float = option(0.001, "Adam's step size", minimum=0)
    data_dir: Path | None = option(
        None, "folder with MNIST/raw; by default MANUALGRAD_DATA or the user's cache", role="circumstance"
    )
    engine: Literal["functions", "by-hand"] = option(
        "functions", "autograd with our functions, or no autograd"
    )
    precision: Precision = option("float32", "of products (medium), or of layers (bfloat16, float16)")
    compile: bool = option(False, "let torch.compile fuse the functions; it takes half a minute first")
    require_accuracy: float | None = option(
        None, "exit with status 1 below this test accuracy", minimum=0, maximum=1, role="circumstance"
    )
    with_: Path | None = option(None, "an exercise's file: train again with the function in it, and compare")
    dry_run: bool = option(False, "two batches only, to see that everything works")


def run(settings: Settings) -> Metrics:
    """Train with our functions; if there is a student's, with that, too."""
    if settings.engine == "by-hand" and distributed.size() > 1:
        raise UserError("--engine by-hand trains in one process: start it with python, not with torchrun")
    if settings.engine == "by-hand" and (settings.with_ or settings.compile):
        raise UserError("--engine by-hand calls no functions: neither --with nor --compile applies")
    if settings.with_ is None:
        return run_once(settings)
    if settings.resume:
        with in_place_of_ours(settings.with_):
            return run_once(settings)
    ours = replace(settings, with_=None)
    runs = settings.runs_dir / "mnist"
    return train_both(settings.with_, runs, lambda: run_once(ours), lambda: run_once(settings))


def run_once(settings: Settings) -> Metrics:
    """Train, validate after every epoch, test at the end."""
    device = prepare(settings.device, settings.seed)
    with distributed.one_before_the_others():  # which find what it has fetched
        data = load_mnist(settings.data_dir, device)
    split = len(data.train_images) * 4 // 5
    images, validation_images = data.train_images[:split], data.train_images[split:]
    labels, validation_labels = data.train_labels[:split], data.train_labels[split:]

    model = build_model().to(device)
    loss_function = nn.CrossEntropyLoss()
    position = Position(settings.seed, device)

    variant = changed_settings(settings) + (f"-with-{settings.with_.stem}" if settings.with_ else "")
    with Run("mnist", variant, settings, device) as record, matmul_precision(settings.precision):
        if settings.engine == "by-hand":
            train, parts, guard = by_hand(settings, model, position)
        else:
            train, parts, guard = by_functions(
                settings, model, loss_function, record, validation_images[:PROBE]
            )
        per_epoch = 2 if settings.dry_run else math.ceil(split / settings.batch_size)
        with (
            Keeper(record, model, position, parts, guard) as keeper,
            progress(
                "training", settings.epochs * per_epoch, position.steps, shown=distributed.is_first()
            ) as counted,
        ):
            for epoch in range(position.epoch, settings.epochs + 1):
                position.begin(epoch)
                batches = gather_batches(
                    images, labels, settings.batch_size, position.shuffling(), position.batches
                )
                training = train(counted(islice(batches, per_epoch)), keeper)
                keeper.after_training()
                held_out = gather_batches(validation_images, validation_labels, EVALUATION_BATCH)
                validation = evaluate(distributed.by_rows(model), loss_function, held_out)
                keeper.after_validation(validation)
                record.log_scores(epoch, training=training, validation=validation)
                print(
                    f"epoch {epoch:2}   training loss {training.loss:.4f} accuracy {training.accuracy:.4f}   "
                    f"validation loss {validation.loss:.4f} accuracy {validation.accuracy:.4f}"
                )
                if epoch == settings.epochs or record.page.shows("everything"):
                    show_learning(record, epoch, model, data.test_images, data.test_labels)
                if settings.dry_run:
                    break
            best = keeper.take_best()
        unseen = gather_batches(data.test_images, data.test_labels, EVALUATION_BATCH)
        test = evaluate(distributed.by_rows(model), loss_function, unseen)
        record.log_scores(epoch, test=test)
        print(
            f"test accuracy {test.accuracy:.4f}: {test.accuracy * 10_000:.0f} of 10 000 digits read rightly, "
            f"with the weights of epoch {best['epoch']}"
        )
        show_reading(record, epoch, model, data.test_images, data.test_labels)
        metrics = record.finish(
            {
                "test_accuracy": test.accuracy,
                "test_loss": test.loss,
                "best_epoch": best["epoch"],
                "validation_accuracy": best["validation_accuracy"],
                "validation_loss": best["validation_loss"],
                "training_accuracy": training.accuracy,
                "training_loss": training.loss,
            }
        )
    if settings.require_accuracy is not None and test.accuracy < settings.require_accuracy:
        raise UserError(f"test accuracy {test.accuracy} is below the required {settings.require_accuracy}")
    return metrics


def by_functions(
    settings: Settings, model: nn.Sequential, loss_function: nn.Module, record: Run, probe: Tensor
) -> tuple[Epoch, Parts, Guard]:
    """Return an epoch in which autograd calls our backwards, what it depends on, and its guard."""
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, eps=KERAS_EPSILON, fused=True)
    watch = Watch(record, model, loss_function, optimizer, probe, WATCH_EVERY)
    low = low_dtype(settings.precision)
    network = Autocast(model, low) if low else nn.Sequential(model)
    if settings.compile:
        network.compile()  # and not the model, which is evaluated on batches of other sizes
    guard = Guard(optimizer, partial(find_culprit, network, loss_function, anomaly=settings.anomaly))
    trained = distributed.data_parallel(network)

    def epoch(batches: Iterable[tuple[Tensor, Tensor]], keeper: Keeper) -> Score:
        return train_epoch(trained, loss_function, optimizer, batches, watch, keeper, guard)

    return epoch, {"optimizer": optimizer, "watch": watch}, guard


def by_hand(settings: Settings, model: nn.Sequential, position: Position) -> tuple[Epoch, Parts, Guard]:
    """Return the same without autograd; after an epoch the model has the new weights."""
    device = next(model.parameters()).device
    network = Classifier(SIZES, device, precision=low_dtype(settings.precision)).load(model)
    adam = torch.optim.Adam(
        [network.parameters],
        lr=settings.learning_rate,
        eps=KERAS_EPSILON,
        fused=True,
        capturable=device.type == "cuda",
    )
    guard = Guard(adam, partial(find_culprit_by_hand, network, anomaly=settings.anomaly))
    trainer = Trainer(network, adam, position.tally, guard)

    def epoch(batches: Iterable[tuple[Tensor, Tensor]], keeper: Keeper) -> Score:
        score = trainer.train_epoch(batches, keeper)
        network.store(model)
        return score

    return epoch, {"optimizer": adam, "model": Mirror(network, model)}, guard


def build_model() -> nn.Sequential:
    """Return the network, images (N, 28, 28) to logits (N, 10), with the weights that Keras begins with."""
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(28 * 28, 512),
        nn.ReLU(),
        nn.Linear(512, 256),
        nn.ReLU(),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)  # Keras calls it Glorot uniform
            nn.init.zeros_(layer.bias)
    return model


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return launch(run, Settings, __doc__, argv)


if __name__ == "__main__":
    raise SystemExit(main())
