"""No waste: what is kept for backward, how long it is kept, and that nothing leaks."""

import gc
import resource
import sys
import weakref

import pytest
import torch

import manualgrad.functions as F
from tests.functions.tools import every_function, every_sample, leaves, upstream


def bytes_saved(call, values):
    """What autograd keeps for backward, each storage once."""
    storages = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor  # kept, so that its address is not given out again

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = call(*values)
    assert output.requires_grad
    return sum(storages.values())


@every_sample
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_no_more_is_saved_than_by_pytorch(ours, theirs, values, dtype):
    assert bytes_saved(ours, leaves(values)) <= bytes_saved(theirs, leaves(values))


@every_sample
def test_no_more_is_saved_when_only_one_gradient_is_wanted(info, ours, theirs, values):
    # Left out: class weights of a distribution alone, a cell's memory alone. PyTorch then keeps a product or
    # a gate that is neither an input nor an output; a Function that does so has a wrong second derivative.
    # Attention keeps the probabilities, as its own tests say.
    judged = {"softmax_cross_entropy": 2, "lstm_gates": 1, "gru_gates": 2, "scaled_dot_product_attention": 0}
    for asked in range(min(len(values), judged.get(info.name, len(values)))):
        arguments = [value.clone().requires_grad_(place == asked) for place, value in enumerate(values)]
        assert bytes_saved(ours, arguments) <= bytes_saved(theirs, arguments)


def test_byte_labels_stay_bytes():
    logits, target = torch.randn(1000, 2, requires_grad=True), torch.ones(1000, dtype=torch.uint8)
    assert bytes_saved(lambda x: F.softmax_nll(x, target), [logits]) == 1000 * 2 * 4 + 1000


@every_function
def test_what_is_saved_is_freed_by_backward_and_with_a_graph_that_is_never_used(ours, values):
    for used in (True, False):
        inner = [value.requires_grad_() * 1 for value in values]  # kept by no one but the graph
        output = ours(*inner)
        kept = [weakref.ref(each) for each in inner]
        del inner
        if used:
            output.backward(upstream(output))
        else:
            del output
        assert [each() for each in kept] == [None] * len(kept)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="counts memory as Unix does")
@every_function
def test_a_thousand_calls_leak_nothing(ours, values):
    """Each input lies in 100 kB of its own: one that is not given back in every call makes 100 MB."""
    upstream_gradient = upstream(ours(*values))

    def heavy(value):
        memory = torch.ones(100_000 // value.element_size(), dtype=value.dtype)
        return memory[: value.numel()].view(value.shape).copy_(value)

    def step():
        ours(*[heavy(value).requires_grad_() for value in values]).backward(upstream_gradient)
        with torch.autograd.forward_ad.dual_level():
            ours(*[torch.autograd.forward_ad.make_dual(heavy(value), heavy(value)) for value in values])

    for _ in range(100):
        step()
    gc.collect()
    objects, peak = len(gc.get_objects()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(1000):
        step()
    gc.collect()
    assert len(gc.get_objects()) - objects < 100
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 20_000  # kB
