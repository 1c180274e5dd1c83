"""Copy and selective copying by two minGRU layers: the first counts, the second writes and clears by the count.

m slots, d = ⌈log2 k⌉ digits of a symbol, no feed-forward, h_0 = 0, the candidate's g as in the paper.

    datum s       [ code(s) | 1     | 0      | −a    ]         a = 1 − 2^−j after j data, 0 at a marker
    marker        [ answer  | 0     | 1      | b     ]         b = 1 − 2^−p after p markers, 0 before them
    blank         [ 0       | 0     | 0      | b − a ]
                    symbol    datum   marker   count

Layer 1, two units: a moves halfway to 1 on a datum (z = 1/2, c = 1) and to 0 on a marker (z = 1, c = 0), b halfway to 1
on a marker; elsewhere z = 0.

Layer 2, d + 1 units for slot i: the digits of a symbol as 0 and 1, and a 1 (`taken`). Their common gate is

    datum   σ(128 · 2^(i+2) · (θ_i − a))        marker   σ(128 · 2^(i+2) · (b − θ_i))        blank   0

with θ_i = 1 − 3/4 · 2^−i between 1 − 2^−i and 1 − 2^−(i+1); slot m needs no θ, it is open at every datum and at no
marker. Candidates at a marker are 0. Digit e is read as y_e = Σ_i 4^−i (2 digit_{i,e} − taken_i), and the answer is the
symbol whose code agrees best with y.

Proof. Slot i is open at data 1 … i, so the i-th stays in it, and at markers i + 1, …, the first of which clears it. The
count differs from θ_i by at least 2^−(i+2), so gates are σ(±128) or further out: 0 and 1 in float32. At marker p slots
1 … p−1 are 0 and in the rest 2 digit − taken is ±1, so y_e is ±4^−p and something below Σ_{i>p} 4^−i < 4^−p/3: it has
the sign of the p-th symbol's digit. A blank opens no gate, so any number of them among the data changes nothing.

Precision. θ_i takes i + 2 binary digits, of which float32 has 24: i goes to 22 and m to 23. All else are powers of two,
or signs with room to spare. m = 24 and 25 pass where sums happen to be rounded kindly; at m = 26 no sum helps, because
1 − 2^−25 and 1 − 2^−26 are both 1.

One layer cannot write by count, because its gates see the token alone. That it cannot solve the task is false in exact
arithmetic: with decay λ_u at data and μ_u at markers, unit u holds Σ_j μ_u^p λ_u^(m−j) (1 − λ_u) c(s_j) at marker p.
For m² units on a grid of m decays λ and m decays μ, the matrix μ_u^p λ_u^(m−j) is the Kronecker product of two
Vandermonde matrices (one with rows scaled), so it has an inverse, and there are weights w with
Σ_u w_u μ_u^p λ_u^(m−j) (1 − λ_u) = [p = j] for all p and j. No bound is printed for one layer.
"""

import math
from typing import Any

import torch

from statewise.constructions.construction import Construction, require_size
from statewise.constructions.directions import Directions, blank, code_bits, codes, write_table
from statewise.constructions.heads import layer
from statewise.core.errors import UsageError
from statewise.models import LanguageModel
from statewise.tasks import Copy, SelectiveCopying

MOST_SLOTS = 23
"""Slots whose thresholds 1 − 3/4 · 2^−i, all but the last slot's, are float32 numbers."""

WHY_NO_MORE = "float32 has no digits for thresholds between more counts 1 − 2^−j"

OPEN = 128.0
"""Where σ is 1 in float32, and 0 at its negative; a power of two, so that multiplying by it rounds nothing."""

ONE = 0.5
"""Where g is 1; at ONE − OPEN it is 0."""

SOURCE = "the weights are ours; Feng et al. 2024, arXiv 2410.01201, §4, trains layers of minGRU on selective copying"


def recurrent(size: int, *, alphabet: int = 16) -> Construction:
    """Copy up to `size` symbols with two minGRU layers of ⌈log2 k⌉ + 3 channels and size · (⌈log2 k⌉ + 1) units.

    size      N, in [1, 23]; a string of N + 1 loses a symbol
    alphabet  k, at least 2

    >>> recurrent(8, alphabet=3).verify().exact
    True
    """
    require_size("copy/recurrent", size, MOST_SLOTS, WHY_NO_MORE)
    task = Copy(alphabet=alphabet)
    model = _model(slots=size, symbols=slice(0, alphabet), marker=alphabet, vocabulary=task.vocabulary(size))
    return Construction(
        name="copy/recurrent",
        model=model,
        task=task,
        sizes=(1, size),
        precision=torch.float32,
        claim=_claim(size, alphabet),
        source=SOURCE,
        fails_at=size + 1,
    )


