"""What is being checked, whatever it came as: a Function class, a module, or any callable on tensors.

The rest of the checker sees one thing only, a :class:`Subject`: a list of argument values, which of
them are judged, and a way to call the function on other values of the same arguments.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function


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
        floats = [i for i, a in enumerate(arguments) if isinstance(a, Tensor) and a.is_floating_point()]
        self.checked = asked or floats
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

    def call(self, values: Sequence[Any]) -> tuple[Tensor, ...]:
        """Return every tensor of the function's result at these arguments, in order."""
        if self.seed is not None:
            torch.manual_seed(self.seed)
        if isinstance(self.fn, nn.Module):
            state = dict(zip(self.state, values[self.inputs :], strict=True))
            result = torch.func.functional_call(self.fn, state, tuple(values[: self.inputs]))
        else:
            result = self.callable(*values)
        return tuple(_tensors_in(result))

    def evaluate(self, values: Sequence[Any]) -> tuple[Tensor, ...]:
        """Do as :meth:`call` does, outside autograd; a Function's forward can then be batched by vmap."""
        if not is_function_class(self.fn):
            return self.call(values)
        if self.seed is not None:
            torch.manual_seed(self.seed)
        combined = self.fn.setup_context is Function.setup_context
        result = self.fn.forward(_Context(len(values)), *values) if combined else self.fn.forward(*values)
        return tuple(_tensors_in(result))

    def fix_randomness(self) -> None:
        """Seed each forward from now on, if the function draws random numbers (dropout does)."""
        first, second = (self.call([copy_of(v) for v in self.values]) for _ in range(2))
        if not all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(first, second, strict=True)):
            self.seed = 0
            self._stirred = 0

    def stir(self) -> None:
        """Before a backward: a fixed forward must not fix what backward draws."""
        if self.seed is not None:
            self._stirred += 1
            torch.manual_seed(self._stirred)

    @property
    def callable(self) -> Callable[..., Any]:
        """The function in a form that can be called."""
        return self.fn.apply if is_function_class(self.fn) else self.fn

    def name_of(self, position: int) -> str:
        """How a sentence refers to the argument."""
        name = self.names[position]
        return name if isinstance(name, str) else f"argument {name}"

    def entry(self, position: int, index: tuple[int, ...]) -> str:
        """How a sentence refers to one element: ``weight[0, 1]``."""
        return self.name_of(position) + (str(list(index)) if index else "")


class _Context:
    """Takes what a forward does with its ctx, and keeps only what it hangs there itself."""

    def __init__(self, count: int) -> None:
        self.needs_input_grad = (False,) * count

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Nothing will be read back."""

    save_for_forward = mark_dirty = mark_non_differentiable = save_for_backward

    def set_materialize_grads(self, value: bool) -> None:
        """There will be no backward."""


def is_function_class(fn: Any) -> bool:
    """Whether ``fn`` is a class derived from ``torch.autograd.Function``."""
    return isinstance(fn, type) and issubclass(fn, Function)


def copy_of(value: Any) -> Any:
    """Return a detached copy of a tensor, and anything else as it is."""
    return value.detach().clone() if isinstance(value, Tensor) else value


def cast(values: Sequence[Any], dtype: torch.dtype) -> list[Any]:
    """Return the values with every floating-point tensor in another dtype."""
    return [v.to(dtype) if isinstance(v, Tensor) and v.is_floating_point() else v for v in values]


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
