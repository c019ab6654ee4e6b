"""What all pictures share: colours that colour-blind readers can tell apart, sizes, and grids of tiles."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Array = np.ndarray[Any, np.dtype[Any]]

# Okabe and Ito's palette, which all common kinds of colour vision can tell apart.
VALUE = "#0072B2"  # blue: what goes forward
GRADIENT = "#D55E00"  # vermilion: what comes back
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
SIGNED = "PuOr_r"  # orange, white, purple: positive and negative are seen apart without red and green


def new_figure(width: float, height: float, title: str) -> Figure:
    """Return an empty figure of so many inches, a hundred pixels each."""
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=11)
    return figure


def tile(images: Array, columns: int, gap: float = np.nan) -> Array:
    """Put images side by side, with one pixel between: (N, H, W) -> one large image.

    Drawing one large image takes a tenth of the time that an axes for each of them would.
    """
    count, height, width = images.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), gap, dtype=np.float32)
    for number, image in enumerate(images):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        sheet[top : top + height, left : left + width] = image
    return sheet


def without_ticks(axes: Axes) -> None:
    """Remove the marks of an axis that counts nothing."""
    axes.set_xticks([])
    axes.set_yticks([])
