import numpy as np
import torch

from manualgrad.plots import layers as plots
from tests.plots.conftest import check_layout, images_of, words_of


def test_feature_maps_of_each_layer(numbers):
    maps = {
        "conv 1": torch.rand(16, 28, 28, generator=numbers),
        "conv 2": torch.rand(4, 10, 10, generator=numbers),
    }
    figure = plots.plot_feature_maps(torch.rand(28, 28, generator=numbers), maps, "7", "after epoch 1")
    shown = images_of(figure)
    assert len(shown) == 3
    np.testing.assert_allclose(shown[2][:, 33:43], maps["conv 2"][3])
    assert "conv 1: 4 of 16, 28 × 28" in words_of(figure)
    check_layout(figure)


def test_a_gradient_s_way_back_is_relative_to_the_last_step():
    norms = {"LSTM": torch.tensor([1.0, 2, 4]), "plain": torch.zeros(3)}
    figure = plots.plot_gradient_through_time(norms, "")
    lstm = figure.axes[0].lines[0]
    assert list(lstm.get_xdata()) == [1, 2, 3]
    assert list(lstm.get_ydata()) == [0.25, 0.5, 1]
    check_layout(figure)


def test_attention_lies_on_the_patches():
    attention = torch.zeros(2, 16)
    attention[0, 6] = 1
    figure = plots.plot_attention(torch.zeros(2, 28, 28), attention, torch.tensor([3, 8]), "after epoch 1")
    assert [axes.get_title() for axes in figure.axes if axes.get_visible()] == ["3", "8"]
    patches, digit = figure.axes[0].images[:2]
    assert np.argwhere(patches.get_array() == 1).tolist() == [[1, 2]]
    assert patches.get_extent() == digit.get_extent()
    check_layout(figure)
