"""The numbers of the source documents, and how exactly a figure of ours repeats one of theirs.

They stand in ``documents.toml``, once. Printed figures are kept as text, because the text says how many
digits there are to repeat: 0.9813687 asks for seven decimals, 0.29837110876000272 for all that float64 has.
"""

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from manualgrad.errors import UserError

FILE = Path(__file__).with_name("documents.toml")

FULL_PRECISION = 16  # digits: all that float64 has, and the last depend on the order of the additions
RELATIVE_TOLERANCE = Decimal("1e-12")  # for figures of full precision


@dataclass(frozen=True)
class Figure:
    """One number as its document prints it."""

    name: str
    printed: str

    @property
    def decimals(self) -> int:
        """The digits after the decimal point."""
        return len(self.printed.partition(".")[2])

    @property
    def digits(self) -> int:
        """The significant digits: 8 for -0.02260254 as for 2260254.0."""
        return len(Decimal(self.printed).as_tuple().digits)

    @property
    def tolerance(self) -> Decimal:
        """How far a number rounded to these decimals may lie from the printed one: mostly not at all."""
        if self.digits < FULL_PRECISION:
            return Decimal(0)
        return abs(Decimal(self.printed)) * RELATIVE_TOLERANCE

    def show(self, here: float) -> str:
        """Write a number of ours as the document would: to as many decimals, a whole number in full."""
        here += 0.0  # -0.0 becomes 0.0
        return f"{here:.{self.decimals}f}" if self.decimals else f"{here:.17g}"

    def difference(self, here: float) -> Decimal:
        """Subtract the printed number from ours as it is shown."""
        return Decimal(self.show(here)) - Decimal(self.printed)

    def agrees(self, here: float) -> bool:
        """Say whether ours repeats every printed digit; of 16 or 17 digits, to a relative 1e-12."""
        return math.isfinite(here) and abs(self.difference(here)) <= self.tolerance


@dataclass(frozen=True)
class System:
    """One system of the documents.

    Attributes
    ----------
    given : dict
        What it starts from, by name.
    printed : dict
        What its document prints, by name, in the document's order. A matrix's figures come row by row.
    """

    given: dict[str, Any]
    printed: dict[str, list[Figure]]

    @property
    def figures(self) -> list[Figure]:
        """All that is printed, in order."""
        return [figure for group in self.printed.values() for figure in group]


@dataclass(frozen=True)
class Comparison:
    """What a document prints beside what came out here."""

    pairs: list[tuple[Figure, float]]

    header = ("figure", "document", "here", "difference")

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return the table's rows, in the document's own order and digits."""
        return [
            (figure.name, figure.printed, figure.show(here), _short(figure.difference(here)))
            for figure, here in self.pairs
        ]

    @property
    def differing(self) -> list[tuple[Figure, float]]:
        """The figures that do not repeat the document's."""
        return [(figure, here) for figure, here in self.pairs if not figure.agrees(here)]

    def summary(self) -> str:
        """Say in one sentence how well the document is reproduced."""
        if not self.pairs:
            return "the document has no figures for these settings"
        count = len(self.pairs)
        if self.differing:
            return f"{len(self.differing)} of {count} figures differ from the document's"
        worst = max(_relative(figure, here) for figure, here in self.pairs)
        in_full = f"; those of 16 or 17 digits to a relative {worst:.1e}" if worst else ""
        return f"{count} of {count} figures agree with the document's to every printed digit{in_full}"

    def metrics(self) -> dict[str, Any]:
        """Return what a run's ``metrics.json`` keeps of this."""
        return {
            "figures": {figure.name: here for figure, here in self.pairs},
            "figures_compared": len(self.pairs),
            "figures_differing": len(self.differing),
        }

    def raise_if_different(self) -> None:
        """Raise a UserError that names the first figure that differs, if one does."""
        for figure, here in self.differing[:1]:
            raise UserError(
                f"{len(self.differing)} of {len(self.pairs)} figures differ from the document's; the first: "
                f"{figure.name} should be {figure.printed}, got {figure.show(here)}"
            )


def load(system: str) -> System:
    """Read one system's numbers.

    Parameters
    ----------
    system : str
        Its name in ``documents.toml``.

    Returns
    -------
    System
        What it is given and what it prints.
    """
    with FILE.open("rb") as file:
        entry = tomllib.load(file)[system]
    printed = {name: list(_figures(name, content)) for name, content in entry["printed"].items()}
    return System(entry["given"], printed)


def compare(system: str, here: Mapping[str, Tensor | Sequence[float] | float]) -> Comparison:
    """Set our numbers beside a document's.

    Parameters
    ----------
    system : str
        Its name in ``documents.toml``.
    here : mapping
        Our numbers under the document's names: a tensor for what is printed as a list or matrix. A tensor
        that is shorter than the list is compared as far as it goes, and a name may be left out: a run that
        stops early has not come to everything.

    Returns
    -------
    Comparison
        In the document's order.

    Raises
    ------
    KeyError
        If a name is none of the document's.
    ValueError
        If there are more numbers than the document prints.
    """
    printed = load(system).printed
    if unknown := set(here) - set(printed):
        raise KeyError(f"{system} prints {', '.join(printed)}; got {', '.join(sorted(unknown))}")
    pairs: list[tuple[Figure, float]] = []
    for name, group in printed.items():
        values = torch.as_tensor(here.get(name, []), dtype=torch.float64).detach().flatten().tolist()
        if len(values) > len(group):
            raise ValueError(f"{system} prints {len(group)} figures for {name}, got {len(values)}")
        pairs += zip(group, values, strict=False)
    return Comparison(pairs)


def _figures(name: str, content: Any) -> Iterator[Figure]:
    """Take lists apart: ``W`` becomes ``W[0,0]``, ``W[0,1]``, ..."""
    if isinstance(content, str):
        yield Figure(name, content)
        return
    for index, part in enumerate(content):
        inner = f"{name.removesuffix(']')},{index}]" if name.endswith("]") else f"{name}[{index}]"
        yield from _figures(inner, part)


def _relative(figure: Figure, here: float) -> float:
    difference = abs(figure.difference(here))
    return float(difference / abs(Decimal(figure.printed))) if difference else 0.0


def _short(difference: Decimal) -> str:
    return f"{float(difference):.1e}" if difference else "0"
