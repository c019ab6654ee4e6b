"""Attention by hand, and against PyTorch's."""

import math

import pytest
import torch
import torch.nn.functional

import manualgrad.functions as F
from tests.functions.test_memory import bytes_saved
from tests.functions.tools import assert_same, value_and_gradients

attention = F.scaled_dot_product_attention
pytorchs = torch.nn.functional.scaled_dot_product_attention


def inputs(*batch, dtype=torch.float64):
    torch.manual_seed(0)
    return [torch.randn(*batch, *size, dtype=dtype) for size in ((3, 4), (5, 4), (5, 6))]


def assert_agrees(arguments, **options):
    results = []
    for function in (attention, pytorchs):
        torch.manual_seed(1)  # of dropout
        results.append(value_and_gradients(lambda *each: function(*each, **options), arguments))  # noqa: B023
    assert_same(*results)


def test_by_hand():
    """Two keys, of which the second matches three times as well: the weights are 1/4 and 3/4."""
    query = torch.tensor([[math.log(3)]], dtype=torch.float64, requires_grad=True)
    key, value = torch.tensor([[[0.0], [1.0]], [[10.0], [20.0]]], dtype=torch.float64)
    output = attention(query, key, value)
    assert output.item() == pytest.approx(17.5)
    output.backward()
    assert query.grad.item() == pytest.approx(10 * 3 / 16)  # the values' difference, times p (1 - p)


def test_a_causal_query_sees_nothing_behind_itself():
    query, key, value = inputs(2)
    changed = value.clone()
    changed[:, 1:] = 99
    for hidden in (value, changed):
        assert_same(attention(query, key, hidden, is_causal=True)[:, 0], value[:, 0])


@pytest.mark.parametrize("mask", [(3, 5), (1, 5), (3, 1), (5,), (2, 1, 3, 5), (7, 3, 5), (2, 7, 1, 5)])
def test_masks_of_every_shape(mask):
    numbers = torch.randn(mask, dtype=torch.float64)
    if len(mask) > 1:  # PyTorch's takes no mask of one dimension; ours broadcasts it like any other
        assert_agrees(inputs(2, 7), attn_mask=numbers)
        assert_agrees(inputs(2, 7), attn_mask=numbers > 0)
    assert_same(attention(*inputs(2, 7), numbers), attention(*inputs(2, 7), numbers.expand(2, 7, 3, 5)))


def test_a_query_that_may_see_no_key_gets_zeros_and_no_gradient():
    query, key, value = inputs()
    mask = torch.tensor([True, False, True])[:, None].expand(3, 5)
    output, *gradients = value_and_gradients(lambda *each: attention(*each, mask), [query, key, value])
    assert not output[1].any()
    assert not gradients[0][1].any()
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("dropout_p", [0.25, 0.5, 1.0])
def test_dropout_draws_what_pytorchs_draws(dropout_p):
    assert_agrees(inputs(2, 7), dropout_p=dropout_p)


def test_backward_uses_the_mask_that_forward_drew():
    query, key, value = inputs(2)
    torch.manual_seed(3)
    output = attention(query, key, value.requires_grad_(), dropout_p=0.5)
    output.sum().backward()
    torch.manual_seed(3)
    shifted = attention(query, key, value.detach() + 1e-3, dropout_p=0.5)
    assert_same((shifted - output).sum(), 1e-3 * value.grad.sum(), rtol=1e-6)


def test_heads_may_share_keys_and_values():
    query, key, value = inputs(2, 6)[0], inputs(2, 3)[1], inputs(2, 2)[2]
    for options in ({"enable_gqa": True}, {"enable_gqa": True, "is_causal": True}):
        assert_agrees([query, key, value], **options)


def test_no_more_is_kept_than_the_probabilities():
    values = [value.requires_grad_() for value in inputs(2, 7)]
    kept = sum(value.numel() for value in values) + 2 * 7 * 3 * 5
    assert bytes_saved(attention, values) == 8 * kept
