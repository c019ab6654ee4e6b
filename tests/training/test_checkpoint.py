import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
import zipfile

import pytest
import torch
from torch import nn

from manualgrad.errors import UserError
from manualgrad.training.checkpoint import load_model, read_checkpoint, write_checkpoint

TERA = b"\x8a\x06" + (10**12).to_bytes(6, "little")  # the number as a pickle has it


def network(width=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2))


def best(**changes):
    content = {
        "format": "manualgrad checkpoint",
        "version": 1,
        "kind": "best",
        "experiment": "mnist",
        "settings": {"seed": 0, "data_dir": None, "precision": "float32"},
        "model": network().state_dict(),
        "epoch": 7,
        "validation_accuracy": 0.978,
    }
    return content | changes


@pytest.fixture
def path(tmp_path):
    return tmp_path / "best.pt"


def rewrite(path, pickle):
    """Give a checkpoint another pickle, with a right checksum."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"archive/data.pkl": pickle}).items():
            archive.writestr(name, content)


def complaint(path, kind="best"):
    with pytest.raises(UserError) as caught:
        read_checkpoint(path, kind)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_what_was_written_is_read(path):
    write_checkpoint(path, best())
    checkpoint = read_checkpoint(path, "best")
    assert {name: value for name, value in checkpoint.items() if name != "model"} == {
        name: value for name, value in best().items() if name != "model"
    }
    for name, weight in network().state_dict().items():
        assert torch.equal(checkpoint["model"][name], weight)
    assert [each.name for each in path.parent.iterdir()] == ["best.pt"]


def test_an_optimizer_and_a_generator_come_back_too(path):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    model(torch.ones(5, 3)).sum().backward()
    optimizer.step()
    generator = torch.Generator().manual_seed(3)
    state = {"optimizer": optimizer.state_dict(), "shuffle": generator.get_state()}
    write_checkpoint(path, best(kind="last", **state))
    checkpoint = read_checkpoint(path, "last")
    assert torch.equal(checkpoint["shuffle"], generator.get_state())
    assert checkpoint["optimizer"]["param_groups"] == optimizer.state_dict()["param_groups"]
    other = torch.optim.Adam(model.parameters(), fused=True)
    other.load_state_dict(checkpoint["optimizer"])
    assert str(other.state_dict()) == str(optimizer.state_dict())


def test_a_model_takes_the_weights(path):
    write_checkpoint(path, best())
    model = network()
    nn.init.zeros_(model[0].weight)
    load_model(model, read_checkpoint(path, "best"), path)
    assert torch.equal(model[0].weight, network()[0].weight)


@pytest.mark.parametrize(
    ("model", "difference"),
    [
        (network(5), "its 0.weight is (4, 3), this network's (5, 3)"),
        (network().double(), "its 0.weight is torch.float32, this network's torch.float64"),
        (nn.Sequential(nn.Linear(3, 4)), "it has 2.weight, which this network has not"),
        (nn.Sequential(*network(), nn.Linear(2, 1)), "it has no 3.weight"),
    ],
)
def test_another_architecture_is_refused_and_left_alone(path, model, difference):
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(UserError) as caught:
        load_model(model, best(), path)
    assert str(caught.value) == f"{path} belongs to another network: {difference}"
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_a_file_that_is_not_there(path):
    assert "no such checkpoint" in complaint(path)
    assert "no such checkpoint" in complaint(path.parent)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a checkpoint", b"\x80\x02}q\x00."])
def test_a_file_that_is_none(path, content):
    path.write_bytes(content)
    assert "it was cut off, or never was a checkpoint" in complaint(path)


def test_another_program_s_checkpoint(path):
    torch.save(network().state_dict(), path)
    assert "not written by manualgrad" in complaint(path)
    torch.save([1, 2], path)
    assert "not written by manualgrad" in complaint(path)
    torch.save(network(), path)  # the whole module: a pickle of code
    assert "it asks for torch.nn.modules.container.Sequential" in complaint(path)


def test_cut_off_at_every_length(path):
    write_checkpoint(path, best())
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        assert "cannot be used" in complaint(path)


def test_a_flipped_bit_in_a_weight_is_found(path):
    write_checkpoint(path, best())
    whole = bytearray(path.read_bytes())
    place = whole.index(network()[0].weight.detach().numpy().tobytes())
    whole[place + 2] ^= 1
    path.write_bytes(whole)
    torch.load(path, weights_only=True)  # PyTorch alone does not see it
    assert "data/0 in it was changed" in complaint(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 2}, "it has version 2, and this manualgrad reads 1"),
        ({"kind": "last"}, "it is of kind 'last'; expected 'best'"),
        ({"epoch": "seven"}, "it has no right entry 'epoch'"),
        ({"model": None}, "it has no right entry 'model'"),
        ({"model": {"0.weight": 3}}, "'0.weight' in its model is no weight"),
        ({"settings": {"seeds": {1, 2}}}, "it asks for __builtin__.set"),
        ({"settings": {"shape": torch.Size([1])}}, "it asks for torch.Size"),
        ({"more": torch.zeros(1).expand(10**12)}, "a tensor with gaps or overlaps"),
    ],
)
def test_what_does_not_belong_in_it(path, changes, reason):
    write_checkpoint(path, best(**changes))
    assert reason in complaint(path)


def test_a_list_that_holds_itself(path):
    endless = []
    endless.append(endless)
    write_checkpoint(path, best(more=endless))
    assert "it holds itself" in complaint(path)
    many = [0]
    for _ in range(10):
        many = [many] * 10  # ten thousand million values in a few bytes
    write_checkpoint(path, best(more=many))
    assert "it holds itself" in complaint(path)


@pytest.mark.parametrize("name", [b"builtins\nbytearray", b"torch\nTensor", b"torch.storage\nUntypedStorage"])
def test_a_pickle_that_asks_for_a_terabyte(path, name):
    write_checkpoint(path, best())
    rewrite(path, b"\x80\x02c" + name + b"\n" + TERA + b"\x85R.")
    assert "which no checkpoint needs" in complaint(path)


def test_a_tensor_that_claims_a_terabyte(path):
    write_checkpoint(path, best(model={"w": torch.zeros(200)}))
    with zipfile.ZipFile(path) as archive:
        pickle = archive.read("archive/data.pkl")
    assert pickle.count(b"K\xc8") == 2  # 200: the storage's length and the tensor's size
    for claim in (pickle.replace(b"K\xc8", TERA), pickle.replace(b"K\xc8\x85", TERA + b"\x85")):
        rewrite(path, claim)
        assert "PyTorch cannot read it" in complaint(path)


def test_a_compressed_archive(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**8))
    assert "it is compressed" in complaint(path)


def test_two_members_of_one_name(path):
    write_checkpoint(path, best())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/DATA.pkl", b"\x80\x02.")
    assert "its parts overlap" in complaint(path)


def test_a_full_disk_leaves_what_was_there(path):
    write_checkpoint(path, best())
    before = path.read_bytes()
    limit, hardest = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hardest))
    try:
        with pytest.raises(OSError, match="too large"):
            write_checkpoint(path, best(epoch=8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hardest))
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["best.pt"]


def test_killed_while_it_writes(path):
    """Killed again and again while it writes one checkpoint after another: the file is always whole."""
    script = """
        import sys, torch
        from pathlib import Path
        from manualgrad.training.checkpoint import write_checkpoint
        sys.path.insert(0, sys.argv[2])
        from test_checkpoint import best
        for epoch in range(10**6):
            write_checkpoint(Path(sys.argv[1]), best(epoch=epoch, more=torch.full((3_000_000,), epoch)))
            print(epoch, flush=True)
    """
    for kill in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), path, os.path.dirname(__file__)],
            stdout=subprocess.PIPE,
            text=True,
        )
        with writer:
            for _ in range(3 + kill):
                reached = int(writer.stdout.readline())
            watched_until = time.monotonic() + 0.2 * (1 + kill)  # in which some more are written
            while time.monotonic() < watched_until:
                assert path.stat().st_size > 12_000_000
            writer.send_signal(signal.SIGKILL)
            reached = max([reached, *map(int, writer.stdout.read().split())])
        checkpoint = read_checkpoint(path, "best")
        assert checkpoint["epoch"] >= reached
        assert (checkpoint["more"] == checkpoint["epoch"]).all()
