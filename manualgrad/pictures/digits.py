"""Handwritten digits: what the first layer looks for, what goes wrong, and which pixels would mend it."""

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from manualgrad.pictures.canvas import SIGNED, Array, add_scale, new_figure, place, tile, without_ticks


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
    figure = new_figure(7.6, 6.9, title)
    axes = place(figure, 0.2, 0.4, 6.1, 6.1)
    limit = np.quantile(np.abs(weights), 0.995)
    shown = axes.imshow(tile(weights, columns=8), cmap=SIGNED, vmin=-limit, vmax=limit)
    without_ticks(axes)
    axes.set_xlabel("each tile: one unit's 28 × 28 weights, the largest units first")
    scale = place(figure, 6.5, 0.4, 0.15, 6.1)
    add_scale(figure, shown, scale, "weight: ink here excites (+), inhibits (−)", extend="both")
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
    figure = new_figure(8.2, 1.7 * rows + 0.4, title)
    axes = place(figure, 0.2, 0.05, 7.8, 1.7 * rows)
    axes.axis("off")
    side, room = 28, 10  # pixels; the room above each digit is for the words
    padded = np.pad(images, ((0, 0), (room, 0), (0, 6)))
    axes.imshow(tile(padded, columns), cmap="gray_r", vmin=0, vmax=1)
    for number, (label, reading, sure) in enumerate(zip(labels, predictions, confidences, strict=True)):
        row, column = divmod(number, columns)
        x, y = column * (side + 7) + side / 2, row * (side + room + 1) + room
        axes.text(x, y, f"{label} read as {reading}\n{sure:.1%} sure", ha="center", va="bottom", fontsize=9)
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
    figure = new_figure(6.9, 5.8, title)
    axes = place(figure, 0.6, 0.5, 4.9, 4.9)
    # The diagonal would outshine everything: only mistakes get a colour.
    mistakes = np.where(np.eye(len(counts), dtype=bool) | (counts == 0), np.nan, counts)
    largest = max(2.0, np.nanmax(mistakes, initial=2.0))
    shown = axes.imshow(mistakes, cmap="viridis_r", norm=LogNorm(1, largest))
    for (label, reading), count in np.ndenumerate(counts):
        dark = label != reading and count > largest**0.5
        colour = "white" if dark else "black" if count else "0.7"
        axes.text(reading, label, f"{count}", ha="center", va="center", fontsize=8, color=colour)
    axes.set(xticks=range(10), yticks=range(10), xlabel="read as", ylabel="label")
    scale = place(figure, 5.7, 0.5, 0.15, 4.9)
    add_scale(figure, shown, scale, "mistakes (diagonal: read rightly)", format="%d")
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
    figure = new_figure(11, 3.6, title)
    top, middle, bottom = (place(figure, 1.3, height, 8.6, 0.9) for height in (2.25, 1.2, 0.15))
    top.imshow(tile(images, 10), cmap="gray_r", vmin=0, vmax=1)
    # Each example on its own scale: one that is read with certainty has a loss, and a gradient, near zero.
    own_scale = gradients / np.maximum(np.abs(gradients).max(axis=(1, 2), keepdims=True), 1e-30)
    signed = middle.imshow(tile(own_scale, 10), cmap=SIGNED, vmin=-1, vmax=1)
    average = bottom.imshow(tile(sizes, 10), cmap="cividis", vmin=0, vmax=np.quantile(sizes, 0.99))
    rows = {
        top: "a test digit",
        middle: "∂L/∂pixel, as part\nof its largest",
        bottom: "mean |∂L/∂pixel|\nof all such digits",
    }
    for axes, words in rows.items():
        without_ticks(axes)
        axes.set_ylabel(words, rotation=0, ha="right", va="center", fontsize=9)
    add_scale(figure, signed, place(figure, 10.1, 1.2, 0.12, 0.9), "more ink:\nloss − / +")
    add_scale(figure, average, place(figure, 10.1, 0.15, 0.12, 0.9), "per pixel", extend="max")
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
