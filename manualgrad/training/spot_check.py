"""Check the gradients against numeric derivatives, in the middle of training."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

import manualgrad.nn as nn
from manualgrad.training.layers import layer_outputs, split_into_layers

KINK = 1e-3  # relative difference of the slopes on both sides
NEGLIGIBLE = 1e-4  # relative error that noise may cause
MOVE = 1e-6  # of a parameter as a whole, each way: the slope is then right to about 1e-9


@torch.no_grad()
def worst_relative_error(
    model: nn.Sequential,
    loss_function: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    generator: torch.Generator,
) -> float:
    """Compare each parameter's gradient with the loss's slope in a random direction.

    Call it after ``backward``, while the model's gradients are those of this batch's loss. The slope is that
    of a copy in float64, so the error is that of the gradients themselves: about 1e-7 where these are
    float32. The copy computes on the CPU, since not every device has float64. If the model has dropout, whose
    masks cannot be drawn again, the gradients of a copy without dropout are checked. The generator, on the
    CPU, draws the directions, so that the global one goes on as without a check.

    Returns the largest of |gradient · direction - slope|, each divided by the larger of |gradient| and
    |slope|.
    """
    if any(isinstance(module, torch.nn.Dropout) for module in model.modules()):
        model = copy.deepcopy(model)
        for module in model.modules():
            module.train(not isinstance(module, torch.nn.Dropout))
        model.zero_grad()
        with torch.enable_grad():
            loss_function(model(inputs), targets).backward()
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
            direction = torch.randn(copied.shape, generator=generator).double()
            length, start, slopes = direction.norm(), copied.clone(), []
            for move in (-MOVE, MOVE):
                copied.copy_(start).add_(direction, alpha=move / length.item())
                # What arrives at the parameter's own layer stays as it is: begin there.
                output = layer_outputs(exact[number:], arriving[number])[-1]
                slopes.append((loss_function(output, targets).item() - loss) / move)
            copied.copy_(start)
            if abs(slopes[1] - slopes[0]) > KINK * max(map(abs, slopes)) + noise:
                continue  # a ReLU is at its kink there, where no slope is the right one
            gradient, slope = parameter.grad.cpu().double(), sum(slopes) / 2 * length
            # A gradient that has vanished is not judged by the slope's noise.
            scale = max(gradient.norm(), slope.abs(), noise * length / NEGLIGIBLE)
            error = ((gradient * direction).sum() - slope).abs()
            worst = max(worst, (error / scale).item() if scale else 0.0)
    return worst
