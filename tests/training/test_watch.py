import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import manualgrad.nn as nn
from manualgrad.training import Run, RunSettings, Watch, gather_batches, train_epoch

LAYERS = ("layer 1", "layer 2")


def train(tmp_path, level, steps=30, every=2):
    """Train a little network; return it, what the random generator says next, and its page."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    inputs = torch.randn(4 * steps, 6)
    batches = gather_batches(inputs, inputs[:, :3].argmax(1), 4)
    with Run("watched", level, RunSettings(runs_dir=tmp_path, log=level), torch.device("cpu")) as run:
        watch = Watch(run, model, loss_function, optimizer, inputs[:10], every)
        score = train_epoch(model, loss_function, optimizer, batches, watch)
    events = EventAccumulator(str(run.folder), size_guidance={"tensors": 0, "histograms": 0})
    events.Reload()
    return [*model.parameters(), torch.tensor([score.loss]), torch.rand(3)], events


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs"), "standard")[1]


def test_watching_changes_nothing(tmp_path):
    results = [train(tmp_path, level)[0] for level in ("none", "scalars", "standard", "everything")]
    for result in results[1:]:
        assert all(map(torch.equal, results[0], result))


def test_curves_of_every_layer(events):
    for what in ("gradient norm", "parameter norm", "log10 update to weight"):
        for layer in LAYERS:
            assert [point.step for point in events.Scalars(f"{what}/{layer}")] == list(range(0, 30, 2))
    assert len(events.Scalars("dead ReLUs/layer 1")) == 15
    assert {point.value for point in events.Scalars("learning rate")} == {0.25}
    assert all(point.value > 0 for point in events.Scalars("speed/examples per second"))


def test_the_ratio_is_that_of_the_step(events):
    for layer in LAYERS:
        rows = zip(
            *(
                events.Scalars(f"{what}/{layer}")
                for what in ("gradient norm", "parameter norm", "log10 update to weight")
            ),
            strict=True,
        )
        for gradient, weight, ratio in rows:  # the norm is the one after the step, so not quite the same
            assert 10**ratio.value == pytest.approx(0.25 * gradient.value / weight.value, rel=0.2)


def test_closer_looks_are_rarer(events, tmp_path):
    check = events.Scalars("gradient check/worst relative error")
    assert [point.step for point in check] == [0, 16]
    assert all(point.value < 1e-4 for point in check)
    for what in ("weights", "gradients", "activations"):
        for layer in LAYERS:
            assert [entry.step for entry in events.Histograms(f"{what}/{layer}")] == [0, 16]
    _, everything = train(tmp_path, "everything")
    assert len(everything.Scalars("gradient check/worst relative error")) == 15


def test_the_graph_the_lessons_and_the_layout_are_there_from_the_first_step(tmp_path):
    _, events = train(tmp_path, "standard", steps=1)
    assert {"1_Linear", "2_Linear", "ReLU"} <= {node.name for node in graph_of(events)}
    tensors = set(events.Tags()["tensors"])
    assert {f"lessons/{name}/text_summary" for name in ("Linear", "ReLU", "SoftmaxNLL")} <= tensors
    assert "custom_scalars__config__" in tensors


def graph_of(events):
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    return GraphDef.FromString(events._graph).node


def test_every_chart_of_the_layout_has_curves(events):
    import re

    from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

    (entry,) = events.Tensors("custom_scalars__config__")
    layout = Layout.FromString(entry.tensor_proto.string_val[0])
    tags = {
        *events.Tags()["scalars"],
        "loss/training",
        "loss/validation",
        "accuracy/training",
        "accuracy/validation",
    }
    assert len(layout.category) == 5
    for category in layout.category:
        for chart in category.chart:
            patterns = chart.multiline.tag
            assert any(re.match(pattern, tag) for pattern in patterns for tag in tags), chart.title


def test_without_a_log_nothing_is_looked_at(tmp_path):
    _, events = train(tmp_path, "none")
    assert not any(events.Tags().values())
