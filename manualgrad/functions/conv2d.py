"""Convolution: a small linear layer at every place of an image, with the same weights everywhere.

Forward
-------
Rows and columns go alike; here are the rows. With stride s, dilation d and P rows of zeros around the image:

    y[n,o,i] = b[o] + Σ_{c,u} W[o,c,u] · x[n,c, i·s - P + u·d]

n: example, c: channel in, o: channel out, i: place, u: row of the kernel W, which is k rows high.

Backward
--------
G[n,o,i] = ∂L/∂y[n,o,i] is the upstream gradient (``grad_output``).

x[n,c,h] is used wherever a window reaches it, at each i with i·s - P + u·d = h for some u, by the weight
W[o,c,u]:

    ∂L/∂x[n,c,h] = Σ_o Σ_{i,u: i·s - P + u·d = h} G[n,o,i] · W[o,c,u]

For s = 1 this is Σ_{o,u} W[o,c,u] · G[n,o, h + P - u·d]: a convolution of G with the *flipped* kernel, u
running backwards, in which c and o change places. For s > 1 it is the same with s - 1 zeros between
neighbours of G. Both are PyTorch's ``conv_transpose2d``. What lies behind the last window, fewer than s rows,
gets 0: its ``output_padding``.

W[o,c,u] is used by every example n at every place i, for x[n,c, i·s - P + u·d]:

    ∂L/∂W[o,c,u] = Σ_{n,i} G[n,o,i] · x[n,c, u·d - P + i·s]

Compare this with Forward. It is a convolution, too, of x with the kernel G: its places are u, stride and
dilation have changed places, and what it sums as channels is the batch.

b[o] is added everywhere:   ∂L/∂b[o] = Σ_{n,i} G[n,o,i]

With *groups* (written g in shapes) the channels form g parts, each with a convolution of its own. To keep
them apart, the convolution that gives W's gradient has g groups as well, of N channels each.

Forward mode
------------
Product rule: ẏ is the convolution of ẋ with W, and that of x with Ẇ, and ḃ everywhere.

Saved
-----
x if W needs a gradient, W if x does. No rule reads b, so b is not kept.

Pitfalls
--------
- A backward that forgets to flip the kernel is right for a symmetric one, and for 1 × 1.
- Rows behind the last window can give W's gradient more than k rows: cut them off.
- The same W works at every place: its gradient is a sum over all of them, and grows with the image.
- Mathematics calls the forward a cross-correlation. Its convolution is the one that flips the kernel.

Sources
-------
LeCun et al., "Backpropagation applied to handwritten zip code recognition", Neural Computation 1 (1989).
Dumoulin, Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285 (2016).
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import check_images, explain_errors
from manualgrad.functions._function import Function, apply
from manualgrad.functions._windows import Size, Windows, convolution_windows


class Conv2d(Function):
    """y[n,o] = b[o] + Σ_c W[o,c] convolved with x[n,c]."""

    @staticmethod
    def forward(input: Tensor, weight: Tensor, bias: Tensor | None, windows: Windows, groups: int) -> Tensor:
        return torch.conv2d(
            input, weight, bias, windows.stride, windows.padding, windows.dilation, groups
        )  # (N, C, H, W), (O, C/g, k, k') -> (N, O, H', W')

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, weight, _, ctx.windows, ctx.groups = inputs
        ctx.shape = input.shape
        input_needs_grad, weight_needs_grad, *_ = ctx.needs_input_grad
        ctx.save_for_backward(input if weight_needs_grad else None, weight if input_needs_grad else None)
        ctx.save_for_forward(input, weight)

    @staticmethod
    def backward(
        ctx: Any, grad_output: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        input, weight = ctx.saved_tensors
        input_needs_grad, weight_needs_grad, bias_needs_grad, *_ = ctx.needs_input_grad
        windows, groups = ctx.windows, ctx.groups
        stride, padding, dilation = windows.stride, windows.padding, windows.dilation
        grad_input = grad_weight = grad_bias = None
        if input_needs_grad:
            output_padding = _rows_behind(ctx.shape[2:], windows)
            grad_input = torch.conv_transpose2d(
                grad_output, weight, None, stride, padding, output_padding, groups, dilation
            )  # (N, O, H', W') * (O, C/g, k, k') -> (N, C, H, W)
        if weight_needs_grad and not len(grad_output):  # an empty sum, which conv2d does not take
            shape = grad_output.shape[1], ctx.shape[1] // groups, *windows.kernel
            grad_weight = grad_output.new_zeros(shape)
        elif weight_needs_grad:
            images = _batch_as_channels(input, groups)  # (C/g, g·N, H, W)
            kernels = grad_output.transpose(0, 1)  # (O, N, H', W')
            grad_weight = torch.conv2d(images, kernels, None, dilation, padding, stride, groups)
            rows, columns = windows.kernel
            grad_weight = grad_weight.narrow(2, 0, rows).narrow(3, 0, columns)  # (C/g, O, k, k')
            grad_weight = grad_weight.transpose(0, 1)  # (O, C/g, k, k')
        if bias_needs_grad:
            grad_bias = grad_output.sum((0, 2, 3))  # (N, O, H', W') -> (O,)
        return grad_input, grad_weight, grad_bias, None, None

    @staticmethod
    def jvp(
        ctx: Any, input_tangent: Tensor, weight_tangent: Tensor, bias_tangent: Tensor | None, *constants: None
    ) -> Tensor:
        input, weight = ctx.saved_tensors
        output_tangent = Conv2d.forward(input_tangent, weight, bias_tangent, ctx.windows, ctx.groups)
        return output_tangent + Conv2d.forward(input, weight_tangent, None, ctx.windows, ctx.groups)


def _rows_behind(size: torch.Size, windows: Windows) -> list[int]:
    """Return how many of an image's rows and columns lie behind the last window."""
    sides = zip(size, windows.padding, windows.extent, windows.stride, strict=True)
    return [(length + 2 * padding - extent) % stride for length, padding, extent, stride in sides]


def _batch_as_channels(input: Tensor, groups: int) -> Tensor:
    """Let the examples be the channels, and the channels the examples, group by group."""
    batch, channels, *size = input.shape
    parts = input.reshape(batch, groups, channels // groups, *size)  # (N, g, C/g, H, W)
    return parts.permute(2, 1, 0, 3, 4).reshape(channels // groups, groups * batch, *size)


def _check(input: Tensor, weight: Tensor) -> None:
    if weight.dim() != 4:
        raise ValueError(f"conv2d: weight must have shape (O, C/groups, k, k'), got {tuple(weight.shape)}")
    check_images("conv2d", input)


@explain_errors(_check)
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve images with a kernel for every pair of channels.

    Parameters
    ----------
    input : Tensor
        (N, C, H, W) or (C, H, W).
    weight : Tensor
        (O, C/groups, k, k').
    bias : Tensor, optional
        (O,).
    stride : int or tuple of int
        From one place to the next.
    padding : int, tuple of int, "same" or "valid"
        Rows and columns of zeros around each image; as many as keep its size (with stride 1); none.
    dilation : int or tuple of int
        From one row (or column) of the kernel to the next, in the image.
    groups : int
        Parts of the channels that have nothing to do with one another.

    Returns
    -------
    Tensor
        (N, O, H', W') or (O, H', W').
    """
    if input.dim() == 3:
        return conv2d(input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    windows, (rows, columns) = convolution_windows(weight.shape[2:], stride, padding, dilation)
    output = apply(Conv2d, input, weight, bias, windows, groups, autocast="lower-precision")
    return output[..., rows:, columns:] if rows or columns else output
