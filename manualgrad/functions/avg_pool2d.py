"""Average pooling: the mean of every window, an image in a lower resolution.

Forward
-------
Rows and columns go alike; here are the rows. With stride s and padding P window i begins at i·s - P, and
covers k rows; outside of the image x is 0:

    y[i] = 1/d[i] · Σ_{u < k} x[i·s - P + u]

d[i] counts the rows that the window covers, the padding included, or with ``count_include_pad=False`` only
those of the image. ``divisor_override`` puts one number in the place of all of them.

Backward
--------
x[h] is used by window i if it lies at one of its offsets, u = h + P - i·s. Sum over all the windows that it
reaches, with G = ∂L/∂y the upstream gradient (``grad_output``):

    ∂L/∂x[h] = Σ_{i,u: i·s + u = h + P} G[i] / d[i]

Read from the other end: every window hands the share G[i] / d[i] back to each of its rows. For one offset u
these are i·s + u for i = 0, 1, ...: a slice with step s. So one slice an offset is added, and at the end the
margin of width P is cut off.

Forward mode
------------
y is linear in x: a small change ẋ changes the output by the average pooling of ẋ.

Saved
-----
No tensor, only the size of x.

Pitfalls
--------
- Writing the shares in place of adding them is right as long as windows do not overlap: s ≥ k.
- At the border d may be smaller than k²: with ``ceil_mode`` the last window hangs over, and with
  ``count_include_pad=False`` the padding does not count.
- An upstream gradient of ones gives the same number everywhere (for s = k): it shows no mix-up of places.

Sources
-------
LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE (1998).
"""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional
from torch import Tensor

from manualgrad.functions._checks import check_images, explain_errors
from manualgrad.functions._function import Function, apply
from manualgrad.functions._windows import Size, Windows, pooling_windows


class AvgPool2d(Function):
    """y[i,j] = mean of x in the window that begins at (i·s - P, j·s - P)."""

    @staticmethod
    def forward(
        input: Tensor,
        windows: Windows,
        ceil_mode: bool,
        count_include_pad: bool,
        divisor_override: int | None,
    ) -> Tensor:
        return torch.nn.functional.avg_pool2d(
            input,
            windows.kernel,
            windows.stride,
            windows.padding,
            ceil_mode,
            count_include_pad,
            divisor_override,
        )  # (..., H, W) -> (..., H', W')

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, *ctx.options = inputs
        ctx.shape = input.shape

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None, None, None]:
        windows, ceil_mode, count_include_pad, divisor = ctx.options
        (k, m), (down, right), (top, left) = windows.kernel, windows.stride, windows.padding
        (height, width), (rows, columns) = ctx.shape[-2:], grad_output.shape[-2:]
        if divisor is None:
            divisor = k * m
            if ceil_mode or not count_include_pad:
                divisor = _covered(ctx.shape[-2:], windows, ceil_mode, count_include_pad)
                divisor = divisor[:rows, :columns].to(grad_output.device)
        share = grad_output / divisor  # (..., H', W')
        padded = share.new_zeros(*share.shape[:-2], down * rows + k, right * columns + m)
        for u in range(k):
            for v in range(m):
                padded[..., u : u + down * rows : down, v : v + right * columns : right].add_(share)
        return padded[..., top : top + height, left : left + width], None, None, None, None  # (..., H, W)

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, *constants: None) -> Tensor:
        return AvgPool2d.forward(input_tangent, *ctx.options)  # it is linear


def _covered(size: torch.Size, windows: Windows, ceil_mode: bool, count_include_pad: bool) -> Tensor:
    """Return how many pixels each window covers, as the sum of ones in it: (H', W')."""
    if count_include_pad:  # then the padding is a part of the image
        size = torch.Size(length + 2 * margin for length, margin in zip(size, windows.padding, strict=True))
        windows = replace(windows, padding=(0, 0))
    ones = torch.ones(1, *size, dtype=torch.float32)
    return AvgPool2d.forward(ones, windows, ceil_mode, count_include_pad, divisor_override=1)[0].long()


@explain_errors(check_images)
def avg_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Take the mean of every window.

    Parameters
    ----------
    input : Tensor
        (N, C, H, W) or (C, H, W).
    kernel_size : int or tuple of int
        The window's height and width.
    stride : int or tuple of int, optional
        From one window to the next; by default the window's size, so that they do not overlap.
    padding : int or tuple of int
        Rows and columns of zeros around each image, at most half of the window.
    ceil_mode : bool
        Let the last window hang over the edge, where otherwise there would be none.
    count_include_pad : bool
        Count the zeros of the padding in the mean.
    divisor_override : int, optional
        Divide by this in place of the window's size.

    Returns
    -------
    Tensor
        (N, C, H', W') or (C, H', W').
    """
    windows = pooling_windows(kernel_size, stride, padding)
    return apply(AvgPool2d, input, windows, ceil_mode, count_include_pad, divisor_override)
