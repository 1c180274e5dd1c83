"""A recurrent layer that tells each token its place and what stood before it, under one layer of attention.

    gadget   convolution of the piece      gated LRU             the piece then holds
    SHIFT    taps −2 (own) and 1 (back)    λ = 0 passes on       what the token `back` before held, or 0
    PLACE    –                             λ = 1 sums up ones    t + 1, or (t + 1)²: the sum times itself

A piece to be shifted holds the token's own x_t. The convolution, on a residual of its own, makes x_{t−back} − x_t of
it, the gated LRU passes that on unchanged (its other factors are biases of 1), and the block adds it: x_{t−back} is
left, and 0 where no token stands so far back. The convolution under the attention has weights of 0: the identity.

Exact: pieces hold integers, and a sum of ones is exact below 2^24 in float32, its square up to 4096.

Source: Wen, Dang, Lyu, arXiv 2402.18510, Proposition 5.6: the RNN remembers the last tokens and the place, attention
matches and counts. These layers are ours.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from statewise.constructions.directions import Directions, blank
from statewise.constructions.heads import columns, layer, rows
from statewise.core.state import leaves, state_bits
from statewise.models import LanguageModel

SOURCE = "Wen, Dang, Lyu 2024, arXiv 2402.18510, Proposition 5.6"


def hybrid_model(
    vocabulary: int,
    at: Directions,
    *,
    back: Mapping[str, int],
    places: Sequence[str] = (),
    head_size: int | None = None,
    precision: torch.dtype = torch.float32,
) -> LanguageModel:
    """A gated LRU layer that shifts pieces and counts places, under a layer of attention that is still blank.

    back       how many tokens back each of these pieces is to be taken from, at least 1
    places     up to two pieces of one channel, for t + 1 and (t + 1)²
    head_size  of attention; None is one head over the whole width

    >>> at = Directions(symbol=2, before=2, place=1)
    >>> hybrid_model(3, at, back={"before": 1}, places=["place"]).config.mixer_settings
    ('units=3', 'outputs=3', 'bias=True', 'head_size=5')
    """
    shifted = sum(at[name].stop - at[name].start for name in back)
    model = LanguageModel(
        vocabulary=vocabulary,
        width=at.width,
        stack="gated-lru+attention",
        feed_forward=0,
        conv=1 + max(back.values()) if back else 0,
        norm="none",
        mixer_settings=(
            f"units={shifted + bool(places)}",
            f"outputs={shifted + len(places)}",
            "bias=True",
            f"head_size={head_size or at.width}",
        ),
    )
    blank(model.to(precision))
    block = layer(model, 0)
    with torch.no_grad():
        for factor in (block.mixer.write_gate, block.mixer.read_gate):
            factor.bias.fill_(1)
    shift(block, at, back)
    count_places(block.mixer, at, places, first=shifted)
    return model


def claimed(model: LanguageModel, width: str) -> str:
    """What such a model is made of, in words; `width` says how its width grows."""
    state = layer(model, 0).initial_state(1)
    numbers = sum(part.numel() for part in leaves(state))
    return (
        f"one gated LRU layer with {numbers:,} number{'' if numbers == 1 else 's'} of state at every size, "
        f"{state_bits(state):,} bits here, under one attention layer, {model.config.width} channels: {width}"
    )


@torch.no_grad()
def shift(block: Any, at: Directions, back: Mapping[str, int]) -> None:
    """SHIFT: units and outputs from 0 on, one for each channel of the pieces, of decay 0."""
    pieces = [at[name] for name in back]
    for piece, steps in zip(pieces, back.values(), strict=True):
        block.conv.weight[0, piece] = -2
        block.conv.weight[steps, piece] = 1
    if pieces:
        number, mixer = len(rows(at.width, *pieces)), block.mixer
        mixer.write.weight[:number] = rows(at.width, *pieces)
        mixer.read.weight[:number, :number] = torch.eye(number)
        mixer.output.weight[:, :number] = columns(at.width, *pieces)


@torch.no_grad()
def count_places(mixer: Any, at: Directions, places: Sequence[str], *, first: int) -> None:
    """PLACE: unit `first` sums up ones; output `first` adds the sum to the first piece, the next its square."""
    for power, name in enumerate(places):
        mixer.decay[first] = mixer.write.bias[first] = 1
        mixer.read.weight[first + power, first] = 1
        mixer.output.weight[at[name], first + power] = 1
        if power:
            mixer.read_gate.weight[first + power, first] = 1
            mixer.read_gate.bias[first + power] = 0
