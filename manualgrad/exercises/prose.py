"""Lay out a lesson's text for a page of any width: sentences flow, formulas keep their columns."""

import re
import textwrap

from rich.text import Text

FORMULA = " " * 4  # a lesson indents its formulas by this


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
    """Fit a section into a width.

    Parameters
    ----------
    text : str
        Paragraphs, lists with hyphens, and formulas, which are indented by four spaces.
    width : int
        In columns.

    Returns
    -------
    str
        No word is broken, and a formula that is too wide goes on below, at the gaps between its columns.
    """
    return "\n\n".join(_wrap_piece(piece, width) for piece in re.split(r"\n\s*\n", text.strip("\n")))


def _wrap_piece(piece: str, width: int) -> str:
    if piece.startswith(FORMULA):
        return "\n".join(line for row in piece.splitlines() for line in _wrap_formula(row, width))
    items = re.split(r"\n(?=- )", piece)
    return "\n".join(
        textwrap.fill(
            " ".join(item.split()),
            width,
            subsequent_indent="  " * item.startswith("- "),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for item in items
    )


def _wrap_formula(row: str, width: int) -> list[str]:
    """Break a row of a formula at its column gaps, and where that is not enough between words."""
    if len(row) <= width:
        return [row]
    first, *rest = re.split(r" {3,}", row.strip())
    lines = [FORMULA + first, *(2 * FORMULA + part for part in rest)]
    return [
        piece
        for line in lines
        for piece in textwrap.wrap(
            line,
            width,
            subsequent_indent=3 * FORMULA,
            break_long_words=False,
            break_on_hyphens=False,
            drop_whitespace=True,
        )
    ]


def styled(text: str) -> Text:
    """Return a section without its markup: what stands in double backticks is set off by its style."""
    return Text.assemble(
        *(
            (part, "bold") if code else part
            for code, part in ((i % 2, p) for i, p in enumerate(re.split("``", text)))
        )
    )
