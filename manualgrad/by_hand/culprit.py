"""Where a number that is not finite came up in a network by hand: which of its arrays had it first."""

from torch import Tensor

from manualgrad.by_hand.classifier import Classifier
from manualgrad.training.culprit import bad_from_the_start, describe
from manualgrad.training.operations import Operations, is_bad


def find_culprit_by_hand(
    network: Classifier, inputs: Tensor, labels: Tensor, anomaly: bool = False
) -> str | None:
    """Go through a batch again and tell which array was the first that is not finite.

    Parameters
    ----------
    network : Classifier
        Its weights stay as they are; its gradient becomes that of this batch.
    inputs, labels : Tensor
        (N, ...) and (N,).
    anomaly : bool
        Find the operation, too, and the line where it is written.

    Returns
    -------
    str or None
        A sentence without its full stop; None if all is finite.
    """
    if finding := bad_from_the_start({"the input": inputs}, {"the vector of parameters": network.parameters}):
        return finding
    network.forward(inputs, labels)  # from here on there are arrays for so many rows
    with Operations(network.arrays()) as operations:
        loss = network.forward(inputs, labels)
        network.backward()
    if not is_bad(loss) and not is_bad(network.grad):
        return None
    name, array = operations.first_named or ("the loss", loss)
    finding = f"{name} {describe(array)}"
    return f"{finding}. {operations.origin([loss, network.grad])}" if anomaly else finding
