"""Make the figures that all plots are drawn on: a question as title, a caption that says how to read it.

Lengths are points, of which 72 make an inch, from a figure's top left corner. Matplotlib is imported when a
picture is due, and without pyplot, which would keep every figure for ever.
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
DOTS = 50  # an inch: a picture of 640 points is 444 pixels wide, which halves what it costs
GREY = "#555555"
EDGE = "#888888"


def to_array(values: Tensor | Array | Sequence[float]) -> Array:
    """Return a tensor's numbers as a NumPy array."""
    return values.detach().cpu().double().numpy() if isinstance(values, Tensor) else np.asarray(values)


def new_figure(width: float, height: float, title: str, caption: str = "", size: float = 20) -> Any:
    """Return a matplotlib Figure with a title at the top and a caption at the bottom."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=DOTS)
    figure.text(0.5, 1 - 14 / height, title, ha="center", va="top", fontsize=1.25 * size, linespacing=1.3)
    figure.text(0.5, 12 / height, caption, ha="center", va="bottom", fontsize=0.9 * size, color=GREY)
    return figure


def add_axes(figure: Any, left: float, top: float, width: float, height: float) -> Any:
    """Add axes at a place."""
    across, down = figure.get_size_inches() * 72
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def new_canvas(
    width: float, height: float, title: str, caption: str = "", size: float = 20
) -> tuple[Any, Any]:
    """Return a figure, and axes over all of it whose coordinates are points, to draw on."""
    figure = new_figure(width, height, title, caption, size)
    canvas = add_axes(figure, 0, 0, width, height)
    canvas.set_axis_off()
    canvas.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    return figure, canvas


def add_chart(figure: Any, left: float, top: float, width: float, height: float, x: str, y: str) -> Any:
    """Add axes for curves, with what the horizontal and the vertical one measure."""
    axes = add_axes(figure, left, top, width, height)
    axes.set_xlabel(x, fontsize=18)
    axes.set_ylabel(y, fontsize=18)
    axes.tick_params(labelsize=15)
    axes.grid(alpha=0.3)
    return axes


def draw_image(
    canvas: Any, image: Array, box: tuple[float, float, float, float], scale: str, low: float, high: float
) -> None:
    """Draw an image (H, W) in a box: its left, top, width and height."""
    left, top, width, height = box
    place = (left, left + width, top + height, top)
    canvas.imshow(image, scale, vmin=low, vmax=high, extent=place, aspect="auto", interpolation="nearest")


def draw_digit(canvas: Any, image: Tensor, left: float, top: float, side: float) -> None:
    """Draw a digit (28, 28), ink on paper, with an edge."""
    draw_image(canvas, to_array(image), (left, top, side, side), INK, 0, 1)
    draw_frame(canvas, left, top, side, "#cccccc", 1)


def draw_frame(canvas: Any, left: float, top: float, side: float, colour: str, linewidth: float) -> None:
    """Draw a square."""
    right, bottom = left + side, top + side
    x, y = (left, right, right, left, left), (top, top, bottom, bottom, top)
    canvas.plot(x, y, color=colour, linewidth=linewidth)


def draw_scale(canvas: Any, left: float, top: float, limit: float) -> None:
    """Draw the scale of colours for weights from -limit to limit."""
    draw_image(canvas, np.linspace(-1, 1, 200)[None], (left, top, 150, 14), SIGNED, -1, 1)
    label = f"{limit:.2g}   ink here inhibits (−), excites (+)"
    canvas.text(left - 8, top + 7, f"{-limit:.2g}", ha="right", va="center", fontsize=15)
    canvas.text(left + 158, top + 7, label, va="center", fontsize=15)


def tile(images: Array, columns: int, gap: int = 1) -> Array:
    """Put images side by side: (N, H, W) -> one image, with NaN in the gaps."""
    count, height, width = images.shape
    rows = max(1, -(-count // columns))
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for number, image in enumerate(images):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet
