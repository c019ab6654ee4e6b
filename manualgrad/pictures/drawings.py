"""Every picture by its name."""

from collections.abc import Callable

from manualgrad.pictures.canvas import Canvas
from manualgrad.pictures.digits import (
    draw_confusion,
    draw_mistakes,
    draw_pixel_gradients,
    draw_readings,
    draw_sprite,
    draw_weights,
)
from manualgrad.pictures.exclusive_or import draw_boundary, draw_hidden_path
from manualgrad.pictures.network import draw_network

DRAWINGS: dict[str, Callable[..., Canvas]] = {
    "boundary": draw_boundary,
    "confusion": draw_confusion,
    "hidden path": draw_hidden_path,
    "mistakes": draw_mistakes,
    "network": draw_network,
    "pixel gradients": draw_pixel_gradients,
    "readings": draw_readings,
    "sprite": draw_sprite,
    "weights": draw_weights,
}
