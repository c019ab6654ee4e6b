"""Load MNIST as tensors: 70 000 handwritten digits, verified before they are used.

The files lie where ``torchvision.datasets.MNIST`` has them, ``<data_dir>/MNIST/raw``. If one is missing, they
are fetched by the first route that works (``mnist_routes.py``).
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import platformdirs
import torch
from torch import Tensor

from manualgrad.data.mnist_routes import ROUTES
from manualgrad.errors import UserError

CHECKSUMS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}

Examples = tuple[Tensor, Tensor]  # images (N, 28, 28) and labels (N,)


class MNIST(NamedTuple):
    """The whole data set on one device.

    The images are (60000, 28, 28) and (10000, 28, 28) float32, where 0 is paper and 1 is ink; the labels are
    the digits, (60000,) and (10000,) int64.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor

    def split(self, trial: int | None = None) -> tuple[Examples, Examples, Examples]:
        """Return what to train on, a fifth of the training images to validate with, and what to test with.

        For a trial of a script it is only so many images to train on, and a thousand for each of the others.
        """
        count, few = len(self.train_images) * 4 // 5, 1000 if trial else None
        return (
            (self.train_images[:count][:trial], self.train_labels[:count][:trial]),
            (self.train_images[count:][:few], self.train_labels[count:][:few]),
            (self.test_images[:few], self.test_labels[:few]),
        )


def load_mnist(data_dir: Path | None = None, device: torch.device | str = "cpu") -> MNIST:
    """Load MNIST onto a device, and fetch it if a file is missing or broken.

    The folder must be there; it holds ``MNIST/raw``, or gets it. None takes ``default_data_dir()``. That it
    is missing, and that no route can fetch the files, is a UserError.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise UserError(f"{data_dir}: there is no such folder; make it first to have MNIST fetched into it")
    raw = (data_dir or default_data_dir()) / "MNIST" / "raw"
    if _broken_in(raw):
        _fetch(raw)

    def read(name: str, header: int) -> Tensor:
        content = bytearray((raw / name).read_bytes())
        return torch.frombuffer(content, dtype=torch.uint8, offset=header).to(device)

    def images(name: str) -> Tensor:
        return read(name, header=16).view(-1, 28, 28).float().div_(255)

    train_images, train_labels, test_images, test_labels = CHECKSUMS
    return MNIST(
        images(train_images),
        read(train_labels, header=8).long(),
        images(test_images),
        read(test_labels, header=8).long(),
    )


def default_data_dir() -> Path:
    """Return the folder for data: ``MANUALGRAD_DATA`` if that is set, else this user's cache."""
    return Path(os.environ.get("MANUALGRAD_DATA") or platformdirs.user_cache_path("manualgrad"))


def _fetch(raw: Path) -> None:
    """Fetch the files into a folder aside, then move each to its name.

    However many processes do this at once, and wherever one is killed, a name holds a whole file or none.
    """
    failures = []
    try:
        raw.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{raw} cannot be made ({error.strerror}); --data-dir names another folder"
        ) from error
    for route, fetch in ROUTES.items():
        print(f"fetching MNIST from {route} into {raw}", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=raw) as aside:
            try:
                fetched = fetch(Path(aside))
                if broken := _broken_in(fetched):
                    raise RuntimeError(f"wrong checksum of {', '.join(broken)}")
            except Exception as error:  # whatever a route fails of, the next one may work
                reason = str(error).strip() or type(error).__name__
                failures.append(f"{route}: {reason.splitlines()[-1]}")
                continue
            for name in CHECKSUMS:
                os.replace(fetched / name, raw / name)
            return
    raise UserError(
        f"MNIST could not be fetched ({'; '.join(failures)}). "
        f"Put {', '.join(CHECKSUMS)}, unpacked, into {raw}, or name another folder with --data-dir"
    )


def _broken_in(folder: Path) -> list[str]:
    """Name the files that are missing in a folder, or have a wrong checksum."""
    return [
        name
        for name, right in CHECKSUMS.items()
        if not (file := folder / name).is_file() or hashlib.md5(file.read_bytes()).hexdigest() != right
    ]
