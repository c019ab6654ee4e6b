"""What does a hand-written backward cost beside PyTorch's own operator?

    python -m experiments.benchmarks.functions

times each function on its first sample (small: what it costs to be written in Python) and on the same
sample repeated 128 times along every dimension (large: what the arithmetic costs), forward and with the
backward. The last column is the memory that a call saves for its backward.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from experiments.benchmarks.interleaved import (
    Candidate,
    Timing,
    compare,
    duration,
    parse_rounds,
    quartiles,
    ratio,
)
from manualgrad.cases import FUNCTIONS
from manualgrad.table import print_table

SIZES = {"small": (1, 300), "large": (128, 5)}  # repeats along every dimension, calls a round


def main() -> None:
    """Print a table for each size."""
    rounds = parse_rounds("Time each function beside PyTorch's own operator.", 15)
    for size, (repeats, calls) in SIZES.items():
        rows = []
        for name, info in FUNCTIONS.items():
            sample = info.samples(torch.float32)[0]
            if repeats > 1 and not all(_is_matrix(argument) for argument in sample.args):
                continue  # a shape among the arguments would not be repeated
            args = tuple(_repeat(argument, repeats) for argument in sample.args)
            functions = (info.reference, info.function)
            pair: list[Callable[[], Any]] = [partial(each, *args, **sample.kwargs) for each in functions]
            forward = _time(pair, calls, rounds)
            both = _time([_with_backward(call, args) for call in pair], calls, rounds)
            saved = " / ".join(f"{_saved_bytes(call) / 1024:.3g}" for call in reversed(pair))
            rows.append(
                (
                    *(name, duration(forward.seconds), ratio(forward), quartiles(forward)),
                    *(duration(both.seconds), ratio(both), quartiles(both), saved),
                )
            )
        header = (
            "",
            "forward",
            "ratio",
            "quartiles",
            "with backward",
            "ratio",
            "quartiles",
            "KiB saved, ours / PyTorch's",
        )
        print_table(f"{size}, float32: ours, and the ratio to PyTorch's", header, rows)


def _time(pair: Sequence[Callable[[], Any]], calls: int, rounds: int) -> Timing:
    """Return our timing beside PyTorch's."""

    def repeat(call: Callable[[], Any]) -> None:
        for _ in range(calls):
            call()

    return compare([Candidate("", partial(repeat, call), calls) for call in pair], rounds)[1]


def _with_backward(call: Callable[[], Any], args: tuple[Any, ...]) -> Callable[[], Any]:
    """Return a call that also computes the gradients of all tensors that require one."""
    inputs = [argument for argument in args if isinstance(argument, Tensor) and argument.requires_grad]
    output = call()  # a tensor, or several
    ones = torch.ones_like(output) if isinstance(output, Tensor) else tuple(map(torch.ones_like, output))
    return lambda: torch.autograd.grad(call(), inputs, ones)


def _is_matrix(argument: Any) -> bool:
    """Say whether an argument is a tensor of at most two dimensions."""
    return isinstance(argument, Tensor) and argument.dim() <= 2


def _repeat(argument: Any, repeats: int) -> Any:
    """Repeat a tensor along every dimension, so that shapes which fitted together still do."""
    if not isinstance(argument, Tensor):
        return argument
    return argument.detach().repeat([repeats] * argument.dim()).requires_grad_(argument.requires_grad)


def _saved_bytes(call: Callable[[], Tensor]) -> int:
    """Return the bytes that a call saves for its backward; a storage that is saved twice counts once."""
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        call()
    return sum(saved.values())


if __name__ == "__main__":
    main()
