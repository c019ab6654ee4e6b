"""MNIST's page: what the first layer looks for, what the pixels receive, how digits are told apart."""

import torch
from torch import Tensor

import manualgrad.functions as F
import manualgrad.nn as nn
from manualgrad.training.layers import layer_outputs, split_into_layers
from manualgrad.training.run import Run

TILES = 64  # units of the first layer that are drawn
MISTAKES = 24
SAMPLE = 1000  # test digits for the projector and for the pixels' gradients
DIGITS = 10


def show_learning(run: Run, epoch: int, model: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    """Draw what moves from epoch to epoch: the first layer's weights and the gradients of the pixels.

    Parameters
    ----------
    run : Run
        On whose page it goes.
    epoch : int
        When this is.
    model : Sequential
        Images (N, 28, 28) to logits (N, 10).
    images, labels : Tensor
        Digits that are not trained on, and what they are.
    """
    if not run.page.shows("standard"):
        return
    weight = split_into_layers(model)[0].parameters[0].detach()  # (units, 784)
    largest = weight.norm(dim=1).argsort(descending=True)[:TILES]
    run.page.picture(
        "first layer",
        epoch,
        "weights",
        title=f"What do the first hidden units look for? After epoch {epoch}",
        weights=weight[largest].view(-1, 28, 28).cpu().numpy(),
    )
    images, labels = images[:SAMPLE], labels[:SAMPLE]
    pixels = images.clone().requires_grad_()
    # The sum, not the mean: each digit gets the gradient of its own loss.
    loss = F.softmax_nll(model(pixels), labels, reduction="sum")
    (gradients,) = torch.autograd.grad(loss, pixels)
    sizes = torch.stack([gradients[labels == digit].abs().mean(0) for digit in range(DIGITS)])
    examples = [int((labels == digit).nonzero()[0]) for digit in range(DIGITS)]
    run.page.picture(
        "pixel gradients",
        epoch,
        "pixel gradients",
        title=f"Which pixels would change the loss? After epoch {epoch}",
        images=images[examples].cpu().numpy(),
        gradients=gradients[examples].cpu().numpy(),
        sizes=sizes.cpu().numpy(),
    )


@torch.no_grad()
def show_reading(run: Run, epoch: int, model: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    """Draw how well a network reads digits that it never saw, and what it takes for what.

    Parameters
    ----------
    run : Run
        On whose page it goes.
    epoch : int
        When this is.
    model : Sequential
        Images (N, 28, 28) to logits (N, 10).
    images, labels : Tensor
        The test digits, and what they are.
    """
    if not run.page.shows("standard"):
        return
    *_, penultimate, logits = layer_outputs(split_into_layers(model), images)
    probabilities = logits.softmax(1)
    confidences, readings = probabilities.max(1)
    wrong = (readings != labels).nonzero().flatten()
    worst = wrong[confidences[wrong].argsort(descending=True)][:MISTAKES]
    run.page.picture(
        "worst mistakes",
        epoch,
        "mistakes",
        title=f"Where is it wrong and yet sure? {len(wrong)} mistakes in {len(labels)} test digits",
        images=images[worst].cpu().numpy(),
        labels=labels[worst].tolist(),
        predictions=readings[worst].tolist(),
        confidences=confidences[worst].tolist(),
    )
    counts = torch.bincount(labels * DIGITS + readings, minlength=DIGITS**2).view(DIGITS, DIGITS)
    title = f"Which digits does it mix up? {len(labels)} test digits"
    run.page.picture("confusion", epoch, "confusion", title=title, counts=counts.cpu().numpy())
    for digit in range(DIGITS):
        run.page.precision_recall(f"digit {digit}", labels == digit, probabilities[:, digit], epoch)
    names = ["label\tread as"]
    names += [
        f"{label}\t{reading}"
        for label, reading in zip(labels[:SAMPLE].tolist(), readings[:SAMPLE].tolist(), strict=True)
    ]
    run.page.embedding(penultimate[:SAMPLE], names, images[:SAMPLE])
