"""One call of a function: what the tests over FUNCTIONS are given for ``info`` and ``index``."""

import pytest


@pytest.fixture
def device():
    return "cpu"


@pytest.fixture
def sample(info, index, device):
    return info.samples(device=device)[index]


@pytest.fixture
def ours(info, sample):
    """The function of its differentiable tensors alone."""
    return sample.bind(info.function)[0]


@pytest.fixture
def theirs(info, sample):
    """PyTorch's own, of the same tensors."""
    return sample.bind(info.reference)[0]


@pytest.fixture
def values(info, sample):
    """Those tensors, which want no gradient yet."""
    return sample.bind(info.function)[1]
