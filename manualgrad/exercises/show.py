"""What the student sees in the terminal."""

import textwrap

from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax
from rich.text import Text

from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.folder import Folder
from manualgrad.exercises.verdict import Verdict

MOST_PRINTED_LINES = 12


def show_list(console: Console, exercises: list[Exercise], folder: Folder, upcoming: Exercise | None) -> None:
    """Print all exercises, what is done, and what is next."""
    states = [_state(exercise, folder, upcoming) for exercise in exercises]
    name_width = max(len(exercise.name) for exercise in exercises)
    state_width = max(len(state) for _, _, state in states)
    for exercise, (mark, colour, state) in zip(exercises, states, strict=True):
        columns = f"{mark} {exercise.name:<{name_width}}  {state:<{state_width}}  "
        title = _fit(exercise.title.rstrip("."), console.width - len(columns))
        console.print(Text((columns + title).rstrip(), colour), soft_wrap=True)
    done = sum(bool(folder.progress(exercise).passed) for exercise in exercises)
    console.print(f"\n{done} of {len(exercises)} done, in {escape(str(folder.path))}", highlight=False)


def _fit(title: str, width: int) -> str:
    """Shorten a title to what stands before its colon, or to whole words."""
    if len(title) <= width:
        return title
    short = title.partition(":")[0]
    return short if len(short) <= width else textwrap.shorten(short, max(width, 0), placeholder="…")


def _state(exercise: Exercise, folder: Folder, upcoming: Exercise | None) -> tuple[str, str, str]:
    """Return an exercise's mark, its colour, and how far it has come."""
    progress = folder.progress(exercise)
    hints = f", {progress.hints} hint{'s' * (progress.hints > 1)}" if progress.hints else ""
    if progress.passed:
        return "✓", "green", f"done{hints}"
    started = ""
    if folder.has(exercise):
        steps = len(exercise.steps)
        started = (f"{progress.steps_done} of {steps} steps" if steps > 1 else "started") + hints
    if exercise is upcoming:
        return "→", "bold", started or "next"
    return " ", "" if started else "dim", started


def show_verdict(console: Console, exercise: Exercise, verdict: Verdict) -> None:
    """Print a verdict: what the code printed, the table, and what is wrong."""
    _show_printed(console, verdict.printed)
    if verdict.passed:
        steps = f", all {len(exercise.steps)} steps" if len(exercise.steps) > 1 else ""
        console.print(
            Text.assemble(
                (f"✓ {exercise.name} is right", "bold green"), steps, f"  ({verdict.seconds:.1f} s)"
            )
        )
        if verdict.report:
            console.print(Text.from_ansi(verdict.report))
        return
    head = Text.assemble((f"✗ {exercise.name}", "bold red"))
    if len(exercise.steps) > 1:
        head.append(f"  {verdict.steps_done} of {len(exercise.steps)} steps right")
    if verdict.step:
        head.append(f"{'; now:' if len(exercise.steps) > 1 else ' '} {verdict.step}")
    console.print(head)
    if verdict.report:
        console.print(Text.from_ansi(verdict.report))
    else:
        console.print(Text.assemble((verdict.kind, "bold red"), f": {verdict.message}"))


def show_solution(console: Console, theirs: str, ours: str) -> None:
    """Print two pieces of code below one another; a line that is too long is the terminal's to break."""
    for title, code in (("yours", theirs), ("ours", ours)):
        if code:
            console.rule(title, style="dim")
            lines = Syntax(code, "python", background_color="default").highlight(code)
            console.print(lines, soft_wrap=True)


def _show_printed(console: Console, printed: str) -> None:
    lines = printed.splitlines()
    if not lines:
        return
    console.print(Text("Your code printed:", "dim"))
    for line in lines[:MOST_PRINTED_LINES]:
        console.print(Text(f"  {line}"))
    if len(lines) > MOST_PRINTED_LINES:
        console.print(Text("  … and more", "dim"))
