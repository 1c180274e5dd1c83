"""Tasks that are answered step by step: the same prompts, then a trace, then the answer.

    prompt               chain of thought or searches      answer
    k1 v0 k3 v2  k3      <search> … <end> v2  <answer>      v2
     ·  ·  ·  ·  …         …   …     ·    …      …           ·      (· : the next token is not the model's to write)

The target at t is the token at t + 1 where a model has to write it: the loss leaves out prompts, what a tool appended,
and padding.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words as RandomWords
from statewise.search.controls import Controls
from statewise.search.page import ANSWER, END, FAILED, PAD, SEARCH, Page
from statewise.search.regex import RegexTool
from statewise.search.tool import Tool
from statewise.search.traces import Trace, trace_of
from statewise.tasks import UNSCORED, Batch, Task


@dataclass(frozen=True)
class Traced(Task):
    """Prompts of a task, each with the trace that its solver writes: a task of next tokens.

    task  what is asked, at one scored place: the last of the prompt; UsageError for tasks without a solver

    Its own ids come after controls and marks. Sequences are padded on the right to the longest trace of their size, so
    that the last token of the longest is where nothing is asked.
    """

    step_by_step: ClassVar[bool] = True
    retrieving: ClassVar[bool]
    task: Task

    def __post_init__(self) -> None:
        self.trace(self.task.size_step)

    @property
    def title(self) -> str:
        """What is asked, and how it is answered."""
        return f"{self.task.title}-by-{self.name}"

    def check_size(self, size: int) -> None:
        """Raise a UsageError unless the task has such examples and its traces can be written."""
        self.task.check_size(size)
        self.trace(size)

    def vocabulary(self, size: int) -> int:
        """The controls, the marks and the task's own ids."""
        return self.trace(size).notation.first + self.task.vocabulary(size)

    def length(self, size: int) -> int:
        """The prompt and the longest trace, answer included."""
        return self.task.length(size) + self.trace(size).longest(size, retrieving=self.retrieving)

    def cut(self, size: int) -> int:
        """Where the task has it: in the prompt."""
        return self.task.cut(size)

    def num_words(self, size: int) -> int:
        """What the task needs: traces are not random."""
        return self.task.num_words(size)

    def num_examples(self, split: str, size: int) -> int | None:
        """As many as the task has."""
        return self.task.num_examples(split, size)

    def build(self, words: RandomWords, size: int, *, split: str, start: int) -> Batch:
        """The task's prompts, their traces, and the tokens that a model has to write as targets."""
        return self._traced(self.prompts(self.task.build(words, size, split=split, start=start), size), size)

    def solve(self, batch: Batch) -> Tensor:
        """Write the traces of the prompts again."""
        size = self._size_of(batch.tokens.shape[1])
        return self._traced(batch.tokens[:, : self.task.length(size)], size).targets

    def chance(self, size: int) -> float:
        """Of the answer alone, as the task has it; nothing is said of the tokens before it."""
        return self.task.chance(size)

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every prompt with its trace, where the task can list its own."""
        listed = self.task.inputs(size)
        if listed is None:
            return None
        first = self.trace(size).notation.first
        return (self._traced(tokens[None] + first, size).tokens[0] for tokens in listed)

    def valid(self, tokens: Tensor) -> bool:
        """A prompt of the task, and the trace that its solver writes."""
        try:
            size = self._size_of(tokens.numel())
        except UsageError:
            return False
        prompt = tokens[: self.task.length(size)]
        own = prompt - self.trace(size).notation.first
        return (
            bool((own >= 0).all())
            and self.task.valid(own)
            and bool((self._traced(prompt[None], size).tokens[0] == tokens).all())
        )

    def identity(self) -> dict[str, Any]:
        """The name, and the identity of the task."""
        return {"name": self.name, "task": self.task.identity()}

    def trace(self, size: int) -> Trace:
        """The solver at sizes up to this one."""
        return kept_trace(self.task, size)

    def tools(self, size: int) -> Mapping[int, Tool]:
        """What generation may call at this size."""
        return kept_tools(self.task, size) if self.retrieving else {}

    def controls(self, size: int) -> Controls:
        """The ids that steer generation at this size."""
        return Controls(tools=self.tools(size), end=END, failed=FAILED, answer=ANSWER)

    def prompts(self, batch: Batch, size: int) -> Tensor:
        """The task's own tokens in the ids of traces."""
        return batch.tokens + self.trace(size).notation.first

    def answers(self, batch: Batch, size: int) -> Tensor:
        """What the task wants at the end of its prompts (B,), in the ids of traces."""
        return batch.targets[:, -1] + self.trace(size).notation.first

    @abstractmethod
    def write(self, trace: Trace, prompt: list[int], page: Page) -> None:
        """Let the solver write its trace."""

    def page(self, prompt: list[int], size: int) -> Page:
        """The whole sequence of a prompt."""
        page = Page(prompt, self.tools(size))
        self.write(self.trace(size), prompt, page)
        return page

    def _traced(self, prompts: Tensor, size: int) -> Batch:
        tokens = torch.full((len(prompts), self.length(size)), PAD)
        own = torch.zeros_like(tokens, dtype=torch.bool)
        for row, prompt in enumerate(prompts.tolist()):
            page = self.page(prompt, size)
            tokens[row, : len(page.tokens)] = torch.tensor(page.tokens)
            own[row, : len(page.own)] = torch.tensor(page.own)
        targets = torch.full_like(tokens, UNSCORED)
        targets[:, :-1] = torch.where(own[:, 1:], tokens[:, 1:], UNSCORED)
        return Batch(tokens, targets, targets != UNSCORED)

    def _size_of(self, length: int) -> int:
        """The size whose sequences are so long: they are longer than their size. A UsageError where there is none."""
        step = self.task.size_step
        longest = self.trace(step).longest
        for size in range(step, length, step):
            if self.task.length(size) + longest(size, retrieving=self.retrieving) == length and self._has(size):
                return size
        raise UsageError(f"{self.name}: no example of {self.task.name} is {length} tokens long")

    def _has(self, size: int) -> bool:
        try:
            self.check_size(size)
        except UsageError:
            return False
        return True


