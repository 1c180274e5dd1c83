"""How well a model does on a split: its loss and, where tokens have ids, accuracy per token and per sequence."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.tasks import UNSCORED, Batch, Task
from statewise.training.group import ALONE, Group

TOKENS_AT_ONCE = 2**14
"""Tokens in one forward pass of an evaluation: logits of a few megabytes."""


@dataclass(frozen=True)
class Score:
    """Loss per scored token, in nats or, where tokens are vectors, as squared error per channel.

    Accuracy per scored token, and per sequence (all its scored tokens right); None where tokens are vectors. The loss
    per byte where tokens spell text.
    """

    loss: float
    token_accuracy: float | None
    sequence_accuracy: float | None
    sequences: int
    loss_per_byte: float | None = None


class Tally(NamedTuple):
    """Sums over a batch: scored tokens, their loss, those that are right, sequences that are, and bytes of text."""

    scored: float
    loss: float
    right: float
    whole: float
    num_bytes: float = 0


def read(module: nn.Module, batch: Batch, state: Any = None) -> tuple[Tensor, Any]:
    """What a module says at every token of a batch, and the state after it; `state` is what the batch goes on from."""
    options = {"state": state, "reset": batch.reset}
    outputs, after = module(batch.tokens, **{name: value for name, value in options.items() if value is not None})
    return outputs, after


def loss_of(outputs: Tensor, batch: Batch, *, reduction: str = "mean", smoothing: float = 0.0) -> Tensor:
    """Loss over scored tokens → (): cross-entropy in nats of logits (B, T, V), squared error of vectors (B, T, O).

    reduction  mean or sum; the squared error is a mean over channels in either
    smoothing  share of each target's probability that is spread evenly over the vocabulary
    """
    if batch.targets.is_floating_point():
        total = ((outputs - batch.targets).square().mean(-1) * batch.scored).sum()
        return total / batch.scored.sum() if reduction == "mean" else total
    # Not by indexing: its gradient, which adds one row at a time, costs as much as a matrix product.
    logits = outputs.to(accumulation_dtype(outputs.dtype)).flatten(0, 1)
    return F.cross_entropy(
        logits, batch.targets.flatten(), ignore_index=UNSCORED, reduction=reduction, label_smoothing=smoothing
    )


@torch.no_grad()
def evaluate(
    model: nn.Module,
    task: Task,
    *,
    split: str,
    size: int,
    examples: int | None,
    seed: int,
    group: Group = ALONE,
) -> Score:
    """Score `model` on the first `examples` of a split (all that there are, if fewer or None).

    group  processes that each take their rows of every batch; all get the score
    """
    limits = [limit for limit in (examples, task.num_examples(split, size)) if limit is not None]
    if not limits:
        raise UsageError(f"evaluate: examples is {examples}; {task.name} has no last one, so say how many")
    count = min(limits)
    batch_size = max(1, TOKENS_AT_ONCE // task.length(size))
    was_training = model.training
    model.eval()
    tallies = [
        tally_share(
            model, task, group, split=split, seed=seed, size=size, start=start, count=min(batch_size, count - start)
        )
        for start in range(0, count, batch_size)
    ]
    model.train(was_training)
    scored, loss, right, whole, num_bytes = group.total(*map(sum, zip(*tallies, strict=True)))
    if task.measure == "squared error":
        return Score(loss / scored, None, None, count)
    return Score(loss / scored, right / scored, whole / count, count, loss / num_bytes if num_bytes else None)


def tally_share(
    model: nn.Module, task: Task, group: Group, *, split: str, seed: int, size: int, start: int, count: int
) -> Tally:
    """What the model does on this process's rows of a batch.

    One without rows reads a row all the same: where parameters are sharded, the others could not go on without it.
    """
    first, rows = group.rows(start, count)
    batch = task.examples(split, seed=seed, start=first, count=max(1, rows), size=size)
    tallied = tally(model, batch)._replace(num_bytes=task.num_bytes(batch) or 0)
    return tallied if rows else Tally(0, 0, 0, 0)


def tally(model: nn.Module, batch: Batch) -> Tally:
    """What the model does on one batch; nothing is right or wrong where answers are vectors."""
    outputs, _ = read(model, batch)
    scored, loss = batch.scored.sum().item(), loss_of(outputs, batch, reduction="sum").item()
    if batch.targets.is_floating_point():
        return Tally(scored, loss, 0, 0)
    right = (outputs.argmax(-1) == batch.targets) | ~batch.scored
    return Tally(scored, loss, (right & batch.scored).sum().item(), right.all(1).sum().item())
