"""Selective copying: the drawing in its file in both layouts, and uniform places and data."""

from itertools import combinations, product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.selective_copying import SelectiveCopying
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task


def solve(task, tokens):
    tokens = torch.tensor([tokens])
    return task.solve(Batch(tokens, tokens, tokens >= 0))[0].tolist()


@pytest.mark.parametrize(
    ("task", "sizes"),
    [
        (SelectiveCopying(), (1, 2, 6)),
        (SelectiveCopying(layout="minrnn"), (16, 17, 60)),
        (SelectiveCopying(data=2, symbols=3), (1, 2, 6)),
        (SelectiveCopying(data=1, symbols=2, layout="minrnn"), (1, 2, 6)),
        (SelectiveCopying(data=3, symbols=3, layout="minrnn"), (3, 5, 8)),
    ],
)
def test_every_law_holds(task, sizes):
    check_task(task, sizes)


def test_the_drawing_in_the_file():
    minrnn, mamba = (SelectiveCopying(data=4, symbols=3, layout=layout) for layout in ("minrnn", "mamba"))
    answers = [UNSCORED] * 7 + [3, 1, 1, 2]
    assert solve(minrnn, [4, 3, 4, 1, 1, 4, 2, 0, 0, 0, 0]) == answers
    assert solve(mamba, [0, 3, 0, 1, 1, 0, 2, 4, 4, 4, 4]) == answers
    assert minrnn.length(7) == mamba.length(3) == 11
    assert minrnn.cut(7) == mamba.cut(3) == 7


def test_the_published_lengths():
    assert SelectiveCopying(layout="mamba").length(4096) == 4128
    assert SelectiveCopying(layout="minrnn").length(4096) == 4112
    assert SelectiveCopying().vocabulary(4096) == 16


@pytest.mark.parametrize("layout", ["mamba", "minrnn"])
def test_places_and_data_are_uniform_and_independent(layout):
    task = SelectiveCopying(data=2, symbols=2, layout=layout)
    size = 4 if layout == "minrnn" else 2
    tokens = task.examples("train", seed=0, start=0, count=24_000, size=size).tokens
    kinds, counts = tokens.unique(dim=0, return_counts=True)
    assert len(kinds) == 6 * 4
    assert ((counts - 1000).abs() < 5 * 1000**0.5).all()


@pytest.mark.parametrize("layout", ["mamba", "minrnn"])
def test_inputs_are_exactly_what_is_valid(layout):
    task = SelectiveCopying(data=2, symbols=2, layout=layout)
    size = 4 if layout == "minrnn" else 2
    every = product(range(-1, 5), repeat=6)
    valid = {tokens for tokens in every if task.valid(torch.tensor(tokens))}
    listed = [tuple(tokens.tolist()) for tokens in task.inputs(size)]
    assert set(listed) == valid
    assert len(listed) == len(list(combinations(range(4), 2))) * 4


def test_data_alone_are_an_input_of_the_layout_that_counts_them_in_only():
    assert SelectiveCopying(data=1, layout="minrnn").valid(torch.tensor([3, 0]))
    assert not SelectiveCopying(data=1, layout="mamba").valid(torch.tensor([3, 15]))


def test_settings_and_sizes_outside_the_domain_are_refused():
    with pytest.raises(UsageError, match="data is 0 and symbols is 14; they must be at least 1 and 2"):
        SelectiveCopying(data=0)
    with pytest.raises(UsageError, match="data is 16 and symbols is 1; they must be at least 1 and 2"):
        SelectiveCopying(symbols=1)
    with pytest.raises(UsageError, match="layout is 's4'; it must be one of mamba, minrnn"):
        SelectiveCopying(layout="s4")
    with pytest.raises(UsageError, match="size is 15; it must be at least 16"):
        SelectiveCopying(layout="minrnn").check_size(15)
