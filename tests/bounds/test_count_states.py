"""States counted over every input: against brute force, against every closed form, and on tasks written out."""

import math
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bounds.listed_task import (
    Listed,
    any_two_words,
    cut_copy,
    equal_or_one_apart,
    masked_copy,
    only_last,
    pairs_and_every_query,
    pairs_and_one_query,
)
from statewise import bounds
from statewise.bounds import conflicts
from statewise.bounds.count_states import (
    CutStates,
    bound_of_profile,
    count_required_bits,
    profile_states,
    states_at,
    worst_cut,
)
from statewise.core.errors import UsageError
from statewise.tasks import UNSCORED, Batch, Dyck, InContextRegression, IndexLookup, Parity, Text


def conflict(rows, one, other):
    """The definition: a continuation that both admit, and after which a scored target differs."""
    right = {}
    for tokens, targets in rows:
        for t in range(len(one), len(tokens)):
            if targets[t] != UNSCORED:
                right[tokens[: t + 1]] = targets[t]
    follow = {
        prefix: {read[len(prefix) :]: answer for read, answer in right.items() if read[: len(prefix)] == prefix}
        for prefix in (one, other)
    }
    return any(follow[one][u] != follow[other][u] for u in follow[one].keys() & follow[other].keys())


def colours_needed(vertices, edges):
    """The chromatic number, by trying every assignment that starts a colour only after the ones before it."""

    def fits(number, colours):
        if len(colours) == len(vertices):
            return True
        v = len(colours)
        return any(
            all(colours[u] != c for u in range(v) if (vertices[u], vertices[v]) in edges)
            and fits(number, [*colours, c])
            for c in range(min(number, max(colours, default=-1) + 2))
        )

    return next(number for number in range(1, len(vertices) + 1) if fits(number, []))


def needed_at(rows, cut):
    prefixes = sorted({tokens[:cut] for tokens, _ in rows})
    edges = {(p, q) for p, q in combinations(prefixes, 2) if conflict(rows, p, q)}
    return colours_needed(prefixes, edges)


@st.composite
def listed_tasks(draw):
    alphabet, length = draw(st.sampled_from([(2, 4), (3, 3)]))
    every = list(product(range(alphabet), repeat=length))
    tokens = draw(st.lists(st.sampled_from(every), min_size=1, max_size=20, unique=True))
    read = sorted({row[: t + 1] for row in tokens for t in range(length)})
    answers = draw(st.lists(st.sampled_from([UNSCORED, 0, 1]), min_size=len(read), max_size=len(read)))
    right = dict(zip(read, answers, strict=True))
    rows = tuple((row, tuple(right[row[: t + 1]] for t in range(length))) for row in tokens)
    return Listed(rows)


@settings(max_examples=150, deadline=None)
@given(task=listed_tasks())
def test_every_cut_of_any_task_needs_what_the_definition_says(task):
    for states in profile_states(task, 1):
        assert states.exact
        assert states.at_least == needed_at(task.rows, states.cut)
        assert states.prefixes == len({tokens[: states.cut] for tokens, _ in task.rows})


@settings(max_examples=80, deadline=None)
@given(task=listed_tasks())
def test_where_conflicts_are_not_written_out_the_interval_still_holds(task):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conflicts, "MOST_FUTURES", 3)
        for states in profile_states(task, 1):
            assert states.at_least <= needed_at(task.rows, states.cut) <= states.at_most


@pytest.mark.parametrize(
    ("task", "sizes"),
    [
        (IndexLookup(alphabet=3), (1, 2, 4)),
        (IndexLookup(alphabet=2, queries=2), (1, 3, 5)),
        (IndexLookup(alphabet=5), (1, 3)),
        (Dyck(types=1, depth=2), (2, 6, 8)),
        (Dyck(types=2, depth=2), (2, 4, 6)),
        (Dyck(types=1, depth=3), (4, 10)),
        (Dyck(types=2, depth=3), (2, 6)),
        (Dyck(types=3, depth=1), (4,)),
        (Parity(), (1, 2, 6)),
        (Parity(every_prefix=False), (1, 2, 9)),
    ],
    ids=str,
)
def test_closed_forms_are_what_is_counted(task, sizes):
    for size in sizes:
        counted = count_required_bits(task, size, cut="all")
        assert counted.value == pytest.approx(bounds.required_bits(task, size).value, rel=1e-12)
        assert "exact: the classes of all cuts form one reader" in counted.holds_for


