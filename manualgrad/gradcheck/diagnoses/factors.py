"""Name a constant factor in the words of the function: a batch size, a number of classes, an exponent."""

import math
from collections.abc import Iterator
from fractions import Fraction

from manualgrad.gradcheck.diagnoses.case import Case

NUMBERS = {math.log(2): "ln 2", math.log(10): "ln 10", math.pi: "π", math.e: "e", math.sqrt(2): "√2"}


def name_factor(factor: float, case: Case) -> str:
    """Return a factor in words a student recognises: ``½``, ``1/4 (1/N: logits has size 4 in ...)``."""
    reasons: dict[tuple[str, str], str] = {}
    for value, name, what, where in _sizes(case):
        if value in (0, 1, -1):
            continue
        forms = {name: abs(value), f"1/{name}": 1 / abs(value)}
        if abs(value) != 4:  # 2 and ½ have likelier reasons
            forms |= {f"√{name}": abs(value) ** 0.5, f"1/√{name}": abs(value) ** -0.5}
        symbol = next((form for form, number in forms.items() if _equal(abs(factor), number)), None)
        if symbol is None:
            continue
        # Tensors of the same size in the same dimension are one reason; the first of them stands for all.
        reasons.setdefault((symbol, where), f"{symbol}: {what} {where}" if where else symbol)
    # A number among the arguments needs no explanation by a size.
    which = [text for (_, where), text in reasons.items() if not where] or list(reasons.values())[:2]
    return f"{_number(factor)} ({', or '.join(which)})" if which else _number(factor)


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


def _sizes(case: Case) -> Iterator[tuple[float, str, str, str]]:
    """Yield sizes and numbers that occur, the likeliest first: value, symbol, whose, and where."""
    for name, value in zip(case.names, case.first.run.values, strict=True):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield float(value), name, "", ""
    if case.first.upstream[0].shape == case.shape:
        return  # element by element no size has a part in it
    inputs = case.first.inputs
    own = {case.name: inputs[case.name]} if case.name in inputs else {}
    tensors = [*(own | inputs).items(), *(("the result", output) for output in case.first.outputs.values())]
    for name, tensor in tensors:
        for d, size in enumerate(tensor.shape):
            symbol = "N" if d == 0 else "C" if d == 1 else "K"
            yield size, symbol, name, f"has size {size} in dimension {d}"
        if tensor.dim() > 1:
            yield tensor.numel(), "N", name, f"has {tensor.numel()} elements"


def _equal(a: float, b: float) -> bool:
    return abs(a - b) <= 2e-4 * abs(b)
