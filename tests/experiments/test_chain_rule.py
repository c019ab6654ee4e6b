import math

import pytest

from experiments import chain_rule


def test_the_document_s_figures(perform, reproduces):
    performance = perform(chain_rule)
    assert performance.status == 0
    assert performance.err == ""
    assert reproduces(performance.metrics, "chain_rule")
    assert "-32757.521776103014" in performance.out


@pytest.mark.parametrize("x", [0.5, -1.3, 0.0, 1.9])
def test_any_point(x, perform):
    performance = perform(chain_rule, "--x", str(x))
    assert performance.status == 0
    e = math.exp(x**3)
    assert performance.metrics["y"] == pytest.approx(math.sin(e), rel=1e-12)
    assert performance.metrics["dy/dx"] == pytest.approx(math.cos(e) * e * 3 * x**2, rel=1e-12)
    assert performance.metrics["figures_compared"] == 0


def test_each_gradient_is_the_one_above_times_its_local_derivative(perform):
    performance = perform(chain_rule)
    gradient, local = performance.curve("gradient"), performance.curve("local derivative")
    assert list(gradient) == [0, 1, 2, 3]
    assert gradient[0] == 1
    for step in (1, 2, 3):
        assert gradient[step] == pytest.approx(
            gradient[step - 1] * local[step], rel=1e-6
        )  # curves are float32


@pytest.mark.parametrize("x", ["9", "1e200", "-1e200", "inf", "nan"])
def test_beyond_float64(x, tmp_path, capsys):
    assert chain_rule.main([f"--x={x}", f"--runs-dir={tmp_path}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("chain_rule: error: --x ")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_figure_is_noticed(perform, plant):
    plant("-32757.521776103014", "-32757.521776203014")
    performance = perform(chain_rule)
    assert performance.status == 1
    assert performance.err.count("\n") == 1
    assert "dy/dx should be -32757.521776203014, got -32757.521776103014" in performance.err
    assert performance.metrics["figures_differing"] == 1


def test_a_result_that_is_not_pytorch_s_is_noticed(perform, monkeypatch):
    monkeypatch.setattr(chain_rule, "by_pytorch", lambda x: {"y": 0.4, "dy/dx": 0.0})
    performance = perform(chain_rule, "--x", "0.5")
    assert performance.status == 1
    assert "in PyTorch" in performance.err


def test_a_wrong_argument_is_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        chain_rule.main(["--x", "two"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