def test_four_symbols_of_three_have_81_states_at_the_cut_of_the_task():
    states = states_at(IndexLookup(alphabet=3), 4, 4)
    assert states == CutStates(cut=4, at_least=81, at_most=81, prefixes=81, total=True)
    assert states.shown == "81 exact"
    assert count_required_bits(IndexLookup(alphabet=3), 4).value == math.log2(81)


@pytest.mark.parametrize(
    ("rows", "counted"),
    [
        (masked_copy(2, 3), [1, 2, 2, 2, 2, 2, 1]),
        (masked_copy(2, 4), [1, 2, 2, 2, 2, 2, 2, 2, 1]),
        (masked_copy(3, 2), [1, 3, 3, 3, 1]),
        (cut_copy(2, 3), [1, 2, 4, 8, 4, 2, 1]),
        (cut_copy(2, 4), [1, 2, 4, 8, 16, 8, 4, 2, 1]),
        (equal_or_one_apart(2, 3), [1, 2, 2, 2, 2, 2, 1]),
        (equal_or_one_apart(3, 3), [1, 3, 3, 3, 3, 3, 1]),
        (any_two_words(2, 3), [1, 2, 4, 8, 5, 3, 1]),
        (pairs_and_one_query(2, 3, 2), [1, 1, 2, 6, 4, 1]),
        (pairs_and_one_query(2, 4, 2), [1, 1, 2, 7, 5, 1]),
        (pairs_and_one_query(3, 4, 2), [1, 1, 2, 7, 5, 16, 8, 1]),
        (pairs_and_every_query(2, 3, 2), [1, 1, 2, 6, 4, 2, 1]),
        (pairs_and_every_query(2, 3, 3), [1, 1, 3, 9, 9, 3, 1]),
    ],
    ids=lambda value: "" if isinstance(value, list) else value.__name__,
)
def test_profiles_of_tasks_written_out(rows, counted):
    profile = profile_states(Listed(tuple(rows)), 1)
    assert [states.at_least for states in profile] == [states.at_most for states in profile] == counted


def test_a_promise_needs_fewer_states_than_it_has_rows():
    task = Listed(tuple(masked_copy(2, 3)))
    middle = profile_states(task, 1)[3]
    assert (middle.at_least, middle.prefixes, middle.total) == (2, 8, False)
    bound = count_required_bits(task, 1)
    assert bound.value == 1
    assert "exact for the cut after 3 tokens, 2 states; one reader for all cuts may need more" in bound.holds_for
    assert "exact: " not in count_required_bits(task, 1, cut="all").holds_for


def test_what_does_not_meet_is_an_interval():
    profile = profile_states(Listed(tuple(pairs_and_one_query(2, 5, 2))), 1)
    assert (profile[4].at_least, profile[4].at_most) == (6, 6)
    states = CutStates(cut=3, at_least=7, at_most=8, prefixes=40, total=False)
    assert (states.exact, states.shown) == (False, "[7, 8]")
    assert "the cut after 3 tokens needs between 7 and 8 states" in bound_of_profile((states,)).holds_for
    assert bound_of_profile((states,)).value == math.log2(7)


def test_the_cut_that_needs_most_is_the_bound():
    profile = profile_states(IndexLookup(alphabet=2), 3)
    assert worst_cut(profile).cut == 3
    assert [states.cut for states in profile] == [0, 1, 2, 3, 4]
    assert [count_required_bits(IndexLookup(alphabet=2), 3, cut=t).value for t in range(5)] == [0, 1, 2, 3, 0]


def test_an_answer_may_use_the_token_just_read():
    last_symbol = tuple((row, row) for row in product(range(3), repeat=3))
    assert [states.shown for states in profile_states(Listed(last_symbol), 1)] == ["1 exact"] * 4


def test_what_is_scored_on_one_side_only_is_no_conflict():
    rows = (((0, 2), (UNSCORED, 0)), ((1, 2), (UNSCORED, UNSCORED)), ((0, 3), (UNSCORED, 1)))
    assert states_at(Listed(rows), 1, 1).at_least == 1


def test_tokens_after_the_scored_one_do_not_tell_prefixes_apart():
    """Copying with the answers fed back: 00 and 11 share no whole continuation, and conflict all the same."""
    rows = tuple(((*w, 2, *w), (UNSCORED, UNSCORED, *w, UNSCORED)) for w in product(range(2), repeat=2))
    assert states_at(Listed(rows), 1, 2).shown == "4 exact"


def test_a_sample_gives_a_lower_bound_at_any_size():
    task = IndexLookup(alphabet=16)
    bound = count_required_bits(task, 64, sample=32)
    assert bound.value == 5
    assert "from a sample, so more may be needed" in bound.holds_for
    assert bound.source.startswith("counted over 32 sampled prefixes of 64 tokens")
    states = states_at(task, 64, 64, sample=32)
    assert (states.at_most, states.exact, states.shown) == (None, False, "at least 32")


