"""COPY, MATCH, MATCH-CLOSE and COUNT against plain loops, at every place of every short string and of long ones."""

import math

import pytest
import torch

from statewise.constructions.c_gram import gram_model
from statewise.constructions.directions import Directions, blank, code_bits, codes, write_table
from statewise.constructions.gadgets import (
    copy,
    first_ranks,
    last_ranks,
    match_precision,
    place_codes,
    place_digits,
    turned_back,
)
from statewise.models import LanguageModel
from statewise.tasks.task import every_sequence

LONG = 600


def strings(alphabet, length):
    return torch.stack(list(every_sequence(alphabet, length)))


def random_strings(alphabet, length):
    return torch.randint(0, alphabet, (4, length), generator=torch.Generator().manual_seed(0))


def followers(row, gram, *, last):
    """For each place the symbol after the first (or last) gram like the one that ends here, None where none is."""
    found, seen = [], {}
    for t in range(len(row)):
        if t >= gram - 1:
            context = tuple(row[t - gram + 1 : t])
            if last:
                seen[context] = row[t]
            else:
                seen.setdefault(context, row[t])
        found.append(seen.get(tuple(row[t - gram + 2 : t + 1])) if t >= gram - 2 else None)
    return found


def assert_follows(model, tokens, gram, *, last):
    with torch.no_grad():
        answers = torch.cat([model(rows)[0].argmax(-1) for rows in tokens.split(1024)])
    asked = 0
    for row, answered in zip(tokens.tolist(), answers.tolist(), strict=True):
        for expected, got in zip(followers(row, gram, last=last), answered, strict=True):
            asked += expected is not None
            assert expected in (None, got)
    assert asked > 0


def with_last_ranks(model, alphabet, gram, length):
    rank = gram * code_bits(alphabet) + place_digits(length)
    write_table(model.places, slice(length), slice(rank, rank + 1), last_ranks(length))
    return model


@pytest.mark.parametrize(("alphabet", "gram", "length"), [(2, 2, 9), (2, 3, 9), (2, 4, 8), (3, 2, 6), (3, 3, 6)])
def test_match_reads_the_first_of_several_at_every_place_of_every_string(alphabet, gram, length):
    model, _ = gram_model(vocabulary=alphabet, gram=gram, length=length)
    for shorter in range(gram, length + 1):
        assert_follows(model, strings(alphabet, shorter), gram, last=False)


@pytest.mark.parametrize(("alphabet", "gram", "length"), [(2, 2, 9), (2, 3, 9), (2, 4, 8), (3, 2, 6), (3, 3, 6)])
def test_match_close_reads_the_last_of_several_at_every_place_of_every_string(alphabet, gram, length):
    model, _ = gram_model(vocabulary=alphabet, gram=gram, length=length)
    with_last_ranks(model, alphabet, gram, length)
    for shorter in range(gram, length + 1):
        assert_follows(model, strings(alphabet, shorter), gram, last=True)


@pytest.mark.parametrize(("alphabet", "gram"), [(2, 2), (16, 2), (2, 5), (300, 3)])
def test_both_do_so_in_long_strings(alphabet, gram):
    model, _ = gram_model(vocabulary=alphabet, gram=gram, length=LONG)
    assert_follows(model, random_strings(alphabet, LONG), gram, last=False)
    with_last_ranks(model, alphabet, gram, LONG)
    assert_follows(model, random_strings(alphabet, LONG), gram, last=True)


def test_a_head_that_compares_more_than_the_digits_of_a_place_keeps_the_rank():
    model, _ = gram_model(vocabulary=5, gram=4, length=9)
    assert model.config.width == 3 * (3 * code_bits(5) + 1)
    assert_follows(model, 4 * strings(2, 9), 4, last=False)


def test_match_finds_the_one_place_that_is_alike_wherever_it_stands():
    model, _ = gram_model(vocabulary=2, gram=2, length=LONG)
    places = range(0, LONG - 2, 37)
    tokens = torch.zeros(len(places), LONG, dtype=torch.int64)
    for row, place in enumerate(places):
        tokens[row, [place, -1]] = 1
    with torch.no_grad():
        assert model(tokens)[0][:, -1].argmax(-1).eq(0).all()
    tokens = 1 - tokens
    with torch.no_grad():
        assert model(tokens)[0][:, -1].argmax(-1).eq(1).all()


@pytest.mark.parametrize("length", [2, 3, 4, 5, 64, 65, 1000])
def test_codes_of_different_places_differ_by_two_and_turning_back_is_exact(length):
    place, periods = place_codes(length), code_bits(length)
    assert place.shape == (length, place_digits(length))
    products = place @ place.mT
    assert torch.allclose(products.diagonal(), torch.tensor(float(periods), dtype=torch.float64))
    assert products.fill_diagonal_(-periods).max() <= periods - 2 + 1e-9
    for back in {1, length // 2, length - 1}:
        assert torch.allclose(place @ turned_back(length, back).mT, place.roll(back, 0)) == (length == 2**periods)
        assert torch.allclose(place[back:] @ turned_back(length, back).mT, place[: length - back])


@pytest.mark.parametrize(("length", "back"), [(2, 1), (5, 0), (5, 3), (64, 1), (600, 1), (600, 17), (600, 599)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_copy_is_exact_to_the_last_bit(length, back, dtype):
    alphabet, digits = 5, code_bits(5)
    at = Directions(symbol=digits, copied=digits, place=place_digits(length))
    model = LanguageModel(
        vocabulary=alphabet,
        width=at.width,
        stack="attention",
        positions="learned",
        max_length=length,
        feed_forward=0,
        norm="none",
        mixer_settings=(f"head_size={at.width}",),
    )
    blank(model.to(dtype))
    write_table(model.embedding, slice(alphabet), at["symbol"], codes(alphabet))
    write_table(model.places, slice(length), at["place"], place_codes(length))
    copy(
        model.blocks[0].mixer,
        0,
        place=at["place"],
        back=back,
        source=at["symbol"],
        target=at["copied"],
        length=length,
        gain=3,
    )
    tokens = random_strings(alphabet, length)
    with torch.no_grad():
        x = model.embedding(tokens) + model.places.weight
        copied = model.blocks[0](x, model.blocks[0].initial_state(len(tokens)))[0][..., at["copied"]]
    assert torch.equal(copied[:, back:], 3 * codes(alphabet).to(dtype)[tokens[:, : length - back]])


def test_ranks_are_a_permutation_with_the_places_before_the_start_last():
    assert first_ranks(5, 2).flatten().tolist() == [3, 4, 0, 1, 2]
    assert last_ranks(5).flatten().tolist() == [4, 3, 2, 1, 0]


def test_float32_is_enough_until_a_logit_is_off_by_a_quarter():
    largest = max(length for length in range(100, 4000) if match_precision(32, length) == torch.float32)
    assert 1000 < largest < 3999
    size = 32 * (4 * largest + math.log(32 * largest)) / 2 + 4 * largest
    assert 38 * size * 2.0**-24 == pytest.approx(0.25, rel=1e-3)
