"""Draw how a small network learns XOR: the plane as it sees it, and where it moves the four points."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manualgrad.plots.figure import (
    AMOUNT,
    GRADIENT,
    PALETTE,
    VALUE,
    Array,
    add_axes,
    add_chart,
    draw_frame,
    new_canvas,
    new_figure,
    to_array,
)

EXTENT = (-0.5, 1.5)  # of the plane that is drawn, on both axes
MARKERS = {0: "s", 1: "o"}  # by target
POINTS = "squares: target 0    circles: target 1"

Network = Callable[[Tensor], Tensor]


def plot_decision_boundary(answer: Network, inputs: Tensor, targets: Tensor, when: str) -> Any:
    """Draw the network's answer, (N, 2) -> (N, 1), over the plane, with a line where it is one half."""
    values = _over_plane(answer, inputs, 50)[0]
    low = _least(values)
    line = "white line: ½" if values.min() < 0.5 < values.max() else "no line: one answer everywhere"
    caption = f"yellow: answer 1, blue: {low}, {line}\n{POINTS}"
    figure, canvas = new_canvas(640, 740, f"Where does it draw its line?\n{when}", caption, 22)
    _draw_map(canvas, values, inputs, targets, (70, 92, 530), low, marker=24, line=5)
    style = {"ha": "center", "va": "center", "fontsize": 20}
    canvas.text(335, 648, "first input", **style)
    canvas.text(40, 357, "second input", rotation=90, **style)
    return figure


