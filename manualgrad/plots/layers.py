"""Draw what other layers do: filters and feature maps, a gradient on its way back in time, attention."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from manualgrad.plots.figure import (
    AMOUNT,
    EDGE,
    PALETTE,
    SIGNED,
    add_chart,
    draw_digit,
    draw_image,
    draw_scale,
    new_canvas,
    new_figure,
    tile,
    to_array,
)


def plot_filters(weight: Tensor, when: str) -> Any:
    """Draw a convolution's filters (out, in, height, width): of several input channels the first."""
    filters = to_array(weight)[:, 0]
    limit = max(float(np.abs(filters).max()), 1e-30)
    columns = min(len(filters), 8 if len(filters) > 16 else 4)
    height = -(-len(filters) // columns) * 600 / columns
    caption = f"each tile: one filter's {filters.shape[1]} × {filters.shape[2]} weights"
    figure, canvas = new_canvas(640, height + 165, f"What does each filter look for?\n{when}", caption)
    # A thin white line parts the tiles: each pixel is drawn as ten.
    sheet = tile(np.kron(filters, np.ones((10, 10))), columns, gap=3)
    draw_image(canvas, sheet, (20, 90, 600, height), SIGNED, -limit, limit)
    draw_scale(canvas, 90, height + 102, limit)
    return figure


def plot_feature_maps(image: Tensor, maps: Mapping[str, Tensor], label: str, when: str) -> Any:
    """Draw what the layers of a convolutional network make of one digit (28, 28).

    By a layer's name stand its outputs, (channels, height, width), of which four are drawn. ``label`` says
    what the image is, such as ``"7"``.
    """
    caption = "yellow: the filter found what it looks for\neach row on its own scale"
    title = f"What does each layer make of this {label}?\n{when}"
    figure, canvas = new_canvas(640, 190 + 150 * len(maps), title, caption, 21)
    draw_digit(canvas, image, 20, 96, 120)
    for number, (name, values) in enumerate(maps.items()):
        top, shown = 96 + 150 * number, to_array(values)[:4]
        for column, channel in enumerate(shown):
            box = (160 + column * 118, top, 110, 110)
            draw_image(canvas, channel, box, AMOUNT, 0, max(float(shown.max()), 1e-30))
        words = f"{name}: {len(shown)} of {len(values)} maps, {values.shape[1]} × {values.shape[2]}"
        canvas.text(160, top + 116, words, va="top", fontsize=17)
    return figure


def plot_gradient_through_time(norms: Mapping[str, Tensor], when: str) -> Any:
    """Draw what is left of a gradient on its way back through the steps of a recurrent network.

    By a cell's name stand the norms of the loss's gradient by the hidden state of each step: (steps,).
    """
    caption = "where it is tiny, what was read early is not learnt"
    figure = new_figure(640, 640, f"Does the gradient reach the first step?\n{when}", caption, 21)
    x, y = "step in time: the row of the image that was read", "size of the gradient, relative to the last"
    axes = add_chart(figure, 110, 92, 505, 430, x, y)
    shares = {name: to_array(norm) / max(float(norm[-1]), 1e-300) for name, norm in norms.items()}
    for colour, (name, share) in zip(PALETTE, shares.items(), strict=False):
        label = f"{name}: {share[0]:.2g} at the first step"
        axes.plot(range(1, len(share) + 1), share, marker="o", linewidth=2, color=colour, label=label)
    numbers = np.concatenate(list(shares.values()))
    low, high = min(numbers[numbers > 0], default=1.0), max(numbers)
    axes.set(yscale="log", ylim=(min(low / 3, 0.01), max(10 * high, 100)))  # room above for the legend
    axes.axhline(1, color=EDGE, linewidth=1)
    axes.legend(fontsize=17)
    return figure


def plot_attention(images: Tensor, attention: Tensor, labels: Tensor, when: str) -> Any:
    """Draw which patches of its image attention looks at.

    The images (N, height, width) have labels (N,). How much each patch of a square grid counts is
    (N, patches), and sums to 1 over the patches.
    """
    caption = "the brighter a patch, the more it looks at it\neach digit on its own scale"
    height = 130 + -(-len(images) // 4) * 175
    figure, canvas = new_canvas(640, height, f"Where does it look? ({when})", caption, 21)
    for number, (image, weight) in enumerate(zip(to_array(images), to_array(attention), strict=True)):
        left, top = 20 + number % 4 * 153, 84 + number // 4 * 175
        side = round(len(weight) ** 0.5)
        draw_image(canvas, weight.reshape(side, side), (left, top, 142, 142), AMOUNT, 0, weight.max())
        place = (left, left + 142, top + 142, top)
        canvas.imshow(image, "gray", alpha=0.75 * image.clip(0, 1), extent=place, aspect="auto")
        canvas.text(left + 71, top - 5, f"{labels[number]}", ha="center", fontsize=17)
    return figure
