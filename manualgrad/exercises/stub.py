"""Write the student's file: the formula, the shapes, what is given, and one place to write.

Everything comes from the lesson and its class; nothing is kept twice.
"""

import re
import textwrap

from manualgrad.exercises.course import Exercise
from manualgrad.exercises.lesson import Lesson

_FUNCTION = '''"""{title}

Forward
-------
{forward}

Shapes
------
{shapes}

Your task
---------
Write ``backward`` in the class below. It gets ``grad_output``, the gradient of the loss with respect to the
result, and returns the gradient with respect to {arguments}.
{steps}
{commands}
"""

import torch
from torch import Tensor

{imports}


class {name}({parent}):
    # Given: the class inherits these two, as they stand here.
    #
{given}

    @staticmethod
    def backward(ctx, grad_output):
{unpacked}
        # ------------------------------ write here ------------------------------
        raise NotImplementedError  # replace this line by yours
        # ------------------------------------------------------------------------
        return {returned}
'''


def write_stub(exercise: Exercise, command: str) -> str:
    """Return the text of the file that the student starts from.

    Parameters
    ----------
    exercise : Exercise
        What it is for.
    command : str
        What is typed before a verb, such as ``python experiments/exercises.py``.

    Returns
    -------
    str
        A Python file.
    """
    lesson = exercise.lesson
    arguments = lesson.arguments()
    gradients = [argument.name for argument in arguments if argument.has_gradient]
    unpacked = lesson.given_lines()
    if len(gradients) > 1:
        unpacked.append(" = ".join(f"grad_{name}" for name in gradients) + " = None")
    returned = ", ".join(f"grad_{a.name}" if a.has_gradient else "None" for a in arguments)
    if exercise.is_library_function:
        imports, parent = "import manualgrad.functions as F", f"F.{lesson.class_name}"
    else:
        imports, parent = f"from {exercise.module} import {lesson.class_name} as Given", "Given"
    return _FUNCTION.format(
        title=f"Exercise {exercise.name}. {lesson.title}",
        forward=lesson.sections["Forward"],
        shapes=_shapes(lesson),
        arguments=_listed(gradients),
        steps=_steps(exercise),
        commands=_commands(exercise, command),
        imports=imports,
        name=lesson.class_name,
        parent=parent,
        given=_given(lesson),
        unpacked=textwrap.indent("\n".join(unpacked), " " * 8),
        returned=returned,
    ).replace("\n\n\n\n", "\n\n\n")


def _shapes(lesson: Lesson) -> str:
    return "\n".join(f"    {name + ':':<14} {text}" for name, text in lesson.shapes())


def _steps(exercise: Exercise) -> str:
    if len(exercise.steps) == 1:
        return ""
    lines = [f"    {number}. {step.title}" for number, step in enumerate(exercise.steps, 1)]
    return "It is judged in steps:\n\n" + "\n".join(lines) + "\n"


def _commands(exercise: Exercise, command: str) -> str:
    verbs = (("check", "is it right, and if not, why"), ("hint", "one more hint each time"))
    return "\n".join(f"    {f'{command} {verb} {exercise.name}':<50}   {what}" for verb, what in verbs)


def _given(lesson: Lesson) -> str:
    # What is kept for forward mode is no concern of backward's.
    saved = re.sub(r".*save_for_forward.*\n?", "", lesson.method("setup_context"))
    code = f"{lesson.method('forward')}\n\n{saved}"
    return "\n".join(f"    #     {line}".rstrip() for line in code.splitlines())


def _listed(names: list[str]) -> str:
    quoted = [f"``{name}``" for name in names]
    if len(quoted) == 1:
        return quoted[0]
    return ", ".join(quoted[:-1]) + " and " + quoted[-1]
