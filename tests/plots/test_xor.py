import sys

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from manualgrad import plots
from manualgrad.data.xor import xor
from manualgrad.plots.figure import GRADIENT, VALUE
from tests.plots.conftest import words_of

DATA = xor()


def image_of(axes):
    return np.asarray(axes.images[0].get_array())


def line_of(axes):
    """Return the points of the contour that is drawn."""
    (contour,) = [each for each in axes.collections if hasattr(each, "levels")]
    return np.concatenate([path.vertices for path in contour.get_paths()])


def test_the_line_passes_where_the_answer_is_one_half(check_layout):
    """An answer that is the first input: the line is vertical, and the answers rise from left to right."""
    figure = plots.plot_decision_boundary(lambda x: x[:, :1], *DATA, "after epoch 7")
    axes = figure.axes[0]
    assert line_of(axes)[:, 0] == pytest.approx(0.5, abs=1e-6)
    assert image_of(axes)[:, 0] == pytest.approx(-0.5)
    assert image_of(axes)[:, -1] == pytest.approx(1.5)
    assert "after epoch 7" in words_of(figure)
    assert "yellow: answer 1, blue: -1, white line: ½" in words_of(figure)
    check_layout(figure)


def test_the_second_input_runs_from_bottom_to_top():
    axes = plots.plot_decision_boundary(lambda x: x[:, 1:], *DATA, "").axes[0]
    assert axes.images[0].origin == "lower"
    assert image_of(axes)[0] == pytest.approx(-0.5)
    assert line_of(axes)[:, 1] == pytest.approx(0.5, abs=1e-6)


def test_points_of_each_target_have_their_own_mark():
    axes = plots.plot_decision_boundary(lambda x: x[:, :1], *DATA, "").axes[0]
    marks = {line.get_marker(): line.get_xydata().tolist() for line in axes.lines}
    assert marks == {"s": [[0, 0], [1, 1]], "o": [[0, 1], [1, 0]]}


@pytest.mark.parametrize(("answer", "low"), [(torch.sigmoid, 0), (torch.tanh, -1)])
def test_the_scale_reaches_as_far_as_the_activation(answer, low):
    image = plots.plot_decision_boundary(lambda x: answer(5 * x[:, :1]), *DATA, "").axes[0].images[0]
    assert image.get_clim() == (low, 1)


def test_an_answer_without_a_half_has_no_line():
    axes = plots.plot_decision_boundary(lambda x: 0 * x[:, :1], *DATA, "").axes[0]
    assert not [each for each in axes.collections if hasattr(each, "levels")]


@pytest.mark.parametrize("units", [1, 4, 9])
def test_each_hidden_unit_has_a_map(units, check_layout):
    figure = plots.plot_hidden_units(lambda x: x[:, :1] * torch.arange(1.0, units + 1), *DATA, "now")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == [f"hidden unit {n}" for n in range(1, units + 1)]
    row, column = divmod(units - 1, min(units, 3))
    last = image_of(axes)[126 * row :, 126 * column :][:100, :100]
    assert last[:, 0] == pytest.approx(-0.5 * units)
    assert last[:, -1] == pytest.approx(1.5 * units)
    check_layout(figure)


@pytest.mark.parametrize("bias", [True, False])
def test_points_lie_on_the_side_of_the_line_that_they_are_answered_with(bias, numbers, check_layout):
    path = [torch.rand(4, 3, dtype=torch.float64, generator=numbers) for _ in range(5)]
    unit = torch.nn.Linear(3, 1, bias=bias, dtype=torch.float64)
    unit.weight.data.uniform_(-1, 1, generator=numbers)
    figure = plots.plot_hidden_space(path, *DATA, unit, 0.1, "now")
    axes = figure.axes[0]
    border, *lines = axes.lines
    right = [line.get_xdata()[-1] > border.get_xdata()[0] for line in lines[1::2]]
    assert right == (unit(path[-1]).flatten() > 0.1).tolist()
    check_layout(figure)


def test_distances_in_hidden_space_along_the_weights_are_true():
    unit = torch.nn.Linear(2, 1, bias=False)
    unit.weight.data = torch.tensor([[3.0, 4.0]])
    path = [torch.zeros(4, 2), torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1]])]
    lines = plots.plot_hidden_space(path, *DATA, unit, 0.0, "").axes[0].lines
    assert [line.get_xdata()[-1] for line in lines[2::2]] == pytest.approx([0, 0.6, 0.8, 1.4])


def test_networks_that_fail_are_framed(check_layout):
    def solve(x):
        return (x[:, :1] - x[:, 1:]).abs()

    figure = plots.plot_many_boundaries({4: solve, 5: lambda x: 0.4 + 0 * solve(x), 6: solve}, *DATA)
    frames = {axes.get_title(): to_hex(axes.spines["left"].get_edgecolor()).upper() for axes in figure.axes}
    assert [title for title, colour in frames.items() if colour == GRADIENT] == ["seed 5"]
    assert "2 of 3 networks" in words_of(figure)
    check_layout(figure)


def test_curves_of_networks_that_fail_have_their_own_colour(check_layout):
    figure = plots.plot_many_errors({1: {0: 0.5, 99: 0.01}, 2: {0: 0.5, 99: 0.4}}, learnt=[1])
    learnt, failed = figure.axes[0].lines
    assert (learnt.get_color(), failed.get_color()) == (VALUE, GRADIENT)
    assert list(learnt.get_xdata()) == [1, 100]
    check_layout(figure)


def test_a_survey_has_a_curve_for_each_activation(check_layout):
    figure = plots.plot_survey({"sigmoid": {0.1: 0.2, 1.0: 0.9}, "tanh": {0.1: 1.0, 1.0: 0.3}}, 50)
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[0.2, 0.9], [1.0, 0.3]]
    assert "50 networks" in words_of(figure)
    check_layout(figure)


def test_pyplot_is_never_imported():
    assert "matplotlib.pyplot" not in sys.modules
