"""Random words as a function of their coordinates, and nothing left behind in global generators."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise.core.errors import UsageError
from statewise.core.random import SPLITS, child_seed, drawn_words, indexed_words, integers, seeded


def words(start=0, count=8, num_words=6, key=7, split="train", size=5):
    return indexed_words(key, split=split, size=size, start=start, count=count, num_words=num_words)


@given(start=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 20), max_size=4), num_words=st.integers(0, 9))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_words_do_not_depend_on_how_examples_are_batched(start, cuts, num_words):
    whole = words(start, 20, num_words)
    edges = [0, *sorted(cuts), 20]
    pieces = [words(start + a, b - a, num_words) for a, b in itertools.pairwise(edges)]
    assert whole.shape == (20, num_words)
    assert np.array_equal(np.concatenate(pieces), whole)


@given(num_words=st.integers(1, 9), more=st.integers(1, 9))
@settings(deadline=None, derandomize=True, max_examples=20)
def test_the_first_example_has_the_same_first_words_however_many_it_has(num_words, more):
    assert np.array_equal(words(0, 1, num_words), words(0, 1, num_words + more)[:, :num_words])


def test_no_word_is_handed_out_twice_across_splits_sizes_keys_and_examples():
    drawn = [
        words(start, 50, num_words=7, key=key, split=split, size=size).ravel()
        for start in (0, 50, 2**40)
        for key in (7, 8)
        for split in SPLITS
        for size in (1, 2, 3, 256)
    ]
    together = np.concatenate(drawn)
    assert len(together) == 3 * 2 * 4 * 4 * 50 * 7
    assert len(np.unique(together)) == len(together)


def test_splits_have_numbers_of_their_own():
    assert len(set(SPLITS.values())) == len(SPLITS) == 4


def test_bits_of_the_words_are_fair_and_neighbours_independent():
    drawn = words(0, 4000, num_words=3)
    bits = (drawn[:, :, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert (abs(bits.mean(0) - 0.5) < 5 * 0.5 / 4000**0.5).all()
    same = (drawn[1:] & np.uint64(1)) == (drawn[:-1] & np.uint64(1))
    assert (abs(same.mean(0) - 0.5) < 5 * 0.5 / 4000**0.5).all()


def test_examples_beyond_the_counter_are_refused():
    last = 2**63 - 3
    assert words(last, 2).shape == (2, 6)
    with pytest.raises(UsageError, match=f"example {last + 3} lies beyond the counter: 2 blocks for each example"):
        words(last, 3)


@pytest.mark.parametrize("bound", [1, 2, 3, 10, 2**40])
def test_integers_lie_below_their_bound_and_fill_it_evenly(bound):
    drawn = integers(words(0, 2000, num_words=5), bound)
    assert drawn.dtype == np.int64
    assert drawn.min() >= 0
    assert drawn.max() < bound
    tenths = np.bincount((drawn * min(bound, 10) // bound).ravel())
    assert len(tenths) == min(bound, 10)
    assert (abs(tenths - 10_000 / len(tenths)) < 5 * (10_000 / len(tenths)) ** 0.5 + 1e-9).all()


@pytest.mark.parametrize("make", [torch.Generator, np.random.default_rng], ids=["torch", "numpy"])
def test_drawn_words_follow_the_generator(make):
    def fresh():
        return torch.Generator().manual_seed(3) if make is torch.Generator else np.random.default_rng(3)

    one, other = fresh(), fresh()
    first = drawn_words(one, 500, 8)
    assert first.shape == (500, 8)
    assert first.dtype == np.uint64
    assert np.array_equal(first, drawn_words(other, 500, 8))
    assert not np.array_equal(first, drawn_words(one, 500, 8))
    bits = (first[:, :, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert (abs(bits.mean((0, 1)) - 0.5) < 5 * 0.5 / 4000**0.5).all()


@pytest.mark.parametrize("generator", [None, 0, np.random.RandomState(0)], ids=lambda g: type(g).__name__)
def test_what_is_no_generator_is_refused(generator):
    with pytest.raises(UsageError, match=f"generator is a {type(generator).__name__}; pass a torch.Generator or"):
        drawn_words(generator, 1, 1)


def test_seeded_draws_the_same_and_restores_the_global_generator():
    torch.manual_seed(123)
    before = torch.get_rng_state()
    with seeded(5):
        first = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    with seeded(5):
        again = torch.rand(4)
    with seeded(6):
        other = torch.rand(4)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_seeded_restores_the_global_generator_after_an_exception():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="negative dimension"), seeded(5):
        torch.rand(torch.rand(4).numel() - 5)
    assert torch.equal(torch.get_rng_state(), before)


def test_child_seeds_differ_by_name_and_parent_and_are_63_bits():
    seeds = [child_seed(seed, *names) for seed in range(50) for names in [(), ("a",), ("b",), ("a", 1), ("a", 2)]]
    assert len(set(seeds)) == len(seeds)
    assert 2**62 < max(seeds) < 2**63
    assert min(seeds) >= 0
