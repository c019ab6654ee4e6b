import pytest
import torch

from experiments import xor_survey
from manualgrad.by_hand import train_xor
from manualgrad.data.xor import xor


def test_shares_are_those_of_single_networks(perform):
    knobs = "--networks 6 --epochs 3000 --hidden 2 --learning-rates 1 0.01 --seed 3"
    performance = perform(xor_survey, *knobs.split())
    numbers = torch.rand(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 2 - 1
    inputs, targets = xor()
    for rate in (1.0, 0.01):
        learnt = 0
        for k in range(6):
            hidden, output = numbers[:4, k].view(2, 2).clone(), numbers[4:, k : k + 1].clone()
            answers = train_xor(hidden, output, inputs, targets, rate, 3000)
            learnt += bool(((answers - targets).abs() < 0.5).all())
        assert performance.metrics["share_that_learns"]["sigmoid"][str(rate)] == pytest.approx(learnt / 6)
    assert "½ ½ ½ ½ (6)" in performance.out  # at 0.01 nothing is learnt


def test_answers_have_names():
    assert xor_survey.describe(torch.tensor([0.02, 0.6, -0.9, 0.98])) == "0 ½ -1 1"
