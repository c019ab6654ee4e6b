"""What the normalisations share: x̂ with mean 0 and variance 1, in float32 at least, and their checks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from manualgrad.functions._checks import check_floating

HALF = (torch.float16, torch.bfloat16)


def normalize(input: Tensor, dims: tuple[int, ...], eps: float) -> tuple[Tensor, Tensor]:
    """Return x̂ = (x - μ) · r and r = 1 / √(v + ε), with the mean μ and the variance v over ``dims``."""
    input = to_float32(input)
    centered = input - input.mean(dims, keepdim=True)
    rstd = torch.rsqrt((centered * centered).mean(dims, keepdim=True) + eps)
    return centered * rstd, rstd


def to_float32(tensor: Tensor) -> Tensor:
    """Convert half precision, whose digits are too few for the mean of many numbers; leave the others."""
    return tensor.float() if tensor.dtype in HALF else tensor


def check_row(function: str, input: Tensor, normalized_shape: Sequence[int]) -> None:
    """Raise an error unless the last dimensions of input are ``normalized_shape``."""
    check_floating(function, input=input)
    if isinstance(normalized_shape, int) or not all(isinstance(size, int) for size in normalized_shape):
        raise TypeError(f"{function}: normalized_shape must be a sequence of ints, got {normalized_shape!r}")
    shape = tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ValueError(
            f"{function}: normalized_shape must be the last dimensions of input, "
            f"got {shape} and input {tuple(input.shape)}"
        )


def check_scale(function: str, input: Tensor, shape: Sequence[int], **parameters: Tensor | None) -> None:
    """Raise a ValueError unless each parameter has this shape, and a dtype that goes with input's."""
    for name, value in parameters.items():
        if value is None:
            continue
        if value.shape != tuple(shape):
            raise ValueError(f"{function}: {name} must have shape {tuple(shape)}, got {tuple(value.shape)}")
        if value.dtype != input.dtype and not (value.dtype == torch.float32 and input.dtype in HALF):
            raise ValueError(
                f"{function}: {name} must have the dtype of input, or float32 for half precision, "
                f"got {name} {value.dtype} and input {input.dtype}"
            )
