"""Loss and accuracy, averaged over examples: a short last batch counts for what it holds."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Module

from manualgrad.training import parallel

EVALUATION_ROWS = 2000  # at a time where nothing is learnt; any number gives the same figures


@dataclass(frozen=True)
class Metrics:
    """Averages over examples."""

    loss: float
    accuracy: float

    def __str__(self) -> str:
        return f"loss {self.loss:.4g} accuracy {self.accuracy:.4f}"


class MetricAccumulator:
    """Sum loss and correct answers on the device, so that no step waits for the one before to be read."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        exact = torch.float32 if torch.device(device).type == "mps" else torch.float64  # MPS has no float64
        self._sums = torch.zeros(3, dtype=exact, device=device)
        self._examples, self._loss, self._correct = self._sums

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: its mean loss (), logits (N, C) and labels (N,)."""
        self._examples += len(labels)
        self._loss.add_(loss.detach(), alpha=len(labels))
        self._correct += (logits.detach().argmax(1) == labels).sum()

    def compute(self) -> Metrics:
        """Return the averages over all examples of all processes."""
        return _average(parallel.sum_over_ranks(self._sums))

    def reset(self) -> None:
        """Forget everything."""
        self._sums.zero_()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the sums over all processes."""
        return {"sums": parallel.sum_over_ranks(self._sums)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the sums, in one of the processes."""
        self._sums.copy_(state["sums"] if parallel.is_first() else torch.zeros_like(self._sums))

    def __str__(self) -> str:
        """Write this process's averages, for the progress bar."""
        return str(_average(self._sums)) if self._examples else ""


@torch.no_grad()
def evaluate(
    model: Module, loss_function: Callable[[Tensor, Tensor], Tensor], inputs: Tensor, labels: Tensor
) -> Metrics:
    """Measure a model on inputs (N, ...) and labels (N,), on its device. Call ``model.eval()`` first.

    The model maps inputs to logits (N, C), of which ``loss_function`` gives the mean loss. Of several
    processes each takes its part of the examples, and gets the metrics of all.
    """
    metrics = MetricAccumulator(inputs.device)
    parts = [rows.tensor_split(parallel.world_size())[parallel.rank()] for rows in (inputs, labels)]
    for rows, targets in zip(*(part.split(EVALUATION_ROWS) for part in parts), strict=True):
        logits = model(rows)
        metrics.update(loss_function(logits, targets), logits, targets)
    return metrics.compute()


def _average(sums: Tensor) -> Metrics:
    examples, loss, correct = sums.tolist()
    return Metrics(loss / examples, correct / examples)
