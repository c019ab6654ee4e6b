import numpy as np
import pytest
from matplotlib.text import Text

from manualgrad.pictures.drawings import DRAWINGS

NUMBERS = np.random.default_rng(0)
TABLE = {"inputs": np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), "targets": np.array([0, 1, 1, 0.0])}
CONTENTS = {
    "boundary": {
        "title": "Where?",
        "extent": (-0.5, 1.5),
        "output": NUMBERS.random((20, 20)),
        "hidden": NUMBERS.random((5, 20, 20)),
        **TABLE,
    },
    "hidden path": {"title": "Where to?", "path": NUMBERS.random((7, 4, 3)), "epochs": range(7), **TABLE},
    "weights": {"title": "What?", "weights": NUMBERS.normal(size=(64, 28, 28))},
    "mistakes": {
        "title": "Which?",
        "images": NUMBERS.random((8, 28, 28)),
        "labels": [4] * 8,
        "predictions": [9] * 8,
        "confidences": [0.875] * 8,
    },
    "confusion": {"title": "What for what?", "counts": NUMBERS.integers(0, 30, (10, 10))},
    "pixel gradients": {
        "title": "Which pixels?",
        "images": NUMBERS.random((10, 28, 28)),
        "gradients": NUMBERS.normal(size=(10, 28, 28)),
        "sizes": NUMBERS.random((10, 28, 28)),
    },
    "network": {
        "title": "How?",
        "columns": [[("x", [("", [2.0], [12.0])])], [("u", [("net", [8.0], [1.0]), ("out", [8.5], [1.5])])]],
        "links": [("x", "u", "w1", 0.25, -0.125)],
        "gradient_of": "E",
    },
}
LABELS = {
    "boundary": {"first input", "second input", "output", "target 0", "target 1", "h1", "h5"},
    "hidden path": {"0 1, target 1", "along the second direction"},
    "weights": {"weight: ink here excites (+), inhibits (−)"},
    "mistakes": {"4 read as 9\n87.5% sure"},
    "confusion": {"label", "read as", "mistakes (diagonal: read rightly)"},
    "pixel gradients": {"a test digit", "mean |∂L/∂pixel|\nof all such digits"},
    "network": {"w1 0.25", "-0.125", "value", "gradient of E"},
}


def words(figure):
    return {text.get_text() for text in figure.findobj(Text)}


def test_every_drawing_is_tested():
    assert CONTENTS.keys() | {"sprite"} == DRAWINGS.keys()


@pytest.mark.parametrize("drawing", CONTENTS)
def test_a_picture_has_its_title_and_says_what_is_what(drawing, tmp_path):
    figure = DRAWINGS[drawing](**CONTENTS[drawing])
    figure.savefig(tmp_path / "picture.png")
    assert {CONTENTS[drawing]["title"], *LABELS[drawing]} <= words(figure)


@pytest.mark.parametrize("drawing", CONTENTS)
def test_no_words_are_cut_off(drawing):
    figure = DRAWINGS[drawing](**CONTENTS[drawing])
    figure.canvas.draw()
    width, height = figure.bbox.size
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height


def test_a_network_s_numbers_are_all_there():
    text = "\n".join(words(DRAWINGS["network"](**CONTENTS["network"])))
    for number in ("2", "12", "8", "1", "8.5", "1.5"):
        assert f" {number} " in text or f" {number}\n" in f"{text}\n"


def test_no_mistakes_at_all():
    nothing = {"images": np.zeros((0, 28, 28)), "labels": [], "predictions": [], "confidences": []}
    DRAWINGS["mistakes"](title="None?", **nothing)
    DRAWINGS["confusion"](title="None?", counts=np.eye(10, dtype=int))


def test_a_sprite_is_pixel_for_pixel(tmp_path):
    from matplotlib.image import imread

    images = np.zeros((3, 28, 28))
    images[2, 0, 0] = 1  # the third image is the first of the second row
    DRAWINGS["sprite"](images=images, columns=2).savefig(tmp_path / "sprite.png")
    ink = np.argwhere(imread(tmp_path / "sprite.png")[..., 0] < 0.5)
    assert ink.tolist() == [[28, 0]]
