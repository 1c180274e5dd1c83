"""Attention against loops over what each token sees, and torch's own; its window, its cache, its positions."""

import copy

import pytest
import torch
import torch.nn.functional as F

from statewise.core.padding import left_padding_reset
from statewise.core.random import seeded
from statewise.core.state import state_bits
from statewise.mixers.attention import Attention
from statewise.mixers.rotary import rotate
from statewise.mixers.sliding_window import LEAST_BLOCK, windowed_attention
from statewise.testing import assert_close, check_mixer

WINDOWED = [{"window": 1}, {"window": 2, "positions": "rope"}, {"window": 5, "head_size": 2}]


def draw(*shape, seed=3):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def x():
    return draw(2, 50, 6)


def build(**options):
    with seeded(0):
        return Attention(6, **options).double()


def by_hand(layer, x, reset=None):
    """Outputs of a loop: each query over the keys of its own sequence, and of its window."""
    size, window = layer.head_size, layer.window or x.shape[1]
    query, key, value = layer.query_key_value(x).unflatten(-1, (3, -1, size)).unbind(2)
    if layer.positions == "rope":
        query, key = turned(query), turned(key)
    rows = []
    for row in range(x.shape[0]):
        first, tokens = 0, []
        for t in range(x.shape[1]):
            first = t if reset is not None and reset[row, t] else first
            begin = max(first, t - window + 1)
            logits = torch.einsum("hd,shd->hs", query[row, t], key[row, begin : t + 1]) / size**0.5
            tokens.append(torch.einsum("hs,shd->hd", logits.softmax(-1), value[row, begin : t + 1]).flatten())
        rows.append(torch.stack(tokens))
    return layer.output(torch.stack(rows))


def turned(x):
    """Rotary positions as complex multiplication: channel pair i at place t times exp(i t base^(−2i/d))."""
    pairs = x.shape[-1] // 2
    pair = torch.complex(x[..., :pairs], x[..., pairs : 2 * pairs])
    rates = 10_000.0 ** (-torch.arange(pairs, dtype=torch.float64) / max(pairs, 1))
    angles = torch.arange(x.shape[1], dtype=torch.float64)[:, None, None] * rates
    product = pair * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([product.real, product.imag, x[..., 2 * pairs :]], -1)


@pytest.mark.parametrize("window", [None, 1, 2, 7, 50, 90])
@pytest.mark.parametrize(("head_size", "positions"), [(2, "none"), (6, "rope"), (3, "rope")])
def test_outputs_are_a_loop_over_what_each_token_sees(x, head_size, positions, window):
    layer = build(head_size=head_size, positions=positions, window=window)
    reset = torch.zeros(2, 50, dtype=torch.bool)
    reset[0, 0] = reset[0, 20] = reset[1, 21] = reset[1, 22] = reset[1, 49] = True
    with torch.no_grad():
        assert_close("outputs", layer(x)[0], by_hand(layer, x))
        assert_close("outputs with resets", layer(x, reset=reset)[0], by_hand(layer, x, reset))


@pytest.mark.parametrize("window", [None, 4])
def test_outputs_are_torchs_scaled_dot_product_attention(x, window):
    layer = build(head_size=2, window=window)
    query, key, value = (part.transpose(1, 2) for part in layer.project(x))
    age = torch.arange(50)[:, None] - torch.arange(50)
    mask = (age >= 0) & (age < (window or 50))
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)
    y, _ = layer(x)
    assert_close("outputs", y, layer.output(expected))
    weights = layer.query_key_value.weight
    grads = [torch.autograd.grad(each.square().sum(), weights)[0] for each in (y, layer.output(expected))]
    assert_close("gradient", *grads)


