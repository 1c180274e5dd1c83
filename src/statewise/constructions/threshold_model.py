"""Thresholds of features by two attention layers: fetch what each feature needs, then count those that hold.

    after the embedding   [ x_t | 0       | T(t) | T(i) T(j) … | kind | 1 | 0     | 0     ]
    after layer 1         [ x_t | x_i x_j … | ·  | ·           | ·    | 1 | holds | 0     ]
    after layer 2         [ ·   | ·       | ·    | ·           | ·    | 1 | ·     | share ]
                            own   fetched   place  looked for                            of the L tokens

A feature is a function of k places i, j, …, t, worked out at the last of them, which holds its own symbol: k − 1 COPY
heads look for the others. A feed-forward has a unit for each term, a list of digits that it wants: ReLU(digits as it
wants them − digits unlike them + 2·[kind] − wanted − 1). COUNT, a head with logits 0, averages; the head of the model
compares L · share with b − 1/2. N features, L tokens, c digits of a symbol, a = ⌈log2 L⌉ of a place.

Proof. Codes of places are ±1, so that two differ in one product of a by at least 2. With a factor g = ln(2^60 L)/2 the
others have at most 2^-60 of the weight: what is fetched is ±1 after rounding. A term whose digits all agree is then 1
where its kind is asked for; any other has at most 0 before the ReLU, and is 0 exactly. The L equal weights are right
to 2u, u the unit roundoff, and any order of summing gives the share with a relative error below (L + 8)·u, so counts
b − 1 and b fall on their sides of b − 1/2 while b·L ≤ 2^-3/u: that is 2^21 in float32; beyond it float64 is used.
"""

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from statewise.constructions.directions import Directions, blank, codes, write_table
from statewise.constructions.heads import columns, layer, rows, write_head
from statewise.core.errors import UsageError
from statewise.models import LanguageModel

LEAK = 2.0**-60
"""Weight of all places but the one that is fetched, at most: nothing beside ±1 in float32 and in float64."""

FLOAT32_UNTIL = 2**21
"""Largest b·L at which float32 is proved to tell b − 1 features from b."""

Terms = tuple[tuple[int, ...], ...]
"""Each term k·c digits, those of the first place first: −1 or 1 is wanted, 0 is either."""


class Feature(NamedTuple):
    """A function of the symbols at some places, the last of which is the largest.

    It counts once for each of its terms that holds: terms that exclude each other make it 0 or 1.
    """

    places: tuple[int, ...]
    terms: Terms


def terms_of(function: Callable[..., bool], places: int, symbols: int) -> Terms:
    """The terms of any function of `places` symbols in [0, symbols): one for each way in which it holds.

    >>> terms_of(lambda one, other: one != other, 2, 2)
    ((-1, 1), (1, -1))
    """
    digits = codes(symbols).int().tolist()
    holding = (each for each in product(range(symbols), repeat=places) if function(*each))
    return tuple(tuple(digit for symbol in each for digit in digits[symbol]) for each in holding)


