from dataclasses import replace

import pytest
import torch

from statewise.constructions import counting
from statewise.constructions.gadgets import count_level, count_precision
from statewise.core import UsageError


@pytest.mark.parametrize(
    ("size", "settings"),
    [
        (7, {"alphabet": 2}),
        (5, {"alphabet": 3}),
        (3, {"alphabet": 5}),
        (6, {"alphabet": 2, "threshold": 0}),
        (6, {"alphabet": 2, "threshold": 3}),
        (4, {"alphabet": 2, "threshold": 100}),
    ],
)
def test_every_input_of_every_size_is_answered(size, settings):
    construction = counting.attention(size, **settings)
    for smaller in range(1, size + 1):
        verification = construction.verify(smaller)
        assert verification.exhaustive
        assert verification.exact, verification.first


def beside_the_count(construction, size):
    """Strings in which symbol 0 stands m times, asked whether it does more than m − 1 and more than m times."""
    generator, rows, answers = torch.Generator().manual_seed(0), [], []
    alphabet = construction.task.alphabet
    for times in (0, 1, 2, size // 3, size // 2, size - 2, size - 1, size):
        string = torch.full((size,), alphabet - 1)
        string[torch.randperm(size, generator=generator)[:times]] = 0
        for threshold in {max(times - 1, 0), min(times, size - 1)}:
            rows.append(torch.cat([string, torch.tensor([0, alphabet + 2 + threshold])]))
            answers.append(alphabet + (times > threshold))
    return torch.stack(rows), answers


@pytest.mark.parametrize(("size", "alphabet"), [(500, 2), (1000, 4), (600, 1024), (1600, 4)])
def test_long_strings_are_answered_on_both_sides_of_the_count(size, alphabet):
    construction = counting.attention(size, alphabet=alphabet)
    tokens, answers = beside_the_count(construction, size)
    with torch.no_grad():
        assert construction.answers(tokens)[:, -1].tolist() == answers
    assert construction.verify(size, examples=4).exact


def test_at_the_last_size_of_float32_it_answers_on_both_sides_of_the_count():
    size = max(size for size in range(500, 2500) if count_precision(2, size + 2, size + 0.5) == torch.float32)
    construction = counting.attention(size)
    assert (construction.precision, counting.attention(size + 1).precision) == (torch.float32, torch.float64)
    assert 1000 < size < 1600
    tokens, answers = beside_the_count(construction, size)
    with torch.no_grad():
        assert construction.answers(tokens)[:, -1].tolist() == answers


def test_the_width_is_logarithmic():
    widths = [counting.attention(size).model.config.width for size in (6, 62, 1022)]
    assert widths == [2 * 2 + 2 * bits + 2 for bits in (3, 6, 10)]


def test_a_sink_that_forgets_that_the_symbol_asked_for_stands_once_more_fails():
    construction = counting.attention(4, alphabet=2)
    level = construction.model.config.width - 3
    with torch.no_grad():
        for threshold in range(4):
            number = count_level(threshold + 0.5, digits=1, length=6)
            construction.model.embedding.weight[4 + threshold, level] = number
    assert construction.verify().mistakes > 0


def test_without_the_longest_period_two_places_are_one_and_it_fails():
    construction = counting.attention(6, alphabet=2)
    place, periods = 2, 3
    with torch.no_grad():
        construction.model.places.weight[:, [place + periods - 1, place + 2 * periods - 2]] = 0
    assert construction.verify().mistakes > 0


def test_eight_bits_of_precision_do_not_count_far():
    construction = counting.attention(500, alphabet=2)
    rounded = replace(construction, model=construction.model.bfloat16(), precision=torch.bfloat16)
    assert rounded.verify(examples=32).mistakes > 0


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (0, {}, "counting/attention: size is 0; it must be at least 1"),
        (4, {"alphabet": 1}, "counting: alphabet is 1"),
        (4, {"threshold": -1}, "counting: alphabet is 4 and threshold is -1"),
    ],
)
def test_what_cannot_be_built_is_refused(size, settings, message):
    with pytest.raises(UsageError, match=message):
        counting.attention(size, **settings)
