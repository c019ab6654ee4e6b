"""mnist_transformer.py: what it learns, what its picture shows, and that torch.nn's has the same losses."""

import pytest
import torch

from experiments import mnist_transformer
from experiments.mnist_transformer import Config
from tests.experiments.same_losses import assert_same_losses
from tests.experiments.small_mnist import load_small_set


@pytest.fixture
def small(monkeypatch):
    for name, value in {"PATCH": 14, "TOKENS": 4, "WIDTH": 24, "HEADS": 3}.items():
        monkeypatch.setattr(mnist_transformer, name, value)


def test_a_run_learns_and_draws_its_attention(small, tmp_path, monkeypatch, figures):
    monkeypatch.setattr(mnist_transformer, "load_mnist", load_small_set)
    config = Config(runs_dir=tmp_path, epochs=8, learning_rate=0.005, batch_size=25)
    assert mnist_transformer.main(config)["test_accuracy"] > 0.6
    assert [step for tag, step in figures.log if tag == "attention"] == [16 * epoch for epoch in range(1, 9)]


def test_tokens_are_the_patches_row_by_row():
    image = torch.arange(28 * 28.0).reshape(1, 28, 28)
    embedding = mnist_transformer.Embedding()
    torch.nn.init.zeros_(embedding.position)
    torch.nn.init.zeros_(embedding.patch.bias)
    # A token's first number is its patch's second pixel in the second row.
    embedding.patch.weight.data = torch.eye(64, 49).roll(8, 1)
    assert embedding(image)[0, :6, 0].tolist() == [29, 36, 43, 50, 29 + 7 * 28, 36 + 7 * 28]


def test_attention_is_shared_out_among_the_patches(small):
    torch.manual_seed(0)
    images, labels = load_small_set()[:2]
    drawn = {}

    class Run:
        full = True

        def log_figure(self, tag, step, plot, images, attention, labels, when):
            drawn.update(attention=attention, labels=labels)

    mnist_transformer.log_attention(Run(), mnist_transformer.build_model(), images, labels, 1, "")
    torch.testing.assert_close(drawn["attention"].sum(1), torch.ones(10))
    assert drawn["labels"].tolist() == [*range(10)]


def test_a_smaller_network_in_torch_nn_has_the_same_losses(small, monkeypatch):
    assert_same_losses(mnist_transformer, 5, monkeypatch)


@pytest.mark.slow
def test_the_same_network_in_torch_nn_has_the_same_losses(monkeypatch):
    assert_same_losses(mnist_transformer, 100, monkeypatch)
