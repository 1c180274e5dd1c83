"""A Turing machine simulated by two minGRU layers that search for what their tape holds.

    token read          what is known                        next token              written by
    run, state q        cell 0 of the word, start; q         <search>, or <answer>   the embedding
    <search>            asking                               write                   the embedding
    write               opened                               the head's cell         a ReLU with the head's number
    cell                opened, asking                       <end>                   a ReLU
    <end>               reading                              (the tool's answer)
    symbol v, <failed>  reading; v, or the blank, is read    write                   a ReLU
    cell                opened, not asking                   the symbol of (q, v)    a ReLU for each rule
    symbol              not reading                          the head's cell         a ReLU with the head's number
    cell                not opened                           the move of (q, v)      a ReLU for each rule
    move                head moved                           the state of (q, v)     a ReLU for each rule
    <answer>            q                                    q                       a ReLU for each state

All memory is latches: units whose gate is 1 at the tokens that set them and 0 at others. In layer 1

    place    set to c at cell c, at `run` to the cell of the word's first symbol
    step     set to −1, 0, 1 at a move, to 0 at a cell and at `run`             head = place + step
    q        one for each state, set at states and at `run`
    asking   1 at <search>, 0 at <end>
    reading  1 at <end>, 0 at `write`
    opened   1 at `write`, 0 at symbols

and in layer 2 one for each symbol, set at a symbol while `reading` is 1. σ(±128) is 1 and 0 in float32, so that a latch
holds the number that it was given, to the bit, for any number of steps. `run` is embedded as that cell and the start
state together. The ReLUs follow layer 2 and are ANDs of numbers 0 and 1, except the two with the head's number h, which
are max(0, h + M·[wanted] − M), M the number of cells.

Logits: cell c gets 2 c h − c² where a cell is wanted, largest at c = h and there at least 0, and −c² elsewhere; any
other token gets 1 where it is wanted, −1 elsewhere. What is wanted is ahead of all others by at least 1.

Precision. All are whole numbers, in float32 exact as long as c² ≤ 2^24: cells up to 4,096, any number of steps. Beyond,
c² is rounded: with the head in cell 4,098, cells 4,097 and 4,098 have the same logit.

Size. The width is 3 (symbols + states) + 24, and the state 2 · width numbers of 32 bits, at any number of cells and
steps. Of these one latch takes as many values as there are cells, and the others a constant number: ⌈log2 cells⌉ + O(1)
bits are used, as the theorem has it. There are O(states · symbols) ReLUs. What grows with the tape is the vocabulary:
cell c is embedded as the number c and scored by the row (2 c, −c²).

Source: Wen, Dang, Lyu, arXiv 2402.18510, Theorem 5.4; the weights are ours. Its layers are time-invariant and keep the
last tokens in shift registers, where these have latches.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from statewise.constructions.construction import Construction, require_size
from statewise.constructions.directions import Directions, blank, write_table
from statewise.constructions.heads import layer
from statewise.constructions.turing_machine import MOVES
from statewise.constructions.turing_machine_task import RUN, TuringMachineTask
from statewise.constructions.turing_machine_trace import STEP_BY_SEARCH, VERDICT, LoggedRun, TuringMachineTrace
from statewise.constructions.writing import Relu, combination, multiple, one_hot, write_relus
from statewise.core.state import state_bits
from statewise.models import LanguageModel
from statewise.search.page import ANSWER, END, FAILED, SEARCH

NAME = "turing-machine/search"

LAST_CELL = 2**12
"""Squares of cells up to this one are exact in float32."""

SHUT = 128.0
"""Where σ is 1 in float32, and 0 at its negative."""


class Latch(NamedTuple):
    """A unit that is set to value · x where opens · x is `least`, an integer that it never exceeds, and else keeps.

    opens, value  (D,)
    to            (D,): where it is added to the width
    """

    opens: Tensor
    value: Tensor
    to: Tensor
    least: int = 1


def search(size: int, *, machine: str = "increment") -> Construction:
    """Two minGRU layers of 3 (symbols + states) + 24 channels, exact for words up to this size, however long they run.

    size     letters of the word, at least 1; with its margins on the tape up to 4,097 cells
    machine  a name of EXAMPLES

    >>> search(3, machine="palindrome").verify().exact
    True
    """
    task = LoggedRun(TuringMachineTask(machine))
    example = task.task.example
    require_size(NAME, size, LAST_CELL + 1 - example.left - example.right, "float32 has no squares of more cells")
    model = model_of(task.trace(size))
    rules, bits = len(example.machine.rules), state_bits(model.initial_state(1))
    return Construction(
        name=NAME,
        model=model,
        task=task,
        sizes=(1, size),
        precision=torch.float32,
        claim=f"two minGRU layers of width {model.config.width}, {bits:,} bits of state at every size, simulate "
        f"{machine} ({rules} rules) in {STEP_BY_SEARCH} tokens a step and {VERDICT}",
        source="Wen, Dang, Lyu 2024, arXiv 2402.18510, Theorem 5.4; the weights are ours",
    )


def model_of(trace: TuringMachineTrace) -> LanguageModel:
    """The model that writes a machine's traces."""
    machine = trace.task.example.machine
    symbols, states, others = len(machine.symbols), len(machine.states), trace.cell(0)
    at = Directions(
        **dict.fromkeys(("one", "cell", "place", "move", "step", "search", "end", "write", "answer"), 1),
        symbol=symbols,
        state=states,
        **dict.fromkeys(("head", "asking", "reading", "opened"), 1),
        in_state=states,
        has_read=symbols,
        next=others,
        number=1,
    )
    relus = [*steering(at, trace), *applying(at, trace)]
    model = LanguageModel(
        vocabulary=trace.notation.first + trace.task.vocabulary(trace.largest),
        width=at.width,
        stack="mingru*2",
        feed_forward=multiple(len(relus), at.width),
        feed_forward_kind="relu",
        norm="none",
        mixer_settings=("activation=identity",),
    )
    blank(model)
    write_tokens(model, at, trace)
    write_latches(layer(model, 0).mixer, remembering(at))
    write_latches(layer(model, 1).mixer, reading(at))
    write_relus(layer(model, 1).feed_forward, relus)
    return model.eval()


