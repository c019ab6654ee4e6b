"""What does a single step of gradient descent change?

    python experiments/one_step.py

shows a 2-2-1 network on the four rows of exclusive or before and after one step: what every unit puts out,
and the error signal δ = ∂E/∂net that comes back to it from the output. E = ½ Σ (target - output)² falls a
little, and the four outputs draw closer together: what this network learns first is to say "about a half".
All figures are compared with the document's. It takes two seconds, most of them for imports.

In TensorBoard, step 0 is before and step 1 after.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

import manualgrad.functions as F
from manualgrad.data.documents import compare, load
from manualgrad.data.xor import xor
from manualgrad.pages.small_networks import show_sigmoid_network
from manualgrad.table import print_table
from manualgrad.training import Metrics, Run, RunSettings, changed_settings, launch, option, prepare

GIVEN = load("one_step").given


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    """Where to start, and how far to step."""

    seed: int = option(GIVEN["seed"], "of the initial weights", minimum=0, maximum=2**32 - 1)
    learning_rate: float = option(GIVEN["learning_rate"], "the step's size", minimum=0)


class Pass(NamedTuple):
    """One way forward and back through the network, for N rows, H hidden units and one output."""

    hidden: Tensor  # (N, H)
    output: Tensor  # (N, 1)
    error: Tensor  # ()
    grad_net_hidden: Tensor  # (N, H)
    grad_net_output: Tensor  # (N, 1)
    grad_w1: Tensor  # (H, 2)
    grad_w2: Tensor  # (1, H)


def run(settings: Settings) -> Metrics:
    """Look, take one step, look again."""
    device = prepare(settings.device, settings.seed, torch.float64)
    inputs, targets = xor(torch.float64, device)
    numbers = np.random.RandomState(settings.seed)  # the legacy generator, which the document uses
    # The document writes x @ W with W of shape (inputs, units); PyTorch keeps the transpose, a row a unit.
    w1 = torch.tensor(numbers.rand(2, 2).T, device=device, requires_grad=True)
    w2 = torch.tensor(numbers.rand(2, 1).T, device=device, requires_grad=True)

    start = w1.detach().clone(), w2.detach().clone()
    before = forward_and_back(inputs, targets, w1, w2)
    show("Before the step", before, inputs, targets)
    with torch.no_grad():
        w1 -= settings.learning_rate * before.grad_w1
        w2 -= settings.learning_rate * before.grad_w2
    after = forward_and_back(inputs, targets, w1, w2)
    show("After the step", after, inputs, targets)

    ours = {"output before": before.output, "W1": w1.t(), "W2": w2.t(), "output after": after.output}
    as_in_the_document = (settings.seed, settings.learning_rate) == (GIVEN["seed"], GIVEN["learning_rate"])
    comparison = compare("one_step", ours | {"target": targets} if as_in_the_document else {})
    print_table("The document's figures", comparison.header, comparison.rows())
    print(comparison.summary())

    with Run("one_step", changed_settings(settings), settings, device) as record:
        for step, look in enumerate((before, after)):
            outputs = {f"output/row {row}": y.item() for row, y in enumerate(look.output)}
            slopes = {"gradient/w1": look.grad_w1.norm().item(), "gradient/w2": look.grad_w2.norm().item()}
            record.log(step, {"error": look.error.item()} | outputs | slopes)
        show_sigmoid_network(record, 0, "Before the step: four rows at once", inputs, targets, *start)
        show_sigmoid_network(record, 1, "After the step: four rows at once", inputs, targets, w1, w2)
        errors = {"error_before": before.error.item(), "error_after": after.error.item()}
        metrics = record.finish(errors | comparison.metrics())
    comparison.raise_if_different()
    return metrics


def forward_and_back(inputs: Tensor, targets: Tensor, w1: Tensor, w2: Tensor) -> Pass:
    """Compute what every unit puts out, and how the error changes with every net input and weight."""
    net_hidden = F.linear(inputs, w1)
    hidden = F.sigmoid(net_hidden)
    net_output = F.linear(hidden, w2)
    output = F.sigmoid(net_output)
    error = F.mse_loss(output, targets, reduction="sum") / 2
    return Pass(hidden, output, error, *torch.autograd.grad(error, (net_hidden, net_output, w1, w2)))


def show(title: str, look: Pass, inputs: Tensor, targets: Tensor) -> None:
    """Print a line for each row of exclusive or."""
    columns = torch.cat(
        [look.hidden, look.output, targets - look.output, look.grad_net_output, look.grad_net_hidden], dim=1
    )
    print_table(
        f"{title}: E = ½ Σ error² = {look.error.item():.6f}",
        ("input", "h1", "h2", "output", "error", "δ output", "δ h1", "δ h2"),
        [
            [" ".join(f"{bit:.0f}" for bit in bits), *(f"{number:.5f}" for number in line)]
            for bits, line in zip(inputs.tolist(), columns.tolist(), strict=True)
        ],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return launch(run, Settings, __doc__, argv)


if __name__ == "__main__":
    raise SystemExit(main())
