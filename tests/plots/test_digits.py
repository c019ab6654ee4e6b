import numpy as np
import pytest
import torch

from manualgrad import plots
from tests.plots.conftest import words_of

LABELS = torch.arange(20) % 10


@pytest.fixture
def images(numbers):
    return torch.rand(20, 28, 28, generator=numbers)


def test_the_largest_units_come_first(numbers, check_layout):
    weight = torch.rand(60, 784, generator=numbers)
    weight[41] += 5
    figure = plots.plot_weights(weight, "after epoch 2")
    tiles = figure.axes[0].images[0].get_array()
    assert tiles.shape == (7 * 29 - 1, 7 * 29 - 1)
    np.testing.assert_allclose(tiles[:28, :28], weight[41].view(28, 28))
    check_layout(figure)


def test_the_surest_mistakes_come_first(images, check_layout):
    probabilities = torch.eye(10)[LABELS] * 0.8 + 0.02
    probabilities[3] = torch.eye(10)[5] * 0.9 + 0.01
    probabilities[14] = torch.eye(10)[9]
    figure = plots.plot_worst_mistakes(images, LABELS, probabilities)
    assert [axes.get_title() for axes in figure.axes] == ["4 → 9  99.99%", "3 → 5  91.00%"]
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), images[14])
    assert "2 mistakes in 20" in words_of(figure)
    check_layout(figure)


def test_no_mistakes_at_all(images):
    figure = plots.plot_worst_mistakes(images, LABELS, torch.eye(10)[LABELS])
    assert "0 mistakes" in words_of(figure)
    assert not figure.axes


def test_mistakes_are_counted_and_alone_have_a_colour(check_layout):
    predictions = LABELS.clone()
    predictions[7] = 2
    figure = plots.plot_confusion_matrix(LABELS, predictions)
    axes = figure.axes[0]
    colours = np.ma.filled(np.ma.masked_invalid(axes.images[0].get_array()), np.nan)
    assert np.argwhere(~np.isnan(colours)).tolist() == [[7, 2]]
    counts = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts}
    assert (counts[7, 7], counts[7, 2], counts[0, 0], counts[0, 1]) == ("1", "1", "2", "0")
    assert "19 of 20 correct" in words_of(figure)
    check_layout(figure)


def test_pixel_gradients_are_those_of_each_digit(images, numbers, check_layout):
    gradients = torch.randn(20, 28, 28, generator=numbers) * 1e-6
    figure = plots.plot_pixel_gradients(images, LABELS, gradients, "after epoch 2")
    sheets = [axes.images[0].get_array() for axes in figure.axes]
    digits, scaled, sizes = (
        np.hstack([first, second[:, :1], second])
        for first, second in zip(sheets[:3], sheets[3:], strict=True)
    )
    third = slice(3 * 29, 3 * 29 + 28)
    np.testing.assert_allclose(digits[:, third], images[3])
    np.testing.assert_allclose(scaled[:, third], gradients[3] / gradients[3].abs().max(), rtol=1e-5)
    np.testing.assert_allclose(sizes[:, third], gradients[[3, 13]].abs().mean(0), rtol=1e-5)
    assert "more ink on orange raises the loss" in words_of(figure)
    check_layout(figure)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_predictions_have_their_picture_and_their_bars(count, images, check_layout):
    probabilities = torch.full((count, 10), 0.05)
    probabilities[:, 7] = 0.55
    names = ["a name that is too long for the place it has.jpeg", *"bcde"][:count]
    figure = plots.plot_predictions(names, images[:count], probabilities)
    picture, bars = figure.axes[:2]
    assert picture.get_title(loc="left") == "…ong for the place it has.jpeg: 7"
    assert [bar.get_width() for bar in bars.patches] == pytest.approx(probabilities[0].tolist())
    assert "55.00%" in words_of(figure)
    check_layout(figure)
