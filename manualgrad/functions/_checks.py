"""One clear error for each kind of bad input: what was expected, and what came."""

from torch import Tensor

REDUCTIONS = ("none", "mean", "sum")


def check_tensors(function: str, **arguments: object) -> None:
    """Raise a TypeError unless every argument is a real tensor and all lie on one device; None passes."""
    first_name, first = "", None
    for name, value in arguments.items():
        if value is None:
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


def check_floating(function: str, **arguments: Tensor | None) -> None:
    """Raise a TypeError unless every argument holds floating-point numbers; None passes."""
    for name, value in arguments.items():
        if value is not None and not value.is_floating_point():
            raise TypeError(f"{function}: {name} must be floating-point, got {value.dtype}")


def check_constant(function: str, **arguments: Tensor | None) -> None:
    """Raise a ValueError if an argument asks for a gradient that the function does not have."""
    for name, value in arguments.items():
        if value is not None and value.requires_grad:
            raise ValueError(f"{function}: {name} is a constant without a gradient, got requires_grad=True")


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
