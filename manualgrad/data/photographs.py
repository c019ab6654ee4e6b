"""A digit on a photograph, a scan or a drawing, made into what MNIST's digits are.

A network knows the world only as its training data showed it. MNIST's digits are white ink on black, a fifth
of their box wide in no stroke, exactly 20 pixels in their longer side, with their centre of mass in the
middle of 28 x 28. To a network that has seen nothing else, black ink on white paper is noise, and a small
digit in a corner is a speck. So the picture must be brought to the network, in the steps of those who made
MNIST, and before them some that a photograph needs:

1. Upright and small: turned as the camera noted it, and 256 pixels at most; averaging also removes noise.
2. Paper becomes 0. Light falls unevenly, so paper is no single colour but a smooth surface; we take a
   polynomial of second degree in x and y, for each colour. It is fitted to the picture's rim by least
   absolute deviations, which a pen that touches the rim does not draw away as it would a mean; then to
   everything that is near the surface, and again, and again.
3. Ink is what differs from it, darker or lighter, in whichever colour differs most: so chalk on a board,
   blue ink, or a yellow pen that is hardly darker than paper all become 1.
4. Specks are dropped: parts whose area is below a twentieth of the largest part's. The bar of a 5 is above.
5. The digit is cut out and scaled, and strokes that are thinner or thicker than MNIST's are given a
   thickness it knows. A ballpoint's line would all but disappear in 20 pixels.
6. Scaled into 20 x 20, and placed by its centre of mass.

What comes from MNIST itself goes through this nearly unchanged. A picture shows one digit, and a little paper
on every side.
"""

import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from manualgrad.errors import UserError

LONGEST, SMALLEST = 256, 8  # pixels of the picture's longer side after step 1, at most, and of its shorter
BOX, FRAME = 20, 28  # MNIST's pixels for the digit and for the whole
FINE = 8  # where strokes are measured, a pixel of MNIST's has 8 x 8
THICKNESS = (1.9, 3.0)  # of a stroke, in MNIST's pixels: most of its digits lie between
LEAST_CONTRAST = 0.08  # of ink on paper; 1 is from black to white


def read_digit(path: Path) -> Tensor:
    """Read the digit on a picture, as MNIST would have it.

    Parameters
    ----------
    path : Path
        A PNG or JPEG file.

    Returns
    -------
    Tensor
        (28, 28) float32: 0 is paper, 1 is ink.

    Raises
    ------
    UserError
        If the file is not there or not a whole picture, or no digit is to be seen in it.
    """
    contrast = _contrast(_open(path))
    # Ink covers less than half, so the smallest fifth of the deviations are of paper; these are below 1/4 σ.
    noise = 4 * contrast.quantile(0.2).item()
    darkest = contrast[contrast > max(6 * noise, LEAST_CONTRAST)]
    if not len(darkest):
        raise UserError(
            f"{path} shows no digit; it takes ink that differs from the paper, and a rim of paper"
        )
    full = darkest.quantile(0.9).item()
    parts = _large_parts(contrast > 0.4 * full)
    none = min(2 * noise, 0.3 * full)
    ink = ((contrast - none) / (0.9 * full - none)).clamp(0, 1) * parts
    # A hairline is pale beside darker dust, and paler when it has been averaged: its darkest is ink, too.
    ink = _scaled(_cut_out(ink / ink.max()), BOX * FINE)
    return _centred(_scaled(_cut_out(_with_known_thickness(ink / ink.max())), BOX))


