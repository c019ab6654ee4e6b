import json
import os
import re
import subprocess
import sys

import pytest
import torch
from PIL import Image, ImageDraw
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments import mnist, predict
from manualgrad.data.mnist import MNIST
from manualgrad.data.photographs import read_digit
from manualgrad.training.checkpoint import load_model, read_checkpoint


@pytest.fixture(scope="module", autouse=True)
def small_set():
    """Stand in for MNIST: 500 images of ten noisy patterns."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.rand(10, 28, 28, generator=generator)

    def draw(count):
        labels = torch.randint(10, (count,), generator=generator)
        return (patterns[labels] + 0.6 * torch.rand(count, 28, 28, generator=generator)).clamp(0, 1), labels

    data = MNIST(*draw(500), *draw(100))
    with pytest.MonkeyPatch.context() as patch:
        for script in (mnist, predict):
            patch.setattr(script, "load_mnist", lambda data_dir, device: data)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run that was trained."""
    runs = tmp_path_factory.mktemp("runs")
    assert mnist.main(["--runs-dir", str(runs), "--epochs", "2", "--log", "scalars"]) == 0
    (folder,) = (runs / "mnist").iterdir()
    return folder


@pytest.fixture
def draw(tmp_path):
    """Draw a one."""

    def draw(name):
        image = Image.new("L", (100, 120), 230)
        ImageDraw.Draw(image).line([(50, 20), (50, 100)], fill=30, width=9)
        image.save(tmp_path / name)
        return tmp_path / name

    return draw


@pytest.fixture
def picture(draw):
    return draw("one.png")


@pytest.fixture
def ask(capsys, tmp_path):
    def ask(*argv):
        status = predict.main([*map(str, argv), "--runs-dir", str(tmp_path / "answers")])
        out, err = capsys.readouterr()
        assert err.count("\n") <= 1
        return status, out, err

    return ask


@pytest.fixture
def left_behind(tmp_path):
    """The folder of the only run of predict.py."""

    def left_behind():
        (folder,) = (tmp_path / "answers" / "predict").iterdir()
        return folder

    return left_behind


def images(folder):
    """How many pictures each tag of TensorBoard's Images tab has."""
    events = EventAccumulator(str(folder), size_guidance={"images": 0})
    events.Reload()
    return {tag: len(events.Images(tag)) for tag in events.Tags()["images"]}


def test_the_digits_and_their_probabilities(trained, picture, ask):
    path = trained / "checkpoints" / "best.pt"
    model = mnist.build_model()
    load_model(model, read_checkpoint(path, "best"), path)
    with torch.no_grad():
        probabilities = model(read_digit(picture)[0][None])[0].softmax(0)
    expected = [str(picture)]
    for digit in probabilities.argsort(descending=True)[:3].tolist():
        expected += [str(digit), f"{probabilities[digit]:.2%}"]
    for run in (trained, path):
        status, out, err = ask(run, picture)
        assert (status, err) == (0, "")
        (row,) = (line for line in out.splitlines() if str(picture) in line)
        assert row.split() == expected


def test_it_is_a_run_like_the_others(trained, picture, draw, ask, left_behind):
    status, out, _ = ask(trained, picture, draw("two.png"), "--seed", "3")
    assert status == 0
    folder = left_behind()
    assert re.fullmatch(r"\d{8}-\d{6}-images=2-seed3", folder.name)
    *_, where, how = out.splitlines()
    assert where == f"run folder: {folder}"
    assert how == f"look at it: tensorboard --logdir {folder}"
    settings = json.loads((folder / "config.json").read_text())["settings"]
    assert settings["run"] == str(trained)
    assert settings["images"] == [str(picture), str(picture.with_name("two.png"))]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["digits"].keys() == {str(picture), str(picture.with_name("two.png"))}
    for name, digit in metrics["digits"].items():
        assert re.search(f"{re.escape(name)} +{digit} ", out)
    assert metrics["seconds"] >= 0
    assert images(folder) == {"what the network saw": 1}
    assert (folder / "pictures" / "what-the-network-saw-1.png").is_file()


