import torch

from manualgrad.data.xor import draw_xor_weights, xor


def test_one_but_not_both():
    inputs, targets = xor()
    assert inputs.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert targets.tolist() == [[int(a != b)] for a, b in inputs.tolist()]
    assert inputs.dtype == targets.dtype == torch.float64


def test_keras_weights_are_glorot_s():
    for weight, limit in zip(draw_xor_weights(0, 4, glorot=True), (1.0, (6 / 5) ** 0.5), strict=True):
        assert 0.5 * limit < weight.abs().max() <= limit
