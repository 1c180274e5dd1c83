"""Turing machines as data, and what they do when they are simply followed.

One tape of cells 0, 1, 2, …; cells that nobody wrote hold the blank. A step reads the cell under the head, writes it,
moves the head by at most one cell, and changes the state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from statewise.core.errors import UsageError

MOVES = {"L": -1, "S": 0, "R": 1}
"""Left, stay, right."""


class Rule(NamedTuple):
    """In `state`, reading `read`: write `write`, move by `move`, go into state `into`."""

    state: str
    read: str
    write: str
    move: str
    into: str


class Step(NamedTuple):
    """A rule that was applied, and the cell where the head stood."""

    cell: int
    rule: Rule


class Run(NamedTuple):
    """What a machine did from its start until it halted.

    steps    in order
    verdict  the halting state
    tape     symbol of every cell that was given or written
    """

    steps: tuple[Step, ...]
    verdict: str
    tape: dict[int, str]


@dataclass(frozen=True, kw_only=True)
class TuringMachine:
    """A deterministic machine with one tape.

    name     for messages
    symbols  of the tape, the blank among them
    blank    what a cell holds that nobody wrote
    states   halting ones among them
    start    the state before the first step
    halting  states in which a run ends; they have no rules
    rules    at most one for each state and symbol; one that is missing matters only when it is needed

    A part that does not fit the others is a UsageError.

    >>> eraser = TuringMachine(
    ...     name="eraser", symbols=("_", "1"), blank="_", states=("go", "done"), start="go", halting=("done",),
    ...     rules=(Rule("go", "1", "_", "R", "go"), Rule("go", "_", "_", "S", "done")),
    ... )
    >>> run = eraser.run({0: "1", 1: "1"}, head=0, cells=3)
    >>> len(run.steps), run.verdict, run.tape
    (3, 'done', {0: '_', 1: '_', 2: '_'})
    """

    name: str
    symbols: tuple[str, ...]
    blank: str
    states: tuple[str, ...]
    start: str
    halting: tuple[str, ...]
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        self._require("blank", self.blank, self.symbols)
        for role, states in (("start", (self.start,)), ("halting", self.halting)):
            for state in states:
                self._require(role, state, self.states)
        for rule in self.rules:
            self._check_rule(rule)
        if len(self._by_pair) < len(self.rules):
            pairs = [rule[:2] for rule in self.rules]
            state, read = next(pair for pair in pairs if pairs.count(pair) > 1)
            raise UsageError(f"{self.where}: there are two rules for {state!r} reading {read!r}; give one")

    @property
    def where(self) -> str:
        """The machine in messages."""
        return f"Turing machine {self.name}"

    def rule(self, state: str, read: str) -> Rule:
        """The rule for a state and a symbol, O(1). A UsageError where there is none."""
        if (state, read) not in self._by_pair:
            raise UsageError(
                f"{self.where}: state {state!r} has no rule for {read!r}, which it reads; add one, "
                f"Rule({state!r}, {read!r}, …)"
            )
        return self._by_pair[state, read]

    def run(self, tape: Mapping[int, str], *, head: int, cells: int, most: int = 100_000) -> Run:
        """Follow the rules until a halting state, O(steps).

        tape   symbols by cell; cells that it lacks are blank
        head   the cell where the head starts, in [0, cells)
        cells  how many there are
        most   steps after which a machine that has not halted is given up

        UsageErrors: a symbol that the machine lacks, a cell outside [0, cells), a rule that is missing, too many steps.
        """
        for cell, symbol in tape.items():
            self._require(f"the symbol of cell {cell}", symbol, self.symbols)
            self._check_cell(cell, cells, "the tape has a symbol at")
        self._check_cell(head, cells, "the head starts at")
        written, state, steps = dict(tape), self.start, list[Step]()
        while state not in self.halting:
            if len(steps) == most:
                raise UsageError(
                    f"{self.where}: it has not halted after {most:,} steps; `most` is how many it may take"
                )
            step = Step(head, self.rule(state, written.get(head, self.blank)))
            steps.append(step)
            written[head] = step.rule.write
            state, head = step.rule.into, head + MOVES[step.rule.move]
            self._check_cell(head, cells, f"step {len(steps)} moves {step.rule.move} to")
        return Run(tuple(steps), state, written)

    @cached_property
    def _by_pair(self) -> dict[tuple[str, str], Rule]:
        return {(rule.state, rule.read): rule for rule in self.rules}

    def _check_rule(self, rule: Rule) -> None:
        for role, symbol in (("read", rule.read), ("write", rule.write)):
            self._require(f"{role} of {tuple(rule)}", symbol, self.symbols)
        for role, state in (("state", rule.state), ("into", rule.into)):
            self._require(f"{role} of {tuple(rule)}", state, self.states)
        self._require(f"move of {tuple(rule)}", rule.move, tuple(MOVES))
        if rule.state in self.halting:
            raise UsageError(f"{self.where}: {tuple(rule)} is a rule of a halting state; a run ends there, so drop it")

    def _require(self, role: str, given: str, known: tuple[str, ...]) -> None:
        if given not in known:
            raise UsageError(f"{self.where}: {role} is {given!r}; it must be one of {', '.join(known)}")

    def _check_cell(self, cell: int, cells: int, what: str) -> None:
        if not 0 <= cell < cells:
            raise UsageError(
                f"{self.where}: {what} cell {cell}; there are cells 0 … {cells - 1}: give it more `cells`, or start "
                "further to the right"
            )
