"""Time candidates in interleaved rounds, and compare each round with itself.

A machine's speed drifts by a factor of two within an hour. So all candidates run in every round, in the order
A B C, then C B A, and so on; a ratio is taken within each round, and the table shows the median of the ratios
with its quartiles, which say how far it can be trusted. With one thread (``OMP_NUM_THREADS=1``) the clock is
the processor's: what other programs do meanwhile does not count.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from manualgrad.table import print_table


@dataclass(frozen=True)
class Candidate:
    """One way to do the work: what a round runs, and how many units (steps, calls) that are."""

    name: str
    run: Callable[[], object]
    units: float = 1


@dataclass(frozen=True)
class Timing:
    """The median seconds a unit takes, and its ratio to the baseline: median and quartiles of the rounds."""

    name: str
    seconds: float
    ratio: float
    lower: float
    upper: float


def compare(candidates: Sequence[Candidate], rounds: int) -> list[Timing]:
    """Time all candidates in turn; the first one is the baseline."""
    seconds: list[list[float]] = [[] for _ in candidates]
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    for candidate in candidates:
        candidate.run()  # warm up
    for number in range(rounds):
        order = list(enumerate(candidates))
        for index, candidate in order if number % 2 == 0 else reversed(order):
            start = clock()
            candidate.run()
            seconds[index].append((clock() - start) / candidate.units)
    timings = []
    for candidate, own in zip(candidates, seconds, strict=True):
        ratios = [ours / baseline for ours, baseline in zip(own, seconds[0], strict=True)]
        lower, ratio, upper = statistics.quantiles(ratios, n=4, method="inclusive")
        timings.append(Timing(candidate.name, statistics.median(own), ratio, lower, upper))
    return timings


def print_timings(title: str, unit: str, timings: Sequence[Timing]) -> None:
    """Print one row a candidate."""
    rows = [(each.name, duration(each.seconds), ratio(each), quartiles(each)) for each in timings]
    print_table(title, ("", f"a {unit}", "ratio", "quartiles"), rows)


def ratio(timing: Timing) -> str:
    """Format the ratio to the baseline."""
    return f"{timing.ratio:.2f}" if timing.ratio >= 0.1 else f"{timing.ratio:.2g}"


def quartiles(timing: Timing) -> str:
    """Format the quartiles of the ratio."""
    return f"{timing.lower:.2g} to {timing.upper:.2g}"


def duration(seconds: float) -> str:
    """Format a time in the unit that suits it."""
    for unit, size in (("s", 1), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def parse_rounds(question: str, default: int) -> int:
    """Read ``--rounds`` from the command line, and print the processor and the versions."""
    parser = argparse.ArgumentParser(description=question)
    parser.add_argument(
        "--rounds", type=int, default=default, help="rounds to time, at least 2 (default: %(default)s)"
    )
    rounds: int = parser.parse_args().rounds
    if rounds < 2:
        parser.error(f"--rounds: expected at least 2, got {rounds}")
    print(
        f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, NumPy {np.__version__}, {rounds} rounds"
    )
    return rounds


def _processor() -> str:
    """Return the processor's name where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
