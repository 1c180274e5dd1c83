"""Counting by a recurrent layer, which tells the threshold's token which symbol is asked for, and attention.

    symbol s at place p         [ code(s) | code of the token before | 0       | +1   | 0    ]
    threshold t at place n + 1  [ 0       | code of the symbol asked | level   | −1   | #    ]
                                  symbol    before                     level     side   more

SHIFT of `hybrid` writes `before`; nothing needs a place. The attention layer is the COUNT head of `counting`, with its
proof: the symbol asked for stands once more, at place n, and the threshold's token weighs t + 3/2. N the largest size,
L = N + 2 tokens, k the alphabet.
"""

from statewise.constructions.construction import Construction
from statewise.constructions.counting import write_votes
from statewise.constructions.directions import Directions, code_bits, codes, write_table
from statewise.constructions.gadgets import count_level, count_precision
from statewise.constructions.hybrid import SOURCE, claimed, hybrid_model
from statewise.core.errors import UsageError
from statewise.tasks import Counting

NAME = "counting/hybrid"


def hybrid(size: int, *, alphabet: int = 4, threshold: int | None = None) -> Construction:
    """One gated LRU behind a convolution of two taps, one attention head, 2⌈log2 k⌉ + 3 channels.

    Exact for every size up to this one.

    size       N, at least 1
    alphabet   k, at least 2
    threshold  the same t for every input, at least 0; None: any below the size

    >>> hybrid(64).verify(16).exact
    True
    """
    task = Counting(alphabet=alphabet, threshold=threshold)
    if size < 1:
        raise UsageError(f"{NAME}: size is {size}; it must be at least 1")
    length, vocabulary = task.length(size), task.vocabulary(size)
    symbol, digits = codes(alphabet), code_bits(alphabet)
    at = Directions(symbol=digits, before=digits, level=1, side=1, more=1)
    numbers = [threshold + 1.5 for threshold in range(vocabulary - alphabet - 2)]
    levels = [count_level(number, digits=digits, length=length) for number in numbers]
    precision = count_precision(digits, length, max(numbers))
    model = hybrid_model(vocabulary, at, back={"before": 1}, precision=precision)
    write_table(model.embedding, slice(alphabet), at["before"], symbol)
    write_votes(model, at, symbol, levels, length=length)
    return Construction(
        name=NAME,
        model=model.eval(),
        task=task,
        sizes=(1, size),
        precision=precision,
        claim=claimed(model, "O(log k)"),
        source=f"{SOURCE}; a convolution that shifts, a sink that weighs t + 3/2: ours",
    )
