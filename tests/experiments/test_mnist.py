"""The loops of mnist.py and mnist_by_hand.py, on 500 small images: what a run leaves, and what it tells."""

import json
import re
from statistics import median

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim.optimizer import register_optimizer_step_post_hook

from experiments import mnist, mnist_by_hand
from experiments.mnist import Config
from manualgrad.data.mnist import MNIST, load_mnist
from manualgrad.errors import UserError
from manualgrad.training import launch
from tests.experiments.small_mnist import load_exact_set, load_small_set, the_folder

SCRIPTS = {"mnist": mnist, "mnist_by_hand": mnist_by_hand}
both = pytest.mark.parametrize("name", SCRIPTS)


@pytest.fixture(scope="module", autouse=True)
def small_set():
    """Stand in for MNIST."""
    with pytest.MonkeyPatch.context() as patch:
        for script in SCRIPTS.values():
            patch.setattr(script, "load_mnist", load_small_set)
        yield


def train(runs_dir, name="mnist", **settings):
    config = Config(**{"runs_dir": runs_dir, "epochs": 2, "log": "scalars"} | settings)
    metrics = SCRIPTS[name].main(config)
    del metrics["seconds"]
    return metrics, the_folder(runs_dir, name)


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return events


def curve(folder, tag):
    return [(point.step, point.value) for point in read(folder).Scalars(tag)]


@both
def test_a_run_learns_and_leaves_its_figures(tmp_path, capsys, name):
    metrics, folder = train(tmp_path, name)
    assert metrics["test_accuracy"] > 0.8
    written = json.loads((folder / "metrics.json").read_text())
    assert metrics == {key: value for key, value in written.items() if key != "seconds"}
    assert {"test_loss", "validation_accuracy", "training_loss", "best_epoch"} < metrics.keys()
    for tag in ("loss", "accuracy"):
        for part in ("training", "validation"):
            assert [step for step, _ in curve(folder / part, tag)] == [4, 8]
    assert curve(folder / "training", "loss")[-1][1] == pytest.approx(metrics["training_loss"])
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"run folder: {folder}"
    assert out[2].strip() == "http://localhost:6006/#custom_scalars&_smoothingWeight=0"
    assert out[-2] == f"look at it: tensorboard --logdir {tmp_path}/{name}"
    answers = [line for line in out if re.match(r"\d ", line)]
    assert len(answers) == 5
    assert all("? yes: " in line for line in answers)
    assert f"test accuracy {metrics['test_accuracy']:.4f}, with the weights after epoch 2" in out


def test_same_seed_same_figures(tmp_path):
    runs = [train(tmp_path / name, seed=seed)[0] for name, seed in (("a", 3), ("b", 3), ("c", 4))]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@both
def test_dry_run_is_two_batches(tmp_path, name):
    steps = []
    handle = register_optimizer_step_post_hook(lambda *_: steps.append(1))
    try:
        _, folder = train(tmp_path, name, dry_run=True)
    finally:
        handle.remove()
    assert len(steps) == 2
    with pytest.raises(UserError, match="is finished"):
        train(tmp_path, name, dry_run=True, resume=folder)


def test_accuracy_that_is_required(tmp_path):
    train(tmp_path / "low", require_accuracy=0.5)
    with pytest.raises(UserError, match="below the required"):
        train(tmp_path / "high", require_accuracy=1.0, dry_run=True)


def test_what_is_logged_changes_no_figure_and_full_has_it_all(tmp_path):
    runs = {level: train(tmp_path / level, log=level) for level in ("none", "scalars", "full")}
    assert runs["none"][0] == runs["scalars"][0] == runs["full"][0]
    assert not list(runs["none"][1].glob("**/events*"))
    assert {path.name for path in runs["full"][1].iterdir() if path.is_dir()} == {
        "checkpoints", "training", "validation", "test",
        *(f"layer {number} Linear" for number in range(1, 5))
    }  # fmt: skip
    tags = read(runs["full"][1]).Tags()
    assert {"gradients/layer 4 Linear", "weights/layer 1 Linear", "activations/layer 2 Linear"} <= set(
        tags["histograms"]
    )
    assert tags["graph"]
    texts = {tag.removesuffix("/text_summary") for tag in tags["tensors"]}
    assert {"about/lesson", "about/settings", "about/charts", "about/answers", "lessons/ReLU"} <= texts
    assert set(tags["images"]) == {
        "first layer", "test/pixel gradients", "test/confusion matrix", "test/worst mistakes"
    }  # fmt: skip
    assert set(read(runs["full"][1] / "layer 3 Linear").Tags()["scalars"]) == {
        "log10 of gradient norm", "weight norm", "log10 of update to weight", "stuck units"
    }  # fmt: skip


