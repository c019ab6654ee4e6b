"""Stop before a loss or a gradient that is not finite reaches the weights, and name where it arose."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from manualgrad.errors import UserError

LossFunction = Callable[[Tensor, Tensor], Tensor]


class NonFiniteError(UserError):
    """The loss or a gradient is NaN or infinite. The weights are those from before the step."""


def check_finite(
    step: int, loss: Tensor, model: Module, loss_function: LossFunction, inputs: Tensor, targets: Tensor
) -> None:
    """Raise a NonFiniteError if the loss or a gradient is NaN or infinite.

    Call it between ``backward`` and ``optimizer.step``. The message names the step and the first module,
    which is found by running the batch again.
    """
    numbers = [loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]
    # A sum with NaN or infinity in it is one of them. On a CPU it takes a thirtieth of a step of MNIST's
    # network, where isfinite() takes a third. A sum of huge numbers can overflow, too.
    if torch.stack([each.sum() for each in numbers]).sum().isfinite():
        return
    if all(each.isfinite().all() for each in numbers):
        return
    where = locate_nonfinite(model, loss_function, inputs, targets) or (
        "the loss or a gradient is not finite, but the same batch again gives finite numbers"
    )
    raise NonFiniteError(f"step {step}: {where}. The weights are those from before this step")


def locate_nonfinite(
    model: Module, loss_function: LossFunction, inputs: Tensor, targets: Tensor
) -> str | None:
    """Run a batch again through a copy with hooks; say what is the first not to be finite, if anything is."""
    model, found = copy.deepcopy(model), []

    def note(what: str, tensor: object) -> None:
        if isinstance(tensor, Tensor) and not tensor.isfinite().all():
            found.append(f"{what} is not finite")

    def watch(which: str, module: Module) -> None:
        def after_forward(module: Module, arguments: tuple[Any, ...], output: Any) -> None:
            for tensor in output if isinstance(output, tuple) else [output]:
                note(f"the output of {which},", tensor)
            for tensor in arguments:
                if isinstance(tensor, Tensor) and tensor.requires_grad:
                    tensor.register_hook(lambda gradient: note(f"the input's gradient in {which},", gradient))

        module.register_forward_hook(after_forward)

    for name, module in model.named_modules():
        if not any(module.children()):
            watch(f"module {name}, {module}", module)
    note("the batch's input", inputs)
    loss = loss_function(model(inputs), targets)
    note("every module's output is finite, and the loss", loss)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    for name, gradient in zip(trained, gradients, strict=True):
        note(f"the gradient of {name}", gradient)
    return found[0] if found else None