def plot_hidden_units(hidden: Network, inputs: Tensor, targets: Tensor, when: str) -> Any:
    """Draw what each hidden unit puts out over the plane: ``hidden`` maps (N, 2) to (N, H)."""
    maps = _over_plane(hidden, inputs, 50)
    low = _least(maps)
    height = -(-len(maps) // 3) * 252 + 160
    caption = f"yellow: it puts out 1, blue: {low}\n{POINTS}"
    figure, canvas = new_canvas(740, height, f"What does each hidden unit see? ({when})", caption)
    for number, values in enumerate(maps):
        left, top = 20 + number % 3 * 240, 92 + number // 3 * 252
        _draw_map(canvas, values, inputs, targets, (left, top, 220), low, marker=13)
        canvas.text(left + 110, top - 6, f"hidden unit {number + 1}", fontsize=18, ha="center")
    return figure


def plot_hidden_space(
    path: Sequence[Tensor], inputs: Tensor, targets: Tensor, unit: torch.nn.Linear, half: float, when: str
) -> Any:
    """Draw how the hidden layer moves the four points, and the line by which the output unit parts them.

    The path has the hidden units' outputs for each row of the truth table, (4, H) each, the last one now. The
    horizontal axis is the direction of the output unit's weights, so that its line is vertical: to the right
    of it the unit's net input is above ``half``, and the answer above one half. The vertical axis is the
    direction across it in which the points lie furthest apart.
    """
    points = np.stack([to_array(hidden) for hidden in path])  # (T, 4, H)
    weight = to_array(unit.weight[0])
    length = max(float(np.linalg.norm(weight)), 1e-12)
    across = weight / length
    rest = points[-1] - np.outer(points[-1] @ across, across)
    up = np.linalg.svd(rest - rest.mean(axis=0))[2][0]
    flat = np.stack([points @ across, points @ up], axis=-1)  # (T, 4, 2)
    line = (half - (unit.bias.item() if unit.bias is not None else 0.0)) / length

    middle = (flat[..., 1].min() + flat[..., 1].max()) / 2
    reach = 1.25 * max(abs(flat - (line, middle)).max(), 1e-3)  # the same unit on both axes
    caption = "to the right: along the output unit's weights\nhollow: at the start    filled: now"
    figure = new_figure(640, 740, f"Can one straight line part the points?\n{when}", caption, 21)
    axes = add_axes(figure, 45, 92, 550, 550)
    axes.set_axis_off()
    axes.set(xlim=(line - reach, line + reach), ylim=(middle - reach, middle + reach))
    axes.axvspan(line, line + reach, color="#fbf0b0")
    axes.axvspan(line - reach, line, color="#d5dbe6")
    axes.axvline(line, color="white", linewidth=5)
    style = {"fontsize": 20, "va": "top"}
    axes.text(line, middle + 0.98 * reach, " answer 1 →", **style)
    axes.text(line, middle + 0.98 * reach, "← answer 0 ", ha="right", **style)
    for row, (bits, target) in enumerate(zip(inputs.tolist(), targets.flatten().tolist(), strict=True)):
        colour, marker = PALETTE[row], MARKERS[round(target)]
        x, y = flat[:, row].T
        axes.plot(x, y, color=colour, linewidth=2.5, marker=marker, markersize=15, markevery=[0], mfc="white")
        axes.plot(x[-1:], y[-1:], color=colour, marker=marker, markersize=21, markeredgecolor="black")
        label = f"{bits[0]:.0f} {bits[1]:.0f}"
        axes.annotate(label, (x[-1], y[-1]), (15, 0), textcoords="offset points", va="center", fontsize=20)
    return figure


def plot_many_boundaries(answers: Mapping[int, Network], inputs: Tensor, targets: Tensor) -> Any:
    """Draw the decision boundary of many networks by seed, and frame those that have not learnt XOR."""
    with torch.no_grad():
        failed = {seed for seed, answer in answers.items() if not answer(inputs).round().equal(targets)}
    title = f"Who learns XOR? {len(answers) - len(failed)} of {len(answers)} networks"
    caption = f"framed: not learnt    white line: answer ½    {POINTS}"
    figure, canvas = new_canvas(830, -(-len(answers) // 5) * 180 + 105, title, caption, 19)
    for number, (seed, answer) in enumerate(answers.items()):
        left, top = 15 + number % 5 * 163, 78 + number // 5 * 180
        values = _over_plane(answer, inputs, 40)[0]
        _draw_map(canvas, values, inputs, targets, (left, top, 145), _least(values), marker=8, line=2.5)
        colour = GRADIENT if seed in failed else "black"
        canvas.text(left + 72, top - 5, f"seed {seed}", fontsize=20, ha="center", color=colour)
        if seed in failed:
            draw_frame(canvas, left, top, 145, colour, 6)
    return figure


def plot_many_errors(curves: Mapping[int, Mapping[int, float]], learnt: Sequence[int]) -> Any:
    """Draw the mean absolute error of many networks by seed and epoch; some seeds have learnt XOR."""
    caption = f"vermilion: not learnt, {len(curves) - len(learnt)} of {len(curves)}"
    figure = new_figure(640, 560, "When does each network learn?", caption)
    axes = add_chart(figure, 85, 64, 530, 380, "epoch", "mean absolute error")
    for seed, curve in curves.items():
        colour = VALUE if seed in learnt else GRADIENT
        axes.plot([epoch + 1 for epoch in curve], list(curve.values()), color=colour, alpha=0.7, linewidth=2)
    axes.set(xscale="log", ylim=(0, None))
    return figure


def plot_survey(shares: Mapping[str, Mapping[float, float]], networks: int) -> Any:
    """Draw which share of so many networks learns XOR, by activation and learning rate."""
    caption = f"each point: {networks} networks with other initial weights"
    figure = new_figure(640, 560, "How many networks learn XOR?", caption)
    axes = add_chart(figure, 95, 64, 520, 380, "learning rate", "share that learns")
    for colour, (activation, by_rate) in zip(PALETTE, shares.items(), strict=False):
        rates = list(by_rate)
        axes.plot(rates, list(by_rate.values()), marker="o", markersize=9, color=colour, label=activation)
        axes.set(xscale="log", ylim=(-0.03, 1.03))
        axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.set_xticks([], minor=True)
    axes.legend(fontsize=17)
    return figure


def _over_plane(network: Network, inputs: Tensor, side: int) -> Array:
    """Return a network's outputs over the plane: (units, side, side), rows from bottom to top."""
    ticks = torch.linspace(*EXTENT, side, dtype=inputs.dtype, device=inputs.device)
    plane = torch.cartesian_prod(ticks, ticks).flip(1)  # the first input runs fastest
    with torch.no_grad():
        return to_array(network(plane).t().reshape(-1, side, side))


def _least(values: Array) -> int:
    """Return where the activation's range begins: tanh reaches from -1, sigmoid from 0."""
    return -1 if values.min() < -0.1 else 0


def _draw_map(
    canvas: Any,
    values: Array,
    inputs: Tensor,
    targets: Tensor,
    box: tuple[float, float, float],
    low: int,
    marker: float,
    line: float = 0,
) -> None:
    """Draw one map of the plane in a box (left, top, side): the values, the line at one half, four points."""
    left, top, side = box
    place = (left, left + side, top + side, top)
    style = {"origin": "lower", "extent": place}
    canvas.imshow(values, AMOUNT, vmin=low, vmax=1, interpolation="bilinear", aspect="auto", **style)
    if line and values.min() < 0.5 < values.max():
        canvas.contour(values, [0.5], colors="white", linewidths=line, extent=place)
    for target, shape in MARKERS.items():
        points = (to_array(inputs[targets.flatten().round() == target]) - EXTENT[0]) / 2 * side
        edge = {"markerfacecolor": "white", "markeredgecolor": "black", "markeredgewidth": marker / 9}
        canvas.plot(left + points[:, 0], top + side - points[:, 1], shape, markersize=marker, **edge)
