"""URPE attention against a loop in float64, and what its numbers for distances are for."""

import pytest
import torch

from statewise.core.padding import left_padding_reset
from statewise.core.random import seeded
from statewise.mixers.attention import Attention
from statewise.mixers.urpe_attention import URPEAttention, toeplitz
from statewise.testing import assert_close, check_mixer


@pytest.fixture
def x():
    return torch.randn(2, 20, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def build(**options):
    with seeded(0):
        layer = URPEAttention(6, **options).double()
        torch.nn.init.normal_(layer.coefficients)
    return layer


def by_hand(layer, x):
    size, most = layer.head_size, layer.coefficients.shape[1]
    query, key, value = layer.query_key_value(x).unflatten(-1, (3, -1, size)).unbind(2)
    outputs = []
    for t in range(x.shape[1]):
        weights = (torch.einsum("bhd,bshd->bhs", query[:, t], key[:, : t + 1]) / size**0.5).softmax(-1)
        c = torch.stack([layer.coefficients[:, min(t - s, most - 1)] for s in range(t + 1)], -1)
        outputs.append(torch.einsum("bhs,bshd->bhd", weights * c, value[:, : t + 1]).flatten(1))
    return layer.output(torch.stack(outputs, 1))


@pytest.mark.parametrize("max_distance", [1, 3, 19, 20, 21, 1024])
@pytest.mark.parametrize("head_size", [2, 6])
def test_outputs_are_a_loop(x, head_size, max_distance):
    layer = build(head_size=head_size, max_distance=max_distance)
    x.requires_grad_()
    y, expected = layer(x)[0], by_hand(layer, x)
    assert_close("outputs", y, expected)
    inputs = [x, layer.coefficients, layer.query_key_value.weight]
    grads, others = (torch.autograd.grad(each.square().sum(), inputs) for each in (y, expected))
    for mine, other in zip(grads, others, strict=True):
        assert_close("gradient", mine, other)


@pytest.mark.parametrize(("length", "seen"), [(0, 0), (0, 3), (1, 1), (1, 4), (3, 3), (3, 8)])
def test_coefficients_stand_where_their_distance_is(length, seen):
    coefficients = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    found = toeplitz(coefficients, length, seen)
    assert found.shape == (2, length, seen)
    for t in range(length):
        for s in range(seen):
            distance = min(max(seen - length + t - s, 0), 2)
            assert found[:, t, s].tolist() == coefficients[:, distance].tolist()


def test_it_starts_as_attention(x):
    with seeded(0):
        layer = URPEAttention(6).double()
    with seeded(0):
        attention = Attention(6).double()
    assert layer.coefficients.shape == (1, 1024)
    assert_close("outputs", layer(x)[0], attention(x)[0])


def test_equal_tokens_have_outputs_that_tell_their_places():
    x = torch.ones(1, 9, 6, dtype=torch.float64)
    outputs = build()(x)[0][0]
    assert torch.pdist(outputs).min() > 1e-3
    with seeded(0):
        assert torch.pdist(Attention(6, positions="rope").double()(x)[0][0]).max() < 1e-12


def test_left_padding_is_masked_and_distances_do_not_notice(x):
    layer, lengths = build(max_distance=4), [12, 5]
    with torch.no_grad():
        outputs, state = layer(x[:, :12], reset=left_padding_reset(lengths, 12))
        later, _ = layer(x[:, 12:], state)
        for row, length in enumerate(lengths):
            alone, _ = layer(x[row : row + 1, 12 - length :])
            assert_close("prompt", outputs[row : row + 1, 12 - length :], alone[:, :length])
            assert_close("continuation", later[row : row + 1], alone[:, length:])


@pytest.mark.parametrize("options", [{}, {"max_distance": 4, "head_size": 2, "positions": "rope"}], ids=str)
def test_laws_hold(options):
    check_mixer(build(**options))


def test_wrong_options_name_the_value():
    with pytest.raises(ValueError, match="URPEAttention: max_distance is 0; it must be at least 1"):
        URPEAttention(4, max_distance=0)
    with pytest.raises(ValueError, match="URPEAttention: head_size is 3; it must divide the width, 4"):
        URPEAttention(4, head_size=3)
