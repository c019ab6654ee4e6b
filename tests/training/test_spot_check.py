import pytest
import torch

import manualgrad.nn as nn
from manualgrad.training.spot_check import worst_relative_error


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    loss_function = nn.CrossEntropyLoss()
    inputs, targets = torch.randn(8, 6), torch.randint(3, (8,))
    loss_function(model(inputs), targets).backward()
    return model, loss_function, inputs, targets


def check(network):
    return worst_relative_error(*network, torch.Generator().manual_seed(1))


def test_right_gradients_differ_by_float32_s_rounding(network):
    assert check(network) < 1e-4


@pytest.mark.parametrize("factor", [-1, 0, 2])
def test_a_wrong_gradient_is_seen(network, factor):
    network[0][2].bias.grad *= factor
    assert check(network) > 0.3


def test_at_a_kink_nothing_is_judged(network):
    model, loss_function, inputs, targets = network
    model[1] = nn.ReLU()
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.zero_()
    model.zero_grad()
    loss_function(model(inputs), targets).backward()
    assert check(network) < 1e-4


def test_a_gradient_that_has_vanished_is_not_said_to_be_wrong(network):
    model, loss_function, inputs, targets = network
    with torch.no_grad():
        model[2].weight *= 1e-13
    model.zero_grad()
    loss_function(model(inputs), targets).backward()
    assert check(network) < 1e-4


def test_a_network_with_dropout_and_batch_norm_is_checked_without_a_mask():
    torch.manual_seed(0)
    first = nn.Linear(6, 5, bias=False)  # batch norm leaves a bias no gradient but rounding
    model = nn.Sequential(first, nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(), nn.Linear(5, 3))
    loss_function, inputs, targets = nn.CrossEntropyLoss(), torch.randn(8, 6), torch.randint(3, (8,))
    loss_function(model(inputs), targets).backward()
    before = [
        tensor.clone() for tensor in (*model.state_dict().values(), *(p.grad for p in model.parameters()))
    ]
    state = torch.get_rng_state()
    assert check((model, loss_function, inputs, targets)) < 1e-5
    after = [*model.state_dict().values(), *(p.grad for p in model.parameters())]
    assert all(map(torch.equal, before, after))
    assert torch.equal(torch.get_rng_state(), state)
