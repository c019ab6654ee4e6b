"""From a dataclass of settings to a command line, so that each setting is written down once."""

import argparse
import dataclasses
import json
import os
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

from manualgrad.errors import UserError

REQUIRED = dataclasses.MISSING  # as the default of a setting that has none
# What a network learns does not depend on these.
BESIDE = (
    "device",
    "runs_dir",
    "data_dir",
    "log",
    "checkpoint_steps",
    "checkpoint_minutes",
    "anomaly",
    "require_accuracy",
)

WhenResumed = Literal["the same", "another", "anew"]


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    positional: bool = False,
    resumed: WhenResumed = "the same",
) -> Any:
    """Declare a dataclass field that is also a command-line option.

    Parameters
    ----------
    default : Any
        What the setting is unless the command line says otherwise. ``REQUIRED``: the command line must.
    help : str
        One line for ``--help``.
    minimum, maximum : float, optional
        The smallest and the largest number that makes sense.
    positional : bool
        Given by its place on the command line instead of by ``--name``. Of the type ``tuple[X, ...]`` it
        takes all that follow.
    resumed : {"the same", "another", "anew"}
        When a run is resumed, the setting must be what it was; may be another; or begins at its default
        again, because it is about this start of the run and is not kept with it.

    Returns
    -------
    dataclasses.Field
        Typed as Any, as ``dataclasses.field`` is for type checkers.
    """
    details = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "positional": positional,
        "resumed": resumed,
    }
    return dataclasses.field(default=default, metadata=details)


