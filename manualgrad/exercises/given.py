"""Give each Function of the course without its backward: what a student's class derives from.

``given.Sigmoid`` has the forward of ``manualgrad.functions.Sigmoid``, and saves what that saves.
"""

import types
from functools import cache
from typing import Any

import torch

from manualgrad.cases import FUNCTIONS, FunctionInfo
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.lessons import chain_of_three
from manualgrad.functions._function import Function

INFOS = FUNCTIONS | {"chain_of_three": chain_of_three.INFO}
KEPT = ("__doc__", "forward", "setup_context", "generate_vmap_rule", "vmap")


def info_of(exercise: Exercise) -> FunctionInfo:
    """Return the samples of an exercise and what they are judged against."""
    return INFOS[exercise.page.stem]


@cache
def without_backward(function_class: type[torch.autograd.Function]) -> type[Function]:
    """Return a Function class with the same forward, and with neither backward nor jvp."""
    body = {name: value for name, value in vars(function_class).items() if name in KEPT}
    body["__module__"] = __name__
    return types.new_class(function_class.__name__, (Function,), exec_body=lambda names: names.update(body))


def __getattr__(name: str) -> Any:
    for info in INFOS.values():
        if info.function_class.__name__ == name:
            return without_backward(info.function_class)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
