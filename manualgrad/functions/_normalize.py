"""What the normalisations share: x̂ with mean 0 and variance 1, in float32 at least, and the check on rows."""

from collections.abc import Sequence

import torch
from torch import Tensor

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
    """Raise a ValueError unless the last dimensions of input are ``normalized_shape``."""
    shape = () if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ValueError(
            f"{function}: normalized_shape must be the last dimensions of input, "
            f"got {normalized_shape} and input {tuple(input.shape)}"
        )
