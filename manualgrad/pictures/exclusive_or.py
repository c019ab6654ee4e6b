"""Exclusive or: the plane as the network sees it, and where it moves the four points."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from manualgrad.pictures.canvas import PALETTE, Array, new_figure

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
    columns = -(-len(hidden) // 2)
    figure = new_figure(5.5 + 2.1 * columns, 4.6, title)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[5.5, 2.1 * columns])[0]
    axes = left.subplots()
    shown = _show_plane(axes, output, extent, (0, 1))
    axes.contour(np.clip(output, -1, 2), levels=[0.5], extent=extent * 2, colors="black", linewidths=2)
    _show_points(axes, inputs, targets)
    axes.set(title="the network's answer", xlabel="first input", ylabel="second input")
    left.colorbar(shown, ax=axes, shrink=0.8, label="output (black line: ½)")
    marks = [
        Line2D([], [], marker=mark, color="white", mec="black", ls="", label=f"target {target}")
        for target, mark in MARKERS.items()
    ]
    axes.legend(handles=marks, loc="upper right", fontsize=8)

    bottom = -1 if hidden.min() < 0 else 0  # tanh reaches from -1, sigmoid from 0
    for number, axes in enumerate(right.subplots(2, columns, squeeze=False).flat):
        if number >= len(hidden):
            axes.axis("off")
            continue
        shown = _show_plane(axes, hidden[number], extent, (bottom, 1))
        _show_points(axes, inputs, targets, size=20)
        axes.set_title(f"hidden unit {number + 1}", fontsize=9)
        axes.tick_params(labelsize=7)
    right.colorbar(shown, ax=right.axes, shrink=0.8, label="the unit's output")
    return figure


def draw_hidden_path(title: str, path: Array, steps: Sequence[int], inputs: Array, targets: Array) -> Figure:
    """Draw how the four points move through the space of the hidden units.

    Parameters
    ----------
    title : str
        What network this is.
    path : Array
        (T, 4, H): what the hidden units make of each row of the truth table, at T times.
    steps : sequence of int
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

    figure = new_figure(7.5, 5.5, title)
    axes = figure.subplots()
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
        title=f"hollow: step {steps[0]}, filled: step {steps[-1]}",
    )
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(alpha=0.3)
    axes.legend(title="input")
    return figure


def _show_plane(
    axes: Axes, values: Array, extent: tuple[float, float], limits: tuple[float, float]
) -> object:
    low, high = limits
    return axes.imshow(
        values,
        origin="lower",
        extent=extent * 2,
        cmap="cividis",
        vmin=low,
        vmax=high,
        interpolation="bilinear",
    )


def _show_points(axes: Axes, inputs: Array, targets: Array, size: float = 110) -> None:
    for target, mark in MARKERS.items():
        x, y = inputs[targets == target].T
        axes.scatter(x, y, s=size, marker=mark, c="white", edgecolors="black", zorder=3)
