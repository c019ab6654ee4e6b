"""The command line of a script: tyro reads the settings, and every end that a user can mend is one line."""

import io
import json
import re
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from manualgrad.errors import UserError
from manualgrad.training import parallel
from manualgrad.training.config import Config, flag

PATIENCE = 20.0  # seconds

C = TypeVar("C", bound=Config)


def launch(main: Callable[[C], Any], config_class: type[C], argv: Sequence[str] | None = None) -> int:
    """Run a script's ``main`` with the settings of the command line, and return the exit status.

    That is 0; 1 after an error that the user can mend, which is one line on standard error; 130 after Ctrl-C
    and SIGTERM. A wrong argument is one line and a SystemExit with status 2. Any other exception keeps its
    traceback. ``--help`` shows the docstring of main's module.
    """
    program = Path(main.__code__.co_filename).stem
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # in a pipe, too, a line comes when it is printed
    with parallel.silent_unless_first():
        try:
            main(parse(config_class, argv, program, main.__globals__["__doc__"] or ""))
        except (UserError, OSError) as error:
            problem = str(error)
            if isinstance(error, OSError):
                if error.errno is None:  # not the system's: a user's own code raised it
                    raise
                problem = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
            _tell(f"{program}: error: {problem}", error)
            return 1
        except KeyboardInterrupt as interrupt:
            if parallel.is_first():
                _tell(f"{program}: interrupted", interrupt)
            return 130
        finally:
            parallel.leave()
    return 0


def parse(config_class: type[C], argv: Sequence[str] | None, program: str, description: str = "") -> C:
    """Read the command line; what it leaves open is, with ``--resume``, as in the run that it names."""
    argv = list(sys.argv[1:] if argv is None else argv)
    config = _cli(config_class, argv, program, description)
    folder = getattr(config, "resume", None)
    if folder is None:
        return config
    saved = _read_settings(folder, program)
    begun = [text for name, value in saved.items() for text in _as_arguments(name, value)]
    return _cli(config_class, [*begun, *argv], program, description)


def _read_settings(folder: Path, experiment: str) -> dict[str, Any]:
    """Read the settings of a run of this experiment from its ``config.json``."""
    path = folder / "config.json"
    try:
        content = json.loads(path.read_bytes())
        whose, settings = content["experiment"], dict(content["settings"])
    except FileNotFoundError:
        raise UserError(f"{folder} is not a run folder: it has no {path.name}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path} does not hold the settings of a run") from None
    if whose != experiment:
        raise UserError(f"{path} is of a run of {whose!r:.40}, expected {experiment!r}")
    return settings


def _as_arguments(name: str, value: Any) -> list[str]:
    """Write a saved setting as the command line has it; a switch that is off, and None, are the default."""
    if value is None or value is False or value == []:
        return []
    if value is True:
        return [flag(name)]
    return [flag(name), *map(str, value)] if isinstance(value, list) else [f"{flag(name)}={value}"]


def _cli(config_class: type[C], argv: list[str], program: str, description: str) -> C:
    """Let tyro read the command line; a wrong argument ends the process with one line and status 2."""
    import tyro  # here, for those who use the loop without a command line

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            flags = (tyro.conf.FlagCreatePairsOff,)
            return tyro.cli(config_class, prog=program, description=description, args=argv, config=flags)
    except SystemExit as end:
        if end.code:
            _tell(f"{program}: error: {_in_one_line(said.getvalue())} (--help lists the options)")
        raise


def _in_one_line(box: str) -> str:
    """Return what tyro's box says: its first paragraph, and for a wrong option those that are similar."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)  # in a terminal the box has colours
    lines = [line.strip(" │") for line in plain.splitlines()[1:]]
    parts = groupby(lines, key=lambda line: set(line) <= set("─-╭╮╰╯"))  # between rules
    message, *others = [list(part) for is_rule, part in parts if not is_rule] or [[]]
    text = re.sub(r"^Error parsing (\w+: )?", "", " ".join(message).rstrip("."))  # the dataclass's name
    similar = [line.split()[0] for part in others for line in part if line.startswith("--")]
    return f"{text}; similar: {', '.join(similar)}" if similar and "Unrecognized" in text else text


def _tell(message: str, reason: BaseException | None = None) -> None:
    """Print what ends the run, and below it its notes, such as the command that resumes it."""
    if not parallel.is_first():
        time.sleep(PATIENCE)  # of what ends all the first tells, and torchrun then ends this process
    if sys.stderr.isatty():
        message = textwrap.fill(message, 80, break_long_words=False, break_on_hyphens=False)
    print(message, *getattr(reason, "__notes__", []), sep="\n", file=sys.stderr)
