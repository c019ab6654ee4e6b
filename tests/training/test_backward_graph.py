import pytest
import torch

import manualgrad.functions as F
import manualgrad.nn as nn
from manualgrad.training.backward_graph import backward_graph, hand_written, lesson

PARAMETERS = {f"{layer}_{name}" for layer in (1, 2) for name in ("weight", "bias")}


def box(name):
    return name.partition("/")[0]


@pytest.fixture
def graph():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    loss = nn.CrossEntropyLoss()(model(torch.randn(4, 6)), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    return {box(node.name): node for node in backward_graph(loss, model).node}


def shapes(node):
    return [tuple(dim.size for dim in shape.dim) for shape in node.attr["_output_shapes"].list.shape]


def test_nodes_are_named_after_functions_and_parameters(graph):
    functions = {"SoftmaxNLL", "1_Linear", "2_Linear", "ReLU"}
    assert functions | {"loss", *PARAMETERS} <= set(graph)


def test_edges_lead_from_the_loss_to_the_parameters(graph):
    assert list(graph["SoftmaxNLL"].input) == ["loss/value"]
    assert list(graph["ReLU"].input) == ["2_Linear/by_hand"]
    assert list(graph["1_Linear"].input) == ["ReLU/by_hand"]
    assert list(graph["2_weight"].input) == ["2_Linear/by_hand:1"]
    assert list(graph["2_bias"].input) == ["2_Linear/by_hand:2"]
    assert list(graph["1_weight"].input) == ["1_Linear/by_hand"]  # the first, for the data needs no gradient
    assert list(graph["1_bias"].input) == ["1_Linear/by_hand:1"]


def test_edges_carry_the_shapes_of_the_gradients(graph):
    assert shapes(graph["loss"]) == [()]
    assert shapes(graph["SoftmaxNLL"]) == [(4, 3)]
    assert shapes(graph["2_Linear"]) == [(4, 5), (3, 5), (3,)]  # of the input, the weight and the bias
    assert shapes(graph["ReLU"]) == [(4, 5)]
    assert shapes(graph["1_Linear"]) == [(5, 6), (5,)]
    assert shapes(graph["1_weight"]) == []


def test_a_card_tells_where_the_backward_is_written(graph):
    assert graph["1_Linear"].attr["backward"].s == b"by hand, in manualgrad.functions.linear"
    assert graph["1_weight"].attr["shape"].s == b"5 x 6"
    assert graph["2_bias"].attr["parameter"].s == b"2.bias"


def test_a_tensor_that_is_used_twice_has_two_edges():
    x = torch.randn(3, requires_grad=True)
    graph = {
        box(node.name): node for node in backward_graph((F.tanh(x) * F.sigmoid(x)).sum(), nn.Identity()).node
    }
    assert sorted(graph["input"].input) == ["Sigmoid/by_hand", "Tanh/by_hand"]
    assert graph["Mul"].attr["backward"].s.decode() == "PyTorch's own"


def test_a_weight_that_every_step_uses_comes_behind_all_of_them():
    cell, state = nn.LSTMCell(4, 3), None
    for input in torch.randn(3, 2, 4):
        state = cell(input, state)
    nodes, seen = backward_graph(state[0].sum(), cell).node, set()
    for node in nodes:
        assert seen.issuperset(source.split(":")[0] for source in node.input)
        seen.add(node.name)
    (weight,) = [node for node in nodes if "weight_ih" in node.name]
    assert len(weight.input) == 3


def test_two_functions_of_one_number_and_their_parameters():
    model = nn.Sequential(nn.Linear(6, 5), torch.nn.LayerNorm(5), nn.Linear(5, 4), torch.nn.LayerNorm(4))
    loss = model(torch.randn(3, 6)).sum()
    names = [box(node.name) for node in backward_graph(loss, model).node]
    assert len(set(names)) == len(names)
    own = {"1_weight", "2_weight", "1_Linear.weight", "2_Linear.weight"}
    assert own <= set(names)


def test_lessons_of_the_functions_on_the_way():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    functions = hand_written(nn.MSELoss()(model(torch.randn(4, 6)), torch.zeros(4, 3)))
    assert [function.__name__ for function in functions] == ["MSELoss", "Linear", "ReLU"]
    assert "\nBackward\n" in lesson(F.Linear)
