"""Turn a photograph, scan or drawing of one digit into what MNIST's digits are.

A network knows the world as its training data showed it: MNIST's digits are white ink on black, 20 pixels in
their longer side, with their centre of mass in the middle of 28 x 28. So a picture goes through these steps:

1. Turn it as the camera noted, and shrink it to 256 pixels.
2. Fit the paper by a quadratic in x and y, because light falls unevenly; what differs from it, darker or
   lighter, is ink.
3. Drop specks: pieces of ink below a twentieth of the largest one.
4. Cut the digit out, and bring its strokes to a thickness that MNIST has.
5. Scale it into 20 x 20, and place it by its centre of mass.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor
from torch.nn.functional import max_pool2d

from manualgrad.errors import UserError

Array = np.ndarray

LONGEST = 256  # pixels of the picture's longer side after step 1, at most
BOX, FRAME = 20, 28  # MNIST's pixels for the digit and for the whole
FINE = 160  # pixels of the digit's longer side where strokes are measured
THICKNESS = (1.9, 3.0)  # of a stroke, in MNIST's pixels: most of its digits lie between
LEAST_CONTRAST = 0.08  # of ink on paper; 1 is from black to white


def read_digit(path: Path) -> tuple[Tensor, list[str]]:
    """Read one digit from a PNG or JPEG file, with paper around it; return also what is unusual about it.

    The digit is (28, 28) float32, where 0 is paper and 1 is ink. A file that is missing, no whole picture, or
    shows no digit, is a UserError.
    """
    contrast = _contrast(_open(path))
    noise = 4 * np.quantile(contrast, 0.2)  # ink covers less than half: these deviations are the paper's
    darkest = contrast[contrast > max(6 * noise, LEAST_CONTRAST)]
    if not len(darkest):
        raise UserError(f"{path} shows no digit; expected ink that differs from the paper around it")
    full = np.quantile(darkest, 0.9)
    pieces = _find_pieces(contrast > 0.4 * full)
    areas = np.bincount(pieces.ravel())[1:]
    large = np.flatnonzero(areas >= areas.max() / 20) + 1
    mask = np.isin(pieces, large)
    warnings = []
    if (areas >= areas.max() / 4).sum() > 1:
        warnings.append("several pieces of ink; expected one digit")
    if mask[[0, -1]].any() or mask[:, [0, -1]].any():
        warnings.append("ink touches the rim; expected paper all around the digit")
    around = np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.MaxFilter(5))) > 0
    ink = ((contrast - 2 * noise) / (0.9 * full - 2 * noise)).clip(0, 1) * around
    return _centre(_fit(_adjust_thickness(_fit(ink, FINE)), BOX)), warnings


def _open(path: Path) -> Array:
    """Read a picture, upright, small and opaque: (H, W, 3) from 0 to 1."""
    if not path.is_file():
        raise UserError(f"{path}: there is no such picture")
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            picture = ImageOps.exif_transpose(image)
            if picture.mode.startswith("I"):  # 16 bits, which convert would clip
                picture = Image.fromarray((np.asarray(picture) // 256).astype(np.uint8))
            picture = picture.convert("RGBA")
    except Exception:  # of many kinds, for the many things that a file can be
        raise UserError(f"{path} is neither a whole PNG nor a whole JPEG picture") from None
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
    colours, alpha = np.split(np.asarray(picture) / 255, [3], axis=-1)
    ink = colours[alpha[..., 0] > 0.5]
    # Behind a clear picture lies white paper, but black paper if all of its ink is light.
    paper = 0.0 if len(ink) and alpha.min() < 1 and ink.min() > 0.5 else 1.0
    return colours * alpha + paper * (1 - alpha)


def _contrast(picture: Array) -> Array:
    """Return how much each pixel differs from the paper around it: (H, W, C) -> (H, W)."""
    height, width, _ = picture.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    paper = np.maximum(abs(x), abs(y)) > 0.93  # the rim, then all that is near its surface
    for _ in range(8):
        coefficients = np.linalg.lstsq(terms[paper], picture[paper])[0]
        deviation = abs(picture - terms @ coefficients).max(axis=-1)
        paper = deviation < max(3 * np.quantile(deviation, 0.4), 3 / 255)
    return deviation


def _find_pieces(mask: Array) -> Array:
    """Label the connected pieces of a mask from 1 on: (H, W) bool -> (H, W) int64."""
    step = -(-max(mask.shape) // (LONGEST // 2))  # half as fine is enough, and closes small gaps
    coarse = max_pool2d(torch.tensor(mask)[None].float(), step, ceil_mode=True)
    # Each pixel begins with a number of its own, and takes the largest around it until a piece agrees.
    piece = torch.arange(1.0, coarse.numel() + 1).view_as(coarse) * coarse
    while not torch.equal(piece, spread := max_pool2d(piece, 3, 1, 1) * coarse):
        piece = spread
    _, numbers = np.unique(piece[0].numpy(), return_inverse=True)
    numbers += int(bool(coarse.all()))  # 0 is paper, also where there is none
    fine = numbers.reshape(coarse.shape[1:]).repeat(step, axis=0).repeat(step, axis=1)
    return fine[: mask.shape[0], : mask.shape[1]] * mask


def _fit(ink: Array, longest: int) -> Array:
    """Cut out the ink, and scale its longer side to this many pixels."""
    rows, columns = (np.flatnonzero((ink > 0.3 * ink.max()).any(axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(side * longest / max(ink.shape))) for side in ink.shape)
    image = Image.fromarray((ink / ink.max()).astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)).clip(0, 1)


def _adjust_thickness(ink: Array) -> Array:
    """Grow thin strokes and shrink thick ones to a thickness that MNIST has."""
    pixel = FINE / BOX
    image = Image.fromarray((np.pad(ink, round(2 * pixel)) * 255).astype(np.uint8))
    drawn = np.asarray(image) > 127
    left = np.asarray(image.filter(ImageFilter.MinFilter(3))) > 127
    # A stroke that is t pixels thick loses one on either side, 2 / t of its area.
    thickness = 2 * drawn.sum() / max(1, drawn.sum() - left.sum())
    grow = round((min(max(thickness, THICKNESS[0] * pixel), THICKNESS[1] * pixel) - thickness) / 2)
    kind = ImageFilter.MaxFilter if grow > 0 else ImageFilter.MinFilter
    changed = np.asarray(image.filter(kind(2 * abs(grow) + 1))) / 255
    return changed if (changed > 0.3).any() else ink


def _centre(ink: Array) -> Tensor:
    """Place ink by its centre of mass, as near to the middle as it fits: -> (28, 28)."""
    corner = []
    for axis, side in enumerate(ink.shape):
        mass = ink.sum(1 - axis) @ np.arange(side) / ink.sum()
        corner.append(min(max(round(FRAME / 2 - mass), 0), FRAME - side))
    frame = torch.zeros(FRAME, FRAME)
    frame[corner[0] : corner[0] + ink.shape[0], corner[1] : corner[1] + ink.shape[1]] = torch.tensor(ink)
    return frame
