"""A small network with every number on it: what goes forward in blue, what comes back in vermilion."""

from collections.abc import Sequence

from manualgrad.pictures.canvas import GRADIENT, VALUE, Box, Canvas

Quantity = tuple[str, Sequence[float], Sequence[float]]  # its name; values and gradients, one for each row
Node = tuple[str, Sequence[Quantity]]
Link = tuple[str, str, str, float | None, float | None]  # from node, to node, its name, value and gradient

NODE = 220  # pixels, the width of a node
BETWEEN = 180  # columns
LINE = 16  # the height of a line in a node
GAP = 95  # between the nodes of a column: room for the labels of links that cross
LABEL_AT = 0.32  # of a link's length: before the middle, where links cross


def draw_network(
    title: str, columns: Sequence[Sequence[Node]], links: Sequence[Link], gradient_of: str
) -> Canvas:
    """Draw nodes in columns from input to output, each with its values and gradients.

    Parameters
    ----------
    title : str
        What network this is.
    columns : sequence
        Nodes from left to right; those of a column from top to bottom.
    links : sequence
        What is multiplied on the way from one node to another.
    gradient_of : str
        What is differentiated, for the legend: ``"E"`` or ``"y"``.

    Returns
    -------
    Canvas
        The picture.
    """
    tallest = max(sum(_height(node) + GAP for node in column) for column in columns)
    width = len(columns) * (NODE + BETWEEN) - BETWEEN + 40
    canvas = Canvas(width, tallest + 80, title)

    places: dict[str, Box] = {}
    for number, column in enumerate(columns):
        free = (tallest - sum(_height(node) for node in column)) / len(column)
        left, top = 20 + number * (NODE + BETWEEN), 40.0
        for node in column:
            top += free / 2
            places[node[0]] = (left, top, left + NODE, top + _height(node))
            top += _height(node) + free / 2
    for start, end, *_ in links:
        canvas.line([_right(places[start]), _left(places[end])], "#999999")
    for start, end, name, value, gradient in links:
        _write_on_link(canvas, _right(places[start]), _left(places[end]), name, value, gradient)
    for column in columns:
        for node in column:
            _draw_node(canvas, node, places[node[0]])

    x, y = width / 2 - 130, tallest + 62
    for colour, words in ((VALUE, "value"), (GRADIENT, f"gradient of {gradient_of}")):
        canvas.box((x, y - 4, x + 34, y + 4), colour, fill=colour)
        canvas.write(x + 42, y, words, anchor="lm")
        x += 120
    return canvas


def _height(node: Node) -> int:
    return LINE * (1 + sum(max(1, len(values)) for _, values, _ in node[1])) + 12


def _right(box: Box) -> tuple[float, float]:
    return box[2], (box[1] + box[3]) / 2


def _left(box: Box) -> tuple[float, float]:
    return box[0], (box[1] + box[3]) / 2


def _draw_node(canvas: Canvas, node: Node, box: Box) -> None:
    name, quantities = node
    left, y, right, _ = box
    canvas.box(box, "#555555", fill="white", radius=6)
    y += 6 + LINE / 2
    canvas.write(left + 10, y, name, anchor="lm", bold=True)
    for quantity, values, gradients in quantities:
        for row, value in enumerate(values):
            y += LINE
            if row == 0:
                canvas.write(left + 10, y, quantity, size=11, anchor="lm", bold=True)
            canvas.write(left + 120, y, f"{value:.5g}", size=11, colour=VALUE, anchor="rm")
            if len(gradients):
                canvas.write(right - 10, y, f"{gradients[row]:.5g}", size=11, colour=GRADIENT, anchor="rm")


def _write_on_link(
    canvas: Canvas,
    start: tuple[float, float],
    end: tuple[float, float],
    name: str,
    value: float | None,
    gradient: float | None,
) -> None:
    if value is None:
        return
    part = 0.5 if gradient is None else LABEL_AT
    x, y = (a + (b - a) * part for a, b in zip(start, end, strict=True))
    lines = [(f"{name} {value:.5g}".strip(), VALUE)]
    if gradient is not None:
        lines.append((f"{gradient:.5g}", GRADIENT))
    for number, (words, colour) in enumerate(lines):
        below = (number - (len(lines) - 1) / 2) * 15
        canvas.write(x, y + below, words, size=11, colour=colour, plate=True)