LogLevel = Literal["none", "scalars", "standard", "everything"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScriptSettings:
    """The setting that every script has."""

    device: Literal["auto", "cpu", "cuda", "mps"] = option(
        "auto", "where to compute; auto: cuda if it is there", resumed="another"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings(ScriptSettings):
    """The settings that every experiment has which leaves a run folder."""

    seed: int = option(
        0, "same seed, same machine, same device: the same figures", minimum=0, maximum=2**32 - 1
    )
    runs_dir: Path = option(Path("runs"), "where the run's folder goes", resumed="another")
    log: LogLevel = option(
        "standard",
        "for TensorBoard: nothing; curves; also pictures and distributions; all of them more often",
        resumed="another",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings(RunSettings):
    """The settings of a training that can be interrupted and resumed."""

    epochs: int = option(10, "passes over the training images", minimum=1, resumed="another")
    resume: Path | None = option(None, "a run's folder: go on where it ended", resumed="anew")
    checkpoint_steps: int | None = option(
        None, "save every so many steps, besides every minute and epoch", minimum=1, resumed="another"
    )
    checkpoint_minutes: float = option(
        1.0, "save at least every so many minutes of training", minimum=0, resumed="another"
    )
    anomaly: bool = option(False, "if a number goes wrong, find the operation that made it", resumed="anew")


Settings = TypeVar("Settings", bound=ScriptSettings)


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
    UserError
        If the settings of a run that is to be resumed cannot be read.
    """
    parser = _OneLineParser(
        prog=program,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,  # what is not given is not there: the dataclass has the defaults
    )
    kinds = typing.get_type_hints(settings_class)
    for field in dataclasses.fields(settings_class):
        argument = _argument(field, kinds[field.name])
        if field.metadata["positional"]:
            parser.add_argument(field.name, **argument)
        else:
            parser.add_argument(_flag(field), dest=field.name, **argument)
    given = vars(parser.parse_intermixed_args(argv))  # options may stand between the positional arguments
    given |= {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    folder = given.get("resume")
    if folder is None:
        return settings_class(**given)
    kept = read_settings(folder / "config.json", settings_class, program)
    for field in dataclasses.fields(settings_class):
        was = getattr(kept, field.name)
        if field.metadata["resumed"] == "the same" and given.get(field.name, was) != was:
            parser.error(f"{_flag(field)} {given[field.name]}: the run was begun with {was}, and goes on so")
    return dataclasses.replace(kept, **given)


def kept_settings(settings: RunSettings) -> dict[str, Any]:
    """Return the settings that belong to a run, as JSON has them."""
    return {
        field.name: str(value) if isinstance(value := getattr(settings, field.name), Path) else value
        for field in dataclasses.fields(settings)
        if field.metadata["resumed"] != "anew"
    }


def check_same(kept: dict[str, Any], settings: RunSettings, path: Path) -> None:
    """See that a file that was kept beside ``config.json`` belongs to the same run.

    Parameters
    ----------
    kept : dict
        From ``kept_settings``, by now perhaps out of that file.
    settings : RunSettings
        From ``config.json``.
    path : Path
        The file, for the message.

    Raises
    ------
    UserError
        If a setting that cannot change when a run is resumed is not the same.
    """
    now = kept_settings(settings)
    for field in dataclasses.fields(settings):
        name, was = field.name, kept.get(field.name)
        if field.metadata["resumed"] == "the same" and was != now[name]:
            raise UserError(f"{path} was made with {_flag(field)} {was}, config.json says {now[name]}")


def read_settings(path: Path, settings_class: type[Settings], experiment: str) -> Settings:
    """Read a run's settings from its ``config.json``.

    Parameters
    ----------
    path : Path
        The file.
    settings_class : type
        A dataclass whose fields are declared with ``option``.
    experiment : str
        The one that the run must be of.

    Returns
    -------
    Settings
        An instance of ``settings_class``; what the file does not name has its default.

    Raises
    ------
    UserError
        If the file is not there, is not a run's, or holds what the command line would not take.
    """
    try:
        config = json.loads(path.read_bytes())
        whose, named = config["experiment"], dict(config["settings"])
    except FileNotFoundError:
        raise UserError(f"{path.parent} is no run's folder: it has no {path.name}") from None
    except OSError as problem:
        raise UserError(f"{path}: {problem.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path} does not hold a run's settings") from None
    if whose != experiment:
        raise UserError(f"{path} is of a run of {whose!r:.40}, not of {experiment!r}")
    kinds = typing.get_type_hints(settings_class)
    fields = {field.name: field for field in dataclasses.fields(settings_class)}
    for name, value in named.items():
        if name not in fields:
            raise UserError(f"{path}: there is no setting {name!r}")
        try:
            named[name] = _from_json(value, kinds[name], fields[name])
        except (ValueError, TypeError, argparse.ArgumentTypeError) as problem:
            raise UserError(f"{path}: {name} is {value!r}: {problem}") from None
    return settings_class(**named)


def changed_settings(settings: RunSettings) -> str:
    """Name what differs from the defaults, for a folder's name: ``lr0.01-epochs3``, or ``default``.

    The seed stands in the name anyway, and neither where files lie nor what is logged or saved makes a run
    different.
    """
    parts = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name in ("seed", *BESIDE) or isinstance(value, Path) or value == field.default:
            continue
        parts.append(field.name.replace("_", "-") + ("" if value is True else str(value)))
    return "-".join(parts) or "default"


def _flag(field: "dataclasses.Field[Any]") -> str:
    # An underscore at the end keeps a name off Python's own words: `with_` is `--with`.
    return "--" + field.name.rstrip("_").replace("_", "-")


def _argument(field: "dataclasses.Field[Any]", kind: Any) -> dict[str, Any]:
    """Translate a field into the arguments of ``add_argument``."""
    help = field.metadata["help"]
    if kind is bool:
        return {"action": "store_true", "help": help}
    if field.default not in (None, REQUIRED, ()):
        help += f" (default: {field.default})"
    kind = _without_none(kind)
    if typing.get_origin(kind) is Literal:
        return {"choices": typing.get_args(kind), "help": help}
    several = typing.get_origin(kind) is tuple
    if several:
        kind = typing.get_args(kind)[0]
    convert = _bounded(kind, field.metadata["minimum"], field.metadata["maximum"])
    if not field.metadata["positional"]:
        return {"type": convert, "metavar": kind.__name__.upper(), "help": help}
    optional = field.default is not REQUIRED
    times = ("*" if optional else "+") if several else ("?" if optional else None)
    name = field.name.upper().removesuffix("S" if several else "")
    return {"type": convert, "nargs": times, "metavar": name, "help": help}


def _without_none(kind: Any) -> Any:
    """Return X of ``X | None``."""
    if isinstance(kind, types.UnionType):
        return next(part for part in typing.get_args(kind) if part is not types.NoneType)
    return kind


def _from_json(value: Any, kind: Any, field: "dataclasses.Field[Any]") -> Any:
    """Return a setting from what JSON has for it, by the rules of the command line."""
    if value is None and isinstance(kind, types.UnionType):
        return None
    kind = _without_none(kind)
    if typing.get_origin(kind) is Literal:
        if value in typing.get_args(kind):
            return value
        raise ValueError(f"expected one of {', '.join(typing.get_args(kind))}")
    expected = {bool: bool, int: int, float: int | float, str: str, Path: str}[kind]
    if not isinstance(value, expected) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"expected {kind.__name__}")
    if kind is bool:
        return value
    if kind is Path and b"\0" in os.fsencode(str(value)):
        raise ValueError("no file has such a name")
    return _bounded(kind, field.metadata["minimum"], field.metadata["maximum"])(str(value))


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
