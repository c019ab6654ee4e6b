"""A constant factor in the words of the function: a batch size, a number of classes, an exponent."""

import math
from collections.abc import Iterator
from fractions import Fraction

from torch import Tensor

from manualgrad.gradcheck.case import Case

NUMBERS = {math.log(2): "ln 2", math.log(10): "ln 10", math.pi: "π", math.e: "e", math.sqrt(2): "√2"}


def name_factor(factor: float, case: Case) -> str:
    """Return the factor in words a student recognises, with what in the function has that size.

    Parameters
    ----------
    factor
        What the gradient is multiplied by and should not be.
    case
        For the sizes that occur in it.

    Returns
    -------
    str
        For example ``2``, ``½``, ``1/4 (1/N: logits has 4 rows)``, or the bare number.
    """
    number = _number(factor)
    reasons = []
    for value, reason in _sizes(case):
        if value in (0, 1, -1):
            continue
        if _equal(abs(factor), abs(value)):
            reasons.append(reason)
        elif _equal(abs(factor), 1 / abs(value)):
            reasons.append(f"1/{reason}")
    unique = list(dict.fromkeys(reasons))[:3]
    return f"{number} (= {', or '.join(unique)})" if unique else number


def _number(factor: float) -> str:
    sign, size = ("−" if factor < 0 else ""), abs(factor)
    for value, name in NUMBERS.items():
        if _equal(size, value):
            return sign + name
        if _equal(size, 1 / value):
            return f"{sign}1/{name}"
    fraction = Fraction(size).limit_denominator(1000)
    if fraction and _equal(size, float(fraction)) and (fraction.numerator <= 12 or fraction.denominator == 1):
        return sign + ("½" if fraction == Fraction(1, 2) else str(fraction))
    return f"{factor:.4g}".replace("-", "−")


def _sizes(case: Case) -> Iterator[tuple[float, str]]:
    """Sizes and numbers that occur in the arguments and results, each with its description."""
    subject = case.subject
    tensors = [(subject.name_of(i), v) for i, v in enumerate(case.sample.values) if isinstance(v, Tensor)]
    tensors += [("the result", output) for output in case.sample.record.outputs]
    for name, tensor in tensors:
        letters = ("N",) if tensor.dim() == 1 else ("N", "C") if tensor.dim() == 2 else ()
        for d, size in enumerate(tensor.shape):
            letter = f"{letters[d]}, " if letters else ""
            yield size, f"{letter}the size of {name} in dimension {d}"
    for name, tensor in tensors:
        if tensor.dim() > 1:
            yield tensor.numel(), f"the number of elements of {name}"
    for i, value in enumerate(case.sample.values):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield float(value), subject.name_of(i)


def _equal(a: float, b: float) -> bool:
    return abs(a - b) <= 2e-4 * abs(b)
