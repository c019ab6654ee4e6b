"""What a check found: the findings, the table, and the same as plain data and as HTML."""

import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from torch import Tensor

from manualgrad.gradcheck.hints import HINTS

WIDTH = 100  # a file or a pipe has no width of its own
MOST_NUMBERS = 6  # of an upstream gradient that is written out

# The columns of the table, dropped from the first on where a terminal is too narrow for all of them.
DROPPED = ((), ("numeric",), ("numeric", "shape"), ("numeric", "shape", "rel. error"))


@dataclass(frozen=True)
class Finding:
    """One thing the check has to say about a gradient.

    Attributes
    ----------
    kind : str
        One of the names in :data:`manualgrad.gradcheck.hints.HINTS`.
    argument : str, int or None
        The argument whose gradient it is: its name, else its position; None where it concerns them all.
    index : tuple of int or None
        The element that shows it best.
    message : str
        One or two sentences for a person.
    wrong : bool
        False for a note, such as a kink whose value is allowed.
    figures : str
        That element worked out in numbers, where it was; the message has it, too.
    """

    kind: str
    argument: str | int | None
    index: tuple[int, ...] | None
    message: str
    wrong: bool = True
    figures: str = ""

    @property
    def hint(self) -> str:
        """Where to look for the mistake."""
        return HINTS[self.kind]

    def __str__(self) -> str:
        where = "" if self.argument is None else f" ({self.argument})"
        return f"{self.kind}{where}: {self.message}"


@dataclass
class Row:
    """One line of the table: an argument and its worst element."""

    argument: str | int
    shape: tuple[int, ...]
    index: tuple[int, ...] | None = None
    yours: float | None = None
    numeric: float | None = None
    reference: float | None = None
    relative_error: float | None = None
    verdict: str = "right"

    def cells(self) -> dict[str, str]:
        """Return the row as text, by column."""
        numbers = {name: getattr(self, name) for name in ("yours", "numeric", "reference")}
        return {
            "argument": str(self.argument),
            "shape": str(self.shape),
            "worst at": "" if self.index is None else str(list(self.index)),
            **{name: "" if number is None else f"{number:.6g}" for name, number in numbers.items()},
            "rel. error": "" if self.relative_error is None else f"{self.relative_error:.1e}",
            "verdict": self.verdict,
        }


@dataclass(repr=False)
class Report:
    """The outcome of a check.

    Attributes
    ----------
    title : str
        What was checked.
    rows : list of Row
        One per judged argument.
    findings : list of Finding
        The first is the one to act on.
    seed : int
        Of the random upstream gradients.
    upstream : tuple of Tensor
        What the table's backward was given, per result.
    """

    title: str
    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    seed: int = 0
    upstream: tuple[Tensor, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; notes are allowed."""
        return not any(finding.wrong for finding in self.findings)

    def conclude(self) -> None:
        """Put what is wrong first, a dtype last of it, for the first is the one to act on; tell each row."""
        self.findings.sort(key=lambda finding: (not finding.wrong, finding.kind == "wrong-dtype"))
        for row in self.rows:
            kinds = [f.kind for f in self.findings if f.wrong and f.argument in (row.argument, None)]
            if kinds:
                row.verdict = ", ".join(dict.fromkeys(kinds))

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        wrong = [finding for finding in self.findings if finding.wrong]
        first = f"{str(wrong[0]).partition(':')[0]}" if wrong else "right"
        return f"<Report {self.title}: {first}>"

    def raise_if_wrong(self) -> None:
        """Raise ``AssertionError`` with the report as its text, unless it is ok."""
        if not self.ok:
            raise AssertionError(str(self))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, ready for json."""
        findings = [asdict(finding) | {"hint": finding.hint} for finding in self.findings]
        return {
            "title": self.title,
            "ok": self.ok,
            "findings": findings,
            "rows": [asdict(row) for row in self.rows],
            "seed": self.seed,
            "upstream": self._upstream_text(),
        }

    def __str__(self) -> str:
        # In a log not wrapped: a test log shows the first line.
        is_terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if is_terminal else WIDTH
        lines = ["".join(text for text, _ in line).rstrip() for line in self._lines(width)]
        return "\n".join(textwrap.fill(line, width) if is_terminal else line for line in lines)

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        """Let rich print the same in colour, where the terminal has any."""
        from rich.text import Text

        for line in self._lines(options.max_width):
            yield Text.assemble(*line)

    def _repr_html_(self) -> str:
        """Draw the report in a notebook."""
        wrong = (f"{escape(str(f))}<br><small>{escape(f.hint)}</small>" for f in self.findings if f.wrong)
        notes = (escape(str(f)) for f in self.findings if not f.wrong)
        table = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
            for cells in self._cells(())
        )
        parts = [f"<b>{escape(self.title)}: {self._verdict}</b>", *wrong, *notes]
        paragraphs = "".join(f"<p>{part}</p>" for part in parts)
        return f"{paragraphs}<table>{table}</table><p><small>{escape(self._repeat)}</small></p>"

    def _lines(self, width: int) -> Iterator[list[tuple[str, str]]]:
        """Yield the lines, each as pieces of text with rich's name of their style."""
        for finding in self.findings:
            if finding.wrong:
                yield [(finding.kind, "bold red"), (str(finding).removeprefix(finding.kind), "")]
                yield [(f"    {finding.hint}", "dim")]
        yield [(f"{self.title}: ", ""), (self._verdict, "bold green" if self.ok else "bold red")]
        yield from self._table(width) if self.rows else ()
        for finding in self.findings:
            if not finding.wrong:
                yield [(finding.kind, "bold yellow"), (str(finding).removeprefix(finding.kind), "")]
        yield [(self._repeat, "dim")]

    @property
    def _verdict(self) -> str:
        return "right" if self.ok else "wrong"

    @property
    def _repeat(self) -> str:
        return f"seed {self.seed}; upstream {self._upstream_text()}"

    def _upstream_text(self) -> str:
        numbers = [
            float(n) for u in self.upstream if not u.is_complex() for n in u.reshape(-1)[:MOST_NUMBERS]
        ]
        if not numbers or sum(u.numel() for u in self.upstream) > MOST_NUMBERS:
            return "of random signs and sizes 0.5 to 1.5"
        return "[" + ", ".join(f"{number:.6g}" for number in numbers) + "]"

    def _cells(self, dropped: tuple[str, ...]) -> list[list[str]]:
        """Return the table's rows, its header first."""
        without = set(dropped)
        if all(row.reference is None for row in self.rows):
            without = without - {"numeric"} | {"reference"}
        rows = [row.cells() for row in self.rows]
        columns = [name for name in Row("", ()).cells() if name not in without]
        return [columns, *([row[column] for column in columns] for row in rows)]

    def _table(self, width: int) -> Iterator[list[tuple[str, str]]]:
        for dropped in DROPPED:
            header, *rows = self._cells(dropped)
            widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
            if sum(widths) + 3 * len(widths) <= width:
                break
        left = [name in ("argument", "shape", "verdict") for name in header]

        def line(cells: list[str]) -> str:
            parts = zip(cells, widths, left, strict=True)
            return " " + "   ".join(c.ljust(w) if is_left else c.rjust(w) for c, w, is_left in parts)

        yield [(line(header), "bold")]
        yield [(" " + "─" * (len(line(header)) - 1), "dim")]
        for row in rows:
            *cells, verdict = row
            text = line([*cells, verdict]).rstrip().removesuffix(verdict)
            yield [(text, ""), (verdict, "green" if verdict.startswith("right") else "red")]
