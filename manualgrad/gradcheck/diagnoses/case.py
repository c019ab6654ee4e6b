"""What is measured of a wrong gradient: all that a diagnosis may look at."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.point import Point
from manualgrad.gradcheck.running import Upstream
from manualgrad.gradcheck.subject import real
from manualgrad.gradcheck.tolerance import index_of_largest, same


@dataclass(frozen=True)
class Measurement:
    """One backward, in float64 on the CPU (integers as they are, complex numbers as well).

    Attributes
    ----------
    yours, right : Tensor
        The gradient as it was returned; the right one, NaN where it is not known.
    upstream : list of Tensor
        What backward was given, per result.
    inputs, outputs : dict of Tensor
        The real arguments and results, by the name that a sentence gives them.
    point : Point
        The same as it was run.
    measure_jacobian : callable
        Makes :attr:`jacobian`, which not every diagnosis needs.
    """

    yours: Tensor
    right: Tensor
    upstream: list[Tensor]
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    point: Point
    measure_jacobian: Callable[[Point], Tensor | None]

    @cached_property
    def jacobian(self) -> Tensor | None:
        """Every result's derivative by every element, (results, elements); None if that is too much."""
        return self.measure_jacobian(self.point)


@dataclass(frozen=True)
class Case:
    """One argument whose gradient is wrong, at several points and for several upstream gradients.

    Attributes
    ----------
    position : int
        The argument.
    names : list of str
        How a sentence refers to each argument.
    points : list of Point
        The first is where it was found wrong.
    rerun : callable
        Runs the backward again at a point, with another upstream or in a context; None if that raises.
    right_for : callable
        The right gradient at a point for another upstream.
    jacobian_at : callable
        Every result's derivative by every element of the argument, as a matrix; None if that is too much.
    """

    position: int
    names: list[str]
    points: list[Point]
    rerun: Callable[[Point, Upstream, AbstractContextManager[Any]], Tensor | None]
    right_for: Callable[[Point, tuple[Tensor, ...]], Tensor]
    jacobian_at: Callable[[Point], Tensor | None]

    @cached_property
    def measured(self) -> list[Measurement]:
        """What was measured at each point."""
        return [
            Measurement(
                point.gradients[self.position].yours,
                point.gradients[self.position].right,
                [_plain(u) for u in point.run.upstream],
                {
                    name: _plain(value)
                    for name, value in zip(self.names, point.values, strict=True)
                    if isinstance(value, Tensor) and not value.is_complex()
                },
                {
                    "the output" if len(point.run.outputs) == 1 else f"output {k}": _plain(output)
                    for k, output in enumerate(point.run.outputs)
                    if not output.is_complex()
                },
                point,
                self.jacobian_at,
            )
            for point in self.points
        ]

    @property
    def first(self) -> Measurement:
        """Where the gradient was found wrong."""
        return self.measured[0]

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
        """Run the backward again with a changed upstream."""
        return self.rerun(m.point, [upstream(u) for u in m.point.run.upstream], nullcontext())

    def yours_within(self, m: Measurement, around: AbstractContextManager[Any]) -> Tensor | None:
        """Run the backward again in a context."""
        return self.rerun(m.point, m.point.run.upstream, around)

    def right_with(self, m: Measurement, upstream: list[Tensor]) -> Tensor:
        """Return the right gradient for another upstream: Jᵀ · upstream."""
        if m.jacobian is not None:
            return (as_vector(upstream) @ m.jacobian).reshape(self.shape)
        return self.right_for(
            m.point, tuple(u.to(was) for u, was in zip(upstream, m.point.run.upstream, strict=True))
        )

    def element(self, index: tuple[int, ...]) -> str:
        """Work one element out in numbers: beside its input and its upstream where it has one of each."""
        m, entry = self.first, self.name + (str(list(index)) if index else "")
        yours, right = float(m.yours[index]), float(m.right[index])
        x, u = m.inputs.get(self.name), m.upstream[0]
        if x is not None and len(m.upstream) == 1 and u.shape == x.shape and not u.is_complex():
            up = float(u[index])
            if up and abs(yours) < float("inf"):
                compared = _apart(yours / up, right / up, "upstream × ")
                return f"{entry} = {float(x[index]):.4g}, upstream {up:.4g}: {compared}"
        source = "numeric" if m.point.gradients[self.position].reference is None else "reference"
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
    return torch.cat([real(u).reshape(-1) for u in upstream])


def _apart(yours: float, right: float, unit: str = "") -> str:
    """Write both numbers with as many digits as it takes to tell them apart."""
    digits = next((d for d in (4 if unit else 6, 6, 9) if f"{yours:.{d}g}" != f"{right:.{d}g}"), 12)
    return f"yours {unit}{yours:.{digits}g}, should be {unit}{right:.{digits}g}"


def _plain(tensor: Tensor) -> Tensor:
    return tensor.cpu().double() if tensor.is_floating_point() else tensor.cpu()
