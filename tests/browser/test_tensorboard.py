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

from experiments import mnist, xor
from manualgrad.training.charts import CHARTS, QUESTIONS
from tests.experiments.small_mnist import load_small_set

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
    """Make two small runs of XOR and one of MNIST; return their folder."""
    folder = tmp_path_factory.mktemp("runs")
    for preset in ("sigmoid", "tanh"):
        xor.main(xor.Config(preset=preset, epochs=400, seed=1, runs_dir=folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "load_mnist", load_small_set)
        mnist.main(mnist.Config(epochs=40, runs_dir=folder))
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


def test_custom_scalars_ask_questions_and_each_chart_has_a_line(open_tab):
    page = open_tab("custom_scalars&_smoothingWeight=0")
    page.set_viewport_size({"width": 1500, "height": 3000})  # a chart is drawn once it can be seen
    for question in QUESTIONS:
        see(page, question)
    charts = page.locator("tf-custom-scalar-multi-line-chart-card")
    assert charts.count() == sum(map(len, CHARTS.values()))
    for chart in charts.all():
        line = chart.locator("path.line[d*=L]").first  # from one point to another
        line.wait_for(timeout=PATIENCE, state="attached")


def test_images_are_pictures_with_their_names_and_a_slider(open_tab):
    page = open_tab("images")
    for tag in ("boundary", "first layer"):
        see(page, tag)
    picture = page.locator("tf-image-loader img").locator("visible=true").first
    picture.wait_for(timeout=PATIENCE)
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 450
    slider = page.locator("tf-image-loader paper-slider").first
    assert slider.evaluate("slider => slider.max") == 5  # six times


def test_the_graph_opens_layer_by_layer_and_a_click_lists_a_gradient(open_tab):
    page = open_tab("graphs")

    def box(name):
        found = page.locator("svg text").filter(has_text=name).filter(visible=True).first
        found.wait_for(timeout=PATIENCE)
        return found

    box("layer 1 Linear")
    page.wait_for_timeout(2000)  # the graph has come to rest
    box("layer 1 Linear").dblclick(force=True)
    for _ in range(20):  # until the boxes have moved apart
        box("weight").click(force=True)  # the box behind its name
        page.wait_for_timeout(1000)
        if page.get_by_text("512×784", exact=True).filter(visible=True).count():
            break
    see(page, "512×784")


@pytest.mark.parametrize("name", ["distributions", "histograms"])
def test_distributions(name, open_tab):
    page = open_tab(name)
    see(page, "activations/layer 1 Linear")
    chart = {"distributions": "vz-distribution-chart", "histograms": "vz-histogram-timeseries"}[name]
    drawn = page.locator(f"{chart} path").locator("visible=true")
    drawn.first.wait_for(timeout=PATIENCE)
    assert drawn.count() > 3


def test_text_answers_the_questions(open_tab):
    page = open_tab("text")
    see(page, "5 Are the hand-written gradients right?")
    see(page, "yes: they differ from numeric ones by at most", exact=False)


def test_hyper_parameters_of_all_runs_side_by_side(open_tab):
    page = open_tab("hparams")
    for text in ("epochs", "preset", "tanh", "sigmoid", "batch_size"):
        see(page, text)
