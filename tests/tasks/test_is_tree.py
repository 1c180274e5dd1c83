"""IsTree: the drawings in its file, graphs by their definition, and the shares that the generator promises."""

from collections import Counter
from itertools import combinations

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.is_tree import IsTree
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task

BEGIN, DASH, END = 2, 3, 4


def written(text):
    """ "2-0 4-3 2-1" as tokens."""
    edges = [tuple(map(int, edge.split("-"))) for edge in text.split()]
    return [BEGIN, *(token for u, v in edges for token in (5 + u, DASH, 5 + v)), END]


def edges_of(row):
    assert row[0] == BEGIN
    assert row[-1] == END
    assert set(row[2:-1:3]) == {DASH}
    return list(zip([u - 5 for u in row[1:-1:3]], [v - 5 for v in row[3:-1:3]], strict=True))


def connected(edges, size):
    reached, before = {0}, 0
    while len(reached) > before:
        before = len(reached)
        reached |= {x for edge in edges if reached & set(edge) for x in edge}
    return len(reached) == size


def two_stars(edges, size):
    """By definition: two centres, each other vertex joined to one of them, and one link between two others."""
    pairs = {frozenset(edge) for edge in edges}
    for centres in combinations(range(size), 2):
        spokes = [pair for pair in pairs if len(pair & set(centres)) == 1]
        links = [pair for pair in pairs if not pair & set(centres)]
        hanging = sorted(x for pair in spokes for x in pair - set(centres))
        if len(links) == 1 and hanging == [x for x in range(size) if x not in centres] and len(pairs) == size - 1:
            return True
    return False


def solve(tokens):
    tokens = torch.tensor([tokens])
    return IsTree().solve(Batch(tokens, tokens, tokens >= 0))[0].tolist()


def examples(size, count):
    batch = IsTree().examples("train", seed=0, start=0, count=count, size=size)
    return batch.tokens.tolist(), batch.targets[:, -1].tolist()


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("2-0 4-3 2-1 3-0", True),
        ("2-0 4-3 2-1 1-0", False),
        ("1-0 2-1 3-2", True),
        ("2-1 3-2 3-1", False),
        ("2-1 4-1 6-1 5-2 7-0 3-1 5-0", True),
        ("2-0 5-2 4-3 7-2 6-3 5-0 3-1", False),
    ],
)
def test_examples_worked_by_hand(text, tree):
    tokens = written(text)
    assert IsTree().valid(torch.tensor(tokens))
    assert solve(tokens) == [UNSCORED] * (len(tokens) - 1) + [int(tree)]


def test_the_laws_hold():
    check_task(IsTree(), sizes=(4, 5, 17))


@pytest.mark.parametrize("size", [4, 5, 6, 16, 40])
def test_examples_are_two_stars_and_labelled_by_connection(size):
    rows, answers = examples(size, 60)
    for row, answer in zip(rows, answers, strict=True):
        edges = edges_of(row)
        assert len(edges) == size - 1
        assert all(u > v for u, v in edges)
        assert two_stars(edges, size)
        assert answer == connected(edges, size)


@pytest.mark.parametrize(("size", "graphs", "trees", "orders"), [(4, 16, 12, 6), (5, 130, 60, 24)])
def test_inputs_are_every_order_of_every_graph(size, graphs, trees, orders):
    rows = [row.tolist() for row in IsTree().inputs(size)]
    assert len(rows) == graphs * orders
    counted = Counter(frozenset(edges_of(row)) for row in rows)
    assert set(counted.values()) == {orders}
    assert len(counted) == graphs
    assert sum(connected(edges, size) for edges in counted) == trees


@pytest.mark.parametrize("size", [4, 5])
def test_valid_is_the_definition_on_every_graph(size):
    pairs = [(u, v) for v, u in combinations(range(size), 2)]
    for edges in combinations(pairs, size - 1):
        text = " ".join(f"{u}-{v}" for u, v in edges)
        assert IsTree().valid(torch.tensor(written(text))) == two_stars(edges, size)


@pytest.mark.parametrize(("size", "known"), [(8, 0.594), (16, 0.536)])
def test_half_are_trees_and_degrees_say_little(size, known):
    """A leaf more on each side of a tree, two more on one side of the opposite: the stars' sizes tell that much."""
    rows, answers = examples(size, 8000)
    assert abs(sum(answers) / 8000 - 0.5) < 5 * 0.5 / 8000**0.5
    kinds = {}
    for row, answer in zip(rows, answers, strict=True):
        degrees = Counter(x for edge in edges_of(row) for x in edge).values()
        kinds.setdefault(tuple(sorted(degrees)), []).append(answer)
    right = sum(max(sum(found), len(found) - sum(found)) for found in kinds.values())
    assert abs(right / 8000 - known) < 5 * 0.5 / 8000**0.5


