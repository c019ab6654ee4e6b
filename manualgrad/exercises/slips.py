"""Name a student's slip: the edit that makes their backward right, or makes ours return what theirs does."""

import ast
import contextlib
import dataclasses
import io
import itertools
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from manualgrad.cases import FUNCTIONS, FunctionInfo, SampleInput
from manualgrad.exercises.edits import Code, Edit, edits, names_in, tell
from manualgrad.exercises.student import in_place_of_ours
from manualgrad.gradcheck.forward_backward import differentiate
from manualgrad.gradcheck.tolerance import Tolerance, same

EXACT = Tolerance(1e-7, 1e-9)
MOST_SURPRISE = 6
MEANINGLESS = {"dropout"}  # its backward multiplies by whatever was saved
MOST_PAIRED = 40  # likely edits of one source, of which all pairs are tried
LONGEST_DEFINITION = 50  # characters
UNPACKED = ("ctx.saved_tensors", "ctx.options")
NO_FACTS = ("saved_tensors", "needs_input_grad", "options", "shape")
TRIVIAL = (None, False, 0, 1, (0, 0), (1, 1), "none", "mean", -100)  # options that change nothing


@dataclasses.dataclass
class Call:
    """One call of backward, and what ours returns."""

    ctx: dict[str, Any]
    upstream: tuple[Any, ...]
    right: tuple[Any, ...]

    def run(self, backward: Any) -> Any:
        """Return what a backward returns, as a tuple; nothing if it raises."""
        saved = tuple(map(_copy, self.ctx["saved_tensors"]))  # copies: a backward may change them
        try:
            with torch.no_grad():
                result = backward(
                    SimpleNamespace(**self.ctx | {"saved_tensors": saved}), *map(_copy, self.upstream)
                )
        except Exception:
            return ()
        return result if isinstance(result, tuple | dict) else (result,)


def record(info: FunctionInfo, sample: SampleInput) -> list[Call]:
    """Run a function of ours on a sample, forward and backward, and return the calls of its backward."""
    ours, calls = info.function_class, list[Call]()

    def backward(ctx: Any, *upstream: Any) -> Any:
        known = vars(ctx) | {"needs_input_grad": ctx.needs_input_grad}
        known["saved_tensors"] = tuple(map(_copy, ctx.saved_tensors))
        result: Any = ours.backward(ctx, *upstream)
        right = result if isinstance(result, tuple) else (result,)
        calls.append(Call(known, tuple(map(_copy, upstream)), tuple(map(_copy, right))))
        return result

    call, values = sample.bind(info.function)
    generator = torch.Generator().manual_seed(1)
    with in_place_of_ours(info, type(ours.__name__, (ours,), {"backward": staticmethod(backward)})):
        result = call(*(value.requires_grad_() for value in values))
        outputs = result if isinstance(result, tuple) else (result,)
        upstream = [torch.randn(y.shape, generator=generator, dtype=y.dtype) for y in outputs]
        differentiate(outputs, values, upstream)
    return calls


