"""One clear error for each kind of bad input: what was expected, and what came.

A call is tried first and explained afterwards: ``explain_errors`` runs the checks once the operation itself
has refused, so that they cost nothing when all is right. Ahead of the call a wrapper compares only what would
otherwise pass in silence, such as a target that broadcasts.
"""

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad

from manualgrad.functions._function import is_autocast_enabled

P = ParamSpec("P")
R = TypeVar("R")

REDUCTIONS = ("none", "mean", "sum")


def explain_errors(check: Callable[..., object] | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a wrapper: where a call fails, raise the clear error instead, if an argument is to blame.

    ``check`` raises what is particular to the wrapper, whose arguments it takes by name, as many as it looks
    at, and the wrapper's name as ``function``. That tensors are real, and on one device, is checked for all.
    """

    def decorate(wrapper: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(wrapper)
        def explained(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return wrapper(*args, **kwargs)
            except Exception:
                try:
                    bound = inspect.signature(wrapper).bind(*args, **kwargs)
                    bound.apply_defaults()
                    _check_tensors(wrapper, bound.arguments)
                    if check is not None:
                        given = {"function": wrapper.__name__, **bound.arguments}
                        check(**{name: given[name] for name in inspect.signature(check).parameters})
                except (TypeError, ValueError, IndexError) as clear:
                    raise clear from None
                raise

        return explained

    return decorate


def _check_tensors(wrapper: Callable[..., object], arguments: dict[str, object]) -> None:
    """Check that every argument annotated as a tensor is a real one, and that all are on one device."""
    parameters = inspect.signature(wrapper).parameters
    first_name, first = "", None
    for name, value in arguments.items():
        expected, function = parameters[name].annotation, wrapper.__name__
        if expected is not Tensor and (value is None or expected != Tensor | None):
            continue
        if not isinstance(value, Tensor):
            raise TypeError(f"{function}: {name} must be a Tensor, got {type(value).__name__}")
        if value.is_complex():
            raise TypeError(
                f"{function}: {name} must be real, got {value.dtype}; "
                "the derivations in manualgrad are for real numbers"
            )
        if first is None:
            first_name, first = name, value
        elif value.device != first.device:
            raise ValueError(
                f"{function}: all tensors must be on one device, "
                f"got {first_name} on {first.device} and {name} on {value.device}"
            )


def check_numbers(function: str, **arguments: Tensor | None) -> None:
    """Raise a TypeError if an argument holds truth values; None passes."""
    for name, value in arguments.items():
        if value is not None and value.dtype == torch.bool:
            raise TypeError(f"{function}: {name} must hold numbers, got {value.dtype}")


def check_floating(function: str, **arguments: Tensor) -> None:
    """Raise a TypeError unless every argument holds floating-point numbers."""
    for name, value in arguments.items():
        if not value.is_floating_point():
            raise TypeError(f"{function}: {name} must be floating-point, got {value.dtype}")


def check_one_dtype(function: str, **arguments: Tensor | None) -> None:
    """Raise a ValueError unless all have one dtype, or autocast is about to give them one; None passes."""
    dtypes = {name: value.dtype for name, value in arguments.items() if value is not None}
    device = next(value.device for value in arguments.values() if value is not None)
    if len(set(dtypes.values())) > 1 and not is_autocast_enabled(device.type):
        got = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise ValueError(f"{function}: {', '.join(dtypes)} must have one dtype, got {got}")


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


def check_softmax(function: str, input: Tensor, dim: int) -> None:
    """Raise an error unless input holds floating-point numbers and has this dimension."""
    check_floating(function, input=input)
    if not isinstance(dim, int):
        raise TypeError(f"{function}: dim must be an int, got {dim!r}")
    dimensions = max(input.dim(), 1)  # a single number counts as a row of one
    if not -dimensions <= dim < dimensions:
        raise IndexError(f"{function}: dim must be from {-dimensions} to {dimensions - 1}, got {dim}")


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


def check_label_smoothing(function: str, label_smoothing: float) -> None:
    """Raise a ValueError unless label_smoothing is a share."""
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{function}: label_smoothing must be between 0 and 1, got {label_smoothing}")


def check_class_weight(function: str, input: Tensor, weight: Tensor | None) -> None:
    """Raise a ValueError unless input has classes, and weight one number for each, or is None."""
    if input.dim() == 0:
        raise ValueError(f"{function}: input must have shape (C,), (N, C) or (N, C, d1, ...), got ()")
    classes = input.shape[0 if input.dim() == 1 else 1]
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"{function}: weight must have shape ({classes},), got {tuple(weight.shape)}")


def check_labels(
    function: str, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> None:
    """Check what the losses on labels take, the labels themselves aside."""
    check_floating(function, input=input)
    if weight is not None:
        check_one_dtype(function, input=input, weight=weight)
    check_reduction(function, reduction)
    if target.dtype not in (torch.int64, torch.uint8):
        raise TypeError(f"{function}: target must be int64 labels, got {target.dtype}")
    if not isinstance(ignore_index, int):
        raise TypeError(f"{function}: ignore_index must be an int, got {ignore_index!r}")
    check_class_weight(function, input, weight)
    expected = input.shape[:1] + input.shape[2:] if input.dim() > 1 else ()
    if target.shape != expected:
        raise ValueError(
            f"{function}: target must have shape {tuple(expected)} for input {tuple(input.shape)}, "
            f"got {tuple(target.shape)}"
        )


def label_error(function: str, input: Tensor, error: Exception) -> Exception:
    """Say of what the loss complained: it looks at every label anyway, and a look in advance would cost."""
    if "out of bounds" not in str(error):
        return error
    return IndexError(f"{function}: labels must be in 0..{input.shape[1] - 1}: {error}")
