"""What the tests of the plots share."""

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text


@pytest.fixture
def numbers():
    return torch.Generator().manual_seed(0)


def words_of(figure):
    """Return every word on a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def images_of(figure):
    """Return what every image on a figure shows."""
    return [np.ma.filled(image.get_array(), np.nan) for axes in figure.axes for image in axes.images]


def check_layout(figure):
    """Check that nothing is cut off, and that title and caption lie on no picture nor on each other."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    boxes = {text.get_text(): text.get_window_extent() for text in figure.texts if text.get_text()}
    pictures = [axes.get_tightbbox() for axes in figure.axes if axes.get_visible() and axes.axison]
    for axes in figure.axes:
        pictures += [each.get_window_extent() for each in (*axes.images, *axes.texts)]
    for box in (*boxes.values(), *pictures):
        assert box.x0 >= 0, box
        assert box.y0 >= 0, box
        assert box.x1 <= width, box
        assert box.y1 <= height, box
    for words, box in boxes.items():
        others = [other for name, other in boxes.items() if name != words]
        assert not [each for each in (*pictures, *others) if box.overlaps(each)], words
