import numpy as np
import pytest
from PIL import Image

from manualgrad.pictures.canvas import AMOUNT, INK, SIGNED, Canvas, paint, round_numbers, tile
from manualgrad.pictures.drawings import DRAWINGS
from manualgrad.pictures.exclusive_or import ANSWER

NUMBERS = np.random.default_rng(0)
TABLE = {"inputs": np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), "targets": np.array([0, 1, 1, 0.0])}
ROWS = [("net", [-0.12345e-9] * 2, [-0.5432e-9] * 2)]
CONTENTS = {
    "boundary": {
        "title": "Where?",
        "extent": (-0.5, 1.5),
        "answers": NUMBERS.random((7, 20, 20)),
        "epochs": [0, 1, 2, 3, 5000, 10000, 19999],
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
    "readings": {
        "title": "What is seen?",
        "names": ["seven.jpg", "a name that is too long for the place it has.jpeg", "nine.png"],
        "images": NUMBERS.random((3, 28, 28)),
        "probabilities": np.array([[0.0] * 7 + [1.0, 0, 0], [0.1] * 10, [0.75, 0.2496, 0.0004] + [0] * 7]),
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
        "columns": [
            [("x1", ROWS), ("x2", [("", [2.0], [12.0])]), ("b1", ROWS)],
            [("h1", [("net", [8.0], [1.0]), ("out", [8.5], [1.5])]), ("h2", ROWS), ("b2", ROWS)],
            [("o1", ROWS), ("o2", ROWS)],
            [("E", [("", [0.125], [1.0])])],
        ],
        "links": [
            *[(x, h, f"w{x}{h}", 0.25, -0.125) for x in ("x1", "x2") for h in ("h1", "h2")],
            *[(h, o, "w", -0.12345e-9, -0.5432e-9) for h in ("h1", "h2") for o in ("o1", "o2")],
            *[(b, unit, "", None, None) for b, unit in (("b1", "h1"), ("b2", "o1"), ("o1", "E"))],
        ],
        "gradient_of": "E",
    },
}
LABELS = {
    "boundary": {"first input", "second input", "target 0", "target 1", "h1", "h5", "10000"},
    "hidden path": {"0 1, target 1", "along the second direction"},
    "weights": {"weight: ink here excites (+) or inhibits (−)"},
    "mistakes": {"4 read as 9\n87.5% sure"},
    "readings": {
        "seven.jpg: 7",
        "99.99%",
        "…oo long for the place it has.jpeg: 0",
        "nine.png: 0",
        "24.96%",
    },
    "confusion": {"label", "read as", "mistakes (diagonal: read rightly)"},
    "pixel gradients": {"a test digit", "mean |∂L/∂pixel|\nof all such digits"},
    "network": {"wx1h2 0.25", "-0.125", "value", "gradient of E"},
}


def words(drawing):
    return [words for words, _ in DRAWINGS[drawing](**CONTENTS[drawing]).words]


def test_every_drawing_is_tested():
    assert CONTENTS.keys() | {"sprite"} == DRAWINGS.keys()


@pytest.mark.parametrize("drawing", CONTENTS)
def test_a_picture_has_its_title_and_says_what_is_what(drawing):
    assert {CONTENTS[drawing]["title"], *LABELS[drawing]} <= set(words(drawing))


@pytest.mark.parametrize(
    ("drawing", "other"),
    [
        *[(drawing, {}) for drawing in CONTENTS],
        *[("boundary", {"hidden": NUMBERS.normal(size=(units, 20, 20))}) for units in (1, 4, 9)],
        ("boundary", {"answers": NUMBERS.random((1, 20, 20)), "hidden": NUMBERS.random((2, 20, 20))}),
        ("hidden path", {"path": np.zeros((7, 4, 3))}),
    ],
)
def test_no_words_are_cut_off_or_lie_on_others(drawing, other):
    canvas = DRAWINGS[drawing](**CONTENTS[drawing] | other)
    width, height = canvas.size
    for number, (name, (left, top, right, bottom)) in enumerate(canvas.words):
        assert left >= 0, name
        assert top >= 0, name
        assert right <= width, name
        assert bottom <= height, name
        for beneath, (left2, top2, right2, bottom2) in canvas.words[:number]:
            apart = right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top
            assert apart, f"{name} lies on {beneath}"


def test_a_network_s_numbers_are_all_there():
    written = words("network")
    for number in ("2", "12", "8", "1", "8.5", "1.5"):
        assert number in written


def test_the_line_passes_where_the_answer_is_one_half(tmp_path):
    """An answer that is the first input: the line is vertical, in the middle of the plane's right part."""
    ramp = np.tile(np.linspace(-0.5, 1.5, 20), (20, 1))
    content = CONTENTS["boundary"] | {"answers": ramp[None], "epochs": [0], "hidden": ramp[None]}
    DRAWINGS["boundary"](**content).save(tmp_path / "boundary.png")
    pixels = np.asarray(Image.open(tmp_path / "boundary.png").convert("L"))
    row = pixels[100]  # above all points
    white = np.flatnonzero(row[75 : 65 + ANSWER] > 250) + 75  # inside the map, which begins at 70
    assert white.mean() == pytest.approx(70 + ANSWER / 2, abs=1)
    assert 1 <= len(white) <= 4
    middle = 70 + ANSWER // 2
    assert row[80] < row[middle - 20] < row[middle + 20] < row[60 + ANSWER]


def test_a_picture_of_few_colours_looks_as_one_of_any(tmp_path):
    ramps = np.concatenate([paint(np.linspace(0, 1, 256)[None], scale, 0, 1) for scale in (SIGNED, AMOUNT)])
    pictures = []
    for scales in (None, [SIGNED, AMOUNT]):
        canvas = Canvas(300, 100, "black on white", scales)
        canvas.image((10, 50, 266, 90), ramps)
        canvas.save(tmp_path / "ramps.png")
        pictures.append(np.asarray(Image.open(tmp_path / "ramps.png").convert("RGB")).astype(int))
    any_colours, few_colours = pictures
    assert abs(any_colours - few_colours).max() < 10
    for clear in (0, 255):
        assert (few_colours[(any_colours == clear).all(2)] == clear).all()


def test_one_hidden_unit_has_a_path_too():
    DRAWINGS["hidden path"](title="Where to?", path=NUMBERS.random((7, 4, 1)), epochs=range(7), **TABLE)


def test_a_path_that_does_not_move_says_so():
    path = NUMBERS.random((3, 4, 2))
    path[:, 0] = 0.5
    canvas = DRAWINGS["hidden path"](title="Where to?", path=path, epochs=range(3), **TABLE)
    legend = [words for words, _ in canvas.words if "target" in words]
    assert legend == ["0 0, target 0 (stays)", "0 1, target 1", "1 0, target 1", "1 1, target 0"]


def test_answer_and_hidden_units_have_a_scale_each():
    """Keras' network answers between 0 and 1, and its hidden units reach from -1 to 1."""
    hidden = NUMBERS.uniform(-1, 1, (4, 20, 20))
    canvas = DRAWINGS["boundary"](**CONTENTS["boundary"] | {"hidden": hidden})
    written = [words for words, _ in canvas.words]
    answer, unit = written.index("answer"), written.index("hidden unit")
    assert written[answer - 2 : answer] == ["0", "1"]
    assert written[unit - 2 : unit] == ["-1", "1"]


def test_no_mistakes_at_all():
    nothing = {"images": np.zeros((0, 28, 28)), "labels": [], "predictions": [], "confidences": []}
    DRAWINGS["mistakes"](title="None?", **nothing)
    DRAWINGS["confusion"](title="None?", counts=np.eye(10, dtype=int))


def test_a_sprite_is_pixel_for_pixel(tmp_path):
    images = np.zeros((3, 28, 28))
    images[2, 0, 0] = 1  # the third image is the first of the second row
    DRAWINGS["sprite"](images=images, columns=2).save(tmp_path / "sprite.png")
    ink = np.argwhere(np.asarray(Image.open(tmp_path / "sprite.png").convert("L")) < 128)
    assert ink.tolist() == [[28, 0]]


def test_colours():
    values = np.array([[-3.0, 0.0, 1.0, 9.0, np.nan]])
    assert paint(values, INK, 0, 1)[0].tolist() == [[255] * 3, [255] * 3, [0] * 3, [0] * 3, [255] * 3]
    for scale in (AMOUNT, SIGNED):
        ends = paint(np.array([[0.0, 1.0]]), scale, 0, 1)[0]
        assert [bytes(end.tolist()).hex() for end in ends] == [scale.split()[0], scale.split()[-1]]


def test_tiles_stand_side_by_side_with_a_pixel_between():
    sheet = tile(np.arange(3.0).repeat(4).reshape(3, 2, 2), columns=2)
    nothing = np.nan
    expected = [[0, 0, nothing, 1, 1]] * 2 + [[nothing] * 5] + [[2, 2, nothing, nothing, nothing]] * 2
    assert np.array_equal(sheet, np.array(expected), equal_nan=True)


@pytest.mark.parametrize(
    ("low", "high", "numbers"),
    [(-0.5, 1.5, [-0.5, 0, 0.5, 1, 1.5]), (0.1, 0.9, [0.2, 0.4, 0.6, 0.8]), (-30, 40, [-20, 0, 20, 40])],
)
def test_round_numbers(low, high, numbers):
    assert round_numbers(low, high) == pytest.approx(numbers)


def test_words_are_where_they_are_said_to_be(tmp_path):
    canvas = Canvas(200, 100)
    canvas.write(100, 40, "here\nand there")
    canvas.write_upwards(20, 50, "up")
    canvas.save(tmp_path / "words.png")
    ink = np.asarray(Image.open(tmp_path / "words.png").convert("L")) < 255
    assert ink.any()
    for _, (left, top, right, bottom) in canvas.words:
        ink[int(top) : int(bottom) + 1, int(left) : int(right) + 1] = False
    assert not ink.any()
