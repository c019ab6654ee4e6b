"""The command line of a script: tyro reads the settings, and every end that a user can mend is one line."""

import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any, TypeVar

import torch.distributed as dist

from manualgrad.errors import UserError
from manualgrad.training import parallel
from manualgrad.training.config import Config, flag

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
    with redirect_stdout(sys.stdout if parallel.is_first() else io.StringIO()):  # only the first prints
        try:
            main(parse(config_class, argv, program, main.__globals__["__doc__"] or ""))
        except (UserError, OSError) as error:
            if isinstance(error, OSError) and error.errno is None:
                raise  # not the system's: somebody's own
            what = str(error)
            if isinstance(error, OSError) and error.filename is not None:
                what = f"{error.filename}: {error.strerror}"
            _tell(f"{program}: error: {what}", error)
            return 1
        except KeyboardInterrupt as interrupt:
            if parallel.is_first():
                _tell(f"{program}: interrupted", interrupt)
            return 130
        finally:
            if parallel.world_size() > 1 and dist.is_initialized():
                dist.destroy_process_group()
    return 0


def parse(config_class: type[C], argv: Sequence[str] | None, program: str, description: str = "") -> C:
    """Read the command line; what it leaves open is, with ``--resume``, as in the run that it names."""
    argv = list(sys.argv[1:] if argv is None else argv)
    config = _cli(config_class, argv, program, description)
    folder = getattr(config, "resume", None)
    if folder is None:
        return config
    begun = [
        flag(name) if value is True else f"{flag(name)}={value}"
        for name, value in _read_settings(folder, program).items()
        if value is not None and value is not False  # which are the defaults
    ]
    return _cli(config_class, [*begun, *argv], program, description)


def _read_settings(folder: Path, experiment: str) -> dict[str, Any]:
    """Read the settings of a run of this experiment from its ``config.json``."""
    try:
        content = json.loads((folder / "config.json").read_bytes())
        if content["experiment"] == experiment:
            return dict(content["settings"])
    except (OSError, ValueError, LookupError, TypeError):
        pass
    raise UserError(f"{folder} is not the folder of a run of {experiment}")


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
    """Return what tyro's box says first, and for a wrong option those that are similar."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)  # in a terminal the box has colours
    lines = [line.strip(" │") for line in plain.splitlines()[1:]]
    has_words = re.compile(r"\w").search  # the others are rules
    said = takewhile(has_words, dropwhile(lambda line: not has_words(line), lines))
    text = re.sub(r"^Error parsing (\w+: )?", "", " ".join(said).rstrip("."))  # the dataclass's name
    similar = ", ".join(line.split()[0] for line in lines if re.match(r"--\w", line))
    return f"{text}; similar: {similar}" if similar and "Unrecognized" in text else text


def _tell(message: str, reason: BaseException | None = None) -> None:
    """Print what ends the run, and below it its notes, such as the command that resumes it."""
    print(message, *getattr(reason, "__notes__", []), sep="\n", file=sys.stderr)
