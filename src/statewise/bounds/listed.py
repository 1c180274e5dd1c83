"""The inputs of a task as rows, with what `solve` answers: all of them, or those that samples make.

N inputs, T tokens.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from statewise.bounds.defined import require_bits
from statewise.bounds.futures import PAST_THE_END, Ints
from statewise.core.errors import UsageError
from statewise.tasks import UNSCORED, Batch, Task
from statewise.tasks.own_rule import require_own_rule

CONTINUATIONS = 64
"""Continuations that every sampled prefix is tried with."""


class Answered(NamedTuple):
    """Inputs and what is right: both (N, T) int64, UNSCORED where nothing is asked."""

    tokens: Ints
    targets: Ints


def every_input(task: Task, size: int) -> Answered:
    """Every input of one size. Raises UsageError where they are too many, or `solve` does not give the targets."""
    require_bits(task)
    task.check_size(size)
    require_own_rule(task, size)
    inputs = task.inputs(size)
    if inputs is None:
        raise UsageError(f"{task.name}: too many inputs of size {size} to list; {_largest_listed(task, size)}")
    tokens = torch.stack(list(inputs))
    _require_examples_listed(task, size, tokens)
    return answered(task, tokens)


def every_input_up_to(task: Task, size: int) -> Answered:
    """Every input of every size of the task up to `size`, the shorter ones filled at their end."""
    parts = [every_input(task, smaller) for smaller in (*sizes_below(task, size), size)]
    longest = max(part.tokens.shape[1] for part in parts)
    return Answered(
        np.concatenate([_filled(part.tokens, longest, PAST_THE_END) for part in parts]),
        np.concatenate([_filled(part.targets, longest, UNSCORED) for part in parts]),
    )


def sampled_inputs(task: Task, size: int, cut: int, prefixes: int) -> Answered:
    """Inputs whose first `cut` tokens come from one of `prefixes` examples and the others from any of 64.

    Only those that are `valid` are kept, at whatever size has as many tokens; the examples are among them.
    """
    require_bits(task)
    task.check_size(size)
    require_own_rule(task, size)
    first = task.examples("train", seed=0, start=0, count=prefixes, size=size).tokens
    second = task.examples("train", seed=0, start=prefixes, count=CONTINUATIONS, size=size).tokens
    heads, tails = _distinct(first[:, :cut]), _distinct(torch.cat([second, first])[:, cut:])[:CONTINUATIONS]
    crossed = torch.cat([heads.repeat_interleave(len(tails), 0), tails.repeat(len(heads), 1)], dim=1)
    return answered(task, torch.stack([*first, *(row for row in crossed if task.valid(row))]))


def answered(task: Task, tokens: Tensor) -> Answered:
    """Tokens (N, T) with what `solve` says about them alone."""
    nothing = torch.zeros_like(tokens, dtype=torch.bool)
    targets = task.solve(Batch(tokens, torch.full_like(tokens, UNSCORED), nothing))
    return Answered(tokens.numpy(), targets.numpy())


def sizes_below(task: Task, size: int) -> Iterator[int]:
    """The sizes of the task that are smaller, ascending."""
    return (smaller for smaller in range(task.size_step, size, task.size_step) if _has_size(task, smaller))


def _has_size(task: Task, size: int) -> bool:
    try:
        task.check_size(size)
    except UsageError:
        return False
    return True


def _largest_listed(task: Task, size: int) -> str:
    largest = None
    for smaller in sizes_below(task, size):
        if task.inputs(smaller) is None:
            break
        largest = smaller
    if largest is None:
        return "with these settings no size has few enough; a sample gives a lower bound"
    return f"with these settings size {largest} is the largest that works; a sample gives a lower bound"


def _require_examples_listed(task: Task, size: int, tokens: Tensor) -> None:
    """Raise unless the inputs hold the examples that the task draws: states would be missed otherwise."""
    known = {tuple(row) for row in tokens.tolist()}
    for row in task.examples("train", seed=0, start=0, count=64, size=size).tokens.tolist():
        if tuple(row) not in known:
            raise UsageError(f"{task.name}: inputs({size}) does not list {row}, which the task draws")


def _distinct(rows: Tensor) -> Tensor:
    """The rows in the order in which they come first; `unique` takes none without columns."""
    return torch.tensor(list(dict.fromkeys(map(tuple, rows.tolist()))), dtype=rows.dtype)


def _filled(rows: Ints, length: int, value: int) -> Ints:
    return np.pad(rows, ((0, 0), (0, length - rows.shape[1])), constant_values=value)