def test_many_pictures_are_drawn_on_several_sheets(trained, draw, ask, left_behind, monkeypatch):
    monkeypatch.setattr(predict, "SHEET", 2)
    assert ask(trained, *(draw(f"{number}.png") for number in range(5)))[0] == 0
    assert images(left_behind()) == {"what the network saw": 3}
    assert len(list((left_behind() / "pictures").iterdir())) == 3


def test_without_pictures_on_the_page(trained, picture, ask, left_behind):
    assert ask(trained, picture, "--log", "scalars")[0] == 0
    assert images(left_behind()) == {}
    assert not (left_behind() / "pictures").exists()


def test_the_test_set_gives_the_run_s_own_figure(trained, ask, left_behind):
    status, out, err = ask(trained, "--test-set")
    assert (status, err) == (0, "")
    own = json.loads((trained / "metrics.json").read_text())["test_accuracy"]
    assert f"test accuracy {own:.4f}" in out
    assert "the run's own figure" in out
    assert left_behind().name.endswith("-test-set-seed0")
    metrics = json.loads((left_behind() / "metrics.json").read_text())
    assert metrics.keys() == {"test_accuracy", "seconds"}
    assert metrics["test_accuracy"] == own


def test_a_test_accuracy_that_is_not_the_run_s(trained, ask):
    path = trained / "metrics.json"
    before = path.read_text()
    try:
        path.write_text(json.dumps({"test_accuracy": 0.5}))
        status, _, err = ask(trained, "--test-set")
        assert status == 1
        assert f"{path} says 0.5, not " in err
        path.write_text("[")
        assert "does not hold a run's figures" in ask(trained, "--test-set")[2]
        path.unlink()
        status, out, _ = ask(trained, "--test-set")
        assert status == 0
        assert "has not come to its test" in out
    finally:
        path.write_text(before)


def test_every_picture_that_can_be_read_is_read(trained, picture, draw, tmp_path, ask, left_behind):
    (tmp_path / "empty.png").write_bytes(b"")
    strange = draw(os.fsdecode(b"\xff.png"))
    wrong = (tmp_path / "no.jpg", tmp_path / "empty.png")
    status, out, err = ask(trained, wrong[0], picture, wrong[1], strange)
    assert status == 1
    assert out.count(f"{picture} ") == 1
    assert "?.png" in out
    assert "no.jpg: there is no such picture; " in err
    assert "empty.png is neither a whole PNG nor a whole JPEG picture" in err
    metrics = json.loads((left_behind() / "metrics.json").read_text())
    assert [*metrics["digits"]] == [str(picture), str(strange)]
    assert images(left_behind()) == {"what the network saw": 1}
    assert ask(trained, *wrong)[:2] == (1, "")
    assert left_behind()  # where nothing could be read there is no second run


def test_what_is_no_run(trained, picture, tmp_path, ask):
    for run, complaint in (
        (tmp_path / "no", "there is no such run"),
        (tmp_path, "is no run's folder"),
        (trained.parent, f"is no run's folder; take one of the 1 in it, such as {trained}"),
        (trained.parent.parent, f"is no run's folder; take one of the 1 in it, such as {trained}"),
        (trained / "checkpoints" / "last.pt", "it is of kind 'last'; expected 'best'"),
        (trained / "config.json", "cannot be used"),
    ):
        status, out, err = ask(run, picture)
        assert (status, out) == (1, "")
        assert complaint in err
    config = tmp_path / "config.json"
    for experiment, complaint in (
        ("mnist", "has no checkpoints/best.pt yet"),
        ("xor", "is of a run of 'xor', not of 'mnist'"),
    ):
        config.write_text(json.dumps({"experiment": experiment, "settings": {}}))
        assert complaint in ask(tmp_path, picture)[2]
    assert "nothing to read" in ask(trained)[2]
    assert not (tmp_path / "answers").exists()


def test_as_a_script_from_any_folder(trained, picture, tmp_path):
    command = [sys.executable, predict.__file__, trained, picture.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "one.png" in done.stdout
    assert len(list((tmp_path / "runs" / "predict").iterdir())) == 1
