"""MNIST as tensors: 70 000 handwritten digits, verified before they are used.

The files lie where ``torchvision.datasets.MNIST`` has them, ``<data_dir>/MNIST/raw``. What is missing is
fetched by the first route that works (``mnist_routes.py``); every route ends in the same four files.
"""

import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class MNIST:
    """The whole data set on one device.

    Attributes
    ----------
    train_images, test_images : Tensor
        (60000, 28, 28) and (10000, 28, 28) float32: 0 is paper, 1 is ink.
    train_labels, test_labels : Tensor
        (60000,) and (10000,) int64: the digits.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def load_mnist(data_dir: Path | None = None, device: torch.device | str = "cpu") -> MNIST:
    """Load MNIST, fetching what is not there yet.

    Parameters
    ----------
    data_dir : Path, optional
        The folder that holds ``MNIST/raw``; None takes ``default_data_dir()``.
    device : torch.device or str
        Where the tensors go.

    Returns
    -------
    MNIST
        Images and labels.

    Raises
    ------
    UserError
        If a file is missing and no route can fetch it.
    OSError
        If the folder cannot be written.
    """
    raw = (data_dir or default_data_dir()) / "MNIST" / "raw"
    contents = {name: _read_verified(raw / name) for name in CHECKSUMS}
    missing = [name for name, content in contents.items() if content is None]
    if missing:
        _fetch(missing, raw)
        contents = {name: _read_verified(raw / name) for name in CHECKSUMS}

    def images(name: str) -> Tensor:
        return _body(contents[name], header=16).view(-1, 28, 28).to(device).float().div_(255)

    def labels(name: str) -> Tensor:
        return _body(contents[name], header=8).to(device).long()

    return MNIST(
        images("train-images-idx3-ubyte"),
        labels("train-labels-idx1-ubyte"),
        images("t10k-images-idx3-ubyte"),
        labels("t10k-labels-idx1-ubyte"),
    )


def default_data_dir() -> Path:
    """Return the folder for data: ``MANUALGRAD_DATA`` if that is set, else this user's cache."""
    return Path(os.environ.get("MANUALGRAD_DATA") or platformdirs.user_cache_path("manualgrad"))


def _read_verified(path: Path) -> bytearray | None:
    """Read a file if it is there and whole. A broken one is set aside, so that it is fetched anew."""
    if not path.exists():
        return None
    content = bytearray(path.read_bytes())
    if hashlib.md5(content, usedforsecurity=False).hexdigest() == CHECKSUMS[path.name]:
        return content
    broken = path.with_name(path.name + ".broken")
    os.replace(path, broken)
    print(f"{path} is not MNIST's file of that name: moved to {broken.name}", file=sys.stderr)
    return None


def _fetch(missing: list[str], raw: Path) -> None:
    """Fetch files aside and move those that are right to their names, in one step each.

    However many processes do this at once, and wherever one is interrupted, a final name only ever
    holds a whole file.
    """
    raw.mkdir(parents=True, exist_ok=True)
    failures = []
    for route, fetch in ROUTES.items():
        print(f"fetching MNIST from {route} into {raw}", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=raw) as aside:
            try:
                fetched = fetch(Path(aside))
            except Exception as reason:  # whatever a route fails of, the next one may work
                last_line = (str(reason).strip() or type(reason).__name__).splitlines()[-1]
                failures.append(f"{route}: {last_line}")
                continue
            wrong = [name for name in missing if _read_verified(fetched / name) is None]
            if wrong:
                failures.append(f"{route}: it brought no right {', '.join(wrong)}")
                continue
            for name in missing:
                os.replace(fetched / name, raw / name)
            return
    raise UserError(
        f"MNIST could not be fetched ({'; '.join(failures)}). "
        f"Put {', '.join(missing)}, unpacked, into {raw}, or name another folder with --data-dir"
    )


def _body(content: bytearray | None, header: int) -> Tensor:
    """Everything behind an IDX file's header. The checksum vouches for what the header would say."""
    assert content is not None
    return torch.frombuffer(content, dtype=torch.uint8, offset=header)
