"""One clear error for bad input: what was expected, and what came.

A call is tried first and explained afterwards: ``explain_errors`` runs the checks once the operation itself
has refused, so that they cost nothing when all is right. They say what PyTorch's own message leaves open;
where that one is clear, it stands. Ahead of the call a wrapper compares only what would otherwise pass in
silence, such as a target that broadcasts.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad

from manualgrad.functions._losses import to_rows

P = ParamSpec("P")
R = TypeVar("R")

REDUCTIONS = ("none", "mean", "sum")


def explain_errors(check: Callable[..., object] | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a wrapper: where a call fails, raise the clear error instead, if an argument is to blame.

    ``check`` raises what is particular to the wrapper, whose arguments it takes by name, as many as it looks
    at, and the wrapper's name as ``function``. That tensors hold real numbers, of one dtype and on one
    device, is explained for all.
    """

    def decorate(wrapper: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(wrapper)
        def explained(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return wrapper(*args, **kwargs)
            except Exception as refusal:
                try:
                    bound = inspect.signature(wrapper).bind(*args, **kwargs)
                    bound.apply_defaults()
                    _check_kinds(wrapper.__name__, _tensors(wrapper, bound.arguments), refusal)
                    if check is not None:
                        given = {"function": wrapper.__name__, **bound.arguments}
                        check(**{name: given[name] for name in inspect.signature(check).parameters})
                except (TypeError, ValueError, IndexError) as clear:
                    raise clear from None
                except RuntimeError:
                    pass  # a check can't look at the numbers under vmap
                raise

        return explained

    return decorate


def _tensors(wrapper: Callable[..., object], arguments: dict[str, object]) -> dict[str, Tensor]:
    """Return the tensors among the arguments; raise a TypeError if one that should be a tensor is none."""
    parameters, tensors = inspect.signature(wrapper).parameters, dict[str, Tensor]()
    for name, value in arguments.items():
        expected = parameters[name].annotation
        is_wanted = expected is Tensor or (value is not None and expected == Tensor | None)
        if is_wanted and not isinstance(value, Tensor):
            raise TypeError(f"{wrapper.__name__}: {name} must be a Tensor, got {type(value).__name__}")
        if isinstance(value, Tensor):
            tensors[name] = value
    return tensors


def _check_kinds(function: str, tensors: dict[str, Tensor], refusal: Exception) -> None:
    """Raise an error if real numbers of one dtype and on one device are what the tensors lack."""
    devices = {name: value.device for name, value in tensors.items()}
    dtypes = {name: value.dtype for name, value in tensors.items() if value.is_floating_point()}
    for name, value in tensors.items():
        if value.is_complex():
            raise TypeError(
                f"{function}: {name} must be real, got {value.dtype}; "
                "the derivations in manualgrad are for real numbers"
            )
    if len(set(devices.values())) > 1:
        got = ", ".join(f"{name} on {device}" for name, device in devices.items())
        raise ValueError(f"{function}: all tensors must be on one device, got {got}")
    if isinstance(refusal, NotImplementedError):  # PyTorch has no kernel for such numbers
        name, value = next(iter(tensors.items()))
        wanted = "hold numbers" if value.dtype == torch.bool else "be floating-point"
        if not value.is_floating_point():
            raise TypeError(f"{function}: {name} must {wanted}, got {value.dtype}")
    # Some operations take several dtypes, and are refused for something else.
    if len(set(dtypes.values())) > 1 and isinstance(refusal, RuntimeError) and "type" in str(refusal):
        got = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise ValueError(f"{function}: {', '.join(dtypes)} must have one dtype, got {got}")


def check_floating(function: str, **arguments: Tensor) -> None:
    """Raise a TypeError unless every argument holds floating-point numbers."""
    for name, value in arguments.items():
        if not value.is_floating_point():
            raise TypeError(f"{function}: {name} must be floating-point, got {value.dtype}")


def check_constant(function: str, **arguments: Tensor | None) -> None:
    """Raise a ValueError if a derivative is asked for that the function does not have; None passes."""
    for name, value in arguments.items():
        if value is None:
            continue
        if value.requires_grad and torch.is_grad_enabled():
            raise ValueError(f"{function}: {name} is a constant without a gradient, got requires_grad=True")
        # torch.compile cannot look, but there forward mode is refused before it comes here.
        if not torch.compiler.is_compiling() and forward_ad.unpack_dual(value).tangent is not None:
            raise ValueError(f"{function}: {name} is a constant without a derivative, got a tangent")


def check_broadcasts(function: str, shape: Sequence[int], **factors: Tensor | None) -> None:
    """Raise a ValueError unless every factor broadcasts to a shape; None passes."""
    for name, factor in factors.items():
        if factor is None:
            continue
        try:
            factor.expand(*shape)
        except RuntimeError:
            raise ValueError(
                f"{function}: {name} must broadcast to {tuple(shape)}, got {tuple(factor.shape)}"
            ) from None


def check_same_shape(function: str, input: Tensor, target: Tensor) -> None:
    """Raise a ValueError unless input and target agree in every dimension, with no broadcasting."""
    if input.shape != target.shape:
        raise ValueError(
            f"{function}: input and target must have the same shape, "
            f"got {tuple(input.shape)} and {tuple(target.shape)}"
        )


def check_reduction(function: str, reduction: str) -> None:
    """Raise a ValueError unless reduction is a known one."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{function}: reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")


def check_images(function: str, input: Tensor) -> None:
    """Raise a ValueError unless input holds images, with or without a batch."""
    if input.dim() not in (3, 4):
        raise ValueError(
            f"{function}: input must have shape (N, C, H, W) or (C, H, W), got {tuple(input.shape)}"
        )


def check_channels(function: str, input: Tensor) -> None:
    """Raise a ValueError unless input has channels."""
    if input.dim() < 2:
        raise ValueError(
            f"{function}: input must have shape (N, C) or (N, C, d1, ...), got {tuple(input.shape)}"
        )


def check_labels_shape(function: str, input: Tensor, target: Tensor) -> None:
    """Raise a ValueError unless target has the shape of input without its classes."""
    expected = input.shape[:1] + input.shape[2:] if input.dim() > 1 else ()
    if target.shape != expected:
        raise ValueError(
            f"{function}: target must have shape {tuple(expected)} for input {tuple(input.shape)}, "
            f"got {tuple(target.shape)}"
        )


def check_labels(function: str, input: Tensor, target: Tensor, ignore_index: int) -> None:
    """Raise an error unless target holds a label of each row, from 0 to C - 1 or the ignored one."""
    check_labels_shape(function, input, target)
    if target.dtype not in (torch.int64, torch.uint8):
        raise TypeError(f"{function}: target must be int64 labels, got {target.dtype}")
    classes = to_rows(input).shape[1]
    wrong = target[(target != ignore_index) & ((target < 0) | (target >= classes))]
    if wrong.numel():
        raise IndexError(f"{function}: labels must be in 0..{classes - 1}, got {wrong[0].item()}")