@dataclass(frozen=True)
class ChainOfThought(Traced):
    """A task answered after thinking aloud, without tools.

    >>> from statewise.tasks import AssociativeRecall
    >>> task = ChainOfThought(AssociativeRecall(keys=4, values=2))
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=2, size=2)
    >>> task.trace(2).notation.words.text(batch.tokens[0].tolist())
    'k3 v1 k1 v1 k1 k3 v1 k1 v1 <answer> v1 '
    """

    name: ClassVar[str] = "chain-of-thought"
    retrieving: ClassVar[bool] = False

    def write(self, trace: Trace, prompt: list[int], page: Page) -> None:
        """Think aloud."""
        trace.think(prompt, page)


@dataclass(frozen=True)
class Retrieval(Traced):
    """A task answered after searching in its own context. Needs the extra `search`, else a MissingExtraError.

    >>> from statewise.tasks import AssociativeRecall
    >>> task = Retrieval(AssociativeRecall(keys=4, values=2))
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=2, size=2)
    >>> task.trace(2).notation.words.text(batch.tokens[0].tolist())
    'k3 v1 k1 v1 k1 <search> find k1 take <end> v1 <answer> v1 '
    """

    name: ClassVar[str] = "retrieval"
    retrieving: ClassVar[bool] = True

    def write(self, trace: Trace, prompt: list[int], page: Page) -> None:
        """Search."""
        trace.retrieve(prompt, page)


@lru_cache(maxsize=256)
def kept_trace(task: Task, largest: int) -> Trace:
    """The solver of a task, made once."""
    return trace_of(task, largest)


@lru_cache(maxsize=256)
def kept_tools(task: Task, largest: int) -> Mapping[int, Tool]:
    """The tool that a task's patterns are searched with, made once."""
    notation = kept_trace(task, largest).notation
    words, pattern = notation.words, notation.pattern
    return {SEARCH: RegexTool(words, pattern=None if pattern is None else lambda query: pattern(words, query))}


ANSWERS: dict[str, type[Traced]] = {each.name: each for each in (ChainOfThought, Retrieval)}
"""The ways to answer step by step, by name; without one a task is answered directly."""
