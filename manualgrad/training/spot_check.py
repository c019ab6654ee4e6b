"""Check a few entries of every gradient against numeric derivatives, in the middle of training."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

import manualgrad.nn as nn
from manualgrad.training.layers import layer_outputs, split_into_layers

KINK = 1e-3  # relative difference of the slopes to the left and to the right
MOVE = 1e-6  # of a weight, each way: the slope is then right to about 1e-9, and seldom crosses a kink


@torch.no_grad()
def worst_relative_error(
    model: nn.Sequential,
    loss_function: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    entries: int = 2,
) -> float:
    """Compare random entries of the gradients that a model holds with numeric derivatives.

    The derivatives are those of a copy in float64, so the error is that of the gradients themselves: about
    1e-7 where these are float32. The copy computes on the CPU, since not every device has float64.

    Parameters
    ----------
    model : Sequential
        After ``backward``: its gradients are still those of the loss of ``inputs`` and ``targets``. If it has
        dropout, whose masks cannot be drawn again, those of a copy without dropout are checked.
    loss_function : callable
        The loss of the model's outputs and the targets.
    inputs, targets : Tensor
        The batch that the gradients come from.
    generator : torch.Generator
        On the CPU; chooses the entries. The global one stays untouched, so that training goes on as it would.
    entries : int
        Of each parameter.

    Returns
    -------
    float
        The largest of |gradient - slope|, each divided by the largest of |gradient|, |slope| and the root
        mean square of the parameter's whole gradient: of an entry that is almost zero there would be nothing
        but its rounding.
    """
    if any(isinstance(module, torch.nn.Dropout) for module in model.modules()):
        model = _without_dropout(model, loss_function, inputs, targets)
    exact = split_into_layers(copy.deepcopy(model).cpu().double())
    inputs = inputs.cpu().double()
    targets = targets.cpu().double() if targets.is_floating_point() else targets.cpu()
    arriving = [inputs, *layer_outputs(exact, inputs)]
    loss = loss_function(arriving[-1], targets).item()
    noise = 4 * torch.finfo(torch.float64).eps * abs(loss) / MOVE  # of a slope
    worst = 0.0
    for number, (layer, twin) in enumerate(zip(split_into_layers(model), exact, strict=True)):
        for parameter, copied in zip(layer.parameters, twin.parameters, strict=True):
            if parameter.grad is None:
                continue
            gradients, weights = parameter.grad.flatten(), copied.view(-1)
            rms = gradients.square().mean().sqrt().item()
            for index in torch.randint(len(weights), (entries,), generator=generator).tolist():
                weight, slopes = weights[index].item(), []
                for move in (-MOVE, MOVE):
                    weights[index] = weight + move
                    # What arrives at the weight's own layer stays as it is: begin there.
                    output = layer_outputs(exact[number:], arriving[number])[-1]
                    slopes.append((loss_function(output, targets).item() - loss) / move)
                weights[index] = weight
                if abs(slopes[1] - slopes[0]) > KINK * max(map(abs, slopes)) + noise:
                    continue  # some ReLU is at its kink there, where no slope is the right one
                gradient, slope = gradients[index].item(), sum(slopes) / 2
                scale = max(abs(gradient), abs(slope), rms)
                worst = max(worst, (abs(gradient - slope) - noise) / scale if scale else 0.0)
    return worst


@torch.enable_grad()
def _without_dropout(
    model: nn.Sequential,
    loss_function: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
) -> nn.Sequential:
    """Return a copy that drops nothing, with its gradients."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    model.zero_grad()
    loss_function(model(inputs), targets).backward()
    return model
