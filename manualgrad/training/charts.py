"""How the curves are put together in the Custom Scalars tab: one question a section."""

import re

from manualgrad.training.page import Layout


def arrange_charts(layers: list[str], stuck: list[str]) -> Layout:
    """Return the layout of a network's page.

    Parameters
    ----------
    layers : list of str
        The layers' names.
    stuck : list of str
        The curves of dead units and of saturated ones, as far as there are any.

    Returns
    -------
    dict
        Section to chart to curves.
    """

    def lines(*tags: str) -> list[object]:
        return ["Multiline", [f"^{re.escape(tag)}$" for tag in tags]]

    def by_layer(what: str) -> list[object]:
        return lines(*(f"{what}/{layer}" for layer in layers))

    return {
        "1 Does it learn?": {
            "loss": lines("loss/training", "loss/validation"),
            "accuracy": lines("accuracy/training", "accuracy/validation"),
        },
        "2 Do the gradients arrive in every layer?": {
            "gradient norm": by_layer("gradient norm"),
            "log10 of update : weight (about -3 is healthy)": by_layer("log10 update to weight"),
        },
        "3 Do the units still learn?": {
            "part that is stuck: dead ReLUs, saturated sigmoids": lines(*stuck),
            "parameter norm": by_layer("parameter norm"),
        },
        "4 Are the hand-written gradients right?": {
            "gradient check: worst relative error": lines("gradient check/worst relative error"),
            "loss of the same batches": lines("loss/batch"),
        },
        "5 How fast, and with what step size?": {
            "examples per second": lines("speed/examples per second"),
            "learning rate": lines("learning rate"),
        },
    }