def test_every_graph_of_four_vertices_is_drawn_as_often_as_its_kind():
    """A half trees: 12 paths; a half triangles: 4. Each in six orders."""
    rows, answers = examples(4, 12_000)
    counted = Counter(tuple(row) for row in rows)
    kinds = {tuple(row): answer for row, answer in zip(rows, answers, strict=True)}
    assert len(counted) == 96
    for row, count in counted.items():
        share = 1 / 2 / (72 if kinds[row] else 24)
        assert abs(count / 12_000 - share) < 5 * (share / 12_000) ** 0.5


@pytest.mark.parametrize(
    "text",
    ["", "1-0", "1-0 2-1", "0-1 2-1 3-2", "1-0 2-0 3-0", "1-0 2-1 4-2", "1-0 1-0 3-2", "1-0 2-1 3-3", "2-1 2-1 3-2"],
)
def test_other_graphs_are_not_valid(text):
    assert not IsTree().valid(torch.tensor(written(text)))


@pytest.mark.parametrize("place", [0, 2, 5, 8, 10])
def test_other_tokens_between_the_vertices_are_not_valid(place):
    tokens = written("1-0 2-1 3-2")
    for token in {-1, 0, 1, 2, 3, 4, 5} - {tokens[place]}:
        assert not IsTree().valid(torch.tensor([*tokens[:place], token, *tokens[place + 1 :]]))


@pytest.mark.parametrize("token", [-1, 0, 1, 2, 3, 4, 9])
def test_vertices_that_do_not_exist_are_not_valid(token):
    tokens = written("1-0 2-1 3-2")
    for place in (1, 3, 4, 6, 7, 9):
        assert not IsTree().valid(torch.tensor([*tokens[:place], token, *tokens[place + 1 :]]))


def test_shapes_and_the_cut_after_half_of_the_edges():
    task = IsTree()
    assert (task.length(16), task.vocabulary(16), task.cut(16)) == (47, 21, 22)
    assert [task.cut(size) for size in (4, 5, 6)] == [4, 7, 7]
    assert task.inputs(6) is None


@pytest.mark.parametrize("size", [0, 1, 3])
def test_graphs_without_a_link_are_refused(size):
    with pytest.raises(UsageError, match=f"is-tree: size is {size}; it must be an integer of at least 4"):
        IsTree().examples("train", seed=0, start=0, count=1, size=size)


def edges_in_ranks(row):
    """The edges with each vertex replaced by its rank among those that stand in the row."""
    edges = edges_of(row)
    rank = {vertex: place for place, vertex in enumerate(sorted({x for edge in edges for x in edge}))}
    return [(rank[u], rank[v]) for u, v in edges], len(rank)


def test_the_laws_hold_where_names_are_drawn():
    check_task(IsTree(names=5), sizes=(4, 5))
    check_task(IsTree(names=40), sizes=(4, 17))


@pytest.mark.parametrize(("size", "names"), [(4, 4), (4, 30), (8, 9), (16, 128)])
def test_graphs_with_drawn_names_are_those_without(size, names):
    task = IsTree(names=names)
    batch = task.examples("train", seed=0, start=0, count=60, size=size)
    for row, answer in zip(batch.tokens.tolist(), batch.targets[:, -1].tolist(), strict=True):
        edges, seen = edges_in_ranks(row)
        assert all(5 <= token < 5 + names for token in row[1:-1:3] + row[3:-1:3])
        assert all(u > v for u, v in edges)
        assert seen in (size, size - 1)
        assert two_stars(edges, size)
        assert answer == connected(edges, size)
        assert task.valid(torch.tensor(row))


def test_names_are_drawn_uniformly():
    """Of 12, 4 at a time: each stands in a third of the trees, of which each vertex is part."""
    batch = IsTree(names=12).examples("train", seed=0, start=0, count=8000, size=4)
    trees = batch.tokens[batch.targets[:, -1] == 1]
    share = 1 / 3
    for name in range(5, 17):
        found = (trees == name).any(1).double().mean().item()
        assert abs(found - share) < 5 * (share * (1 - share) / len(trees)) ** 0.5


def test_sizes_share_one_vocabulary_and_inputs_are_not_listed():
    task = IsTree(names=32)
    assert [task.vocabulary(size) for size in (4, 16, 32)] == [37] * 3
    assert [task.length(size) for size in (4, 16)] == [11, 47]
    assert task.inputs(4) is None
    assert task.num_words(4) == IsTree().num_words(4) + 4


@pytest.mark.parametrize(
    ("text", "valid"), [("9-0 4-0 7-4", True), ("9-0 9-4 4-0", True), ("10-0 4-0 7-4", False), ("9-0 8-1 7-4", False)]
)
def test_valid_names_are_below_their_number(text, valid):
    assert IsTree(names=10).valid(torch.tensor(written(text))) == valid


def test_more_vertices_than_names_are_refused():
    with pytest.raises(UsageError, match=r"^is-tree: size is 6; it must be at most names, which is 5$"):
        IsTree(names=5).examples("train", seed=0, start=0, count=1, size=6)
    assert not IsTree(names=3).valid(torch.tensor(written("1-0 2-1 2-0")))
