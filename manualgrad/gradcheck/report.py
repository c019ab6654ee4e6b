"""What a check found: the findings, the table, and the same as plain data and as HTML."""

import html
import io
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text
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
    """

    kind: str
    argument: str | int | None
    index: tuple[int, ...] | None
    message: str
    wrong: bool = True

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
        return {
            "argument": str(self.argument),
            "shape": shape_text(self.shape),
            "worst at": "" if self.index is None else index_text(self.index),
            "yours": _figure(self.yours),
            "numeric": _figure(self.numeric),
            "reference": _figure(self.reference),
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
        # In a log not cut, not wrapped and never sent to a notebook's cell: a test log shows the first line.
        terminal = sys.stdout.isatty()
        width = Console().width if terminal else WIDTH
        console = Console(file=io.StringIO(), width=width, color_system=None, force_jupyter=False)
        for part in self._parts(width, console):
            console.print(part, soft_wrap=not terminal)
        return console.file.getvalue().rstrip()  # type: ignore[attr-defined]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the findings and the table; rich leaves out the colours where there are none."""
        yield from self._parts(options.max_width, console)

    def _repr_html_(self) -> str:
        """Draw the report in a notebook."""
        parts = [f"<p><b>{html.escape(self._heading().plain)}</b></p>"]
        for finding in self.findings:
            hint = f"<br><small>{html.escape(finding.hint)}</small>" if finding.wrong else ""
            parts.append(f"<p>{html.escape(str(finding))}{hint}</p>")
        columns = self._columns(())
        head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
        rows = [
            "".join(f"<td>{html.escape(row.cells()[column])}</td>" for column in columns) for row in self.rows
        ]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        return "".join([*parts, f"<p><small>{html.escape(self._repeat())}</small></p>"])

    def _parts(self, width: int, console: Console) -> Iterator[Text | Table | Group]:
        wrong = [finding for finding in self.findings if finding.wrong]
        for finding in wrong:
            head = Text.assemble((finding.kind, "bold red"), str(finding)[len(finding.kind) :])
            yield Group(head, Text(f"    {finding.hint}", "dim"))
        yield self._heading()
        if self.rows:
            yield self._table(width, console)
        for finding in self.findings:
            if not finding.wrong:
                yield Text.assemble((finding.kind, "bold yellow"), str(finding)[len(finding.kind) :])
        yield Text(self._repeat(), "dim")

    def _heading(self) -> Text:
        verdict = Text("right", "bold green") if self.ok else Text("wrong", "bold red")
        return Text.assemble(f"{self.title}: ", verdict)

    def _repeat(self) -> str:
        return f"seed {self.seed}; upstream {self._upstream_text()}"

    def _upstream_text(self) -> str:
        numbers = [
            float(n) for u in self.upstream if not u.is_complex() for n in u.reshape(-1)[:MOST_NUMBERS]
        ]
        if not numbers or sum(u.numel() for u in self.upstream) > MOST_NUMBERS:
            return "of random signs and sizes 0.5 to 1.5"
        return "[" + ", ".join(f"{number:.6g}" for number in numbers) + "]"

    def _columns(self, dropped: tuple[str, ...]) -> list[str]:
        """Return the columns that say something; numeric is the last to go if there is no reference."""
        names = list(Row("", ()).cells())
        if all(row.reference is None for row in self.rows):
            names.remove("reference")
            dropped = tuple(name for name in dropped if name != "numeric")
        return [name for name in names if name not in dropped]

    def _table(self, width: int, console: Console) -> Table | Group:
        for dropped in DROPPED:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            columns = self._columns(dropped)
            for column in columns:
                left = column in ("argument", "shape", "verdict")
                table.add_column(column, justify="left" if left else "right", no_wrap=True)
            for row in self.rows:
                cells = [Text(row.cells()[column]) for column in columns]
                cells[-1].stylize("green" if row.verdict.startswith("right") else "red")
                table.add_row(*cells)
            if Measurement.get(console, console.options.update(width=10_000), table).maximum <= width:
                return table
        return Group(*(Text(self._prose(row)) for row in self.rows))

    def _prose(self, row: Row) -> str:
        """Return a row as a sentence, for a terminal too narrow for any table."""
        cells = row.cells()
        should = cells["reference"] or cells["numeric"]
        figures = f"; at {cells['worst at']} yours {cells['yours']}, should be {should}" * bool(
            cells["yours"]
        )
        return f"  {row.argument} {cells['shape']}: {row.verdict}{figures}"


def index_text(index: tuple[int, ...]) -> str:
    """Write an index as it would be typed: ``[0, 1]``."""
    return str(list(index)) if index else "[]"


def shape_text(shape: tuple[int, ...]) -> str:
    """Write a shape as a tuple: ``(3, 2)``."""
    return str(tuple(shape))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
