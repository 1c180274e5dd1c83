"""What a task is: a rule on sequences, a way to draw examples, and a solver that knows the rule.

B examples, T tokens, n the size. Data are a pure function of (task, split, seed, size, index).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, final

import torch
from torch import Tensor

from statewise.core.config import digest, to_plain
from statewise.core.errors import UsageError
from statewise.core.random import SPLITS, Generator, Words, child_seed, drawn_words, indexed_words

UNSCORED = -100
"""The target where nothing is scored: torch's own `ignore_index`."""

MOST_INPUTS = 2**16
"""`inputs` lists every input of a size only up to this many."""


Measure = Literal["accuracy", "nats", "squared error"]


class Batch(NamedTuple):
    """Examples of one size. The target at t is what should be answered after reading tokens 0 … t.

    tokens   (B, T) int64
    targets  (B, T) int64, UNSCORED where nothing is asked
    scored   (B, T) bool
    reset    (B, T) bool, true where another sequence begins, of which a state from before must know nothing; None where
             each row is one sequence
    """

    tokens: Tensor
    targets: Tensor
    scored: Tensor
    reset: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with `function` applied to each of its tensors.

        >>> score_last(torch.zeros(3, 4), torch.zeros(3, 1)).map(lambda part: part[:2]).tokens.shape
        torch.Size([2, 4])
        """
        return Batch(*(None if part is None else function(part) for part in self))  # type: ignore[arg-type]

    @staticmethod
    def joined(batches: Sequence["Batch"]) -> "Batch":
        """The rows of some batches of one size and task, one after the other."""
        parts = zip(*batches, strict=True)
        return Batch(*(None if part[0] is None else torch.cat(part) for part in parts))  # type: ignore[arg-type]


class Task(ABC):
    """A frozen dataclass whose fields are its whole configuration; one file each, listed in TASKS."""

    name: ClassVar[str]
    size_step: ClassVar[int] = 1
    measure: ClassVar[Measure] = "accuracy"
    """What success is measured in. accuracy: a rule on symbols. nats: data without a rule (text), so no `solve` and no
    bound. squared error: a rule on vectors, see `VectorTask`."""
    step_by_step: ClassVar[bool] = False
    """Whether a model writes its way to the answer, see `statewise.search.Traced`: such a task is also run freely."""

    @abstractmethod
    def vocabulary(self, size: int) -> int:
        """How many token ids, answers included, inputs of sizes up to `size` use."""

    @abstractmethod
    def length(self, size: int) -> int:
        """How many tokens an input of this size takes."""

    @abstractmethod
    def cut(self, size: int) -> int:
        """After how many tokens the state is counted: where the task asks most of it."""

    @abstractmethod
    def num_words(self, size: int) -> int:
        """How many random 64-bit words one example is made from."""

    @abstractmethod
    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The examples made from `words` (B, num_words), which are `start … start+B-1` of the split."""

    @abstractmethod
    def solve(self, batch: Batch) -> Tensor:
        """The rule itself, from `batch.tokens` alone: (B, T) int64, right at every scored position."""

    @abstractmethod
    def chance(self, size: int) -> float:
        """Token accuracy of the best answer that ignores the input."""

    @abstractmethod
    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every valid input of this size, (T,) int64 each, or None where they are more than 2^16."""

    @abstractmethod
    def valid(self, tokens: Tensor) -> bool:
        """Whether `tokens` (T,) is an input of this task, at any size."""

    @property
    def title(self) -> str:
        """What to call the task in a table."""
        return self.name

    @property
    def smoothing(self) -> float:
        """Share of a target's probability that training spreads evenly over the vocabulary."""
        return 0.0

    def check_size(self, size: int) -> None:
        """Raise a UsageError unless the task has examples of this size."""
        if size < 1 or size % self.size_step:
            kind = "a positive integer" if self.size_step == 1 else f"a positive multiple of {self.size_step}"
            raise UsageError(f"{self.name}: size is {size}; it must be {kind}")

    def agree(self, answers: Tensor, targets: Tensor) -> Tensor:
        """Where two (B, T) are the same answer, (B, T) bool."""
        return answers == targets

    def identity(self) -> dict[str, Any]:
        """What names this task and its data: the name and every field."""
        return {"name": self.name, **to_plain(self)}

    def data_digest(self) -> str:
        """Digest of the identity, worked out once: fields do not change, and it takes as long as a small batch."""
        if "_data_digest" not in vars(self):
            vars(self)["_data_digest"] = digest(self.identity())
        kept: str = vars(self)["_data_digest"]
        return kept

    def num_examples(self, split: str, size: int) -> int | None:
        """How many examples a split has; None where they can be drawn without end."""
        return None

    def num_streams(self) -> int:
        """In how many streams training examples follow each other: number i goes on where number i - streams ended.

        The state is then carried from one step of training to the next. 0: each begins for itself.
        """
        return 0

    def num_bytes(self, batch: Batch) -> int | None:
        """How many bytes of text the scored targets stand for; None where tokens do not spell text."""
        return None

    @final
    def sample(self, generator: Generator, batch_size: int, size: int) -> Batch:
        """Fresh examples from a `torch.Generator` or a `numpy.random.Generator`.

        Raises UsageError for a size that the task does not have.
        """
        self.check_size(size)
        words = drawn_words(generator, batch_size, self.num_words(size))
        return self.build(words, size, split="train", start=0)

    @final
    def examples(self, split: str, *, seed: int, start: int, count: int, size: int) -> Batch:
        """The examples `start … start+count-1` of a split: the same bits in every batch, order and process.

        split  train, validation, test or capacity; no two share an example's random words.
        """
        if split not in SPLITS:
            raise UsageError(f"{self.name}: split is {split!r}; it must be one of {', '.join(SPLITS)}")
        self.check_size(size)
        key = child_seed(seed, "data", self.data_digest())
        num_words = self.num_words(size)
        words = indexed_words(key, split=split, size=size, start=start, count=count, num_words=num_words)
        return self.build(words, size, split=split, start=start)


def score_last(tokens: Tensor, answers: Tensor) -> Batch:
    """A batch in which the last `answers.shape[1]` positions are scored: tokens (B, T), answers (B, A)."""
    asked = answers.shape[1]
    targets = torch.full_like(tokens, UNSCORED)
    targets[:, tokens.shape[1] - asked :] = answers
    return Batch(tokens, targets, targets != UNSCORED)


def every_sequence(alphabet: int, length: int) -> Iterator[Tensor] | None:
    """Every sequence of `length` symbols in [0, alphabet), or None where they are more than 2^16.

    >>> [s.tolist() for s in every_sequence(2, 2)]
    [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    if alphabet**length > MOST_INPUTS:
        return None
    places = [alphabet**i for i in reversed(range(length))]
    return (torch.tensor([number // place % alphabet for place in places]) for number in range(alphabet**length))
