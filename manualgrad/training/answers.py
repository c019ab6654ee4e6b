"""What a run's own figures say to the five questions of its charts."""

from collections.abc import Callable, Collection, Sequence
from statistics import median

from manualgrad.training.charts import (
    ARRIVES,
    CHECK,
    GRADIENT,
    LEARNS,
    LIMITS,
    RIGHT,
    SIZED,
    STUCK,
    UNSTUCK,
    UPDATE,
    WEIGHT,
)

Records = Sequence[dict[str, float]]  # by "tag" or "tag/layer 1", oldest first
Answer = tuple[str, str, str]  # yes, no, a little or not asked; what was found; what to do, if anything

LEAST = 0.05  # above guessing: less is chance
FAINT = 1e-3  # of the largest layer's gradient: a smaller one has vanished
GONE = 1e-6  # of the gradient at the first step: while nothing is learnt, it should not fall so far
BOLD, TIMID = 0.1, 1e-5  # update to weight, as a rule; in a single step a layer may double
RISEN = 1.1  # times the least validation loss: it rises

BEGIN = "Begin with"
CAUSES = (RIGHT, SIZED, UNSTUCK, ARRIVES, LEARNS)  # what is wrong in one causes what is wrong in the next
AT_RANDOM = "the weights are zero: initialise them at random"


