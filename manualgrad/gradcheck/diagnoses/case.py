"""A wrong gradient with everything that a diagnosis may look at."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from manualgrad.gradcheck.judge import Point
from manualgrad.gradcheck.recording import Around
from manualgrad.gradcheck.running import Upstream
from manualgrad.gradcheck.tolerance import same


@dataclass(frozen=True)
class Case:
    """One argument whose gradient is wrong, at several points.

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
    """

    position: int
    names: list[str]
    points: list[Point]
    rerun: Callable[[Point, Upstream, Around], Tensor | None]
    right_for: Callable[[Point, tuple[Tensor, ...]], Tensor]

    @property
    def point(self) -> Point:
        """The point where the gradient was found wrong."""
        return self.points[0]

    @property
    def name(self) -> str:
        """The argument's name."""
        return self.names[self.position]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the gradient."""
        return tuple(self.point.yours[self.position].shape)

    def yours(self, point: Point) -> Tensor:
        """Return the gradient as returned."""
        return point.yours[self.position]

    def right(self, point: Point) -> Tensor:
        """Return the right gradient, NaN where it is not known."""
        return point.right[self.position]

    def explained_by(self, formula: Callable[[Point], Tensor | None]) -> bool:
        """Return whether a formula gives yours at every point."""
        return all(same(formula(point), self.yours(point)) for point in self.points)

    def fixed_by(self, formula: Callable[[Point], Tensor | None]) -> bool:
        """Return whether a change to yours makes it right at every point."""
        return all(same(formula(point), self.right(point)) for point in self.points)

    def with_upstream(self, point: Point, change: Callable[[Tensor], Tensor]) -> Tensor | None:
        """Run the backward again with a changed upstream."""
        return self.rerun(point, lambda outputs: [change(u) for u in point.run.upstream], nullcontext)

    def within(self, point: Point, around: Around) -> Tensor | None:
        """Run the backward again in a context."""
        return self.rerun(point, lambda outputs: point.run.upstream, around)

    def factor(self, point: Point) -> float | None:
        """Return the constant that best turns the right gradient into yours, whether or not it fits well."""
        yours, right = self.yours(point), self.right(point)
        known = yours.isfinite() & right.isfinite()
        square = float((right[known] ** 2).sum())
        product = float((yours[known] * right[known]).sum())
        return product / square if square and product else None

    def element(self, index: tuple[int, ...]) -> str:
        """Work one element out in numbers: beside its input and its upstream where it has one of each."""
        yours, right = float(self.yours(self.point)[index]), float(self.right(self.point)[index])
        entry = self.name + (str(list(index)) if index else "")
        value, upstream = self.point.values[self.position], self.point.run.upstream
        if len(upstream) == 1 and upstream[0].shape == value.shape and not upstream[0].is_complex():
            u, x = float(upstream[0][index]), float(value[index].real)
            if u and not value.is_complex() and abs(yours) < float("inf"):
                return (
                    f"{entry} = {x:.4g}, upstream {u:.4g}: yours upstream × {yours / u:.4g}, "
                    f"should be upstream × {right / u:.4g}"
                )
        source = "reference" if self.position in self.point.reference else "numeric"
        return f"{entry}: yours {yours:.6g}, should be {right:.6g} ({source})"

    def worst_elements(self, count: int = 3) -> str:
        """Work the worst elements out in numbers."""
        error = (self.yours(self.point) - self.right(self.point)).abs().nan_to_num(0.0)
        order = error.reshape(-1).argsort(descending=True)[:count]
        indices = [tuple(int(k) for k in torch.unravel_index(i, error.shape)) for i in order]
        return "; ".join(self.element(index) for index in indices)


def floats(point: Point) -> list[int]:
    """Return the positions of the real floating-point arguments."""
    return [i for i, v in enumerate(point.values) if isinstance(v, Tensor) and v.is_floating_point()]


def output_name(point: Point, k: int) -> str:
    """Return how a sentence refers to a result."""
    return "the output" if len(point.run.outputs) == 1 else f"output {k}"
