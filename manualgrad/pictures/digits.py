"""Handwritten digits: what the first layer looks for, what goes wrong, and which pixels would mend it."""

from collections.abc import Sequence

import numpy as np

from manualgrad.pictures.canvas import AMOUNT, INK, ORANGE, SIGNED, VALUE, Array, Canvas, paint, tile

DIGIT = 28  # pixels, each side


def draw_weights(title: str, weights: Array) -> Canvas:
    """Draw each unit's weights as the picture that it looks for.

    Parameters
    ----------
    title : str
        When this was.
    weights : Array
        (64, 28, 28).

    Returns
    -------
    Canvas
        The picture.
    """
    canvas = Canvas(640, 680, title, scales=[SIGNED])
    limit = np.quantile(np.abs(weights), 0.995)
    sheet = paint(tile(weights, columns=8), SIGNED, -limit, limit)
    height, width, _ = sheet.shape
    canvas.image((31, 40, 31 + 2.5 * width, 40 + 2.5 * height), sheet)
    canvas.write(320, 636, "each tile: one unit's 28 × 28 weights, the largest units first")
    label = "weight: ink here excites (+) or inhibits (−)"
    canvas.scale(60, 660, SIGNED, f"{-limit:.2g}", f"{limit:.2g}", label)
    return canvas


