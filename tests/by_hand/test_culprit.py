import math

import pytest
import torch

import manualgrad.nn as nn
from manualgrad.by_hand import Classifier
from manualgrad.by_hand.culprit import find_culprit_by_hand

SIZES = (6, 5, 4, 3)


def network(precision=None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    return Classifier(SIZES, precision=precision).load(model)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(7, 2, 3, generator=generator), torch.randint(3, (7,), generator=generator)


def find(network, batch):
    before = network.parameters.detach().clone()
    finding = find_culprit_by_hand(network, *batch)
    closer = find_culprit_by_hand(network, *batch, anomaly=True)
    assert torch.equal(network.parameters.nan_to_num(), before.nan_to_num())
    if finding is None:
        assert closer is None
        return None, None
    assert closer.startswith(finding)
    return finding, closer.removeprefix(finding)


@pytest.mark.parametrize("precision", [None, torch.bfloat16, torch.float16])
def test_nothing_is_found_where_all_is_finite(batch, precision):
    assert find(network(precision), batch) == (None, None)


def test_a_bad_pixel(batch):
    batch[0][3, 1, 2] = math.nan
    assert find(network(), batch)[0] == "the input is not finite: 1 of 42 elements, first at [3, 1, 2]: nan"


def test_a_bad_weight(batch):
    by_hand = network()
    with torch.no_grad():
        by_hand.layers[1].bias[2] = math.inf
    finding, _ = find(by_hand, batch)
    assert finding.startswith("the vector of parameters is not finite: 1 of 74 elements, first at [57]: inf")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_first_layer_that_overflows(batch, number):
    by_hand = network()
    with torch.no_grad():
        by_hand.parameters.abs_()
        by_hand.layers[number - 1].bias.fill_(3e38)
        by_hand.layers[number - 1].weight.fill_(3e38)
    finding, operation = find(by_hand, (batch[0].abs() + 1, batch[1]))
    assert finding.startswith(f"the output of layer {number} is not finite: ")
    assert operation.startswith(". The operation is aten.addmm in ")


def test_a_gradient_that_overflows_on_its_way_down(batch):
    by_hand = network()
    with torch.no_grad():
        by_hand.layers[0].weight.fill_(0)
        by_hand.layers[0].bias.fill_(1e-30)
        by_hand.layers[1].weight.fill_(1e30)
        by_hand.layers[1].bias.fill_(1e-30)
        by_hand.layers[2].weight.copy_(torch.tensor([[1e30], [-1e30], [0.0]]))
    finding, operation = find(by_hand, batch)
    assert finding.startswith("the gradient of layer 1's output is not finite: ")
    assert "aten.mm in" in operation


def test_float16_overflows(batch):
    by_hand = network(torch.float16)
    with torch.no_grad():
        by_hand.parameters[35:55] = 1e5
    finding, _ = find(by_hand, batch)
    assert finding.startswith(
        "the image of the parameters in low precision is not finite: 20 of 74 elements, first at [35]: inf"
    )
    assert finding.endswith(" (float16 ends at 65504)")
