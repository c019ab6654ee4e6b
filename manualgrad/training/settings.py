"""The settings of a run: declared once, kept in ``config.json``, read back, compared, and named in a folder.

``command_line.py`` makes the options of a script from the same declarations.
"""

import dataclasses
import json
import os
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar

from manualgrad.errors import UserError

REQUIRED = dataclasses.MISSING  # as the default of a setting that has none

Field = dataclasses.Field[Any]
Role = Literal["hyper-parameter", "length", "circumstance", "once"]


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    positional: bool = False,
    role: Role = "hyper-parameter",
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
    role : {"hyper-parameter", "length", "circumstance", "once"}
        What depends on the setting. On a hyper-parameter the run's figures do: it distinguishes the run from
        others, and a run that is resumed has the same. A run's length does so, too, but may be another when
        it is resumed. Of a circumstance, such as where files lie, no figure depends, and it may be another.
        What is said once is a circumstance of this start alone, and is not kept with the run.

    Returns
    -------
    dataclasses.Field
        Typed as Any, as ``dataclasses.field`` is for type checkers.
    """
    details = {"help": help, "minimum": minimum, "maximum": maximum, "positional": positional, "role": role}
    return dataclasses.field(default=default, metadata=details)


LogLevel = Literal["none", "scalars", "standard", "everything"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The settings that every experiment has."""

    device: Literal["auto", "cpu", "cuda", "mps"] = option(
        "auto", "where to compute; auto: cuda if it is there", role="circumstance"
    )
    seed: int = option(
        0, "same seed, same machine, same device: the same figures", minimum=0, maximum=2**32 - 1
    )
    runs_dir: Path = option(Path("runs"), "where the run's folder goes", role="circumstance")
    log: LogLevel = option(
        "standard",
        "for TensorBoard: nothing; curves; also pictures and distributions; all of them more often",
        role="circumstance",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings(RunSettings):
    """The settings of a training that can be interrupted and resumed."""

    epochs: int = option(10, "passes over the training images", minimum=1, role="length")
    resume: Path | None = option(None, "a run's folder: go on where it ended", role="once")
    checkpoint_steps: int | None = option(
        None, "save every so many steps, besides every minute and epoch", minimum=1, role="circumstance"
    )
    checkpoint_minutes: float = option(
        1.0, "save at least every so many minutes of training", minimum=0, role="circumstance"
    )
    anomaly: bool = option(False, "if a number goes wrong, find the operation that made it", role="once")


Settings = TypeVar("Settings", bound=RunSettings)


def spelled(field: Field) -> str:
    """Return a setting's name as people see it: ``batch-size``, which is ``--batch-size`` as an option."""
    # An underscore at the end keeps a name off Python's own words: `with_` is `--with`.
    return field.name.rstrip("_").replace("_", "-")


def kept_settings(settings: RunSettings) -> dict[str, Any]:
    """Return the settings that belong to a run, as JSON has them."""
    return {
        field.name: _to_json(getattr(settings, field.name))
        for field in dataclasses.fields(settings)
        if field.metadata["role"] != "once"
    }


def hyper_parameters(settings: RunSettings) -> dict[str, Any]:
    """Return the settings on which a run's figures depend, by their names as people see them."""
    return {
        spelled(field): _to_json(getattr(settings, field.name))
        for field in dataclasses.fields(settings)
        if _decides(field)
    }


def changed_settings(settings: RunSettings) -> str:
    """Name what differs from the defaults, for a folder's name: ``batch-size=64-epochs=3``, or ``default``.

    The seed stands in the name anyway, and what no figure depends on makes no run different. Of several
    things the name says how many there are.
    """
    parts = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name == "seed" or not _decides(field) or isinstance(value, Path) or value == field.default:
            continue
        shown = len(value) if isinstance(value, tuple) else value
        parts.append(spelled(field) if value is True else f"{spelled(field)}={shown}")
    return "-".join(parts) or "default"


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
        if field.metadata["role"] == "hyper-parameter" and was != now[name]:
            raise UserError(f"{path} was made with --{spelled(field)} {was}, config.json says {now[name]}")


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
        except (ValueError, TypeError) as problem:
            raise UserError(f"{path}: {name} is {value!r}: {problem}") from None
    return settings_class(**named)


def kind_of(annotation: Any) -> Any:
    """Return X of ``X`` and of ``X | None``."""
    if isinstance(annotation, types.UnionType):
        return next(part for part in typing.get_args(annotation) if part is not types.NoneType)
    return annotation


def check_bounds(value: Any, field: Field) -> None:
    """Raise a ValueError if a number is not between a setting's minimum and its maximum; NaN never is."""
    minimum, maximum = field.metadata["minimum"], field.metadata["maximum"]
    if minimum is not None and not value >= minimum:
        raise ValueError(f"must be at least {minimum}, got {value}")
    if maximum is not None and not value <= maximum:
        raise ValueError(f"must be at most {maximum}, got {value}")


def _decides(field: Field) -> bool:
    """Say whether a run's figures depend on a setting."""
    return field.metadata["role"] in ("hyper-parameter", "length")


def _to_json(value: Any) -> Any:
    """Return what JSON has for a setting."""
    if isinstance(value, tuple):
        return [_to_json(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _from_json(value: Any, annotation: Any, field: Field) -> Any:
    """Return a setting from what JSON has for it, by the rules of the command line."""
    kind = kind_of(annotation)
    if value is None and kind is not annotation:
        return None
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
    setting = kind(str(value))  # as from the command line; an int may be too large for `float`
    check_bounds(setting, field)
    return setting
