"""What the normalisations share: x̂ with mean 0 and variance 1, in float32 at least, and their checks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from manualgrad.functions._checks import check_floating

HALF = (torch.float16, torch.bfloat16)


def normalize(
    input: Tensor, dims: tuple[int, ...], eps: float, mean: Tensor | None = None, var: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return x̂ = (x - μ) · r and r = 1 / √(v + ε): μ and v as given a channel, or those over ``dims``."""
    input = to_float32(input)
    if mean is not None and var is not None:
        centered, var = input - per_channel(mean, input), per_channel(to_float32(var), input)
    else:
        centered = input - input.mean(dims, keepdim=True)
        var = (centered * centered).mean(dims, keepdim=True)
    rstd = torch.rsqrt(var + eps)
    return centered * rstd, rstd


def to_float32(tensor: Tensor) -> Tensor:
    """Convert half precision, whose digits are too few for the mean of many numbers; leave the others."""
    return tensor.float() if tensor.dtype in HALF else tensor


def per_channel(values: Tensor, input: Tensor) -> Tensor:
    """Give one number a channel the dimensions of input: (C,) -> (1, C, 1, ...)."""
    return values.reshape(1, values.shape[0], *[1] * (input.dim() - 2))


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


def check_channels(
    function: str, input: Tensor, weight: Tensor | None, bias: Tensor | None, **others: Tensor | None
) -> None:
    """Raise an error unless input has channels, and each parameter one number for each."""
    check_floating(function, input=input)
    if input.dim() < 2:
        raise ValueError(
            f"{function}: input must have shape (N, C) or (N, C, d1, ...), got {tuple(input.shape)}"
        )
    check_scale(function, input, input.shape[1:2], weight=weight, bias=bias, **others)


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
