"""Bounded Dyck: membership by a plain loop, and what members and corrupted strings look like."""

from collections import Counter
from itertools import product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks import UNSCORED, Batch, Dyck

BRACKETS = "([{)]}"
KINDS = [(1, 1), (1, 3), (2, 2), (3, 4)]
COUNT = 4000


def deepest(string, types):
    """The deepest nesting of a balanced string; None if it is not balanced."""
    stack, most = [], 0
    for bracket in string:
        if bracket < types:
            stack.append(bracket)
            most = max(most, len(stack))
        elif not stack or stack.pop() != bracket - types:
            return None
    return None if stack else most


def member(string, types, depth):
    nesting = deepest(string, types)
    return nesting is not None and nesting <= depth


def examples(types, depth, size, count=COUNT):
    return Dyck(types=types, depth=depth).examples("train", seed=0, start=0, count=count, size=size)


def labelled(types, depth, size, count=COUNT):
    """Members and corrupted strings, as the labels say."""
    batch = examples(types, depth, size, count)
    yes, no = 2 * types + 1, 2 * types
    rows = batch.tokens.tolist()
    answers = batch.targets[:, -1].tolist()
    assert set(answers) == {yes, no}
    return [r for r, a in zip(rows, answers, strict=True) if a == yes], [
        r for r, a in zip(rows, answers, strict=True) if a == no
    ]


@pytest.mark.parametrize(
    ("text", "depth", "balanced"),
    [
        ("([]())", 2, True),
        ("()[]{}", 1, True),
        ("([{}])", 3, True),
        ("([{}])", 2, False),
        ("([)]", 2, False),
        ("((", 2, False),
        (")(", 2, False),
        ("()))", 2, False),
        ("(]", 2, False),
        ("()((", 2, False),
    ],
)
def test_examples_worked_by_hand(text, depth, balanced):
    tokens = torch.tensor([[BRACKETS.index(bracket) for bracket in text]])
    answers = Dyck(types=3, depth=depth).solve(Batch(tokens, tokens, tokens >= 0))
    assert answers.tolist() == [[UNSCORED] * (len(text) - 1) + [6 + balanced]]


@pytest.mark.parametrize(("types", "depth", "size"), [(1, 1, 8), (1, 3, 10), (2, 2, 6), (2, 1, 6), (3, 2, 4)])
def test_the_rule_is_membership_on_every_string(types, depth, size):
    task = Dyck(types=types, depth=depth)
    strings = list(product(range(2 * types), repeat=size))
    tokens = torch.stack(list(task.inputs(size)))
    assert list(map(tuple, tokens.tolist())) == strings
    answers = task.solve(Batch(tokens, tokens, tokens >= 0))[:, -1].tolist()
    assert answers == [2 * types + member(string, types, depth) for string in strings]


@pytest.mark.parametrize(("types", "depth"), KINDS)
@pytest.mark.parametrize("size", [2, 12, 40])
def test_labels_are_right_and_half_of_the_strings_are_balanced(types, depth, size):
    members, corrupted = labelled(types, depth, size)
    assert all(member(string, types, depth) for string in members)
    assert not any(member(string, types, depth) for string in corrupted)
    assert abs(len(members) - COUNT / 2) < 5 * (COUNT / 4) ** 0.5


@pytest.mark.parametrize(("types", "depth"), KINDS)
def test_members_reach_the_depth_and_no_more(types, depth):
    depths = Counter(deepest(string, types) for string in labelled(types, depth, 24)[0])
    assert max(depths) == depth
    assert depth == 1 or len(depths) > 1


def test_a_walk_opens_and_closes_with_equal_chance_where_it_may():
    found = Counter("".join(map(str, string)) for string in labelled(1, 2, 6)[0])
    # Up, then twice a free choice between up and down at depth 1; everything else is forced.
    expected = {"001101": 0.25, "001011": 0.25, "010101": 0.25, "010011": 0.25}
    assert set(found) == set(expected)
    for string, share in expected.items():
        assert abs(found[string] / found.total() - share) < 5 * (share * (1 - share) / found.total()) ** 0.5


def test_types_are_uniform():
    opening = [bracket for string in labelled(3, 4, 24)[0] for bracket in string if bracket < 3]
    for kind in range(3):
        assert abs(opening.count(kind) / len(opening) - 1 / 3) < 5 * (2 / 9 / len(opening)) ** 0.5


@pytest.mark.parametrize(("types", "depth", "size"), [(1, 2, 8), (2, 2, 6), (3, 2, 6)])
def test_a_short_corrupted_string_is_at_most_two_brackets_from_a_member(types, depth, size):
    members = [s for s in product(range(2 * types), repeat=size) if member(s, types, depth)]
    near = Counter(
        min(sum(a != b for a, b in zip(string, other, strict=True)) for other in members)
        for string in labelled(types, depth, size, 400)[1]
    )
    assert set(near) <= {1, 2}
    assert near[1] > near[2]


def test_both_kinds_of_corruption_occur_and_with_equal_chance():
    corrupted = labelled(2, 2, 12)[1]
    retyped = sum(sum(bracket < 2 for bracket in string) == 6 for string in corrupted)
    assert abs(retyped / len(corrupted) - 0.5) < 5 * 0.5 / len(corrupted) ** 0.5


def test_one_type_is_corrupted_in_direction_alone():
    """Of one or two changes in 20 brackets, two that turn the same way: 1/2 · 19/20 · 9/19 of the strings."""
    corrupted = labelled(1, 2, 20)[1]
    share = sum(abs(sum(string) - 10) == 2 for string in corrupted) / len(corrupted)
    assert abs(share - 0.225) < 5 * (0.225 * 0.775 / len(corrupted)) ** 0.5


@pytest.mark.parametrize("tokens", [[], [0], [0, 2, 0], [4, 0], [0, -1], [5, 5]])
def test_what_is_no_string_of_brackets_is_not_valid(tokens):
    assert not Dyck(types=2).valid(torch.tensor(tokens, dtype=torch.int64))


@pytest.mark.parametrize("size", [1, 7])
def test_odd_sizes_are_refused(size):
    with pytest.raises(UsageError, match=f"dyck: size is {size}; it must be a positive multiple of 2"):
        Dyck().inputs(size)


@pytest.mark.parametrize(("types", "depth"), [(0, 2), (2, 0), (-1, 1)])
def test_no_brackets_and_no_depth_are_refused(types, depth):
    with pytest.raises(UsageError, match=f"types is {types} and depth is {depth}; both must be at least 1"):
        Dyck(types=types, depth=depth)
