"""Make the figures of all plots: a question as title, a caption that says how to read it.

Matplotlib is imported when a picture is due, and without pyplot, which would keep every figure for ever.
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
EDGE = "#888888"


def to_array(values: Tensor) -> Array:
    """Return a tensor's numbers as a NumPy array."""
    array: Array = values.detach().cpu().double().numpy()
    return array


def new_figure(width: float, height: float, title: str, caption: str = "") -> Any:
    """Return a Figure of so many inches; its layout keeps title, caption and axes apart."""
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=100, layout="compressed")
    figure.suptitle(title)
    figure.supxlabel(caption, fontsize=10, color="#555555")
    return figure


def add_chart(figure: Any, x: str, y: str) -> Any:
    """Add axes for curves, with what the horizontal and the vertical one measure."""
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    return axes


def add_tiles(figure: Any, titles: Sequence[str], columns: int) -> list[Any]:
    """Add axes for images side by side, each under its title."""
    grid = figure.subplots(max(1, -(-len(titles) // columns)), columns, squeeze=False).ravel()
    for axes in grid[len(titles) :]:
        axes.set_visible(False)
    for axes, title in zip(grid, titles, strict=False):
        axes.set_title(title, fontsize=9)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color="#cccccc")
    return list(grid[: len(titles)])


def tile(images: Array, columns: int) -> Array:
    """Put images side by side: (N, H, W) -> one image, with NaN in the gaps of a pixel."""
    count, height, width = images.shape
    sheet = np.full((-(-count // columns) * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for number, image in enumerate(images):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        sheet[top : top + height, left : left + width] = image
    return sheet
