"""What PyTorch wraps around functions: checkpointing, hooks on what is saved, anomaly mode, threads."""

import threading

import pytest
import torch
import torch.utils.checkpoint

import manualgrad.functions as F
from manualgrad.functions._function import Function, apply
from tests.functions.tools import (
    assert_same,
    every_function,
    first_samples,
    upstream,
    value_and_gradients,
)

SAVE_NO_NUMBERS = {
    "dropout",
    "nll_loss",
    "embedding",
    "avg_pool2d",
    "max_pool2d",
}  # a mask or integers, or nothing


@first_samples
def test_activation_checkpointing(ours, values):
    def recomputed(*each):
        return torch.utils.checkpoint.checkpoint(ours, *each, use_reentrant=False)

    assert_same(value_and_gradients(recomputed, values), value_and_gradients(ours, values))


@first_samples
def test_everything_saved_goes_through_the_hooks(ours, values):
    """Offload to a file, say: what comes back is another tensor, and nothing was kept beside it."""
    expected = value_and_gradients(ours, values)
    values = [value.clone().requires_grad_() for value in values]
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.clone(), lambda tensor: tensor):
        output = ours(*values)
    with torch.no_grad():
        for value in values:
            value.zero_()  # nobody looks here any more
    assert_same([output, *torch.autograd.grad(output, values, upstream(output))], expected)


@every_function
def test_a_saved_tensor_that_is_changed_in_place_is_noticed(info, ours, values):
    inner = [value.requires_grad_() * 1 for value in values]
    output = ours(*inner)
    with torch.no_grad():
        for tensor in (*inner, output):
            tensor.add_(1)
    if info.name in SAVE_NO_NUMBERS:
        output.sum().backward()
    else:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            output.sum().backward()


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled:UserWarning")
@every_function
def test_anomaly_mode(ours, values):
    with torch.autograd.detect_anomaly(check_nan=True):
        value_and_gradients(ours, values)


@every_function
def test_threads(sample, ours, values):
    """Each thread has its own graph; the functions keep nothing between calls."""
    if sample.seed is not None:
        return  # threads draw from one generator
    expected, results = value_and_gradients(ours, values), []
    threads = [
        threading.Thread(target=lambda: results.extend(value_and_gradients(ours, values) for _ in range(5)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 20
    for result in results:
        assert_same(result, expected)


def test_meta_tensors_go_through_without_numbers():
    logits, labels = torch.empty(3, 4, device="meta"), torch.empty(3, device="meta", dtype=torch.int64)
    assert F.softmax_nll(F.linear(logits, torch.empty(4, 4, device="meta")), labels).device.type == "meta"


def test_a_function_of_the_learners_own_gets_the_same_machinery():
    class Square(Function):
        @staticmethod
        def forward(input):
            return input * input

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, grad_output):
            (input,) = ctx.saved_tensors
            return 2 * input * grad_output

        @staticmethod
        def jvp(ctx, input_tangent):
            (input,) = ctx.saved_tensors
            return 2 * input * input_tangent

    def square(x):
        return apply(Square, x)

    x = torch.randn(3, dtype=torch.float64)
    assert_same(
        torch.func.hessian(lambda x: square(x).sin().sum())(x),
        torch.func.hessian(lambda x: (x * x).sin().sum())(x),
    )
