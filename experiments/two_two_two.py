"""Where does every single derivative of a network come from?

    python experiments/two_two_two.py

takes two inputs, two hidden and two output units, one bias a layer, and goes by hand: forward unit by unit,
then back to the derivative of E = ½ Σ (target - out)² by each of the eight weights and both biases, factor by
factor, with the gradient of the hand-written Functions beside each product. One update follows; then, from
the same start, 10 000 updates of the weights alone take E to 3.51e-5. It takes about seven seconds. Nothing
here is random, so every --seed gives the same figures.

All figures are compared with the documents'. These print none of the updated biases, and one of them updates
them by a slip: it takes b - lr · b, the bias itself where its gradient belongs. Here the gradient is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

import manualgrad.functions as F
from manualgrad.data.documents import compare, load
from manualgrad.errors import UserError
from manualgrad.pages.small_networks import show_sigmoid_network
from manualgrad.table import print_table
from manualgrad.training import (
    GradientDescent,
    Metrics,
    Run,
    RunSettings,
    changed_settings,
    launch,
    option,
    prepare,
    track,
)

GIVEN = load("two_two_two").given
LEARNING_RATE = GIVEN["learning_rate"]
NAMES = ("w1", "w2", "w3", "w4", "b1", "w5", "w6", "w7", "w8", "b2")
LOG_EVERY = 100  # steps

Parameters = Sequence[Tensor]  # W1 (2, 2), a row for each hidden unit; b1 (); W2 (2, 2); b2 ()


class Units(NamedTuple):
    """What the units of both layers take in and put out, (2,) each."""

    net_h: Tensor
    out_h: Tensor
    net_o: Tensor
    out_o: Tensor


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    """How long to train after the update that is shown."""

    steps: int = option(GIVEN["steps"], "updates of the weights alone, from the same start", minimum=0)


def run(settings: Settings) -> Metrics:
    """Forward, backward, one update, many updates."""
    device = prepare(settings.device, settings.seed, torch.float64)
    x, target, *start = (
        torch.tensor(GIVEN[name], dtype=torch.float64, device=device)
        for name in ("input", "target", "W1", "b1", "W2", "b2")
    )
    parameters = [number.clone().requires_grad_() for number in start]
    units = forward(x, parameters)
    errors = F.mse_loss(units.out_o, target, reduction="none") / 2
    gradients = torch.autograd.grad(errors.sum(), parameters)
    updated = [old - LEARNING_RATE * gradient for old, gradient in zip(start, gradients, strict=True)]

    with torch.no_grad():
        show_forward(x, start, units, errors)
        right = show_backward(x, target, start, units, gradients)
        show_update(start, gradients, updated)

    ours: dict[str, Tensor] = {
        "net h": units.net_h[:1],
        "out h": units.out_h,
        "out o": units.out_o,
        "E o": errors,
        "E": errors.sum(),
        "2nd: out h": units.out_h,
        "2nd: out o": units.out_o,
        "2nd: E": errors.sum(),
        "∂E/∂W1": gradients[0],
        "∂E/∂W2": gradients[2],
        "W1 updated": updated[0],
        "W2 updated": updated[2],
    }
    with Run("two_two_two", changed_settings(settings), settings, device) as record:
        row, targets = x.unsqueeze(0), target.unsqueeze(0)  # (1, 2) each
        show_sigmoid_network(
            record, 0, "Before the update", row, targets, start[0], start[2], start[1], start[3]
        )
        trained, error_trained = train(record, settings.steps, x, target, start)
        if settings.steps == GIVEN["steps"]:
            ours |= {"E, trained": error_trained, "out o, trained": trained}
        comparison = compare("two_two_two", ours)
        print_table("The documents' figures", comparison.header, comparison.rows())
        print(comparison.summary())
        reached = {
            "updated": dict(zip(NAMES, flat(updated).tolist(), strict=True)),
            "error_trained": error_trained.item(),
            "outputs_trained": trained.tolist(),
        }
        metrics = record.finish(reached | comparison.metrics())
    if not right:
        raise UserError("a product of factors is not the gradient that the Functions give")
    comparison.raise_if_different()
    return metrics


def forward(x: Tensor, parameters: Parameters) -> Units:
    """Put an input through both layers."""
    w1, b1, w2, b2 = parameters
    net_h = F.linear(x, w1, b1)
    out_h = F.sigmoid(net_h)
    net_o = F.linear(out_h, w2, b2)
    out_o = F.sigmoid(net_o)
    return Units(net_h, out_h, net_o, out_o)


def train(record: Run, steps: int, x: Tensor, target: Tensor, start: Parameters) -> tuple[Tensor, Tensor]:
    """Let the weights learn while the biases stay; return the outputs and E that they come to."""
    w1, b1, w2, b2 = (number.clone() for number in start)
    optimizer = GradientDescent([w1.requires_grad_(), w2.requires_grad_()], LEARNING_RATE)
    for step in track(range(steps + 1), "training"):
        optimizer.zero_grad()
        out_o = forward(x, (w1, b1, w2, b2)).out_o
        error = F.mse_loss(out_o, target, reduction="sum") / 2
        if step % LOG_EVERY == 0:
            record.log(step, {"E": error.item(), "output/o1": out_o[0].item(), "output/o2": out_o[1].item()})
        if step < steps:
            error.backward()
            optimizer.step()
    return out_o.detach(), error.detach()


def show_forward(x: Tensor, parameters: Parameters, units: Units, errors: Tensor) -> None:
    """Print every unit with its sum written out, and E."""
    w1, b1, w2, b2 = parameters
    rows = []
    for layer, inputs, weight, bias, net, out in (
        ("h", x, w1, b1, units.net_h, units.out_h),
        ("o", units.out_h, w2, b2, units.net_o, units.out_o),
    ):
        for i in range(2):
            terms = [f"{w:g} · {value:.6g}" for w, value in zip(weight[i], inputs, strict=True)]
            rows.append((f"{layer}{i + 1}", " + ".join([*terms, f"{bias:g}"]), *digits([net[i], out[i]])))
    print_table("Forward", ("unit", "w · input + w · input + b", "net", "out = σ(net)"), rows)
    print(f"E = ½ Σ (target - out)² = {errors[0]:.8f} + {errors[1]:.8f} = {errors.sum():.8f}\n")


def show_backward(
    x: Tensor, target: Tensor, parameters: Parameters, units: Units, gradients: Parameters
) -> bool:
    """Print every derivative as the product of its factors; say whether all are the Functions' gradients."""
    _, _, w2, _ = parameters
    out_h, out_o = units.out_h, units.out_o
    slope_o = out_o - target  # ∂E/∂out o: (O,)
    right = show_factors("o", slope_o, out_o, out_h, NAMES[5:], gradients[2:])

    paths = w2 * (slope_o * out_o * (1 - out_o)).unsqueeze(1)  # ∂net o/∂out h · ∂E/∂net o: (O, H)
    slope_h = paths.sum(0)  # ∂E/∂out h: a hidden unit reaches E through both output units: (H,)
    rows = [(f"h{i + 1}", *digits([*paths[:, i], slope_h[i]])) for i in range(2)]
    print_table("∂E/∂out h = Σ w · ∂E/∂net o", ("unit", "through o1", "through o2", "∂E/∂out"), rows)
    return show_factors("h", slope_h, out_h, x, NAMES[:5], gradients[:2]) and right


