"""Draw what a network makes of handwritten digits: weights, mistakes, and the gradients of the pixels."""

import math
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
    add_chart,
    add_tiles,
    new_figure,
    tile,
    to_array,
)


def plot_weights(weight: Tensor, when: str) -> Any:
    """Draw each unit's weights as the picture that it looks for.

    They are (units, 784), or those of a convolution, (units, 1, height, width). Of more than 49 units those
    with the largest weights are drawn, the largest first.
    """
    if len(weight) > 49:
        weight = weight[weight.flatten(1).norm(dim=1).argsort(descending=True)[:49]]
    images = to_array(weight).reshape(len(weight), *(weight.shape[2:] or (28, 28)))
    limit = max(float(np.quantile(np.abs(images), 0.995)), 1e-30)
    title = f"What does each unit of the first layer look for?\n{when}"
    caption = "each tile: one unit's {} × {} weights\nink where they are positive excites the unit"
    columns = math.ceil(len(images) ** 0.5)
    sheet = tile(images, columns)
    size = 4.5, 1.5 + 4.1 * sheet.shape[0] / sheet.shape[1]
    figure = new_figure(*size, title, caption.format(*images.shape[1:]))
    (axes,) = add_tiles(figure, [""], 1)
    image = axes.imshow(sheet, SIGNED, vmin=-limit, vmax=limit)
    figure.colorbar(image, location="bottom", shrink=0.6, aspect=40)
    return figure


def plot_worst_mistakes(images: Tensor, labels: Tensor, probabilities: Tensor, when: str) -> Any:
    """Draw the sixteen wrong predictions in which the network was most certain.

    The images (N, 28, 28) have labels (N,); the network's probabilities are (N, 10).
    """
    confidences, predictions = probabilities.max(1)
    wrong = (predictions != labels).nonzero().flatten()
    worst = wrong[confidences[wrong].argsort(descending=True)][:16].tolist()
    title = f"Where is it wrong and yet sure?\n{len(wrong)} mistakes in {len(labels)}, {when}"
    figure = new_figure(4.5, 5.5, title, "label → prediction, and how sure")
    (axes,) = add_tiles(figure, [""], 1)
    axes.set_frame_on(False)
    for number, index in enumerate(worst):
        top, left = 1.2 * (number // 4), 1.1 * (number % 4)
        axes.imshow(to_array(images[index]), INK, vmin=0, vmax=1, extent=(left, left + 1, top + 1, top))
        sure = _percent(confidences[index].item())
        words = f"{labels[index]} → {predictions[index]}  {sure}"
        axes.text(left + 0.5, top - 0.02, words, ha="center", va="bottom", fontsize=9)
    axes.set(xlim=(0, 4.3), ylim=(4.6, -0.2))
    return figure


def plot_confusion_matrix(labels: Tensor, predictions: Tensor, when: str) -> Any:
    """Draw how often each digit (N,) was taken for each other one (N,), ``when`` is for the title."""
    counts = np.zeros((10, 10), dtype=int)
    np.add.at(counts, (labels.cpu().numpy(), predictions.cpu().numpy()), 1)
    # The diagonal would outshine everything: only mistakes get a colour, by the logarithm of their number.
    mistakes = np.where(np.eye(10, dtype=bool) | (counts == 0), np.nan, counts)
    largest = max(2.0, float(np.nanmax(mistakes, initial=2.0)))
    caption = f"{np.trace(counts)} of {len(labels)} correct (diagonal); darker: more mistakes"
    figure = new_figure(4.5, 5.2, f"Which digits does it mix up?\n{when}", caption)
    axes = add_chart(figure, "prediction", "label")
    axes.grid(False)
    axes.imshow(np.log(mistakes), "Oranges", vmin=-0.5, vmax=np.log(largest))
    for label, prediction in np.argwhere(counts):
        right, count = label == prediction, counts[label, prediction]
        colour = "white" if not right and count > largest**0.75 else "black"  # on dark squares
        style = {"ha": "center", "va": "center", "fontweight": "bold" if right else "normal"}
        axes.text(prediction, label, str(count), color=colour, fontsize=9, **style)
    axes.set(xticks=range(10), yticks=range(10))
    return figure


def plot_pixel_gradients(images: Tensor, labels: Tensor, gradients: Tensor, when: str) -> Any:
    """Draw the gradient of each digit's own loss by its pixels.

    Images and gradients are (N, 28, 28), the labels (N,), with all ten digits among them.
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
    figure = new_figure(4.5, 6.6, f"Which pixels would change the loss?\n{when}", caption)
    rows = ((to_array(images[first]), INK, 0, 1), (scaled, SIGNED, -1, 1), (sizes, AMOUNT, 0, largest))
    for number, axes in enumerate(add_tiles(figure, [""] * 6, 1)):
        tiles, scale, low, high = rows[number % 3]
        half = slice(0, 5) if number < 3 else slice(5, 10)
        axes.imshow(tile(tiles[half], columns=5), scale, vmin=low, vmax=high)
    return figure


def plot_predictions(names: Sequence[str], images: Tensor, probabilities: Tensor) -> Any:
    """Draw what a network saw of each picture (N, 28, 28), and how probable each digit is to it (N, 10)."""
    columns = min(3, len(names))
    size = columns * 2.9, -(-len(names) // columns) * 1.6 + 0.8
    figure = new_figure(*size, "What did the network see?", "bars: how probable each digit is")
    short = [name if len(name) <= 20 else f"…{name[-19:]}" for name in names]
    titles = [title for name in short for title in (name, "")]
    tiles = add_tiles(figure, titles, 2 * columns)
    for image, row, shown, bars in zip(images, probabilities.tolist(), tiles[::2], tiles[1::2], strict=True):
        best = max(range(10), key=row.__getitem__)
        shown.imshow(to_array(image), INK, vmin=0, vmax=1)
        bars.barh(range(10), row, color=[VALUE if digit == best else EDGE for digit in range(10)])
        bars.set(xlim=(0, 1.4), ylim=(9.5, -0.5))
        bars.set_yticks(range(10), range(10), fontsize=7)
        bars.set_frame_on(False)
        bars.text(row[best] + 0.04, best, _percent(row[best]), fontsize=8, va="center")
    return figure


def _percent(probability: float) -> str:
    """Write a probability; no network is certain, so none is written as 100 %."""
    return f"{min(probability, 0.9999):.2%}"
