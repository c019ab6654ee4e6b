"""Find a student's Function in their file, and put it in the place of ours."""

import importlib
import types
from collections.abc import Callable
from pathlib import Path

from torch import Tensor
from torch.autograd import Function

from manualgrad.cases import FUNCTIONS, FunctionInfo
from manualgrad.errors import UserError
from manualgrad.exercises.course import Exercise
from manualgrad.loading import FileError, load_module


def info_of(exercise: Exercise) -> FunctionInfo:
    """Return the samples of an exercise and what they are judged against."""
    if exercise.is_library_function:
        return FUNCTIONS[exercise.page.stem]
    info = importlib.import_module(exercise.module).INFO
    assert isinstance(info, FunctionInfo)
    return info


def find_class(module: types.ModuleType, parent: type[Function]) -> type[Function]:
    """Return the file's class that gives a Function of ours another backward.

    Parameters
    ----------
    module : module
        The student's file.
    parent : type
        Our Function.

    Returns
    -------
    type
        The last one, if there are several.

    Raises
    ------
    FileError
        If there is none.
    """
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, parent)
        and "backward" in vars(value)
        and value.__module__ == module.__name__
    ]
    if not found:
        raise FileError(
            "no-class",
            f"{module.__name__.removeprefix('student_')}.py has no class that derives from {parent.__name__} "
            "and has a backward: "
            "the line that begins with `class` and the name `backward` have to stay",
        )
    return found[-1]


def with_class(info: FunctionInfo, function_class: type[Function]) -> Callable[..., Tensor]:
    """Return a function of ours that works with another Function class.

    The wrapper around the Function checks and prepares the arguments. It stays as it is: a copy of it is made
    that finds the other class where it looks for ours.

    Parameters
    ----------
    info : FunctionInfo
        Of the function.
    function_class : type
        What takes the place of ``info.function_class``.

    Returns
    -------
    callable
        Same name, same arguments.
    """
    wrapper = info.function
    assert isinstance(wrapper, types.FunctionType)
    # The plain form of a Function, so that messages speak of its own name and arguments.
    names = dict(wrapper.__globals__, _apply=function_class.apply)
    copy = types.FunctionType(
        wrapper.__code__, names, wrapper.__name__, wrapper.__defaults__, wrapper.__closure__
    )
    copy.__kwdefaults__, copy.__doc__ = wrapper.__kwdefaults__, wrapper.__doc__
    names[wrapper.__name__] = copy  # some wrappers call themselves
    return copy


def load_function(path: Path | str) -> tuple[str, Callable[..., Tensor]]:
    """Return a student's function, to be used in place of ours.

    Unlike a check, this runs the file in the calling process.

    Parameters
    ----------
    path : Path or str
        The file of an exercise that is about one of the package's functions.

    Returns
    -------
    name : str
        Of the function that it replaces in ``manualgrad.functions``.
    function : callable
        With the same arguments.

    Raises
    ------
    UserError
        If the file cannot be read, raises, or holds no such function.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        module = load_module(path)
    except FileError as problem:
        raise UserError(" ".join(str(problem).split())) from problem
    for info in FUNCTIONS.values():
        try:
            return info.name, with_class(info, find_class(module, info.function_class))
        except FileError:
            continue
    raise UserError(f"{path}: no class in it derives from one of manualgrad's Functions and has a backward")
