"""What is measured of a wrong gradient: all that a diagnosis may look at."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.run import Measurement, Run
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.subject import SubjectError, as_gradient
from manualgrad.gradcheck.tolerance import index_of_largest, same


@dataclass(frozen=True)
class Case:
    """One argument whose gradient is wrong, in several runs: other inputs, other upstream gradients."""

    session: Session
    position: int  # of the argument
    runs: list[Run]  # the first is where it was found wrong

    @cached_property
    def measured(self) -> list[Measurement]:
        """What was measured in each run."""
        return [run.measured[self.position] for run in self.runs]

    @property
    def first(self) -> Measurement:
        """Where the gradient was found wrong."""
        return self.measured[0]

    @cached_property
    def names(self) -> list[str]:
        """How a sentence refers to each argument."""
        return list(map(self.session.subject.name_of, range(len(self.first.run.values))))

    @property
    def name(self) -> str:
        """The argument's name."""
        return self.names[self.position]

    @property
    def shape(self) -> torch.Size:
        """The shape of the gradient."""
        return self.first.yours.shape

    def explained_by(self, formula: Callable[[Measurement], Tensor | None]) -> bool:
        """Return whether a formula gives yours everywhere."""
        return all(same(formula(m), m.yours) for m in self.measured)

    def fixed_by(self, formula: Callable[[Measurement], Tensor | None]) -> bool:
        """Return whether a formula that begins with yours gives the right one everywhere."""
        return all(same(formula(m), m.right) for m in self.measured)

    def yours_for(self, m: Measurement, upstream: Callable[[Tensor], Tensor]) -> Tensor | None:
        """Run the backward again with a changed upstream; None if that raises."""
        return self._rerun(m, [upstream(u) for u in m.run.upstream], nullcontext())

    def yours_within(self, m: Measurement, around: AbstractContextManager[Any]) -> Tensor | None:
        """Run the backward again in a context; None if that raises."""
        return self._rerun(m, m.run.upstream, around)

    def _rerun(
        self, m: Measurement, upstream: Sequence[Tensor], around: AbstractContextManager[Any]
    ) -> Tensor | None:
        try:
            run = self.session.run(m.run.values, upstream, around=around)
        except SubjectError:
            return None
        return as_gradient(run.gradients[self.position], m.run.values[self.position])

    def right_with(self, m: Measurement, upstream: list[Tensor]) -> Tensor:
        """Return the right gradient for another upstream: Jᵀ · upstream."""
        if m.jacobian is not None:
            return (as_vector(upstream) @ m.jacobian).reshape(self.shape)
        given = tuple(u.to(was) for u, was in zip(upstream, m.run.upstream, strict=True))
        return self.session.right_gradient(replace(m.run, upstream=given), self.position)

    def element(self, index: tuple[int, ...]) -> str:
        """Work one element out in numbers: beside its input and its upstream where it has one of each."""
        m, entry = self.first, self.name + (str(list(index)) if index else "")
        yours, right = float(m.yours[index]), float(m.right[index])
        x, u = m.inputs.get(self.name), m.upstream[0]
        if x is not None and len(m.upstream) == 1 and u.shape == x.shape:
            up = float(u[index])
            if up and abs(yours) < float("inf"):
                compared = _apart(yours / up, right / up, "upstream × ")
                return f"{entry} = {float(x[index]):.4g}, upstream {up:.4g}: {compared}"
        source = "numeric" if m.reference is None else "reference"
        return f"{entry}: {_apart(yours, right)} ({source})"

    def worst_elements(self, count: int = 3) -> str:
        """Work the worst elements out in numbers."""
        error = (self.first.yours - self.first.right).abs().nan_to_num(0.0)
        told = []
        for _ in range(min(count, error.numel())):
            index = index_of_largest(error)
            told.append(self.element(index))
            error[index] = -1.0
        return "; ".join(told)


def as_vector(upstream: list[Tensor]) -> Tensor:
    """Return the upstream gradients of all results as one vector."""
    return torch.cat([u.reshape(-1) for u in upstream])


def _apart(yours: float, right: float, unit: str = "") -> str:
    """Write both numbers with as many digits as it takes to tell them apart."""
    digits = next((d for d in (4 if unit else 6, 6, 9) if f"{yours:.{d}g}" != f"{right:.{d}g}"), 12)
    return f"yours {unit}{yours:.{digits}g}, should be {unit}{right:.{digits}g}"
