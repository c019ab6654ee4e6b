"""How does a derivative travel back through a chain of functions?

    python experiments/chain_rule.py
    python experiments/chain_rule.py --x 0.5

takes y = sin(exp(x³)) apart into nodes and reads the chain rule off them, from the output back to x: each
node's gradient is the gradient one line above times the local derivative on its own line. The figures are
compared with those of the source document at x = 2, and with PyTorch's own functions at any point.

It takes two seconds. In TensorBoard step 0 is y, and each further step is one node further back. Nothing is
random, so every --seed gives the same figures.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import manualgrad.functions as F
from manualgrad.data.documents import compare, load
from manualgrad.errors import UserError
from manualgrad.plots.network import Link, plot_network
from manualgrad.table import print_table
from manualgrad.training import Config as BaseConfig
from manualgrad.training import RunDir, launch, setup

GIVEN = load("chain_rule").given


@dataclass(frozen=True, kw_only=True)
class Config(BaseConfig):
    """Where to take the derivative."""

    x: float = GIVEN["x"]
    """Point at which to take the derivative."""


def main(config: Config) -> dict[str, Any]:
    """Go forward, go back, and print every step."""
    device = setup(config, torch.float64)
    x = torch.tensor(config.x, dtype=torch.float64, device=device, requires_grad=True)
    u = F.power(x, 3)
    v = F.exp(u)
    y = F.sin(v)
    gradients = torch.autograd.grad(y, (y, v, u, x))
    if not all(math.isfinite(gradient) for gradient in gradients):
        raise UserError(f"--x {config.x}: exp(x³) or its derivative is beyond what float64 can hold")

    # Each node with the derivative of the one above by it: from the textbook, not from this package.
    chain = [
        ("y = sin(v)", y, "", torch.ones_like(y)),
        ("v = exp(u)", v, "dy/dv = cos(v)", v.cos()),
        ("u = x³", u, "dv/du = exp(u)", u.exp()),
        ("x", x, "du/dx = 3x²", 3 * x**2),
    ]
    with RunDir("chain_rule", config, device) as run:
        rows = []
        for step, ((name, node, rule, local), gradient) in enumerate(zip(chain, gradients, strict=True)):
            numbers = {"value": node.item(), "local derivative": local.item(), "gradient": gradient.item()}
            run.log_scalars(step, numbers)
            shown = (f"{number:.10g}" for number in (local, gradient))
            rows.append((name, f"{node.item():.10g}", rule, *shown))
        header = ("node", "value", "local derivative", "its value", "gradient dy/dnode")
        print_table("From the output back to x", header, rows)
        run.log_figure("graph", 0, plot_chain, chain, gradients)

        ours = {"y": y.item(), "dy/dx": gradients[-1].item()}
        pytorch = compute_with_pytorch(x)
        rows = [(name, repr(pytorch[name]), repr(ours[name])) for name in ours]
        print_table("PyTorch's own functions at the same point", ("figure", "PyTorch", "here"), rows)
        comparison = compare("chain_rule", ours if config.x == GIVEN["x"] else {})
        metrics = run.finish(ours | comparison.metrics)
    for name in ours:
        if not math.isclose(ours[name], pytorch[name], rel_tol=1e-12):
            raise UserError(f"{name} is {ours[name]} here and {pytorch[name]} in PyTorch")
    comparison.raise_if_different()
    return metrics


def compute_with_pytorch(x: Tensor) -> dict[str, float]:
    """Compute the same from PyTorch's own functions."""
    y = torch.sin(torch.exp(torch.pow(x, 3)))
    (gradient,) = torch.autograd.grad(y, x)
    return {"y": y.item(), "dy/dx": gradient.item()}


def plot_chain(chain: list[tuple[str, Tensor, str, Tensor]], gradients: tuple[Tensor, ...]) -> Any:
    """Draw the nodes from x to y, each with its value and gradient."""
    columns = [
        {name: [("", node.item(), gradient.item())]}
        for (name, node, *_), gradient in zip(chain, gradients, strict=True)
    ]
    links = [
        Link(start, end, "derivative", local.item())
        for (end, *_), (start, *_, local) in itertools.pairwise(chain)
    ]
    return plot_network("From x to y = sin(exp(x³)), and back", columns[::-1], links, "y")


if __name__ == "__main__":
    raise SystemExit(launch(main, Config))
