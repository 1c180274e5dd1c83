"""Training and evaluation where tokens are vectors: the loss is the squared error, and nothing is right or wrong."""

import pytest
import torch
from torch import nn

from statewise.core.random import seeded
from statewise.models import VectorModel
from statewise.tasks import Batch, InContextRegression, LinearAttentionTeacher
from statewise.training import TrainingConfig, evaluate, train
from statewise.training.evaluate import loss_of


class Silent:
    def write(self, event):
        pass


class Constant(nn.Module):
    def forward(self, tokens):
        return torch.zeros(*tokens.shape[:2], 3), None


def test_the_loss_is_the_mean_squared_error_of_scored_tokens():
    outputs = torch.tensor([[[9.0, 9.0], [1.0, 3.0]], [[9.0, 9.0], [0.0, 0.0]]], requires_grad=True)
    targets = torch.tensor([[[0.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [2.0, 0.0]]])
    batch = Batch(targets, targets, torch.tensor([[False, True], [False, True]]))
    assert loss_of(outputs, batch).item() == (4 / 2 + 4 / 2) / 2
    assert loss_of(outputs, batch, reduction="sum").item() == 4.0
    (gradient,) = torch.autograd.grad(loss_of(outputs, batch), outputs)
    assert gradient.tolist() == [[[0, 0], [0, 1]], [[0, 0], [-1, 0]]]


def test_a_model_that_answers_nothing_scores_the_variance_and_has_no_accuracy():
    task = InContextRegression()
    score = evaluate(Constant(), task, split="test", size=12, examples=3000, seed=0)
    assert score.loss == pytest.approx(task.chance(12), rel=0.05)
    assert (score.token_accuracy, score.sequence_accuracy, score.sequences) == (None, None, 3000)


def test_linear_attention_learns_linear_attention():
    task = LinearAttentionTeacher(dim=2)
    with seeded(0):
        model = VectorModel(channels=task.channels, width=8, stack="linear-attention", feed_forward=0, norm="none")
    config = TrainingConfig(sizes=(6,), steps=250, batch_size=64, learning_rate=1e-2, solved_at=None)
    outcome = train(model, task, config, seed=0, sink=Silent())
    score = evaluate(model, task, split="test", size=6, examples=500, seed=0)
    assert outcome.status == "finished"
    assert score.loss < 0.02 * task.chance(6)


def test_a_loss_above_ten_times_the_variance_has_diverged():
    task = LinearAttentionTeacher(dim=2)
    with seeded(0):
        model = VectorModel(channels=task.channels, width=8, stack="linear-attention", feed_forward=0, norm="none")
    with torch.no_grad():
        model.head.weight *= 1e4
    config = TrainingConfig(sizes=(6,), steps=60, learning_rate=1e-6, solved_at=None)
    assert train(model, task, config, seed=0, sink=Silent()).status == "diverged"
