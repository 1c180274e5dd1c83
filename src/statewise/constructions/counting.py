"""Counting by attention: the threshold's token weighs as much as the symbols that it takes, and votes against them.

    symbol s at place p         [ code(s) | code of the token before | P(p) | 0       | +1   | 0    ]
    threshold t at place n + 1  [ 0       | code of the symbol asked | P(p) | level   | −1   | #    ]
                                  symbol    before                     place  level     side   more

Layer 1 is a COPY head, which tells the threshold's token which symbol is asked for. Layer 2 is a COUNT head in which
that token weighs t + 3/2. N the largest size, L = N + 2 tokens, k the alphabet.

Proof. The symbol asked for stands once more, at place n, so that #q + 1 symbols are alike, and the sign of what COUNT
reads is that of #q + 1 − (t + 3/2) = #q − t − 1/2: positive if #q > t, else negative. The answers' logits are ± that,
all other ones are 0.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from statewise.constructions.construction import Construction
from statewise.constructions.directions import Directions, blank, code_bits, codes, write_table
from statewise.constructions.gadgets import copy, count, count_level, count_precision, place_codes, place_digits
from statewise.constructions.heads import layer
from statewise.core.errors import UsageError
from statewise.models import LanguageModel
from statewise.tasks import Counting

NAME = "counting/attention"


def attention(size: int, *, alphabet: int = 4, threshold: int | None = None) -> Construction:
    """Two layers, one head, width 2⌈log2 k⌉ + 2⌈log2(N + 2)⌉ + 2, exact for every size up to this one.

    size       N, at least 1
    alphabet   k, at least 2
    threshold  the same t for every input, at least 0; None: any below the size

    >>> attention(64).verify(16).exact
    True
    """
    task = Counting(alphabet=alphabet, threshold=threshold)
    if size < 1:
        raise UsageError(f"{NAME}: size is {size}; it must be at least 1")
    length, vocabulary = task.length(size), task.vocabulary(size)
    symbol, digits = codes(alphabet), code_bits(alphabet)
    at = Directions(symbol=digits, before=digits, place=place_digits(length), level=1, side=1, more=1)
    model = LanguageModel(
        vocabulary=vocabulary,
        width=at.width,
        stack="attention*2",
        positions="learned",
        max_length=length,
        feed_forward=0,
        norm="none",
        mixer_settings=(f"head_size={at.width}",),
    )
    numbers = [threshold + 1.5 for threshold in range(vocabulary - alphabet - 2)]
    levels = [count_level(number, digits=digits, length=length) for number in numbers]
    precision = count_precision(digits, length, max(numbers))
    blank(model.to(precision))
    write_table(model.places, slice(length), at["place"], place_codes(length))
    copy(
        layer(model, 0).mixer,
        0,
        place=at["place"],
        back=1,
        source=at["symbol"],
        target=at["before"],
        length=length,
    )
    write_votes(model, at, symbol, levels, length=length)
    return Construction(
        name=NAME,
        model=model.eval(),
        task=task,
        sizes=(1, size),
        precision=precision,
        claim=f"two attention layers, one head each, {at.width} channels: O(log n)",
        source="Wen, Dang, Lyu 2024, arXiv 2402.18510, Theorem 4.6; a sink that weighs t + 3/2 is ours",
    )


def write_votes(model: LanguageModel, at: Directions, symbol: Tensor, levels: Sequence[float], *, length: int) -> None:
    """The tokens of symbols and thresholds, the COUNT head in layer 2, and the two answers.

    symbol  a code for each, (k, digits)
    levels  of the thresholds, one after the other
    length  L, the most tokens
    """
    alphabet = len(symbol)
    symbols, answers, thresholds = slice(alphabet), slice(alphabet, alphabet + 2), slice(alphabet + 2, None)
    write_table(model.embedding, symbols, at["symbol"], symbol)
    write_table(model.embedding, symbols, at["side"], torch.ones(alphabet, 1))
    write_table(model.embedding, thresholds, at["side"], -torch.ones(len(levels), 1))
    write_table(model.embedding, thresholds, at["level"], torch.tensor(levels, dtype=torch.float64)[:, None])
    count(
        layer(model, 1).mixer,
        0,
        query=at["before"],
        key=at["symbol"],
        side=at["side"],
        level=at["level"],
        target=at["more"],
        length=length,
    )
    write_table(model.head, answers, at["more"], torch.tensor([[-1.0], [1.0]]))
