"""Chains of thought: tours and searches written out for the task's own inputs, and counted."""

import math

import pytest
import torch

from statewise.bounds import chain_of_thought, counting, index_lookup, required_bits
from statewise.core.errors import UsageError
from statewise.tasks import IsTree
from statewise.tasks.is_tree import FIRST_VERTEX, YES


def edges_of(tokens):
    ends = (tokens[first:-1:3] - FIRST_VERTEX for first in (1, 3))
    return list(zip(*(end.tolist() for end in ends), strict=True))


def neighbours_of(edges, size):
    found = [[] for _ in range(size)]
    for one, other in edges:
        found[one].append(other)
        found[other].append(one)
    return found


def tour(edges, size):
    """The vertices that a walk from 0 names, and whether it found a tree."""
    neighbours, named, seen = neighbours_of(edges, size), [0], {0}
    path = [(0, None, iter(neighbours[0]))]
    while path:
        vertex, father, rest = path[-1]
        following = next((v for v in rest if v != father), None)
        if following in seen:
            return named, False
        if following is None:
            path.pop()
            named += [path[-1][0]] if path else []
        else:
            seen.add(following)
            named.append(following)
            path.append((following, vertex, iter(neighbours[following])))
    return named, len(seen) == size


FAILED, START, END = "failed", "start", "end"


def trace(edges, size):
    """The tokens of a walk whose every step asks a search, in the published format, and whether it found a tree."""
    neighbours, written, fathers = neighbours_of(edges, size), [], {0: FAILED}
    stack, previous = [0], FAILED

    def search(*pattern, found):
        written.extend([START, *pattern, END, found])
        return found

    def after(vertex, last):
        rest = [*neighbours[vertex], FAILED]
        return rest[0 if last is None else rest.index(last) + 1]

    while stack:
        vertex = stack[-1]
        written.append(vertex)
        father = search(vertex, "~", found=fathers[vertex])
        if previous == father:
            following = search(vertex, "-", found=after(vertex, None))
        else:
            following = search(vertex, "-", previous, found=after(vertex, previous))
        if following == father != FAILED:
            following = search(vertex, "-", father, found=after(vertex, father))
        if following == FAILED:
            previous = stack.pop()
        elif search(following, "~", found=fathers.get(following, FAILED)) != FAILED or following == 0:
            return written, False
        else:
            written.extend([following, "~", vertex])
            fathers[following] = vertex
            stack.append(following)
            previous = vertex
    return written, len(fathers) == size


def examples(size):
    """Every input of a small size, or some of a larger one: edges and the right answer."""
    task = IsTree()
    drawn = task.examples("train", seed=0, start=0, count=40, size=size)
    listed = task.inputs(size)
    rows = drawn.tokens if listed is None else torch.stack(list(listed))
    answers = task.solve(drawn._replace(tokens=rows))[:, -1]
    return [(edges_of(row), bool(answer == YES)) for row, answer in zip(rows, answers, strict=True)]


@pytest.mark.parametrize("size", [4, 5, 16, 33])
@pytest.mark.parametrize(
    ("write", "bound"),
    [(tour, chain_of_thought.tour_of_tree), (trace, chain_of_thought.searches_of_tree)],
    ids=["tour", "search"],
)
def test_the_longest_chain_is_that_of_a_tree(write, bound, size):
    trees, others = [], []
    for edges, answer in examples(size):
        written, found = write(edges, size)
        assert found == answer
        (trees if answer else others).append(len(written))
    assert set(trees) == {bound(size).value}
    assert max(others) < bound(size).value


@pytest.mark.parametrize("bound", [chain_of_thought.tour_of_tree, chain_of_thought.searches_of_tree])
def test_numbers_are_constructions_and_need_two_stars(bound):
    assert (bound(16).unit, bound(16).direction) == ("chain-of-thought tokens", "construction")
    with pytest.raises(UsageError, match=r"tree: size is 3; it must be an integer of at least 4"):
        bound(3)


@pytest.mark.parametrize(
    "bound",
    [chain_of_thought.hybrid_on_tree(), chain_of_thought.hybrid_retrieval(), chain_of_thought.search_retrieval()],
    ids=lambda bound: bound.source,
)
def test_what_is_proved_up_to_a_constant_has_no_number(bound):
    assert math.isnan(bound.value)
    assert bound.claim.endswith("constant not given")
    assert "our repair" in bound.assumes


def test_a_chain_leaves_the_bits_as_they_are_and_says_whose_proof_it_is():
    plain = index_lookup.required_bits(64, 16)
    proved, derived = chain_of_thought.same_bits(plain, "4.6"), chain_of_thought.same_bits(counting.required_bits(4, 3))
    assert proved.claim == "bits with a chain of thought: at least 256"
    assert proved.error == "zero"
    assert "chain of thought, of any length" in proved.holds_for
    assert "Theorem 4.6 (o(n) bits" in proved.source
    assert "derived" in derived.source
    assert derived.value == counting.required_bits(4, 3).value


def test_is_tree_needs_as_many_bits_with_a_chain_although_it_answers_later():
    bound = chain_of_thought.same_bits(required_bits(IsTree(), 16), "4.7")
    assert bound.value == 13
    assert "at once" not in bound.holds_for
