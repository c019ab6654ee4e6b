"""Name a student's slip: the one edit that makes their backward right, or makes of ours what theirs returns."""

import ast
import contextlib
import dataclasses
import io
import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from manualgrad.cases import FUNCTIONS
from manualgrad.exercises.edits import Code, Edit, edits, read, tell
from manualgrad.exercises.programs import trace
from manualgrad.gradcheck.tolerance import Tolerance, same

EXACT = Tolerance(1e-7, 1e-9)
LONGEST_DEFINITION = 50  # characters
GIVEN = ("saved_tensors", "needs_input_grad", "options", "shape")
TRIVIAL = (None, False, 0, 1, (0, 0), (1, 1), "none", "mean", -100)


@dataclass
class Call:
    """One call of backward, and what ours returns."""

    ctx: dict[str, Any]
    saved: tuple[Any, ...]
    upstream: tuple[Any, ...]
    right: tuple[Any, ...] = ()

    def run(self, backward: Any) -> tuple[Any, ...]:
        """Return what a backward returns; nothing if it raises."""
        try:
            with torch.no_grad():
                result = backward(*self.arguments())
        except Exception:
            return ()
        return result if isinstance(result, tuple) else (result,)

    def arguments(self) -> list[Any]:
        """Return copies, which a backward may change."""
        ctx = SimpleNamespace(**self.ctx, saved_tensors=tuple(map(_clone, self.saved)))
        return [ctx, *map(_clone, self.upstream)]


def recording(function_class: type[Function], calls: list[Call]) -> type[Function]:
    """Return a Function class that notes each call of its backward."""

    class Recording(function_class):  # type: ignore[misc, valid-type]
        @staticmethod
        def backward(ctx: Any, *upstream: Tensor) -> Any:
            known = {**vars(ctx), "needs_input_grad": ctx.needs_input_grad}
            call = Call(known, tuple(map(_clone, ctx.saved_tensors)), tuple(map(_clone, upstream)))
            result = function_class.backward(ctx, *upstream)
            call.right = result if isinstance(result, tuple) else (result,)
            call.right = tuple(map(_clone, call.right))
            calls.append(call)
            return result

    return Recording


