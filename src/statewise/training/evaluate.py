"""How well a model does on a split: loss and accuracy, per token and per sequence."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.models import LanguageModel
from statewise.tasks import UNSCORED, Batch, Task

TOKENS_AT_ONCE = 2**14
"""Tokens in one forward pass of an evaluation: logits of a few megabytes."""


@dataclass(frozen=True)
class Score:
    """Loss in nats per scored token; accuracy per scored token, and per sequence (all its scored tokens right)."""

    loss: float
    token_accuracy: float
    sequence_accuracy: float
    sequences: int


def loss_of(logits: Tensor, batch: Batch) -> Tensor:
    """Mean cross-entropy over scored tokens, in nats: logits (B, T, V) → ()."""
    # Not by indexing: its gradient, which adds one row at a time, costs as much as a matrix product.
    return F.cross_entropy(logits.float().flatten(0, 1), batch.targets.flatten(), ignore_index=UNSCORED)


@torch.no_grad()
def evaluate(model: LanguageModel, task: Task, *, split: str, size: int, examples: int | None, seed: int) -> Score:
    """Score `model` on the first `examples` of a split (all that there are, if fewer or None)."""
    limits = [limit for limit in (examples, task.num_examples(split, size)) if limit is not None]
    if not limits:
        raise UsageError(f"evaluate: examples is {examples}; {task.name} has no last one, so say how many")
    count = min(limits)
    batch_size = max(1, TOKENS_AT_ONCE // task.length(size))
    loss = correct = scored = whole = 0.0
    was_training = model.training
    model.eval()
    for start in range(0, count, batch_size):
        batch = task.examples(split, seed=seed, start=start, count=min(batch_size, count - start), size=size)
        logits, _ = model(batch.tokens)
        flat = F.cross_entropy(
            logits.float().flatten(0, 1), batch.targets.flatten(), ignore_index=UNSCORED, reduction="sum"
        )
        right = (logits.argmax(-1) == batch.targets) | ~batch.scored
        loss += flat.item()
        scored += batch.scored.sum().item()
        correct += (right & batch.scored).sum().item()
        whole += right.all(1).sum().item()
    model.train(was_training)
    return Score(loss / scored, correct / scored, whole / count, count)
