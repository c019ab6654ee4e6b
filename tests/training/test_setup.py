import pytest
import torch

from manualgrad.errors import UserError
from manualgrad.training import Config, setup


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there():
    with pytest.raises(UserError, match="--device cuda: not on this machine, which has cpu"):
        setup(Config(device="cuda"))


def test_a_device_without_the_dtype(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(UserError, match="has no float64"):
        setup(Config(device="mps"), torch.float64)
