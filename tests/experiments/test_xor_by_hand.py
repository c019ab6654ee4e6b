import pytest

from experiments import xor, xor_by_hand
from manualgrad.training import log_times


@pytest.mark.parametrize("preset", ["sigmoid", "tanh"])
def test_the_notebook_s_figures(preset, perform, reproduces):
    performance = perform(xor_by_hand, "--preset", preset)
    assert reproduces(performance, f"xor_{preset}")
    assert performance.metrics["accuracy"] == 1


def test_it_is_the_network_of_xor(perform):
    knobs = ("--hidden", "3", "--learning-rate", "0.7", "--seed", "3", "--epochs", "200")
    by_hand, functions = (perform(script, *knobs).metrics for script in (xor_by_hand, xor))
    assert by_hand["answers"] == pytest.approx(functions["answers"][0], abs=1e-12)


def test_the_boundary_is_drawn_at_logarithmic_times(tmp_path, figures):
    xor_by_hand.main(xor_by_hand.Config(epochs=300, runs_dir=tmp_path))
    steps = [step for _, step in figures.log]
    assert steps == log_times(300, 6)
