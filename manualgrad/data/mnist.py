"""MNIST as tensors: 70 000 handwritten digits, verified before they are used.

The files lie where ``torchvision.datasets.MNIST`` has them, ``<data_dir>/MNIST/raw``. What is missing is
fetched by the first route that works (``mnist_routes.py``); every route ends in the same four files.
"""

import contextlib
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
        If a file is missing or broken and no route can fetch it, or the folder cannot be written.
    OSError
        If a file cannot be read.
    """
    raw = (data_dir or default_data_dir()) / "MNIST" / "raw"
    contents = {name: _read_verified(raw / name) for name in CHECKSUMS}
    missing = [name for name, content in contents.items() if content is None]
    for name in missing:
        if (raw / name).exists():
            print(f"{raw / name} is not MNIST's file of that name, and will be fetched anew", file=sys.stderr)
    if missing:
        contents |= _fetch(missing, raw)

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
    """Read a file if it is there and whole."""
    try:
        content = bytearray(path.read_bytes())
    except FileNotFoundError:
        return None
    right = hashlib.md5(content, usedforsecurity=False).hexdigest() == CHECKSUMS[path.name]
    return content if right else None


def _fetch(missing: list[str], raw: Path) -> dict[str, bytearray]:
    """Fetch files aside, move them to their names in one step each, and return what is in them.

    However many processes do this at once, and wherever one is interrupted, a final name only ever
    holds a whole file, or none: so nobody reads it again after fetching.
    """
    failures = []
    try:
        raw.mkdir(parents=True, exist_ok=True)
        for route, fetch in ROUTES.items():
            print(f"fetching MNIST from {route} into {raw}", file=sys.stderr)
            with tempfile.TemporaryDirectory(prefix=".fetching-", dir=raw) as aside:
                try:
                    fetched = fetch(Path(aside))
                    contents = {name: _read_verified(fetched / name) for name in missing}
                except Exception as reason:  # whatever a route fails of, the next one may work
                    last_line = (str(reason).strip() or type(reason).__name__).splitlines()[-1]
                    failures.append(f"{route}: {last_line}")
                    continue
                right = {name: content for name, content in contents.items() if content is not None}
                if len(right) < len(missing):
                    wrong = ", ".join(name for name in missing if name not in right)
                    failures.append(f"{route}: it brought no right {wrong}")
                    continue
                for name in missing:
                    _put(fetched / name, raw / name)
                return right
    except OSError as problem:
        raise UserError(
            f"{raw} cannot be written ({problem.strerror}); name another folder with --data-dir"
        ) from problem
    raise UserError(
        f"MNIST could not be fetched ({'; '.join(failures)}). "
        f"Put {', '.join(missing)}, unpacked, into {raw}, or name another folder with --data-dir"
    )


def _put(fetched: Path, path: Path) -> None:
    """Move a right file to its name. A broken one that has it is kept: somebody may have put it there."""
    with contextlib.suppress(FileNotFoundError):  # also if another process is doing the same
        if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != CHECKSUMS[path.name]:
            os.replace(path, path.with_name(path.name + ".broken"))
    os.replace(fetched, path)


def _body(content: bytearray | None, header: int) -> Tensor:
    """Everything behind an IDX file's header. The checksum vouches for what the header would say."""
    assert content is not None
    return torch.frombuffer(content, dtype=torch.uint8, offset=header)
