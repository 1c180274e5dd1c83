"""Free running: models that have learnt every trace by heart, models that err, and models that never answer."""

import pytest
import torch

from search.scripted import Scripted
from search.traced_tasks import CASES, FORMATS
from statewise.core.random import seeded
from statewise.models import LanguageModel
from statewise.search import ChainOfThought, FreeRun, Retrieval, answer_accuracy, run_freely
from statewise.search.page import ANSWER, END, FAILED, SEARCH
from statewise.tasks import AssociativeRecall, Counting, IndexLookup, IsTree

SETTINGS = {"split": "test", "examples": 30, "seed": 0}


class ByHeart(Scripted):
    """A model that says what the solver of a task says: run freely, and forced to read traces."""

    def __init__(self, task, size, change=lambda tokens: tokens):
        def said(row, prompt):
            return change(task.page(prompt, size).tokens[len(prompt) :])

        super().__init__(said, vocabulary=task.vocabulary(size))
        self.prompt = task.task.length(size)

    def forward(self, tokens, state=None, *, reset=None):
        """A trace is forced as it is read: each token says the next of the script."""
        if tokens.shape[1] == self.prompt:
            return super().forward(tokens, state, reset=reset)
        scripts = [self.script(row, each[: self.prompt]) for row, each in enumerate(tokens.tolist())]
        said = torch.zeros_like(tokens)
        for row, script in enumerate(scripts):
            said[row, self.prompt - 1 : self.prompt - 1 + len(script)] = torch.tensor(script)
        return torch.nn.functional.one_hot(said, self.config.vocabulary).float(), None


def wrong(tokens):
    """The same trace with another answer."""
    return [*tokens[:-1], tokens[-1] - 1]


def prompts(task, size):
    return task.prompts(task.task.examples(SETTINGS["split"], seed=0, start=0, count=30, size=size), size).tolist()


def right_share(task, size, answers):
    """How many of the answers that a model gave are the base task's."""
    batch = task.task.examples(SETTINGS["split"], seed=0, start=0, count=30, size=size)
    wanted = task.task.solve(batch)[:, -1] + task.trace(size).notation.first
    return sum(map(int.__eq__, answers, wanted.tolist())) / 30


@pytest.mark.parametrize(("task", "size"), CASES)
@pytest.mark.parametrize("answering", FORMATS)
def test_who_knows_every_trace_is_always_right(answering, task, size):
    step_by_step = answering(task)
    model = ByHeart(step_by_step, size)
    run = run_freely(model, step_by_step, size=size, **SETTINGS)
    pages = [step_by_step.page(prompt, size).tokens for prompt in prompts(step_by_step, size)]
    longest = max(map(len, pages))
    bits = (step_by_step.vocabulary(size) - 1).bit_length()
    assert run == FreeRun(
        accuracy=1.0,
        unanswered=0.0,
        calls=sum(page.count(SEARCH) for page in pages) / 30,
        tokens=sum(len(page) - task.length(size) for page in pages) / 30,
        state_bits=128,
        searched_bits=longest * bits if step_by_step.retrieving else 0,
    )
    assert [row[: len(page) - 1] for row, page in zip(model.fed, pages, strict=True)] == [page[:-1] for page in pages]
    assert answer_accuracy(model, step_by_step, size=size, **SETTINGS) == 1.0


@pytest.mark.parametrize("answering", FORMATS)
def test_who_is_always_wrong_has_no_accuracy_and_leaves_nothing_unanswered(answering):
    task = answering(Counting())
    model = ByHeart(task, 9, wrong)
    run = run_freely(model, task, size=9, **SETTINGS)
    always = right_share(task, 9, [wrong(task.page(prompt, 9).tokens)[-1] for prompt in prompts(task, 9)])
    assert (run.accuracy, run.unanswered) == (always, 0.0) == (0.0, 0.0)
    assert answer_accuracy(model, task, size=9, **SETTINGS) == 0.0


