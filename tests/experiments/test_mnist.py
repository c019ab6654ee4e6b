import json

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim.optimizer import register_optimizer_step_post_hook

from experiments import mnist
from tests.experiments.small_mnist import load_small_set


@pytest.fixture(scope="module", autouse=True)
def small_set():
    """Stand in for MNIST."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "load_mnist", load_small_set)
        yield


def train(runs_dir, *argv):
    status = mnist.main(["--runs-dir", str(runs_dir), "--epochs", "2", "--log", "scalars", *argv])
    (folder,) = (runs_dir / "mnist").iterdir()
    return status, folder, json.loads((folder / "metrics.json").read_text())


def test_a_run_learns_and_leaves_its_figures(tmp_path, capsys):
    status, folder, metrics = train(tmp_path)
    assert status == 0
    assert metrics["test_accuracy"] > 0.8
    assert {"test_loss", "validation_accuracy", "training_loss", "seconds"} < metrics.keys()
    assert folder.name.endswith("-epochs=2-seed0")
    events = EventAccumulator(str(folder))
    events.Reload()
    for tag in ("loss/training", "loss/validation", "accuracy/training", "accuracy/validation"):
        assert [point.step for point in events.Scalars(tag)] == [1, 2]
    out = capsys.readouterr().out
    assert f"test accuracy {metrics['test_accuracy']:.4f}" in out
    assert out.splitlines()[-1] == f"look at it: tensorboard --logdir {folder}"


def test_same_seed_same_figures(tmp_path):
    figures = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        _, _, metrics = train(tmp_path / name, "--seed", str(seed))
        del metrics["seconds"]
        figures.append(metrics)
    assert figures[0] == figures[1]
    assert figures[0] != figures[2]


def test_dry_run_is_two_batches(tmp_path):
    steps = []
    handle = register_optimizer_step_post_hook(lambda *_: steps.append(1))
    try:
        train(tmp_path, "--dry-run")
    finally:
        handle.remove()
    assert len(steps) == 2


def test_accuracy_that_is_required(tmp_path, capsys):
    assert train(tmp_path / "low", "--require-accuracy", "0.5")[0] == 0
    assert train(tmp_path / "high", "--require-accuracy", "1", "--dry-run")[0] == 1
    assert "below the required 1.0" in capsys.readouterr().err


def test_the_model_is_made_of_hand_written_layers():
    kinds = {type(module).__module__ for module in mnist.build_model() if list(module.parameters())}
    assert kinds == {"manualgrad.nn"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One small run of each log level."""
    levels = ("none", "scalars", "standard", "everything")
    return {level: train(tmp_path_factory.mktemp(level), "--log", level) for level in levels}


def test_what_is_logged_changes_no_figure(finished):
    figures = []
    for _, _, metrics in finished.values():
        del metrics["seconds"]
        figures.append(metrics)
    assert figures[1:] == figures[:1] * 3


def test_pictures_of_the_last_epoch_or_of_all(finished):
    def pictures(level):
        return sorted(path.name for path in (finished[level][1] / "pictures").glob("*"))

    assert pictures("none") == pictures("scalars") == []
    last = ["confusion-2.png", "first-layer-2.png", "pixel-gradients-2.png", "worst-mistakes-2.png"]
    assert pictures("standard") == last
    assert pictures("everything") == sorted([*last, "first-layer-1.png", "pixel-gradients-1.png"])


def test_the_page_has_everything(finished):
    events = EventAccumulator(str(finished["standard"][1]))
    events.Reload()
    tags = events.Tags()
    assert set(tags["images"]) == {"confusion", "first layer", "pixel gradients", "worst mistakes"}
    assert {f"digit {digit}" for digit in range(10)} <= set(tags["tensors"])
    assert {"gradients/layer 4", "weights/layer 1", "activations/layer 2"} <= set(tags["histograms"])
    assert {"loss/batch", "accuracy/test", "dead ReLUs/layer 3"} <= set(tags["scalars"])
    assert tags["graph"]
    assert (finished["standard"][1] / "projector_config.pbtxt").exists()


def test_by_hand_trains_like_the_functions(tmp_path):
    # Two steps: after more, a unit that rounding has put on the other side of 0 gets a full step of Adam's,
    # and the two drift apart. In float64 tests/by_hand compares them to 1e-12.
    engines = ("functions", "by-hand")
    figures = [train(tmp_path / engine, "--engine", engine, "--dry-run")[2] for engine in engines]
    assert figures[0]["training_loss"] == pytest.approx(figures[1]["training_loss"], rel=1e-6)
    for name in ("test_loss", "validation_loss"):
        assert figures[0][name] == pytest.approx(figures[1][name], rel=1e-3)
    for engine in engines:
        assert train(tmp_path / f"{engine} on", "--engine", engine)[2]["test_accuracy"] > 0.8


@pytest.mark.parametrize("engine", ["functions", "by-hand"])
@pytest.mark.parametrize("precision", ["medium", "bfloat16", "float16"])
def test_lower_precision_learns_as_well(tmp_path, engine, precision):
    status, folder, metrics = train(tmp_path, "--engine", engine, "--precision", precision)
    assert status == 0
    assert metrics["test_accuracy"] > 0.8
    assert f"precision={precision}" in folder.name
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.slow
def test_compiled(tmp_path):
    assert train(tmp_path, "--compile")[2]["test_accuracy"] > 0.8


def test_what_by_hand_does_not_do(tmp_path, capsys):
    assert mnist.main(["--runs-dir", str(tmp_path), "--engine", "by-hand", "--compile"]) == 1
    assert "neither --with nor --compile applies" in capsys.readouterr().err


@pytest.mark.parametrize(("engine", "where"), [("functions", "Linear (layer 1)"), ("by-hand", "layer 1")])
def test_numbers_that_go_wrong_stop_the_run_before_the_weights(tmp_path, capsys, engine, where):
    argv = ["--learning-rate", "1e37", "--engine", engine, "--log", "scalars"]
    assert mnist.main(["--runs-dir", str(tmp_path), *argv]) == 1
    (folder,) = (tmp_path / "mnist").iterdir()
    (complaint,) = capsys.readouterr().err.splitlines()
    assert complaint.startswith(f"mnist: error: step 1: the output of {where} is not finite: ")
    assert complaint.endswith(
        "The weights are those from before this step; a smaller --learning-rate, in a new run, often helps; "
        f"to find the operation: python experiments/mnist.py --resume {folder} --anomaly"
    )
    assert mnist.main(["--resume", str(folder), "--anomaly"]) == 1
    (complaint,) = capsys.readouterr().err.splitlines()
    assert f"step 1: the output of {where} is not finite" in complaint
    assert "The operation is aten.addmm in " in complaint


def test_a_student_s_gradient_that_is_not_finite_is_named(tmp_path, capsys):
    page = tmp_path / "relu.py"
    page.write_text(
        "from manualgrad.functions import ReLU\n\n\n"
        "class Mine(ReLU):\n    @staticmethod\n    def backward(ctx, grad_output):\n"
        "        (output,) = ctx.saved_tensors\n        return grad_output / (output > 0)\n"
    )
    assert mnist.main(["--runs-dir", str(tmp_path / "runs"), "--epochs", "1", "--with", str(page)]) == 1
    (complaint,) = capsys.readouterr().err.splitlines()
    assert "mnist: error: step 0: the gradient of input in Mine of " in complaint
    assert "relu.py (layer 3) is not finite: " in complaint
