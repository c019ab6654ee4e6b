import numpy as np
import pytest
import torch

from manualgrad.plots import digits as plots
from tests.plots.conftest import check_layout, images_of, words_of

LABELS = torch.arange(20) % 10


@pytest.fixture
def images(numbers):
    return torch.rand(20, 28, 28, generator=numbers)


def test_the_largest_units_come_first(numbers):
    weight = torch.rand(60, 784, generator=numbers)
    weight[41] += 5
    figure = plots.plot_weights(weight, "after epoch 2")
    tiles = images_of(figure)[0]
    assert tiles.shape == (7 * 29 - 1, 7 * 29 - 1)
    np.testing.assert_allclose(tiles[:28, :28], weight[41].view(28, 28))
    check_layout(figure)


@pytest.mark.parametrize("count", [1, 10])
def test_filters_lie_side_by_side(count, numbers):
    weight = torch.randn(count, 1, 5, 5, generator=numbers)
    figure = plots.plot_weights(weight, "after epoch 1")
    np.testing.assert_allclose(images_of(figure)[0][:5, :5], weight[0, 0])
    assert "5 × 5" in words_of(figure)
    check_layout(figure)


def test_the_surest_mistakes_come_first(images):
    probabilities = torch.eye(10)[LABELS] * 0.8 + 0.02
    probabilities[3] = torch.eye(10)[5] * 0.9 + 0.01
    probabilities[14] = torch.eye(10)[9]
    figure = plots.plot_worst_mistakes(images, LABELS, probabilities, "after epoch 1")
    assert [text.get_text() for text in figure.axes[0].texts] == ["4 → 9  99.99%", "3 → 5  91.00%"]
    np.testing.assert_allclose(images_of(figure)[0], images[14])
    assert "2 mistakes in 20" in words_of(figure)
    check_layout(figure)
    assert "0 mistakes" in words_of(plots.plot_worst_mistakes(images, LABELS, torch.eye(10)[LABELS], ""))


def test_mistakes_are_counted_and_alone_have_a_colour():
    predictions = LABELS.clone()
    predictions[7] = 2
    figure = plots.plot_confusion_matrix(LABELS, predictions, "after epoch 1")
    assert np.argwhere(~np.isnan(images_of(figure)[0])).tolist() == [[7, 2]]
    counts = {text.get_position()[::-1]: text.get_text() for text in figure.axes[0].texts}
    assert counts == {(digit, digit): "2" for digit in range(10)} | {(7, 7): "1", (7, 2): "1"}
    assert "19 of 20 correct" in words_of(figure)
    check_layout(figure)


def test_pixel_gradients_are_those_of_each_digit(images, numbers):
    gradients = torch.randn(20, 28, 28, generator=numbers) * 1e-6
    figure = plots.plot_pixel_gradients(images, LABELS, gradients, "after epoch 2")
    digits, scaled, sizes = images_of(figure)[3:]  # of the digits from 5 on
    eighth = slice(3 * 29, 3 * 29 + 28)
    np.testing.assert_allclose(digits[:, eighth], images[8])
    np.testing.assert_allclose(scaled[:, eighth], gradients[8] / gradients[8].abs().max(), rtol=1e-5)
    np.testing.assert_allclose(sizes[:, eighth], gradients[[8, 18]].abs().mean(0), rtol=1e-5)
    check_layout(figure)


@pytest.mark.parametrize("count", [1, 5])
def test_predictions_have_their_picture_and_their_bars(count, images):
    probabilities = torch.full((count, 10), 0.05)
    probabilities[:, 7] = 0.55
    names = ["a name that is too long for the place it has.jpeg", *"bcde"][:count]
    figure = plots.plot_predictions(names, images[:count], probabilities)
    assert "…e place it has.jpeg" in words_of(figure)
    bars = figure.axes[1].patches
    assert [bar.get_width() for bar in bars] == pytest.approx(probabilities[0].tolist())
    assert "55.00%" in words_of(figure)
    check_layout(figure)
