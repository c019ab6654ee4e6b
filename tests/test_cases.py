"""The sample inputs themselves: seeded, fresh, and hard to pass by accident."""

import pytest
import torch
from torch import Tensor

from manualgrad.cases import FUNCTIONS, join_outputs

every_function = pytest.mark.parametrize("info", FUNCTIONS.values(), ids=FUNCTIONS)


def tensors(sample):
    return [value for value in (*sample.args, *sample.kwargs.values()) if isinstance(value, Tensor)]


@every_function
def test_samples_are_seeded_and_fresh(info):
    once, again, other = (info.samples(seed=seed) for seed in (3, 3, 4))
    for one, two in zip(once, again, strict=True):
        assert one.name == two.name
        assert all(map(torch.equal, tensors(one), tensors(two)))
    assert not all(map(torch.equal, tensors(once[0]), tensors(other[0])))
    with torch.no_grad():
        for tensor in tensors(once[0]):
            tensor.zero_()
    assert all(tensor.any() for tensor in tensors(info.samples(seed=3)[0]))


@every_function
def test_samples_are_told_apart_and_hard_to_pass_by_accident(info):
    samples = info.samples()
    assert len({sample.name for sample in samples}) == len(samples) >= 2
    for sample in samples:
        assert any(value.requires_grad for value in tensors(sample))
        for value in tensors(sample):
            if value.is_floating_point() and not sample.name.endswith("at 0"):
                assert value.abs().min() > 0.02  # no kink is near
            assert len(set(value.shape)) == value.dim()  # a transposition changes the shape


@every_function
def test_all_floating_point_tensors_have_the_dtype_that_was_asked_for(info):
    for sample in info.samples(torch.bfloat16):
        assert {value.dtype for value in tensors(sample)} <= {torch.bfloat16, torch.int64, torch.bool}
        assert all(value.is_leaf for value in tensors(sample))


@every_function
def test_a_bound_call_is_the_call(info):
    for sample in info.samples():
        call, values = sample.bind(info.function)
        assert not any(value.requires_grad for value in values)
        outputs = sample.seeded(info.function)(*sample.args, **sample.kwargs)
        assert torch.equal(call(*values), join_outputs(outputs))
