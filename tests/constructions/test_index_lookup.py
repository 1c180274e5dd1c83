import pytest
import torch

from statewise.constructions import build
from statewise.constructions.index_lookup import COHERENCE, near_orthogonal
from statewise.core import UsageError

NAME = "index-lookup/attention"


@pytest.mark.parametrize("addresses", ["binary", "near-orthogonal"])
@pytest.mark.parametrize(("size", "settings"), [(4, {"alphabet": 3}), (2, {"alphabet": 5, "queries": 3}), (1, {})])
def test_every_input_of_every_size_is_answered(size, settings, addresses):
    construction = build(NAME, size, addresses=addresses, **settings)
    for smaller in range(1, size + 1):
        verification = construction.verify(smaller)
        assert verification.exhaustive
        assert verification.exact, verification.first


def test_the_width_is_logarithmic():
    assert [build(NAME, size).model.config.width for size in (7, 63, 1023)] == [4 + 2 * 3, 4 + 2 * 6, 4 + 2 * 10]


def test_a_long_string_is_read_exactly():
    verification = build(NAME, 1000).verify(examples=16)
    assert verification.exact, verification.first


def test_one_digit_less_gives_places_one_address_and_fails():
    construction = build(NAME, 7, alphabet=2)
    place = slice(4, 7)
    with torch.no_grad():
        construction.model.places.weight[:, place][:, 0] = 0
        construction.model.embedding.weight[:, 1:4][:, 0] = 0
    assert construction.verify().mistakes > 0


def test_a_softer_look_blurs():
    construction = build(NAME, 63)
    with torch.no_grad():
        construction.model.blocks[0].mixer.query_key_value.weight[: construction.model.config.width] *= 0.3
    assert construction.verify().mistakes > 0


def test_near_orthogonal_addresses_are():
    signs, margin = near_orthogonal(40)
    products = signs @ signs.mT - torch.eye(40)
    assert torch.allclose((signs * signs).sum(1), torch.ones(40))
    assert products.max() <= COHERENCE + 1e-6
    assert margin == 1 - COHERENCE


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (0, {}, "index-lookup/attention: size is 0; it must be at least 1"),
        (4, {"addresses": "unary"}, "unknown kind of addresses 'unary'"),
        (4, {"alphabet": 1}, "index-lookup: alphabet is 1"),
    ],
)
def test_what_cannot_be_built_is_refused(size, settings, message):
    with pytest.raises(UsageError, match=message):
        build(NAME, size, **settings)
