"""What may be drawn, against the filters of transformers; and what a draw is."""

import math

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.models.sampling import (
    Sampling,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalise_repetition,
)


@pytest.fixture(scope="module")
def theirs():
    pytest.importorskip("transformers", reason="needs the extra hf")
    from transformers.generation import logits_process

    return logits_process


def random_logits(seed=0, rows=64, vocabulary=50):
    return 4 * torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("k", [1, 3, 49, 50, 99])
def test_top_k_is_that_of_transformers(theirs, k):
    logits = random_logits()
    assert torch.equal(keep_top_k(logits, k), theirs.TopKLogitsWarper(k)(None, logits))


@pytest.mark.parametrize("p", [0.01, 0.3, 0.9, 0.999])
def test_top_p_is_that_of_transformers(theirs, p):
    logits = random_logits(1)
    assert torch.equal(keep_top_p(logits, p), theirs.TopPLogitsWarper(p)(None, logits))


@pytest.mark.parametrize("p", [0.001, 0.05, 0.5, 1.0])
def test_min_p_is_that_of_transformers(theirs, p):
    logits = random_logits(2)
    assert torch.equal(keep_min_p(logits, p), theirs.MinPLogitsWarper(p)(None, logits))


@pytest.mark.parametrize("penalty", [0.5, 1.2, 3.0])
def test_the_repetition_penalty_is_that_of_transformers(theirs, penalty):
    logits, read = random_logits(3), torch.randint(50, (64, 9), generator=torch.Generator().manual_seed(4))
    seen = torch.zeros(64, 50, dtype=torch.bool).scatter_(1, read, True)
    expected = theirs.RepetitionPenaltyLogitsProcessor(penalty)(read, logits.clone())
    assert torch.equal(penalise_repetition(logits, seen, penalty), expected)


def test_filters_follow_each_other_as_those_of_transformers_do(theirs):
    logits = random_logits(5)
    expected = logits
    for each in (
        theirs.TemperatureLogitsWarper(0.7),
        theirs.TopKLogitsWarper(20),
        theirs.TopPLogitsWarper(0.8),
        theirs.MinPLogitsWarper(0.05),
    ):
        expected = each(None, expected)
    assert torch.equal(Sampling(temperature=0.7, top_k=20, top_p=0.8, min_p=0.05).filtered(logits), expected)


def test_filters_leave_their_input_as_it_was():
    logits = random_logits()
    kept = logits.clone()
    Sampling(top_k=2, top_p=0.5, min_p=0.1, repetition_penalty=2).choose(
        logits, torch.ones_like(logits, dtype=torch.bool), torch.Generator()
    )
    assert torch.equal(logits, kept)


def test_what_is_drawn_has_the_probabilities_of_what_is_left():
    sampling = Sampling(temperature=0.5, top_k=3)
    logits = random_logits(6, rows=1, vocabulary=8)
    draws = sampling.choose(logits.expand(20_000, -1), None, torch.Generator().manual_seed(0))
    expected = keep_top_k(logits / 0.5, 3).softmax(-1)[0]
    assert (torch.bincount(draws, minlength=8) / 20_000 - expected).abs().max() < 0.02


def test_at_temperature_0_the_likeliest_is_taken_after_the_penalty():
    logits, seen = torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([[False, True, False]])
    assert Sampling(temperature=0).choose(logits, seen, None).item() == 1
    assert Sampling(temperature=0, repetition_penalty=2).choose(logits, seen, None).item() == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1.0}, "temperature is -1.0; it must be at least 0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0; it must be at least 1"),
        ({"top_p": 0.0}, "top_p is 0.0; it must be above 0 and at most 1"),
        ({"top_p": math.nan}, "top_p is nan"),
        ({"min_p": 1.5}, "min_p is 1.5; it must be from 0 to 1"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0; it must be above 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        Sampling(**settings)
