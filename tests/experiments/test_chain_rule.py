import math

import pytest

from experiments import chain_rule
from manualgrad.data import documents
from manualgrad.training import launch


def test_the_document_s_figures(perform, reproduces):
    assert reproduces(perform(chain_rule), "chain_rule")


def test_any_point(perform):
    performance = perform(chain_rule, "--x=-1.3")
    assert performance.status == 0
    e = math.exp((-1.3) ** 3)
    assert performance.metrics["y"] == pytest.approx(math.sin(e), rel=1e-12)
    assert performance.metrics["dy/dx"] == pytest.approx(math.cos(e) * e * 3 * 1.3**2, rel=1e-12)
    assert performance.metrics["figures_compared"] == 0


@pytest.mark.parametrize("x", ["9", "nan"])
def test_beyond_float64(x, tmp_path, capsys):
    arguments = [f"--x={x}", f"--runs-dir={tmp_path}"]
    assert launch(chain_rule.main, chain_rule.Config, arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("chain_rule: error: --x ")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_figure_is_noticed(perform, tmp_path, monkeypatch):
    right = documents.FILE.read_text(encoding="utf-8")
    planted = tmp_path / "planted.toml"
    planted.write_text(right.replace("-32757.521776103014", "-32757.521776203014"), encoding="utf-8")
    monkeypatch.setattr(documents, "FILE", planted)
    performance = perform(chain_rule)
    assert performance.status == 1
    assert "dy/dx should be -32757.521776203014, got -32757.521776103014" in performance.err


def test_a_result_that_is_not_pytorch_s_is_noticed(perform, monkeypatch):
    monkeypatch.setattr(chain_rule, "compute_with_pytorch", lambda x: {"y": 0.4, "dy/dx": 0.0})
    performance = perform(chain_rule, "--x", "0.5")
    assert performance.status == 1
    assert "in PyTorch" in performance.err


def test_the_picture_has_every_node_with_value_and_gradient(monkeypatch, tmp_path, figures):
    chain_rule.main(chain_rule.Config(runs_dir=tmp_path))
    words = [text.get_text() for text in figures["graph"].axes[0].texts]
    for word in ("x", "u = x³", "v = exp(u)", "y = sin(v)", "0.40176", "-3.276e+04", "derivative 2981"):
        assert word in words