def test_by_hand_it_is_the_same_training(tmp_path, monkeypatch):
    for script in SCRIPTS.values():
        monkeypatch.setattr(script, "load_mnist", load_exact_set)
    build_model = mnist.build_model
    monkeypatch.setattr(mnist, "build_model", lambda: build_model().double())
    figures = [train(tmp_path, name, epochs=5)[0] for name in SCRIPTS]
    assert figures[0] == pytest.approx(figures[1], rel=1e-9)


@both
def test_numbers_that_go_wrong_stop_the_run_before_the_weights(tmp_path, capsys, name):
    argv = ["--learning-rate", "1e37", "--runs-dir", str(tmp_path), "--log", "scalars"]
    assert launch(SCRIPTS[name].main, Config, argv) == 1
    line, advice = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{name}: error: step 2: the output of module 1, Linear(")
    assert line.endswith("The weights are those from before this step")
    assert advice == "a smaller --learning-rate, in a new run, often helps"
    last = torch.load(the_folder(tmp_path, name) / "checkpoints" / "last.pt")
    assert all(weight.isfinite().all() for weight in last["model"].values())


# ---- six runs that go wrong, and what they say of themselves

GUESS, ARRIVE, STUCK, SIZE, RIGHT = range(1, 6)  # the questions


def rebuild(change):
    """Return what builds the network with other weights or layers."""
    build_model = mnist.build_model

    def build():
        model = build_model()
        return change(model) or model

    return build


@torch.no_grad()
def zero(model):
    for parameter in model.parameters():
        parameter.zero_()


@torch.no_grad()
def bury(model):
    model[1].bias.fill_(-100.0)  # no image lifts a unit of the first layer above 0


def deepen(model):
    nn = mnist.nn
    layers = [nn.Flatten(), nn.Linear(784, 30), nn.Sigmoid()]
    for _ in range(9):
        layers += [nn.Linear(30, 30), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(30, 10))


def draw_lots(data_dir=None, device="cpu"):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(600, 28, 28, generator=generator)
    labels = torch.randint(10, (600,), generator=generator)
    return MNIST(images[:500], labels[:500], images[500:], labels[500:])


def forget_the_mask(ctx, grad_output):
    return grad_output


WRONG = {  # settings, what is planted, and the questions whose answer is no, with a word of it
    "too large a rate": ({"learning_rate": 3.0}, {}, {GUESS: "guessing", STUCK: "are 0", SIZE: "a tenth"}),
    "zero weights": ({}, {"build_model": zero}, {GUESS: "guessing", ARRIVE: "is 0", STUCK: "at random"}),
    "sigmoid ten layers deep": ({"epochs": 5}, {"build_model": deepen}, {GUESS: "guess", ARRIVE: "vanishes"}),
    "dead ReLUs": ({}, {"build_model": bury}, {GUESS: "guessing", ARRIVE: "is 0", STUCK: "1.00 of layer 1"}),
    "shuffled labels": ({"epochs": 15}, {"load_mnist": draw_lots}, {GUESS: "do the labels belong"}),
    "a wrong backward": ({}, {"backward": forget_the_mask}, {RIGHT: "gradcheck"}),
}


@pytest.mark.parametrize(("settings", "planted", "noes"), WRONG.values(), ids=WRONG)
def test_a_run_that_goes_wrong_says_so(tmp_path, monkeypatch, capsys, settings, planted, noes):
    if "build_model" in planted:
        monkeypatch.setattr(mnist, "build_model", rebuild(planted["build_model"]))
    if "load_mnist" in planted:
        monkeypatch.setattr(mnist, "load_mnist", planted["load_mnist"])
    if "backward" in planted:
        monkeypatch.setattr("manualgrad.functions.ReLU.backward", staticmethod(planted["backward"]))
    train(tmp_path, **settings)
    unwrapped = capsys.readouterr().out.replace("\n  ", " ")
    answers = re.findall(r"^(\d) .*?\? (.*)$", unwrapped, re.MULTILINE)
    said = {int(number): text for number, text in answers if text.startswith("no: ")}
    assert set(noes) <= set(said), answers
    for number, word in noes.items():
        assert word in said[number]
    if RIGHT not in noes:
        assert RIGHT not in said


def test_a_run_that_overfits_says_so_and_one_that_does_not_does_not(tmp_path, monkeypatch, capsys):
    def load_with_some_wrong_labels(data_dir, device):
        data = load_small_set()
        data.train_labels[:400:3] = data.train_labels[:400:3].flip(0)  # of those that it trains on
        return data

    train(tmp_path / "well", epochs=8)
    assert "it overfits" not in capsys.readouterr().out
    monkeypatch.setattr(mnist, "load_mnist", load_with_some_wrong_labels)
    train(tmp_path / "by heart", epochs=20)
    assert "; it overfits after epoch" in capsys.readouterr().out.replace("\n  ", " ")


@pytest.mark.slow
def test_three_seeds_of_mnist_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "load_mnist", load_mnist)
    runs = [train(tmp_path / str(seed), "mnist", seed=seed, epochs=10, log="none")[0] for seed in range(3)]
    assert median(run["test_accuracy"] for run in runs) >= 0.976
