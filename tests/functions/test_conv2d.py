"""Convolution by hand."""

import pytest
import torch

import manualgrad.functions as F


def one(*rows):
    """One image with one channel, or one kernel from one channel to one."""
    return torch.tensor([[rows]], dtype=torch.float64, requires_grad=True)


def test_by_hand():
    x, weight = one([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]), one([1.0, 10.0], [100.0, 1000.0])
    bias = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    y = F.conv2d(x, weight, bias)
    assert y.tolist() == [[[[5421.5, 6532.5]]]]
    y.backward(torch.tensor([[[[1.0, 2.0]]]], dtype=torch.float64))
    assert x.grad.tolist() == [[[[1.0, 12.0, 20.0], [100.0, 1200.0, 2000.0]]]]
    assert weight.grad.tolist() == [[[[1.0 + 4.0, 2.0 + 6.0], [4.0 + 10.0, 5.0 + 12.0]]]]
    assert bias.grad.tolist() == [3.0]


def test_the_kernel_is_flipped_on_the_way_back():
    x, weight = one([0.0, 0.0, 0.0, 0.0, 0.0]), one([1.0, 2.0, 3.0])
    impulse = torch.tensor([[[[0.0, 0.0, 1.0, 0.0, 0.0]]]], dtype=torch.float64)
    y = F.conv2d(impulse, weight, padding=(0, 1))
    assert y.tolist() == [[[[0.0, 3.0, 2.0, 1.0, 0.0]]]]
    F.conv2d(x, weight, padding=(0, 1)).backward(impulse)
    assert x.grad.tolist() == [[[[0.0, 1.0, 2.0, 3.0, 0.0]]]]


def test_what_lies_behind_the_last_window_gets_nothing():
    x, weight = one([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), one([10.0, 1.0])
    y = F.conv2d(x, weight, stride=(1, 3))
    assert y.tolist() == [[[[12.0, 45.0]]]]
    y.sum().backward()
    assert x.grad.tolist() == [[[[10.0, 1.0, 0.0, 10.0, 1.0, 0.0]]]]
    assert weight.grad.tolist() == [[[[5.0, 7.0]]]]


def test_groups_have_nothing_to_do_with_one_another():
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    y = F.conv2d(x, weight, groups=2)
    halves = torch.cat([F.conv2d(x[:, :2], weight[:3]), F.conv2d(x[:, 2:], weight[3:])], dim=1)
    torch.testing.assert_close(y, halves)
    y[:, :3].square().sum().backward()
    assert not x.grad[:, 2:].any()
    assert not weight.grad[3:].any()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 4), (4, 4)])
@pytest.mark.parametrize("dilation", [1, 2, (2, 3)])
def test_padding_that_keeps_the_size(kernel, dilation):
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 3, *kernel, dtype=torch.float64, requires_grad=True)
    results = []
    for function in (F.conv2d, torch.nn.functional.conv2d):
        y = function(x, weight, padding="same", dilation=dilation)
        assert y.shape == (2, 4, 5, 6)
        results.append([y, *torch.autograd.grad(y.sin().sum(), (x, weight))])
    torch.testing.assert_close(*results)


def test_no_padding_by_name():
    x, weight = torch.randn(2, 3, 5, 6), torch.randn(4, 3, 2, 3)
    assert torch.equal(F.conv2d(x, weight, stride=2, padding="valid"), F.conv2d(x, weight, stride=2))


def test_no_image_at_all():
    x, weight = torch.zeros(0, 3, 5, 6, requires_grad=True), torch.ones(4, 3, 2, 2, requires_grad=True)
    y = F.conv2d(x, weight)
    assert y.shape == (0, 4, 4, 5)
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert weight.grad.tolist() == torch.zeros(4, 3, 2, 2).tolist()
