"""The sample inputs themselves: seeded, fresh, and hard to pass by accident."""

import pytest
import torch
from torch import Tensor

from manualgrad.cases import FUNCTIONS, join_outputs

every_function = pytest.mark.parametrize("info", FUNCTIONS.values(), ids=FUNCTIONS)


def tensors(sample):
    return [value for value in (*sample.args, *sample.kwargs.values()) if isinstance(value, Tensor)]


@every_function
def test_same_seed_same_numbers_and_another_seed_others(info):
    once, again, other = (info.samples(seed=seed) for seed in (3, 3, 4))
    for one, two in zip(once, again, strict=True):
        assert one.name == two.name
        assert all(map(torch.equal, tensors(one), tensors(two)))
    assert not all(map(torch.equal, tensors(once[0]), tensors(other[0])))


@every_function
def test_samples_are_fresh(info):
    with torch.no_grad():
        for tensor in tensors(info.samples()[0]):
            tensor.zero_()
    assert all(tensor.any() for tensor in tensors(info.samples()[0]))


@every_function
def test_names_tell_the_samples_apart_and_something_is_differentiated(info):
    samples = info.samples()
    assert len({sample.name for sample in samples}) == len(samples)
    for sample in samples:
        assert any(value.requires_grad for value in tensors(sample))


@every_function
def test_no_number_is_near_zero_and_no_two_dimensions_are_alike(info):
    for sample in info.samples():
        for value in tensors(sample):
            if value.is_floating_point() and not sample.name.endswith("at 0"):
                assert value.abs().min() > 0.02
            assert len(set(value.shape)) == value.dim()


@every_function
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_all_floating_point_tensors_have_the_dtype_that_was_asked_for(info, dtype):
    for sample in info.samples(dtype):
        assert {value.dtype for value in tensors(sample)} <= {dtype, torch.int64, torch.bool}
        assert all(value.is_leaf for value in tensors(sample))


@every_function
def test_a_closed_call_is_the_call(info):
    for sample in info.samples():
        function = sample.seeded(info.function)
        call, values = sample.bind(function)
        assert not any(value.requires_grad for value in values)
        outputs = function(*sample.args, **sample.kwargs)
        assert torch.equal(call(*values), join_outputs(outputs))
