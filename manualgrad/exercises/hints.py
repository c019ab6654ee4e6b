"""Hints, from the lesson's own sections: each gives a little more away than the one before."""

import re

from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.prose import FORMULA, paragraphs


def hints(exercise: Exercise) -> list[str]:
    """Return an exercise's hints in the order in which they are shown.

    First what was saved for backward; then the derivation, a paragraph at a time; the pitfalls; and at last
    the formula that is the result.

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
        return [*paragraphs(sections["Symptom"]), *paragraphs(sections["Cause"])]
    derivation = paragraphs(sections["Backward"])
    last = max(i for i, paragraph in enumerate(derivation) if f"\n{FORMULA}" in f"\n{paragraph}")
    before, gap, formula = derivation[last].rpartition(f"\n\n{FORMULA}")
    result = "\n\n".join([gap.strip("\n") + formula, *derivation[last + 1 :]])
    if dangling := re.search(r"(?<!\S)With [^.]*:\Z", before):  # no sentence without its formula
        before, result = before[: dangling.start()].rstrip(), f"{dangling[0]}\n\n{result}"
    before = re.sub(r":\Z", ".", before)
    saved = [f"Saved for backward: {sections['Saved']}"] if "Saved" in sections else []
    steps = [*derivation[:last], *filter(None, [before])]
    return [*saved, *steps, f"Pitfalls:\n\n{sections['Pitfalls']}", result]
