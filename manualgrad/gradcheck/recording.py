"""Run a subject once and record what each custom backward returned, before the engine touches it.

The engine repairs in silence: it sums a gradient down to its input's shape and casts it to its input's
dtype. So the nodes of the graph that belong to custom Functions get, for the length of one run, an
``apply`` of their own that looks at what goes in and what comes out. It is set on the node, not on the
class: nothing needs to be put back.

This is the one file that reads what PyTorch does not promise to keep: see :data:`PRIVATE`.
"""

import linecache
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction, Function

from manualgrad.gradcheck.subject import Subject, copy_of, forward_names, is_differentiable, same_bits

PRIVATE = {
    "BackwardCFunction": "the type of a custom Function's node in the graph",
    "_forward_cls": "the Function class of such a node, for its name and its arguments' names",
    "apply, set on a node": "what the engine calls: to see what goes in and what comes out",
    "_input_metadata": "the shape, dtype and device that the engine makes of each gradient",
    "_version": "counts changes in place, also one that leaves the values as they were",
}
HERE = Path(__file__).parent
TORCH = Path(torch.__file__).parent

Around = Callable[[list[Tensor]], AbstractContextManager[Any]]
Upstream = Callable[[Sequence[Tensor]], Sequence[Tensor]]


class SubjectError(Exception):
    """The checked code raised.

    Parameters
    ----------
    phase
        ``"forward"`` or ``"backward"``.
    error
        What it raised.
    changed
        What had been modified in place by then.
    """

    def __init__(self, phase: str, error: BaseException, changed: Sequence[str] = ()) -> None:
        self.phase = phase
        self.error = error
        self.changed = changed
        super().__init__(f"{phase} raised {type(error).__name__}: {_first_line(error)}{_place(error)}")


@dataclass
class Returned:
    """One gradient as ``backward`` returned it, beside what it should look like.

    Attributes
    ----------
    name : str
        The argument of ``forward`` that it belongs to.
    position : int or None
        The subject's argument that this is the gradient of, where the two are directly connected.
    gradient : Tensor or None
        As returned.
    shape, dtype, device
        Those of the argument.
    """

    name: str
    position: int | None
    gradient: Tensor | None
    shape: torch.Size
    dtype: torch.dtype
    device: torch.device

    @property
    def is_accepted(self) -> bool:
        """Whether the engine takes it, if only after summing it; if not, zeros are put in its place."""
        return self.gradient is None or engine_accepts(self.gradient.shape, self.shape)


@dataclass
class Run:
    """One forward and backward of the subject.

    Attributes
    ----------
    outputs : tuple of Tensor
        The results that can have a gradient, detached; ``differentiable`` tells which autograd follows.
    gradients : dict
        The gradient per judged position; None where autograd has none.
    second : dict
        The same from a second backward through the same graph, if there was one.
    returned : list of Returned
        What each custom backward returned.
    changed : list of str
        What was modified in place that should not have been, as a phrase.
    saved : list of Tensor
        What the custom backwards could read.
    functions : list of type
        The custom Functions in the graph.
    upstream : tuple of Tensor
        What backward was given, per output.
    leaves : dict
        The tensor that each judged gradient was taken for.
    """

    outputs: tuple[Tensor, ...]
    differentiable: list[bool]
    gradients: dict[int, Tensor | None] = field(default_factory=dict)
    second: dict[int, Tensor | None] = field(default_factory=dict)
    returned: list[Returned] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    saved: list[Tensor] = field(default_factory=list)
    functions: list[type[Function]] = field(default_factory=list)
    upstream: tuple[Tensor, ...] = ()
    leaves: dict[int, Tensor] = field(default_factory=dict)


