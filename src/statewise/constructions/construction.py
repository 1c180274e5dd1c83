"""A construction: a model whose weights are written down, and the check that it does what is claimed."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.models import LanguageModel, VectorModel
from statewise.tasks import Batch, Task
from statewise.tasks.task import UNSCORED

EXAMPLES = 512
"""Examples that are checked where inputs are too many to list."""

AT_ONCE = 2**14
"""Tokens in one forward pass of a check."""


@dataclass(frozen=True)
class Verification:
    """What a construction answered at one size.

    inputs      how many inputs it was given; `exhaustive` where they are all that there are
    mistakes    how many of them it answered wrongly at some scored place
    first       the first mistake in words; empty where there is none
    worst       largest difference from a target that is a vector, as a share of the largest target; 0 for ids
    """

    size: int
    inputs: int
    exhaustive: bool
    mistakes: int
    first: str
    worst: float

    @property
    def exact(self) -> bool:
        """Whether every answer was right."""
        return self.mistakes == 0


@dataclass(frozen=True, kw_only=True)
class Construction:
    """A model with weights written down rather than trained, made of the mixers and blocks that are trained elsewhere.

    name       as in CONSTRUCTIONS
    model      with the weights in place, on the CPU
    task       that it solves
    sizes      smallest and largest size for which it is exact, both included
    precision  dtype in which that was checked
    claim      what the theorem says, with the size of the model
    source     paper and theorem, and what of it is ours
    fails_at   the first larger size at which it is wrong; None where none is known or it was not built for one
    tolerance  share of the largest target by which an answer may miss it, where answers are vectors; 0 is not asked of
               rounded arithmetic
    arguments  what `build` was called with, besides the name
    """

    name: str
    model: LanguageModel | VectorModel
    task: Task
    sizes: tuple[int, int]
    precision: torch.dtype
    claim: str
    source: str
    fails_at: int | None = None
    tolerance: float = 0.0
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """Numbers in the model, those that are zero included."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @torch.no_grad()
    def verify(self, size: int | None = None, *, examples: int = EXAMPLES, seed: int = 0) -> Verification:
        """Ask every input of a size, or `examples` of the task where they are too many to list.

        size  None is the largest that is claimed; one beyond the claim may be asked, and may fail

        O(inputs · length) forward passes over tokens. A size that the task lacks is a UsageError.
        """
        size = self.sizes[1] if size is None else size
        self.task.check_size(size)
        listed = self.task.inputs(size)
        if listed is None:
            batch = self.task.examples("test", seed=seed, start=0, count=examples, size=size)
        else:
            batch = solved(self.task, torch.stack(list(listed)))
        return self._verification(size, batch, exhaustive=listed is not None)

    def _verification(self, size: int, batch: Batch, *, exhaustive: bool) -> Verification:
        answers = torch.cat(
            [self.answers(tokens) for tokens in batch.tokens.split(max(1, AT_ONCE // batch.tokens.shape[1]))]
        )
        if batch.targets.is_floating_point():
            errors = (answers - batch.targets).abs().amax(-1) * batch.scored
            worst = float(errors.max() / batch.targets.abs().max())
            wrong = errors > self.tolerance * batch.targets.abs().max()
        else:
            worst, wrong = 0.0, (answers != batch.targets) & batch.scored
        rows = wrong.any(1)
        return Verification(
            size=size,
            inputs=len(batch.tokens),
            exhaustive=exhaustive,
            mistakes=int(rows.sum()),
            first=described(batch, answers, wrong) if bool(rows.any()) else "",
            worst=worst,
        )

    def answers(self, tokens: Tensor) -> Tensor:
        """What the model answers: ids (B, T) for tokens (B, T), vectors (B, T, O) for vectors (B, T, C)."""
        outputs, _ = self.model(tokens)
        answers: Tensor = outputs.to(tokens.dtype) if tokens.is_floating_point() else outputs.argmax(-1)
        return answers


def solved(task: Task, tokens: Tensor) -> Batch:
    """A batch of inputs with the answers of the task's own rule."""
    nothing = torch.zeros_like(tokens, dtype=torch.bool)
    targets = task.solve(Batch(tokens, torch.full_like(tokens, UNSCORED), nothing))
    return Batch(tokens, targets, targets != UNSCORED)


def described(batch: Batch, answers: Tensor, wrong: Tensor) -> str:
    """The first mistake in words."""
    row, place = wrong.nonzero()[0].tolist()
    got, expected, tokens = answers[row, place].tolist(), batch.targets[row, place].tolist(), batch.tokens[row].tolist()
    return f"at {place} of {tokens} it says {got}; right is {expected}"


def require_size(name: str, size: int, largest: int, why: str) -> None:
    """Raise a UsageError unless `size` is in [1, largest]."""
    if not 1 <= size <= largest:
        raise UsageError(f"{name}: size is {size}; it must be in [1, {largest}]: {why}")
