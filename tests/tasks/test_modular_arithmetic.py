"""Modular arithmetic: the drawing in its file, Python's own arithmetic, and the exact chance."""

from collections import Counter
from itertools import product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.modular_arithmetic import ModularArithmetic
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task


def evaluated(tokens, modulus):
    return eval(" ".join(str(t) if t < modulus else "+-*"[t - modulus] for t in tokens)) % modulus


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize("modulus", [2, 3, 5, 6])
def test_every_law_holds(modulus, times):
    check_task(ModularArithmetic(modulus=modulus, times=times))
    check_task(ModularArithmetic(modulus=modulus, times=times), (30,))


def test_the_drawing_in_the_file():
    tokens = torch.tensor([[1, 5, 2, 7, 4, 6, 3]])
    task = ModularArithmetic(modulus=5, times=True)
    assert task.solve(Batch(tokens, tokens, tokens >= 0)).tolist() == [[UNSCORED] * 6 + [1]]
    assert (task.length(4), task.vocabulary(4), task.cut(4)) == (7, 8, 6)


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize(("modulus", "size"), [(5, 1), (5, 2), (3, 9), (7, 20)])
def test_both_evaluations_agree_with_python(modulus, size, times):
    task = ModularArithmetic(modulus=modulus, times=times)
    batch = task.examples("train", seed=0, start=0, count=200, size=size)
    answers = [evaluated(row, modulus) for row in batch.tokens.tolist()]
    assert batch.targets[:, -1].tolist() == answers == task.solve(batch)[:, -1].tolist()


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize(("modulus", "size"), [(2, 1), (2, 4), (3, 3), (4, 3), (5, 2)])
def test_chance_is_exact(modulus, size, times):
    task = ModularArithmetic(modulus=modulus, times=times)
    values = Counter(evaluated(tokens.tolist(), modulus) for tokens in task.inputs(size))
    assert task.chance(size) == pytest.approx(max(values.values()) / values.total(), rel=1e-12)


@pytest.mark.parametrize("times", [False, True])
def test_inputs_are_exactly_what_is_valid(times):
    task = ModularArithmetic(modulus=2, times=times)
    for length in range(1, 6):
        every = product(range(-1, 6), repeat=length)
        valid = {tokens for tokens in every if task.valid(torch.tensor(tokens))}
        listed = task.inputs((length + 1) // 2) if length % 2 else ()
        assert {tuple(tokens.tolist()) for tokens in listed} == valid
    assert not task.valid(torch.zeros(0, dtype=torch.int64))


def test_expressions_are_uniform():
    tokens = ModularArithmetic(modulus=3).examples("train", seed=0, start=0, count=18_000, size=2).tokens
    _, counts = tokens.unique(dim=0, return_counts=True)
    assert len(counts) == 18
    assert ((counts - 1000).abs() < 5 * 1000**0.5).all()


@pytest.mark.parametrize("modulus", [1, 0, -5])
def test_a_modulus_below_two_is_refused(modulus):
    with pytest.raises(UsageError, match=f"modular-arithmetic: modulus is {modulus}; it must be at least 2"):
        ModularArithmetic(modulus=modulus)
