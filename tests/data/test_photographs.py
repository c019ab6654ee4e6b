import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from manualgrad.data.photographs import read_digit
from manualgrad.errors import UserError

# ---- pictures of a digit, from its ink: (H, W) from 0 to 1


def encoded(values, form="PNG", **options):
    """A picture's file, from values between 0 and 1."""
    file = io.BytesIO()
    Image.fromarray((np.clip(values, 0, 1) * 255).round().astype(np.uint8)).save(file, form, **options)
    return file.getvalue()


def placed(ink, height, width, top, left):
    picture = np.zeros((height, width))
    picture[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return picture


def smaller(ink, side):
    image = Image.fromarray((ink * 255).astype(np.uint8)).resize((side, side), Image.Resampling.BOX)
    return np.asarray(image) / 255


def filtered(ink, kind, size):
    """Grow or shrink the strokes, drawn without grey."""
    image = Image.fromarray(((placed(ink, 360, 360, 40, 40) > 0.5) * 255).astype(np.uint8))
    return np.asarray(image.filter(kind(size))) / 255


def grain(shape, strength=0.03):
    return np.random.default_rng(0).normal(0, strength, shape)


def lamp(height, width):
    """Light that falls from one side and from above."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return 0.95 - 0.25 * x - 0.2 * y


def coloured(ink, paper, pen):
    """Ink of one colour on paper of another."""
    return np.array(paper) * (1 - ink[..., None]) + np.array(pen) * ink[..., None]


def photograph(ink):
    page = placed(ink, 600, 800, 150, 300)
    return encoded(lamp(600, 800) * (1 - 0.75 * page) + grain(page.shape), "JPEG", quality=70)


def far_away(ink):
    page = placed(smaller(ink, 84), 600, 800, 400, 90)
    return encoded(lamp(600, 800) * (1 - 0.75 * page) + grain(page.shape), "JPEG", quality=70)


def turned_by_the_camera(ink):
    image = Image.fromarray(((1 - ink) * 255).astype(np.uint8)).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned clockwise
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    return file.getvalue()


def sixteen_bits(ink):
    file = io.BytesIO()
    Image.fromarray((65535 * (0.9 - 0.6 * ink)).astype(np.uint16)).save(file, "PNG")
    return file.getvalue()


PICTURES = {
    "as MNIST has it": lambda ink: encoded(smaller(ink, 28)),
    "photograph": photograph,
    "turned by the camera": turned_by_the_camera,
    "chalk": lambda ink: encoded(
        coloured(ink, (0.1, 0.35, 0.2), (0.9, 0.9, 0.9)) + grain((*ink.shape, 3)), "JPEG"
    ),
    "16 bits": sixteen_bits,
    "black and clear": lambda ink: encoded(np.dstack([0 * ink, 0 * ink, 0 * ink, ink])),
    "thick pen": lambda ink: encoded(1 - filtered(ink, ImageFilter.MaxFilter, 13)),
}


@pytest.fixture
def read(tmp_path):
    def read(content):
        path = tmp_path / "picture"
        path.write_bytes(content)
        return read_digit(path)[0]

    return read


@pytest.fixture(scope="module")
def drawn():
    """The ink of a 4, of 280 x 280 pixels, as MNIST's digits have it: 200 high and 25 thick."""
    image = Image.new("L", (560, 560))
    draw = ImageDraw.Draw(image)
    draw.line([(200, 100), (140, 320), (400, 320)], fill=255, width=50, joint="curve")
    draw.line([(330, 180), (330, 460)], fill=255, width=50)
    return np.asarray(image.resize((280, 280), Image.Resampling.BOX)) / 255


@pytest.mark.parametrize("kind", PICTURES)
def test_every_picture_of_a_digit_becomes_the_same(kind, drawn, read):
    digit, plain = read(PICTURES[kind](drawn)), read(encoded(drawn))
    assert digit.shape == (28, 28)
    assert digit.dtype == torch.float32
    assert 0 <= digit.min() <= digit.max() <= 1
    # The middle is rounded to a pixel, so the two may lie one apart.
    shifted = [digit.roll((down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    likeness = torch.corrcoef(torch.stack([plain, *shifted]).flatten(1))[0, 1:].max()
    assert likeness > (0.9 if kind == "thick pen" else 0.95)


def test_the_digit_fills_mnist_s_box_and_its_mass_is_in_the_middle(drawn, read):
    digit = read(far_away(drawn))
    rows, columns = ((digit > 0.1).any(dim).sum().item() for dim in (1, 0))
    assert 19 <= max(rows, columns) <= 20
    places = torch.arange(28.0)
    for dim in (0, 1):
        assert (digit.sum(dim) @ places / digit.sum()).item() == pytest.approx(14, abs=0.51)


def complaint(read, content):
    with pytest.raises(UserError) as caught:
        read(content)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "blank",
    [
        encoded(np.ones((100, 100))),
        encoded(np.zeros((100, 100, 4))),  # nothing but transparent
        encoded(lamp(300, 400) + grain((300, 400)), "JPEG"),
    ],
)
def test_a_blank_picture(read, blank):
    assert "shows no digit" in complaint(read, blank)


def test_what_is_no_picture(read, tmp_path, drawn):
    whole = encoded(1 - drawn, "JPEG")
    for cut_off in (b"", whole[: len(whole) // 2]):
        assert "neither a whole PNG nor a whole JPEG" in complaint(read, cut_off)
    assert "neither a whole PNG nor a whole JPEG" in complaint(read, encoded(drawn, "BMP"))
    for folder in (tmp_path, tmp_path / "nowhere.png"):
        with pytest.raises(UserError, match="no such picture"):
            read_digit(folder)


# ---- what is unusual


def test_two_digits_beside_each_other(drawn, tmp_path):
    assert warnings_of(tmp_path, drawn) == []
    assert warnings_of(tmp_path, np.hstack([drawn, drawn])) == ["several pieces of ink; expected one digit"]


def test_a_digit_that_is_cut_off(drawn, tmp_path):
    (warning,) = warnings_of(tmp_path, drawn[:, 75:])
    assert warning == "ink touches the rim; expected paper all around the digit"


def warnings_of(folder, ink):
    (folder / "picture").write_bytes(encoded(1 - ink))
    return read_digit(folder / "picture")[1]
