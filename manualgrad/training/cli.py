"""The command line of a script: tyro reads the settings, and every end that a user can mend is one line."""

import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from manualgrad.errors import UserError
from manualgrad.training import parallel
from manualgrad.training.config import Config, flag, hyper_parameters

PATIENCE = 20.0  # seconds

C = TypeVar("C", bound=Config)


def launch(main: Callable[[C], Any], config_class: type[C], argv: Sequence[str] | None = None) -> int:
    """Run a script's ``main`` with the settings of the command line.

    Parameters
    ----------
    main : callable
        Takes the settings. ``--help`` shows the docstring of its module.
    config_class : type
        The dataclass of the settings.
    argv : sequence of str, optional
        The command line; None takes the process's own.

    Returns
    -------
    int
        The exit status: 0; 1 after an error that the user can mend, which is one line on standard error;
        130 after Ctrl-C and SIGTERM. Any other exception keeps its traceback.

    Raises
    ------
    SystemExit
        With status 2, and one line on standard error, for a wrong argument; with 0 after ``--help``.
    """
    program = Path(main.__code__.co_filename).stem
    with parallel.silent_unless_first():
        try:
            main(parse(config_class, argv, program, main.__globals__["__doc__"] or ""))
        except UserError as error:
            _tell(f"{program}: error: {error}", error)
            return 1
        except KeyboardInterrupt as interrupt:
            if parallel.is_first():
                _tell(f"{program}: interrupted", interrupt)
            return 130
        finally:
            parallel.leave()
    return 0


def parse(config_class: type[C], argv: Sequence[str] | None, program: str, description: str = "") -> C:
    """Read the command line; with ``--resume`` the defaults are the settings of the run that it names."""
    argv = list(sys.argv[1:] if argv is None else argv)
    with _errors_in_one_line(program):
        config = _cli(config_class, argv, program, description)
    folder = getattr(config, "resume", None)
    if folder is None:
        return config
    saved = read_config(config_class, folder, program)
    with _errors_in_one_line(program):
        config = _cli(config_class, argv, program, description, default=saved)
    was, now = hyper_parameters(saved), hyper_parameters(config)
    for name in was.keys() - {"epochs"}:
        if now[name] != was[name]:
            _usage_error(
                program, f"{flag(name)} {now[name]}: the run was begun with {was[name]}, and goes on so"
            )
    return config


def read_config(config_class: type[C], folder: Path, experiment: str) -> C:
    """Read the settings of a run from its ``config.json``; they must be such as the command line would take.

    Parameters
    ----------
    config_class : type
        The dataclass of the settings.
    folder : Path
        The run's.
    experiment : str
        Whose run it must be.

    Returns
    -------
    Config
        An instance of ``config_class``; what the file does not name has its default.

    Raises
    ------
    UserError
        If there is no such file, or it holds something else.
    """
    path = folder / "config.json"
    try:
        content = json.loads(path.read_bytes())
        whose, settings = content["experiment"], dict(content["settings"])
    except FileNotFoundError:
        raise UserError(f"{folder} is not a run folder: it has no {path.name}") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path} does not hold the settings of a run") from None
    if whose != experiment:
        raise UserError(f"{path} is of a run of {whose!r:.40}, expected {experiment!r}")
    settings.pop("resume", None)
    argv = [text for name, value in settings.items() for text in _as_argument(name, value)]
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            return _cli(config_class, argv, experiment)
    except SystemExit:
        raise UserError(f"{path}: {_in_one_line(said.getvalue())}") from None


def _cli(config_class: type[C], argv: list[str], program: str, description: str = "", **default: C) -> C:
    import tyro  # here, for those who use the loop without a command line

    cli: Any = tyro.cli  # whose overloads know no **default
    flags = (tyro.conf.FlagCreatePairsOff,)
    return cli(config_class, prog=program, description=description, args=argv, config=flags, **default)


def _as_argument(name: str, value: Any) -> list[str]:
    """Write a saved setting as the command line has it; a switch that is off, and None, are the default."""
    if value is None or value is False or value == []:
        return []
    if value is True:
        return [flag(name)]
    return [flag(name), *map(str, value)] if isinstance(value, list) else [f"{flag(name)}={value}"]


@contextmanager
def _errors_in_one_line(program: str) -> Iterator[None]:
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            yield
    except SystemExit as end:
        if end.code:
            _usage_error(program, _in_one_line(said.getvalue()))
        raise


def _in_one_line(box: str) -> str:
    """Return the text in the box that tyro draws around an error, between its title and its next rule."""
    lines = [line.strip(" │") for line in box.splitlines()[1:]]
    parts = groupby(lines, key=lambda line: set(line) <= set("─-╭╮╰╯"))
    text = " ".join(next((list(part) for is_rule, part in parts if not is_rule), [])).rstrip(".")
    return re.sub(r"^Error parsing (\w+: )?", "", text)  # the dataclass's name tells the user nothing


def _usage_error(program: str, message: str) -> NoReturn:
    _tell(f"{program}: error: {message} (--help lists the options)")
    raise SystemExit(2)


def _tell(message: str, reason: BaseException | None = None) -> None:
    """Print what ends the run, with its notes."""
    if not parallel.is_first():
        time.sleep(PATIENCE)  # of what ends all the first tells, and torchrun then ends this process
    print("; ".join([message, *getattr(reason, "__notes__", [])]), file=sys.stderr)
