"""How long does a verdict take beside PyTorch's own gradcheck?

    python -m experiments.benchmarks.gradcheck

checks a right sigmoid of more and more elements, and a square that vmap refuses: within a minute. Ours also
looks at other layouts, magnitudes and the second order. PyTorch's check is timed once where it takes seconds,
and left out where it would take more than ten: it holds the whole Jacobian.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

import manualgrad.functions as F
from experiments.benchmarks.interleaved import Candidate, compare, duration, parse_rounds, quartiles, ratio
from manualgrad.gradcheck import gradcheck
from manualgrad.table import print_table

BOTH_ORDERS = 100  # elements up to which PyTorch's second check is timed, too
MANY_ROUNDS = 100  # elements up to which there are as many rounds as asked for; beyond, two
LONG = 1000  # elements beyond which PyTorch's check would take more than ten seconds


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
    rounds = parse_rounds("Time a verdict beside PyTorch's own.", 20)
    rows = []
    for name, function, sizes in (
        ("sigmoid", F.sigmoid, (10, 1000, 10_000, 1_000_000)),
        ("square, not batchable", BranchingSquare.apply, (10, 1000)),
    ):
        for size in sizes:
            input = torch.linspace(-2, 2, size, dtype=torch.float64).requires_grad_()
            candidates = [Candidate("ours", partial(gradcheck, function, input))]
            if size <= LONG:
                candidates.insert(
                    0, Candidate("first", partial(torch.autograd.gradcheck, function, (input,)))
                )
            if size <= BOTH_ORDERS:
                both = partial(torch.autograd.gradgradcheck, function, (input,))
                candidates.append(Candidate("second", both))
            timings = {t.name: t for t in compare(candidates, rounds if size <= MANY_ROUNDS else 2)}
            times = [
                duration(timings[k].seconds) if k in timings else "" for k in ("ours", "first", "second")
            ]
            ours = timings["ours"]
            ratios = [ratio(ours), quartiles(ours)] if "first" in timings else ["", "not run"]
            rows.append((f"{name}, {size}", *times, *ratios))
    header = ("elements", "ours, all of it", "PyTorch's gradcheck", "its gradgradcheck", "ratio", "quartiles")
    print_table("one verdict in float64; the ratio is to PyTorch's gradcheck", header, rows)


if __name__ == "__main__":
    main()