def run(
    subject: Subject,
    values: Sequence[Any],
    upstream: Upstream,
    *,
    create_graph: bool = False,
    again: bool = False,
    around: Around = nullcontext,
    requires: Sequence[int] | None = None,
    used: Sequence[int] | None = None,
) -> Run:
    """Run forward and backward once, on copies.

    Parameters
    ----------
    subject
        What to run.
    values
        Its arguments.
    upstream
        Makes the upstream gradients from the outputs.
    create_graph
        Keep the graph of the backward, for a second derivative.
    again
        Go backward a second time through the same graph.
    around
        Makes a context for each custom backward to run in, from the tensors that it has saved.
    requires
        The positions that require a gradient; by default all that are judged.
    used
        The results that have an upstream gradient; by default all.

    Returns
    -------
    Run

    Raises
    ------
    SubjectError
        If forward or backward raises.
    """
    leaves = {
        i: copy_of(values[i]).requires_grad_() for i in (subject.checked if requires is None else requires)
    }
    with torch.enable_grad():
        # Copies of the leaves, because a forward may work in place.
        arguments = [leaves[i].clone() if i in leaves else copy_of(value) for i, value in enumerate(values)]
        nodes = {arguments[i].grad_fn: i for i in leaves}

        def body(fn: Callable[..., Any]) -> Run:
            try:
                results = [t for t in subject.call(arguments, fn) if is_differentiable(t)]
            except (Exception, SystemExit) as error:
                raise SubjectError("forward", error) from error
            record = Run(
                tuple(t.detach() for t in results), [t.requires_grad for t in results], leaves=leaves
            )
            _note_changed_inputs(record, subject, values, arguments, results, "forward")
            record.upstream = tuple(upstream(results))
            subject.reseed()
            chosen = [k for k, t in enumerate(results) if t.requires_grad and (used is None or k in used)]
            roots = [results[k] for k in chosen]
            for node in _custom_nodes(roots):
                _Recorder(node, record, nodes, around).install()
            if not roots:
                record.gradients = dict.fromkeys(leaves)
                return record
            try:
                tops = [record.upstream[k] for k in chosen]
                record.gradients = _backward(roots, leaves, tops, again or create_graph, create_graph)
                if again:
                    record.second = _backward(roots, leaves, tops, False, False)
            except (Exception, SystemExit) as error:
                phase = "the second backward through the same graph" if record.gradients else "backward"
                raise SubjectError(phase, error, record.changed) from error
            if not record.changed:
                _note_changed_inputs(record, subject, values, arguments, results, "backward")
            return record

        return subject.hold(arguments, body)


def _backward(
    roots: list[Tensor], leaves: dict[int, Tensor], upstream: list[Tensor], retain: bool, create: bool
) -> dict[int, Tensor | None]:
    try:
        gradients = torch.autograd.grad(
            roots, list(leaves.values()), upstream, retain, create_graph=create, allow_unused=True
        )
    except RuntimeError as error:
        if "use .backward()" not in str(error):
            raise
        # A reentrant checkpoint works with backward() alone.
        torch.autograd.backward(roots, upstream, retain, create)
        gradients = tuple(leaf.grad for leaf in leaves.values())
        for leaf in leaves.values():
            leaf.grad = None
    return dict(zip(leaves, gradients, strict=True))


class _Recorder:
    """Stands in for one node's ``apply``."""

    def __init__(
        self, node: BackwardCFunction, record: Run, positions: dict[Any, int], around: Around
    ) -> None:
        self.node, self.record, self.positions, self.around = node, record, positions, around
        self.function: type[Function] = type(node)._forward_cls  # type: ignore[attr-defined]
        record.functions.append(self.function)

    def install(self) -> None:
        self.node.apply = self  # type: ignore[method-assign]

    def __call__(self, *upstream: Tensor | None) -> Any:
        saved = _saved_tensors(self.node)
        self.record.saved += saved
        watched = [("the upstream gradient", u) for u in upstream if isinstance(u, Tensor)]
        watched += [("a saved tensor", t) for t in saved]
        watched += [
            ("the .grad of a saved tensor", t.grad) for t in saved if t.is_leaf and t.grad is not None
        ]
        without = [t for t in saved if t.is_leaf and t.grad is None]
        before = [(t.detach().clone(), t._version) for _, t in watched]
        with self.around(saved):
            returned = type(self.node).apply(self.node, *upstream)
        for (what, now), (was, version) in zip(watched, before, strict=True):
            if now._version != version or not same_bits(now, was):
                self._changed(what)
        if any(t.grad is not None for t in without):
            self._changed("the .grad of a saved tensor")
        gradients = returned if isinstance(returned, tuple | list) else (returned,)
        return self._inspect(list(gradients))

    def _changed(self, what: str) -> None:
        self.record.changed.append(f"{self.function.__name__}.backward changed {what} in place")

    def _inspect(self, gradients: list[Any]) -> tuple[Any, ...]:
        """Note each gradient, and hand the engine something that it accepts."""
        needs = self.node.needs_input_grad
        if len(gradients) != len(needs) and any(g is not None for g in gradients[len(needs) :]):
            raise _miscounted(self.function, len(gradients), len(needs))
        missing = list(range(len(gradients), len(needs)))
        if any(not needs[i] for i in missing):
            raise _miscounted(self.function, len(gradients), len(needs))
        gradients = gradients[: len(needs)] + [None] * len(missing)
        # next_functions has an entry per tensor argument; those that need no gradient lead nowhere.
        edges = iter(edge for edge in self.node.next_functions if edge[0] is not None)
        names = forward_names(self.function)
        for i, needed in enumerate(needs):
            if not needed:
                continue
            node, slot = next(edges)
            meta = node._input_metadata[slot]
            gradient = gradients[i]
            if gradient is not None and not isinstance(gradient, Tensor):
                raise TypeError(
                    f"backward returned a {type(gradient).__name__} as the gradient of "
                    f"{names[i] if i < len(names) else i}; a gradient is a tensor or None"
                )
            shape = torch.Size(meta.shape)
            name = names[i] if i < len(names) else str(i)
            self.record.returned.append(
                Returned(name, self.positions.get(node), gradient, shape, meta.dtype, meta.device)
            )
            if not self.record.returned[-1].is_accepted:
                gradients[i] = torch.zeros(shape, dtype=meta.dtype, device=meta.device)
        return tuple(gradients)


