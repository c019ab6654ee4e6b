"""Name a student's slip: the edit that makes their backward right, or makes ours return what theirs does.

A student writes ``grad_output * (1 + output**2)`` for tanh. Ours with ``1 + output * output`` returns the
same in every call, so they are told that it stands where ``1 - output * output`` belongs.
"""

import ast
import dataclasses
import itertools
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from manualgrad.cases import FUNCTIONS, FunctionInfo, SampleInput
from manualgrad.exercises.edits import NUMBER, PART, Code, Edit, edits, names_in, parse
from manualgrad.exercises.student import in_place_of_ours
from manualgrad.exercises.wording import tell
from manualgrad.gradcheck.forward_backward import differentiate
from manualgrad.gradcheck.tolerance import Tolerance, same

EXACT = Tolerance(1e-7, 1e-9)
MEANINGLESS = {"dropout"}  # its backward multiplies by whatever was saved
MOST_PAIRED = 36  # likely edits of one source, of which all pairs are tried
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

    An edit of ours has to make it return what theirs does, an edit of theirs what is right: in the calls
    where theirs is wrong, and in those before where it is right.
    """

    def __init__(
        self, ours: Code, theirs: Code, calls: list[Call], before: list[Call], places: list[int]
    ) -> None:
        self.ours, self.theirs = ours, theirs
        for code in (ours, theirs):
            code.keep(places)
        backward = theirs.compile()
        # What is right beside them stays so.
        yours, right = calls[0].run(backward), calls[0].right
        beside = [k for k in range(len(right)) if isinstance(right[k], Tensor) and _fits(yours, right, [k])]
        self.places = sorted({*places, *beside})
        self.calls = calls + [call for call in before if _fits(call.run(backward), call.right, self.places)]
        self.right = [call.right for call in self.calls]
        self.yours = [call.run(backward) for call in self.calls]
        self._tried: set[int] = set()  # the surprises of which no edit explains it

    def find(self, plain: str | None = None) -> tuple[str, str] | None:
        """Return a kind and a sentence for the least surprising edit that explains it; None without one.

        ``plain`` is the kind that is known already, "" if none is, and then only likely edits are tried. Of a
        mere factor a number that is not ours explains nothing: it may be a size.
        """
        if _fits(self.yours[0], self.right[0], self.places):
            return None
        most = 4 if plain is None else {"": 3, "sign": 2}.get(plain, 4)
        source = ast.unparse(self.ours.tree)
        numbers = {ast.unparse(n) for n in ast.walk(self.ours.tree) if isinstance(n, ast.Constant)}
        for surprise, candidates in itertools.groupby(self._edits, lambda edit: edit.surprise):
            if surprise > most:
                break
            if surprise in self._tried:
                continue
            fitting = [edit for edit in candidates if self._fit(edit)]
            if not fitting:
                self._tried.add(surprise)
            found = [
                edit
                for edit in fitting
                if (edit.kind != NUMBER or plain != "scale" or ast.unparse(edit.new) in numbers)
                and (plain is None or not self._is_foreign(edit))
            ]
            if found:  # of several, what then stands in ours is the likeliest
                return min(map(self._tell, found), key=lambda told: told[1].split("`")[-2] not in source)
        for name, info in FUNCTIONS.items() if not plain else ():
            if name not in MEANINGLESS and self._explain(info.function_class.backward, self.yours):
                return "input-for-output", f"This is the backward of {name}."
        return None

    def find_two(self) -> tuple[str, str] | None:
        """Return the same for two likely edits of one source."""
        for is_theirs in (False, True):
            likely = [edit for edit in self._edits if edit.is_theirs == is_theirs][:MOST_PAIRED]
            for pair in itertools.combinations(likely, 2):
                if self._fit(*pair):
                    (kind, first), (_, second) = map(self._tell, pair)
                    return kind, f"{first} {second}"
        return None

    def _tell(self, edit: Edit) -> tuple[str, str]:
        # What the pages share (of shapes, weights, dtypes) is not told.
        functions = [
            self.ours.names.get(f.name) for f in self.ours.tree.body if isinstance(f, ast.FunctionDef)
        ]
        helpers = [f.__name__ for f in functions if f and f.__module__.rpartition(".")[2].startswith("_")]
        return tell(edit, {}, ()) if edit.is_theirs else tell(edit, self._names, helpers)

    def _is_foreign(self, edit: Edit) -> bool:
        """Return whether its words would hold a name of ours whose value theirs does not have."""
        if edit.is_theirs:
            return False
        container, key = edit.shown
        ours, theirs = self._values(self.ours), self._values(self.theirs)
        used = {self._names.get(name, name) for name in names_in(container[key]) if name in ours}
        plain = {name for name in used if name.isidentifier() and name != "ctx"}
        return any(
            not _is_same(ours.get(name), theirs.get(name))
            for name in plain
            if name not in theirs or name in ours
        )

    @cached_property
    def _edits(self) -> list[Edit]:
        """The edits of both, the likeliest first."""
        numbers = {n for n, v in self._values(self.theirs).items() if isinstance(v, Tensor | float)}
        theirs = [
            name
            for name in self.theirs.stored
            if (name in numbers or not numbers) and (name in self._given or not name.startswith("grad_"))
        ]
        options = [f"ctx.{name}" for name in self.calls[0].ctx if name not in NO_FACTS[:2]]
        called = {n.attr for n in ast.walk(self.theirs.tree) if isinstance(n, ast.Attribute)}
        found = list(edits(self.theirs, theirs + options, called))
        if self.yours[0]:  # theirs did not raise
            found += edits(self.ours, [name for name in self.ours.stored if name in theirs], called)
        return sorted(found, key=lambda edit: edit.surprise)

    @cached_property
    def _given(self) -> set[str]:
        """The names that theirs is given: its arguments, and what it takes from ctx."""
        nodes = [n for n in ast.walk(self.theirs.main) if isinstance(n, ast.Assign)]
        unpacked = [names_in(n) for n in nodes if ast.unparse(n.value).startswith("ctx.")]
        return {a.arg for a in self.theirs.main.args.args}.union(*unpacked)

    def _fit(self, *chosen: Edit) -> bool:
        """Return whether some edits of one source explain all of the calls."""
        code, goals = (self.theirs, self.right) if chosen[0].is_theirs else (self.ours, self.yours)
        with ExitStack() as changed:
            for edit in chosen:
                changed.enter_context(edit.applied())
            try:
                backward = code.compile()
            except Exception:  # what cannot be compiled is no slip
                return False
        return self._explain(backward, goals)

    def _explain(self, backward: Any, goals: list[Any]) -> bool:
        results = ((call.run(backward), goal) for call, goal in zip(self.calls, goals, strict=True))
        return all(_fits(result, goal, self.places) for result, goal in results)

    def _values(self, code: Code) -> dict[str, Any]:
        """Return every name in the first call, with its value at the end; empty if it raises."""
        places = [(vars(node), "value") for node in ast.walk(code.main) if isinstance(node, ast.Return)]
        if not places:  # theirs ends by what it raises
            return {}
        with Edit(code.is_theirs, 0, places, parse("locals()"), places[0], PART).applied():
            result = self.calls[0].run(code.compile())
        return result if isinstance(result, dict) else {}

    @cached_property
    def _names(self) -> dict[str, str]:
        """What of theirs has the value of one of our names; else how that is computed, if that is short."""
        ours, theirs, names = self._values(self.ours), self._values(self.theirs), {}
        for name, value in ours.items():
            equal = [other for other, known in theirs.items() if _is_equal(known, value)]
            if equal and name not in equal:
                names[name] = min(equal, key=lambda other: other.startswith("grad_"))
        for node in ast.walk(self.ours.main):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name, text = node.targets[0].id, ast.unparse(node.value)
                if name not in theirs and name not in names and len(text) < LONGEST_DEFINITION:
                    names[name] = text
        return names

    def unread(self, with_right: bool) -> str:
        """Say what the right backward reads and theirs does not, and which of their values are right."""
        loaded = {n.attr for n in ast.walk(self.theirs.tree) if isinstance(n, ast.Attribute)}
        names = [n for n in ast.walk(self.theirs.tree) if isinstance(n, ast.Name)]
        loaded |= {name.id for name in names if isinstance(name.ctx, ast.Load)}
        said = []
        for name, value in self._facts().items():
            before = [call.ctx[name[4:]] for call in self.calls[2:] if name[4:] in call.ctx]
            if name.rpartition(".")[2] in loaded:
                continue
            is_option = isinstance(value, bool | int | float | str | tuple)
            if isinstance(value, Tensor):
                said.append(f"`{name}`")
            elif is_option and (value not in TRIVIAL or (before and value not in before)):
                said.append(f"`{name}` (here {value!r})")
        sentences = [f"Backward does not read {' or '.join(said)}."] if said else []
        ours, theirs = self._values(self.ours), self._values(self.theirs)
        computed = [v for name, v in ours.items() if name not in self._given and not name.startswith("grad_")]
        right = [
            f"`{name}`"
            for name, value in theirs.items()
            if name not in self._given and any(_is_equal(value, one) for one in computed)
        ]
        if right and with_right:
            sentences.insert(0, f"Right so far: {', '.join(right)}.")
        return " ".join(sentences)

    def _facts(self) -> dict[str, Any]:
        """Return what our backward is given and reads: saved tensors, and numbers and words on ctx."""
        values, facts = self._values(self.ours), dict[str, Any]()
        for node in self.ours.kept:
            if isinstance(node, ast.Assign) and ast.unparse(node.value) in UNPACKED:
                facts |= {name: values.get(name) for name in names_in(node.targets[0])}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                holder = values.get(node.value.id)
                if (node.value.id == "ctx" and node.attr not in NO_FACTS) or dataclasses.is_dataclass(holder):
                    facts[ast.unparse(node)] = getattr(holder, node.attr, None)
        return facts


def _is_same(a: Any, b: Any) -> bool:
    """Return whether a name means the same in both, or only they have it."""
    return (
        a is None or _is_equal(a, b) or (not isinstance(a, Tensor) and not isinstance(b, Tensor) and a == b)
    )


def line_of(path: str, line: int, names: Sequence[str], known: dict[str, Any], is_theirs: bool) -> Code:
    """Return what an assignment at a line computes, as a function of the names that it may read."""
    tree = ast.parse(f"def line(ctx, {', '.join(names)}): return 0")
    (written,) = (n for n in ast.walk(tree) if isinstance(n, ast.Return))
    for node in ast.walk(ast.parse(Path(path).read_bytes())):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.lineno <= line <= (node.end_lineno or line):
            written.value = node.value
    return Code(tree, known, is_theirs)


def _is_equal(a: Any, b: Any) -> bool:
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape != b.shape:
        return False
    return torch.equal(a.isfinite(), b.isfinite()) and same(a.double(), b.double(), EXACT)


def _fits(returned: tuple[Any, ...], goal: tuple[Any, ...], places: list[int]) -> bool:
    """Return whether what is returned is the goal at these places."""
    if min(len(returned), len(goal)) <= max(places):
        return False
    return all(_is_equal(returned[k], goal[k]) or (returned[k] is None and goal[k] is None) for k in places)
