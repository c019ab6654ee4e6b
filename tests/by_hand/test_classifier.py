from itertools import pairwise

import pytest
import torch

import manualgrad.nn as nn
from manualgrad.by_hand import Classifier

SIZES = (6, 5, 4, 3)


def build(sizes=SIZES, seed=0):
    torch.manual_seed(seed)
    layers = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs, dtype=torch.float64), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def draw(rows, seed=1):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(rows, 2, 3, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(3, (rows,), generator=generator)


@pytest.mark.parametrize("sizes", [SIZES, (6, 3), (6, 7, 3)])
def test_loss_and_gradients_are_those_of_the_functions(sizes):
    model = build(sizes)
    network = Classifier(build(sizes))
    for rows in (7, 2, 7):  # a short batch in between leaves the other size's tensors right
        inputs, labels = draw(rows, seed=rows)
        model.zero_grad()
        loss = nn.CrossEntropyLoss()(model(inputs), labels)
        loss.backward()
        before = inputs.clone()
        torch.testing.assert_close(network.forward(inputs, labels), loss.detach(), rtol=0, atol=1e-12)
        network.backward()
        grads = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
        torch.testing.assert_close(network.parameters.grad, grads, rtol=0, atol=1e-12)
        assert torch.equal(inputs, before)


def test_model_and_network_are_the_same_numbers():
    model = build()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    network = Classifier(model)
    inputs, labels = draw(7)
    assert all(value.equal(state[name]) for name, value in model.state_dict().items())
    optimizer = torch.optim.Adam([network.parameters], lr=0.1)
    network.forward(inputs, labels)
    network.backward()
    optimizer.step()
    network.forward(inputs, labels)
    torch.testing.assert_close(model(inputs).detach(), network.logits)
    model.load_state_dict(state)  # as a checkpoint does
    loss = network.forward(inputs, labels)
    torch.testing.assert_close(loss, nn.CrossEntropyLoss()(model(inputs), labels).detach())


def test_a_step_makes_no_new_tensor_of_a_layer_s_size():
    """But for the labels' log-probabilities and what the loss is summed from."""
    network = Classifier(build((6, 400, 3)))
    inputs, labels = draw(64)
    network.forward(inputs, labels)
    network.backward()
    with torch.profiler.profile(profile_memory=True, acc_events=True) as profile:
        network.forward(inputs, labels)
        network.backward()
    largest = max(event.cpu_memory_usage for event in profile.events())
    assert largest <= 64 * 8