def mingru(size: int, *, data: int = 16, symbols: int = 14, layout: str = "mamba") -> Construction:
    """Selective copying with two minGRU layers of ⌈log2 k⌉ + 3 channels and data · (⌈log2 k⌉ + 1) units, at any size.

    size     as the task counts it; blanks cost nothing, so that it is only what is named
    data     m, in [1, 23]
    symbols  k, at least 2
    layout   mamba or minrnn, see the task

    >>> mingru(6, data=3, symbols=3).verify().exact
    True
    """
    task = SelectiveCopying(data=data, symbols=symbols, layout=layout)
    if data > MOST_SLOTS:
        raise UsageError(f"selective-copying/mingru*2: data is {data}; it must be in [1, {MOST_SLOTS}]: {WHY_NO_MORE}")
    task.check_size(size)
    return Construction(
        name="selective-copying/mingru*2",
        model=_model(
            slots=data,
            symbols=slice(1, 1 + symbols),
            marker=symbols + 1 if layout == "mamba" else 0,
            vocabulary=task.vocabulary(size),
        ),
        task=task,
        sizes=(data if layout == "minrnn" else 1, size),
        precision=torch.float32,
        claim=_claim(data, symbols),
        source=SOURCE,
    )


def _claim(slots: int, alphabet: int) -> str:
    bits = code_bits(alphabet)
    return f"two minGRU layers, width {bits + 3}, {slots * (bits + 1)} = m·(⌈log2 k⌉ + 1) units that hold, 2 that count"


def _model(*, slots: int, symbols: slice, marker: int, vocabulary: int) -> LanguageModel:
    """The two layers for symbols with these ids, a marker, and blanks that are whatever id is left."""
    code = codes(symbols.stop - symbols.start)
    at = Directions(symbol=code.shape[1], datum=1, marker=1, count=1)
    model = LanguageModel(
        vocabulary=vocabulary,
        width=at.width,
        stack="mingru*2",
        expansion=math.ceil(max(2, slots * (code.shape[1] + 1)) / at.width),
        feed_forward=0,
        norm="none",
    )
    blank(model)
    write_table(model.embedding, symbols, at["symbol"], code)
    write_table(model.embedding, symbols, at["datum"], torch.ones(len(code), 1))
    write_table(model.embedding, slice(marker, marker + 1), at["marker"], torch.ones(1, 1))
    _write_counts(layer(model, 0).mixer, at)
    _write_slots(layer(model, 1).mixer, at, slots)
    write_table(model.head, symbols, at["symbol"], code)
    return model.eval()


@torch.no_grad()
def _write_counts(mixer: Any, at: Directions) -> None:
    """Unit 0 is a, unit 1 is b; what is added is b − a."""
    data, markers = range(2)
    gate, candidate = mixer.projection.weight.split(mixer.units)
    gate_bias, candidate_bias = mixer.projection.bias.split(mixer.units)
    gate_bias[:2] = -OPEN
    gate[data, at["datum"]] = OPEN
    gate[markers, at["marker"]] = OPEN
    gate[data, at["marker"]] = 2 * OPEN
    candidate_bias[:2] = ONE
    candidate[data, at["marker"]] = -OPEN
    mixer.output.weight[at["count"], data] = -1
    mixer.output.weight[at["count"], markers] = 1


@torch.no_grad()
def _write_slots(mixer: Any, at: Directions, slots: int) -> None:
    """Slot i has d + 1 units side by side: its digits, then `taken`."""
    bits = at["symbol"].stop - at["symbol"].start
    gate, candidate = (each[: slots * (bits + 1)] for each in mixer.projection.weight.split(mixer.units))
    gate_bias, candidate_bias = (each[: slots * (bits + 1)] for each in mixer.projection.bias.split(mixer.units))
    gate_bias.fill_(-OPEN)
    candidate_bias.fill_(ONE - OPEN)
    for slot, first in enumerate(range(0, slots * (bits + 1), bits + 1), start=1):
        units, digits, taken = slice(first, first + bits + 1), slice(first, first + bits), first + bits
        steepness, threshold = OPEN * 2.0 ** (slot + 2), 1 - 0.75 * 2.0**-slot
        if slot < slots:
            gate[units, at["count"]] = steepness
            gate[units, at["datum"]] = steepness * threshold + OPEN
            gate[units, at["marker"]] = -steepness * threshold + OPEN
        else:
            gate[units, at["datum"]] = 2 * OPEN
        candidate[digits, at["symbol"]] = OPEN * torch.eye(bits)
        candidate[taken, at["datum"]] = OPEN
        mixer.output.weight[at["symbol"], digits] = 2 * 4.0**-slot * torch.eye(bits)
        mixer.output.weight[at["symbol"], taken] = -(4.0**-slot)