@pytest.mark.parametrize(
    "script", [[], [SEARCH], [SEARCH, 9, END, 9] * 99, [ANSWER + 1] * 999, [END] * 99, [FAILED] * 99]
)
@pytest.mark.parametrize("answering", FORMATS)
def test_who_never_answers_is_wrong_and_counted(answering, script):
    task = answering(IsTree())
    model = Scripted(lambda row, prompt: script, vocabulary=task.vocabulary(8))
    run = run_freely(model, task, size=8, **SETTINGS)
    assert (run.accuracy, run.unanswered) == (0.0, 1.0)
    assert run.tokens == task.trace(8).longest(8, retrieving=task.retrieving)


def test_every_second_answer():
    """Every second prompt is answered, and rightly."""
    task = ChainOfThought(IndexLookup(alphabet=4))
    by_heart = ByHeart(task, 6)
    model = Scripted(lambda row, prompt: by_heart.script(row, prompt) if row % 2 else [], task.vocabulary(6))
    run = run_freely(model, task, size=6, **SETTINGS)
    assert (run.accuracy, run.unanswered) == (0.5, 0.5)


def test_the_first_answer_counts():
    task = ChainOfThought(IndexLookup(alphabet=4))
    model = ByHeart(task, 6, lambda tokens: [ANSWER, FAILED, *tokens])
    run = run_freely(model, task, size=6, **SETTINGS)
    assert (run.accuracy, run.unanswered, run.tokens) == (0.0, 0.0, 2.0)


def test_a_detour_is_right_as_long_as_it_ends_in_the_answer():
    """A search for nothing and a word that means nothing, and what the solver writes is short enough for both."""
    task = Retrieval(IsTree())
    size, few = 8, 3
    model = ByHeart(task, size, lambda tokens: [SEARCH, END, FAILED, *tokens[-2:]])
    run = run_freely(model, task, size=size, **SETTINGS)
    assert (run.accuracy, run.calls, run.tokens) == (1.0, 1.0, 2.0 + few)


@pytest.mark.parametrize(("more", "accuracy"), [(0, 1.0), (1, 0.0)])
def test_no_more_tokens_than_the_longest_trace_of_the_solver(more, accuracy):
    task = ChainOfThought(IsTree())
    longest = task.trace(8).longest(8, retrieving=False)
    model = ByHeart(task, 8, lambda tokens: [9] * (longest - len(tokens) + more) + tokens)
    run = run_freely(model, task, size=8, **SETTINGS)
    assert (run.accuracy, run.unanswered) == (accuracy, 1 - accuracy)


def test_batches_do_not_matter(monkeypatch):
    """Of a model that answers some prompts, going by what they say: which prompts were asked shows in its accuracy."""
    task = Retrieval(AssociativeRecall(keys=12))

    def measured():
        by_heart = ByHeart(task, 8)
        model = Scripted(
            lambda row, prompt: by_heart.script(row, prompt) if sum(prompt) % 3 else [], task.vocabulary(8)
        )
        return run_freely(model, task, size=8, **SETTINGS)

    whole = measured()
    monkeypatch.setattr("statewise.search.free_running.AT_ONCE", 7)
    monkeypatch.setattr("statewise.search.free_running.FORCED_AT_ONCE", 7)
    assert 0 < whole.accuracy < 1
    assert measured() == whole
    assert answer_accuracy(ByHeart(task, 8), task, size=8, **SETTINGS) == 1.0


@pytest.mark.parametrize("training", [True, False])
def test_a_model_that_was_never_trained_guesses_and_is_left_in_its_mode(training):
    task = Retrieval(Counting())
    with seeded(0):
        model = LanguageModel(vocabulary=task.vocabulary(6), width=8).train(training)
    run = run_freely(model, task, size=6, **SETTINGS)
    forced = answer_accuracy(model, task, size=6, **SETTINGS)
    assert model.training == training
    assert 0 <= run.accuracy <= 1 - run.unanswered
    assert 0 <= forced <= 1
