"""Where a training is, kept so that one which was interrupted can go on as if nothing had been."""

from typing import Any

import torch

from manualgrad.training.loop import Tally


class Position:
    """An epoch, the batches done in it, the sums over them, and the order in which the rest comes.

    Parameters
    ----------
    seed : int
        Of the shuffling.
    device : torch.device or str
        Where the sums are kept: where the training computes.

    Attributes
    ----------
    epoch : int
        The one that is going on, from 1.
    batches : int
        Done in this epoch.
    steps : int
        Done in all epochs.
    tally : Tally
        Over this epoch.
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self.epoch, self.batches, self.steps = 1, 0, 0
        self.tally = Tally(device)
        self._generator = torch.Generator().manual_seed(seed)
        self._epoch_start = self._generator.get_state()

    def begin(self, epoch: int) -> None:
        """Turn to an epoch. It changes nothing if that is the one that was interrupted."""
        if epoch == self.epoch:
            return
        self.epoch, self.batches = epoch, 0
        self.tally.clear()
        self._epoch_start = self._generator.get_state()

    def shuffling(self) -> torch.Generator:
        """Return the generator as it was when this epoch began: it will shuffle as it did then."""
        self._generator.set_state(self._epoch_start)
        return self._generator

    def state_dict(self) -> dict[str, Any]:
        """Return everything, as a checkpoint keeps it."""
        return {
            "epoch": self.epoch,
            "batches": self.batches,
            "steps": self.steps,
            "tally": self.tally.sums,
            "epoch_start": self._epoch_start,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        self.epoch, self.batches, self.steps = state["epoch"], state["batches"], state["steps"]
        self.tally.sums.copy_(state["tally"])
        self._epoch_start = state["epoch_start"]
        self._generator.set_state(self._epoch_start)