def write_tokens(model: Any, at: Directions, trace: TuringMachineTrace) -> None:
    """Embed tokens by what they are and, where only one can follow, by that one; score them by what is wanted."""
    example, embedding, head = trace.task.example, model.embedding, model.head
    machine, others = example.machine, trace.cell(0)
    places = torch.arange(float(model.config.vocabulary - others))[:, None]
    write_table(embedding, slice(None), at["one"], torch.ones(model.config.vocabulary, 1))
    write_table(embedding, slice(others, None), at["cell"], torch.ones_like(places))
    write_table(embedding, slice(others, None), at["place"], places)
    for token, piece in ((SEARCH, "search"), (END, "end"), (trace.opening, "write"), (ANSWER, "answer")):
        _add(embedding, token, combination(at, **{piece: 1.0}))
    for move, step in MOVES.items():
        _add(embedding, trace.move(move), combination(at, move=1.0, step=float(step)))
    for place, symbol in enumerate(machine.symbols):
        _add(embedding, trace.symbol(symbol), combination(at, symbol=one_hot(place, len(machine.symbols))))
    for place, state in enumerate(machine.states):
        then = ANSWER if state in machine.halting else SEARCH
        known = combination(at, state=one_hot(place, len(machine.states)), next=one_hot(then, others))
        _add(embedding, trace.state(state), known)
    _add(embedding, SEARCH, combination(at, next=one_hot(trace.opening, others)))
    _add(embedding, FAILED, embedding.weight[trace.symbol(machine.blank)] - combination(at, one=1.0))
    start = embedding.weight[trace.cell(example.left)] + embedding.weight[trace.state(machine.start)]
    _add(embedding, trace.notation.first + RUN, start - combination(at, one=2.0))
    write_table(head, slice(others), at["one"], -torch.ones(others, 1))
    write_table(head, slice(others), at["next"], 2 * torch.eye(others))
    write_table(head, slice(others, None), at["one"], -(places**2))
    write_table(head, slice(others, None), at["number"], 2 * places)


