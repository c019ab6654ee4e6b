"""Point out the lines of a submission that a person should look at."""

import ast
import re

from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.stub import write_stub

MODULES = "ctypes|gc|inspect|os|sys|builtins|importlib|multiprocessing|subprocess|signal"
HIDDEN = "exec|eval|getattr|globals|vars|__import__"
# What gives a gradient without deriving it, or reaches into the check: a pattern of dotted names, and why.
WATCHED = {
    r".*\.\w*backward(_\w*)?(\.|$)": "may not be a derivation of one's own",
    rf"(.*\.)?({MODULES})\b|({HIDDEN})\b|.*\.__\w+__": "reaches into the check",
    r"manualgrad\b(?!\.exercises\.given\b)": "uses the package's own functions",
    r"torch\.nn\.functional\b(?!\.one_hot$)": "calls PyTorch's own functions",
    r"torch\.(ops|_C)\b": "calls PyTorch's own operators",
    r"torch\.(autograd\.(grad|backward|functional)|func)\b": "takes autograd's gradient",
}


def look(exercise: Exercise, source: bytes) -> str:
    """Name the lines that a person should look at: a gradient that was not derived, a way into the check.

    What stands in the stub is not held against the student.
    """
    try:
        names = _names(source)
    except (SyntaxError, ValueError):
        return ""
    except (RecursionError, MemoryError):
        return "is nested too deeply to be looked through"
    given = _names(write_stub(exercise).encode())
    told = []
    for name, line in sorted(names.items(), key=lambda item: item[1]):
        reasons = [why for pattern, why in WATCHED.items() if re.match(pattern, name)]
        if reasons and name not in given:
            told.append(f"line {line}: {name} {reasons[-1]}")
    return "; ".join(told)


def _names(source: bytes) -> dict[str, int]:
    """Return every dotted name that a file reads, in full, with the line that has it first."""
    names: dict[str, int] = {}
    in_full: dict[str, str] = {}
    nodes = list(ast.walk(ast.parse(source)))
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                in_full[alias.asname or alias.name] = module + alias.name
                if alias.name == "*":  # whatever of it is read, cannot be told
                    names.setdefault(module + alias.name, node.lineno)
    begins = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        if isinstance(node, ast.Attribute | ast.Name) and id(node) not in begins:
            first, dot, rest = ast.unparse(node).partition(".")
            names.setdefault(in_full.get(first, first) + dot + rest, node.lineno)
    return names
