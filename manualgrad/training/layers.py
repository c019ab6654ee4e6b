"""A network of plain layers, one after another: who they are, and what each puts out."""

from dataclasses import dataclass

import torch
from torch import Tensor

import manualgrad.nn as nn

STICKY = torch.nn.ReLU | torch.nn.Sigmoid | torch.nn.Tanh  # whose slope can be nearly zero
FLAT = 0.1  # a unit is saturated where its slope is under a tenth of its greatest


@dataclass(frozen=True)
class Layer:
    """A module with weights, and those without that follow it, such as its activation."""

    name: str  # "layer 1 Linear" and so on
    modules: list[nn.Module]
    parameters: list[nn.Parameter]  # the weight first

    def __call__(self, input: Tensor) -> Tensor:
        """Run its modules one after another."""
        for module in self.modules:
            input = module(input)
        return input

    def activation(self) -> nn.Module:
        """Return the last of its modules that does more than pass on some of what it gets."""
        passing = torch.nn.Flatten | torch.nn.Dropout | torch.nn.MaxPool2d
        return [module for module in self.modules if not isinstance(module, passing)][-1]


def split_into_layers(model: nn.Sequential) -> list[Layer]:
    """Group a model's modules by the weights they belong to: called one after another they are the model."""
    layers: list[Layer] = []
    waiting: list[nn.Module] = []
    for module in model:
        parameters = list(module.parameters())
        if parameters:
            name = f"layer {len(layers) + 1} {type(module).__name__}"
            layers.append(Layer(name, [*waiting, module], parameters))
            waiting = []
        elif layers:
            layers[-1].modules.append(module)
        else:
            waiting.append(module)  # what stands before the first weights belongs to them
    return layers


@torch.no_grad()
def layer_outputs(layers: list[Layer], inputs: Tensor) -> list[Tensor]:
    """Run a model layer by layer on inputs (N, ...), and return what each puts out: (N, units)."""
    outputs = []
    for layer in layers:
        inputs = layer(inputs)
        outputs.append(inputs)
    return outputs


def stuck_parts(layers: list[Layer], outputs: list[Tensor]) -> dict[str, float]:
    """Measure how much of each layer hardly learns, because its activation's slope is nearly zero.

    It is told by the layer's name, where the layer ends in an activation. Of ReLU it is the part of its units
    that are zero for every example; of sigmoid and tanh the part of its outputs that lie where the slope is
    flat.
    """
    parts = {}
    for layer, output in zip(layers, outputs, strict=True):
        activation = layer.activation()
        if isinstance(activation, torch.nn.ReLU):
            parts[layer.name] = (output <= 0).all(0)
        elif isinstance(activation, torch.nn.Sigmoid):
            parts[layer.name] = 4 * output * (1 - output) < FLAT
        elif isinstance(activation, torch.nn.Tanh):
            parts[layer.name] = 1 - output**2 < FLAT
    return {name: stuck.double().mean().item() for name, stuck in parts.items()}
