"""The one place that makes a hand-written Function work wherever PyTorch's own operators do.

A function's file states the mathematics: ``forward``, ``setup_context``, ``backward``, ``jvp``. Four
facts about PyTorch keep one such class from being enough, and this module answers each of them once:

1. ``torch.func`` needs ``setup_context`` apart from ``forward``, yet in plain eager mode that form costs
   about 18 µs more a call than the combined ``forward(ctx, ...)``, because PyTorch binds the signature
   anew each time (relu on 4x4, forward and backward: 53 µs apart, 35 combined, 23 native).
2. ``torch.compile(fullgraph=True)`` refuses a class that defines ``jvp`` (pytorch#118397).
3. ``torch.func`` turns forward mode off while ``jvp`` runs, at all levels: forward mode over forward mode
   would silently take the slope for a constant.
4. Autocast does not reach into ``backward``: a product computed there from what ``forward`` was given
   would mix two dtypes (pytorch#132388).
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad

AutocastPolicy = Literal["as-it-comes", "lower-precision", "float32", "float32 on CUDA"]


def make_apply(function: type[Function], autocast: AutocastPolicy = "as-it-comes") -> Callable[..., Tensor]:
    """Return the callable form of a Function, which picks the class that suits its caller.

    Parameters
    ----------
    function
        A class with ``forward``, ``setup_context``, ``backward`` and ``jvp``.
    autocast
        What ``torch.autocast`` does to the arguments, as PyTorch's own lists have it for the
        counterpart: leave them, cast them to the region's dtype, or cast them to float32 (for
        some only on CUDA).

    Returns
    -------
    callable
        Takes ``forward``'s arguments, by position.
    """
    # Plain local names: torch.compile follows a closure over a class, but not a class kept in a dict
    # or found as an attribute.
    combined = _combine_forward(function)
    nestable = _with_nested_jvp(function)
    traceable = _without_jvp(function)

    def apply(*args: Any) -> Tensor:
        if torch.compiler.is_compiling():
            return traceable.apply(*args)
        if torch._C._are_functorch_transforms_active():
            return nestable.apply(*args)
        return combined.apply(*args)

    def apply_under_autocast(*args: Any) -> Tensor:
        if not torch._C._is_any_autocast_enabled():
            return apply(*args)
        device = args[0].device.type
        if not is_autocast_enabled(device) or (autocast == "float32 on CUDA" and device != "cuda"):
            return apply(*args)
        dtype = torch.get_autocast_dtype(device) if autocast == "lower-precision" else torch.float32
        # Cast here, outside the Function: autograd then differentiates the casts by itself, and what
        # backward sees has one dtype.
        args = tuple(_cast(argument, dtype) for argument in args)
        with torch.autocast(device, enabled=False):
            return apply(*args)

    return apply if autocast == "as-it-comes" else apply_under_autocast


def is_autocast_enabled(device: str) -> bool:
    """Return whether a region of ``torch.autocast`` is active for this type of device."""
    # A device without autocast, such as "meta", must not be asked.
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def _combine_forward(function: type[Function]) -> type[Function]:
    """Give the Function its older form, in which forward also does the work of setup_context."""

    def forward(ctx: Any, *args: Any) -> Any:
        output = function.forward(*args)
        function.setup_context(ctx, args, output)
        return output

    namespace = {
        "forward": staticmethod(forward),
        "setup_context": staticmethod(Function.setup_context),
        "__module__": function.__module__,
    }
    combined = type(function.__name__, (function,), namespace)
    # PyTorch's node would look up on every call whether the class names its rule backward or vjp, and how
    # it takes its arguments: 0.6 µs.
    combined._backward_cls.apply = lambda ctx, *grads: function.backward(ctx, *grads)  # type: ignore[attr-defined]
    return combined


def _with_nested_jvp(function: type[Function]) -> type[Function]:
    """Let ``jvp`` itself be differentiated in forward mode, by the levels outside its own."""

    def jvp(ctx: Any, *tangents: Any) -> Any:
        with forward_ad._set_fwd_grad_enabled(True):
            output_tangent = function.jvp(ctx, *tangents)
        # A saved input still carries the tangent of this level, and gave the result one: not asked for.
        return forward_ad.unpack_dual(output_tangent).primal

    namespace = {"jvp": staticmethod(jvp), "__module__": function.__module__}
    return type(function.__name__, (function,), namespace)


def _without_jvp(function: type[Function]) -> type[Function]:
    """Put ``jvp`` back to the base class's, which is how PyTorch reads "none"."""
    namespace = {"jvp": staticmethod(Function.jvp), "__module__": function.__module__}
    return type(function.__name__, (function,), namespace)


def _cast(argument: Any, dtype: torch.dtype) -> Any:
    # Autocast leaves float64 and integers as they are; so do we.
    if isinstance(argument, Tensor) and argument.is_floating_point() and argument.dtype != torch.float64:
        return argument.to(dtype)
    return argument
