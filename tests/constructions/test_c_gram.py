from dataclasses import replace

import pytest
import torch

from statewise.constructions import c_gram
from statewise.constructions.directions import code_bits
from statewise.constructions.gadgets import place_digits
from statewise.core import UsageError


@pytest.mark.parametrize(
    ("size", "alphabet", "gram"), [(8, 2, 2), (8, 2, 3), (7, 2, 5), (5, 3, 3), (4, 5, 2), (2, 2, 2)]
)
def test_every_input_of_every_size_is_answered(size, alphabet, gram):
    construction = c_gram.attention(size, alphabet=alphabet, gram=gram)
    assert construction.sizes == (gram, size)
    for smaller in range(gram, size + 1):
        verification = construction.verify(smaller)
        assert verification.exhaustive
        assert verification.exact, verification.first


@pytest.mark.parametrize("settings", [{}, {"alphabet": 2}, {"alphabet": 2, "gram": 8}, {"alphabet": 1000, "gram": 3}])
def test_long_strings_are_answered(settings):
    construction = c_gram.attention(1500, **settings)
    for size in (500, 1500):
        verification = construction.verify(size, examples=8)
        assert verification.exact, verification.first


def test_beyond_the_reach_of_float32_it_is_written_in_float64():
    construction = c_gram.attention(2000, alphabet=256, gram=5)
    assert construction.precision == torch.float64
    assert {parameter.dtype for parameter in construction.model.parameters()} == {torch.float64}
    assert construction.verify(examples=4).exact
    assert c_gram.attention(1000, alphabet=256, gram=5).precision == torch.float32


def test_the_width_is_logarithmic():
    widths = [c_gram.attention(size).model.config.width for size in (7, 63, 1023)]
    assert widths == [8 + 2 * 3, 8 + 2 * 6, 8 + 2 * 10]
    assert [c_gram.gram_width(16, 2, 2**power) for power in range(1, 21)] == [8 + 2 * power for power in range(1, 21)]
    assert all(c_gram.gram_width(16, gram, 2**20) == (gram - 1) * 39 for gram in range(3, 9))


def test_heads_of_longer_grams_fit():
    for gram in range(2, 7):
        for length in (12, 100):
            config = c_gram.gram_model(vocabulary=9, gram=gram, length=length)[0].config
            assert config.width % (gram - 1) == 0
            assert config.width == c_gram.gram_width(9, gram, length)


def test_without_the_longest_period_two_places_are_one_and_it_fails():
    construction = c_gram.attention(7, alphabet=2)
    place, periods = 2 * code_bits(2), code_bits(8)
    with torch.no_grad():
        construction.model.places.weight[:, [place + periods - 1, place + 2 * periods - 2]] = 0
    assert construction.verify().mistakes > 0


def test_without_a_digit_of_the_symbols_two_of_them_are_one_and_it_fails():
    construction = c_gram.attention(4, alphabet=3)
    with torch.no_grad():
        construction.model.embedding.weight[:, 0] = 0
    assert construction.verify().mistakes > 0


def test_without_ranks_occurrences_are_mixed_and_it_fails():
    construction = c_gram.attention(7, alphabet=2)
    with torch.no_grad():
        construction.model.places.weight[:, 2 * code_bits(2) + place_digits(8)] = 0
    assert construction.verify().mistakes > 0


def test_eight_bits_of_precision_blur_the_ranks():
    construction = c_gram.attention(700, alphabet=2)
    tokens = torch.zeros(16, 701, dtype=torch.int64)
    for row, place in enumerate(range(600, 616)):
        tokens[row, [place, *range(place + 2, place + 8), -1]] = 1
    with torch.no_grad():
        assert construction.answers(tokens)[:, -1].tolist() == [0] * 16
        rounded = replace(construction, model=construction.model.bfloat16(), precision=torch.bfloat16)
        assert 1 in rounded.answers(tokens)[:, -1].tolist()


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (1, {}, r"c-gram-retrieval/attention: size is 1; it must be at least 2 \(gram\)"),
        (4, {"gram": 5}, r"c-gram-retrieval/attention: size is 4; it must be at least 5 \(gram\)"),
        (4, {"alphabet": 1}, "c-gram-retrieval: alphabet is 1"),
    ],
)
def test_what_cannot_be_built_is_refused(size, settings, message):
    with pytest.raises(UsageError, match=message):
        c_gram.attention(size, **settings)
