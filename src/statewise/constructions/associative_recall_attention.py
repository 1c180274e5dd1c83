"""Associative recall by attention: a pair is a gram of two, so the model is that of `c_gram` over keys and values.

    key or value s at place t    [ code(s) | code of the token before | P(t) | rank(t) ]

Proof. The last token is a key; of the places whose predecessor is that key the first is its value's, since the query
itself has a value before it. A key that were shown twice would be answered by its first value.
"""

from statewise.constructions.c_gram import gram_model
from statewise.constructions.construction import Construction, require_size
from statewise.tasks import AssociativeRecall

NAME = "associative-recall/attention"


def attention(size: int, *, keys: int = 64, values: int = 16) -> Construction:
    """Two layers, one head, width 2⌈log2(keys + values)⌉ + 2⌈log2(2N + 1)⌉, exact for every size N up to this one.

    size    N, in [1, keys]
    keys    at least 1
    values  at least 2

    >>> attention(64).verify(16).exact
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
        claim=f"two attention layers, one head each, {model.config.width} channels: O(log n)",
        source="Wen, Dang, Lyu 2024, arXiv 2402.18510, Theorem 4.6 (its gadgets' places and ranks replaced: ours)",
    )
