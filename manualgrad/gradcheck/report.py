"""What a check found: the findings and the table, on a terminal, in a log, in a notebook, as plain data."""

import io
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

PAGE, LOG = 100, 10_000  # characters a line in a notebook; in a log none is broken: a test shows the first
HEADERS = {"index": "worst at", "relative_error": "rel. error"}  # of the table, else a field's own name
MOST_NUMBERS = 6  # of an upstream gradient that is written out

# A diagnosis of a caller's own: given the name of an argument, a kind and a sentence, or None.
Explain = Callable[[str], tuple[str, str] | None]

# Where to look, per kind: a finding says what is wrong, this says which line of the code it usually is.
HINTS = {
    "missing-gradient": "Look at the `return` of backward: one gradient per argument of forward, in "
    "forward's order.",
    "wrong-shape": "A gradient has exactly its argument's shape. Write the shapes beside each line "
    "of backward.",
    "unsummed": "An entry that is used many times gets the sum over its uses: sum over every "
    "dimension it lacks.",
    "wrong-dtype": "Return it in its argument's dtype: `.to(grad_output.dtype)`. Look for .float(), "
    ".double(), .cpu() or a constant made with another dtype.",
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
    "uninitialized": "Look for torch.empty or empty_like: write every element, or use zeros.",
    "imprecise": "Sum and multiply in float32, and round once at the end; subtract before you round.",
    "kink": "The function has a corner there: with a reference its slope is right, else any between left "
    "and right.",
    "raises": "Print the shapes and types of what comes in, and of what backward returns.",
    "unknown": "Derive one entry by hand and compare it with the elements above.",
}


@dataclass(frozen=True)
class Finding:
    """One thing the check has to say about a gradient."""

    kind: str  # one of the names in HINTS
    argument: str | int | None  # whose gradient: its name, else its position; None where it concerns them all
    index: tuple[int, ...] | None  # the element that shows it best
    message: str  # one or two sentences for a person
    wrong: bool = True  # False for a note, such as a kink whose value is allowed
    figures: str = ""  # that element worked out in numbers, where it was; the message has it, too

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


@dataclass(repr=False)
class Report:
    """The outcome of a check."""

    title: str  # what was checked
    rows: list[Row] = field(default_factory=list)  # one per judged argument
    findings: list[Finding] = field(default_factory=list)  # the first is the one to act on
    seed: int = 0  # of the random upstream gradients
    upstream: tuple[Tensor, ...] = ()  # what the table's backward was given, per result

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
        first = str(wrong[0]).partition(":")[0] if wrong else "right"
        return f"<Report {self.title}: {first}>"

    def raise_if_wrong(self) -> None:
        """Raise ``AssertionError`` with the report as its text, unless it is ok."""
        if not self.ok:
            raise AssertionError(str(self))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, ready for json."""
        findings = [asdict(finding) | {"hint": finding.hint} for finding in self.findings]
        return asdict(self) | {"ok": self.ok, "findings": findings, "upstream": self._upstream_text()}

    def __str__(self) -> str:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else LOG
        return "\n".join(line.rstrip() for line in self._printed(width).export_text().splitlines())

    def _repr_html_(self) -> str:
        """Draw the report in a notebook."""
        return self._printed(PAGE).export_html(code_format="<pre>{code}</pre>", inline_styles=True)

    def _printed(self, width: int) -> Any:
        from rich.console import Console

        console = Console(file=io.StringIO(), width=width, record=True, force_jupyter=False)
        console.print(self)
        return console

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        """Let rich print the report."""
        from rich.padding import Padding
        from rich.text import Text

        for finding in self.findings:
            if finding.wrong:
                yield Text.assemble((finding.kind, "bold red"), str(finding).removeprefix(finding.kind))
                if finding.hint:
                    yield Padding(Text(finding.hint, "dim"), (0, 0, 0, 4), expand=False)
        verdict = ("right", "bold green") if self.ok else ("wrong", "bold red")
        yield Text.assemble(f"{self.title}: ", verdict)
        if self.rows:
            table = self._table()
            is_wide = console.measure(table, options=options.update(width=LOG)).maximum > options.max_width
            yield self._table("shape", "relative_error") if is_wide else table
        for finding in self.findings:
            if not finding.wrong:
                yield Text.assemble((finding.kind, "bold yellow"), str(finding).removeprefix(finding.kind))
        yield Text(f"seed {self.seed}; upstream {self._upstream_text()}", "dim")

    def _table(self, *without: str) -> Any:
        from rich.table import Table

        # The reference decides where there is one.
        other = "reference" if all(row.reference is None for row in self.rows) else "numeric"
        names = [name for name in Row.__annotations__ if name not in (other, *without)]
        table = Table(box=None)
        for name in names:
            side: Any = "left" if name in ("argument", "shape", "verdict") else "right"
            table.add_column(HEADERS.get(name, name), justify=side, overflow="fold")
        for row in self.rows:
            table.add_row(*(_cell(name, getattr(row, name)) for name in names))
        return table

    def _upstream_text(self) -> str:
        sizes = sum(u.numel() for u in self.upstream)
        if not 0 < sizes <= MOST_NUMBERS:
            return "of random signs and sizes 0.5 to 1.5"
        return "[" + ", ".join(f"{n:.6g}" for u in self.upstream for n in u.reshape(-1).tolist()) + "]"


def _cell(name: str, value: Any) -> Any:
    from rich.text import Text

    if name == "verdict":
        return Text(value, "green" if value.startswith("right") else "red")
    if isinstance(value, float):
        return format(value, ".1e" if name == "relative_error" else ".6g")
    if name == "index" and value is not None:
        value = list(value)  # as the sentences have it
    return Text("" if value is None else str(value))
