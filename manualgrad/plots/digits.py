"""Draw what a network makes of handwritten digits: weights, mistakes, and the gradients of the pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from manualgrad.plots.figure import (
    AMOUNT,
    EDGE,
    INK,
    SIGNED,
    VALUE,
    add_axes,
    add_scale,
    new_figure,
    tile,
    to_array,
)


def plot_weights(weight: Tensor, when: str) -> Any:
    """Draw each unit's weights as the picture that it looks for, the 49 largest units first.

    Parameters
    ----------
    weight : Tensor
        (units, 784): of the first layer.
    when : str
        For the title, such as ``"after epoch 3"``.
    """
    largest = weight.norm(dim=1).argsort(descending=True)[:49]
    images = to_array(weight[largest]).reshape(-1, 28, 28)
    limit = max(float(np.quantile(np.abs(images), 0.995)), 1e-30)
    caption = "each tile: one hidden unit's 28 × 28 weights"
    figure = new_figure(640, 770, f"What do the first hidden units look for?\n{when}", caption, 20)
    axes = add_axes(figure, 20, 90, 600, 600, frame=False)
    axes.imshow(tile(images, columns=7), SIGNED, vmin=-limit, vmax=limit)
    add_scale(
        figure, 90, 710, 150, SIGNED, (f"{-limit:.2g}", f"{limit:.2g}"), "ink here inhibits (−), excites (+)"
    )
    return figure


def plot_worst_mistakes(images: Tensor, labels: Tensor, probabilities: Tensor, shown: int = 16) -> Any:
    """Draw the wrong predictions in which the network was most certain.

    Parameters
    ----------
    images, labels : Tensor
        (N, 28, 28) and (N,): test digits, and what they are.
    probabilities : Tensor
        (N, 10): what the network predicts.
    shown : int
        At most so many.
    """
    confidences, predictions = probabilities.max(1)
    wrong = (predictions != labels).nonzero().flatten()
    worst = wrong[confidences[wrong].argsort(descending=True)][:shown]
    title = f"Where is it wrong and yet sure?\n{len(wrong)} mistakes in {len(labels)} test digits"
    height = max(1, -(-len(worst) // 4)) * 178 + 140
    figure = new_figure(640, height, title, "label → prediction, and how sure", 22)
    for number, index in enumerate(worst.tolist()):
        axes = add_axes(figure, 20 + number % 4 * 153, 122 + number // 4 * 178, 140, 140)
        axes.imshow(to_array(images[index]), INK, vmin=0, vmax=1)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color("#cccccc")
        words = f"{labels[index]} → {predictions[index]}  {_percent(confidences[index].item())}"
        axes.set_title(words, fontsize=18, pad=5)
    return figure


def plot_confusion_matrix(labels: Tensor, predictions: Tensor) -> Any:
    """Draw how often each digit was taken for each other one.

    Parameters
    ----------
    labels, predictions : Tensor
        (N,): what the test digits are, and what the network says.
    """
    counts = np.zeros((10, 10), dtype=int)
    np.add.at(counts, (labels.cpu().numpy(), predictions.cpu().numpy()), 1)
    # The diagonal would outshine everything: only mistakes get a colour, by the logarithm of their number.
    mistakes = np.where(np.eye(10, dtype=bool) | (counts == 0), np.nan, counts)
    largest = max(2.0, float(np.nanmax(mistakes, initial=2.0)))
    caption = f"{np.trace(counts)} of {len(labels)} correct (diagonal); the darker, the more mistakes"
    figure = new_figure(640, 720, "Which digits does it mix up?", caption, 20)
    axes = add_axes(figure, 75, 60, 545, 545)
    axes.imshow(np.log(mistakes), "Oranges", vmin=-0.5, vmax=np.log(largest))
    for (label, prediction), count in np.ndenumerate(counts):
        dark = label != prediction and count > largest**0.75  # where white can be read better
        colour = "white" if dark else "black" if count else "#bbbbbb"
        weight = "bold" if label == prediction else "normal"
        axes.text(
            prediction,
            label,
            str(count),
            ha="center",
            va="center",
            fontsize=19,
            color=colour,
            fontweight=weight,
        )
    axes.set_xticks(range(10))
    axes.set_yticks(range(10))
    axes.tick_params(labelsize=17)
    axes.set_xlabel("prediction", fontsize=19)
    axes.set_ylabel("label", fontsize=19)
    return figure


def plot_pixel_gradients(images: Tensor, labels: Tensor, gradients: Tensor, when: str) -> Any:
    """Draw what gradient the pixels receive.

    Parameters
    ----------
    images, labels : Tensor
        (N, 28, 28) and (N,), with all ten digits among them.
    gradients : Tensor
        (N, 28, 28): the gradient of each digit's own loss by its pixels.
    when : str
        For the title.
    """
    first = [int((labels == digit).nonzero()[0]) for digit in range(10)]
    sizes = np.stack([to_array(gradients[labels == digit].abs().mean(0)) for digit in range(10)])
    scaled = to_array(gradients[first])
    # Each on its own scale: a digit that is recognized with certainty has a gradient near zero.
    scaled = scaled / np.maximum(np.abs(scaled).max(axis=(1, 2), keepdims=True), 1e-30)
    largest = max(float(np.quantile(sizes, 0.99)), 1e-30)
    caption = (
        "below each digit: ∂loss/∂pixel, as part of its largest\n"
        "more ink on orange raises the loss, on purple lowers it\n"
        "below that: its mean size for all such digits"
    )
    figure = new_figure(640, 930, f"Which pixels would change the loss?\n{when}", caption, 22)
    for number in range(6):
        half = slice(5 * (number // 3), 5 * (number // 3) + 5)
        scale = ((INK, 0, 1), (SIGNED, -1, 1), (AMOUNT, 0, largest))[number % 3]
        tiles = (to_array(images[first]), scaled, sizes)[number % 3][half]
        axes = add_axes(figure, 20, 92 + number * 116 + 20 * (number // 3), 600, 116, frame=False)
        axes.imshow(tile(tiles, columns=5), scale[0], vmin=scale[1], vmax=scale[2])
    return figure


def plot_predictions(names: Sequence[str], images: Tensor, probabilities: Tensor) -> Any:
    """Draw what a network saw of each picture, and how probable each digit is to it.

    Parameters
    ----------
    names : sequence of str
        N, the pictures' own.
    images, probabilities : Tensor
        (N, 28, 28) and (N, 10).
    """
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = new_figure(
        max(columns * 400, 560),
        rows * 215 + 110,
        "What did the network see?",
        "bars: how probable each digit is",
        20,
    )
    for number, (name, image, row) in enumerate(zip(names, images, probabilities.tolist(), strict=True)):
        left, top = 20 + number % columns * 400, 92 + number // columns * 215
        best = max(range(10), key=row.__getitem__)
        axes = add_axes(figure, left, top, 160, 160)
        axes.imshow(to_array(image), INK, vmin=0, vmax=1)
        axes.set_xticks([])
        axes.set_yticks([])
        short = name if len(name) <= 30 else f"…{name[-29:]}"
        axes.set_title(f"{short}: {best}", fontsize=16, loc="left", pad=6)
        bars = add_axes(figure, left + 195, top, 120, 160)
        bars.barh(range(10), row, color=[VALUE if digit == best else EDGE for digit in range(10)])
        bars.set(xlim=(0, 1), ylim=(9.5, -0.5))
        bars.set_xticks([])
        bars.set_yticks(range(10), range(10), fontsize=13)
        bars.spines[:].set_visible(False)
        bars.tick_params(length=0)
        bars.text(row[best] + 0.04, best, _percent(row[best]), fontsize=13, va="center")
    return figure


def _percent(probability: float) -> str:
    """Write a probability; no network is certain, so none is written as 100 %."""
    return f"{min(probability, 0.9999):.2%}"
