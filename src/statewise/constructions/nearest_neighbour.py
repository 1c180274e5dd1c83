"""Nearest neighbour by two attention layers: gather a point onto its label, then match labels with the query.

    bit x of a point       [ x | 0 …         | 0    | bit | cos sin block 1 | 0      ]
    its label              [ 0 | x_t−1 … x_t−p | code | 0   | ·             | 0      ]   after layer 1
    last bit of a query    [ x | x_t−1 … x_t−p | 0    | bit | ·             | answer ]   after layer 2
                             own   back          label         place

A point is a token for each of its p bits. Head j = 1 … p of layer 1 is COPY[j], which reads the bit j places back. A
label then has its point in back 1 … p, the last bit of a query has its own in own, back 1 … p − 1: both are the same
digits by significance, so that layer 2 compares one piece with the other and no feed-forward is needed. n the largest
size, L tokens, M = p + 1, block = ⌊t/M⌋, which at a label is the number of its point. Nothing but the tokens says where
the points end, so that it is exact for every size up to n.

COPY[j]: logit G·(2/(1 − cos(2π/M))·cos(2π(t − j − s)/M) + block(s)). A place later than t − j is less than M later: the
cosine costs it 2G at least, and its block gives it G at most. An earlier one is a multiple of M earlier and loses G by
its block, or it loses 2G by the cosine and gains nothing by its block. So all lose G = ln(2^60 L) to the place asked
for, and what is read is ±1 after rounding.

MATCH: with bits ±1 of the query q and of point i, x, the logit is, up to a factor,

    n 2^p·(q·x) − 2n·number(x) − 2i,        and on bits less 2(p + 2) n 2^p

One bit more of distance costs 2n 2^p, and numbers return 2n (2^p − 1) at most, places 2(n − 1); a larger number costs
2n; a later place 2. So the point that counts leads by 2. On a bit, back holds means of ±1, and |logit| would be at most
(p + 2) n 2^p: the last term puts it out. Factor f ≥ ln(3L): labels but the nearest's have at most a third of the weight
together if rounding spares half the lead, so every digit of the label's code keeps its sign.

Precision. The factor is 2^e in the query (√d of the mixer included), everything else an integer, so that logits of
labels are exact in any order of summing before they are divided by √d, in float32 while R = (p + 2) n 2^p ≤ 2^22:
dividing moves two of them by 4uR ≤ 1 in units of f. Beyond it float64 is used, up to R = 2^46, which leaves room for
another rounding at each step. So a logit takes log2 n + p + log2(p + 2) digits, and two or more to spare.

Width. A mixer's heads have one size, and a match compares p + 1 numbers, so that p heads of layer 1 make p(p + 1)
channels, most of them 0, whatever n. Points that were one token each would need no gathering, and O(p).
"""

import math

import torch
from torch import Tensor

from statewise.constructions.construction import Construction, require_size
from statewise.constructions.directions import Directions, blank, code_bits, codes, write_table
from statewise.constructions.heads import columns, layer, rows, write_head
from statewise.core.errors import UsageError
from statewise.models import LanguageModel
from statewise.tasks import NearestNeighbour

LEAK = 2.0**-60
"""Weight of all places but the one that is copied, at most: nothing beside ±1 in float32 and in float64."""

FLOAT32_UNTIL, FLOAT64_UNTIL = 2**22, 2**46
"""Largest logit, in units of half the smallest lead, at which each is proved to keep the lead."""


