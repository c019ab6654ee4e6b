"""Draw how a small network learns XOR: the plane as it sees it, and where it moves the four points."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manualgrad.plots.figure import (
    AMOUNT,
    EDGE,
    GRADIENT,
    PALETTE,
    VALUE,
    Array,
    add_axes,
    new_figure,
    tile,
    to_array,
)

EXTENT = (-0.5, 1.5)  # of the plane that is drawn, on both axes
MARKERS = {0: "s", 1: "o"}  # by target
POINTS = "□ target 0    ○ target 1"

Network = Callable[[Tensor], Tensor]


def plot_decision_boundary(answer: Network, inputs: Tensor, targets: Tensor, when: str) -> Any:
    """Draw the network's answer over the plane, with a line where it is one half.

    Parameters
    ----------
    answer : callable
        Maps (N, 2) to (N, 1): a number near 0 or 1.
    inputs, targets : Tensor
        (4, 2) and (4, 1): the truth table.
    when : str
        For the title, such as ``"after epoch 100"``.
    """
    caption = f"yellow: answer {{}}, blue: {{}}, white line: ½\n{POINTS}"
    values = _over_plane(answer, inputs, 80)[0]
    low = -1 if values.min() < -0.1 else 0  # tanh reaches from -1, sigmoid from 0
    figure = new_figure(640, 740, f"Where does it draw its line?\n{when}", caption.format(1, low), size=22)
    axes = add_axes(figure, 70, 92, 530, 530, frame=False)
    _draw_map(axes, values, inputs, targets, low, marker=24, line=5)
    style = {"ha": "center", "va": "center", "fontsize": 20}
    figure.text(335 / 640, 92 / 740, "first input", **style)
    figure.text(40 / 640, 383 / 740, "second input", rotation=90, **style)
    return figure


def plot_hidden_units(hidden: Network, inputs: Tensor, targets: Tensor, when: str) -> Any:
    """Draw what each hidden unit puts out over the plane.

    Parameters
    ----------
    hidden : callable
        Maps (N, 2) to (N, H).
    inputs, targets : Tensor
        (4, 2) and (4, 1): the truth table.
    when : str
        For the title.
    """
    side, gap = 100, 26
    maps = _over_plane(hidden, inputs, side)
    columns = min(len(maps), 3)
    sheet = tile(maps[:, ::-1], columns, gap)
    scale = 2 if columns == 3 else 3  # points for each of the sheet's pixels
    low = -1 if maps.min() < 0 else 0
    caption = f"yellow: it puts out 1, blue: {low}\n{POINTS}"
    width, height = 740, scale * sheet.shape[0] + 180
    figure = new_figure(width, height, f"What does each hidden unit see? ({when})", caption, size=20)
    across = scale * sheet.shape[1]
    axes = add_axes(figure, (width - across) / 2, 92, across, height - 180, frame=False)
    axes.imshow(sheet, AMOUNT, vmin=low, vmax=1)
    for number in range(len(maps)):
        left, top = number % columns * (side + gap), number // columns * (side + gap)
        axes.text(left + side / 2, top - 4, f"hidden unit {number + 1}", fontsize=18, ha="center")
        for target, shape in MARKERS.items():
            points = (to_array(inputs[targets.flatten().round() == target]) - EXTENT[0]) / 2 * side
            x, y = left + points[:, 0], top + side - points[:, 1]
            axes.plot(x, y, shape, markersize=13, markerfacecolor="white", markeredgecolor="black")
    return figure


def plot_hidden_space(
    path: Sequence[Tensor], inputs: Tensor, targets: Tensor, unit: torch.nn.Linear, half: float, when: str
) -> Any:
    """Draw how the hidden layer moves the four points, and the line by which the output unit parts them.

    The horizontal axis is the direction of the output unit's weights, so that its line is vertical: to the
    right of it the answer is above one half. The vertical axis is the direction across it in which the points
    lie furthest apart.

    Parameters
    ----------
    path : sequence of Tensor
        (4, H) each: the hidden units' outputs for each row of the truth table, the last one now.
    inputs, targets : Tensor
        (4, 2) and (4, 1): the truth table.
    unit : Linear
        The output unit, H inputs and one output, as it is now.
    half : float
        Its net input at which the answer is one half.
    when : str
        For the title.
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
    axes = add_axes(figure, 45, 92, 550, 550, frame=False)
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
    """Draw the decision boundary of many networks, and frame those that have not learnt XOR.

    Parameters
    ----------
    answers : mapping
        By seed: each maps (N, 2) to (N, 1).
    inputs, targets : Tensor
        (4, 2) and (4, 1): the truth table.
    """
    with torch.no_grad():
        failed = {
            seed for seed, answer in answers.items() if not torch.equal(answer(inputs).round(), targets)
        }
    rows = -(-len(answers) // 5)
    title = f"Who learns XOR? {len(answers) - len(failed)} of {len(answers)} networks"
    figure = new_figure(
        830, rows * 180 + 105, title, f"framed: not learnt    white line: answer ½    {POINTS}", 19
    )
    for number, (seed, answer) in enumerate(answers.items()):
        axes = add_axes(figure, 15 + number % 5 * 163, 78 + number // 5 * 180, 145, 145)
        values = _over_plane(answer, inputs, 40)[0]
        _draw_map(axes, values, inputs, targets, -1 if values.min() < -0.1 else 0, marker=8, line=2.5)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"seed {seed}", fontsize=20, pad=5, color=GRADIENT if seed in failed else "black")
        axes.spines[:].set(color=GRADIENT if seed in failed else EDGE, linewidth=6 if seed in failed else 0.5)
    return figure


def plot_many_errors(curves: Mapping[int, Mapping[int, float]], learnt: Sequence[int]) -> Any:
    """Draw the mean absolute error of many networks by epoch.

    Parameters
    ----------
    curves : mapping
        By seed: epoch to error.
    learnt : sequence of int
        The seeds that have learnt XOR.
    """
    figure = new_figure(
        640,
        560,
        "When does each network learn?",
        f"vermilion: not learnt, {len(curves) - len(learnt)} of {len(curves)}",
        20,
    )
    axes = add_axes(figure, 85, 64, 530, 380)
    for seed, curve in curves.items():
        colour = VALUE if seed in learnt else GRADIENT
        axes.plot([epoch + 1 for epoch in curve], list(curve.values()), color=colour, alpha=0.7, linewidth=2)
    axes.set(xscale="log", ylim=(0, None))
    axes.set_xlabel("epoch", fontsize=18)
    axes.set_ylabel("mean absolute error", fontsize=18)
    axes.tick_params(labelsize=15)
    axes.grid(alpha=0.3)
    return figure


def plot_survey(shares: Mapping[str, Mapping[float, float]], networks: int) -> Any:
    """Draw how many networks learn XOR against the learning rate.

    Parameters
    ----------
    shares : mapping
        By activation: learning rate to the share that learns.
    networks : int
        How many each point stands for.
    """
    caption = f"each point: {networks} networks with other initial weights"
    figure = new_figure(640, 560, "How many networks learn XOR?", caption, 20)
    axes = add_axes(figure, 95, 64, 520, 380)
    for colour, (activation, by_rate) in zip(PALETTE, shares.items(), strict=False):
        rates = list(by_rate)
        axes.plot(rates, list(by_rate.values()), marker="o", markersize=9, color=colour, label=activation)
        axes.set(xscale="log", ylim=(-0.03, 1.03))
        axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("learning rate", fontsize=18)
    axes.set_ylabel("share that learns", fontsize=18)
    axes.tick_params(labelsize=15)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=17)
    return figure


def _over_plane(network: Network, inputs: Tensor, side: int) -> Array:
    """Return a network's outputs over the plane: (units, side, side), rows from bottom to top."""
    ticks = torch.linspace(*EXTENT, side, dtype=inputs.dtype, device=inputs.device)
    plane = torch.cartesian_prod(ticks, ticks).flip(1)  # the first input runs fastest
    with torch.no_grad():
        return to_array(network(plane).t().reshape(-1, side, side))


def _draw_map(
    axes: Any, values: Array, inputs: Tensor, targets: Tensor, low: int, marker: float, line: float = 0
) -> None:
    """Draw one map of the plane, the line at one half where it is asked for, and the four points."""
    place = (*EXTENT, *EXTENT)
    axes.imshow(values, AMOUNT, vmin=low, vmax=1, origin="lower", extent=place, interpolation="bilinear")
    if line and values.min() < 0.5 < values.max():
        axes.contour(values, [0.5], colors="white", linewidths=line, extent=place)
    for target, shape in MARKERS.items():
        x, y = to_array(inputs[targets.flatten().round() == target]).T
        style = {"markerfacecolor": "white", "markeredgecolor": "black", "markeredgewidth": marker / 9}
        axes.plot(x, y, shape, markersize=marker, **style)
