"""Fuzzy recall: the drawing in its file worked by hand, and how long keys and values are."""

from itertools import product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.fuzzy_recall import FuzzyRecall
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task

MANY = 4000


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"keys": 2, "values": 2, "key_tokens": 1, "value_tokens": 1},
        {"keys": 2, "values": 2, "key_tokens": 2, "value_tokens": 1},
        {"keys": 1, "values": 2, "key_tokens": 2, "value_tokens": 2},
        {"keys": 3, "values": 5, "key_tokens": 1, "value_tokens": 4},
    ],
)
def test_every_law_holds(fields):
    check_task(FuzzyRecall(**fields))


def test_an_example_worked_by_hand():
    task = FuzzyRecall(keys=3, values=4, key_tokens=2, value_tokens=2)
    tokens = [7, 7, 7, 1, 2, 6, 1, 3, 5, 1, 2, 6, 1, 3, 0]
    wanted = dict.fromkeys(range(len(tokens)), UNSCORED) | {10: 6, 12: 3, 13: 5}
    del wanted[14]
    tokens = torch.tensor([tokens[:-1]])
    assert task.solve(Batch(tokens, tokens, tokens >= 0))[0].tolist() == list(wanted.values())


def runs(row, keys, pad):
    """Keys and values of a row by a plain loop."""
    motifs = []
    for token in row:
        if token == pad:
            continue
        if not motifs or (token < keys) != (motifs[-1][0] < keys):
            motifs.append([])
        motifs[-1].append(token)
    return [tuple(m) for m in motifs]


def test_every_key_keeps_its_value_and_what_returns_is_scored():
    task = FuzzyRecall(keys=2, values=3, key_tokens=2, value_tokens=3)
    tokens, targets, scored, _ = task.examples("train", seed=0, start=0, count=500, size=5)
    for row, wanted, asked in zip(tokens.tolist(), targets.tolist(), scored.tolist(), strict=True):
        motifs = runs(row, 2, 5)
        table, expected = {}, []
        for i in range(0, 10, 2):
            known = motifs[i] in table
            assert table.setdefault(motifs[i], motifs[i + 1]) == motifs[i + 1]
            expected += list(motifs[i + 1]) if known else []
        expected += list(table[motifs[10]])
        assert [target for target, one in zip(wanted, asked, strict=True) if one] == expected
        pads = row.count(5)
        assert row[:pads] == [5] * pads
        whole = [token for motif in motifs[:10] for token in motif] + [*motifs[10], *table[motifs[10]]]
        assert row[pads:] == whole[:-1]


def test_lengths_and_tokens_are_uniform():
    task = FuzzyRecall(keys=4, values=4, key_tokens=3, value_tokens=2)
    tokens = task.examples("train", seed=0, start=0, count=MANY, size=1).tokens
    pairs = [runs(row, 4, 8)[:2] for row in tokens.tolist()]
    for part, first, longest in ((0, 0, 3), (1, 4, 2)):
        lengths = torch.bincount(torch.tensor([len(pair[part]) for pair in pairs]))[1:].double()
        assert len(lengths) == longest
        assert ((lengths - MANY / longest).abs() < 5 * (MANY / longest) ** 0.5).all()
        lasts = torch.bincount(torch.tensor([pair[part][-1] - first for pair in pairs])).double()
        assert ((lasts - MANY / 4).abs() < 5 * (MANY / 4) ** 0.5).all()


def test_every_pair_is_asked_equally_often():
    task = FuzzyRecall(keys=50, values=2, key_tokens=1, value_tokens=1)
    tokens = task.examples("train", seed=0, start=0, count=MANY, size=4).tokens
    keys = tokens[:, 0:8:2]
    different = torch.tensor([len(set(row)) == 4 for row in keys.tolist()])
    counts = (keys == tokens[:, 8:])[different].sum(0).double()
    total = int(different.sum())
    assert int(counts.sum()) == total
    assert ((counts - total / 4).abs() < 5 * (total / 4) ** 0.5).all()


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"keys": 2, "values": 2, "key_tokens": 1, "value_tokens": 1}, 2),
        ({"keys": 1, "values": 2, "key_tokens": 2, "value_tokens": 1}, 1),
        ({"keys": 1, "values": 2, "key_tokens": 1, "value_tokens": 2}, 1),
        ({"keys": 1, "values": 2, "key_tokens": 1, "value_tokens": 2}, 2),
        ({"keys": 2, "values": 2, "key_tokens": 2, "value_tokens": 1}, 1),
    ],
)
def test_inputs_are_exactly_what_is_valid(fields, size):
    task = FuzzyRecall(**fields)
    every = product(range(task.vocabulary(size)), repeat=task.length(size))
    valid = {tokens for tokens in every if task.valid(torch.tensor(tokens))}
    listed = [tuple(tokens.tolist()) for tokens in task.inputs(size)]
    assert len(listed) == len(set(listed))
    assert set(listed) == valid
    assert FuzzyRecall().inputs(2) is None


@pytest.mark.parametrize(
    "tokens", [[], [4], [0, 2, 1], [0, 2], [4, 4, 4], [2, 0, 2], [0, 2, 4], [0, 2, 2], [-1, 2, -1]]
)
def test_what_is_no_input_is_not_valid(tokens):
    task = FuzzyRecall(keys=2, values=2, key_tokens=1, value_tokens=1)
    assert task.valid(torch.tensor([0, 2, 0]))
    assert not task.valid(torch.tensor(tokens, dtype=torch.int64))


@pytest.mark.parametrize(("field", "least"), [("keys", 1), ("values", 2), ("key_tokens", 1), ("value_tokens", 1)])
def test_settings_outside_their_domain_are_refused(field, least):
    with pytest.raises(UsageError, match=f"fuzzy-recall: {field} is {least - 1}; it must be at least {least}"):
        FuzzyRecall(**{field: least - 1})
