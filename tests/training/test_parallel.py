import pytest
import torch

from manualgrad.errors import UserError
from manualgrad.training import MetricAccumulator, Metrics, evaluate, parallel
from tests.training.together import joined


def share():
    metrics = MetricAccumulator()
    rank = parallel.rank()
    logits, label = torch.tensor([[1.0, 0.0]]), torch.tensor([rank])
    metrics.update(torch.tensor(float(rank)), logits, label)
    state = metrics.state_dict()
    metrics.load_state_dict(state)  # the sum of all, in one of them
    return (
        metrics.compute(),
        parallel.any_rank(rank == 1),
        parallel.from_first(lambda: ("made by", rank)),
        parallel.own_rows(torch.arange(4)).tolist(),
        parallel.is_first(),
    )


def measure():
    torch.manual_seed(0)
    inputs, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    return evaluate(torch.nn.Identity(), torch.nn.functional.cross_entropy, inputs, labels)


def test_two_processes(processes):
    first, second = processes(2, joined, share)
    assert first == (Metrics(0.5, 0.5), True, ("made by", 0), [0, 1], True)
    assert second == (Metrics(0.5, 0.5), True, ("made by", 0), [2, 3], False)


def test_two_processes_measure_what_one_does(processes):
    alone = measure()
    for found in processes(2, joined, measure):
        assert found.loss == pytest.approx(alone.loss, rel=1e-6)
        assert found.accuracy == alone.accuracy


def test_rows_that_have_no_equal_parts(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(
        UserError, match="a batch of 5 rows has no 2 equal parts: choose another --batch-size"
    ):
        parallel.own_rows(torch.arange(5))
