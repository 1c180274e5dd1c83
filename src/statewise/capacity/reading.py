"""What was read back at one size, in bits."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from statewise.capacity.intervals import lower_limit

MIX = 0.01
"""ε: fixed beforehand. A perfect reader loses log2(1/(1 − ε + ε/k)) < 0.015 bits a symbol by it."""

CHANCE_OF_A_FALSE_CLAIM = 0.05
"""That some limit of a ladder of sizes lies above its expectation: each size takes an equal share (Bonferroni)."""


@dataclass(frozen=True)
class Reading:
    """One measurement of one model at one size.

    recovered_bits  mean over strings of the bits read back; may be negative for a bad predictor
    exact           whether every string was read, once: recovered_bits is then its own expectation, not an estimate
    at_least        lower confidence limit (over strings) of that expectation: the number for claims; where exact,
                    recovered_bits itself, for no string is left to be uncertain about
    state_bits      bits of the serialised state at the cut, 8 × bytes, position counters not included; None where
                    what was measured has no state to count
    counter_bits    bits of position counters, a function of how many tokens were read
    required_bits   n · log2 k, what reading back everything amounts to
    strings         how many strings were read
    """

    size: int
    alphabet: int
    recovered_bits: float
    at_least: float
    state_bits: int | None
    counter_bits: int
    required_bits: float
    strings: int
    exact: bool

    @property
    def utilisation(self) -> float | None:
        """recovered / state bits; 0 for a state of no bits, None for one that was not counted."""
        if self.state_bits is None:
            return None
        return self.recovered_bits / self.state_bits if self.state_bits else 0.0


def chance_of(logits: Tensor, symbols: Tensor, alphabet: int) -> Tensor:
    """Chance given to the true symbol at every place (strings, n), mixed, from logits (strings · n, V)."""
    predicted = F.softmax(logits[:, :alphabet].double(), -1)
    true = predicted.gather(1, symbols.reshape(-1, 1)).view(symbols.shape)
    return (1 - MIX) * true + MIX / alphabet


def reading_of(chances: Tensor, alphabet: int, held: int | None, counters: int, among: int, *, exact: bool) -> Reading:
    """The reading from the chances (strings, n) given to the true symbols, mixed already."""
    strings, size = chances.shape
    per_string = (math.log2(alphabet) + torch.log2(chances)).sum(1).tolist()
    recovered = math.fsum(per_string) / strings
    low, high = size * math.log2(MIX), size * math.log2(alphabet)
    confidence = 1 - CHANCE_OF_A_FALSE_CLAIM / among
    return Reading(
        size=size,
        alphabet=alphabet,
        recovered_bits=recovered,
        at_least=recovered if exact else lower_limit(per_string, low=low, high=high, confidence=confidence),
        state_bits=held,
        counter_bits=counters,
        required_bits=high,
        strings=strings,
        exact=exact,
    )
