import pytest
import torch

from manualgrad.training.metrics import EVALUATION_ROWS, MetricAccumulator, Metrics, evaluate

LOGITS = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]])


def test_averages_are_over_examples():
    metrics = MetricAccumulator()
    metrics.update(torch.tensor(1.0), LOGITS, torch.tensor([0, 0, 0]))
    metrics.update(torch.tensor(3.0), LOGITS[:1], torch.tensor([1]))
    assert metrics.compute() == Metrics(loss=1.5, accuracy=0.5)
    assert str(metrics) == "loss 1.5 accuracy 0.5000"
    restored = MetricAccumulator()
    restored.load_state_dict(metrics.state_dict())
    metrics.reset()
    assert str(metrics) == ""
    assert restored.compute() == Metrics(1.5, 0.5)


def test_evaluate_changes_nothing_and_cuts_what_is_long():
    model = torch.nn.Linear(2, 2)
    inputs = torch.randn(2 * EVALUATION_ROWS + 1, 2)
    labels = inputs.argmax(1)
    found = evaluate(model, torch.nn.functional.cross_entropy, inputs, labels)
    with torch.no_grad():
        logits = model(inputs)
    assert found.loss == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item(), rel=1e-6)
    assert found.accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item())
    assert all(parameter.grad is None for parameter in model.parameters())