def remembering(at: Directions) -> list[Latch]:
    """Layer 1: where the head is, the state, and how far the step has come."""
    head, states = combination(at, head=1.0), at["state"].stop - at["state"].start
    hot = [one_hot(state, states) for state in range(states)]
    return [
        Latch(combination(at, cell=1.0), combination(at, place=1.0), head),
        Latch(combination(at, cell=1.0, move=1.0), combination(at, step=1.0), head),
        *(
            Latch(combination(at, state=1.0), combination(at, state=each), combination(at, in_state=each))
            for each in hot
        ),
        Latch(combination(at, search=1.0, end=1.0), combination(at, search=1.0), combination(at, asking=1.0)),
        Latch(combination(at, end=1.0, write=1.0), combination(at, end=1.0), combination(at, reading=1.0)),
        Latch(combination(at, write=1.0, symbol=1.0), combination(at, write=1.0), combination(at, opened=1.0)),
    ]


def reading(at: Directions) -> list[Latch]:
    """Layer 2: the symbol that was found, not those that are written."""
    symbols = at["symbol"].stop - at["symbol"].start
    return [
        Latch(
            combination(at, symbol=1.0, reading=1.0),
            combination(at, symbol=one_hot(symbol, symbols)),
            combination(at, has_read=one_hot(symbol, symbols)),
            least=2,
        )
        for symbol in range(symbols)
    ]


def steering(at: Directions, trace: TuringMachineTrace) -> list[Relu]:
    """What comes next whatever the machine: `write` and <end>, the head's cell, and the verdict."""
    others, machine = trace.cell(0), trace.task.example.machine
    cells, states = float(trace.task.example.cells(trace.largest)), len(machine.states)
    number = combination(at, number=1.0)
    return [
        Relu(combination(at, head=1.0, write=cells), -cells, number),
        Relu(combination(at, head=1.0, symbol=cells, reading=-cells), -cells, number),
        Relu(combination(at, symbol=1.0, reading=1.0), -1.0, combination(at, next=one_hot(trace.opening, others))),
        Relu(combination(at, cell=1.0, asking=1.0), -1.0, combination(at, next=one_hot(END, others))),
        *(
            Relu(
                combination(at, answer=1.0, in_state=one_hot(place, states)),
                -1.0,
                combination(at, next=one_hot(trace.state(state), others)),
            )
            for place, state in enumerate(machine.states)
        ),
    ]


def applying(at: Directions, trace: TuringMachineTrace) -> list[Relu]:
    """Three for each rule: its symbol after the first cell of an entry, its move after the second, then its state."""
    machine, others = trace.task.example.machine, trace.cell(0)
    relus = []
    for rule in machine.rules:
        known = combination(
            at,
            in_state=one_hot(machine.states.index(rule.state), len(machine.states)),
            has_read=one_hot(machine.symbols.index(rule.read), len(machine.symbols)),
        )
        for phase, bias, token in (
            (combination(at, cell=1.0, opened=1.0, asking=-1.0), -3.0, trace.symbol(rule.write)),
            (combination(at, cell=1.0, opened=-1.0), -2.0, trace.move(rule.move)),
            (combination(at, move=1.0), -2.0, trace.state(rule.into)),
        ):
            relus.append(Relu(known + phase, bias, combination(at, next=one_hot(token, others))))
    return relus


@torch.no_grad()
def write_latches(mixer: Any, latches: list[Latch]) -> None:
    """Write the first units of a minGRU whose candidate is its pre-activation; the rest stay at 0."""
    gate, candidate = mixer.projection.weight.split(mixer.units)
    gate_bias, _ = mixer.projection.bias.split(mixer.units)
    for unit, latch in enumerate(latches):
        gate[unit] = 2 * SHUT * latch.opens
        gate_bias[unit] = SHUT - 2 * SHUT * latch.least
        candidate[unit] = latch.value
        mixer.output.weight[:, unit] = latch.to


def _add(embedding: Any, token: int, row: Tensor) -> None:
    with torch.no_grad():
        embedding.weight[token] += row
