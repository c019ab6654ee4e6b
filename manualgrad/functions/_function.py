"""Run a hand-written Function wherever PyTorch's own operators run.

A function's page states the mathematics: ``forward``, ``setup_context``, ``backward`` and ``jvp``. Four facts
about PyTorch keep these from being enough, and this file answers each of them once:

1. ``Function.apply`` inspects the signature of a ``forward`` that stands apart from ``setup_context``, on
   every call. Only ``torch.func`` needs them apart; elsewhere a subclass runs one after the other.
2. ``torch.compile`` refuses a class that defines ``jvp`` (pytorch#118397); it gets a subclass without.
3. ``torch.func`` turns forward mode off while ``jvp`` runs, at all levels: forward mode over forward mode
   would silently take the derivative for a constant.
4. Autocast does not reach into ``backward``: a product computed there from what ``forward`` was given would
   mix two dtypes (pytorch#132388).

Two private names of PyTorch are used, and neither has a public form: ``forward_ad._set_fwd_grad_enabled`` for
the third, and ``torch._C._are_functorch_transforms_active`` for the first and the third.
"""

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.autograd import forward_ad

AutocastPolicy = Literal["lower-precision", "float32", "float32 on CUDA"]


class Function(torch.autograd.Function):
    """Base class of the hand-written Functions: ``torch.autograd.Function``, in every transform."""

    generate_vmap_rule = True  # a page that overrides ``vmap`` sets this to False
    is_variant: ClassVar[bool] = False  # one of the subclasses that are made here
    apply_eagerly: ClassVar[Callable[..., Any]]
    apply_compiled: ClassVar[Callable[..., Any]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.is_variant:
            return
        if "jvp" in vars(cls):
            cls.jvp = staticmethod(_in_forward_mode(cls.jvp))  # type: ignore[method-assign]
        cls.apply_eagerly = _with_combined_forward(cls).apply
        cls.apply_compiled = staticmethod(_apply_without_jvp(cls))


def apply(function: type[Function], *args: Any, autocast: AutocastPolicy | None = None) -> Any:
    """Apply a Function; ``autocast`` says to which dtype ``torch.autocast`` casts PyTorch's own arguments."""
    if args[0].is_complex():
        raise TypeError(f"the derivation of {function.__name__} is for real numbers, got {args[0].dtype}")
    if (
        autocast is not None
        and (device := args[0].device.type) != "meta"  # which has no autocast
        and torch.is_autocast_enabled(device)
    ):
        dtype = torch.get_autocast_dtype(device) if autocast == "lower-precision" else torch.float32
        # Cast here, outside the Function: autograd differentiates the casts, and backward sees one dtype.
        if autocast != "float32 on CUDA" or device == "cuda":
            args = tuple(_cast(argument, dtype) for argument in args)
        with torch.autocast(device, enabled=False):
            return apply(function, *args)
    if torch.compiler.is_compiling():
        return function.apply_compiled(*args)
    if torch._C._are_functorch_transforms_active():
        return function.apply(*args)
    return function.apply_eagerly(*args)


def _with_combined_forward(function: type[Function]) -> type[Function]:
    """Return a subclass whose ``forward`` takes ctx and sets it up itself, the older form of a Function."""
    if function.setup_context is torch.autograd.Function.setup_context:
        return function  # is of that form

    def forward(ctx: Any, *args: Any) -> Any:
        output = function.forward(*args)
        function.setup_context(ctx, args, output)
        return output

    signature = inspect.signature(function.forward)  # checkers call the arguments by its names
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    forward.__signature__ = signature.replace(parameters=[context, *signature.parameters.values()])  # type: ignore[attr-defined]
    return _variant(function, forward=forward, setup_context=torch.autograd.Function.setup_context)


def _variant(function: type[Function], **methods: Callable[..., Any]) -> type[Function]:
    """Return a subclass of the same name with other methods."""
    namespace: dict[str, Any] = {name: staticmethod(method) for name, method in methods.items()}
    return type(
        function.__name__, (function,), {"__module__": function.__module__, "is_variant": True, **namespace}
    )


def _in_forward_mode(jvp: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``jvp`` itself be differentiated in forward mode, by the levels outside its own."""

    def nested_jvp(ctx: Any, *tangents: Any) -> Any:
        if not torch._C._are_functorch_transforms_active():
            return jvp(ctx, *tangents)  # plain forward mode has one level
        with forward_ad._set_fwd_grad_enabled(True):
            results = jvp(ctx, *tangents)
        # A saved input still carries the tangent of this level, and gave the result one: not asked for.
        if isinstance(results, Tensor):
            return forward_ad.unpack_dual(results).primal
        return tuple(None if each is None else forward_ad.unpack_dual(each).primal for each in results)

    return nested_jvp


def _apply_without_jvp(function: type[Function]) -> Callable[..., Any]:
    """Return the ``apply`` of a subclass whose ``jvp`` is the base class's, which PyTorch reads as none."""
    without_jvp = _variant(function, jvp=torch.autograd.Function.jvp)

    def apply_compiled(*args: Any) -> Any:
        return without_jvp.apply(*args)  # torch.compile follows a closure over a class, not an attribute

    return apply_compiled


def _cast(argument: Any, dtype: torch.dtype) -> Any:
    """Cast what autocast casts: floating-point tensors other than float64."""
    if isinstance(argument, Tensor) and argument.is_floating_point() and argument.dtype != torch.float64:
        return argument.to(dtype)
    return argument