def test_a_sample_takes_valid_inputs_only():
    """Any two words would tell all prefixes apart; words that are equal or one apart need a checksum."""
    sampled = states_at(Listed(tuple(equal_or_one_apart(2, 3))), 1, 3, sample=40)
    assert (sampled.at_least, sampled.prefixes) == (2, 8)


@pytest.mark.parametrize("task", [Dyck(types=2, depth=2), IndexLookup(alphabet=2), Parity()], ids=str)
def test_a_sample_never_needs_more_than_everything(task):
    for sampled, counted in zip(profile_states(task, 6, sample=20), profile_states(task, 6), strict=True):
        assert sampled.at_least <= counted.at_least
        assert sampled.prefixes <= counted.prefixes


def test_too_many_inputs_name_the_size_that_works():
    task = IndexLookup(alphabet=2)
    message = "^index-lookup: too many inputs of size 64 to list; with these settings size 12 is the largest that works"
    with pytest.raises(UsageError, match=message):
        profile_states(task, 64)
    assert task.inputs(13) is None
    assert worst_cut(profile_states(task, 12)).shown == "4,096 exact"
    with pytest.raises(UsageError, match="with these settings no size has few enough; a sample gives a lower bound"):
        profile_states(IndexLookup(alphabet=70_000), 2)


def test_sizes_cuts_and_samples_that_do_not_exist_are_refused():
    with pytest.raises(UsageError, match="dyck: size is 7; it must be a positive multiple of 2"):
        profile_states(Dyck(), 7)
    with pytest.raises(UsageError, match="states_at: cut is 5; an input of parity of size 4 has 4 tokens"):
        count_required_bits(Parity(), 4, cut=5)
    with pytest.raises(UsageError, match="states_at: cut is -1; it must be an integer of at least 0"):
        count_required_bits(Parity(), 4, cut=-1)
    with pytest.raises(UsageError, match="sample is 0; it must be an integer of at least 1"):
        count_required_bits(Parity(), 4, sample=0)
    with pytest.raises(
        UsageError, match="text: the state that it requires is not defined in bits: no rule says what comes next"
    ):
        count_required_bits(Text(), 4)
    with pytest.raises(
        UsageError, match="text: the state that it requires is not defined in bits: no rule says what comes next"
    ):
        count_required_bits(Text(), 4, sample=3)
    with pytest.raises(
        UsageError, match="not defined in bits: inputs are real numbers, and prefixes fall into infinit"
    ):
        count_required_bits(InContextRegression(), 4)


def test_targets_that_depend_on_what_follows_are_refused():
    rows = (((0, 1), (3, 0)), ((0, 2), (4, 0)))
    with pytest.raises(UsageError, match=r"^listed: after \[0\] the target at 0 is 3 or 4, by what follows"):
        profile_states(Listed(rows), 1)


def test_a_rule_that_is_not_the_tasks_own_is_refused_with_an_example():
    @dataclass(frozen=True)
    class Wrong(Parity):
        def solve(self, batch):
            return 1 - Parity.solve(self, batch)

    message = (
        r"^parity: solve disagrees with the task's own targets: for \[[01, ]+\] \(example 0 of size 4\) the target"
    )
    with pytest.raises(UsageError, match=message + r" at 0 is [01], solve says [01]$"):
        count_required_bits(Wrong(), 4)


def test_inputs_that_leave_out_examples_are_refused():
    @dataclass(frozen=True)
    class Sparse(Parity):
        def inputs(self, size):
            return iter([torch.zeros(size, dtype=torch.int64)])

    with pytest.raises(UsageError, match=r"^parity: inputs\(4\) does not list \[[01, ]+\], which the task draws"):
        count_required_bits(Sparse(), 4)


def test_many_distinct_rows_are_counted_in_no_time():
    rows = tuple(only_last((*w, 2), sum(w[:3]) % 2) for w in product(range(2), repeat=10))
    assert [states.at_least for states in profile_states(Listed(rows), 1)] == [1, *[2] * 10, 1]


def test_the_batch_that_solve_gets_holds_tokens_only():
    seen = []

    @dataclass(frozen=True)
    class Watched(Parity):
        def solve(self, batch: Batch):
            seen.append(batch)
            return Parity.solve(self, batch)

    count_required_bits(Watched(), 3)
    assert not seen[-1].scored.any()
    assert np.array_equal(seen[-1].targets.numpy(), np.full((8, 3), UNSCORED))
