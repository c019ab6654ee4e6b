"""Can a network whose every gradient was derived by hand read handwritten digits?

    python experiments/mnist.py
    python experiments/mnist.py --resume runs/mnist/20260101-120000-default-seed0
    torchrun --nproc-per-node 2 experiments/mnist.py

trains 784-512-256-128-10 with ReLU, softmax and Adam for ten epochs on 48 000 images and validates on the
other 12 000. The weights of the best epoch are then tested on 10 000 new images. Expect 97.5 to 98 %, in
about twenty seconds on two CPU cores.

An interrupted run goes on with --resume and ends with the same weights, bit for bit. Ctrl-C saves first.
mnist_by_hand.py does the same without autograd.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import manualgrad.nn as nn
from manualgrad.data.mnist import load_mnist
from manualgrad.errors import UserError
from manualgrad.plots.digits import (
    plot_confusion_matrix,
    plot_pixel_gradients,
    plot_weights,
    plot_worst_mistakes,
)
from manualgrad.progress import progress
from manualgrad.training import (
    BatchLoader,
    Checkpointer,
    MetricAccumulator,
    RunDir,
    TrainConfig,
    TrainingMonitor,
    check_finite,
    distribute,
    evaluate,
    is_first,
    launch,
    log_times,
    require,
    setup,
)

KERAS_EPSILON = 1e-7  # Adam's; PyTorch's own default is 1e-8
MONITOR_EVERY = 125  # steps: three times an epoch
PROBE = 256  # validation images on which activations are observed
DRAWN = 1000  # test images whose pixels' gradients are drawn

Examples = tuple[Tensor, Tensor]  # images (N, 28, 28) and labels (N,)


@dataclass(frozen=True, kw_only=True)
class Config(TrainConfig):
    """The network's training, as in the Keras notebook that it follows."""

    batch_size: int = 128
    """Images a step."""

    learning_rate: float = 0.001
    """Adam's step size."""

    data_dir: Path | None = None
    """Folder with MNIST/raw; by default MANUALGRAD_DATA or the user's cache."""

    require_accuracy: float | None = None
    """Exit with status 1 below this test accuracy."""

    dry_run: bool = False
    """One epoch of two batches, to see that everything works."""

    environment = TrainConfig.environment | {"data_dir", "require_accuracy"}

    def __post_init__(self) -> None:
        """Check the bounds; a dry run has one epoch."""
        super().__post_init__()
        if self.dry_run:
            object.__setattr__(self, "epochs", 1)  # the class is frozen
        require("batch-size", self.batch_size, 1)
        require("learning-rate", self.learning_rate, 0)
        require("require-accuracy", self.require_accuracy, 0, 1)


def main(config: Config) -> dict[str, float]:
    """Train, validate after every epoch, test at the end."""
    device = setup(config)
    training_set, validation_set, test_set = load_sets(config, device)
    model = build_model().to(device)
    wrapped = distribute(model)  # in a single process the model itself
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), config.learning_rate, eps=KERAS_EPSILON, fused=True)
    max_batches = 2 if config.dry_run else None
    loader = BatchLoader(*training_set, config.batch_size, config.seed, max_batches)
    steps = config.epochs * len(loader)
    metrics = MetricAccumulator(device)

    with RunDir("mnist", config, device) as run:
        probe = validation_set[0][:PROBE]
        monitor = TrainingMonitor(run, model, loss_function, optimizer, probe, MONITOR_EVERY, steps)
        checkpointer = Checkpointer(run, model, loader, optimizer=optimizer, metrics=metrics, monitor=monitor)
        with checkpointer, progress("training", steps, shown=is_first()) as bar:
            for epoch in loader.epochs(config.epochs):  # --resume: from the epoch and batch where it stopped
                model.train()
                for x, y in loader:
                    optimizer.zero_grad()
                    logits = wrapped(x)
                    loss = loss_function(logits, y)
                    loss.backward()
                    check_finite(loader.step, loss, model, loss_function, x, y)
                    monitor.after_backward(loader.step, loss, x, y)
                    optimizer.step()
                    monitor.after_step(loader.step)
                    metrics.update(loss, logits, y)
                    bar(loader.step, metrics)
                    checkpointer.after_step()
                model.eval()
                training = metrics.compute()
                validation = evaluate(model, loss_function, *validation_set)
                metrics.reset()
                run.log_metrics(loader.step, training, validation)
                if epoch in log_times(config.epochs, 5):
                    when = f"after epoch {epoch}"
                    run.log_figure("first layer", loader.step, plot_weights, model[1].weight, when)
                print(f"epoch {epoch:2}  train {training}  val {validation}")
                checkpointer.end_epoch(training, validation)
            figures = checkpointer.load_best()
        return finish(config, run, monitor, model, loader.step, figures, test_set)


def load_sets(config: Config, device: torch.device) -> tuple[Examples, Examples, Examples]:
    """Return images and labels to train on, a fifth of these to validate with, and those to test with."""
    data = load_mnist(config.data_dir, device)
    split = len(data.train_images) * 4 // 5
    return (
        (data.train_images[:split], data.train_labels[:split]),
        (data.train_images[split:], data.train_labels[split:]),
        (data.test_images, data.test_labels),
    )


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


def finish(
    config: Config,
    run: RunDir,
    monitor: TrainingMonitor,
    model: nn.Sequential,
    step: int,
    figures: dict[str, float],
    test_set: Examples,
) -> dict[str, float]:
    """Test the best weights, answer the monitor's five questions, and return the run's figures."""
    images, labels = test_set
    model.eval()
    test = evaluate(model, nn.CrossEntropyLoss(), images, labels)
    print(f"test accuracy {test.accuracy:.4f}, with the weights of epoch {figures['best_epoch']}")
    log_pictures(run, model, test_set, step, f"after epoch {figures['best_epoch']}")
    guessing = labels.bincount().max().item() / len(labels)  # always the most frequent digit
    monitor.report(test.accuracy, guessing, figures["training_accuracy"])
    metrics = run.finish({"test_accuracy": test.accuracy, "test_loss": test.loss} | figures)
    if config.require_accuracy is not None and test.accuracy < config.require_accuracy:
        raise UserError(f"test accuracy {test.accuracy} is below the required {config.require_accuracy}")
    return metrics


def log_pictures(run: RunDir, model: nn.Sequential, test_set: Examples, step: int, when: str) -> None:
    """Draw how well the network reads the test digits, and which of their pixels matter."""
    if not run.full:
        return
    images, labels = test_set
    pixels, few = images[:DRAWN].clone().requires_grad_(), labels[:DRAWN]
    loss = nn.CrossEntropyLoss(reduction="sum")(model(pixels), few)  # each digit gets its own loss's gradient
    (gradients,) = torch.autograd.grad(loss, pixels)
    run.log_figure("pixel gradients", step, plot_pixel_gradients, images[:DRAWN], few, gradients, when)
    with torch.no_grad():
        probabilities = model(images).softmax(1)
    run.log_figure("confusion matrix", step, plot_confusion_matrix, labels, probabilities.argmax(1))
    run.log_figure("worst mistakes", step, plot_worst_mistakes, images, labels, probabilities)


if __name__ == "__main__":
    raise SystemExit(launch(main, Config))
