"""Draw what gradcheck compares: Jacobians side by side, and the error of differences by their step size."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from manualgrad.plots.figure import SIGNED, to_array


def plot_jacobians(title: str, argument: str, yours: Tensor, numeric: Tensor) -> Any:
    """Draw a Jacobian by backward, by central differences, and how they differ.

    Both are (elements of the result, elements of the argument).
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.5), layout="constrained")
    figure.suptitle(f"{title}: ∂ result / ∂ {argument}")
    limit = max(float(numeric.abs().max()), 1e-300)
    difference = yours - numeric
    spread = max(float(difference.abs().max()), 1e-300)
    parts = [("yours", yours, limit), ("numeric", numeric, limit), ("difference", difference, spread)]
    for axes, (name, values, scale) in zip(figure.subplots(1, 3), parts, strict=True):
        image = axes.imshow(to_array(values), cmap=SIGNED, vmin=-scale, vmax=scale, aspect="auto")
        axes.set(title=name, xlabel=f"element of {argument}", ylabel="element of the result")
        figure.colorbar(image, ax=axes)
    return figure


def plot_step_sweep(title: str, steps: Sequence[float], errors: Sequence[float]) -> Any:
    """Draw the error of central differences against their step size: a V, both axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.loglog(steps, [max(error, 1e-17) for error in errors], marker="o")
    axes.set(title=title, xlabel="step size", ylabel="relative error of the central difference")
    axes.grid(alpha=0.3)
    return figure
