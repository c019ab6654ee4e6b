"""What all pictures are made of: colours that colour-blind readers can tell apart, words, marks and tiles.

Drawn with Pillow. Matplotlib would do, but its import alone takes a tenth of the time in which exclusive or
is learnt, and each picture several times as long.
"""

import math
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Array = np.ndarray[Any, np.dtype[Any]]
Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom

# Okabe and Ito's palette, which all common kinds of colour vision can tell apart.
VALUE = "#0072B2"  # blue: what goes forward
GRADIENT = "#D55E00"  # vermilion: what comes back
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")

# Scales of colours, from low to high: cividis; ColorBrewer's PuOr, in which positive and negative are told
# apart without red and green, and the orange half of it; ink on paper.
AMOUNT = "00224e 1a386f 434e6c 61656f 7d7c78 9b9476 bcae6c dec958 fee838"
SIGNED = "2d004b 532687 8073ac b1aad1 d8daeb f7f7f6 fee0b6 fcb761 e08214 b25706 7f3b08"
ORANGE = "fff1dc fee0b6 fcb761 e08214 b25706 7f3b08"
INK = "ffffff 000000"

FINE = 2  # drawn so many times as large, then reduced: that makes edges smooth


class Canvas:
    """A white sheet of so many pixels, which are counted from the top left corner.

    Parameters
    ----------
    width, height : int
        In pixels.
    title : str
        Centred at the top.
    scales : sequence of str, optional
        The only colours on it besides greys; None for any.

    Attributes
    ----------
    words : list of (str, Box)
        What is written on it, and where.
    """

    def __init__(self, width: int, height: int, title: str = "", scales: Sequence[str] | None = None) -> None:
        self.size = (width, height)
        self._palette = None if scales is None else _palette(scales)
        self.words: list[tuple[str, Box]] = []
        self._sheet = Image.new("RGB", (width * FINE, height * FINE), "white")
        self._pen = ImageDraw.Draw(self._sheet)
        if title:
            self.write(width / 2, 10, title, size=14, anchor="ma")

    def save(self, path: Path) -> None:
        """Write a PNG file."""
        sheet = self._sheet.reduce(FINE)
        if self._palette:  # a byte for each pixel: a third of the time, and of the file
            sheet = sheet.quantize(palette=self._palette, dither=Image.Dither.NONE)
        # The default level of compression, 6, takes twice as long.
        sheet.save(path, format="png", compress_level=2)

    def write(
        self,
        x: float,
        y: float,
        words: str,
        size: float = 12,
        colour: str = "black",
        anchor: str = "mm",
        plate: bool = False,
        bold: bool = False,
    ) -> None:
        """Write horizontally.

        Parameters
        ----------
        x, y : float
            Where the words' anchor is.
        words : str
            One line or several.
        size : float
            In pixels.
        colour : str
            By name or as ``"#rrggbb"``.
        anchor : str
            Horizontally ``l``, ``m`` or ``r``, then vertically ``a`` (top), ``m`` or ``d`` (bottom).
        plate : bool
            Clear what is behind them.
        bold : bool
            For what should catch the eye.
        """
        style: dict[str, Any] = {"font": _font(size * FINE, bold), "anchor": anchor, "align": "center"}
        at = (x * FINE, y * FINE)
        box = self._pen.multiline_textbbox(at, words, **style)
        if plate:
            left, top, right, bottom = box
            self._pen.rectangle((left - 4, top - 3, right + 4, bottom + 3), fill="white")
        self._pen.multiline_text(at, words, fill=colour, **style)
        left, top, right, bottom = (edge / FINE for edge in box)
        self.words.append((words, (left, top, right, bottom)))

    def write_upwards(self, x: float, y: float, words: str, size: float = 12) -> None:
        """Write along a vertical axis, with the middle of the words at a point."""
        font = _font(size * FINE)
        inked = font.getbbox(words)
        strip = Image.new("RGB", (round(inked[2] - inked[0]), round(inked[3] - inked[1])), "white")
        ImageDraw.Draw(strip).text((-inked[0], -inked[1]), words, fill="black", font=font)
        strip = strip.transpose(Image.Transpose.ROTATE_90)
        corner = round(x * FINE - strip.width / 2), round(y * FINE - strip.height / 2)
        self._sheet.paste(strip, corner)
        box = (*corner, corner[0] + strip.width, corner[1] + strip.height)
        left, top, right, bottom = (edge / FINE for edge in box)
        self.words.append((words, (left, top, right, bottom)))

    def line(self, points: Sequence[Point], colour: str = "black", width: float = 1) -> None:
        """Draw from point to point."""
        fine = [(x * FINE, y * FINE) for x, y in points]
        self._pen.line(fine, fill=colour, width=round(width * FINE), joint="curve")

    def box(self, box: Box, colour: str = "black", fill: str | None = None, radius: float = 0) -> None:
        """Draw a rectangle, with its corners rounded or not."""
        left, top, right, bottom = (edge * FINE for edge in box)
        self._pen.rounded_rectangle((left, top, right, bottom), radius * FINE, fill, colour, FINE)

    def mark(self, x: float, y: float, shape: str, size: float, fill: str, edge: str = "black") -> None:
        """Draw a ``"circle"`` or a ``"square"`` around a point."""
        draw = {"circle": self._pen.ellipse, "square": self._pen.rectangle}[shape]
        half = size / 2 * (1 if shape == "circle" else 0.886)  # of the same area
        box = ((x - half) * FINE, (y - half) * FINE, (x + half) * FINE, (y + half) * FINE)
        draw(box, fill=fill, outline=edge, width=round(FINE * max(1, size / 8)))

    def image(self, box: Box, colours: Array, smooth: bool = False) -> None:
        """Lay an image, (H, W, 3) from ``paint``, into a box: each pixel a square, or ``smooth``."""
        left, top, right, bottom = (round(edge * FINE) for edge in box)
        how = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
        self._sheet.paste(Image.fromarray(colours).resize((right - left, bottom - top), how), (left, top))

    def scale(self, x: float, y: float, scale: str, low: str, high: str, label: str) -> None:
        """Draw a scale of colours to the right of a point, with what its ends are and its label."""
        self.write(x, y, low, size=11, anchor="lm")
        x = self.words[-1][1][2] + 6
        colours = paint(np.linspace(0, 1, 100)[None], scale, 0, 1)
        self.image((x, y - 6, x + 110, y + 6), colours, smooth=True)
        self.write(x + 116, y, high, size=11, anchor="lm")
        self.write(self.words[-1][1][2] + 16, y, label, size=11, anchor="lm")


