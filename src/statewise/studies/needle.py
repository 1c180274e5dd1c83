"""The needle test: four models that answer for one fact in a text, each asked at every depth and length.

    recurrent                         recurrent + search
    recurrent + attention             recurrent + attention + search

Those with search write a pattern and read what it finds; the others answer at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.optional import require
from statewise.core.state import state_bits
from statewise.mixers import find_mixer
from statewise.models import LanguageModel, ModelConfig, parse_stack
from statewise.search import Budget, Retrieval, generate
from statewise.studies.run_config import EvaluationConfig, RunConfig
from statewise.tasks import Batch, from_identity
from statewise.tasks.needle import Needle
from statewise.training import TrainingConfig

ATTENTION = "attention"
AT_ONCE = 64
"""Documents that are read together."""

KEPT = 128
"""Documents at each length, at most, behind the scores in a run's record; those of depths are measured apart."""

FIFTHS = 5


@dataclass(frozen=True, kw_only=True)
class NeedleTest:
    """Which models are trained on planted facts, and where they are asked."""

    file: str | None = None
    """The text; its last tenth is for the test alone. Without it, the sources of Python's standard library."""
    stack: str = "mingru*2"
    """Recurrent layers, as in `compare`; two of the four models have one layer of attention on top."""
    lengths: tuple[int, ...] = (256, 512)
    """Bytes of the documents that are asked about."""
    train_lengths: tuple[int, ...] = (32, 64, 96)
    """Bytes of the documents that are trained on."""
    facts: int = 3
    """Planted in each document, where so many fit; one is asked for."""
    seeds: tuple[int, ...] = (0,)
    """One run of each model for each; three or more give an interval."""
    steps: int = 1000
    """Training budget in optimiser steps; a model that answers all of the validation split stops earlier."""
    batch_size: int = 32
    """Documents in a step."""
    width: int = 64
    """Channels between blocks."""
    learning_rate: float = 5e-3
    """Peak learning rate."""
    examples: int = 500
    """Documents at each length for each seed."""

    def plan(self) -> list[RunConfig]:
        """Every run, models outermost, then seeds. Whatever cannot be asked is a UsageError here."""
        self._check()
        return [run for contender in CONTENDERS for run in self.runs(contender)]

    def runs(self, contender: "Contender") -> list[RunConfig]:
        """The runs of one model."""
        needle = Needle(file=self.file, facts=self.facts)
        task = Retrieval(needle) if contender.searching else needle
        model = ModelConfig(
            vocabulary=task.vocabulary(max(self.lengths)),
            width=self.width,
            stack=f"{self.stack}+{ATTENTION}" if contender.attending else self.stack,
            conv=4,
            feed_forward=2,
        )
        training = TrainingConfig(
            sizes=self.train_lengths, steps=self.steps, batch_size=self.batch_size, learning_rate=self.learning_rate
        )
        evaluation = EvaluationConfig(sizes=self.lengths, examples=min(KEPT, self.examples), strings=0)
        return [
            RunConfig(task=task.identity(), model=model, training=training, evaluation=evaluation, seed=seed)
            for seed in self.seeds
        ]

    def _check(self) -> None:
        named = {"lengths": self.lengths, "train_lengths": self.train_lengths, "seeds": self.seeds}
        for kind, asked in named.items():
            if not asked:
                raise UsageError(f"needle: there are no {kind}; name at least one")
            if len(set(asked)) != len(asked):
                raise UsageError(f"needle: {kind} are named twice in {' '.join(map(str, asked))}")
        for kind in ("steps", "examples"):
            if getattr(self, kind) < 1:
                raise UsageError(f"needle: {kind} is {getattr(self, kind)}; it must be at least 1")
        for layer in parse_stack(self.stack):
            if not find_mixer(layer).recurrent:
                raise UsageError(
                    f"needle: stack is {self.stack!r}, and {layer} is not recurrent; name recurrent layers alone: "
                    "attention is put on top of them for two of the models"
                )
        needle = Needle(file=self.file, facts=self.facts)
        for length in sorted({*self.lengths, *self.train_lengths}):
            needle.check_size(length)
        require("re2", extra="search", purpose="search in the text")


class Contender(NamedTuple):
    """One of the four models."""

    attending: bool
    searching: bool

    @property
    def name(self) -> str:
        """In words.

        >>> Contender(attending=True, searching=False).name
        'recurrent + attention'
        """
        return "recurrent" + " + attention" * self.attending + " + search" * self.searching


CONTENDERS = tuple(Contender(attending, searching) for attending in (False, True) for searching in (False, True))


class Answers(NamedTuple):
    """How one model did on N documents of one length, on its own.

    depths         (N,) float64, where the fact stood: 0 at the beginning, 1 at the end
    right          (N,) bool; no answer is wrong
    state_bits     of one sequence when it was answered
    searched_bits  of the text that could be searched
    """

    depths: Tensor
    right: Tensor
    state_bits: int
    searched_bits: int

    @property
    def by_depth(self) -> tuple[float, ...]:
        """Accuracy in each fifth of the document; NaN where no fact stood."""
        fifths = (FIFTHS * self.depths).long().clamp(max=FIFTHS - 1)
        return tuple(self.right[fifths == fifth].double().mean().item() for fifth in range(FIFTHS))


def answers_of(model: LanguageModel, run: RunConfig, length: int, *, examples: int) -> Answers:
    """Ask the model of a run for a fact in each of the first documents of the test split, greedily and free running."""
    task = from_identity(run.task)
    needle = task.task if isinstance(task, Retrieval) else task
    assert isinstance(needle, Needle)
    depths, right, held, searched = [], [], 0, 0
    for batch in documents(needle, length, examples=examples, seed=run.seed):
        found = after_searching(model, task, batch, length) if isinstance(task, Retrieval) else at_once(model, batch)
        depths.append(needle.depth(batch))
        right.append(found.right)
        held, searched = max(held, found.state_bits), max(searched, found.searched_bits)
    return Answers(torch.cat(depths), torch.cat(right), held, searched)


def documents(task: Needle, length: int, *, examples: int, seed: int) -> Iterator[Batch]:
    """The first documents of the test split, some at a time."""
    for start in range(0, examples, AT_ONCE):
        yield task.examples("test", seed=seed, start=start, count=min(AT_ONCE, examples - start), size=length)


class Found(NamedTuple):
    """Which answers (B,) of a batch are right, and what was carried for one sequence."""

    right: Tensor
    state_bits: int
    searched_bits: int


@torch.no_grad()
def at_once(model: LanguageModel, batch: Batch) -> Found:
    """The likeliest token after the question."""
    logits, state = model(batch.tokens)
    return Found(logits[:, -1].argmax(-1) == batch.targets[:, -1], state_bits(state), 0)


def after_searching(model: LanguageModel, task: Retrieval, batch: Batch, length: int) -> Found:
    """What the model answers after whatever it searches for, in as many tokens as the solver takes."""
    longest = task.trace(length).longest(length, retrieving=True)
    budget = Budget(tokens=longest, calls=longest)
    made = generate(model, task.prompts(batch, length), controls=task.controls(length), budget=budget)
    wanted = task.answers(batch, length).tolist()
    right = torch.tensor([each.answer == target for each, target in zip(made.written, wanted, strict=True)])
    return Found(right, made.state_bits, made.searched_bits)