@pytest.mark.parametrize("length", [LEAST_BLOCK - 1, LEAST_BLOCK, LEAST_BLOCK + 1, 3 * LEAST_BLOCK + 5])
@pytest.mark.parametrize("before", [0, 3, LEAST_BLOCK - 1, LEAST_BLOCK, LEAST_BLOCK + 1])
def test_blocks_of_queries_are_one_mask_over_all_pairs(length, before):
    query = draw(2, length, 1, 2).requires_grad_()
    keys, values = draw(2, before + length, 2, 1, 2, seed=4).requires_grad_().unbind(2)
    seen, place = torch.arange(before + length), before + torch.arange(length)[:, None]
    first = torch.minimum(torch.tensor([[0], [before + length // 2]]), place.T)
    mask = (seen <= place) & (seen >= place - before) & (seen >= first[..., None])
    inputs = [part.transpose(1, 2) for part in (query, keys, values)]
    expected = F.scaled_dot_product_attention(*inputs, attn_mask=mask[:, None]).transpose(1, 2)
    y = windowed_attention(query, keys, values, first)
    assert_close("outputs", y, expected)
    grads, others = (torch.autograd.grad(each.square().sum(), (query, keys, values)) for each in (y, expected))
    for mine, other in zip(grads, others, strict=True):
        assert_close("gradient", mine, other)


def test_a_window_takes_no_memory_of_all_pairs():
    layer = Attention(2, window=16)
    assert layer(torch.ones(1, 200_000, 2))[0].shape == (1, 200_000, 2)


def test_a_window_over_everything_is_attention(x):
    whole, windowed = build(positions="rope"), build(positions="rope", window=200)
    assert_close("outputs", windowed(x)[0], whole(x)[0])


def test_a_window_makes_the_state_constant(x):
    layer = build(window=5, head_size=2)
    with torch.no_grad():
        states = [layer.initial_state(2), *(layer(x[:, :length])[1] for length in (0, 1, 4, 50))]
    assert {state_bits(state) for state in states} == {2 * 4 * 6 * 64 + 64}
    assert [state.start.tolist() for state in states] == [[4, 4], [4, 4], [3, 3], [0, 0], [0, 0]]
    assert (layer.recurrent, build().recurrent, Attention.recurrent) == (True, False, False)
    assert copy.deepcopy(layer).recurrent


def test_a_windows_state_holds_nothing_from_before_a_reset(x):
    layer, reset = build(window=5), torch.zeros(2, 10, dtype=torch.bool)
    reset[:, 8] = True
    with torch.no_grad():
        _, state = layer(x[:, :10], reset=reset)
        _, alone = layer(x[:, 8:10])
    assert torch.equal(state.start, alone.start)
    assert_close("keys", state.keys, alone.keys)
    assert_close("values", state.values, alone.values)
    assert not state.keys[:, :2].any()


@pytest.mark.parametrize("options", [{"positions": "rope"}, *WINDOWED], ids=str)
def test_left_padding_is_masked_and_positions_do_not_notice(x, options):
    layer, lengths = build(**options), [20, 11]
    with torch.no_grad():
        outputs, state = layer(x[:, :20], reset=left_padding_reset(lengths, 20))
        later, _ = layer(x[:, 20:30], state)
        for row, length in enumerate(lengths):
            alone, _ = layer(x[row : row + 1, 20 - length : 30])
            assert_close("prompt", outputs[row : row + 1, 20 - length :], alone[:, :length])
            assert_close("continuation", later[row : row + 1], alone[:, length:])


@pytest.mark.parametrize("options", [*WINDOWED, {"positions": "rope", "head_size": 3}], ids=str)
def test_laws_hold(options):
    check_mixer(build(**options))


def test_a_window_compiles_whole(x):
    layer, reset = build(window=5, positions="rope"), torch.arange(20).reshape(2, 10) % 7 == 3
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        _, state = layer(x[:, :5])
        assert_close("outputs", compiled(x[:, 5:15], state, reset=reset)[0], layer(x[:, 5:15], state, reset=reset)[0])


def test_rotation_depends_on_distances_only():
    one, other = draw(2, 8)

    def logit(place, seen):
        return (rotate(one, torch.tensor(place)) * rotate(other, torch.tensor(seen))).sum().item()

    logits = [logit(5 + shift, 2 + shift) for shift in (0, 1, 1000)]
    assert logits == pytest.approx([logits[0]] * 3, rel=1e-9)
    assert abs(logits[0] - logit(6, 2)) > 1e-3


def test_wrong_options_name_the_value():
    with pytest.raises(ValueError, match="Attention: head_size is 3; it must divide the width, 4"):
        Attention(4, head_size=3)
    with pytest.raises(ValueError, match="Attention: positions is 'learned'; it must be none or rope"):
        Attention(4, positions="learned")
    with pytest.raises(ValueError, match="Attention: window is 0; it must be at least 1, or None"):
        Attention(4, window=0)
