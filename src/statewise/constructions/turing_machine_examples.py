"""Turing machines that simulations are checked on: binary increment, palindromes, the busy beaver of three states."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from statewise.constructions.turing_machine import Rule, Run, TuringMachine
from statewise.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Example:
    """A machine with the words that it is given, one symbol a cell, the head on the first.

    machine   that runs
    inputs    symbols that words are made of; none: there is one word, the empty one, at every size
    slowest   the symbol of which the words that take longest consist; "" without inputs
    left      cells before the word that some run visits
    right     cells after it
    mirrored  whether half of the words that are drawn are made palindromes
    chance    from a size to the share of words, as they are drawn, that end in the most frequent state
    source    of the machine
    """

    machine: TuringMachine
    inputs: tuple[str, ...]
    slowest: str
    left: int
    right: int
    mirrored: bool = False
    chance: Callable[[int], float]
    source: str

    def letters(self, size: int) -> int:
        """How many symbols a word of this size has."""
        return size if self.inputs else 0

    def cells(self, size: int) -> int:
        """How many cells there are at this size."""
        return self.left + self.letters(size) + self.right

    def run(self, word: Sequence[str]) -> Run:
        """What the machine does with a word, O(steps). A UsageError for a symbol that is no input."""
        for symbol in word:
            if symbol not in self.inputs:
                raise UsageError(
                    f"{self.machine.where}: the word holds {symbol!r}; words are made of "
                    f"{', '.join(self.inputs) or 'nothing'}"
                )
        tape = dict(enumerate(word, start=self.left))
        return self.machine.run(tape, head=self.left, cells=self.cells(len(word)))


@lru_cache(maxsize=256)
def longest_run(example: Example, size: int) -> int:
    """Steps of the longest run at a size.

    >>> [longest_run(EXAMPLES[name], 4) for name in EXAMPLES]
    [10, 15, 21]
    """
    return len(example.run([example.slowest] * example.letters(size)).steps)


INCREMENT = Example(
    machine=TuringMachine(
        name="increment",
        symbols=("_", "0", "1"),
        blank="_",
        states=("right", "carry", "done"),
        start="right",
        halting=("done",),
        rules=(
            Rule("right", "0", "0", "R", "right"),
            Rule("right", "1", "1", "R", "right"),
            Rule("right", "_", "_", "L", "carry"),
            Rule("carry", "0", "1", "S", "done"),
            Rule("carry", "1", "0", "L", "carry"),
            Rule("carry", "_", "1", "S", "done"),
        ),
    ),
    inputs=("0", "1"),
    slowest="1",
    left=1,
    right=1,
    chance=lambda size: 1.0,
    source="ours: to the end, then back over ones, which become zeros; n + 2 + (trailing ones) steps",
)
"""A binary number, its lowest digit last, becomes the next one."""


PALINDROME = Example(
    machine=TuringMachine(
        name="palindrome",
        symbols=("_", "0", "1"),
        blank="_",
        states=("first", "far0", "far1", "last0", "last1", "back", "no", "yes"),
        start="first",
        halting=("no", "yes"),
        rules=(
            Rule("first", "0", "_", "R", "far0"),
            Rule("first", "1", "_", "R", "far1"),
            Rule("first", "_", "_", "S", "yes"),
            Rule("far0", "0", "0", "R", "far0"),
            Rule("far0", "1", "1", "R", "far0"),
            Rule("far0", "_", "_", "L", "last0"),
            Rule("far1", "0", "0", "R", "far1"),
            Rule("far1", "1", "1", "R", "far1"),
            Rule("far1", "_", "_", "L", "last1"),
            Rule("last0", "0", "_", "L", "back"),
            Rule("last0", "1", "1", "S", "no"),
            Rule("last0", "_", "_", "S", "yes"),
            Rule("last1", "0", "0", "S", "no"),
            Rule("last1", "1", "_", "L", "back"),
            Rule("last1", "_", "_", "S", "yes"),
            Rule("back", "0", "0", "L", "back"),
            Rule("back", "1", "1", "L", "back"),
            Rule("back", "_", "_", "R", "first"),
        ),
    ),
    inputs=("0", "1"),
    slowest="0",
    left=0,
    right=1,
    mirrored=True,
    chance=lambda size: (1 + 2.0 ** -(size // 2)) / 2,
    source="ours: erase the first symbol, carry it to the far end, erase its twin, come back; (n + 1)(n + 2)/2 steps "
    "for a palindrome",
)
"""Is the word the same read backwards?"""


BUSY_BEAVER = Example(
    machine=TuringMachine(
        name="busy-beaver-3",
        symbols=("0", "1"),
        blank="0",
        states=("A", "B", "C", "halt"),
        start="A",
        halting=("halt",),
        rules=(
            Rule("A", "0", "1", "R", "B"),
            Rule("A", "1", "1", "R", "halt"),
            Rule("B", "0", "1", "L", "B"),
            Rule("B", "1", "0", "R", "C"),
            Rule("C", "0", "1", "L", "C"),
            Rule("C", "1", "1", "L", "A"),
        ),
    ),
    inputs=(),
    slowest="",
    left=1,
    right=4,
    chance=lambda size: 1.0,
    source="Lin and Rado, Journal of the ACM 12(2), 1965: of the machines of three states and two symbols that halt on "
    "an empty tape, this one takes most steps, 21 (the most ones, 6, are left by another)",
)
"""From an empty tape: the most steps that three states and two symbols can take before they halt."""


EXAMPLES = {example.machine.name: example for example in (INCREMENT, PALINDROME, BUSY_BEAVER)}
"""Machines by name."""
