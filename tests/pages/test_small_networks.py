import pytest
import torch

from manualgrad.data.documents import load
from manualgrad.pages.small_networks import show_chain, show_sigmoid_network
from manualgrad.training import Run, RunSettings


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Return what would be drawn."""

    def drawn(show, *arguments):
        content = {}
        monkeypatch.setattr(
            "manualgrad.training.page.draw", lambda name, path, args: content.update(args) or "not drawn"
        )
        with Run("small", "test", RunSettings(runs_dir=tmp_path), torch.device("cpu")) as run:
            show(run, *arguments)
        nodes = {name: held for column in content["columns"] for name, held in column}
        return nodes, content["links"]

    return drawn


def test_every_number_of_the_document_s_network_is_on_its_node(drawn):
    document = load("two_two_two")
    x, target, w1, b1, w2, b2 = (
        torch.tensor(document.given[name], dtype=torch.float64)
        for name in ("input", "target", "W1", "b1", "W2", "b2")
    )
    nodes, links = drawn(
        show_sigmoid_network, 0, "Before", x.unsqueeze(0), target.unsqueeze(0), w1, w2, b1, b2
    )
    assert nodes.keys() == {"x1", "x2", "b1", "h1", "h2", "b2", "o1", "o2", "E"}
    (_, net, _), (_, out, _) = nodes["h1"]
    assert net == pytest.approx([0.3775])
    assert out == pytest.approx([0.593269992])
    assert nodes["E"] == [("", pytest.approx([0.298371109]), [1.0])]
    weights = {name: (start, end, gradient) for start, end, name, _, gradient in links if name}
    assert weights["w5"] == ("h1", "o1", pytest.approx(0.082167041))
    assert weights["w1"] == ("x1", "h1", pytest.approx(0.000438568, rel=1e-5))
    assert ("b2", "o1", "", None, None) in links
    assert not w1.requires_grad


def test_rows_stand_one_below_the_other_and_biases_may_be_missing(drawn):
    nodes, links = drawn(
        show_sigmoid_network, 0, "t", torch.rand(4, 2), torch.rand(4, 1), torch.rand(3, 2), torch.rand(1, 3)
    )
    assert nodes.keys() == {"x1", "x2", "h1", "h2", "h3", "o1", "E"}
    assert all(len(numbers) == 4 for _, *both in nodes["h3"] for numbers in both)
    assert len([link for link in links if link[2]]) == 9


def test_a_chain(drawn):
    nodes, links = drawn(
        show_chain, "y = 3x²", [("x", 2.0, 12.0), ("u", 4.0, 3.0), ("y", 12.0, 1.0)], [4.0, 3.0]
    )
    assert nodes["u"] == [("", [4.0], [3.0])]
    assert links == [("x", "u", "slope", 4.0, None), ("u", "y", "slope", 3.0, None)]