def _copy(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


class Slips:
    """A search for the edit that explains the gradients at some places of what a backward returns.

    The calls are where they are wrong. Of those before, what is right has to stay so.
    """

    def __init__(
        self, ours: Code, theirs: Code, calls: list[Call], before: list[Call], places: list[int]
    ) -> None:
        self.codes, self.places = (ours, theirs), places
        for code in self.codes:
            code.keep(places)
        self._given = [a.arg for a in theirs.main.args.args]
        self._helpers = [f.name for f in ours.tree.body if isinstance(f, ast.FunctionDef)]
        backward = theirs.compile()
        self.calls = calls + [call for call in before if _fits(call.run(backward), call.right, places)]
        # An edit of ours has to give what theirs returns, an edit of theirs what is right.
        self.goals = [call.run(backward) for call in self.calls], [call.right for call in self.calls]
        self.is_right = _fits(self.goals[0][0], calls[0].right, places)

    def find(self, most: int = MOST_SURPRISE, without: str = "") -> tuple[str, str] | None:
        """Return a kind and a sentence for the least surprising edit that explains it; None without one."""
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self.is_right:
                return None
            for surprise, edits_of_it in itertools.groupby(self._edits, lambda one: one[1].surprise):
                if surprise > most:
                    break
                found = [one for one in edits_of_it if one[1].kind != without and self._fit((one,))]
                if found:
                    # Of several, what then stands in ours is the likeliest.
                    source = ast.unparse(self.codes[0].tree)
                    told = [self._tell(one) for one in found]
                    return min(told, key=lambda one: one[1].split("`")[-2] not in source)
            if most < MOST_SURPRISE:
                return None
            for name, info in FUNCTIONS.items():
                if name not in MEANINGLESS and self._explain(info.function_class.backward, 0):
                    return "input-for-output", f"This is the backward of {name}."
        return None

    def find_two(self) -> tuple[str, str] | None:
        """Return the same for two likely edits of one source."""
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for which in (0, 1):
                likely = [edit for edit in self._edits if edit[0] == which][:MOST_PAIRED]
                for pair in itertools.combinations(likely, 2):
                    if self._fit(pair):
                        (kind, first), (_, second) = map(self._tell, pair)
                        return kind, f"{first} {second}"
        return None

    def _tell(self, edit: tuple[int, Edit]) -> tuple[str, str]:
        return tell(edit[1], bool(edit[0]), {} if edit[0] else self._names, () if edit[0] else self._helpers)

    @cached_property
    def _edits(self) -> list[tuple[int, Edit]]:
        """Whose source, 0 ours and 1 theirs, and the edit, the likeliest first."""
        ours, theirs = (code.stored() for code in self.codes)
        options = [
            f"ctx.{name}" for name in self.calls[0].ctx if name not in ("saved_tensors", "needs_input_grad")
        ]
        known = [n for n, v in self._values(1).items() if isinstance(v, Tensor | float) or type(v) is int]
        theirs = [
            n for n in theirs if n in known and not (n.startswith("grad_") and n not in self._given)
        ] or theirs
        called = {n.attr for n in ast.walk(self.codes[1].tree) if isinstance(n, ast.Attribute)}
        found = [(1, edit) for edit in edits(self.codes[1], theirs + options, called, True)]
        if self.goals[0][0]:  # theirs did not raise
            found += [
                (0, edit) for edit in edits(self.codes[0], [n for n in ours if n in theirs], called, False)
            ]
        return sorted(found, key=lambda edit: edit[1].surprise)

    def _fit(self, chosen: Sequence[tuple[int, Edit]]) -> bool:
        """Return whether some edits of one source explain all of the calls."""
        which, undo = chosen[0][0], [(edit, edit.apply()) for _, edit in chosen]
        try:
            backward = self.codes[which].compile()
        except Exception:
            return False
        finally:
            for edit, changes in reversed(undo):
                edit.undo(changes)
        return self._explain(backward, which)

    def _explain(self, backward: Any, which: int) -> bool:
        return all(
            _fits(call.run(backward), goal, self.places)
            for call, goal in zip(self.calls, self.goals[which], strict=True)
        )

    def _values(self, which: int) -> dict[str, Any]:
        """Return every name in the first call, with its value at the end; empty if it raises."""
        code = self.codes[which]
        returns = [node for node in ast.walk(code.main) if isinstance(node, ast.Return)]
        written = [node.value for node in returns]
        for node in returns:
            node.value = ast.copy_location(ast.parse("locals()", mode="eval").body, node)
            ast.fix_missing_locations(node)
        backward = code.compile()
        for node, value in zip(returns, written, strict=True):
            node.value = value
        result = self.calls[0].run(backward)
        return result if isinstance(result, dict) else {}

    @cached_property
    def _names(self) -> dict[str, str]:
        """What of theirs has the value of one of our names; else how that is computed, if that is short."""
        ours, theirs, names = self._values(0), self._values(1), {}
        for name, value in ours.items():
            same_value = [other for other, known in theirs.items() if _is_equal(known, value)]
            if same_value and name not in same_value:
                names[name] = min(same_value, key=lambda other: other.startswith("grad_"))
        for node in ast.walk(self.codes[0].main):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name, text = node.targets[0].id, ast.unparse(node.value)
                if name not in theirs and name not in names and len(text) < LONGEST_DEFINITION:
                    names[name] = text
        return names

    def unread(self, with_right: bool) -> str:
        """Say what the right backward reads and theirs does not, and which of their values are right."""
        tree = self.codes[1].tree
        loaded = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        loaded |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        said = []
        for name, value in self._facts():
            before = [call.ctx[name[4:]] for call in self.calls[2:] if name[4:] in call.ctx]
            is_new = bool(before) and value not in before
            if name.rpartition(".")[2] not in loaded and (
                isinstance(value, Tensor) or is_new or value not in TRIVIAL
            ):
                said.append(f"`{name}`" + ("" if isinstance(value, Tensor) else f" (here {value!r})"))
        said = [f"Backward does not read {' or '.join(said)}."] if said else []
        ours, theirs = self._values(0), self._values(1)
        given = list(self._given)
        for node in ast.walk(self.codes[1].main):
            if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("ctx."):
                given += names_in(node)
        computed = [ours[name] for name in ours if name not in given and not name.startswith("grad_")]
        right = [
            f"`{name}`"
            for name, value in theirs.items()
            if name not in given and any(_is_equal(value, one) for one in computed)
        ]
        return " ".join(([f"Right so far: {', '.join(right)}."] if right and with_right else []) + said)

    def _facts(self) -> Iterator[tuple[str, Any]]:
        """Yield what our backward is given and reads: saved tensors, and numbers and words on ctx."""
        values, facts = self._values(0), dict[str, Any]()
        for node in self.codes[0].kept:
            if isinstance(node, ast.Assign) and ast.unparse(node.value) in (
                "ctx.saved_tensors",
                "ctx.options",
            ):
                facts |= {name: values.get(name) for name in names_in(node.targets[0])}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                holder = values.get(node.value.id)
                if (node.value.id == "ctx" and node.attr not in NO_FACTS) or dataclasses.is_dataclass(holder):
                    facts[ast.unparse(node)] = getattr(holder, node.attr, None)
        for name, value in facts.items():
            if isinstance(value, bool | int | float | str | tuple | Tensor):
                yield name, value


def line_of(path: str, line: int, names: Sequence[str], known: dict[str, Any]) -> Code:
    """Return what an assignment at a line computes, as a function of the names that it may read."""
    tree = ast.parse(f"def line(ctx, {', '.join(names)}): return 0")
    (written,) = (n for n in ast.walk(tree) if isinstance(n, ast.Return))
    for node in ast.walk(ast.parse(Path(path).read_bytes())):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.lineno <= line <= (node.end_lineno or line):
            written.value = node.value
    return Code(tree, known, "line")


def _is_equal(a: Any, b: Any) -> bool:
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape != b.shape:
        return False
    return torch.equal(a.isfinite(), b.isfinite()) and same(a.double(), b.double(), EXACT)


def _fits(returned: tuple[Any, ...], goal: tuple[Any, ...], places: list[int]) -> bool:
    """Return whether what is returned is the goal at these places."""
    if min(len(returned), len(goal)) <= max(places):
        return False
    return all(_is_equal(returned[k], goal[k]) or (returned[k] is None and goal[k] is None) for k in places)
