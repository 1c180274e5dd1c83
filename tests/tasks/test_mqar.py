"""Multi-query associative recall: the drawing in its file worked by hand, and what pairs, places and filler are."""

from itertools import product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.mqar import FILLERS, MQAR
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task

MANY = 8000


def examples(task, size, count=MANY):
    return task.examples("train", seed=0, start=0, count=count, size=size)


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize("replace_values", [False, True])
def test_every_law_holds(filler, replace_values):
    check_task(MQAR(keys=6, values=7, filler=filler, replace_values=replace_values))
    small = MQAR(keys=2, values=2, filler=filler, replace_values=replace_values, tokens_per_pair=5)
    check_task(small, sizes=(1, 2))


@pytest.mark.parametrize("filler", FILLERS)
def test_an_example_worked_by_hand(filler):
    tokens = torch.tensor([[1, 9, 3, 6, 0, 0, 3, 0]])
    batch = Batch(tokens, tokens, tokens >= 0)
    answers = MQAR(keys=4, values=5, filler=filler).solve(batch)
    assert answers.tolist() == [[UNSCORED] * 6 + [6] + [UNSCORED]]


@pytest.mark.parametrize("filler", FILLERS)
def test_pairs_come_first_and_every_key_is_asked_once(filler):
    task = MQAR(keys=9, values=12, filler=filler, tokens_per_pair=6)
    tokens, targets, scored, _ = examples(task, 5, 500)
    assert (task.length(5), task.vocabulary(5), task.cut(5)) == (30, 22, 10)
    keys, values = tokens[:, 0:10:2], tokens[:, 1:10:2]
    assert scored.sum(1).tolist() == [5] * 500
    assert not scored[:, :10].any()
    assert not scored[:, 1::2].any()
    asked, wanted = tokens[scored].reshape(500, 5), targets[scored].reshape(500, 5)
    for shown, query in ((keys, asked), (values, wanted)):
        assert all(len(set(row)) == 5 for row in shown.tolist())
        assert torch.equal(shown.sort(1).values, query.sort(1).values)
    for row in range(500):
        pairs = dict(zip(keys[row].tolist(), values[row].tolist(), strict=True))
        assert [pairs[key] for key in asked[row].tolist()] == wanted[row].tolist()


def test_keys_and_values_are_uniform_and_values_repeat_where_they_may():
    for replace_values in (False, True):
        tokens = examples(MQAR(keys=4, values=4, replace_values=replace_values), 2).tokens
        for place, first in ((0, 1), (1, 5), (2, 1), (3, 5)):
            counts = torch.bincount(tokens[:, place] - first, minlength=4).double()
            assert ((counts - MANY / 4).abs() < 5 * (MANY * 3 / 16) ** 0.5).all()
        repeated = (tokens[:, 1] == tokens[:, 3]).double().mean()
        assert (abs(repeated - 0.25) < 5 * (3 / 16 / MANY) ** 0.5) if replace_values else repeated == 0


def test_filler_is_what_it_says():
    for filler, expected in (("blank", {0}), ("noise", {0, 4, 5, 6}), ("decoys", set(range(7)))):
        tokens, _, scored, _ = examples(MQAR(keys=3, values=3, filler=filler, tokens_per_pair=8), 2, 500)
        rest = tokens[:, 4:][~scored[:, 4:]]
        assert set(rest.tolist()) == expected
        counts = torch.bincount(rest, minlength=7)[sorted(expected)].double()
        assert ((counts - len(rest) / len(expected)).abs() < 5 * (len(rest) / len(expected)) ** 0.5).all()


@pytest.mark.parametrize("power", [0.01, 1.0])
def test_queries_are_near_as_the_power_says(power):
    scored = examples(MQAR(keys=8, values=8, tokens_per_pair=14, power=power), 1).scored[:, 2::2]
    weights = torch.arange(1, 7).double() ** (power - 1)
    expected = weights / weights.sum()
    found = scored.double().mean(0)
    assert ((found - expected).abs() < 5 * (expected * (1 - expected) / MANY) ** 0.5).all()


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize("replace_values", [False, True])
@pytest.mark.parametrize(("size", "tokens_per_pair"), [(1, 4), (1, 5), (1, 6)])
def test_inputs_are_exactly_what_is_valid(filler, replace_values, size, tokens_per_pair):
    task = MQAR(keys=1, values=2, filler=filler, replace_values=replace_values, tokens_per_pair=tokens_per_pair)
    every = product(range(task.vocabulary(size) + 1), repeat=task.length(size))
    valid = {tokens for tokens in every if task.valid(torch.tensor(tokens))}
    listed = [tuple(tokens.tolist()) for tokens in task.inputs(size)]
    assert len(listed) == len(set(listed))
    assert set(listed) == valid


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize("replace_values", [False, True])
def test_inputs_are_as_many_as_their_number_says(filler, replace_values):
    for size, tokens_per_pair in ((2, 4), (1, 7)):
        task = MQAR(keys=2, values=2, filler=filler, replace_values=replace_values, tokens_per_pair=tokens_per_pair)
        contexts = {(2, False): 4, (2, True): 8, (1, False): 4, (1, True): 4}[size, replace_values]
        assert sum(1 for _ in task.inputs(size)) == contexts * task._num_endings(size)
    assert MQAR(filler=filler, replace_values=replace_values).inputs(3) is None


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [1, 4, 1],
        [1, 4, 0, 1],
        [1, 4, 2, 0],
        [1, 4, 1, 4],
        [4, 1, 4, 0],
        [1, 4, 1, 5, 1, 0, 1, 0],
        [1, 4, 2, 4, 1, 0, 2, 0],
        [1, 4, 2, 5, 1, 0, 1, 0],
        [1, 4, 2, 5, 1, 2, 0, 0],
        [1, 4, 2, 5, 3, 0, 2, 0],
    ],
)
def test_what_is_no_input_is_not_valid(tokens):
    task = MQAR(keys=3, values=3)
    assert task.valid(torch.tensor([1, 4, 2, 5, 2, 0, 1, 0]))
    assert not task.valid(torch.tensor(tokens, dtype=torch.int64))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keys": 0}, "mqar: keys is 0; it must be at least 1"),
        ({"values": 1}, "mqar: values is 1; it must be at least 2"),
        ({"tokens_per_pair": 3}, "mqar: tokens_per_pair is 3; it must be at least 4"),
        ({"power": 0.0}, "mqar: power is 0.0; it must be positive and finite"),
        ({"power": float("inf")}, "mqar: power is inf; it must be positive and finite"),
        ({"filler": "keys"}, "mqar: filler is 'keys'; it must be one of blank, noise, decoys"),
    ],
)
def test_settings_outside_their_domain_are_refused(fields, message):
    with pytest.raises(UsageError, match=message):
        MQAR(**fields)


def test_more_pairs_than_keys_or_values_are_refused():
    with pytest.raises(UsageError, match="size is 6; it must be at most 5, with 5 keys and 9 values that do not repea"):
        examples(MQAR(keys=5, values=9), 6)
    with pytest.raises(UsageError, match="size is 4; it must be at most 3, with 5 keys and 3 values that do not"):
        examples(MQAR(keys=5, values=3), 4)
    assert len(examples(MQAR(keys=5, values=3, replace_values=True), 5, 2).tokens) == 2
