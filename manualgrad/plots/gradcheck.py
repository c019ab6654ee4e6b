"""Draw what gradcheck compares: Jacobians side by side, and the error of differences by their step size."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from manualgrad.plots.figure import SIGNED, add_chart, new_figure, to_array


def plot_jacobians(title: str, argument: str, yours: Tensor, numeric: Tensor) -> Any:
    """Draw a Jacobian by backward, by central differences, and how they differ.

    Both are (elements of the result, elements of the argument).
    """
    figure = new_figure(10, 3.5, f"{title}: ∂ result / ∂ {argument}")
    parts = {"yours": yours, "numeric": numeric, "difference": yours - numeric}
    for axes, (name, values) in zip(figure.subplots(1, 3), parts.items(), strict=True):
        limit = max(float((values if name == "difference" else numeric).abs().max()), 1e-300)
        image = axes.imshow(to_array(values), cmap=SIGNED, vmin=-limit, vmax=limit, aspect="auto")
        axes.set(title=name, xlabel=f"element of {argument}", ylabel="element of the result")
        figure.colorbar(image, ax=axes)
    return figure


def plot_step_sweep(title: str, steps: Sequence[float], errors: Sequence[float]) -> Any:
    """Draw the error of central differences against their step size: a V, both axes logarithmic."""
    figure = new_figure(5, 3.5, title)
    axes = add_chart(figure, "step size", "relative error of the central difference")
    axes.loglog(steps, [max(error, 1e-17) for error in errors], marker="o")
    return figure
