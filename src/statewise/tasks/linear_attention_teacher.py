"""The linear-attention teacher: Gaussian vectors, and what one fixed random layer of linear attention makes of them.

    input    x₁  x₂  x₃  …                x_t uniform over directions, Gaussian in length
    target   y₁  y₂  y₃  …                y_t = Σ_{s≤t} W_V x_s · (W_K x_s)ᵀ (W_Q x_t)

A gated linear recurrence of d(d+1)/2 + d units computes it exactly; whether one that is trained finds that is the
question.

Source: Zucchet, Kobayashi, Akram, von Oswald, Larcher, Steger, Sacramento, arXiv 2309.01775, §4 (d = 4, inputs and
weights i.i.d. Gaussian: from memory).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, child_seed, indexed_words
from statewise.tasks.draws import normals
from statewise.tasks.task import Batch
from statewise.tasks.vectors import VectorTask


class TeacherWeights(NamedTuple):
    """The teacher's three maps, (d, d) float64 each, entries of variance 1/d."""

    query: Tensor
    key: Tensor
    value: Tensor


@dataclass(frozen=True)
class LinearAttentionTeacher(VectorTask):
    """`size` standard normal vectors, every one of them scored.

    dim      d, channels of inputs and targets, at least 1
    teacher  which random teacher, at least 0: its weights are a function of this number and of d

    >>> task = LinearAttentionTeacher()
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=2, size=8)
    >>> bool(task.agree(task.solve(batch), batch.targets).all())
    True
    """

    name: ClassVar[str] = "linear-attention-teacher"
    dim: int = 4
    teacher: int = 0

    def __post_init__(self) -> None:
        if self.dim < 1 or self.teacher < 0:
            raise UsageError(
                f"linear-attention-teacher: dim is {self.dim} and teacher is {self.teacher}; they must be at least 1 "
                "and 0"
            )

    @property
    def channels(self) -> tuple[int, int]:
        """d and d."""
        return self.dim, self.dim

    @property
    def weights(self) -> TeacherWeights:
        """The teacher."""
        return teacher_weights(self.dim, self.teacher)

    def length(self, size: int) -> int:
        """One token a vector."""
        return size

    def cut(self, size: int) -> int:
        """Half way; before the last vector every cut asks for the same sum."""
        return size // 2

    def num_words(self, size: int) -> int:
        """One word an entry."""
        return size * self.dim

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The vectors from the words; the targets as scores times values."""
        tokens = normals(words).view(-1, size, self.dim).float()
        query, key, value = (tokens.double() @ weight.mT for weight in self.weights)
        targets = ((query @ key.mT).tril() @ value).float()
        return Batch(tokens, targets, torch.ones(tokens.shape[:2], dtype=torch.bool))

    def solve(self, batch: Batch) -> Tensor:
        """Token by token, through the matrix Σ v kᵀ that has to be held."""
        query, key, value = (batch.tokens.double() @ weight.mT for weight in self.weights)
        held = torch.zeros(len(query), self.dim, self.dim, dtype=torch.float64)
        answers = torch.zeros_like(query)
        for t in range(query.shape[1]):
            held += value[:, t, :, None] * key[:, t, None, :]
            answers[:, t] = (held @ query[:, t, :, None])[..., 0]
        return answers.float()

    def chance(self, size: int) -> float:
        """The variance of a target, whose mean is 0: the average over places t and channels.

        With A = W_KᵀW_Q, w a row of W_V and S = (A + Aᵀ)/2, from the moments of a Gaussian up to the sixth,
        E y_t² = (t−1)(|w|² tr AAᵀ + 2 wᵀAAᵀw) + (t−1)(t−2) wᵀAAᵀw + 2(t−1)(wᵀAw tr A + wᵀA(A+Aᵀ)w)
                 + |w|²(tr²S + 2 tr S²) + 4 tr S wᵀSw + 8 wᵀS²w.
        """
        query, key, value = self.weights
        a = key.mT @ query
        s = (a + a.mT) / 2
        aat = a @ a.mT
        norm = (value * value).sum(1)

        def form(matrix: Tensor) -> Tensor:
            return ((value @ matrix) * value).sum(1)

        other = norm * aat.trace() + 2 * form(aat)
        cross = form(a) * a.trace() + form(a @ (a + a.mT))
        own = norm * (s.trace() ** 2 + 2 * (s @ s).trace()) + 4 * s.trace() * form(s) + 8 * form(s @ s)
        before = (size - 1) / 2
        pairs = (size - 1) * (size - 2) / 3
        return float((before * other + pairs * form(aat) + 2 * before * cross + own).mean())


@lru_cache(maxsize=16)
def teacher_weights(dim: int, teacher: int) -> TeacherWeights:
    """The teacher of this number."""
    key = child_seed(teacher, LinearAttentionTeacher.name, dim)
    words = indexed_words(key, split="train", size=0, start=0, count=1, num_words=3 * dim**2)
    return TeacherWeights(*normals(words).view(3, dim, dim) / dim**0.5)
