import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from manualgrad.training.page import KEPT, Page

COUNTS = {"title": "Which?", "counts": np.arange(100).reshape(10, 10)}


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "histograms": 0})
    events.Reload()
    return events


@pytest.fixture
def page(tmp_path):
    page = Page(tmp_path, "standard")
    yield page
    page.close()


def test_scalars_of_one_step_are_one_event(page, tmp_path):
    page.scalars(3, {"a": 1.5, "with spaces/layer 1": -2.0})
    events = read(tmp_path)
    assert [(point.step, point.value) for point in events.Scalars("a")] == [(3, 1.5)]
    assert events.Scalars("with spaces/layer 1")[0].value == -2.0


def test_a_histogram_counts_every_finite_number(page, tmp_path):
    page.histogram("weights", torch.tensor([[0.0, 1.0, 2.0], [3.0, torch.nan, torch.inf]]), 5)
    (histogram,) = read(tmp_path).Histograms("weights")
    numbers = histogram.histogram_value
    assert (histogram.step, numbers.num, numbers.min, numbers.max, numbers.sum) == (5, 4, 0, 3, 6)
    assert sum(numbers.bucket) == 4


@pytest.mark.parametrize("values", [[], [torch.nan, torch.inf]])
def test_a_histogram_of_nothing_finite_is_left_out(values, page, tmp_path):
    page.histogram("weights", torch.tensor(values), 0)
    assert read(tmp_path).Tags()["histograms"] == []


def test_a_picture_is_a_file_and_the_same_bytes_on_the_page(page, tmp_path):
    page.picture("which digits", 7, "confusion", **COUNTS)
    file = tmp_path / "pictures" / "which-digits-7.png"
    (image,) = read(tmp_path).Images("which digits")
    assert image.encoded_image_string == file.read_bytes()
    assert (image.step, image.width, image.height) == (7, 600, 635)
    assert not list(tmp_path.rglob("*.part"))


def test_a_picture_that_fails_is_told_and_the_others_are_drawn(page, tmp_path, capsys):
    page.picture("bad", 0, "confusion", title="no counts")
    page.picture("good", 0, "confusion", **COUNTS)
    assert "bad-0.png could not be drawn: Traceback" in capsys.readouterr().err
    assert (tmp_path / "pictures" / "good-0.png").exists()


def test_the_command_raises_the_limits_that_this_page_needs(page, tmp_path):
    assert page.command() == f"tensorboard --logdir {tmp_path}"
    for step in range(KEPT["scalars"]):
        page.scalars(step, {"just enough": 0.0})
    assert page.command() == f"tensorboard --logdir {tmp_path}"
    for step in range(KEPT["histograms"] + 1):
        page.scalars(step, {"just enough": 0.0})
        page.histogram("many", torch.zeros(1), step)
    assert (
        page.command() == f"tensorboard --logdir {tmp_path} --samples_per_plugin scalars=1501,histograms=501"
    )


def test_hyper_parameters_are_in_the_run_s_own_file(page, tmp_path):
    page.hyper_parameters({"learning_rate": 0.1, "preset": "tanh"})
    assert len(list(tmp_path.glob("events*"))) == 1
    events = read(tmp_path)
    described = {tag for tag in events.summary_metadata if tag.startswith("_hparams_")}
    # Not the list of columns: TensorBoard would use one run's for all of them.
    assert described == {"_hparams_/session_start_info", "_hparams_/session_end_info"}


def test_the_projector_s_files(page, tmp_path):
    points = torch.tensor([[0.5, -1.0], [0.25, 2.0], [0.0, 1e-9]])
    page.embedding(points, ["label", "one", "two", "three"], torch.rand(3, 28, 28))
    rows = (tmp_path / "embedding.tsv").read_text().splitlines()
    assert rows == ["0.5\t-1.0", "0.25\t2.0", "0.0\t0.0"]
    assert (tmp_path / "labels.tsv").read_text() == "label\none\ntwo\nthree\n"
    assert (tmp_path / "sprite.png").read_bytes()[16:24] == b"\0\0\0\x38" * 2  # 2 × 2 images of 28 × 28
    assert "sprite.png" in (tmp_path / "projector_config.pbtxt").read_text()


@pytest.mark.parametrize(
    ("level", "kinds"),
    [
        ("none", set()),
        ("scalars", {"scalars", "tensors"}),
        ("standard", {"scalars", "tensors", "histograms", "distributions", "images"}),
        ("everything", {"scalars", "tensors", "histograms", "distributions", "images"}),
    ],
)
def test_levels(level, kinds, tmp_path):
    page = Page(tmp_path, level)
    page.scalars(0, {"a": 1.0})
    page.text("lesson", "words")
    page.histogram("weights", torch.ones(3), 0)
    page.picture("which", 0, "confusion", **COUNTS)
    page.close()
    assert {kind for kind, tags in read(tmp_path).Tags().items() if tags} == kinds
    assert (tmp_path / "pictures").exists() == ("images" in kinds)


def test_a_killed_run_leaves_all_that_it_had_shown(tmp_path):
    script = """
        import os, signal, sys
        from pathlib import Path
        from manualgrad.training.page import Page
        page = Page(Path(sys.argv[1]), "standard")
        page.text("lesson", "words")
        for step in range(60):
            page.scalars(step, {"loss": 1 / (step + 1)})
        os.kill(os.getpid(), signal.SIGKILL)
    """
    status = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]).returncode
    assert status == -signal.SIGKILL
    events = read(tmp_path)
    assert len(events.Scalars("loss")) == 60
    assert "lesson/text_summary" in events.Tags()["tensors"]
