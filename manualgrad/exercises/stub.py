"""Write the student's file: the formula, the shapes, what is given, and one place to write; and its solution.

Everything comes from the lesson and its code; nothing is kept twice.
"""

import re
import textwrap

from manualgrad.exercises.exercise import Exercise, Lesson
from manualgrad.exercises.folder import Folder
from manualgrad.exercises.prose import fill, wrap

WIDTH = 79  # of the text; code is as wide as it is

_CLASS = """\
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
"""

_PLACE = """\
# ---------------------------- write here ----------------------------
raise NotImplementedError  # replace this line by yours
# --------------------------------------------------------------------
return """

_PREDICTION = """

prediction = ...  # a name from the list above, in quotes
"""

_BACKWARD = (
    "Write ``backward``: it gets {}, the loss's gradient with respect to what forward returns, and returns "
    "its gradient with respect to each of forward's arguments: None for one that has no gradient."
)
_MEND = "This backward is wrong. Find out why, and mend it."
_PREDICT = (
    "This backward is wrong, and stays so. Which of these will the check call its gradient? Work it out by "
    "hand, write the name in the last line, then check."
)
_NAMES = """\
    sign               right but for its sign
    scale              right but for one constant factor
    ignores-upstream   is not multiplied by grad_output
    input-for-output   uses the input where the output belongs, or the reverse
    missing-terms      lacks a factor, or some paths
    transposed         is the transpose of the right one
    unsummed           is not summed over the batch"""
_NETWORK = (
    "Write every line: put an expression in the place of each ``...``, forward first. The comment gives "
    "the shape of its result. Your values are compared with ours one after the other."
)
_SCRIPT = (
    "``train`` is wrong. Run this file, find out why, and mend it. It is judged by what ``train`` does "
    "to the parameters; write it as you like."
)
_COMMANDS = """\
    {}
        is it right, and if not, why
    {}
        one more hint each time"""


def write_stub(exercise: Exercise, folder: Folder) -> str:
    """Return the text of the file that the student starts from; the folder is for the commands in it."""
    lesson = exercise.lesson
    section = "Program" if exercise.kind == "script" else "Forward"
    parts = {section: wrap(lesson.sections[section], WIDTH)}
    names = ""
    if exercise.kind == "network":
        task, code = _NETWORK, _without_expressions(lesson.body())
    elif exercise.kind == "script":
        task, code = _SCRIPT, lesson.body()
        for right, wrong in exercise.mistakes:
            code = code.replace(right, wrong)
    else:
        parts["Shapes"] = _shapes(lesson.shapes())
        upstream = " and ".join(f"``{name}``" for name in lesson.upstream())
        task = _MEND if exercise.wrong_backward else _BACKWARD.format(upstream)
        code = _class(exercise)
        if exercise.kind == "prediction":
            task, names, code = _PREDICT, _NAMES, code + _PREDICTION
    steps = [f"    {number}. {step.title}" for number, step in enumerate(exercise.steps, 1)]
    commands = _COMMANDS.format(*(folder.command(verb, exercise) for verb in ("check", "hint")))
    task = fill(f"{task} {exercise.note}".strip(), WIDTH)
    told = [task, names, "\n".join(steps) if len(steps) > 1 else "", commands]
    parts["Your task"] = "\n\n".join(filter(None, told))
    head = [wrap(exercise.title, WIDTH - 3)]
    head += [f"{heading}\n{'-' * len(heading)}\n{text}" for heading, text in parts.items()]
    return '"""' + "\n\n".join(head) + f'\n"""\n\n{code}'


def _without_expressions(code: str) -> str:
    """Make each right-hand side a place to write; of its comment, the shape of the result stays."""
    code = re.sub(r"^(    \w+ = )[^#\n]*?(  # .*)?$", r"\1...\2", code, flags=re.MULTILINE)
    return re.sub(r"# \(.*\) -> ", "# ", code)


