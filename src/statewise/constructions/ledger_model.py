"""From a ledger to a model: the recurrent layers of its table, and one layer of attention that looks up.

    embedding     [ as in `searching_model` | code(token) at `own`, 0 for the prompt's first | 1 at `idle` ]
    layer 1       minGRU behind a convolution, ReLUs that compare and count: as there
    layer 2       gated LRU:   left, sought = Σ steps;  place = Σ 1;  square = place · place
                  ReLUs:       the rules; key = the code that a record is of; asked = this token's code where it is
                               asked, and then idle = 0; sought = 0 where nothing is fetched
    layer 3       head 0:      2β asked·key + γ place + 2βb idle·start    reads own: the last record of what is asked
                  head 1:      4 (2 sought·place − square)                reads own: the token at that place
    head          the id whose code agrees best with `token`, to which twice what was read was added

V ids, b = ⌈log2 V⌉ digits of a code, L the most tokens, P those of the prompt.

Proof. Recurrent layers and rules are those of `searching_model`; its constant 1 is a unit that forgets at once.
Head 0, asked: a key that differs in a digit, or none (which is 0), has a logit lower by 2β at least, a record that is
alike but earlier by γ = STEP at least, and 2β = γL + ln 32L: the last record has more than 0.92 of the weight, as MATCH
(see `gadgets`). Idle: asked is 0, the prompt's first token has 2βb ≥ γL + ln 32L and the others at most γL: what is
read is below 1/32. Head 1, fetching: place p has logit 4 p² − 4 (p − sought)², others weigh less than 0.04 of it
together. Nothing sought: −4 p², and the first token, of which nothing is read, has all but e^-11. So the sign of every
digit is that of what is looked up, by more than 0.8 against the digit ±1 of the token itself, and where nothing is
looked up that of the rule. A head size that is a power of 4 leaves logits of head 1 integers: exact while 2 P² is
below 2^24; beyond the prompt places are wrong by less than what they lie behind.
"""

from typing import Any

import torch
from torch import Tensor

from statewise.constructions.directions import Directions, blank, code_bits, codes, write_table
from statewise.constructions.gadgets import STEP, match_precision, match_sharpness
from statewise.constructions.heads import columns, layer, rows, write_head
from statewise.constructions.index_lookup_hybrid import SHARPNESS, power_of_four
from statewise.constructions.ledger import Ledger
from statewise.constructions.searching_model import (
    ONE,
    Unit,
    conjunction,
    counting,
    directions,
    steps,
    units,
    write_shifts,
    write_tokens,
    write_units,
    writing,
)
from statewise.constructions.searching_model import (
    STEP as LEFT_STEP,
)
from statewise.constructions.searching_table import EMPTY, read
from statewise.constructions.writing import Relu, combination, multiple, one_hot, write_relus
from statewise.core.state import state_bits
from statewise.models import LanguageModel

OWN, KEY, ASKED = "what it says", "what it is of", "what is asked"
PLACE_STEP, PLACE, SQUARE, SOUGHT = "one step of places", "its place", "its square", "the place to come"
HERE, IDLE = "the place that is sought", "nothing is asked"
"""Pieces of the width: names with spaces, which no condition can mean."""

EXACT = 2**24
"""Integers up to this size are exact in float32."""


def ledger_model(ledger: Ledger, *, prompt: int, length: int) -> tuple[LanguageModel, torch.dtype]:
    """The model that does what a ledger says up to `length` tokens, prompts of `prompt` included, and its dtype.

    O(V · width) numbers; a width of O(log V).
    """
    digits = code_bits(ledger.vocabulary)
    head_size = power_of_four(digits + 2)
    at = ledger_directions(ledger, head_size)
    first = [*steps(at, ledger), *counting(at, ledger.places, PLACE_STEP)]
    second = [*(relu for rule in ledger.rules for relu in writing(at, ledger, *rule)), *lookups(at, ledger, length)]
    kept = [*units(at, ledger), *shown(at, ledger)]
    precision = match_precision(digits + 1, length) if 2 * prompt**2 < EXACT else torch.float64
    model = LanguageModel(
        vocabulary=ledger.vocabulary,
        width=at.width,
        stack="mingru+gated-lru+attention",
        expansion=multiple(len(kept), at.width),
        conv=ledger.reach + 1,
        feed_forward=multiple(max(len(first), len(second)), at.width),
        feed_forward_kind="relu",
        norm="none",
        mixer_settings=("activation=identity", "units=4", "outputs=4", f"head_size={head_size}"),
    )
    blank(model.to(precision))
    write_tokens(model, at, ledger)
    write_table(model.embedding, slice(None), at[OWN], spoken(ledger))
    write_table(model.embedding, slice(None), at[IDLE], torch.ones(ledger.vocabulary, 1))
    write_units(layer(model, 0).mixer, at, kept)
    write_shifts(layer(model, 0).conv, at, ledger)
    write_relus(layer(model, 0).feed_forward, first)
    write_counters(layer(model, 1).mixer, at)
    write_relus(layer(model, 1).feed_forward, second)
    write_heads(layer(model, 2).mixer, at, ledger, length)
    return model.eval(), precision


