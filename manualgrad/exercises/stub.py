"""Write what a student reads: the file to work in, the hints, and the solution.

Everything comes from the lesson and its code; nothing is kept twice.
"""

import re
import textwrap
from collections.abc import Callable

from rich.text import Text

from manualgrad.exercises.exercise import Exercise, Lesson

PROGRAM = "python -m manualgrad.exercises"
FORMULA = " " * 4  # a lesson indents its formulas by this
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


def _command(verb: str, exercise: Exercise) -> str:
    return f"{PROGRAM} {verb} {exercise.name}"


def write_stub(exercise: Exercise, command: Callable[[str, Exercise], str] = _command) -> str:
    """Return the text of the file that the student starts from; ``command`` gives what to type for a verb."""
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
        width = max(len(name) for name, _ in lesson.shapes()) + 2
        shapes = (f"    {name + ':':<{width}}{text}" for name, text in lesson.shapes())
        parts["Shapes"] = "\n".join(fill(line, WIDTH, " " * (6 + width)) for line in shapes)
        upstream = " and ".join(f"``{name}``" for name in lesson.upstream())
        task = _MEND if exercise.wrong_backward else _BACKWARD.format(upstream)
        code = _class(exercise)
        if exercise.kind == "prediction":
            task, names, code = _PREDICT, _NAMES, code + _PREDICTION
    steps = [f"    {number}. {step.title}" for number, step in enumerate(exercise.steps, 1)]
    commands = _COMMANDS.format(*(command(verb, exercise) for verb in ("check", "hint")))
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


def _given(exercise: Exercise) -> str:
    """Return forward and what it saves, as comments; where helpers of ours are called, in plain lines."""
    lesson = exercise.lesson
    # What is kept for forward mode is no concern of backward's.
    saved = re.sub(r".*save_for_forward.*\n?", "", lesson.code("setup_context"))
    helpers = [] if exercise.forward else lesson.helpers("forward")
    code = "\n\n".join([exercise.forward or lesson.code("forward"), saved.rstrip(), *helpers])
    code = re.sub(r"^def (\w+)\(([^)]*)\) -> .*:$", _without_types, code, flags=re.MULTILINE)
    return "\n".join(f"    # {line}".rstrip() for line in fit(code, WIDTH - 6).splitlines())


def _without_types(head: re.Match[str]) -> str:
    """Return the first line of a function without its types, which nobody needs to derive a gradient."""
    names = re.findall(r"(\w+):", head[2])
    return f"def {head[1]}({', '.join(names)}):"


def fit(code: str, width: int) -> str:
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


def solved(exercise: Exercise) -> str:
    """Return a file that passes with our solution, without repeating it."""
    if exercise.kind == "prediction":
        return write_stub(exercise).replace("prediction = ...", our_solution(exercise))
    if exercise.kind != "function":
        return exercise.lesson.body()
    imported = f"from {exercise.module} import {exercise.lesson.class_name} as Ours"
    return write_stub(exercise) + f"\n    {imported}\n    backward = staticmethod(Ours.backward)\n"


def their_solution(exercise: Exercise, text: str) -> str:
    """Return the part of a student's file that is to solve it; the whole file if it cannot be found."""
    if exercise.kind == "prediction":
        return "\n".join(line for line in text.splitlines() if line.startswith("prediction"))
    try:
        code = Lesson(text).code(_WRITTEN[exercise.kind])
    except (SyntaxError, ValueError, KeyError):
        return text
    return "\n".join(line for line in code.splitlines() if "# -----" not in line)


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
