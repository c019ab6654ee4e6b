"""Test a trained network on handwritten digits, and show what it makes of them."""

import torch

import manualgrad.nn as nn
from manualgrad.data.mnist import Examples
from manualgrad.errors import UserError
from manualgrad.plots.digits import plot_confusion_matrix, plot_pixel_gradients, plot_worst_mistakes
from manualgrad.training import RunDir, TrainingMonitor
from manualgrad.training.metrics import EVALUATION_ROWS, Metrics

DRAWN = 500  # test images whose pixels' gradients are drawn


def evaluate_digits(
    run: RunDir,
    model: nn.Module,
    monitor: TrainingMonitor,
    test_set: Examples,
    step: int,
    required: float | None = None,
) -> dict[str, float]:
    """Test a model that has its best weights, draw its mistakes, answer the five questions, finish the run.

    The training took so many steps, and its monitor has watched it. Less accuracy than is required is a
    UserError.
    """
    accuracies = [epoch["validation_accuracy"] for epoch in monitor.epochs]
    best = accuracies.index(max(accuracies))
    figures: dict[str, float] = {"best_epoch": best + 1}
    figures |= {name: value for name, value in monitor.epochs[best].items() if "validation" in name}
    figures |= {name: value for name, value in monitor.epochs[-1].items() if "training" in name}
    images, labels = test_set
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(rows) for rows in images.split(EVALUATION_ROWS)])
    predictions = logits.argmax(1)
    correct = (predictions == labels).sum().item()
    test = Metrics(nn.CrossEntropyLoss()(logits, labels).item(), correct / len(labels))
    when = f"after epoch {best + 1}"
    print(f"test accuracy {test.accuracy:.4f}, with the weights {when}")
    run.log_scalars(step, vars(test), part="test")
    if run.full:
        pixels, few = images[:DRAWN].clone().requires_grad_(), labels[:DRAWN]
        losses = nn.CrossEntropyLoss(reduction="sum")(model(pixels), few)  # each digit's own gradient
        (gradients,) = torch.autograd.grad(losses, pixels)
        plot = plot_pixel_gradients
        run.log_figure("test/pixel gradients", step, plot, images[:DRAWN], few, gradients, when)
        run.log_figure("test/confusion matrix", step, plot_confusion_matrix, labels, predictions, when)
        certain = logits.softmax(1)
        run.log_figure("test/worst mistakes", step, plot_worst_mistakes, images, labels, certain, when)
    guessing = labels.bincount().max().item() / len(labels)  # always the most frequent digit
    monitor.report(test.accuracy, guessing)
    metrics = run.finish({"test_accuracy": test.accuracy, "test_loss": test.loss} | figures)
    if required is not None and test.accuracy < required:
        raise UserError(f"test accuracy {test.accuracy} is below the required {required}")
    return metrics
