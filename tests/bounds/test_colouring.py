"""Cliques and colourings, against brute force and graphs whose numbers are known."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise.bounds import colouring
from statewise.bounds.colouring import Colours, count_colours, large_clique, neighbour_sets, without_dominated


def graph(vertices, edges):
    adjacent = np.zeros((vertices, vertices), np.bool_)
    for u, v in edges:
        adjacent[u, v] = adjacent[v, u] = True
    return adjacent


def mycielski(adjacent):
    """One colour more is needed, and no clique grows."""
    count = len(adjacent)
    edges = [(u, v) for u, v in combinations(range(count), 2) if adjacent[u, v]]
    edges += [(count + u, v) for u, v in product(range(count), repeat=2) if adjacent[u, v]]
    return graph(2 * count + 1, [*edges, *((count + u, 2 * count) for u in range(count))])


def fits(adjacent, number):
    count = len(adjacent)
    return any(
        all(colours[u] != colours[v] for u, v in combinations(range(count), 2) if adjacent[u, v])
        for colours in product(range(number), repeat=count)
    )


@st.composite
def small_graphs(draw):
    count = draw(st.integers(1, 7))
    pairs = list(combinations(range(count), 2))
    return graph(count, [pair for pair in pairs if draw(st.booleans())])


@settings(max_examples=80, deadline=None)
@given(adjacent=small_graphs())
def test_small_graphs_are_coloured_exactly(adjacent):
    colours = count_colours(adjacent)
    assert colours.at_least == colours.at_most
    assert fits(adjacent, colours.at_most)
    assert colours.at_most == 1 or not fits(adjacent, colours.at_most - 1)


@settings(max_examples=80, deadline=None)
@given(adjacent=small_graphs())
def test_the_clique_is_one_and_the_largest(adjacent):
    clique = large_clique(neighbour_sets(adjacent))
    assert all(adjacent[u, v] for u, v in combinations(clique, 2))
    larger = combinations(range(len(adjacent)), len(clique) + 1)
    assert not any(all(adjacent[u, v] for u, v in combinations(group, 2)) for group in larger)


def clique_size(adjacent, candidates):
    """The size of the largest clique among candidates: with the first of them or without it."""
    if not candidates:
        return 0
    first, *others = candidates
    with_it = 1 + clique_size(adjacent, [v for v in others if adjacent[first, v]])
    return with_it if with_it > len(others) else max(with_it, clique_size(adjacent, others))


@pytest.mark.parametrize("seed", range(12))
def test_the_largest_clique_of_a_random_graph_is_found(seed):
    upper = np.triu(np.random.default_rng(seed).random((40, 40)) < 0.6, 1)
    adjacent = upper | upper.T
    clique = large_clique(neighbour_sets(adjacent))
    assert all(adjacent[u, v] for u, v in combinations(clique, 2))
    assert len(clique) == clique_size(adjacent, list(range(40)))


@settings(max_examples=80, deadline=None)
@given(adjacent=small_graphs())
def test_leaving_out_dominated_vertices_changes_no_number(adjacent):
    rest = without_dominated(adjacent)
    assert 1 <= len(rest) <= len(adjacent)
    assert count_colours(rest) == count_colours(adjacent)


@pytest.mark.parametrize(
    ("adjacent", "colours"),
    [
        (graph(1, []), 1),
        (graph(5, []), 1),
        (graph(6, combinations(range(6), 2)), 6),
        (graph(7, [(i, (i + 1) % 7) for i in range(7)]), 3),
        (mycielski(graph(5, [(i, (i + 1) % 5) for i in range(5)])), 4),
    ],
)
def test_graphs_whose_number_is_known(adjacent, colours):
    assert count_colours(adjacent) == Colours(colours, colours)


def test_out_of_steps_the_bounds_are_a_clique_and_a_colouring(monkeypatch):
    hard = mycielski(mycielski(graph(5, [(i, (i + 1) % 5) for i in range(5)])))
    assert count_colours(hard) == Colours(5, 5)
    monkeypatch.setattr(colouring, "MOST_STEPS", 40)
    few = count_colours(hard)
    assert few.at_least < 5 <= few.at_most
    monkeypatch.setattr(colouring, "MOST_SEARCHED", 10)
    none = count_colours(hard)
    assert none.at_least == 2
    assert none.at_most >= 5


def test_a_large_graph_of_two_colours_is_coloured():
    cube = [(v, v ^ 1 << bit) for v in range(512) for bit in range(9)]
    assert count_colours(graph(512, cube)) == Colours(2, 2)
