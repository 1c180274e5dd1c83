"""What followed a gram the first time: a recurrent layer keeps the tokens before each place, attention matches.

    symbol s at place t    [ code(s) | code of 1 before | … | code of c − 1 before | preceded | t + 1 ]
                             symbol    before                                        1 or 0     place

SHIFT and PLACE of `hybrid` write all but `symbol`; `preceded` is 1 where a token stands c − 1 before. Attention has one
MATCH head: the query is the last c − 1 symbols and `preceded`, the key is what came before a place and `preceded`, the
rank is `place`, the value its symbol. N the largest size, L = N + c − 1 tokens, k the alphabet, b = ⌈log2 k⌉ digits.

Proof. It is that of `c_gram`, but for the first c − 1 places, which do not rank last here: the digits that they lack
are 0, and so is `preceded`, so that their product with the query is at least b + 1 ≥ 2 below that of a gram that is
alike, which is all that MATCH asks of places that differ. The query is preceded, for it stands c − 1 after the first
symbol at least. Ranks are different integers up to L.
"""

import torch

from statewise.constructions.c_gram import write_answer
from statewise.constructions.construction import Construction
from statewise.constructions.directions import Directions, code_bits, codes, write_table
from statewise.constructions.gadgets import match_precision
from statewise.constructions.hybrid import SOURCE, claimed, hybrid_model
from statewise.core.errors import UsageError
from statewise.models import LanguageModel
from statewise.tasks import CGramRetrieval

NAME = "c-gram-retrieval/hybrid"


def hybrid(size: int, *, alphabet: int = 16, gram: int = 2) -> Construction:
    """One gated LRU behind a convolution of c taps, one attention head, c⌈log2 k⌉ + 2 channels.

    Exact for every size from c up to this one.

    size      N, at least gram
    alphabet  k, at least 2
    gram      c, at least 2

    >>> hybrid(64).verify(16).exact
    True
    """
    task = CGramRetrieval(alphabet=alphabet, gram=gram)
    if size < gram:
        raise UsageError(f"{NAME}: size is {size}; it must be at least {gram} (gram)")
    model, precision = gram_model(vocabulary=alphabet, gram=gram, length=task.length(size))
    return Construction(
        name=NAME,
        model=model,
        task=task,
        sizes=(gram, size),
        precision=precision,
        claim=claimed(model, "O(c log k)"),
        source=f"{SOURCE}; a convolution that shifts, a sum of ones that ranks: ours",
    )


def gram_model(*, vocabulary: int, gram: int, length: int) -> tuple[LanguageModel, torch.dtype]:
    """The model that says what followed the last `gram − 1` tokens the first time, and its dtype.

    length  L, the most tokens that it reads
    """
    symbol, digits = codes(vocabulary), code_bits(vocabulary)
    back = {f"before {steps}": steps for steps in range(1, gram)}
    at = Directions(symbol=digits, **dict.fromkeys(back, digits), preceded=1, place=1)
    precision = match_precision((gram - 1) * digits + 1, length)
    model = hybrid_model(vocabulary, at, back={**back, "preceded": gram - 1}, places=["place"], precision=precision)
    for name in ("symbol", *back):
        write_table(model.embedding, slice(vocabulary), at[name], symbol)
    write_table(model.embedding, slice(vocabulary), at["preceded"], torch.ones(vocabulary, 1))
    symbols = [at["symbol"], *(at[name] for name in back)]
    write_answer(
        model,
        at["symbol"],
        symbol,
        query=[*symbols[:-1], at["preceded"]],
        key=[*symbols[1:], at["preceded"]],
        rank=at["place"],
        length=length,
    )
    return model.eval(), precision
