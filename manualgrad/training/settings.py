"""From a dataclass of settings to a command line, so that each setting is written down once."""

import argparse
import dataclasses
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    positional: bool = False,
) -> Any:
    """Declare a dataclass field that is also a command-line option.

    Parameters
    ----------
    default : Any
        What the setting is unless the command line says otherwise.
    help : str
        One line for ``--help``.
    minimum, maximum : float, optional
        The smallest and the largest number that makes sense.
    positional : bool
        Given by its place on the command line instead of by ``--name``.

    Returns
    -------
    dataclasses.Field
        Typed as Any, as ``dataclasses.field`` is for type checkers.
    """
    details = {"help": help, "minimum": minimum, "maximum": maximum, "positional": positional}
    return dataclasses.field(default=default, metadata=details)


LogLevel = Literal["none", "scalars", "standard", "everything"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The settings that every experiment has."""

    device: Literal["auto", "cpu", "cuda", "mps"] = option(
        "auto", "where to compute; auto: cuda if it is there"
    )
    seed: int = option(
        0, "same seed, same machine, same device: the same figures", minimum=0, maximum=2**32 - 1
    )
    runs_dir: Path = option(Path("runs"), "where the run's folder goes")
    log: LogLevel = option(
        "standard",
        "for TensorBoard: nothing; curves; also pictures and distributions; all of them more often",
    )


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
    parser = _OneLineParser(
        prog=program,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    kinds = typing.get_type_hints(settings_class)
    for field in dataclasses.fields(settings_class):
        argument = _argument(field, kinds[field.name])
        if field.metadata["positional"]:
            parser.add_argument(field.name, nargs="?", default=field.default, **argument)
        else:
            # An underscore at the end keeps a name off Python's own words: `with_` is `--with`.
            flag = "--" + field.name.rstrip("_").replace("_", "-")
            parser.add_argument(flag, dest=field.name, default=field.default, **argument)
    return settings_class(**vars(parser.parse_args(argv)))


def changed_settings(settings: RunSettings) -> str:
    """Name what differs from the defaults, for a folder's name: ``lr0.01-epochs3``, or ``default``.

    The seed stands in the name anyway, and neither where files lie nor what is logged makes a run different.
    """
    parts = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name in ("seed", "device", "log") or isinstance(value, Path) or value == field.default:
            continue
        parts.append(field.name.replace("_", "-") + ("" if value is True else str(value)))
    return "-".join(parts) or "default"


def _argument(field: "dataclasses.Field[Any]", kind: Any) -> dict[str, Any]:
    """Translate a field into the arguments of ``add_argument``."""
    help = field.metadata["help"]
    if kind is bool:
        return {"action": "store_true", "help": help}
    if field.default is not None:
        help += f" (default: {field.default})"
    if isinstance(kind, types.UnionType):  # X | None: X, and absent by default
        kind = next(part for part in typing.get_args(kind) if part is not types.NoneType)
    if typing.get_origin(kind) is Literal:
        return {"choices": typing.get_args(kind), "help": help}
    convert = _bounded(kind, field.metadata["minimum"], field.metadata["maximum"])
    return {"type": convert, "metavar": kind.__name__.upper(), "help": help}


def _bounded(kind: Any, minimum: float | None, maximum: float | None) -> Callable[[str], Any]:
    """Return a converter from text that also refuses numbers out of bounds, NaN among them."""

    def convert(text: str) -> Any:
        value = kind(text)
        if minimum is not None and not value >= minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}, got {text}")
        if maximum is not None and not value <= maximum:
            raise argparse.ArgumentTypeError(f"must be at most {maximum}, got {text}")
        return value

    convert.__name__ = kind.__name__  # argparse says "invalid int value" by it
    return convert


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (--help lists the options)\n")
