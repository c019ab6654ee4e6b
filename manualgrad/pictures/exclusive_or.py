"""Exclusive or: the plane as the network sees it, and where it moves the four points."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from manualgrad.pictures.canvas import PALETTE, Array, add_scale, new_figure, place, tile

MARKERS = {0: "s", 1: "o"}  # by target: a square is to become 0, a circle 1


def draw_boundary(
    title: str, extent: tuple[float, float], output: Array, hidden: Array, inputs: Array, targets: Array
) -> Figure:
    """Draw the network's answer over the plane, and beside it every hidden unit's.

    Parameters
    ----------
    title : str
        When this was.
    extent : (float, float)
        The plane reaches from the one to the other on both axes.
    output : Array
        (R, R): the answer, row by row from the bottom.
    hidden : Array
        (H, R, R): the same of each hidden unit.
    inputs, targets : Array
        (4, 2) and (4,): the truth table.

    Returns
    -------
    Figure
        The picture.
    """
    rows, columns = 2, -(-len(hidden) // 2)
    figure = new_figure(6.1 + 2.0 * columns, 5.1, title)
    bottom = -1 if hidden.min() < 0 else 0  # tanh reaches from -1, sigmoid from 0
    style: dict[str, Any] = {"origin": "lower", "cmap": "cividis", "vmin": bottom, "vmax": 1}

    axes = place(figure, 0.75, 0.55, 3.9, 3.9)
    shown = axes.imshow(output, extent=extent * 2, **style)
    axes.contour(output, levels=[0.5], extent=extent * 2, colors="white", linewidths=2.5)
    _show_points(axes, inputs, targets, size=110)
    axes.set(title="the network's answer (white line: ½)", xlabel="first input", ylabel="second input")
    axes.legend(loc="upper right", fontsize=8)

    # All hidden units in one image: axes for each of them would take most of the time.
    axes = place(figure, 4.85, 0.55, 2.0 * columns, 3.9)
    size, (low, high) = len(output), extent
    axes.imshow(tile(hidden, columns, upside_down=True), **style)
    for number in range(len(hidden)):
        left, base = number % columns * (size + 1), (rows - 1 - number // columns) * (size + 1)
        corner = np.array([left, base])
        _show_points(axes, corner + (inputs - low) / (high - low) * (size - 1), targets, size=20)
        name_plate = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text(left + 3, base + size - 3, f"h{number + 1}", va="top", fontsize=9, bbox=name_plate)
    axes.set_title("each hidden unit's output")
    axes.axis("off")
    add_scale(figure, shown, place(figure, 5.05 + 2.0 * columns, 0.55, 0.15, 3.9), "output")
    return figure


def draw_hidden_path(title: str, path: Array, epochs: Sequence[int], inputs: Array, targets: Array) -> Figure:
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
    Figure
        The picture.
    """
    # The two directions in which the points lie furthest apart at the end: the plane in which to look.
    last = path[-1] - path[-1].mean(axis=0)
    directions = np.linalg.svd(last, full_matrices=False)[2][:2]
    flat = (path - path[-1].mean(axis=0)) @ directions.T  # (T, 4, 2)

    figure = new_figure(7.2, 5.8, title)
    axes = place(figure, 0.7, 0.6, 6.2, 4.5)
    for row, (bits, target) in enumerate(zip(inputs, targets, strict=True)):
        colour, mark = PALETTE[row], MARKERS[int(target)]
        x, y = flat[:, row].T
        axes.plot(x, y, color=colour, lw=1)
        axes.plot(x[0], y[0], marker=mark, mec=colour, mfc="white", ms=9, ls="")
        label = f"{bits[0]:.0f} {bits[1]:.0f}, target {target:.0f}"
        axes.plot(x[-1], y[-1], marker=mark, mec="black", mfc=colour, ms=11, ls="", label=label)
    axes.set(
        xlabel="hidden units, along the direction of greatest spread",
        ylabel="along the second direction",
        title=f"hollow: after epoch {epochs[0]}, filled: after epoch {epochs[-1]}",
    )
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(alpha=0.3)
    axes.legend(title="input")
    return figure


def _show_points(axes: Axes, points: Array, targets: Array, size: float) -> None:
    for target, mark in MARKERS.items():
        x, y = points[targets == target].T
        axes.scatter(x, y, s=size, c="white", marker=mark, ec="black", zorder=3, label=f"target {target}")
