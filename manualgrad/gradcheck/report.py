"""What a check found: the findings, the table, and the same as plain data."""

import io
from dataclasses import asdict, dataclass, field
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

WIDTH = 110

# Where to look, per kind. A finding says what is wrong; this says which line of the code it usually is.
HINTS = {
    "missing-gradient": "Look at the `return` of backward: one gradient per argument of forward, in "
    "forward's order.",
    "wrong-shape": "A gradient has exactly its argument's shape. Write the shapes beside each line "
    "of backward.",
    "unsummed": "An entry that is used many times gets the sum over its uses: sum over every "
    "dimension it lacks.",
    "wrong-dtype": "Look for .float(), .double(), .cpu() or a constant made with another dtype in backward.",
    "sign": "Look for a subtraction in the wrong order, or a minus sign that was lost on the way.",
    "scale": "Look for a constant: an inner derivative, the 1/N of a mean, a ½, an exponent.",
    "ignores-upstream": "Backward computes upstream × derivative: every term is multiplied by "
    "grad_output, once.",
    "transposed": "Write the shapes beside the matrix products: which index is summed, which remains?",
    "swapped-inputs": "Backward returns the gradients in the order of forward's arguments.",
    "input-for-output": "Check what forward saved, and whether each formula means x or y = f(x).",
    "missing-terms": "The chain rule multiplies the derivatives of all links of a path, and sums over every "
    "path from the input to the result: write the links down, count the paths.",
    "wrong-region": "Look at the comparison, mask, slice or index that tells these elements from the others.",
    "mutates": "Replace in-place operations (`*=`, `mul_`, `x[mask] = …`) by ones that make a new tensor.",
    "layout": "Use reshape instead of view, and no trick that relies on strides.",
    "second-order": "Write backward in differentiable operations on grad_output and saved inputs or "
    "outputs only.",
    "non-finite": "Look for a division by something that can be 0, a log of 0, or exp of something large.",
    "nondeterministic": "Backward must depend on nothing but grad_output and what forward saved.",
    "kink": "The function has a corner there: any slope between left and right is allowed.",
    "raises": "Read the last line first; then print the shapes that come in.",
    "unknown": "Derive one entry by hand and compare it with the elements above.",
}


@dataclass(frozen=True)
class Finding:
    """One thing the check has to say about a gradient.

    Attributes
    ----------
    kind : str
        One of the names in :data:`HINTS`.
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


@dataclass
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
    """

    title: str
    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; notes are allowed."""
        return not any(finding.wrong for finding in self.findings)

    def raise_if_wrong(self) -> None:
        """Raise ``AssertionError`` with the report as its text, unless it is ok."""
        if not self.ok:
            raise AssertionError(f"\n{self}")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, ready for json."""
        findings = [asdict(finding) | {"hint": finding.hint} for finding in self.findings]
        return {
            "title": self.title,
            "ok": self.ok,
            "findings": findings,
            "rows": [asdict(row) for row in self.rows],
        }

    def __str__(self) -> str:
        console = Console(file=io.StringIO(), width=WIDTH, color_system=None)
        console.print(self)
        return console.file.getvalue().rstrip()  # type: ignore[attr-defined]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table and the findings; rich leaves out the colours where there are none."""
        verdict = Text("right", "bold green") if self.ok else Text("wrong", "bold red")
        yield Text.assemble(f"{self.title}: ", verdict)
        yield self._table()
        for finding in self.findings:
            yield _paragraph(finding)

    def _table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("argument", "shape"):
            table.add_column(heading)
        for heading in ("worst index", "yours", "numeric", "reference", "rel. error"):
            table.add_column(heading, justify="right")
        table.add_column("verdict")
        for row in self.rows:
            figures = [_figure(value) for value in (row.yours, row.numeric, row.reference)]
            error = "" if row.relative_error is None else f"{row.relative_error:.1e}"
            verdict = Text(row.verdict, "green" if row.verdict == "right" else "red")
            index = "" if row.index is None else index_text(row.index)
            table.add_row(str(row.argument), shape_text(row.shape), index, *figures, error, verdict)
        return table


def index_text(index: tuple[int, ...]) -> str:
    """Write an index as it would be typed: ``[0, 1]``."""
    return str(list(index)) if index else "[]"


def shape_text(shape: tuple[int, ...]) -> str:
    """Write a shape as a tuple: ``(3, 2)``."""
    return str(tuple(shape))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _paragraph(finding: Finding) -> Group:
    colour = "bold red" if finding.wrong else "bold yellow"
    where = "" if finding.argument is None else f" ({finding.argument})"
    head = Text.assemble((finding.kind, colour), f"{where}: {finding.message}")
    return Group(head, Text(f"    {finding.hint}", "dim")) if finding.wrong else Group(head)
