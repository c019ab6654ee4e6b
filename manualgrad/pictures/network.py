"""A small network with every number on it: what goes forward in blue, what comes back in vermilion."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from manualgrad.pictures.canvas import GRADIENT, VALUE, new_figure, place

# Plain tuples, because they come from a process that does not import matplotlib.
Quantity = tuple[str, Sequence[float], Sequence[float]]  # its name; values and gradients, one for each row
Node = tuple[str, Sequence[Quantity]]
Link = tuple[str, str, str, float | None, float | None]  # from node, to node, its name, value and gradient

COLUMN_WIDTH = 3.7  # inches
LINE_HEIGHT = 0.17
GAP = 1.1  # between nodes of a column: room for the labels of links that cross
LABEL_AT = 0.33  # of a link's length: before the middle, where links cross


def draw_network(
    title: str, columns: Sequence[Sequence[Node]], links: Sequence[Link], gradient_of: str
) -> Figure:
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
    Figure
        The picture.
    """
    tallest = max(sum(_height(node) + GAP for node in column) for column in columns)
    figure = new_figure(COLUMN_WIDTH * len(columns), tallest + 0.6, title)
    axes = place(figure, 0, 0.3, COLUMN_WIDTH * len(columns), tallest)
    axes.axis("off")
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(0, tallest))

    places = {}
    for x, column in enumerate(columns):
        free = (tallest - sum(_height(node) for node in column)) / len(column)
        top = tallest
        for node in column:
            y = top - (free + _height(node)) / 2
            top -= free + _height(node)
            places[node[0]] = (x, y)
            _draw_node(axes, node, x, y)
    for start, end, name, value, gradient in links:
        _draw_link(axes, places[start], places[end], name, value, gradient)

    colours = {"value": VALUE, f"gradient of {gradient_of}": GRADIENT}
    marks = [Line2D([], [], color=colour, lw=6, label=name) for name, colour in colours.items()]
    figure.legend(handles=marks, loc="lower center", ncols=2, fontsize=9)
    return figure


def _height(node: Node) -> float:
    return LINE_HEIGHT * (2 + sum(max(1, len(values)) for _, values, _ in node[1]))


def _draw_node(axes: Axes, node: Node, x: float, y: float) -> None:
    """Write the node's table in three texts on one spot: blanks leave room for the other two."""
    name, quantities = node
    labels, values, gradients = [name], [""], [""]
    for quantity, numbers, slopes in quantities:
        for row, number in enumerate(numbers):
            labels.append(quantity if row == 0 else "")
            values.append(f"{number:.5g}")
            gradients.append(f"{slopes[row]:.4g}" if len(slopes) else "")
    width = max(map(len, labels))
    blank = f"{'':{width}} {'':>9} {'':>10}"
    style: dict[str, Any] = {
        "ha": "center",
        "va": "center",
        "family": "monospace",
        "fontsize": 8.5,
        "zorder": 3,
    }
    box = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "0.3"}
    axes.text(x, y, "\n".join(f"{label:{len(blank)}}" for label in labels), bbox=box, weight="bold", **style)
    axes.text(x, y, "\n".join(f"{'':{width}} {value:>9} {'':>10}" for value in values), color=VALUE, **style)
    lines = (f"{'':{width}} {'':>9} {gradient:>10}" for gradient in gradients)
    axes.text(x, y, "\n".join(lines), color=GRADIENT, **style)


def _draw_link(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    name: str,
    value: float | None,
    gradient: float | None,
) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-", "color": "0.6"}, zorder=1)
    if value is None:
        return
    x = start[0] + (end[0] - start[0]) * (0.5 if gradient is None else LABEL_AT)
    y = start[1] + (end[1] - start[1]) * (0.5 if gradient is None else LABEL_AT)
    style: dict[str, Any] = {"ha": "center", "fontsize": 8, "zorder": 2}
    clear = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    axes.text(x, y, f"{name} {value:.5g}".strip(), va="bottom", color=VALUE, bbox=clear, **style)
    if gradient is not None:
        axes.text(x, y - 0.01, f"{gradient:.4g}", va="top", color=GRADIENT, bbox=clear, **style)
