"""Associative recall by a recurrent layer and attention: a pair is a gram of two, so the model is `c_gram_hybrid`'s.

    key or value s at place t    [ code(s) | code of the token before | preceded | t + 1 ]

Proof. The last token is a key; of the places whose predecessor is that key the first is its value's, since the query
itself has a value before it. A key that were shown twice would be answered by its first value.
"""

from statewise.constructions.c_gram_hybrid import gram_model
from statewise.constructions.construction import Construction, require_size
from statewise.constructions.hybrid import SOURCE, claimed
from statewise.tasks import AssociativeRecall

NAME = "associative-recall/hybrid"


def hybrid(size: int, *, keys: int = 64, values: int = 16) -> Construction:
    """One gated LRU behind a convolution of two taps, one attention head, 2⌈log2(keys + values)⌉ + 2 channels.

    Exact for every size N up to this one.

    size    N, in [1, keys]
    keys    at least 1
    values  at least 2

    >>> hybrid(64).verify(16).exact
    True
    """
    task = AssociativeRecall(keys=keys, values=values)
    require_size(NAME, size, keys, "keys are distinct")
    model, precision = gram_model(vocabulary=keys + values, gram=2, length=task.length(size))
    return Construction(
        name=NAME,
        model=model,
        task=task,
        sizes=(1, size),
        precision=precision,
        claim=claimed(model, "O(log(keys + values))"),
        source=f"{SOURCE}; a convolution that shifts, a sum of ones that ranks: ours",
    )
