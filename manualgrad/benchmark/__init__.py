"""How fast this package is, against those who do the same work.

``race.py`` measures; each other module sets up one race and explains its fields. A module's
``measure(effort)`` yields tables, in which every time is also a ratio to the row that is called the baseline.
"""

from collections.abc import Callable, Iterator

from manualgrad.benchmark import functions, gradcheck, mnist, process, scale, xor
from manualgrad.benchmark.race import FULL, QUICK, Effort, Table

BENCHMARKS: dict[str, Callable[[Effort], Iterator[Table]]] = {
    "functions": functions.measure,
    "mnist": mnist.measure,
    "xor": xor.measure,
    "gradcheck": gradcheck.measure,
    "scale": scale.measure,
    "process": process.measure,
}

__all__ = ["BENCHMARKS", "FULL", "QUICK", "Effort", "Table"]
