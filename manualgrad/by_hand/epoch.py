"""The training loop of a by-hand network, and its step as one recording on a CUDA device.

On a GPU a step of MNIST's network is forty small kernels, and launching them from Python takes longer than
they run. All of them read and write the same tensors in every step, so they can be recorded once, as a CUDA
graph, and replayed with one call. Nothing in an epoch waits for the device: its sums stay there to the end.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer

from manualgrad.by_hand.classifier import Classifier
from manualgrad.training.finite import Guard
from manualgrad.training.keeper import Keeper
from manualgrad.training.loop import Score, Tally

WARM_UP = 3  # steps before the recording, in which CUDA's libraries set themselves up

Step = Callable[[Tensor, Tensor], None]


class Trainer:
    """Trains a network epoch by epoch.

    Parameters
    ----------
    network : Classifier
        Computes its own gradients.
    optimizer : Optimizer
        Over ``network.parameters``; on CUDA it must be ``capturable``.
    tally : Tally, optional
        Where its sums are kept, if an epoch that was interrupted should go on.
    guard : Guard, optional
        Stops before a loss or a gradient that is not finite reaches the weights. The optimizer is fused.
    """

    def __init__(
        self,
        network: Classifier,
        optimizer: Optimizer,
        tally: Tally | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.network, self.optimizer, self.guard = network, optimizer, guard
        device = network.parameters.device
        self.tally = tally or Tally(device)
        self._step: Step = Recorded(self.step) if device.type == "cuda" else self.step

    def train_epoch(self, batches: Iterable[tuple[Tensor, Tensor]], keeper: Keeper | None = None) -> Score:
        """Train on each batch once.

        Parameters
        ----------
        batches : iterable of (Tensor, Tensor)
            Inputs (N, ...) and labels (N,), on the network's device.
        keeper : Keeper, optional
            Saves when it is time to, and stops when asked to.

        Returns
        -------
        Score
            Over the epoch, each batch as it was before its own step.

        Raises
        ------
        Interrupted
            After a whole step, and once everything is saved.
        """
        if keeper is None:
            self.tally.clear()
        for step, (inputs, labels) in enumerate(batches, keeper.position.steps if keeper else 0):
            self._step(inputs, labels)
            if self.guard:  # the step may be a recording, in which nothing can be read
                self.guard.read(inputs, labels, step)
            if keeper:
                keeper.after_step()
        if self.guard:
            self.guard.settle()
        return self.tally.score()

    def step(self, inputs: Tensor, labels: Tensor) -> None:
        """Forward, backward, update; and add to the epoch's sums."""
        loss = self.network.forward(inputs, labels)
        self.network.backward()
        if self.guard:
            self.guard.look(loss)
        self.optimizer.step()
        self.tally.add(loss, self.network.logits, labels)


class Mirror:
    """A model as a checkpoint keeps it, with the weights that the network by hand has by then.

    Parameters
    ----------
    network : Classifier
        Learns.
    model : Module
        Gets its weights whenever they are saved, and gives them back.
    """

    def __init__(self, network: Classifier, model: Module) -> None:
        self.network, self.model = network, model

    def state_dict(self) -> dict[str, Any]:
        """Return the weights by the model's names."""
        self.network.store(self.model)
        return self.model.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over weights by the model's names."""
        self.model.load_state_dict(state)
        self.network.load(self.model)


class Recorded:
    """A step on tensors of its own, into which each batch is copied: what a recording needs.

    The first steps run as they are, the next one is recorded, and all the others replay it. Each of them
    trains. A batch of another size, such as a short last one, is not recorded. Where there is no CUDA, every
    step runs as it is, on the same copies.

    Parameters
    ----------
    step : callable
        Takes inputs and labels, and never looks at a result on the host.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._batch: tuple[Tensor, Tensor] | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._warm_up = WARM_UP

    def __call__(self, inputs: Tensor, labels: Tensor) -> None:
        """Train on one batch."""
        if self._batch is None:
            self._batch = torch.empty_like(inputs), torch.empty_like(labels)
        if inputs.shape != self._batch[0].shape:
            self._step(inputs, labels)
            return
        self._batch[0].copy_(inputs)
        self._batch[1].copy_(labels)
        if not inputs.is_cuda:
            self._step(*self._batch)
        elif self._graph is not None:
            self._graph.replay()
        elif self._warm_up > 0:
            self._warm_up -= 1
            self._run_aside()
        else:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._step(*self._batch)
            self._graph.replay()  # recording alone computes nothing

    def _run_aside(self) -> None:
        """Run on a stream of its own, as CUDA asks of what is recorded afterwards."""
        assert self._batch is not None
        stream, main = torch.cuda.Stream(), torch.cuda.current_stream()
        stream.wait_stream(main)
        with torch.cuda.stream(stream):
            self._step(*self._batch)
        main.wait_stream(stream)
