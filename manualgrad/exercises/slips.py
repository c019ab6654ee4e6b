"""Name the link of a chain that is missing, taken at the wrong place, or added."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from manualgrad.gradcheck.tolerance import same


@dataclass(frozen=True)
class Link:
    """One link of a chain: how its derivative is written, the function, and the derivative."""

    name: str
    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]


def name_slip(links: Sequence[Link], x: Tensor, upstream: Tensor, gradient: Tensor) -> tuple[str, str] | None:
    """Return a kind and a sentence if some links of the chain were written wrong, the rest right."""
    points = list(itertools.accumulate(links, lambda point, link: link.function(point), initial=x))
    for wrong, factors in _chains(links, points):
        if same(gradient, upstream * torch.stack(factors).prod(0)):
            missing = any("missing" in sentence for sentence in wrong)
            return "missing-terms" if missing else "input-for-output", " ".join(wrong)
    added = sum(link.derivative(point) for link, point in zip(links, points, strict=False))
    if same(gradient, upstream * added):
        return "missing-terms", "The links of the chain are added. Links multiply; only parallel paths add."
    return None


def _chains(links: Sequence[Link], points: Sequence[Tensor]) -> Iterator[tuple[list[str], list[Tensor]]]:
    """Yield every chain with some links wrong, the fewest first: what is wrong with it, and its factors."""
    names = [link.name.rpartition("d")[2] for link in links] + [links[-1].name[1:].partition("/")[0]]
    options: list[list[tuple[str, Tensor]]] = []
    for i, link in enumerate(links):
        value = f"In the link {link.name} stands the function's value; its derivative belongs there."
        here = [
            ("", link.derivative(points[i])),
            (f"The link {link.name} is missing.", torch.ones_like(points[0])),
            (value, link.function(points[i])),
        ]
        for name, point in zip(names, points, strict=True):
            if name != names[i]:
                sentence = f"The link {link.name} is taken at {name}; it belongs at {names[i]}."
                here.append((sentence, link.derivative(point)))
        options.append(here)
    for chosen in sorted(itertools.product(*options), key=lambda chain: sum(bool(s) for s, _ in chain)):
        wrong = [sentence for sentence, _ in chosen if sentence]
        if wrong:
            yield wrong, [factor for _, factor in chosen]
