"""How long does a verdict take beside PyTorch's own gradcheck?

    python -m experiments.benchmarks.gradcheck

checks a right sigmoid of more and more elements, and a square that vmap refuses. Ours also looks at other
layouts, magnitudes and the second order; PyTorch's `gradgradcheck` is added where it ends within seconds.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

import manualgrad.functions as F
from experiments.benchmarks.interleaved import Candidate, compare, duration, parse_rounds, quartiles, ratio
from manualgrad.gradcheck import gradcheck
from manualgrad.table import print_table

BOTH_ORDERS = 1000  # elements up to which PyTorch's second check is run
FAST_ONLY = 10_000  # elements beyond which PyTorch's check can only be run in its fast mode


class BranchingSquare(Function):
    """Branches on its data, which vmap refuses."""

    @staticmethod
    def forward(ctx: Any, input: Tensor) -> Tensor:
        """Square the input."""
        ctx.save_for_backward(input)
        return input * input if float(input.sum()) > -1e9 else input

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        """Multiply by twice the input."""
        return 2 * grad_output * ctx.saved_tensors[0]


def main() -> None:
    """Print one row for each function and size."""
    rounds = parse_rounds("Time a verdict beside PyTorch's own.", 7)
    rows = []
    for name, function, sizes in (
        ("sigmoid", F.sigmoid, (10, 1000, 10_000, 1_000_000)),
        ("square, not batchable", BranchingSquare.apply, (10, 1000)),
    ):
        for size in sizes:
            input = torch.linspace(-2, 2, size, dtype=torch.float64).requires_grad_()
            candidates = [
                Candidate("PyTorch's", partial(_pytorchs, function, input)),
                Candidate("ours", partial(gradcheck, function, input)),
            ]
            theirs, ours = compare(candidates, rounds if size <= BOTH_ORDERS else 2)
            what = "both orders" if size <= BOTH_ORDERS else "first" if size <= FAST_ONLY else "fast mode"
            rows.append(
                (
                    f"{name}, {size}",
                    duration(ours.seconds),
                    duration(theirs.seconds),
                    what,
                    ratio(ours),
                    quartiles(ours),
                )
            )
    header = ("", "ours", "PyTorch's", "which", "ratio", "quartiles")
    print_table("one verdict in float64", header, rows)


def _pytorchs(function: Callable[..., Any], input: Tensor) -> None:
    torch.autograd.gradcheck(function, (input,), fast_mode=input.numel() > FAST_ONLY)
    if input.numel() <= BOTH_ORDERS:
        torch.autograd.gradgradcheck(function, (input,))


if __name__ == "__main__":
    main()
