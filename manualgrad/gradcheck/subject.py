"""What is checked, whatever it came as: a Function class, a module, or any callable on tensors.

The rest of the checker sees a :class:`Subject`: a list of argument values, which of them are judged, and a
way to call the function on other values of the same arguments.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.autograd import Function

from manualgrad.gradcheck.clock import Clock


class Subject:
    """A function with its arguments, the caller's tensors left alone.

    Parameters
    ----------
    fn
        A ``torch.autograd.Function`` class, an ``nn.Module`` or a callable. A module's parameters and
        buffers follow its inputs as further arguments; the parameters that require grad are judged.
    inputs
        A tensor, or a sequence of arguments of which any may be something else.

    Attributes
    ----------
    values : list
        Every argument; tensors are detached copies.
    names : list of str or int
        An argument's name, or its position where the function does not tell.
    checked : list of int
        The positions whose gradient is judged.
    """

    def __init__(self, fn: Any, inputs: Any) -> None:
        arguments = list(inputs) if isinstance(inputs, tuple | list) else [inputs]
        self.title = getattr(fn, "__name__", type(fn).__name__)
        self.fn = fn
        self.inputs = len(arguments)
        self.state: list[str] = []
        self.names: list[str | int] = _argument_names(fn, len(arguments))

        asked = [i for i, a in enumerate(arguments) if isinstance(a, Tensor) and a.requires_grad]
        self.checked = asked or [i for i, a in enumerate(arguments) if is_differentiable(a)]
        if isinstance(fn, nn.Module):
            for name, parameter in fn.named_parameters():
                if parameter.requires_grad:
                    self.checked.append(len(arguments))
                self.state.append(name)
                arguments.append(parameter)
            for name, buffer in fn.named_buffers():
                self.state.append(name)
                arguments.append(buffer)
            self.names += self.state
        if not self.checked:
            raise ValueError("gradcheck needs at least one floating-point tensor among the inputs")
        self.values = [copy_of(a) for a in arguments]
        self.seed: int | None = None
        self._needs_graph = False
        self._reseeded = 0
        self.clock = Clock(None)

    def hold(self, values: Sequence[Any], body: Callable[[Callable[..., Any]], Any]) -> Any:
        """Call ``body`` with the function; a module has these parameters and buffers until it returns.

        A module that recomputes in backward (checkpoint, adjoint) reads its parameters then.
        """
        self.clock.check()
        if not isinstance(self.fn, nn.Module):
            return body(self.fn.apply if is_function_class(self.fn) else self.fn)
        state = {f"module.{n}": v for n, v in zip(self.state, values[self.inputs :], strict=True)}
        return torch.func.functional_call(_Held(self.fn, body), state, ())

    def call(self, values: Sequence[Any], fn: Callable[..., Any] | None = None) -> tuple[Tensor, ...]:
        """Return every tensor of the function's result at these arguments, in order."""
        if fn is None:
            return self.hold(values, lambda held: self.call(values, held))
        if self.seed is not None:
            torch.manual_seed(self.seed)
        return tuple(_tensors_in(fn(*values[: self.inputs])))

    def evaluate(self, values: Sequence[Any]) -> tuple[Tensor, ...]:
        """Do as :meth:`call` does on copies, outside autograd unless the function needs that itself."""
        copies = [copy_of(value) for value in values]
        if not self._needs_graph:
            with torch.no_grad():
                return self.call(copies)
        for position in self.checked:
            copies[position].requires_grad_()
        with torch.enable_grad():
            return tuple(t.detach() for t in self.call(copies))

    def fix_randomness(self) -> None:
        """Seed each forward from now on, if the function draws random numbers (dropout does)."""
        try:
            first, second = (self.evaluate(self.values) for _ in range(2))
        except Exception:  # it may differentiate something by itself, and need a graph for that
            self._needs_graph = True
            first, second = (self.evaluate(self.values) for _ in range(2))
        if not all(same_bits(a, b) for a, b in zip(first, second, strict=True)):
            self.seed = 0

    def reseed(self) -> None:
        """Before a backward: a fixed forward must not fix what backward draws."""
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


class _Held(nn.Module):
    """A module around another, whose forward is ``body`` of that one."""

    def __init__(self, module: nn.Module, body: Callable[[Callable[..., Any]], Any]) -> None:
        super().__init__()
        self.module = module
        self.body = body

    def forward(self) -> Any:
        return self.body(self.module)


def is_function_class(fn: Any) -> bool:
    """Return whether ``fn`` is a class derived from ``torch.autograd.Function``."""
    return isinstance(fn, type) and issubclass(fn, Function)


def is_differentiable(value: Any) -> TypeGuard[Tensor]:
    """Return whether a value is a tensor that can have a gradient; a float8 has no arithmetic of its own."""
    if not isinstance(value, Tensor):
        return False
    return value.is_complex() or (value.is_floating_point() and value.dtype.itemsize > 1)


def copy_of(value: Any) -> Any:
    """Return a detached copy of a tensor, and anything else as it is."""
    return value.detach().clone() if isinstance(value, Tensor) else value


def cast(values: Sequence[Any], dtype: torch.dtype) -> list[Any]:
    """Return the values with every tensor that can have a gradient in another dtype."""
    return [
        v.to(dtype.to_complex() if v.is_complex() else dtype) if is_differentiable(v) else v for v in values
    ]


def real(tensor: Tensor) -> Tensor:
    """Return a complex tensor with its real and imaginary parts as a last dimension, another as it is."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def as_gradient(gradient: Tensor | None, value: Tensor) -> Tensor:
    """Return a gradient as real float64 on the CPU; none at all counts as zero."""
    if gradient is None:
        return torch.zeros(real(value).shape, dtype=torch.float64)
    gradient = gradient.detach()
    if gradient.layout != torch.strided:
        gradient = gradient.to_dense()
    if value.is_complex() and not gradient.is_complex():
        gradient = gradient.to(value.dtype)
    if gradient.is_complex() and not value.is_complex():
        gradient = gradient.real
    return real(gradient).cpu().to(torch.float64, copy=True)


def same_bits(now: Tensor, was: Tensor) -> bool:
    """Return whether two tensors are the same to the bit, of whatever dtype and layout."""
    if now.shape != was.shape or now.dtype != was.dtype:
        return False
    try:
        return torch.equal(_bits(now), _bits(was))
    except (RuntimeError, NotImplementedError):  # a tensor without bits of its own
        return True


def _bits(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_quantized:
        tensor = tensor.int_repr()
    flat = tensor.resolve_conj().resolve_neg().contiguous().reshape(-1)
    # One element counts as contiguous whatever its stride, and cannot be viewed then.
    return flat.clone(memory_format=torch.contiguous_format).view(torch.uint8)


@lru_cache(maxsize=64)
def forward_names(function: type[Function]) -> list[str]:
    """Return the names of what ``forward`` takes, without the ``ctx`` of the combined form."""
    names = [
        p.name for p in inspect.signature(function.forward).parameters.values() if p.kind != p.VAR_POSITIONAL
    ]
    combined = function.setup_context is Function.setup_context
    return names[1:] if combined else names


def _argument_names(fn: Any, count: int) -> list[str | int]:
    try:
        if is_function_class(fn):
            names = forward_names(fn)
        else:
            target = fn.forward if isinstance(fn, nn.Module) else fn
            parameters = inspect.signature(target).parameters.values()
            names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    except (TypeError, ValueError):  # a builtin has no signature to read
        names = []
    return [names[i] if i < len(names) else i for i in range(count)]


def _tensors_in(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, tuple | list):
        return [tensor for part in result for tensor in _tensors_in(part)]
    return []
