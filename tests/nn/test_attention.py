"""MultiheadAttention, argument by argument, against torch.nn's."""

import pytest
import torch

import manualgrad.nn as nn

HIDDEN = torch.tensor([[1, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 1, 0, 0, 1]]).bool()  # True hides
PADDING = torch.tensor([[0, 0, 0, 1, 1], [0, 0, 0, 0, 1]]).bool()


def outcomes(construction, call, batch=(2,), widths=(6, 6, 6)):
    """Outputs, gradients of inputs and of parameters, of our module and of PyTorch's."""
    results = []
    for library in (nn, torch.nn):
        torch.manual_seed(0)
        module = library.MultiheadAttention(6, 3, **construction).double()
        sizes = zip((3, 5, 5), widths, strict=True)
        inputs = [
            torch.randn(*((*batch, length) if module.batch_first else (length, *batch)), width).double()
            for length, width in sizes
        ]
        inputs = [each.requires_grad_() for each in inputs]
        output, weights = module(*inputs, **call)
        loss = output.sin().sum() + (0 if weights is None else weights.cos().sum())
        leaves = [*inputs, *module.parameters()]
        results.append([output, weights, *torch.autograd.grad(loss, leaves, allow_unused=True)])
    return results


CALLS = (
    {},
    {"need_weights": False},
    {"average_attn_weights": False},
    {"attn_mask": HIDDEN},
    {"attn_mask": torch.randn(6, 3, 5).double(), "need_weights": False},
    {"key_padding_mask": PADDING},
    {"key_padding_mask": PADDING, "attn_mask": HIDDEN, "need_weights": False},
    {"attn_mask": torch.ones(3, 5).triu(1).bool(), "is_causal": True, "need_weights": False},
)


@pytest.mark.parametrize(
    "more_keys", [(), ("add_bias_kv",), ("add_zero_attn",), ("add_bias_kv", "add_zero_attn")]
)
def test_outputs_and_gradients_are_pytorchs(more_keys):
    construction = dict.fromkeys(more_keys, True)
    # With the hint PyTorch's drops the mask, and what it puts in its place has no room for added keys.
    for call in CALLS[:-1] if more_keys else CALLS:
        for layout in ({}, {"batch_first": True}, {"bias": False}):
            torch.testing.assert_close(*outcomes({**construction, **layout}, call))


def test_keys_and_values_of_other_widths():
    torch.testing.assert_close(*outcomes({"kdim": 4, "vdim": 7}, {}, widths=(6, 4, 7)))


@pytest.mark.parametrize("call", [{}, {"key_padding_mask": PADDING[0], "average_attn_weights": False}])
def test_one_sequence_without_a_batch(call):
    torch.testing.assert_close(*outcomes({"batch_first": True}, call, batch=()))


def test_evaluation_drops_nothing():
    torch.manual_seed(0)
    module, input = nn.MultiheadAttention(6, 3, dropout=0.5), torch.randn(4, 2, 6)
    trained, evaluated = module(input, input, input)[0], module.eval()(input, input, input)[0]
    assert not torch.equal(trained, evaluated)
    assert torch.equal(evaluated, module(input, input, input)[0])


def test_a_query_without_keys_gets_zeros():
    module, input = nn.MultiheadAttention(6, 3), torch.randn(4, 2, 6)
    output, weights = module(input, input, input, key_padding_mask=torch.tensor([[1] * 4, [0] * 4]).bool())
    assert not weights[0].any()
    torch.testing.assert_close(weights[1].sum(-1), torch.ones(4))
    assert output.isfinite().all()


def test_the_causal_hint_needs_the_mask():
    input = torch.randn(4, 2, 6)
    with pytest.raises(ValueError, match="is_causal says what attn_mask is, but attn_mask is None"):
        nn.MultiheadAttention(6, 3)(input, input, input, is_causal=True)
