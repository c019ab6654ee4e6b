"""Our gradcheck against ``torch.autograd.gradcheck`` on the same functions and inputs.

Ours does more: it looks for the reason, tries other layouts and magnitudes, and differentiates twice. So the
opponent also runs its ``gradgradcheck``.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from manualgrad.benchmark.race import Contender, Effort, Table, duration, race, spread
from manualgrad.cases import FUNCTIONS
from manualgrad.gradcheck import gradcheck


def measure(effort: Effort) -> Iterator[Table]:
    """Check every function with both.

    Parameters
    ----------
    effort : Effort
        How long to measure.

    Yields
    ------
    Table
        A row for each function.
    """
    rows, ratios = [], {}
    for name, info in FUNCTIONS.items():
        sample = info.samples()[0]
        function = partial(info.function, **sample.kwargs) if sample.kwargs else info.function
        contenders = [
            Contender("ours", partial(gradcheck, function, sample.args)),
            Contender("PyTorch's", partial(_pytorchs, function, sample.args)),
        ]
        ours, theirs = race(contenders, effort.rounds, baseline=1)
        rows.append((name, duration(ours.seconds), duration(theirs.seconds), *spread(ours)))
        ratios[name] = ours.ratio
    header = ("", "ours", "PyTorch's, both orders", "ratio", "quartiles")
    yield Table("gradcheck: one verdict on the first sample, float64", header, rows, ratios)


def _pytorchs(function: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    torch.autograd.gradcheck(function, inputs)
    torch.autograd.gradgradcheck(function, inputs)
