import torch

from manualgrad.by_hand.survey import _describe, survey
from manualgrad.by_hand.xor import train_xor
from manualgrad.data.xor import xor


def test_shares_and_ends_are_those_of_single_networks():
    rates = (1.0, 0.3, 0.01)  # with the last nothing is learnt, unless it began where another had ended
    groups = survey(6, 3000, 2, rates, "sigmoid", seed=3)
    assert groups[0].learnt > groups[2].learnt
    numbers = torch.rand(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 2 - 1
    inputs, targets = xor()
    for group, rate in zip(groups, rates, strict=True):
        assert group.learning_rate == rate
        right, ends = 0, []
        for k in range(6):
            hidden, output = numbers[:4, k].view(2, 2).clone(), numbers[4:, k : k + 1].clone()
            answers = train_xor(hidden, output, inputs, targets, rate, 3000)
            if ((answers - targets).abs() < 0.5).all():
                right += 1
            else:
                ends.append(_describe(answers.flatten()))
        assert group.learnt == right / 6
        assert sorted(group.stuck.elements()) == sorted(ends)


def test_same_seed_same_networks():
    first, second = (survey(20, 50, 5, (0.3,), "tanh", seed=1) for _ in range(2))
    assert first == second


def test_answers_have_names():
    assert _describe(torch.tensor([0.02, 0.6, -0.9, 0.98])) == "0 ½ -1 1"
