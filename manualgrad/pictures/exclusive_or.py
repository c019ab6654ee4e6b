"""Exclusive or: the plane as the network sees it, and where it moves the four points."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from manualgrad.pictures.canvas import AMOUNT, FINE, PALETTE, Array, Box, Canvas, Point, paint, round_numbers

SHAPES = {0: "square", 1: "circle"}  # by target
ANSWER = 290  # pixels, the side of the answer's map
UNIT = 135  # of a hidden unit's
LEGEND = 340
BEFORE = 85  # of an earlier answer's
GAP = 10


def draw_boundary(
    title: str,
    extent: tuple[float, float],
    answers: Array,
    epochs: Sequence[int],
    hidden: Array,
    inputs: Array,
    targets: Array,
) -> Canvas:
    """Draw the network's answer over the plane, how it came to be, and what each hidden unit adds.

    Parameters
    ----------
    title : str
        When this was.
    extent : (float, float)
        The plane reaches from the one to the other on both axes.
    answers : Array
        (T, R, R): the answer at T times, the last one now, row by row from the bottom.
    epochs : sequence of int
        (T,): those times.
    hidden : Array
        (H, R, R): what each hidden unit puts out now.
    inputs, targets : Array
        (4, 2) and (4,): the truth table.

    Returns
    -------
    Canvas
        The picture.
    """
    columns = -(-len(hidden) // 2)
    strip = answers[:-1]
    beside = max(LEGEND, columns * (UNIT + GAP))
    width = 70 + max(ANSWER + 30 + beside, len(strip) * (BEFORE + GAP)) + 10
    height = 70 + ANSWER + 60 + (BEFORE + 55 if len(strip) else 0)
    canvas = Canvas(width, height, title, scales=[AMOUNT])
    # Each with its own scale: tanh reaches from -1, sigmoid from 0, and Keras' network has both.
    answer_bottom, unit_bottom = (-1 if outputs.min() < 0 else 0 for outputs in (answers, hidden))

    def show(box: Box, output: Array, bottom: float, size: float, line: float = 0) -> None:
        """Draw one map of the plane, the line at one half where it is asked for, and the four points."""
        left, top, right, low = box
        canvas.image(box, _with_line(output, bottom, right - left, line), smooth=True)
        for point, target in zip(inputs, targets, strict=True):
            across, up = (point - extent[0]) / (extent[1] - extent[0])
            x, y = left + across * (right - left), low - up * (low - top)
            canvas.mark(x, y, SHAPES[int(target)], size, "white")

    left, top = 70, 65
    base = top + ANSWER
    canvas.write(left + ANSWER / 2, top - 8, "the network's answer (white line: ½)", anchor="md")
    show((left, top, left + ANSWER, base), answers[-1], answer_bottom, 15, line=3)
    for number in round_numbers(*extent):
        part = (number - extent[0]) / (extent[1] - extent[0]) * ANSWER
        canvas.line([(left + part, base), (left + part, base + 4)])
        canvas.write(left + part, base + 7, f"{number:g}", size=11, anchor="ma")
        canvas.line([(left - 4, base - part), (left, base - part)])
        canvas.write(left - 7, base - part, f"{number:g}", size=11, anchor="rm")
    canvas.write(left + ANSWER / 2, base + 26, "first input", anchor="ma")
    canvas.write_upwards(left - 48, top + ANSWER / 2, "second input")

    right = left + ANSWER + 30
    canvas.write(right + columns * (UNIT + GAP) / 2, top - 8, "each hidden unit's output", anchor="md")
    for number, output in enumerate(hidden):
        row, column = divmod(number, columns)
        x, y = right + column * (UNIT + GAP), top + row * (UNIT + 2 * GAP)
        show((x, y, x + UNIT, y + UNIT), output, unit_bottom, 8)
        canvas.write(x + 7, y + 7, f"h{number + 1}", anchor="la", plate=True)
    for number, (target, shape) in enumerate(SHAPES.items()):
        y = base + 26 + 22 * number
        canvas.mark(right + 8, y, shape, 13, "white")
        canvas.write(right + 20, y, f"target {target}", size=11, anchor="lm")
    for number, (words, bottom) in enumerate((("answer", answer_bottom), ("hidden unit", unit_bottom))):
        canvas.scale(right + 105, base + 26 + 22 * number, AMOUNT, str(bottom), "1", words)

    base += 80
    if len(strip):
        canvas.write(left, base, "earlier answers, each after epoch", anchor="ld")
    for number, (epoch, output) in enumerate(zip(epochs, strip, strict=False)):
        x = left + number * (BEFORE + GAP)
        show((x, base + 8, x + BEFORE, base + 8 + BEFORE), output, answer_bottom, 8, line=2)
        canvas.write(x + BEFORE / 2, base + 14 + BEFORE, str(epoch), size=11, anchor="ma")
    return canvas


def _with_line(output: Array, bottom: float, side: float, width: float) -> Array:
    """Paint a map, from the top row on, with a white line where the output passes one half."""
    if not width:
        return paint(output[::-1], AMOUNT, bottom, 1)
    fine = round(side * FINE)  # as it will be drawn, so that the line is no staircase

    def enlarge(numbers: Array) -> Array:
        small = Image.fromarray(numbers[::-1].astype(np.float32))
        return np.asarray(small.resize((fine, fine), Image.Resampling.BILINEAR))

    colours = paint(enlarge(output), AMOUNT, bottom, 1)
    # How far a point is from the line: what its number lacks of one half, by how steep the map is there.
    slope = np.hypot(*np.gradient(output, side / len(output)))
    distance = (output - 0.5) / slope.clip(1e-6)
    colours[abs(enlarge(distance.clip(-side, side))) < width / 2] = 255
    return colours


def draw_hidden_path(title: str, path: Array, epochs: Sequence[int], inputs: Array, targets: Array) -> Canvas:
    """Draw how the four points move through the space of the hidden units.

    Parameters
    ----------
    title : str
        What network this is.
    path : Array
        (T, 4, H): what the hidden units make of each row of the truth table, at T times.
    epochs : sequence of int
        (T,): those times.
    inputs, targets : Array
        (4, 2) and (4,): the truth table.

    Returns
    -------
    Canvas
        The picture.
    """
    # The two directions in which the points lie furthest apart at the end: the plane in which to look.
    middle = path[-1].mean(axis=0)
    directions = np.linalg.svd(path[-1] - middle, full_matrices=False)[2][:2]
    flat = (path - middle) @ directions.T  # (T, 4, 1 or 2)
    flat = np.pad(flat, ((0, 0), (0, 0), (0, 2 - flat.shape[2])))

    colours = PALETTE[: len(inputs)]
    canvas = Canvas(760, 620, title, scales=[f"ffffff {colour[1:]}" for colour in colours])
    canvas.write(380, 32, f"hollow: after epoch {epochs[0]}, filled: after epoch {epochs[-1]}", anchor="ma")
    left, top, right, base = 80, 60, 740, 510
    low, high = flat.min(axis=(0, 1)), flat.max(axis=(0, 1))
    # The same length of both directions is the same length on the page.
    unit = min((right - left) / (high - low)[0].clip(1e-6), (base - top) / (high - low)[1].clip(1e-6)) * 0.9
    centre = (low + high) / 2

    def place(point: Array) -> Point:
        across, up = (point - centre) * unit
        return (left + right) / 2 + across, (top + base) / 2 - up

    spread = np.array([right - left, base - top]) / 2 / unit
    for number in round_numbers(centre[0] - spread[0], centre[0] + spread[0]):
        x, _ = place(np.array([number, 0]))
        canvas.line([(x, top), (x, base)], "#dddddd")
        canvas.write(x, base + 7, f"{number:.3g}", size=11, anchor="ma")
    for number in round_numbers(centre[1] - spread[1], centre[1] + spread[1]):
        _, y = place(np.array([0, number]))
        canvas.line([(left, y), (right, y)], "#dddddd")
        canvas.write(left - 7, y, f"{number:.3g}", size=11, anchor="rm")
    canvas.box((left, top, right, base), "#888888")
    canvas.write(
        (left + right) / 2, base + 28, "hidden units, along the direction of greatest spread", anchor="ma"
    )
    canvas.write_upwards(20, (top + base) / 2, "along the second direction")

    for row, (bits, target) in enumerate(zip(inputs, targets, strict=True)):
        colour, shape = colours[row], SHAPES[int(target)]
        points = [place(point) for point in flat[:, row]]
        canvas.line(points, colour, 2)
        canvas.mark(*points[0], shape, 12, "white", colour)
        canvas.mark(*points[-1], shape, 15, colour)
        x = left + 10 + 170 * row
        canvas.mark(x, base + 80, shape, 15, colour)
        words = f"{bits[0]:.0f} {bits[1]:.0f}, target {target:.0f}"
        if np.allclose(path[:, row], path[0, row]):  # without biases 0 0 is where it is, whatever the weights
            words += " (stays)"
        canvas.write(x + 14, base + 80, words, anchor="lm")
    return canvas
