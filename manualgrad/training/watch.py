"""What a network's page shows of its training. The loop calls it in the open, after backward and step."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import manualgrad.nn as nn
from manualgrad.training.backward_graph import backward_graph, hand_written, lesson
from manualgrad.training.charts import LAYOUT
from manualgrad.training.layers import layer_outputs, split_into_layers, stuck_parts
from manualgrad.training.run import Run
from manualgrad.training.spot_check import worst_relative_error

CLOSER = 8  # every so many looks are closer ones, each of which costs as much as several steps


class Watch:
    """Looks at a network every so many steps, and changes nothing about its training.

    A look takes norms; a closer one also distributions, and checks the gradients against numeric ones.

    Parameters
    ----------
    run : Run
        On whose page everything goes. With ``--log none`` there are no looks, with ``everything`` all are
        closer ones.
    model : Sequential
        The network.
    loss_function : callable
        The loss of its outputs and the targets.
    optimizer : Optimizer
        Tells the learning rate.
    probe : Tensor
        (N, ...): the inputs on which activations are observed, always the same.
    every : int
        Steps from one look to the next.
    """

    def __init__(
        self,
        run: Run,
        model: nn.Sequential,
        loss_function: Callable[[Tensor, Tensor], Tensor],
        optimizer: torch.optim.Optimizer,
        probe: Tensor,
        every: int,
    ) -> None:
        self.page = run.page
        self.model = model
        self.layers = split_into_layers(model)
        self.loss_function = loss_function
        self.optimizer = optimizer
        self.probe = probe
        self.every = every
        self.closer = every * (1 if self.page.shows("everything") else CLOSER)
        self.generator = torch.Generator().manual_seed(0)  # its own: the global one belongs to the training
        self.step = 0
        self.examples = 0  # trained on since the clock was started
        self.clock = time.perf_counter()
        self.figures: dict[str, float] = {}  # of the look that is going on
        self.weights_before: list[list[Tensor]] = []

    def begin_epoch(self) -> None:
        """Start the clock anew: what happened since the last epoch was no training."""
        self.examples = 0
        self.clock = time.perf_counter()

    def after_backward(self, loss: Tensor, inputs: Tensor, targets: Tensor) -> None:
        """Look at the gradients, if it is time to.

        Parameters
        ----------
        loss : Tensor
            On which ``backward`` was called.
        inputs, targets : Tensor
            The batch, N rows each.
        """
        self.examples += len(inputs)
        if not self._is_time(self.every):
            return
        self.figures = {"loss/batch": loss.item(), "learning rate": self.optimizer.param_groups[0]["lr"]}
        if self.step == 0:  # which also warmed up: its speed says nothing
            self._introduce(loss)
        else:
            self.figures["speed/examples per second"] = self.examples / (time.perf_counter() - self.clock)
        gradients = [[p.grad for p in layer.parameters if p.grad is not None] for layer in self.layers]
        self._measure("gradient norm", gradients)
        self.weights_before = [[p.detach().clone() for p in layer.parameters] for layer in self.layers]
        if self._is_time(self.closer):
            error = worst_relative_error(self.model, self.loss_function, inputs, targets, self.generator)
            self.figures["gradient check/worst relative error"] = error
            self._show_distributions("gradients", [tensors[0] for tensors in gradients])

    def after_step(self) -> None:
        """Look at how far the step moved the weights, and at what the units put out now."""
        if self._is_time(self.every):
            weights = [layer.parameters for layer in self.layers]
            updates = [
                [new - old for new, old in zip(*pair, strict=True)]
                for pair in zip(weights, self.weights_before, strict=True)
            ]
            self._measure("parameter norm", weights)
            for layer, update, before in zip(self.layers, updates, self.weights_before, strict=True):
                ratio = _norm(update) / _norm(before)
                self.figures[f"log10 update to weight/{layer.name}"] = ratio.log10().clamp(min=-20).item()
            self._look_at_units()
            self.page.scalars(self.step, self.figures)
            self.begin_epoch()  # the look took time, but is no training either
        self.step += 1

    def state_dict(self) -> dict[str, Any]:
        """Return what decides when the next look is, and at what."""
        return {"step": self.step, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        self.step = state["step"]
        self.generator.set_state(state["generator"])

    def _is_time(self, every: int) -> bool:
        return self.step % every == 0 and self.page.shows("scalars")

    def _look_at_units(self) -> None:
        outputs = layer_outputs(self.layers, self.probe)
        self.figures |= stuck_parts(self.layers, outputs)
        if self._is_time(self.closer):
            self._show_distributions("weights", [layer.parameters[0] for layer in self.layers])
            self._show_distributions("activations", outputs)

    def _introduce(self, loss: Tensor) -> None:
        """Show what is known from the first backward on: the graph, its lessons, the page's order."""
        self.page.graph(backward_graph(loss, self.model))
        for function in hand_written(loss):
            self.page.text(f"lessons/{function.__name__}", lesson(function))
        self.page.layout(LAYOUT)

    def _measure(self, what: str, tensors: Sequence[Sequence[Tensor]]) -> None:
        norms = torch.stack([_norm(of_layer) for of_layer in tensors]).tolist()  # one wait for the device
        self.figures |= {f"{what}/{layer.name}": norm for layer, norm in zip(self.layers, norms, strict=True)}

    def _show_distributions(self, what: str, tensors: Sequence[Tensor]) -> None:
        for layer, tensor in zip(self.layers, tensors, strict=True):
            self.page.histogram(f"{what}/{layer.name}", tensor, self.step)


def _norm(tensors: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of all numbers together: ()."""
    return torch.linalg.vector_norm(
        torch.stack([torch.linalg.vector_norm(tensor.detach()) for tensor in tensors])
    )
