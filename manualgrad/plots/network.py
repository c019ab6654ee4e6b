"""Draw a small network with every number on it: what goes forward in blue, what comes back in vermilion."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from manualgrad.plots.figure import EDGE, GRADIENT, VALUE, new_canvas, to_array

NODE, BETWEEN = 220, 190  # pixels: the width of a node, and between two columns
LINE, GAP = 21, 95  # the height of a line in a node, and between the nodes of a column
LABEL_AT = 0.32  # of a link's length: before the middle, where links cross


class Node(NamedTuple):
    """A unit: its name; and by quantity its values and gradients, one for each row of the data."""

    name: str
    quantities: dict[str, tuple[Tensor, Tensor | None]]


class Link(NamedTuple):
    """What is multiplied on the way from one node to another; without a value it is only a line."""

    start: str
    end: str
    name: str = ""
    value: float | None = None
    gradient: float | None = None


def plot_network(
    title: str, columns: Sequence[Sequence[Node]], links: Sequence[Link], gradient_of: str
) -> Any:
    """Draw nodes in columns from input to output, each with its values and the gradients of ``"E"``, say."""
    tallest = max(sum(_height(node) + GAP for node in column) for column in columns)
    width, height = len(columns) * (NODE + BETWEEN) - BETWEEN + 40, tallest + 90
    figure, axes = new_canvas(width, height, title, size=18)
    places: dict[str, tuple[float, float, float]] = {}  # left, top, height
    for number, column in enumerate(columns):
        free = (tallest - sum(map(_height, column))) / len(column)
        left, top = 20 + number * (NODE + BETWEEN), 40 + free / 2
        for node in column:
            places[node.name] = (left, top, _height(node))
            top += _height(node) + free
    for link in links:
        _draw_link(axes, link, places[link.start], places[link.end])
    for column in columns:
        for node in column:
            _draw_node(axes, node, *places[node.name])
    style = {"fontsize": 17, "va": "bottom", "fontweight": "bold"}
    axes.text(width / 2 - 20, height - 12, "value", color=VALUE, ha="right", **style)
    axes.text(width / 2 + 20, height - 12, f"gradient of {gradient_of}", color=GRADIENT, ha="left", **style)
    return figure


def plot_sigmoid_network(title: str, tensors: dict[str, Tensor], gradients: dict[str, Tensor]) -> Any:
    """Draw two sigmoid layers under the error E, with every number and ∂E by it.

    ``x``, ``net_h``, ``out_h``, ``net_o``, ``out_o`` are (N, units) for N rows; ``W1`` and ``W2`` have a row
    for each unit; ``b1`` and ``b2``, () each, may be missing, as may any gradient. ``E`` is ().
    """

    def unit(letter: str, number: int, **names: str) -> Node:
        """Return the node of one unit, with what it holds for every row."""
        held = {}
        for quantity, name in names.items():
            grad = gradients.get(name)
            column = None if grad is None else grad[:, number]
            held[quantity] = (tensors[name][:, number], column)
        return Node(f"{letter}{number + 1}", held)

    def single(name: str) -> list[Node]:
        """Return the node of one number, if the network has it."""
        return [Node(name, {"": (tensors[name], gradients.get(name))})] if name in tensors else []

    hidden, outputs = len(tensors["W1"]), len(tensors["W2"])
    columns = [
        [*(unit("x", i, **{"": "x"}) for i in range(tensors["x"].shape[1])), *single("b1")],
        [*(unit("h", i, net="net_h", out="out_h") for i in range(hidden)), *single("b2")],
        [unit("o", i, net="net_o", out="out_o") for i in range(outputs)],
        single("E"),
    ]
    links: list[Link] = []
    for start, end, name, bias in (("x", "h", "W1", "b1"), ("h", "o", "W2", "b2")):
        weight, grad = tensors[name], gradients[name]
        for i, j in ((i, j) for i in range(weight.shape[0]) for j in range(weight.shape[1])):
            number = sum(link.value is not None for link in links) + 1
            ends = (f"{start}{j + 1}", f"{end}{i + 1}")
            links.append(Link(*ends, f"w{number}", weight[i, j].item(), grad[i, j].item()))
        if bias in tensors:
            links += [Link(bias, f"{end}{i + 1}") for i in range(len(weight))]
    links += [Link(f"o{i + 1}", "E") for i in range(outputs)]
    return plot_network(title, columns, links, gradient_of="E")


def _height(node: Node) -> float:
    return LINE * (1 + sum(values.numel() for values, _ in node.quantities.values())) + 12


def _draw_node(axes: Any, node: Node, left: float, top: float, height: float) -> None:
    """Draw a box with the node's name and a line for each number."""
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=6"
    axes.add_patch(
        FancyBboxPatch((left, top), NODE, height, boxstyle=style, facecolor="white", edgecolor=EDGE, zorder=2)
    )
    y = top + 8 + LINE / 2
    axes.text(left + 10, y, node.name, fontsize=16, va="center", fontweight="bold")
    for quantity, (values, gradients) in node.quantities.items():
        grads = None if gradients is None else to_array(gradients).ravel()
        for row, value in enumerate(to_array(values).ravel()):
            y += LINE
            style_ = {"fontsize": 15, "va": "center", "ha": "right"}
            axes.text(left + 112, y, f"{value:.5g}", color=VALUE, **style_)
            if grads is not None:
                axes.text(left + NODE - 8, y, f"{grads[row]:.4g}", color=GRADIENT, **style_)
            if row == 0:
                axes.text(left + 10, y, quantity, fontsize=14, va="center")


def _draw_link(axes: Any, link: Link, start: tuple[float, ...], end: tuple[float, ...]) -> None:
    """Draw a line from the right of one node to the left of another, with its numbers on it."""
    x = start[0] + NODE, end[0]
    y = start[1] + start[2] / 2, end[1] + end[2] / 2
    axes.plot(x, y, color="#999999", linewidth=1, zorder=1)
    if link.value is None:
        return
    part = 0.5 if link.gradient is None else LABEL_AT
    at = x[0] + (x[1] - x[0]) * part, y[0] + (y[1] - y[0]) * part
    style = {"fontsize": 15, "ha": "center", "zorder": 1.5}
    style["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    shift = 0 if link.gradient is None else 9
    axes.text(at[0], at[1] - shift, f"{link.name} {link.value:.5g}", color=VALUE, va="center", **style)
    if link.gradient is not None:
        axes.text(at[0], at[1] + shift, f"{link.gradient:.5g}", color=GRADIENT, va="center", **style)
