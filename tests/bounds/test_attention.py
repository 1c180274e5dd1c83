"""Attention: the one-layer requirement by its fooling sets, and two layers for recall, run as they are stated."""

import math
from itertools import combinations, permutations, product

import numpy as np
import pytest

from statewise.bounds import attention, disjointness, equality, recall
from statewise.core.errors import UsageError


def fools(pairs, holds):
    """Whether no two pairs, which all hold, can be exchanged both ways with both still holding."""
    return all(holds(*pair) for pair in pairs) and not any(
        holds(one[0], other[1]) and holds(other[0], one[1]) for one, other in combinations(pairs, 2)
    )


@pytest.mark.parametrize(("size", "alphabet"), [(1, 2), (3, 2), (5, 2), (2, 3)])
def test_equal_strings_fool_two_parties_as_often_as_the_numerator_says(size, alphabet):
    strings = list(product(range(alphabet), repeat=size))
    assert fools([(string, string) for string in strings], lambda one, other: one == other)
    bound = equality.attention_layer_size(size, alphabet, precision=16)
    assert bound.value * 3 * (16 + math.log2(2 * size + 1)) == pytest.approx(math.log2(len(strings)), rel=1e-12)
    assert (bound.unit, bound.direction, bound.error) == ("width x heads", "requirement", "zero")


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_set_and_its_complement_fool_two_parties_as_often_as_the_numerator_says(size):
    full = 2**size - 1
    assert fools([(chosen, full - chosen) for chosen in range(full + 1)], lambda one, other: one & other == 0)
    value = disjointness.attention_layer_size(size, precision=16).value
    assert value * 3 * (16 + math.log2(2 * size)) == pytest.approx(size, rel=1e-12)


def test_one_layer_gives_no_verdict_and_takes_a_precision():
    for bound in (equality.attention_layer_size(400, 2), disjointness.attention_layer_size(400)):
        assert bound.value == pytest.approx(3.2, abs=0.05)
        assert "no verdict at practical sizes" in bound.holds_for
        assert "constant 3 as published" in bound.assumes
    with pytest.raises(UsageError, match=r"equality\.attention_layer_size: precision is 0; it must be an integer"):
        equality.attention_layer_size(8, 2, precision=0)
    with pytest.raises(UsageError, match=r"disjointness\.attention_layer_size: size is 0; it must be an integer"):
        disjointness.attention_layer_size(0)


@pytest.mark.parametrize(
    "bound",
    [attention.two_layer_width("Theorem 6", assumes="one size"), attention.constant_width()],
    ids=lambda bound: bound.growth,
)
def test_widths_without_a_constant_have_no_number(bound):
    assert math.isnan(bound.value)
    assert bound.claim == f"channels: {bound.growth} is enough, constant not given"


def bits_of(numbers, width):
    return (np.asarray(numbers)[..., None] >> np.arange(width)) & 1


def codes(count, width):
    """±1 codes (count, width) of length 1."""
    return (2.0 * bits_of(np.arange(count), width) - 1) / math.sqrt(width)


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def recall_in_two_layers(shown, held, asked, keys, values, width):
    """The values that two layers of `width` channels read: shown and held (n,), asked (q,).

    channels  key | key copied | value | number of the pair | mark on values
    """
    size, queries = len(shown), len(asked)
    key, pair = max(1, (keys - 1).bit_length()), max(1, (size - 1).bit_length())
    value = width - 2 * key - pair - 1
    x = np.zeros((2 * size + queries, width))
    own, copied, read, number, mark = np.split(x, np.cumsum([key, key, value, pair]), axis=1)
    own[0 : 2 * size : 2], own[2 * size :] = codes(keys, key)[list(shown)], codes(keys, key)[list(asked)]
    read[1 : 2 * size : 2] = bits_of(held, value)
    number[: 2 * size] = np.repeat(codes(size, pair), 2, axis=0)
    mark[1 : 2 * size : 2] = 1
    causal = np.where(np.tri(len(x)), 0, -np.inf)
    # Far enough apart for one part in a hundred: margins are 2 over the code's length, and 1 for the mark.
    spread = math.log(100 * len(x))
    first = softmax(spread * pair * (number @ number.T - mark @ mark.T) + causal) @ own
    copied[:] = np.where(first > 0, 1, -1) / math.sqrt(key)
    mixed = softmax(spread * key * (own @ copied.T + 2 * mark.T) + causal) @ read
    return (np.rint(mixed[2 * size :]) @ (1 << np.arange(value))).astype(int)


@pytest.mark.parametrize(("size", "keys", "values"), [(1, 1, 2), (1, 2, 2), (2, 2, 2), (2, 3, 3), (3, 4, 2), (3, 3, 3)])
def test_two_attention_layers_of_the_stated_width_recall_every_list_of_pairs(size, keys, values):
    width = recall.attention_width(size, keys, values)
    for shown in permutations(range(keys), size):
        for held in product(range(values), repeat=size):
            answers = recall_in_two_layers(shown, held, shown, keys, values, int(width.value))
            assert answers.tolist() == list(held)
    assert (width.unit, width.direction, width.error) == ("channels", "construction", "zero")


@pytest.mark.parametrize(("size", "keys", "values"), [(64, 64, 16), (65, 4095, 4096), (300, 512, 5)])
def test_two_attention_layers_of_the_stated_width_recall_long_lists(size, keys, values):
    drawn = np.random.default_rng(0)
    width = int(recall.attention_width(size, keys, values).value)
    for _ in range(4):
        shown, held = drawn.permutation(keys)[:size], drawn.integers(0, values, size)
        order = drawn.permutation(size)
        answers = recall_in_two_layers(shown, held, shown[order], keys, values, width)
        assert answers.tolist() == held[order].tolist()


@pytest.mark.parametrize(("arguments", "width"), [((1, 1, 2), 5), ((64, 64, 16), 23), ((65, 4095, 4096), 44)])
def test_widths_of_recall_by_hand(arguments, width):
    assert recall.attention_width(*arguments).value == width


def test_more_pairs_than_keys_are_refused():
    with pytest.raises(UsageError, match=r"recall\.attention_width: size is 4; it must be at most keys, 3"):
        recall.attention_width(4, 3, 2)
