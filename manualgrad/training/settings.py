"""From a dataclass of settings to a command line, so that each setting is written down once."""

import argparse
import dataclasses
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar


def option(default: Any, help: str) -> Any:
    """Declare a dataclass field that is also a command-line option.

    Parameters
    ----------
    default : Any
        What the setting is unless the command line says otherwise.
    help : str
        One line for ``--help``.

    Returns
    -------
    dataclasses.Field
        Typed as Any, as ``dataclasses.field`` is for type checkers.
    """
    return dataclasses.field(default=default, metadata={"help": help})


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The settings that every experiment has."""

    device: Literal["auto", "cpu", "cuda", "mps"] = option(
        "auto", "where to compute; auto: cuda if it is there"
    )
    seed: int = option(0, "same seed, same machine, same device: the same figures")
    runs_dir: Path = option(Path("runs"), "where the run's folder goes")


Settings = TypeVar("Settings", bound=RunSettings)


def parse_settings(
    settings_class: type[Settings], argv: Sequence[str] | None, program: str, description: str
) -> Settings:
    """Read the command line into a settings dataclass.

    Parameters
    ----------
    settings_class : type
        A dataclass whose fields are declared with ``option``.
    argv : sequence of str, optional
        The arguments; None takes those of the process.
    program, description : str
        The name and the text that ``--help`` shows.

    Returns
    -------
    Settings
        An instance of ``settings_class``.

    Raises
    ------
    SystemExit
        With status 2 and one line on standard error for a wrong argument; 0 after ``--help``.
    """
    parser = _OneLineParser(prog=program, description=description, formatter_class=_Help, allow_abbrev=False)
    kinds = typing.get_type_hints(settings_class)
    for field in dataclasses.fields(settings_class):
        flag = "--" + field.name.replace("_", "-")
        parser.add_argument(
            flag, default=field.default, **_argument(kinds[field.name], field.metadata["help"])
        )
    return settings_class(**vars(parser.parse_args(argv)))


def changed_settings(settings: RunSettings) -> str:
    """Name what differs from the defaults, for a folder's name: ``lr0.01-epochs3``, or ``default``.

    The seed stands in the name anyway, and where files lie makes no run different.
    """
    parts = [
        f"{field.name.replace('_', '-')}{value}"
        for field in dataclasses.fields(settings)
        if field.name not in ("seed", "device")
        and not isinstance(value := getattr(settings, field.name), Path)
        and value != field.default
    ]
    return "-".join(parts) or "default"


def _argument(kind: Any, help: str) -> dict[str, Any]:
    """Translate a field's type into the arguments of ``add_argument``."""
    if kind is bool:
        return {"action": "store_true", "help": help}
    if isinstance(kind, types.UnionType):  # X | None: X, and absent by default
        kind = next(part for part in typing.get_args(kind) if part is not types.NoneType)
    if typing.get_origin(kind) is Literal:
        return {"choices": typing.get_args(kind), "help": help}
    return {"type": kind, "metavar": kind.__name__.upper(), "help": help}


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (--help lists the options)\n")


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the description's lines as they are written, and names each default."""
