"""Tasks answered step by step: the laws of tasks, masks, identities, and sequences that are none."""

import re
import sys

import pytest
import torch
import torch.nn.functional as F

from search.traced_tasks import CASES, FORMATS, TASKS
from statewise.core.errors import MissingExtraError, UsageError
from statewise.search import ANSWERS, TRACES, ChainOfThought, RegexTool, Retrieval
from statewise.search.page import ANSWER, END, FAILED, PAD, SEARCH
from statewise.search.traced import kept_tools
from statewise.tasks import (
    UNSCORED,
    AssociativeRecall,
    Batch,
    CGramRetrieval,
    Copy,
    Counting,
    IndexLookup,
    IsTree,
    from_identity,
)
from statewise.tasks.needle import Needle
from statewise.testing.tasks import TASK_LAWS

OF_THE_ANSWER_ALONE = {"chance_is_the_best_constant_answer"}
"""What `chance` says of a task says nothing of the tokens before its answer."""

EVERY_FORMAT = pytest.mark.parametrize("answering", FORMATS)
EVERY_CASE = pytest.mark.parametrize(("task", "size"), CASES)


@pytest.mark.parametrize("law", [law for law in TASK_LAWS if law not in OF_THE_ANSWER_ALONE])
@EVERY_FORMAT
@pytest.mark.parametrize(
    ("task", "sizes"),
    [
        (IsTree(), (4, 6)),
        (IsTree(names=9), (4, 7)),
        (IndexLookup(alphabet=2), (1, 3, 5)),
        (AssociativeRecall(keys=3, values=2), (1, 2, 3)),
        (CGramRetrieval(alphabet=2, gram=3), (3, 4, 6)),
        (Counting(alphabet=2), (1, 3, 5)),
        (Counting(alphabet=3, threshold=1), (1, 2, 4)),
    ],
)
def test_the_laws_of_tasks_hold(monkeypatch, task, sizes, answering, law):
    """On fewer examples than of other tasks: each takes a trace."""
    monkeypatch.setattr("statewise.testing.tasks.FEW", 12)
    monkeypatch.setattr("statewise.testing.tasks.MANY", 100)
    TASK_LAWS[law](answering(task), sizes)


@EVERY_FORMAT
def test_the_laws_of_tasks_catch_a_solver_that_is_wrong(answering):
    class Wrong(answering):
        def solve(self, batch):
            return super().solve(batch).roll(1, dims=1)

    broken = []
    for law, check in TASK_LAWS.items():
        try:
            check(Wrong(Counting(alphabet=2)), (3,))
        except AssertionError:
            broken.append(law)
    assert set(broken) - OF_THE_ANSWER_ALONE


@EVERY_CASE
@EVERY_FORMAT
def test_a_model_is_asked_for_what_the_solver_writes_and_for_nothing_else(answering, task, size):
    step_by_step = answering(task)
    tokens, targets, scored, _ = step_by_step.examples("train", seed=0, start=0, count=20, size=size)
    for row in range(20):
        page = step_by_step.page(tokens[row, : task.length(size)].tolist(), size)
        padding = step_by_step.length(size) - len(page.tokens)
        assert tokens[row].tolist() == page.tokens + [PAD] * padding
        assert scored[row].tolist() == page.own[1:] + [False] * (padding + 1)
        wanted = [token if own else UNSCORED for token, own in zip(page.tokens[1:], page.own[1:], strict=True)]
        assert targets[row].tolist() == wanted + [UNSCORED] * (padding + 1)


@EVERY_CASE
def test_prompts_and_what_tools_said_are_never_scored_and_answers_are(task, size):
    tokens, targets, scored, _ = Retrieval(task).examples("train", seed=0, start=0, count=20, size=size)
    prompt = task.length(size)
    assert not scored[:, : prompt - 1].any()
    assert scored[:, prompt - 1].all()
    assert not scored[tokens == END].any()
    assert not scored[tokens == PAD].any()
    own = tokens[:, :prompt] - Retrieval(task).trace(size).notation.first
    answers = Retrieval(task).answers(Batch(own, task.solve(Batch(own, own, own > 0)), own > 0), size)
    assert targets[tokens == ANSWER].tolist() == answers.tolist()


def test_the_loss_of_a_batch_is_that_of_its_scored_tokens():
    """Masked as torch's cross entropy masks: UNSCORED is its `ignore_index`."""
    batch = Retrieval(Counting()).examples("train", seed=0, start=0, count=4, size=5)
    logits = torch.randn(*batch.tokens.shape, 40, generator=torch.Generator().manual_seed(0))
    loss = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
    expected = F.cross_entropy(logits[batch.scored], batch.targets[batch.scored])
    torch.testing.assert_close(loss, expected)


