import torch

import manualgrad.nn as nn
from manualgrad.training.layers import split_into_layers, stuck_parts


def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(6, 5),
        nn.ReLU(),
        nn.Linear(5, 4),
        nn.Tanh(),
        nn.Linear(4, 3),
        nn.Sigmoid(),
        nn.Linear(3, 3),
    )


def test_layers_are_named_and_take_along_what_has_no_weights():
    model = build()
    layers = split_into_layers(model)
    assert [layer.name for layer in layers] == [f"layer {number} Linear" for number in range(1, 5)]
    assert [len(layer.modules) for layer in layers] == [3, 2, 2, 1]
    assert [p for layer in layers for p in layer.parameters] == list(model.parameters())


def test_stuck_parts():
    layers = split_into_layers(build())
    outputs = [
        torch.tensor([[0.0, 1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 3.0, 0.0, 0.0]]),  # two of five never speak
        torch.tensor([[0.0, 0.94, 0.95, -0.99]]),  # slope 1 - y²: 0.116 and 0.098 beside the border of 0.1
        torch.tensor([[0.5, 0.03, 0.02]]),  # slope 4y(1 - y): 0.116 and 0.078
        torch.zeros(1, 3),  # it has no activation
    ]
    assert stuck_parts(layers, outputs) == {
        "layer 1 Linear": 0.4,
        "layer 2 Linear": 0.5,
        "layer 3 Linear": 1 / 3,
    }


def test_what_only_passes_on_hides_no_activation():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3))
    layers = split_into_layers(model)
    output = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]])
    assert stuck_parts(layers, [output]) == {"layer 1 Conv2d": 0.5}
