"""How the curves are put together in the Custom Scalars tab: one question a section."""

from typing import Any


def _chart(*patterns: str) -> list[Any]:
    """One chart with every curve whose tag begins with one of the patterns."""
    return ["Multiline", list(patterns)]


# The same for every network, so that TensorBoard draws several runs into the same charts. What is not said
# to be by epoch is by step.
LAYOUT = {
    "1 Does it learn?": {
        "loss, by epoch": _chart("loss/training", "loss/validation"),
        "accuracy, by epoch": _chart("accuracy/training", "accuracy/validation"),
    },
    "2 Do the gradients arrive in every layer?": {
        "gradient norm": _chart("gradient norm/"),
        "log10 of update : weight (about -3 is healthy)": _chart("log10 update to weight/"),
    },
    "3 Do the units still learn?": {
        "part that is stuck: dead ReLUs, saturated sigmoids": _chart("dead ReLUs/", "saturated "),
        "parameter norm": _chart("parameter norm/"),
    },
    "4 Are the hand-written gradients right?": {
        "gradient check: worst relative error": _chart("gradient check/"),
        "loss of the same batches": _chart("loss/batch"),
    },
    "5 How fast, and with what step size?": {
        "examples per second": _chart("speed/"),
        "learning rate": _chart("learning rate"),
    },
}