@EVERY_CASE
@EVERY_FORMAT
def test_prompts_and_answers_are_the_tasks_own(answering, task, size):
    step_by_step = answering(task)
    direct = task.examples("validation", seed=3, start=0, count=10, size=size)
    first = step_by_step.trace(size).notation.first
    assert torch.equal(step_by_step.prompts(direct, size) - first, direct.tokens)
    assert torch.equal(step_by_step.answers(direct, size) - first, direct.targets[:, -1])
    assert step_by_step.vocabulary(size) == first + task.vocabulary(size)
    assert (step_by_step.cut(size), step_by_step.chance(size)) == (task.cut(size), task.chance(size))


@EVERY_CASE
@EVERY_FORMAT
def test_other_tokens_are_not_valid(answering, task, size):
    step_by_step = answering(task)
    (row,) = step_by_step.examples("train", seed=0, start=0, count=1, size=size).tokens
    assert step_by_step.valid(row)
    for place in {0, task.length(size) - 1, task.length(size), len(row) // 2, len(row) - 1}:
        for token in {0, 1, step_by_step.vocabulary(size) - 1} - {int(row[place])}:
            assert not step_by_step.valid(row.index_fill(0, torch.tensor([place]), token)) or place < task.length(size)


@EVERY_CASE
@EVERY_FORMAT
def test_sequences_of_other_lengths_are_not_valid(answering, task, size):
    step_by_step = answering(task)
    (row,) = step_by_step.examples("train", seed=0, start=0, count=1, size=size).tokens
    for other in (row[:0], row[:1], row[:-1], torch.cat([row, row[:1]]), row.repeat(5)):
        assert not step_by_step.valid(other)


@EVERY_FORMAT
def test_solve_refuses_lengths_that_no_size_has(answering):
    tokens = torch.zeros(2, 300, dtype=torch.int64)
    said = f"^{answering.name}: no example of associative-recall is 300 tokens long$"
    with pytest.raises(UsageError, match=said):
        answering(AssociativeRecall(keys=4)).solve(Batch(tokens, tokens, tokens > 0))


@pytest.mark.parametrize("task", [task for task, _ in TASKS])
@EVERY_FORMAT
def test_an_identity_names_the_task_again(answering, task):
    """The identity of a text says which contents it has, so what it names knows them too."""
    step_by_step = answering(task)
    again = from_identity(step_by_step.identity())
    assert again == step_by_step or isinstance(task, Needle)
    assert type(again) is answering
    assert again.identity() == step_by_step.identity() == {"name": answering.name, "task": task.identity()}
    assert again.data_digest() == step_by_step.data_digest()


def test_formats_have_data_of_their_own_and_direct_answers_an_identity_without_one():
    digests = {each.data_digest() for each in (Counting(), ChainOfThought(Counting()), Retrieval(Counting()))}
    assert len(digests) == 3
    assert from_identity(Copy().identity()) == Copy()
    assert {name: kind.name for name, kind in ANSWERS.items()} == {
        "chain-of-thought": "chain-of-thought",
        "retrieval": "retrieval",
    }


def test_only_retrieval_has_tools():
    assert ChainOfThought(Counting()).tools(5) == ChainOfThought(Counting()).controls(5).tools == {}
    controls = Retrieval(Counting()).controls(5)
    assert isinstance(controls.tools[SEARCH], RegexTool)
    assert (controls.end, controls.failed, controls.answer, controls.stop) == (END, FAILED, ANSWER, None)


@pytest.mark.parametrize(
    ("task", "size", "said"),
    [
        (IsTree(), 3, "is-tree: size is 3; it must be an integer of at least 4"),
        (IsTree(names=6), 7, "is-tree: size is 7; it must be at most names, which is 6"),
        (AssociativeRecall(keys=4), 5, "associative-recall: size is 5; it must be at most keys, which is 4"),
    ],
)
@EVERY_FORMAT
def test_sizes_that_the_task_lacks_are_refused_as_it_refuses_them(answering, task, size, said):
    with pytest.raises(UsageError, match=f"^{re.escape(said)}"):
        answering(task).examples("train", seed=0, start=0, count=1, size=size)


def test_without_re2_thinking_goes_on_and_searching_names_the_extra(monkeypatch):
    kept_tools.cache_clear()
    monkeypatch.setitem(sys.modules, "re2", None)
    assert len(TRACES) > 0
    assert len(ChainOfThought(Counting()).examples("train", seed=0, start=0, count=2, size=4).tokens) == 2
    said = r"^search by patterns needs re2, which is not installed: pip install 'statewise\[search\]'$"
    with pytest.raises(MissingExtraError, match=said):
        Retrieval(Counting()).examples("train", seed=0, start=0, count=2, size=4)
