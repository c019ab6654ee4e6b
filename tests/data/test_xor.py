import torch

from manualgrad.data.xor import xor


def test_one_but_not_both():
    inputs, targets = xor()
    assert inputs.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert targets.tolist() == [[int(a != b)] for a, b in inputs.tolist()]
    assert inputs.dtype == targets.dtype == torch.float64
