import pytest

from manualgrad.training.answers import BEGIN, answer
from manualgrad.training.charts import (
    ARRIVES,
    CHECK,
    GRADIENT,
    LEARNS,
    QUESTIONS,
    RIGHT,
    SIZED,
    STUCK,
    UNSTUCK,
    UPDATE,
    WEIGHT,
)


def records(gradients=(0.1, 0.2), updates=(1e-3, 3e-3), stuck=(0.1, 0.0), check=1e-6, count=4):
    one = {CHECK: check}
    for tag, values in ((GRADIENT, gradients), (UPDATE, updates), (STUCK, stuck)):
        one |= {f"{tag}/layer {number}": value for number, value in enumerate(values, 1)}
    return [dict(one) for _ in range(count)]


def epochs(training=(0.5, 0.2, 0.1), validation=(0.5, 0.3, 0.3), accuracy=0.9):
    names = ("training_loss", "validation_loss", "training_accuracy")
    losses = zip(training, validation, strict=True)
    return [dict(zip(names, (*both, accuracy), strict=True)) for both in losses]


def test_a_healthy_run_is_five_times_yes():
    answers = answer(records(), epochs(), accuracy=0.97, guessing=0.11)
    assert tuple(answers) == QUESTIONS
    assert all(text.startswith("yes: ") for text in answers.values())
    assert answers[LEARNS] == "yes: 0.9700 of the answers are correct; guessing gets 0.1100"
    assert answers[ARRIVES] == "yes: layer 1 gets 0.5 of layer 2's"
    assert answers[RIGHT] == "yes: they differ from numeric ones by at most 1e-06"


@pytest.mark.parametrize(
    ("accuracy", "of", "text"),
    [
        (
            0.1032,
            [],
            "no: 0.1032 is guessing (0.1135); do the labels belong to the inputs? Then try more epochs",
        ),
        (0.4, [], "a little: 0.4000 of the answers"),
        (
            0.1,
            epochs(),
            "no: 0.1000 is guessing (0.1135); of the training examples it knows 0.9000 by heart; do the",
        ),
    ],
)
def test_does_it_learn(accuracy, of, text):
    assert answer(records(), of, accuracy, 0.1135)[LEARNS].startswith(text)


def test_the_validation_loss_rises_while_the_training_loss_falls():
    text = answer([], epochs(validation=(0.5, 0.3, 0.4)), 0.9, 0.1)[LEARNS]
    assert "; it overfits after epoch 2: the validation loss rises from 0.3 to 0.4" in text
    assert text.endswith("; stop there, or take more data")
    both_rise = epochs(training=(0.5, 0.2, 0.3), validation=(0.5, 0.3, 0.4))
    assert "overfits" not in answer([], both_rise, 0.9, 0.1)[LEARNS]


@pytest.mark.parametrize(
    ("gradients", "text"),
    [
        ((1e-7, 1e-3, 0.1), "no: layer 1 gets 1e-06 of layer 3's: it vanishes; try ReLU"),
        ((1e5, 1.0, 0.1), "no: layer 1 gets 1e+06 times layer 3's: it explodes; try smaller"),
        ((0.0, 0.1), "no: layer 1's gradient is 0"),
        ((0.0, 0.0), "no: every gradient is 0"),
        ((0.5,), "yes: there is one layer"),
    ],
)
def test_do_the_gradients_arrive(gradients, text):
    assert answer(records(gradients), [], 0.5, 0.1)[ARRIVES].startswith(text)


def test_gradients_that_are_gone_in_every_layer():
    fallen = records((0.2, 0.1), count=1) + records((2e-10, 1e-10))
    assert answer(fallen, [], 0.5, 0.5)[ARRIVES].startswith(
        "no: they are gone: layer 1 gets 1e-09 of the largest"
    )
    assert answer(fallen, [], 1.0, 0.5)[ARRIVES].startswith("yes")  # it has learnt what there was to learn


def test_layers_without_an_activation_cannot_get_stuck():
    assert answer(records(stuck=()), [], 0.9, 0.1)[UNSTUCK].startswith("not asked: no layer ends in ReLU")


