"""What is checked, whatever it came as: a Function class, a module, or any callable on tensors.

The rest of the checker sees a :class:`Subject`: a list of argument values, which of them are judged, and a
way to call the function on other values of the same arguments.
"""

import inspect
import linecache
import re
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.autograd import Function

from manualgrad.errors import UserError
from manualgrad.gradcheck.clock import Clock

HERE = Path(__file__).parent
TORCH = Path(torch.__file__).parent
REAL = "gradcheck judges real tensors; pass and return the parts, torch.view_as_real"


class MisuseError(UserError, ValueError):
    """The caller's own mistake, not the subject's: it leaves gradcheck."""


class SubjectError(Exception):
    """The checked code raised in a phase, ``"forward"`` say, having changed some tensors in place."""

    def __init__(self, phase: str, error: BaseException, changed: Sequence[str] = ()) -> None:
        self.phase = phase
        self.changed = changed
        first_line = str(error).strip().partition("\n")[0]
        super().__init__(f"{phase} raised {type(error).__name__}: {first_line}{_place(error)}")


class Subject:
    """A function with its arguments, the caller's tensors left alone.

    A module's parameters and buffers follow its inputs as further arguments.
    """

    def __init__(self, fn: Any, inputs: Any, clock: Clock) -> None:
        arguments = list(inputs) if isinstance(inputs, tuple | list) else [inputs]
        self.title = getattr(fn, "__name__", type(fn).__name__)
        self.fn = fn.apply if is_function_class(fn) else fn
        self.inputs = len(arguments)
        # An argument's name, or its position where the function does not tell.
        names = argument_names(fn)[: len(arguments)]
        self.names: list[str | int] = [*names, *range(len(names), len(arguments))]
        asked = [i for i, a in enumerate(arguments) if isinstance(a, Tensor) and a.requires_grad]
        # The positions whose gradient is judged.
        self.checked = asked or [i for i, a in enumerate(arguments) if is_differentiable(a)]
        # Of each parameter and buffer the modules that have it, and its name there.
        self._owners: list[list[tuple[nn.Module, str]]] = []
        if isinstance(fn, nn.Module):
            tied = [*self.fn.named_parameters("", True, False), *self.fn.named_buffers("", True, False)]
            for name, value in [*self.fn.named_parameters(), *self.fn.named_buffers()]:
                if isinstance(value, nn.Parameter) and value.requires_grad:
                    self.checked.append(len(arguments))
                self.names.append(name)
                arguments.append(value)
                places = [other.rpartition(".") for other, same in tied if same is value]
                modules = dict(self.fn.named_modules(remove_duplicate=False))
                self._owners.append([(modules[path], last) for path, _, last in places])
        if not self.checked:
            raise MisuseError("gradcheck needs at least one floating-point tensor among the inputs")
        for i in self.checked:
            if arguments[i].is_complex():
                raise MisuseError(f"{self.name_of(i)} is complex: {REAL}")
        self.own = arguments[self.inputs :]  # a module's, to be given back
        self.values = [copy_of(a) for a in arguments]
        self.clock = clock
        self.seed: int | None = None  # of each forward, once it is known to draw random numbers
        self._reseeded = 0

    def call(self, values: Sequence[Any]) -> list[Tensor]:
        """Return the results that can have a gradient, in order.

        A module has these parameters until :meth:`hold` gives it others: one that recomputes reads them then.
        """
        self.clock.check()
        self.hold(values[self.inputs :])
        if self.seed is not None:
            torch.manual_seed(self.seed)
        try:
            results = tensors_in(self.fn(*values[: self.inputs]))
            if any(result.is_complex() and result.requires_grad for result in results):
                raise TypeError(f"a result is complex: {REAL}")
            if not any(map(is_differentiable, results)):
                raise TypeError("no result is a floating-point tensor: there is nothing to differentiate")
        except (Exception, SystemExit) as error:
            raise SubjectError("forward", error) from error
        return [result for result in results if is_differentiable(result)]

    def hold(self, values: Sequence[Any]) -> None:
        """Let a module have these parameters and buffers."""
        for owners, value in zip(self._owners, values, strict=True):
            for owner, name in owners:
                kept = owner._parameters if name in owner._parameters else owner._buffers
                kept[name] = value

    def arguments(self, values: Sequence[Any]) -> tuple[dict[int, Tensor], list[Any]]:
        """Return leaves by position, and arguments that are copies of them: a forward may work in place."""
        leaves = {i: copy_of(values[i]).requires_grad_() for i in self.checked}
        return leaves, [leaves[i].clone() if i in leaves else copy_of(v) for i, v in enumerate(values)]

    @torch.enable_grad()  # the function may differentiate something by itself
    def evaluate(self, values: Sequence[Any]) -> list[Tensor]:
        """Return the results at copies of these values."""
        _, arguments = self.arguments(values)
        try:
            return [t.detach() for t in self.call(arguments)]
        finally:
            self.hold(self.own)

    def fix_randomness(self) -> None:
        """Seed each forward from now on, if the function draws random numbers (dropout does)."""
        first, again = (self.evaluate(self.values) for _ in range(2))
        if not all(map(same_numbers, first, again)):
            self.seed = 0

    def reseed(self) -> None:
        """Seed anew before each backward: a fixed forward must not fix what backward draws."""
        if self.seed is not None:
            self._reseeded += 1
            torch.manual_seed(self._reseeded)

    def name_of(self, position: int) -> str:
        """Return how a sentence refers to the argument."""
        name = self.names[position]
        return name if isinstance(name, str) else f"argument {name}"

    def entry(self, position: int, index: tuple[int, ...]) -> str:
        """Return how a sentence refers to one element: ``weight[0, 1]``."""
        return self.name_of(position) + (str(list(index)) if index else "")


