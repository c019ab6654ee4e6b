"""mnist_cnn.py: what it learns, what its pictures show, and that torch.nn's network has the same losses."""

import pytest
import torch

from experiments import mnist_cnn
from experiments.mnist_cnn import Config
from tests.experiments.same_losses import assert_same_losses
from tests.experiments.small_mnist import load_small_set


def test_a_run_learns_and_draws_filters_and_feature_maps(tmp_path, monkeypatch, figures):
    monkeypatch.setattr(mnist_cnn, "load_mnist", load_small_set)
    monkeypatch.setattr(mnist_cnn, "CHANNELS", (4, 6))
    config = Config(runs_dir=tmp_path, epochs=3, learning_rate=0.01, batch_size=50)
    assert mnist_cnn.main(config)["test_accuracy"] > 0.6
    for tag in ("convolutions/filters", "convolutions/feature maps"):
        assert [step for drawn, step in figures.log if drawn == tag] == [8, 16, 24]
    assert figures["convolutions/filters"].axes[0].images
    words = " ".join(axes.get_title() for axes in figures["convolutions/feature maps"].axes)
    for name, size in (("convolution 1", "12 × 12"), ("ReLU 1", "12 × 12"), ("ReLU 2", "4 × 4")):
        assert name in words
        assert size in words


def test_feature_maps_are_what_the_network_computes():
    torch.manual_seed(0)
    model = mnist_cnn.build_model().eval()
    image = load_small_set()[0][0]
    maps = mnist_cnn.feature_maps(model, image)
    logits = model[7:](maps["ReLU 2"].unsqueeze(0))
    torch.testing.assert_close(logits, model(image.unsqueeze(0)))


@pytest.mark.parametrize(
    ("channels", "steps"), [((3, 4), 5), pytest.param(mnist_cnn.CHANNELS, 100, marks=pytest.mark.slow)]
)
def test_the_same_network_in_torch_nn_has_the_same_losses(channels, steps, monkeypatch):
    monkeypatch.setattr(mnist_cnn, "CHANNELS", channels)
    assert_same_losses(mnist_cnn, steps, monkeypatch)