@pytest.mark.parametrize("accuracy", [0.1, 0.95])
def test_units_are_stuck_whatever_was_learnt(accuracy):
    stuck = records(stuck=(0.97, 0.1))
    dead = answer(stuck, [], accuracy, 0.1, relus=["layer 1"])[UNSTUCK]
    assert dead == (
        "no: 0.97 of layer 1's ReLUs are 0 for every probe, from step 1 on; does a bias keep them below 0?"
    )
    later = answer(records() + stuck, [], accuracy, 0.1, relus=["layer 1"])[UNSTUCK]
    assert later == "no: 0.97 of layer 1's ReLUs are 0 for every probe; try a tenth of the rate"
    saturated = answer(stuck, [], accuracy, 0.1)[UNSTUCK]
    assert saturated.startswith(
        "no: 0.97 of layer 1's outputs are saturated, where the slope is nearly 0; try"
    )


def test_only_an_output_that_is_right_may_be_saturated():
    saturated = records(stuck=(0.2, 1.0))
    fine = "yes: the output is saturated, as it should be once the answers are right"
    assert answer(saturated, [], 1, 0.5)[UNSTUCK] == fine
    assert answer(saturated, [], 0.5, 0.5)[UNSTUCK].startswith("no: 1.00 of layer 2's outputs are saturated")
    assert answer(saturated, [], 1, 0.5, relus=["layer 2"])[UNSTUCK].startswith("no: 1.00 of layer 2's ReLUs")


def test_are_the_steps_of_the_right_size():
    def say(updates, accuracy=0.2, **others):
        return answer(records(updates=updates, **others), [], accuracy, 0.1)[SIZED]

    assert say((1e-3, 0.32)).startswith("no: a step changes layer 2 by 0.32 of its length; try a tenth")
    assert say((1e-3, 1e-7)).startswith(
        "no: a step changes layer 2 by 1e-07 of its length; try a larger rate"
    )
    assert say((1e-3, 1e-7), accuracy=0.9).startswith("yes")  # it has learnt what there was to learn
    leap = records(updates=(32, 1e-3), count=1) + records()
    assert answer(leap, [], 0.2, 0.1)[SIZED].startswith("no: a step moved layer 1 by 32 times its length")


def test_a_layer_that_no_gradient_reaches_needs_no_larger_rate():
    def say(gradients, updates):
        return answer(records(gradients, updates), [], 0.1, 0.1)[SIZED]

    assert say((0.0, 0.1), (0.0, 1e-3)) == "yes: a step changes a layer by 1e-03 to 1e-03 of its length"
    assert say((0.0, 0.0), (0.0, 0.0)) == "not asked: nothing arrives; see question 2"
    assert say((1e-7, 0.1), (1e-9, 1e-3)) == (
        "not asked: a step changes layer 1 by 1e-09 of its length: little arrives"
    )


def test_zero_weights_are_the_cause():
    zero = [record | {f"{WEIGHT}/layer 1": 0.0} for record in records((0.0, 0.1), (0.2,), (1.0,))]
    answers = answer(zero, [], 0.1, 0.1, relus=["layer 1"])
    assert answers[BEGIN] == "question 3"
    assert answers[UNSTUCK].endswith("; the weights are zero: initialise them at random")
    assert answers[SIZED] == "not asked: the weights are zero"
    without_activation = [{name: x for name, x in record.items() if STUCK not in name} for record in zero]
    assert answer(without_activation, [], 0.1, 0.1)[ARRIVES] == (
        "no: layer 1's gradient is 0; the weights are zero: initialise them at random"
    )


@pytest.mark.parametrize(
    ("wrong", "of", "begin"),
    [
        ({"check": 0.5, "updates": (2.0,), "gradients": (1e5, 0.1), "stuck": (1.0, 1.0)}, [], RIGHT),
        ({"updates": (2.0,), "gradients": (1e5, 0.1), "stuck": (1.0, 1.0)}, [], SIZED),
        ({"gradients": (1e-9, 0.1), "stuck": (1.0, 1.0)}, [], UNSTUCK),
        ({"gradients": (1e-9, 0.1)}, [], ARRIVES),
        ({"stuck": (1.0, 1.0)}, epochs(), LEARNS),  # a unit that knows by heart has learnt
        ({}, epochs(accuracy=0.1), LEARNS),
    ],
)
def test_the_cause_comes_first_and_it_alone_advises(wrong, of, begin):
    answers = answer(records(**wrong), of, 0.1, 0.1)
    assert next(iter(answers.items())) == (BEGIN, f"question {begin[0]}")
    for question, text in answers.items():
        assert text.endswith(f"; see question {begin[0]} first") == (text[:2] == "no" and question != begin)


def test_one_wrong_gradient_is_enough():
    answers = answer(records() + records(check=0.5, count=1) + records(), [], 0.9, 0.1)
    assert answers[RIGHT].startswith("no: they differ from numeric ones by 0.5")
