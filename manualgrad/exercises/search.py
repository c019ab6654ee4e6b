"""Ask a search that runs a student's code for a while: one that fails or takes too long has found nothing."""

import contextlib
import dataclasses
import inspect
import io
import re
import signal
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd import Function

from manualgrad.cases import FunctionInfo, SampleInput
from manualgrad.exercises.slips import Slips
from manualgrad.exercises.source import read, record

T = TypeVar("T")
COMPUTING, WAITING = 1.0, 4.0  # seconds that all questions of one check may take
AGAIN = 0.1  # a bare `except` in a loop swallows the first


class OverError(BaseException):
    """The time is over. Not an Exception: the code that runs shall not catch it."""


class Patience:
    """What is left of the time that a check has for its questions."""

    def __init__(self) -> None:
        self._left = {signal.ITIMER_PROF: COMPUTING, signal.ITIMER_REAL: WAITING}
        self._is_over = False

    def ask(self, question: Callable[[], T]) -> T | None:
        """Return the answer; None without one. What the student's code prints meanwhile is dropped."""
        if self._is_over:
            return None
        try:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                signal.signal(signal.SIGPROF, self._end)
                signal.signal(signal.SIGALRM, self._end)
                for timer, seconds in self._left.items():
                    signal.setitimer(timer, seconds, AGAIN)
                return question()
        except (Exception, SystemExit, OverError):
            return None
        finally:
            self._left = {timer: signal.setitimer(timer, 0)[0] for timer in self._left}

    def _end(self, *_: Any) -> None:
        self._is_over = True
        raise OverError


class Search:
    """The searches for the slip in a student's Function, one for each sample and each set of arguments."""

    def __init__(
        self, info: FunctionInfo, theirs: type[Function], source: bytes, samples: list[SampleInput]
    ) -> None:
        self.info, self.theirs, self.samples = info, theirs, samples
        written = source.decode("utf-8", "replace").partition("def backward")[2]
        self._draws = bool(re.search(r"\brand|seed\(", written))  # then another draw proves nothing
        self._patience = Patience()
        self._slips: dict[Any, Slips | None] = {}
        self._found: dict[Any, tuple[str, str] | None] = {}

    def find(self, sample: SampleInput, arguments: tuple[Any, ...]) -> tuple[str, str] | None:
        """Find the slip behind the gradients of some arguments, or of all: a kind and a sentence."""
        key = sample.name, arguments
        if key not in self._found:
            self._found[key] = self._patience.ask(
                lambda: slips.find() if (slips := self._begin(sample, arguments)) else None
            )
        return self._found[key]

    def unread(self, sample: SampleInput, arguments: tuple[Any, ...], with_right: bool) -> str:
        """Say what the right backward reads and theirs does not, and which of their values are right."""
        said = Patience().ask(  # there is something to say even if nothing was found in time
            lambda: slips.unread(with_right) if (slips := self._begin(sample, arguments)) else ""
        )
        return said or ""

    def _begin(self, sample: SampleInput, arguments: tuple[Any, ...]) -> Slips | None:
        key = sample.name, arguments
        if key in self._slips or self._draws:
            return self._slips.get(key)
        self._slips[key] = None  # if it fails
        names = list(inspect.signature(self.info.function_class.forward).parameters)
        again = [one for one in self.info.samples(seed=1) if one.name == sample.name]
        calls = [call for one in (sample, *again) for call in record(self.info, one)]
        others = [one for one in self.samples if one.name != sample.name]
        more = [call for one in (*_changed(sample), *others) for call in record(self.info, one)]
        tensors = [k for k, gradient in enumerate(calls[0].right) if isinstance(gradient, Tensor)]
        places = [k for k in tensors if not arguments or names[k] in arguments]
        places = places or [k for k in tensors if any(str(a).endswith(names[k]) for a in arguments)]
        if places:
            ours, theirs = read(self.info.function_class.backward), read(self.theirs.backward)
            self._slips[key] = Slips(ours, theirs, [*calls, *more], places, len(calls))
        return self._slips[key]


def _changed(sample: SampleInput) -> Iterator[SampleInput]:
    """Yield a sample with some of its numbers 0, and with small ones."""
    for factors in ((0.0, 1.0, 1.0), (0.01,)):
        args = []
        for value in sample.args:
            if isinstance(value, Tensor) and value.requires_grad:
                cycle = torch.tensor(factors, dtype=value.dtype).repeat(value.numel())[: value.numel()]
                value = (value.detach() * cycle.reshape(value.shape)).requires_grad_()
            args.append(value)
        yield dataclasses.replace(sample, args=tuple(args))
