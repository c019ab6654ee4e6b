"""Load a Python file that a user names, and say where in it an exception was raised."""

import importlib.util
import sys
import traceback
import types
from pathlib import Path


class FileError(Exception):
    """The file cannot be used as it is: ``kind`` is ``syntax``, ``raises`` or ``no-class``."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def load_module(path: Path) -> types.ModuleType:
    """Run a user's Python file as Python would, and return what it defines. It can import its neighbours.

    Parameters
    ----------
    path : Path
        Any name will do; it is not looked up among Python's modules.

    Raises
    ------
    FileError
        If it cannot be read or raises.
    """
    name = f"student_{path.stem}"
    spec = importlib.util.spec_from_loader(name, loader=None, origin=str(path))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and typing look a class's module up there
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # for good: an import may stand within a function
    try:
        if b"\0" in (source := path.read_bytes()):
            raise SyntaxError("source code string cannot contain null bytes")  # as from Python 3.11.4 on
        exec(compile(source, str(path), "exec"), vars(module))
    except SyntaxError as error:
        place = f"{path.name}, line {error.lineno}" if error.lineno else path.name
        code = f": {error.text.strip()}" if error.text else ""
        raise FileError("syntax", f"{place}: {error.msg}{code}") from error
    except Exception as error:
        raise FileError("raises", describe(error, path)) from error
    return module


def describe(error: BaseException, path: Path) -> str:
    """Return where in the file an exception was raised, the line's text, and what it says."""
    text = str(error).strip().split("\n", 1)[0]
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    trace = traceback.walk_tb(error.__traceback__)
    numbers = [line for frame, line in trace if frame.f_code.co_filename == str(path)]
    if not numbers:
        return f"{path.name}: {what}"
    code = path.read_text(encoding="utf-8", errors="replace").splitlines()[numbers[-1] - 1].strip()
    return f"{path.name}, line {numbers[-1]}: {code}\n{what}"
