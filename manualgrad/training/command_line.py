"""The command line of a script, made from the settings that it declares."""

import argparse
import dataclasses
import typing
from collections.abc import Callable, Sequence
from typing import Any, Literal, NoReturn

from manualgrad.training.settings import (
    REQUIRED,
    Field,
    Settings,
    check_bounds,
    kind_of,
    read_settings,
    spelled,
)


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
            parser.add_argument(f"--{spelled(field)}", dest=field.name, **argument)
    given = vars(parser.parse_intermixed_args(argv))  # options may stand between the positional arguments
    given |= {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    folder = given.get("resume")
    if folder is None:
        return settings_class(**given)
    kept = read_settings(folder / "config.json", settings_class, program)
    for field in dataclasses.fields(settings_class):
        was = getattr(kept, field.name)
        if field.metadata["role"] == "hyper-parameter" and given.get(field.name, was) != was:
            parser.error(
                f"--{spelled(field)} {given[field.name]}: the run was begun with {was}, and goes on so"
            )
    return dataclasses.replace(kept, **given)


def _argument(field: Field, annotation: Any) -> dict[str, Any]:
    """Translate a setting into the arguments of ``add_argument``."""
    help = field.metadata["help"]
    if annotation is bool:
        return {"action": "store_true", "help": help}
    if field.default not in (None, REQUIRED, ()):
        help += f" (default: {field.default})"
    kind = kind_of(annotation)
    several = typing.get_origin(kind) is tuple
    if several:
        kind = typing.get_args(kind)[0]
    argument: dict[str, Any] = {"help": help}
    if typing.get_origin(kind) is Literal:
        argument["choices"] = typing.get_args(kind)
    else:
        argument |= {"type": _converter(kind, field), "metavar": kind.__name__.upper()}
    if field.metadata["positional"]:
        optional = field.default is not REQUIRED
        argument["nargs"] = ("*" if optional else "+") if several else ("?" if optional else None)
        if "choices" not in argument:  # which argparse shows in its place
            argument["metavar"] = field.name.upper().removesuffix("S" if several else "")
        elif optional:
            argument["default"] = field.default  # argparse would look for SUPPRESS among the choices
    return argument


def _converter(kind: Any, field: Field) -> Callable[[str], Any]:
    """Return what makes a setting from text, and refuses numbers out of bounds."""

    def convert(text: str) -> Any:
        value = kind(text)
        try:
            check_bounds(value, field)
        except ValueError as problem:  # of which argparse would show no more than "invalid int value"
            raise argparse.ArgumentTypeError(str(problem)) from None
        return value

    convert.__name__ = kind.__name__  # argparse says "invalid int value" by it
    return convert


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (--help lists the options)\n")
