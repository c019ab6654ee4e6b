"""Compare our figures with those that the source documents print, to every digit.

The figures stand once, in ``documents.toml``, as text: 0.9813687 asks for seven decimals,
0.29837110876000272 for all that float64 has.
"""

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from manualgrad.errors import UserError
from manualgrad.table import print_table

FILE = Path(__file__).with_name("documents.toml")
FULL_PRECISION = 16  # digits: all that float64 has; the last ones depend on the order of the additions
RELATIVE_TOLERANCE = 1e-12  # for figures of full precision


class Document(NamedTuple):
    """One system of a source document."""

    title: str
    given: dict[str, Any]  # what the system starts from
    printed: dict[str, str]  # what the document prints, by names such as "W1[0,1]" for one entry of a matrix


class Comparison(NamedTuple):
    """What goes into a run's ``metrics.json``, and a sentence for each figure that differs."""

    metrics: dict[str, Any]
    differences: list[str]

    def raise_if_different(self) -> None:
        """Raise a UserError that names the first figure that differs."""
        if self.differences:
            compared = self.metrics["figures_compared"]
            count = f"{len(self.differences)} of {compared} figures differ from the document's"
            raise UserError(f"{count}; the first: {self.differences[0]}")


def load(system: str) -> Document:
    """Read one system of ``documents.toml``."""
    with FILE.open("rb") as file:
        entry = tomllib.load(file)[system]
    printed = dict(figure for name, content in entry["printed"].items() for figure in _flatten(name, content))
    return Document(entry["title"], entry["given"], printed)


def compare(system: str, ours: Mapping[str, Tensor | Sequence[float] | float]) -> Comparison:
    """Print our figures beside those that a system of ``documents.toml`` prints.

    Ours stand under the document's names, lists and tensors in full. A name may be missing: a short run does
    not reach every figure. What the document does not print is left out.
    """
    document = load(system)
    figures, rows, differences = {}, [], []
    for name, values in ours.items():
        content = values.tolist() if isinstance(values, Tensor) else values
        for entry, here in _flatten(name, content):
            if (printed := document.printed.get(entry)) is None:
                continue
            figures[entry] = float(here)
            shown = _format_like(here, printed)
            rows.append((entry, printed, shown))
            if not agrees(here, printed):
                differences.append(f"{entry} should be {printed}, got {shown}")
    print_table(f"Beside {document.title}", ("figure", "document", "here"), rows)
    agreeing = f"{len(rows) - len(differences)} of {len(rows)} figures agree to every printed digit"
    agreeing += " (of 16 or more: to 1e-12)"
    print(agreeing if rows else "the document has no figures for these settings")
    counts = {"figures_compared": len(figures), "figures_differing": len(differences)}
    return Comparison({"figures": figures} | counts, differences)


def agrees(here: float, printed: str) -> bool:
    """Return whether a number repeats every printed digit; 16 or more digits to a relative 1e-12."""
    digits = printed.replace(".", "").lstrip("-0")
    if len(digits) >= FULL_PRECISION:
        return math.isclose(here, float(printed), rel_tol=RELATIVE_TOLERANCE)
    return float(_format_like(here, printed)) == float(printed)


def _format_like(here: float, printed: str) -> str:
    """Write a number to as many decimals as the document does; a whole number in full."""
    decimals = len(printed.partition(".")[2])
    return f"{here + 0.0:.{decimals}f}" if decimals else f"{here + 0.0:.17g}"  # + 0.0 makes -0.0 a 0.0


def _flatten(name: str, content: Any) -> Iterator[tuple[str, Any]]:
    """Name each entry of nested lists: ``W`` becomes ``W[0,0]``, ``W[0,1]``, ..."""
    if not isinstance(content, list | tuple):
        yield name, content
        return
    for index, part in enumerate(content):
        inner = f"{name.removesuffix(']')},{index}]" if name.endswith("]") else f"{name}[{index}]"
        yield from _flatten(inner, part)
