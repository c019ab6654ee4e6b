"""What a backward itself returned, seen before the autograd engine touches it.

The engine repairs in silence: it sums a gradient down to its input's shape and casts it to its input's
dtype. So the nodes of the graph that belong to custom Functions get, for the length of one run, an
``apply`` of their own that looks at what goes in and what comes out. It is set on the node, not on the
class: nothing needs to be put back.
"""

import linecache
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction, Function

from manualgrad.gradcheck.subject import Subject, copy_of, forward_names

HERE = Path(__file__).parent
TORCH = Path(torch.__file__).parent

Around = Callable[[list[Tensor]], AbstractContextManager[Any]]


class StudentError(Exception):
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
        The floating-point results, detached; ``differentiable`` tells which of them autograd follows.
    gradients : dict
        The gradient per judged position; None where autograd has none.
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
    returned: list[Returned] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    saved: list[Tensor] = field(default_factory=list)
    functions: list[type[Function]] = field(default_factory=list)
    upstream: tuple[Tensor, ...] = ()
    leaves: dict[int, Tensor] = field(default_factory=dict)


def run(
    subject: Subject,
    values: Sequence[Any],
    upstream: Callable[[Sequence[Tensor]], Sequence[Tensor]],
    *,
    create_graph: bool = False,
    around: Around = nullcontext,
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
    around
        Makes a context for each custom backward to run in, from the tensors that it has saved.

    Returns
    -------
    Run

    Raises
    ------
    StudentError
        If forward or backward raises.
    """
    leaves = {i: copy_of(values[i]).requires_grad_() for i in subject.checked}
    with torch.enable_grad():
        # Copies of the leaves, because a forward may work in place.
        arguments = [leaves[i].clone() if i in leaves else copy_of(value) for i, value in enumerate(values)]
        nodes = {arguments[i].grad_fn: i for i in leaves}
        try:
            results = [t for t in subject.call(arguments) if t.is_floating_point()]
        except Exception as error:
            raise StudentError("forward", error) from error
        record = Run(tuple(t.detach() for t in results), [t.requires_grad for t in results], leaves=leaves)
        roots = [t for t in results if t.requires_grad]
        _note_changed_inputs(record, subject, values, arguments, results, "forward")
        record.upstream = tuple(upstream(results))
        subject.stir()
        for node in _custom_nodes(roots):
            _Watch(node, record, nodes, around).install()
        if not roots:
            record.gradients = dict.fromkeys(leaves)
            return record
        chosen = [u for u, t in zip(record.upstream, results, strict=True) if t.requires_grad]
        try:
            gradients = torch.autograd.grad(
                roots, list(leaves.values()), chosen, allow_unused=True, create_graph=create_graph
            )
        except Exception as error:
            raise StudentError("backward", error, record.changed) from error
    if not record.changed:
        _note_changed_inputs(record, subject, values, arguments, results, "backward")
    record.gradients = dict(zip(leaves, gradients, strict=True))
    return record


class _Watch:
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
        before = [(t.detach().clone(), t._version) for _, t in watched]
        with self.around(saved):
            returned = type(self.node).apply(self.node, *upstream)
        for (what, now), (was, version) in zip(watched, before, strict=True):
            if now._version != version or not _identical(now, was):
                self.record.changed.append(f"{self.function.__name__}.backward changed {what} in place")
        gradients = returned if isinstance(returned, tuple | list) else (returned,)
        return self._inspect(list(gradients))

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
    """Everything that backward may read: what was saved, and tensors hung on ctx."""
    saved = [t for t in node.saved_tensors if isinstance(t, Tensor)]
    return saved + [t for t in vars(node).values() if isinstance(t, Tensor)]


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
        if i < subject.inputs and isinstance(was, Tensor) and not hands_back and not _identical(now, was):
            record.changed.append(f"{phase} changed the input {subject.name_of(i)} in place")


def engine_accepts(shape: torch.Size, wanted: torch.Size) -> bool:
    """Whether the engine takes a gradient of this shape: it sums what broadcasting would have expanded."""
    try:
        return torch.broadcast_shapes(shape, wanted) == shape
    except RuntimeError:
        return False


def _identical(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a.detach().nan_to_num(), b.detach().nan_to_num())


def _miscounted(function: type[Function], got: int, wanted: int) -> TypeError:
    return TypeError(
        f"{function.__name__}.backward returned {got} gradient{'s' * (got != 1)}, but forward takes {wanted} "
        f"argument{'s' * (wanted != 1)}: return one for each, None for what has none"
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def _place(error: BaseException) -> str:
    """Where in the student's own code it happened: the innermost frame inside ours that is not PyTorch's."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(HERE):
            break
        if not path.is_relative_to(TORCH):
            line = linecache.getline(frame.filename, frame.lineno or 0).strip()
            return f" ({path.name}, line {frame.lineno}: {line})"
    return ""
