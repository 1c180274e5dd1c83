"""In which state does a Turing machine halt? The tape is a log: each cell's symbol between two mentions of the cell.

    input    write 0 s1 0   write 1 s0 1   run
    target     ·   · ·  ·     ·   · ·  ·   qno         (· is not scored)

Tokens are 0 (write), 1 (run), the symbols, the states, and the cells, whose number grows with the size.

Source: Wen, Dang, Lyu, arXiv 2402.18510, Theorem 5.4 (a tape of such triples); the word before each is ours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.constructions.turing_machine_examples import EXAMPLES, Example
from statewise.core.errors import pick
from statewise.core.random import Words, integers
from statewise.tasks import Batch, Task
from statewise.tasks.task import score_last

WRITE, RUN, FIRST_SYMBOL = range(3)

MOST_LISTED = 2**10
"""Words of one size are listed up to this many: their runs are long."""


@dataclass(frozen=True)
class TuringMachineTask(Task):
    """Words of `size` symbols, uniform and independent; half of those for palindromes are mirrored.

    machine  a name of EXAMPLES

    >>> task = TuringMachineTask("palindrome")
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=5)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "turing-machine"
    machine: str = "increment"

    def __post_init__(self) -> None:
        pick("Turing machine", self.machine, EXAMPLES)

    @property
    def example(self) -> Example:
        """The machine and its words."""
        return EXAMPLES[self.machine]

    @property
    def first_state(self) -> int:
        """The token of the first state."""
        return FIRST_SYMBOL + len(self.example.machine.symbols)

    @property
    def first_cell(self) -> int:
        """The token of cell 0."""
        return self.first_state + len(self.example.machine.states)

    def vocabulary(self, size: int) -> int:
        """The words `write` and `run`, symbols, states and cells."""
        return self.first_cell + self.example.cells(size)

    def length(self, size: int) -> int:
        """Four tokens a symbol, and `run`."""
        return 4 * self.example.letters(size) + 1

    def cut(self, size: int) -> int:
        """After the prompt: the run is still to come."""
        return self.length(size)

    def num_words(self, size: int) -> int:
        """One word a symbol, and one for whether they are mirrored."""
        return size + 1

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The symbols from the first words; where words may be mirrored, the last says whether this one is."""
        places = np.arange(self.example.letters(size))
        drawn = integers(words[:, : len(places)], max(1, len(self.example.inputs)))
        if self.example.mirrored:
            mirrored = integers(words[:, size:], 2) == 1
            drawn = np.where(mirrored, drawn[:, np.minimum(places, places[::-1])], drawn)
        tokens = [self.prompt([self.example.inputs[each] for each in word]) for word in drawn.tolist()]
        return self._answered(torch.tensor(tokens, dtype=torch.int64).reshape(len(drawn), self.length(size)))

    def solve(self, batch: Batch) -> Tensor:
        """Follow the machine's rules."""
        return self._answered(batch.tokens).targets

    def chance(self, size: int) -> float:
        """The most frequent verdict."""
        return self.example.chance(size)

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every word, up to 1,024."""
        self.check_size(size)
        letters = self.example.letters(size)
        if len(self.example.inputs) ** letters > MOST_LISTED:
            return None
        return (torch.tensor(self.prompt(word)) for word in product(self.example.inputs, repeat=letters))

    def valid(self, tokens: Tensor) -> bool:
        """The entries of a word in the order of cells, then `run`."""
        word = self.word(tokens.tolist())
        known = all(symbol in self.example.inputs for symbol in word)
        return known and bool(word or not self.example.inputs) and self.prompt(word) == tokens.tolist()

    def prompt(self, word: Sequence[str]) -> list[int]:
        """The tokens of a word: its entries, and `run`."""
        entries = [
            (WRITE, self.first_cell + cell, FIRST_SYMBOL + self.example.machine.symbols.index(symbol))
            for cell, symbol in enumerate(word, start=self.example.left)
        ]
        return [token for write, cell, symbol in entries for token in (write, cell, symbol, cell)] + [RUN]

    def word(self, tokens: Sequence[int]) -> list[str]:
        """The symbols of a prompt's entries; "" for a token that is none."""
        symbols = self.example.machine.symbols
        places = (token - FIRST_SYMBOL for token in tokens[2::4])
        return [symbols[place] if 0 <= place < len(symbols) else "" for place in places]

    def _answered(self, tokens: Tensor) -> Batch:
        verdicts = [self.example.run(self.word(row)).verdict for row in tokens.tolist()]
        answers = [self.first_state + self.example.machine.states.index(verdict) for verdict in verdicts]
        return score_last(tokens, torch.tensor(answers)[:, None])
