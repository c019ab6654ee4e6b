"""Draw what other layers do: filters and feature maps, a gradient on its way back in time, attention."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from manualgrad.plots.figure import (
    AMOUNT,
    INK,
    PALETTE,
    SIGNED,
    add_axes,
    add_scale,
    new_figure,
    tile,
    to_array,
)


def plot_filters(weight: Tensor, when: str) -> Any:
    """Draw the filters of a convolution.

    Parameters
    ----------
    weight : Tensor
        (out, in, height, width). Of several input channels the first is drawn.
    when : str
        For the title, such as ``"after epoch 3"``.
    """
    filters = to_array(weight)[:, 0]
    limit = max(float(np.abs(filters).max()), 1e-30)
    columns = min(len(filters), 8 if len(filters) > 16 else 4)
    side = 600 / columns
    rows = -(-len(filters) // columns)
    caption = f"each tile: one filter's {filters.shape[1]} × {filters.shape[2]} weights"
    figure = new_figure(640, rows * side + 165, f"What does each filter look for?\n{when}", caption, 20)
    axes = add_axes(figure, 20, 90, 600, rows * side, frame=False)
    # A thin white line parts the tiles: each pixel is drawn as ten.
    large = np.kron(filters, np.ones((10, 10)))
    axes.imshow(tile(large, columns, gap=3), SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")
    ends = (f"{-limit:.2g}", f"{limit:.2g}")
    add_scale(figure, 90, rows * side + 102, 150, SIGNED, ends, "ink here inhibits (−), excites (+)")
    return figure


def plot_feature_maps(image: Tensor, maps: Mapping[str, Tensor], label: str = "digit") -> Any:
    """Draw what the layers of a convolutional network make of one digit.

    Parameters
    ----------
    image : Tensor
        (height, width).
    maps : mapping
        By layer's name: (channels, height, width), the outputs for this image; four of them are drawn.
    label : str
        For the title: what the image is, such as ``"7"``.
    """
    height = 160 + 150 * len(maps)
    caption = "yellow: the filter found what it looks for\neach row on its own scale"
    figure = new_figure(640, height, f"What does each layer make of this {label}?", caption, 21)
    axes = add_axes(figure, 20, 66, 120, 120)
    axes.imshow(to_array(image), INK, vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])
    for number, (name, values) in enumerate(maps.items()):
        top = 66 + 150 * number
        shown = to_array(values)[:4]
        for column, channel in enumerate(shown):
            tiles = add_axes(figure, 160 + column * 118, top, 110, 110, frame=False)
            tiles.imshow(channel, AMOUNT, vmin=0, vmax=max(float(shown.max()), 1e-30))
        side = f"{values.shape[1]} × {values.shape[2]}"
        words = f"{name}: {len(shown)} of {len(values)} maps, {side}"
        figure.text(160 / 640, 1 - (top + 116) / height, words, va="top", fontsize=17)
    return figure


def plot_gradient_through_time(norms: Mapping[str, Tensor], when: str) -> Any:
    """Draw what is left of a gradient on its way back through the steps of a recurrent network.

    Parameters
    ----------
    norms : mapping
        By cell's name: (steps,), the norm of the loss's gradient by the hidden state of each step.
    when : str
        For the title.
    """
    caption = "where it is tiny, what was read early is not learnt"
    figure = new_figure(640, 640, f"Does the gradient reach the first step?\n{when}", caption, 21)
    axes = add_axes(figure, 110, 92, 505, 430)
    shares = {name: to_array(norm) / max(float(norm[-1]), 1e-300) for name, norm in norms.items()}
    for colour, (name, share) in zip(PALETTE, shares.items(), strict=False):
        label = f"{name}: {share[0]:.2g} at the first step"
        axes.plot(range(1, len(share) + 1), share, marker="o", linewidth=2, color=colour, label=label)
    numbers = np.concatenate(list(shares.values()))
    low, high = min(numbers[numbers > 0], default=1.0), max(numbers)
    axes.set(yscale="log", ylim=(min(low / 3, 0.01), max(10 * high, 100)))  # room above for the legend
    axes.axhline(1, color="#888888", linewidth=1)
    axes.set_xlabel("step in time: the row of the image that was read", fontsize=18)
    axes.set_ylabel("size of the gradient, relative to the last", fontsize=18)
    axes.tick_params(labelsize=15)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=17)
    return figure


def plot_attention(images: Tensor, attention: Tensor, labels: Tensor, when: str) -> Any:
    """Draw which patches of an image attention looks at.

    Parameters
    ----------
    images : Tensor
        (N, height, width): N digits, of which twelve are drawn.
    attention : Tensor
        (N, patches): how much each patch of a square grid counts, summing to 1 over the patches.
    labels : Tensor
        (N,): what the digits are.
    when : str
        For the title.
    """
    caption = "the brighter a patch, the more it looks at it\neach digit on its own scale"
    count = min(len(images), 12)
    figure = new_figure(640, 130 + -(-count // 3) * 225, f"Where does it look? ({when})", caption, 21)
    for number in range(count):
        axes = add_axes(figure, 22 + number % 3 * 202, 84 + number // 3 * 225, 190, 190)
        image, weight = to_array(images[number]), to_array(attention[number])
        side = round(len(weight) ** 0.5)
        place = (-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5)
        axes.imshow(weight.reshape(side, side), AMOUNT, vmin=0, extent=place, interpolation="nearest")
        axes.imshow(image, "gray", alpha=0.75 * image.clip(0, 1))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"{labels[number]}", fontsize=17, pad=4)
    return figure
