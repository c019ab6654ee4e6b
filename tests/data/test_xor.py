import torch

from manualgrad.data.xor import draw_xor_weights, xor


def test_one_but_not_both():
    inputs, targets = xor()
    assert inputs.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert targets.tolist() == [[int(a != b)] for a, b in inputs.tolist()]
    assert inputs.dtype == targets.dtype == torch.float64


def test_no_straight_line_separates_the_rows():
    # The best that a line can do is to say "a half" everywhere.
    inputs, targets = xor()
    features = torch.cat([inputs, torch.ones(4, 1, dtype=torch.float64)], dim=1)
    best = torch.linalg.lstsq(features, targets).solution
    assert torch.allclose(features @ best, torch.full((4, 1), 0.5, dtype=torch.float64))


def test_keras_weights_are_glorot_s():
    for weight, limit in zip(draw_xor_weights(0, 4, glorot=True), (1.0, (6 / 5) ** 0.5), strict=True):
        assert 0.5 * limit < weight.abs().max() <= limit