def attention(size: int, *, bits: int = 8, labels: int = 2, queries: int = 1) -> Construction:
    """Two layers, p heads of p + 1 channels in the first and one in the second, exact for every size up to this one.

    size     n, at least 1, with (p + 2)·n·2^p at most 2^46
    bits     p, in [1, 32]
    labels   number of labels, at least 2
    queries  at least 1

    >>> attention(64).verify(16).exact
    True
    """
    name = "nearest-neighbour/attention"
    task = NearestNeighbour(bits=bits, labels=labels, queries=queries)
    if size < 1:
        raise UsageError(f"{name}: size is {size}; it must be at least 1")
    most = FLOAT64_UNTIL // ((bits + 2) * 2**bits)
    require_size(name, size, most, f"float64 does not tell the logits of more points of {bits} bits apart")
    length, code = task.length(size), codes(labels)
    at = Directions(
        own=1, back=bits, bit=1, cosine=1, sine=1, block=1, constant=1, label=code.shape[1], answer=code.shape[1]
    )
    head_size = max(bits + 1, 3, code.shape[1])
    heads = max(bits, -(-at.width // head_size))
    model = LanguageModel(
        vocabulary=task.vocabulary(size),
        width=heads * head_size,
        stack="attention*2",
        positions="learned",
        max_length=length,
        feed_forward=0,
        norm="none",
        mixer_settings=(f"head_size={head_size}",),
    )
    blank(model)
    precision = torch.float32 if (bits + 2) * size * 2**bits <= FLOAT32_UNTIL else torch.float64
    model.to(precision)
    write_tokens(model, at, code, bits + 1)
    write_copies(model, at, bits)
    write_match(model, at, bits, size)
    return Construction(
        name=name,
        model=model.eval(),
        task=task,
        sizes=(1, size),
        precision=precision,
        claim=f"two attention layers, {bits} heads to gather {bits} bits, one to match; {heads * head_size} = "
        f"{heads}·{head_size} channels whatever n, and ⌈log2 n⌉ + {bits + code_bits(bits + 2)} digits of a logit",
        source="Bhattamishra et al. 2024, arXiv 2406.09347, Theorem 7; there points are one token, at a margin, and a "
        "private term hides the query from itself; copying onto labels, bits, ties and weights are ours",
    )


def write_tokens(model: LanguageModel, at: Directions, code: Tensor, period: int) -> None:
    """Write the embeddings, the codes of places and the head."""
    assert model.places is not None
    place = torch.arange(len(model.places.weight))
    angle = 2 * torch.pi * (place % period).double() / period
    every, bits, labels = slice(len(place)), slice(2), slice(2, None)
    write_table(model.embedding, bits, at["own"], torch.tensor([[-1.0], [1.0]]))
    write_table(model.embedding, bits, at["bit"], torch.ones(2, 1))
    write_table(model.embedding, labels, at["label"], code)
    write_table(model.places, every, at["cosine"], angle.cos()[:, None])
    write_table(model.places, every, at["sine"], angle.sin()[:, None])
    write_table(model.places, every, at["block"], (place // period)[:, None])
    write_table(model.places, every, at["constant"], torch.ones(len(place), 1))
    write_table(model.head, labels, at["answer"], code)


def write_copies(model: LanguageModel, at: Directions, bits: int) -> None:
    """COPY[1] … COPY[p], layer 1: a step back is a rotation of cosine and sine."""
    assert model.places is not None
    width, step = model.config.width, 2 * math.pi / (bits + 1)
    gap = math.log(len(model.places.weight) / LEAK)
    sharpness = 2 * gap / (1 - math.cos(step))
    cosine, sine, constant = (rows(width, at[name]) for name in ("cosine", "sine", "constant"))
    for head in range(bits):
        back = (head + 1) * step
        turned = [cosine * math.cos(back) + sine * math.sin(back), sine * math.cos(back) - cosine * math.sin(back)]
        place = at["back"].start + head
        write_head(
            layer(model, 0).mixer,
            head,
            query=torch.cat([*(sharpness * part for part in turned), gap * constant]).double(),
            key=rows(width, at["cosine"], at["sine"], at["block"]),
            value=rows(width, at["own"]),
            output=columns(width, slice(place, place + 1)),
        )


def write_match(model: LanguageModel, at: Directions, bits: int, size: int) -> None:
    """MATCH, layer 2: the nearest point, of those the smallest, of those the first; labels alone have one."""
    assert model.places is not None
    width, mixer = model.config.width, layer(model, 1).mixer
    own, constant = at["own"].start, rows(width, at["constant"]).double()
    asked = rows(width, slice(own, own + bits)).double()
    shown = rows(width, slice(own + 1, own + 1 + bits))
    significance = 2.0 ** torch.arange(bits, dtype=torch.float64)[:, None]
    # A power of 2, so that what the mixer multiplies is an integer times it.
    factor = 2.0 ** math.ceil(math.log2(math.log(3 * len(model.places.weight)) * mixer.head_size**0.5))
    nearest = size * 2**bits * asked - size * significance * constant
    order = 2 * rows(width, at["block"]) + 2 * (bits + 2) * size * 2**bits * rows(width, at["bit"])
    write_head(
        mixer,
        0,
        query=factor / mixer.head_size**0.5 * torch.cat([nearest, constant]),
        key=torch.cat([shown, -order]),
        value=rows(width, at["label"]),
        output=columns(width, at["answer"]),
    )
