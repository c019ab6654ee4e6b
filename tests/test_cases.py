"""The cases themselves: seeded, fresh, and hard to pass by accident."""

import pytest
import torch
from torch import Tensor

from manualgrad.cases import CASES

every_function = pytest.mark.parametrize("cases", CASES.values(), ids=CASES)


def tensors(sample):
    return [value for value in (*sample.args, *sample.kwargs.values()) if isinstance(value, Tensor)]


@every_function
def test_same_seed_same_numbers_and_another_seed_others(cases):
    once, again, other = (cases.samples(seed=seed) for seed in (3, 3, 4))
    for one, two in zip(once, again, strict=True):
        assert one.name == two.name
        assert all(map(torch.equal, tensors(one), tensors(two)))
    assert not torch.equal(tensors(once[0])[0], tensors(other[0])[0])


@every_function
def test_samples_are_fresh(cases):
    first = tensors(cases.samples()[0])[0]
    with torch.no_grad():
        first.zero_()
    assert tensors(cases.samples()[0])[0].all()


@every_function
def test_names_tell_the_samples_apart_and_something_is_differentiated(cases):
    samples = cases.samples()
    assert len({sample.name for sample in samples}) == len(samples)
    for sample in samples:
        assert any(value.requires_grad for value in tensors(sample))


@every_function
def test_no_number_is_near_zero_and_no_two_dimensions_are_alike(cases):
    for sample in cases.samples():
        for value in tensors(sample):
            if value.is_floating_point():
                assert value.abs().min() > 0.02
            assert len(set(value.shape)) == value.dim()


@every_function
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_all_floating_point_tensors_have_the_dtype_that_was_asked_for(cases, dtype):
    for sample in cases.samples(dtype):
        assert {value.dtype for value in tensors(sample)} <= {dtype, torch.int64}
        assert all(value.is_leaf for value in tensors(sample))


@every_function
def test_a_closed_call_is_the_call(cases):
    for sample in cases.samples():
        call, values = sample.close(cases.function)
        assert not any(value.requires_grad for value in values)
        assert torch.equal(call(*values), cases.function(*sample.args, **sample.kwargs))
