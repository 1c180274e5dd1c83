"""Heads that constructions share: COPY a token from some places back, MATCH the first or last alike, COUNT those alike.

    gadget       logit of place s, seen from place t ≥ s                  what it reads
    COPY         β · P(t − back)·P(s)                                     one token, `back` places before
    MATCH        β · (query at t)·(key at s) − γ · rank(s)                the token with the lowest rank of those alike
    COUNT        β · (query at t)·(key at s) − level(t) · side(s)         (alike − number) / (alike + number)

Codes of symbols are ±1 digits, so that two of them that differ have a product lower by at least 2. L is the number of
places, u the rounding of a dtype, 2^-24 in float32 and 2^-53 in float64.

COPY. P(s) holds cos and sin of 2πs/2^i for i = 1 … m = ⌈log2 L⌉ (sin for i = 1 is 0 and left out): 2m − 1 channels, in
which one place back is a rotation, so that one code of the place serves every COPY. If s − r = 2^v · odd and v < m,
then the cosine for i = v + 1 is −1, so P(s)·P(r) ≤ m − 2, while P(s)·P(s) = m. With 2β = ln L + HARD all other places
weigh at most e^-HARD together, which is less than u: what is copied are digits ±1 to the last bit. A place before the
first is, in this code, one that comes later, which nobody sees: then what is read means nothing, and MATCH ranks it
last.

MATCH. Ranks are different integers in [0, L). With 2β = γL + ln 32L a place that differs in a digit weighs at most
1/32L of the best one, and those of higher rank, alike or without meaning, at most 1/(e^γ − 1) together: the best has
more than 0.95 of the weight where logits are exact, and more than 0.92 where each is off by 1/4. MATCH-CLOSE is MATCH
with the last place ranked first.

COUNT. Symbols have side +1, the token that asks has side −1 and no key. With level = (βb + ln number)/2, b digits, a
symbol that is alike weighs 1 and the asking token weighs `number`, after division by the same factor; with 2β = ln 8L
all others weigh at most 1/8 together. Values are the sides, so the sign is that of alike − number if they differ by
1/2.

Source: COPY, MATCH, MATCH-CLOSE and COUNT: Wen, Dang, Lyu, arXiv 2402.18510, appendix. There places are numbers whose
squares stand in the keys, and the first token is the sink; the rotations, the ranks and a sink that weighs a number of
its own (so that a sign is the answer and no product is needed) are ours.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from statewise.constructions.directions import code_bits
from statewise.constructions.heads import columns, rows, write_head
from statewise.mixers import Attention

HARD = 40.0
"""Other places weigh e^-HARD in COPY: below the rounding of float64."""

STEP = 4.0
"""γ: what one rank costs in MATCH."""

LOGIT_ERROR = 0.25
"""By how much rounding may move a logit of MATCH."""


def place_digits(length: int) -> int:
    """Channels of a place among `length`: 2⌈log2 L⌉ − 1.

    >>> [place_digits(length) for length in (2, 3, 4, 5, 1024)]
    [1, 3, 3, 5, 19]
    """
    return 2 * code_bits(length) - 1


def place_codes(length: int) -> Tensor:
    """P, (length, place_digits): cosines and sines of the place, periods 2, 4, … up to the first not below `length`."""
    angles = torch.arange(length, dtype=torch.float64)[:, None] * frequencies(length)
    return torch.cat([angles.cos(), angles[:, 1:].sin()], 1)


def turned_back(length: int, back: int) -> Tensor:
    """The map (place_digits, place_digits) that takes P(t) to P(t − back)."""
    angle = frequencies(length) * back
    cosines, sines = torch.diag(angle.cos()), torch.diag(angle.sin())
    return torch.cat([torch.cat([cosines, sines[:, 1:]], 1), torch.cat([-sines[1:], cosines[1:, 1:]], 1)])


def frequencies(length: int) -> Tensor:
    """2π/2^i for i = 1 … ⌈log2 L⌉."""
    return 2 * math.pi / 2.0 ** torch.arange(1, code_bits(length) + 1, dtype=torch.float64)


def copy(
    mixer: Attention, head: int, *, place: slice, back: int, source: slice, target: slice, length: int, gain: float = 1
) -> None:
    """COPY[back]: add `gain` times the source of the token `back` places before to the target.

    place   where P lies, as `place_codes(length)` has it
    length  L, the most places
    back    in [0, length)
    """
    sharpness, width = (math.log(length) + HARD) / 2, mixer.width
    here = picked(width, place)
    write_head(
        mixer,
        head,
        query=sharpness * turned_back(length, back) @ here,
        key=here,
        value=picked(width, source),
        output=gain * columns(width, target),
    )


def match(
    mixer: Attention,
    head: int,
    *,
    query: Sequence[slice],
    key: Sequence[slice],
    rank: slice,
    source: slice,
    target: slice,
    length: int,
    gain: float = 1,
) -> None:
    """MATCH: of the tokens whose keys are this one's query, add `gain` times the source of the lowest rank to target.

    query, key  pieces that hold ±1 digits, as many of one as of the other
    rank        one channel, `first_ranks` or `last_ranks`
    length      L, the most places; where no key is the query, what is read means nothing
    """
    width = mixer.width
    compared = picked(width, *query)
    write_head(
        mixer,
        head,
        query=torch.cat([match_sharpness(length) * compared, torch.zeros(1, width)]),
        key=torch.cat([picked(width, *key), -STEP * picked(width, rank)]),
        value=picked(width, source),
        output=gain * columns(width, target),
    )
    # The rank counts for every query alike: the query's last channel is 1, which a bias says.
    with torch.no_grad():
        mixer.query_key_value.bias[head * mixer.head_size + len(compared)] = mixer.head_size**0.5


def match_sharpness(length: int) -> float:
    """β of MATCH."""
    return (STEP * length + math.log(32 * length)) / 2


def match_precision(digits: int, length: int) -> torch.dtype:
    """The dtype in which logits of MATCH over `digits` digits are right to LOGIT_ERROR.

    A sum of d rounded products and its scaling is off by at most (d + 6) u times the sum of their sizes. Float64 is
    exact beyond any length that fits into memory.

    >>> match_precision(4, 1000), match_precision(4, 100_000)
    (torch.float32, torch.float64)
    """
    size = digits * match_sharpness(length) + STEP * length
    return torch.float32 if (digits + 6) * size * 2.0**-24 <= LOGIT_ERROR else torch.float64


def first_ranks(length: int, start: int) -> Tensor:
    """Ranks (length, 1) that prefer the first place from `start` on, and put those before it last.

    >>> first_ranks(4, 1).flatten().tolist()
    [3, 0, 1, 2]
    """
    return (torch.arange(length)[:, None] - start) % length


def last_ranks(length: int) -> Tensor:
    """Ranks (length, 1) that prefer the last place: those of MATCH-CLOSE.

    >>> last_ranks(4).flatten().tolist()
    [3, 2, 1, 0]
    """
    return first_ranks(length, 0).flip(0)


def count(
    mixer: Attention, head: int, *, query: slice, key: slice, side: slice, level: slice, target: slice, length: int
) -> None:
    """COUNT: add (alike − number) / (alike + number) to the target, up to what other symbols weigh.

    query, key  ±1 digits; the token that asks has no key
    side        one channel: +1 for symbols, −1 for the token that asks
    level       one channel of the token that asks: `count_level(number, …)`
    length      L, the most places
    """
    width = mixer.width
    write_head(
        mixer,
        head,
        query=torch.cat([count_sharpness(length) * picked(width, query), picked(width, level)]),
        key=torch.cat([picked(width, key), -picked(width, side)]),
        value=picked(width, side),
        output=columns(width, target),
    )


def count_sharpness(length: int) -> float:
    """β of COUNT."""
    return math.log(8 * length) / 2


def count_level(number: float, *, digits: int, length: int) -> float:
    """The level with which the asking token weighs as much as `number` symbols that are alike."""
    return (count_sharpness(length) * digits + math.log(number)) / 2


def count_precision(digits: int, length: int, number: float) -> torch.dtype:
    """The dtype in which COUNT's sign is right for up to `length` symbols and up to `number`, 1/2 apart.

    A sum of L rounded products is off by at most L u of their sizes, in any order. Logits are off by at most (d + 6) u
    of the sizes that they add, and so is, relatively, a weight. Weights are at most 2 L + 3 where the numbers differ by
    1/2, of which others take 1/8: the sum may be off by 1/4.

    >>> count_precision(2, 1000, 1000), count_precision(2, 2000, 2000)
    (torch.float32, torch.float64)
    """
    size = count_sharpness(length) * digits + count_level(number, digits=digits, length=length)
    error = (length + (digits + 6) * size) * 2.0**-24
    return torch.float32 if (2 * length + 3) * error <= 0.25 else torch.float64


def picked(width: int, *pieces: slice) -> Tensor:
    """The map that picks pieces, in float64: a construction may be rounded to float32, but once."""
    return rows(width, *pieces).double()
