import pytest
import torch

from manualgrad import kernels

SHAPES = [(130, 120, 100), (3, 4, 5)]  # one that is large enough for oneDNN, one that is not


@pytest.fixture(params=[True, False], ids=["onednn", "mkl"])
def library(request, monkeypatch):
    if request.param and not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this PyTorch has no oneDNN")
    monkeypatch.setattr(kernels, "_onednn_is_faster", lambda: request.param)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("transposed", [False, True])
def test_the_product_is_right(shape, transposed):
    n, i, o = shape
    torch.manual_seed(0)
    left, right, bias = torch.randn(n, i), torch.randn(o, i), torch.randn(o)
    if transposed:
        left, right = left.t().contiguous().t(), right.t().contiguous().t()
    exact = left.double() @ right.double().t()
    with torch.no_grad():
        for bias_or_zero, compute in (
            (0, lambda out: kernels.matmul(left, right.t(), out=out)),
            (bias, lambda out: kernels.affine(left, right, bias, out=out)),
        ):
            out = torch.empty(n, o)
            assert compute(out) is out
            for result in (out, compute(None)):
                torch.testing.assert_close(result, (exact + bias_or_zero).float(), rtol=1e-5, atol=1e-4)


def every_second(tensor):
    return tensor.repeat_interleave(2).view(*tensor.shape, 2)[..., 0]


def its_first(tensor):
    return tensor[:1].expand(tensor.shape)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("layout", [every_second, its_first])
@pytest.mark.parametrize("which", range(3))
def test_operands_of_any_layout(layout, which):
    torch.manual_seed(0)
    operands = [torch.randn(130, 120), torch.randn(100, 120), torch.randn(100)]
    operands[which] = layout(operands[which])
    input, weight, bias = operands
    exact = torch.addmm(bias.double(), input.double(), weight.double().t()).float()
    with torch.no_grad():
        torch.testing.assert_close(kernels.affine(*operands), exact, rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(kernels.matmul(input, weight.t()) + bias, exact, rtol=1e-5, atol=1e-4)


@pytest.mark.usefixtures("library")
def test_what_does_not_fit_together_is_refused_as_pytorch_does():
    with torch.no_grad():
        for right in (torch.zeros(121, 100), torch.zeros(120, 100, dtype=torch.float64)):
            with pytest.raises(RuntimeError, match=r"cannot be multiplied|same dtype"):
                kernels.matmul(torch.zeros(130, 120), right)


@pytest.mark.usefixtures("library")
def test_derivatives_are_not_lost():
    torch.manual_seed(0)
    left, right = torch.randn(130, 120, requires_grad=True), torch.randn(120, 100)
    kernels.matmul(left, right).sum().backward()
    torch.testing.assert_close(left.grad, right.sum(1).expand(130, 120))
    product = torch.func.vmap(kernels.matmul, in_dims=(0, None))(left.detach().expand(2, 130, 120), right)
    torch.testing.assert_close(product[1], left.detach() @ right)


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ({"avx512_f": True, "cpu_name": "AMD EPYC"}, True),
        ({"avx512_f": True, "cpu_name": "Intel(R) Xeon(R)"}, False),
        ({"avx512_f": False, "cpu_name": "AMD EPYC"}, False),
        ({"architecture": "aarch64"}, False),
    ],
)
def test_where_onednn_is_taken(processor, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: processor)
    assert kernels._onednn_is_faster.__wrapped__() is (expected and torch.backends.mkldnn.is_available())


@pytest.mark.parametrize("size", [100, 10_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_selection(size, dtype):
    torch.manual_seed(0)
    output = torch.randn(2, size, dtype=dtype).relu_()
    upstream = torch.randn(2, size, dtype=dtype)
    infinity, nan = float("inf"), float("nan")
    for value, here in (
        (0.0, 1.0),
        (infinity, 0.0),
        (nan, 0.0),
        (infinity, 2.0),
        (1.0, nan),
        (1.0, infinity),
    ):
        upstream[0, 3], output[0, 3] = value, here
        with torch.no_grad():
            kept = kernels.keep_where_open(upstream, output)
        torch.testing.assert_close(
            kept, torch.where(output <= 0, 0.0, upstream), rtol=0, atol=0, equal_nan=True
        )
