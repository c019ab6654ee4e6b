import numpy as np
import pytest

from experiments import one_step


def by_numpy(seed, learning_rate):
    """The error before and after the step, by the rule y(1 - y) for sigmoid's slope."""
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
    assert performance.status == 0
    assert reproduces(performance.metrics, "one_step")
    assert performance.folder.name.endswith("-default-seed42")
    assert performance.metrics["error_after"] < performance.metrics["error_before"]
    assert list(performance.curve("error")) == [0, 1]


@pytest.mark.parametrize(("seed", "learning_rate"), [(42, 1.0), (7, 3.0)])
def test_the_error_is_numpy_s(seed, learning_rate, perform):
    performance = perform(one_step, "--seed", str(seed), "--learning-rate", str(learning_rate))
    assert performance.status == 0
    before, after = by_numpy(seed, learning_rate)
    assert performance.metrics["error_before"] == pytest.approx(before, rel=1e-13)
    assert performance.metrics["error_after"] == pytest.approx(after, rel=1e-13)
    assert performance.metrics["figures_compared"] == (18 if seed == 42 else 0)


def test_every_unit_s_error_is_shown(perform):
    out = perform(one_step).out
    before, after = out.split("After the step")
    for number in (
        "-0.53892",
        "0.44868",
        "0.44894",
        "-0.56117",
    ):  # target - output, by hand from the document
        assert number in before
    for number in ("-0.53155", "0.45837", "0.45857", "-0.54965"):
        assert number in after


def test_a_wrong_figure_is_noticed(perform, plant):
    plant("0.12678416", "0.12678417")
    performance = perform(one_step)
    assert performance.status == 1
    assert "W2[1] should be 0.12678417, got 0.12678416" in performance.err
    assert performance.err.count("\n") == 1
