"""Products of matrices, by the faster of the two libraries that PyTorch has for them on a CPU.

For float32 PyTorch takes MKL, and MKL keeps its AVX-512 kernels for Intel's processors. oneDNN, which PyTorch
takes for convolutions and for low precision, uses them wherever they are: on an AMD EPYC with two cores the
product of (128, 784) and (784, 512) takes 290 µs there and 550 with MKL; both are off by 2e-6 at most. A
training step of MNIST's network is two thirds such products.

The operator that is called here is the one into which torch.compile turns a linear layer. It knows nothing of
derivatives, so it serves only where nobody records any: in the forward and the plain backward of a Function.
"""

import functools

import torch
from torch import Tensor

# Below so many multiplications the operator's longer way from Python, 3 µs, costs more than it gains.
LARGE = 2**20


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
    if torch.compiler.is_compiling() or not _suits(left, right):
        return torch.matmul(left, right, out=out)
    return _by_onednn(left, right.t(), None, out)


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
    if torch.compiler.is_compiling() or not _suits(input, weight.t()):
        return torch.addmm(bias, input, weight.t(), out=out)
    return _by_onednn(input, weight, bias, out)


def _suits(left: Tensor, right: Tensor) -> bool:
    """Return whether both are plain and large float32 matrices on a CPU where oneDNN is the faster one."""
    return (
        left.dim() == right.dim() == 2
        and left.numel() * right.shape[1] >= LARGE
        and left.dtype == right.dtype == torch.float32
        and left.device.type == "cpu"
        and torch.get_float32_matmul_precision() == "highest"  # at the others PyTorch has its own choice
        and not torch.is_grad_enabled()
        and not torch._C._are_functorch_transforms_active()
        and _onednn_is_faster()
    )


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
