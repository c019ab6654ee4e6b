import pytest
import torch

from manualgrad.plots.figure import GRADIENT, VALUE
from manualgrad.plots.network import Link, plot_network, plot_sigmoid_network


def colours_of(figure):
    return {text.get_text(): text.get_color() for text in figure.axes[0].texts}


def test_values_are_blue_and_gradients_vermilion():
    nodes = [
        {"x": [("", 2.0, 12.0)]},
        {"y": [("", 8.0, None)]},
    ]
    colours = colours_of(plot_network("How?", nodes, [Link("x", "y", "w1", 0.25, -0.125)], "y"))
    for word, colour in (
        ("2", VALUE),
        ("12", GRADIENT),
        ("w1 0.25", VALUE),
        ("-0.125", GRADIENT),
        ("8", VALUE),
    ):
        assert colours[word] == colour
    assert "gradient of y" in colours


@pytest.mark.parametrize("biases", [True, False])
def test_a_sigmoid_network_has_every_number(biases):
    x, target = torch.tensor([[0.5, 1.5]]), torch.tensor([[0.25]])
    tensors = {"W1": torch.tensor([[0.1, 0.2], [0.3, 0.4]]), "W2": torch.tensor([[0.5, 0.6]])}
    if biases:
        tensors |= {"b1": torch.tensor(0.7), "b2": torch.tensor(0.8)}
    tensors = {name: tensor.requires_grad_() for name, tensor in tensors.items()}
    tensors["net_h"] = x @ tensors["W1"].t() + tensors.get("b1", 0)
    tensors["out_h"] = tensors["net_h"].sigmoid()
    tensors["net_o"] = tensors["out_h"] @ tensors["W2"].t() + tensors.get("b2", 0)
    tensors["out_o"] = tensors["net_o"].sigmoid()
    tensors["E"] = ((tensors["out_o"] - target) ** 2).sum() / 2
    gradients = dict(zip(tensors, torch.autograd.grad(tensors["E"], list(tensors.values())), strict=True))
    colours = colours_of(plot_sigmoid_network("How?", tensors | {"x": x}, gradients))
    for name, tensor in tensors.items():
        for value in tensor.flatten().tolist():
            assert [word for word in colours if word.endswith(f"{value:.5g}")], name
        if name not in ("W1", "W2"):
            for value in gradients[name].flatten().tolist():
                assert colours[f"{value:.4g}"] == GRADIENT or value == 1
    assert colours["w6 0.6"] == VALUE
    assert ("b1" in colours) is biases
