"""A fair race: all contenders in turn, again and again, and every round compared with itself.

A machine's speed drifts by a factor of two within an hour, and other programs come and go. So the contenders
run in the order A B C, then C B A, and so on; a ratio is taken within each round, and what counts is the
median of the rounds' ratios. The quartiles beside it say how far it can be trusted.
"""

import importlib.util
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes
    ----------
    rounds : int
        How often each contender runs.
    lap : float
        How much a contender does in a round, as a share of the full amount.
    quick : bool
        Leave out what takes minutes.
    """

    rounds: int
    lap: float
    quick: bool


FULL = Effort(rounds=15, lap=1.0, quick=False)
QUICK = Effort(rounds=3, lap=0.05, quick=True)


@dataclass(frozen=True)
class Contender:
    """One way to do the work.

    Attributes
    ----------
    name : str
        As the table shows it.
    lap : callable
        Does the work of one round.
    units : float
        Into how many units the time of a lap is divided: steps, calls, network-steps.
    settings : str
        What it was given, so that its figure can be judged.
    """

    name: str
    lap: Callable[[], object]
    units: float = 1
    settings: str = ""


@dataclass(frozen=True)
class Result:
    """What a contender took, in seconds a unit and as a ratio to the baseline."""

    name: str
    seconds: float
    ratio: float
    low: float  # the quartiles of the ratios
    high: float
    settings: str = ""


@dataclass(frozen=True)
class Table:
    """A race's outcome as it is shown: ``ratios`` go into the picture and the metrics."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    ratios: dict[str, float] = field(default_factory=dict)


def race(contenders: Sequence[Contender], rounds: int, baseline: int = 0) -> list[Result]:
    """Let all of them run in turn.

    Parameters
    ----------
    contenders : sequence of Contender
        Each has run once before it counts.
    rounds : int
        At least 2.
    baseline : int
        The contender to whom the others are compared.

    Returns
    -------
    list of Result
        In the contenders' order.
    """
    times: list[list[float]] = [[] for _ in contenders]
    for contender in contenders:
        contender.lap()
    for number in range(rounds):
        order = list(enumerate(contenders))
        for index, contender in order if number % 2 == 0 else reversed(order):
            times[index].append(_time(contender.lap) / contender.units)
    results = []
    for contender, seconds in zip(contenders, times, strict=True):
        ratios = [ours / theirs for ours, theirs in zip(seconds, times[baseline], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        results.append(
            Result(contender.name, statistics.median(seconds), middle, low, high, contender.settings)
        )
    return results


def tabulate(title: str, results: Iterable[Result], unit: str) -> Table:
    """Show a race with a row for each contender.

    Parameters
    ----------
    title : str
        What was done.
    results : iterable of Result
        One a row.
    unit : str
        What the times are for, such as ``"step"``.

    Returns
    -------
    Table
        Its ratios are named ``<contender>``.
    """
    results = list(results)
    rows = [(r.name, duration(r.seconds), *spread(r), r.settings) for r in results]
    header = ("", f"a {unit}", "ratio", "quartiles", "settings")
    return Table(title, header, rows, {r.name: r.ratio for r in results})


def spread(result: Result) -> tuple[str, str]:
    """Return the ratio and its quartiles as they are shown."""
    return f"{result.ratio:.3g}", f"{result.low:.3g} to {result.high:.3g}"


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} µs"


def missing(package: str, what: str) -> bool:
    """Say in one line that an opponent is left out because it is not installed; return whether it is not."""
    if importlib.util.find_spec(package):
        return False
    print(f"{what}: left out, because {package} is not installed (pip install 'manualgrad[benchmark]')")
    return True


def _time(lap: Callable[[], object]) -> float:
    start = time.perf_counter()
    lap()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
