"""Where does every single derivative of a network come from?

    python experiments/two_two_two.py

follows Matt Mazur's worked example: two inputs, two hidden and two output units, one bias a layer. It goes by
hand: forward unit by unit, then back to the derivative of E = ½ Σ (target - out)² by each of the eight
weights and both biases, factor by factor, with the hand-written Functions' gradient beside each product.
One update follows; then, from the same start, 10 000 updates of the weights alone take E to 3.51e-5. It takes
about seven seconds. Nothing is random, so every --seed gives the same figures.

The figures are those of two notebooks that repeat the example. One of them updates the biases by a slip,
b - lr · b, the bias itself where its gradient belongs. Here the gradient is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

import manualgrad.functions as F
from manualgrad.data.documents import compare, load
from manualgrad.errors import UserError
from manualgrad.plots.network import plot_sigmoid_network
from manualgrad.table import print_table
from manualgrad.training import Config as BaseConfig
from manualgrad.training import GradientDescent, RunDir, check_range, launch, setup

GIVEN = load("two_two_two").given
LEARNING_RATE = GIVEN["learning_rate"]
NAMES = ("w1", "w2", "w3", "w4", "b1", "w5", "w6", "w7", "w8", "b2")
LOG_EVERY = 100  # steps

Tensors = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Config(BaseConfig):
    """How long to train after the update that is shown."""

    steps: int = GIVEN["steps"]
    """Updates of the weights alone, from the same start."""

    def __post_init__(self) -> None:
        """Check the bounds."""
        super().__post_init__()
        check_range("steps", self.steps, minimum=0)


def main(config: Config) -> dict[str, Any]:
    """Go forward, go back, update once, then train."""
    device = setup(config, torch.float64)
    x, target, *start = (
        torch.tensor(GIVEN[name], dtype=torch.float64, device=device)
        for name in ("input", "target", "W1", "b1", "W2", "b2")
    )
    parameters = dict(zip(("W1", "b1", "W2", "b2"), (p.clone().requires_grad_() for p in start), strict=True))
    units = forward(x, parameters)
    errors = F.mse_loss(units["out_o"], target, reduction="none") / 2
    units["E"] = errors.sum()
    tensors = parameters | units
    gradients = dict(zip(tensors, torch.autograd.grad(units["E"], tuple(tensors.values())), strict=True))
    updated = {name: p.detach() - LEARNING_RATE * gradients[name] for name, p in parameters.items()}
    numbers = {name: tensor.detach() for name, tensor in tensors.items()}

    with RunDir("two_two_two", config, device) as run:
        show_forward(x, numbers, errors)
        products_agree = show_backward(x, target, numbers, gradients)
        show_update(numbers, gradients, updated)
        rows = {
            name: tensor.view(1, 2) for name, tensor in (numbers | {"x": x}).items() if tensor.shape == (2,)
        }
        grads = {name: grad.view(1, 2) if grad.shape == (2,) else grad for name, grad in gradients.items()}
        title = "Where does every derivative come from? Mazur's network before the update"
        run.log_figure("network", 0, plot_sigmoid_network, title, numbers | rows, grads)

        w1, b1, w2, b2 = (number.clone() for number in start)
        optimizer = GradientDescent([w1.requires_grad_(), w2.requires_grad_()], LEARNING_RATE)  # no biases
        for step in range(config.steps + 1):
            optimizer.zero_grad()
            out_o = forward(x, {"W1": w1, "b1": b1, "W2": w2, "b2": b2})["out_o"]
            error = F.mse_loss(out_o, target, reduction="sum") / 2
            if step % LOG_EVERY == 0:
                outputs = {"output/o1": out_o[0].item(), "output/o2": out_o[1].item()}
                run.log_scalars(step, {"E": error.item()} | outputs)
            if step < config.steps:
                error.backward()
                optimizer.step()

        ours: Tensors = {"net h": units["net_h"][:1], "E o": errors, "E": units["E"], "2nd: E": units["E"]}
        for name in ("h", "o"):
            ours |= {f"out {name}": units[f"out_{name}"], f"2nd: out {name}": units[f"out_{name}"]}
        for name in ("W1", "W2"):
            ours |= {f"∂E/∂{name}": gradients[name], f"{name} updated": updated[name]}
        if config.steps == GIVEN["steps"]:
            ours |= {"E, trained": error, "out o, trained": out_o}
        comparison = compare("two_two_two", ours)
        reached = {
            "updated": dict(zip(NAMES, flat(updated).tolist(), strict=True)),
            "error_trained": error.item(),
            "outputs_trained": out_o.tolist(),
        }
        metrics = run.finish(reached | comparison.metrics)
    if not products_agree:
        raise UserError("a product of factors is not the gradient that the Functions give")
    comparison.raise_if_different()
    return metrics


def forward(x: Tensor, parameters: Tensors) -> Tensors:
    """Put an input (2,) through both layers, and keep what every unit takes in and puts out."""
    net_h = F.linear(x, parameters["W1"], parameters["b1"])
    out_h = F.sigmoid(net_h)
    net_o = F.linear(out_h, parameters["W2"], parameters["b2"])
    return {"net_h": net_h, "out_h": out_h, "net_o": net_o, "out_o": F.sigmoid(net_o)}


def show_forward(x: Tensor, numbers: Tensors, errors: Tensor) -> None:
    """Print every unit with its sum written out, and E."""
    rows = []
    for layer, inputs, number in (("h", x, 1), ("o", numbers["out_h"], 2)):
        for i in range(2):
            weights = numbers[f"W{number}"][i]
            terms = [f"{w:g} · {value:.6g}" for w, value in zip(weights, inputs, strict=True)]
            total = " + ".join([*terms, f"{numbers[f'b{number}']:g}"])
            rows.append(
                (f"{layer}{i + 1}", total, *digits([numbers[f"{p}_{layer}"][i] for p in ("net", "out")]))
            )
    print_table("Forward", ("unit", "w · input + w · input + b", "net", "out = σ(net)"), rows)
    print(f"E = ½ Σ (target - out)² = {errors[0]:.8f} + {errors[1]:.8f} = {errors.sum():.8f}\n")


def show_backward(x: Tensor, target: Tensor, numbers: Tensors, gradients: Tensors) -> bool:
    """Print every derivative as a product of factors; return whether all are the Functions' gradients."""
    out_h, out_o = numbers["out_h"], numbers["out_o"]
    grad_out_o = out_o - target  # ∂E/∂out o: (O,)
    agree = show_factors("o", grad_out_o, out_o, out_h, NAMES[5:], gradients["W2"], gradients["b2"])

    paths = numbers["W2"] * (grad_out_o * out_o * (1 - out_o)).unsqueeze(1)  # ∂net o/∂out h · ∂E/∂net o
    grad_out_h = paths.sum(0)  # ∂E/∂out h: a hidden unit reaches E through both output units: (H,)
    rows = [(f"h{i + 1}", *digits([*paths[:, i], grad_out_h[i]])) for i in range(2)]
    print_table("∂E/∂out h = Σ w · ∂E/∂net o", ("unit", "through o1", "through o2", "∂E/∂out"), rows)
    return show_factors("h", grad_out_h, out_h, x, NAMES[:5], gradients["W1"], gradients["b1"]) and agree


