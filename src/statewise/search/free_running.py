"""How a model does on its own: nothing but the prompt is given, and searches are really made."""

from dataclasses import dataclass

import torch

from statewise.models import LanguageModel
from statewise.search.budget import Budget
from statewise.search.generate import generate
from statewise.search.traced import Traced

AT_ONCE = 256
"""Prompts that are continued together."""

FORCED_AT_ONCE = 32
"""Whole traces that are read together."""


@dataclass(frozen=True)
class FreeRun:
    """Shares of sequences, and what one took on average.

    accuracy       the token right after the first mark of an answer is right; no answer is wrong
    unanswered     the budget ran out before an answer
    calls          of tools
    tokens         written by the model and its tools
    state_bits     of the model's state for one sequence when the longest had ended
    searched_bits  of the longest context that tools could search
    """

    accuracy: float
    unanswered: float
    calls: float
    tokens: float
    state_bits: int
    searched_bits: int


def run_freely(model: LanguageModel, task: Traced, *, split: str, size: int, examples: int, seed: int) -> FreeRun:
    """Let a model answer the first `examples` prompts of a split, greedily.

    The budget is the longest trace that the solver writes at this size, in tokens: who needs more has gone astray.
    """
    longest = task.trace(size).longest(size, retrieving=task.retrieving)
    controls, budget = task.controls(size), Budget(tokens=longest, calls=longest)
    was_training = model.training
    model.eval()
    right = unanswered = calls = tokens = state_bits = searched_bits = 0
    for start in range(0, examples, AT_ONCE):
        count = min(AT_ONCE, examples - start)
        asked = task.task.examples(split, seed=seed, start=start, count=count, size=size)
        made = generate(model, task.prompts(asked, size), controls=controls, budget=budget)
        wanted = task.answers(asked, size).tolist()
        right += sum(each.answer == target for each, target in zip(made.written, wanted, strict=True))
        unanswered += sum(each.answer is None for each in made.written)
        calls += sum(len(each.calls) for each in made.written)
        tokens += sum(len(each.tokens) for each in made.written)
        state_bits, searched_bits = max(state_bits, made.state_bits), max(searched_bits, made.searched_bits)
    model.train(was_training)
    return FreeRun(
        right / examples, unanswered / examples, calls / examples, tokens / examples, state_bits, searched_bits
    )


@torch.no_grad()
def answer_accuracy(model: LanguageModel, task: Traced, *, split: str, size: int, examples: int, seed: int) -> float:
    """Teacher forcing: how often the answer is right after the solver's own trace. O(examples · length) tokens."""
    was_training = model.training
    model.eval()
    right = 0
    for start in range(0, examples, FORCED_AT_ONCE):
        count = min(FORCED_AT_ONCE, examples - start)
        batch = task.examples(split, seed=seed, start=start, count=count, size=size)
        last = batch.scored.shape[1] - 1 - batch.scored.flip(1).int().argmax(1, keepdim=True)
        answers = model(batch.tokens)[0].argmax(-1)
        right += int((answers == batch.targets).gather(1, last).sum())
    model.train(was_training)
    return right / examples
