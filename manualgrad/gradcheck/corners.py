"""What is said of an element at which the function has a corner."""

from torch import Tensor

from manualgrad.gradcheck.conduct import first_index
from manualgrad.gradcheck.judge import Sample
from manualgrad.gradcheck.subject import Subject


def corner(subject: Subject, sample: Sample, position: int, where: Tensor) -> str:
    """Set the first such element's gradient beside the slopes on its left and right."""
    index = first_index(where)
    assert index is not None
    estimate, yours = sample.numeric[position], sample.yours[position]
    left, right = float(estimate.left[index]) + 0.0, float(estimate.right[index]) + 0.0  # no minus zero
    entry = subject.entry(position, index)
    says = f"{entry} is at a corner: the slope is {left:.6g} from the left and {right:.6g} from the right"
    if not bool(sample.wrong[position][index]):
        return f"{says}. Yours, {yours[index]:.6g}, lies between them and is allowed."
    if position in sample.reference:
        return (
            f"{says}. Yours is {yours[index]:.6g}, the reference has {sample.reference[position][index]:.6g}."
        )
    return f"{says}. Yours, {yours[index]:.6g}, does not lie between them."