def threshold_model(
    features: Sequence[Feature], *, length: int, vocabulary: int, symbols: int, at_least: int, answers: tuple[int, int]
) -> LanguageModel:
    """Two attention layers that say after the last of `length` tokens whether at least `at_least` terms hold.

    features  each with a last place of its own
    symbols   the first so many tokens have digits; others, a separator, have none
    answers   the tokens for fewer, and for enough

    k − 1 heads, width ⌈log2 L⌉·k + c·k + kinds + 3, rounded up to a multiple of the heads.

    >>> both = terms_of(lambda one, other: one == other == 1, 2, 2)
    >>> model = threshold_model([Feature((0, 2), both)], length=3, vocabulary=4, symbols=2, at_least=1, answers=(2, 3))
    >>> [int(model(torch.tensor([[1, 0, last]]))[0][0, -1].argmax()) for last in (0, 1)]
    [2, 3]
    """
    check_features(features, length)
    kinds = list(dict.fromkeys(feature.terms for feature in features))
    fetched = max((len(feature.places) for feature in features), default=1) - 1
    heads, address, symbol = max(1, fetched), codes(length), codes(symbols)
    at = Directions(
        symbol=symbol.shape[1],
        fetched=fetched * symbol.shape[1],
        place=address.shape[1],
        looked_for=fetched * address.shape[1],
        kind=len(kinds),
        constant=1,
        holds=1,
        share=1,
    )
    width = -(-at.width // heads) * heads
    model = LanguageModel(
        vocabulary=vocabulary,
        width=width,
        stack="attention*2",
        positions="learned",
        max_length=length,
        feed_forward=max(1, -(-sum(map(len, kinds)) // width)),
        feed_forward_kind="relu",
        norm="none",
        mixer_settings=(f"head_size={width // heads}",),
    )
    blank(model)
    model.to(precision_of(length, at_least))
    write_table(model.embedding, slice(symbols), at["symbol"], symbol)
    write_places(model, at, features, kinds, address)
    write_copies(model, at, fetched, width)
    write_terms(model, at, kinds)
    write_count(model, at, width)
    write_answers(model, at, answers, length=length, at_least=at_least)
    return model.eval()


def precision_of(length: int, at_least: int) -> torch.dtype:
    """The dtype in which a count of so many among so many tokens is proved exact."""
    return torch.float32 if at_least * length <= FLOAT32_UNTIL else torch.float64


def check_features(features: Sequence[Feature], length: int) -> None:
    """Raise a UsageError unless each feature can be worked out at a place of its own."""
    last: set[int] = set()
    for places, _ in features:
        if not places or min(places) < 0 or places[-1] != max(places) or places[-1] >= length:
            raise UsageError(f"threshold_model: places are {places}; they must be in [0, {length}), the largest last")
        if places[-1] in last:
            raise UsageError(f"threshold_model: two features end at place {places[-1]}; each needs a last of its own")
        last.add(places[-1])


def write_places(
    model: LanguageModel, at: Directions, features: Sequence[Feature], kinds: list[Terms], address: Tensor
) -> None:
    """Write at each place its address, those it looks for (its own where there is none), and its feature's kind."""
    every, bits = slice(len(address)), address.shape[1]
    wanted = torch.arange(len(address))[:, None].repeat(1, size_of(at["looked_for"]) // bits)
    kind = torch.zeros(len(address), len(kinds))
    for places, terms in features:
        wanted[places[-1], : len(places) - 1] = torch.tensor(places[:-1], dtype=torch.int64)
        kind[places[-1], kinds.index(terms)] = 1
    write_table(model.places, every, at["place"], address)
    write_table(model.places, every, at["looked_for"], address[wanted].flatten(1))
    write_table(model.places, every, at["kind"], kind)
    write_table(model.places, every, at["constant"], torch.ones(len(address), 1))


def write_copies(model: LanguageModel, at: Directions, fetched: int, width: int) -> None:
    """COPY, layer 1: head h looks for the h-th address and puts the symbol there into the h-th fetched piece."""
    assert model.places is not None
    sharpness = math.log(len(model.places.weight) / LEAK) / 2
    for head in range(fetched):
        write_head(
            layer(model, 0).mixer,
            head,
            query=sharpness * rows(width, part(at["looked_for"], head, fetched)),
            key=rows(width, at["place"]),
            value=rows(width, at["symbol"]),
            output=columns(width, part(at["fetched"], head, fetched)),
        )


def write_terms(model: LanguageModel, at: Directions, kinds: list[Terms]) -> None:
    """The feed-forward of layer 1: a unit for each term of each kind, and their sum into `holds`."""
    first, _, second = layer(model, 0).feed_forward
    digits = size_of(at["symbol"])
    with torch.no_grad():
        for unit, (kind, term) in enumerate((kind, term) for kind, terms in enumerate(kinds) for term in terms):
            *others, own = torch.tensor(term, dtype=first.weight.dtype).split(digits)
            first.weight[unit, at["symbol"]] = own
            first.weight[unit, at["fetched"]][: digits * len(others)] = torch.cat([*others, own[:0]])
            first.weight[unit, at["kind"]][kind] = 2
            first.bias[unit] = -sum(map(abs, term)) - 1
            second.weight[at["holds"], unit] = 1


def write_count(model: LanguageModel, at: Directions, width: int) -> None:
    """COUNT, layer 2: every token has the same weight, 1/L."""
    nothing = torch.zeros(1, width)
    write_head(
        layer(model, 1).mixer,
        0,
        query=nothing,
        key=nothing,
        value=rows(width, at["holds"]),
        output=columns(width, at["share"]),
    )


def write_answers(
    model: LanguageModel, at: Directions, answers: tuple[int, int], *, length: int, at_least: int
) -> None:
    """The head: L · share − (b − 1/2) for enough, and its negative for fewer."""
    for answer, sign in zip(answers, (-1, 1), strict=True):
        row = slice(answer, answer + 1)
        write_table(model.head, row, at["share"], torch.tensor([[float(sign * length)]]))
        write_table(model.head, row, at["constant"], torch.tensor([[sign * (0.5 - at_least)]]))


def size_of(piece: slice) -> int:
    """Channels of a piece."""
    size: int = piece.stop - piece.start
    return size


def part(piece: slice, index: int, parts: int) -> slice:
    """One of equally long parts of a piece."""
    size = size_of(piece) // parts
    return slice(piece.start + index * size, piece.start + (index + 1) * size)
