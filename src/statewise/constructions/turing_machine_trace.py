"""Runs of Turing machines as logs in which every read is a search for the last write.

    prompt     write 1 s1 1   write 2 s1 2   run
    log        <search> write 1 <end> s1   write 1 s1 1   R qright   …   <answer> qdone
               what does cell 1 hold?      it is written  and left for the state `right`

The last entry of a cell holds. It stands behind the last `write 1` of the context, since after every search for a cell
that cell is written. A search that finds nothing stands for the blank. A step takes 11 tokens and the verdict 2, so a
run takes 11 · steps + 2.

`PreviousTool` finds the last `write 1`. A `RegexTool` finds the same symbols by ^.*\\b1 (\\S+) 1\\b, since only in an
entry does one word alone stand between two mentions of a cell.

Source: Wen, Dang, Lyu, arXiv 2402.18510, Theorem 5.4, where a step writes the cell, its symbol, the cell again, the
state and the move. The word before an entry, the order, and blanks that are not written beforehand are ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from statewise.constructions.turing_machine import MOVES, Rule
from statewise.constructions.turing_machine_examples import longest_run
from statewise.constructions.turing_machine_task import FIRST_SYMBOL, WRITE, TuringMachineTask
from statewise.core.errors import SearchError
from statewise.search.page import SEARCH, Page
from statewise.search.previous import PreviousTool
from statewise.search.tool import Tool
from statewise.search.traced import Traced
from statewise.search.traces.notation import Mark, Notation
from statewise.search.traces.trace import Trace
from statewise.search.words import Words

STEP_BY_SEARCH, STEP_ALOUD, VERDICT = 11, 6, 2
"""Tokens of a step with a search and without, and of the verdict behind its mark."""


class TuringMachineTrace(Trace):
    """A run step by step."""

    solves: ClassVar[type[TuringMachineTask]] = TuringMachineTask
    task: TuringMachineTask

    def write_down(self) -> Notation:
        """Symbols are s0, s1, …, states qA, qB, …, and cells numbers; moves are marks."""
        machine, cells = self.task.example.machine, range(self.task.example.cells(self.largest))
        symbols, states = (f"s{each}" for each in machine.symbols), (f"q{each}" for each in machine.states)
        spoken = ("write", "run", *symbols, *states, *map(str, cells))
        return Notation(
            marks=tuple(Mark(word=move) for move in MOVES),
            spoken=spoken,
            pieces=(None,) * len(spoken),
            pattern=last_entry,
        )

    def think(self, prompt: list[int], page: Page) -> None:
        """Every step aloud, as one does who knows the tape by heart."""
        run = self.task.example.run(self.task.word([self.own(token) for token in prompt]))
        for cell, rule in run.steps:
            self._log(page, cell, rule)
        page.answer(self.state(run.verdict))

    def retrieve(self, prompt: list[int], page: Page) -> None:
        """Search for the symbol, apply the rule for it, write what it says; known are the state and the head alone.

        A tool that finds other symbols may lead to a run that does not halt: it ends after the longest that there is.
        """
        example, machine = self.task.example, self.task.example.machine
        state, cell = machine.start, example.left
        for _ in range(longest_run(example, self.largest)):
            if state in machine.halting:
                break
            rule = machine.rule(state, self._read(page, cell))
            self._log(page, cell, rule)
            state, cell = rule.into, cell + MOVES[rule.move]
        page.answer(self.state(state))

    def longest(self, size: int, *, retrieving: bool) -> int:
        """As many steps as the slowest word of that size takes, and the verdict."""
        return (STEP_BY_SEARCH if retrieving else STEP_ALOUD) * longest_run(self.task.example, size) + VERDICT

    def tape(self, tokens: Sequence[int]) -> dict[int, str]:
        """Symbols by cell: each cell's last entry in a log."""
        symbols, write, cell = self.task.example.machine.symbols, self.opening, self.cell(0)
        entries = [tokens[i + 1 : i + 4] for i, token in enumerate(tokens) if token == write]
        return {
            entry[0] - cell: symbols[self.own(entry[1]) - FIRST_SYMBOL]
            for entry in entries
            if len(entry) == 3 and entry[0] == entry[2]
        }

    @property
    def opening(self) -> int:
        """The token before an entry."""
        return self.notation.first + WRITE

    def symbol(self, symbol: str) -> int:
        """The token of a symbol."""
        return self.notation.first + FIRST_SYMBOL + self.task.example.machine.symbols.index(symbol)

    def state(self, state: str) -> int:
        """The token of a state."""
        return self.notation.first + self.task.first_state + self.task.example.machine.states.index(state)

    def cell(self, cell: int) -> int:
        """The token of a cell."""
        return self.notation.first + self.task.first_cell + cell

    def move(self, move: str) -> int:
        """The token of a move."""
        return self.notation.mark(list(MOVES).index(move))

    def _read(self, page: Page, cell: int) -> str:
        found, machine = page.search(self.opening, self.cell(cell)), self.task.example.machine
        return machine.blank if found is None else machine.symbols[self.own(found) - FIRST_SYMBOL]

    def _log(self, page: Page, cell: int, rule: Rule) -> None:
        place = self.cell(cell)
        page.write(self.opening, place, self.symbol(rule.write), place, self.move(rule.move), self.state(rule.into))


@dataclass(frozen=True)
class LoggedRun(Traced):
    """A Turing machine's run: a `Retrieval` whose tool is `PreviousTool`, so that no extra package is needed.

    >>> run = LoggedRun(TuringMachineTask("increment"))
    >>> trace = run.trace(1)
    >>> trace.notation.words.text(run.page([trace.notation.first + token for token in run.task.prompt("1")], 1).tokens)
    'write 1 s1 1 run <search> write 1 <end> s1 write 1 s1 1 R qright <search> write 2 <end> <failed> write 2 s_ 2 L \
qcarry <search> write 1 <end> s1 write 1 s0 1 L qcarry <search> write 0 <end> <failed> write 0 s1 0 S qdone <answer> \
qdone '
    """

    name: ClassVar[str] = "logged-run"
    retrieving: ClassVar[bool] = True
    task: TuringMachineTask

    def __post_init__(self) -> None:
        """Every machine has a trace."""

    def trace(self, size: int) -> TuringMachineTrace:
        """The solver at sizes up to this one."""
        return kept_trace(self.task, size)

    def tools(self, size: int) -> Mapping[int, Tool]:
        """The last write to a cell."""
        return {SEARCH: PreviousTool()}

    def write(self, trace: Trace, prompt: list[int], page: Page) -> None:
        """Search."""
        trace.retrieve(prompt, page)


@lru_cache(maxsize=256)
def kept_trace(task: TuringMachineTask, largest: int) -> TuringMachineTrace:
    """The solver of a task, made once."""
    return TuringMachineTrace(task, largest)


def last_entry(words: Words, query: Sequence[int]) -> str:
    """The pattern of a query `write c`: it finds the last entry of cell c. A SearchError for anything else."""
    written = [words.context[each] for each in query]
    if len(written) != 2 or written[0] != "write" or not written[1].isdigit():
        raise SearchError(f"{' '.join(written)!r} is no query: it must be write c, with a cell c")
    return rf"^.*\b{written[1]} (\S+) {written[1]}\b"
