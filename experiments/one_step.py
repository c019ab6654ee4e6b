"""What does a single step of gradient descent change?

    python experiments/one_step.py

shows a 2-2-1 network on the four rows of XOR before and after one step: what every unit puts out, and the
error signal δ = ∂E/∂net that comes back to it. E = ½ Σ (target - output)² falls a little, and the four
outputs draw closer together: what this network learns first is to say "about a half". The figures are set
beside those of the source document, a notebook that takes this step in NumPy. It takes two seconds.

In TensorBoard step 0 is before and step 1 after.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

import manualgrad.functions as F
from manualgrad.data.documents import compare, load
from manualgrad.data.xor import xor
from manualgrad.plots.network import plot_sigmoid_network
from manualgrad.table import print_table
from manualgrad.training import Config as BaseConfig
from manualgrad.training import RunDir, check_range, launch, setup

GIVEN = load("one_step").given


@dataclass(frozen=True, kw_only=True)
class Config(BaseConfig):
    """Where to start, and how far to step."""

    seed: int = GIVEN["seed"]
    """Of the initial weights."""

    learning_rate: float = GIVEN["learning_rate"]
    """Size of the step."""

    def __post_init__(self) -> None:
        """Check the bounds."""
        super().__post_init__()
        check_range("learning-rate", self.learning_rate, minimum=0)


def main(config: Config) -> dict[str, Any]:
    """Take one step, and show the network before and after it."""
    device = setup(config, torch.float64)
    inputs, targets = xor(torch.float64, device)
    numbers = np.random.RandomState(config.seed)  # the legacy generator, which the document uses
    # The document writes x @ W with W of shape (inputs, units); PyTorch keeps the transpose, a row a unit.
    w1 = torch.tensor(numbers.rand(2, 2).T, device=device, requires_grad=True)
    w2 = torch.tensor(numbers.rand(2, 1).T, device=device, requires_grad=True)

    looks = []
    with RunDir("one_step", config, device) as run:
        for step, when in enumerate(("before", "after")):
            tensors, gradients = go_forward_and_back(inputs, targets, w1, w2)
            looks.append(tensors)
            show(f"{when.title()} the step", tensors, gradients, targets)
            outputs = {f"output/row {row}": y.item() for row, y in enumerate(tensors["out_o"])}
            norms = {f"gradient/{name}": gradients[name].norm().item() for name in ("W1", "W2")}
            run.log_scalars(step, {"error": tensors["E"].item()} | outputs | norms)
            title = f"What does one step change? {when.title()} it: four rows at once"
            run.log_figure("network", step, plot_sigmoid_network, title, tensors, gradients)
            if when == "before":
                with torch.no_grad():
                    w1 -= config.learning_rate * gradients["W1"]
                    w2 -= config.learning_rate * gradients["W2"]

        ours = {
            "output before": looks[0]["out_o"].flatten(),
            "W1": w1.t(),
            "W2": w2.flatten(),
            "output after": looks[1]["out_o"].flatten(),
            "target": targets.flatten(),
        }
        as_given = (config.seed, config.learning_rate) == (GIVEN["seed"], GIVEN["learning_rate"])
        comparison = compare("one_step", ours if as_given else {})
        errors = {"error_before": looks[0]["E"].item(), "error_after": looks[1]["E"].item()}
        metrics = run.finish(errors | comparison.metrics)
    comparison.raise_if_different()
    return metrics


def go_forward_and_back(
    inputs: Tensor, targets: Tensor, w1: Tensor, w2: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Compute every number of the network, and ∂E by each: N rows, H hidden units, one output."""
    net_h = F.linear(inputs, w1)  # (N, 2) @ (2, H) -> (N, H)
    out_h = F.sigmoid(net_h)
    net_o = F.linear(out_h, w2)  # (N, H) @ (H, 1) -> (N, 1)
    out_o = F.sigmoid(net_o)
    error = F.mse_loss(out_o, targets, reduction="sum") / 2
    tensors = {"W1": w1, "net_h": net_h, "out_h": out_h, "W2": w2, "net_o": net_o, "out_o": out_o, "E": error}
    gradients = dict(zip(tensors, torch.autograd.grad(error, tuple(tensors.values())), strict=True))
    now = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    return now | {"x": inputs}, gradients


def show(title: str, tensors: dict[str, Tensor], gradients: dict[str, Tensor], targets: Tensor) -> None:
    """Print a line for each row of XOR."""
    errors = targets - tensors["out_o"]
    columns = [tensors["out_h"], tensors["out_o"], errors, gradients["net_o"], gradients["net_h"]]
    print_table(
        f"{title}: E = ½ Σ error² = {tensors['E'].item():.6f}",
        ("input", "h1", "h2", "output", "error", "δ output", "δ h1", "δ h2"),
        [
            [" ".join(f"{bit:.0f}" for bit in bits), *(f"{number:.5f}" for number in line)]
            for bits, line in zip(tensors["x"].tolist(), torch.cat(columns, dim=1).tolist(), strict=True)
        ],
    )


if __name__ == "__main__":
    raise SystemExit(launch(main, Config))
