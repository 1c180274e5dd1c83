"""From a table to a model: registers of a minGRU behind a short convolution, and rules in ReLUs.

    embedding     [ code(token) at `token` and each token@j | 1 at its kinds, and at each kind@j | 1 ]
    layer 1       convolution: token@j and kind@j are those of j places before
                  minGRU:      registers, flags, and kind@j in the place of this token's kind
                  ReLUs:       |a − b| / 2 summed up for each a=b, and a step of ±1 where something is counted
    layer 2       gated LRU:   left = Σ steps
                  ReLUs:       the rules
    head          the id whose code agrees best with `token`, to which twice the code of the next one was added

A table that neither compares nor counts needs layer 1 alone, with the rules in its ReLUs. Codes are b = ⌈log2 V⌉ digits
±1; nothing else grows.

Proof. A condition with p names that must hold has  m = Σ those that must − Σ those that must not − p + 1,  which is 1
where it holds and an integer below elsewhere. A unit's gate is σ(128 (2m − 1)), exactly 1 and 0 in float32, so that it
overwrites or keeps exactly; candidates are digits and kinds as they are. In a rule ReLU(m) writes the code of an id,
and ReLU(m − 1 + d) − ReLU(m − 1 − d) copies a digit d = ±1: it is d where the condition holds, and 0 elsewhere. The
number of a comparison is an integer, 0 exactly where it holds, so that −1 times it is added to m; that it must not hold
is the rule without it less the rule with it. One rule holds where a token is to be written: twice its code is added to
this token's own digits ±1, every sign is that of the code, and of all ±1 vectors the code alone agrees with every sign.
All numbers are small integers: float32 is exact, up to 2^24 things counted.

The recurrences are linear in the state, but minGRU's gates see the token: the paper's linear RNN has none.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from statewise.constructions.directions import Directions, blank, code_bits, codes, write_table
from statewise.constructions.heads import layer
from statewise.constructions.searching_table import EMPTY, Literal, Table, read
from statewise.constructions.writing import (
    Integrator,
    Product,
    Relu,
    combination,
    multiple,
    one_hot,
    write_integrators,
    write_products,
    write_relus,
)
from statewise.models import LanguageModel

OPEN = 128.0
"""Where σ is 1 in float32, and 0 at its negative."""

ONE, STEP = "every token", "one step"
"""Pieces of the width: names with a space, which no condition can mean."""


class Unit(NamedTuple):
    """One unit of a minGRU: takes row · x where all literals hold; what it holds is added along `to`."""

    when: tuple[Literal, ...]
    row: Tensor
    to: Tensor


def searching_model(table: Table) -> LanguageModel:
    """The model that does what a table says, at every length. O(V · width) numbers.

    >>> from statewise.constructions.searching_table import Register, Rule
    >>> again = Table(vocabulary=3, kinds={}, registers={"last": Register(back=1)}, rules=(Rule("", "last"),))
    >>> searching_model(again)(torch.tensor([[2, 0, 1, 1]]))[0].argmax(-1).tolist()[0][1:]
    [2, 0, 1]
    """
    at = directions(table)
    first, rules = steps(at, table), [relu for rule in table.rules for relu in writing(at, table, *rule)]
    kept = units(at, table)
    two = bool(first)
    model = LanguageModel(
        vocabulary=table.vocabulary,
        width=at.width,
        stack="mingru+gated-lru" if two else "mingru",
        expansion=multiple(len(kept), at.width),
        conv=table.reach + 1 if table.reach else 0,
        feed_forward=multiple(max(len(first), len(rules)), at.width),
        feed_forward_kind="relu",
        norm="none",
        mixer_settings=("activation=identity", *(("units=1", "side_gate=True") if two else ())),
    )
    blank(model)
    write_tokens(model, at, table)
    write_units(layer(model, 0).mixer, at, kept)
    if table.reach:
        write_shifts(layer(model, 0).conv, at, table)
    if two:
        write_relus(layer(model, 0).feed_forward, first)
        write_counter(layer(model, 1).mixer, at)
    write_relus(layer(model, 1 if two else 0).feed_forward, rules)
    return model.eval()


def directions(table: Table, **more: int) -> Directions:
    """Where everything lies in the width; `more` pieces come last."""
    bits = code_bits(table.vocabulary)
    counting = (ONE, STEP, EMPTY) if table.counts or table.comparisons else ()
    return Directions(
        **dict.fromkeys(("token", *table.older, *table.registers), bits),
        **dict.fromkeys((*table.kinds, *table.before, *table.flags, *table.comparisons, *counting), 1),
        **more,
    )


def write_tokens(model: LanguageModel, at: Directions, table: Table) -> None:
    """The embedding and the head."""
    code = codes(table.vocabulary)
    for piece in ("token", *table.older):
        write_table(model.embedding, slice(None), at[piece], code)
    shown = {kind: kind for kind in table.kinds} | {text: each.name for text, each in table.before.items()}
    for piece, kind in shown.items():
        write_table(model.embedding, slice(None), at[piece], members(table.kinds[kind], table.vocabulary))
    if ONE in at.slices:
        write_table(model.embedding, slice(None), at[ONE], torch.ones(table.vocabulary, 1))
    write_table(model.head, slice(None), at["token"], code)


def members(ids: Iterable[int], vocabulary: int) -> Tensor:
    """1 for the ids of a kind and 0 for others, (V, 1).

    >>> members({2}, 3).flatten().tolist()
    [0.0, 0.0, 1.0]
    """
    column = torch.zeros(vocabulary, 1)
    column[list(ids)] = 1
    return column


@torch.no_grad()
def write_shifts(conv: Any, at: Directions, table: Table) -> None:
    """Taps that take away what stands now, and bring what stood before."""
    for piece, back in (table.older | {text: each.back for text, each in table.before.items()}).items():
        conv.weight[0, at[piece]] = -1
        conv.weight[back, at[piece]] = 1


def units(at: Directions, table: Table) -> list[Unit]:
    """Registers, digit by digit; flags; and the kinds of places before, which come in the stead of this token's."""
    digits = at["token"].stop
    registers = [
        Unit(
            read(register.when),
            combination(at, **{register.source: one_hot(digit, digits)}),
            combination(at, **{name: one_hot(digit, digits)}),
        )
        for name, register in table.registers.items()
        for digit in range(digits)
    ]
    flags = [
        Unit(read(flag.when), combination(at, **{flag.holds: 1.0}), combination(at, **{name: 1.0}))
        for name, flag in table.flags.items()
    ]
    before = [
        Unit((), combination(at, **{text: 1.0, each.name: -1.0}), combination(at, **{text: 1.0}))
        for text, each in table.before.items()
    ]
    return [*registers, *flags, *before]


