"""Lay out a lesson's text for a page of any width, and give its sections as hints."""

import re
import textwrap

from rich.text import Text

from manualgrad.exercises.exercise import Exercise

FORMULA = " " * 4  # a lesson indents its formulas by this

_COMPARE = (
    "Write the right gradient above the wrong one. What turns one into the other: a sign, a number, a "
    "factor, another tensor in a place, a transpose, a sum? The list in your file has a name for each."
)


def hints(exercise: Exercise) -> list[str]:
    """Return an exercise's hints, each giving a little more away than the one before.

    First what was saved for backward, and the pitfalls; then the derivation, a paragraph at a time; and at
    last the formula that is the result, or for a prediction what to do with it.
    """
    sections = exercise.lesson.sections
    if exercise.kind == "script":
        return [*paragraphs(sections["Symptom"]), *paragraphs(sections["Cause"])]
    derivation = paragraphs(sections["Backward"])
    last = max(i for i, paragraph in enumerate(derivation) if f"\n{FORMULA}" in f"\n{paragraph}")
    before, gap, formula = derivation[last].rpartition(f"\n\n{FORMULA}")
    result = "\n\n".join([gap.strip("\n") + formula, *derivation[last + 1 :]])
    if dangling := re.search(r"(?<!\S)With [^.]*:\Z", before):  # no sentence without its formula
        before, result = before[: dangling.start()].rstrip(), f"{dangling[0]}\n\n{result}"
    saved = [f"Saved for backward: {sections['Saved']}"] if "Saved" in sections else []
    steps = [*derivation[:last], re.sub(r":\Z", ".", before)]
    kinds = [_COMPARE] if exercise.kind == "prediction" else []
    return [*saved, f"Pitfalls:\n\n{sections['Pitfalls']}", *filter(None, steps), result, *kinds]


def paragraphs(text: str) -> list[str]:
    """Split a section at blank lines; a formula, and what goes on in lower case, stays with what is above."""
    found: list[str] = []
    for piece in re.split(r"\n\s*\n", text.strip("\n")):
        if found and (piece.startswith(FORMULA) or piece[:1].islower()):
            found[-1] += f"\n\n{piece}"
        else:
            found.append(piece)
    return found


def wrap(text: str, width: int) -> str:
    """Fit a section into a width: sentences flow, no word is broken, formulas keep their columns.

    A formula that is too wide goes on below, at the gaps between its columns.
    """
    return "\n\n".join(_wrap_piece(piece, width) for piece in re.split(r"\n\s*\n", text.strip("\n")))


def _wrap_piece(piece: str, width: int) -> str:
    if piece.startswith(FORMULA):
        return "\n".join(_wrap_formula(row, width) for row in piece.splitlines())
    items = (" ".join(item.split()) for item in re.split(r"\n(?=- )", piece))
    return "\n".join(fill(item, width, "  " * item.startswith("- ")) for item in items)


def _wrap_formula(row: str, width: int) -> str:
    """Break a row of a formula at its gaps: between columns or terms; where that is not enough, at words."""
    if len(row) <= width:
        return row
    first, *rest = re.split(r" {3,}(?![ =])|  (?=[-+]  )", row.strip())  # none before an = below an =
    below = [(1 if " = " in first and " = " in part else 2) * FORMULA + part for part in rest]
    return "\n".join(fill(line, width, 3 * FORMULA) for line in [FORMULA + first, *below])


def fill(text: str, width: int, indent: str = "") -> str:
    """Wrap one paragraph between its words; the lines after the first are indented."""
    return textwrap.fill(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def styled(text: str) -> Text:
    """Return a section without its markup: what stands in double backticks is set off by its style."""
    parts = re.split("``", text)
    return Text.assemble(*((part, "bold" if number % 2 else "") for number, part in enumerate(parts)))
