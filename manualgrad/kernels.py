"""The two operations that a training step on a CPU spends its time in, each done the faster way.

**Products of matrices.** For float32 PyTorch takes MKL, and MKL keeps its AVX-512 kernels for Intel's
processors. oneDNN, which PyTorch takes for convolutions and for low precision, uses them wherever they
are: on an AMD EPYC with two cores the product of (128, 784) and (784, 512) takes 290 µs there and 550
with MKL; both are off by 2e-6 at most. A training step of MNIST's network is two thirds such products.
The operator that is called here is the one into which torch.compile turns a linear layer.

**Selections.** ``torch.where`` looks at one element at a time: ReLU's backward on (128, 512) takes 160
µs, while to multiply with the sign takes 16. The two differ only where something is infinite or NaN.

Neither way knows of derivatives, so both serve only where nobody records any: in the forward and the
plain backward of a Function. Everywhere else, on small tensors and on other devices the plain operation
is taken.
"""

import functools
import math

import torch
from torch import Tensor
from torch.nn import Parameter

# Below these sizes the longer way from Python, 3 µs, costs more than it gains.
LARGE_PRODUCT = 2**20  # multiplications
LARGE_SELECTION = 2**12  # elements

PLAIN = (Tensor, Parameter)


def matmul(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """Return ``left @ right``.

    Parameters
    ----------
    left, right : Tensor
        Whatever ``@`` takes.
    out : Tensor, optional
        Where the result goes.

    Returns
    -------
    Tensor
        ``out``, or a new tensor.
    """
    if _suits(left, right):
        return _by_onednn(left, right.t(), None, out)
    return torch.matmul(left, right, out=out)


def affine(input: Tensor, weight: Tensor, bias: Tensor, out: Tensor | None = None) -> Tensor:
    """Return ``input @ weight.t() + bias`` of matrices.

    Parameters
    ----------
    input, weight, bias : Tensor
        (N, I), (O, I) and (O,).
    out : Tensor, optional
        (N, O): where the result goes.

    Returns
    -------
    Tensor
        ``out``, or a new tensor (N, O).
    """
    columns = weight.t()
    if _suits(input, columns):
        return _by_onednn(input, weight, bias.contiguous(), out)  # it takes no notice of a bias's stride
    return torch.addmm(bias, input, columns, out=out)


def keep_where_open(upstream: Tensor, output: Tensor) -> Tensor:
    """Return ``upstream`` where a ReLU let its input through, and 0 where ``output`` is 0.

    Parameters
    ----------
    upstream, output : Tensor
        One shape.

    Returns
    -------
    Tensor
        A new tensor.
    """
    if not torch.compiler.is_compiling() and output.numel() >= LARGE_SELECTION and _is_plain(output):
        product = upstream * output.sign()
        # ∞ · 0 is NaN, and the sign of NaN is 0. Both sums are finite only if neither has come up. (A dot
        # product would show it, too, but now and then MKL takes 100 µs to wake its threads.)
        if math.isfinite(product.sum().item() + output.sum().item()):
            return product
    return upstream.masked_fill(output.logical_not(), 0)


def has_values(tensor: Tensor) -> bool:
    """Return whether a look at the values costs nothing but the look.

    Parameters
    ----------
    tensor : Tensor
        Any.

    Returns
    -------
    bool
        False on devices that would have to be waited for, and where a program is traced or transformed.
    """
    return (
        not torch.compiler.is_compiling()
        and tensor.device.type == "cpu"
        and type(tensor) in PLAIN  # a fake tensor, for one, has none
        and not torch._C._are_functorch_transforms_active()
        and not torch._C._len_torch_dispatch_stack()  # make_fx, for one, records every operation
    )


def _suits(left: Tensor, right: Tensor) -> bool:
    """Return whether both are large matrices on a CPU where oneDNN is the faster one."""
    return (
        not torch.compiler.is_compiling()
        and left.dim() == right.dim() == 2
        and left.numel() * right.shape[1] >= LARGE_PRODUCT
        and left.shape[1] == right.shape[0]  # else PyTorch's own message is the clear one
        and left.dtype == right.dtype
        and type(right) in PLAIN
        and _is_plain(left)
        and torch.get_float32_matmul_precision() == "highest"  # at the others PyTorch has its own choice
        and _onednn_is_faster()
    )


def _is_plain(tensor: Tensor) -> bool:
    """Return whether this is an ordinary float32 tensor on a CPU, and nobody records or transforms."""
    return tensor.dtype == torch.float32 and not torch.is_grad_enabled() and has_values(tensor)


@functools.cache
def _onednn_is_faster() -> bool:
    # torch.cpu has no names for this on other architectures.
    processor = torch.cpu.get_capabilities()
    return (
        bool(processor.get("avx512_f"))
        and "Intel" not in str(processor.get("cpu_name"))
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _by_onednn(input: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor | None) -> Tensor:
    result = torch.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")
    return result if out is None else out.copy_(result)
