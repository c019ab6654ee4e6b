import json
import os

import pytest
import torch
from PIL import Image, ImageDraw

from experiments import mnist, predict
from manualgrad.data.photographs import read_digit
from manualgrad.training import launch, load_best
from tests.experiments.small_mnist import load_small_set, the_folder


@pytest.fixture(scope="module", autouse=True)
def small_set():
    """Stand in for MNIST: 500 images of ten noisy patterns."""
    with pytest.MonkeyPatch.context() as patch:
        for script in (mnist, predict):
            patch.setattr(script, "load_mnist", load_small_set)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train a network; return its run's folder."""
    runs = tmp_path_factory.mktemp("runs")
    mnist.main(mnist.Config(runs_dir=runs, epochs=2, log="none"))
    return the_folder(runs)


@pytest.fixture
def draw(tmp_path):
    """Draw a one."""

    def draw(name, top=20):
        image = Image.new("L", (100, 120), 230)
        ImageDraw.Draw(image).line([(50, top), (50, 100)], fill=30, width=9)
        image.save(tmp_path / name)
        return tmp_path / name

    return draw


@pytest.fixture
def ask(capsys, tmp_path):
    def ask(*argv, log="none"):
        arguments = [*map(str, argv), "--runs-dir", str(tmp_path / "answers"), "--log", log]
        status = launch(predict.main, predict.Config, arguments)
        out, err = capsys.readouterr()
        assert err.count("\n") <= 1
        return status, out, err

    return ask


def test_the_digits_and_their_probabilities(trained, draw, ask, tmp_path):
    picture = draw("one.png")
    model = mnist.build_model()
    load_best(trained, model)
    with torch.no_grad():
        probabilities = model(read_digit(picture)[0][None])[0].softmax(0)
    best = probabilities.argsort(descending=True)[:3].tolist()
    expected = [str(picture)]
    for digit in best:
        expected += [str(digit), f"{probabilities[digit]:.2%}"]
    for run in (trained, trained / "checkpoints" / "best.pt"):
        status, out, _ = ask(run, picture)
        assert status == 0
        (row,) = (line for line in out.splitlines() if f" {picture} " in line)
        assert row.split()[:7] == expected
        assert "unlike any digit" in row  # of the small set's patterns
    folder = sorted((tmp_path / "answers" / "predict").iterdir())[0]
    assert json.loads((folder / "metrics.json").read_text())["digits"] == {str(picture): best[0]}


def test_pictures_are_drawn_twelve_a_sheet(trained, draw, ask, monkeypatch, figures):
    monkeypatch.setattr(predict, "SHEET", 2)
    assert ask(trained, *(draw(f"{number}.png") for number in range(5)), log="full")[0] == 0
    assert figures.log == [("what the network saw", sheet) for sheet in (1, 2, 3)]
    assert figures["what the network saw"].axes[0].get_title() == "4.png"


def test_the_test_set_gives_the_run_s_own_figure(trained, ask, monkeypatch):
    own = json.loads((trained / "metrics.json").read_text())["test_accuracy"]
    status, out, _ = ask(trained, "--test-set")
    assert status == 0
    assert f"test accuracy {own:.4f}; the run's own: {own}" in out
    monkeypatch.setattr(predict, "read_own_accuracy", lambda run: 0.5)
    status, _, err = ask(trained, "--test-set")
    assert status == 1
    assert "says 0.5, not " in err


def test_every_picture_that_can_be_read_is_read(trained, draw, tmp_path, ask):
    (tmp_path / "empty.png").write_bytes(b"")
    picture, strange = draw("one.png"), draw(os.fsdecode(b"\xff.png"))
    status, out, err = ask(trained, tmp_path / "no.jpg", picture, tmp_path / "empty.png", strange)
    assert status == 1
    assert f" {picture} " in out
    assert "?.png" in out
    assert "no.jpg: there is no such picture; " in err
    assert "empty.png is neither a whole PNG nor a whole JPEG picture" in err


def test_what_is_no_run(trained, draw, tmp_path, ask):
    picture = draw("one.png")
    for run, complaint in (
        (tmp_path / "no", "No such file or directory"),
        (tmp_path, "No such file or directory"),
        (trained / "config.json", "cannot be used"),
    ):
        status, _, err = ask(run, picture)
        assert status == 1
        assert complaint in err
    assert "nothing to read" in ask(trained)[2]
    assert not (tmp_path / "answers").exists()
