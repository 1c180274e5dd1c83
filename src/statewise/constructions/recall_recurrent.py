"""Associative recall by a table of digits: every key's value in the numbers of a gated LRU, one digit unpacked.

    key c = u·g + j      [          | one | k^j at u | asked: 1 at u | digit: 1 at j ]
    value v              [ symbol v | one |                                          ]
    written                                                            number | answer

A short convolution of two taps adds `place` of the token before, and nothing else: a value meets the place of its key,
and unit u sums up symbol · place_u with a decay of exactly 1. At a key, asked_u reads its number, and the feed-forward
turns its digit into the answer (see `digits`). K keys, v values, g digits a unit.

Proof. A key is shown once, so that each digit is written once at most and h_u < v^g; at a key the product
is 0, there being no symbol; the rest is exact integer arithmetic.
"""

import torch

from statewise.bounds import recall
from statewise.constructions import storage
from statewise.constructions.construction import Construction, require_size
from statewise.constructions.digits import UNPACKED, USUAL_CORNERS, checked_digits, unpacking, write_symbols
from statewise.constructions.directions import Directions, blank, write_table
from statewise.constructions.heads import layer
from statewise.constructions.index_lookup_recurrent import write_store
from statewise.constructions.writing import multiple, write_relus
from statewise.models import LanguageModel
from statewise.tasks import AssociativeRecall

NAME = "associative-recall/recurrent"


def recurrent(size: int, *, keys: int = 64, values: int = 16, digits: int | None = None) -> Construction:
    """One gated LRU layer of ⌈K/g⌉ units behind a convolution of two taps, exact for every size up to this one.

    size    n, in [1, K]
    keys    K, at least 1: the table has a digit for each
    values  v, in [2, 4096]
    digits  g, with v^g at most 8192; None is the most with v^(g−1) at most 256

    >>> recurrent(64).verify(16).exact
    True
    """
    task = AssociativeRecall(keys=keys, values=values)
    require_size(NAME, size, keys, "keys are distinct, and there are no more")
    digits = checked_digits(NAME, values, digits, usual=USUAL_CORNERS * values, most=UNPACKED)
    units = -(-keys // digits)
    at = Directions(symbol=1, one=1, place=units, asked=units, digit=digits, number=1, answer=1)
    relus = unpacking(at, values, digits)
    model = LanguageModel(
        vocabulary=task.vocabulary(size),
        width=at.width,
        stack="gated-lru",
        conv=2,
        feed_forward=multiple(len(relus), at.width),
        feed_forward_kind="relu",
        norm="none",
        mixer_settings=(f"units={units}", "side_gate=True"),
    )
    blank(model)
    write_symbols(model, at, range(keys, keys + values))
    key = torch.arange(keys)
    unit, digit = torch.eye(units)[key // digits], torch.eye(digits)[key % digits]
    write_table(model.embedding, slice(keys), at["place"], unit * float(values) ** (key % digits)[:, None])
    write_table(model.embedding, slice(keys), at["asked"], unit)
    write_table(model.embedding, slice(keys), at["digit"], digit)
    block = layer(model, 0)
    with torch.no_grad():
        block.conv.weight[1, at["place"]] = 1
    write_store(block, at, units)
    write_relus(block.feed_forward, relus)
    required = recall.associative_required_bits(size, values)
    return Construction(
        name=NAME,
        model=model.eval(),
        task=task,
        sizes=(1, size),
        precision=torch.float32,
        claim=f"one gated LRU layer, ⌈K/{digits}⌉ = {storage.units(units)} for all {keys} keys, and "
        f"{at.width} channels of the token before: {storage.compared(model, required)}",
        source="ours; that a table of K·log2 v bits is enough is counting",
    )
