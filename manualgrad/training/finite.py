"""A guard between backward and step: a number that is NaN or infinite never reaches the weights."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Optimizer

from manualgrad.errors import UserError

READ_EVERY = 32  # steps, on a device that computes while Python runs ahead of it

# Goes through a batch once more and tells what went wrong there; None if nothing did.
Replay = Callable[[Tensor, Tensor], str | None]


class NotFiniteError(UserError):
    """The loss or a gradient is NaN or infinite. The weights are those from before that step."""


class Guard:
    """Looks at the loss and at every gradient before the optimizer does, and stops the run in time.

    On a CPU each step is judged at once. On other devices that would make each step wait for the one before.
    There the verdict stays on the device, where a fused optimizer asks for it by itself and, from a bad step
    on, leaves the weights as they are; Python reads it every so many steps.

    Parameters
    ----------
    optimizer : Optimizer
        Over the parameters whose gradients are looked at.
    replay : callable
        Called once, with the inputs and labels of the bad step; returns the finding as a sentence's
        beginning, or None. See ``culprit.py``.
    read_every : int, optional
        Steps from one reading of the verdict to the next. More than one takes a fused optimizer.

    Raises
    ------
    ValueError
        If the verdict is to be read later, but the optimizer would not ask for it.
    """

    def __init__(self, optimizer: Optimizer, replay: Replay, read_every: int | None = None) -> None:
        self.parameters: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
        self.replay = replay
        device = self.parameters[0].device
        fused = all(group.get("fused") for group in optimizer.param_groups)
        self.read_every = read_every or (READ_EVERY if fused and device.type != "cpu" else 1)
        if self.read_every > 1 and not fused:
            raise ValueError(f"read_every={read_every} needs a fused optimizer, which asks before each step")
        # float32 is what the fused kernels ask for. Both are only ever changed in place: a recorded step
        # of manualgrad/by_hand/epoch.py knows them by their address.
        self._bad = torch.zeros((), device=device)  # 1 from the first bad step on
        self._good = torch.zeros((), device=device)  # steps before it, since the last reading
        if fused:
            optimizer.found_inf = self._bad  # type: ignore[attr-defined]  # as torch.amp.GradScaler does
        self._unread: list[tuple[Tensor, Tensor, int]] = []

    def check(self, loss: Tensor, inputs: Tensor, labels: Tensor, step: int) -> None:
        """Look at a step after ``backward`` and before ``optimizer.step``.

        Parameters
        ----------
        loss : Tensor
            ().
        inputs, labels : Tensor
            The batch, (N, ...) and (N, ...).
        step : int
            Its number, for the message.

        Raises
        ------
        NotFiniteError
            If this step, or one since the last reading, is bad. The weights are as they were before it.
        """
        self.look(loss)
        self.read(inputs, labels, step)

    def look(self, loss: Tensor) -> None:
        """Judge the gradients as they are now. On CUDA this can be recorded: nothing comes to the host."""
        numbers = [loss.detach(), *(p.grad for p in self.parameters if p.grad is not None)]
        # A sum with a NaN or an infinity in it is one of them. On a CPU such sums take a thirtieth of a step
        # of MNIST's network; the largest magnitude would take a third. But a sum of huge numbers can
        # overflow, too: only a finite one is believed.
        if self.read_every == 1 and math.isfinite(sum(tensor.sum().item() for tensor in numbers)):
            return
        largest = torch.nn.utils.get_total_norm(numbers, math.inf)
        torch.maximum(self._bad, (~largest.isfinite()).float(), out=self._bad)
        self._good.add_(1 - self._bad)

    def read(self, inputs: Tensor, labels: Tensor, step: int) -> None:
        """Note which step it was that ``look`` has seen, and read the verdict if it is time to."""
        self._unread.append((inputs, labels, step))
        if len(self._unread) >= self.read_every:
            self.settle()

    def settle(self) -> None:
        """Read the verdict now. Call it before weights or figures leave the loop.

        Raises
        ------
        NotFiniteError
            If a step since the last reading was bad.
        """
        if self._bad:
            inputs, labels, step = self._unread[int(self._good)]
            finding = self.replay(inputs, labels) or (
                "the loss or a gradient is not finite, but going through the same batch again gives finite "
                "numbers: it is not the same each time, or comes from another process"
            )
            raise NotFiniteError(f"step {step}: {finding}. The weights are those from before this step")
        self._unread.clear()
        self._good.zero_()
