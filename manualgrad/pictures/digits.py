"""Handwritten digits: what the first layer looks for, what goes wrong, and which pixels would mend it."""

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from manualgrad.pictures.canvas import SIGNED, Array, new_figure, tile, without_ticks


def draw_weights(title: str, weights: Array) -> Figure:
    """Draw each unit's weights as the picture that it looks for.

    Parameters
    ----------
    title : str
        When this was.
    weights : Array
        (64, 28, 28).

    Returns
    -------
    Figure
        The picture.
    """
    figure = new_figure(7.2, 6.6, title)
    axes = figure.subplots()
    limit = np.quantile(np.abs(weights), 0.995)
    shown = axes.imshow(tile(weights, columns=8), cmap=SIGNED, vmin=-limit, vmax=limit)
    without_ticks(axes)
    axes.set_xlabel("each tile: one unit's 28 × 28 weights, the largest units first")
    figure.colorbar(
        shown, ax=axes, shrink=0.8, extend="both", label="weight: ink here excites (+), inhibits (−)"
    )
    return figure


def draw_mistakes(title: str, images: Array, labels: Array, predictions: Array, confidences: Array) -> Figure:
    """Draw the digits that were read wrongly with the greatest confidence.

    Parameters
    ----------
    title : str
        What they are.
    images : Array
        (N, 28, 28).
    labels, predictions, confidences : Array
        (N,): what each is, what the network reads, and with what probability.

    Returns
    -------
    Figure
        The picture.
    """
    columns = 6
    rows = max(1, -(-len(images) // columns))
    figure = new_figure(8.4, 1.65 * rows + 0.5, title)
    for number, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        without_ticks(axes)
        if number >= len(images):
            axes.axis("off")
            continue
        axes.imshow(images[number], cmap="gray_r", vmin=0, vmax=1)
        words = f"{labels[number]} read as {predictions[number]}\n({confidences[number]:.1%} sure)"
        axes.set_title(words, fontsize=9)
    return figure


def draw_confusion(title: str, counts: Array) -> Figure:
    """Draw how often each digit was read as each other one.

    Parameters
    ----------
    title : str
        Of what.
    counts : Array
        (10, 10): a row for each label, a column for each reading.

    Returns
    -------
    Figure
        The picture.
    """
    figure = new_figure(6.6, 5.8, title)
    axes = figure.subplots()
    # The diagonal would outshine everything: only mistakes get a colour.
    mistakes = np.where(np.eye(len(counts), dtype=bool) | (counts == 0), np.nan, counts)
    largest = max(2.0, np.nanmax(mistakes, initial=2.0))
    shown = axes.imshow(mistakes, cmap="viridis_r", norm=LogNorm(1, largest))
    for (label, reading), count in np.ndenumerate(counts):
        dark = label != reading and count > largest**0.5
        colour = "white" if dark else "black" if count else "0.7"
        axes.text(reading, label, f"{count}", ha="center", va="center", fontsize=8, color=colour)
    axes.set(xticks=range(10), yticks=range(10), xlabel="read as", ylabel="label")
    figure.colorbar(shown, ax=axes, shrink=0.8, label="mistakes (diagonal: read rightly)", format="%d")
    return figure


def draw_pixel_gradients(title: str, images: Array, gradients: Array, sizes: Array) -> Figure:
    """Draw what gradient the pixels receive.

    Parameters
    ----------
    title : str
        When this was.
    images, gradients : Array
        (10, 28, 28): one example of each digit, and the gradient of its own loss by its pixels.
    sizes : Array
        (10, 28, 28): the gradient's size by pixel, averaged over many examples of each digit.

    Returns
    -------
    Figure
        The picture.
    """
    figure = new_figure(11, 4.4, title)
    top, middle, bottom = figure.subplots(3, 1)
    top.imshow(tile(images, 10), cmap="gray_r", vmin=0, vmax=1)
    # Each example on its own scale: one that is read with certainty has a loss, and a gradient, near zero.
    own_scale = gradients / np.maximum(np.abs(gradients).max(axis=(1, 2), keepdims=True), 1e-30)
    signed = middle.imshow(tile(own_scale, 10), cmap=SIGNED, vmin=-1, vmax=1)
    average = bottom.imshow(tile(sizes, 10), cmap="cividis", vmin=0, vmax=np.quantile(sizes, 0.99))
    for axes, words in zip(
        (top, middle, bottom),
        ("a test digit", "∂L/∂pixel,\nof its largest", "mean |∂L/∂pixel|\nof this digit"),
        strict=True,
    ):
        without_ticks(axes)
        axes.set_ylabel(words, rotation=0, ha="right", va="center", fontsize=9)
    figure.colorbar(signed, ax=middle, label="more ink: loss\nfalls −, rises +")
    figure.colorbar(average, ax=bottom, label="per pixel", extend="max")
    return figure


def draw_sprite(images: Array, columns: int) -> Figure:
    """Draw a sheet of small images for the projector, pixel for pixel.

    Parameters
    ----------
    images : Array
        (N, H, W).
    columns : int
        Images a row. TensorBoard wants as many rows.

    Returns
    -------
    Figure
        As many pixels as the images have together.
    """
    count, height, width = images.shape
    sheet = np.zeros((columns, columns, height, width), dtype=np.float32)
    sheet.reshape(-1, height, width)[:count] = images
    figure = Figure(figsize=(columns * width / 100, columns * height / 100), dpi=100)
    figure.figimage(
        sheet.swapaxes(1, 2).reshape(columns * height, columns * width), cmap="gray_r", vmin=0, vmax=1
    )
    return figure