@torch.no_grad()
def write_units(mixer: Any, at: Directions, kept: Sequence[Unit]) -> None:
    """The first units of a minGRU whose candidate is the identity."""
    gates, candidates = mixer.projection.weight.split(mixer.units)
    biases, _ = mixer.projection.bias.split(mixer.units)
    for number, unit in enumerate(kept):
        row, bias = conjunction(at, unit.when)
        gates[number], biases[number] = 2 * OPEN * row, OPEN * (2 * bias - 1)
        candidates[number] = unit.row
        mixer.output.weight[:, number] = unit.to


def conjunction(at: Directions, literals: Iterable[Literal]) -> tuple[Tensor, float]:
    """m as a row and a bias: row · x + bias is 1 where all hold, and an integer below elsewhere."""
    row, bias = torch.zeros(at.width), 1.0
    for literal in literals:
        # What is compared is a number that is 0 where it holds: as a name that must not.
        wanted = literal.holds != literal.compares
        row += combination(at, **{literal.text: 1.0 if wanted else -1.0})
        bias -= wanted
    return row, bias


def steps(at: Directions, table: Table) -> list[Relu]:
    """Differences of registers, half of each digit's, and the steps of the counter."""
    digits = at["token"].stop
    compared = [(text, *text.split("=")) for text in table.comparisons]
    differences = [
        Relu(
            combination(at, **{one: sign * one_hot(digit, digits), other: -sign * one_hot(digit, digits)}),
            0.0,
            combination(at, **{text: 0.5}),
        )
        for text, one, other in compared
        for digit in range(digits)
        for sign in (1, -1)
    ]
    return [*differences, *counting(at, table.counts, STEP)]


def counting(at: Directions, counts: Mapping[str, int], to: str) -> list[Relu]:
    """The steps of a counter, each where its condition holds."""
    return [Relu(*conjunction(at, read(when)), combination(at, **{to: float(step)})) for when, step in counts.items()]


def write_counter(mixer: Any, at: Directions) -> None:
    """The one unit that sums up steps."""
    one = combination(at, **{ONE: 1.0})
    write_integrators(mixer, [Integrator(combination(at, **{STEP: 1.0}), one)])
    write_products(mixer, [Product(torch.ones(1), one, combination(at, **{EMPTY: 1.0}))])


def writing(
    at: Directions, table: Table, when: str, write: int | str, *, to: str = "token", times: float = 2.0
) -> list[Relu]:
    """The ReLUs of one rule: so many times the code of what is written is added to a piece."""
    found = []
    for sign, literals in signed(read(when)):
        row, bias = conjunction(at, literals)
        if isinstance(write, int):
            found.append(Relu(row, bias, combination(at, **{to: times * sign * codes(table.vocabulary)[write]})))
            continue
        digits = at["token"].stop
        for digit, side in ((digit, side) for digit in range(digits) for side in (1.0, -1.0)):
            held = combination(at, **{write: side * one_hot(digit, digits)})
            copied = combination(at, **{to: times * sign * side * one_hot(digit, digits)})
            found.append(Relu(row + held, bias - 1, copied))
    return found


def signed(literals: Sequence[Literal]) -> list[tuple[float, list[Literal]]]:
    """Conditions in which all that is compared holds, with signs: together they say what these literals do.

    >>> [(sign, len(literals)) for sign, literals in signed(read("search !near=father"))]
    [(1.0, 1), (-1.0, 2)]
    """
    found: list[tuple[float, list[Literal]]] = [(1.0, [])]
    for literal in literals:
        if literal.compares and not literal.holds:
            positive = literal._replace(holds=True)
            found += [(-sign, [*held, positive]) for sign, held in found]
        else:
            found = [(sign, [*held, literal]) for sign, held in found]
    return found