def _open(path: Path) -> Tensor:
    """Read a picture, upright, small and opaque: (colours, height, width) from 0 to 1."""
    if not path.is_file():
        raise UserError(f"{path}: there is no such picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path, formats=("PNG", "JPEG"))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UserError(f"{path} has more than {Image.MAX_IMAGE_PIXELS} pixels") from None
    except Exception:  # of many kinds, for the many things that a file can be
        raise UserError(f"{path} is neither a PNG nor a JPEG picture") from None
    with image:
        width, height = image.size
        try:
            image.draft("RGB", (LONGEST, LONGEST))  # a JPEG can be read small at once
            upright = ImageOps.exif_transpose(image)
            deep = upright.mode.startswith("I")  # 16 bits; converting these to bytes would clip them
            plain = upright.convert("F" if deep else "RGBA")
            plain.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
        except Exception:
            raise UserError(f"{path} is cut off or broken") from None
    if min(plain.size) < SMALLEST:
        raise UserError(f"{path} is too small or too narrow for a digit: {width} x {height} pixels")
    pixels = torch.from_numpy(np.array(plain, dtype=np.float32)) / (65535 if deep else 255)
    return pixels[None] if deep else _opaque(pixels.movedim(2, 0))


def _opaque(picture: Tensor) -> Tensor:
    """Put paper behind a transparent picture: (4, H, W) -> (3, H, W)."""
    colours, alpha = picture[:3], picture[3]
    share = alpha / alpha.sum().clamp(min=1e-6)
    mean = (colours * share).sum((1, 2), keepdim=True)
    spread = ((colours - mean) ** 2 * share).sum((1, 2)).sqrt().max()
    # What is of one colour is ink alone, and its paper is black or white; else it has paper of its own.
    paper = mean if spread > 0.1 else (mean.mean() < 0.5).float()
    return colours * alpha + paper * (1 - alpha)


def _contrast(picture: Tensor) -> Tensor:
    """Return how much each pixel differs from the paper that lies around it: (C, H, W) -> (H, W)."""
    height, width = picture.shape[1:]
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in (height, width)), indexing="ij")
    terms = torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], dim=-1).flatten(0, 1)  # (H * W, 6)
    values = picture.flatten(1).T  # (H * W, C)
    rim = (torch.maximum(x.abs(), y.abs()) > 0.96).float().flatten()
    weight = rim
    for round in range(12):
        weighted = terms * weight[:, None]
        coefficients = torch.linalg.solve(weighted.T @ terms + 1e-4 * torch.eye(6), weighted.T @ values)
        deviation = (values - terms @ coefficients).abs().amax(1)
        if round < 6:  # squares over deviations are deviations, which outliers move less
            weight = rim / deviation.clamp(min=1 / 255)
        else:
            weight = (deviation < (12 * deviation.quantile(0.2)).clamp(min=3 / 255)).float()
    return deviation.view(height, width)


def _large_parts(mask: Tensor) -> Tensor:
    """Return 1.0 around the connected parts that are not specks, 0.0 elsewhere: (H, W) bool -> (H, W)."""
    step = -(-max(mask.shape) // (LONGEST // 2))  # half as fine is enough, and closes small gaps
    coarse = F.max_pool2d(mask[None].float(), step, ceil_mode=True)
    # Each pixel begins with a number of its own, and takes the largest around it until all in a part agree.
    part = torch.arange(1.0, coarse.numel() + 1).view_as(coarse) * coarse
    while not torch.equal(part, spread := F.max_pool2d(part, 3, 1, 1) * coarse):
        part = spread
    number = part.long()
    area = number.flatten().bincount()
    area[0] = 0
    large = (area >= 0.05 * area.max())[number] & (number > 0)
    around = F.max_pool2d(large.float(), 3, 1, 1)  # the soft edge of a stroke lies beside it
    return around[0].repeat_interleave(step, 0).repeat_interleave(step, 1)[: mask.shape[0], : mask.shape[1]]


def _cut_out(ink: Tensor) -> Tensor:
    """Return the smallest rectangle that holds the ink."""
    rows, columns = ((ink > 0.3).any(dim).nonzero() for dim in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _scaled(ink: Tensor, longest: int) -> Tensor:
    """Scale the longer side to this many pixels, by averaging where that is fewer."""
    size = [max(1, round(side * longest / max(ink.shape))) for side in ink.shape]
    return F.interpolate(ink[None, None], size, mode="bilinear", antialias=True)[0, 0].clamp(0, 1)


def _with_known_thickness(ink: Tensor) -> Tensor:
    """Bring thin and thick strokes to a thickness that MNIST has."""
    ink = F.pad(ink, [2 * FINE] * 4)
    drawn = (ink > 0.5).float()
    # A stroke that is t pixels thick loses one on either side, 2 / t of its area.
    left = -F.max_pool2d(-drawn[None], 3, 1, 1).sum() / drawn.sum().clamp(min=1)
    thickness = 2 / (1 - left).item()
    wanted = min(max(thickness, THICKNESS[0] * FINE), THICKNESS[1] * FINE)
    grown = round((wanted - thickness) / 2)  # on either side
    if not grown:
        return ink
    reach = abs(grown)
    sign = 1 if grown > 0 else -1  # what shrinks is where the paper grows
    changed = sign * F.max_pool2d(sign * ink[None], 2 * reach + 1, 1, reach)[0]
    return changed if (changed > 0.3).any() else ink


def _centred(ink: Tensor) -> Tensor:
    """Place ink by its centre of mass, as near to the middle as it fits: -> (28, 28)."""
    frame = torch.zeros(FRAME, FRAME)
    corner = []
    for dim, side in enumerate(ink.shape):
        centre = (ink.sum(1 - dim) @ torch.arange(float(side)) / ink.sum()).item()
        corner.append(min(max(round(FRAME / 2 - centre), 0), FRAME - side))
    top, left = corner
    frame[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return frame