def _clone(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def name_slip(
    ours: type[Function], theirs: type[Function], calls: Sequence[Call], later: Sequence[Call], places: list[int]
) -> tuple[str, str] | None:
    """Return a kind and a sentence if one edit explains the gradients at some places of what is returned.

    The first of the calls is where they are wrong; the edit has to fit all of the calls, and the more of the
    later ones it fits, the better.
    """
    try:
        codes = [read(ours.backward), read(theirs.backward)]
        for code in codes:
            code.keep(places)
    except (OSError, TypeError, ValueError):
        return None
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yours = [call.run(theirs.backward) for call in (*calls, *later)]
        right = [call.right for call in (*calls, *later)]
        goals = [yours, right]
        if _fits(yours[0], right[0], places):
            return None
        for name, other in _other_pages(ours):
            if yours[0] and all(
                _fits(call.run(other), goal, places) for call, goal in zip(calls, yours, strict=False)
            ):
                return "input-for-output", f"This is the backward of {name}."
        # Of ours, what changes it to theirs; of theirs, what mends it.
        known = codes[1].stored()
        shared = [name for name in codes[0].stored() if name in known]
        attributes = [f"ctx.{name}" for name in calls[0].ctx if name != "needs_input_grad"]
        candidates = [(e, 0) for e in edits(codes[0], shared, False)] if yours[0] else []
        candidates += [(e, 1) for e in edits(codes[1], known + attributes, True)]
        candidates.sort(key=lambda candidate: candidate[0].surprise)
        for _, group in itertools.islice(itertools.groupby(candidates, lambda c: c[0].surprise), 6):
            found = []
            for edit, which in group:
                fitting = _fitting(codes[which], edit, calls, later, goals[which], places)
                if fitting:
                    found.append((-fitting, len(found), edit, which))
            if found:
                _, _, edit, which = min(found)
                kind = "missing-terms" if edit.is_left_out else "input-for-output"
                names = {} if which else _names(codes, calls[0])
                return kind, tell(edit, bool(which), names)
        return "", unread(codes, calls[0])


def _other_pages(ours: type[Function]) -> Iterator[tuple[str, Any]]:
    for name, info in FUNCTIONS.items():
        if info.function_class is not ours:
            yield name, info.function_class.backward


def _fitting(
    code: Code, edit: Edit, calls: Sequence[Call], later: Sequence[Call], goals: list[Any], places: list[int]
) -> int:
    """Return how many calls an edit explains; 0 unless all of the first."""
    undo = edit.apply()
    try:
        backward = code.compile()
    except Exception:
        return 0
    finally:
        edit.undo(undo)
    count = len(calls)
    if not all(_fits(call.run(backward), goal, places) for call, goal in zip(calls, goals, strict=False)):
        return 0
    return count + sum(
        _fits(call.run(backward), goal, places) for call, goal in zip(later, goals[count:], strict=True)
    )


def _fits(returned: tuple[Any, ...], goal: tuple[Any, ...], places: list[int]) -> bool:
    """Return whether what is returned is the goal at these places."""
    if len(returned) <= max(places) or len(goal) <= max(places):
        return False
    for place in places:
        a, b = returned[place], goal[place]
        if not isinstance(b, Tensor):
            if a is not None:
                return False
        elif not isinstance(a, Tensor) or not same(a.double(), b.double(), EXACT):
            return False
    return True


def _names(codes: list[Code], call: Call) -> dict[str, str]:
    """Return what of theirs has the value of one of our names; else how that is computed, if that is short."""
    ours, theirs = (_values(code, call) for code in codes)
    names = {}
    for name, value in ours.items():
        same_value = [other for other, known in theirs.items() if _is_equal(value, known)]
        if name not in same_value and same_value:
            names[name] = same_value[0]
    for node in ast.walk(codes[0].main):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, text = node.targets[0].id, ast.unparse(node.value)
            if name not in theirs and name not in names and len(text) < LONGEST_DEFINITION:
                names[name] = text
    return names


def _values(code: Code, call: Call) -> dict[str, Any]:
    """Return the value of each name in the function when it ends."""
    names = [argument.arg for argument in code.main.args.args]
    function: Any = code.compile()
    return trace(function, dict(zip(names, call.arguments(), strict=False))).values | dict(
        zip(names[1:], call.upstream, strict=False)
    )


def _is_equal(a: Any, b: Any) -> bool:
    return isinstance(a, Tensor) and isinstance(b, Tensor) and same(a.double(), b.double())


def unread(codes: list[Code], call: Call) -> str:
    """Say which facts the right backward reads that theirs does not; empty if there is none."""
    ours = _values(codes[0], call)
    loaded = {n.id for n in ast.walk(codes[1].tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    loaded |= {n.attr for n in ast.walk(codes[1].tree) if isinstance(n, ast.Attribute)}
    facts = {}
    for node in ast.walk(codes[0].main):
        if isinstance(node, ast.Assign) and ast.unparse(node.value) in ("ctx.saved_tensors", "ctx.options"):
            for name in ast.walk(node.targets[0]):
                if isinstance(name, ast.Name) and not name.id.endswith("_grad"):
                    facts[name.id] = ours.get(name.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "ctx" and node.attr not in GIVEN:
                facts[f"ctx.{node.attr}"] = call.ctx.get(node.attr)
            elif dataclasses.is_dataclass(value := ours.get(node.value.id)):
                facts[f"{node.value.id}.{node.attr}"] = getattr(value, node.attr)
    said = []
    for name, value in facts.items():
        if name.rpartition(".")[2] in loaded or name in codes[1].stored() and name in loaded:
            continue
        if isinstance(value, Tensor):
            said.append(f"`{name}`")
        elif value not in TRIVIAL and isinstance(value, bool | int | float | str | tuple):
            said.append(f"`{name}`, which is {value!r} here")
    return f"Backward does not read {' or '.join(said)}." if said else ""
