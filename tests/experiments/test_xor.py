import pytest

from experiments import xor
from manualgrad.training import log_times


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["sigmoid", "tanh", "keras"])
def test_the_document_s_figures(preset, perform, reproduces):
    performance = perform(xor, "--preset", preset)
    assert reproduces(performance, f"xor_{preset}")
    assert performance.metrics["accuracy"] == 1
    assert [round(y) for y in performance.metrics["answers"][0]] == [0, 1, 1, 0]
    error, accuracy = (performance.curve(tag, "training") for tag in ("mean absolute error", "accuracy"))
    assert error[1] > 2 * list(error.values())[-1]
    assert list(accuracy.values())[-1] == 1


def test_many_networks_are_those_of_the_next_seeds(perform):
    many = perform(xor, "--seeds", "3", "--epochs", "20")
    third = perform(xor, "--seed", "44", "--epochs", "20")
    assert many.metrics["answers"][2] == third.metrics["answers"][0]
    assert "0 of 3 networks learnt XOR" in many.out
    assert many.metrics["networks_that_learnt"] == 0


def test_a_shorter_run_is_compared_as_far_as_it_goes(perform):
    performance = perform(xor, "--epochs", "1001")
    assert performance.status == 0
    assert list(performance.metrics["figures"]) == ["error at epoch 0", "error at epoch 1000"]


@pytest.mark.parametrize("knob", ["--seed=1", "--hidden=3"])
def test_a_turned_knob_is_not_compared_and_changes_the_answers(knob, perform):
    performance = perform(xor, "--epochs", "5", knob)
    assert performance.metrics["figures_compared"] == 0
    assert performance.metrics["answers"] != perform(xor, "--epochs", "5").metrics["answers"]


def test_pictures_come_at_logarithmic_times_the_last_among_them(tmp_path, figures):
    xor.main(xor.Config(epochs=300, seeds=2, runs_dir=tmp_path))
    steps = [step for tag, step in figures.log if tag == "boundary"]
    assert steps == log_times(300, 6)
    assert {tag for tag, _ in figures.log} == {
        "boundary",
        "hidden layer/space",
        "hidden layer/units",
        "all networks/boundaries",
        "all networks/errors",
    }
