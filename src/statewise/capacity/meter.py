"""INDEX as a meter: how many bits of a random string can be read back out of a state.

Fix the parameters. Draw x_1 … x_n uniform over k symbols. Run the string, take the state S before any query,
write it to bytes, load it into a fresh copy of the model, which never saw the string, and ask every place. For
every predictor Q,

    Σ_p (log2 k − E[−log2 Q_p(x_p | S)])  ≤  I(x; S)  ≤  H(S)  ≤  bits of S

since H(x_p) = log2 k exactly, the places are independent, and a predictor's cross-entropy is at least the
conditional entropy. Q is the model's softmax over the k symbols mixed with the uniform distribution,
(1 − ε) Q + ε/k, so that one confident mistake costs at most log2(k/ε) bits. The string is the unit of resampling.

Only the bytes cross over: structure and shapes of the state are those that another copy has after as many
symbols 0, and a position counter is what has the same value there.

The measure is what random access recovers, not all that is held: a state that keeps only a parity reads 0.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from statewise.capacity.intervals import lower_limit
from statewise.core.errors import UsageError
from statewise.core.state import from_bytes, leaves, map_state, state_bits, to_bytes
from statewise.models import LanguageModel, ModelState
from statewise.tasks import IndexLookup

MIX = 0.01
"""ε: fixed beforehand. A perfect reader loses log2(1/(1 − ε + ε/k)) < 0.015 bits a symbol by it."""

CHANCE_OF_A_FALSE_CLAIM = 0.05
"""That some limit of a ladder of sizes lies above its expectation: each size takes an equal share (Bonferroni)."""

MOST_BRANCHES = 4096
"""Sequences that are stepped at once while every place is asked."""


@dataclass(frozen=True)
class Reading:
    """One measurement of one model at one size.

    recovered_bits  mean over strings of the bits read back; an estimate, may be negative for a bad predictor
    at_least        lower confidence limit (over strings) of its expectation: the number for claims
    state_bits      bits of the serialised state at the cut, 8 × bytes, position counters not included; None where
                    what was measured has no state to count
    counter_bits    bits of position counters, a function of how many tokens were read
    required_bits   n · log2 k, what reading back everything amounts to
    strings         how many strings were drawn
    """

    size: int
    alphabet: int
    recovered_bits: float
    at_least: float
    state_bits: int | None
    counter_bits: int
    required_bits: float
    strings: int

    @property
    def utilisation(self) -> float | None:
        """recovered / state bits; 0 for a state of no bits, None for one that was not counted."""
        if self.state_bits is None:
            return None
        return self.recovered_bits / self.state_bits if self.state_bits else 0.0


def measure(
    model: Callable[[Tensor], Any],
    *,
    alphabet: int = 16,
    sizes: tuple[int, ...] = (8, 16, 32),
    strings: int = 256,
    seed: int = 0,
) -> list[Reading]:
    """Read index lookup back out of `model`'s state, at each size.

    model     trained on `IndexLookup(alphabet)`: symbols 0 … k-1, the query of place p is token k + p. With
              `step(token, state)`, as LanguageModel has, its state is counted; any other callable, tokens (B, T) int64
              → logits (B, T, V), is asked each place after the whole string, and its state is not counted
    alphabet  k, at least 2
    strings   how many random strings, at least 2; the confidence limit tightens with their number

    The limits hold at all sizes together with 95 % confidence. O(strings · Σ size²) steps for a recurrent model.

    >>> model = LanguageModel(vocabulary=6, width=2)
    >>> [reading.state_bits for reading in measure(model, alphabet=4, sizes=(2,), strings=8)]
    [64]
    """
    task = IndexLookup(alphabet=alphabet)
    read: Callable[..., Reading] = read_index_lookup if hasattr(model, "step") else read_without_state
    return [read(model, task, size, strings=strings, seed=seed, among=len(sizes)) for size in sizes]


@torch.no_grad()
def read_index_lookup(
    model: LanguageModel, task: IndexLookup, size: int, *, strings: int, seed: int, among: int = 1
) -> Reading:
    """The meter at one size, on strings of the capacity split, which nothing is trained or selected on.

    among  how many sizes are measured: the confidence of the limit is that of all together
    """
    symbols = draw_strings(task, size, strings, seed)
    fresh = copy.deepcopy(model)
    plain = copy.deepcopy(model)(torch.zeros_like(symbols))[1]
    state = from_bytes(to_bytes(model(symbols)[1]), like=plain)
    chances = torch.cat(list(ask_every_place(fresh, state, symbols, task.alphabet)))
    held, counters = count_state_bits(state, other=plain)
    return reading_of(chances, task.alphabet, held, counters, among)


@torch.no_grad()
def read_without_state(
    model: Callable[[Tensor], Tensor], task: IndexLookup, size: int, *, strings: int, seed: int, among: int = 1
) -> Reading:
    """The meter on tokens (B, T) → logits (B, T, V): every string with every query behind it, as one sequence."""
    symbols = draw_strings(task, size, strings, seed)
    queries = task.alphabet + torch.arange(size)
    pieces = []
    for some in symbols.split(max(1, MOST_BRANCHES // size)):
        asked = torch.cat([some.repeat_interleave(size, 0), queries.repeat(len(some))[:, None]], 1)
        logits = model(asked)
        if not isinstance(logits, Tensor) or logits.ndim != 3 or logits.shape[-1] < task.alphabet:
            got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise UsageError(
                f"capacity: the model must give logits (B, T, V) with V at least the alphabet, {task.alphabet}, for "
                f"tokens {tuple(asked.shape)}; it gave {got}. A model with a state needs a method step(token, state)."
            )
        pieces.append(chance_of(logits[:, -1], some, task.alphabet))
    return reading_of(torch.cat(pieces), task.alphabet, None, 0, among)


def draw_strings(task: IndexLookup, size: int, strings: int, seed: int) -> Tensor:
    """Random strings (strings, n) of the capacity split."""
    if strings < 2:
        raise UsageError(f"capacity: strings is {strings}; a confidence limit needs at least 2")
    return task.examples("capacity", seed=seed, start=0, count=strings, size=size).tokens[:, :size]


def reading_of(chances: Tensor, alphabet: int, state_bits: int | None, counter_bits: int, among: int) -> Reading:
    """The reading from the chances (strings, n) given to the true symbols, mixed already."""
    strings, size = chances.shape
    per_string = (math.log2(alphabet) + torch.log2(chances)).sum(1).tolist()
    low, high = size * math.log2(MIX), size * math.log2(alphabet)
    confidence = 1 - CHANCE_OF_A_FALSE_CLAIM / among
    return Reading(
        size=size,
        alphabet=alphabet,
        recovered_bits=math.fsum(per_string) / strings,
        at_least=lower_limit(per_string, low=low, high=high, confidence=confidence),
        state_bits=state_bits,
        counter_bits=counter_bits,
        required_bits=high,
        strings=strings,
    )


def count_state_bits(state: ModelState, *, other: ModelState | None = None) -> tuple[int, int]:
    """Bits of one sequence's state, and apart from them those of its position counters.

    other  the state after as many other tokens, which a counter must be the same in too

    A counter is an integer tensor that is the same for every sequence of the batch, whatever they say: a place,
    a cache's first token. It is a function of how much was read, so it holds nothing about what was read.
    """
    everything = state_bits(state)
    counters = [
        leaf
        for leaf, twin in zip(leaves(state), leaves(state if other is None else other), strict=True)
        if not leaf.is_floating_point() and not leaf.is_complex() and bool((leaf == twin[:1]).all())
    ]
    apart = sum(map(state_bits, counters))
    return everything - apart, apart


def ask_every_place(model: LanguageModel, state: ModelState, symbols: Tensor, alphabet: int) -> Iterator[Tensor]:
    """Chance given to the true symbol at every place: pieces of (strings, n), in the order of the strings."""
    strings, size = symbols.shape
    queries = alphabet + torch.arange(size)
    piece = max(1, MOST_BRANCHES // size)
    for begin in range(0, strings, piece):
        some = slice(begin, begin + piece)
        count = len(symbols[some])
        branches = map_state(partial(branch, some=some, copies=size), state)
        logits, _ = model.step(queries.repeat(count), branches)
        yield chance_of(logits, symbols[some], alphabet)


def chance_of(logits: Tensor, symbols: Tensor, alphabet: int) -> Tensor:
    """Chance given to the true symbol at every place (strings, n), mixed, from logits (strings · n, V)."""
    predicted = F.softmax(logits[:, :alphabet].double(), -1)
    true = predicted.gather(1, symbols.reshape(-1, 1)).view(symbols.shape)
    return (1 - MIX) * true + MIX / alphabet


def branch(leaf: Tensor, *, some: slice, copies: int) -> Tensor:
    """Some sequences of a state's tensor, each repeated `copies` times in a row."""
    return leaf[some].repeat_interleave(copies, 0)
