"""What a person sees who opens a run in TensorBoard: with a real server, in a real browser."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import torch

from experiments import mnist, xor
from manualgrad.data.mnist import MNIST

pytestmark = [
    pytest.mark.slow,
    # Playwright leaves its event loop to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

PATIENCE = 60_000  # milliseconds until something must have appeared


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    installed = shutil.which("chromium") or shutil.which("google-chrome")
    with playwright.sync_playwright() as session:
        if not installed and not Path(session.chromium.executable_path).exists():
            pytest.skip("no Chromium: install one with `playwright install chromium`")
        options = ["--no-sandbox", "--disable-gpu"]
        with session.chromium.launch(executable_path=installed, args=options) as browser:
            yield browser


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Three small runs: two of exclusive or, one of digits."""
    folder = tmp_path_factory.mktemp("runs")
    for preset in ("sigmoid", "tanh"):
        assert (
            xor.main(["--preset", preset, "--epochs", "400", "--seed", "1", "--runs-dir", str(folder)]) == 0
        )
    generator = torch.Generator().manual_seed(0)
    patterns = torch.rand(10, 28, 28, generator=generator)

    def draw(count):
        labels = torch.arange(count) % 10
        return (patterns[labels] + 1.5 * torch.rand(count, 28, 28, generator=generator)).clamp(0, 1), labels

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "load_mnist", lambda data_dir, device: MNIST(*draw(15_000), *draw(1000)))
        assert mnist.main(["--epochs", "5", "--runs-dir", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def address(runs):
    """Where a TensorBoard answers that shows all runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(runs), "--port", str(port)]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*command, "--host", "127.0.0.1"], env=environment, **silent) as server:
        address = f"http://127.0.0.1:{port}/"
        for _ in range(120):
            try:
                if len(urllib.request.urlopen(address + "data/runs", timeout=5).read()) > 10:  # not just []
                    break
            except OSError:
                pass
            time.sleep(0.5)
        yield address
        server.terminate()


@pytest.fixture
def open_tab(browser, address):
    """Open a tab of TensorBoard, each time as if for the first time."""
    pages = []

    def open_tab(name):
        pages.append(browser.new_page(viewport={"width": 1500, "height": 1100}))
        pages[-1].goto(f"{address}#{name}")
        return pages[-1]

    yield open_tab
    for page in pages:
        page.close()


def see(page, text, exact=True):
    """Wait until a text can be seen on the page; return the first such element."""
    found = page.get_by_text(text, exact=exact).filter(visible=True).first
    found.wait_for(timeout=PATIENCE)
    return found


def test_time_series(open_tab):
    page = open_tab("timeseries")
    see(page, "accuracy/training")
    see(page, "accuracy/validation")
    see(page, "activations/layer 1")


def test_custom_scalars_put_together_what_belongs_together(open_tab):
    page = open_tab("custom_scalars")
    for question in (
        "1 Does it learn?",
        "2 Do the gradients arrive in every layer?",
        "3 Do the units still learn?",
    ):
        see(page, question)
    for chart in (
        "loss, by epoch",
        "accuracy, by epoch",
        "gradient norm",
        "log10 of update : weight (about -3 is healthy)",
    ):
        see(page, chart)
    curves = page.locator("vz-line-chart2").locator("visible=true").first.locator("path")
    curves.first.wait_for(timeout=PATIENCE, state="attached")
    assert curves.count() > 1


def test_images_are_pictures_with_their_names(open_tab):
    page = open_tab("images")
    for tag in ("boundary", "confusion", "first layer"):
        see(page, tag)
    picture = page.locator("tf-image-loader img").locator("visible=true").first
    picture.wait_for(timeout=PATIENCE)
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 600


def test_the_graph_names_functions_and_its_cards_say_where_they_are_written(open_tab):
    page = open_tab("graphs")
    for name in ("4_weight", "3_ReLU", "4_Linear"):
        node = page.locator("svg text").filter(has_text=name).filter(visible=True).first
        node.wait_for(timeout=PATIENCE)
    node.click()
    see(page, "by hand, in manualgrad.functions.linear", exact=False)


@pytest.mark.parametrize("name", ["distributions", "histograms"])
def test_distributions(name, open_tab):
    page = open_tab(name)
    see(page, "activations/layer 1")
    see(page, "gradients/layer 1")
    chart = {"distributions": "vz-distribution-chart", "histograms": "vz-histogram-timeseries"}[name]
    drawn = page.locator(f"{chart} path").locator("visible=true")
    drawn.first.wait_for(timeout=PATIENCE)
    assert drawn.count() > 3


def test_text_tells_the_lesson_and_the_settings(open_tab):
    page = open_tab("text")
    see(page, "Can a network whose every gradient was derived by hand read handwritten digits?")
    see(page, "learning-rate")
    see(page, "Linear: the affine map", exact=False)
    assert page.get_by_role("heading", name="Backward", exact=True).first.is_visible()


def test_precision_and_recall_of_each_digit(open_tab):
    page = open_tab("pr_curves")
    see(page, "digit 0")
    see(page, "digit 1")
    curve = page.locator("tf-pr-curve-card path").locator("visible=true").first
    curve.wait_for(timeout=PATIENCE)


def test_projector_shows_a_thousand_digits(open_tab):
    page = open_tab("projector")
    frame = page.frame_locator("iframe").frame_locator("iframe")  # the projector brings a page of its own
    see(frame, "Points:", exact=False)
    for name, number in (("numDataPoints", "1000"), ("dim", "128")):
        frame.locator(f".{name}").filter(has_text=number).wait_for(timeout=PATIENCE)


def test_hyper_parameters_of_all_runs_side_by_side(open_tab):
    page = open_tab("hparams")
    for text in ("epochs", "preset", "tanh", "sigmoid", "batch-size", "accuracy/test", "accuracy/training"):
        see(page, text)
