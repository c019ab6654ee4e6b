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
    add_chart,
    draw_digit,
    draw_image,
    draw_scale,
    new_canvas,
    new_figure,
    tile,
    to_array,
)


def plot_weights(weight: Tensor, when: str) -> Any:
    """Draw each unit's weights (units, 784) as the picture that it looks for, the 49 largest units first."""
    largest = weight.norm(dim=1).argsort(descending=True)[:49]
    images = to_array(weight[largest]).reshape(-1, 28, 28)
    limit = max(float(np.quantile(np.abs(images), 0.995)), 1e-30)
    title = f"What do the first hidden units look for?\n{when}"
    figure, canvas = new_canvas(640, 770, title, "each tile: one hidden unit's 28 × 28 weights")
    draw_image(canvas, tile(images, columns=7), (20, 90, 600, 600), SIGNED, -limit, limit)
    draw_scale(canvas, 90, 710, limit)
    return figure


def plot_worst_mistakes(images: Tensor, labels: Tensor, probabilities: Tensor, when: str) -> Any:
    """Draw the sixteen wrong predictions in which the network was most certain.

    The images (N, 28, 28) have labels (N,); the network's probabilities are (N, 10).
    """
    confidences, predictions = probabilities.max(1)
    wrong = (predictions != labels).nonzero().flatten()
    worst = wrong[confidences[wrong].argsort(descending=True)][:16]
    title = f"Where is it wrong and yet sure?\n{len(wrong)} mistakes in {len(labels)}, {when}"
    height = max(1, -(-len(worst) // 4)) * 178 + 140
    figure, canvas = new_canvas(640, height, title, "label → prediction, and how sure", 22)
    for number, index in enumerate(worst.tolist()):
        left, top = 20 + number % 4 * 153, 122 + number // 4 * 178
        draw_digit(canvas, images[index], left, top, 140)
        words = f"{labels[index]} → {predictions[index]}  {_percent(confidences[index].item())}"
        canvas.text(left + 70, top - 6, words, ha="center", fontsize=18)
    return figure


def plot_confusion_matrix(labels: Tensor, predictions: Tensor, when: str) -> Any:
    """Draw how often each digit (N,) was taken for each other one (N,), ``when`` is for the title."""
    counts = np.zeros((10, 10), dtype=int)
    np.add.at(counts, (labels.cpu().numpy(), predictions.cpu().numpy()), 1)
    # The diagonal would outshine everything: only mistakes get a colour, by the logarithm of their number.
    mistakes = np.where(np.eye(10, dtype=bool) | (counts == 0), np.nan, counts)
    largest = max(2.0, float(np.nanmax(mistakes, initial=2.0)))
    caption = f"{np.trace(counts)} of {len(labels)} correct (diagonal); darker: more mistakes"
    figure = new_figure(640, 750, f"Which digits does it mix up?\n{when}", caption)
    axes = add_chart(figure, 75, 90, 545, 545, "prediction", "label")
    axes.grid(False)
    axes.imshow(np.log(mistakes), "Oranges", vmin=-0.5, vmax=np.log(largest))
    for label, prediction in np.argwhere(counts):
        right, count = label == prediction, counts[label, prediction]
        colour = "white" if not right and count > largest**0.75 else "black"  # on dark squares
        style = {"ha": "center", "va": "center", "fontweight": "bold" if right else "normal"}
        axes.text(prediction, label, str(count), fontsize=19, color=colour, **style)
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
    figure, canvas = new_canvas(640, 930, f"Which pixels would change the loss?\n{when}", caption, 22)
    for half in (0, 1):
        digits = slice(5 * half, 5 * half + 5)
        top = 92 + 368 * half
        rows = ((to_array(images[first]), INK, 0, 1), (scaled, SIGNED, -1, 1), (sizes, AMOUNT, 0, largest))
        for row, (tiles, scale, low, high) in enumerate(rows):
            box = (20, top + 116 * row, 600, 116)
            draw_image(canvas, tile(tiles[digits], columns=5), box, scale, low, high)
    return figure


def plot_predictions(names: Sequence[str], images: Tensor, probabilities: Tensor) -> Any:
    """Draw what a network saw of each picture (N, 28, 28), and how probable each digit is to it (N, 10)."""
    columns = min(3, len(names))
    width, height = max(columns * 400, 560), -(-len(names) // columns) * 215 + 110
    figure, canvas = new_canvas(
        width, height, "What did the network see?", "bars: how probable each digit is"
    )
    for number, (name, image, row) in enumerate(zip(names, images, probabilities.tolist(), strict=True)):
        left, top = 20 + number % columns * 400, 92 + number // columns * 215
        best = max(range(10), key=row.__getitem__)
        draw_digit(canvas, image, left, top, 160)
        short = name if len(name) <= 30 else f"…{name[-29:]}"
        canvas.text(left, top - 6, f"{short}: {best}", fontsize=16)
        bars = add_axes(figure, left + 195, top, 120, 160)
        bars.barh(range(10), row, color=[VALUE if digit == best else EDGE for digit in range(10)])
        bars.set(xlim=(0, 1), ylim=(9.5, -0.5), xticks=[])
        bars.set_yticks(range(10), range(10), fontsize=13)
        bars.spines[:].set_visible(False)
        bars.tick_params(length=0)
        bars.text(row[best] + 0.04, best, _percent(row[best]), fontsize=13, va="center")
    return figure


def _percent(probability: float) -> str:
    """Write a probability; no network is certain, so none is written as 100 %."""
    return f"{min(probability, 0.9999):.2%}"
