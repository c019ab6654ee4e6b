"""How does a derivative travel back through a chain of functions?

    python experiments/chain_rule.py

takes y = sin(exp(x³)) apart into nodes and reads the chain rule off them, from the output back to x: each
node's gradient is the gradient one line above times the local derivative on its own line. The result is
compared with PyTorch's own functions and, at x = 2, with the document's figures. Another point:

    python experiments/chain_rule.py --x 0.5

It takes two seconds, most of them for imports. In TensorBoard, step 0 is y, and each further step is one node
further back. Nothing here is random, so every --seed gives the same figures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

import manualgrad.functions as F
from manualgrad.data.documents import compare, load
from manualgrad.errors import UserError
from manualgrad.pages.small_networks import show_chain
from manualgrad.table import print_table
from manualgrad.training import Metrics, Run, RunSettings, changed_settings, launch, option, prepare

GIVEN = load("chain_rule").given


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    """The point at which to differentiate."""

    x: float = option(GIVEN["x"], "where to take the derivative")


def run(settings: Settings) -> Metrics:
    """Go forward, go back, and read off every step."""
    device = prepare(settings.device, settings.seed, torch.float64)
    x = torch.tensor(settings.x, dtype=torch.float64, device=device, requires_grad=True)
    u = F.power(x, 3)
    v = F.exp(u)
    y = F.sin(v)
    gradients = [gradient.item() for gradient in torch.autograd.grad(y, (y, v, u, x))]
    if not all(map(math.isfinite, gradients)):
        raise UserError(f"--x {settings.x}: exp(x³) or its derivative is beyond what float64 can hold")

    # Each node with the derivative of the one above by it: from the textbook, not from this package.
    chain = [
        ("y = sin(v)", y, "", 1.0),
        ("v = exp(u)", v, "dy/dv = cos(v)", v.cos().item()),
        ("u = x³", u, "dv/du = exp(u)", u.exp().item()),
        ("x", x, "du/dx = 3x²", (3 * x**2).item()),
    ]
    print_table(
        "From the output back to x",
        ("node", "value", "local derivative", "its value", "gradient dy/dnode"),
        [
            (name, f"{node.item():.10g}", rule, f"{local:.10g}" if rule else "", f"{gradient:.10g}")
            for (name, node, rule, local), gradient in zip(chain, gradients, strict=True)
        ],
    )

    ours = {"y": y.item(), "dy/dx": gradients[-1]}
    pytorch = by_pytorch(x)
    print_table(
        "PyTorch's own functions at the same point",
        ("figure", "PyTorch", "here", "difference"),
        [(name, repr(pytorch[name]), repr(ours[name]), f"{ours[name] - pytorch[name]:.1g}") for name in ours],
    )

    comparison = compare("chain_rule", ours if settings.x == GIVEN["x"] else {})
    print_table("The document's figures", comparison.header, comparison.rows())
    print(comparison.summary())

    with Run("chain_rule", changed_settings(settings), settings, device) as record:
        for step, ((_, node, _, local), gradient) in enumerate(zip(chain, gradients, strict=True)):
            record.log(step, {"value": node.item(), "local derivative": local, "gradient": gradient})
        numbers = [
            (name, node.item(), gradient) for (name, node, *_), gradient in zip(chain, gradients, strict=True)
        ]
        slopes = [local for *_, local in chain]
        show_chain(record, "From x to y = sin(exp(x³)), and back", numbers[::-1], slopes[:0:-1])
        metrics = record.finish(ours | comparison.metrics())

    for name in ours:
        if not math.isclose(ours[name], pytorch[name], rel_tol=1e-12):
            raise UserError(f"{name} is {ours[name]} here and {pytorch[name]} in PyTorch")
    comparison.raise_if_different()
    return metrics


def by_pytorch(x: Tensor) -> dict[str, float]:
    """Compute the same out of PyTorch's own functions."""
    y = torch.sin(torch.exp(torch.pow(x, 3)))
    (gradient,) = torch.autograd.grad(y, x)
    return {"y": y.item(), "dy/dx": gradient.item()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return launch(run, Settings, __doc__, argv)


if __name__ == "__main__":
    raise SystemExit(main())
