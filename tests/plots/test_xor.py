import sys

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from manualgrad.data.xor import xor
from manualgrad.plots import xor as plots
from manualgrad.plots.figure import GRADIENT, VALUE
from tests.plots.conftest import check_layout, images_of, words_of

DATA = xor()


def line_of(figure):
    """Return the points of the contour that is drawn, in the plane."""
    (contour,) = [each for each in figure.axes[0].collections if hasattr(each, "levels")]
    return np.concatenate([path.vertices for path in contour.get_paths()]).T


def test_the_line_passes_where_the_answer_is_one_half():
    """An answer that is the first input: the line is vertical, and the answers rise from left to right."""
    figure = plots.plot_decision_boundary(lambda x: x[:, :1], *DATA, "after epoch 7")
    assert line_of(figure)[0] == pytest.approx(0.5, abs=1e-6)
    (image,) = images_of(figure)
    assert image[:, 0] == pytest.approx(-0.5)
    assert image[:, -1] == pytest.approx(1.5)
    assert "after epoch 7" in words_of(figure)
    assert "yellow: answer 1" in words_of(figure)
    check_layout(figure)


def test_the_second_input_runs_from_bottom_to_top():
    figure = plots.plot_decision_boundary(lambda x: x[:, 1:], *DATA, "")
    (image,) = figure.axes[0].images
    assert image.origin == "lower"
    assert np.asarray(image.get_array())[0] == pytest.approx(-0.5)
    assert line_of(figure)[1] == pytest.approx(0.5, abs=1e-6)


def test_points_of_each_target_have_their_own_mark():
    (axes,) = plots.plot_decision_boundary(lambda x: x[:, :1], *DATA, "").axes
    marks = {line.get_marker(): line.get_xydata() for line in axes.lines}
    assert marks["s"].tolist() == [[0, 0], [1, 1]]
    assert marks["o"].tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("units", [1, 9])
def test_each_hidden_unit_has_a_map(units):
    figure = plots.plot_hidden_units(lambda x: x[:, :1] * torch.arange(1.0, units + 1), *DATA, "now")
    maps = images_of(figure)
    assert len(maps) == units
    assert f"hidden unit {units}" in words_of(figure)
    assert maps[-1][:, 0] == pytest.approx(-0.5 * units)
    assert maps[-1][:, -1] == pytest.approx(1.5 * units)
    check_layout(figure)


@pytest.mark.parametrize("bias", [True, False])
def test_points_lie_on_the_side_of_the_line_that_they_are_answered_with(bias, numbers):
    path = [torch.rand(4, 3, dtype=torch.float64, generator=numbers) for _ in range(5)]
    unit = torch.nn.Linear(3, 1, bias=bias, dtype=torch.float64)
    unit.weight.data.uniform_(-1, 1, generator=numbers)
    figure = plots.plot_hidden_space(path, *DATA, unit, 0.1, "now")
    axes = figure.axes[0]
    border, *lines = axes.lines
    right = [line.get_xdata()[-1] > border.get_xdata()[0] for line in lines[1::2]]
    assert right == (unit(path[-1]).flatten() > 0.1).tolist()
    check_layout(figure)


def test_networks_that_fail_are_framed():
    def solve(x):
        return (x[:, :1] - x[:, 1:]).abs()

    figure = plots.plot_many_boundaries({4: solve, 5: lambda x: 0.4 + 0 * solve(x), 6: solve}, *DATA)
    (framed,) = [
        axes for axes in figure.axes if to_hex(axes.spines["top"].get_edgecolor()) == GRADIENT.lower()
    ]
    assert framed.get_title() == "seed 5"
    assert "2 of 3 networks" in words_of(figure)
    check_layout(figure)


def test_curves_of_networks_that_fail_have_their_own_colour():
    figure = plots.plot_many_errors({1: {0: 0.5, 99: 0.01}, 2: {0: 0.5, 99: 0.4}}, learnt=[1])
    learnt, failed = figure.axes[0].lines
    assert (learnt.get_color(), failed.get_color()) == (VALUE, GRADIENT)
    assert list(learnt.get_xdata()) == [1, 100]
    check_layout(figure)


def test_a_survey_has_a_curve_for_each_activation():
    figure = plots.plot_survey({"sigmoid": {0.1: 0.2, 1.0: 0.9}, "tanh": {0.1: 1.0, 1.0: 0.3}}, 50)
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[0.2, 0.9], [1.0, 0.3]]
    assert "50 networks" in words_of(figure)
    check_layout(figure)


def test_pyplot_is_never_imported():
    assert "matplotlib.pyplot" not in sys.modules