def recurrent_bits(model: LanguageModel) -> int:
    """Bits that the two recurrent layers carry, the same at every length."""
    return sum(state_bits(layer(model, index).initial_state(1)) for index in (0, 1))


def ledger_directions(ledger: Ledger, head_size: int) -> Directions:
    """The pieces of a table, those of the lookups, and what fills the last head."""
    digits = code_bits(ledger.vocabulary)
    more = dict.fromkeys((OWN, KEY, ASKED), digits) | dict.fromkeys((PLACE_STEP, PLACE, SQUARE, SOUGHT, HERE, IDLE), 1)
    rest = -directions(ledger, **more).width % head_size
    return directions(ledger, **more, rest=rest)


def shown(at: Directions, ledger: Ledger) -> list[Unit]:
    """Units that put the tokens before, which the mixer alone sees, in the place of this one: keys of records."""
    digits = [one_hot(digit, at["token"].stop) for digit in range(at["token"].stop)]
    sources = dict.fromkeys(record.source for record in ledger.records if record.back)
    return [
        Unit((), combination(at, **{source: digit, "token": -digit}), combination(at, **{source: digit}))
        for source in sources
        for digit in digits
    ]


def spoken(ledger: Ledger) -> Tensor:
    """The codes of all tokens (V, b), 0 for the prompt's first."""
    code = codes(ledger.vocabulary)
    code[list(ledger.kinds[ledger.start])] = 0
    return code


def lookups(at: Directions, ledger: Ledger, length: int) -> list[Relu]:
    """The ReLUs that say what a record is of, what is asked, and which place is fetched."""
    keys = [
        relu for record in ledger.records for relu in writing(at, ledger, record.when, record.source, to=KEY, times=1.0)
    ]
    asked = [relu for when in ledger.asked for relu in writing(at, ledger, when, "token", to=ASKED, times=1.0)]
    busy = counting(at, dict.fromkeys(ledger.asked, -1), IDLE)
    fetched = [place_of(at, when, length) for when in ledger.fetched]
    return [*keys, *asked, *busy, *fetched]


def place_of(at: Directions, when: str, length: int) -> Relu:
    """What is sought, where a condition holds: its number m is then 1, elsewhere at most 0, and no place above L."""
    row, bias = conjunction(at, read(when))
    there = length * row + combination(at, **{SOUGHT: 1.0})
    return Relu(there, length * bias - length, combination(at, **{HERE: 1.0}))


@torch.no_grad()
def write_counters(mixer: Any, at: Directions) -> None:
    """Sums of steps and of ones, and a unit that is always 1; each sum times that unit, and the place times itself."""
    left, place, sought, one = range(4)
    for unit, piece in ((left, LEFT_STEP), (place, ONE), (sought, PLACE_STEP), (one, ONE)):
        mixer.decay[unit] = float(unit != one)
        mixer.write.weight[unit] = combination(at, **{piece: 1.0})
        mixer.write_gate.weight[unit] = combination(at, **{ONE: 1.0})
    products = ((left, one, EMPTY), (place, one, PLACE), (place, place, SQUARE), (sought, one, SOUGHT))
    for output, (unit, other, piece) in enumerate(products):
        mixer.read.weight[output, unit] = 1
        mixer.read_gate.weight[output, other] = 1
        mixer.output.weight[:, output] = combination(at, **{piece: 1.0})


@torch.no_grad()
def write_heads(mixer: Any, at: Directions, ledger: Ledger, length: int) -> None:
    """The last record of what is asked, and the token at the place that is sought."""
    width, digits = at.width, code_bits(ledger.vocabulary)
    sharpness = match_sharpness(length)
    put = 2 * columns(width, at["token"])
    none = torch.zeros(1, width)
    write_head(
        mixer,
        0,
        query=torch.cat([sharpness * rows(width, at[ASKED]), none, 2 * sharpness * digits * rows(width, at[IDLE])]),
        key=torch.cat([rows(width, at[KEY]), STEP * rows(width, at[PLACE]), rows(width, at[ledger.start])]),
        value=rows(width, at[OWN]),
        output=put,
    )
    write_head(
        mixer,
        1,
        query=torch.cat([2 * SHARPNESS * rows(width, at[HERE]), none]),
        key=rows(width, at[PLACE], at[SQUARE]),
        value=rows(width, at[OWN]),
        output=put,
    )
    unscaled = mixer.head_size**0.5
    mixer.query_key_value.bias[digits] = unscaled
    mixer.query_key_value.bias[mixer.head_size + 1] = -SHARPNESS * unscaled