def show_factors(
    layer: str,
    grad_out: Tensor,
    out: Tensor,
    inputs: Tensor,
    names: Sequence[str],
    grad_weight: Tensor,
    grad_bias: Tensor,
) -> bool:
    """Print a layer's derivatives factor by factor; return whether they are the Functions' gradients."""
    *weights, bias = names
    derivative = out * (1 - out)  # ∂out/∂net of each unit: (2,)
    delta = grad_out * derivative  # ∂E/∂net of each unit: (2,)
    rows = []
    for (i, j), name in zip(product(range(2), repeat=2), weights, strict=True):
        factors = (grad_out[i], derivative[i], inputs[j])
        rows.append((name, *digits([*factors, delta[i] * inputs[j], grad_weight[i, j]])))
    for i in range(2):
        rows.append(
            (f"{bias} at {layer}{i + 1}", *digits([grad_out[i], derivative[i]]), "1", *digits([delta[i]]), "")
        )
    rows.append((f"{bias}, summed", "", "", "", *digits([delta.sum(), grad_bias])))
    title = f"∂E/∂w = ∂E/∂out · ∂out/∂net · ∂net/∂w for each unit {layer}"
    print_table(title, ("", "∂E/∂out", "∂out/∂net", "∂net/∂w", "product", "Functions"), rows)
    return torch.allclose(torch.outer(delta, inputs), grad_weight, rtol=1e-12, atol=0) and torch.allclose(
        delta.sum(), grad_bias, rtol=1e-12, atol=0
    )


def show_update(numbers: Tensors, gradients: Tensors, updated: Tensors) -> None:
    """Print one step of gradient descent, and what one notebook does to the biases instead."""
    columns = ({name: each[name] for name in updated} for each in (numbers, gradients, updated))
    rows = zip(NAMES, *(digits(flat(column)) for column in columns), strict=True)
    print_table(f"One update: new = old - {LEARNING_RATE} · gradient", ("", "old", "gradient", "new"), rows)
    slips = " and ".join(f"{b - LEARNING_RATE * b:g}" for b in (numbers["b1"], numbers["b2"]))
    print(
        f"One notebook's biases become {slips}: a slip, which takes b - {LEARNING_RATE} · b, the bias itself"
    )
    print("in place of its gradient. No figure that it prints depends on them.\n")


def flat(parameters: Tensors) -> Tensor:
    """Put all numbers into one row, in the order of NAMES: (10,)."""
    return torch.cat([parameter.flatten() for parameter in parameters.values()])


def digits(numbers: Sequence[Tensor] | Tensor) -> list[str]:
    """Write numbers with the eight decimals that the documents mostly have."""
    return [f"{number:.8f}" for number in numbers]


if __name__ == "__main__":
    raise SystemExit(launch(main, Config))
