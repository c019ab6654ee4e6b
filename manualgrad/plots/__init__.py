"""Draw the pictures of a run: pure functions from tensors to a matplotlib ``Figure``.

A script shows one by ``run.log_figure(tag, step, plot_decision_boundary, ...)``, a notebook as it is.
"""

from manualgrad.plots.digits import (
    plot_confusion_matrix,
    plot_pixel_gradients,
    plot_predictions,
    plot_weights,
    plot_worst_mistakes,
)
from manualgrad.plots.layers import (
    plot_attention,
    plot_feature_maps,
    plot_filters,
    plot_gradient_through_time,
)
from manualgrad.plots.network import Link, Node, plot_network, plot_sigmoid_network
from manualgrad.plots.xor import (
    plot_decision_boundary,
    plot_hidden_space,
    plot_hidden_units,
    plot_many_boundaries,
    plot_many_errors,
    plot_survey,
)

__all__ = [
    "Link",
    "Node",
    "plot_attention",
    "plot_confusion_matrix",
    "plot_decision_boundary",
    "plot_feature_maps",
    "plot_filters",
    "plot_gradient_through_time",
    "plot_hidden_space",
    "plot_hidden_units",
    "plot_many_boundaries",
    "plot_many_errors",
    "plot_network",
    "plot_pixel_gradients",
    "plot_predictions",
    "plot_sigmoid_network",
    "plot_survey",
    "plot_weights",
    "plot_worst_mistakes",
]
