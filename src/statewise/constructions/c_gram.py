"""What followed a gram the first time: one layer of attention copies what came before each place, the next matches it.

    symbol s at place t    [ code(s) | code of 1 before | … | code of c − 1 before | P(t) | rank(t) ]
                             symbol    before                                        place  rank

Layer 1 has a COPY head for each of the c − 1 tokens before a place. Layer 2 has one MATCH head: the query is the last
c − 1 symbols (own symbol, 1 before, …, c − 2 before), the key is what came before a place (1 before, …, c − 1 before),
the value its symbol. N the largest size, L = N + c − 1 tokens, k the alphabet, b = ⌈log2 k⌉ digits of a symbol.

Proof. Nothing marks the end of the string, so a gram may also be found across it, and in the query. But the gram occurs
in the string with a symbol after it, and of all places whose c − 1 predecessors are the gram the first is the answer's:
the lowest rank. Places before c − 1 lack predecessors and rank last, whatever their keys hold. So MATCH (see `gadgets`)
reads digits of the right sign, of size 2·0.92 − 1 > 0.8 at least. Twice that is added to the last token's own digits
±1: every sign is the answer's, and code(s) is the code that agrees best.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from statewise.constructions.construction import Construction
from statewise.constructions.directions import Directions, blank, code_bits, codes, write_table
from statewise.constructions.gadgets import (
    copy,
    first_ranks,
    match,
    match_precision,
    place_codes,
    place_digits,
)
from statewise.constructions.heads import layer
from statewise.core.errors import UsageError
from statewise.models import LanguageModel
from statewise.tasks import CGramRetrieval


def attention(size: int, *, alphabet: int = 16, gram: int = 2) -> Construction:
    """Two layers of c − 1 heads, exact for every size from c up to this one; `gram_width` says how wide.

    size      N, at least gram
    alphabet  k, at least 2
    gram      c, at least 2

    >>> attention(64).verify(16).exact
    True
    """
    task = CGramRetrieval(alphabet=alphabet, gram=gram)
    if size < gram:
        raise UsageError(f"c-gram-retrieval/attention: size is {size}; it must be at least {gram} (gram)")
    model, precision = gram_model(vocabulary=alphabet, gram=gram, length=task.length(size))
    return Construction(
        name="c-gram-retrieval/attention",
        model=model,
        task=task,
        sizes=(gram, size),
        precision=precision,
        claim=f"two attention layers, {gram - 1} heads each, {model.config.width} channels: O(c log n + c² log k)",
        source="Wen, Dang, Lyu 2024, arXiv 2402.18510, Theorem 4.6 (its gadgets' places and ranks replaced: ours)",
    )


def gram_width(vocabulary: int, gram: int, length: int) -> int:
    """Channels: b·c + 2⌈log2 L⌉, up to a multiple of c − 1, or c − 1 times what a head compares, if that is more.

    A head compares 2⌈log2 L⌉ − 1 digits of places, or (c − 1)·b of symbols and a rank. For c = 2 the first is more.

    >>> gram_width(16, 2, 1024), gram_width(16, 3, 1024)
    (28, 38)
    """
    digits = code_bits(vocabulary)
    pieces = gram * digits + place_digits(length) + 1
    head = max(place_digits(length), (gram - 1) * digits + 1)
    return (gram - 1) * max(head, -(-pieces // (gram - 1)))


def gram_model(*, vocabulary: int, gram: int, length: int) -> tuple[LanguageModel, torch.dtype]:
    """The model that says what followed the last `gram − 1` tokens the first time, and its dtype.

    length  L, the most tokens that it reads
    """
    symbol, digits, width = codes(vocabulary), code_bits(vocabulary), gram_width(vocabulary, gram, length)
    at = Directions(
        symbol=digits,
        **{f"before {back}": digits for back in range(1, gram)},
        place=place_digits(length),
        rank=1,
    )
    before = [at["symbol"], *(at[f"before {back}"] for back in range(1, gram))]
    model = LanguageModel(
        vocabulary=vocabulary,
        width=width,
        stack="attention*2",
        positions="learned",
        max_length=length,
        feed_forward=0,
        norm="none",
        mixer_settings=(f"head_size={width // (gram - 1)}",),
    )
    precision = match_precision((gram - 1) * digits, length)
    blank(model.to(precision))
    write_table(model.embedding, slice(vocabulary), at["symbol"], symbol)
    write_table(model.places, slice(length), at["place"], place_codes(length))
    write_table(model.places, slice(length), at["rank"], first_ranks(length, gram - 1))
    for back in range(1, gram):
        copy(
            layer(model, 0).mixer,
            back - 1,
            place=at["place"],
            back=back,
            source=at["symbol"],
            target=before[back],
            length=length,
        )
    write_answer(model, at["symbol"], symbol, query=before[:-1], key=before[1:], rank=at["rank"], length=length)
    return model.eval(), precision


def write_answer(
    model: LanguageModel,
    piece: slice,
    symbol: Tensor,
    *,
    query: Sequence[slice],
    key: Sequence[slice],
    rank: slice,
    length: int,
) -> None:
    """The MATCH head in layer 1 (from 0) that reads the symbol of what was found, and the head that tells it.

    piece   where the symbol of a token lies
    symbol  a code for each, (k, digits)
    length  L, the most tokens
    """
    # The last token's own symbol stands in the target: what is read must outvote it.
    match(
        layer(model, 1).mixer,
        0,
        query=query,
        key=key,
        rank=rank,
        source=piece,
        target=piece,
        gain=2,
        length=length,
    )
    write_table(model.head, slice(len(symbol)), piece, symbol)