def paint(values: Array, scale: str, low: float, high: float) -> Array:
    """Give every number its colour.

    Parameters
    ----------
    values : Array
        (H, W). What is not a number stays white, what is out of the scale takes its end's colour.
    scale : str
        Of colours, in hexadecimal: ``AMOUNT``, ``SIGNED``, ``ORANGE`` or ``INK``.
    low, high : float
        The numbers at its ends.

    Returns
    -------
    Array
        (H, W, 3), bytes.
    """
    shades = (values - low) * (255 / (high - low))
    nothing = np.isnan(shades)
    shades[nothing] = 0
    colours = _colours(scale).take(shades.clip(0, 255).astype(np.uint8), axis=0)
    colours[nothing] = 255
    return colours


def tile(images: Array, columns: int) -> Array:
    """Put images side by side, with one pixel between: (N, H, W) -> one large image."""
    count, height, width = images.shape
    rows = max(1, -(-count // columns))
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan, dtype=np.float32)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top, left = row * (height + 1), column * (width + 1)
        sheet[top : top + height, left : left + width] = image
    return sheet


def round_numbers(low: float, high: float) -> list[float]:
    """Return three to eight multiples of 1, 2 or 5 times a power of ten between two numbers."""
    rough = (high - low) / 6
    power = 10 ** math.floor(math.log10(rough))
    step = next(step for step in (1, 2, 5, 10) if step * power >= rough) * power
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


@cache
def _colours(scale: str) -> Array:
    """Return 256 colours, (256, 3) bytes."""
    knots = np.array([list(bytes.fromhex(colour)) for colour in scale.split()])
    places = np.linspace(0, 255, len(knots))
    mixed = [np.interp(np.arange(256), places, knots[:, channel]) for channel in range(3)]
    return np.stack(mixed, axis=1).round().astype(np.uint8)


def _palette(scales: Sequence[str]) -> Image.Image:
    """Return 256 colours at most, as Pillow takes them: greys, and of each scale what there is room for."""
    # Pillow decides once for every 8 levels. Nothing may be closer to the middle of those at the ends than
    # black and white are.
    greys = np.array([0, *range(15, 256, 8)])[:, None].repeat(3, axis=1)
    shades = np.linspace(0, 255, (256 - len(greys)) // max(1, len(scales))).round().astype(int)
    colours = np.concatenate([greys, *(_colours(scale)[shades] for scale in scales)])
    nearly_white = (colours.min(axis=1) > 247) & (colours.min(axis=1) < 255)
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours[~nearly_white].astype(np.uint8).tobytes())
    return palette


@cache
def _font(size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which matplotlib brings: it has the letters of mathematics."""
    matplotlib = find_spec("matplotlib")  # finds it, and does not import it
    assert matplotlib is not None
    assert matplotlib.origin is not None
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    file = Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" / name
    return ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.BASIC)
