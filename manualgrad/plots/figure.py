"""Make the figures that all plots are drawn on: a question as title, a caption that says how to read it.

Lengths are points, of which 72 make an inch. Matplotlib is imported when a picture is due, and without
pyplot, which would keep every figure for ever.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

Array = np.ndarray[Any, np.dtype[Any]]

# Okabe and Ito's palette, which all common kinds of colour vision can tell apart.
VALUE = "#0072B2"  # blue: what goes forward
GRADIENT = "#D55E00"  # vermilion: what comes back
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
AMOUNT, SIGNED, INK = "cividis", "PuOr_r", "gray_r"  # scales of colours, by matplotlib's names
DOTS = 54  # an inch: a picture of 640 points is 480 pixels wide, which halves what it costs
GREY = "#555555"
EDGE = "#888888"


def to_array(values: Tensor | Array | Sequence[float]) -> Array:
    """Return a tensor's numbers as a NumPy array."""
    return values.detach().cpu().double().numpy() if isinstance(values, Tensor) else np.asarray(values)


def new_figure(width: float, height: float, title: str, caption: str = "", size: float = 17) -> Any:
    """Return a matplotlib Figure of so many points, with a title at the top and a caption at the bottom."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=DOTS)
    figure.text(0.5, 1 - 14 / height, title, ha="center", va="top", fontsize=1.25 * size, linespacing=1.3)
    figure.text(0.5, 12 / height, caption, ha="center", va="bottom", fontsize=0.9 * size, color=GREY)
    return figure


def add_axes(figure: Any, left: float, top: float, width: float, height: float, frame: bool = True) -> Any:
    """Add axes, measured in points from the figure's top left corner; without a frame they show no ticks."""
    across, down = figure.get_size_inches() * 72
    axes = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    if not frame:
        axes.set_axis_off()
    return axes


def add_scale(
    figure: Any, left: float, top: float, width: float, scale: str, ends: tuple[str, str], label: str
) -> None:
    """Add a scale of colours, with what its ends are and what it measures."""
    axes = add_axes(figure, left, top, width, 14)
    axes.imshow(np.linspace(0, 1, 200)[None], cmap=scale, aspect="auto", extent=(0, 1, 0, 1))
    axes.set_xticks([])
    axes.set_yticks([])
    style = {"va": "center", "transform": axes.transAxes, "fontsize": 15}
    axes.text(-8 / width, 0.5, ends[0], ha="right", **style)
    axes.text(1 + 8 / width, 0.5, f"{ends[1]}   {label}", ha="left", **style)


def tile(images: Array, columns: int, gap: int = 1) -> Array:
    """Put images side by side: (N, H, W) -> one image, with NaN in the gaps."""
    count, height, width = images.shape
    rows = max(1, -(-count // columns))
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for number, image in enumerate(images):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet
