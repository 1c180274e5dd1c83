"""Index lookup: counted classes, optimal readers found by brute force, and readers written out."""

import math
from collections import Counter
from fractions import Fraction
from itertools import combinations, pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise.bounds import index_lookup
from statewise.core.errors import UsageError


def strings(size, alphabet):
    return np.array(list(product(range(alphabet), repeat=size)))


def accuracy_of(codebook, size, alphabet):
    """Exact accuracy of the reader whose state is the nearest word of the codebook, as a fraction."""
    mistakes = (strings(size, alphabet)[:, None, :] != np.array(codebook)[None]).sum(2).min(1).sum()
    return 1 - Fraction(int(mistakes), size * alphabet**size)


def best_by_brute_force(size, alphabet, states):
    """The best codebook of all. Relabelling symbols place by place turns its first word into zeros."""
    words = [tuple(word) for word in strings(size, alphabet).tolist()]
    return max(accuracy_of([words[0], *others], size, alphabet) for others in combinations(words[1:], states - 1))


def sphere_in_the_notes(size, alphabet, states):
    """The formula as shared/papers/required-bits.md prints it, term by term."""
    total = Fraction(0)
    for d in range(size):
        ball = sum(math.comb(size, j) * (alphabet - 1) ** j for j in range(d + 1))
        total += max(Fraction(0), 1 - Fraction(states * ball, alphabet**size))
    return 1 - total / size


def test_81_classes_for_four_symbols_of_three():
    assert 2 ** index_lookup.required_bits(4, 3).value == pytest.approx(81, rel=1e-12)


@pytest.mark.parametrize(
    ("size", "alphabet", "states", "optimum"),
    [
        (2, 2, 2, 0.7500),
        (3, 2, 2, 0.7500),
        (3, 2, 3, 0.7917),
        (4, 2, 2, 0.6875),
        (4, 2, 4, 0.8125),
        (5, 2, 2, 0.6875),
        (5, 2, 4, 0.7750),
        (3, 3, 3, 0.6296),
    ],
)
def test_the_sphere_bound_is_the_optimum_found_by_brute_force(size, alphabet, states, optimum):
    assert index_lookup._sphere(size, alphabet, states) == best_by_brute_force(size, alphabet, states)
    assert float(index_lookup._sphere(size, alphabet, states)) == pytest.approx(optimum, abs=5e-5)
    if states & (states - 1) == 0:
        bits = states.bit_length() - 1
        assert index_lookup.best_accuracy(size, alphabet, bits).value == pytest.approx(optimum, abs=5e-5)


def test_the_sphere_bound_is_not_attained_by_two_states_for_two_symbols_of_three():
    assert best_by_brute_force(2, 3, 2) == Fraction(5, 9)
    assert index_lookup._sphere(2, 3, 2) == Fraction(11, 18)


@pytest.mark.parametrize(
    ("size", "alphabet", "state_bits", "sphere", "shannon"),
    [
        (16, 16, 18, 0.471, 0.520),
        (64, 16, 32, 0.324, 0.341),
        (64, 16, 128, 0.697, 0.710),
        (400, 64, 1024, 0.585, 0.588),
    ],
)
def test_four_examples_of_the_notes(size, alphabet, state_bits, sphere, shannon):
    value = index_lookup.best_accuracy(size, alphabet, state_bits).value
    assert value == pytest.approx(sphere, abs=5e-4)
    assert value < shannon


@given(size=st.integers(1, 40), alphabet=st.integers(2, 40), state_bits=st.integers(0, 220))
def test_the_float_is_the_exact_bound_rounded_up(size, alphabet, state_bits):
    value = index_lookup.best_accuracy(size, alphabet, state_bits).value
    exact = sphere_in_the_notes(size, alphabet, 2**state_bits)
    assert 0 <= Fraction(value) - exact <= Fraction(1, 2**52)


@given(size=st.integers(1, 40), alphabet=st.integers(2, 40), state_bits=st.integers(0, 220))
def test_accuracy_is_one_exactly_from_the_required_bits_on(size, alphabet, state_bits):
    enough = 2**state_bits >= alphabet**size
    assert (index_lookup.best_accuracy(size, alphabet, state_bits).value == 1) == enough
    assert (index_lookup.achievable_accuracy(size, alphabet, state_bits).value == 1) == enough


@pytest.mark.parametrize(("size", "alphabet"), [(1, 2), (7, 2), (16, 16), (20, 3), (11, 100)])
def test_more_bits_never_lower_the_bound(size, alphabet):
    values = [index_lookup.best_accuracy(size, alphabet, bits).value for bits in range(size * 7 + 2)]
    assert values[0] == pytest.approx(1 / alphabet, abs=1e-15)
    assert values[-1] == 1
    assert all(low < high or low == high == 1 for low, high in pairwise(values))


def test_a_state_far_larger_than_the_string_costs_nothing():
    assert index_lookup.best_accuracy(64, 16, 10**15).value == 1
    assert index_lookup.achievable_accuracy(64, 16, 10**15).value == 1


@given(size=st.integers(1, 5), alphabet=st.integers(2, 3), state_bits=st.integers(0, 9))
def test_the_reader_that_keeps_symbols_has_the_stated_accuracy(size, alphabet, state_bits):
    kept = max(m for m in range(size + 1) if alphabet**m <= 2**state_bits)
    words = strings(size, alphabet)
    states = words[:, :kept]
    assert len(np.unique(states, axis=0)) <= 2**state_bits
    answers = np.concatenate([states, np.zeros((len(words), size - kept), int)], axis=1)
    accuracy = (answers == words).mean()
    assert index_lookup.achievable_accuracy(size, alphabet, state_bits).value == pytest.approx(accuracy, abs=1e-12)
    assert accuracy <= index_lookup.best_accuracy(size, alphabet, state_bits).value


