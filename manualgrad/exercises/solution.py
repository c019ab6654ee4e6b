"""Our solution of an exercise and the student's, as text to be put side by side."""

import ast
import textwrap

from manualgrad.exercises.exercise import Exercise

_WRITTEN = {"function": "backward", "network": "by_hand", "script": "train"}


def our_solution(exercise: Exercise) -> str:
    """Return the part of the lesson that solves an exercise.

    Parameters
    ----------
    exercise : Exercise
        Which one.

    Returns
    -------
    str
        The backward with the functions that it uses, or the whole function of a network or a script.
    """
    if exercise.kind == "prediction":
        return f'prediction = "{exercise.answer}"'
    lesson, written = exercise.lesson, _WRITTEN[exercise.kind]
    if exercise.kind == "function":
        return "\n\n\n".join([lesson.method(written), *lesson.helpers(written)])
    return lesson.function(written)


def their_solution(exercise: Exercise, text: str) -> str:
    """Return the part of a student's file that is to solve it.

    Parameters
    ----------
    exercise : Exercise
        Which one.
    text : str
        The student's file.

    Returns
    -------
    str
        The function that they had to write; the whole file if it cannot be found in it.
    """
    if exercise.kind == "prediction":
        return "\n".join(line for line in text.splitlines() if line.startswith("prediction"))
    try:
        nodes = ast.walk(ast.parse(text))
    except (SyntaxError, ValueError):
        return text
    written = _WRITTEN[exercise.kind]
    found = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == written]
    if not found:
        return text
    lines = text.splitlines()[found[-1].lineno - 1 : found[-1].end_lineno]
    return textwrap.dedent("\n".join(line for line in lines if "# -----" not in line))