def is_function_class(fn: Any) -> bool:
    """Return whether ``fn`` is a class derived from ``torch.autograd.Function``."""
    return isinstance(fn, type) and issubclass(fn, Function)


def argument_names(fn: Any) -> list[str]:
    """Return the names of a callable's positional arguments; a Function's ctx is none of them."""
    try:
        signature = inspect.signature(
            fn.forward if is_function_class(fn) or isinstance(fn, nn.Module) else fn
        )
    except (TypeError, ValueError):  # a builtin has no signature to read
        return []
    parameters = signature.parameters.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[1:] if is_function_class(fn) and fn.setup_context is Function.setup_context else names


def tensors_in(value: Any, depth: int = 3) -> list[Tensor]:
    """Return a tensor, or those in a list, tuple or dict, in order."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    is_nested = depth and isinstance(value, dict | tuple | list)
    return [t for part in parts for t in tensors_in(part, depth - 1)] if is_nested else []


def is_differentiable(value: Any) -> TypeGuard[Tensor]:
    """Return whether a value is a tensor that can have a gradient; a float8 has no arithmetic of its own."""
    return isinstance(value, Tensor) and value.is_floating_point() and value.dtype.itemsize > 1


def copy_of(value: Any) -> Any:
    """Return a detached copy of a tensor, and anything else as it is."""
    return value.detach().clone() if isinstance(value, Tensor) else value


def cast(values: Sequence[Any], dtype: torch.dtype) -> list[Any]:
    """Return the values with every tensor that can have a gradient in another dtype."""
    return [v.to(dtype) if is_differentiable(v) else v for v in values]


def as_gradient(gradient: Tensor | None, value: Tensor) -> Tensor:
    """Return a gradient as float64 on the CPU; none at all counts as zero."""
    if gradient is None:
        return torch.zeros(value.shape, dtype=torch.float64)
    gradient = gradient.detach()
    if gradient.layout != torch.strided:
        gradient = gradient.to_dense()
    return gradient.cpu().to(torch.float64, copy=True)


def same_numbers(now: Tensor, was: Tensor) -> bool:
    """Return whether two tensors hold the same numbers, NaN among them, in whatever dtype and layout."""
    if now.shape != was.shape or now.dtype != was.dtype:
        return False
    if now.layout != torch.strided:
        now, was = now.to_dense(), was.to_dense()
    if torch.equal(now, was):
        return True
    return is_differentiable(now) and torch.allclose(now, was, rtol=0, atol=0, equal_nan=True)


def _place(error: BaseException) -> str:
    """Return where in the user's own code it happened: file, line, and the shapes of the names in it."""
    places = [
        (frame, number, path)
        for frame, number in traceback.walk_tb(error.__traceback__)
        if not (path := Path(frame.f_code.co_filename)).is_relative_to(HERE)
        and not path.is_relative_to(TORCH)
    ]
    if not places:
        return ""
    frame, number, path = places[-1]
    line = linecache.getline(str(path), number).strip()
    names = dict.fromkeys(re.findall(r"[^\W\d]\w*", line))
    shapes = [f"{n} {tuple(v.shape)}" for n in names if isinstance(v := frame.f_locals.get(n), Tensor)]
    if isinstance(error, NameError):
        shapes = ["names here: " + ", ".join(n for n in frame.f_locals if not n.startswith("__"))]
    return f" ({path.name}, line {number}: {line}{'; with ' * bool(shapes)}{', '.join(shapes)})"