def draw_mistakes(title: str, images: Array, labels: Array, predictions: Array, confidences: Array) -> Canvas:
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
    Canvas
        The picture.
    """
    columns, side, across, down = 6, 3 * DIGIT, 126, 132
    rows = -(-len(images) // columns)
    canvas = Canvas(columns * across + 20, rows * down + 50, title, scales=[])
    mistakes = zip(images, labels, predictions, confidences, strict=True)
    for number, (image, label, reading, sure) in enumerate(mistakes):
        row, column = divmod(number, columns)
        left, top = 10 + column * across + (across - side) / 2, 72 + row * down
        canvas.image((left, top, left + side, top + side), paint(image, INK, 0, 1))
        words = f"{label} read as {reading}\n{sure:.1%} sure"
        canvas.write(left + side / 2, top - 1, words, anchor="md")
    return canvas


def draw_readings(title: str, names: Sequence[str], images: Array, probabilities: Array) -> Canvas:
    """Draw what a network saw of each picture, and how probable each digit is to it.

    Parameters
    ----------
    title : str
        What they are.
    names : sequence of str
        N, the pictures' own.
    images : Array
        (N, 28, 28).
    probabilities : Array
        (N, 10).

    Returns
    -------
    Canvas
        The picture.
    """
    columns, side, across, down, line = min(3, len(images)), 5 * DIGIT, 400, 186, 14
    rows = -(-len(images) // columns)
    canvas = Canvas(columns * across + 20, rows * down + 50, title)
    for number, (name, image, row) in enumerate(zip(names, images, probabilities, strict=True)):
        left, top = 20 + number % columns * across, 72 + number // columns * down
        reading = row.argmax()
        canvas.write(left, top - 6, f"{_shortened(name, 34)}: {reading}", anchor="ld", bold=True)
        canvas.image((left, top, left + side, top + side), paint(image, INK, 0, 1))
        canvas.box((left, top, left + side, top + side), "#888888")
        zero, full = left + side + 32, 120  # where the bars begin, and how long that of a certainty is
        for digit, probability in enumerate(row):
            middle = top + (digit + 0.5) * line
            canvas.write(zero - 8, middle, str(digit), size=11, anchor="rm", bold=bool(digit == reading))
            colour = VALUE if digit == reading else "#888888"
            canvas.box((zero, middle - 5, zero + full * probability, middle + 5), colour, colour)
            if probability >= 0.0005:
                share = f"{min(probability, 0.9999):.2%}"  # no network is certain
                canvas.write(zero + full * probability + 6, middle, share, size=11, anchor="lm")
    return canvas


def draw_confusion(title: str, counts: Array) -> Canvas:
    """Draw how often each digit was read as each other one.

    Parameters
    ----------
    title : str
        Of what.
    counts : Array
        (10, 10): a row for each label, a column for each reading.

    Returns
    -------
    Canvas
        The picture.
    """
    cell, left, top = 50, 70, 45
    side = cell * len(counts)
    canvas = Canvas(left + side + 30, top + side + 90, title, scales=[ORANGE])
    # The diagonal would outshine everything: only mistakes get a colour. On a scale of logarithms, because
    # a few pairs of digits make most of them.
    mistakes = np.where(np.eye(len(counts), dtype=bool) | (counts == 0), np.nan, counts)
    largest = max(2.0, np.nanmax(mistakes, initial=2.0))
    colours = paint(np.log(mistakes), ORANGE, 0, np.log(largest))
    canvas.image((left, top, left + side, top + side), colours)
    for (label, reading), count in np.ndenumerate(counts):
        dark = label != reading and count > largest**0.75  # where white can be read better
        colour = "white" if dark else "black" if count else "#aaaaaa"
        x, y = left + (reading + 0.5) * cell, top + (label + 0.5) * cell
        canvas.write(x, y, str(count), colour=colour)
    for digit in range(len(counts)):
        middle = (digit + 0.5) * cell
        canvas.write(left - 10, top + middle, str(digit), anchor="rm")
        canvas.write(left + middle, top + side + 8, str(digit), anchor="ma")
    canvas.box((left, top, left + side, top + side), "#888888")
    canvas.write_upwards(22, top + side / 2, "label")
    canvas.write(left + side / 2, top + side + 28, "read as", anchor="ma")
    label = "mistakes (diagonal: read rightly)"
    canvas.scale(left + 60, top + side + 66, ORANGE, "1", f"{largest:.0f}", label)
    return canvas


def draw_pixel_gradients(title: str, images: Array, gradients: Array, sizes: Array) -> Canvas:
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
    Canvas
        The picture.
    """
    # Each example on its own scale: one that is read with certainty has a loss, and a gradient, near zero.
    own_scale = gradients / np.maximum(np.abs(gradients).max(axis=(1, 2), keepdims=True), 1e-30)
    largest = max(np.quantile(sizes, 0.99), 1e-30)
    rows = {
        "a test digit": paint(tile(images, 10), INK, 0, 1),
        "∂L/∂pixel, as part\nof its largest": paint(tile(own_scale, 10), SIGNED, -1, 1),
        "mean |∂L/∂pixel|\nof all such digits": paint(tile(sizes, 10), AMOUNT, 0, largest),
    }
    canvas = Canvas(1040, 400, title, scales=[SIGNED, AMOUNT])
    for number, (words, sheet) in enumerate(rows.items()):
        height, width, _ = sheet.shape
        top = 45 + number * 102
        canvas.image((150, top, 150 + 3 * width, top + 3 * height), sheet)
        canvas.write(140, top + 1.5 * height, words, anchor="rm")
    canvas.scale(150, 370, SIGNED, "−1", "1", "with more ink the loss falls (−) or rises (+)")
    canvas.scale(640, 370, AMOUNT, "0", f"{largest:.2g}", "mean |∂L/∂pixel|")
    return canvas


def draw_sprite(images: Array, columns: int) -> Canvas:
    """Draw a sheet of small images for the projector, pixel for pixel.

    Parameters
    ----------
    images : Array
        (N, H, W).
    columns : int
        Images a row. TensorBoard wants as many rows.

    Returns
    -------
    Canvas
        As many pixels as the images have together.
    """
    count, height, width = images.shape
    sheet = np.zeros((columns, columns, height, width), dtype=np.float32)
    sheet.reshape(-1, height, width)[:count] = images
    pixels = sheet.swapaxes(1, 2).reshape(columns * height, columns * width)
    canvas = Canvas(columns * width, columns * height, scales=[])
    canvas.image((0, 0, *canvas.size), paint(pixels, INK, 0, 1))
    return canvas


def _shortened(name: str, most: int) -> str:
    """Return a name that has as many letters at most: of a longer one, how it ends."""
    return name if len(name) <= most else f"…{name[1 - most :]}"
