"""The file that keeps what a run has learnt: written whole or not at all, and read with suspicion.

A checkpoint is what ``torch.save`` makes of a plain dict: a zip file whose members are the tensors' bytes and
one pickle that says what belongs where. Three things can be wrong with a file that is read years later, on
another machine, or was sent by someone else:

1. The file was cut off or changed. The zip file has a checksum (CRC-32) of every member, and ``zipfile``
   compares them; PyTorch's own reader does not, and would load a flipped bit as a slightly wrong weight.
2. The pickle names more than a checkpoint needs. A pickle is a program that calls what it names.
   PyTorch's ``weights_only`` refuses what could do anything at all, yet what it lets pass still includes
   ``bytearray(10**12)``; a checkpoint of ours names three things.
3. It holds something else: another program's file, another kind, another network's weights.
"""

import io
import itertools
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from manualgrad.atomic import write_atomically
from manualgrad.errors import UserError

FORMAT, VERSION = "manualgrad checkpoint", 1
ENTRIES: dict[str, dict[str, type]] = {  # what each kind has at least
    "last": {"experiment": str, "settings": dict, "model": dict},
    "best": {"experiment": str, "settings": dict, "model": dict, "epoch": int, "validation_accuracy": float},
}

_NEEDED_NAMES = re.compile(r"collections OrderedDict|torch\._utils _rebuild_tensor_v2|torch \w+Storage")
_DEEPEST = 16  # levels of dicts and lists in each other; an optimizer's state has five


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint that is whole or not there: whoever reads the path gets the old one or the new.

    Parameters
    ----------
    path : Path
        Where it goes, in a folder that is there.
    content : dict
        Tensors, numbers, strings, None, and dicts, lists and tuples of them; ``ENTRIES`` and what
        ``read_checkpoint`` returns say which.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written. What lay at ``path`` still does.
    """
    saved = io.BytesIO()  # in memory first: a full disk then raises an OSError, not an error of PyTorch's
    torch.save(content, saved)
    write_atomically(path, saved.getbuffer())


def read_checkpoint(path: Path, kind: Literal["last", "best"]) -> dict[str, Any]:
    """Read a checkpoint that ``write_checkpoint`` wrote, all tensors on the CPU.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        ``"last"``, from which a run goes on, or ``"best"``, the weights that did best on the validation
        images.

    Returns
    -------
    dict
        With ``format``, ``version``, ``kind`` and what ``ENTRIES`` has for the kind.

    Raises
    ------
    UserError
        If there is no such file, or it is no whole checkpoint of this kind.
    OSError
        If the file may not be read.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such checkpoint")
    file = path.read_bytes()  # once: what is checked is what is loaded
    try:
        _check_archive(file)
        content = torch.load(io.BytesIO(file), weights_only=True, map_location="cpu")
        _check_plain(content, len(file))
        _check_entries(content, kind)
    except UserError as wrong:
        raise UserError(f"{path} cannot be used: {wrong}") from wrong
    except Exception as reason:  # every parser has errors of its own, and all mean the same
        raise UserError(f"{path} cannot be used: PyTorch cannot read it") from reason
    return content


def load_model(model: nn.Module, checkpoint: dict[str, Any], path: Path) -> None:
    """Give a model the weights of a checkpoint; every name, shape and dtype must be its own.

    Parameters
    ----------
    model : nn.Module
        On any device. It is changed in place, or, after an error, not at all.
    checkpoint : dict
        From ``read_checkpoint``.
    path : Path
        The file that it was read from, for the message.

    Raises
    ------
    UserError
        If the weights belong to another architecture; the message names the first difference.
    """
    weights = checkpoint["model"]
    own = model.state_dict()
    for name in [*own, *weights]:
        if name not in weights:
            difference = f"it has no {name}"
        elif name not in own:
            difference = f"it has {name}, which this network has not"
        elif weights[name].shape != own[name].shape:
            difference = (
                f"its {name} is {tuple(weights[name].shape)}, this network's {tuple(own[name].shape)}"
            )
        elif weights[name].dtype != own[name].dtype:
            difference = f"its {name} is {weights[name].dtype}, this network's {own[name].dtype}"
        else:
            continue
        raise UserError(f"{path} belongs to another network: {difference}")
    model.load_state_dict(weights)


def _check_archive(file: bytes) -> None:
    """See that every member is as it was written, and that there is no more in them than a checkpoint has."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(file))
    except Exception as reason:
        raise UserError("it was cut off, or never was a checkpoint") from reason
    members = archive.infolist()
    if any(each.file_size != each.compress_size for each in members):
        raise UserError("it is compressed, as no checkpoint is")
    # PyTorch's reader takes names that differ in case for the same.
    names = {each.filename.lower() for each in members}
    if sum(each.file_size for each in members) > len(file) or len(names) < len(members):
        raise UserError("its parts overlap")
    try:
        changed = archive.testzip()
    except Exception as reason:
        raise UserError("it was changed") from reason
    if changed is not None:
        raise UserError(f"{changed} in it was changed")
    for each in members:
        if each.filename.lower().endswith("data.pkl"):
            _check_names(archive.read(each))


def _check_names(pickle: bytes) -> None:
    """See what a pickle would call."""
    for operation, argument, _ in pickletools.genops(pickle):
        if operation.name == "GLOBAL" and not _NEEDED_NAMES.fullmatch(str(argument)):
            raise UserError(f"it asks for {str(argument).replace(' ', '.')}, which no checkpoint needs")


def _check_plain(content: Any, limit: int) -> None:
    """See that there are only plain values, and not more of them than the file has bytes."""
    level = [content]
    for _ in range(_DEEPEST):
        level = list(itertools.islice(_parts(level), limit + 1))
        if len(level) > limit:
            break
        if not level:
            return
    raise UserError("it holds itself")


def _parts(values: list[Any]) -> Iterator[Any]:
    """Yield what is in dicts, lists and tuples, and refuse what is neither that nor plain."""
    for value in values:
        if isinstance(value, dict):
            yield from value.keys()
            yield from value.values()
        elif isinstance(value, list | tuple):
            yield from value
        elif isinstance(value, Tensor):
            # A stride of 0 makes terabytes of four bytes, as soon as someone copies the tensor.
            if not value.is_contiguous():
                raise UserError("it holds a tensor with gaps or overlaps")
        elif not isinstance(value, bool | int | float | str | None):
            raise UserError(f"it holds a {type(value).__name__}, as no checkpoint does")


def _check_entries(content: Any, kind: str) -> None:
    """See that the values are those of a checkpoint of this kind."""
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError("it was not written by manualgrad")
    if content.get("version") != VERSION:
        raise UserError(f"it has version {content.get('version')!s:.20}, and this manualgrad reads {VERSION}")
    if content.get("kind") != kind:
        raise UserError(f"it is of kind {content.get('kind')!r:.20}; expected {kind!r}")
    for name, type_ in ENTRIES[kind].items():
        if not isinstance(content.get(name), type_):
            raise UserError(f"it has no right entry {name!r}")
    for name, weight in content["model"].items():
        if not isinstance(name, str) or not isinstance(weight, Tensor):
            raise UserError(f"{name!r:.20} in its model is no weight")
