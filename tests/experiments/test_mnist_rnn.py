"""mnist_rnn.py: what it learns, what its picture shows, and that torch.nn's network has the same losses."""

import pytest
import torch

import manualgrad.nn
from experiments import mnist_rnn
from experiments.mnist_rnn import Config
from tests.experiments.same_losses import assert_same_losses
from tests.experiments.small_mnist import load_small_set


@pytest.fixture
def small_set(monkeypatch):
    monkeypatch.setattr(mnist_rnn, "load_mnist", load_small_set)


@pytest.mark.filterwarnings("ignore:The value of the smallest subnormal")  # numpy 2.1, where they are flushed
def test_a_run_learns_and_draws_the_gradient_through_time(small_set, tmp_path, monkeypatch, figures):
    monkeypatch.setattr(mnist_rnn, "UNITS", 16)
    config = Config(runs_dir=tmp_path, epochs=6, learning_rate=0.02, batch_size=50)
    assert mnist_rnn.main(config)["test_accuracy"] > 0.6
    steps = [step for tag, step in figures.log if tag == "gradient through time"]
    assert steps == [0, 8, 16, 24, 32, 40, 48]
    lines = figures["gradient through time"].axes[0].get_lines()
    assert [len(line.get_ydata()) for line in lines[:2]] == [28, 28]


def test_the_gradient_vanishes_in_a_plain_cell_and_not_where_the_forget_gates_are_open(small_set):
    torch.manual_seed(0)
    images, labels = load_small_set()[:2]
    plain = torch.nn.Sequential(mnist_rnn.Reader(mnist_rnn.PlainCell(28, 32)), torch.nn.Linear(32, 10))
    norms = mnist_rnn.gradient_norms(plain, images, labels)
    assert norms.shape == (28,)
    assert norms[0] < 1e-5 * norms[-1]
    cell = manualgrad.nn.LSTMCell(28, 32)
    torch.nn.init.constant_(cell.bias_ih[32:64], 10.0)
    remembering = torch.nn.Sequential(mnist_rnn.Reader(cell), torch.nn.Linear(32, 10))
    norms = mnist_rnn.gradient_norms(remembering, images, labels)
    assert norms[0] > 0.01 * norms[-1]


@pytest.mark.parametrize(
    ("units", "steps"), [(8, 5), pytest.param(mnist_rnn.UNITS, 100, marks=pytest.mark.slow)]
)
def test_the_same_network_in_torch_nn_has_the_same_losses(units, steps, monkeypatch):
    monkeypatch.setattr(mnist_rnn, "UNITS", units)
    assert_same_losses(mnist_rnn, steps, monkeypatch)
