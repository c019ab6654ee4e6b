"""The charts of a training, one question a section: what each shows, what is healthy, and what to do."""

from typing import Any

LEARNS, ARRIVES, UNSTUCK, SIZED, RIGHT = QUESTIONS = (
    "1 Does it learn?",
    "2 Do the gradients arrive?",
    "3 Do the units still learn?",
    "4 Are the steps of the right size?",
    "5 Are the hand-written gradients right?",
)

LOSS, ACCURACY, BATCH = "loss", "accuracy", "batch loss"
GRADIENT, WEIGHT, STUCK = "log10 of gradient norm", "weight norm", "stuck units"
UPDATE, RATE = "log10 of update to weight", "learning rate"
CHECK = "log10 of gradient error, right below -3"

# Drawn as lines of their own, those of the run itself.
LIMITS = {STUCK: 0.5, CHECK: -3.0}

# Horizontally every chart counts steps, from 1. A line is a sub-run: training, validation, test, a layer.
# TensorBoard has seven colours, and these come in this order, so that lines of one chart have several.
CHARTS = {
    LEARNS: {
        LOSS: (
            "Mean loss of an epoch. Healthy: both lines fall, and flatten. Training falls and validation "
            "rises: it learns by heart; stop earlier, or take fewer units. None falls: see questions 2 to 4; "
            "if these say yes, take more units or another rate."
        ),
        ACCURACY: (
            "Part of the examples that are classified correctly. Healthy: both lines rise, with a small "
            "gap. A wide gap is learning by heart; a flat line at the share of the most frequent class is "
            "guessing."
        ),
        BATCH: "Loss of single batches, which jitters: what happens within an epoch. Healthy: it falls.",
    },
    ARRIVES: {
        GRADIENT: (
            "Length of the loss's gradient by a layer's parameters, a line a layer: -3 is a thousandth. "
            "Healthy: within 2 of each other. The first layers far below: it vanishes on its way; take "
            "ReLU, fewer layers, or Glorot's initial weights. Far above: it explodes; take smaller "
            "initial weights."
        ),
    },
    UNSTUCK: {
        STUCK: (
            "Part of a layer's units that hardly learn: ReLUs that are 0 for every probe, and outputs of "
            "sigmoid and tanh where the slope is under a tenth of its greatest. Healthy: under a half, the "
            "run's own line. Above: take a smaller learning rate, or smaller initial weights."
        ),
    },
    SIZED: {
        UPDATE: (
            "How far a step moves a layer's parameters, as a part of their length: -3 is a thousandth, "
            "which is about right. At the first steps above 0, or later above -1: take a tenth of the "
            "learning rate. Never that, and below -5 while nothing is learnt: take ten times it."
        ),
        WEIGHT: (
            "Length of a layer's parameters, a line a layer. Healthy: it grows slowly. Growing without "
            "end: take a smaller learning rate."
        ),
        RATE: "The optimizer's step size.",
    },
    RIGHT: {
        CHECK: (
            "Worst relative error of the gradients against numeric ones, in a few weights of every layer. "
            "Healthy: under a thousandth, -3. Above: a backward is wrong; manualgrad.gradcheck says where "
            "and how."
        ),
    },
}
# Custom Scalars shows no description, so that what is healthy stands in the title.
TITLES = {
    GRADIENT: f"{GRADIENT}, healthy within 2",
    STUCK: f"{STUCK}, healthy below {LIMITS[STUCK]}",
    UPDATE: f"{UPDATE}, healthy near -3",
}
DESCRIPTIONS = {tag: text for charts in CHARTS.values() for tag, text in charts.items()}

# What SummaryWriter.add_custom_scalars takes. The same for every network, so that runs share their charts.
LAYOUT: dict[str, dict[str, list[Any]]] = {
    question: {TITLES.get(tag, tag): ["Multiline", [f"^{tag}$"]] for tag in charts}
    for question, charts in CHARTS.items()
}
