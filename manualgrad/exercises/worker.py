"""The process that has PyTorch loaded: reads requests, one JSON line each, and answers each with one line.

Started by ``checker``, which does not import PyTorch itself. For every request it forks, and the student's
code runs in the fork.
"""

import dataclasses
import json
import os
import sys
from typing import Any

import torch
import torch.fx.experimental.symbolic_shapes  # autograd would import it at its first use, in every fork

from manualgrad.exercises.checker import READY
from manualgrad.exercises.course import Exercise, find
from manualgrad.exercises.judge import judge
from manualgrad.exercises.limits import Limits, out_of_memory, run_limited
from manualgrad.exercises.outcome import Outcome, Request


def answer(request: Request) -> Outcome:
    """Check one file, whatever it does.

    Parameters
    ----------
    request : Request
        What to check.

    Returns
    -------
    Outcome
        The verdict; how the process ended, if it came to none.
    """
    exercise = find(request.exercise)
    limits = Limits(**request.limits)  # type: ignore[arg-type]

    def work() -> dict[str, Any]:
        torch.manual_seed(0)
        return judge(exercise, request).to_dict()

    ending = run_limited(work, limits)
    if ending.result is not None:
        outcome = Outcome(**ending.result)
        if _ran_out_of_memory(outcome):
            outcome = dataclasses.replace(
                outcome, kind="memory", message=_sentence(exercise, out_of_memory(limits)), report=""
            )
    else:
        steps = len(exercise.steps)
        outcome = Outcome(steps=steps, kind=ending.kind, message=_sentence(exercise, ending.message))
    return dataclasses.replace(outcome, printed=ending.printed, seconds=round(ending.seconds, 3))


def _sentence(exercise: Exercise, rest: str) -> str:
    return f"{exercise.name}.py {rest}"


def _ran_out_of_memory(outcome: Outcome) -> bool:
    # PyTorch reports it as a RuntimeError, which the check reports as something that backward raised.
    signs = ("MemoryError", "can't allocate memory", "not enough memory")
    return outcome.kind == "raises" and any(sign in outcome.message for sign in signs)


def main() -> None:
    """Answer requests until the other side closes the pipe."""
    torch.set_num_threads(1)  # a fork has this one thread; and gradings run side by side
    # What the student's code prints must never get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    answers.write(READY)
    answers.flush()
    for line in sys.stdin:
        outcome = answer(Request(**json.loads(line)))
        answers.write(json.dumps(outcome.to_dict()) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
