import pytest
import torch

import manualgrad.functions as F
import manualgrad.nn as nn
from manualgrad.training.backward_graph import backward_graph, lessons

FIRST, LAST = "layer 1 Linear", "layer 2 Linear"


@pytest.fixture
def graph():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    loss = nn.CrossEntropyLoss()(model(torch.randn(4, 6)), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    return describe(loss, model)


def describe(loss, model):
    """Return a graph's nodes by their names, each without who wrote it."""
    nodes = backward_graph(loss, model).node
    found = {node.name.rpartition("/")[0]: node for node in nodes}
    assert len(found) == len(nodes)
    return found


def shapes(node):
    return [tuple(dim.size for dim in shape.dim) for shape in node.attr["_output_shapes"].list.shape]


def test_a_layer_s_box_holds_its_functions_and_parameters(graph):
    parameters = {f"{layer}/{name}" for layer in (FIRST, LAST) for name in ("weight", "bias")}
    functions = {f"{FIRST}/Linear", f"{FIRST}/ReLU", f"{LAST}/Linear", "loss/SoftmaxNLL"}
    assert set(graph) == {"loss"} | functions | parameters


def test_edges_lead_from_the_loss_to_the_parameters(graph):
    assert list(graph["loss/SoftmaxNLL"].input) == ["loss/value"]
    assert list(graph[f"{FIRST}/ReLU"].input) == [f"{LAST}/Linear/by_hand"]
    assert list(graph[f"{FIRST}/Linear"].input) == [f"{FIRST}/ReLU/by_hand"]
    assert list(graph[f"{LAST}/weight"].input) == [f"{LAST}/Linear/by_hand:1"]
    assert list(graph[f"{LAST}/bias"].input) == [f"{LAST}/Linear/by_hand:2"]
    # The weight is the first, for the data needs no gradient.
    assert list(graph[f"{FIRST}/weight"].input) == [f"{FIRST}/Linear/by_hand"]
    assert list(graph[f"{FIRST}/bias"].input) == [f"{FIRST}/Linear/by_hand:1"]


def test_edges_carry_the_shapes_of_the_gradients(graph):
    assert shapes(graph["loss"]) == [()]
    assert shapes(graph["loss/SoftmaxNLL"]) == [(4, 3)]
    assert shapes(graph[f"{LAST}/Linear"]) == [(4, 5), (3, 5), (3,)]  # of the input, the weight and the bias
    assert shapes(graph[f"{FIRST}/ReLU"]) == [(4, 5)]
    assert shapes(graph[f"{FIRST}/Linear"]) == [(5, 6), (5,)]
    assert shapes(graph[f"{FIRST}/weight"]) == []


def test_a_card_tells_where_the_backward_is_written(graph):
    assert graph[f"{FIRST}/Linear"].attr["backward"].s == b"by hand, in manualgrad.functions.linear"
    assert graph[f"{FIRST}/weight"].attr["shape"].s == b"5 x 6"
    assert graph[f"{LAST}/bias"].attr["parameter"].s == b"2.bias"


def test_a_parameter_s_own_name_comes_before_its_module_s():
    block = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Linear(2, 2)))
    graph = describe(nn.Sequential(block)(torch.randn(4, 3)).sum(), nn.Sequential(block))
    assert {name for name in graph if graph[name].op == "Gradient"} == {
        f"layer 1 Sequential/{name}" for name in ("weight of 0", "bias of 0", "weight of 1.0", "bias of 1.0")
    }


def test_a_weight_that_every_step_uses_comes_behind_all_of_them():
    cell, state = nn.LSTMCell(4, 3), None
    for input in torch.randn(3, 2, 4):
        state = cell(input, state)
    nodes, seen = backward_graph(state[0].sum(), nn.Sequential(cell)).node, set()
    for node in nodes:
        assert seen.issuperset(source.split(":")[0] for source in node.input)
        seen.add(node.name)
    (weight,) = [node for node in nodes if "weight_ih" in node.name]
    assert len(weight.input) == 3
    names = [node.name.split("/")[1] for node in nodes if node.op != "Gradient"]
    last = ["3_LSTMGates", "3_Add", "6_Linear", "5_Linear", "2_LSTMGates"]  # counted as they were called
    assert names[2:7] == last


def test_what_changes_a_shape_only_is_left_out():
    x = torch.randn(2, 3, requires_grad=True)
    graph = describe(F.tanh(x.view(3, 2).t()).unsqueeze(0).sum(), nn.Sequential())
    assert [node.op for node in graph.values()] == ["Loss", "Sum", "Tanh", "Gradient"]


def test_lessons_of_the_functions_on_the_way():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    found = lessons(nn.MSELoss()(model(torch.randn(4, 6)), torch.zeros(4, 3)))
    assert list(found) == ["MSELoss", "Linear", "ReLU"]
    assert "\nBackward\n" in found["Linear"]