def show_factors(
    layer: str, slope: Tensor, out: Tensor, inputs: Tensor, names: Sequence[str], gradients: Parameters
) -> bool:
    """Print a layer's derivatives factor by factor; say whether they are the Functions' gradients."""
    *weights, bias = names
    grad_weight, grad_bias = gradients
    sigmoid_slope = out * (1 - out)  # ∂out/∂net of each unit: (2,)
    delta = slope * sigmoid_slope  # ∂E/∂net of each unit: (2,)
    rows = []
    for (i, j), name in zip(product(range(2), repeat=2), weights, strict=True):
        factors = (slope[i], sigmoid_slope[i], inputs[j])
        rows.append((name, *digits([*factors, delta[i] * inputs[j], grad_weight[i, j]])))
    for i in range(2):
        rows.append(
            (f"{bias} at {layer}{i + 1}", *digits([slope[i], sigmoid_slope[i]]), "1", *digits([delta[i]]), "")
        )
    rows.append((f"{bias}, summed", "", "", "", *digits([delta.sum(), grad_bias])))
    print_table(
        f"∂E/∂w = ∂E/∂out · ∂out/∂net · ∂net/∂w for each unit {layer}",
        ("", "∂E/∂out", "∂out/∂net", "∂net/∂w", "product", "Functions"),
        rows,
    )
    by_hand = flat([torch.outer(delta, inputs), delta.sum()])
    return torch.allclose(by_hand, flat(gradients), rtol=1e-12, atol=0)


def show_update(start: Parameters, gradients: Parameters, updated: Parameters) -> None:
    """Print one step of gradient descent, and what the document does to the biases instead."""
    rows = zip(NAMES, *(digits(flat(tensors)) for tensors in (start, gradients, updated)), strict=True)
    print_table(f"One update: new = old - {LEARNING_RATE} · gradient", ("", "old", "gradient", "new"), rows)
    slips = " and ".join(f"{b - LEARNING_RATE * b:g}" for b in (start[1], start[3]))
    print(
        f"The document's biases become {slips}: a slip, which takes b - {LEARNING_RATE} · b, the bias itself"
    )
    print("in place of its gradient. No figure that it prints depends on them.\n")


def flat(parameters: Parameters) -> Tensor:
    """Put all numbers into one row, in the order of NAMES: (10,)."""
    return torch.cat([parameter.flatten() for parameter in parameters])


def digits(numbers: Sequence[Tensor] | Tensor) -> list[str]:
    """Write numbers with the eight decimals that the documents mostly have."""
    return [f"{number:.8f}" for number in numbers]


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return launch(run, Settings, __doc__, argv)


if __name__ == "__main__":
    raise SystemExit(main())
