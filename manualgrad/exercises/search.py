"""Ask a search that runs a student's code for a while: one that fails or takes too long has found nothing."""

import contextlib
import inspect
import io
import re
import signal
import warnings
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from torch import Tensor
from torch.autograd import Function

from manualgrad.cases import FunctionInfo, SampleInput
from manualgrad.exercises.edits import read
from manualgrad.exercises.slips import Slips, record

T = TypeVar("T")
COMPUTING, WAITING = 2.0, 4.0  # seconds that all questions of one check may take
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

    def __init__(self, info: FunctionInfo, theirs: type[Function], source: bytes) -> None:
        self.info, self.theirs = info, theirs
        written = source.decode("utf-8", "replace").partition("def backward")[2]
        self._draws = bool(re.search(r"\brand|seed\(", written))  # then another draw proves nothing
        self._patience = Patience()
        self._slips: dict[Any, Slips | None] = {}

    def ask(
        self,
        question: Callable[..., T],
        sample: SampleInput,
        arguments: tuple[Any, ...],
        checked: Collection[str],
        *more: Any,
    ) -> T | None:
        """Ask about the gradients of some arguments, or of all; what is right in samples checked stays so."""
        key = sample.name, arguments

        def answer() -> T | None:
            if key not in self._slips:
                self._slips[key] = None  # if it fails
                self._slips[key] = self._begin(sample, arguments, checked)
            slips = self._slips[key]
            return question(slips, *more) if slips else None

        return self._patience.ask(answer)

    def _begin(
        self, sample: SampleInput, arguments: tuple[Any, ...], checked: Collection[str]
    ) -> Slips | None:
        ours = self.info.function_class
        names = list(inspect.signature(ours.forward).parameters)
        again = next(one for one in self.info.samples(seed=1) if one.name == sample.name)
        before = [one for one in self.info.samples() if one.name in checked and one.name != sample.name]
        calls = [call for one in (sample, again) for call in record(self.info, one)]
        earlier = [call for one in before for call in record(self.info, one)]
        tensors = [k for k, gradient in enumerate(calls[0].right) if isinstance(gradient, Tensor)]
        places = [k for k in tensors if not arguments or names[k] in arguments]
        places = places or [k for k in tensors if any(str(a).endswith(names[k]) for a in arguments)]
        if not places or self._draws:
            return None
        return Slips(read(ours.backward, False), read(self.theirs.backward, True), calls, earlier, places)
