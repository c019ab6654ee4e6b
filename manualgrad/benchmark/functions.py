"""Each function against PyTorch's own operator: one call, small and large, forward and with the backward.

A small call shows what it costs to be written in Python, a large one what the arithmetic costs.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from manualgrad.benchmark.race import Contender, Effort, Result, Table, duration, race, spread
from manualgrad.cases import FUNCTIONS

LARGE = 128  # times each dimension of the small sample
SMALL_CALLS, LARGE_CALLS = 300, 5  # a lap


def measure(effort: Effort) -> Iterator[Table]:
    """Race every function's two forms at two sizes.

    Parameters
    ----------
    effort : Effort
        How long to measure.

    Yields
    ------
    Table
        One for each size.
    """
    for size, factor, calls in (("small", 1, SMALL_CALLS), ("large", LARGE, LARGE_CALLS)):
        calls = max(1, round(calls * effort.lap))
        rows, ratios = [], {}
        for name, info in FUNCTIONS.items():
            sample = info.samples(torch.float32)[0]
            args = tuple(_enlarge(argument, factor) for argument in sample.args)
            pair = [_bind(function, args, sample.kwargs) for function in (info.function, info.reference)]
            forward = _race(pair, calls, effort)
            both = _race([_with_backward(call, args) for call in pair], calls, effort)
            shape = "×".join(str(length) for length in args[0].shape)
            saved = [f"{_saved_bytes(call) / 1024:.3g}" for call in pair]
            rows.append(
                (
                    *(name, shape, duration(forward.seconds), *spread(forward)),
                    *(duration(both.seconds), *spread(both), " / ".join(saved)),
                )
            )
            ratios[f"{size} {name}"] = both.ratio
        header = ("", "input", "forward", "ratio", "quartiles", "with backward", "ratio", "quartiles")
        title = f"functions, {size} float32: ours, and the ratio to PyTorch's operator"
        yield Table(title, (*header, "KiB saved, ours / PyTorch's"), rows, ratios)


def _race(pair: Sequence[Callable[[], object]], calls: int, effort: Effort) -> Result:
    contenders = [Contender("", _repeat(call, calls), calls) for call in pair]
    return race(contenders, effort.rounds, baseline=1)[0]


def _repeat(call: Callable[[], object], times: int) -> Callable[[], None]:
    def lap() -> None:
        for _ in range(times):
            call()

    return lap


def _bind(
    function: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[], Tensor]:
    return lambda: function(*args, **kwargs)


def _with_backward(call: Callable[[], Tensor], args: tuple[Any, ...]) -> Callable[[], object]:
    wanted = [argument for argument in args if isinstance(argument, Tensor) and argument.requires_grad]
    upstream = torch.ones_like(call())
    return lambda: torch.autograd.grad(call(), wanted, upstream)


def _enlarge(argument: Any, factor: int) -> Any:
    """Repeat a tensor along every dimension, so that all that fitted together still does."""
    if not isinstance(argument, Tensor):
        return argument
    return argument.detach().repeat([factor] * argument.dim()).requires_grad_(argument.requires_grad)


def _saved_bytes(call: Callable[[], Tensor]) -> int:
    """Return how much memory one call keeps for its backward; memory that is kept twice counts once."""
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = call()
    del output
    return sum(saved.values())
