"""Shuffled batches of data that lies on its device, and the one counter of a training."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from manualgrad.training import parallel


class BatchLoader:
    """Cut data into batches, in another order each epoch.

    By index, on the device: a DataLoader over the same tensors adds a fifth to MNIST's step. The last batch
    may be shorter. Of several processes each gets its part of a batch's rows.

    Attributes
    ----------
    epoch : int
        The epoch that is going on, from 1. Iterate once in each.
    step : int
        Batches given out in all epochs: the number of the present step, from 1.
    """

    def __init__(self, inputs: Tensor, labels: Tensor, batch_size: int, seed: int) -> None:
        self.inputs, self.labels, self.batch_size = inputs, labels, batch_size
        self.epoch, self.step = 1, 0
        self._generator = torch.Generator().manual_seed(seed)
        self._epoch_start = self._generator.get_state()

    def __len__(self) -> int:
        """Return the batches of an epoch."""
        return -(-len(self.inputs) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield what is left of the epoch: inputs (B, ...) and labels (B,)."""
        self._generator.set_state(self._epoch_start)
        order = torch.randperm(len(self.inputs), generator=self._generator).to(self.inputs.device)
        done = self.step - (self.epoch - 1) * len(self)
        for rows in order.split(self.batch_size)[done:]:
            self.step += 1
            rows = parallel.own_rows(rows)
            yield self.inputs.index_select(0, rows), self.labels.index_select(0, rows)
        self.epoch, self._epoch_start = self.epoch + 1, self._generator.get_state()

    def at_last_batch(self) -> bool:
        """Return whether the batch that was given out is the epoch's last."""
        return self.step == self.epoch * len(self)

    def state_dict(self) -> dict[str, Any]:
        """Return where the training is."""
        return {"epoch": self.epoch, "step": self.step, "epoch_start": self._epoch_start}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.epoch, self.step, self._epoch_start = state["epoch"], state["step"], state["epoch_start"]
        self._generator.set_state(self._epoch_start)