@settings(max_examples=60)
@given(data=st.data(), size=st.integers(1, 5), alphabet=st.integers(2, 3), state_bits=st.integers(0, 4))
def test_no_quantiser_beats_the_bound(data, size, alphabet, state_bits):
    word = st.lists(st.integers(0, alphabet - 1), min_size=size, max_size=size)
    codebook = data.draw(st.lists(word, min_size=2**state_bits, max_size=2**state_bits))
    limit = index_lookup.best_accuracy(size, alphabet, state_bits).value
    assert accuracy_of(codebook, size, alphabet) <= Fraction(limit)


@given(size=st.integers(1, 200), alphabet=st.integers(2, 300), state_bits=st.integers(0, 2000))
def test_what_is_achieved_is_never_above_what_is_possible(size, alphabet, state_bits):
    achieved = index_lookup.achievable_accuracy(size, alphabet, state_bits).value
    assert achieved <= index_lookup.best_accuracy(size, alphabet, state_bits).value


def test_accuracy_bounds_say_what_they_are():
    limit, reader = index_lookup.best_accuracy(16, 16, 18), index_lookup.achievable_accuracy(16, 16, 18)
    assert (limit.direction, reader.direction) == ("requirement", "construction")
    assert limit.error == reader.error == "average under the task's sampler"
    assert limit.claim == "accuracy: at most 0.471"
    assert reader.claim == "accuracy: 0.296 is reached"


def bits_of(numbers, width):
    return (np.asarray(numbers)[..., None] >> np.arange(width)) & 1


def attend(words, alphabet, width):
    """The layer of Theorem 1 with binary addresses, of `width` channels, asked for every place of every word.

    channels  symbol bits | address asked for | address of the place
    """
    num_words, size = words.shape
    symbol = (alphabet - 1).bit_length()
    address = (width - symbol) // 2
    codes = (2.0 * bits_of(np.arange(size), address) - 1) / math.sqrt(address)
    string = np.zeros((num_words, size, width))
    string[:, :, :symbol], string[:, :, symbol + address :] = bits_of(words, symbol), codes
    query = np.zeros((size, width))
    query[:, symbol : symbol + address] = codes
    scale = address / 2 * math.log(3 * (size + 1)) + 1e-9
    keys = np.concatenate([string, np.zeros((num_words, 1, width))], axis=1)  # a query's own key is empty
    logits = scale * query[:, symbol : symbol + address] @ keys[:, :, symbol + address :].transpose(0, 2, 1)
    weights = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    mixed = weights @ keys[:, :, :symbol]
    read = np.maximum(2 * mixed - 0.5, 0) - np.maximum(2 * mixed - 1.5, 0)
    return np.rint(read) @ (1 << np.arange(symbol)), read


@pytest.mark.parametrize(("size", "alphabet"), [(1, 2), (2, 2), (3, 3), (5, 2), (4, 4), (8, 2), (64, 16), (300, 5)])
def test_an_attention_layer_of_the_stated_width_is_right_everywhere(size, alphabet):
    if alphabet**size <= 256:
        words = strings(size, alphabet)
    else:
        words = np.random.default_rng(0).integers(0, alphabet, (8, size))
    width = index_lookup.attention_width(size, alphabet)
    answers, read = attend(words, alphabet, int(width.value))
    assert (answers == words).all()
    assert np.abs(read - np.rint(read)).max() < 1e-6
    assert width.direction == "construction"
    assert "hidden" in width.assumes


@pytest.mark.parametrize(("size", "alphabet", "width"), [(1, 2, 5), (64, 16, 16), (65, 16, 18), (1024, 17, 25)])
def test_widths_by_hand(size, alphabet, width):
    assert index_lookup.attention_width(size, alphabet).value == width


@pytest.mark.parametrize("size", [0, -3])
@pytest.mark.parametrize("function", ["required_bits", "attention_width", "best_accuracy", "achievable_accuracy"])
def test_sizes_below_one_are_refused(function, size):
    state_bits = [8] if "accuracy" in function else []
    with pytest.raises(UsageError, match=rf"index_lookup\.{function}: size is {size}; .* at least 1"):
        getattr(index_lookup, function)(size, 16, *state_bits)


def test_an_alphabet_of_one_and_negative_bits_are_refused():
    with pytest.raises(UsageError, match="alphabet is 1; it must be an integer of at least 2"):
        index_lookup.required_bits(4, 1)
    with pytest.raises(UsageError, match="state_bits is -1; it must be an integer of at least 0"):
        index_lookup.best_accuracy(4, 2, -1)
    with pytest.raises(UsageError, match="state_bits is -2; it must be an integer of at least 0"):
        index_lookup.achievable_accuracy(4, 2, -2)


@pytest.mark.parametrize("size", [4, 8, 9, 12])
def test_a_tool_for_recall_tells_three_bits_of_the_strings_with_one_symbol_between(size):
    free = size // 2
    outcomes = Counter()
    for bits in product((0, 1), repeat=free):
        string = [symbol for bit in bits for symbol in (bit, 2)] + [2] * (size % 2)
        followers = dict(reversed(list(pairwise([*string, "query"]))))
        outcomes[tuple(followers.get(symbol) for symbol in range(3))] += 1
    assert len(outcomes) <= 8
    assert math.log2(max(outcomes.values())) >= index_lookup.required_bits_beside_recall(size, 3).value


def test_two_symbols_leave_none_to_put_between():
    assert index_lookup.required_bits_beside_recall(7, 3).value == 0
    with pytest.raises(UsageError, match=r"required_bits_beside_recall: alphabet is 2; it must be .* at least 3"):
        index_lookup.required_bits_beside_recall(8, 2)
