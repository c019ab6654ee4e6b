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
    add_chart,
    add_tiles,
    new_figure,
    to_array,
)

REACH = (-0.5, 1.5)  # of the plane that is drawn, on both axes
MARKERS = {0: "s", 1: "o"}  # by target
POINTS = "squares: target 0    circles: target 1"

Network = Callable[[Tensor], Tensor]


def plot_decision_boundary(answer: Network, inputs: Tensor, targets: Tensor, when: str) -> Any:
    """Draw the network's answer, (N, 2) -> (N, 1), over the plane, with a line where it is one half."""
    caption = f"yellow: answer 1    blue: 0 (tanh: -1)    white line: ½\n{POINTS}"
    figure = new_figure(4.5, 5.2, f"Where does it draw its line?\n{when}", caption)
    (axes,) = add_tiles(figure, [""], 1)
    _draw_maps([axes], answer, inputs, targets, marker=16, line=3.5)
    axes.set(xlabel="first input", ylabel="second input")
    return figure


def plot_hidden_units(hidden: Network, inputs: Tensor, targets: Tensor, when: str) -> Any:
    """Draw what each hidden unit puts out over the plane: ``hidden`` maps (N, 2) to (N, H)."""
    with torch.no_grad():
        units = hidden(inputs).shape[1]
    caption = f"yellow: it puts out 1    blue: 0 (tanh: -1)\n{POINTS}"
    size = 4.5, 1.2 + -(-units // 3) * 1.65
    figure = new_figure(*size, f"What does each hidden unit see?\n{when}", caption)
    tiles = add_tiles(figure, [f"hidden unit {number + 1}" for number in range(units)], 3)
    _draw_maps(tiles, hidden, inputs, targets, marker=8)
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
    figure = new_figure(4.5, 5.2, f"Can one straight line part the points?\n{when}", caption)
    (axes,) = add_tiles(figure, [""], 1)
    axes.set(xlim=(line - reach, line + reach), ylim=(middle - reach, middle + reach), aspect="equal")
    axes.axvspan(line, line + reach, color="#fbf0b0")
    axes.axvspan(line - reach, line, color="#d5dbe6")
    axes.axvline(line, color="white", linewidth=3.5)
    axes.text(line, middle + 0.98 * reach, " answer 1 →", va="top")
    axes.text(line, middle + 0.98 * reach, "← answer 0 ", va="top", ha="right")
    for row, (bits, target) in enumerate(zip(inputs.tolist(), targets.flatten().tolist(), strict=True)):
        colour, marker = PALETTE[row], MARKERS[round(target)]
        x, y = flat[:, row].T
        axes.plot(x, y, color=colour, linewidth=1.8, marker=marker, markersize=10, markevery=[0], mfc="white")
        axes.plot(x[-1:], y[-1:], color=colour, marker=marker, markersize=14, markeredgecolor="black")
        label = f"{bits[0]:.0f} {bits[1]:.0f}"
        axes.annotate(label, (x[-1], y[-1]), (11, 0), textcoords="offset points", va="center")
    return figure


def plot_many_boundaries(answers: Mapping[int, Network], inputs: Tensor, targets: Tensor) -> Any:
    """Draw the decision boundary of many networks by seed, and frame those that have not learnt XOR."""
    with torch.no_grad():
        failed = {seed for seed, answer in answers.items() if not answer(inputs).round().equal(targets)}
    title = f"Who learns XOR? {len(answers) - len(failed)} of {len(answers)} networks"
    caption = f"framed: not learnt    white line: answer ½    {POINTS}"
    figure = new_figure(5.8, 0.8 + -(-len(answers) // 5) * 1.25, title, caption)
    tiles = add_tiles(figure, [f"seed {seed}" for seed in answers], 5)
    for axes, (seed, answer) in zip(tiles, answers.items(), strict=True):
        _draw_maps([axes], answer, inputs, targets, marker=5, line=1.5)
        if seed in failed:
            axes.title.set_color(GRADIENT)
            axes.spines[:].set(color=GRADIENT, linewidth=4)
    return figure


def plot_many_errors(curves: Mapping[int, Mapping[int, float]], learnt: Sequence[int]) -> Any:
    """Draw the mean absolute error of many networks by seed and epoch; some seeds have learnt XOR."""
    caption = f"vermilion: not learnt, {len(curves) - len(learnt)} of {len(curves)}"
    figure = new_figure(4.5, 4, "When does each network learn?", caption)
    axes = add_chart(figure, "epoch", "mean absolute error")
    for seed, curve in curves.items():
        colour = VALUE if seed in learnt else GRADIENT
        axes.plot([epoch + 1 for epoch in curve], list(curve.values()), color=colour, alpha=0.7)
    axes.set(xscale="log", ylim=(0, None))
    return figure


def plot_survey(shares: Mapping[str, Mapping[float, float]], networks: int) -> Any:
    """Draw which share of so many networks learns XOR, by activation and learning rate."""
    caption = f"each point: {networks} networks with other initial weights"
    figure = new_figure(4.5, 4, "How many networks learn XOR?", caption)
    axes = add_chart(figure, "learning rate", "share that learns")
    for colour, (activation, by_rate) in zip(PALETTE, shares.items(), strict=False):
        rates = list(by_rate)
        axes.plot(rates, list(by_rate.values()), marker="o", color=colour, label=activation)
    axes.set(xscale="log", ylim=(-0.03, 1.03))
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.set_xticks([], minor=True)
    axes.legend()
    return figure


def _draw_maps(
    tiles: Sequence[Any], network: Network, inputs: Tensor, targets: Tensor, marker: float, line: float = 0
) -> None:
    """Draw each of a network's outputs over the plane: the values, the line at one half, the four points."""
    side = 50
    ticks = torch.linspace(*REACH, side, dtype=inputs.dtype, device=inputs.device)
    plane = torch.cartesian_prod(ticks, ticks).flip(1)  # the first input runs fastest
    with torch.no_grad():
        maps = to_array(network(plane).t().reshape(-1, side, side))
    low = -1 if maps.min() < -0.1 else 0  # where the activation's range begins: tanh reaches below 0
    place = {"extent": (*REACH, *REACH), "origin": "lower"}
    edge = {"markerfacecolor": "white", "markeredgecolor": "black"}
    for axes, values in zip(tiles, maps, strict=True):
        axes.imshow(values, AMOUNT, vmin=low, vmax=1, interpolation="bilinear", **place)
        if line and values.min() < 0.5 < values.max():
            axes.contour(values, [0.5], colors="white", linewidths=line, **place)
        for target, shape in MARKERS.items():
            points = to_array(inputs[targets.flatten().round() == target])
            axes.plot(*points.T, shape, markersize=marker, markeredgewidth=marker / 9, **edge)