def _class(exercise: Exercise) -> str:
    """Return the class with what is given, and a place for backward or a wrong one."""
    lesson = exercise.lesson
    lines = lesson.given_lines()
    lines = [line.replace(" = ", " = (\n    ") + "\n)" if len(line) > WIDTH - 8 else line for line in lines]
    if exercise.wrong_backward:
        lines.append(exercise.wrong_backward)
    else:
        gradients = [f"grad_{name}" if has else "None" for name, has in lesson.arguments().items()]
        names = [name for name in gradients if name != "None"]
        lines += [" = ".join(names) + " = None"] * (len(names) > 1)
        lines.append(_PLACE + ", ".join(gradients))
    given = _given(exercise)
    text = _CLASS.format(
        name=lesson.class_name,
        given=given,
        upstream=", ".join(lesson.upstream()),
        lines=textwrap.indent("\n".join(lines), " " * 8),
    )
    return "import math\n\n" * ("math." in given) + text


def _shapes(shapes: list[tuple[str, str]]) -> str:
    """Return a line for each tensor, its names in a column."""
    width = max(len(name) for name, _ in shapes) + 2
    return "\n".join(
        fill(f"    {name + ':':<{width}}{text}", WIDTH, " " * (6 + width)) for name, text in shapes
    )


def _given(exercise: Exercise) -> str:
    """Return forward and what it saves, as comments; where helpers of ours are called, in plain lines."""
    lesson = exercise.lesson
    # What is kept for forward mode is no concern of backward's.
    saved = re.sub(r".*save_for_forward.*\n?", "", lesson.code("setup_context"))
    helpers = [] if exercise.forward else lesson.helpers("forward")
    code = "\n\n".join([exercise.forward or lesson.code("forward"), saved.rstrip(), *helpers])
    code = re.sub(r"^def (\w+)\(([^)]*)\) -> .*:$", _without_types, code, flags=re.MULTILINE)
    return "\n".join(f"    # {line}".rstrip() for line in _fit(code, WIDTH - 6).splitlines())


def _without_types(head: re.Match[str]) -> str:
    """Return the first line of a function without its types, which nobody needs to derive a gradient."""
    names = re.findall(r"(\w+):", head[2])
    return f"def {head[1]}({', '.join(names)}):"


def _fit(code: str, width: int) -> str:
    """Break lines that are too wide at a comma or an operator; a comment goes above its line."""
    fitting = []
    for line in code.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        rest, _, comment = line.partition("  # ") if len(line) > width else (line, "", "")
        fitting += [f"{indent}# {comment}"] * bool(comment)
        whole = re.sub(r"(?<=[^ ,]) (?![-+*/] )", "\N{NO-BREAK SPACE}", rest)
        fitting.append(fill(whole, width, f"{indent}    ").replace("\N{NO-BREAK SPACE}", " "))
    return "\n".join(fitting)


_WRITTEN = {"function": "backward", "network": "by_hand", "script": "train"}


def our_solution(exercise: Exercise) -> str:
    """Return the part of the lesson that solves an exercise: a backward with its helpers, or a function."""
    if exercise.kind == "prediction":
        return f'prediction = "{exercise.answer}"'
    written = _WRITTEN[exercise.kind]
    helpers = exercise.lesson.helpers(written) if exercise.kind == "function" else []
    return "\n\n\n".join([exercise.lesson.code(written), *helpers])


def their_solution(exercise: Exercise, text: str) -> str:
    """Return the part of a student's file that is to solve it; the whole file if it cannot be found."""
    if exercise.kind == "prediction":
        return "\n".join(line for line in text.splitlines() if line.startswith("prediction"))
    try:
        code = Lesson(text).code(_WRITTEN[exercise.kind])
    except (SyntaxError, ValueError, KeyError):
        return text
    return "\n".join(line for line in code.splitlines() if "# -----" not in line)
