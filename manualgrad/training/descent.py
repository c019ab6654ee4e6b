"""The simplest optimizer, for the small experiments."""

from collections.abc import Iterable

import torch
from torch import Tensor


class GradientDescent:
    """Every parameter goes down its slope: θ ← θ - η ∂L/∂θ, with the learning rate η.

    ``torch.optim.SGD`` does the same; but to make any optimizer of ``torch.optim`` imports the compiler,
    which takes as long as all the rest of a small experiment's start.
    """

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float) -> None:
        self.parameters, self.learning_rate = list(parameters), learning_rate
        self.param_groups = [{"lr": learning_rate}]  # where torch.optim's have it, too

    def zero_grad(self) -> None:
        """Forget the last step's gradients, because backward adds to what is there."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Go one step. It is no part of the function that is differentiated, so nobody records it."""
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter -= self.learning_rate * parameter.grad
