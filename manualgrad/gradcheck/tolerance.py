"""What counts as equal: one tolerance, one comparison."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Tolerance:
    """How far apart two equal numbers may be."""

    relative: float  # to the element
    scaled: float  # relative to the largest element
    absolute: float = 0.0  # in the gradient's own unit

    @classmethod
    def of(cls, eps: float) -> "Tolerance":
        """Return what honest rounding stays within, in a precision of ``eps``."""
        # In float64 a factor is left for a mask or a constant that went through float32.
        return cls(max(1e-5, 2 * eps**0.5), max(1e-6, 2 * eps**0.5))

    def bound(self, right: Any, error: Any, size: float) -> Any:
        """Return how far each element may be from the right one, given how well that is known."""
        return self.relative * abs(right) + self.scaled * size + self.absolute + 5 * error


# Diagnoses are compared less strictly than gradients are judged: the question is which, not whether.
DIAGNOSIS = Tolerance(1e-4, 1e-5)


def close(
    a: Tensor,
    right: Tensor,
    tolerance: Tolerance = DIAGNOSIS,
    error: Tensor | float = 0.0,
    size: float | None = None,
) -> Tensor:
    """Return where two tensors agree; an element that is not known (NaN or infinite in ``right``) does."""
    size = largest(right) if size is None else size
    return ((a - right).abs() <= tolerance.bound(right, error, size)) | ~right.isfinite()


def same(a: Tensor | None, right: Tensor, tolerance: Tolerance = DIAGNOSIS) -> bool:
    """Return whether two gradients agree wherever both are known, and some element is."""
    if a is None or a.shape != right.shape:
        return False
    known = a.isfinite() & right.isfinite()
    return bool(known.any()) and bool(close(a[known], right[known], tolerance).all())


def largest(values: Tensor) -> float:
    """Return the size of the largest finite element, 0 if there is none."""
    return float(values.nan_to_num(0.0, 0.0, 0.0).abs().max()) if values.numel() else 0.0


def index_of_largest(values: Tensor) -> tuple[int, ...]:
    """Return where the largest value stands; ``torch.unravel_index`` would import sympy."""
    return tuple((values == values.max()).nonzero()[0].tolist())


def first_index(mask: Tensor) -> tuple[int, ...] | None:
    """Return the smallest index where a mask holds, None if nowhere."""
    where = mask.nonzero()
    return tuple(int(i) for i in where[0]) if len(where) else None
