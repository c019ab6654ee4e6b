"""Max pooling: the largest number of every window, wherever in it that is.

Forward
-------
Rows and columns go alike; here are the rows. With stride s, dilation d and padding P window i has the rows
i·s - P + u·d for u < k; outside of the image x is -∞:

    y[i] = max_u x[i·s - P + u·d] = x[a[i]]

a[i], the *index*, is the row where the largest one is; of equal ones it is the first. Over both directions an
index is a single number, row · W + column.

Backward
--------
As long as no other number of the window comes up to the largest, a small change of x[h] moves y[i] as much if
h = a[i], and not at all otherwise: ∂y[i]/∂x[h] = 1[h = a[i]]. Sum over all windows, for where they overlap
several may have the same largest number. With G = ∂L/∂y, the upstream gradient (``grad_output``):

    ∂L/∂x[h] = Σ_i G[i] · 1[h = a[i]]

No product is needed: every G[i] is added at its a[i].

Where two numbers tie there is a kink and no derivative. The first one gets all of G, as in PyTorch.

Forward mode
------------
A small change ẋ of the input changes the output by ẏ[i] = ẋ[a[i]].

Saved
-----
The indices, and the size of x. Neither x nor y is needed.

Pitfalls
--------
- Finding the places again by x == y gives G to every one that ties, and ReLU leaves many equal zeros.
- Writing G at the indices in place of adding it loses a window wherever two share their largest number.
- An index counts in the image, not in the window.
- The padding is -∞ and not 0: a window of negative numbers has a negative largest one.

Sources
-------
Ranzato, Huang, Boureau, LeCun, "Unsupervised learning of invariant feature hierarchies with applications to
object recognition", CVPR (2007).
"""

from typing import Any

import torch
import torch.nn.functional
from torch import Tensor

from manualgrad.functions._checks import check_images, explain_errors
from manualgrad.functions._function import Function, apply
from manualgrad.functions._windows import Size, Windows, pooling_windows


class MaxPool2d(Function):
    """y[i,j] = the largest x in window (i, j), and its index in the image."""

    @staticmethod
    def forward(input: Tensor, windows: Windows, ceil_mode: bool) -> tuple[Tensor, Tensor]:
        return torch.nn.functional.max_pool2d(
            input,
            windows.kernel,
            windows.stride,
            windows.padding,
            windows.dilation,
            ceil_mode,
            return_indices=True,
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], outputs: tuple[Tensor, Tensor]) -> None:
        input, *_ = inputs
        ctx.shape = input.shape
        _, indices = outputs
        ctx.mark_non_differentiable(indices)
        ctx.save_for_backward(indices)
        ctx.save_for_forward(indices)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor, grad_indices: None) -> tuple[Tensor, None, None]:
        (indices,) = ctx.saved_tensors
        images, windows = _flat(ctx.shape), _flat(indices.shape)  # (..., H·W), (..., H'·W')
        zeros = grad_output.new_zeros(1).expand(images)  # one zero, seen everywhere
        grad_input = zeros.scatter_add(-1, indices.reshape(windows), grad_output.reshape(windows))
        return grad_input.reshape(ctx.shape), None, None  # (..., H, W)

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, *constants: None) -> tuple[Tensor, None]:
        (indices,) = ctx.saved_tensors
        images, windows = _flat(ctx.shape), _flat(indices.shape)  # (..., H·W), (..., H'·W')
        output_tangent = input_tangent.reshape(images).gather(-1, indices.reshape(windows))
        return output_tangent.reshape(indices.shape), None  # (..., H', W')


def _flat(shape: torch.Size) -> tuple[int, ...]:
    """Return the shape with rows and columns as one dimension, as an index counts them."""
    return *shape[:-2], shape[-2] * shape[-1]


@explain_errors(check_images)
def max_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the largest number of every window.

    Parameters
    ----------
    input : Tensor
        (N, C, H, W) or (C, H, W).
    kernel_size : int or tuple of int
        The window's height and width.
    stride : int or tuple of int, optional
        From one window to the next; by default the window's size, so that they do not overlap.
    padding : int or tuple of int
        Rows and columns of -∞ around each image, at most half of the window.
    dilation : int or tuple of int
        From one place of a window to the next.
    ceil_mode : bool
        Let the last window hang over the edge, where otherwise there would be none.
    return_indices : bool
        Return the indices as well.

    Returns
    -------
    Tensor
        (N, C, H', W') or (C, H', W'); with ``return_indices`` a pair of these, the second one int64.
    """
    output, indices = apply(
        MaxPool2d, input, pooling_windows(kernel_size, stride, padding, dilation), ceil_mode
    )
    return (output, indices) if return_indices else output
