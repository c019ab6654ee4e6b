"""Draw a small network with every number on it: what goes forward in blue, what comes back in vermilion."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from manualgrad.plots.figure import EDGE, GRADIENT, VALUE, new_figure

NODE, BETWEEN = 155, 135  # pixels: the width of a node, and between two columns
LINE, GAP = 15, 68  # the height of a line in a node, and between the nodes of a column
LABEL_AT = 0.32  # of a link's length: before the middle, where links cross

Row = tuple[str, float, float | None]  # a quantity, its value, and the gradient by it


class Link(NamedTuple):
    """What is multiplied on the way from one node to another; without a value it is only a line."""

    start: str
    end: str
    name: str = ""
    value: float | None = None
    gradient: float | None = None


def plot_network(
    title: str, columns: Sequence[Mapping[str, Sequence[Row]]], links: Sequence[Link], gradient_of: str
) -> Any:
    """Draw nodes, by name, in columns from input to output, each with its values and the gradients of "E"."""
    heights = {name: LINE * (1 + len(rows)) + 10 for nodes in columns for name, rows in nodes.items()}
    tallest = max(sum(heights[name] + GAP for name in nodes) for nodes in columns)
    width, height = len(columns) * (NODE + BETWEEN) - BETWEEN, tallest + 20
    figure = new_figure((width + 20) / 100, (height + 40) / 100, title)
    axes = figure.subplots()
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    middles: dict[str, tuple[float, float]] = {}  # of a node's left side
    for number, nodes in enumerate(columns):
        left, top = number * (NODE + BETWEEN), 0.0
        free = (tallest - sum(heights[name] for name in nodes)) / len(nodes)
        for name, rows in nodes.items():
            top += free / 2
            _draw_node(axes, name, rows, left, top, heights[name])
            middles[name] = (left, top + heights[name] / 2)
            top += heights[name] + free / 2
    for link in links:
        _draw_link(axes, link, middles[link.start], middles[link.end])
    style = {"va": "bottom", "fontweight": "bold"}
    axes.text(width / 2 - 20, height, "value", color=VALUE, ha="right", **style)
    axes.text(width / 2 + 20, height, f"gradient of {gradient_of}", color=GRADIENT, **style)
    return figure


def plot_sigmoid_network(title: str, tensors: dict[str, Tensor], gradients: dict[str, Tensor]) -> Any:
    """Draw two sigmoid layers under the error E, with every number and ∂E by it.

    ``x``, ``net_h``, ``out_h``, ``net_o``, ``out_o`` are (N, units) for N rows; ``W1`` and ``W2`` have a row
    for each unit; ``b1`` and ``b2``, () each, may be missing, as may any gradient. ``E`` is ().
    """

    def layer(letter: str, **names: str) -> dict[str, list[Row]]:
        """Return the nodes of a layer's units, with what each holds for every row."""
        nodes: dict[str, list[Row]] = {}
        for quantity, name in names.items():
            values = torch.atleast_2d(tensors[name]).t().tolist()
            grads = torch.atleast_2d(gradients[name]).t().tolist() if name in gradients else None
            for i, unit in enumerate(values):
                rows = nodes.setdefault(f"{letter}{i + 1}", [])
                for n, value in enumerate(unit):
                    rows.append((quantity if n == 0 else "", value, grads and grads[i][n]))
        return nodes

    def single(name: str) -> dict[str, list[Row]]:
        """Return the node of one number, if the network has it."""
        return {name: layer(name, **{"": name})[f"{name}1"]} if name in tensors else {}

    columns = [
        layer("x", **{"": "x"}) | single("b1"),
        layer("h", net="net_h", out="out_h") | single("b2"),
        layer("o", net="net_o", out="out_o"),
        single("E"),
    ]
    links: list[Link] = []
    for start, end, name, bias in (("x", "h", "W1", "b1"), ("h", "o", "W2", "b2")):
        weight, grad = tensors[name], gradients[name]
        for i, j in torch.cartesian_prod(*map(torch.arange, weight.shape)).tolist():
            number = sum(link.value is not None for link in links) + 1
            ends = f"{start}{j + 1}", f"{end}{i + 1}"
            links.append(Link(*ends, f"w{number}", weight[i, j].item(), grad[i, j].item()))
        links += [Link(bias, f"{end}{i + 1}") for i in range(len(weight)) if bias in tensors]
    links += [Link(name, "E") for name in columns[2]]
    return plot_network(title, columns, links, gradient_of="E")


def _draw_node(axes: Any, name: str, rows: Sequence[Row], left: float, top: float, height: float) -> None:
    """Draw a box with the node's name and a line for each number."""
    box = {"facecolor": "white", "edgecolor": EDGE, "zorder": 2}
    axes.fill_between((left, left + NODE), top, top + height, **box)
    axes.text(left + 7, top + LINE, name, fontweight="bold")
    for number, (quantity, value, gradient) in enumerate(rows, start=2):
        y = top + number * LINE
        axes.text(left + 7, y, quantity, fontsize=8)
        axes.text(left + 80, y, f"{value:.5g}", color=VALUE, fontsize=8, ha="right")
        if gradient is not None:
            axes.text(left + NODE - 6, y, f"{gradient:.4g}", color=GRADIENT, fontsize=8, ha="right")


def _draw_link(axes: Any, link: Link, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a line from the right of one node to the left of another, with its numbers on it."""
    (left, y), (right, below) = start, end
    left += NODE
    axes.plot((left, right), (y, below), color="#999999", linewidth=1, zorder=1)
    part = 0.5 if link.gradient is None else LABEL_AT
    x, y = left + (right - left) * part, y + (below - y) * part
    style = {"fontsize": 8, "ha": "center", "zorder": 1.5}
    style["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    if link.value is not None:
        above = "center" if link.gradient is None else "bottom"
        axes.text(x, y, f"{link.name} {link.value:.5g}", color=VALUE, va=above, **style)
    if link.gradient is not None:
        axes.text(x, y, f"{link.gradient:.5g}", color=GRADIENT, va="top", **style)
