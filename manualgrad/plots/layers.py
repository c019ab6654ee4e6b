"""Draw what other layers do: feature maps, a gradient on its way back in time, attention."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from manualgrad.plots.figure import AMOUNT, EDGE, PALETTE, add_chart, add_tiles, new_figure, tile, to_array


def plot_feature_maps(image: Tensor, maps: Mapping[str, Tensor], label: str, when: str) -> Any:
    """Draw what the layers of a convolutional network make of one digit (28, 28).

    By a layer's name stand its outputs, (channels, height, width), of which four are drawn. ``label`` says
    what the image is, such as ``"7"``.
    """
    maps = {"the image": image[None]} | dict(maps)
    titles = [
        f"{name}: {len(all_[:4])} of {len(all_)}, {all_.shape[1]} × {all_.shape[2]}"
        for name, all_ in maps.items()
    ]
    caption = "yellow: the filter found what it looks for\neach row on its own scale"
    title = f"What does each layer make of this {label}?\n{when}"
    figure = new_figure(4.5, 1.2 + 1.2 * len(maps), title, caption)
    for axes, values in zip(add_tiles(figure, titles, 1), maps.values(), strict=True):
        drawn = to_array(values[:4])
        axes.imshow(tile(drawn, columns=4), AMOUNT, vmin=0, vmax=max(drawn.max(), 1e-30))
    return figure


def plot_gradient_through_time(norms: Mapping[str, Tensor], when: str) -> Any:
    """Draw what is left of a gradient on its way back through the steps of a recurrent network.

    By a cell's name stand the norms of the loss's gradient by the hidden state of each step: (steps,).
    """
    caption = "where it is tiny, what was read early is not learnt"
    figure = new_figure(4.5, 4.5, f"Does the gradient reach the first step?\n{when}", caption)
    x, y = "step in time: the row of the image that was read", "size of the gradient, relative to the last"
    axes = add_chart(figure, x, y)
    shares = {name: to_array(norm) / max(float(norm[-1]), 1e-300) for name, norm in norms.items()}
    for colour, (name, share) in zip(PALETTE, shares.items(), strict=False):
        label = f"{name}: {share[0]:.2g} at the first step"
        axes.plot(range(1, len(share) + 1), share, marker="o", markersize=3, color=colour, label=label)
    numbers = np.concatenate(list(shares.values()))
    low, high = min(numbers[numbers > 0], default=1.0), max(numbers)
    axes.set(yscale="log", ylim=(min(low / 3, 0.01), max(10 * high, 100)))  # room above for the legend
    axes.axhline(1, color=EDGE, linewidth=1)
    axes.legend(fontsize=9)
    return figure


def plot_attention(images: Tensor, attention: Tensor, labels: Tensor, when: str) -> Any:
    """Draw which patches of its image attention looks at.

    The images (N, height, width) have labels (N,). How much each patch of a square grid counts is
    (N, patches), and sums to 1 over the patches.
    """
    caption = "the brighter a patch, the more it looks at it\neach digit on its own scale"
    rows = -(-len(images) // 4)
    figure = new_figure(4.5, 1.1 + 1.25 * rows, f"Where does it look?\n{when}", caption)
    side = round(attention.shape[1] ** 0.5)
    titles = [str(label) for label in labels.tolist()]
    for axes, image, weight in zip(add_tiles(figure, titles, 4), images, attention, strict=True):
        patches, pixels = to_array(weight).reshape(side, side), to_array(image)
        place = (0, 1, 1, 0)
        axes.imshow(patches, AMOUNT, vmin=0, extent=place)
        axes.imshow(pixels, "gray", alpha=0.75 * pixels.clip(0, 1), extent=place)
    return figure
