import pytest
import torch

from manualgrad.errors import UserError
from manualgrad.training import Config, setup


def test_it_seeds():
    setup(Config(seed=5))
    first = torch.rand(3)
    setup(Config(seed=5))
    assert torch.equal(torch.rand(3), first)


def test_auto_takes_what_is_there():
    assert setup(Config()).type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there():
    with pytest.raises(UserError, match="--device cuda: not on this machine, which has cpu"):
        setup(Config(device="cuda"))


def test_a_device_without_the_dtype(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(UserError, match="has no float64"):
        setup(Config(device="mps"), torch.float64)
