"""What TensorBoard shows of a network's training. The loop calls it in the open, after backward and step."""

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

import manualgrad.nn as nn
from manualgrad.training import charts, parallel
from manualgrad.training.answers import answer
from manualgrad.training.backward_graph import backward_graph, lessons
from manualgrad.training.layers import STICKY, layer_outputs, split_into_layers, stuck_parts
from manualgrad.training.metrics import Metrics
from manualgrad.training.run_dir import RunDir, log_times, to_table
from manualgrad.training.spot_check import worst_relative_error

BUCKETS = 40  # of a histogram; TensorBoard draws 30
SAMPLE = 10_000  # numbers of a tensor, at most: their distribution is that of all
DETAILS, CHECKS = 8, 4  # records with distributions, and with a gradient check, which costs several steps


class TrainingMonitor:
    """Log diagnostics every so many steps. It changes nothing about the training.

    A record has norms and stuck units, a line a layer; at a few logarithmic times also distributions, and a
    check of the gradients against numeric ones.

    The activations are observed on a probe (N, ...), inputs that are always the same. A record comes every so
    many steps, up to the training's last, and before at steps 2, 4, 8 and so on, where most is learnt; with
    ``--log none`` there is none.
    """

    def __init__(
        self,
        run: RunDir,
        model: nn.Sequential,
        loss_function: Callable[[Tensor, Tensor], Tensor],
        optimizer: Any,
        probe: Tensor,
        every: int,
        last: int,
    ) -> None:
        self.run, self.model, self.loss_function, self.optimizer = run, model, loss_function, optimizer
        self.probe, self.every = probe, every
        self.layers = split_into_layers(model)
        # The records at or before the logarithmic times.
        self.detailed, self.checked = (
            {1 + (step - 1) // every * every for step in log_times(last, most)} for most in (DETAILS, CHECKS)
        )
        self.records: list[dict[str, float]] = []
        self.epochs: list[dict[str, float]] = []
        self._generator = torch.Generator().manual_seed(0)  # its own: the global one belongs to the training
        self._weights_before: list[list[Tensor]] = []
        run.descriptions |= charts.DESCRIPTIONS

    def after_backward(self, step: int, loss: Tensor, inputs: Tensor, targets: Tensor) -> None:
        """Record the gradients that ``loss.backward()`` gave the batch, if it is time to."""
        if not self._is_due(step):
            return
        record = {charts.BATCH: loss.item(), charts.RATE: self.optimizer.param_groups[0]["lr"]}
        if step == 1:
            self._introduce(loss)
        gradients = [[p.grad for p in layer.parameters if p.grad is not None] for layer in self.layers]
        record |= self._norms(charts.GRADIENT, gradients)
        if step in self.checked and parallel.world_size() == 1:  # else the gradient is of others' rows, too
            error = worst_relative_error(self.model, self.loss_function, inputs, targets, self._generator)
            record[charts.CHECK] = max(error, torch.finfo(torch.float64).eps)  # as exact as it computes
        if step in self.detailed:
            self._log_distributions("gradients", step, [tensors[0] for tensors in gradients if tensors])
        self._weights_before = [[p.detach().clone() for p in layer.parameters] for layer in self.layers]
        self.records.append(record)

    def after_step(self, step: int) -> None:
        """Record how far the step moved the weights, and what the units put out now."""
        if not self._is_due(step):
            return
        record = self.records[-1]
        record |= self._norms(charts.WEIGHT, [layer.parameters for layer in self.layers])
        for layer, before in zip(self.layers, self._weights_before, strict=True):
            update = [new - old for new, old in zip(layer.parameters, before, strict=True)]
            ratio = _norm(update) / _norm(before)
            if ratio.isfinite():  # the first step away from zero has no ratio
                record[f"{charts.UPDATE}/{layer.name}"] = ratio.item()
        self.model.eval()  # in training batch norm would count the probe, and dropout draw a mask
        outputs = layer_outputs(self.layers, self.probe)
        self.model.train()
        record |= {f"{charts.STUCK}/{name}": part for name, part in stuck_parts(self.layers, outputs).items()}
        limits: dict[str, float] = {}
        for name, value in record.items():
            tag, _, part = name.partition("/")
            limits |= {tag: charts.LIMITS[tag]} if tag in charts.LIMITS else {}
            if tag.startswith("log10 of "):
                value = math.log10(max(value, 1e-20))
            self.run.log_scalars(step, {tag: value}, part or "training")
        self.run.log_scalars(step, limits)
        if step in self.detailed:
            self._log_distributions("weights", step, [layer.parameters[0] for layer in self.layers])
            self._log_distributions("activations", step, outputs)

    def after_epoch(self, step: int, training: Metrics, validation: Metrics) -> None:
        """Record an epoch's loss and accuracy: two colours in each chart."""
        parts = {"training": training, "validation": validation}
        for part, metrics in parts.items():
            self.run.log_scalars(step, vars(metrics), part)
        self.epochs.append(
            {f"{of}_{name}": v for of, part in parts.items() for name, v in vars(part).items()}
        )

    def report(self, accuracy: float, guessing: float) -> dict[str, str]:
        """Answer the five questions, on the terminal and in the Text tab.

        If an answer is no, the first line says with which to begin. The accuracy is the trained network's, on
        what it did not train on where there is such; guessing gets that of always answering the most frequent
        class.
        """
        relus = [layer.name for layer in self.layers if isinstance(layer.activation(), torch.nn.ReLU)]
        answers = answer(self.records, self.epochs, accuracy, guessing, relus)
        for question, text in answers.items():
            print(textwrap.fill(f"{question} {text}", 80, subsequent_indent="  "))
        where = (
            "Custom Scalars has the charts, by the same numbers. Untick 'Ignore outliers' for every point."
        )
        if self.run.logs:
            self.run.writer().add_text(
                "about/answers", f"{where}\n\n{to_table('question', 'answer', answers)}"
            )
        return answers

    def state_dict(self) -> dict[str, Any]:
        """Return what was recorded, and what decides where the next check looks."""
        return {"records": self.records, "epochs": self.epochs, "generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state."""
        self.records, self.epochs = state["records"], state["epochs"]
        self._generator.set_state(state["generator"])

    def _is_due(self, step: int) -> bool:
        early = step < self.every and math.log2(step).is_integer()
        return self.run.logs and (early or (step - 1) % self.every == 0)

    def _introduce(self, loss: Tensor) -> None:
        """Log what is known from the first backward on: the charts' layout, the graph and its lessons."""
        writer = self.run.writer()
        can_stick = any(isinstance(layer.activation(), STICKY) for layer in self.layers)
        questions = charts.LAYOUT.items()
        writer.add_custom_scalars({q: c for q, c in questions if can_stick or q != charts.UNSTUCK})
        writer.add_text("about/charts", to_table("chart", "what it shows", charts.DESCRIPTIONS))
        if not self.run.full or loss.grad_fn is None:  # by hand there is no graph
            return
        from tensorboard.compat.proto.event_pb2 import Event

        graph = backward_graph(loss, self.model)
        writer.file_writer.add_event(Event(graph_def=graph.SerializeToString()))
        for function, lesson in lessons(loss).items():
            writer.add_text(f"lessons/{function}", lesson)

    def _norms(self, tag: str, tensors: Sequence[Sequence[Tensor]]) -> dict[str, float]:
        norms = torch.stack([_norm(of_layer) for of_layer in tensors]).tolist()  # one wait for the device
        return {f"{tag}/{layer.name}": norm for layer, norm in zip(self.layers, norms, strict=True)}

    def _log_distributions(self, what: str, step: int, tensors: Sequence[Tensor]) -> None:
        if not self.run.full:
            return
        for layer, tensor in zip(self.layers, tensors, strict=True):
            numbers = tensor.detach().flatten()[:: -(-tensor.numel() // SAMPLE)].cpu().numpy()
            if np.isfinite(numbers).all():
                self.run.writer().add_histogram(f"{what}/{layer.name}", numbers, step, bins=BUCKETS)


def _norm(tensors: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of all numbers together: ()."""
    norms = [torch.linalg.vector_norm(tensor.detach()) for tensor in tensors]
    return torch.linalg.vector_norm(torch.stack(norms))