def answer(
    records: Records, epochs: Records, accuracy: float, guessing: float, relus: Collection[str] = ()
) -> dict[str, str]:
    """Answer each question that a monitor's records can answer: yes, no, a little, or not asked, and why.

    Several noes have one cause: only the first of them, with which to begin, says what to do. The layers in
    ``relus`` end in ReLU.
    """
    learnt = accuracy > (1 + guessing) / 2
    training = epochs[-1]["training_accuracy"] if epochs else 0.0
    by_heart = training > max(guessing, accuracy) + LEAST  # its units can learn, then
    known = f"; of the training examples it knows {training:.4f} by heart" if by_heart else ""
    found = {LEARNS: _learns(epochs, accuracy, guessing, known)}
    late = records[len(records) // 2 :]
    if gradients := _by_layer(late, GRADIENT):
        zero = 0 in _by_layer(late, WEIGHT).values()
        found[ARRIVES] = _arrives(gradients, _by_layer(records[:1], GRADIENT), learnt, zero)
        output = "" if not learnt or (last := list(gradients)[-1]) in relus else last
        stuck, at_first = (_by_layer(of, STUCK) for of in (records[-3:], records[:1]))
        found[UNSTUCK] = _unstuck(stuck, at_first, output, zero, relus)
        sizes = _by_layer(records, UPDATE)
        arriving = [name for name in sizes if gradients.get(name)]
        starved = "no" in (found[ARRIVES][0], found[UNSTUCK][0])
        found[SIZED] = _sized(sizes, _by_layer(records, UPDATE, max), arriving, learnt, zero, starved)
    if errors := [record[CHECK] for record in records if CHECK in record]:
        found[RIGHT] = _right(max(errors))
    causes = (RIGHT, SIZED, LEARNS) if by_heart else CAUSES
    noes = [question for question, (verdict, *_) in found.items() if verdict == "no"]
    begin = next((question for question in (*causes, *CAUSES) if question in noes), "")
    answers = {BEGIN: f"question {begin[0]}"} if begin else {}
    for question, (verdict, finding, advice) in found.items():
        if verdict == "no" and question != begin:
            advice = f"see question {begin[0]} first"
        answers[question] = f"{verdict}: {finding}" + (advice and f"; {advice}")
    return answers


def _learns(epochs: Records, accuracy: float, guessing: float, known: str) -> Answer:
    if accuracy > guessing + LEAST:
        much = "yes" if accuracy > (1 + guessing) / 2 else "a little"
        correct = f"{accuracy:.4f} of the answers are correct; guessing gets {guessing:.4f}"
        return much, correct, _overfits(epochs)
    guess, belong = f"{accuracy:.4f} is guessing ({guessing:.4f})", "do the labels belong to the inputs?"
    return (
        "no",
        guess + known,
        belong if known else f"{belong} Then try more epochs, another rate, or more units",
    )


def _overfits(epochs: Records) -> str:
    """Say since when the validation loss rises while the training loss falls, if it does."""
    losses = [epoch["validation_loss"] for epoch in epochs]
    if not losses or losses[-1] < RISEN * min(losses):
        return ""
    best = losses.index(min(losses))
    if epochs[-1]["training_loss"] >= epochs[best]["training_loss"]:
        return ""
    rise = f"the validation loss rises from {losses[best]:.3g} to {losses[-1]:.3g}, the training loss falls"
    return f"it overfits after epoch {best + 1}: {rise}; stop there, or take more data"


def _arrives(norms: dict[str, float], first: dict[str, float], learnt: bool, zero: bool) -> Answer:
    small, large = min(norms, key=norms.__getitem__), max(norms, key=norms.__getitem__)
    if norms[small] == 0:
        which = "every" if norms[large] == 0 else f"{small}'s"
        return "no", f"{which} gradient is 0", AT_RANDOM if zero else "is the loss cut off from the weights?"
    at_first = max(first.values())
    if norms[large] < GONE * at_first and not learnt:
        gone = f"they are gone: {large} gets {norms[large] / at_first:.0e} of the largest at step 1"
        return "no", gone, "it rests where the loss is flat: try another seed, or more units"
    ratio = norms[small] / norms[large]
    if ratio >= FAINT:
        return "yes", f"{small} gets {ratio:.2g} of {large}'s" if small != large else "there is one layer", ""
    if list(norms).index(small) < list(norms).index(large):
        return "no", f"{small} gets {ratio:.0e} of {large}'s: it vanishes", "try ReLU or fewer layers"
    return "no", f"{large} gets {1 / ratio:.0e} times {small}'s: it explodes", "try smaller initial weights"


def _unstuck(
    parts: dict[str, float], first: dict[str, float], output: str, zero: bool, relus: Collection[str]
) -> Answer:
    if not parts:
        return "not asked", "no layer ends in ReLU, sigmoid or tanh, which could get stuck", ""
    # An output that is right lies at the flat end of its activation.
    inner = {name: part for name, part in parts.items() if name != output}
    worst = max(inner, key=inner.__getitem__, default=output)
    if worst == output or inner[worst] <= LIMITS[STUCK]:
        if parts.get(output, 0) > LIMITS[STUCK]:
            return "yes", "the output is saturated, as it should be once the answers are right", ""
        return "yes", f"at most {parts[worst]:.2f} of a layer's units are stuck ({worst})", ""
    if worst in relus:
        dead = f"{parts[worst]:.2f} of {worst}'s ReLUs are 0 for every probe"
        if first[worst] > LIMITS[STUCK]:
            return "no", f"{dead}, from step 1 on", AT_RANDOM if zero else "does a bias keep them below 0?"
        return "no", dead, "try a tenth of the rate"
    saturated = f"{parts[worst]:.2f} of {worst}'s outputs are saturated, where the slope is nearly 0"
    return "no", saturated, "try a tenth of the rate, or smaller initial weights"


def _sized(
    sizes: dict[str, float],
    largest: dict[str, float],
    arriving: list[str],
    learnt: bool,
    zero: bool,
    starved: bool,
) -> Answer:
    if zero or not sizes:
        return "not asked", "the weights are zero", ""
    large, leap = max(sizes, key=sizes.__getitem__), max(largest, key=largest.__getitem__)
    if largest[leap] > 1:
        return "no", f"a step moved {leap} by {largest[leap]:.2g} times its length", "try a tenth of the rate"
    if sizes[large] > BOLD:
        return "no", f"a step changes {large} by {sizes[large]:.2g} of its length", "try a tenth of the rate"
    if not arriving:
        return "not asked", "nothing arrives", "see question 2"
    small = min(arriving, key=sizes.__getitem__)
    if sizes[small] < TIMID and not learnt:
        step = f"a step changes {small} by {sizes[small]:.0e} of its length"
        return ("not asked", f"{step}: little arrives", "") if starved else ("no", step, "try a larger rate")
    return "yes", f"a step changes a layer by {sizes[small]:.0e} to {sizes[large]:.0e} of its length", ""


def _right(error: float) -> Answer:
    if error <= 10 ** LIMITS[CHECK]:
        return "yes", f"they differ from numeric ones by at most {error:.0e}", ""
    return (
        "no",
        f"they differ from numeric ones by {error:.2g}",
        "check each function with manualgrad.gradcheck",
    )


def _by_layer(records: Records, tag: str, average: Callable[..., float] = median) -> dict[str, float]:
    """Return the average of a tag's figures, by layer, first layer first."""
    names = dict.fromkeys(name for record in records for name in record if name.startswith(f"{tag}/"))
    return {
        name.partition("/")[2]: average(record[name] for record in records if name in record)
        for name in names
    }
