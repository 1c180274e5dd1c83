"""Evaluation of models whose mistakes are known one by one."""

import math
from importlib import import_module

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from statewise.core.errors import UsageError
from statewise.core.random import seeded
from statewise.models import LanguageModel
from statewise.tasks import UNSCORED, IndexLookup, Parity, Task, Text
from statewise.training import Score, evaluate
from statewise.training.evaluate import loss_of


class Scripted(nn.Module):
    """Answers as `answers(tokens)` says (B, T), with `margin` between the answer's logit and the others'."""

    def __init__(self, answers, vocabulary, margin=30.0):
        super().__init__()
        self.answers, self.vocabulary, self.margin = answers, vocabulary, margin
        self.seen = []
        self.modes = []

    def forward(self, tokens):
        self.seen.append(tokens.clone())
        self.modes.append((self.training, torch.is_grad_enabled()))
        return F.one_hot(self.answers(tokens), self.vocabulary) * self.margin, None


def parity(tokens):
    return tokens.cumsum(1) % 2


def wrong_at_the_end_after_a_one(tokens):
    """Right but at the last position of sequences that begin with 1."""
    answers = parity(tokens)
    answers[:, -1] ^= tokens[:, 0]
    return answers


def score(model, task=None, split="test", size=5, examples=200, seed=0):
    return evaluate(model, task or Parity(), split=split, size=size, examples=examples, seed=seed)


def drawn(size=5, count=200, split="test", seed=0):
    return Parity().examples(split, seed=seed, start=0, count=count, size=size)


def test_a_perfect_model_is_perfect():
    result = score(Scripted(parity, 2))
    assert result == Score(loss=pytest.approx(0.0, abs=1e-9), token_accuracy=1.0, sequence_accuracy=1.0, sequences=200)


def test_mistakes_are_counted_per_token_and_per_sequence():
    begin_with_one = int(drawn().tokens[:, 0].sum())
    assert 60 < begin_with_one < 140
    result = score(Scripted(wrong_at_the_end_after_a_one, 2))
    assert result.token_accuracy == pytest.approx(1 - begin_with_one / 1000, abs=1e-12)
    assert result.sequence_accuracy == pytest.approx(1 - begin_with_one / 200, abs=1e-12)
    assert result.loss == pytest.approx(30 * begin_with_one / 1000, rel=1e-6)


def test_the_loss_is_in_nats_a_scored_token():
    assert score(Scripted(parity, 2, margin=0.0)).loss == pytest.approx(math.log(2), rel=1e-6)
    one = Scripted(parity, 2, margin=1.0)
    assert score(one).loss == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-6)


def test_only_scored_positions_count():
    """Right at the last token and wrong at all others, which nothing asks for."""

    def right_at_the_end(tokens):
        answers = 1 - parity(tokens)
        answers[:, -1] = parity(tokens)[:, -1]
        return answers

    result = score(Scripted(right_at_the_end, 2), Parity(every_prefix=False))
    assert result == Score(pytest.approx(0.0, abs=1e-9), 1.0, 1.0, 200)
    assert score(Scripted(right_at_the_end, 2)).sequence_accuracy == 0.0
    assert score(Scripted(right_at_the_end, 2)).token_accuracy == pytest.approx(0.2)


def test_the_batch_size_changes_nothing_and_every_example_is_seen_once(monkeypatch):
    whole = score(Scripted(wrong_at_the_end_after_a_one, 2), examples=37)
    for tokens_at_once in (1, 5, 35, 36 * 5, 37 * 5, 10**6):
        # The function hides the module of its name.
        monkeypatch.setattr(import_module("statewise.training.evaluate"), "TOKENS_AT_ONCE", tokens_at_once)
        model = Scripted(wrong_at_the_end_after_a_one, 2)
        result = score(model, examples=37)
        assert (result.token_accuracy, result.sequence_accuracy) == (whole.token_accuracy, whole.sequence_accuracy)
        assert result.loss == pytest.approx(whole.loss, rel=1e-6)
        assert max(len(tokens) for tokens in model.seen) <= max(1, tokens_at_once // 5)


def test_the_split_and_the_seed_are_those_asked_for():
    for split, seed in (("test", 0), ("validation", 0), ("test", 1)):
        model = Scripted(parity, 2)
        score(model, split=split, seed=seed)
        assert torch.equal(torch.cat(model.seen), drawn(split=split, seed=seed).tokens)


CORPUS = bytes(place * 7919 % 251 for place in range(5000))
"""A text whose every byte follows from the one before."""


@pytest.fixture
def text(tmp_path):
    (tmp_path / "corpus").write_bytes(CORPUS)
    return Text(file=str(tmp_path / "corpus"))


@pytest.mark.parametrize("examples", [None, 10**6])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_text_is_scored_over_the_whole_split(text, examples, split):
    model = Scripted(lambda tokens: (tokens + 7919) % 251, 256)
    result = score(model, text, split=split, size=20, examples=examples)
    begin, end = {"validation": (4410, 4500), "test": (4500, 5000)}[split]
    windows = (end - begin - 1) // 20
    assert result.sequences == windows
    assert bytes(torch.cat(model.seen).flatten().tolist()) == CORPUS[begin : begin + 20 * windows]
    assert result.token_accuracy == result.sequence_accuracy == 1.0


def test_fewer_windows_than_there_are_can_be_asked_for(text):
    assert score(Scripted(parity, 2000), text, size=20, examples=3).sequences == 3


def test_examples_without_end_need_a_number():
    with pytest.raises(UsageError, match="evaluate: examples is None; parity has no last one, so say how many"):
        score(Scripted(parity, 2), examples=None)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_evaluated_in_eval_mode_without_gradients_and_given_back_in_its_own(training):
    model = Scripted(parity, 2)
    model.train(training)
    score(model)
    assert model.modes == [(False, False)]
    assert model.training == training


def test_nothing_is_learned_and_no_global_random_number_is_drawn():
    with seeded(0):
        model = LanguageModel(vocabulary=12, width=8, stack="gru")
    before = torch.get_rng_state()
    one = score(model, IndexLookup(alphabet=4, queries=3), size=6)
    assert one == score(model, IndexLookup(alphabet=4, queries=3), size=6)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_loss_of_a_batch_is_the_mean_over_scored_tokens():
    batch = Parity(every_prefix=False).examples("train", seed=0, start=0, count=9, size=4)
    logits = torch.randn(9, 4, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    chances = logits[:, -1].log_softmax(-1)
    expected = -sum(chances[i, batch.targets[i, -1]] for i in range(9)) / 9
    loss = loss_of(logits, batch)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert not logits.grad[:, :-1].any()
    assert int(batch.targets[0, 0]) == UNSCORED


def test_the_score_agrees_with_the_loss_of_a_batch():
    task: Task = IndexLookup(alphabet=4, queries=3)
    with seeded(0):
        model = LanguageModel(vocabulary=10, width=8)
    batch = task.examples("test", seed=0, start=0, count=50, size=6)
    with torch.no_grad():
        expected = loss_of(model(batch.tokens)[0], batch)
    assert score(model, task, size=6, examples=50).loss == pytest.approx(float(expected), rel=1e-5)
