"""Hints, from the lesson's own sections: each gives a little more away than the one before."""

import re

from manualgrad.exercises.course import Exercise


def hints(exercise: Exercise) -> list[str]:
    """Return an exercise's hints in the order in which they are shown.

    First what was saved for backward; then the derivation, a paragraph at a time; before its last paragraph,
    which is the result, the pitfalls.

    Parameters
    ----------
    exercise : Exercise
        Which one.

    Returns
    -------
    list of str
        At least two.
    """
    sections = exercise.lesson.sections
    if exercise.kind == "script":
        return [*_paragraphs(sections["Symptom"]), *_paragraphs(sections["Cause"])]
    *derivation, result = _paragraphs(sections["Backward"])
    saved = [f"Saved for backward: {_reflow(sections['Saved'])}"] if "Saved" in sections else []
    return [*saved, *derivation, f"Pitfalls:\n{_reflow(sections['Pitfalls'])}", result]


def _paragraphs(text: str) -> list[str]:
    """Split at blank lines; a formula stays with the sentence that leads to it, except for the last one."""
    pieces = [_reflow(piece) for piece in re.split(r"\n\s*\n", text.strip("\n"))]
    paragraphs: list[str] = []
    for position, piece in enumerate(pieces):
        is_formula = piece.startswith("    ")
        if is_formula and paragraphs and position < len(pieces) - 1:
            paragraphs[-1] += f"\n\n{piece}"
        else:
            paragraphs.append(piece)
    return paragraphs


def _reflow(piece: str) -> str:
    """Make one line of a sentence's lines, so that a terminal of any width can break it; formulas stay."""
    return piece if piece.startswith("    ") else re.sub(r"\n(?![-\n ]\s)\s*", " ", piece)
