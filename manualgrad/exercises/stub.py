"""Write the student's file: the formula, the shapes, what is given, and one place to write; and its solution.

Everything comes from the lesson and its code; nothing is kept twice.
"""

import ast
import re
import textwrap

from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.folder import Folder
from manualgrad.exercises.prose import fill, wrap

WIDTH = 79  # of the text; code is as wide as it is

_FUNCTION = '''"""{head}

Shapes
------
{shapes}

Your task
---------
{task}
"""

{imports}import torch
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

_SCRIPT = '''"""{head}

Your task
---------
{task}
"""

{code}'''

_PLACE = """\
# ---------------------------- write here ----------------------------
raise NotImplementedError  # replace this line by yours
# --------------------------------------------------------------------
"""

_PREDICTION = """

prediction = ...  # a name from the list above, in quotes
"""

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
_NETWORK_TASK = (
    "Write every line: put an expression in the place of each ``...``, forward first. The comment gives "
    "the shape of its result. Your values are compared with ours one after the other."
)
_SCRIPT_TASK = (
    "``train`` is wrong. Run this file, find out why, and mend it. It is judged by what ``train`` does "
    "to the parameters; write it as you like."
)


def write_stub(exercise: Exercise, folder: Folder) -> str:
    """Return the text of the file that the student starts from; the folder is for the commands in it."""
    if exercise.kind == "network":
        # Each right-hand side becomes a place to write; of its comment, the shape of the result stays.
        code = re.sub(
            r"^(    \w+ = )[^#\n]*?(  # .*)?$", r"\1...\2", exercise.lesson.body(), flags=re.MULTILINE
        )
        code = re.sub(r"# \(.*\) -> ", "# ", code)
        task = _task(exercise, _NETWORK_TASK, folder)
        return _SCRIPT.format(head=_head(exercise, "Forward"), task=task, code=code)
    if exercise.kind == "script":
        code = exercise.lesson.body()
        for right, wrong in exercise.mistakes:
            code = code.replace(right, wrong)
        task = _task(exercise, _SCRIPT_TASK, folder)
        return _SCRIPT.format(head=_head(exercise, "Program"), task=task, code=code)
    return _write_function(exercise, folder)


def _write_function(exercise: Exercise, folder: Folder) -> str:
    lesson = exercise.lesson
    lines, end = lesson.given_lines(), ""
    lines = [line.replace(" = ", " = (\n    ") + "\n)" if len(line) > WIDTH - 8 else line for line in lines]
    if exercise.wrong_backward:
        lines.append(exercise.wrong_backward)
        task = _MEND
        if exercise.kind == "prediction":
            task, end = _PREDICT, _PREDICTION
    else:
        gradients = [f"grad_{name}" if has else "None" for name, has in lesson.arguments().items()]
        task = _backward_task(exercise)
        names = [name for name in gradients if name != "None"]
        if len(names) > 1:
            lines.append(" = ".join(names) + " = None")
        lines.append(f"{_PLACE}return {', '.join(gradients)}")
    code = _given(exercise)
    text = _FUNCTION.format(
        imports="import math\n\n" * ("math." in code),
        head=_head(exercise, "Forward"),
        shapes=_shapes(lesson.shapes()),
        task=_task(exercise, task, folder),
        name=lesson.class_name,
        given=code,
        upstream=", ".join(lesson.upstream()),
        lines=textwrap.indent("\n".join(lines), " " * 8),
    )
    return text + end


def _backward_task(exercise: Exercise) -> str:
    """Say what backward gets and returns, and why there is a None among what it returns."""
    lesson, arguments = exercise.lesson, exercise.lesson.arguments()
    task = (
        f"Write ``backward``: it gets {_listed(lesson.upstream())}, the loss's gradient with respect to "
        f"the result{'s' * (len(lesson.upstream()) > 1)}, and returns its gradient with respect to "
        f"{_listed([name for name, has in arguments.items() if has])}."
    )
    others = [name for name, has in arguments.items() if not has]
    if others:
        none = "None stands" if len(others) == 1 else "Each None stands"
        task += f" {none} for an argument of forward that has no gradient: {_listed(others)}."
    return task


def _shapes(shapes: list[tuple[str, str]]) -> str:
    """Return a line for each tensor, its names in a column."""
    width = max(len(name) for name, _ in shapes) + 2
    return "\n".join(
        textwrap.fill(
            text, WIDTH, initial_indent=f"    {name + ':':<{width}}", subsequent_indent=" " * (6 + width)
        )
        for name, text in shapes
    )


def _head(exercise: Exercise, section: str) -> str:
    """Return the file's title and the section of the lesson that it begins with."""
    body = wrap(exercise.lesson.sections[section], WIDTH)
    return "\n".join([wrap(exercise.title, WIDTH - 3), "", section, "-" * len(section), body])


def _task(exercise: Exercise, task: str, folder: Folder) -> str:
    """Return what there is to do, in which steps, and what to type."""
    steps = [f"    {number}. {step.title}" for number, step in enumerate(exercise.steps, 1)]
    steps = steps if len(steps) > 1 else []
    verbs = {"check": "is it right, and if not, why", "hint": "one more hint each time"}
    commands = [f"    {folder.command(verb, exercise)}\n        {verbs[verb]}" for verb in verbs]
    names = _NAMES if exercise.kind == "prediction" else ""
    parts = [fill(f"{task} {exercise.note}".strip(), WIDTH), names, "\n".join(steps)]
    return "\n\n".join([*filter(None, parts), "\n".join(commands)])


def _given(exercise: Exercise) -> str:
    """Return forward and what it saves, as comments; where helpers of ours are called, in plain lines."""
    lesson = exercise.lesson
    # What is kept for forward mode is no concern of backward's.
    saved = re.sub(r".*save_for_forward.*\n?", "", lesson.method("setup_context"))
    helpers = [] if exercise.forward else lesson.helpers("forward")
    code = "\n\n".join([exercise.forward or lesson.method("forward"), saved.rstrip(), *helpers])
    code = re.sub(r"^def (\w+)\(([^)]*)\) -> .*:$", _without_types, code, flags=re.MULTILINE)
    return "\n".join(f"    # {line}".rstrip() for line in _fit(code, WIDTH - 6).splitlines())


def _without_types(head: re.Match[str]) -> str:
    """Return the first line of a function without its types, which nobody needs to derive a gradient."""
    names = re.findall(r"(\w+):", head[2])
    return f"def {head[1]}({', '.join(names)}):"


def _fit(code: str, width: int) -> str:
    """Break the lines that are too wide: a comment goes above its line, the rest goes on below."""
    fitting = []
    for line in code.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        rest, _, comment = line.partition("  # ") if len(line) > width else (line, "", "")
        fitting += [f"{indent}# {comment}"] * bool(comment) + [fill(rest, width, f"{indent}    ")]
    return "\n".join(fitting)


def _listed(names: list[str]) -> str:
    quoted = [f"``{name}``" for name in names]
    return " and ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))


_WRITTEN = {"function": "backward", "network": "by_hand", "script": "train"}


def our_solution(exercise: Exercise) -> str:
    """Return the part of the lesson that solves an exercise: a backward with its helpers, or a function."""
    if exercise.kind == "prediction":
        return f'prediction = "{exercise.answer}"'
    lesson, written = exercise.lesson, _WRITTEN[exercise.kind]
    if exercise.kind == "function":
        return "\n\n\n".join([lesson.method(written), *lesson.helpers(written)])
    return lesson.function(written)


def their_solution(exercise: Exercise, text: str) -> str:
    """Return the part of a student's file that is to solve it; the whole file if it cannot be found."""
    if exercise.kind == "prediction":
        return "\n".join(line for line in text.splitlines() if line.startswith("prediction"))
    try:
        nodes = ast.walk(ast.parse(text))
    except (SyntaxError, ValueError):
        return text
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    found = [node for node in functions if node.name == _WRITTEN[exercise.kind]]
    if not found:
        return text
    lines = text.splitlines()[found[-1].lineno - 1 : found[-1].end_lineno]
    return textwrap.dedent("\n".join(line for line in lines if "# -----" not in line))
