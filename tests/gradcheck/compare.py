"""What torch.autograd.gradcheck makes of the same bank: ``python -m tests.gradcheck.compare``.

It runs in its default mode on the same inputs in float64, and names nothing.
"""

import warnings

import torch
from torch.autograd import Function

from manualgrad.gradcheck import gradcheck
from tests.gradcheck.bank import Entry
from tests.gradcheck.test_bank import RIGHT, WRONG


def torch_rejects(entry: Entry) -> bool:
    """Whether PyTorch's own check fails, for whatever reason; it has no limit of time, and would hang."""
    if "time_limit" in entry.options:
        return entry.kind is not None
    fn = entry.fn.apply if isinstance(entry.fn, type) and issubclass(entry.fn, Function) else entry.fn
    inputs = entry.inputs()
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    # It looks at no input that does not require grad.
    if not any(isinstance(i, torch.Tensor) and i.requires_grad for i in inputs):
        inputs = tuple(_leaf(i) for i in inputs)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return not torch.autograd.gradcheck(fn, inputs)
    except (Exception, SystemExit):
        return True


def _leaf(value: object) -> object:
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.detach().clone().requires_grad_()
    return value


def main() -> None:
    """Print the counts."""
    reports = [gradcheck(e.fn, e.inputs(), e.reference, **e.options) for e in WRONG]
    kinds = [report.findings[0].kind for report in reports]
    named = sum(kind == entry.kind for kind, entry in zip(kinds, WRONG, strict=True))
    falsely = sum(not gradcheck(e.fn, e.inputs(), e.reference, **e.options).ok for e in RIGHT)
    rejected = sum(not report.ok for report in reports)
    print(f"{len(WRONG)} wrong: ours rejects {rejected}, names {named} rightly;")
    print(f"    torch.autograd.gradcheck rejects {sum(map(torch_rejects, WRONG))}, and names none")
    print(f"{len(RIGHT)} right: ours rejects {falsely};")
    print(f"    torch.autograd.gradcheck rejects {sum(map(torch_rejects, RIGHT))}")


if __name__ == "__main__":
    main()
