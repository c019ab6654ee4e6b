"""Write the student's file: the formula, the shapes, what is given, and one place to write.

Everything comes from the lesson and its code; nothing is kept twice.
"""

import functools
import re
import textwrap

from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.folder import Folder
from manualgrad.exercises.prose import wrap

WIDTH = 79  # of the text; code is as wide as it is

_FUNCTION = '''"""{head}

Shapes
------
{shapes}

Your task
---------
{task}
"""

import torch
from torch import Tensor

from manualgrad.exercises import given


class {name}(given.{name}):
    # Given: the class inherits this.
    #
{given}

    @staticmethod
    def backward(ctx, {upstream}):
{lines}
'''

_PREDICTION = """

prediction = ...  # a kind, in quotes
"""

_SCRIPT = '''"""{head}

Your task
---------
{task}
"""

{code}'''

_PLACE = """\
# ------------------------------ write here ------------------------------
raise NotImplementedError  # replace this line by yours
# ------------------------------------------------------------------------
"""


def write_stub(exercise: Exercise, folder: Folder) -> str:
    """Return the text of the file that the student starts from.

    Parameters
    ----------
    exercise : Exercise
        What it is for.
    folder : Folder
        The student's, for the commands.

    Returns
    -------
    str
        A Python file.
    """
    if exercise.kind == "prediction":
        return _write_function(exercise, folder) + _PREDICTION
    if exercise.kind == "network":
        return _write_network(exercise, folder)
    if exercise.kind == "script":
        return _write_script(exercise, folder)
    return _write_function(exercise, folder)


def _write_function(exercise: Exercise, folder: Folder) -> str:
    lesson = exercise.lesson
    arguments, upstream = lesson.arguments(), lesson.upstream()
    gradients = [argument.name for argument in arguments if argument.has_gradient]
    lines = lesson.given_lines()
    if exercise.is_bug:
        task = "This backward is wrong. Find out why, and mend it."
        lines.append(exercise.wrong_backward)
    elif exercise.kind == "prediction":
        task = "This backward is wrong. Before it is checked: which kind will the check name? Write it below."
        lines.append(exercise.wrong_backward)
    else:
        task = (
            f"Write ``backward``: it gets {_listed(upstream)}, the loss's gradient with respect to the "
            f"result, and returns the gradient with respect to {_listed(gradients)}."
        )
        if len(gradients) > 1:
            lines.append(" = ".join(f"grad_{name}" for name in gradients) + " = None")
        returned = ", ".join(f"grad_{a.name}" if a.has_gradient else "None" for a in arguments)
        lines.append(f"{_PLACE}return {returned}")
    return _FUNCTION.format(
        head=_head(exercise, "Forward"),
        shapes=_shapes(lesson.shapes()),
        task=_task(exercise, task, folder),
        name=lesson.class_name,
        given=_given(exercise),
        upstream=", ".join(upstream),
        lines=textwrap.indent("\n".join(lines), " " * 8),
    )


def _write_network(exercise: Exercise, folder: Folder) -> str:
    # Each right-hand side becomes a place to write; its comment, which gives the shape, stays. A product's
    # comment would give the product away, all but the shape of its result.
    code = re.sub(r"^(    \w+ = )[^#\n]*?(  # .*)?$", r"\1...\2", exercise.lesson.body(), flags=re.MULTILINE)
    code = re.sub(r"# \(.*\) -> ", "# ", code)
    task = (
        "Write every line: put an expression in the place of each ``...``, forward first. The comment gives "
        "the shape of its result. Your values are compared with ours one after the other."
    )
    return _SCRIPT.format(head=_head(exercise, "Forward"), task=_task(exercise, task, folder), code=code)


def _write_script(exercise: Exercise, folder: Folder) -> str:
    code = exercise.lesson.body()
    for right, wrong in exercise.mistakes:
        code = code.replace(right, wrong)
    task = (
        "``train`` is wrong. Run this file, find out why, and mend it. It is judged by what ``train`` does "
        "to the parameters; write it as you like."
    )
    head = _head(exercise, "Program")
    return _SCRIPT.format(head=head, task=_task(exercise, task, folder), code=code)


def _shapes(shapes: list[tuple[str, str]]) -> str:
    """Return a line for each tensor, its names in a column."""
    width = max(len(name) for name, _ in shapes) + 2
    indents = (f"    {name + ':':<{width}}" for name, _ in shapes)
    fill = functools.partial(textwrap.fill, width=WIDTH, subsequent_indent=" " * (6 + width))
    return "\n".join(fill(text, initial_indent=i) for i, (_, text) in zip(indents, shapes, strict=True))


def _head(exercise: Exercise, section: str) -> str:
    """Return the file's title and the section of the lesson that it begins with."""
    body = wrap(exercise.lesson.sections[section], WIDTH)
    return "\n".join([wrap(exercise.title, WIDTH - 3), "", section, "-" * len(section), body])


def _task(exercise: Exercise, task: str, folder: Folder) -> str:
    """Return what there is to do, in which steps, and what to type."""
    parts = [textwrap.fill(f"{task} {exercise.note}", WIDTH)]
    if len(exercise.steps) > 1:
        parts += [f"    {number}. {step.title}" for number, step in enumerate(exercise.steps, 1)]
    verbs = {"check": "is it right, and if not, why", "hint": "one more hint each time"}
    commands = [f"    {folder.command(verb, exercise)}\n        {verbs[verb]}" for verb in verbs]
    return "\n\n".join(part for part in (parts[0], "\n".join(parts[1:]), "\n".join(commands)) if part)


def _given(exercise: Exercise) -> str:
    """Return forward and what it saves, as comments; where helpers of ours are called, in plain lines."""
    lesson = exercise.lesson
    # What is kept for forward mode is no concern of backward's.
    saved = re.sub(r".*save_for_forward.*\n?", "", lesson.method("setup_context"))
    helpers = [] if exercise.forward else lesson.helpers("forward")
    code = "\n\n".join([exercise.forward or lesson.method("forward"), saved.rstrip(), *helpers])
    return "\n".join(f"    #     {line}".rstrip() for line in code.splitlines())


def _listed(names: list[str]) -> str:
    quoted = [f"``{name}``" for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " and " + quoted[-1]