def _saved_tensors(node: BackwardCFunction) -> list[Tensor]:
    """Return everything that backward may read: what was saved, and tensors hung on ctx."""
    return [t for t in node.saved_tensors if isinstance(t, Tensor)] + _tensors_within(vars(node))


def _tensors_within(value: Any, depth: int = 3) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    if not depth or not isinstance(value, dict | list | tuple):
        return []
    return [t for part in parts for t in _tensors_within(part, depth - 1)]


def _custom_nodes(roots: Sequence[Tensor]) -> Iterator[BackwardCFunction]:
    seen: set[Any] = set()
    stack: list[Any] = [t.grad_fn for t in roots]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, BackwardCFunction):
            yield node
        stack += [next_node for next_node, _ in node.next_functions]


def _note_changed_inputs(
    record: Run,
    subject: Subject,
    values: Sequence[Any],
    arguments: Sequence[Any],
    results: Sequence[Tensor],
    phase: str,
) -> None:
    for i, (was, now) in enumerate(zip(values, arguments, strict=True)):
        # A module updates its buffers; an in-place function hands back its own argument.
        hands_back = any(now is t for t in results)
        if i < subject.inputs and isinstance(was, Tensor) and not hands_back and not same_bits(now, was):
            record.changed.append(f"{phase} changed the input {subject.name_of(i)} in place")


def engine_accepts(shape: torch.Size, wanted: torch.Size) -> bool:
    """Return whether the engine takes a gradient of this shape: it sums what broadcasting would expand."""
    try:
        return torch.broadcast_shapes(shape, wanted) == shape
    except RuntimeError:
        return False


def _miscounted(function: type[Function], got: int, wanted: int) -> TypeError:
    return TypeError(
        f"{function.__name__}.backward returned {got} gradient{'s' * (got != 1)}, but forward takes {wanted} "
        f"argument{'s' * (wanted != 1)}: return one for each, None for what has none"
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def _place(error: BaseException) -> str:
    """Return where in the user's own code it happened: file, line, and the shapes of the names in it."""
    trace = error.__traceback__
    place: tuple[FrameType, int] | None = None
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if not path.is_relative_to(HERE) and not path.is_relative_to(TORCH):
            place = (trace.tb_frame, trace.tb_lineno)
        trace = trace.tb_next
    if place is None:
        return ""
    frame, number = place
    path = Path(frame.f_code.co_filename)
    line = linecache.getline(str(path), number).strip()
    names = dict.fromkeys(re.findall(r"[^\W\d]\w*", line))
    shapes = [f"{n} {tuple(v.shape)}" for n in names if isinstance(v := frame.f_locals.get(n), Tensor)]
    if isinstance(error, NameError):
        shapes = ["names here: " + ", ".join(n for n in frame.f_locals if not n.startswith("__"))]
    return f" ({path.name}, line {number}: {line}{'; with ' * bool(shapes)}{', '.join(shapes)})"
