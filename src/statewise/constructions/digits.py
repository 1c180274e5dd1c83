"""Strings in numbers: symbols as the digits of one integrator, and the one digit that is asked, read by ReLUs.

k the alphabet, g digits, M = k^g, N the number: digit j is ⌊N / k^j⌋ mod k.

Digit j is a function on 0 … M − 1, drawn as a line with a corner at some of these numbers. A ReLU bends it at a
corner, ReLU(N − c) for corners above the middle and ReLU(c − N) for those below, so that sums stay small; all of a
digit's are shut by −M unless that digit is asked. 2 k^(g−1) corners for digit 0 and 2 k^(g−j) for digit j > 0 (M each
for two symbols) make about 4 k^(g−1): the width that packing costs. Reading a digit a layer would cost state instead,
since every layer of recurrence carries as many units again.

Exact: all terms are integers, and the absolute values of those of one sum are about M²/4 together, at most 2^24 up to
M = 2^13: no order of adding rounds. An integrator alone is exact for consecutive integers from −2^24 to 2^24, 25 bits,
32 being counted. Symbols s are scored 2 s a − s², largest at s = a, exact up to k = 2^12.
"""

import torch
from torch import Tensor

from statewise.constructions.directions import Directions, write_table
from statewise.constructions.writing import Relu, combination, one_hot
from statewise.core.errors import UsageError
from statewise.models import LanguageModel

EXACT = 2**24
"""Integers up to this size are exact in float32."""

UNPACKED = 2**13
"""Largest M of which digits are read."""

USUAL_CORNERS = 256
"""Where nothing else is asked for, the most digits with k^(g−1) at most this: a feed-forward of about 1,000 ReLUs."""

SYMBOLS = 2**12
"""Largest alphabet that a head tells apart by one number."""


def digits_within(alphabet: int, numbers: int) -> int:
    """The most digits, at least 1, whose numbers are at most so many.

    >>> digits_within(16, 256), digits_within(10, 5)
    (2, 1)
    """
    digits = 1
    while alphabet ** (digits + 1) <= numbers:
        digits += 1
    return digits


def checked_digits(name: str, alphabet: int, digits: int | None, *, usual: int, most: int) -> int:
    """The digits of a unit: those given, or the most with k^g ≤ `usual` too. UsageErrors: k^g > `most`, k > 4096."""
    if alphabet > SYMBOLS:
        raise UsageError(f"{name}: there are {alphabet:,} symbols; it is exact up to {SYMBOLS:,}")
    largest = digits_within(alphabet, most)
    digits = digits_within(alphabet, min(usual, most)) if digits is None else digits
    if not 1 <= digits <= largest:
        raise UsageError(
            f"{name}: digits is {digits}; it must be in [1, {largest}]: for {alphabet} symbols float32 ends there"
        )
    return digits


def digit_values(alphabet: int, digits: int, place: int) -> Tensor:
    """Digit `place` of 0 … k^g − 1, (k^g,) float64.

    >>> digit_values(2, 2, 1).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    values: Tensor = torch.arange(alphabet**digits) // alphabet**place % alphabet
    return values.double()


def unpacking(at: Directions, alphabet: int, digits: int) -> list[Relu]:
    """ReLUs that add to `answer` the digit of `number` that is 1 in `digit`; 0 where none is."""
    return [relu for place in range(digits) for relu in _reading(at, alphabet, digits, place)]


def _reading(at: Directions, alphabet: int, digits: int, place: int) -> list[Relu]:
    values = digit_values(alphabet, digits, place)
    numbers = len(values)
    asked = one_hot(place, digits)
    middle = numbers // 2
    relus = [Relu(combination(at, digit=asked), 0.0, combination(at, answer=float(values[middle])))]
    for sign, line in ((1, values[middle:]), (-1, values[: middle + 1].flip(0))):
        bends = torch.cat([line.diff()[:1], line.diff().diff()])
        row = combination(at, number=float(sign), digit=asked * numbers)
        for step in bends.nonzero()[:, 0].tolist():
            corner = middle + sign * step
            relus.append(Relu(row, -sign * corner - float(numbers), combination(at, answer=float(bends[step]))))
    return relus


def write_symbols(model: LanguageModel, at: Directions, symbols: range) -> None:
    """Embed the tokens `symbols` as 0, 1, 2, … in `symbol`, and answer with the one that `answer` says.

    Every token has 1 in `one`; those that are no symbols get less than any answer.
    """
    value = torch.arange(float(len(symbols)))[:, None]
    which = slice(symbols.start, symbols.stop)
    write_table(model.embedding, slice(None), at["one"], torch.ones(model.config.vocabulary, 1))
    write_table(model.embedding, which, at["symbol"], value)
    write_table(model.head, slice(None), at["one"], -torch.ones(model.config.vocabulary, 1))
    write_table(model.head, which, at["one"], -(value**2))
    write_table(model.head, which, at["answer"], 2 * value)
