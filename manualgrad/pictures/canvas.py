"""What all pictures share: colours that colour-blind readers can tell apart, sizes, and grids of tiles."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

Array = np.ndarray[Any, np.dtype[Any]]

# Okabe and Ito's palette, which all common kinds of colour vision can tell apart.
VALUE = "#0072B2"  # blue: what goes forward
GRADIENT = "#D55E00"  # vermilion: what comes back
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
SIGNED = "PuOr_r"  # orange, white, purple: positive and negative are seen apart without red and green


def new_figure(width: float, height: float, title: str) -> Figure:
    """Return an empty figure of so many inches, a hundred pixels each.

    Axes are put at fixed places in it: matplotlib's layout engines take as long as all the drawing does.
    """
    figure = Figure(figsize=(width, height), dpi=100)
    figure.text(0.5, 1 - 0.12 / height, title, fontsize=11, ha="center", va="top")
    return figure


def place(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return axes at a place that is given in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def add_scale(figure: Figure, shown: ScalarMappable, axes: Axes, label: str, **options: Any) -> None:
    """Put a colour scale into axes of its own."""
    figure.colorbar(shown, cax=axes, **options)
    axes.set_ylabel(label, fontsize=9)
    axes.tick_params(labelsize=8)


def tile(images: Array, columns: int, upside_down: bool = False) -> Array:
    """Put images side by side, with one pixel between: (N, H, W) -> one large image.

    Images whose rows count from the bottom go ``upside_down``, so that the first is in the top left corner.

    Drawing one large image takes a tenth of the time that an axes for each of them would.
    """
    count, height, width = images.shape
    rows = max(1, -(-count // columns))
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan, dtype=np.float32)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top = (rows - 1 - row if upside_down else row) * (height + 1)
        left = column * (width + 1)
        sheet[top : top + height, left : left + width] = image
    return sheet


def without_ticks(axes: Axes) -> None:
    """Remove the marks of an axis that counts nothing."""
    axes.set_xticks([])
    axes.set_yticks([])
