import numpy as np
import pytest

from experiments import one_step


def compute_with_numpy(seed, learning_rate):
    """Return the error before and after the step, by the rule y(1 - y) for sigmoid's derivative."""
    numbers = np.random.RandomState(seed)
    w1, w2 = numbers.rand(2, 2), numbers.rand(2, 1)
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])
    errors = []
    for _ in range(2):
        hidden = 1 / (1 + np.exp(-x @ w1))
        output = 1 / (1 + np.exp(-hidden @ w2))
        errors.append(((y - output) ** 2).sum() / 2)
        delta = (output - y) * output * (1 - output)
        delta_hidden = delta @ w2.T * hidden * (1 - hidden)
        w1, w2 = w1 - learning_rate * x.T @ delta_hidden, w2 - learning_rate * hidden.T @ delta
    return errors


def test_the_document_s_figures(perform, reproduces):
    performance = perform(one_step)
    assert reproduces(performance, "one_step")
    before, after = performance.out.split("After the step")
    for number in ("-0.53892", "0.44868", "0.44894", "-0.56117"):  # target - output, from the document
        assert number in before
    for number in ("-0.53155", "0.45837", "0.45857", "-0.54965"):
        assert number in after


def test_the_error_is_numpy_s(perform):
    performance = perform(one_step, "--seed", "7", "--learning-rate", "3")
    before, after = compute_with_numpy(7, 3)
    assert performance.metrics["error_before"] == pytest.approx(before, rel=1e-13)
    assert performance.metrics["error_after"] == pytest.approx(after, rel=1e-13)
    assert performance.metrics["figures_compared"] == 0


def test_a_wrong_figure_is_noticed(perform, plant):
    plant("0.12678416", "0.12678417")
    performance = perform(one_step)
    assert performance.status == 1
    assert "W2[1] should be 0.12678417, got 0.12678416" in performance.err


def test_the_picture_has_every_row_of_every_unit(tmp_path, figures):
    one_step.main(one_step.Config(runs_dir=tmp_path))
    words = [text.get_text() for text in figures["network"].axes[0].texts]
    for word in ("h1", "o1", "E", "0.53155", "0.54965", "w6 0.12678"):  # after the step
        assert word in words
