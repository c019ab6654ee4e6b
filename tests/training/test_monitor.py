import re

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

import manualgrad.nn as nn
from experiments import mnist
from manualgrad.training import Config, RunDir, TrainingMonitor, charts
from tests.experiments.small_mnist import load_small_set, the_folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Train mnist.py on few images; return the events of the run and of each sub-run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "load_mnist", load_small_set)
        patch.setattr(mnist, "MONITOR_EVERY", 3)
        runs = tmp_path_factory.mktemp("runs")
        mnist.main(mnist.Config(runs_dir=runs, epochs=5))
    found = {}
    for folder in {path.parent for path in runs.rglob("events*")}:
        events = EventAccumulator(str(folder), size_guidance={"tensors": 0, "histograms": 0})
        events.Reload()
        found["" if folder == the_folder(runs) else folder.name] = events
    return found


def test_a_line_for_each_layer_every_so_many_steps(parts):
    steps = [1, 2, 4, 7, 10, 13, 16, 19]
    for layer in (f"layer {number} Linear" for number in range(1, 5)):
        for tag in (charts.GRADIENT, charts.WEIGHT, charts.UPDATE):
            assert [point.step for point in parts[layer].Scalars(tag)] == steps
    assert [point.step for point in parts["training"].Scalars(charts.BATCH)] == steps


def test_details_at_logarithmic_times(parts):
    steps = [1, 4, 7, 10, 19]
    checks = parts["training"].Scalars(charts.CHECK)
    assert [point.step for point in checks] == [1, 4, 19]
    assert all(point.value < -3 for point in checks)
    for what in ("weights", "gradients", "activations"):
        assert [entry.step for entry in parts[""].Histograms(f"{what}/layer 2 Linear")] == steps


def test_every_chart_of_the_layout_has_curves_and_a_description(parts):
    (entry,) = parts[""].Tensors("custom_scalars__config__")
    layout = Layout.FromString(entry.tensor_proto.string_val[0])
    assert [category.title for category in layout.category] == list(charts.QUESTIONS)
    for category in layout.category:
        for chart in category.chart:
            (pattern,) = chart.multiline.tag
            drawn = [
                (events, tag)
                for events in parts.values()
                for tag in events.Tags()["scalars"]
                if re.search(pattern, tag)
            ]
            assert drawn, chart.title
            assert all(events.SummaryMetadata(tag).summary_description for events, tag in drawn)


@pytest.fixture
def step(tmp_path):
    """Take one step of gradient descent on a small network, and return it with what was recorded."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    inputs, targets, loss_function = torch.randn(8, 6), torch.arange(8) % 3, nn.CrossEntropyLoss()
    with RunDir("small", Config(runs_dir=tmp_path, log="scalars"), torch.device("cpu")) as run:
        monitor = TrainingMonitor(run, model, loss_function, optimizer, inputs, every=5, last=10)
        for number in (1, 2):
            optimizer.zero_grad()
            loss = loss_function(model(inputs), targets)
            loss.backward()
            monitor.after_backward(number, loss, inputs, targets)
            if number == 1:
                before = [parameter.detach().clone() for parameter in model.parameters()]
                gradients = [parameter.grad.clone() for parameter in model.parameters()]
                optimizer.step()
            monitor.after_step(number)
        return monitor, before, gradients


def norm(*tensors):
    return torch.cat([tensor.flatten() for tensor in tensors]).norm().item()


def test_the_figures_are_those_of_the_step(step):
    monitor, before, gradients = step
    record = monitor.records[0]
    for layer, first in (("layer 1 Linear", 0), ("layer 2 Linear", 2)):
        pair = slice(first, first + 2)
        assert record[f"{charts.GRADIENT}/{layer}"] == pytest.approx(norm(*gradients[pair]))
        ratio = 0.25 * norm(*gradients[pair]) / norm(*before[pair])
        assert record[f"{charts.UPDATE}/{layer}"] == pytest.approx(ratio, rel=1e-4)
    assert record[charts.RATE] == 0.25
    assert f"{charts.STUCK}/layer 1 Linear" in record
    assert f"{charts.STUCK}/layer 2 Linear" not in record  # it has no activation


def test_running_statistics_and_masks_are_as_without_a_monitor(tmp_path):
    losses = []
    for log in ("none", "full"):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(), nn.Linear(6, 3))
        loss_function, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), 0.1)
        inputs, targets = torch.randn(8, 4), torch.randint(3, (8,))
        with RunDir("dropped", Config(runs_dir=tmp_path, log=log), torch.device("cpu")) as run:
            monitor = TrainingMonitor(run, model, loss_function, optimizer, torch.randn(5, 4), 1, 4)
            for step in range(1, 5):
                optimizer.zero_grad()
                loss = loss_function(model(inputs), targets)
                loss.backward()
                monitor.after_backward(step, loss, inputs, targets)
                optimizer.step()
                monitor.after_step(step)
                losses.append(loss.item())
        losses.append(model[1].running_mean.sum().item())
    assert losses[:5] == losses[5:]
